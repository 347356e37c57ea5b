//! fichierfs as a service of systemd: its units, and how they come into place.
//!
//! Both units are templates: the instance is the mountpoint as systemd writes it
//! ([`instance`]), so one file serves any number of mounts. [`units`] has the texts, pure;
//! [`install`] writes and removes files, and leaves alone what somebody changed. A leaf: this
//! room imports no other, and never runs `systemctl`: it says what to run.

mod error;
mod install;
mod units;

pub use error::ServiceError;
pub use install::{Change, Edited, Place, install, uninstall};
pub use units::{Manager, TEMPLATE, drop_in, instance, unit};
