//! Blocks in memory: the place of those that the disk has no room for.
//!
//! A full or broken cache disk must not stop a reader. Its blocks pass through
//! here, a bounded number of bytes, the least recently used go first.

use bytes::Bytes;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::blocks::Block;

/// Which cache file, and which block of it.
type Key = (u64, Block);

/// Blocks by cache file number, so that a block of a dropped cache file is
/// never taken for one of its successor.
#[derive(Clone)]
pub(super) struct MemoryTier {
    blocks: Cache<Key, Bytes>,
}

impl MemoryTier {
    /// A tier of at most `capacity` bytes.
    pub(super) fn new(capacity: u64) -> MemoryTier {
        let blocks = Cache::builder()
            .max_capacity(capacity)
            .weigher(|_, block: &Bytes| u32::try_from(block.len()).unwrap_or(u32::MAX))
            // A block that has just come in is about to be read: the default
            // policy could refuse it in favour of often used ones.
            .eviction_policy(EvictionPolicy::lru())
            .build();
        MemoryTier { blocks }
    }

    pub(super) fn insert(&self, number: u64, block: Block, bytes: Bytes) {
        self.blocks.insert((number, block), bytes);
    }

    pub(super) fn get(&self, number: u64, block: Block) -> Option<Bytes> {
        self.blocks.get(&(number, block))
    }

    pub(super) fn clear(&self) {
        self.blocks.invalidate_all();
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
        let tier = MemoryTier::new(1000);
        for block in 0..100 {
            tier.insert(1, block, Bytes::from(vec![block as u8; 100]));
        }
        assert!(tier.bytes() <= 1000);
        assert_eq!(tier.get(1, 99).as_deref(), Some([99; 100].as_slice()));
        assert!(tier.get(2, 99).is_none());
        tier.clear();
        assert!(tier.get(1, 99).is_none());
    }
}
