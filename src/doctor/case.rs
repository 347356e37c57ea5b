//! What is known before anything is looked at.

use std::path::PathBuf;

use crate::config::{ConfigError, Paths, Settings};
use crate::control::protocol::Status;

/// The case to be examined.
pub struct Case {
    /// Where the configuration file is, or would be.
    pub file: PathBuf,
    /// What it says.
    pub configured: Result<Configured, ConfigError>,
    /// All running daemons of this user.
    pub daemons: Vec<Status>,
    /// What is known of the key.
    pub key: KeyAnswer,
    /// Whether the network may be looked at.
    pub offline: bool,
}

/// A configuration that can be used.
pub struct Configured {
    /// What holds.
    pub settings: Settings,
    /// Where things are kept.
    pub paths: Paths,
    /// Variables that look like ours and are not.
    pub unknown_variables: Vec<String>,
}

/// What is known of the key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyAnswer {
    /// There is none to be had, and why.
    None(String),
    /// The service takes it: who says so.
    Good(String),
    /// The service refused it: what it said, and what to do.
    Refused(String),
    /// It was not asked, and why.
    NotAsked(String),
}

impl Case {
    /// The configuration, if it can be used.
    pub(super) fn known(&self) -> Option<&Configured> {
        self.configured.as_ref().ok()
    }

    /// The daemon that has the configured state.
    pub(super) fn daemon(&self) -> Option<&Status> {
        let [state, ..] = self.known()?.paths.all();
        self.daemons
            .iter()
            .find(|status| status.daemon.state_dir == state)
    }
}
