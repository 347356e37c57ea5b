//! fuser behind one door: mounting, one-line callbacks, errno, the notifier thread.
mod errno;
mod filesystem;
mod options;
mod reply;
mod translate;

pub use options::{Deadlines, FuseOptions, Ttl};
