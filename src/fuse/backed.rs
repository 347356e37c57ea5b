//! Cache files that the kernel reads by itself, and whether it does so on this mount.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fuser::BackingId;

use super::passing::{Backing, Table, Ticket};
use crate::vfs::Lent;

/// A cache file that the kernel knows. It forgets it when this is dropped.
pub(super) struct Backed {
    pub(super) id: BackingId,
    pub(super) lent: Lent,
}

impl Backing for Arc<Backed> {
    fn size(&self) -> u64 {
        self.lent.size()
    }

    fn is_current(&self) -> bool {
        self.lent.is_current()
    }
}

/// A place in the table of this mount.
pub(super) type Pass = Ticket<Arc<Backed>>;

/// The files of this mount that are passed through.
#[derive(Default)]
pub(super) struct Passing {
    pub(super) table: Arc<Table<Arc<Backed>>>,
    /// The kernel does not do it.
    refused: AtomicBool,
}

impl Passing {
    /// The kernel will not do it on this mount: it is said once, and not tried again.
    pub(super) fn refuse(&self, why: &dyn std::fmt::Display) {
        if !self.refused.swap(true, Ordering::Relaxed) {
            tracing::info!(
                reason = %why,
                "passthrough: the kernel does not read cached files by itself; all is read as without that option"
            );
        }
    }

    /// Whether the kernel does not do it.
    pub(super) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// What the kernel made of a cache file.
    pub(super) fn accepted<T>(&self, answer: io::Result<T>) -> Option<T> {
        answer.map_err(|error| self.refuse(&error)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_refuses_is_not_tried_again() {
        let passing = Passing::default();
        assert_eq!(passing.accepted(Ok(7)), Some(7));
        assert!(!passing.is_refused());
        let refused = io::Error::from_raw_os_error(libc::EPERM);
        assert_eq!(passing.accepted::<u32>(Err(refused)), None);
        assert!(passing.is_refused());
    }
}
