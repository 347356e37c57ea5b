//! `queue`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::common::{MountpointArg, duration};

/// `queue`.
#[derive(Args, Debug)]
pub struct QueueArgs {
    #[command(subcommand)]
    pub(in crate::cli) verb: QueueVerb,
}

/// What to do with the queue.
#[derive(Subcommand, Debug)]
pub enum QueueVerb {
    /// List what is queued
    #[command(
        after_help = "Example:\n  fichierfs queue list\n  fichierfs queue list --json | jq .items"
    )]
    List {
        /// As JSON; the schema is versioned
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        mount: MountpointArg,
    },
    /// Wait until everything, or what is queued of a path, is confirmed on the service
    #[command(
        after_help = "Example:\n  fichierfs queue wait --timeout 1h && echo uploaded\n  fichierfs queue wait ~/1fichier/film.mkv\n\nExits with 3 if work is left."
    )]
    Wait {
        /// How long to wait; for ever if left out
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        timeout: Option<Duration>,
        /// A file of a mount, or a folder with all that is in it; or the mount for all that is
        /// queued
        path: Option<PathBuf>,
    },
    /// Begin now: end write-back delays and waits after failures
    #[command(
        after_help = "Example:\n  fichierfs queue flush\n  fichierfs queue flush ~/1fichier/film.mkv"
    )]
    Flush {
        /// A file of a mount, or the mount for all that is queued
        path: Option<PathBuf>,
    },
    /// Give up what is queued: files become what the service has of them
    ///
    /// What the service has nothing of is removed. Where bytes exist here alone, nothing
    /// is done without --force; what would be lost is listed.
    #[command(
        after_help = "Example:\n  fichierfs queue cancel ~/1fichier/film.mkv\n  fichierfs queue cancel --force ~/1fichier/old"
    )]
    Cancel {
        /// A file of a mount, or a folder with all that is queued in it; all that failed
        /// if left out
        path: Option<PathBuf>,
        /// Also where bytes are lost
        #[arg(long)]
        force: bool,
        /// As JSON; the schema is versioned
        #[arg(long)]
        json: bool,
    },
    /// Take up again what failed for good
    #[command(
        after_help = "Example:\n  fichierfs queue retry\n  fichierfs queue retry ~/1fichier/film.mkv"
    )]
    Retry {
        /// A file of a mount, or the mount for all that failed
        path: Option<PathBuf>,
    },
}
