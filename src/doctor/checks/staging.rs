//! Staged content: all that the journal counts on is there, and nothing else.

use super::super::{Case, Finding};
use crate::control::protocol::Phase;
use crate::daemon::DATABASE;
use crate::staging::health;

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
    let unclaimed = mismatch.unclaimed.len();
    let is_at_work = case
        .daemon()
        .is_some_and(|status| status.daemon.phase != Phase::Stopping);
    if unclaimed > 0 && !is_at_work {
        let what = format!(
            "{unclaimed} files in {} hold bytes of files that were never closed, from before a crash",
            dir.display()
        );
        found.push(
            Finding::warning(CHECK, what).mend(format!("look at them: ls -l {}", dir.display())),
        );
    }
    if found.is_empty() {
        found.push(Finding::ok(
            CHECK,
            "everything that waits for its upload is there",
        ));
    }
    found
}
