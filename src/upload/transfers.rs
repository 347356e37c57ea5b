//! Uploads under way, for status.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::ids::Ino;

/// An upload under way.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// The node.
    pub ino: Ino,
    /// Bytes handed to the network.
    pub sent: u64,
    /// Bytes in all.
    pub size: u64,
    /// How long it has been going on.
    pub running: Duration,
}

/// Counts the bytes of one upload; it is listed until this is dropped.
pub(super) struct Meter {
    transfers: Arc<Transfers>,
    ino: Ino,
    entry: Arc<Entry>,
}

struct Entry {
    sent: AtomicU64,
    size: u64,
    began: Instant,
}

/// All uploads under way.
#[derive(Default)]
pub(super) struct Transfers {
    entries: Mutex<HashMap<Ino, Arc<Entry>>>,
}

impl Transfers {
    /// Lists an upload of `size` bytes.
    pub fn begin(self: &Arc<Self>, ino: Ino, size: u64) -> Meter {
        let entry = Arc::new(Entry {
            sent: AtomicU64::new(0),
            size,
            began: Instant::now(),
        });
        self.entries.lock().insert(ino, entry.clone());
        Meter {
            transfers: self.clone(),
            ino,
            entry,
        }
    }

    pub fn snapshot(&self) -> Vec<Transfer> {
        let mut all: Vec<Transfer> = self
            .entries
            .lock()
            .iter()
            .map(|(ino, entry)| Transfer {
                ino: *ino,
                sent: entry.sent.load(Ordering::Relaxed),
                size: entry.size,
                running: entry.began.elapsed(),
            })
            .collect();
        all.sort_by_key(|transfer| transfer.ino);
        all
    }
}

impl Meter {
    pub fn add(&self, bytes: usize) {
        self.entry.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.transfers.entries.lock().remove(&self.ino);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_listed_with_its_bytes_until_it_ends() {
        let transfers = Arc::new(Transfers::default());
        let meter = transfers.begin(Ino(7), 100);
        meter.add(30);
        meter.add(12);
        let listed = transfers.snapshot();
        assert_eq!(
            (listed[0].ino, listed[0].sent, listed[0].size),
            (Ino(7), 42, 100)
        );
        drop(meter);
        assert!(transfers.snapshot().is_empty());
    }
}
