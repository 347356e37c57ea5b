//! Block arithmetic, and the map that says which blocks of a file are here.
//!
//! A block is the unit of presence: it is on disk whole or not at all. Only
//! the last block of a file may be short.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of a block. What the kernel's read-ahead asks for at once, so that a
/// small first read costs no more than it shows.
pub const BLOCK_SIZE: u64 = 128 * 1024;

/// The number of a block within its file.
pub type Block = u64;

/// How many blocks a file of `size` bytes has.
pub fn count(size: u64) -> Block {
    size.div_ceil(BLOCK_SIZE)
}

/// The block that holds the byte at `offset`.
pub fn of(offset: u64) -> Block {
    offset / BLOCK_SIZE
}

/// The blocks that hold the bytes of `range`.
pub fn covering(range: &Range<u64>) -> Range<Block> {
    if range.is_empty() {
        return 0..0;
    }
    of(range.start)..count(range.end)
}

/// The bytes of `blocks` in a file of `size` bytes.
pub fn bytes_of(blocks: &Range<Block>, size: u64) -> Range<u64> {
    (blocks.start * BLOCK_SIZE).min(size)..(blocks.end * BLOCK_SIZE).min(size)
}

/// The end of the last block that lies whole before `end`, in a file of `size` bytes.
pub fn whole_until(end: u64, size: u64) -> Block {
    if end >= size { count(size) } else { of(end) }
}

/// Blocks in order, as runs of those that follow one another.
pub fn runs(blocks: impl IntoIterator<Item = Block>) -> Vec<Range<Block>> {
    let mut runs: Vec<Range<Block>> = Vec::new();
    for block in blocks {
        match runs.last_mut() {
            Some(run) if run.end == block => run.end += 1,
            _ => runs.push(block..block + 1),
        }
    }
    runs
}

/// How many bytes `blocks` have in a file of `size` bytes.
pub fn len_of(blocks: &Range<Block>, size: u64) -> u64 {
    let bytes = bytes_of(blocks, size);
    bytes.end - bytes.start
}

/// Which blocks of one file are present.
///
/// Read without a lock from FUSE threads. A bit is set after its bytes were
/// written, and cleared before they are punched out; see [`BlockMap::era`] for
/// how a reader notices the latter.
pub struct BlockMap {
    size: u64,
    words: Box<[AtomicU64]>,
    present_bytes: AtomicU64,
    era: AtomicU64,
}

impl BlockMap {
    /// The map of a file of `size` bytes of which nothing is here.
    pub fn empty(size: u64) -> BlockMap {
        let words = count(size).div_ceil(64);
        BlockMap {
            size,
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            present_bytes: AtomicU64::new(0),
            era: AtomicU64::new(0),
        }
    }

    /// The map of a file of which everything is here.
    pub fn full(size: u64) -> BlockMap {
        let map = BlockMap::empty(size);
        map.insert(&(0..map.blocks()));
        map
    }

    /// Reads what [`BlockMap::to_bytes`] wrote; `None` if it is of another length.
    pub fn from_bytes(size: u64, bytes: &[u8]) -> Option<BlockMap> {
        let map = BlockMap::empty(size);
        let (words, rest) = bytes.as_chunks::<8>();
        if words.len() != map.words.len() || !rest.is_empty() {
            return None;
        }
        for (index, word) in words.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            for bit in (0..64).filter(|bit| word & (1 << bit) != 0) {
                let block = index as u64 * 64 + bit;
                if block >= map.blocks() {
                    return None;
                }
                map.insert(&(block..block + 1));
            }
        }
        Some(map)
    }

    /// The map as it is stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.words
            .iter()
            .flat_map(|word| word.load(Ordering::SeqCst).to_le_bytes())
            .collect()
    }

    /// How many blocks the file has.
    pub fn blocks(&self) -> Block {
        count(self.size)
    }

    /// Bytes that are present.
    pub fn present_bytes(&self) -> u64 {
        self.present_bytes.load(Ordering::Relaxed)
    }

    /// Whether every byte of the file is present.
    pub fn is_full(&self) -> bool {
        self.present_bytes() == self.size
    }

    /// Counts the removals. A reader that found its blocks present, read them,
    /// and finds the era unchanged has read before anything was punched out.
    pub fn era(&self) -> u64 {
        self.era.load(Ordering::SeqCst)
    }

    /// Whether `block` is present.
    pub fn contains(&self, block: Block) -> bool {
        self.word(block)
            .is_some_and(|(word, bit)| word.load(Ordering::SeqCst) & bit != 0)
    }

    /// The end of the run of present blocks that begins at `blocks.start`, at
    /// most `blocks.end`.
    pub fn present_until(&self, blocks: &Range<Block>) -> Block {
        blocks
            .clone()
            .find(|&block| !self.contains(block))
            .unwrap_or(blocks.end)
    }

    /// The runs of `blocks` that are absent, in order.
    pub fn missing(&self, blocks: &Range<Block>) -> Vec<Range<Block>> {
        runs((blocks.start..blocks.end.min(self.blocks())).filter(|&block| !self.contains(block)))
    }

    /// Marks `blocks` as present; their bytes must have been written. Returns
    /// how many bytes were absent before.
    pub fn insert(&self, blocks: &Range<Block>) -> u64 {
        let mut added = 0;
        for block in blocks.start..blocks.end.min(self.blocks()) {
            if let Some((word, bit)) = self.word(block)
                && word.fetch_or(bit, Ordering::SeqCst) & bit == 0
            {
                added += len_of(&(block..block + 1), self.size);
            }
        }
        self.present_bytes.fetch_add(added, Ordering::Relaxed);
        added
    }

    /// Marks `blocks` as absent; their bytes may be punched out afterwards.
    /// Returns how many bytes were present before.
    pub fn remove(&self, blocks: &Range<Block>) -> u64 {
        let mut removed = 0;
        for block in blocks.start..blocks.end.min(self.blocks()) {
            if let Some((word, bit)) = self.word(block)
                && word.fetch_and(!bit, Ordering::SeqCst) & bit != 0
            {
                removed += len_of(&(block..block + 1), self.size);
            }
        }
        self.present_bytes.fetch_sub(removed, Ordering::Relaxed);
        // After the bits: a reader that saw one of them set saw the era before.
        self.era.fetch_add(1, Ordering::SeqCst);
        removed
    }

    fn word(&self, block: Block) -> Option<(&AtomicU64, u64)> {
        let word = self.words.get(usize::try_from(block / 64).ok()?)?;
        Some((word, 1 << (block % 64)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_block_is_short() {
        let size = 3 * BLOCK_SIZE + 5;
        assert_eq!(count(size), 4);
        assert_eq!(bytes_of(&(3..4), size), 3 * BLOCK_SIZE..size);
        assert_eq!(len_of(&(2..4), size), BLOCK_SIZE + 5);
        assert_eq!(count(0), 0);
        assert_eq!(whole_until(size, size), 4);
        assert_eq!(whole_until(size - 1, size), 3);
        assert_eq!(whole_until(BLOCK_SIZE, size), 1);
        assert_eq!(whole_until(BLOCK_SIZE - 1, size), 0);
        assert_eq!(covering(&(5..5)), 0..0);
        assert_eq!(covering(&(BLOCK_SIZE - 1..BLOCK_SIZE + 1)), 0..2);
        assert_eq!(covering(&(BLOCK_SIZE..2 * BLOCK_SIZE)), 1..2);
    }

    #[test]
    fn a_stored_map_of_another_length_or_with_bits_past_the_end_is_refused() {
        let map = BlockMap::full(65 * BLOCK_SIZE);
        let bytes = map.to_bytes();
        assert!(BlockMap::from_bytes(65 * BLOCK_SIZE, &bytes).is_some_and(|map| map.is_full()));
        assert!(BlockMap::from_bytes(65 * BLOCK_SIZE, &bytes[1..]).is_none());
        assert!(BlockMap::from_bytes(64 * BLOCK_SIZE, &bytes).is_none());
        assert!(BlockMap::from_bytes(64 * BLOCK_SIZE + 1, &[0xff; 16]).is_none());
    }

    #[test]
    fn a_removal_changes_the_era_and_an_insertion_does_not() {
        let map = BlockMap::empty(BLOCK_SIZE);
        let era = map.era();
        map.insert(&(0..1));
        assert_eq!(map.era(), era);
        map.remove(&(0..1));
        assert_ne!(map.era(), era);
    }

    proptest! {
        #[test]
        fn the_map_behaves_like_a_set(
            blocks in 1u64..200,
            tail in 1u64..=BLOCK_SIZE,
            changes in prop::collection::vec((any::<bool>(), 0u64..200, 0u64..70), 0..30),
            ask in (0u64..200, 0u64..200),
        ) {
            let size = (blocks - 1) * BLOCK_SIZE + tail;
            let map = BlockMap::empty(size);
            let mut set = BTreeSet::new();
            for (insert, start, len) in changes {
                let range = start.min(blocks)..(start + len).min(blocks);
                if insert {
                    map.insert(&range);
                    set.extend(range);
                } else {
                    map.remove(&range);
                    set.retain(|block| !range.contains(block));
                }
            }
            let present: u64 = set.iter().map(|&b| len_of(&(b..b + 1), size)).sum();
            prop_assert_eq!(map.present_bytes(), present);
            let again = BlockMap::from_bytes(size, &map.to_bytes()).unwrap();
            for block in 0..blocks + 70 {
                prop_assert_eq!(map.contains(block), set.contains(&block));
                prop_assert_eq!(again.contains(block), set.contains(&block));
            }
            let ask = ask.0.min(ask.1).min(blocks)..ask.0.max(ask.1).min(blocks);
            let missing: Vec<u64> = map.missing(&ask).into_iter().flatten().collect();
            let expected: Vec<u64> = ask.clone().filter(|b| !set.contains(b)).collect();
            prop_assert_eq!(missing, expected.clone());
            prop_assert_eq!(map.present_until(&ask), expected.first().copied().unwrap_or(ask.end));
        }
    }
}
