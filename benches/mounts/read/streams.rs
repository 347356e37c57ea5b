//! Sequential readers.

use super::super::bench::{Bench, Sample, Series};
use super::super::measure::{PATIENCE, median};
use super::super::null::{self, Null, Source};
use super::super::outcome::{Outcome, mib, rate, seconds};
use super::super::peer::Mount;
use super::super::peers::{all, two};
use super::super::service::{LINE, Plan, Service, Shape};
use super::super::work::{READ, drop_pages_below, read_rate, read_through};
use super::super::{Result, bench};
use super::file;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// After mounting: a program whose pace saves up calls has then as many as it ever has.
const REST: Duration = Duration::from_secs(3);

pub fn cold_line(bench: &Bench) -> Result<Outcome> {
    let size = bench.size(1 << 30, 64 << 20);
    let service = bench.service(&Plan::new(Shape::Line, [file("film", size)]))?;
    let series = bench.compare(&service, &all(), 3, |stage| {
        read_rate(&stage.mount.path("film"), PATIENCE)
    })?;
    let mut outcome = Outcome::default();
    for series in &series {
        outcome.line(series, rate(series.value()));
    }
    let [ours, a, b] = series.as_slice() else {
        return Err("three programs were compared".into());
    };
    outcome.at_least("of the line", ours.value() / LINE * 100.0, 85.0, " %");
    outcome.times(&a.name, ours.value(), a.value(), 6.0);
    outcome.times(&b.name, ours.value(), b.value(), 1.0);
    outcome.must(
        format!("fewer links than {}", b.name),
        format!("{} to {}", ours.tokens(), b.tokens()),
        ours.tokens() < b.tokens(),
    );
    outcome.must(
        format!("less memory than {}", b.name),
        format!("{} to {}", mib(ours.peak()), mib(b.peak())),
        ours.peak() < b.peak(),
    );
    Ok(outcome)
}

pub fn cold_unlimited(bench: &Bench) -> Result<Outcome> {
    let size = bench.size(4 << 30, 128 << 20);
    let gib = size as f64 / f64::from(1 << 30);
    let service = bench.service(&Plan::new(Shape::Unlimited, [file("film", size)]))?;
    let mut bare = Series::of("bare reader");
    let mut series: Vec<Series> = all().iter().map(|peer| Series::of(peer.name())).collect();
    // One round at a time, so that the bare reader is interleaved, too.
    for _ in 0..bench.runs(3) {
        let round = bench.compare_once(&service, &all(), |stage| {
            read_rate(&stage.mount.path("film"), PATIENCE)
        })?;
        for (series, sample) in series.iter_mut().zip(round) {
            series.samples.push(sample);
        }
        bare.samples.push(bare_reader(bench, &service, size)?);
    }
    let mut outcome = Outcome::default();
    for series in series.iter().chain([&bare]) {
        let per_gib = seconds(series.cpu() / gib);
        outcome.line(
            series,
            format!("{}, {per_gib} CPU per GiB", rate(series.value())),
        );
    }
    let [ours, a, b] = series.as_slice() else {
        return Err("three programs were compared".into());
    };
    outcome.times(&a.name, ours.value(), a.value(), 3.0);
    outcome.times(&b.name, ours.value(), b.value(), 2.0);
    let less = a.cpu().min(b.cpu());
    outcome.at_most(
        "CPU ÷ that of the thriftier rclone",
        ours.cpu() / less,
        0.4,
        " ×",
    );
    let part = ours.value() / bare.value() * 100.0;
    outcome.at_least("of the bare reader", part, 80.0, " %");
    Ok(outcome)
}

/// A plain client that does the least: see [`null`].
fn bare_reader(bench: &Bench, service: &Service, size: u64) -> Result<Sample> {
    let place = bench.place()?;
    let source = Source {
        url: service.link("film")?,
        size,
        cache: place.cache().join("film"),
    };
    let authority = service.authority();
    let variables = [("SSL_CERT_FILE", authority.as_path())];
    let mount = null::mount(&Null::Bare(source), &place, &variables)?;
    service.begin()?;
    let figures = mount.begin()?;
    let value = read_rate(&mount.path("file"), PATIENCE)?;
    let used = figures.end()?;
    let sample = Sample {
        value,
        report: service.report()?,
        cpu: used.cpu,
        peak: used.peak,
    };
    mount.stop()?;
    bench::discard(place.dir())?;
    Ok(sample)
}

pub fn four_readers(bench: &Bench) -> Result<Outcome> {
    const READERS: u64 = 4;
    let size = bench.size(256 << 20, 32 << 20);
    let files = (0..READERS).map(|n| file(&format!("film-{n}"), size));
    let service = bench.service(&Plan::new(Shape::Line, files))?;
    let mut fairness = Vec::new();
    let series = bench.compare(&service, &all(), 3, |stage| {
        std::thread::sleep(REST);
        let start = Instant::now();
        let times = side_by_side(READERS, |n| {
            read_through(&stage.mount.path(&format!("film-{n}")), PATIENCE)?;
            Ok(start.elapsed().as_secs_f64())
        })?;
        let (fastest, slowest) = ends(&times);
        if stage.peer.name() == "fichierfs" {
            fairness.push(fastest / slowest);
        }
        Ok((READERS * size) as f64 / slowest)
    })?;
    let mut outcome = Outcome::default();
    for series in &series {
        outcome.line(series, rate(series.value()));
    }
    let ours = series.first().ok_or("nothing was compared")?;
    outcome.at_least("of the line", ours.value() / LINE * 100.0, 90.0, " %");
    let fair = median(fairness) * 100.0;
    outcome.at_least("slowest reader, of the fastest's rate", fair, 75.0, " %");
    Ok(outcome)
}

pub fn fifty(bench: &Bench) -> Result<Outcome> {
    let readers = bench.size(50, 8);
    let time = Duration::from_secs(bench.size(30, 5));
    let files = (0..readers).map(|n| file(&format!("film-{n}"), 1 << 30));
    let service = bench.service(&Plan::new(Shape::Line, files))?;
    let mut least_advance = Vec::new();
    let series = bench.compare(&service, &two(), 1, |stage| {
        let point = stage.mount.path(".");
        let (total, least) = streams_for(readers, time, &point)?;
        least_advance.push(least);
        Ok(total as f64 / time.as_secs_f64())
    })?;
    let mut outcome = Outcome::default();
    for (series, least) in series.iter().zip(&least_advance) {
        let least = mib(*least);
        outcome.line(
            series,
            format!("{}, slowest stream {least}", rate(series.value())),
        );
    }
    let ours = series.first().ok_or("nothing was compared")?;
    let resident = ours.peak() as f64 / f64::from(1 << 20);
    outcome.at_most("resident memory", resident, 256.0, " MiB");
    let least = least_advance.first().copied().unwrap_or(0);
    outcome.must("every stream advances", mib(least), least > 0);
    Ok(outcome)
}

/// Reads that many files for that long, counted from when the last of them gave its
/// first byte; gives the bytes of all and of the slowest.
fn streams_for(readers: u64, time: Duration, point: &std::path::Path) -> Result<(u64, u64)> {
    let read: Vec<AtomicU64> = (0..readers).map(|_| AtomicU64::new(0)).collect();
    let (read, stop) = (&read, &AtomicBool::new(false));
    std::thread::scope(|scope| {
        for (n, count) in read.iter().enumerate() {
            let path = point.join(format!("film-{n}"));
            scope.spawn(move || -> Result<()> {
                let file = File::open(path)?;
                let mut buffer = vec![0; READ];
                let mut offset = 0;
                while !stop.load(Ordering::Relaxed) {
                    match file.read_at(&mut buffer, offset)? as u64 {
                        0 => break,
                        bytes => offset += bytes,
                    }
                    count.store(offset, Ordering::Relaxed);
                }
                Ok(())
            });
        }
        let bytes = || read.iter().map(|count| count.load(Ordering::Relaxed));
        let began = Instant::now();
        while bytes().any(|count| count == 0) && began.elapsed() < 3 * time {
            std::thread::sleep(Duration::from_millis(50));
        }
        let before: Vec<u64> = bytes().collect();
        std::thread::sleep(time);
        let gained: Vec<u64> = bytes().zip(before).map(|(now, then)| now - then).collect();
        stop.store(true, Ordering::Relaxed);
        Ok((
            gained.iter().sum(),
            gained.iter().copied().min().unwrap_or(0),
        ))
    })
}

/// Runs a piece of work so many times at once; gives what each gives.
fn side_by_side(number: u64, work: impl Fn(u64) -> Result<f64> + Sync) -> Result<Vec<f64>> {
    let work = &work;
    std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..number).map(|n| scope.spawn(move || work(n))).collect();
        jobs.into_iter()
            .map(|job| job.join().map_err(|_| "a reader panicked")?)
            .collect()
    })
}

/// The least and the most.
fn ends(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    (least, values.iter().copied().fold(0.0, f64::max))
}

/// Reads a whole file into the program's cache and takes it out of the kernel's.
pub fn warm(mount: &Mount, name: &str) -> Result<()> {
    read_through(&mount.path(name), PATIENCE)?;
    drop_pages_below(&mount.place().cache())
}
