//! Library scans of media servers.

use super::super::Result;
use super::super::bench::{Bench, Series, Stage, discard};
use super::super::outcome::{Outcome, seconds};
use super::super::peer::{Mount, Peer};
use super::super::peers::{A, OURS};
use super::super::service::{Plan, Shape};
use super::super::work::read_timed;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

const HEAD: usize = 64 << 10;
const TAIL: usize = 1 << 20;
/// Bytes of a film, all of them alike.
pub const FILM: u64 = 2 << 30;

/// Reads head and tail of a film.
pub fn look(path: &Path) -> Result<()> {
    let film = File::open(path)?;
    let size = film.metadata()?.len();
    read_timed(&film, 0, HEAD)?;
    read_timed(&film, size - TAIL as u64, TAIL)?;
    Ok(())
}

pub fn library(bench: &Bench) -> Result<Outcome> {
    let films = bench.size(1_000, 100);
    let of_rclone = bench.size(20, 5);
    const SCALE: u32 = 50;
    let content = [format!("tree=1x{films},size={FILM}")];
    let plan = |content: [String; 1]| Plan::new(Shape::Unlimited, content);
    let film = |n: u64| format!("dir-0000/file-{n:05}.bin");

    let service = bench.service(&plan(content.clone()).documented(SCALE))?;
    let place = bench.place()?;
    let scan = |first_mount: bool| -> Result<_> {
        let mount = Mount::start(&OURS, &service, &place)?;
        let stage = Stage::new(&service, &OURS, &mount);
        let sample = stage.sample(|| {
            let start = Instant::now();
            for n in 0..films {
                look(&mount.path(&film(n)))?;
            }
            Ok(start.elapsed().as_secs_f64())
        })?;
        // As over a night, so that the second scan's programs are on their own.
        if first_mount {
            mount.stop()?;
        }
        Ok(sample)
    };
    let first = Series::single("fichierfs, first scan", scan(true)?);
    let second = Series::single("fichierfs, after a restart", scan(false)?);
    drop(service);
    discard(place.dir())?;

    let service = bench.service(&plan(content).documented(1))?;
    let place = bench.place()?;
    let mount = Mount::start(&A, &service, &place)?;
    let stage = Stage::new(&service, &A, &mount);
    let patience = Duration::from_secs(bench.size(180, 20));
    let mut seen = 0;
    let sample = stage.sample(|| {
        // It waits for the end of a lock, minutes at a time.
        let _watch = mount.limit(2 * patience);
        let start = Instant::now();
        for n in 0..of_rclone {
            if start.elapsed() < patience && look(&mount.path(&film(n))).is_ok() {
                seen += 1;
            }
        }
        Ok(start.elapsed().as_secs_f64())
    });

    let mut outcome = Outcome::default();
    let bytes = |series: &Series| {
        let bytes = series.median_of(|sample| sample.report.bytes_down as f64);
        format!("{:.1} MB fetched", bytes / 1e6)
    };
    for series in [&first, &second] {
        let real = series.value() * f64::from(SCALE);
        let figure = format!(
            "{} films in {} of the service's time, {}",
            films,
            seconds(real),
            bytes(series)
        );
        outcome.line(series, figure);
    }
    match sample {
        Ok(_) if seen == 0 => outcome.plain(
            A.name(),
            format!("no film in {}", seconds(patience.as_secs_f64())),
        ),
        Ok(sample) => {
            let rclone = Series::single(A.name(), sample);
            let time = rclone.value() * films as f64 / f64::from(seen);
            let extrapolated = format!(
                "{films} films in {} (extrapolated), {}",
                seconds(time),
                bytes(&rclone)
            );
            outcome.line(&rclone, extrapolated);
        }
        // It was ended while it waited for the end of a lock.
        Err(_) => outcome.plain(
            A.name(),
            format!(
                "{seen} films, then locked for longer than {}",
                seconds(patience.as_secs_f64())
            ),
        ),
    }
    outcome.note(format!(
        "fichierfs on a service {SCALE} times as fast, its times multiplied; rclone on {seen} films at true speed, its calls and bytes those of them."
    ));
    outcome.at_most("links per film", first.tokens() / films as f64, 1.0, "");
    outcome.at_most("locks", (first.locks() + second.locks()) as f64, 0.0, "");
    let again =
        second.tokens() + second.median_of(|sample| sample.report.calls_of("download") as f64);
    outcome.at_most("links and requests of the second scan", again, 0.0, "");
    Ok(outcome)
}
