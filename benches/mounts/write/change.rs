//! What is changed, renamed and removed.

use super::super::Result;
use super::super::bench::{Bench, Series, Stage, discard};
use super::super::measure::timed;
use super::super::outcome::{Outcome, mib, number, seconds};
use super::super::peer::{Mount, Peer};
use super::super::peers::{A, OURS, two};
use super::super::service::{Plan, Shape};
use super::super::shell;
use super::large::{uplink, write_file};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(240);

pub fn one_byte(bench: &Bench) -> Result<Outcome> {
    const SIZE: u64 = 20 << 30;
    let service = bench.service(&Plan::new(Shape::Line, [format!("file=film:{SIZE}")]))?;
    let mut outcome = Outcome::default();
    for peer in two() {
        let place = bench.place()?;
        let mount = Mount::start(peer, &service, &place)?;
        std::fs::read_dir(mount.path("."))?.count();
        let stage = Stage::new(&service, peer, &mount);
        let sample = stage.sample(|| {
            let (time, ()) = timed(|| {
                let film = File::options().write(true).open(mount.path("film"))?;
                film.write_all_at(b"x", SIZE / 2)?;
                Ok(nix::unistd::close(std::os::fd::OwnedFd::from(film))?)
            })?;
            Ok(time)
        })?;
        let fetched = sample.report.bytes_down;
        let series = Series::single(peer.name(), sample);
        let figure = format!("{}, {} fetched", seconds(series.value()), mib(fetched));
        outcome.line(&series, figure);
        if peer.name() == OURS.name() {
            outcome.at_most("write and close", series.value() * 1e3, 100.0, " ms");
            outcome.at_most("bytes fetched", fetched as f64, 0.0, "");
        }
        // Before it is sent.
        mount.crash();
        discard(place.dir())?;
    }
    Ok(outcome)
}

pub fn remove_tree(bench: &Bench) -> Result<Outcome> {
    let folders = bench.size(20, 4);
    let mut outcome = Outcome::default();
    for (peer, folders) in two().into_iter().zip([folders, 1]) {
        let content = [format!("tree={folders}x100,size=20MiB")];
        let ours = peer.name() == OURS.name();
        let plan = Plan::new(Shape::Unlimited, content);
        let plan = if ours { plan.documented(1) } else { plan };
        let service = bench.service(&plan)?;
        let place = bench.place()?;
        let mount = Mount::start(peer, &service, &place)?;
        let stage = Stage::new(&service, peer, &mount);
        let sample = stage.sample(|| {
            let start = Instant::now();
            let all: Vec<String> = (0..folders)
                .map(|n| mount.path(&format!("dir-{n:04}")).display().to_string())
                .collect();
            let mut words = vec!["-r"];
            words.extend(all.iter().map(String::as_str));
            shell::output("rm", &words, PATIENCE)?;
            let gone = shell::until(PATIENCE, || Ok(service.entries()?.is_empty()))?;
            if gone {
                Ok(start.elapsed().as_secs_f64())
            } else {
                Err("not removed in time".into())
            }
        })?;
        let series = Series::single(peer.name(), sample);
        let figure = format!(
            "{} files gone in {}",
            folders * 100,
            seconds(series.value())
        );
        outcome.line(&series, figure);
        if ours {
            outcome.at_most("calls", series.calls(), 100.0, "");
            outcome.at_most("locks", series.locks() as f64, 0.0, "");
        }
        mount.stop()?;
        discard(place.dir())?;
    }
    outcome.note(format!(
        "{} removed one folder of them, without limits: at the documented ones it stood still.",
        A.name()
    ));
    Ok(outcome)
}

pub fn rename_while_sending(bench: &Bench) -> Result<Outcome> {
    let size = bench.size(2 << 30, 256 << 20);
    let mut outcome = Outcome::default();
    for peer in two() {
        let service = uplink(bench)?;
        let place = bench.place()?;
        let mount = Mount::start(peer, &service, &place)?;
        let stage = Stage::new(&service, peer, &mount);
        let sample = stage.sample(|| {
            let start = Instant::now();
            write_file(&mount.path("before"), size)?;
            let sending =
                |part: u64| shell::until(PATIENCE, || Ok(service.report()?.bytes_up >= part));
            if !sending(size / 4)? {
                return Err("nothing was sent".into());
            }
            std::fs::rename(mount.path("before"), mount.path("after"))?;
            let named = shell::until(PATIENCE, || {
                Ok(service.entries()?.iter().any(|entry| entry.path == "after"))
            })?;
            if !named || !peer.drained(&mount, PATIENCE)? {
                return Err("the new name did not come".into());
            }
            Ok(start.elapsed().as_secs_f64())
        })?;
        let times = sample.report.bytes_up as f64 / size as f64;
        let series = Series::single(peer.name(), sample);
        let figure = format!("{}, sent {} ×", seconds(series.value()), number(times));
        outcome.line(&series, figure);
        if peer.name() == OURS.name() {
            outcome.at_most("sent", times, 1.01, " × its size");
        }
        mount.stop()?;
        drop(service);
        discard(place.dir())?;
    }
    Ok(outcome)
}
