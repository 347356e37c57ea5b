//! What all staged files share: the folder, the budget, the stored versions,
//! and who is in memory.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rangemap::RangeSet;

use super::StagingError;
use super::base::{Base, Pin};
use super::budget::Budget;
use super::data_file::{DataFile, FileNumber};
use super::file::StagedFile;
use super::rows;
use crate::content::RemoteFile;
use crate::ids::Ino;
use crate::store::Store;

/// Where the one [`StagedFile`] of an inode is, if anybody has it. Locked while
/// it is loaded, so that there are never two of an inode.
type Slot = Arc<Mutex<Weak<StagedFile>>>;

/// The parts that every staged file needs.
pub(super) struct Room {
    pub store: Store,
    pub base: Arc<dyn Base>,
    pub dir: PathBuf,
    pub budget: Arc<Budget>,
    /// The next new data file's.
    pub next_number: AtomicU64,
    pub slots: Mutex<HashMap<Ino, Slot>>,
    /// The files of the service that stored versions read from.
    pub stored_pins: Mutex<HashMap<Ino, Arc<Vec<Pin>>>>,
}

impl Room {
    /// The content of `ino`: what is in memory, else what is stored, else
    /// `base` unchanged.
    pub fn file(
        self: &Arc<Self>,
        ino: Ino,
        base: Option<RemoteFile>,
    ) -> Result<Arc<StagedFile>, StagingError> {
        let slot = Arc::clone(self.slots.lock().entry(ino).or_default());
        let mut slot = slot.lock();
        if let Some(file) = slot.upgrade() {
            return Ok(file);
        }
        let stored = self.store.read(|connection| rows::load(connection, ino))?;
        let file = Arc::new(match stored {
            Some(row) => StagedFile::stored(ino, Arc::clone(self), row)?,
            None => StagedFile::clean(ino, Arc::clone(self), base),
        });
        *slot = Arc::downgrade(&file);
        Ok(file)
    }

    /// The content of `ino` if it is in memory.
    pub fn get(&self, ino: Ino) -> Option<Arc<StagedFile>> {
        let slot = self.slots.lock().get(&ino).map(Arc::clone)?;
        slot.lock().upgrade()
    }

    /// The files that are in memory.
    pub fn loaded(&self) -> Vec<Arc<StagedFile>> {
        let slots: Vec<Slot> = self.slots.lock().values().cloned().collect();
        slots
            .iter()
            .filter_map(|slot| slot.lock().upgrade())
            .collect()
    }

    /// A file went out of memory.
    pub fn left(&self, ino: Ino) {
        let mut slots = self.slots.lock();
        // Who has a clone of the slot is loading the file anew, or will find
        // that it is gone.
        if slots
            .get(&ino)
            .is_some_and(|slot| Arc::strong_count(slot) == 1)
        {
            slots.remove(&ino);
        }
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
