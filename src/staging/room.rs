//! What all staged files share: the folder, the budget, the stored versions.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;
use rangemap::RangeSet;

use super::StagingError;
use super::base::{Base, Pin};
use super::budget::Budget;
use super::data_file::{DataFile, FileNumber};
use super::write_back::WriteBack;
use crate::disk_space::DiskSpace;
use crate::ids::{FileId, Ino};
use crate::store::Store;

/// Bytes of the disk that are left to the database: a twentieth of a small disk, but so much at
/// least as the database's log may grow by between two looks.
const RESERVE: u64 = 32 << 20;
const LEAST_RESERVE: u64 = 8 << 20;

/// So many staged bytes later one looks again how full the disk is, and sooner where little is
/// left.
const LOOK_EVERY: u64 = 4 << 20;

/// What the disk gives to a few bytes.
const BLOCK: u64 = 4096;

/// The parts that every staged file needs.
pub(super) struct Room {
    pub store: Store,
    pub base: Arc<dyn Base>,
    pub dir: PathBuf,
    pub budget: Arc<Budget>,
    /// Numbers of data files up to this one are not given any more.
    pub last_number: AtomicU64,
    /// By how many bytes the account has grown through us.
    pub growth: AtomicI64,
    /// Bytes of all files that the service does not have as they are now.
    pub unsent: AtomicU64,
    /// Bytes of files of the service that go once their successors are there.
    pub going: Mutex<HashMap<FileId, u64>>,
    /// Bytes that may be staged before somebody looks again how full the disk is.
    pub until_look: AtomicU64,
    /// Has long writes begin their way to the disk.
    pub write_back: WriteBack,
    /// The files of the service that stored versions read from.
    pub stored_pins: Mutex<HashMap<Ino, Arc<Vec<Pin>>>>,
}

impl Room {
    /// Of what is unsent, `before` was counted and `now` is to be.
    pub fn recount(&self, before: u64, now: u64) {
        // Relaxed and saturating: a figure.
        let _ = self
            .unsent
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |unsent| {
                Some(unsent.saturating_sub(before).saturating_add(now))
            });
    }

    /// The stored version of `ino` reads from the files that `pins` keep.
    pub fn stored(&self, ino: Ino, pins: Option<Arc<Vec<Pin>>>) {
        let mut stored = self.stored_pins.lock();
        let before = match pins.filter(|pins| !pins.is_empty()) {
            Some(pins) => stored.insert(ino, pins),
            None => stored.remove(&ino),
        };
        drop(stored);
        // A pin's end is the business of the room below: not under our lock.
        drop(before);
    }

    /// Refuses bytes that would take the room which the database needs to note what
    /// becomes of all the others. Clean content goes first.
    pub fn check_disk(&self, bytes: u64) -> Result<(), StagingError> {
        // Relaxed: that somebody looks now and then is enough.
        let within = |left: u64| left.checked_sub(bytes.next_multiple_of(BLOCK));
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        if bytes == 0 || self.until_look.fetch_update(set, fetch, within).is_ok() {
            return Ok(());
        }
        let mut spare = self.spare();
        if spare < bytes && self.base.make_room(&self.dir) > 0 {
            spare = self.spare();
        }
        let Some(left) = spare.checked_sub(bytes) else {
            return Err(StagingError::disk("write")(
                std::io::ErrorKind::StorageFull.into(),
            ));
        };
        // Others stage meanwhile, and the database grows.
        self.until_look
            .store(LOOK_EVERY.min(left / 2), Ordering::Relaxed);
        Ok(())
    }

    /// Bytes that may be staged.
    fn spare(&self) -> u64 {
        let Ok(disk) = DiskSpace::of(&self.dir) else {
            return u64::MAX; // The write itself will tell.
        };
        let reserve = (disk.total / 20).clamp(LEAST_RESERVE, RESERVE);
        disk.free.saturating_sub(reserve)
    }

    /// A new data file. Its number is one that neither a file nor a row has: they count on from
    /// the rows, and over files that no row has, which a process left that died.
    pub fn new_data(&self) -> Result<DataFile, StagingError> {
        loop {
            // Relaxed: only uniqueness matters.
            let number = self.last_number.fetch_add(1, Ordering::Relaxed);
            let number = FileNumber::MIN.saturating_add(number);
            match DataFile::create(&self.dir, number, Arc::clone(&self.budget)) {
                Err(error) if error.is_taken() => {
                    let last = DataFile::numbers_in(&self.dir)?.into_iter().max();
                    let last = last.map_or(0, FileNumber::get);
                    self.last_number.fetch_max(last, Ordering::Relaxed);
                }
                made => return made,
            }
        }
    }

    /// The data file of a stored map.
    pub fn open_data(
        &self,
        number: FileNumber,
        places: RangeSet<u64>,
    ) -> Result<DataFile, StagingError> {
        DataFile::open(&self.dir, number, Arc::clone(&self.budget), places)
    }
}
