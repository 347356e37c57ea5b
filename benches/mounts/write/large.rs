//! Large files: over the line, into little room, to the disk.

use super::super::Result;
use super::super::bench::{Bench, Series, Stage, discard};
use super::super::fichierfs::Fichierfs;
use super::super::measure::{median, timed};
use super::super::outcome::{Outcome, mib, rate};
use super::super::peer::{Mount, Peer};
use super::super::peers::{A, OURS, two};
use super::super::service::{Plan, Service, Shape, UPLINK};
use super::super::shell;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(420);
const MIB: u64 = 1 << 20;
/// A file takes whole ones.
const BLOCK: u64 = 4096;

/// Writes synthetic bytes and closes the file.
pub fn write_file(path: &Path, size: u64) -> Result<()> {
    let mut bytes = vec![0; MIB as usize];
    fichierfs::sim::synthetic_bytes(7, 0, &mut bytes);
    let mut file = std::fs::File::create(path)?;
    let mut left = size;
    while left > 0 {
        let piece = bytes.get(..left.min(MIB) as usize).unwrap_or(&bytes);
        file.write_all(piece)?;
        left -= piece.len() as u64;
    }
    // Closing tells what writing did not.
    Ok(nix::unistd::close(std::os::fd::OwnedFd::from(file))?)
}

/// A line whose uploads are kept on the disk.
pub fn uplink(bench: &Bench) -> Result<Service> {
    let kept = bench.folder("uploads")?.display().to_string();
    let plan = Plan::new(Shape::Line, []).with(&["--storage", &kept]);
    bench.service(&plan)
}

pub fn upload(bench: &Bench) -> Result<Outcome> {
    let full = bench.size(8 << 30, 128 << 20);
    let mut outcome = Outcome::default();
    // rclone's rate shows in less.
    for (peer, size) in two().into_iter().zip([full, full / 8]) {
        let service = uplink(bench)?;
        let place = bench.place()?;
        let mount = Mount::start(peer, &service, &place)?;
        let stage = Stage::new(&service, peer, &mount);
        let mut resident = Vec::new();
        let sample = stage.sample(|| {
            write_file(&mount.path("film"), size)?;
            shell::until(PATIENCE, || Ok(service.report()?.bytes_up > 0))?;
            let start = Instant::now();
            let sent = shell::until(PATIENCE, || {
                resident.push(mount.usage()?.resident);
                std::thread::sleep(Duration::from_millis(100));
                Ok(service.report()?.uploads >= 1)
            })?;
            let time = start.elapsed().as_secs_f64();
            if sent {
                Ok(size as f64 / time)
            } else {
                Err("not sent in time".into())
            }
        })?;
        // Between the first and the last tenth.
        let middle = resident.len() / 10..resident.len() - resident.len() / 10;
        let steady = resident.get(middle).unwrap_or_default();
        let least = steady.iter().min().copied().unwrap_or(0);
        let growth = steady.iter().max().copied().unwrap_or(0) - least;
        let series = Series::single(peer.name(), sample);
        let figure = format!(
            "{} of {}, memory grew by {}",
            rate(series.value()),
            mib(size),
            mib(growth)
        );
        outcome.line(&series, figure);
        if peer.name() == OURS.name() {
            let part = series.value() / UPLINK * 100.0;
            outcome.at_least("of the uplink", part, 95.0, " %");
            outcome.must(
                "memory flat: within 16 MiB while sending",
                mib(growth),
                growth <= 16 * MIB,
            );
        }
        mount.stop()?;
        drop(service);
        discard(place.dir())?;
    }
    Ok(outcome)
}

pub fn budget(bench: &Bench) -> Result<Outcome> {
    const FILES: u64 = 64;
    let size = bench.size(16, 1) * MIB;
    let room = 16 * size;
    let flags = ["--staging-budget", &format!("{room}")];
    let ours = Fichierfs::with(&flags);
    let service = uplink(bench)?;
    let place = bench.place()?;
    let mount = Mount::start(&ours, &service, &place)?;
    let stage = Stage::new(&service, &ours, &mount);
    let mut most = 0;
    let sample = stage.sample(|| {
        let start = Instant::now();
        let written = std::thread::scope(|scope| -> Result<()> {
            let writer = scope.spawn(|| -> Result<()> {
                for n in 0..FILES {
                    write_file(&mount.path(&format!("file-{n}")), size)?;
                }
                Ok(())
            });
            while !writer.is_finished() {
                most = most.max(staged_content(&place.state())?);
                std::thread::sleep(Duration::from_millis(20));
            }
            writer.join().map_err(|_| "the writer panicked")?
        });
        written.map_err(|error| format!("writing: {error}"))?;
        if !ours.drained(&mount, PATIENCE)? {
            return Err("not sent in time".into());
        }
        Ok((FILES * size) as f64 / start.elapsed().as_secs_f64())
    })?;
    let uploads = sample.report.uploads;
    let refused = write_file(&mount.path("large"), 4 * room);
    let whole = (0..FILES).all(|n| {
        let facts = std::fs::metadata(mount.path(&format!("file-{n}")));
        facts.is_ok_and(|facts| facts.len() == size)
    });
    let series = Series::single(ours.name(), sample);
    let mut outcome = Outcome::default();
    let figure = format!("{}, staging at most {}", rate(series.value()), mib(most));
    outcome.line(&series, figure);
    outcome.must(
        "completes",
        format!("{uploads} of {FILES} sent"),
        uploads == FILES,
    );
    let most_mib = most as f64 / MIB as f64;
    outcome.at_most(
        "staging, budget + 1 MiB:",
        most_mib,
        (room / MIB + 1) as f64,
        " MiB",
    );
    let said = refused
        .as_ref()
        .err()
        .map_or("no error".to_owned(), ToString::to_string);
    let no_space = said.contains("No space") || said.contains("ENOSPC");
    outcome.must(
        "a file of four times the budget: no space left",
        said,
        no_space,
    );
    outcome.must(
        "older files unharmed",
        if whole { "yes" } else { "no" },
        whole,
    );
    mount.stop()?;
    drop(service);
    discard(place.dir())?;
    Ok(outcome)
}

/// Bytes of content on the disk, over all data files: what is allocated, less what the file system
/// adds to a file for its attributes.
fn staged_content(state: &Path) -> Result<u64> {
    let mut bytes = 0;
    for item in std::fs::read_dir(state.join("staging"))? {
        // Files go while we look.
        let Ok(facts) = item.and_then(|item| item.metadata()) else {
            continue;
        };
        bytes += (facts.blocks() * 512).min(facts.len().next_multiple_of(BLOCK));
    }
    Ok(bytes)
}

fn dd(bench: &Bench, path: &Path) -> Result<f64> {
    let count = bench.size(500, 20);
    let out = format!("of={}", path.display());
    let words = [
        "if=/dev/zero",
        &out,
        "bs=1M",
        &format!("count={count}"),
        "conv=fsync",
    ];
    let (time, _) = timed(|| shell::output("dd", &words, PATIENCE))?;
    Ok((count * MIB) as f64 / time)
}

pub fn staged(bench: &Bench) -> Result<Outcome> {
    let service = bench.service(&Plan::new(Shape::Unlimited, []))?;
    let underneath = bench.folder("disk")?.join("file");
    let mut disk = Vec::new();
    let series = bench.compare(&service, &two(), 5, |stage| {
        if stage.peer.name() == OURS.name() {
            disk.push(dd(bench, &underneath)?);
            std::fs::remove_file(&underneath)?;
        }
        let path = stage.mount.path("file");
        let value = dd(bench, &path)?;
        // Or it would be sent while the next one is measured.
        std::fs::remove_file(&path)?;
        Ok(value)
    })?;
    let mut outcome = Outcome::default();
    for series in &series {
        outcome.line(series, rate(series.value()));
    }
    let disk = median(disk);
    outcome.plain("the disk underneath", rate(disk));
    let ours = series.first().ok_or("nothing was compared")?;
    outcome.at_least("of the disk", ours.value() / disk, 0.7, " ×");
    outcome.note(format!("{} does nothing at an fsync.", A.name()));
    Ok(outcome)
}
