//! Who a daemon is, and how it is steered.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Who a daemon is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Hello {
    /// [`SCHEMA`](super::SCHEMA).
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

/// The configuration is to be read anew.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub struct ReloadRequest {
    /// The digest of a key that was found to be of this account.
    #[serde(default)]
    pub checked: Option<String>,
}

/// What became of a configuration that was read anew.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reloaded {
    /// Options that changed and are in effect.
    pub applied: Vec<String>,
    /// Options that changed and take effect at the next mount.
    pub at_next_mount: Vec<String>,
    /// A digest of the key that is in use now.
    #[serde(default)]
    pub key_print: Option<String>,
}
