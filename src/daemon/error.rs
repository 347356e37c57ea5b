//! Why a daemon does not start, each with what to do about it.

use std::path::PathBuf;

use crate::api::{ApiError, BadEndpoint};
use crate::config::ConfigError;
use crate::content::ContentError;
use crate::control::ControlError;
use crate::fuse::MountError;
use crate::staging::StagingError;
use crate::store::StoreError;
use crate::tree::TreeError;

/// Why a daemon does not start. Nothing was left behind.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address in the configuration cannot be used.
    #[error(transparent)]
    Endpoint(#[from] BadEndpoint),
    /// The mount could not be made.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// Another daemon has this state and is mounted.
    #[error(
        "process {pid} already serves this account on {at}; end that mount with `fichierfs unmount {at}`, or use another --profile",
        at = mountpoint.display()
    )]
    Taken {
        /// Its process id.
        pid: u32,
        /// Where it is mounted.
        mountpoint: PathBuf,
    },
    /// Another process has this state and does not say more.
    #[error(
        "{} is in use by process {pid}, which does not answer; wait for it, or end it with `kill {pid}`: what is queued is kept",
        state_dir.display()
    )]
    Locked {
        /// The state directory.
        state_dir: PathBuf,
        /// What the lock file says.
        pid: String,
    },
    /// The mount of another state has this cache.
    #[error(
        "the cache in {} is in use by another mount; give each its own `cache_dir`, or none: then each profile has a folder below the user's cache directory",
        .0.display()
    )]
    CacheTaken(PathBuf),
    /// The account's figures or files cannot be asked for.
    #[error("{error}. {advice}", error = .0, advice = .0.advice())]
    Api(#[from] ApiError),
    /// The key is another account's than the state.
    #[error(
        "this state belongs to the account {owner}, the key to {other}; for several accounts use --profile NAME"
    )]
    OtherAccount {
        /// Whose the state is.
        owner: String,
        /// Whose the key is.
        other: String,
    },
    /// A key that was never used with this state, and the service cannot say whose it is.
    #[error(
        "the key is new, and whether it is that of {}, to whom this state belongs, cannot be asked now: {why}; try again later, or run `fichierfs init` (with --rotate if you know that it is)",
        owner.as_deref().unwrap_or("the account of the key before")
    )]
    NewKeyUnchecked {
        /// Whose the state is, if the service ever told.
        owner: Option<String>,
        /// Why not.
        why: String,
    },
    /// The key is another one than that which the state was used with, and its account has
    /// nothing of what is known.
    #[error(
        "this state was used with another key, and nothing that it knows is in the account of this one; for several accounts use --profile NAME; if it is a new key of the same account, run `fichierfs init --rotate`"
    )]
    OtherKey,
    /// The state is of a public folder, and something else was to be shown.
    #[error("this state directory is of the public folder {0}; give another one with --state-dir")]
    StateOfShare(String),
    /// The state is of an account, and a public folder was to be shown.
    #[error(
        "this state directory is of an account, not of a public folder; give another one with --state-dir"
    )]
    StateOfAccount,
    /// A public folder that cannot be shown.
    #[error("the public folder {id} cannot be shown: {error}. {advice}")]
    Share {
        /// Its id.
        id: String,
        /// Why.
        error: ApiError,
        /// What to do about it.
        advice: &'static str,
    },
    /// `root_folder` is no folder of the account.
    #[error("root_folder {0:?} is no folder of the account")]
    NoRootFolder(String),
    /// `root_folder` could not be looked at.
    #[error("root_folder {folder:?} cannot be looked at now: {why}")]
    RootFolderUnknown {
        /// As it was given.
        folder: String,
        /// Why.
        why: String,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tree cannot be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The cache cannot be used.
    #[error("the cache cannot be used: {0}")]
    Content(#[from] ContentError),
    /// The staging folder cannot be used.
    #[error("the folder of changes cannot be used: {0}")]
    Staging(#[from] StagingError),
    /// The file system could not be put together.
    #[error("the file system cannot be started: {0}")]
    Vfs(String),
    /// The control socket cannot be made.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A file of the state directory cannot be used.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A mistake of ours.
    #[error("the start failed inside, please report it: {0}")]
    Inside(String),
}

impl StartError {
    /// Whether the configuration or the command line is to blame.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            StartError::Config(_)
                | StartError::Endpoint(_)
                | StartError::OtherAccount { .. }
                | StartError::OtherKey
                | StartError::StateOfShare(_)
                | StartError::StateOfAccount
                | StartError::NoRootFolder(_)
        )
    }
}
