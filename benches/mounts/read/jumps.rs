//! First bytes and readers that jump.

use super::super::Result;
use super::super::bench::{Bench, Series};
use super::super::measure::{median, quantile};
use super::super::outcome::{Outcome, seconds};
use super::super::peers::two;
use super::super::service::{API_LATENCY, FIRST_BYTE, PER_CONNECTION, Plan, Shape};
use super::super::work::{Random, read_timed};
use super::file;
use std::fs::File;
use std::time::Duration;

const MIB: usize = 1 << 20;

/// Longer than the pace of any program: between two opens, so that none waits for
/// another's call.
const REST: Duration = Duration::from_millis(1_200);

pub fn first_byte(bench: &Bench) -> Result<Outcome> {
    let files = bench.size(9, 3);
    let content = (0..files).map(|n| file(&format!("film-{n}"), 1 << 30));
    let service = bench.service(&Plan::new(Shape::Line, content))?;
    let series = bench.compare(&service, &two(), 1, |stage| {
        let mut times = Vec::new();
        for n in 0..files {
            std::thread::sleep(REST);
            let path = stage.mount.path(&format!("film-{n}"));
            let start = std::time::Instant::now();
            read_timed(&File::open(path)?, 0, 1)?;
            times.push(start.elapsed().as_secs_f64());
        }
        Ok(median(times))
    })?;
    let mut outcome = Outcome::default();
    for series in &series {
        outcome.line(series, seconds(series.value()));
    }
    outcome.note(
        "rclone (b) is left out: it keeps the eight streams of each file that was closed, and most of nine \
         opens then wait a minute.",
    );
    let ours = series.first().ok_or("nothing was compared")?;
    let most = API_LATENCY + FIRST_BYTE + Duration::from_millis(25);
    let what = "API latency + first byte + 25 ms:";
    outcome.at_most(what, ours.value() * 1e3, most.as_secs_f64() * 1e3, " ms");
    Ok(outcome)
}

pub fn random(bench: &Bench) -> Result<Outcome> {
    const SIZE: u64 = 20 << 30;
    let reads = bench.size(200, 10);
    // Each costs it a link at its own pace.
    let of_rclone = bench.size(40, 5);
    let service = bench.service(&Plan::new(Shape::Line, [file("film", SIZE)]))?;
    let series = bench.compare(&service, &two(), 3, |stage| {
        let ours = stage.peer.name() == "fichierfs";
        let reads = if ours { reads } else { of_rclone };
        let film = File::open(stage.mount.path("film"))?;
        let mut random = Random(1);
        let times: Result<Vec<f64>> = (0..reads)
            .map(|_| read_timed(&film, random.below(SIZE - MIB as u64), MIB))
            .collect();
        Ok(median(times?))
    })?;
    let mut outcome = Outcome::default();
    for series in &series {
        outcome.line(series, format!("{} (median read)", seconds(series.value())));
    }
    outcome.note(format!("rclone did the first {of_rclone} reads."));
    let [ours, a] = series.as_slice() else {
        return Err("two programs were compared".into());
    };
    outcome.at_most("links", ours.tokens(), 1.0, "");
    let most = FIRST_BYTE.as_secs_f64() + MIB as f64 / PER_CONNECTION + 0.015;
    let what = "first byte + transfer + 15 ms:";
    outcome.at_most(what, ours.value() * 1e3, most * 1e3, " ms");
    // Times: the longer one is the slower.
    outcome.times(&a.name, a.value(), ours.value(), 5.0);
    Ok(outcome)
}

pub fn skips(bench: &Bench) -> Result<Outcome> {
    const READ: usize = 256 << 10;
    const FORWARD: u64 = 17 << 20;
    const BACK: u64 = 1 << 20;
    let steps = bench.size(24, 4);
    let service = bench.service(&Plan::new(Shape::Line, [file("film", 4 << 30)]))?;
    let mut tails: Vec<(String, f64)> = Vec::new();
    let series = bench.compare(&service, &two(), 3, |stage| {
        let film = File::open(stage.mount.path("film"))?;
        // The link, and the reader's first guess.
        read_timed(&film, 0, READ)?;
        let mut at = 0;
        let mut times = Vec::new();
        for _ in 0..steps {
            at += FORWARD;
            times.push(read_timed(&film, at, READ)?);
        }
        for _ in 0..steps {
            at -= BACK;
            times.push(read_timed(&film, at, READ)?);
        }
        let tail = quantile(times.iter().copied(), 0.95);
        tails.push((stage.peer.name().to_owned(), tail));
        Ok(median(times))
    })?;
    let tail_of = |series: &Series| {
        let of_it = tails.iter().filter(|(name, _)| *name == series.name);
        median(of_it.map(|(_, tail)| *tail))
    };
    let mut outcome = Outcome::default();
    for series in &series {
        let (middle, tail) = (seconds(series.value()), seconds(tail_of(series)));
        let asked = (2 * steps + 1) as f64 * READ as f64;
        let fetched = series.median_of(|sample| sample.report.bytes_down as f64) / asked;
        outcome.line(
            series,
            format!("median {middle}, 95 % within {tail}, {fetched:.1} × the bytes asked for"),
        );
    }
    let ours = series.first().ok_or("nothing was compared")?;
    // A read waits for at most the block of 1 MiB around it.
    let most = FIRST_BYTE.as_secs_f64() + MIB as f64 / PER_CONNECTION + 0.015;
    let what = "95 % of reads within first byte + 1 MiB + 15 ms:";
    outcome.at_most(what, tail_of(ours) * 1e3, most * 1e3, " ms");
    Ok(outcome)
}
