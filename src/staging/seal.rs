//! Closing a version, and letting go of an unlinked file.
//!
//! Both have two phases, because the row belongs to a transaction of the
//! caller: what is in memory changes only once that is committed. In between,
//! and if the caller never says how it ended, the file holds the places of both
//! the old and the new version: whichever row is on the disk, its bytes are.

use std::path::Path;
use std::sync::Arc;

use rangemap::RangeSet;
use rusqlite::Transaction;

use super::StagingError;
use super::closed::Closed;
use super::file::StagedFile;
use super::label::Label;
use super::rows;

/// What a closed version has to survive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Survive {
    /// The death of the process (a close).
    Kill,
    /// A power cut (an fsync); to be stored in a durable transaction.
    PowerCut,
}

/// A version that is sealed in memory and waits for its row.
#[must_use = "it counts as closed once it was stored and committed"]
pub struct Sealing {
    file: Arc<StagedFile>,
    closed: Arc<Closed>,
    /// The changes that it has.
    changes: u64,
    survive: Survive,
    /// Whether bytes go with the version before that would survive a power cut.
    costs: bool,
    state: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Sealed,
    Stored,
    Committed,
}

impl StagedFile {
    /// Closes a version: the file as it is now. `None` if nothing changed since
    /// the last one, or if the file was discarded.
    ///
    /// Brings the bytes to the disk where the version has to survive a power
    /// cut, and also where it replaces a content that would survive one: a row
    /// that outlives its bytes would turn good content into garbage. Blocks
    /// then.
    ///
    /// # Errors
    /// That of the disk. Nothing is sealed then.
    pub fn seal(self: &Arc<Self>, survive: Survive) -> Result<Option<Sealing>, StagingError> {
        let (closed, changes, sync, costs) = {
            // No write is half-way while the map is taken.
            let _io = self.io.read();
            let mut state = self.state.lock();
            if !state.is_dirty() || state.discarded {
                return Ok(None);
            }
            let number = state.next_version;
            state.next_version += 1;
            let closed = Closed::new(
                number,
                Arc::clone(&state.map),
                state.data.as_ref(),
                &**self.base(),
            );
            let sync = state.precious || survive == Survive::PowerCut;
            state.sealing += 1;
            let costs = state.precious && state.loses_bytes(&closed.map.data_places());
            (Arc::new(closed), state.changes, sync, costs)
        };
        let sealing = Sealing {
            file: Arc::clone(self),
            closed,
            changes,
            survive,
            costs,
            state: Phase::Sealed,
        };
        if sync {
            sealing.closed.sync()?;
        }
        Ok(Some(sealing))
    }

    /// Whether the next version must be on the disk before its row is, whatever it has to
    /// survive: then [`StagedFile::seal`] waits for that.
    pub fn seals_to_disk(&self) -> bool {
        self.state.lock().precious
    }

    /// Prepares to let go of an unlinked file: its row goes, handles may go on
    /// reading and writing, and with the last of them the bytes are gone.
    pub fn discard(self: &Arc<Self>) -> Discarding {
        Discarding {
            file: Arc::clone(self),
        }
    }
}

impl Sealing {
    /// The version's number.
    pub fn version(&self) -> u64 {
        self.closed.number
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.closed.map.size()
    }

    /// Whether the row must be stored in a transaction that survives a power cut: it was
    /// asked for, or the version before would survive one, and its bytes go when this
    /// is committed.
    pub fn must_be_durable(&self) -> bool {
        self.survive == Survive::PowerCut || self.costs
    }

    /// Writes into the data file whose bytes it has, for when the database is lost. `path` is
    /// the file's, from the root of the account.
    pub fn label(&self, path: &Path) {
        if let Some(hold) = &self.closed.hold {
            let label = Label::closed(self.file.ino(), path, &self.closed.map);
            hold.data().label(label);
        }
    }

    /// Writes the row, unless a newer version was stored meanwhile.
    ///
    /// # Errors
    /// That of the database.
    pub fn store(&mut self, tx: &Transaction<'_>) -> Result<(), StagingError> {
        let superseded = {
            let state = self.file.state.lock();
            state.discarded || state.settled >= self.closed.number
        };
        self.state = Phase::Stored;
        if superseded {
            return Ok(());
        }
        rows::save(tx, self.file.ino(), &self.closed.row())
    }

    /// The caller's transaction is committed: the version is the closed one.
    pub fn committed(mut self) {
        self.state = Phase::Committed;
        let replaced = {
            let mut state = self.file.state.lock();
            state.sealed_changes = state.sealed_changes.max(self.changes);
            if state.discarded || state.settled >= self.closed.number {
                return;
            }
            state.settled = self.closed.number;
            state.precious |= self.survive == Survive::PowerCut;
            let mut replaced = std::mem::take(&mut state.doubtful);
            state.doubtful = replaced
                .extract_if(.., |doubtful| doubtful.number > self.closed.number)
                .collect();
            replaced.extend(state.closed.replace(Arc::clone(&self.closed)));
            self.file
                .room()
                .stored(self.file.ino(), Some(Arc::clone(&self.closed.pins)));
            replaced
        };
        // Its places are punched: not under the lock.
        drop(replaced);
    }
}

impl Drop for Sealing {
    fn drop(&mut self) {
        let mut state = self.file.state.lock();
        state.sealing -= 1;
        if self.state == Phase::Stored {
            state.doubtful.push(Arc::clone(&self.closed));
        }
    }
}

/// An unlinked file whose row is about to go.
#[must_use = "the file is discarded once this was stored and committed"]
pub struct Discarding {
    file: Arc<StagedFile>,
}

impl Discarding {
    /// Whether the row must go in a transaction that survives a power cut: or the file would
    /// come back without bytes that survived.
    pub fn must_be_durable(&self) -> bool {
        let state = self.file.state.lock();
        state.precious && state.loses_bytes(&RangeSet::new())
    }

    /// Removes the row.
    ///
    /// # Errors
    /// That of the database.
    pub fn store(&self, tx: &Transaction<'_>) -> Result<(), StagingError> {
        rows::delete(tx, self.file.ino())
    }

    /// The caller's transaction is committed: nothing of the file is stored
    /// any more.
    pub fn committed(self) {
        let (data, closed, doubtful) = {
            let mut state = self.file.state.lock();
            state.discarded = true;
            let doubtful = std::mem::take(&mut state.doubtful);
            let closed = state.closed.take();
            self.file.recount(&mut state);
            (state.data.clone(), closed, doubtful)
        };
        self.file.room().stored(self.file.ino(), None);
        if let Some(data) = data {
            data.unlink();
        }
        drop((closed, doubtful));
    }
}
