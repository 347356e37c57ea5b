//! fichierfs: a 1fichier.com account as a local folder.
//!
//! A system call passes each room once on its way down:
//!
//! ```text
//! kernel -> fuse -> vfs -> staging -> content -> api -> the service
//!                    |        upload ----^  ^
//!                    +-> tree --------------+        (tree, staging, content, upload -> store)
//! ```
//!
//! - [`fuse`]: fuser behind one door: mounting, callbacks, errno, the notifier.
//! - [`vfs`]: what system calls mean: inodes, handles, attributes, rules.
//! - [`tree`]: the account as we know it, wanted and confirmed; the journal.
//! - [`staging`]: what the user changed: versions as extents over a base.
//! - [`content`]: what the service has: links, ranges, blocks, the clean cache.
//! - [`upload`]: the journal's workers: order, batches, commit, recovery.
//! - [`api`]: the service over HTTP: endpoints, errors, limits, the pace.
//! - [`store`]: the SQLite file behind three doors.
//! - [`config`], [`ids`], [`throttle`], `vain`, `disk_space`: options and the key; names of things;
//!   bandwidth limits; waits that are not repeated; how full a disk is.
//! - [`daemon`], [`control`], [`cli`]: wiring, the socket, the verbs.
//! - [`doctor`]: what is wrong on this machine, and how it is mended.
//! - [`service`]: units of systemd and how they come into place.
//! - [`sim`]: a simulator of the service; it imports none of the others.
//!
//! docs/architecture.md is the long form.

pub mod api;
pub mod cli;
pub mod config;
pub mod content;
pub mod control;
pub mod daemon;
mod disk_space;
pub mod doctor;
pub mod fuse;
pub mod ids;
pub mod service;
pub mod sim;
pub mod staging;
pub mod store;
pub mod throttle;
pub mod tree;
pub mod upload;
mod vain;
pub mod vfs;
