//! What is asked about files and folders.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::queue::Failed;

/// Which path is meant; all of the mount when absent.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PathRequest {
    /// The path.
    pub path: Option<PathBuf>,
}

/// How many things a request touched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Count {
    /// That many.
    pub count: u64,
}

/// Where the service shows a file to whoever has the address.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Link {
    /// The address.
    pub url: String,
}

/// Whether names that were not seen in a folder are to count as new.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub struct NewNamesRequest {
    /// The folder, from the mount's root.
    pub path: PathBuf,
    /// They are not any more.
    #[serde(default)]
    pub off: bool,
}

/// Whether new names can be made in a folder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NewNames {
    /// [`SCHEMA`](super::SCHEMA).
    pub schema: u32,
    /// The folder, from the mount's root.
    pub path: PathBuf,
    /// Whether it is known whole.
    pub whole: bool,
    /// Whether new files can be made in it now: where it is not known whole, since names that were
    /// not seen count as new.
    pub new_names: bool,
    /// Whether new folders can: not where the service does not show all its sub-folders.
    pub new_folders: bool,
    /// Why it is not known whole, or how far it has come; null where it is.
    pub reason: Option<String>,
}

/// What is pinned.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Pins {
    /// [`SCHEMA`](super::SCHEMA).
    pub schema: u32,
    /// Each file and folder that was pinned.
    pub pins: Vec<Pin>,
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

/// What is to be compared with the checksums of the service, or how far that is.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
pub struct VerifyRequest {
    /// A file or folder, from the mount's root.
    pub path: PathBuf,
    /// Whether this is the first question. It joins a check that is under way; the end of an
    /// earlier one is told only to who asks on.
    #[serde(default)]
    pub begin: bool,
}

/// A check of a file, or of all files of a folder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Verification {
    /// [`SCHEMA`](super::SCHEMA).
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
