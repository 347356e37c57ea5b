//! What is queued for the service.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How much is queued.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Backlog {
    /// Files to be sent.
    pub uploads: u64,
    /// Their bytes.
    pub upload_bytes: u64,
    /// Folders to be made, files and folders to be moved or renamed.
    pub changes: u64,
    /// Files and folders to be removed.
    pub removals: u64,
    /// How many of these failed for good and wait for the user.
    pub failed: u64,
}

impl Backlog {
    /// Everything that is queued.
    pub fn total(&self) -> u64 {
        self.uploads + self.changes + self.removals
    }

    /// Whether everything that can be done without the user is done.
    pub fn is_drained(&self) -> bool {
        self.total() <= self.failed
    }
}

/// An upload under way.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Transfer {
    /// Where the file is, from the mount's root.
    pub path: PathBuf,
    /// Bytes sent so far.
    pub sent: u64,
    /// Bytes in all.
    pub size: u64,
    /// Bytes a second, lately.
    pub rate: u64,
    /// Which try this is, from 1.
    pub attempt: u32,
}

impl Transfer {
    /// Seconds that the rest takes at this rate; `None` while there is none.
    pub fn eta_seconds(&self) -> Option<u64> {
        self.size.saturating_sub(self.sent).checked_div(self.rate)
    }
}

/// Something in the queue that failed for good.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Failed {
    /// Where it is, from the mount's root.
    pub path: PathBuf,
    /// Why, and what to do.
    pub reason: String,
}

/// The queue, row by row.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Queue {
    /// [`SCHEMA`](super::SCHEMA).
    pub schema: u32,
    /// How much in all.
    pub backlog: Backlog,
    /// The oldest first; cut off where there are very many.
    pub items: Vec<Item>,
    /// Uploads under way.
    pub transfers: Vec<Transfer>,
}

/// A row of the queue.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Item {
    /// The path, from the mount's root.
    pub path: PathBuf,
    /// What is to be done.
    pub work: Vec<Work>,
    /// Bytes to be sent.
    pub size: u64,
    /// How many tries failed.
    pub attempts: u32,
    /// The next try comes in so many seconds; absent when it is due.
    pub wait_seconds: Option<u64>,
    /// Why the last try failed, or why none is made.
    pub error: Option<String>,
    /// Where it stands.
    pub state: ItemState,
}

/// What is to be done with a queued file or folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Its content is to be sent.
    Upload,
    /// It is to be moved or renamed.
    Move,
    /// The folder is to be made.
    Make,
    /// What the service has of it is to be removed.
    Remove,
}

/// Where a row of the queue stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    /// Waits for its turn or for its time.
    Waiting,
    /// Still open for writing: it is sent once it is closed.
    Open,
    /// Being sent.
    Sending,
    /// Sent: the service has yet to tell what it stored.
    Confirming,
    /// Failed for good: `queue retry` takes it up again.
    Failed,
}

/// How long `queue wait` waits in one request, and for what.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WaitRequest {
    /// Milliseconds.
    pub at_most_ms: u64,
    /// A file, or a folder with all that is queued in it; all that is queued when absent.
    #[serde(default)]
    pub path: Option<PathBuf>,
}

/// What is to be given up.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub struct CancelRequest {
    /// A file, or a folder with all that is queued in it; all that failed when absent.
    pub path: Option<PathBuf>,
    /// Also where bytes are lost.
    pub force: bool,
}

/// What was given up, or would be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cancelled {
    /// [`SCHEMA`](super::SCHEMA).
    pub schema: u32,
    /// So many things were given up.
    pub count: u64,
    /// What is lost with them. If nothing was given up: what would be lost.
    pub losses: Vec<Loss>,
    /// What could not be given up: it is open, has something in it, or its upload has
    /// just ended.
    pub left: Vec<PathBuf>,
}

/// Bytes that exist here alone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Loss {
    /// Of which file.
    pub path: PathBuf,
    /// How many.
    pub bytes: u64,
    /// What becomes of the file.
    pub becomes: Becomes,
}

/// What becomes of a file whose upload is given up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Becomes {
    /// It goes: the service has nothing of it.
    Nothing,
    /// The version that the service has.
    Older,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_for_good_does_not_keep_the_queue_from_being_drained() {
        let mut backlog = Backlog {
            uploads: 2,
            failed: 2,
            ..Backlog::default()
        };
        assert!(backlog.is_drained());
        backlog.removals = 1;
        assert!(!backlog.is_drained());
    }
}
