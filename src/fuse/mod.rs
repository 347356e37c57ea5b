//! The kernel's side of the house: fuser behind one door.
//!
//! This room mounts and unmounts, takes the kernel's requests and translates
//! each into one call of [`Vfs`](crate::vfs::Vfs) and its answer into a reply,
//! and tells the kernel what changed. It decides nothing about files: no other
//! room sees a type of fuser, and this one sees no other room than `vfs`. Only
//! `daemon` (and tests) call it:
//!
//! 1. [`Mountpoint::prepare`] refuses an unfit place and clears a wreck of ours.
//! 2. [`Mount::new`] mounts: directly, or through fusermount3.
//! 3. [`Session::start`] serves it; [`Session::ended`] tells when it is over,
//!    also when the unmounting came from outside.
//! 4. [`Notifier::tell`] takes news for the kernel from anywhere, at any time; who watches a folder
//!    hears of it, too (`waking`).
//!
//! Its invariant: every request is answered once and within its deadline
//! (`reply`), and nothing here waits for the kernel while the kernel may be
//! waiting for us (`notifier`, `mountinfo`).

mod backed;
mod errno;
mod error;
mod filesystem;
mod fusermount;
pub mod health;
mod mount;
pub mod mountinfo;
mod mountpoint;
mod notifier;
mod options;
mod passing;
mod reply;
mod session;
mod shape;
mod through;
mod translate;
mod unmount;
mod waking;

pub use error::MountError;
pub use mount::{Mount, MountOptions};
pub use mountinfo::FS_TYPE;
pub use mountpoint::Mountpoint;
pub use notifier::{Change, NewsQueue, Notifier, notifier};
pub use options::{Deadlines, FuseOptions, Ttl};
pub use session::{End, News, Session};
pub use unmount::Unmount;
pub use waking::{MESSENGER, help};
