//! The configuration: one table of options, and the sources of the key and of
//! passwords.
//!
//! An option exists because it has a line in [`OPTIONS`]; its flag, its variable, its key in the
//! file, its `-o` form and its text in the manual all come from that line. [`resolve`] puts the
//! layers over each other without touching disk or environment; reading them is
//! at the edges ([`read_config`], [`find_key`]). The key is an [`ApiKey`] from the moment it is
//! recognised: it cannot be printed and is zeroed when dropped. A file with
//! secrets that others can read is refused, never used. A leaf: this room imports no other.

mod error;
mod file;
mod flags;
mod guard;
mod harden;
mod key;
mod key_sources;
mod keyring;
mod options;
mod password;
mod paths;
mod public;
#[cfg(test)]
pub(crate) mod reference;
mod resolve;
mod shared;
mod timetable;
mod value;

pub use error::ConfigError;
pub use file::{OtherSources, read_config, write_key, write_source};
pub use flags::{arguments as flag_arguments, given as given_flags};
pub use guard::private_folder;
pub use harden::{harden_process, keep_children};
pub use key::{ApiKey, BadKey, KeyStore};
pub use key_sources::find_key;
pub use keyring::store as store_in_keyring;
pub use options::{Change, OPTIONS, OptionSpec, Scope, Settings};
pub use password::{Password, Passwords, find_passwords};
pub use paths::{Paths, config_file};
pub use public::PublicFolder;
pub use resolve::{Layer, Layers, Resolved, resolve};
pub use shared::{SharedFolder, SharedFolders};
pub use timetable::Timetable;
pub use value::{
    AddressFamily, Factor, Fsync, Kind, Listen, LogFormat, LogLevel, Size, Umask, Value,
};
