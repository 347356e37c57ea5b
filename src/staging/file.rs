//! The content of one inode, as its handles see it: reads and changes.
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

use std::ops::Range;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use rangemap::RangeSet;

use super::StagingError;
use super::base::{Base, Pin};
use super::closed::{Closed, pins};
use super::data_file::{DataFile, FileNumber, Hold};
use super::extents::{Extent, ExtentMap, MAX_SIZE, Source, bytes_in};
use super::label::Label;
use super::places::{Fresh, Placement};
use super::read::{self, Read};
use super::room::Room;
use super::rows::{self, Row};
use super::slots::Slots;
use crate::content::RemoteFile;
use crate::ids::{FileId, Ino};

/// Staged bytes that one [`StagedFile::copy_from`] moves at most; a longer copy
/// is continued by the caller.
const COPY_AT_ONCE: u64 = 16 << 20;

/// Unit of a copy of staged bytes.
const COPY_CHUNK: u64 = 1 << 20;

/// Whether a change may make the file longer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grow {
    /// The file reaches at least to the end of the range.
    Size,
    /// The size stays.
    KeepSize,
}

/// Whether a write may take more than the budget has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Within {
    /// It is refused then.
    Budget,
    /// It is counted, and the next one pays. For what cannot be refused (pages of a
    /// mapping that are changed already), and for little.
    Anything,
}

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
        };
        StagedFile::with(ino, home, state)
    }

    /// An empty file that is to be stored after the version `lost`.
    pub(super) fn anew(ino: Ino, home: Home, lost: u64) -> StagedFile {
        let file = StagedFile::clean(ino, home, None);
        let mut state = file.state.lock();
        state.next_version = lost + 1;
        state.settled = lost;
        // Also if nothing is written: that it is empty now is a change.
        state.changes = 1;
        drop(state);
        file
    }

    /// A file whose last closed version is stored.
    pub(super) fn stored(ino: Ino, home: Home, row: Row) -> Result<StagedFile, StagingError> {
        let room = &home.room;
        let map = Arc::new(row.map);
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

    /// Whether there are changes since the last seal.
    pub fn is_dirty(&self) -> bool {
        self.state.lock().is_dirty()
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
        read::read(&extents, data.as_deref(), &self.room.base)
    }

    /// Writes `data` at `offset`; the file grows where needed. If it fails, any
    /// part from the beginning may have been written.
    ///
    /// # Errors
    /// [`StagingError::Budget`] before anything is written; those of the disk.
    pub fn write(&self, offset: u64, data: &[u8]) -> Result<(), StagingError> {
        self.write_within(Within::Budget, offset, data)
    }

    /// As [`StagedFile::write`], within the budget or not.
    ///
    /// # Errors
    /// As [`StagedFile::write`].
    pub fn write_within(
        &self,
        within: Within,
        offset: u64,
        data: &[u8],
    ) -> Result<(), StagingError> {
        let _io = self.io.write();
        self.write_locked(within, offset, data)
    }

    /// Writes `data` at the end and returns where the file ends now.
    ///
    /// # Errors
    /// As [`StagedFile::write`].
    pub fn append(&self, within: Within, data: &[u8]) -> Result<u64, StagingError> {
        let _io = self.io.write();
        let end = self.size();
        self.write_locked(within, end, data)?;
        Ok(end + data.len() as u64)
    }

    /// Whether `more` bytes would make what is staged of this file alone more than the
    /// whole budget. That ends with no upload: the file cannot be sent before it is closed.
    pub fn outgrows_budget(&self, more: u64) -> bool {
        let staged = bytes_in(&self.state.lock().map.data_places());
        staged.saturating_add(more) > self.room.budget.limit()
    }

    /// Makes the file `size` bytes long: cuts it, or adds zeros.
    ///
    /// # Errors
    /// [`StagingError::TooBig`].
    pub fn truncate(&self, size: u64) -> Result<(), StagingError> {
        check(0, size)?;
        let _io = self.io.write();
        if self.size() != size {
            self.edit(size..MAX_SIZE, |map| map.truncate(size));
        }
        Ok(())
    }

    /// Makes sure that `range` exists and has room in the budget now.
    ///
    /// # Errors
    /// [`StagingError::Budget`], [`StagingError::TooBig`].
    pub fn allocate(
        &self,
        range: Range<u64>,
        grow: Grow,
        within: Within,
    ) -> Result<(), StagingError> {
        check(range.start, range.end.saturating_sub(range.start))?;
        let _io = self.io.write();
        let (size, held) = {
            let state = self.state.lock();
            let staged = state.map.data_places_in(range.clone());
            (state.map.size(), bytes_in(&staged))
        };
        let needed = (range.end - range.start).saturating_sub(held);
        // Nothing is set aside: zeros are not sent to the disk to keep a place.
        if within == Within::Budget {
            self.room.budget.check(needed)?;
        }
        if grow == Grow::Size && range.end > size {
            self.edit(size..size, |map| map.truncate(range.end));
        }
        Ok(())
    }

    /// Makes a hole: `range`, as far as the file reaches, reads as zeros.
    ///
    /// # Errors
    /// None at present; as the other changes.
    pub fn punch(&self, range: Range<u64>) -> Result<(), StagingError> {
        self.zero(range, Grow::KeepSize)
    }

    /// Makes `range` zeros.
    ///
    /// # Errors
    /// [`StagingError::TooBig`].
    pub fn zero(&self, range: Range<u64>, grow: Grow) -> Result<(), StagingError> {
        let _io = self.io.write();
        let size = self.size();
        let end = match grow {
            Grow::KeepSize => range.end.min(size),
            Grow::Size => range.end,
        };
        check(range.start, end.saturating_sub(range.start))?;
        if range.start < end {
            let range = range.start..end;
            self.edit(range.clone(), |map| map.overlay(range, Source::Zero));
        }
        Ok(())
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

    /// Copies up to `len` bytes of `src` (which may be this file) from
    /// `src_off` to `dst_off`, and returns how many: less at the end of `src`
    /// or when enough was done for one call. What is on the service is not
    /// fetched, and holes stay holes.
    ///
    /// # Errors
    /// As [`StagedFile::write`]; what was copied before stays.
    pub fn copy_from(
        &self,
        src: &StagedFile,
        src_off: u64,
        dst_off: u64,
        len: u64,
        within: Within,
    ) -> Result<u64, StagingError> {
        check(src_off, len)?;
        check(dst_off, len)?;
        // Frozen, so that no lock of the source is held while this file's is.
        let (map, hold) = src.freeze();
        let mut copied = 0;
        let mut moved = 0;
        for Extent { range, source } in map.slice(src_off..src_off + len) {
            let to = dst_off + (range.start - src_off);
            let length = range.end - range.start;
            match (&source, &hold) {
                (Source::Data { offset }, Some(hold)) => {
                    let length = length.min(COPY_AT_ONCE - moved);
                    match self.copy_staged(hold.data(), *offset, to, length, within) {
                        Ok(()) => {}
                        // What was copied before counts; the caller asks for the rest.
                        Err(error) if copied > 0 && error.is_full() => break,
                        Err(error) => return Err(error),
                    }
                    moved += length;
                    copied += length;
                    if moved == COPY_AT_ONCE {
                        break;
                    }
                }
                (Source::Data { .. }, None) => return Err(StagingError::NoDataFile),
                (Source::Remote { .. } | Source::Zero, _) => {
                    let _io = self.io.write();
                    if let Source::Remote { file, .. } = &source {
                        let pin = self.room.base.pin(&file.id);
                        self.state.lock().pins.push(pin);
                    }
                    self.edit(to..to + length, |map| map.overlay(to..to + length, source));
                    copied += length;
                }
            }
        }
        Ok(copied)
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

    fn freeze(&self) -> (Arc<ExtentMap>, Option<Hold>) {
        let _io = self.io.read();
        let state = self.state.lock();
        let hold = state.data.as_ref().map(Hold::current);
        (Arc::clone(&state.map), hold)
    }

    fn copy_staged(
        &self,
        from: &DataFile,
        place: u64,
        to: u64,
        length: u64,
        within: Within,
    ) -> Result<(), StagingError> {
        let mut buffer = vec![0; length.min(COPY_CHUNK) as usize];
        let mut done = 0;
        while done < length {
            buffer.truncate((length - done).min(COPY_CHUNK) as usize);
            from.read(&mut buffer, place + done)?;
            self.write_within(within, to + done, &buffer)?;
            done += buffer.len() as u64;
        }
        Ok(())
    }

    /// The caller has `io` exclusively.
    fn write_locked(&self, within: Within, offset: u64, data: &[u8]) -> Result<(), StagingError> {
        check(offset, data.len() as u64)?;
        if data.is_empty() {
            return Ok(());
        }
        let file = self.data_locked()?;
        let range = offset..offset + data.len() as u64;
        let plan = {
            let state = self.state.lock();
            file.plan(range, &state.map)
        };
        let fresh = |placements: &[Placement]| -> u64 {
            let taken = placements.iter().filter(|p| p.fresh == Fresh::Yes);
            taken.map(|p| p.logical.end - p.logical.start).sum()
        };
        let needed = fresh(&plan);
        match within {
            Within::Budget => {
                self.room.check_disk(needed)?;
                self.room.budget.try_reserve(needed)?;
            }
            // The disk itself says when it is full.
            Within::Anything => self.room.budget.count(needed),
        }
        let mut rest = data;
        for (index, placement) in plan.iter().enumerate() {
            let length = (placement.logical.end - placement.logical.start) as usize;
            // The placements cover the range: nothing is cut short.
            let (bytes, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            rest = after;
            if let Err(error) = file.write(placement, bytes) {
                self.room
                    .budget
                    .release(fresh(plan.get(index + 1..).unwrap_or_default()));
                return Err(error);
            }
            let mut state = self.state.lock();
            let replaced = match placement.fresh {
                Fresh::Yes => state.map.data_places_in(placement.logical.clone()),
                Fresh::InPlace => RangeSet::new(),
            };
            file.wrote(placement, &replaced);
            let source = Source::Data {
                offset: placement.place,
            };
            state.change(|map| map.overlay(placement.logical.clone(), source));
        }
        Ok(())
    }

    /// The data file, made now if this is the first write. The caller has `io`
    /// exclusively, so there is no other first write.
    fn data_locked(&self) -> Result<Arc<DataFile>, StagingError> {
        if let Some(data) = &self.state.lock().data {
            return Ok(Arc::clone(data));
        }
        let data = Arc::new(self.room.new_data()?);
        data.label(Label::new(self.ino));
        let mut state = self.state.lock();
        if state.discarded {
            data.unlink();
        }
        state.data = Some(Arc::clone(&data));
        Ok(data)
    }

    /// Changes the map and frees the places that `range` had. The caller has
    /// `io` exclusively: no reader is on its way to one of them.
    pub(super) fn edit(&self, range: Range<u64>, change: impl FnOnce(&mut ExtentMap)) {
        let (freed, data) = {
            let mut state = self.state.lock();
            let freed = state.map.data_places_in(range);
            state.change(change);
            (freed, state.data.clone())
        };
        if let Some(data) = data {
            data.free(&freed);
        }
    }
}

impl State {
    pub fn is_dirty(&self) -> bool {
        self.changes != self.sealed_changes
    }

    /// Copies the map first if a sealed version has it too.
    fn change(&mut self, change: impl FnOnce(&mut ExtentMap)) {
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

fn check(offset: u64, length: u64) -> Result<(), StagingError> {
    match offset.checked_add(length) {
        Some(end) if end <= MAX_SIZE => Ok(()),
        _ => Err(StagingError::TooBig),
    }
}
