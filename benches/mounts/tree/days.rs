//! A media server that looks at everything, over and over.

use super::super::Result;
use super::super::bench::{Bench, Series, Stage, discard};
use super::super::outcome::{Outcome, number, seconds};
use super::super::peer::{Mount, Peer};
use super::super::peers::{A, OURS};
use super::super::read::{FILM, look};
use super::super::service::{Plan, Shape};
use std::path::Path;
use std::time::{Duration, Instant};

const FILMS_PER_FOLDER: u64 = 50;
/// How long a media server rests before it tries a scan again that did not see all.
const PAUSE: Duration = Duration::from_secs(60);

fn content(films: u64) -> [String; 1] {
    let folders = films / FILMS_PER_FOLDER;
    [format!("tree={folders}x{FILMS_PER_FOLDER},size={FILM}")]
}

/// Looks at every film below a folder, until then; gives how many and how many failed.
fn scan(point: &Path, until: Instant) -> Result<(u64, u64)> {
    let (mut seen, mut failed) = (0, 0);
    for item in walkdir::WalkDir::new(point) {
        if Instant::now() >= until {
            break;
        }
        match item {
            Ok(item) if item.file_type().is_file() => match look(item.path()) {
                Ok(()) => seen += 1,
                Err(_) => failed += 1,
            },
            Ok(_) => {}
            Err(_) => failed += 1,
        }
    }
    Ok((seen, failed))
}

pub fn day(bench: &Bench) -> Result<Outcome> {
    const SCALE: u32 = 300;
    let films = bench.size(5_000, 200);
    let hours = bench.size(24, 2);
    let hour = Duration::from_secs(3_600) / SCALE;
    let plan = Plan::new(Shape::Unlimited, content(films)).documented(SCALE);
    let service = bench.service(&plan)?;
    let place = bench.place()?;
    let mount = Mount::start(&OURS, &service, &place)?;
    let stage = Stage::new(&service, &OURS, &mount);
    // The first scan takes some hours, at the pace at which links are given; on a busy machine
    // the others may take more than theirs.
    let patience = |n| hour * if n == 0 { 12 } else { 4 };
    let mut calls = Vec::new();
    let (mut scans, mut failed, mut late) = (0, 0, 0);
    let mut first = 0.0;
    let sample = stage.sample(|| {
        let start = Instant::now();
        for n in 0..=hours {
            let before = service.report()?.api_calls;
            let began = Instant::now();
            let (seen, errors) = scan(&mount.path("."), began + patience(n))?;
            failed += errors;
            scans += u64::from(seen == films);
            if n == 0 {
                first = began.elapsed().as_secs_f64();
            } else {
                late += u32::from(began.elapsed() > hour);
            }
            std::thread::sleep(hour.saturating_sub(began.elapsed()));
            calls.push(service.report()?.api_calls - before);
        }
        Ok(start.elapsed().as_secs_f64())
    })?;
    let series = Series::single(OURS.name(), sample);
    let mut outcome = Outcome::default();
    let later: Vec<u64> = calls.iter().skip(1).copied().collect();
    let most = later.iter().max().copied().unwrap_or(0);
    let mean = later.iter().sum::<u64>() as f64 / later.len().max(1) as f64;
    let figure = format!(
        "first scan in {} of the service's time, {} calls; then {} calls an hour, at most {most}; {failed} errors, {late} rescans longer than their hour",
        seconds(first * f64::from(SCALE)),
        calls.first().copied().unwrap_or(0),
        number(mean)
    );
    outcome.line(&series, figure);
    outcome.note(format!(
        "On a service {SCALE} times as fast: an hour lasts {}.",
        seconds(hour.as_secs_f64())
    ));
    outcome.at_most("locks", series.locks() as f64, 0.0, "");
    outcome.must(
        "every scan whole",
        format!("{scans} of {}", hours + 1),
        scans == hours + 1,
    );
    mount.stop()?;
    discard(place.dir())?;
    Ok(outcome)
}

pub fn rclone(bench: &Bench) -> Result<Outcome> {
    let films = bench.size(5_000, 200);
    let time = Duration::from_secs(bench.size(1_200, 20));
    let plan = Plan::new(Shape::Unlimited, content(films)).documented(1);
    let service = bench.service(&plan)?;
    let place = bench.place()?;
    let mount = Mount::start(&A, &service, &place)?;
    let stage = Stage::new(&service, &A, &mount);
    let (mut scans, mut most, mut errors) = (0, 0, 0);
    let sample = stage.sample(|| {
        let _watch = mount.limit(time + Duration::from_secs(120));
        let end = Instant::now() + time;
        while most < films && Instant::now() < end {
            let (seen, failed) = scan(&mount.path("."), end)?;
            scans += 1;
            most = most.max(seen);
            errors += failed;
            std::thread::sleep(PAUSE.min(end.saturating_duration_since(Instant::now())));
        }
        Ok(0.0)
    })?;
    let series = Series::single(A.name(), sample);
    let mut outcome = Outcome::default();
    let figure = format!(
        "{most} of {films} films in {}, {scans} scans, {errors} errors",
        seconds(time.as_secs_f64())
    );
    outcome.note("A scan that does not see all is begun again after a minute.");
    outcome.line(&series, figure);
    mount.stop()?;
    discard(place.dir())?;
    Ok(outcome)
}
