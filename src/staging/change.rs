//! What changes the content of an inode: writes, cuts, holes, copies.
//!
//! Each has the lock `io` of [`super::file`] to itself, and `state` for moments.

use std::ops::Range;
use std::sync::Arc;

use rangemap::RangeSet;

use super::StagingError;
use super::data_file::{DataFile, Hold};
use super::extents::{Extent, ExtentMap, MAX_SIZE, Source, bytes_in};
use super::file::StagedFile;
use super::label::Label;
use super::places::{Fresh, Placement};

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

impl StagedFile {
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
        staged.saturating_add(more) > self.room().budget.limit()
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
            self.room().budget.check(needed)?;
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
                        let pin = self.room().base.pin(&file.id);
                        self.state.lock().pins.push(pin);
                    }
                    self.edit(to..to + length, |map| map.overlay(to..to + length, source));
                    copied += length;
                }
            }
        }
        Ok(copied)
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
                self.room().check_disk(needed)?;
                self.room().budget.try_reserve(needed)?;
            }
            // The disk itself says when it is full.
            Within::Anything => self.room().budget.count(needed),
        }
        let mut rest = data;
        for (index, placement) in plan.iter().enumerate() {
            let length = (placement.logical.end - placement.logical.start) as usize;
            // The placements cover the range: nothing is cut short.
            let (bytes, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            rest = after;
            if let Err(error) = file.write(placement, bytes) {
                self.room()
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
            self.recount(&mut state);
        }
        file.grew(needed, &self.room().write_back);
        Ok(())
    }

    /// The data file, made now if this is the first write. The caller has `io`
    /// exclusively, so there is no other first write.
    fn data_locked(&self) -> Result<Arc<DataFile>, StagingError> {
        if let Some(data) = &self.state.lock().data {
            return Ok(Arc::clone(data));
        }
        let data = Arc::new(self.room().new_data()?);
        data.label(Label::new(self.ino()));
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
            self.recount(&mut state);
            (freed, state.data.clone())
        };
        if let Some(data) = data {
            data.free(&freed);
        }
    }
}

fn check(offset: u64, length: u64) -> Result<(), StagingError> {
    match offset.checked_add(length) {
        Some(end) if end <= MAX_SIZE => Ok(()),
        _ => Err(StagingError::TooBig),
    }
}
