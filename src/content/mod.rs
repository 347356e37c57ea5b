//! What the service has: links, ranges, blocks, and the cache of clean bytes.
//!
//! Content never changes under a file id, so a block that was fetched once is
//! right for ever; this room fetches blocks when they are wanted, a little
//! before that for who reads in sequence, keeps them in sparse files within a
//! size, and hands out exact bytes. A read passes through here like this:
//!
//! ```text
//! try_read: shelf -> file -> disk                     (inline, no lock held over I/O, no SQLite)
//! read:     shelf -> file -> flights -> wait          (single flight a block)
//!                              └> fetch: links, lines, origin -> assemble -> file, memory
//! ```
//!
//! Invariants: a read gives the bytes of the file at that place or an error,
//! never anything else; nothing in the cache folder is needed for that (it may
//! be wiped at any time); a read waits no longer than the data deadline; what
//! nobody waits for or counts on any more is not fetched.
//!
//! The room may be called from `staging` (reads, pins, adoption), `upload`
//! (pins) and `daemon`. Dirty data never comes here.

mod adopt;
mod ahead;
mod assemble;
mod behind;
mod blocks;
mod buffers;
mod cursor;
mod cursors;
mod disk;
mod edges;
mod error;
mod fetch;
mod file;
mod fill;
mod flight;
mod flights;
mod hedge;
mod lending;
mod lines;
mod links;
mod memory;
mod origin;
mod parts;
mod pins;
mod rows;
mod service;
mod shelf;
mod stats;
mod sums;
mod sweep;
#[cfg(test)]
mod tests;
mod toll;
mod verify;
mod window;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

pub use blocks::BLOCK_SIZE;
pub use error::{ContentError, Reason};
pub use lending::Lent;
pub use pins::Pinned;
pub use service::{NoWay, Reach, Service};
pub use stats::ContentStats;
pub use verify::{AtWork, Verdict};

use crate::api::ApiError;
use crate::ids::{FileId, Whirlpool};
use crate::store::Store;
use crate::throttle::Throttle;
use crate::vain::Vain;
use buffers::Buffers;
use file::{CacheFile, Found};
use flight::Waiter;
use lines::Lines;
use links::{LinkLife, Links};
use memory::MemoryTier;
use origin::Origin;
use parts::Parts;
use pins::Pins;
use shelf::{Keep, Shelf};
use stats::Counters;
use toll::Toll;
use verify::Checks;
use window::{Met, Window};

/// Most bytes of one range request: long enough that the wait for its first byte
/// is a small part of it.
const LONGEST_RUN: u64 = 32 * 1024 * 1024;

/// Most bytes fetched ahead of one reader, on disk: a run for each of the usual
/// connections and some that wait, so that none stands idle.
const LONGEST_WINDOW: u64 = 10 * LONGEST_RUN;

/// Bytes asked ahead of all readers together beyond which windows shrink.
const MOST_AHEAD: u64 = 2 * LONGEST_WINDOW;

/// The service's limit for an account, whatever was configured (API notes 4.4).
const MOST_CONNECTIONS: usize = 30;

/// Bytes of blocks kept in memory: what all connections together bring while batches go to
/// disk, and as much for readers.
const MEMORY: u64 = 96 * 1024 * 1024;

/// How often rows that lag behind their cache files are written.
const SAVE_INTERVAL: Duration = Duration::from_secs(5);

/// A file of the service: fixed bytes under an id.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RemoteFile {
    /// Its id.
    pub id: FileId,
    /// Its size in bytes.
    pub size: u64,
    /// The service's checksum of it, where known.
    pub whirlpool: Option<Whirlpool>,
}

/// For whom bytes are read: it says which of the service's calls go first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    /// A program, in a system call.
    Reader,
    /// An upload, which sends them on.
    Upload,
}

/// How the room is to behave.
#[derive(Clone)]
pub struct ContentOptions {
    /// Bytes that the cache folder may take; 0 keeps nothing on disk.
    pub cache_size: u64,
    /// How long a cached file is kept after its last use; zero for ever.
    pub cache_max_age: Duration,
    /// Bytes that the cache leaves free on its disk.
    pub cache_min_free: u64,
    /// Connections to download hosts at the same time.
    pub connections: usize,
    /// How long a read waits for its bytes.
    pub data_deadline: Duration,
    /// The pause before a failed download is taken up again; it doubles while it
    /// fails.
    pub retry_pause: Duration,
    /// How long a download may stand still while a reader waits before the rest
    /// is asked for on another connection as well.
    pub hedge_after: Duration,
    /// How long a reader that paused is counted on to go on reading.
    pub attention: Duration,
    /// How often somebody looks for files to be compared with their checksums.
    pub check_every: Duration,
    /// The limit on bytes a second of all downloads.
    pub throttle: Throttle,
    /// Told of files whose bytes were found to be wrong after they may have been given:
    /// whoever keeps them should ask again.
    pub differing: Option<UnboundedSender<FileId>>,
}

impl Default for ContentOptions {
    fn default() -> Self {
        ContentOptions {
            cache_size: 20 << 30,
            cache_max_age: Duration::ZERO,
            cache_min_free: 0,
            connections: 8,
            data_deadline: Duration::from_secs(30),
            retry_pause: Duration::from_millis(100),
            hedge_after: Duration::from_secs(2),
            attention: Duration::from_secs(5),
            check_every: Duration::from_secs(5),
            throttle: Throttle::default(),
            differing: None,
        }
    }
}

/// The service's bytes. Cheap to clone; all clones share one cache.
#[derive(Clone)]
pub struct Content {
    core: Arc<Core>,
}

struct Core {
    options: ContentOptions,
    runtime: Handle,
    shelf: Shelf,
    memory: MemoryTier,
    buffers: Buffers,
    links: Links,
    lines: Lines,
    toll: Toll,
    /// A permit for each batch that waits for the disk.
    behind: Arc<Semaphore>,
    pins: Pins,
    counters: Arc<Counters>,
    checks: Checks,
    /// Ranges of files.
    vain: Vain<(FileId, Range<u64>)>,
}

impl Content {
    /// Opens the cache in `dir` (made if need be), whose block maps are in
    /// `store`. Fetching runs on `runtime`.
    ///
    /// # Errors
    /// The folder or the database cannot be used.
    pub fn open(
        service: impl Into<Service>,
        store: Store,
        dir: &Path,
        options: ContentOptions,
        runtime: Handle,
    ) -> Result<Content, ContentError> {
        let origin = service.into();
        let limits = origin.api().limits();
        let life = LinkLife::new(
            limits.link_opens,
            limits.link_resumes,
            limits.failing_window,
        );
        Content::over(Arc::new(origin), life, store, dir, options, runtime)
    }

    fn over(
        origin: Arc<dyn Origin>,
        life: LinkLife,
        store: Store,
        dir: &Path,
        options: ContentOptions,
        runtime: Handle,
    ) -> Result<Content, ContentError> {
        let counters = Arc::new(Counters::default());
        // In a small cache, what is fetched ahead must not push out itself.
        let window = Window {
            run: LONGEST_RUN.min(options.cache_size / 16).max(BLOCK_SIZE),
            ahead: LONGEST_WINDOW
                .min(options.cache_size / 4)
                .max(2 * BLOCK_SIZE),
            attention: options.attention,
        };
        let remembered = store.clone();
        let core = Arc::new(Core {
            checks: Checks::open(store.clone())?,
            shelf: Shelf::open(
                dir,
                store,
                Keep {
                    size: options.cache_size,
                    age: options.cache_max_age,
                    free: options.cache_min_free,
                },
                window,
                Arc::clone(&counters),
            )?,
            memory: MemoryTier::new(MEMORY),
            buffers: Buffers::default(),
            links: Links::new(life, origin, remembered, Arc::clone(&counters)),
            lines: Lines::new(options.connections.min(MOST_CONNECTIONS)),
            toll: Toll::default(),
            behind: Arc::new(Semaphore::new(fetch::BATCHES_BEHIND)),
            pins: Pins::default(),
            vain: Vain::default(),
            counters,
            options,
            runtime,
        });
        core.runtime.spawn(keep_rows(Arc::downgrade(&core)));
        core.runtime.spawn(verify::keep_checking(
            Arc::downgrade(&core),
            core.options.check_every,
        ));
        Ok(Content { core })
    }

    /// The bytes at `offset`, at most `len`, if all of them are cached: without
    /// waiting for the network, the database or a lock held over I/O. `None`
    /// means "ask [`Content::read`]". Short at the end of the file only.
    pub fn try_read(&self, file: &RemoteFile, offset: u64, len: usize) -> Option<Bytes> {
        let range = clip(file, offset, len);
        if range.is_empty() {
            return Some(Bytes::new());
        }
        // What is known to be wrong is not given, whatever is at hand.
        self.core.checks.admit(&file.id).ok()?;
        let cached = self.core.shelf.get(file)?;
        let (bytes, found) = match self.core.read_whole(&cached, &range) {
            Ok(read) => read?,
            Err(error) => {
                // Where memory is short, who waits is told so.
                if !is_shortage(&error) {
                    self.core.drop_broken(&cached, error);
                }
                return None;
            }
        };
        self.core.counters.hit_bytes.add(bytes.len() as u64);
        cached.let_go(&range, &self.core.memory);
        self.core.note_hit(&cached, &range, found);
        Some(bytes)
    }

    /// The bytes at `offset`, at most `len`; short at the end of the file only.
    /// Dropping the future ends the wish.
    ///
    /// # Errors
    /// [`ContentError::Timeout`] after the data deadline, and at once where somebody has just
    /// waited so long for some of them; the bytes may still come and be there for the next
    /// read. Any other error at once.
    pub async fn read(
        &self,
        file: &RemoteFile,
        offset: u64,
        len: usize,
    ) -> Result<Bytes, ContentError> {
        self.read_for(Who::Reader, file, offset, len).await
    }

    /// The same, for a program that reads or for an upload.
    ///
    /// # Errors
    /// Those of [`Content::read`].
    pub async fn read_for(
        &self,
        who: Who,
        file: &RemoteFile,
        offset: u64,
        len: usize,
    ) -> Result<Bytes, ContentError> {
        if let Some(bytes) = self.try_read(file, offset, len) {
            return Ok(bytes);
        }
        self.core.checks.admit(&file.id)?;
        self.core.checks.may_check(file);
        let patience = self.core.options.data_deadline;
        let range = clip(file, offset, len);
        let same = |(id, waited): &(FileId, Range<u64>)| {
            *id == file.id && waited.start < range.end && range.start < waited.end
        };
        // An upload has a wait of its own: it would be broken off, and its turn comes later.
        let is_reader = who == Who::Reader;
        if is_reader && self.core.vain.lately(same) {
            self.core.counters.failed_reads.add(1);
            return Err(ContentError::Timeout(patience));
        }
        let deadline = Instant::now() + patience;
        let wait = is_reader.then(|| {
            let key = (file.id.clone(), range.clone());
            self.core.vain.wait(key, deadline.into_std())
        });
        let fetched = timeout_at(deadline, self.core.fetch(who, file, range))
            .await
            .unwrap_or(Err(ContentError::Timeout(patience)));
        match &fetched {
            Ok(bytes) => {
                if let Some(wait) = wait {
                    wait.over();
                }
                self.core.counters.miss_bytes.add(bytes.len() as u64);
            }
            Err(_) => self.core.counters.failed_reads.add(1),
        }
        fetched
    }

    /// Marks the file as read by somebody, until the pin is dropped: an object
    /// that is pinned must not be removed from the service.
    pub fn pin(&self, id: &FileId) -> Pinned {
        self.core.pins.pin(id)
    }

    /// Whether somebody reads the file.
    pub fn is_pinned(&self, id: &FileId) -> bool {
        self.core.pins.is_pinned(id)
    }

    /// The service said on another occasion that it does not have this file: what is not cached
    /// of it fails, without a call that would fail too.
    pub fn is_not_there(&self, id: &FileId, said: &ApiError) {
        let gone = ContentError::Gone(Reason::new(said, said.advice()));
        self.core
            .links
            .note_refused(id, &origin::Fault::Final(gone));
    }

    /// Drops everything that is cached but not kept ([`Content::keep`]), and returns how many bytes that were.
    /// Readers go on and fetch anew. Blocks for the removal of the files.
    pub fn clear(&self) -> u64 {
        self.core.memory.clear();
        self.core.shelf.clear()
    }

    /// The disk of `folder` is full: what is cached on the same disk goes. Returns how
    /// many bytes that were.
    pub fn make_room(&self, folder: &Path) -> u64 {
        use std::os::unix::fs::MetadataExt;
        let disk = |path: &Path| std::fs::metadata(path).map(|about| about.dev()).ok();
        match (disk(folder), disk(self.core.shelf.dir())) {
            (Some(full), Some(ours)) if full == ours => self.core.shelf.clear(),
            _ => 0,
        }
    }

    /// Writes down what is cached, so that the next start knows all of it.
    /// Blocks for as long as the disk takes to sync.
    pub fn save(&self) {
        self.core.shelf.save_all();
    }

    /// The room's figures.
    pub fn stats(&self) -> ContentStats {
        let core = &self.core;
        let (cached_files, open_files) = core.shelf.count();
        let counters = &core.counters;
        let (sound, damaged) = core.checks.count();
        ContentStats {
            sound_files: sound as u64,
            damaged_files: damaged as u64,
            check_nanos: counters.check_nanos.get(),
            cached_bytes: core.shelf.cached_bytes(),
            cache_limit: core.shelf.limit(),
            cached_files: cached_files as u64,
            open_files: open_files as u64,
            memory_bytes: core.memory.bytes(),
            pinned_files: core.pins.len() as u64,
            connections: core.lines.in_use() as u64,
            flights: counters.flights.get(),
            hit_bytes: counters.hit_bytes.get(),
            miss_bytes: counters.miss_bytes.get(),
            fetched_bytes: counters.fetched_bytes.get(),
            requests: counters.requests.get(),
            retries: counters.retries.get(),
            links: counters.links.get(),
            failed_reads: counters.failed_reads.get(),
            passed_opens: counters.passed_opens.get(),
            evicted_bytes: counters.evicted_bytes.get(),
        }
    }
}

impl Core {
    /// The bytes of `range` if all are at hand.
    fn read_whole(
        &self,
        cached: &CacheFile,
        range: &Range<u64>,
    ) -> std::io::Result<Option<(Bytes, Found)>> {
        let mut parts = Parts::default();
        let found = cached.read(range.clone(), &self.memory, &self.buffers, &mut parts)?;
        Ok((found.end == range.end).then(|| (parts.join(), found)))
    }

    /// The bytes of `range` as the disk has them, if it has all of them.
    fn read_cached(
        &self,
        cached: &CacheFile,
        range: &Range<u64>,
    ) -> std::io::Result<Option<Bytes>> {
        let (mut parts, nothing) = (Parts::default(), MemoryTier::new(0));
        let found = cached.read(range.clone(), &nothing, &self.buffers, &mut parts)?;
        Ok((found.end == range.end).then(|| parts.join()))
    }

    /// Gathers `range`, fetching what is absent, for as long as it takes.
    async fn fetch(
        self: &Arc<Self>,
        who: Who,
        file: &RemoteFile,
        range: Range<u64>,
    ) -> Result<Bytes, ContentError> {
        let mut cached = self.find(file).await?;
        let mut parts = Parts::default();
        let mut noted = false;
        loop {
            let at = range.start + parts.len();
            let read = cached.read(at..range.end, &self.memory, &self.buffers, &mut parts);
            if let Err(error) = read {
                if is_shortage(&error) {
                    let reason = Reason::new(&error, "Free some memory, and read again.");
                    return Err(ContentError::Unavailable(reason));
                }
                // Awaited: it must be gone before it is looked for again.
                let dropped = self.drop_broken(&cached, error).await;
                tracing::trace!(done = dropped.is_ok(), "a cache file was dropped");
                cached = self.find(file).await?;
                continue;
            }
            let at = range.start + parts.len();
            if at == range.end {
                cached.let_go(&range, &self.memory);
                if !noted {
                    self.note_read(&cached, &range, Met::Waited);
                }
                return Ok(parts.join());
            }
            let wanted = at..range.end;
            let mut plan = cached.plan(&wanted, &self.memory, self.idle(), Instant::now())?;
            if who == Who::Upload {
                plan.wait.iter_mut().for_each(Waiter::for_upload);
            }
            let others = plan.start.is_empty();
            let met = if others { Met::Waited } else { Met::Absent };
            for flight in plan.start.drain(..) {
                fetch::launch(self, &cached, flight);
            }
            // After the demanded flights, so that those go first.
            if !noted {
                self.note_read(&cached, &range, met);
                noted = true;
            }
            match plan.wait.first_mut() {
                Some(waiter) => match waiter.wait(blocks::of(at)).await {
                    // Its patience was that of who began it.
                    Err(ContentError::Unavailable(_)) if others => {}
                    waited => waited?,
                },
                // At hand after all, or the cache file was dropped under us.
                None => cached = self.find(file).await?,
            }
        }
    }

    /// The cache file of `file`. Opening one takes the disk and the database, so
    /// it leaves the async threads.
    async fn find(self: &Arc<Self>, file: &RemoteFile) -> Result<Arc<CacheFile>, ContentError> {
        if let Some(open) = self.shelf.get(file) {
            return Ok(open);
        }
        let (core, wanted) = (Arc::clone(self), file.clone());
        let found = self
            .runtime
            .spawn_blocking(move || core.shelf.find(&wanted));
        found.await.unwrap_or_else(|error| {
            let reason = Reason::new(&error, "Please report it with the log.");
            Err(ContentError::Unavailable(reason))
        })
    }

    /// Drops what cannot be read of a cache file: `error` tells what.
    fn drop_broken(
        self: &Arc<Self>,
        cached: &Arc<CacheFile>,
        error: std::io::Error,
    ) -> JoinHandle<()> {
        tracing::warn!(file = %cached.id, %error, "cached bytes cannot be read and are fetched again");
        let (core, cached) = (Arc::clone(self), Arc::clone(cached));
        self.runtime
            .spawn_blocking(move || core.shelf.drop_broken(&cached, &error))
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.shelf.save_all();
    }
}

/// Keeps the limits and brings the rows up to date every few seconds, as long as the room lives.
async fn keep_rows(core: std::sync::Weak<Core>) {
    loop {
        tokio::time::sleep(SAVE_INTERVAL).await;
        let Some(core) = core.upgrade() else {
            return;
        };
        let runtime = core.runtime.clone();
        // It fails only if the process is about to end.
        let _ = runtime
            .spawn_blocking(move || {
                core.shelf.tidy();
                core.shelf.save_all();
                core.memory.expire();
                core.buffers.release();
            })
            .await;
    }
}

/// Whether a read failed for want of memory, which says nothing about the cache file.
fn is_shortage(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::OutOfMemory
}

/// The part of `offset..offset + len` that is within the file.
fn clip(file: &RemoteFile, offset: u64, len: usize) -> Range<u64> {
    let start = offset.min(file.size);
    start..offset.saturating_add(len as u64).min(file.size).max(start)
}
