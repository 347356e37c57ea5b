//! Whether a daemon does what it is for, in one word for supervisors.

use super::protocol::{Phase, Status};

/// What tells of it; asked for often, so it costs next to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Health {
    /// Whether it serves or ends.
    pub phase: Phase,
    /// Whether the service refuses the key in use.
    pub key_refused: bool,
}

impl From<&Status> for Health {
    fn from(status: &Status) -> Health {
        Health {
            phase: status.daemon.phase,
            key_refused: status.api.key_refused,
        }
    }
}

impl Health {
    /// What keeps the daemon from its work; nothing where all is well. What heals by itself (an
    /// outage, a lock) is no ground to start it anew, and not told here.
    pub fn problems(self) -> Vec<&'static str> {
        let mut problems = Vec::new();
        match self.phase {
            Phase::Mounted => {}
            Phase::Draining => {
                problems.push("the mount is gone, and what is queued is being sent");
            }
            Phase::Stopping => problems.push("it is about to end"),
        }
        if self.key_refused {
            problems.push("the service refuses the API key: run `fichierfs init --rotate`");
        }
        problems
    }
}
