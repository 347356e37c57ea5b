//! `service`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What to do with the service.
#[derive(Subcommand, Debug)]
pub enum ServiceVerb {
    /// Write the unit for a mountpoint and say what to run next
    ///
    /// One unit serves all mountpoints; its instance is the mountpoint. With --system the link
    /// /sbin/mount.fichierfs is made, too, so that mount(8) and fstab know the type fichierfs.
    #[command(
        after_help = "Example:\n  fichierfs service install ~/1fichier\n  fichierfs service install --profile work ~/work"
    )]
    Install {
        #[command(flatten)]
        place: ServicePlace,
        /// Profile in the configuration file that this mount uses
        #[arg(long, value_name = "NAME")]
        profile: Option<String>,
        /// Overwrite files that were changed by hand
        #[arg(long)]
        force: bool,
        /// Where to mount; the folder is made if it is not there
        mountpoint: PathBuf,
    },
    /// Remove what `install` wrote, and say what to run next
    #[command(after_help = "Example:\n  fichierfs service uninstall ~/1fichier")]
    Uninstall {
        #[command(flatten)]
        place: ServicePlace,
        /// Also files that were changed by hand
        #[arg(long)]
        force: bool,
        /// Where it is mounted
        mountpoint: PathBuf,
    },
    /// Print the unit
    #[command(
        after_help = "Example:\n  fichierfs service show --system | diff - /etc/systemd/system/fichierfs@.service"
    )]
    Show {
        #[command(flatten)]
        place: ServicePlace,
    },
}

/// Whose service.
#[derive(Args, Debug)]
pub struct ServicePlace {
    /// Of the machine instead of this user: it starts without a login, mounts for all users,
    /// and reads /etc/fichierfs/config.toml
    #[arg(long)]
    pub system: bool,
    /// A folder that is taken for the root of the machine, for who makes packages
    #[arg(long, value_name = "DIR", requires = "system")]
    pub root: Option<PathBuf>,
}
