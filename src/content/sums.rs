//! Checksums of cached blocks, kept in the cache file behind the content.
//!
//! Disks lose bits in silence. A block's CRC32C is written with its bytes, before
//! the map speaks of it, and compared when the block first comes back from the disk: once
//! while it stays there and the file is open. 4 bytes for each block follow the content from
//! the next multiple of a page on; the tail is sparse, and 0 means that no
//! checksum is known. That is so for files that came to the cache whole, after their upload,
//! until somebody has looked at them. A block that was never written has
//! none either, and reads as zeros: it is known by its place on disk, which is a hole.
//!
//! A file that others read by themselves ([`super::file`], sealing) is its content alone: its
//! checksums are in the database.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};

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
    /// The file came whole in this process, so that its holes are its content.
    whole: bool,
    /// All of them, where the cache file has none.
    apart: Option<Box<[u8]>>,
    /// Blocks that need no look any more.
    checked: BlockMap,
}

impl Sums {
    /// Those of a file of `size` bytes, of which nothing has been looked at.
    pub(super) fn new(size: u64) -> Sums {
        Sums {
            size,
            whole: false,
            apart: None,
            checked: BlockMap::empty(size),
        }
    }

    /// Those of a file that has them not behind its content; `None` if there is not one for each
    /// block.
    pub(super) fn apart(size: u64, sums: Vec<u8>) -> Option<Sums> {
        is_complete(&sums, size).then(|| Sums {
            apart: Some(sums.into()),
            ..Sums::new(size)
        })
    }

    /// Those of a file of `size` bytes that was just taken over whole.
    pub(super) fn of_whole(size: u64) -> Sums {
        Sums {
            whole: true,
            ..Sums::new(size)
        }
    }

    /// How long a cache file is for a file of `size` bytes.
    pub(super) fn file_len(size: u64) -> u64 {
        place(size, blocks::count(size))
    }

    /// Whether the cache file has none.
    pub(super) fn are_apart(&self) -> bool {
        self.apart.is_some()
    }

    /// Whether every block was found to be what was written.
    pub(super) fn are_checked(&self) -> bool {
        self.checked.is_full()
    }

    /// All checksums as they are on disk, for [`Sums::apart`]; `None` if one is not known.
    ///
    /// # Errors
    /// Those of the disk.
    pub(super) fn all(&self, disk: &File) -> io::Result<Option<Vec<u8>>> {
        // Four bytes for each 128 KiB of a file: that fits in usize.
        let mut sums = vec![0; (blocks::count(self.size) * SUM) as usize];
        disk.read_exact_at(&mut sums, place(self.size, 0))?;
        Ok(is_complete(&sums, self.size).then_some(sums))
    }

    /// Writes the checksums of blocks that follow one another and whose bytes were just
    /// written.
    ///
    /// # Errors
    /// The disk did not take them.
    pub(super) fn store(&self, disk: &File, arrived: &[Arrived]) -> io::Result<()> {
        let Some(first) = arrived.first() else {
            return Ok(());
        };
        let sums: Vec<u8> = arrived
            .iter()
            .flat_map(|arrived| encode(arrived.sum))
            .collect();
        disk.write_all_at(&sums, place(self.size, first.block))
    }

    /// Compares the blocks that `bytes`, read from `offset` on, lie in. Gives those whose
    /// checksum nobody knew, for [`Sums::learn`].
    ///
    /// # Errors
    /// One that [`bad_block`] knows, where a block is not what was written; those of the disk.
    pub(super) fn check(&self, disk: &File, offset: u64, bytes: &[u8]) -> io::Result<Vec<Learnt>> {
        let range = offset..offset + bytes.len() as u64;
        let mut learnt = Vec::new();
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
            let known = match self.known(disk, block) {
                Ok(known) => known,
                // The checksums went from behind the content once all was looked at.
                Err(_) if self.checked.contains(block) => continue,
                Err(error) => return Err(error),
            };
            if known == encode(sum) {
                self.checked.insert(&(block..block + 1));
            } else if known == [0; SUM as usize] && (self.whole || !is_hole(disk, &whole)) {
                learnt.push(Learnt { block, sum });
            } else {
                return Err(io::Error::new(io::ErrorKind::InvalidData, BadBlock(block)));
            }
        }
        Ok(learnt)
    }

    fn known(&self, disk: &File, block: Block) -> io::Result<[u8; SUM as usize]> {
        let mut known = [0; SUM as usize];
        match &self.apart {
            // There is one for each block.
            Some(sums) => known.copy_from_slice(&sums[(block * SUM) as usize..][..SUM as usize]),
            None => disk.read_exact_at(&mut known, place(self.size, block))?,
        }
        Ok(known)
    }

    /// Whether a block was found to be what was written.
    pub(super) fn is_sound(&self, block: Block) -> bool {
        self.checked.contains(block)
    }

    /// Blocks go: those that come in their place are looked at anew.
    pub(super) fn forget(&self, run: &Range<Block>) {
        self.checked.remove(run);
    }

    /// Writes checksums that were not known. Where the disk does not take them, they stay so.
    pub(super) fn learn(&self, disk: &File, learnt: &[Learnt]) {
        for Learnt { block, sum } in learnt {
            match disk.write_all_at(&encode(*sum), place(self.size, *block)) {
                Ok(()) => {
                    self.checked.insert(&(*block..block + 1));
                }
                Err(error) => tracing::debug!(%error, "a checksum could not be written"),
            }
        }
    }
}

/// Whether nothing was ever written to `bytes`, as far as the file system can tell. Some
/// keep zeros that were written as a hole: such a block is fetched once more.
fn is_hole(disk: &File, bytes: &Range<u64>) -> bool {
    let Ok(start) = bytes.start.try_into() else {
        return false;
    };
    match lseek(disk, start, Whence::SeekData) {
        Ok(data) => u64::try_from(data).is_ok_and(|data| data >= bytes.end),
        Err(Errno::ENXIO) => true,
        Err(_) => false,
    }
}

/// The checksum of a block that had none.
#[derive(Debug)]
pub(super) struct Learnt {
    block: Block,
    sum: u32,
}

/// A block is not what was written.
#[derive(Debug, thiserror::Error)]
#[error("block {0} is not what was written to the cache disk")]
struct BadBlock(Block);

/// The block that [`Sums::check`] complains of with this error.
pub(super) fn bad_block(error: &io::Error) -> Option<Block> {
    let BadBlock(block) = error.get_ref()?.downcast_ref()?;
    Some(*block)
}

/// Whether there is a checksum for each block.
fn is_complete(sums: &[u8], size: u64) -> bool {
    let (sums, rest) = sums.as_chunks::<{ SUM as usize }>();
    rest.is_empty()
        && sums.len() as u64 == blocks::count(size)
        && sums.iter().all(|sum| *sum != [0; SUM as usize])
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
    fn a_changed_bit_is_noticed_by_who_reads_any_part_of_the_block_once_its_sum_is_known() {
        let disk = tempfile::tempfile().unwrap();
        let size = 2 * BLOCK_SIZE + 10;
        disk.set_len(Sums::file_len(size)).unwrap();
        let sums = Sums::new(size);
        let bytes = Bytes::from(vec![7; BLOCK_SIZE as usize]);
        disk.write_all_at(&bytes, 0).unwrap();
        let arrived = Arrived::new(0, bytes.clone());
        sums.store(&disk, &[arrived]).unwrap();

        let later = Sums::new(size);
        later.check(&disk, 0, &bytes).unwrap();
        disk.write_all_at(&[6], BLOCK_SIZE - 1).unwrap();
        later.check(&disk, 0, &bytes).unwrap();
        let later = Sums::new(size);
        let lost = later.check(&disk, 100, &bytes[..4]).unwrap_err();
        assert_eq!(bad_block(&lost), Some(0));

        let last = 2 * BLOCK_SIZE;
        let lost = later.check(&disk, last, &[0; 10]).unwrap_err();
        assert_eq!(bad_block(&lost), Some(2), "nobody wrote it");
        let whole = Sums::of_whole(size);
        assert_eq!(whole.check(&disk, last, &[0; 10]).unwrap().len(), 1);
        disk.write_all_at(&[0; 10], last).unwrap();
        let learnt = later.check(&disk, last, &[0; 10]).unwrap();
        assert_eq!(learnt.len(), 1, "nobody knew it");
        later.learn(&disk, &learnt);
        assert!(later.check(&disk, last, &[0; 10]).unwrap().is_empty());
        disk.write_all_at(&[1], last + 9).unwrap();
        let later = Sums::new(size);
        let lost = later.check(&disk, last, &[0; 9]).unwrap_err();
        assert_eq!(bad_block(&lost), Some(2));
        assert_eq!(bad_block(&io::ErrorKind::InvalidData.into()), None);
    }
}
