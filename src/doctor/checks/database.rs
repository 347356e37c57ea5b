//! The database: whole, and of a version that this program knows.

use super::super::{Case, Finding};
use crate::daemon::DATABASE;
use crate::store;

const CHECK: &str = "database";

pub(super) fn check(case: &Case) -> Vec<Finding> {
    let Some(known) = case.known() else {
        return Vec::new();
    };
    let [state, ..] = known.paths.all();
    let path = state.join(DATABASE);
    if !path.exists() {
        return vec![Finding::note(
            CHECK,
            "there is none yet; the first mount makes it",
        )];
    }
    vec![match store::check(&path) {
        Ok(health) if health.damage.is_empty() => {
            Finding::ok(CHECK, format!("it is whole (schema {})", health.version))
        }
        Ok(health) => damaged(&health.damage.join("; "), &path),
        Err(error @ store::StoreError::Newer { .. }) => {
            Finding::problem(CHECK, error.to_string()).mend("install the newer fichierfs again")
        }
        Err(error) => damaged(&error.to_string(), &path),
    }]
}

fn damaged(what: &str, path: &std::path::Path) -> Finding {
    let path = path.display();
    Finding::problem(CHECK, format!("it is damaged: {what}")).mend(format!(
        "end the mount, keep a copy of the state directory, then: sqlite3 {path} .recover | sqlite3 {path}.new"
    ))
}
