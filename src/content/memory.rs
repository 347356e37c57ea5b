//! Blocks in memory, on their way to readers.
//!
//! A block is here from when it arrived until a reader has passed it, or others need the
//! room: readers wait for no disk. A block that the disk has no room for stays longer,
//! since a full or broken cache disk must not stop a reader. A bounded number of bytes;
//! the least recently used go first, and what nobody used for a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hashlink::LruCache;
use parking_lot::Mutex;

use super::blocks::{BLOCK_SIZE, Block};

/// How long a block stays that nobody reads.
const IDLE: Duration = Duration::from_secs(30);

/// Which cache file, and which block of it.
type Key = (u64, Block);

/// Blocks by cache file number, so that a block of a dropped cache file is
/// never taken for one of its successor. Each is looked at several times on its way, so this
/// is one short lock and no more.
#[derive(Clone)]
pub(super) struct MemoryTier {
    /// The one unused for longest is the first.
    blocks: Arc<Mutex<LruCache<Key, Held>>>,
    capacity: u64,
}

struct Held {
    bytes: Bytes,
    used: Instant,
    /// A reader came to its end.
    passed: bool,
}

impl MemoryTier {
    /// A tier of at most `capacity` bytes.
    pub(super) fn new(capacity: u64) -> MemoryTier {
        MemoryTier {
            blocks: Arc::new(Mutex::new(LruCache::new_unbounded())),
            capacity,
        }
    }

    pub(super) fn insert(&self, number: u64, block: Block, bytes: Bytes) {
        let held = Held {
            bytes,
            used: Instant::now(),
            passed: false,
        };
        let mut blocks = self.blocks.lock();
        let before = blocks.insert((number, block), held);
        let first = match bytes_of(&blocks) > self.capacity {
            true => blocks.remove_lru(),
            false => None,
        };
        // Memory goes back where it came from, which is another lock.
        drop(blocks);
        drop((before, first));
    }

    pub(super) fn get(&self, number: u64, block: Block) -> Option<Bytes> {
        let mut blocks = self.blocks.lock();
        let held = blocks.get_mut(&(number, block))?;
        held.used = Instant::now();
        Some(held.bytes.clone())
    }

    pub(super) fn has(&self, number: u64, block: Block) -> bool {
        self.blocks.lock().contains_key(&(number, block))
    }

    /// A reader came to the end of a block: it goes, now if it is on disk or else when
    /// [`MemoryTier::written`] says so.
    pub(super) fn pass(&self, number: u64, block: Block, on_disk: bool) {
        let key = (number, block);
        let mut blocks = self.blocks.lock();
        let gone = match on_disk {
            true => blocks.remove(&key),
            false => {
                if let Some(held) = blocks.peek_mut(&key) {
                    held.passed = true;
                }
                None
            }
        };
        drop(blocks);
        drop(gone);
    }

    /// A block is on disk now.
    pub(super) fn written(&self, number: u64, block: Block) {
        let key = (number, block);
        let mut blocks = self.blocks.lock();
        let gone = match blocks.peek(&key).is_some_and(|held| held.passed) {
            true => blocks.remove(&key),
            false => None,
        };
        drop(blocks);
        drop(gone);
    }

    pub(super) fn clear(&self) {
        let blocks = std::mem::replace(&mut *self.blocks.lock(), LruCache::new_unbounded());
        drop(blocks);
    }

    /// Lets go of what was not used for a while.
    pub(super) fn expire(&self) {
        self.expire_at(Instant::now());
    }

    fn expire_at(&self, now: Instant) {
        let mut gone = Vec::new();
        let mut blocks = self.blocks.lock();
        let idle = |held: &Held| now.duration_since(held.used) >= IDLE;
        while blocks.iter().next().is_some_and(|(_, held)| idle(held)) {
            gone.extend(blocks.remove_lru());
        }
        drop(blocks);
        drop(gone);
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> u64 {
        bytes_of(&self.blocks.lock())
    }
}

/// What blocks take: a short one has a whole buffer, too.
fn bytes_of(blocks: &LruCache<Key, Held>) -> u64 {
    blocks.len() as u64 * BLOCK_SIZE
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
        // The first is used once more, and so the second goes before it.
        tier.insert(1, 100, Bytes::new());
        let oldest = (0..100).find(|&block| tier.has(1, block)).unwrap();
        tier.get(1, oldest).unwrap();
        for block in 101..103 {
            tier.insert(1, block, Bytes::new());
        }
        assert!(tier.has(1, oldest) && !tier.has(1, oldest + 1));
        tier.expire();
        assert!(tier.bytes() > 0, "all were used a moment ago");
        tier.expire_at(Instant::now() + IDLE);
        assert_eq!(tier.bytes(), 0);
        tier.insert(1, 99, Bytes::new());
        tier.clear();
        assert!(tier.get(1, 99).is_none());
    }
}
