//! Room in the cache folder: it is reserved before a block is written, and made
//! by dropping what was not used for longest.

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::blocks::Block;
use super::super::edges::{self, Gives, Holding};
use super::super::file::now_ns;
use super::{FREED_PART, Shelf};
use crate::disk_space::DiskSpace;
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
            let old = index
                .iter()
                .filter(|(id, entry)| entry.used() < line && !self.stays(id, entry));
            old.map(|(id, entry)| (id.clone(), entry.number)).collect()
        };
        for (id, number) in old {
            self.discard(&id, number);
        }
    }

    /// Lowers the ceiling on a disk with little room, and lifts it when there is more.
    pub(super) fn measure_disk(&self) {
        let keep = self.keep;
        let ceiling = match DiskSpace::of(&self.dir) {
            Ok(disk) if keep.free > 0 => keep
                .size
                .min((self.cached_bytes() + disk.free).saturating_sub(keep.free)),
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

    /// Drops what was not used for longest until `len` more bytes fit: first what is not
    /// at the edges of files, and edges only where that is not enough.
    fn make_room(&self, len: u64) {
        let _evicting = self.evicting.lock();
        let limit = self.limit();
        if self.cached_bytes() + len <= limit {
            return;
        }
        let files = self.by_use();
        let holdings: Vec<Holding> = files.iter().map(|file| file.holding()).collect();
        let gives = edges::gives(&holdings, limit);
        // More than is needed, so that it is not done at every block.
        let ample = (limit - limit / FREED_PART).saturating_sub(len);
        self.drop_until(ample, files.iter().zip(gives));
        // No more than is needed, since it is dear.
        let needed = limit.saturating_sub(len);
        self.drop_until(needed, files.iter().map(|file| (file, Gives::Whole)));
    }

    /// Takes from one file after the other until so many bytes are left in all.
    fn drop_until<'a>(&self, goal: u64, files: impl Iterator<Item = (&'a Candidate, Gives)>) {
        let line = line_of_use();
        for (file, gives) in files {
            let excess = self.cached_bytes().saturating_sub(goal);
            if excess == 0 {
                return;
            }
            match gives {
                Gives::Nothing => {}
                Gives::Whole if file.used < line => self.discard(&file.id, file.number),
                Gives::Whole => self.thin(file, excess, &[]),
                Gives::Middle => self.thin(file, excess, &edges::of(file.size)),
            }
        }
    }

    /// The files that may go, in the order of their last use.
    fn by_use(&self) -> Vec<Candidate> {
        let index = self.index.read();
        let mut files: Vec<Candidate> = index
            .iter()
            .filter(|(id, entry)| !self.stays(id, entry))
            .map(|(id, entry)| Candidate {
                used: entry.used(),
                id: id.clone(),
                number: entry.number,
                size: entry.size,
                cached: entry.cached(),
            })
            .collect();
        files.sort_unstable_by(|a, b| (a.used, &a.id).cmp(&(b.used, &b.id)));
        files
    }

    /// Drops about `wanted` bytes of a file, but nothing that is `spared` or in use. One
    /// that cannot be opened goes whole, and so does one that is sealed once it is out of use.
    fn thin(&self, file: &Candidate, wanted: u64, spared: &[Range<Block>]) {
        let dropped = match self.open_known(&file.id, file.number) {
            Ok(Some(open)) if open.is_sealed() => {
                if file.used < line_of_use() {
                    self.discard(&file.id, file.number);
                }
                return;
            }
            Ok(Some(open)) => open.punch(wanted, spared, &self.store),
            Ok(None) => return self.discard(&file.id, file.number),
            Err(error) => Err(error),
        };
        match dropped {
            Ok(bytes) => self.dropped(bytes),
            Err(error) => tracing::warn!(%error, "cannot make room in the cache"),
        }
    }
}

/// What was used before this is not in use.
fn line_of_use() -> u64 {
    now_ns().saturating_sub(IN_USE.as_nanos() as u64)
}

/// A file that may go.
struct Candidate {
    used: u64,
    id: FileId,
    number: u64,
    size: u64,
    cached: u64,
}

impl Candidate {
    fn holding(&self) -> Holding {
        Holding {
            size: self.size,
            cached: self.cached,
        }
    }
}
