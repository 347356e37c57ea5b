//! Staged content: all that the journal counts on is there, and nothing else. Where the database
//! cannot tell, all that is there counts as unsent.

use std::path::Path;

use super::super::{Case, Finding};
use crate::control::protocol::Phase;
use crate::daemon::DATABASE;
use crate::staging::health;
use crate::staging::salvage::{self, Why};

const CHECK: &str = "staging";

pub(super) fn check(case: &Case) -> Vec<Finding> {
    let Some(known) = case.known() else {
        return Vec::new();
    };
    let [state, ..] = known.paths.all();
    let (database, dir) = (state.join(DATABASE), state.join("staging"));
    if !dir.exists() {
        return Vec::new(); // Nothing was ever written.
    }
    let mut found = Vec::new();
    // Where it was moved away, what it knew of is still in the folder.
    if database.exists() {
        found.extend(missing(&dir, &database));
    }
    let is_at_work = case
        .daemon()
        .is_some_and(|status| status.daemon.phase != Phase::Stopping);
    // What a daemon has open is not lost.
    if !is_at_work {
        found.extend(lost(&dir, &database));
    }
    if found.is_empty() {
        found.push(Finding::ok(
            CHECK,
            "everything that waits for its upload is there",
        ));
    }
    found
}

/// Files that the database counts on and the folder does not have.
fn missing(dir: &Path, database: &Path) -> Option<Finding> {
    let mismatch = match health::compare(database, dir) {
        Ok(mismatch) => mismatch,
        Err(error) => {
            let what = format!("it cannot be compared: {error}");
            return Some(Finding::problem(CHECK, what));
        }
    };
    let missing = mismatch.missing.len();
    if missing == 0 {
        return None;
    }
    let what = format!(
        "{missing} files of {} are missing that the queue needs",
        dir.display()
    );
    Some(Finding::problem(CHECK, what).mend(
        "put them back from a copy of the state directory, or `fichierfs queue list` and write those files anew",
    ))
}

/// Bytes that no mount shows.
fn lost(dir: &Path, database: &Path) -> Vec<Finding> {
    let found = match salvage::remains(dir, database) {
        Ok(found) => found,
        Err(error) => {
            let what = format!("what a crash left cannot be looked at: {error}");
            return vec![Finding::problem(CHECK, what)];
        }
    };
    let of = |is: fn(Why) -> bool| {
        let these = found.remains.iter().filter(|one| is(one.why));
        let (files, bytes) = these.fold((0, 0), |(n, sum), one| (n + 1, sum + one.bytes));
        (files > 0).then(|| format!("{bytes} bytes of {files} files"))
    };
    let untold = of(|why| why == Why::NoDatabase);
    let unknown = of(|why| why == Why::Unknown);
    let unsaved = of(|why| matches!(why, Why::NeverClosed | Why::Unsaved));
    let kept = format!(
        "fichierfs doctor --restore DIR copies them; keep {} until you have them",
        dir.display()
    );
    let untold = untold.map(|files| {
        let what = format!(
            "{files} are there, and the database that knows of them is damaged or was moved away: they may never have been sent"
        );
        Finding::problem(CHECK, what).mend(kept.clone())
    });
    let unknown = unknown.map(|files| {
        let what = format!(
            "{files} were closed, and the database does not know of them: where it is a new or an older one, they may never have been sent"
        );
        Finding::warning(CHECK, what).mend(kept)
    });
    let unsaved = unsaved.map(|files| {
        let what = format!("a crash left {files} that were neither closed nor synced");
        Finding::warning(CHECK, what).mend("fichierfs doctor --restore DIR copies them")
    });
    let unreadable = (!found.unreadable.is_empty()).then(|| {
        let what = format!("{} files cannot be read", found.unreadable.len());
        Finding::problem(CHECK, what).mend("fichierfs doctor --restore DIR tells which and why")
    });
    [untold, unknown, unsaved, unreadable]
        .into_iter()
        .flatten()
        .collect()
}
