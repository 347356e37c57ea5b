//! The cache folder: which files are in it, and what must go to keep its size.
//!
//! Each cache file is named `<file id>.<number>`, and a number is never used
//! again, by this process, a later one or that of another state: numbers begin at the time
//! of the start. A row in the database and a file on disk speak of the same bytes only if
//! both the id and the number agree. Whatever
//! disagrees at the start is dropped, so a wiped or half written folder just
//! means "nothing cached". That no two processes have the folder at the same time, the
//! daemon sees to.
//!
//! The size is kept continuously: room is made before a block is written.
//! Files that were not used for longest go first, their edges last ([`super::edges`]).
//! Of files in use only blocks away from readers go. Where that is not enough, the
//! block is not cached. Nothing goes before it is known which files are to be kept whatever
//! happens ([`Shelf::keep_always`]), which is soon after the start.
//!
//! Locks: `evicting`, `opening`, `index`, then those of a file. `index` is
//! held for a few instructions; the others over I/O, on blocking threads only.

mod opening;
mod room;

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use super::RemoteFile;
use super::error::ContentError;
use super::file::{CacheFile, now_ns};
use super::rows;
use super::stats::Counters;
use super::sums;
use super::window::Window;
use crate::ids::FileId;
use crate::store::Store;

/// How exact the time of last use in the database is.
const USE_TOLERANCE: Duration = Duration::from_secs(60);

/// Every so many bytes of the limit are freed at a time.
const FREED_PART: u64 = 16;

/// What the cache may keep.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keep {
    /// Bytes in all; 0 keeps nothing.
    pub(super) size: u64,
    /// How long a file is kept after its last use; zero for ever.
    pub(super) age: Duration,
    /// Bytes that others find free on the disk.
    pub(super) free: u64,
}

/// The cache folder.
pub(super) struct Shelf {
    dir: PathBuf,
    store: Store,
    keep: Keep,
    /// Bytes that may be on disk now: the size limit, or less on a disk that is
    /// nearly full.
    ceiling: AtomicU64,
    window: Window,
    index: RwLock<HashMap<FileId, Entry>>,
    /// Files that stay whatever happens. `None` until somebody said which, and then all do.
    kept: RwLock<Option<HashSet<FileId>>>,
    total: AtomicU64,
    next_number: AtomicU64,
    opening: Mutex<()>,
    evicting: Mutex<()>,
    counters: Arc<Counters>,
}

/// A cache file, open or closed. For an open one the file knows better.
struct Entry {
    size: u64,
    number: u64,
    cached: u64,
    used: u64,
    open: Option<Arc<CacheFile>>,
}

impl Entry {
    fn used(&self) -> u64 {
        self.open.as_ref().map_or(self.used, |file| file.used())
    }

    fn cached(&self) -> u64 {
        self.open
            .as_ref()
            .map_or(self.cached, |file| file.cached_bytes())
    }
}

impl Shelf {
    /// Opens the folder, makes it if need be, and drops what cannot be trusted.
    pub(super) fn open(
        dir: &Path,
        store: Store,
        keep: Keep,
        window: Window,
        counters: Arc<Counters>,
    ) -> Result<Shelf, ContentError> {
        let numbers = prepare(dir).map_err(|source| ContentError::Folder {
            path: dir.to_owned(),
            source: Arc::new(source),
        })?;
        let on_disk = |id: &str, number| numbers.get(&file_name(id, number)) == Some(&number);
        let dropped = store.write(|tx| rows::retain(tx, on_disk))?;
        let mut index = HashMap::new();
        let mut total = 0;
        for row in store.read(rows::all)? {
            total += row.cached;
            let entry = Entry {
                size: row.size,
                number: row.number,
                cached: row.cached,
                used: row.used,
                open: None,
            };
            index.insert(row.id, entry);
        }
        let last = numbers.values().max().copied().unwrap_or(0);
        let known: HashSet<String> = index
            .iter()
            .map(|(id, entry)| file_name(id.as_str(), entry.number))
            .collect();
        let strays: Vec<&String> = numbers
            .keys()
            .filter(|name| !known.contains(*name))
            .collect();
        if dropped > 0 || !strays.is_empty() {
            tracing::info!(
                rows = dropped,
                files = strays.len(),
                "the cache folder has files that are not this state's, or lacks some that are: they are dropped"
            );
        }
        for name in strays {
            remove_file(&dir.join(name));
        }
        let shelf = Shelf {
            dir: dir.to_owned(),
            store,
            keep,
            ceiling: AtomicU64::new(keep.size),
            window,
            index: RwLock::new(index),
            kept: RwLock::default(),
            total: AtomicU64::new(total),
            next_number: AtomicU64::new(now_ns().max(last + 1)),
            opening: Mutex::new(()),
            evicting: Mutex::new(()),
            counters,
        };
        shelf.measure_disk();
        Ok(shelf)
    }

    /// The cache file of `file`, if it is open.
    pub(super) fn get(&self, file: &RemoteFile) -> Option<Arc<CacheFile>> {
        let index = self.index.read();
        let entry = index
            .get(&file.id)
            .filter(|entry| entry.size == file.size)?;
        entry.open.clone()
    }

    /// Drops a cache file, if that number is still the one of its id.
    pub(super) fn discard(&self, id: &FileId, number: u64) {
        let entry = {
            let mut index = self.index.write();
            match index.get(id) {
                Some(entry) if entry.number == number => index.remove(id),
                _ => None,
            }
        };
        if let Some(entry) = entry {
            self.bury(id, entry);
        }
    }

    /// Drops what cannot be read of a cache file: the block that `error` names, or all of it.
    pub(super) fn drop_broken(&self, file: &CacheFile, error: &io::Error) {
        if let Some(block) = sums::bad_block(error)
            && !file.is_sealed()
        {
            match file.drop_bad(block, &self.store) {
                Ok(bytes) => return self.dropped(bytes),
                Err(error) => tracing::debug!(%error, "a bad block could not be dropped alone"),
            }
        }
        self.discard(&file.id, file.number);
    }

    /// Drops whatever is cached of a file.
    pub(super) fn forget(&self, id: &FileId) {
        let entry = self.index.write().remove(id);
        if let Some(entry) = entry {
            self.bury(id, entry);
        }
    }

    /// The files of which something is cached.
    pub(super) fn ids(&self) -> Vec<FileId> {
        self.index.read().keys().cloned().collect()
    }

    /// The files of which all is cached.
    pub(super) fn whole(&self) -> Vec<FileId> {
        let index = self.index.read();
        let whole = index
            .iter()
            .filter(|(_, entry)| entry.cached() == entry.size);
        whole.map(|(id, _)| id.clone()).collect()
    }

    /// Where the cache files are.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Drops everything but what is to be kept always, and what the kernel reads by itself: that would give no room
    /// back. Readers under way keep reading right. Returns the bytes dropped.
    pub(super) fn clear(&self) -> u64 {
        let before = self.counters.evicted_bytes.get();
        let all: Vec<(FileId, Entry)> = {
            let mut index = self.index.write();
            index
                .extract_if(|id, entry| !self.stays(id, entry))
                .collect()
        };
        for (id, entry) in all {
            self.bury(&id, entry);
        }
        self.counters.evicted_bytes.get() - before
    }

    /// Removes row and file of an entry that was taken out of the index.
    fn bury(&self, id: &FileId, entry: Entry) {
        let number = entry.number;
        let delete = || {
            // A row that stays speaks of a file that is gone: the next start
            // drops it.
            if let Err(error) = self.store.write(|tx| rows::delete(tx, id, number)) {
                tracing::debug!(%error, "a row of the cache could not be dropped");
            }
            remove_file(&self.path(id, number));
        };
        let bytes = match &entry.open {
            Some(file) => {
                let bytes = file.freed_of(file.retire());
                file.while_not_saving(delete);
                bytes
            }
            None => {
                delete();
                entry.cached
            }
        };
        self.dropped(bytes);
    }

    /// So many bytes are on disk no more.
    pub(super) fn dropped(&self, bytes: u64) {
        self.total.fetch_sub(bytes, Ordering::Relaxed);
        self.counters.evicted_bytes.add(bytes);
    }

    /// Writes the rows that lag behind. Blocks for as long as the disk takes.
    pub(super) fn save_all(&self) {
        let open: Vec<Arc<CacheFile>> = {
            let index = self.index.read();
            index
                .values()
                .filter_map(|entry| entry.open.clone())
                .collect()
        };
        let mut used = Vec::new();
        for file in &open {
            self.save(file);
            if let Some(at) = file.untold_use(USE_TOLERANCE) {
                used.push((file, at));
            }
        }
        if used.is_empty() {
            return;
        }
        let told = self.store.write(|tx| {
            used.iter()
                .try_for_each(|(file, at)| rows::touch(tx, &file.id, file.number, *at))
        });
        if let Err(error) = told {
            tracing::debug!(%error, "the times of use of cached files could not be written");
        }
    }

    /// Writes the row of one file if it lags behind.
    pub(super) fn save(&self, file: &CacheFile) {
        if file.unsaved() > 0
            && let Err(error) = file.save(&self.store)
        {
            tracing::warn!(%error, "what was cached lately may be fetched again after a restart");
        }
    }

    /// Bytes of a file that are on disk.
    pub(super) fn cached_of(&self, file: &RemoteFile) -> u64 {
        let index = self.index.read();
        let entry = index.get(&file.id).filter(|entry| entry.size == file.size);
        entry.map_or(0, Entry::cached)
    }

    /// From now on these are not dropped to make room or for their age.
    pub(super) fn keep_always(&self, ids: HashSet<FileId>) {
        *self.kept.write() = Some(ids);
    }

    /// Whether a file is not dropped to make room or for its age: to drop what others read by
    /// themselves would give none.
    fn stays(&self, id: &FileId, entry: &Entry) -> bool {
        self.kept.read().as_ref().is_none_or(|ids| ids.contains(id))
            || entry.open.as_ref().is_some_and(|file| file.is_lent())
    }

    /// Seals a cache file that is complete, and lends it. `None` where it cannot be, now.
    pub(super) fn lend(&self, file: &CacheFile) -> Result<Option<File>, ContentError> {
        if !file.seal(&self.store)? {
            return Ok(None);
        }
        file.lend().map_err(|source| ContentError::Folder {
            path: file.path.clone(),
            source: Arc::new(source),
        })
    }

    /// Bytes on disk.
    pub(super) fn cached_bytes(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Bytes that may be on disk.
    pub(super) fn limit(&self) -> u64 {
        self.ceiling.load(Ordering::Relaxed)
    }

    /// Files with a cache file, and how many of those are open.
    pub(super) fn count(&self) -> (usize, usize) {
        let index = self.index.read();
        let open = index.values().filter(|entry| entry.open.is_some()).count();
        (index.len(), open)
    }

    fn path(&self, id: &FileId, number: u64) -> PathBuf {
        self.dir.join(file_name(id.as_str(), number))
    }
}

fn file_name(id: &str, number: u64) -> String {
    format!("{id}.{number}")
}

/// Makes the folder, private, and lists the cache files in it by name.
fn prepare(dir: &Path) -> io::Result<HashMap<String, u64>> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)?;
    let mut numbers = HashMap::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        // What is not named by us is not ours to count or to remove.
        let Some((name, number)) = name
            .to_str()
            .and_then(|name| Some((name, name.rsplit_once('.')?)))
            .and_then(|(name, (id, number))| Some((name, (id.parse::<FileId>().ok()?, number))))
            .and_then(|(name, (_, number))| Some((name, number.parse().ok()?)))
        else {
            continue;
        };
        numbers.insert(name.to_owned(), number);
    }
    Ok(numbers)
}

fn remove_file(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::debug!(path = %path.display(), %error, "a cache file could not be removed");
    }
}
