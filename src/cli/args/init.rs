//! `init`, and where a key can be kept.

use clap::Args;

use super::common::{ConfigArgs, OptionFlags};

/// What `init --help` says beyond its options.
pub(super) const ABOUT: &str = "\
Ask for the API key, check it with one call, and store it.

Where to find it: https://1fichier.com/console/params.pl, for Premium and
Access accounts. There the key can also be restricted to your address at home:
whoever steals it can then use it only from there (uploads are not restricted
by it). Take one key for each program: a program that shares one can get it
locked for all.

init stores the key in the configuration file (mode 0600), which keeps it from
other users of the machine, not from programs of your own nor from who has the
disk. Other places, by what they protect from:

  --store desktop    the desktop's keyring: also from who has the disk or a
                     backup, while you are not logged in
  --store keyring    the kernel's keyring, in memory alone: also from who has
                     the disk; to be given again after each restart of the
                     machine; works without a desktop
  api_key_command    a password manager or vault, by a command of yours: as
                     that protects it
  api_key_file       a file of its own, closed to others: keeps the key out of
                     copies of the configuration
  FICHIERFS_API_KEY  in the environment, for containers: programs of your own
                     can read it
  systemd            a credential fichierfs-api-key (systemd-creds encrypt):
                     also from who has the disk

--rotate: make a new key on the site, run this, and running mounts use it from
their next call on.";

/// Where `init` stores the key.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Storage {
    /// In the configuration file, mode 0600
    File,
    /// In the kernel's keyring of the user, until the machine restarts
    Keyring,
    /// In the desktop's keyring, through secret-tool
    Desktop,
}

/// `init`.
#[derive(Args, Debug)]
pub struct InitArgs {
    /// Where to store the key, in place of where it was [default: file, or where it is]
    #[arg(long, value_name = "WHERE")]
    pub store: Option<Storage>,
    /// Have running mounts use the new key from now on
    #[arg(long)]
    pub rotate: bool,
    #[command(flatten)]
    pub(in crate::cli) config: ConfigArgs,
    #[command(flatten)]
    pub(in crate::cli) options: OptionFlags,
}
