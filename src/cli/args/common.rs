//! What several verbs take.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches};

use crate::config::{Value, flag_arguments, given_flags};

/// Which configuration.
#[derive(Args, Clone, Default, Debug)]
pub struct ConfigArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE", env = "FICHIERFS_CONFIG")]
    pub config: Option<PathBuf>,
    /// Profile in the configuration file, for several accounts
    #[arg(long, value_name = "NAME", env = "FICHIERFS_PROFILE")]
    pub profile: Option<String>,
    /// Where relative paths begin; the current folder if `None`.
    #[arg(skip)]
    pub base: Option<PathBuf>,
}

/// The options of the table that were given as flags.
#[derive(Clone, Default, Debug)]
pub struct OptionFlags(pub Vec<(&'static str, String)>);

impl Args for OptionFlags {
    fn augment_args(command: Command) -> Command {
        command.args(flag_arguments())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for OptionFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(OptionFlags(given_flags(matches)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Which of several mounts.
#[derive(Args, Debug)]
pub struct MountpointArg {
    /// Which mount; may be left out where only one runs
    pub mountpoint: Option<PathBuf>,
}

/// A span of time, or what is allowed.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    Duration::read(text).ok_or_else(|| Duration::KIND.takes())
}
