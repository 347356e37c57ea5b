//! What can go wrong between a command and a daemon.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Why a command could not be carried out by a daemon.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The port for figures cannot be had.
    #[error("metrics at {address}: {source}; choose another port")]
    Port {
        /// Which.
        address: std::net::SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// No daemon answers.
    #[error("no fichierfs is running: start one with `fichierfs mount MOUNTPOINT`")]
    NotRunning,
    /// None of the running daemons has this mountpoint.
    #[error("no fichierfs is mounted on {}: `fichierfs status` lists what is", .0.display())]
    NoSuchMount(PathBuf),
    /// Several run, and it was not said which is meant.
    #[error("several are mounted, say which: {}", listed(.0))]
    Several(Vec<PathBuf>),
    /// The daemon answered that it will not, and why.
    #[error("{0}")]
    Refused(Refusal),
    /// The daemon went away while it was asked.
    #[error("the daemon went away: {0}")]
    Gone(String),
    /// Another program, or a daemon of another version.
    #[error(
        "the daemon's answer cannot be read ({0}): is it another version? `fichierfs unmount` and mount again"
    )]
    Unreadable(String),
    /// The socket cannot be made or reached.
    #[error("socket {}: {source}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths.iter().map(|p| p.display().to_string()).collect();
    paths.join(", ")
}

/// A daemon's "no", for a person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind, for scripts.
    pub kind: RefusalKind,
    /// One line that says what to do.
    pub message: String,
}

/// Kinds of [`Refusal`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// No such path in the mount.
    NotFound,
    /// Files of the mount are in use.
    Busy,
    /// The service, or the pace of calls, does not allow it now.
    NotNow,
    /// Something failed.
    Failed,
}

impl Refusal {
    /// A refusal of this kind.
    pub fn new(kind: RefusalKind, message: impl Into<String>) -> Refusal {
        Refusal {
            kind,
            message: message.into(),
        }
    }

    /// Something failed; `error` says what.
    pub fn failed(error: impl std::fmt::Display) -> Refusal {
        Refusal::new(RefusalKind::Failed, error.to_string())
    }
}
