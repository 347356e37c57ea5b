//! The checks, a file each.

mod clock;
mod configuration;
mod database;
mod fuse;
mod key;
mod leftovers;
mod network;
mod places;
mod queue;
mod staging;
mod updatedb;

use super::{Case, Finding};

/// Looks at one thing.
type Check = fn(&Case) -> Vec<Finding>;

/// All of them, in the order in which a person would ask.
pub(super) const ALL: &[Check] = &[
    fuse::check,
    configuration::check,
    key::check,
    network::check,
    clock::check,
    places::check,
    database::check,
    staging::check,
    leftovers::check,
    queue::check,
    updatedb::check,
];
