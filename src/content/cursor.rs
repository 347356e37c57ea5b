//! Where readers of one file are, and what they will want next.
//!
//! Pure: it is told of reads and answers with blocks to fetch ahead. A reader
//! that goes on where it was is sequential; it gets a window ahead of itself
//! that begins at two blocks and doubles, at first at each step and beyond a
//! megabyte only when the reader had to wait. A read elsewhere begins a new
//! cursor, without any window. Several readers of one file have a cursor each.

use std::ops::Range;
use std::time::Duration;

use tokio::time::Instant;

use super::blocks::{self, BLOCK_SIZE, Block};

/// Cursors kept for one file; the one unused for longest gives way.
const MOST_CURSORS: usize = 8;

/// How far from where a reader was it may go on and still count as sequential:
/// the kernel's read-ahead asks in pieces that overtake one another.
const SLACK: u64 = 512 * 1024;

/// The window up to which it doubles without the reader having waited.
const EASY_WINDOW: u64 = 1024 * 1024;

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

/// Whether a read found its bytes at hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Met {
    /// In the cache.
    AtHand,
    /// It had to wait for the service.
    Waited,
}

/// The cursors of one file.
pub(super) struct Cursors {
    size: u64,
    window: Window,
    cursors: Vec<Cursor>,
}

struct Cursor {
    /// Start of the last read.
    from: u64,
    /// End of the furthest read: where the next is expected.
    next: u64,
    /// End of what was asked for ahead.
    asked: u64,
    /// Bytes to keep asked ahead of `next`.
    window: u64,
    /// Whether the reader waited since the window last grew.
    waited: bool,
    used: Instant,
}

impl Cursors {
    pub(super) fn new(size: u64, window: Window) -> Cursors {
        Cursors {
            size,
            window,
            cursors: Vec::new(),
        }
    }

    /// Notes a read of `bytes` and returns the runs to fetch ahead, in order,
    /// none longer than a range request may be.
    pub(super) fn on_read(
        &mut self,
        bytes: &Range<u64>,
        met: Met,
        now: Instant,
    ) -> Vec<Range<Block>> {
        let limits = self.window;
        let size = self.size;
        let Some(cursor) = self.find(bytes) else {
            self.begin(bytes, now);
            return Vec::new();
        };
        cursor.used = now;
        cursor.from = bytes.start;
        cursor.waited |= met == Met::Waited;
        if bytes.end <= cursor.next {
            return Vec::new();
        }
        cursor.next = bytes.end;
        cursor.asked = cursor.asked.max(bytes.end);
        if cursor.asked - cursor.next > cursor.window / 2 {
            return Vec::new();
        }
        if cursor.waited || cursor.window < EASY_WINDOW {
            cursor.window = (cursor.window * 2).max(2 * BLOCK_SIZE).min(limits.ahead);
            cursor.waited = false;
        }
        let until = (cursor.next + cursor.window).min(size);
        if until <= cursor.asked {
            return Vec::new();
        }
        // Whole blocks: the first may be partly asked for already, which the
        // flights know; the last is taken whole.
        let wanted = blocks::covering(&(cursor.asked..until));
        cursor.asked = blocks::bytes_of(&wanted, size).end;
        split(wanted, limits.run)
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
            .filter(move |cursor| now.duration_since(cursor.used) < attention)
            .map(|cursor| blocks::covering(&(cursor.from..cursor.asked.max(cursor.next))))
    }

    fn find(&mut self, bytes: &Range<u64>) -> Option<&mut Cursor> {
        self.cursors
            .iter_mut()
            .filter(|cursor| {
                let reach = cursor.next.saturating_sub(SLACK)..=cursor.asked + SLACK;
                reach.contains(&bytes.start)
            })
            .min_by_key(|cursor| cursor.next.abs_diff(bytes.start))
    }

    fn begin(&mut self, bytes: &Range<u64>, now: Instant) {
        if self.cursors.len() >= MOST_CURSORS
            && let Some(oldest) = (0..self.cursors.len()).min_by_key(|&i| self.cursors[i].used)
        {
            self.cursors.swap_remove(oldest);
        }
        self.cursors.push(Cursor {
            from: bytes.start,
            next: bytes.end,
            asked: blocks::bytes_of(&blocks::covering(bytes), self.size).end,
            window: 0,
            waited: false,
            used: now,
        });
    }
}

/// Cuts `blocks` into runs of at most `run` bytes.
pub(super) fn split(blocks: Range<Block>, run: u64) -> Vec<Range<Block>> {
    let step = (run / BLOCK_SIZE).max(1);
    let mut runs = Vec::new();
    let mut start = blocks.start;
    while start < blocks.end {
        let end = (start + step).min(blocks.end);
        runs.push(start..end);
        start = end;
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1024 * 1024;
    const LIMITS: Window = Window {
        run: 8 * MIB,
        ahead: 32 * MIB,
        attention: Duration::from_secs(5),
    };

    fn read_on(cursors: &mut Cursors, from: u64, reads: u64, met: Met) -> Vec<Range<Block>> {
        let now = Instant::now();
        (0..reads)
            .flat_map(|i| {
                let start = from + i * BLOCK_SIZE;
                cursors.on_read(&(start..start + BLOCK_SIZE), met, now)
            })
            .collect()
    }

    #[test]
    fn a_first_read_and_a_jump_fetch_nothing_ahead() {
        let mut cursors = Cursors::new(1000 * MIB, LIMITS);
        assert!(read_on(&mut cursors, 0, 1, Met::Waited).is_empty());
        for jump in [17, 34, 16, 500] {
            assert!(read_on(&mut cursors, jump * MIB, 1, Met::Waited).is_empty());
        }
    }

    #[test]
    fn a_sequential_reader_gets_runs_that_grow_to_the_limit_and_leave_no_gap() {
        let mut cursors = Cursors::new(1000 * MIB, LIMITS);
        let runs = read_on(&mut cursors, 0, 2000, Met::Waited);
        assert_eq!(runs[0], 2..4, "two blocks ahead of the second read");
        assert!(runs.windows(2).all(|pair| pair[0].end == pair[1].start));
        let longest = runs.iter().map(|run| run.end - run.start).max().unwrap();
        assert_eq!(longest * BLOCK_SIZE, LIMITS.run);
    }

    #[test]
    fn the_window_stays_small_for_a_reader_that_never_waits() {
        let mut cursors = Cursors::new(1000 * MIB, LIMITS);
        let runs = read_on(&mut cursors, 0, 1000, Met::AtHand);
        let end = runs.last().unwrap().end * BLOCK_SIZE;
        assert!(end <= 1000 * BLOCK_SIZE + EASY_WINDOW);
    }

    #[test]
    fn two_interleaved_readers_are_both_sequential() {
        let mut cursors = Cursors::new(1000 * MIB, LIMITS);
        let mut ahead = [0, 0];
        for i in 0..100 {
            for (reader, base) in [0, 600 * MIB].into_iter().enumerate() {
                let runs = read_on(&mut cursors, base + i * BLOCK_SIZE, 1, Met::Waited);
                ahead[reader] += runs.len();
            }
        }
        assert!(ahead.iter().all(|&runs| runs > 5), "{ahead:?}");
    }

    #[test]
    fn what_was_asked_ahead_is_wanted_until_attention_ends() {
        let mut cursors = Cursors::new(1000 * MIB, LIMITS);
        let runs = read_on(&mut cursors, 0, 3, Met::Waited);
        let last = runs.last().unwrap();
        let now = Instant::now();
        assert!(cursors.want(last, now));
        assert!(!cursors.want(&(last.end..last.end + 1), now));
        assert!(!cursors.want(last, now + LIMITS.attention * 2));
    }

    proptest! {
        #[test]
        fn runs_stay_within_the_file_and_the_limits(
            size in 1u64..200 * MIB,
            reads in prop::collection::vec((0u64..200 * MIB, 1u64..2 * MIB, any::<bool>()), 1..100),
        ) {
            let mut cursors = Cursors::new(size, LIMITS);
            let now = Instant::now();
            let mut last_end = 0;
            for (start, len, sequential) in reads {
                let start = if sequential { last_end } else { start }.min(size - 1);
                let range = start..(start + len).min(size);
                last_end = range.end;
                for run in cursors.on_read(&range, Met::Waited, now) {
                    prop_assert!(run.start < run.end && run.end <= blocks::count(size));
                    prop_assert!((run.end - run.start) * BLOCK_SIZE <= LIMITS.run);
                    prop_assert!(run.end * BLOCK_SIZE <= range.end + LIMITS.ahead + 2 * BLOCK_SIZE);
                }
            }
        }
    }
}
