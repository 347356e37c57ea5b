//! `pin` and `cache`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::common::MountpointArg;

/// `pin`.
#[derive(Args, Debug)]
pub struct PinArgs {
    /// Show what is pinned and how far it is
    #[arg(long)]
    pub list: bool,
    /// As JSON; the schema is versioned
    #[arg(long)]
    pub json: bool,
    /// Return at once, and fetch in the background
    #[arg(long, conflicts_with = "list")]
    pub no_wait: bool,
    /// Files or folders of a mount; with --list, which mount
    #[arg(required_unless_present = "list", value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

/// What to do with the cache.
#[derive(Subcommand, Debug)]
pub enum CacheVerb {
    /// Show its figures
    #[command(after_help = "Example:\n  fichierfs cache stats --json")]
    Stats {
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        mount: MountpointArg,
    },
    /// Empty it; readers go on and fetch anew
    #[command(after_help = "Example:\n  fichierfs cache clear")]
    Clear {
        #[command(flatten)]
        mount: MountpointArg,
    },
}
