//! Staged content: all that the journal counts on is there, and nothing else.

use std::path::Path;

use super::super::{Case, Finding};
use crate::control::protocol::Phase;
use crate::daemon::DATABASE;
use crate::staging::{health, salvage};

const CHECK: &str = "staging";

pub(super) fn check(case: &Case) -> Vec<Finding> {
    let Some(known) = case.known() else {
        return Vec::new();
    };
    let [state, ..] = known.paths.all();
    let (database, dir) = (state.join(DATABASE), state.join("staging"));
    if !database.exists() || !dir.exists() {
        return Vec::new(); // Nothing was ever written.
    }
    let mismatch = match health::compare(&database, &dir) {
        Ok(mismatch) => mismatch,
        Err(error) => {
            return vec![Finding::problem(
                CHECK,
                format!("it cannot be compared: {error}"),
            )];
        }
    };
    let mut found = Vec::new();
    let missing = mismatch.missing.len();
    if missing > 0 {
        let what = format!(
            "{missing} files of {} are missing that the queue needs",
            dir.display()
        );
        found.push(
            Finding::problem(CHECK, what)
                .mend("put them back from a copy of the state directory, or `fichierfs queue list` and write those files anew"),
        );
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

/// Bytes that were written, but neither closed nor synced, before a crash.
fn lost(dir: &Path, database: &Path) -> Option<Finding> {
    let found = match salvage::remains(dir, database) {
        Ok(found) => found,
        Err(error) => {
            let what = format!("what a crash left cannot be looked at: {error}");
            return Some(Finding::problem(CHECK, what));
        }
    };
    let files = found.remains.len() + found.unreadable.len();
    if files == 0 {
        return None;
    }
    let bytes: u64 = found.remains.iter().map(|one| one.bytes).sum();
    let what =
        format!("a crash left {bytes} bytes of {files} files that were neither closed nor synced");
    Some(Finding::warning(CHECK, what).mend("fichierfs doctor --restore DIR copies them"))
}
