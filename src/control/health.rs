//! Whether a daemon does what it is for, in one word for supervisors.

use super::protocol::{Phase, Status};

/// What keeps a daemon from its work; nothing where all is well. What heals by itself (an
/// outage, a lock) is no ground to start it anew, and not told here.
pub fn problems(status: &Status) -> Vec<&'static str> {
    let mut problems = Vec::new();
    match status.daemon.phase {
        Phase::Mounted => {}
        Phase::Draining => problems.push("the mount is gone, and what is queued is being sent"),
        Phase::Stopping => problems.push("it is about to end"),
    }
    if status.api.key_refused {
        problems.push("the service refuses the API key: run `fichierfs init --rotate`");
    }
    problems
}
