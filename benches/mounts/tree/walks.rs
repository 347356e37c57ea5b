//! Walks over all folders.

use super::super::Result;
use super::super::bench::{Bench, Sample, Series, Stage, discard};
use super::super::fichierfs;
use super::super::measure::{median, timed};
use super::super::outcome::{Outcome, number, seconds};
use super::super::peer::{Mount, Peer};
use super::super::peers::{A, OURS};
use super::super::service::{Plan, Shape};
use super::super::shell;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(280);

/// Files of the simulated trees are larger than what it hashes for a listing.
const SIZE: &str = "size=20MiB";

/// `find` with a stat of each entry; gives the seconds and the entries.
pub fn find(point: &Path) -> Result<(f64, u64)> {
    let point = point.display().to_string();
    let (time, text) = timed(|| shell::output("find", &[&point, "-printf", "%s %T@\n"], PATIENCE))?;
    Ok((time, text.lines().count() as u64))
}

pub fn first(bench: &Bench) -> Result<Outcome> {
    const SCALE: u32 = 100;
    let folders = bench.size(2_000, 100);
    let content = [format!("tree={folders}x20,{SIZE}")];
    let service = bench.service(&Plan::new(Shape::Unlimited, content).documented(SCALE))?;
    let place = bench.place()?;
    let mount = Mount::start(&OURS, &service, &place)?;
    let stage = Stage::new(&service, &OURS, &mount);
    let mut entries = 0;
    let mut known = Vec::new();
    let sample = stage.sample(|| {
        std::fs::read_dir(mount.path("dir-0000"))?.count();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let meanwhile = scope.spawn(|| -> Result<Vec<f64>> {
                let mut times = Vec::new();
                while !done.load(Ordering::Relaxed) {
                    let (time, _) =
                        timed(|| Ok(std::fs::read_dir(mount.path("dir-0000"))?.count()))?;
                    times.push(time);
                    std::thread::sleep(Duration::from_millis(50));
                }
                Ok(times)
            });
            let walk = find(&mount.path("."));
            done.store(true, Ordering::Relaxed);
            known = meanwhile
                .join()
                .map_err(|_| "the other reader panicked")??;
            let (time, found) = walk?;
            entries = found;
            Ok(time)
        })
    })?;
    let series = Series::single(OURS.name(), sample);
    let mut outcome = Outcome::default();
    let real = seconds(series.value() * f64::from(SCALE));
    let folder = seconds(median(known.iter().copied()));
    let figure = format!(
        "{entries} entries in {real} of the service's time, a known folder meanwhile in {folder}"
    );
    outcome.line(&series, figure);
    outcome.note(format!(
        "On a service {SCALE} times as fast, the time multiplied; the root folder counts as one."
    ));
    judge(&mut outcome, &series, folders);
    let slowest = known.into_iter().fold(0.0, f64::max) * 1e3;
    outcome.at_most(
        "slowest look into a known folder meanwhile",
        slowest,
        100.0,
        " ms",
    );
    mount.stop()?;
    discard(place.dir())?;
    Ok(outcome)
}

/// At the limits as people met them: what one lock taught must hold after a restart.
pub fn first_observed(bench: &Bench) -> Result<Outcome> {
    const SCALE: u32 = 100;
    let folders = bench.size(2_000, 60);
    let content = [format!("tree={folders}x20,{SIZE}")];
    let service = bench.service(&Plan::new(Shape::Unlimited, content).observed(SCALE))?;
    let place = bench.place()?;
    let mut series = Series::of(OURS.name());
    // A first walk, and after a restart all of it once more; locks are waited out.
    for _ in 0..2 {
        let mount = Mount::start(&OURS, &service, &place)?;
        let stage = Stage::new(&service, &OURS, &mount);
        let walk = || {
            let mut refresh = fichierfs::verb(&place, &["refresh", "-r"]);
            let (time, status) = timed(|| Ok(refresh.stdout(Stdio::null()).status()?))?;
            match status.success() {
                true => Ok(time),
                false => Err(format!("refresh -r ended with {status}").into()),
            }
        };
        series.samples.push(stage.sample(walk)?);
        mount.stop()?;
    }
    discard(place.dir())?;
    let mut outcome = Outcome::default();
    let times: Vec<String> = series
        .samples
        .iter()
        .map(|sample| seconds(sample.value * f64::from(SCALE)))
        .collect();
    let figure = format!(
        "{} of the service's time, before and after a restart",
        times.join(" and ")
    );
    outcome.line(&series, figure);
    outcome.note(format!(
        "On a service {SCALE} times as fast, the time multiplied."
    ));
    outcome.at_most("locks in both walks", series.locks() as f64, 1.0, "");
    let again = series
        .samples
        .last()
        .map_or(0, |sample| sample.report.locks);
    outcome.at_most("of them after the restart", again as f64, 0.0, "");
    Ok(outcome)
}

pub fn first_unscaled(bench: &Bench) -> Result<Outcome> {
    let folders = bench.size(100, 8);
    let mut outcome = Outcome::default();
    for peer in [&OURS as &dyn Peer, &A] {
        let content = [format!("tree={folders}x20,{SIZE}")];
        let service = bench.service(&Plan::new(Shape::Unlimited, content).documented(1))?;
        let place = bench.place()?;
        let mount = Mount::start(peer, &service, &place)?;
        let stage = Stage::new(&service, peer, &mount);
        let mut failed = String::new();
        let sample = stage.sample(|| {
            let start = Instant::now();
            // rclone's errors belong to what is measured.
            if let Err(error) = find(&mount.path(".")) {
                failed = format!(", {error}");
            }
            Ok(start.elapsed().as_secs_f64())
        })?;
        let series = Series::single(peer.name(), sample);
        outcome.line(&series, format!("{}{failed}", seconds(series.value())));
        if peer.name() == OURS.name() {
            judge(&mut outcome, &series, folders);
            let said = if failed.is_empty() { "none" } else { &failed };
            outcome.must("no error", said, failed.is_empty());
        }
        mount.stop()?;
        discard(place.dir())?;
    }
    Ok(outcome)
}

fn judge(outcome: &mut Outcome, series: &Series, folders: u64) {
    let listings = series.median_of(|sample: &Sample| sample.report.calls_of("folder/ls") as f64);
    let per_folder = listings / (folders + 1) as f64;
    outcome.at_most("listings per folder", per_folder, 1.0, "");
    outcome.at_most("locks", series.locks() as f64, 0.0, "");
}

pub fn again(bench: &Bench) -> Result<Outcome> {
    let files = bench.size(40_000, 4_000);
    let content = [format!("tree={}x20,{SIZE}", files / 20)];
    // Quickly learnt.
    let service = bench.service(&Plan {
        scale: 10_000,
        ..Plan::new(Shape::Unlimited, content)
    })?;
    let place = bench.place()?;
    let mount = Mount::start(&OURS, &service, &place)?;
    find(&mount.path("."))?;
    mount.stop()?;
    let mut cold = Vec::new();
    let mut warm = Vec::new();
    let (mut cpu, mut peak) = (0.0, 0);
    // The configuration is all that a start needs of the service.
    OURS.command(&service, &place)?;
    let gone = service.gone()?;
    for _ in 0..bench.runs(3) {
        let mount = Mount::of(OURS.offline(&place), &place)?;
        let figures = mount.begin()?;
        let (time, entries) = find(&mount.path("."))?;
        cold.push(entries as f64 / time);
        let used = figures.end()?;
        (cpu, peak) = (used.cpu, used.peak.max(peak));
        let (time, entries) = find(&mount.path("."))?;
        warm.push(entries as f64 / time);
        mount.crash();
    }
    let (cold, warm) = (median(cold), median(warm));
    let theirs = rclone_warm(bench, files)?;
    let mut outcome = Outcome::default();
    outcome.plain(
        OURS.name(),
        format!(
            "{} entries/s cold ({} CPU, {} MiB), {} entries/s in the kernel",
            number(cold),
            seconds(cpu),
            peak >> 20,
            number(warm)
        ),
    );
    outcome.plain(
        A.name(),
        format!("{} entries/s warm, network up", number(theirs)),
    );
    outcome.note("rclone forgets everything at a restart; its second walk in one session, over the same number of files in 40 folders, stands beside. The service was gone; who still called its address was counted, but for the account's figures.");
    let calls = gone.calls();
    outcome.at_most("calls", calls.len() as f64, 0.0, "");
    outcome.at_least("cold daemon", cold, 50_000.0, " entries/s");
    outcome.at_least("in the kernel", warm, 100_000.0, " entries/s");
    outcome.times("rclone's warm walk", warm, theirs, 10.0);
    Ok(outcome)
}

/// rclone's walk over folders that it has in memory. It needs two calls a folder, 0.4 s
/// apart, so the same files lie in fewer folders.
fn rclone_warm(bench: &Bench, files: u64) -> Result<f64> {
    const FOLDERS: u64 = 40;
    let content = [format!("tree={FOLDERS}x{},{SIZE}", files / FOLDERS)];
    let service = bench.service(&Plan::new(Shape::Unlimited, content))?;
    let place = bench.place()?;
    let mount = Mount::start(&A, &service, &place)?;
    find(&mount.path("."))?;
    let mut rates = Vec::new();
    for _ in 0..bench.runs(3) {
        let (time, entries) = find(&mount.path("."))?;
        rates.push(entries as f64 / time);
    }
    mount.stop()?;
    Ok(median(rates))
}
