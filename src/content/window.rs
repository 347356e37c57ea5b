//! How far ahead of a reader may be asked, on what terms, and in what pieces.

use std::ops::Range;
use std::time::Duration;

use super::blocks::{self, BLOCK_SIZE, Block};

/// A run ahead is a part of the window, so that several connections share it,
/// but no shorter than this, or the wait for its first byte would be most of it.
const SHORTEST_RUN: u64 = 6 * 1024 * 1024;

/// Where each run costs a link of its own, the first of a reader is this long, and a window
/// is split into a few runs only, of at most so many times the usual length: the calls of
/// the API that they cost come slowly.
pub(super) const FIRST_DEAR_RUN: u64 = 8 * 1024 * 1024;
const DEAR_RUNS: u64 = 4;
const DEAR_LENGTH: u64 = 2;

/// Bounds on reading ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Most bytes of one range request.
    pub(super) run: u64,
    /// Most bytes ahead of one reader.
    pub(super) ahead: u64,
    /// How long after its last read a reader is still counted on to go on.
    pub(super) attention: Duration,
}

impl Window {
    /// How long the runs are that a window of so many bytes is split into.
    pub(super) fn run_of(self, window: u64, terms: Terms) -> u64 {
        match terms.price {
            Price::Free => self.share_of(window, terms),
            Price::Link => (window / DEAR_RUNS)
                .max(FIRST_DEAR_RUN)
                .min(self.longest_run(terms.price)),
        }
    }

    /// So much of `bytes` that each connection has a run, and some wait for one that comes
    /// free. Few long runs: each costs the wait for its first byte.
    fn share_of(self, bytes: u64, terms: Terms) -> u64 {
        let lines = terms.lines.max(1);
        let waiting = (lines / 4).max(1);
        // Whole blocks, or the rest of one would be a run.
        let share = bytes / (lines + waiting) / BLOCK_SIZE * BLOCK_SIZE;
        share.clamp(SHORTEST_RUN.min(self.run), self.run)
    }

    /// The runs that `wanted` of a file of `size` bytes is cut into, of `run` bytes each.
    pub(super) fn cut(
        self,
        wanted: Range<Block>,
        run: u64,
        terms: Terms,
        size: u64,
    ) -> Vec<Range<Block>> {
        match terms.price {
            // The last runs of a file are short, so that all connections come to their end
            // together.
            Price::Free => split_by(wanted, |start| {
                let left = (blocks::count(size) - start) * BLOCK_SIZE;
                run.min(self.share_of(left, terms))
            }),
            Price::Link => split(wanted, run),
        }
    }

    /// Most bytes of one range request.
    fn longest_run(self, price: Price) -> u64 {
        match price {
            Price::Free => self.run,
            Price::Link => self.run * DEAR_LENGTH,
        }
    }
}

/// Whether more may be asked ahead, over the readers of all files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Room {
    /// Windows may grow up to so many bytes.
    UpTo(u64),
    /// Windows shrink.
    Short,
}

/// What a range request costs besides its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Price {
    /// Nothing: all of a file share one link.
    Free,
    /// A link of its own, and so a call of the API.
    Link,
}

/// On which terms may be read ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) room: Room,
    pub(super) price: Price,
    /// Connections that fall to this reader.
    pub(super) lines: u64,
}

/// Whether a read found its bytes at hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Met {
    /// In the cache.
    AtHand,
    /// It had to wait for the service.
    Waited,
    /// On disk: they came so early that memory had no room for them any more.
    Late,
}

/// Cuts `blocks` into runs of at most `run` bytes.
pub(super) fn split(blocks: Range<Block>, run: u64) -> Vec<Range<Block>> {
    split_by(blocks, |_| run)
}

/// Cuts `blocks` into runs of at most as many bytes as `run` gives for the place where one
/// begins.
fn split_by(blocks: Range<Block>, run: impl Fn(Block) -> u64) -> Vec<Range<Block>> {
    let mut runs = Vec::new();
    let mut start = blocks.start;
    while start < blocks.end {
        let end = (start + (run(start) / BLOCK_SIZE).max(1)).min(blocks.end);
        runs.push(start..end);
        start = end;
    }
    runs
}
