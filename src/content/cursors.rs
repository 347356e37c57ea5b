//! The readers of one file, and what they will want next.
//!
//! Pure: it is told of reads and answers with blocks to fetch ahead. A read
//! that goes on where a reader was is that reader's; a read elsewhere begins a new
//! cursor, without any window. Several readers of one file have a cursor each.
//!
//! Who jumps tends to read as much at each place: after two stretches of a
//! megabyte the first request of the third is a megabyte, and nothing is fetched
//! beyond it until the reader goes on.

use std::ops::Range;

use tokio::time::Instant;

use super::blocks::{self, BLOCK_SIZE, Block};
use super::cursor::Cursor;
use super::window::{Ahead, Finish, Met, Terms, Window};

/// Cursors kept for one file; the one unused for longest gives way.
const MOST_CURSORS: usize = 8;

/// The longest stretch that is expected after a jump.
const LONGEST_STRETCH: u64 = 4 * 1024 * 1024;

/// The cursors of one file.
pub(super) struct Cursors {
    size: u64,
    window: Window,
    cursors: Vec<Cursor>,
    /// How long the last two stretches were that a reader left by a jump.
    stretches: [u64; 2],
}

impl Cursors {
    pub(super) fn new(size: u64, window: Window) -> Cursors {
        Cursors {
            size,
            window,
            cursors: Vec::new(),
            stretches: [0; 2],
        }
    }

    /// What a read of `bytes` is expected to go on to at once: more than `bytes`
    /// only after a jump, from what followed the last jumps.
    pub(super) fn expected(&self, bytes: &Range<u64>) -> Range<u64> {
        if self.cursors.iter().any(|cursor| cursor.reaches(bytes)) {
            return bytes.clone();
        }
        let left = self.latest();
        let [before, last] = self.stretches;
        let last = left.map_or(last, Cursor::stretch);
        let before = left.map_or(before, |_| self.stretches[1]);
        let stretch = before.min(last).min(LONGEST_STRETCH);
        bytes.start..(bytes.start + stretch).min(self.size).max(bytes.end)
    }

    /// Notes a read of `bytes` and returns the blocks to fetch ahead.
    pub(super) fn on_read(
        &mut self,
        bytes: &Range<u64>,
        met: Met,
        terms: Terms,
        now: Instant,
    ) -> Option<Ahead> {
        let (size, limits) = (self.size, self.window);
        match self.find(bytes) {
            Some(cursor) => cursor.on_read(bytes, met, (terms, now), (size, limits)),
            None => {
                self.begin(bytes, now);
                None
            }
        }
    }

    /// How many blocks the next run has, where the file ends with so many that are asked for.
    pub(super) fn last_run_of(&self, asked: Block, finish: Finish) -> Block {
        let run = self.window.last_run_of(asked * BLOCK_SIZE, finish);
        (run / BLOCK_SIZE).max(1)
    }

    /// Whether some reader still counts on `run`.
    pub(super) fn want(&self, run: &Range<Block>, now: Instant) -> bool {
        self.attended(now)
            .any(|blocks| blocks.start < run.end && run.start < blocks.end)
    }

    /// The blocks around readers, which should not be dropped.
    pub(super) fn attended(&self, now: Instant) -> impl Iterator<Item = Range<Block>> {
        let attention = self.window.attention;
        self.cursors
            .iter()
            .filter(move |cursor| now.duration_since(cursor.used()) < attention)
            .map(|cursor| blocks::covering(&cursor.counted_on()))
    }

    fn find(&mut self, bytes: &Range<u64>) -> Option<&mut Cursor> {
        self.cursors
            .iter_mut()
            .filter(|cursor| cursor.reaches(bytes))
            .min_by_key(|cursor| cursor.distance(bytes))
    }

    fn latest(&self) -> Option<&Cursor> {
        self.cursors.iter().max_by_key(|cursor| cursor.used())
    }

    fn begin(&mut self, bytes: &Range<u64>, now: Instant) {
        let expected = self.expected(bytes);
        if let Some(left) = self.latest() {
            self.stretches = [self.stretches[1], left.stretch()];
        }
        if self.cursors.len() >= MOST_CURSORS
            && let Some(oldest) = (0..self.cursors.len()).min_by_key(|&i| self.cursors[i].used())
        {
            self.cursors.swap_remove(oldest);
        }
        let asked = blocks::bytes_of(&blocks::covering(&expected), self.size).end;
        self.cursors
            .push(Cursor::new(bytes, expected.end, asked, now));
    }
}

#[cfg(test)]
mod tests;
