//! Cache files are opened, made and taken over here, and closed when too many are open.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::RemoteFile;
use super::super::blocks::BlockMap;
use super::super::error::ContentError;
use super::super::file::{CacheFile, now_ns};
use super::super::rows::{self, Row};
use super::super::sums::Sums;
use super::{Entry, FREED_PART, Shelf, remove_file};
use crate::ids::FileId;

/// Cache files kept open while nobody uses them. Each has two descriptors.
const MOST_OPEN: usize = 128;

impl Shelf {
    /// The cache file of `file`, opened or made. Blocks for a few system calls
    /// and a query.
    pub(in crate::content) fn find(
        &self,
        file: &RemoteFile,
    ) -> Result<Arc<CacheFile>, ContentError> {
        // Held from reading a row to sharing its file: a map that was read before
        // another opened, changed and closed the file would be stale.
        let _opening = self.opening.lock();
        loop {
            if let Some(open) = self.get(file) {
                return Ok(open);
            }
            let known = self.index.read().get(&file.id).map(|entry| Row {
                id: file.id.clone(),
                size: entry.size,
                number: entry.number,
                cached: entry.cached,
                used: now_ns(),
            });
            let found = match known {
                Some(row) => {
                    let known = match row.size == file.size {
                        true => self.reopen(&row)?,
                        false => None,
                    };
                    let Some(found) = known else {
                        self.discard(&row.id, row.number);
                        continue;
                    };
                    found
                }
                None => self.create(file),
            };
            if let Some(shared) = self.shelve(found) {
                self.close_idle();
                return Ok(shared);
            }
        }
    }

    /// The cache file of that number, opened if need be, as long as it is in the index.
    pub(super) fn open_known(
        &self,
        id: &FileId,
        number: u64,
    ) -> Result<Option<Arc<CacheFile>>, ContentError> {
        let _opening = self.opening.lock();
        let row = {
            let index = self.index.read();
            let Some(entry) = index.get(id).filter(|entry| entry.number == number) else {
                return Ok(None);
            };
            if let Some(open) = &entry.open {
                return Ok(Some(Arc::clone(open)));
            }
            Row {
                id: id.clone(),
                size: entry.size,
                number,
                cached: entry.cached,
                used: entry.used,
            }
        };
        let shared = self.reopen(&row)?.and_then(|file| self.shelve(file));
        self.close_idle();
        Ok(shared)
    }

    /// Opens a cache file that is in the index; `None` if it cannot be trusted.
    fn reopen(&self, row: &Row) -> Result<Option<CacheFile>, ContentError> {
        let known = self
            .store
            .read(|c| rows::known(c, &row.id, row.size, row.number))?;
        let Some((map, sums)) = known
            .and_then(|known| Some((BlockMap::from_bytes(row.size, &known.bits)?, known.sums)))
        else {
            return Ok(None);
        };
        let path = self.path(&row.id, row.number);
        let disk = File::options().read(true).write(true).open(&path);
        let Some((disk, sums)) = disk
            .ok()
            .and_then(|disk| sums_of(&disk, row.size, sums).map(|sums| (disk, sums)))
        else {
            return Ok(None);
        };
        let file = CacheFile::new(
            row.clone(),
            path,
            Some(disk),
            (map, sums),
            self.window,
            &self.counters,
        );
        Ok(Some(file))
    }

    /// Makes a new cache file, or one without a place on disk.
    fn create(&self, file: &RemoteFile) -> CacheFile {
        let (number, path, disk) = loop {
            let number = self.next_number.fetch_add(1, Ordering::Relaxed);
            let path = self.path(&file.id, number);
            if self.keep.size == 0 {
                break (number, path, None);
            }
            match make(&path, Sums::file_len(file.size)) {
                Ok(disk) => break (number, path, Some(disk)),
                // Somebody else's: it is left alone.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot make a cache file: reading without the cache");
                    break (number, path, None);
                }
            }
        };
        let row = Row {
            id: file.id.clone(),
            size: file.size,
            number,
            cached: 0,
            used: now_ns(),
        };
        let nothing = (BlockMap::empty(file.size), Sums::new(file.size));
        CacheFile::new(row, path, disk, nothing, self.window, &self.counters)
    }

    /// Puts an opened file into the index. Gives the one that all share, or
    /// `None` if the index has changed meanwhile.
    fn shelve(&self, file: CacheFile) -> Option<Arc<CacheFile>> {
        let (id, number, new) = (file.id.clone(), file.number, file.cached_bytes() == 0);
        let mut index = self.index.write();
        match index.get_mut(&id) {
            Some(entry) if entry.number == number => {
                let shared = entry.open.get_or_insert_with(|| Arc::new(file));
                Some(Arc::clone(shared))
            }
            None if new => {
                let shared = Arc::new(file);
                let entry = Entry {
                    size: shared.size,
                    number,
                    cached: 0,
                    used: 0,
                    open: Some(Arc::clone(&shared)),
                };
                index.insert(id, entry);
                Some(shared)
            }
            _ => {
                drop(index);
                if new {
                    remove_file(&file.path);
                }
                None
            }
        }
    }

    /// Takes over a whole file as a cache file; `data` is at `path`, on the
    /// same file system or it is dropped.
    pub(in crate::content) fn adopt(
        &self,
        file: &RemoteFile,
        data: File,
        path: &Path,
    ) -> Result<(), ContentError> {
        let fits = data.metadata().is_ok_and(|meta| meta.len() == file.size);
        if !fits || !self.reserve(file.size) {
            remove_file(path);
            return Ok(());
        }
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let target = self.path(&file.id, number);
        let kept = data
            .set_len(Sums::file_len(file.size))
            .and_then(|()| fs::rename(path, &target));
        if let Err(error) = kept {
            tracing::debug!(%error, "the sent file is not kept as cache");
            self.added(file.size, 0);
            remove_file(path);
            return Ok(());
        }
        let row = Row {
            id: file.id.clone(),
            size: file.size,
            number,
            cached: file.size,
            used: now_ns(),
        };
        let adopted = Arc::new(CacheFile::adopted(
            row,
            target,
            data,
            self.window,
            &self.counters,
        ));
        let entry = Entry {
            size: file.size,
            number,
            cached: file.size,
            used: 0,
            open: Some(Arc::clone(&adopted)),
        };
        let old = self.index.write().insert(file.id.clone(), entry);
        if let Some(old) = old {
            self.bury(&file.id, old);
        }
        adopted.save(&self.store)
    }

    /// Closes the files that were not used for longest, down to a bound. Called
    /// with `opening` held.
    fn close_idle(&self) {
        let mut open: Vec<(u64, FileId, Arc<CacheFile>)> = {
            let index = self.index.read();
            let files = index
                .iter()
                .filter_map(|(id, entry)| Some((id, entry.open.clone()?)));
            files
                .map(|(id, file)| (file.used(), id.clone(), file))
                .collect()
        };
        if open.len() <= MOST_OPEN {
            return;
        }
        open.sort_unstable_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        // A part of them at a time, so that it is not done at every open.
        let surplus = open.len() - MOST_OPEN + MOST_OPEN / FREED_PART as usize;
        for (_, id, file) in open.into_iter().take(surplus) {
            self.save(&file);
            drop(file);
            let mut index = self.index.write();
            let Some(entry) = index.get_mut(&id) else {
                continue;
            };
            // Nobody else holds the file, and under this lock nobody can come to
            // hold it: two open maps of one cache file would not know of each
            // other.
            if let Some(open) = entry
                .open
                .take_if(|open| Arc::strong_count(open) == 1 && open.is_idle())
            {
                entry.used = open.used();
                entry.cached = open.cached_bytes();
            }
        }
    }
}

/// The checksums of a cache file for `size` bytes, of which the database has those that it does not
/// have itself; `None` if the file cannot be trusted.
fn sums_of(disk: &File, size: u64, known: Option<Vec<u8>>) -> Option<Sums> {
    match disk.metadata().ok()?.len() {
        len if len == Sums::file_len(size) => Some(Sums::new(size)),
        len if len == size => match known {
            // Sealed: its length stays what it is.
            Some(known) => Sums::apart(size, known),
            // From before there were checksums.
            None => disk
                .set_len(Sums::file_len(size))
                .is_ok()
                .then(|| Sums::new(size)),
        },
        _ => None,
    }
}

/// Makes a file of `len` bytes without content that was not there.
fn make(path: &Path, len: u64) -> io::Result<File> {
    let disk = File::options()
        .create_new(true)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    disk.set_len(len).inspect_err(|_| remove_file(path))?;
    Ok(disk)
}

#[cfg(test)]
mod tests {
    use super::super::Keep;
    use super::*;
    use crate::content::window::Window;
    use crate::store::Store;
    use std::time::Duration;

    #[test]
    fn a_file_that_is_there_already_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let keep = Keep {
            size: 1 << 20,
            age: Duration::ZERO,
            free: 0,
        };
        let window = Window {
            run: 1,
            ahead: 1,
            attention: Duration::ZERO,
        };
        let store = Store::open(&dir.path().join("db")).unwrap();
        let cache = dir.path().join("cache");
        let shelf = Shelf::open(&cache, store, keep, window, Arc::default()).unwrap();
        let film = RemoteFile {
            id: "film0".parse().unwrap(),
            size: 100,
            whirlpool: None,
        };
        let others = shelf.path(&film.id, shelf.next_number.load(Ordering::Relaxed));
        fs::write(&others, "another's").unwrap();
        let made = shelf.find(&film).unwrap();
        assert_ne!(made.path, others);
        assert!(made.path.exists());
        shelf.forget(&film.id);
        assert!(!made.path.exists());
        assert_eq!(fs::read(&others).unwrap(), b"another's");
    }
}
