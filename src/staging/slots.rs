//! Who is in memory: at most one of each inode. A leaf: it knows nothing of what it
//! keeps.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::ids::Ino;

/// Where the one of an inode is, if anybody has it. Locked while it is loaded, so that
/// there are never two of an inode.
type Slot<T> = Arc<Mutex<Weak<T>>>;

/// The slots of all inodes.
pub(super) struct Slots<T> {
    slots: Mutex<HashMap<Ino, Slot<T>>>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots {
            slots: Mutex::default(),
        }
    }
}

impl<T> Slots<T> {
    /// What is in memory, else what `load` makes.
    pub fn get_or_load<E>(
        &self,
        ino: Ino,
        load: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let slot = Arc::clone(self.slots.lock().entry(ino).or_default());
        let mut slot = slot.lock();
        if let Some(found) = slot.upgrade() {
            return Ok(found);
        }
        let loaded = Arc::new(load()?);
        *slot = Arc::downgrade(&loaded);
        Ok(loaded)
    }

    /// The same, where nothing can go wrong.
    pub fn get_or(&self, ino: Ino, make: impl FnOnce() -> T) -> Arc<T> {
        match self.get_or_load(ino, || Ok::<_, Infallible>(make())) {
            Ok(found) => found,
            Err(never) => match never {},
        }
    }

    /// What is in memory.
    pub fn get(&self, ino: Ino) -> Option<Arc<T>> {
        let slot = self.slots.lock().get(&ino).map(Arc::clone)?;
        slot.lock().upgrade()
    }

    /// All that is in memory.
    pub fn loaded(&self) -> Vec<Arc<T>> {
        let slots: Vec<Slot<T>> = self.slots.lock().values().cloned().collect();
        slots
            .iter()
            .filter_map(|slot| slot.lock().upgrade())
            .collect()
    }

    /// It went out of memory.
    pub fn left(&self, ino: Ino) {
        let mut slots = self.slots.lock();
        // Who has a clone of the slot is loading it anew, or will find that it is gone.
        if slots
            .get(&ino)
            .is_some_and(|slot| Arc::strong_count(slot) == 1)
        {
            slots.remove(&ino);
        }
    }
}
