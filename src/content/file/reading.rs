//! Reading what is at hand of a file: from memory, or from its cache file, where each block
//! is compared with its checksum when it first comes back.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use bytes::BytesMut;

use super::super::blocks::{self, Block};
use super::super::buffers::{Buffer, Buffers};
use super::super::disk::Disk;
use super::super::memory::MemoryTier;
use super::super::parts::Parts;
use super::super::sums::Learnt;
use super::CacheFile;

/// What a read found at hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::content) struct Found {
    /// Where the bytes end.
    pub(in crate::content) end: u64,
    /// Whether whole blocks had to come from the disk, so that the reader waited for it.
    pub(in crate::content) whole_from_disk: bool,
}

impl CacheFile {
    /// Adds the bytes from `range.start` on that are at hand, in memory or on disk, to
    /// `parts`, and tells where they end and where they were.
    ///
    /// # Errors
    /// The cache file cannot be read; it should be dropped.
    pub(in crate::content) fn read(
        &self,
        range: Range<u64>,
        memory: &MemoryTier,
        buffers: &Buffers,
        parts: &mut Parts,
    ) -> io::Result<Found> {
        let mut found = Found {
            end: range.start,
            whole_from_disk: false,
        };
        while found.end < range.end {
            let at = found.end;
            let block = blocks::of(at);
            let start = blocks::bytes_of(&(block..block + 1), self.size).start;
            found.end = match memory.get(self.number, block) {
                Some(bytes) => {
                    let end = (start + bytes.len() as u64).min(range.end);
                    // A block is a fraction of a megabyte: it fits in usize.
                    parts.push(bytes.slice((at - start) as usize..(end - start) as usize));
                    end
                }
                None => {
                    let more = self.read_disk(at..range.end, memory, buffers, parts)?;
                    found.whole_from_disk |= more.whole_from_disk;
                    more.end
                }
            };
            if found.end == at {
                break;
            }
        }
        Ok(found)
    }

    /// Adds bytes that are on disk: whole blocks, up to the first that is in memory, or a
    /// part of one block.
    fn read_disk(
        &self,
        range: Range<u64>,
        memory: &MemoryTier,
        buffers: &Buffers,
        parts: &mut Parts,
    ) -> io::Result<Found> {
        let mut found = Found {
            end: range.start,
            whole_from_disk: false,
        };
        let first = blocks::of(range.start);
        let part = blocks::bytes_of(&(first..first + 1), self.size);
        if range.start > part.start || range.end < part.end {
            let end = range.end.min(part.end);
            let read = self.while_present(&(first..first + 1), |disk| {
                // What a reader asks for at once fits in memory, so in usize.
                let mut bytes = BytesMut::zeroed((end - range.start) as usize);
                disk.file().read_exact_at(&mut bytes, range.start)?;
                let learnt = self.sums.check(disk.file(), range.start, &bytes)?;
                Ok((bytes.freeze(), learnt))
            });
            if let Some(bytes) = read {
                parts.push(bytes?);
                found.end = end;
            }
            return Ok(found);
        }
        let whole = first..blocks::whole_until(range.end, self.size);
        let present = self.on_disk_alone(&whole, memory);
        if let Some(read) = self.read_blocks(&present, buffers) {
            for buffer in read? {
                parts.push(buffer.freeze());
            }
            found.end = blocks::bytes_of(&present, self.size).end;
            found.whole_from_disk = true;
        }
        Ok(found)
    }

    /// Brings those of `run` to memory that are on disk, for who reads on there.
    ///
    /// # Errors
    /// The cache file cannot be read; it should be dropped.
    pub(in crate::content) fn lift(
        &self,
        run: &Range<Block>,
        memory: &MemoryTier,
        buffers: &Buffers,
    ) -> io::Result<()> {
        let mut at = run.start;
        while at < run.end {
            let present = self.on_disk_alone(&(at..run.end), memory);
            if let Some(read) = self.read_blocks(&present, buffers) {
                for (block, buffer) in present.clone().zip(read?) {
                    memory.insert(self.number, block, buffer.freeze());
                }
            }
            at = present.end + 1;
        }
        Ok(())
    }

    /// The blocks from `run.start` on that are on disk and not in memory.
    fn on_disk_alone(&self, run: &Range<Block>, memory: &MemoryTier) -> Range<Block> {
        let present = run.start..self.map.present_until(run);
        let in_memory = present
            .clone()
            .find(|&block| memory.has(self.number, block));
        present.start..in_memory.unwrap_or(present.end)
    }

    /// Reads whole blocks, compared with their checksums; `None` if they are not on disk.
    fn read_blocks(
        &self,
        present: &Range<Block>,
        buffers: &Buffers,
    ) -> Option<io::Result<Vec<Buffer>>> {
        let bytes = blocks::bytes_of(present, self.size);
        self.while_present(present, |disk| {
            let read = disk.read(&bytes, buffers)?;
            let mut learnt = Vec::new();
            for (block, buffer) in present.clone().zip(&read) {
                let at = blocks::bytes_of(&(block..block + 1), self.size).start;
                learnt.extend(self.sums.check(disk.file(), at, buffer.as_ref())?);
            }
            Ok((read, learnt))
        })
    }

    /// What `read` makes of blocks that are on disk, and learns of their checksums; `None` if
    /// they are not, or were punched out while it read and may have been read as zeros:
    /// see [`BlockMap::era`].
    fn while_present<T>(
        &self,
        blocks: &Range<Block>,
        read: impl FnOnce(&Disk) -> io::Result<(T, Vec<Learnt>)>,
    ) -> Option<io::Result<T>> {
        let disk = self.disk.as_ref()?;
        let era = self.map.era();
        if blocks.is_empty() || self.map.present_until(blocks) < blocks.end {
            return None;
        }
        let read = read(disk);
        let in_time = self.map.era() == era;
        in_time.then(|| {
            let (made, learnt) = read?;
            self.learn(disk, &learnt);
            Ok(made)
        })
    }

    /// Lets go of the blocks in memory that a read of `range` came to the end of, once they
    /// are on disk: who reads on has no more use for them, and the kernel keeps what
    /// it was given.
    pub(in crate::content) fn let_go(&self, range: &Range<u64>, memory: &MemoryTier) {
        for block in blocks::of(range.start)..blocks::whole_until(range.end, self.size) {
            memory.pass(self.number, block, self.map.contains(block));
        }
    }
}
