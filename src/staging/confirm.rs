//! The service has a version: what is shared with it becomes a range of the
//! service's file, and staged bytes that nobody needs any more go.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rangemap::RangeSet;
use rusqlite::Transaction;

use super::StagingError;
use super::base::{Base, Pin};
use super::closed::{Closed, pins};
use super::data_file::DataFile;
use super::extents::ExtentMap;
use super::file::State;
use super::rows::{self, Row};
use super::version::Version;
use crate::content::RemoteFile;

/// A version that the service confirmed, before our row says so.
#[must_use = "the version counts as confirmed once this was stored and committed"]
pub struct Confirming {
    version: Version,
    remote: Arc<RemoteFile>,
    /// The row of a newer version as the transaction left it.
    newer: Option<(u64, ExtentMap)>,
}

impl Version {
    /// Prepares to record that the service has this version as `remote`.
    ///
    /// # Errors
    /// [`StagingError::SizeMismatch`]: `remote` is something else.
    pub fn confirmed(self, remote: RemoteFile) -> Result<Confirming, StagingError> {
        if remote.size != self.size() {
            return Err(StagingError::SizeMismatch {
                sent: self.size(),
                confirmed: remote.size,
            });
        }
        Ok(Confirming {
            version: self,
            remote: Arc::new(remote),
            newer: None,
        })
    }
}

impl Confirming {
    /// Removes the row of the version, or lets that of a newer one read from
    /// the confirmed file what both have.
    ///
    /// # Errors
    /// That of the database.
    pub fn store(&mut self, tx: &Transaction<'_>) -> Result<(), StagingError> {
        let ino = self.version.ino();
        self.newer = None;
        match rows::load(tx, ino)? {
            None => Ok(()),
            Some(row) if row.version <= self.version.number() => rows::delete(tx, ino),
            Some(mut row) => {
                row.map.rebase(self.version.map(), &self.remote);
                if row.map.data_places().is_empty() {
                    row.data_file = None;
                }
                rows::save(tx, ino, &row)?;
                let Row { version, map, .. } = row;
                self.newer = Some((version, map));
                Ok(())
            }
        }
    }

    /// The caller's transaction is committed. Blocks while the disk syncs the
    /// bytes that become clean cache.
    pub fn committed(self) {
        let file = Arc::clone(&self.version.file);
        let base = Arc::clone(file.base());
        let retired = {
            // No reader is on its way to a place that goes now.
            let _io = file.io.write();
            let mut state = file.state.lock();
            let mut freed = state.map.data_places();
            Arc::make_mut(&mut state.map).rebase(self.version.map(), &self.remote);
            for range in state.map.data_places().iter() {
                freed.remove(range.clone());
            }
            let superseded = self.settle(&mut state);
            file.recount(&mut state);
            // Relaxed: a figure. What was unsent is there now.
            let size = i64::try_from(self.remote.size).unwrap_or(i64::MAX);
            file.room().growth.fetch_add(size, Ordering::Relaxed);
            let pins = pins(&state.map, &*base);
            Retired {
                freed,
                superseded,
                _pins: std::mem::replace(&mut state.pins, pins),
                end: if is_finished(&state) {
                    state.data.take().map(End::Finished)
                } else {
                    state.data.clone().map(End::Goes)
                },
            }
        };
        self.retire(retired);
    }

    /// The bookkeeping; returns what the file need not hold any more.
    fn settle(&self, state: &mut State) -> Vec<Arc<Closed>> {
        let file = &self.version.file;
        let number = self.version.number();
        state.settled = state.settled.max(number);
        state.precious = true;
        let mut superseded: Vec<_> = state
            .doubtful
            .extract_if(.., |doubtful| doubtful.number <= number)
            .collect();
        let Some(closed) = state.closed.take() else {
            return superseded;
        };
        state.closed = match &self.newer {
            _ if closed.number <= number => None,
            Some((stored, map)) if *stored == closed.number => {
                let map = Arc::new(map.clone());
                let rebased = Closed::new(*stored, map, state.data.as_ref(), &**file.base());
                Some(Arc::new(rebased))
            }
            // Stored after our transaction: its row knows nothing of the
            // confirmed file and needs everything that it points at.
            _ => Some(Arc::clone(&closed)),
        };
        let pins = state.closed.as_ref().map(|closed| Arc::clone(&closed.pins));
        file.room().stored(file.ino(), pins);
        superseded.push(closed);
        superseded
    }

    fn retire(self, retired: Retired) {
        let Confirming {
            version: Version { closed: sent, file },
            remote,
            ..
        } = self;
        let Retired {
            freed,
            superseded,
            end,
            _pins,
        } = retired;
        match end {
            None => drop(superseded),
            Some(End::Goes(data)) => {
                data.free(&freed);
                drop(superseded);
            }
            Some(End::Finished(data)) => {
                // The bytes as they are become the cache's, or go as one.
                file.room().budget.release(data.let_go());
                data.free(&freed);
                drop(superseded);
                let whole = sent.map.is_identity() && sent.map.occupied() == remote.size;
                drop(sent);
                // Whoever still reads an old version has the only copy of it,
                // and the cache may punch what it was given.
                if !whole || data.is_held() || !adopt(&data, &remote, &**file.base()) {
                    data.unlink();
                }
            }
        }
    }
}

/// What goes with the confirmation, let go of without a lock.
struct Retired {
    /// Places that the current map does not have any more.
    freed: RangeSet<u64>,
    superseded: Vec<Arc<Closed>>,
    _pins: Vec<Pin>,
    end: Option<End>,
}

/// What becomes of the data file.
enum End {
    /// It has other bytes than those confirmed.
    Goes(Arc<DataFile>),
    /// No map needs it.
    Finished(Arc<DataFile>),
}

fn is_finished(state: &State) -> bool {
    state.closed.is_none()
        && state.doubtful.is_empty()
        && state.sealing == 0
        && state.leftover.is_none()
        && state.map.data_places().is_empty()
}

/// Gives the data file to the cache. Whether its name is gone afterwards.
fn adopt(data: &DataFile, remote: &RemoteFile, base: &dyn Base) -> bool {
    let adopted = data
        .hand_over(remote.size)
        .and_then(|(handle, path)| Ok(base.adopt(remote, handle, path)?));
    if let Err(error) = &adopted {
        tracing::debug!(%error, "an uploaded file is not kept as cache");
    }
    adopted.is_ok()
}
