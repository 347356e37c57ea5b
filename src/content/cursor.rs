//! Where one reader of a file is, and how far ahead of it is asked.
//!
//! A reader that goes on where it was is sequential; it gets a window ahead of itself
//! that begins at two blocks, or where it had to wait at twice what it read, and doubles, at
//! first with each step and beyond a megabyte only when the reader had to wait; it is bounded
//! by how much was read so far, since who read little often stops soon, and halves where the
//! readers of all files have much asked ahead already, or where what came had to leave memory
//! before its reader was there: then the line is faster than the reader.

use std::ops::Range;

use tokio::time::Instant;

use super::blocks::{self, BLOCK_SIZE};
use super::window::{Ahead, FIRST_DEAR_RUN, Met, Price, Room, Terms, Window};

/// How far from where a reader was it may go on and still count as sequential:
/// the kernel's read-ahead asks in pieces that overtake one another.
const SLACK: u64 = 512 * 1024;

/// The window up to which it doubles without the reader having waited.
pub(super) const EASY_WINDOW: u64 = 1024 * 1024;

/// What a window may be, as a multiple of what was read so far: little for a look at the
/// head of a file, and more once it is clear that it is read on.
const FIRST_TRUST: u64 = 4;
const TRUST: u64 = 16;

/// Bytes read in sequence after which it is clear.
const CLEAR: u64 = 1024 * 1024;

/// What memory holds of what came ahead of one reader: the window of one that is slower than
/// the line.
pub(super) const AMPLE_WINDOW: u64 = 48 * 1024 * 1024;

/// A reader.
pub(super) struct Cursor {
    /// Where it began.
    origin: u64,
    /// Until where it is expected to read after its jump.
    stretch: u64,
    /// Start of the last read.
    from: u64,
    /// End of the furthest read: where the next is expected.
    next: u64,
    /// End of what was asked for ahead.
    asked: u64,
    /// Bytes to keep asked ahead of `next`.
    window: u64,
    /// Until where what came early says nothing: it was asked for before the window was made
    /// smaller, or before the reader last had to wait.
    settled: u64,
    used: Instant,
}

impl Cursor {
    /// One that begins with a read of `bytes`, is expected to read on to `stretch`, and has
    /// asked for all until `asked`.
    pub(super) fn new(bytes: &Range<u64>, stretch: u64, asked: u64, now: Instant) -> Cursor {
        Cursor {
            origin: bytes.start,
            stretch,
            from: bytes.start,
            next: bytes.end,
            asked,
            window: 0,
            settled: 0,
            used: now,
        }
    }

    /// Notes a read of `bytes` of a file of `size` bytes that goes on here, and returns the
    /// blocks to fetch ahead.
    pub(super) fn on_read(
        &mut self,
        bytes: &Range<u64>,
        met: Met,
        (terms, now): (Terms, Instant),
        (size, limits): (u64, Window),
    ) -> Option<Ahead> {
        self.used = now;
        self.from = bytes.start;
        if bytes.end <= self.next {
            return None;
        }
        self.next = bytes.end;
        // What was asked for was given up meanwhile, which says nothing about the line.
        let is_lost = met == Met::Absent && bytes.end <= self.asked;
        let (asked, met) = match is_lost {
            true => (bytes.end, Met::AtHand),
            false => (self.asked.max(bytes.end), met),
        };
        self.asked = asked;
        // It reads what was expected of it, or what came with that, so far.
        let as_expected = bytes.end <= self.stretch || bytes.end < self.asked;
        if self.window == 0 && as_expected && !is_lost {
            return None;
        }
        let limits = limits.on(terms);
        self.adapt(met, terms, limits.ahead);
        let run = limits.run_of(self.window, terms);
        // A large window is kept full run by run, or connections would stand idle
        // while the reader uses up what came at once.
        if self.asked - self.next > self.window - run.min(self.window / 2) {
            return None;
        }
        let until = (self.next + self.window).min(size);
        if until <= self.asked {
            return None;
        }
        // Whole runs where there is one: what is left over comes with the next.
        let until = match (until - self.asked) / run {
            runs if runs > 0 && until < size => self.asked + runs * run,
            _ => until,
        };
        // Whole blocks: the first may be partly asked for already, which the
        // flights know; the last is taken whole.
        let wanted = blocks::covering(&(self.asked..until));
        self.asked = blocks::bytes_of(&wanted, size).end;
        Some(Ahead {
            blocks: wanted,
            run: run / BLOCK_SIZE,
        })
    }

    /// When it last read.
    pub(super) fn used(&self) -> Instant {
        self.used
    }

    /// Bytes that it read in sequence.
    pub(super) fn stretch(&self) -> u64 {
        self.next - self.origin
    }

    #[cfg(test)]
    pub(super) fn window(&self) -> u64 {
        self.window
    }

    /// The bytes around it and ahead of it that it counts on.
    pub(super) fn counted_on(&self) -> Range<u64> {
        self.from..self.asked.max(self.next)
    }

    /// How far a read is from where its next one is expected.
    pub(super) fn distance(&self, bytes: &Range<u64>) -> u64 {
        self.next.abs_diff(bytes.start)
    }

    /// Whether a read of `bytes` counts as going on here.
    pub(super) fn reaches(&self, bytes: &Range<u64>) -> bool {
        let reach = self.next.saturating_sub(SLACK)..=self.asked + SLACK;
        reach.contains(&bytes.start)
    }

    /// Sizes the window after a read that went on.
    fn adapt(&mut self, met: Met, terms: Terms, longest: u64) {
        let least = match terms.price {
            Price::Free => 2 * BLOCK_SIZE,
            Price::Link => FIRST_DEAR_RUN.min(longest),
        };
        match terms.room {
            Room::Short => self.window = (self.window / 2).max(least),
            Room::UpTo(most) => {
                let progress = self.next - self.origin;
                let trust = if progress < CLEAR { FIRST_TRUST } else { TRUST };
                let most = most.min(longest).min(trust * progress);
                match met {
                    // What was asked for before comes late as well, and says no more.
                    Met::Late if self.next >= self.settled => {
                        self.window = (self.window / 2).min(AMPLE_WINDOW);
                        self.settled = self.asked;
                    }
                    Met::Late => {}
                    Met::AtHand if self.window >= EASY_WINDOW => {}
                    Met::AtHand => self.window *= 2,
                    // It was not slower than the line so far: several connections bring what
                    // is further ahead before what it waits for.
                    Met::Waited | Met::Absent => {
                        let first = (2 * progress).min(EASY_WINDOW);
                        self.window = (self.window * 2).max(first);
                        self.settled = self.asked;
                    }
                }
                self.window = self.window.min(most).max(least);
            }
        }
    }
}
