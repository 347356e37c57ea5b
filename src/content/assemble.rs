//! Collects a stream of chunks into whole blocks.
//!
//! Each byte is copied once, as soon as it comes: the chunks of the network are of
//! any length, and holding on to them would hold on to the memory of whole records.

use std::io;

use bytes::Bytes;

use super::blocks::{self, BLOCK_SIZE, Block};
use super::buffers::{Buffer, Buffers};

/// A block as it arrived.
#[derive(Clone)]
pub(super) struct Arrived {
    /// Which block it is.
    pub(super) block: Block,
    /// Its bytes; they begin at a page of memory.
    pub(super) bytes: Bytes,
    /// Their CRC32C, taken while they were in the processor's caches.
    pub(super) sum: u32,
}

#[cfg(test)]
impl Arrived {
    pub(super) fn new(block: Block, bytes: Bytes) -> Arrived {
        let sum = crc32c::crc32c(&bytes);
        Arrived { block, bytes, sum }
    }
}

/// Collects chunks that follow one another, from the start of a block on.
///
/// It outlives a broken connection: the next request continues at
/// [`Assembler::position`], in the middle of a block.
pub(super) struct Assembler {
    size: u64,
    next: Block,
    partial: Option<Buffer>,
    /// The checksum of what is in `partial`.
    sum: u32,
    buffers: Buffers,
}

impl Assembler {
    /// Begins at `first` in a file of `size` bytes.
    pub(super) fn new(first: Block, size: u64, buffers: Buffers) -> Assembler {
        Assembler {
            size,
            next: first,
            partial: None,
            sum: 0,
            buffers,
        }
    }

    /// The offset of the next byte to come.
    pub(super) fn position(&self) -> u64 {
        let held = self.partial.as_ref().map_or(0, Buffer::len);
        (self.next * BLOCK_SIZE).min(self.size) + held as u64
    }

    /// Takes the next chunk, as far as the file goes, and adds the blocks that it made
    /// whole to `whole`.
    ///
    /// # Errors
    /// There is no memory.
    pub(super) fn push(&mut self, mut chunk: &[u8], whole: &mut Vec<Arrived>) -> io::Result<()> {
        while !chunk.is_empty() {
            // A block's length fits in usize.
            let len = blocks::len_of(&(self.next..self.next + 1), self.size) as usize;
            if len == 0 {
                return Ok(());
            }
            let mut buffer = match self.partial.take() {
                Some(buffer) => buffer,
                None => self.buffers.take()?,
            };
            let taken = buffer.append(chunk, len);
            self.sum = crc32c::crc32c_append(self.sum, &chunk[..taken]);
            chunk = &chunk[taken..];
            if buffer.len() < len {
                self.partial = Some(buffer);
                continue;
            }
            whole.push(Arrived {
                block: self.next,
                bytes: buffer.freeze(),
                sum: std::mem::take(&mut self.sum),
            });
            self.next += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn byte_at(offset: u64) -> u8 {
        (offset % 251) as u8
    }

    proptest! {
        #[test]
        fn blocks_hold_the_bytes_of_their_place_however_they_arrive(
            first in 0u64..3,
            tail in 1u64..=BLOCK_SIZE,
            cuts in prop::collection::vec(1usize..200_000, 1..20),
        ) {
            let size = 5 * BLOCK_SIZE + tail;
            let mut assembler = Assembler::new(first, size, Buffers::default());
            let mut seen = first;
            let mut cuts = cuts.iter().cycle();
            while assembler.position() < size {
                let from = assembler.position();
                let to = size.min(from + *cuts.next().unwrap() as u64);
                let chunk: Vec<u8> = (from..to).map(byte_at).collect();
                let mut whole = Vec::new();
                assembler.push(&chunk, &mut whole).unwrap();
                for arrived in whole {
                    prop_assert_eq!(arrived.block, seen);
                    let range = blocks::bytes_of(&(seen..seen + 1), size);
                    let expected: Vec<u8> = range.map(byte_at).collect();
                    prop_assert_eq!(arrived.sum, crc32c::crc32c(&expected));
                    prop_assert_eq!(arrived.bytes, expected);
                    seen += 1;
                }
                prop_assert_eq!(assembler.position(), to);
            }
            prop_assert_eq!(seen, 6);
        }
    }
}
