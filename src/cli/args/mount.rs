//! `mount` and `unmount`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::common::{ConfigArgs, MountpointArg, OptionFlags, duration};

/// `mount`.
#[derive(Args, Debug)]
pub struct MountArgs {
    #[command(flatten)]
    pub(in crate::cli) config: ConfigArgs,
    /// Return once mounted, and go on in the background
    #[arg(long)]
    pub background: bool,
    /// Mount options: every option by its name, and those of mount(8)
    #[arg(short = 'o', value_name = "OPTS", help_heading = "Mount")]
    pub mount_options: Vec<String>,
    #[command(flatten)]
    pub(in crate::cli) options: OptionFlags,
    /// Tells the process in the foreground how the start went.
    #[arg(long, hide = true)]
    pub(in crate::cli) report_start: bool,
    /// As `mount -f`: everything but the mount.
    #[arg(long, hide = true)]
    pub(in crate::cli) fake: bool,
    /// An empty folder
    pub mountpoint: PathBuf,
}

/// `unmount`.
#[derive(Args, Debug)]
pub struct UnmountArgs {
    /// How long to wait for the queue [default: the mount's drain_timeout]
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "no_wait")]
    pub drain_timeout: Option<Duration>,
    /// Leave the queue for the next mount
    #[arg(long)]
    pub no_wait: bool,
    /// Only take away what a crash left of the mount; nothing where it lives
    #[arg(long, conflicts_with_all = ["drain_timeout", "no_wait"], requires = "mountpoint")]
    pub if_dead: bool,
    #[command(flatten)]
    pub(in crate::cli) mount: MountpointArg,
}
