//! Cache files that others read by themselves, around this process: the kernel does where a file is
//! passed through.
//!
//! Such a file is its content alone, and from then on it is never written, punched or lengthened:
//! who was given it may read it long after this process has gone. What must go of it goes whole, by
//! its name. Its checksums are in the database by the time they are cut off.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::disk::Disk;
use super::super::error::ContentError;
use super::super::rows;
use super::super::sums::Learnt;
use super::{CacheFile, now_ns};
use crate::store::Store;

/// To whom a file is lent.
#[derive(Default)]
pub(super) struct Lending {
    open: u32,
    /// Bytes that were dropped meanwhile, and stay on disk until it is given back.
    owed: u64,
}

impl CacheFile {
    /// Whether it is never changed again.
    pub(in crate::content) fn is_sealed(&self) -> bool {
        *self.sealed.read()
    }

    /// Whether all of it is on disk and was compared with what was written there, by this process.
    pub(in crate::content) fn is_complete(&self) -> bool {
        self.size > 0 && self.map.is_full() && self.sums.are_checked()
    }

    /// Seals the file, if it is complete and nothing is under way. Says whether it is sealed.
    ///
    /// # Errors
    /// The disk or the database failed; it is not sealed.
    pub(in crate::content) fn seal(&self, store: &Store) -> Result<bool, ContentError> {
        let _saving = self.saving.lock();
        // Nobody writes to the disk meanwhile.
        let mut sealed = self.sealed.write();
        if *sealed {
            return Ok(true);
        }
        let Some(disk) = self.disk.as_ref().filter(|_| self.is_complete()) else {
            return Ok(false);
        };
        {
            let state = self.state.lock();
            if state.retired || !state.flights.is_empty() {
                return Ok(false);
            }
        }
        let failed = |source: io::Error| ContentError::Folder {
            path: self.path.clone(),
            source: Arc::new(source),
        };
        let Some(sums) = self.sums.all(disk.file()).map_err(failed)? else {
            return Ok(false);
        };
        self.save_row(|row, bits| {
            store.write_durable(|tx| {
                rows::put(tx, row, bits)?;
                rows::put_sums(tx, row, &sums)
            })
        })?;
        disk.file().set_len(self.size).map_err(failed)?;
        *sealed = true;
        Ok(true)
    }

    /// Writes checksums that were not known, unless the file has none any more.
    pub(super) fn learn(&self, disk: &Disk, learnt: &[Learnt]) {
        if learnt.is_empty() {
            return;
        }
        // While it is being sealed, all are known.
        if let Some(sealed) = self.sealed.try_read()
            && !*sealed
        {
            self.sums.learn(disk.file(), learnt);
        }
    }

    /// Lends a sealed file, for reading alone, until [`CacheFile::give_back`]. `None` if it is not
    /// sealed or was dropped.
    ///
    /// # Errors
    /// Those of the disk.
    pub(in crate::content) fn lend(&self) -> io::Result<Option<File>> {
        let Some(disk) = self.disk.as_ref().filter(|_| self.is_sealed()) else {
            return Ok(None);
        };
        // By descriptor: the name may be gone.
        let file = File::open(format!("/proc/self/fd/{}", disk.file().as_raw_fd()))?;
        // Nobody changes it; but what lies behind its end would be given as more of it.
        if file.metadata()?.len() != self.size {
            return Ok(None);
        }
        let mut lending = self.lending.lock();
        if self.is_retired() {
            return Ok(None);
        }
        lending.open += 1;
        Ok(Some(file))
    }

    /// Whether somebody has it.
    pub(in crate::content) fn is_lent(&self) -> bool {
        self.lending.lock().open > 0
    }

    /// Whether it was dropped.
    pub(in crate::content) fn is_retired(&self) -> bool {
        self.state.lock().retired
    }

    /// It is used.
    pub(in crate::content) fn touch(&self) {
        self.used.store(now_ns(), Ordering::Relaxed);
    }

    /// Of these bytes, which are dropped, those that the disk has back at once: the others come with
    /// [`CacheFile::give_back`].
    pub(in crate::content) fn freed_of(&self, bytes: u64) -> u64 {
        let mut lending = self.lending.lock();
        if lending.open == 0 {
            return bytes;
        }
        lending.owed += bytes;
        0
    }

    /// Ends a lending; gives the bytes that the disk has back.
    pub(in crate::content) fn give_back(&self) -> u64 {
        self.touch();
        let mut lending = self.lending.lock();
        lending.open -= 1;
        match lending.open {
            0 => std::mem::take(&mut lending.owed),
            _ => 0,
        }
    }
}
