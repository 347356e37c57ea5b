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
//! - a retired file is unlinked, never emptied: who still reads it reads right.
//!
//! Locks: `saving` before `state`; `saving` is held over I/O and taken on
//! blocking threads only, `state` is held for a few instructions.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::assemble::Arrived;
use super::blocks::{self, BLOCK_SIZE, Block, BlockMap};
use super::buffers::Buffers;
use super::cursor::{self, Cursors, Met, Terms, Window};
use super::disk::Disk;
use super::error::ContentError;
use super::flight::{Flight, Flights, Plan, Progress};
use super::memory::MemoryTier;
use super::parts::Parts;
use super::rows::{self, Row};
use super::sums::{Learnt, Sums};
use crate::ids::FileId;
use crate::store::Store;

/// How long a file that the service denied is not asked for again: failing
/// calls count against the account (API notes 1.6).
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
    saving: Mutex<()>,
    state: Mutex<State>,
}

struct State {
    flights: Flights,
    cursors: Cursors,
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
        map: BlockMap,
        window: Window,
    ) -> CacheFile {
        CacheFile {
            state: Mutex::new(State {
                flights: Flights::default(),
                cursors: Cursors::new(row.size, window),
                retired: false,
                denied: None,
            }),
            id: row.id,
            size: row.size,
            sums: Sums::new(row.size),
            number: row.number,
            path,
            disk: disk.map(Disk::new),
            map,
            used: AtomicU64::new(row.used),
            used_saved: AtomicU64::new(row.used),
            unsaved: AtomicU64::new(0),
            spilling: AtomicBool::new(false),
            filling: AtomicUsize::new(0),
            saving: Mutex::new(()),
        }
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

    /// Everything on disk is news to the database.
    pub(super) fn mark_unsaved(&self) {
        self.unsaved.store(self.cached_bytes(), Ordering::Relaxed);
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
            .flat_map(|run| cursor::split(run, longest * BLOCK_SIZE))
            .collect();
        let mut flights = Vec::new();
        for run in missing {
            if flights.len() >= most {
                break;
            }
            flights.extend(state.flights.plan_ahead(std::slice::from_ref(&run)));
        }
        Ok(flights)
    }

    /// Adds the bytes from `range.start` on that are at hand, in memory or on disk, to
    /// `parts`, and returns where they end.
    ///
    /// # Errors
    /// The cache file cannot be read; it should be dropped.
    pub(super) fn read(
        &self,
        range: Range<u64>,
        memory: &MemoryTier,
        buffers: &Buffers,
        parts: &mut Parts,
    ) -> io::Result<u64> {
        let mut at = range.start;
        while at < range.end {
            let block = blocks::of(at);
            let start = blocks::bytes_of(&(block..block + 1), self.size).start;
            let end = match memory.get(self.number, block) {
                Some(bytes) => {
                    let end = (start + bytes.len() as u64).min(range.end);
                    // A block is a fraction of a megabyte: it fits in usize.
                    parts.push(bytes.slice((at - start) as usize..(end - start) as usize));
                    end
                }
                None => self.read_disk(at..range.end, memory, buffers, parts)?,
            };
            if end == at {
                break;
            }
            at = end;
        }
        Ok(at)
    }

    /// Adds bytes that are on disk: whole blocks, up to the first that is in memory, or a
    /// part of one block.
    fn read_disk(
        &self,
        range: Range<u64>,
        memory: &MemoryTier,
        buffers: &Buffers,
        parts: &mut Parts,
    ) -> io::Result<u64> {
        let first = blocks::of(range.start);
        let part = blocks::bytes_of(&(first..first + 1), self.size);
        if range.start > part.start || range.end < part.end {
            let end = range.end.min(part.end);
            let read = self.while_present(&(first..first + 1), |disk| {
                // What a reader asks for at once fits in memory, so in usize.
                let mut bytes = BytesMut::zeroed((end - range.start) as usize);
                disk.file().read_exact_at(&mut bytes, range.start)?;
                let learnt = self.sums.check(disk.file(), range.start, &bytes)?;
                Ok((bytes.freeze(), learnt))
            });
            return match read {
                None => Ok(range.start),
                Some(bytes) => {
                    parts.push(bytes?);
                    Ok(end)
                }
            };
        }
        let whole = first..blocks::whole_until(range.end, self.size);
        let last = (whole.start..self.map.present_until(&whole))
            .find(|&block| memory.has(self.number, block))
            .unwrap_or_else(|| self.map.present_until(&whole));
        let present = whole.start..last;
        let bytes = blocks::bytes_of(&present, self.size);
        let read = self.while_present(&present, |disk| {
            let read = disk.read(&bytes, buffers)?;
            let mut learnt = Vec::new();
            for (block, buffer) in present.clone().zip(&read) {
                let at = blocks::bytes_of(&(block..block + 1), self.size).start;
                learnt.extend(self.sums.check(disk.file(), at, buffer.as_ref())?);
            }
            Ok((read, learnt))
        });
        match read {
            None => Ok(range.start),
            Some(read) => {
                for buffer in read? {
                    parts.push(buffer.freeze());
                }
                Ok(bytes.end)
            }
        }
    }

    /// What `read` makes of blocks that are on disk, and learns of their checksums; `None` if
    /// they are not, or were punched out while it read and may have been read as zeros:
    /// see [`BlockMap::era`].
    fn while_present<T>(
        &self,
        blocks: &Range<Block>,
        read: impl FnOnce(&Disk) -> io::Result<(T, Vec<Learnt>)>,
    ) -> Option<io::Result<T>> {
        let disk = self.disk.as_ref()?;
        let era = self.map.era();
        if blocks.is_empty() || self.map.present_until(blocks) < blocks.end {
            return None;
        }
        let read = read(disk);
        let in_time = self.map.era() == era;
        in_time.then(|| {
            let (made, learnt) = read?;
            self.sums.learn(disk.file(), &learnt);
            Ok(made)
        })
    }

    /// Lets go of the blocks in memory that a read of `range` came to the end of, once they
    /// are on disk: who reads on has no more use for them, and the kernel keeps what
    /// it was given.
    pub(super) fn let_go(&self, range: &Range<u64>, memory: &MemoryTier) {
        for block in blocks::of(range.start)..blocks::whole_until(range.end, self.size) {
            memory.pass(self.number, block, self.map.contains(block));
        }
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
        let runs = state.cursors.on_read(range, met, terms, Instant::now());
        // What has no place on disk would push what is wanted out of memory.
        if runs.is_empty() || self.is_spilling() || state.denied.is_some() {
            return Vec::new();
        }
        let missing: Vec<_> = runs.iter().flat_map(|run| self.map.missing(run)).collect();
        state.flights.plan_ahead(&missing)
    }

    /// Finds or makes the flights for the absent blocks of `range` and of what the
    /// reader is expected to go on to.
    ///
    /// # Errors
    /// The service denied this file a moment ago.
    pub(super) fn plan(
        &self,
        range: &Range<u64>,
        memory: &MemoryTier,
        longest: u64,
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
        Ok(state.flights.plan(&missing, longest))
    }

    /// Writes blocks that arrived with `flight` and follow one another.
    pub(super) fn store(&self, flight: &Arc<Flight>, arrived: &[Arrived]) -> Stored {
        let (Some(first), Some(disk)) = (arrived.first(), &self.disk) else {
            return Stored::Refused(io::ErrorKind::NotFound.into());
        };
        let run = first.block..first.block + arrived.len() as u64;
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

    /// Drops about `wanted` bytes from disk, from the start of the file on, but
    /// nothing that is `spared`, near a reader or under way. Returns how many it dropped.
    ///
    /// # Errors
    /// The disk cannot punch or the database failed; nothing is lost.
    pub(super) fn punch(
        &self,
        wanted: u64,
        spared: &[Range<Block>],
        store: &Store,
    ) -> Result<u64, ContentError> {
        let _saving = self.saving.lock();
        self.drop_blocks(store, |state, map| {
            let mut spared = spared.to_vec();
            spared.extend(state.cursors.attended(Instant::now()));
            spared.extend(state.flights.runs());
            droppable(map, wanted, &spared)
        })
    }

    /// Drops one block, whose bytes are not what was written; it will be fetched anew.
    /// Returns how many bytes that are.
    ///
    /// # Errors
    /// Those of [`CacheFile::punch`]; the block stays.
    #[expect(clippy::single_range_in_vec_init, reason = "one run")]
    pub(super) fn drop_bad(&self, block: Block, store: &Store) -> Result<u64, ContentError> {
        let _saving = self.saving.lock();
        // Who saw it as well may have dropped it, and another have brought it anew.
        self.drop_blocks(store, |_, map| {
            match map.contains(block) && !self.sums.is_sound(block) {
                true => vec![block..block + 1],
                false => Vec::new(),
            }
        })
    }

    /// Drops the runs that `choose` names, none of which is under way. Called with `saving`
    /// held.
    fn drop_blocks(
        &self,
        store: &Store,
        choose: impl FnOnce(&State, &BlockMap) -> Vec<Range<Block>>,
    ) -> Result<u64, ContentError> {
        let Some(disk) = &self.disk else {
            return Ok(0);
        };
        let (runs, flights, removed) = self.take_off(choose);
        if runs.is_empty() {
            return Ok(0);
        }
        // A power cut must not bring back a row that speaks of punched blocks.
        let punched = self
            .save_row(|row, bits| store.write_durable(|tx| rows::put(tx, row, bits)))
            .map(|()| {
                for run in &runs {
                    let bytes = blocks::bytes_of(run, self.size);
                    // Blocks that stay on disk unnamed cost room, nothing else.
                    if let Err(error) = disk.punch_out(&bytes) {
                        tracing::debug!(file = %self.id, %error, "cannot punch out cached blocks");
                    }
                }
                removed
            });
        if punched.is_err() {
            for run in &runs {
                self.map.insert(run);
            }
        }
        let mut state = self.state.lock();
        for flight in &flights {
            state.flights.end(flight, Progress::Ended);
        }
        punched
    }

    /// Marks blocks as absent, behind flights that keep others off; returns how many
    /// bytes they are.
    fn take_off(
        &self,
        choose: impl FnOnce(&State, &BlockMap) -> Vec<Range<Block>>,
    ) -> (Vec<Range<Block>>, Vec<Arc<Flight>>, u64) {
        let mut state = self.state.lock();
        if state.retired {
            return (Vec::new(), Vec::new(), 0);
        }
        let runs = choose(&state, &self.map);
        let flights = runs.iter().map(|run| state.flights.begin(run)).collect();
        let removed = runs.iter().map(|run| self.map.remove(run)).sum();
        (runs, flights, removed)
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

/// Runs of present blocks, about `wanted` bytes from the start on, outside of `spared`.
fn droppable(map: &BlockMap, wanted: u64, spared: &[Range<Block>]) -> Vec<Range<Block>> {
    let (mut runs, mut chosen): (Vec<Range<Block>>, u64) = (Vec::new(), 0);
    for block in 0..map.blocks() {
        if chosen >= wanted {
            break;
        }
        if !map.contains(block) || spared.iter().any(|run| run.contains(&block)) {
            continue;
        }
        chosen += BLOCK_SIZE;
        match runs.last_mut() {
            Some(run) if run.end == block => run.end += 1,
            _ => runs.push(block..block + 1),
        }
    }
    runs
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
