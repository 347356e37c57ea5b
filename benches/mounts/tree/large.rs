//! One large folder, one large account.

use super::super::Result;
use super::super::bench::{Bench, discard};
use super::super::measure::{median, timed};
use super::super::null::{self, Null};
use super::super::outcome::{Outcome, mib, number, seconds};
use super::super::peer::{Mount, Peer};
use super::super::peers::OURS;
use super::super::service::{Plan, Shape};
use super::super::shell;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// `ls -f` of a folder that the kernel knows nothing of; the entries a second.
fn list(folder: &Path, entries: u64) -> Result<f64> {
    let (time, status) = timed(|| {
        let mut command = Command::new("ls");
        Ok(command
            .arg("-f")
            .arg(folder)
            .stdout(Stdio::null())
            .status()?)
    })?;
    if status.success() {
        Ok(entries as f64 / time)
    } else {
        Err(format!("ls ended with {status}").into())
    }
}

pub fn folder(bench: &Bench) -> Result<Outcome> {
    let entries = bench.size(100_000, 2_000);
    let service = bench.service(&Plan::new(Shape::Unlimited, []))?;
    let place = bench.place()?;
    let mount = Mount::start(&OURS, &service, &place)?;
    let folder = mount.path("folder");
    std::fs::create_dir(&folder)?;
    // Empty files stay here, since the service cannot have them.
    let start = Instant::now();
    for n in 0..entries {
        std::fs::File::create(folder.join(format!("file-{n:06}.bin")))?;
    }
    let made = entries as f64 / start.elapsed().as_secs_f64();
    mount.stop()?;
    let (mut ours, mut ceiling) = (Vec::new(), Vec::new());
    let empty = bench.place()?;
    for _ in 0..bench.runs(5) {
        let mount = Mount::of(OURS.command(&service, &place)?, &place)?;
        ours.push(list(&mount.path("folder"), entries)?);
        mount.crash();
        let mount = null::mount(&Null::Folder(entries), &empty, &[])?;
        ceiling.push(list(&mount.path("."), entries)?);
        mount.stop()?;
    }
    let (ours, ceiling) = (median(ours), median(ceiling));
    let mut outcome = Outcome::default();
    outcome.plain(OURS.name(), format!("{} entries/s", number(ours)));
    outcome.plain(
        "null mount with READDIRPLUS",
        format!("{} entries/s", number(ceiling)),
    );
    outcome.note(format!(
        "The folder was made through the mount, {} files/s.",
        number(made)
    ));
    outcome.at_least("of the null mount", ours / ceiling, 0.5, " ×");
    discard(place.dir())?;
    Ok(outcome)
}

pub fn account(bench: &Bench) -> Result<Outcome> {
    const PER_FOLDER: u64 = 200;
    const FILES: u64 = 20;
    // A listing ends at 5,000 entries, so that they cannot all lie in one folder.
    let outer = bench.size(250, 3);
    let content = [format!("tree={outer}x{PER_FOLDER}x{FILES},size=20MiB")];
    let service = bench.service(&Plan {
        scale: 1_000_000,
        ..Plan::new(Shape::Unlimited, content)
    })?;
    let place = bench.place()?;
    let mount = Mount::start(&OURS, &service, &place)?;
    let (learnt, seen) = walk(&mount)?;
    let first = mount.usage()?;
    mount.stop()?;
    let start = Instant::now();
    let mount = Mount::of(OURS.command(&service, &place)?, &place)?;
    let mounted = start.elapsed().as_secs_f64();
    mount.begin()?;
    let (walked, entries) = walk(&mount)?;
    let used = mount.usage()?;
    mount.stop()?;
    let database = shell::size_below(&place.state())?;
    let mut outcome = Outcome::default();
    outcome.plain(
        OURS.name(),
        format!(
            "learnt in {} ({} CPU, peak {}), mounted again in {}, walked in {}: {} entries/s, peak {}, database {}",
            seconds(learnt),
            seconds(first.cpu),
            mib(first.peak),
            seconds(mounted),
            seconds(walked),
            number(entries as f64 / walked),
            mib(used.peak),
            mib(database)
        ),
    );
    let in_mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let all = 1 + outer * (1 + PER_FOLDER * (1 + FILES));
    outcome.must(
        "all of it seen",
        format!("{seen} and, after the start, {entries} of {all} entries"),
        seen == all && entries == all,
    );
    outcome.at_most("mounted again in", mounted * 1e3, 1_000.0, " ms");
    outcome.at_most(
        "resident memory after a full walk",
        in_mib(used.resident),
        200.0,
        " MiB",
    );
    outcome.at_most(
        "resident memory after the learning walk",
        in_mib(first.resident),
        200.0,
        " MiB",
    );
    outcome.at_most("database", in_mib(database), 300.0, " MiB");
    discard(place.dir())?;
    Ok(outcome)
}

/// All names, counted here: `find`'s own memory and output would be part of it.
fn walk(mount: &Mount) -> Result<(f64, u64)> {
    timed(|| {
        let mut entries = 0;
        for item in walkdir::WalkDir::new(mount.path(".")) {
            item?.metadata()?;
            entries += 1;
        }
        Ok(entries)
    })
}
