//! Reading what was read before.

use super::super::Result;
use super::super::bench::{Bench, Series, Stage};
use super::super::measure::{Awake, PATIENCE, median};
use super::super::null::{self, Null};
use super::super::outcome::{Outcome, number, rate};
use super::super::peer::Mount;
use super::super::peers::{all, two};
use super::super::service::{Plan, Shape};
use super::super::work::{
    READ, drop_pages, drop_pages_below, random_direct as direct_reads, read_rate, read_through,
    read_timed,
};
use super::file;
use super::streams::warm;
use nix::sys::signal::Signal;
use std::fs::File;
use std::time::Duration;

fn gib(bench: &Bench) -> u64 {
    bench.size(1 << 30, 64 << 20)
}

pub fn from_disk(bench: &Bench) -> Result<Outcome> {
    let size = gib(bench);
    let service = bench.service(&Plan::new(Shape::Unlimited, [file("film", size)]))?;
    let underneath = bench.folder("disk")?.join("film");
    // What reading through FUSE allows at most, from memory and for nothing.
    let null = null::mount(&Null::File(size), &bench.place()?, &[])?;
    let (mut disk, mut ceiling) = (Vec::new(), Vec::new());
    let runs = bench.runs(3);
    let series = bench.prepared(
        &service,
        &all(),
        |stage| warm(stage.mount, "film"),
        runs,
        |stage| {
            let film = stage.mount.path("film");
            if !underneath.exists() {
                std::fs::copy(&film, &underneath)?;
            }
            drop_pages(&underneath)?;
            disk.push(read_rate(&underneath, PATIENCE)?);
            drop_pages(&null.path("file"))?;
            ceiling.push(read_rate(&null.path("file"), PATIENCE)?);
            drop_pages(&film)?;
            drop_pages_below(&stage.mount.place().cache())?;
            read_rate(&film, PATIENCE)
        },
    )?;
    let mut outcome = Outcome::default();
    for series in &series {
        outcome.line(series, rate(series.value()));
    }
    let disk = median(disk);
    outcome.plain("the disk underneath", rate(disk));
    outcome.plain("null mount", rate(median(ceiling)));
    let ours = series.first().ok_or("nothing was compared")?;
    outcome.at_least("of the disk", ours.value() / disk * 100.0, 80.0, " %");
    let requests = ours.median_of(|sample| sample.report.calls_of("download") as f64);
    outcome.at_most("requests", requests + ours.calls(), 0.0, "");
    Ok(outcome)
}

pub fn from_memory(bench: &Bench) -> Result<Outcome> {
    let size = gib(bench);
    let service = bench.service(&Plan::new(Shape::Unlimited, [file("film", size)]))?;
    let mut silent = None;
    let runs = bench.runs(5);
    let series = bench.prepared(
        &service,
        &all(),
        |stage| {
            read_through(&stage.mount.path("film"), PATIENCE)?;
            if stage.peer.name() == "fichierfs" {
                silent = Some(reads_while_stopped(stage)?);
            }
            Ok(())
        },
        runs,
        |stage| read_rate(&stage.mount.path("film"), PATIENCE),
    )?;
    let mut outcome = Outcome::default();
    for series in &series {
        outcome.line(series, rate(series.value()));
    }
    let [ours, a, b] = series.as_slice() else {
        return Err("three programs were compared".into());
    };
    outcome.times(&a.name, ours.value(), a.value(), 3.0);
    outcome.times(&b.name, ours.value(), b.value(), 3.0);
    let silent = silent.ok_or("the second read was not tried")?;
    let reached = if silent { "yes" } else { "it waits" };
    outcome.must(
        "no FUSE read: read while the daemon is stopped",
        reached,
        silent,
    );
    Ok(outcome)
}

/// Whether an opened file is read to its end while the program cannot answer.
fn reads_while_stopped(stage: &Stage) -> Result<bool> {
    let film = File::open(stage.mount.path("film"))?;
    // Before, since what was read has another time of access, for which the kernel asks.
    let size = film.metadata()?.len();
    // The program is woken by the watch if the reader waits for it.
    stage.mount.signal(Signal::SIGSTOP)?;
    let (tell, told) = std::sync::mpsc::channel();
    let read = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Nobody may be listening any more.
            let _ = tell.send(read_exactly(&film, size).is_ok());
        });
        let read = told.recv_timeout(Duration::from_secs(10));
        stage.mount.signal(Signal::SIGCONT)?;
        Result::Ok(read)
    })?;
    Ok(read.unwrap_or(false))
}

/// Reads all bytes and does not look for more: at the end the kernel may ask for the size.
fn read_exactly(film: &File, size: u64) -> Result<()> {
    for offset in (0..size).step_by(READ) {
        read_timed(film, offset, READ.min((size - offset) as usize))?;
    }
    Ok(())
}

pub fn random_direct(bench: &Bench) -> Result<Outcome> {
    let size = gib(bench);
    let time = Duration::from_secs(bench.size(3, 1));
    let service = bench.service(&Plan::new(Shape::Unlimited, [file("film", size)]))?;
    let place = bench.place()?;
    let null = null::mount(&Null::File(size), &place, &[])?;
    let mut mounts: Vec<(&str, Mount, &str)> = Vec::new();
    for peer in two() {
        let mount = Mount::start(peer, &service, &bench.place()?)?;
        read_through(&mount.path("film"), PATIENCE)?;
        mounts.push((peer.name(), mount, "film"));
    }
    mounts.push(("null mount", null, "file"));
    let awake = Awake::keep()?;
    // The first touch of a place reads it from the disk, and compares it with its checksum.
    for (_, mount, file) in &mounts {
        direct_reads(&mount.path(file), size, 4, 3 * time)?;
    }
    let mut outcome = Outcome::default();
    for jobs in [1, 4] {
        let mut all: Vec<(Series, Vec<f64>)> = Vec::new();
        for (name, ..) in &mounts {
            all.push((Series::of(name), Vec::new()));
        }
        for _ in 0..bench.runs(5) {
            for ((_, mount, file), (_, rates)) in mounts.iter().zip(&mut all) {
                rates.push(direct_reads(&mount.path(file), size, jobs, time)?);
            }
        }
        let rates: Vec<f64> = all
            .iter()
            .map(|(_, rates)| median(rates.iter().copied()))
            .collect();
        for ((name, ..), rate) in mounts.iter().zip(&rates) {
            let figure = format!("{} reads/s", number(*rate));
            outcome.plain(
                format!("{name}, {jobs} job{}", if jobs > 1 { "s" } else { "" }),
                figure,
            );
        }
        let [ours, _, null] = rates.as_slice() else {
            return Err("three mounts were compared".into());
        };
        let what = format!(
            "of the null mount, {jobs} job{}",
            if jobs > 1 { "s" } else { "" }
        );
        outcome.at_least(&what, ours / null * 100.0, 60.0, " %");
    }
    drop(awake);
    Ok(outcome)
}
