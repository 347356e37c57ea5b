//! Room in the cache folder: it is reserved before a block is written, and made
//! by dropping what was not used for longest.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::file::now_ns;
use super::{FREED_PART, Shelf};
use crate::ids::FileId;

/// A file used within this time is in use: it is thinned out, not dropped.
const IN_USE: Duration = Duration::from_secs(10);

impl Shelf {
    /// Ends a reservation: of the bytes reserved, so many came to disk.
    pub(in crate::content) fn added(&self, reserved: u64, added: u64) {
        self.total
            .fetch_sub(reserved - added.min(reserved), Ordering::Relaxed);
    }

    /// Reserves room for `len` bytes about to be written to a cache file, until
    /// [`Shelf::added`]. Blocks while room is made.
    pub(in crate::content) fn reserve(&self, len: u64) -> bool {
        if len > self.limit() {
            return false;
        }
        self.take(len) || {
            self.make_room(len);
            self.take(len)
        }
    }

    /// Reserves room if there is some.
    fn take(&self, len: u64) -> bool {
        let fits = |total: u64| (total + len <= self.limit()).then_some(total + len);
        self.total
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .is_ok()
    }

    /// Keeps the limits that time and others move: drops what nobody used for too
    /// long, and makes room on a disk that fills up. Blocks for the removal of files.
    pub(in crate::content) fn tidy(&self) {
        self.measure_disk();
        self.make_room(0);
        if self.keep.age.is_zero() {
            return;
        }
        let age = u64::try_from(self.keep.age.as_nanos()).unwrap_or(u64::MAX);
        let line = now_ns().saturating_sub(age);
        let old: Vec<(FileId, u64)> = {
            let index = self.index.read();
            let old = index.iter().filter(|(_, entry)| entry.used() < line);
            old.map(|(id, entry)| (id.clone(), entry.number)).collect()
        };
        for (id, number) in old {
            self.discard(&id, number);
        }
    }

    /// Lowers the ceiling on a disk with little room, and lifts it when there is more.
    fn measure_disk(&self) {
        let keep = self.keep;
        let ceiling = match nix::sys::statvfs::statvfs(&self.dir) {
            Ok(disk) if keep.free > 0 => {
                let free = disk.blocks_available() * disk.fragment_size();
                keep.size
                    .min((self.cached_bytes() + free).saturating_sub(keep.free))
            }
            // What cannot be measured is left to the disk's own refusals.
            _ => keep.size,
        };
        if self.ceiling.swap(ceiling, Ordering::Relaxed) == keep.size && ceiling < keep.size {
            tracing::info!(
                bytes = ceiling,
                "the cache disk has little room: the cache keeps less"
            );
        }
    }

    /// Drops what was not used for longest until `len` more bytes fit.
    fn make_room(&self, len: u64) {
        let _evicting = self.evicting.lock();
        let limit = self.limit();
        if self.cached_bytes() + len <= limit {
            return;
        }
        // More than is needed, so that it is not done at every block.
        let goal = (limit - limit / FREED_PART).saturating_sub(len);
        let excess = || self.cached_bytes().saturating_sub(goal);
        let mut files: Vec<(u64, FileId, u64)> = self
            .index
            .read()
            .iter()
            .map(|(id, entry)| (entry.used(), id.clone(), entry.number))
            .collect();
        files.sort_unstable();
        let line = now_ns().saturating_sub(IN_USE.as_nanos() as u64);
        let (unused, in_use) = files.split_at(files.partition_point(|(used, ..)| *used < line));
        for (_, id, number) in unused {
            if excess() == 0 {
                return;
            }
            self.discard(id, *number);
        }
        for (_, id, number) in in_use {
            if excess() == 0 {
                return;
            }
            let open = {
                let index = self.index.read();
                let entry = index.get(id).filter(|entry| entry.number == *number);
                entry.and_then(|entry| entry.open.clone())
            };
            let Some(open) = open else {
                self.discard(id, *number);
                continue;
            };
            match open.punch(excess(), &self.store) {
                Ok(dropped) => self.dropped(dropped),
                Err(error) => tracing::warn!(%error, "cannot make room in the cache"),
            }
        }
    }
}
