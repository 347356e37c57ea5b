//! Blocks in memory, on their way to readers.
//!
//! A block is here from when it arrived until a reader has passed it, or others need the
//! room: readers wait for no disk. A block that the disk has no room for stays longer,
//! since a full or broken cache disk must not stop a reader. A bounded number of bytes;
//! the least recently used go first, and what nobody used for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::blocks::{BLOCK_SIZE, Block};

/// How long a block stays that nobody reads.
const IDLE: Duration = Duration::from_secs(30);

/// Which cache file, and which block of it.
type Key = (u64, Block);

/// Blocks by cache file number, so that a block of a dropped cache file is
/// never taken for one of its successor.
#[derive(Clone)]
pub(super) struct MemoryTier {
    blocks: Cache<Key, Arc<Held>>,
}

struct Held {
    bytes: Bytes,
    /// A reader came to its end.
    passed: AtomicBool,
}

impl MemoryTier {
    /// A tier of at most `capacity` bytes.
    pub(super) fn new(capacity: u64) -> MemoryTier {
        let blocks = Cache::builder()
            .max_capacity(capacity)
            // A short block has a whole buffer.
            .weigher(|_, _| BLOCK_SIZE as u32)
            // A block that has just come in is about to be read: the default
            // policy could refuse it in favour of often used ones.
            .eviction_policy(EvictionPolicy::lru())
            .time_to_idle(IDLE)
            .build();
        MemoryTier { blocks }
    }

    pub(super) fn insert(&self, number: u64, block: Block, bytes: Bytes) {
        let passed = AtomicBool::new(false);
        let held = Arc::new(Held { bytes, passed });
        self.blocks.insert((number, block), held);
    }

    pub(super) fn get(&self, number: u64, block: Block) -> Option<Bytes> {
        let held = self.blocks.get(&(number, block))?;
        Some(held.bytes.clone())
    }

    pub(super) fn has(&self, number: u64, block: Block) -> bool {
        self.blocks.contains_key(&(number, block))
    }

    /// A reader came to the end of a block: it goes, now if it is on disk or else when
    /// [`MemoryTier::written`] says so.
    pub(super) fn pass(&self, number: u64, block: Block, on_disk: bool) {
        let key = (number, block);
        if on_disk {
            self.blocks.invalidate(&key);
        } else if let Some(held) = self.blocks.get(&key) {
            held.passed.store(true, Ordering::Relaxed);
        }
    }

    /// A block is on disk now.
    pub(super) fn written(&self, number: u64, block: Block) {
        let key = (number, block);
        let passed = |held: Arc<Held>| held.passed.load(Ordering::Relaxed);
        if self.blocks.get(&key).is_some_and(passed) {
            self.blocks.invalidate(&key);
        }
    }

    pub(super) fn clear(&self) {
        self.blocks.invalidate_all();
    }

    /// Lets go of what was not used for a while: it goes by itself only where others come.
    pub(super) fn expire(&self) {
        self.blocks.run_pending_tasks();
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> u64 {
        self.blocks.run_pending_tasks();
        self.blocks.weighted_size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_within_its_bytes_and_keeps_what_came_last() {
        let tier = MemoryTier::new(10 * BLOCK_SIZE);
        for block in 0..100 {
            tier.insert(1, block, Bytes::from(vec![block as u8; 100]));
        }
        assert!(tier.bytes() <= 10 * BLOCK_SIZE);
        assert_eq!(tier.get(1, 99).as_deref(), Some([99; 100].as_slice()));
        assert!(tier.get(2, 99).is_none());
        tier.pass(1, 99, false);
        assert!(tier.has(1, 99));
        tier.written(1, 98);
        tier.written(1, 99);
        assert!(tier.has(1, 98) && !tier.has(1, 99));
        tier.pass(1, 98, true);
        assert!(!tier.has(1, 98));
        tier.clear();
        assert!(tier.get(1, 99).is_none());
    }
}
