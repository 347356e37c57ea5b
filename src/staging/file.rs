//! The content of one inode, as its handles see it. What changes it is in [`super::change`].
//!
//! Two locks, taken in this order:
//!
//! - `io`, like the kernel's lock of an inode: shared by reads and sealing,
//!   exclusive for whatever changes bytes. It is held during the disk's I/O, so
//!   that a read never sees half of a write or a place that got another use;
//!   never while waiting for the service;
//! - `state`, for moments: the map and the bookkeeping. `size` and the like
//!   take only this one and never wait for a disk.
//!
//! The places of the data file have a lock of their own inside of that one.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use rangemap::RangeSet;

use super::StagingError;
use super::base::{Base, Pin};
use super::closed::{Closed, pins};
use super::data_file::{DataFile, FileNumber, Hold};
use super::extents::ExtentMap;
use super::read::{self, Read};
use super::room::Room;
use super::rows::{self, Row};
use super::slots::Slots;
use crate::content::{Lent, RemoteFile, Who};
use crate::ids::{FileId, Ino};

/// What an inode's content is now, shared by all its handles.
pub struct StagedFile {
    ino: Ino,
    room: Arc<Room>,
    slots: Arc<Slots<StagedFile>>,
    pub(super) io: RwLock<()>,
    pub(super) state: Mutex<State>,
}

/// What a file is a part of.
#[derive(Clone)]
pub(super) struct Home {
    pub room: Arc<Room>,
    pub slots: Arc<Slots<StagedFile>>,
}

pub(super) struct State {
    /// What a reader sees.
    pub map: Arc<ExtentMap>,
    /// Made by the first write.
    pub data: Option<Arc<DataFile>>,
    /// What the row says. The row never refers to a place that is not held here.
    pub closed: Option<Arc<Closed>>,
    /// Versions of which it is not known whether their row was committed.
    pub doubtful: Vec<Arc<Closed>>,
    /// Versions that were sealed and whose row may be there already, though memory was
    /// not told: their bytes are needed.
    pub sealing: u32,
    /// What an earlier process wrote and did not close.
    pub leftover: Option<Hold>,
    /// Counts changes of the map, ...
    pub changes: u64,
    /// ... of which so many are in a sealed version.
    pub sealed_changes: u64,
    pub next_version: u64,
    /// Versions up to this number are stored, or superseded.
    pub settled: u64,
    /// Whether an earlier content would survive a power cut, so that a version
    /// that replaces it must be on the disk before its row is.
    pub precious: bool,
    /// Unlinked: nothing of it is stored any more.
    pub discarded: bool,
    /// Files of the service that `map` reads from.
    pub pins: Vec<Pin>,
    /// Bytes of it that are counted as unsent in [`Room::unsent`].
    pub counted: u64,
}

impl StagedFile {
    /// A file that nobody has changed: all of `base`, or empty.
    pub(super) fn clean(ino: Ino, home: Home, base: Option<RemoteFile>) -> StagedFile {
        let room = &home.room;
        let precious = base.is_some();
        let map = base.map(ExtentMap::whole).unwrap_or_default();
        let state = State {
            pins: pins(&map, &*room.base),
            map: Arc::new(map),
            data: None,
            closed: None,
            doubtful: Vec::new(),
            sealing: 0,
            leftover: None,
            changes: 0,
            sealed_changes: 0,
            next_version: 1,
            settled: 0,
            precious,
            discarded: false,
            counted: 0,
        };
        StagedFile::with(ino, home, state)
    }

    /// An empty file that is to be stored after a version that is lost: its number and size.
    pub(super) fn anew(ino: Ino, home: Home, (lost, size): (u64, u64)) -> StagedFile {
        let file = StagedFile::clean(ino, home, None);
        let mut state = file.state.lock();
        state.next_version = lost + 1;
        state.settled = lost;
        state.counted = size;
        // Also if nothing is written: that it is empty now is a change.
        state.changes = 1;
        file.recount(&mut state);
        drop(state);
        file
    }

    /// A file whose last closed version is stored.
    pub(super) fn stored(ino: Ino, home: Home, row: Row) -> Result<StagedFile, StagingError> {
        let room = &home.room;
        let map = Arc::new(row.map);
        let row_size = map.size();
        let places = map.data_places();
        let data = match row.data_file {
            Some(number) => match room.open_data(number, places) {
                // Its name was not on the disk yet when the machine went down.
                Err(StagingError::Disk { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound =>
                {
                    return Err(StagingError::NoDataFile);
                }
                opened => Some(Arc::new(opened?)),
            },
            None if places.is_empty() => None,
            None => return Err(StagingError::NoDataFile),
        };
        if let Some(data) = &data
            && row
                .unsynced
                .as_deref()
                .is_some_and(|boot| boot != super::boot::id())
            && data.is_torn()?
        {
            return Err(StagingError::Torn);
        }
        let leftover = match &data {
            Some(data) => Some(data.leftover()?).filter(|unsaved| !unsaved.is_empty()),
            None => None,
        };
        let closed = Closed::new(row.version, Arc::clone(&map), data.as_ref(), &*room.base);
        let state = State {
            pins: pins(&map, &*room.base),
            map,
            leftover: leftover
                .zip(data.as_ref())
                .map(|(unsaved, data)| Hold::places(data, unsaved)),
            data,
            closed: Some(Arc::new(closed)),
            doubtful: Vec::new(),
            sealing: 0,
            changes: 0,
            sealed_changes: 0,
            next_version: row.version + 1,
            settled: row.version,
            precious: true,
            discarded: false,
            // With all stored versions, when the room was opened or as this one was stored.
            counted: row_size,
        };
        Ok(StagedFile::with(ino, home, state))
    }

    fn with(ino: Ino, home: Home, state: State) -> StagedFile {
        StagedFile {
            ino,
            room: home.room,
            slots: home.slots,
            io: RwLock::new(()),
            state: Mutex::new(state),
        }
    }

    /// Whose content it is.
    pub fn ino(&self) -> Ino {
        self.ino
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.state.lock().map.size()
    }

    /// Whether bytes of it are those of a file of the service for which `is` holds.
    pub fn reads_from(&self, is: impl Fn(&FileId) -> bool) -> bool {
        let map = Arc::clone(&self.state.lock().map);
        map.remotes().iter().any(|file| is(&file.id))
    }

    /// Whether bytes of it are known to be wrong: reading them fails.
    pub fn is_damaged(&self) -> bool {
        self.reads_from(|id| self.base().is_damaged(id))
    }

    /// Whether [`StagedFile::lend`] is worth a try.
    pub fn may_lend(&self) -> bool {
        self.unchanged()
            .is_some_and(|file| self.base().may_lend(&file))
    }

    /// All bytes of it, for the kernel to read them by itself: only of a file that is as the service
    /// has it. Blocks for the disk.
    pub fn lend(&self) -> Option<Lent> {
        self.base().lend(&*self.unchanged()?)
    }

    /// The file of the service that it is, from its first byte to its last, with nothing staged.
    fn unchanged(&self) -> Option<Arc<RemoteFile>> {
        let state = self.state.lock();
        let settled = !state.is_dirty()
            && !state.discarded
            && state.closed.is_none()
            && state.doubtful.is_empty()
            && state.sealing == 0
            && state.leftover.is_none();
        state.map.copy_of().filter(|_| settled).cloned()
    }

    /// Whether there are changes since the last seal.
    pub fn is_dirty(&self) -> bool {
        self.state.lock().is_dirty()
    }

    /// By how many bytes more will have to be sent once a change makes the file `size` bytes
    /// long: all of it if nothing else is unsent, since there is no way to send a part.
    pub fn more_unsent(&self, size: u64) -> u64 {
        size.saturating_sub(self.state.lock().counted)
    }

    /// Counts what is unsent of it anew, after a change of the state.
    pub(super) fn recount(&self, state: &mut State) {
        let now = state.unsent();
        self.room.recount(state.counted, now);
        state.counted = now;
    }

    /// Bytes that are not a hole, wherever they are: what `st_blocks` counts.
    pub fn allocated(&self) -> u64 {
        self.state.lock().map.occupied()
    }

    /// Bytes that an earlier process wrote and neither closed nor synced.
    pub fn leftover(&self) -> u64 {
        let state = self.state.lock();
        state.leftover.as_ref().map_or(0, Hold::bytes)
    }

    /// Up to `len` bytes from `offset` on, short only at the end of the file:
    /// the file as it is at one moment during this call.
    pub fn read(&self, offset: u64, len: usize) -> Read {
        let _io = self.io.read();
        let (extents, data) = {
            let state = self.state.lock();
            let range = offset..offset.saturating_add(len as u64);
            (state.map.slice(range), state.data.clone())
        };
        read::read(Who::Reader, &extents, data.as_deref(), &self.room.base)
    }

    /// The first position at or after `offset` that is not in a hole. `None`
    /// if there is none (ENXIO).
    pub fn seek_data(&self, offset: u64) -> Option<u64> {
        self.state.lock().map.next_data(offset)
    }

    /// The first position at or after `offset` that is in a hole; the file's
    /// end counts as one. `None` beyond the end (ENXIO).
    pub fn seek_hole(&self, offset: u64) -> Option<u64> {
        self.state.lock().map.next_hole(offset)
    }

    /// Brings the staged bytes to the disk. Blocks.
    ///
    /// # Errors
    /// That of the disk.
    pub fn sync(&self) -> Result<(), StagingError> {
        let (data, closed) = {
            let state = self.state.lock();
            (state.data.clone(), state.closed.clone())
        };
        if let Some(data) = data {
            data.sync()?;
        }
        match closed {
            Some(closed) => self.on_disk(&closed),
            None => Ok(()),
        }
    }

    /// The bytes of a closed version are on the disk: from the next durable transaction on
    /// it survives a power cut.
    pub(super) fn on_disk(&self, closed: &Closed) -> Result<(), StagingError> {
        if closed.is_on_disk() {
            return Ok(());
        }
        // Before anybody can count on it: what replaces it from now on takes care of it.
        self.state.lock().precious = true;
        closed.was_synced();
        let store = &self.room.store;
        store.write(|tx| rows::synced(tx, self.ino, closed.number))
    }

    /// The data file, if there is one.
    pub(super) fn data_number(&self) -> Option<FileNumber> {
        self.state.lock().data.as_ref().map(|data| data.number())
    }

    pub(super) fn room(&self) -> &Arc<Room> {
        &self.room
    }

    pub(super) fn base(&self) -> &Arc<dyn Base> {
        &self.room.base
    }
}

impl State {
    pub fn is_dirty(&self) -> bool {
        self.changes != self.sealed_changes
    }

    /// Bytes of the file if the service does not have it as it is.
    fn unsent(&self) -> u64 {
        let is_unsent = !self.discarded && (self.is_dirty() || self.closed.is_some());
        if is_unsent { self.map.size() } else { 0 }
    }

    /// Copies the map first if a sealed version has it too.
    pub fn change(&mut self, change: impl FnOnce(&mut ExtentMap)) {
        change(Arc::make_mut(&mut self.map));
        self.changes += 1;
    }

    /// Whether a stored version has staged bytes that are not at `kept`.
    pub fn loses_bytes(&self, kept: &RangeSet<u64>) -> bool {
        let stored = self.closed.iter().chain(&self.doubtful);
        let mut holds = stored.filter_map(|closed| closed.hold.as_ref());
        holds.any(|hold| hold.exceeds(kept))
    }

    /// Bytes of the data file that the row refers to.
    pub fn stored_bytes(&self) -> u64 {
        self.closed.as_ref().map_or(0, |closed| closed.data_bytes())
    }
}

impl Drop for StagedFile {
    /// The stored version stays on the disk, and so do changes that nobody
    /// sealed, for `doctor`.
    fn drop(&mut self) {
        let state = self.state.get_mut();
        // What nobody sealed is not sent.
        let stored = state.closed.as_ref().map_or(0, |closed| closed.map.size());
        self.room.recount(state.counted, stored);
        if let Some(data) = state.data.take() {
            let unsaved = state.is_dirty() && !state.map.data_places().is_empty();
            let stored = state.closed.as_ref();
            let wanted = stored.is_some_and(|closed| closed.hold.is_some())
                || !state.doubtful.is_empty()
                || state.leftover.is_some()
                || unsaved;
            let used = data.let_go();
            let kept = if state.discarded || !wanted {
                if !state.discarded {
                    data.unlink();
                }
                0
            } else {
                state.stored_bytes()
            };
            self.room.budget.release(used.saturating_sub(kept));
        }
        self.slots.left(self.ino);
    }
}
