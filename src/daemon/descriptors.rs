//! How many files the process may have open: each file of a large upload request is one, and each
//! cached file that is read.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// More than all rooms together have open.
const WANTED: u64 = 65_536;

/// Below this a large request of small files can fail.
const ENOUGH: u64 = 4_096;

/// Raises the limit as far as it may be raised: a shell's is 1,024, which is meant for programs
/// that use select(2).
pub fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let wanted = hard.min(WANTED);
        if soft < wanted {
            setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
        }
        Ok(soft.max(wanted))
    });
    match raised {
        Ok(limit) if limit < ENOUGH => tracing::warn!(
            limit,
            "few files may be open at a time: large folders can fail; raise it with `ulimit -Hn {ENOUGH}`"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files stays as it is"),
    }
}
