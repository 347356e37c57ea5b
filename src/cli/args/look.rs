//! `status` and `doctor`.

use std::path::PathBuf;

use clap::Args;

use super::common::{ConfigArgs, MountpointArg};

/// `status`.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// As JSON; the schema is versioned
    #[arg(long)]
    pub json: bool,
    /// Show it anew each second until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// For supervisors: print nothing, and exit with 1 and a reason unless all is well
    #[arg(long, conflicts_with_all = ["json", "watch"])]
    pub check: bool,
    #[command(flatten)]
    pub(in crate::cli) mount: MountpointArg,
}

/// `doctor`.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub(in crate::cli) config: ConfigArgs,
    /// Mend what can be mended without risk
    #[arg(long)]
    pub fix: bool,
    /// Do not ask the service, nor look for it
    #[arg(long)]
    pub offline: bool,
    /// As JSON; the schema is versioned
    #[arg(long)]
    pub json: bool,
    /// Also write a report that can be posted: without key, links, names and paths
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Leave names and paths in the report
    #[arg(long, requires = "report")]
    pub with_names: bool,
    /// Copy into this folder what was written, but neither closed nor synced, before a crash
    #[arg(long, value_name = "DIR", conflicts_with_all = ["fix", "report", "offline"])]
    pub restore: Option<PathBuf>,
}
