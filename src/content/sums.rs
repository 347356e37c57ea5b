//! Checksums of cached blocks, kept in the cache file behind the content.
//!
//! Disks lose bits in silence. A block's CRC32C is written with its bytes, before
//! the map speaks of it, and compared when the block comes back from a disk that was
//! written by an earlier process: once per block, since after that the page
//! cache has it. 4 bytes for each block follow the content from the next multiple of
//! a page on; the tail is sparse, and 0 means that no checksum is known.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::assemble::Arrived;
use super::blocks::{self, Block, BlockMap};

/// The content is padded to a multiple of this, so that the checksums lie on pages
/// of their own.
const PAGE: u64 = 4096;

/// Bytes of a checksum.
const SUM: u64 = 4;

/// The checksums of one cache file.
pub(super) struct Sums {
    size: u64,
    /// Blocks that need no look any more.
    checked: BlockMap,
}

impl Sums {
    /// Those of a file of `size` bytes, of which nothing has been looked at.
    pub(super) fn new(size: u64) -> Sums {
        Sums {
            size,
            checked: BlockMap::empty(size),
        }
    }

    /// How long a cache file is for a file of `size` bytes.
    pub(super) fn file_len(size: u64) -> u64 {
        place(size, blocks::count(size))
    }

    /// Writes the checksum of a block whose bytes were just written.
    ///
    /// # Errors
    /// The disk did not take it.
    pub(super) fn store(&self, disk: &File, arrived: &Arrived) -> io::Result<()> {
        let sum = arrived
            .pieces
            .iter()
            .fold(0, |sum, piece| crc32c::crc32c_append(sum, piece));
        disk.write_all_at(&encode(sum), place(self.size, arrived.block))?;
        self.checked.insert(&(arrived.block..arrived.block + 1));
        Ok(())
    }

    /// Compares the blocks that `bytes`, read from `offset` on, lie in.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] where a block is not what was written; those
    /// of the disk.
    pub(super) fn check(&self, disk: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let range = offset..offset + bytes.len() as u64;
        for block in blocks::covering(&range) {
            if self.checked.contains(block) {
                continue;
            }
            let whole = blocks::bytes_of(&(block..block + 1), self.size);
            let sum = if range.start <= whole.start && whole.end <= range.end {
                // Within `bytes`, which is in memory.
                let at = (whole.start - offset) as usize..(whole.end - offset) as usize;
                crc32c::crc32c(&bytes[at])
            } else {
                let mut block = vec![0; (whole.end - whole.start) as usize];
                disk.read_exact_at(&mut block, whole.start)?;
                crc32c::crc32c(&block)
            };
            let mut known = [0; SUM as usize];
            disk.read_exact_at(&mut known, place(self.size, block))?;
            if known != [0; SUM as usize] && known != encode(sum) {
                let text = format!("block {block} is not what was written to the cache disk");
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            self.checked.insert(&(block..block + 1));
        }
        Ok(())
    }
}

/// Where a block's checksum is.
fn place(size: u64, block: Block) -> u64 {
    size.next_multiple_of(PAGE) + block * SUM
}

/// 0 stands for "not known", so a checksum of 0 is written as another value: that of
/// all ones, which then stands for both.
fn encode(sum: u32) -> [u8; SUM as usize] {
    let sum = if sum == 0 { u32::MAX } else { sum };
    sum.to_le_bytes()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::blocks::BLOCK_SIZE;
    use super::*;

    #[test]
    fn a_changed_bit_is_noticed_by_who_reads_any_part_of_the_block_and_an_unknown_sum_is_not() {
        let disk = tempfile::tempfile().unwrap();
        let size = 2 * BLOCK_SIZE + 10;
        disk.set_len(Sums::file_len(size)).unwrap();
        let sums = Sums::new(size);
        let bytes = Bytes::from(vec![7; BLOCK_SIZE as usize]);
        disk.write_all_at(&bytes, 0).unwrap();
        let pieces = vec![bytes.slice(..9), bytes.slice(9..)];
        sums.store(&disk, &Arrived { block: 0, pieces }).unwrap();

        let later = Sums::new(size);
        later.check(&disk, 0, &bytes).unwrap();
        disk.write_all_at(&[6], BLOCK_SIZE - 1).unwrap();
        later.check(&disk, 0, &bytes).unwrap();
        let later = Sums::new(size);
        let lost = later.check(&disk, 100, &bytes[..4]).unwrap_err();
        assert_eq!(lost.kind(), io::ErrorKind::InvalidData);
        later.check(&disk, 2 * BLOCK_SIZE, &[0; 10]).unwrap();
    }
}
