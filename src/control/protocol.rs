//! The schema of what a daemon tells: `status --json`, `queue list --json` and
//! `account --json` print it as it is.
//!
//! [`SCHEMA`] is raised when a field changes its meaning or goes; new fields may
//! come without. Sizes are bytes, spans of time seconds, times RFC 3339 in UTC.
//! No field may hold a secret: neither the key nor a download link.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The version of this schema.
pub const SCHEMA: u32 = 1;

/// Who a daemon is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Hello {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The program's version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// Where it is, or was, mounted.
    pub mountpoint: PathBuf,
    /// Where its state is.
    pub state_dir: PathBuf,
    /// What it is doing.
    pub phase: Phase,
}

/// The life of a daemon.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Mounted and at work.
    Mounted,
    /// The mount is gone, what is queued is still sent.
    Draining,
    /// About to end.
    Stopping,
}

/// What becomes of the queue when a daemon is asked to stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Parting {
    /// It is worked off first.
    Drain,
    /// It stays in the journal for the next mount.
    Leave,
}

/// Everything for one screen.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Status {
    /// Who tells.
    #[serde(flatten)]
    pub daemon: Hello,
    /// How long it has been running.
    pub uptime_seconds: u64,
    /// The account's figures, once they are known.
    pub account: Option<Account>,
    /// What is to be done on the service.
    pub queue: Backlog,
    /// Uploads under way.
    pub transfers: Vec<Transfer>,
    /// All uploads together, bytes a second, lately.
    pub upload_rate: u64,
    /// When all uploads are done at this rate; absent while nothing is sent.
    pub upload_eta_seconds: Option<u64>,
    /// What failed for good and why, the oldest first, ten at most; `queue list` has all.
    pub failures: Vec<Failed>,
    /// Bytes of closed and open changes that the service does not have.
    pub staged_bytes: u64,
    /// Reads of file content.
    pub reads: Reads,
    /// The cache of what the service has.
    pub cache: Cache,
    /// What is known of the account's files.
    pub tree: Totals,
    /// How fresh that is.
    pub freshness: Freshness,
    /// Calls, rates and locks.
    pub api: Api,
}

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
    /// [`SCHEMA`].
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
    /// Why the last try failed.
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

/// The account's figures, as the service told them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Account {
    /// When it told them.
    pub as_of: String,
    /// The user's address.
    pub email: String,
    /// The kind of subscription.
    pub offer: String,
    /// When that ends.
    pub subscription_end: Option<String>,
    /// Bytes in cold storage.
    pub cold_used: u64,
    /// Bytes of cold storage that the account may use.
    pub cold_allowed: Option<u64>,
    /// Bytes in hot storage.
    pub hot_used: u64,
    /// Whether the quota is exceeded.
    pub over_quota: bool,
    /// Whether uploads are forbidden.
    pub upload_forbidden: bool,
}

/// The cache of what the service has.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cache {
    /// Bytes on disk.
    pub used: u64,
    /// Bytes that it may use.
    pub limit: u64,
    /// Files of which something is kept.
    pub files: u64,
    /// Bytes served from it.
    pub hit_bytes: u64,
    /// Bytes that had to be fetched.
    pub fetched_bytes: u64,
    /// Reads from the service that are under way.
    pub fetching: u64,
    /// Files whose bytes were compared with the service's checksum, and are right.
    pub sound_files: u64,
    /// Files whose bytes are wrong: reading them fails until `fichierfs verify` finds them right.
    pub damaged_files: u64,
    /// The first of these, from the mount's root.
    pub damaged: Vec<PathBuf>,
    /// Processor time that the comparing took, in milliseconds.
    pub check_cpu_ms: u64,
}

/// Reads of file content. Counts are since the start.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reads {
    /// Connections to download hosts in use now.
    pub streams: u64,
    /// Bytes a second given to readers, lately.
    pub rate: u64,
    /// Bytes a second received from the service, lately.
    pub fetch_rate: u64,
    /// Files that are open or being sent from now.
    pub open_files: u64,
    /// Bytes given to readers that had to wait for the service.
    pub waited_bytes: u64,
    /// Download links that were asked for: each is a call of the API.
    pub links: u64,
    /// Requests to download hosts.
    pub requests: u64,
    /// Those that failed and were repeated.
    pub retries: u64,
    /// Reads that ended with an error.
    pub failed: u64,
}

/// How fresh what is known of the account's folders is.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Freshness {
    /// Folders that are known.
    pub folders: u64,
    /// Those whose content was never listed: it is when somebody looks.
    pub unlisted: u64,
    /// Those whose listing the service cut off: names may be missing.
    pub cut_off: u64,
    /// The time of the oldest listing that is in use.
    pub oldest: Option<String>,
    /// The time of the newest one.
    pub newest: Option<String>,
}

/// What is known of the account's files.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Totals {
    /// Files and links.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Calls, rates and locks.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Api {
    /// Calls a second that are allowed now, over a long time.
    pub rate: f64,
    /// Calls that could go out at once now.
    pub saved_up: f64,
    /// Calls that wait for their turn.
    pub waiting: u64,
    /// Calls that failed within the last hour. The service bans who keeps failing, so
    /// calls stop at `failing_limit`.
    pub failing: u64,
    /// See `failing`.
    pub failing_limit: u64,
    /// How often the service has locked us, ever.
    pub locks_ever: u64,
    /// Calls so far, by kind.
    pub calls: BTreeMap<String, u64>,
    /// What the service has locked, with the end of each lock.
    pub locks: BTreeMap<String, String>,
    /// Whether the service refused the key, so that nothing is asked any more.
    pub key_refused: bool,
}

/// What is pinned.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Pins {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Each file and folder that was pinned.
    pub pins: Vec<Pin>,
}

/// A check of a file, or of all files of a folder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Verification {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The path, from the mount's root.
    pub path: PathBuf,
    /// Files to be checked.
    pub files: u64,
    /// Those whose bytes are those of the service's checksum.
    pub sound: u64,
    /// Those of which the service told no checksum.
    pub unknown: u64,
    /// Those whose bytes are not, also when fetched anew.
    pub damaged: Vec<PathBuf>,
    /// Those that could not be checked, with the reason.
    pub errors: Vec<Failed>,
    /// Whether all have been checked.
    pub done: bool,
}

/// A pinned file or folder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Pin {
    /// The path, from the mount's root.
    pub path: PathBuf,
    /// Files in it that the service has.
    pub files: u64,
    /// Their bytes.
    pub size: u64,
    /// Bytes that are at hand.
    pub cached: u64,
    /// Whether all of it is at hand.
    pub complete: bool,
    /// Why it is not complete, where the last try failed; it is tried again by itself.
    pub error: Option<String>,
}

/// How long `queue wait` waits in one request.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WaitRequest {
    /// Milliseconds.
    pub at_most_ms: u64,
}

/// Which path is meant; all of the mount when absent.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PathRequest {
    /// The path.
    pub path: Option<PathBuf>,
}

/// What is to be listed anew with all that is below it, or how far that is.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub struct WalkRequest {
    /// The folder, from the mount's root.
    pub path: PathBuf,
    /// The walk that is asked after; a new one begins where absent.
    pub job: Option<u64>,
}

/// How far a walk is. It goes on for as long as it is asked after.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WalkProgress {
    /// Its number.
    pub job: u64,
    /// Folders found so far.
    pub folders: u64,
    /// Those that are done.
    pub listed: u64,
    /// What it waits for.
    pub waits: Option<String>,
    /// Folders that could not be listed, with the reason.
    pub errors: Vec<Failed>,
    /// Whether it has ended; it is not known any more then.
    pub done: bool,
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
    /// [`SCHEMA`].
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

/// How the daemon is to end.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StopRequest {
    /// What becomes of the queue.
    pub queue: Parting,
}

/// The daemon is on its way to the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stopping {
    /// For how long the queue may be worked off, as its user configured; milliseconds.
    pub drain_timeout_ms: u64,
}

/// What became of a configuration that was read anew.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reloaded {
    /// Options that changed and are in effect.
    pub applied: Vec<String>,
    /// Options that changed and take effect at the next mount.
    pub at_next_mount: Vec<String>,
}

/// Where the service shows a file to whoever has the address.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Link {
    /// The address.
    pub url: String,
}

/// How many things a request touched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Count {
    /// That many.
    pub count: u64,
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

    #[test]
    fn a_status_names_its_daemon_on_the_top_level() {
        let status = Status {
            daemon: Hello {
                schema: SCHEMA,
                version: "0".into(),
                pid: 7,
                mountpoint: "/m".into(),
                state_dir: "/s".into(),
                phase: Phase::Draining,
            },
            uptime_seconds: 1,
            account: None,
            queue: Backlog::default(),
            transfers: Vec::new(),
            upload_rate: 0,
            upload_eta_seconds: None,
            failures: Vec::new(),
            staged_bytes: 0,
            reads: Reads::default(),
            cache: Cache::default(),
            tree: Totals::default(),
            freshness: Freshness::default(),
            api: Api::default(),
        };
        let json = serde_json::to_value(&status).unwrap();
        assert_eq!(json["pid"], 7);
        assert_eq!(json["phase"], "draining");
        assert_eq!(serde_json::from_value::<Status>(json).unwrap(), status);
    }
}
