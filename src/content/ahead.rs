//! What is brought before it is asked for: from the service, and from the cache's disk.
//!
//! Who reads in sequence finds the next blocks in memory: their way over the line, or from
//! the disk and past their checksums, is behind them when they are asked for.

use std::ops::Range;
use std::sync::Arc;

use super::blocks::{BLOCK_SIZE, Block};
use super::file::{CacheFile, Found};
use super::window::{FROM_DISK, Finish, Met, Price, Room, Terms};
use super::{Core, LONGEST_WINDOW, MOST_AHEAD, fetch};

/// Bytes brought from the disk ahead of all readers: they share the memory with what
/// comes from the service.
const MOST_FROM_DISK: u64 = 4 * FROM_DISK.ahead;

impl Core {
    /// Notes a read that found all it asked for at hand.
    pub(super) fn note_hit(
        self: &Arc<Self>,
        cached: &Arc<CacheFile>,
        range: &Range<u64>,
        found: Found,
    ) {
        // Smaller reads go through the kernel's page cache, which reads ahead by itself.
        let large = range.end - range.start >= BLOCK_SIZE;
        let met = match large && self.lift_ahead(cached, range, found) {
            true => Met::Late,
            false => Met::AtHand,
        };
        self.note_read(cached, range, met);
    }

    /// Notes a read, and fetches from the service what its reader will ask for next.
    pub(super) fn note_read(
        self: &Arc<Self>,
        cached: &Arc<CacheFile>,
        range: &Range<u64>,
        met: Met,
    ) {
        for flight in cached.note_read(range, met, || self.terms()) {
            fetch::launch(self, cached, flight);
        }
    }

    /// By what the last bytes of a file would come now.
    pub(super) fn finish(&self) -> Finish {
        Finish {
            lines: self.lines_each(),
            all_lines: self.lines.total() as u64,
            asked: self.counters.ahead_bytes.get(),
        }
    }

    /// On which terms may be read ahead now.
    fn terms(&self) -> Terms {
        Terms {
            room: self.room_ahead(),
            price: self.price(),
            lines: self.lines_each(),
            idle: self.idle(),
            worthwhile: self.toll.worthwhile(),
        }
    }

    /// Brings what is on disk, and what the reader will ask for next, to memory. Says
    /// whether anything had to come from there.
    fn lift_ahead(
        self: &Arc<Self>,
        cached: &Arc<CacheFile>,
        range: &Range<u64>,
        found: Found,
    ) -> bool {
        let room = Room::UpTo(MOST_FROM_DISK / self.readers());
        let runs = cached.note_lifted(range, found, room, &self.memory);
        let from_disk = found.whole_from_disk || !runs.is_empty();
        for run in runs {
            let (core, cached) = (Arc::clone(self), Arc::clone(cached));
            self.runtime
                .spawn_blocking(move || core.lift(&cached, &run));
        }
        from_disk
    }

    fn lift(&self, cached: &CacheFile, run: &Range<Block>) {
        if let Err(error) = cached.lift(run, &self.memory, &self.buffers) {
            // Whoever asks for them meets it again, and sees to it.
            tracing::debug!(file = %cached.id, %error, "blocks could not be read ahead");
        }
    }

    /// Connections that fall to one reader.
    fn lines_each(&self) -> u64 {
        self.lines.total() as u64 / self.readers()
    }

    /// The idle ones of them, where a request more costs nothing.
    pub(super) fn idle(&self) -> u64 {
        match self.price() {
            Price::Free => self.lines_each().min(self.lines.idle() as u64),
            Price::Link => 0,
        }
    }

    /// What a range request costs.
    pub(super) fn price(&self) -> Price {
        match self.links.are_single() {
            true => Price::Link,
            false => Price::Free,
        }
    }

    /// How much may be asked ahead of a reader. What was fetched ahead and not yet read
    /// of all readers together must fit well into the cache, or they would push out
    /// each other's.
    fn room_ahead(&self) -> Room {
        let most = MOST_AHEAD.min(self.shelf.limit() / 4);
        // Open files do not tell of several readers of one, nor of who has just gone.
        if self.counters.ahead_bytes.get() >= 2 * most {
            return Room::Short;
        }
        Room::UpTo((most / self.readers()).min(LONGEST_WINDOW))
    }

    /// Files that are open, at least one.
    fn readers(&self) -> u64 {
        (self.pins.len() as u64).max(1)
    }
}
