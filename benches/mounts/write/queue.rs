//! A start with much in the queue.

use super::super::Result;
use super::super::bench::{Bench, discard};
use super::super::fichierfs::Fichierfs;
use super::super::measure::timed;
use super::super::outcome::{Outcome, seconds};
use super::super::peer::Mount;
use super::super::service::{Plan, Shape};
use super::large::write_file;

/// Files in a folder.
const IN_FOLDER: u64 = 1000;

/// A mount with a queue may take so much longer than one with none, in seconds: "as with none", as
/// far as somebody who waits for it could tell.
const LONGER: f64 = 0.1;

pub fn start(bench: &Bench) -> Result<Outcome> {
    let files = bench.size(100_000, 2_000);
    // All rest until long after this.
    let ours = Fichierfs::with(&["--write-back", "10h"]);
    let service = bench.service(&Plan::new(Shape::Unlimited, []))?;
    let place = bench.place()?;
    // Not the first start, which makes the state.
    Mount::start(&ours, &service, &place)?.crash();
    let (empty, mount) = timed(|| Mount::start(&ours, &service, &place))?;
    let (written, ()) = timed(|| {
        for number in 0..files {
            let folder = mount.path(&format!("{}", number / IN_FOLDER));
            if number % IN_FOLDER == 0 {
                std::fs::create_dir(&folder)?;
            }
            write_file(&folder.join(format!("file-{number}")), 100)?;
        }
        Ok(())
    })?;
    mount.crash();
    let (full, mount) = timed(|| Mount::start(&ours, &service, &place))?;
    let last = mount.path(&format!("{}/file-{}", (files - 1) / IN_FOLDER, files - 1));
    let (seen, facts) = timed(|| Ok(std::fs::metadata(&last)?))?;
    let mut outcome = Outcome::default();
    outcome.plain(
        "fichierfs",
        format!(
            "mounted in {} with nothing queued, in {} with {files} files; the last of them seen in {}",
            seconds(empty),
            seconds(full),
            seconds(seen)
        ),
    );
    outcome.must(
        "the last file is there",
        facts.len().to_string(),
        facts.len() == 100,
    );
    outcome.at_most("mount with the queue", full, 2.0, " s");
    outcome.at_most("longer than with none", full - empty, LONGER, " s");
    outcome.note(format!(
        "The files were written and closed in {}, then the daemon was killed.",
        seconds(written)
    ));
    mount.crash();
    discard(place.dir())?;
    Ok(outcome)
}
