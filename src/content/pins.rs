//! Which files of the service somebody still reads from.
//!
//! An object that an open handle or a staged map reads must stay on the
//! service: the upload room asks here before it removes one.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::ids::FileId;

/// The pins of all files, counted.
#[derive(Clone, Default)]
pub(super) struct Pins {
    counts: Arc<Mutex<HashMap<FileId, usize>>>,
}

impl Pins {
    pub(super) fn pin(&self, id: &FileId) -> Pinned {
        *self.counts.lock().entry(id.clone()).or_default() += 1;
        Pinned {
            pins: self.clone(),
            id: id.clone(),
        }
    }

    pub(super) fn is_pinned(&self, id: &FileId) -> bool {
        self.counts.lock().contains_key(id)
    }

    pub(super) fn len(&self) -> usize {
        self.counts.lock().len()
    }
}

/// As long as it lives, the file it names is not removed from the service by us.
#[must_use = "the pin ends when this is dropped"]
pub struct Pinned {
    pins: Pins,
    id: FileId,
}

impl Pinned {
    /// The file that is pinned.
    pub fn id(&self) -> &FileId {
        &self.id
    }
}

impl Clone for Pinned {
    fn clone(&self) -> Self {
        self.pins.pin(&self.id)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let mut counts = self.pins.counts.lock();
        if let Some(count) = counts.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_pinned_until_its_last_pin_is_dropped() {
        let pins = Pins::default();
        let id: FileId = "abcde".parse().unwrap();
        let first = pins.pin(&id);
        let second = first.clone();
        drop(first);
        assert!(pins.is_pinned(&id));
        assert_eq!(second.id(), &id);
        drop(second);
        assert!(!pins.is_pinned(&id));
        assert_eq!(pins.len(), 0);
    }
}
