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

    /// One of this inode went out of memory. Another may be there by now: it was loaded while the
    /// first was on its way out.
    pub fn left(&self, ino: Ino) {
        let mut slots = self.slots.lock();
        // Who has a clone of the slot is loading it anew, or will find that it is gone; where
        // nobody has, the slot is free to be looked into.
        if slots
            .get(&ino)
            .is_some_and(|slot| Arc::strong_count(slot) == 1 && slot.lock().strong_count() == 0)
        {
            slots.remove(&ino);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goes out of memory slowly: meanwhile `then` is done.
    struct Slow {
        slots: Arc<Slots<Slow>>,
        then: Option<Box<dyn FnOnce() + Send + Sync>>,
    }

    impl Drop for Slow {
        fn drop(&mut self) {
            if let Some(then) = self.then.take() {
                then();
            }
            self.slots.left(Ino(7));
        }
    }

    #[test]
    fn there_are_never_two_of_an_inode_though_one_is_loaded_while_another_goes() {
        let slots = Arc::new(Slots::default());
        let load = |then: Option<Box<dyn FnOnce() + Send + Sync>>| {
            let make = || Slow {
                slots: Arc::clone(&slots),
                then,
            };
            slots.get_or(Ino(7), make)
        };
        let second = Arc::new(Mutex::new(None));
        let (again, found) = (Arc::clone(&slots), Arc::clone(&second));
        let first = load(Some(Box::new(move || {
            let make = || Slow {
                slots: Arc::clone(&again),
                then: None,
            };
            *found.lock() = Some(again.get_or(Ino(7), make));
        })));
        drop(first);
        let second = second.lock().take().unwrap();
        assert!(Arc::ptr_eq(&load(None), &second));
        drop(second);
        assert!(slots.slots.lock().is_empty());
    }
}
