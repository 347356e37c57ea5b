//! One file of the cache: its sparse file on disk, which blocks are there, and
//! what is under way.
//!
//! There is at most one [`CacheFile`] for a cache file on disk (the shelf sees
//! to it). Invariants, in the order in which they protect a reader:
//!
//! - a bit of the map is set after the block's bytes and checksum were written, by a flight
//!   that is still on the table;
//! - the row in the database follows the data: bytes, `fdatasync`, row;
//! - a punch clears the bits, makes the row durable, and punches then; a flight
//!   keeps everyone off the blocks meanwhile;
//! - a retired file is unlinked, never emptied: who still reads it reads right;
//! - a sealed file is never changed: others may read it by themselves ([`sealing`]).
//!
//! Locks: `saving` before `sealed` before `lending` before `state`; the first two are held over
//! I/O and taken on blocking threads only (but that a reader may take `sealed` for a checksum), the
//! others are held for a few instructions.

mod dropping;
mod reading;
mod sealing;

pub(super) use reading::Found;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use super::assemble::Arrived;
use super::behind::Behind;
use super::blocks::{self, Block, BlockMap};
use super::cursors::Cursors;
use super::disk::Disk;
use super::error::ContentError;
use super::flight::{Flight, Length, Progress};
use super::flights::{Flights, Plan};
use super::memory::MemoryTier;
use super::rows::{self, Row};
use super::stats::Counters;
use super::sums::Sums;
use super::window::{self, FROM_DISK, Finish, Met, Price, Room, Terms, Window};
use crate::ids::FileId;
use crate::store::Store;
use sealing::Lending;

/// How long the readers of a file that the service denied are answered at once, and
/// nothing is begun for them. That it is not asked for again, the links see to.
const DENIAL_KEPT: Duration = Duration::from_secs(30);

/// A cache file that is open.
pub(super) struct CacheFile {
    pub(super) id: FileId,
    pub(super) size: u64,
    pub(super) number: u64,
    pub(super) path: PathBuf,
    /// `None` where the disk did not give us a file: memory has to do.
    disk: Option<Disk>,
    map: BlockMap,
    sums: Sums,
    used: AtomicU64,
    used_saved: AtomicU64,
    unsaved: AtomicU64,
    /// Whether the last block that arrived found no place on disk.
    spilling: AtomicBool,
    /// How many want all of it.
    filling: AtomicUsize,
    /// What came and goes to disk.
    pub(super) behind: Behind,
    saving: Mutex<()>,
    /// Whether it is never changed again; shared by whoever changes the file on disk.
    sealed: RwLock<bool>,
    lending: Mutex<Lending>,
    state: Mutex<State>,
}

struct State {
    flights: Flights,
    cursors: Cursors,
    /// The same readers, as far as blocks come to them from the disk.
    lifts: Cursors,
    retired: bool,
    denied: Option<(Instant, ContentError)>,
}

impl State {
    /// Fails while a denial of the service is fresh.
    fn check_denial(&mut self, now: Instant) -> Result<(), ContentError> {
        if let Some((at, error)) = &self.denied {
            if now.duration_since(*at) < DENIAL_KEPT {
                return Err(error.clone());
            }
            self.denied = None;
        }
        Ok(())
    }
}

/// What came of bringing blocks to disk.
pub(super) enum Stored {
    /// So many bytes are new.
    Added(u64),
    /// The disk did not take it.
    Refused(io::Error),
    /// The file was retired, or the flight ended: nobody will look for them.
    Unwanted,
}

impl CacheFile {
    pub(super) fn new(
        row: Row,
        path: PathBuf,
        disk: Option<File>,
        (map, sums): (BlockMap, Sums),
        window: Window,
        counters: &Arc<Counters>,
    ) -> CacheFile {
        let sealed = sums.are_apart();
        CacheFile {
            state: Mutex::new(State {
                flights: Flights::new(counters),
                cursors: Cursors::new(row.size, window),
                lifts: Cursors::new(row.size, FROM_DISK),
                retired: false,
                denied: None,
            }),
            id: row.id,
            size: row.size,
            sums,
            number: row.number,
            path,
            disk: disk.map(Disk::new),
            map,
            used: AtomicU64::new(row.used),
            used_saved: AtomicU64::new(row.used),
            unsaved: AtomicU64::new(0),
            spilling: AtomicBool::new(false),
            filling: AtomicUsize::new(0),
            behind: Behind::default(),
            saving: Mutex::new(()),
            sealed: RwLock::new(sealed),
            lending: Mutex::default(),
        }
    }

    /// One that was just taken over whole.
    pub(super) fn adopted(
        row: Row,
        path: PathBuf,
        disk: File,
        window: Window,
        counters: &Arc<Counters>,
    ) -> CacheFile {
        let (map, sums) = (BlockMap::full(row.size), Sums::of_whole(row.size));
        let file = CacheFile::new(row, path, Some(disk), (map, sums), window, counters);
        // Everything on disk is news to the database.
        file.unsaved.store(file.cached_bytes(), Ordering::Relaxed);
        file
    }

    /// Bytes on disk.
    pub(super) fn cached_bytes(&self) -> u64 {
        self.map.present_bytes()
    }

    /// Last use, nanoseconds since 1970.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes that the row does not speak of yet.
    pub(super) fn unsaved(&self) -> u64 {
        self.unsaved.load(Ordering::Relaxed)
    }

    /// Whether blocks go to memory because the disk does not take them.
    pub(super) fn is_spilling(&self) -> bool {
        self.spilling.load(Ordering::Relaxed)
    }

    pub(super) fn set_spilling(&self, spilling: bool) {
        self.spilling.store(spilling, Ordering::Relaxed);
    }

    /// One more wants all of the file, until [`CacheFile::end_filling`].
    pub(super) fn begin_filling(&self) {
        self.filling.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end_filling(&self) {
        self.filling.fetch_sub(1, Ordering::Relaxed);
    }

    fn is_filling(&self) -> bool {
        self.filling.load(Ordering::Relaxed) > 0
    }

    /// Makes flights for absent blocks that nobody brings yet, from the start of the
    /// file on: at most `most`, none longer than `longest` blocks.
    ///
    /// # Errors
    /// The service denied this file a moment ago.
    pub(super) fn plan_fill(
        &self,
        longest: u64,
        most: usize,
    ) -> Result<Vec<Arc<Flight>>, ContentError> {
        let mut state = self.state.lock();
        state.check_denial(Instant::now())?;
        let missing: Vec<Range<Block>> = self
            .map
            .missing(&(0..self.map.blocks()))
            .into_iter()
            .flat_map(|run| window::split(run, longest))
            .collect();
        let mut flights = Vec::new();
        for run in missing {
            if flights.len() >= most {
                break;
            }
            flights.extend(state.flights.plan_ahead(&[run], Length::Fixed));
        }
        Ok(flights)
    }

    /// Notes a read, and returns flights to be started ahead of it.
    pub(super) fn note_read(
        &self,
        range: &Range<u64>,
        met: Met,
        terms: impl FnOnce() -> Terms,
    ) -> Vec<Arc<Flight>> {
        self.used.store(now_ns(), Ordering::Relaxed);
        if self.map.is_full() {
            return Vec::new();
        }
        let terms = terms();
        let mut state = self.state.lock();
        let ahead = state.cursors.on_read(range, met, terms, Instant::now());
        // What has no place on disk would push what is wanted out of memory.
        let Some(ahead) = ahead.filter(|_| !self.is_spilling() && state.denied.is_none()) else {
            return Vec::new();
        };
        let missing = self.map.missing(&ahead.blocks);
        match terms.price {
            Price::Free => {
                let length = Length::Open(ahead.run);
                state.flights.plan_ahead(&missing, length)
            }
            // Each has its link before it has a connection.
            Price::Link => {
                let split = |run| window::split(run, ahead.run);
                let runs: Vec<_> = missing.into_iter().flat_map(split).collect();
                state.flights.plan_ahead(&runs, Length::Fixed)
            }
        }
    }

    /// Decides how long a flight is whose connection there is now, and makes one for the
    /// rest: see [`Flights::depart`].
    pub(super) fn depart(&self, flight: &Arc<Flight>, finish: Finish) -> Option<Arc<Flight>> {
        let mut state = self.state.lock();
        let State {
            cursors, flights, ..
        } = &mut *state;
        let all = self.map.blocks();
        flights.depart(flight, |end, asked| {
            // Behind it may be what is here already: the end of a film is read early.
            let is_last = self.map.present_until(&(end..all)) == all;
            is_last.then(|| cursors.last_run_of(asked, finish))
        })
    }

    /// Notes a read that found all at hand, and returns the runs to be brought from the
    /// disk to memory ahead of it.
    pub(super) fn note_lifted(
        &self,
        range: &Range<u64>,
        found: Found,
        room: Room,
        memory: &MemoryTier,
    ) -> Vec<Range<Block>> {
        let met = match found.whole_from_disk {
            true => Met::Waited,
            false => Met::AtHand,
        };
        let terms = Terms {
            room,
            price: Price::Free,
            lines: 1,
            idle: 0,
            worthwhile: u64::MAX,
        };
        let now = Instant::now();
        let ahead = self.state.lock().lifts.on_read(range, met, terms, now);
        let mut runs = ahead.map_or_else(Vec::new, |ahead| window::split(ahead.blocks, ahead.run));
        // Of a file that is just coming over the line the next blocks are in memory, or nowhere.
        let liftable = |block| self.map.contains(block) && !memory.has(self.number, block);
        runs.retain(|run| run.clone().any(liftable));
        runs
    }

    /// Finds or makes the flights for the absent blocks of `range` and of what the
    /// reader is expected to go on to, over connections of which so many are idle.
    ///
    /// # Errors
    /// The service denied this file a moment ago.
    pub(super) fn plan(
        &self,
        range: &Range<u64>,
        memory: &MemoryTier,
        idle: u64,
        now: Instant,
    ) -> Result<Plan, ContentError> {
        let mut state = self.state.lock();
        let wanted = blocks::covering(&state.cursors.expected(range));
        state.check_denial(now)?;
        let missing = blocks::runs(
            self.map
                .missing(&wanted)
                .into_iter()
                .flatten()
                .filter(|&block| !memory.has(self.number, block)),
        );
        let absent = missing.iter().map(|run| run.end - run.start).sum();
        let longest = window::longest_of(absent, idle);
        Ok(state.flights.plan(&missing, longest))
    }

    /// Writes blocks that arrived with `flight` and follow one another.
    pub(super) fn store(&self, flight: &Arc<Flight>, arrived: &[Arrived]) -> Stored {
        let (Some(first), Some(disk)) = (arrived.first(), &self.disk) else {
            return Stored::Refused(io::ErrorKind::NotFound.into());
        };
        let run = first.block..first.block + arrived.len() as u64;
        let sealed = self.sealed.read();
        // Brought twice: it is there.
        if *sealed {
            return Stored::Unwanted;
        }
        let written = disk
            .write(arrived)
            .and_then(|()| self.sums.store(disk.file(), arrived));
        if let Err(error) = written {
            return Stored::Refused(error);
        }
        let state = self.state.lock();
        // Off the table, our blocks may be another flight's by now, or be punched.
        if state.retired || !state.flights.has(flight) {
            return Stored::Unwanted;
        }
        // Cut short while this came: what is beyond is another flight's by now.
        let run = run.start..run.end.min(flight.run().end);
        let added = self.map.insert(&run);
        self.unsaved.fetch_add(added, Ordering::Relaxed);
        Stored::Added(added)
    }

    /// Ends a flight and answers its waiters; a denial is remembered.
    pub(super) fn end_flight(&self, flight: &Arc<Flight>, how: Progress) {
        let mut state = self.state.lock();
        if let Progress::Failed(error @ (ContentError::Gone(_) | ContentError::Refused(_))) = &how {
            state.denied = Some((Instant::now(), error.clone()));
        }
        state.flights.end(flight, how);
    }

    /// Whether a reader waits for what is on its way.
    pub(super) fn is_awaited(&self) -> bool {
        self.state.lock().flights.are_awaited()
    }

    /// A flight for the second half of what `flight` has not brought, where a reader waits: see
    /// [`Flights::halve`].
    pub(super) fn halve(&self, flight: &Arc<Flight>) -> Option<Arc<Flight>> {
        self.state.lock().flights.halve(flight)
    }

    /// Cuts the flight short if no reader waits for it or counts on it.
    pub(super) fn give_up(&self, flight: &Arc<Flight>) -> bool {
        let state = self.state.lock();
        !self.is_filling()
            && !state.cursors.want(&flight.remaining(), Instant::now())
            && flight.cut_unless_awaited()
    }

    /// Whether nothing is under way and nothing waits to be saved.
    pub(super) fn is_idle(&self) -> bool {
        self.unsaved() == 0 && self.state.lock().flights.is_empty()
    }

    /// Declares the cache file dead: nothing is added to it any more. Returns
    /// the bytes that were on disk, once.
    pub(super) fn retire(&self) -> u64 {
        let mut state = self.state.lock();
        if std::mem::replace(&mut state.retired, true) {
            0
        } else {
            self.map.present_bytes()
        }
    }

    /// Runs `f` while no row of this file is being written.
    pub(super) fn while_not_saving<T>(&self, f: impl FnOnce() -> T) -> T {
        let _saving = self.saving.lock();
        f()
    }

    /// Brings the row up to date: data first. Blocks for as long as the disk
    /// takes.
    ///
    /// # Errors
    /// The disk or the database failed; the row stays as it was.
    pub(super) fn save(&self, store: &Store) -> Result<(), ContentError> {
        let _saving = self.saving.lock();
        if self.unsaved() == 0 || self.state.lock().retired {
            return Ok(());
        }
        self.save_row(|row, bits| store.write(|tx| rows::put(tx, row, bits)))
    }

    /// Takes the map, syncs the data it speaks of, and has it written: in this
    /// order a row never speaks of bytes that a power cut could still take.
    fn save_row(
        &self,
        write: impl FnOnce(&Row, &[u8]) -> Result<(), ContentError>,
    ) -> Result<(), ContentError> {
        let unsaved = self.unsaved.swap(0, Ordering::Relaxed);
        let bits = self.map.to_bytes();
        let row = Row {
            id: self.id.clone(),
            size: self.size,
            number: self.number,
            cached: self.map.present_bytes(),
            used: self.used(),
        };
        let synced = match &self.disk {
            Some(disk) => disk.file().sync_data(),
            None => Ok(()),
        };
        let saved = synced
            .map_err(|source| ContentError::Folder {
                path: self.path.clone(),
                source: Arc::new(source),
            })
            .and_then(|()| write(&row, &bits));
        match &saved {
            Ok(()) => self.used_saved.store(row.used, Ordering::Relaxed),
            Err(_) => {
                self.unsaved.fetch_add(unsaved, Ordering::Relaxed);
            }
        }
        saved
    }

    /// The time of the last use, if the row does not know it within `tolerance`.
    pub(super) fn untold_use(&self, tolerance: Duration) -> Option<u64> {
        let used = self.used();
        let saved = self.used_saved.load(Ordering::Relaxed);
        let untold = used.saturating_sub(saved) > tolerance.as_nanos() as u64;
        untold.then(|| {
            self.used_saved.store(used, Ordering::Relaxed);
            used
        })
    }
}

/// Now, in nanoseconds since 1970.
pub(super) fn now_ns() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
