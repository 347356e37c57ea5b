//! Cuts a stream of chunks into whole blocks without copying a byte.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::blocks::{self, Block};

/// A block as it arrived: pieces of the service's chunks, in order.
pub struct Arrived {
    /// Which block it is.
    pub block: Block,
    /// Its bytes.
    pub pieces: Vec<Bytes>,
}

impl Arrived {
    /// The block's bytes in one piece.
    pub fn joined(&self) -> Bytes {
        match self.pieces.as_slice() {
            [only] => only.clone(),
            pieces => {
                let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
                for piece in pieces {
                    whole.extend_from_slice(piece);
                }
                whole.freeze()
            }
        }
    }
}

/// Collects chunks that follow one another, from the start of a block on.
///
/// It outlives a broken connection: the next request continues at
/// [`Assembler::position`], in the middle of a block.
pub struct Assembler {
    size: u64,
    next: Block,
    held: VecDeque<Bytes>,
    held_bytes: u64,
}

impl Assembler {
    /// Begins at `first` in a file of `size` bytes.
    pub fn new(first: Block, size: u64) -> Assembler {
        Assembler {
            size,
            next: first,
            held: VecDeque::new(),
            held_bytes: 0,
        }
    }

    /// The offset of the next byte to come.
    pub fn position(&self) -> u64 {
        self.start() + self.held_bytes
    }

    /// Takes the next chunk.
    pub fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() {
            self.held_bytes += chunk.len() as u64;
            self.held.push_back(chunk);
        }
    }

    /// Takes out the blocks that are whole.
    pub fn whole_blocks(&mut self) -> Vec<Arrived> {
        let mut whole = Vec::new();
        while let Some(block) = self.pop() {
            whole.push(block);
        }
        whole
    }

    fn pop(&mut self) -> Option<Arrived> {
        let Range { start, end } = blocks::bytes_of(&(self.next..self.next + 1), self.size);
        let mut wanted = end - start;
        if wanted == 0 || self.held_bytes < wanted {
            return None;
        }
        self.held_bytes -= wanted;
        let mut pieces = Vec::new();
        while wanted > 0 {
            let mut piece = self.held.pop_front()?;
            // A piece fits in memory, so what is cut off it fits in usize.
            let take = wanted.min(piece.len() as u64);
            let rest = piece.split_off(take as usize);
            wanted -= take;
            if !rest.is_empty() {
                self.held.push_front(rest);
            }
            pieces.push(piece);
        }
        let block = self.next;
        self.next += 1;
        Some(Arrived { block, pieces })
    }

    fn start(&self) -> u64 {
        blocks::bytes_of(&(self.next..self.next), self.size).start
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::blocks::BLOCK_SIZE;
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
            let mut assembler = Assembler::new(first, size);
            let mut seen = first;
            let mut cuts = cuts.iter().cycle();
            while assembler.position() < size {
                let from = assembler.position();
                let to = size.min(from + *cuts.next().unwrap() as u64);
                assembler.push((from..to).map(byte_at).collect());
                for arrived in assembler.whole_blocks() {
                    prop_assert_eq!(arrived.block, seen);
                    let range = blocks::bytes_of(&(seen..seen + 1), size);
                    let expected: Vec<u8> = range.map(byte_at).collect();
                    prop_assert_eq!(arrived.joined(), expected);
                    seen += 1;
                }
                prop_assert_eq!(assembler.position(), to);
            }
            prop_assert_eq!(seen, 6);
            prop_assert!(assembler.whole_blocks().is_empty());
        }
    }
}
