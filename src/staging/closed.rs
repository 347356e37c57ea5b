//! A sealed map with what keeps its bytes. A leaf: it knows no file.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::StagingError;
use super::base::{Base, Pin};
use super::data_file::{DataFile, FileNumber, Hold};
use super::extents::{ExtentMap, bytes_in};
use super::rows::Row;

/// A sealed map and what keeps its bytes: places of the data file and files of
/// the service.
pub(super) struct Closed {
    pub number: u64,
    pub map: Arc<ExtentMap>,
    /// `None` if no byte is in a data file.
    pub hold: Option<Hold>,
    pub pins: Arc<Vec<Pin>>,
    on_disk: AtomicBool,
    /// So far it was read to be sent, in bytes.
    pub sent: AtomicU64,
}

impl Closed {
    pub fn new(
        number: u64,
        map: Arc<ExtentMap>,
        data: Option<&Arc<DataFile>>,
        base: &dyn Base,
    ) -> Closed {
        let places = map.data_places();
        let hold = data
            .filter(|_| !places.is_empty())
            .map(|data| Hold::places(data, places));
        Closed {
            number,
            sent: AtomicU64::new(0),
            hold,
            pins: Arc::new(pins(&map, base)),
            map,
            on_disk: AtomicBool::new(false),
        }
    }

    /// Brings its bytes to the disk. Blocks.
    pub fn sync(&self) -> Result<(), StagingError> {
        if let Some(hold) = &self.hold {
            hold.data().sync()?;
        }
        self.was_synced();
        Ok(())
    }

    /// Somebody brought its bytes to the disk.
    pub fn was_synced(&self) {
        self.on_disk.store(true, Ordering::Release);
    }

    /// Whether its bytes were brought to the disk.
    pub fn is_on_disk(&self) -> bool {
        self.on_disk.load(Ordering::Acquire)
    }

    pub fn data_bytes(&self) -> u64 {
        bytes_in(&self.map.data_places())
    }

    pub fn row(&self) -> Row {
        Row {
            version: self.number,
            map: ExtentMap::clone(&self.map),
            data_file: self.data_number(),
            unsynced: (self.hold.is_some() && !self.is_on_disk())
                .then(|| super::boot::id().to_owned()),
        }
    }

    pub fn data_number(&self) -> Option<FileNumber> {
        self.hold.as_ref().map(|hold| hold.data().number())
    }
}

/// Pins every file of the service that `map` reads from.
pub(super) fn pins(map: &ExtentMap, base: &dyn Base) -> Vec<Pin> {
    map.remotes()
        .iter()
        .map(|file| base.pin(&file.id))
        .collect()
}
