//! Reading what is at hand of a file: from memory, or from its cache file, where each block
//! is compared with its checksum when it first comes back.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use bytes::BytesMut;

use super::super::blocks::{self, Block};
use super::super::buffers::Buffers;
use super::super::disk::Disk;
use super::super::memory::MemoryTier;
use super::super::parts::Parts;
use super::super::sums::Learnt;
use super::CacheFile;

impl CacheFile {
    /// Adds the bytes from `range.start` on that are at hand, in memory or on disk, to
    /// `parts`, and returns where they end.
    ///
    /// # Errors
    /// The cache file cannot be read; it should be dropped.
    pub(in crate::content) fn read(
        &self,
        range: Range<u64>,
        memory: &MemoryTier,
        buffers: &Buffers,
        parts: &mut Parts,
    ) -> io::Result<u64> {
        let mut at = range.start;
        while at < range.end {
            let block = blocks::of(at);
            let start = blocks::bytes_of(&(block..block + 1), self.size).start;
            let end = match memory.get(self.number, block) {
                Some(bytes) => {
                    let end = (start + bytes.len() as u64).min(range.end);
                    // A block is a fraction of a megabyte: it fits in usize.
                    parts.push(bytes.slice((at - start) as usize..(end - start) as usize));
                    end
                }
                None => self.read_disk(at..range.end, memory, buffers, parts)?,
            };
            if end == at {
                break;
            }
            at = end;
        }
        Ok(at)
    }

    /// Adds bytes that are on disk: whole blocks, up to the first that is in memory, or a
    /// part of one block.
    fn read_disk(
        &self,
        range: Range<u64>,
        memory: &MemoryTier,
        buffers: &Buffers,
        parts: &mut Parts,
    ) -> io::Result<u64> {
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
            return match read {
                None => Ok(range.start),
                Some(bytes) => {
                    parts.push(bytes?);
                    Ok(end)
                }
            };
        }
        let whole = first..blocks::whole_until(range.end, self.size);
        let last = (whole.start..self.map.present_until(&whole))
            .find(|&block| memory.has(self.number, block))
            .unwrap_or_else(|| self.map.present_until(&whole));
        let present = whole.start..last;
        let bytes = blocks::bytes_of(&present, self.size);
        let read = self.while_present(&present, |disk| {
            let read = disk.read(&bytes, buffers)?;
            let mut learnt = Vec::new();
            for (block, buffer) in present.clone().zip(&read) {
                let at = blocks::bytes_of(&(block..block + 1), self.size).start;
                learnt.extend(self.sums.check(disk.file(), at, buffer.as_ref())?);
            }
            Ok((read, learnt))
        });
        match read {
            None => Ok(range.start),
            Some(read) => {
                for buffer in read? {
                    parts.push(buffer.freeze());
                }
                Ok(bytes.end)
            }
        }
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
            self.sums.learn(disk.file(), &learnt);
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
