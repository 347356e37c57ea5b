//! The data file of an inode: staged bytes on the disk, and the care for its
//! places.
//!
//! A data file is sparse, has mode 0600 and the name `<number>.data`. Its bytes
//! mean nothing without a map. [`Hold`] freezes places; when it goes, what
//! nothing else points at is punched out.

use std::fs::{File, OpenOptions};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nix::fcntl::{FallocateFlags, fallocate};
use nix::unistd::{Whence, lseek};
use parking_lot::Mutex;
use rangemap::RangeSet;

use super::StagingError;
use super::budget::Budget;
use super::extents::ExtentMap;
use super::label::Label;
use super::places::{Doomed, Fresh, HoldId, Placement, Places, subtract_all};
use super::write_back::{PORTION, WriteBack};

/// Number of a data file; never used twice while the file or its row exists.
pub type FileNumber = NonZeroU64;

/// Up to this length, allocated bytes that no map has are looked at: all zero,
/// they are the rest of a block and not something that was written.
const LOOK_AT: u64 = 64 << 10;

/// An open data file.
#[derive(Debug)]
pub(super) struct DataFile {
    number: FileNumber,
    path: PathBuf,
    file: File,
    budget: Arc<Budget>,
    /// Taken last, and for moments only.
    places: Mutex<Places>,
    /// Its name may not be on the disk yet.
    name_unsynced: AtomicBool,
    /// New bytes that have not begun their way to the disk.
    resting: AtomicU64,
    /// It is the service's, the cache's or the next process's: never punch it.
    let_go: AtomicBool,
}

impl DataFile {
    /// The file's name in the staging folder.
    pub fn path_in(dir: &Path, number: FileNumber) -> PathBuf {
        dir.join(format!("{number}.data"))
    }

    /// The number of the data file of this name.
    pub fn number_of(name: &str) -> Option<FileNumber> {
        name.strip_suffix(".data")?.parse().ok()
    }

    /// The numbers of all data files in the staging folder.
    pub fn numbers_in(dir: &Path) -> Result<Vec<FileNumber>, StagingError> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(StagingError::disk("list"))? {
            let name = entry.map_err(StagingError::disk("list"))?.file_name();
            numbers.extend(name.to_str().and_then(Self::number_of));
        }
        Ok(numbers)
    }

    /// Makes a new, empty data file.
    ///
    /// # Errors
    /// That of the disk; one of the kind `AlreadyExists` if there is a file of this number.
    pub fn create(
        dir: &Path,
        number: FileNumber,
        budget: Arc<Budget>,
    ) -> Result<DataFile, StagingError> {
        let path = Self::path_in(dir, number);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(StagingError::disk("create a file for"))?;
        Ok(DataFile {
            number,
            path,
            file,
            budget,
            places: Mutex::default(),
            name_unsynced: AtomicBool::new(true),
            resting: AtomicU64::new(0),
            let_go: AtomicBool::new(false),
        })
    }

    /// Opens the data file of a stored map, of which `places` are in use.
    pub fn open(
        dir: &Path,
        number: FileNumber,
        budget: Arc<Budget>,
        places: RangeSet<u64>,
    ) -> Result<DataFile, StagingError> {
        let path = Self::path_in(dir, number);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(StagingError::disk("open"))?;
        Ok(DataFile {
            number,
            path,
            file,
            budget,
            places: Mutex::new(Places::of(places)),
            // It may have been made just before the last process died.
            name_unsynced: AtomicBool::new(true),
            resting: AtomicU64::new(0),
            let_go: AtomicBool::new(false),
        })
    }

    /// Writes whose bytes it has.
    pub fn label(&self, label: Label) {
        label.write(&self.file);
    }

    pub fn number(&self) -> FileNumber {
        self.number
    }

    /// Whether somebody holds places of it.
    pub fn is_held(&self) -> bool {
        self.places.lock().is_held()
    }

    /// Where a write of `range` goes. The caller keeps other writers of this
    /// file away until it has said [`DataFile::write`] for each placement.
    pub fn plan(&self, range: Range<u64>, map: &ExtentMap) -> Vec<Placement> {
        self.places.lock().plan(range, map)
    }

    /// Writes `data` where `placement` says. If that fails, the bytes at fresh
    /// places are dropped and their reservation is given back.
    pub fn write(&self, placement: &Placement, data: &[u8]) -> Result<(), StagingError> {
        let written = self.file.write_all_at(data, placement.place);
        if written.is_err() && placement.fresh == Fresh::Yes {
            let doomed = self.places.lock().spoil(placement.places());
            self.punch(doomed);
        }
        written.map_err(StagingError::disk("write"))
    }

    /// The current map points at `placement` now, and not at `replaced`.
    pub fn wrote(&self, placement: &Placement, replaced: &RangeSet<u64>) {
        self.places.lock().wrote(placement, replaced);
    }

    /// So many new bytes were written. Portion by portion they begin their way to the disk.
    pub fn grew(&self, bytes: u64, write_back: &WriteBack) {
        // Relaxed: writers of a file come one by one.
        let resting = self.resting.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if resting >= PORTION {
            self.resting.store(0, Ordering::Relaxed);
            write_back.begin(&self.file);
        }
    }

    /// The current map does not point at `places` any more.
    pub fn free(&self, places: &RangeSet<u64>) {
        if !places.is_empty() {
            let doomed = self.places.lock().free(places);
            self.punch(doomed);
        }
    }

    /// Reads exactly `buffer`; bytes beyond the end are an error, not zeros.
    pub fn read(&self, buffer: &mut [u8], place: u64) -> Result<(), StagingError> {
        self.file
            .read_exact_at(buffer, place)
            .map_err(StagingError::disk("read"))
    }

    /// Brings the bytes to the disk, and the file's name if it is new.
    pub fn sync(&self) -> Result<(), StagingError> {
        self.file.sync_data().map_err(StagingError::disk("sync"))?;
        if self.name_unsynced.load(Ordering::Acquire) {
            if let Some(dir) = self.path.parent() {
                File::open(dir)
                    .and_then(|dir| dir.sync_all())
                    .map_err(StagingError::disk("sync the folder of"))?;
            }
            self.name_unsynced.store(false, Ordering::Release);
        }
        Ok(())
    }

    /// Takes the file out of this process's care: from now on nothing is punched
    /// or given back to the budget. Returns how many bytes are in use, which the
    /// caller gives back as far as they are not staged any more.
    pub fn let_go(&self) -> u64 {
        // Under the lock, so that a punch that ends now counts either before or
        // not at all.
        let places = self.places.lock();
        self.let_go.store(true, Ordering::Release);
        places.used()
    }

    /// Removes the name; the bytes stay until the last handle goes.
    pub fn unlink(&self) {
        if let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(
                path = %self.path.display(), %error,
                "a staged file that is not needed any more stays on the disk"
            );
        }
    }

    /// A handle of its own on a file of exactly `size` bytes, for who takes the
    /// file over.
    pub fn hand_over(&self, size: u64) -> Result<(File, &Path), StagingError> {
        let file = self
            .file
            .set_len(size)
            .and_then(|()| self.file.try_clone())
            .map_err(StagingError::disk("hand over"))?;
        Ok((file, &self.path))
    }

    /// What is in the file but not in use: bytes that were written and neither
    /// closed nor synced when a process died.
    pub fn leftover(&self) -> Result<RangeSet<u64>, StagingError> {
        let written = segments(&self.file).map_err(StagingError::disk("look through"))?;
        let unused = {
            let places = self.places.lock();
            subtract_all(written, &[places.in_current()])
        };
        let mut leftover = RangeSet::new();
        let mut buffer = Vec::new();
        for range in unused {
            let length = range.end - range.start;
            if length <= LOOK_AT {
                buffer.resize(length as usize, 0);
                self.read(&mut buffer, range.start)?;
                if buffer.iter().all(|byte| *byte == 0) {
                    continue;
                }
            }
            leftover.insert(range);
        }
        Ok(leftover)
    }

    /// Whether the disk has nothing at places that are in use: they were written and
    /// not synced when the machine went down.
    pub fn is_torn(&self) -> Result<bool, StagingError> {
        let written = segments(&self.file).map_err(StagingError::disk("look through"))?;
        let written: RangeSet<u64> = written.into_iter().collect();
        let used = self.places.lock().in_current().iter().cloned().collect();
        Ok(!subtract_all(used, &[&written]).is_empty())
    }

    fn punch(&self, doomed: Doomed) {
        if !self.let_go.load(Ordering::Acquire) {
            for range in doomed.ranges.iter() {
                self.punch_range(range);
            }
        }
        let mut places = self.places.lock();
        places.bury(&doomed);
        if !self.let_go.load(Ordering::Acquire) {
            self.budget.release(doomed.bytes);
        }
    }

    fn punch_range(&self, range: &Range<u64>) {
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let length = (range.end - range.start) as libc::off_t;
        // Without the hole the disk has less room; no byte is wrong.
        if let Err(error) = fallocate(&self.file, flags, range.start as libc::off_t, length) {
            tracing::debug!(number = self.number, %error, "no hole in a staged file");
        }
    }
}

/// The stretches of a file that are not holes, as its filesystem sees it.
fn segments(file: &File) -> std::io::Result<Vec<Range<u64>>> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let start = match lseek(file.as_fd(), at, Whence::SeekData) {
            Ok(start) => start,
            Err(nix::errno::Errno::ENXIO) => return Ok(found),
            Err(error) => return Err(error.into()),
        };
        at = lseek(file.as_fd(), start, Whence::SeekHole)?;
        // Neither is negative: the calls succeeded.
        found.push(start as u64..at as u64);
    }
}

/// Keeps places of a data file as they are for as long as it lives.
#[derive(Debug)]
pub(super) struct Hold {
    data: Arc<DataFile>,
    id: HoldId,
}

impl Hold {
    /// Freezes what the current map points at.
    pub fn current(data: &Arc<DataFile>) -> Hold {
        Hold {
            id: data.places.lock().hold_current(),
            data: Arc::clone(data),
        }
    }

    /// Freezes `places`, and counts those that were not in use.
    pub fn places(data: &Arc<DataFile>, places: RangeSet<u64>) -> Hold {
        let id = {
            let mut all = data.places.lock();
            let before = all.used();
            let id = all.hold(places);
            data.budget.count(all.used() - before);
            id
        };
        Hold {
            id,
            data: Arc::clone(data),
        }
    }

    /// Bytes that it freezes.
    pub fn bytes(&self) -> u64 {
        self.data.places.lock().held_bytes(self.id)
    }

    /// Whether it has places that are not in `others`.
    pub fn exceeds(&self, others: &RangeSet<u64>) -> bool {
        let all = self.data.places.lock();
        let mine = all.held_places(self.id);
        !subtract_all(mine, &[others]).is_empty()
    }

    /// The file that it holds.
    pub fn data(&self) -> &Arc<DataFile> {
        &self.data
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let doomed = self.data.places.lock().release(self.id);
        self.data.punch(doomed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::places::OVERFLOW;
    use super::*;
    use crate::staging::extents::Source;

    struct Bench {
        dir: tempfile::TempDir,
        budget: Arc<Budget>,
        data: Arc<DataFile>,
        map: ExtentMap,
    }

    const NUMBER: FileNumber = FileNumber::MIN;

    impl Bench {
        fn new() -> Bench {
            let dir = tempfile::tempdir().unwrap();
            let budget = Arc::new(Budget::new(u64::MAX, 0));
            let data = DataFile::create(dir.path(), NUMBER, Arc::clone(&budget)).unwrap();
            Bench {
                dir,
                budget,
                data: Arc::new(data),
                map: ExtentMap::default(),
            }
        }

        fn write(&mut self, at: u64, bytes: &[u8]) {
            for placement in self.data.plan(at..at + bytes.len() as u64, &self.map) {
                let part =
                    (placement.logical.start - at) as usize..(placement.logical.end - at) as usize;
                if placement.fresh == Fresh::Yes {
                    self.budget.count(part.len() as u64);
                }
                self.data.write(&placement, &bytes[part]).unwrap();
                let replaced = self.map.data_places_in(placement.logical.clone());
                self.data.wrote(&placement, &replaced);
                let offset = placement.place;
                self.map.overlay(placement.logical, Source::Data { offset });
            }
        }
    }

    #[test]
    fn a_released_place_is_punched_and_given_back() {
        let mut bench = Bench::new();
        bench.write(0, &[1; 100_000]);
        let hold = Hold::current(&bench.data);
        bench.write(0, &[2; 100_000]);
        assert_eq!(bench.budget.used(), 200_000);
        drop(hold);
        assert_eq!(bench.budget.used(), 100_000);
        let left = segments(&bench.data.file).unwrap();
        assert!(left.iter().all(|range| range.start >= OVERFLOW), "{left:?}");
    }

    #[test]
    fn a_file_that_was_let_go_is_never_punched() {
        let mut bench = Bench::new();
        bench.write(0, &[1; 8192]);
        let hold = Hold::current(&bench.data);
        bench.data.free(&bench.map.data_places());
        bench.data.let_go();
        drop(hold);
        let mut byte = [0];
        bench.data.read(&mut byte, 8191).unwrap();
        assert_eq!(byte, [1]);
    }

    #[test]
    fn unsaved_bytes_of_an_earlier_process_are_found_and_the_rest_of_a_block_is_not() {
        let mut bench = Bench::new();
        bench.write(0, &[1; 1000]);
        bench.write(8192, &[1; 10]);
        let saved = bench.map.data_places();
        let reopen = |saved: &RangeSet<u64>| {
            DataFile::open(
                bench.dir.path(),
                NUMBER,
                Arc::clone(&bench.budget),
                saved.clone(),
            )
            .unwrap()
        };
        assert!(reopen(&saved).leftover().unwrap().is_empty());
        let _hold = Hold::current(&bench.data);
        let mut bench = bench;
        bench.write(1000, &[2; 10]);
        bench.write(0, &[3; 10]);
        let again =
            DataFile::open(bench.dir.path(), NUMBER, Arc::clone(&bench.budget), saved).unwrap();
        let leftover = again.leftover().unwrap();
        assert!(leftover.contains(&1005) && leftover.contains(&OVERFLOW));
        assert!(!leftover.contains(&999) && !leftover.contains(&8192));
    }

    #[test]
    fn reading_beyond_the_end_is_an_error_and_not_zeros() {
        let bench = Bench::new();
        assert!(bench.data.read(&mut [0; 4], 0).is_err());
    }
}
