//! Many small files.

use super::super::Result;
use super::super::bench::{Bench, Sample, Series, Stage, discard};
use super::super::measure::{median, timed};
use super::super::outcome::{Outcome, number, seconds};
use super::super::peer::{Mount, Peer, Place};
use super::super::peers::{A, OURS};
use super::super::service::{Limits, Plan, Shape};
use super::super::shell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long all of it may take until the service has it.
const PATIENCE: Duration = Duration::from_secs(240);

/// How much rclone does of it, by which its time is multiplied.
const PART_OF_RCLONE: u64 = 20;

/// Files of 4 KiB in folders; gives the folder of all.
fn make(bench: &Bench, folders: u64, files: u64) -> Result<PathBuf> {
    let root = bench.folder("local")?;
    let mut bytes = vec![0; 4 << 10];
    for folder in 0..folders {
        let folder = root.join(format!("folder-{folder:03}"));
        std::fs::create_dir(&folder)?;
        for n in 0..files {
            fichierfs::sim::synthetic_bytes(n, 0, &mut bytes);
            std::fs::write(folder.join(format!("file-{n:04}")), &bytes)?;
        }
    }
    Ok(root)
}

/// `cp -r` of what a folder has, as people do it.
fn copy(from: &Path, to: &Path) -> Result<f64> {
    let (from, to) = (from.join("."), to.display().to_string());
    let from = from.display().to_string();
    let (time, _) = timed(|| shell::output("cp", &["-r", &from, &to], PATIENCE))?;
    Ok(time)
}

/// How long the copy and the confirmation took.
struct Copied {
    copy: f64,
    confirmed: f64,
    sample: Sample,
    /// What is left of it on the disk.
    place: Place,
}

/// What a mount asks once, whatever is done in it, is not counted.
const ONCE: &str = "The root's first listing and the account's first figures, which each mount asks for once, came before and are not counted.";

/// Waits until a mount has asked what it asks once: the root's listing, and ours the account's figures.
fn settle(stage: &Stage) -> Result<()> {
    std::fs::read_dir(stage.mount.path("."))?.count();
    let ours = stage.peer.name() == OURS.name();
    let asked = || Ok(stage.service.report()?.calls_of("user/info") > 0);
    if ours && !shell::until(PATIENCE, asked)? {
        return Err("the account's figures were not asked for".into());
    }
    Ok(())
}

/// One copy into a fresh account at the documented limits. What it leaves is not removed here, since
/// ext4 without a journal makes new files slowly for minutes after many were removed.
fn copied(
    bench: &Bench,
    peer: &dyn Peer,
    local: &Path,
    files: u64,
    limits: Limits,
) -> Result<Copied> {
    let mut plan = Plan::new(Shape::Unlimited, []).documented(1);
    plan.limits = limits;
    let service = bench.service(&plan)?;
    let place = bench.place()?;
    let mount = Mount::start(peer, &service, &place)?;
    let stage = Stage::new(&service, peer, &mount);
    settle(&stage)?;
    let mut copied = 0.0;
    let mut confirmed = 0.0;
    let sample = stage.sample(|| {
        let start = Instant::now();
        copied = copy(local, &mount.path("."))?;
        let there = shell::until(PATIENCE, || Ok(service.report()?.uploads >= files))?;
        if !there || !peer.drained(&mount, PATIENCE)? {
            let uploads = service.report()?.uploads;
            return Err(format!("{} sent {uploads} of {files} files", peer.name()).into());
        }
        confirmed = start.elapsed().as_secs_f64();
        Ok(confirmed)
    })?;
    mount.stop()?;
    Ok(Copied {
        copy: copied,
        confirmed,
        sample,
        place,
    })
}

pub fn one_folder(bench: &Bench) -> Result<Outcome> {
    let files = bench.size(1_000, 100);
    let local = make(bench, 1, files)?;
    let part = make(bench, 1, files / PART_OF_RCLONE)?;
    let (mut disk, mut ours) = (Vec::new(), Vec::new());
    let mut left = Vec::new();
    for _ in 0..bench.runs(3) {
        let target = bench.folder("disk")?;
        disk.push(files as f64 / copy(&local, &target)?);
        left.push(target);
        ours.push(copied(bench, &OURS, &local, files, Limits::Documented)?);
    }
    let copying = median(ours.iter().map(|run| files as f64 / run.copy));
    let confirmed = median(ours.iter().map(|run| run.confirmed));
    left.extend(ours.iter().map(|run| run.place.dir().to_owned()));
    let mut series = Series::of(OURS.name());
    series.samples = ours.into_iter().map(|run| run.sample).collect();
    let mut outcome = Outcome::default();
    let figure = format!(
        "cp {} files/s, all confirmed in {}",
        number(copying),
        seconds(confirmed)
    );
    outcome.line(&series, figure);
    let disk = median(disk);
    outcome.plain(
        "the disk underneath",
        format!("cp {} files/s", number(disk)),
    );
    let reached = format!(
        "{} files/s, {} of the disk",
        number(copying),
        number(copying / disk)
    );
    let met = copying >= 1_000.0 || copying >= 0.5 * disk;
    outcome.must("cp ≥ 1,000 files/s or ≥ 0.5 of the disk", reached, met);
    outcome.note(ONCE);
    outcome.at_most("service calls in all", series.calls(), 20.0, "");
    beside_rclone(
        bench,
        &mut outcome,
        &part,
        files / PART_OF_RCLONE,
        Some(confirmed),
    )?;
    left.iter().try_for_each(|dir| discard(dir))?;
    Ok(outcome)
}

pub fn hundred_folders(bench: &Bench) -> Result<Outcome> {
    let folders = bench.size(100, 10);
    let local = make(bench, folders, 10)?;
    let part = make(bench, folders / PART_OF_RCLONE + 1, 10)?;
    let run = copied(bench, &OURS, &local, folders * 10, Limits::Documented)?;
    let kinds = run.sample.calls_by_kind();
    let series = Series::single(OURS.name(), run.sample);
    let mut outcome = Outcome::default();
    let per_folder = series.calls() / folders as f64;
    let figure = format!(
        "all confirmed in {}, {} calls a folder",
        seconds(run.confirmed),
        number(per_folder)
    );
    outcome.line(&series, figure);
    outcome.note(format!("Calls: {kinds}. {ONCE}"));
    outcome.at_most("calls a folder", per_folder, 4.0, "");
    outcome.at_most("locks", series.locks() as f64, 0.0, "");
    beside_rclone(
        bench,
        &mut outcome,
        &part,
        (folders / PART_OF_RCLONE + 1) * 10,
        None,
    )?;
    discard(run.place.dir())?;
    Ok(outcome)
}

/// rclone does a part. It lists a folder before each upload, which the documented limits
/// answer with locks; where it does not get through, it is measured without limits, in its favour.
fn beside_rclone(
    bench: &Bench,
    outcome: &mut Outcome,
    part: &Path,
    files: u64,
    ours: Option<f64>,
) -> Result<()> {
    let theirs = copied(bench, &A, part, files, Limits::Off)?;
    let all = theirs.confirmed * PART_OF_RCLONE as f64;
    outcome.line(
        &Series::single(A.name(), theirs.sample),
        format!(
            "{files} files in {}, so all in {} (extrapolated)",
            seconds(theirs.confirmed),
            seconds(all)
        ),
    );
    outcome.note("rclone did a twentieth of it, without limits: it lists the folder before each upload, which the documented limits answer with a lock. Its calls, CPU and memory are those of that part.");
    discard(theirs.place.dir())?;
    if let Some(ours) = ours {
        outcome.at_least(
            "rclone's time ÷ ours, all confirmed",
            all / ours,
            20.0,
            " ×",
        );
    }
    Ok(())
}
