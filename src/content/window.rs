//! How far ahead of a reader may be asked, on what terms, and in what pieces.

use std::ops::Range;
use std::time::Duration;

use super::LONGEST_RUN;
use super::blocks::{BLOCK_SIZE, Block};

/// A run ahead is a part of the window, so that several connections share it,
/// but no shorter than this, or the wait for its first byte would be most of it.
const SHORTEST_RUN: u64 = 6 * 1024 * 1024;

/// Where connections stand idle a run may be as short as this: all of them together bring
/// sooner what a reader waits for.
const SHORTEST_SHARE: u64 = 512 * 1024;

/// Where each run costs a link of its own, the first of a reader is this long, and a window
/// is split into a few runs only, of at most so many times the usual length: the calls of
/// the API that they cost come slowly.
pub(super) const FIRST_DEAR_RUN: u64 = 8 * 1024 * 1024;
const DEAR_RUNS: u64 = 4;
const DEAR_LENGTH: u64 = 2;

/// Bounds on reading ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Most bytes of one range request, besides a rest that is not worth another.
    pub(super) run: u64,
    /// Most bytes ahead of one reader.
    pub(super) ahead: u64,
    /// How long after its last read a reader is still counted on to go on.
    pub(super) attention: Duration,
}

/// Bounds on what comes from the disk ahead of one reader: enough that the disk has something
/// to do while the reader takes in what came, in pieces that cost few hops to other
/// threads.
pub(super) const FROM_DISK: Window = Window {
    run: 1024 * 1024,
    ahead: 8 * 1024 * 1024,
    attention: Duration::ZERO,
};

impl Window {
    /// The bounds where longer runs are worth no more: so many runs as before, of that length.
    pub(super) fn on(self, terms: Terms) -> Window {
        let run = match terms.price {
            Price::Free => {
                let worthwhile = terms.worthwhile / BLOCK_SIZE * BLOCK_SIZE;
                self.run.min(worthwhile.max(SHORTEST_RUN))
            }
            Price::Link => self.run,
        };
        Window {
            run,
            ahead: self.ahead * run / self.run,
            ..self
        }
    }

    /// How long the runs are that a window of so many bytes is split into.
    pub(super) fn run_of(self, window: u64, terms: Terms) -> u64 {
        match terms.price {
            // A run for each connection, and where there are many some that wait for one.
            Price::Free => {
                let lines = terms.lines.max(1);
                self.share_of(window, lines + lines / 4, terms)
            }
            Price::Link => (window / DEAR_RUNS)
                .max(FIRST_DEAR_RUN)
                .min(self.run * DEAR_LENGTH),
        }
    }

    /// How long the next run is, where the file ends with what is asked for of it: all connections
    /// come to their end together. Where other files end as well, theirs come free for this one.
    pub(super) fn last_run_of(self, asked: u64, finish: Finish) -> u64 {
        let share = asked / finish.lines.max(1);
        let share = share.min(finish.asked / finish.all_lines.max(1));
        (share / BLOCK_SIZE * BLOCK_SIZE).clamp(SHORTEST_RUN.min(self.run), self.run)
    }

    /// One of so many runs that `bytes` are split into. Few long ones: each costs the wait for its
    /// first byte.
    fn share_of(self, bytes: u64, runs: u64, terms: Terms) -> u64 {
        // Whole blocks, or the rest of one would be a run.
        let part = |parts: u64| bytes / parts / BLOCK_SIZE * BLOCK_SIZE;
        let shortest = match terms.idle {
            0 | 1 => SHORTEST_RUN,
            idle => part(idle).clamp(SHORTEST_SHARE, SHORTEST_RUN),
        };
        part(runs).clamp(shortest.min(self.run), self.run)
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
    /// Those of them that nobody uses now.
    pub(super) idle: u64,
    /// Bytes of a run from which on a longer one is hardly better.
    pub(super) worthwhile: u64,
}

/// By what the last bytes of a file come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finish {
    /// Connections that fall to this reader.
    pub(super) lines: u64,
    /// Connections in all.
    pub(super) all_lines: u64,
    /// Bytes that are to come for the readers of all files.
    pub(super) asked: u64,
}

/// What is to be asked for ahead of a reader.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Ahead {
    pub(super) blocks: Range<Block>,
    /// Most blocks that come by one request.
    pub(super) run: Block,
}

/// Whether a read found its bytes at hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Met {
    /// In the cache.
    AtHand,
    /// It had to wait for what was on its way.
    Waited,
    /// It had to be asked for.
    Absent,
    /// On disk: they came so early that memory had no room for them any more.
    Late,
}

/// How many blocks each run has by which `blocks` that a reader waits for come over connections
/// of which so many are idle: as many as possible, and none that is a rest.
pub(super) fn longest_of(blocks: u64, idle: u64) -> u64 {
    let shares = (blocks * BLOCK_SIZE / SHORTEST_SHARE).min(idle).max(1);
    blocks.div_ceil(shares).clamp(1, LONGEST_RUN / BLOCK_SIZE)
}

/// Cuts `blocks` into runs of at most `run`.
pub(super) fn split(blocks: Range<Block>, run: Block) -> Vec<Range<Block>> {
    let mut runs = Vec::new();
    let mut start = blocks.start;
    while start < blocks.end {
        let end = (start + run.max(1)).min(blocks.end);
        runs.push(start..end);
        start = end;
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_shared_among_idle_connections_in_pieces_that_are_worth_it() {
        assert_eq!(longest_of(9, 8), 5, "two pieces, and none of one block");
        assert_eq!(longest_of(9, 1), 9);
        assert_eq!(longest_of(9, 0), 9);
        assert_eq!(longest_of(7, 8), 7);
        assert_eq!(longest_of(32, 8), 4);
        assert_eq!(longest_of(32, 3), 11);
        assert_eq!(longest_of(1000, 0) * BLOCK_SIZE, LONGEST_RUN);
        assert_eq!(longest_of(0, 8), 1);
    }
}
