//! The byte budget: how much of the disk staged data may take.
//!
//! It counts bytes in use in data files: written, held or not yet punched.
//! What is already there at start is counted even where it is over the limit;
//! only new writes are refused.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use super::StagingError;

/// The budget of one staging folder.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u64,
    used: AtomicU64,
    /// Rung when bytes are given back.
    room: Notify,
    /// Counts what brings room nearer: bytes given back, and bytes of versions that were
    /// read to be sent for the first time.
    progress: AtomicU64,
}

impl Budget {
    pub fn new(limit: u64, used: u64) -> Budget {
        Budget {
            limit,
            used: AtomicU64::new(used),
            room: Notify::new(),
            progress: AtomicU64::new(0),
        }
    }

    /// Bytes that may be used.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes in use. (Relaxed everywhere: the figure orders nothing else.)
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes `bytes`, all or nothing.
    pub fn try_reserve(&self, bytes: u64) -> Result<(), StagingError> {
        let taken = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes)
                    .filter(|used| bytes == 0 || *used <= self.limit)
            });
        taken.map(drop).map_err(|used| StagingError::Budget {
            needed: bytes,
            free: self.limit.saturating_sub(used),
        })
    }

    /// Whether `bytes` would fit now.
    pub fn check(&self, bytes: u64) -> Result<(), StagingError> {
        let free = self.limit.saturating_sub(self.used());
        if bytes <= free {
            return Ok(());
        }
        Err(StagingError::Budget {
            needed: bytes,
            free,
        })
    }

    /// Counts bytes that are there anyway.
    pub fn count(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives `bytes` back.
    pub fn release(&self, bytes: u64) {
        // Saturating: the sum at start is an estimate where versions of an
        // earlier process were not whole.
        let given = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                Some(used.saturating_sub(bytes))
            });
        debug_assert!(given.is_ok());
        if bytes > 0 {
            self.advance(bytes);
            self.room.notify_waiters();
        }
    }

    /// Bytes were given back, or are being sent.
    pub fn advance(&self, bytes: u64) {
        self.progress.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Grows as long as room is being made.
    pub fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// Resolves when bytes are given back from now on.
    pub async fn room(&self) {
        self.room.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_and_takes_nothing() {
        let budget = Budget::new(100, 40);
        budget.try_reserve(60).unwrap();
        let refused = budget.try_reserve(1).unwrap_err();
        assert!(refused.is_full());
        budget.release(10);
        budget.try_reserve(10).unwrap();
        assert_eq!(budget.used(), 100);
    }

    #[test]
    fn what_is_there_is_counted_beyond_the_limit() {
        let budget = Budget::new(10, 0);
        budget.count(50);
        assert!(budget.try_reserve(1).is_err());
        budget.try_reserve(0).unwrap();
        budget.release(45);
        budget.try_reserve(5).unwrap();
    }
}
