//! Where readers of one file are, and what they will want next.
//!
//! Pure: it is told of reads and answers with blocks to fetch ahead. A reader
//! that goes on where it was is sequential; it gets a window ahead of itself
//! that begins at two blocks and doubles, at first with each step and beyond a
//! megabyte only when the reader had to wait; it is bounded by how much was read so far, since
//! who read little often stops soon, and halves where the readers of all
//! files have much asked ahead already, or where what came had to leave memory before its
//! reader was there: then the line is faster than the reader. A read elsewhere begins a new
//! cursor, without any window. Several readers of one file have a cursor each.
//!
//! Who jumps tends to read as much at each place: after two stretches of a
//! megabyte the first request of the third is a megabyte, and nothing is fetched
//! beyond it until the reader goes on.

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

/// The longest stretch that is expected after a jump.
const LONGEST_STRETCH: u64 = 4 * 1024 * 1024;

/// What a window may be, as a multiple of what was read so far: little for a look at the
/// head of a file, and more once it is clear that it is read on.
const FIRST_TRUST: u64 = 4;
const TRUST: u64 = 16;

/// Bytes read in sequence after which it is clear.
const CLEAR: u64 = 1024 * 1024;

/// What memory holds of what came ahead of one reader: the window of one that is slower than
/// the line.
const AMPLE_WINDOW: u64 = 48 * 1024 * 1024;

/// A run ahead is a part of the window, so that several connections share it,
/// but no shorter than this, or the wait for its first byte would be most of it.
const SHORTEST_RUN: u64 = 6 * 1024 * 1024;

/// Where each run costs a link of its own, the first of a reader is this long, and a window
/// is split into a few runs only, of at most so many times the usual length: the calls of
/// the API that they cost come slowly.
const FIRST_DEAR_RUN: u64 = 8 * 1024 * 1024;
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
    fn run_of(self, window: u64, terms: Terms) -> u64 {
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

/// The cursors of one file.
pub(super) struct Cursors {
    size: u64,
    window: Window,
    cursors: Vec<Cursor>,
    /// How long the last two stretches were that a reader left by a jump.
    stretches: [u64; 2],
}

struct Cursor {
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
        let left = self.cursors.iter().max_by_key(|cursor| cursor.used);
        let [before, last] = self.stretches;
        let last = left.map_or(last, |cursor| cursor.next - cursor.origin);
        let before = left.map_or(before, |_| self.stretches[1]);
        let stretch = before.min(last).min(LONGEST_STRETCH);
        bytes.start..(bytes.start + stretch).min(self.size).max(bytes.end)
    }

    /// Notes a read of `bytes` and returns the runs to fetch ahead, in order,
    /// none longer than a range request may be.
    pub(super) fn on_read(
        &mut self,
        bytes: &Range<u64>,
        met: Met,
        terms: Terms,
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
        if bytes.end <= cursor.next {
            return Vec::new();
        }
        cursor.next = bytes.end;
        cursor.asked = cursor.asked.max(bytes.end);
        // It reads what was expected of it, or what came with that, so far.
        if cursor.window == 0 && (bytes.end <= cursor.stretch || bytes.end < cursor.asked) {
            return Vec::new();
        }
        cursor.adapt(met, terms, limits.ahead);
        let run = limits.run_of(cursor.window, terms);
        // A large window is kept full run by run, or connections would stand idle
        // while the reader uses up what came at once.
        if cursor.asked - cursor.next > cursor.window - run.min(cursor.window / 2) {
            return Vec::new();
        }
        let until = (cursor.next + cursor.window).min(size);
        if until <= cursor.asked {
            return Vec::new();
        }
        // Whole runs where there is one: what is left over comes with the next.
        let until = match (until - cursor.asked) / run {
            runs if runs > 0 && until < size => cursor.asked + runs * run,
            _ => until,
        };
        // Whole blocks: the first may be partly asked for already, which the
        // flights know; the last is taken whole.
        let wanted = blocks::covering(&(cursor.asked..until));
        cursor.asked = blocks::bytes_of(&wanted, size).end;
        match terms.price {
            // The last runs of a file are short, so that all connections come to their end
            // together.
            Price::Free => split_by(wanted, |start| {
                let left = (blocks::count(size) - start) * BLOCK_SIZE;
                run.min(limits.share_of(left, terms))
            }),
            Price::Link => split(wanted, run),
        }
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
            .filter(|cursor| cursor.reaches(bytes))
            .min_by_key(|cursor| cursor.next.abs_diff(bytes.start))
    }

    fn begin(&mut self, bytes: &Range<u64>, now: Instant) {
        let expected = self.expected(bytes);
        if let Some(left) = self.cursors.iter().max_by_key(|cursor| cursor.used) {
            self.stretches = [self.stretches[1], left.next - left.origin];
        }
        if self.cursors.len() >= MOST_CURSORS
            && let Some(oldest) = (0..self.cursors.len()).min_by_key(|&i| self.cursors[i].used)
        {
            self.cursors.swap_remove(oldest);
        }
        self.cursors.push(Cursor {
            origin: bytes.start,
            stretch: expected.end,
            from: bytes.start,
            next: bytes.end,
            asked: blocks::bytes_of(&blocks::covering(&expected), self.size).end,
            window: 0,
            settled: 0,
            used: now,
        });
    }
}

impl Cursor {
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
                    Met::Waited => {
                        self.window *= 2;
                        self.settled = self.asked;
                    }
                }
                self.window = self.window.min(most).max(least);
            }
        }
    }

    /// Whether a read of `bytes` counts as going on here.
    fn reaches(&self, bytes: &Range<u64>) -> bool {
        let reach = self.next.saturating_sub(SLACK)..=self.asked + SLACK;
        reach.contains(&bytes.start)
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1024 * 1024;
    const FREE: Terms = Terms {
        room: Room::UpTo(u64::MAX),
        price: Price::Free,
        lines: 8,
    };
    const LIMITS: Window = Window {
        run: 8 * MIB,
        ahead: 64 * MIB,
        attention: Duration::from_secs(5),
    };

    fn read_on(cursors: &mut Cursors, from: u64, reads: u64, met: Met) -> Vec<Range<Block>> {
        read_on_terms(cursors, from, reads, met, FREE)
    }

    fn read_on_terms(
        cursors: &mut Cursors,
        from: u64,
        reads: u64,
        met: Met,
        terms: Terms,
    ) -> Vec<Range<Block>> {
        let now = Instant::now();
        (0..reads)
            .flat_map(|i| {
                let start = from + i * BLOCK_SIZE;
                cursors.on_read(&(start..start + BLOCK_SIZE), met, terms, now)
            })
            .collect()
    }

    #[test]
    fn where_each_run_costs_a_link_there_are_few_and_long_ones() {
        let reads = 1000 * MIB / BLOCK_SIZE;
        let dear = Terms {
            price: Price::Link,
            ..FREE
        };
        let limits = Window {
            run: 32 * MIB,
            ahead: 384 * MIB,
            ..LIMITS
        };
        let mut cursors = Cursors::new(1000 * MIB, limits);
        let runs = read_on_terms(&mut cursors, 0, reads, Met::Waited, dear);
        assert!(runs.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert_eq!(runs.last().unwrap().end, reads);
        assert!(runs.len() < 40, "{} links", runs.len());
        let mut cursors = Cursors::new(1000 * MIB, limits);
        let cheap = read_on(&mut cursors, 0, reads, Met::Waited);
        assert!(cheap.len() > runs.len());
        // In a small cache it stays within its bounds.
        let mut cursors = Cursors::new(
            1000 * MIB,
            Window {
                run: MIB,
                ahead: 4 * MIB,
                ..LIMITS
            },
        );
        for at in 0..reads {
            let range = at * BLOCK_SIZE..(at + 1) * BLOCK_SIZE;
            for run in cursors.on_read(&range, Met::Waited, dear, Instant::now()) {
                assert!(run.end * BLOCK_SIZE <= range.end + 4 * MIB + BLOCK_SIZE);
            }
        }
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
        // A run for each of the eight connections, and two that wait.
        assert_eq!(longest, LIMITS.ahead / 10 / BLOCK_SIZE);
    }

    #[test]
    fn the_window_stays_small_for_a_reader_that_never_waits() {
        let mut cursors = Cursors::new(1000 * MIB, LIMITS);
        let runs = read_on(&mut cursors, 0, 1000, Met::AtHand);
        let end = runs.last().unwrap().end * BLOCK_SIZE;
        assert!(end <= 1000 * BLOCK_SIZE + EASY_WINDOW);
    }

    #[test]
    fn who_read_a_megabyte_at_two_places_is_expected_to_do_so_at_the_third() {
        let mut cursors = Cursors::new(1000 * MIB, LIMITS);
        let now = Instant::now();
        for place in [100 * MIB, 500 * MIB] {
            assert_eq!(cursors.expected(&(place..place + 10)), place..place + 10);
            read_on(&mut cursors, place, 8, Met::Waited);
        }
        let at = 700 * MIB;
        assert_eq!(cursors.expected(&(at..at + BLOCK_SIZE)), at..at + MIB);
        assert!(read_on(&mut cursors, at, 8, Met::Waited).is_empty());
        assert!(cursors.want(&blocks::covering(&(at..at + MIB)), now));
        let on = read_on(&mut cursors, at + MIB, 1, Met::Waited);
        assert_eq!(on[0].start * BLOCK_SIZE, at + MIB + BLOCK_SIZE);
        assert_eq!(cursors.expected(&(5..6)).start, 5);
    }

    #[test]
    fn a_window_halves_where_others_have_much_asked_ahead() {
        let mut cursors = Cursors::new(1000 * MIB, LIMITS);
        read_on(&mut cursors, 0, 1000, Met::Waited);
        let ahead = |cursors: &mut Cursors, room| {
            let mut end = 0;
            for i in 1000..2000 {
                let start = i * BLOCK_SIZE;
                let runs = cursors.on_read(
                    &(start..start + BLOCK_SIZE),
                    Met::Waited,
                    Terms { room, ..FREE },
                    Instant::now(),
                );
                end = runs.last().map_or(end, |run| run.end * BLOCK_SIZE - start);
            }
            end
        };
        assert!(ahead(&mut cursors, Room::Short) <= 4 * BLOCK_SIZE);
    }

    #[test]
    fn a_reader_that_is_slower_than_the_line_gets_what_memory_holds() {
        let limits = Window {
            run: 32 * MIB,
            ahead: 320 * MIB,
            ..LIMITS
        };
        let mut cursors = Cursors::new(4000 * MIB, limits);
        let mut asked = 0;
        for i in 0..16_000 {
            let range = i * BLOCK_SIZE..(i + 1) * BLOCK_SIZE;
            let met = match asked > range.end + 96 * MIB {
                true => Met::Late,
                false => Met::Waited,
            };
            let runs = cursors.on_read(&range, met, FREE, Instant::now());
            asked = runs.last().map_or(asked, |run| run.end * BLOCK_SIZE);
            if i > 8_000 {
                assert!(asked <= range.end + 192 * MIB, "{}", asked - range.end);
            }
        }
        assert!(asked > 16_000 * BLOCK_SIZE + 16 * MIB);
    }

    #[test]
    fn a_reader_that_had_to_wait_keeps_its_window_though_others_came_early() {
        let limits = Window {
            run: 32 * MIB,
            ahead: 320 * MIB,
            ..LIMITS
        };
        let mut cursors = Cursors::new(4000 * MIB, limits);
        let runs = read_on(&mut cursors, 0, 1000, Met::Waited);
        let asked = runs.last().unwrap().end;
        assert!(asked > 1000 + 2 * AMPLE_WINDOW / BLOCK_SIZE);
        // The rest of what several connections bring is there before what it waited for.
        let mut ahead = 0;
        for at in 1000..asked {
            let start = at * BLOCK_SIZE;
            let range = start..start + BLOCK_SIZE;
            let runs = cursors.on_read(&range, Met::Late, FREE, Instant::now());
            ahead = runs.last().map_or(ahead, |run| run.end - at);
        }
        assert!(ahead > 2 * AMPLE_WINDOW / BLOCK_SIZE, "{ahead}");
        // What was asked for after that comes early as well: the line is faster.
        let runs = read_on(&mut cursors, asked * BLOCK_SIZE, 4000, Met::Late);
        let end = runs.last().unwrap().end;
        assert!(end <= asked + 4000 + AMPLE_WINDOW / BLOCK_SIZE, "{end}");
    }

    #[test]
    fn a_reader_with_few_connections_has_few_long_runs_and_none_is_a_rest() {
        let reads = 256 * MIB / BLOCK_SIZE;
        let runs = |lines| {
            let mut cursors = Cursors::new(
                256 * MIB,
                Window {
                    run: 32 * MIB,
                    ahead: 160 * MIB,
                    ..LIMITS
                },
            );
            read_on_terms(&mut cursors, 0, reads, Met::Waited, Terms { lines, ..FREE })
        };
        let (few, many) = (runs(2), runs(8));
        assert!(few.len() < many.len(), "{} {}", few.len(), many.len());
        assert!(few.len() <= 24, "{}", few.len());
        for runs in [&few, &many] {
            assert!(runs.windows(2).all(|pair| pair[0].end == pair[1].start));
            let inner = &runs[..runs.len() - 1];
            let grown = inner.iter().skip_while(|run| run.end - run.start < 8);
            let shortest = grown.map(|run| run.end - run.start).min();
            assert!(shortest >= Some(8), "{runs:?}");
        }
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
                for run in cursors.on_read(&range, Met::Waited, FREE, now) {
                    prop_assert!(run.start < run.end && run.end <= blocks::count(size));
                    prop_assert!((run.end - run.start) * BLOCK_SIZE <= LIMITS.run);
                    prop_assert!(run.end * BLOCK_SIZE <= range.end + LIMITS.ahead + 2 * BLOCK_SIZE);
                }
            }
        }
    }
}
