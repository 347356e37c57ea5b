//! What the user changed: every read and write of a file passes here.
//!
//! A file's content is an [`ExtentMap`]: each stretch is in the inode's data
//! file, in a file of the service, or zeros. A file that nobody changed is a
//! map with one extent, "all of file X", so opening for write fetches nothing.
//! A close or fsync **seals** the map as the closed [`Version`] and stores it in
//! a row; from then on no write goes over a place that the version has, so it
//! stays whole while the file is written further, is sent, and over any crash.
//! When the service has a version, what newer ones share with it becomes "range
//! of file Y" and the staged bytes go.
//!
//! The room owns the staging folder and the table `staged`. Its invariant: the
//! places that the stored row of a file points at hold the bytes that were
//! sealed, from the commit of that row until the commit that replaces or removes
//! it. What a process wrote and did not seal before it died is kept, untouched,
//! until someone decides about it ([`StagedFile::leftover`],
//! [`Staging::orphans`]).
//!
//! `vfs` reads, writes, seals and discards; `upload` takes snapshots and
//! confirms them. Neither waits here for the service: [`Read::Later`] is a
//! future. Everything else blocks for the local disk at most.

mod base;
mod boot;
mod budget;
mod change;
mod closed;
mod codec;
mod confirm;
mod data_file;
mod error;
mod extents;
mod file;
pub mod health;
mod label;
mod places;
mod read;
mod room;
mod rows;
pub mod salvage;
mod seal;
mod slots;
mod version;
mod write_back;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use rusqlite::Transaction;

use crate::content::RemoteFile;
use crate::ids::{FileId, Ino};
use crate::store::Store;

pub use base::{Base, Pin};
pub use change::{Grow, Within};
pub use codec::BadMap;
pub use confirm::Confirming;
pub use data_file::FileNumber;
pub use error::StagingError;
pub use extents::{Extent, ExtentMap, Source};
pub use file::StagedFile;
pub use read::Read;
pub use seal::{Discarding, Sealing, Survive};
pub use version::Version;

use budget::Budget;
use data_file::DataFile;
use file::Home;
use room::Room;
use write_back::WriteBack;

/// How the room is set up.
#[derive(Clone, Copy, Debug)]
pub struct StagingOptions {
    /// Bytes that staged data may take on the disk.
    pub budget: u64,
}

/// How full the staging folder is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usage {
    /// Bytes in use, over all files.
    pub staged: u64,
    /// Bytes that may be in use.
    pub budget: u64,
}

/// A data file that belongs to no stored version: its file was never closed
/// before a process died.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Orphan {
    /// Its number.
    pub number: FileNumber,
    /// Where it is.
    pub path: PathBuf,
}

/// All staged files. Cheap to clone.
#[derive(Clone)]
pub struct Staging {
    home: Home,
}

impl Staging {
    /// Opens the staging folder `dir`, made with mode 0700 if it is missing.
    ///
    /// # Errors
    /// Those of the disk and of the database.
    pub fn open(
        store: Store,
        base: impl Base,
        dir: &Path,
        options: StagingOptions,
    ) -> Result<Staging, StagingError> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(StagingError::disk("make the folder for"))?;
        // Its name: without it no sync of what is in it means anything.
        if let Some(above) = dir.parent() {
            std::fs::File::open(above)
                .and_then(|above| above.sync_all())
                .map_err(StagingError::disk("sync the folder of"))?;
        }
        let (stored, layered) = store.read(|connection| {
            Ok::<_, StagingError>((rows::totals(connection)?, rows::layered(connection)?))
        })?;
        let pins = layered
            .iter()
            .map(|(ino, map)| (*ino, Arc::new(closed::pins(map, &base))))
            .collect();
        let home = Home {
            slots: Arc::default(),
            room: Arc::new(Room {
                store,
                base: Arc::new(base),
                dir: dir.to_owned(),
                budget: Arc::new(Budget::new(options.budget, stored.data_bytes)),
                last_number: AtomicU64::new(stored.last_number),
                growth: AtomicI64::new(0),
                unsent: AtomicU64::new(stored.bytes),
                going: parking_lot::Mutex::default(),
                write_back: WriteBack::start()
                    .map_err(StagingError::disk("start the thread that writes out"))?,
                // The first write looks how full the disk is.
                until_look: AtomicU64::new(0),
                stored_pins: parking_lot::Mutex::new(pins),
            }),
        };
        Ok(Staging { home })
    }

    /// The content of `ino`, shared by all who hold it: with its changes if it
    /// has any, else `base` as the service has it, or empty. Reads the database
    /// if the file is not in memory.
    ///
    /// # Errors
    /// The stored version cannot be read.
    pub fn file(
        &self,
        ino: Ino,
        base: Option<RemoteFile>,
    ) -> Result<Arc<StagedFile>, StagingError> {
        let Home { room, slots } = &self.home;
        slots.get_or_load(ino, || {
            let stored = room.store.read(|connection| rows::load(connection, ino))?;
            match stored {
                Some(row) => StagedFile::stored(ino, self.home.clone(), row),
                None => Ok(StagedFile::clean(ino, self.home.clone(), base)),
            }
        })
    }

    /// The content of an inode that is being made, empty: for who makes it, before anybody else
    /// can know of it. Nothing is stored of it yet, as inodes never come again.
    pub fn made(&self, ino: Ino) -> Arc<StagedFile> {
        let Home { slots, .. } = &self.home;
        slots.get_or(ino, || StagedFile::clean(ino, self.home.clone(), None))
    }

    /// `ino` as an empty file, for who begins it anew where what is stored of it is lost
    /// ([`StagingError::is_lost`]). Until the next version is stored the row stays what it
    /// is, so that after a crash the loss is still told; then its data file is an
    /// [`Orphan`], for `doctor`.
    ///
    /// # Errors
    /// That of the database.
    pub fn anew(&self, ino: Ino) -> Result<Arc<StagedFile>, StagingError> {
        let Home { room, slots } = &self.home;
        slots.get_or_load(ino, || {
            let lost = room.store.read(|c| rows::stored_version_and_size(c, ino))?;
            Ok(StagedFile::anew(
                ino,
                self.home.clone(),
                lost.unwrap_or_default(),
            ))
        })
    }

    /// The content of `ino` if somebody holds it.
    pub fn get(&self, ino: Ino) -> Option<Arc<StagedFile>> {
        self.home.slots.get(ino)
    }

    /// Brings all that is stored to the disk. At the end in good order: nothing of it is then
    /// taken for torn, whatever becomes of the machine. Blocks.
    ///
    /// # Errors
    /// Those of the disk and of the database.
    pub fn sync_all(&self) -> Result<(), StagingError> {
        let room = &self.home.room;
        let store = &room.store;
        // One by one: others may have much to write to the same disk.
        let unsynced = store.read(|connection| rows::unsynced(connection, boot::id()))?;
        for (ino, version, number) in unsynced {
            let path = DataFile::path_in(&room.dir, number);
            let synced = std::fs::File::open(path).and_then(|file| file.sync_data());
            match synced {
                Ok(()) => store.write(|tx| rows::synced(tx, ino, version))?,
                Err(error) => tracing::warn!(%ino, %error, "staged bytes are not synced"),
            }
        }
        std::fs::File::open(&room.dir)
            .and_then(|dir| dir.sync_all())
            .map_err(StagingError::disk("sync the folder of"))?;
        Ok(store.sync()?)
    }

    /// How full the staging folder is.
    pub fn usage(&self) -> Usage {
        Usage {
            staged: self.home.room.budget.used(),
            budget: self.home.room.budget.limit(),
        }
    }

    /// Grows as long as the queue makes room in the budget, or comes nearer to it.
    pub fn progress(&self) -> u64 {
        self.home.room.budget.progress()
    }

    /// Resolves when bytes of the budget are given back from now on.
    pub async fn room(&self) {
        self.home.room.budget.room().await;
    }

    /// By how many bytes the account has grown through us since the start.
    pub fn growth(&self) -> i64 {
        self.home.room.growth.load(Ordering::Relaxed)
    }

    /// Bytes of all files that the service does not have as they are now, wherever their bytes
    /// are: what the queue will add to the account before anything of it goes.
    pub fn unsent(&self) -> u64 {
        self.home.room.unsent.load(Ordering::Relaxed)
    }

    /// So many bytes of the account go once this file of the service does.
    pub fn shrinks_with(&self, file: FileId, bytes: u64) {
        self.home.room.going.lock().insert(file, bytes);
    }

    /// This file of the service of so many bytes goes now, whatever it was to wait for.
    pub fn goes(&self, file: &FileId, bytes: u64) {
        self.home.room.going.lock().remove(file);
        self.shrinks(bytes);
    }

    /// This file of the service went.
    pub fn went(&self, file: &FileId) {
        let bytes = self.home.room.going.lock().remove(file);
        self.shrinks(bytes.unwrap_or(0));
    }

    /// So many bytes of the account go: a version was superseded, or a file removed.
    pub fn shrinks(&self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        // Relaxed: a figure.
        self.home.room.growth.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The number of the version of `ino` that is stored.
    ///
    /// # Errors
    /// That of the database.
    pub fn stored_version(&self, ino: Ino) -> Result<Option<u64>, StagingError> {
        let store = &self.home.room.store;
        store.read(|connection| rows::stored_version(connection, ino))
    }

    /// Of these files, those whose stored version is a whole, unchanged copy of a file of
    /// the service, with that file. One whose map cannot be read is none.
    ///
    /// # Errors
    /// That of the database.
    pub fn copies(
        &self,
        inos: impl Iterator<Item = Ino>,
    ) -> Result<HashMap<Ino, RemoteFile>, StagingError> {
        self.home.room.store.read(|connection| {
            let mut copies = HashMap::new();
            for ino in inos {
                match rows::copy_of(connection, ino) {
                    Ok(source) => copies.extend(source.map(|source| (ino, source))),
                    Err(StagingError::Map { .. }) => {}
                    Err(e) => return Err(e),
                }
            }
            Ok(copies)
        })
    }

    /// The files, open or stored here, of which bytes are those of a file of the service.
    ///
    /// # Errors
    /// That of the database.
    pub fn readers(&self, of: &FileId) -> Result<HashSet<Ino>, StagingError> {
        let is = |id: &FileId| id == of;
        let open = self.home.slots.loaded();
        let mut readers: HashSet<Ino> = open
            .iter()
            .filter(|file| file.reads_from(is))
            .map(|file| file.ino())
            .collect();
        for (ino, map) in self.home.room.store.read(rows::layered)? {
            if map.remotes().iter().any(|file| is(&file.id)) {
                readers.insert(ino);
            }
        }
        Ok(readers)
    }

    /// The files of the service that stored versions read from.
    ///
    /// # Errors
    /// That of the database.
    pub fn bases(&self) -> Result<HashMap<Ino, Vec<Arc<RemoteFile>>>, StagingError> {
        let layered = self.home.room.store.read(rows::layered)?;
        let bases = |(ino, map): (Ino, ExtentMap)| (ino, map.remotes());
        Ok(layered.into_iter().map(bases).collect())
    }

    /// The disk is full: clean content on it goes. Whether there was any.
    pub fn drop_clean(&self) -> bool {
        let room = &self.home.room;
        room.base.make_room(&room.dir) > 0
    }

    /// The data files that no stored version and no open file needs.
    ///
    /// # Errors
    /// Those of the disk and of the database.
    pub fn orphans(&self) -> Result<Vec<Orphan>, StagingError> {
        // In this order: a file that is closed meanwhile has a row by then.
        let found = DataFile::numbers_in(&self.home.room.dir)?;
        let open = self.home.slots.loaded();
        let mut needed: HashSet<FileNumber> = self.home.room.store.read(|connection| {
            Ok::<_, StagingError>(rows::data_files(connection)?.into_iter().collect())
        })?;
        needed.extend(open.iter().filter_map(|file| file.data_number()));
        let orphans = found.into_iter().filter(|number| !needed.contains(number));
        Ok(orphans
            .map(|number| Orphan {
                number,
                path: DataFile::path_in(&self.home.room.dir, number),
            })
            .collect())
    }
}

/// The number of the version of `ino` that is stored: the service does not have
/// it yet.
///
/// # Errors
/// That of the database.
pub fn stored_version(tx: &Transaction<'_>, ino: Ino) -> Result<Option<u64>, StagingError> {
    rows::stored_version(tx, ino)
}

/// Forgets the stored version of `ino`, which cannot be read and is not wanted any more.
/// What there is of its bytes stays on the disk as an [`Orphan`].
///
/// # Errors
/// That of the database.
pub fn forget(tx: &Transaction<'_>, ino: Ino) -> Result<(), StagingError> {
    rows::delete(tx, ino)
}
