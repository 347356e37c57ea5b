//! Bytes of a state directory that no mount shows, and how they are got back: what was
//! written and neither closed nor synced when a process was killed, and, where the database
//! cannot be read, everything that waited for its upload.
//!
//! Works on the folder alone, without a daemon; whoever calls makes sure that none is
//! running, since its open files would be listed too. Nothing here changes or removes
//! a data file: that is [`Remains::remove`], after the user decided.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rangemap::RangeSet;
use rusqlite::{Connection, OpenFlags};

use super::budget::Budget;
use super::data_file::{DataFile, FileNumber};
use super::extents::{Extent, ExtentMap, Source, bytes_in};
use super::label::Label;
use super::places::OVERFLOW;
use super::{StagingError, rows};
use crate::ids::Ino;

/// Bytes that one step of a copy moves.
const CHUNK: u64 = 1 << 20;

/// Greatest common unit of disks.
const BLOCK: u64 = 4096;

/// Why bytes are not shown by a mount.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The file was not closed or synced before its process died, and has no stored version.
    NeverClosed,
    /// The mount shows an older version, closed or on the service; these were written after it.
    Unsaved,
    /// It was closed, and the database knows nothing of it: another one took the place of that
    /// which did, or it went, sent or removed, as its process died.
    Unknown,
    /// The database cannot be read: of closed files, too, only this is known.
    NoDatabase,
}

/// Bytes of one file that no mount shows.
#[derive(Clone, Debug)]
pub struct Remains {
    /// The data file's number.
    pub number: FileNumber,
    /// The data file.
    pub data: PathBuf,
    /// Whose bytes they are, if that is known; the tree knows the name.
    pub ino: Option<Ino>,
    /// Where the file was when it was closed last, from the root of the account.
    pub path: Option<PathBuf>,
    /// How many bytes there are.
    pub bytes: u64,
    /// When the last of them was written.
    pub modified: SystemTime,
    /// Why they are not shown.
    pub why: Why,
    /// The version that they were written after.
    before: Option<ExtentMap>,
    /// Where they are in the data file.
    places: RangeSet<u64>,
}

/// What a state directory has.
#[derive(Debug)]
pub struct Found {
    /// The remains, oldest first.
    pub remains: Vec<Remains>,
    /// Data files that cannot be read, and why.
    pub unreadable: Vec<(PathBuf, StagingError)>,
    /// Why the database cannot be read, if so.
    pub database: Option<rusqlite::Error>,
}

/// What came of [`Remains::restore`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Restored {
    /// Bytes that were written to the file.
    pub bytes: u64,
    /// Bytes that are on the service, of its unchanged version: holes in the file.
    pub on_service: u64,
    /// Bytes that replaced others, with their places unknown, in a file of their own.
    pub loose: Option<PathBuf>,
}

/// Looks through the staging folder `dir` with the database at `database`.
///
/// # Errors
/// The folder cannot be read.
pub fn remains(dir: &Path, database: &Path) -> Result<Found, StagingError> {
    let mut numbers = match DataFile::numbers_in(dir) {
        Err(StagingError::Disk { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Vec::new()
        }
        found => found?,
    };
    numbers.sort_unstable();
    let (stored, database) = match stored_maps(database) {
        Ok(stored) => (Some(stored), None),
        Err(error) => (None, Some(error)),
    };
    let (mut remains, mut unreadable) = (Vec::new(), Vec::new());
    for number in numbers {
        match look_at(dir, number, stored.as_ref()) {
            Ok(found) => remains.extend(found),
            // One bad sector hides no other file.
            Err(error) => unreadable.push((DataFile::path_in(dir, number), error)),
        }
    }
    Ok(Found {
        remains,
        unreadable,
        database,
    })
}

type Stored = HashMap<FileNumber, (Ino, Option<ExtentMap>)>;

fn stored_maps(database: &Path) -> Result<Stored, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    rows::maps(&Connection::open_with_flags(database, flags)?)
}

fn look_at(
    dir: &Path,
    number: FileNumber,
    stored: Option<&Stored>,
) -> Result<Option<Remains>, StagingError> {
    let row = stored.and_then(|stored| stored.get(&number));
    let (why, before) = match (stored, row) {
        // Where a row cannot be read, nothing of its file is touched.
        (Some(_), Some((_, None))) => (Why::NoDatabase, None),
        (Some(_), Some((_, Some(map)))) => (Why::Unsaved, Some(map.clone())),
        (Some(_), None) => (Why::NeverClosed, None),
        (None, _) => (Why::NoDatabase, None),
    };
    let in_use = before.as_ref().map(ExtentMap::data_places);
    let budget = Arc::new(Budget::new(u64::MAX, 0));
    let data = DataFile::open(dir, number, budget, in_use.unwrap_or_default())?;
    let found = data.leftover()?;
    // Looking is not touching.
    data.let_go();
    let mut places = RangeSet::new();
    for place in found.iter() {
        let place = without_edges(&data, place.clone())?;
        if !place.is_empty() {
            places.insert(place);
        }
    }
    if places.is_empty() {
        return Ok(None);
    }
    let path = DataFile::path_in(dir, number);
    let file = File::open(&path).map_err(StagingError::disk("open"))?;
    let facts = file.metadata().map_err(StagingError::disk("look at"))?;
    let label = Label::read(&file);
    let was_closed = label.as_ref().is_some_and(|label| label.path.is_some());
    let why = match why {
        Why::NeverClosed if was_closed => Why::Unknown,
        why => why,
    };
    let labelled = label.as_ref().map(|label| Ino(label.ino));
    Ok(Some(Remains {
        number,
        data: path,
        ino: row.map(|(ino, _)| *ino).or(labelled),
        path: label.as_ref().and_then(|label| label.path.clone()),
        bytes: bytes_in(&places),
        modified: facts.modified().map_err(StagingError::disk("look at"))?,
        why,
        before: before.or_else(|| label.and_then(|label| label.map())),
        places,
    }))
}

/// A disk keeps whole blocks: zeros at the edges of a place are the rest of one, and
/// a hole gives them back.
fn without_edges(data: &DataFile, place: Range<u64>) -> Result<Range<u64>, StagingError> {
    let edge = |range: Range<u64>| {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        data.read(&mut bytes, range.start).map(|()| bytes)
    };
    let is_written = |byte: &u8| *byte != 0;
    let first = place.start..place.end.min(place.start + BLOCK);
    let bytes = edge(first)?;
    let leading = bytes.iter().position(is_written).unwrap_or(bytes.len());
    let start = place.start + leading as u64;
    let last = start.max(place.end.saturating_sub(BLOCK))..place.end;
    let bytes = edge(last.clone())?;
    let written = bytes.iter().rposition(is_written).map_or(0, |at| at + 1);
    Ok(start..last.start + written as u64)
}

impl Remains {
    /// Writes the file as far as it is known to `to`, which must not exist: the last closed
    /// version if there was one, and over it what was written at the end of it or into holes.
    /// Bytes that replaced others have no known place: they go to `to` with `.loose` added.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn restore(&self, to: &Path) -> Result<Restored, StagingError> {
        let data = File::open(&self.data).map_err(StagingError::disk("open"))?;
        let target = make(to)?;
        let mut restored = Restored::default();
        let mut known = RangeSet::new();
        if let Some(map) = &self.before {
            target
                .set_len(map.size())
                .map_err(StagingError::disk("restore"))?;
            known = map.data_places();
            for Extent { range, source } in map.extents() {
                let length = range.end - range.start;
                match source {
                    Source::Data { offset } => {
                        restored.bytes += copy(&data, offset, &target, range.start, length)?;
                    }
                    Source::Remote { .. } => restored.on_service += length,
                    Source::Zero => {}
                }
            }
        }
        let mut loose = None;
        for place in self.places.iter() {
            let mut rest = RangeSet::new();
            rest.insert(place.clone());
            for taken in known.iter() {
                rest.remove(taken.clone());
            }
            for piece in rest.iter() {
                let length = piece.end - piece.start;
                if piece.start < OVERFLOW {
                    restored.bytes += copy(&data, piece.start, &target, piece.start, length)?;
                    continue;
                }
                let (file, at) = match &mut loose {
                    Some(loose) => loose,
                    none => none.insert((make(&loose_name(to))?, 0)),
                };
                *at += copy(&data, piece.start, file, *at, length)?;
                restored.loose = Some(loose_name(to));
            }
        }
        target.sync_all().map_err(StagingError::disk("sync"))?;
        Ok(restored)
    }

    /// Removes the data file, if no version needs it.
    ///
    /// # Errors
    /// That of the disk; [`StagingError::NoDataFile`] for one that is needed.
    pub fn remove(self) -> Result<(), StagingError> {
        match self.why {
            Why::NeverClosed => {
                std::fs::remove_file(&self.data).map_err(StagingError::disk("remove"))
            }
            Why::Unsaved | Why::Unknown | Why::NoDatabase => Err(StagingError::NoDataFile),
        }
    }
}

fn loose_name(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".loose");
    name.into()
}

fn make(path: &Path) -> Result<File, StagingError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(StagingError::disk("restore"))
}

/// Copies up to `length` bytes, less where the data file ends.
fn copy(from: &File, place: u64, to: &File, at: u64, length: u64) -> Result<u64, StagingError> {
    let mut buffer = vec![0; length.min(CHUNK) as usize];
    let mut done = 0;
    while done < length {
        let want = (length - done).min(CHUNK) as usize;
        let part = buffer.get_mut(..want).unwrap_or_default();
        let got = from
            .read_at(part, place + done)
            .map_err(StagingError::disk("read"))?;
        if got == 0 {
            break;
        }
        let part = part.get(..got).unwrap_or_default();
        to.write_all_at(part, at + done)
            .map_err(StagingError::disk("restore"))?;
        done += got as u64;
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::staging::testing::{Bench, INO};

    fn found(bench: &Bench) -> Found {
        remains(&bench.folder(), &bench.database()).unwrap()
    }

    fn restored(bench: &Bench, remains: &Remains) -> (Vec<u8>, Restored) {
        let to = bench.folder().with_file_name("restored");
        let restored = remains.restore(&to).unwrap();
        let bytes = std::fs::read(&to).unwrap();
        std::fs::remove_file(to).unwrap();
        (bytes, restored)
    }

    #[test]
    fn nothing_remains_of_files_that_were_closed() {
        let mut bench = Bench::new();
        let file = bench.file(None);
        file.write(0, b"closed").unwrap();
        bench.seal(&file).unwrap();
        bench.kill(&[&file]);
        let found = found(&bench);
        assert!(found.remains.is_empty() && found.database.is_none());
    }

    #[test]
    fn a_file_that_was_never_closed_is_restored_and_can_go() {
        let mut bench = Bench::new();
        let file = bench.file(None);
        file.write(10, b"unsaved").unwrap();
        bench.kill(&[&file]);
        let remains = found(&bench).remains.remove(0);
        assert_eq!((remains.why, remains.ino), (Why::NeverClosed, Some(INO)));
        assert_eq!(restored(&bench, &remains).0, b"\0\0\0\0\0\0\0\0\0\0unsaved");
        remains.remove().unwrap();
        assert!(found(&bench).remains.is_empty());
    }

    #[test]
    fn what_was_written_after_the_last_close_is_restored_over_it() {
        let mut bench = Bench::new();
        let file = bench.file(None);
        file.write(0, b"closed").unwrap();
        bench.seal(&file).unwrap();
        file.write(6, b", and more").unwrap();
        file.write(0, b"CL").unwrap();
        bench.kill(&[&file]);
        let remains = found(&bench).remains.remove(0);
        assert_eq!((remains.why, remains.bytes), (Why::Unsaved, 12));
        let to = bench.folder().with_file_name("restored");
        let restored = remains.restore(&to).unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), b"closed, and more");
        assert_eq!(std::fs::read(restored.loose.unwrap()).unwrap(), b"CL");
        // Its file still has what was closed.
        assert!(remains.remove().is_err());
    }

    #[test]
    fn without_its_database_a_closed_file_is_restored_from_its_label() {
        let mut bench = Bench::new();
        let remote = bench.service.put(&[9; 100]);
        let file = bench.file(Some(&remote));
        file.write(50, b"edited").unwrap();
        let mut sealing = file.seal(crate::staging::Survive::Kill).unwrap().unwrap();
        bench.store.write(|tx| sealing.store(tx)).unwrap();
        sealing.label(Path::new("folder/name"));
        sealing.committed();
        bench.kill(&[&file]);
        let nowhere = bench.folder().with_file_name("nowhere.db");
        let found = remains(&bench.folder(), &nowhere).unwrap();
        assert!(found.database.is_some());
        let remains = &found.remains[0];
        assert_eq!(remains.path.as_deref(), Some(Path::new("folder/name")));
        assert_eq!(remains.why, Why::NoDatabase);
        let (bytes, restored) = restored(&bench, remains);
        assert_eq!(&bytes[50..56], b"edited");
        assert_eq!(
            (bytes.len(), restored.bytes, restored.on_service),
            (100, 6, 94)
        );
    }
}
