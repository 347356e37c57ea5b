//! What all staged files share: the folder, the budget, the stored versions.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rangemap::RangeSet;

use super::StagingError;
use super::base::{Base, Pin};
use super::budget::Budget;
use super::data_file::{DataFile, FileNumber};
use crate::ids::Ino;
use crate::store::Store;

/// The parts that every staged file needs.
pub(super) struct Room {
    pub store: Store,
    pub base: Arc<dyn Base>,
    pub dir: PathBuf,
    pub budget: Arc<Budget>,
    /// The next new data file's.
    pub next_number: AtomicU64,
    /// The files of the service that stored versions read from.
    pub stored_pins: Mutex<HashMap<Ino, Arc<Vec<Pin>>>>,
}

impl Room {
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

    /// A new data file.
    pub fn new_data(&self) -> Result<DataFile, StagingError> {
        // Relaxed: only uniqueness matters.
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let number = FileNumber::MIN.saturating_add(number);
        DataFile::create(&self.dir, number, Arc::clone(&self.budget))
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
