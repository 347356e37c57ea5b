//! Whether what we have of a file is what the service's Whirlpool says.
//!
//! The hash is slow (some 130 MB a second of one core), so it is never on the way of a
//! read: a thread of lowest priority computes it, one file at a time, and rests while
//! there are reads or somebody else is at work ([`Content::at_work`]). A file that was fetched whole is checked by itself when nothing
//! else is going on; who cannot wait asks for it. A wrong sum drops what is cached and
//! fetches it once more; if that is wrong as well, the file is damaged, and reading it
//! fails until it is asked for again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use rusqlite::{Connection, params};
use whirlpool::Digest;

use super::error::{ContentError, Reason};
use super::file::CacheFile;
use super::{Content, Core, RemoteFile};
use crate::ids::{FileId, Whirlpool};
use crate::store::Store;

/// Bytes that are hashed between two looks at what else is going on.
const PIECE: u64 = 1024 * 1024;

/// How long the hash rests when something else goes on.
const REST: Duration = Duration::from_millis(200);

/// How often a check begins anew because the cache lost some of the file meanwhile.
const MOST_TRIES: u32 = 8;

/// Files that are remembered for a check.
const MOST_CANDIDATES: usize = 10_000;

/// What a check found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The bytes are those of the checksum.
    Sound,
    /// They are not, also when fetched anew.
    Damaged,
    /// The service told no checksum, or a check that nobody waits for was broken off.
    Unknown,
}

/// Whether a check waits for a quiet moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Hurry {
    Now,
    WhenIdle,
}

/// What was checked, and what is to be.
pub(super) struct Checks {
    store: Store,
    state: Mutex<State>,
    /// Whether any file is damaged: looked at by each read.
    any_damaged: AtomicBool,
    /// How many others are at work.
    others: Arc<AtomicUsize>,
    /// How many wait for a check: one that nobody waits for makes way.
    hurried: AtomicUsize,
    /// One at a time.
    pub(super) turn: tokio::sync::Mutex<()>,
}

/// As long as it lives, somebody is at work who is not to be slowed down by checks that
/// nobody waits for.
#[must_use = "the work ends when this is dropped"]
pub struct AtWork(Arc<AtomicUsize>);

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Somebody waits for a check, as long as it lives.
struct Hurried<'a>(&'a Checks);

impl<'a> Hurried<'a> {
    fn new(checks: &'a Checks) -> Hurried<'a> {
        checks.hurried.fetch_add(1, Ordering::Relaxed);
        Hurried(checks)
    }
}

impl Drop for Hurried<'_> {
    fn drop(&mut self) {
        self.0.hurried.fetch_sub(1, Ordering::Relaxed);
    }
}

struct State {
    sound: HashSet<FileId>,
    damaged: HashSet<FileId>,
    candidates: HashMap<FileId, RemoteFile>,
}

impl Checks {
    /// What earlier processes found.
    pub(super) fn open(store: Store) -> Result<Checks, ContentError> {
        let (mut sound, mut damaged) = (HashSet::new(), HashSet::new());
        for (id, is_sound) in store.read(all)? {
            let found = if is_sound { &mut sound } else { &mut damaged };
            found.insert(id);
        }
        Ok(Checks {
            store,
            any_damaged: AtomicBool::new(!damaged.is_empty()),
            state: Mutex::new(State {
                sound,
                damaged,
                candidates: HashMap::new(),
            }),
            others: Arc::default(),
            hurried: AtomicUsize::new(0),
            turn: tokio::sync::Mutex::default(),
        })
    }

    /// Whether nothing was found out about a file yet.
    fn is_open(&self, id: &FileId) -> bool {
        let state = self.state.lock();
        !state.sound.contains(id) && !state.damaged.contains(id)
    }

    /// Whether a file was found to be what its checksum says.
    pub(super) fn is_sound(&self, id: &FileId) -> bool {
        self.state.lock().sound.contains(id)
    }

    /// A file is about to be fetched: once it is whole, it can be checked.
    pub(super) fn may_check(&self, file: &RemoteFile) {
        let mut state = self.state.lock();
        if file.whirlpool.is_some()
            && !state.sound.contains(&file.id)
            && !state.damaged.contains(&file.id)
        {
            let candidates = &mut state.candidates;
            // Most of them never become whole; those that do are read on, and come back.
            if candidates.len() >= MOST_CANDIDATES
                && !candidates.contains_key(&file.id)
                && let Some(other) = candidates.keys().next().cloned()
            {
                candidates.remove(&other);
            }
            candidates.insert(file.id.clone(), file.clone());
        }
    }

    /// Fails for a file that is known to be damaged.
    pub(super) fn admit(&self, id: &FileId) -> Result<(), ContentError> {
        if self.any_damaged.load(Ordering::Relaxed) && self.state.lock().damaged.contains(id) {
            let reason = Reason::new(
                &"its bytes are not those of its checksum",
                "`fichierfs verify` fetches it once more.",
            );
            return Err(ContentError::Damaged(reason));
        }
        Ok(())
    }

    /// Files that were found sound, and damaged.
    pub(super) fn count(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.sound.len(), state.damaged.len())
    }

    /// Some files that are known to be damaged, in the order of their ids.
    fn damaged(&self, most: usize) -> Vec<FileId> {
        let mut ids: Vec<FileId> = self.state.lock().damaged.iter().cloned().collect();
        ids.sort_unstable();
        ids.truncate(most);
        ids
    }

    /// The files of which something was found out.
    pub(super) fn ids(&self) -> Vec<FileId> {
        let state = self.state.lock();
        state.sound.iter().chain(&state.damaged).cloned().collect()
    }

    /// Forgets what was found out about a file.
    pub(super) fn forget(&self, id: &FileId) -> Result<(), ContentError> {
        {
            let mut state = self.state.lock();
            state.candidates.remove(id);
            if !state.sound.remove(id) && !state.damaged.remove(id) {
                return Ok(());
            }
            self.any_damaged
                .store(!state.damaged.is_empty(), Ordering::Relaxed);
        }
        self.store.write(|tx| {
            tx.execute("DELETE FROM checked WHERE file_id = ?1", [id.as_str()])?;
            Ok(())
        })
    }

    fn settle(&self, id: &FileId, sound: bool) -> Result<(), ContentError> {
        {
            let mut state = self.state.lock();
            let State {
                sound: good,
                damaged: bad,
                candidates,
            } = &mut *state;
            candidates.remove(id);
            let (to, from) = if sound { (good, bad) } else { (bad, good) };
            from.remove(id);
            to.insert(id.clone());
            self.any_damaged
                .store(!state.damaged.is_empty(), Ordering::Relaxed);
        }
        self.store.write(|tx| {
            tx.execute(
                "INSERT OR REPLACE INTO checked(file_id, sound) VALUES (?1, ?2)",
                params![id.as_str(), sound],
            )?;
            Ok(())
        })
    }
}

fn all(connection: &Connection) -> Result<Vec<(FileId, bool)>, ContentError> {
    let mut statement = connection.prepare("SELECT file_id, sound FROM checked")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    let mut found = Vec::new();
    for row in rows {
        let (id, sound) = row?;
        if let Ok(id) = id.parse() {
            found.push((id, sound));
        }
    }
    Ok(found)
}

impl Content {
    /// Compares a file with its checksum now, after fetching what is absent of it.
    ///
    /// # Errors
    /// The file cannot be fetched, or the database failed.
    pub async fn verify(&self, file: &RemoteFile) -> Result<Verdict, ContentError> {
        self.core.verify(file, Hurry::Now, 0).await
    }

    /// Who had all bytes of a file found that they are not those of its checksum: what is
    /// here of it goes, and it is fetched and compared once more.
    ///
    /// # Errors
    /// The file cannot be fetched, or the database failed.
    pub async fn mend(&self, file: &RemoteFile) -> Result<Verdict, ContentError> {
        self.core.drop_differing(&file.id, 1).await;
        self.core.verify(file, Hurry::Now, 1).await
    }

    /// Files that are cached whole and were never compared with their checksums, by
    /// this process or an earlier one.
    pub fn unchecked(&self) -> Vec<FileId> {
        let mut ids = self.core.shelf.whole();
        ids.retain(|id| self.core.checks.is_open(id));
        ids
    }

    /// Compares a file with its checksum when nothing else goes on, once it is whole.
    pub fn may_check(&self, file: &RemoteFile) {
        self.core.checks.may_check(file);
    }

    /// Whether a file is known to be damaged: reading it fails.
    pub fn is_damaged(&self, id: &FileId) -> bool {
        self.core.checks.admit(id).is_err()
    }

    /// Files that are known to be damaged, `most` of them.
    pub fn damaged(&self, most: usize) -> Vec<FileId> {
        self.core.checks.damaged(most)
    }

    /// Somebody begins work that checks are to make way for, as reads do by themselves:
    /// uploads.
    pub fn at_work(&self) -> AtWork {
        let others = Arc::clone(&self.core.checks.others);
        others.fetch_add(1, Ordering::Relaxed);
        AtWork(others)
    }
}

impl Core {
    /// Compares a file that `differed` so often before.
    async fn verify(
        self: &Arc<Self>,
        file: &RemoteFile,
        hurry: Hurry,
        mut differed: u32,
    ) -> Result<Verdict, ContentError> {
        let Some(wanted) = file.whirlpool else {
            return Ok(Verdict::Unknown);
        };
        let _hurried = (hurry == Hurry::Now).then(|| Hurried::new(&self.checks));
        let _turn = self.checks.turn.lock().await;
        let content = Content {
            core: Arc::clone(self),
        };
        for _ in 0..MOST_TRIES {
            // What nobody waits for costs the service nothing, unless what is here is wrong.
            if hurry == Hurry::Now || differed > 0 {
                content.fill(file).await?;
            }
            let cached = self.find(file).await?;
            // Dropped from the cache meanwhile: not a word about its bytes.
            let Some(sum) = self.hash(cached, hurry).await? else {
                match hurry {
                    Hurry::Now => continue,
                    Hurry::WhenIdle => return Ok(Verdict::Unknown),
                }
            };
            if sum == wanted {
                self.checks.settle(&file.id, true)?;
                if differed > 0 {
                    self.tell_differing(&file.id);
                }
                return Ok(Verdict::Sound);
            }
            differed += 1;
            self.drop_differing(&file.id, differed).await;
            if differed == 2 {
                self.checks.settle(&file.id, false)?;
                self.tell_differing(&file.id);
                tracing::error!(file = %file.id, "a file is damaged: reading it fails");
                return Ok(Verdict::Damaged);
            }
        }
        let reason = Reason::new(
            &"the cache does not keep the file for as long as the check takes",
            "Raise cache_size, or look at the health of the cache disk.",
        );
        Err(ContentError::Unavailable(reason))
    }

    /// Drops what is cached of a file that `differed` so often.
    async fn drop_differing(self: &Arc<Self>, id: &FileId, differed: u32) {
        tracing::warn!(file = %id, differed, "the bytes of a file are not those of its checksum");
        let (core, gone) = (Arc::clone(self), id.clone());
        let dropped = self
            .runtime
            .spawn_blocking(move || core.shelf.forget(&gone));
        // It fails only if the process is about to end.
        let _ = dropped.await;
        self.tell_differing(id);
    }

    /// Tells whoever keeps bytes of a file that they may be wrong. Told again when nothing
    /// more of them is given, since a read may have been under way.
    fn tell_differing(&self, id: &FileId) {
        if let Some(news) = &self.options.differing {
            // Nobody listens at the end.
            let _ = news.send(id.clone());
        }
    }

    /// The Whirlpool of a file that is cached whole; `None` if it is not any more, or if
    /// the check makes way for one that somebody waits for.
    async fn hash(
        self: &Arc<Self>,
        cached: Arc<CacheFile>,
        hurry: Hurry,
    ) -> Result<Option<Whirlpool>, ContentError> {
        let (tell, told) = tokio::sync::oneshot::channel();
        let core = Arc::downgrade(self);
        let work = move || {
            yield_to_all();
            let mut digest = whirlpool::Whirlpool::new();
            let (mut at, mut whole) = (0, true);
            while at < cached.size {
                let Some(core) = core.upgrade() else {
                    return;
                };
                let in_vain = !whole || core.checks.hurried.load(Ordering::Relaxed) > 0;
                if hurry == Hurry::WhenIdle && in_vain {
                    whole = false;
                    break;
                }
                if hurry == Hurry::WhenIdle && !core.is_quiet() {
                    drop(core);
                    std::thread::sleep(REST);
                    continue;
                }
                let range = at..cached.size.min(at + PIECE);
                at = range.end;
                match core.read_cached(&cached, &range) {
                    Ok(Some(bytes)) if whole => {
                        let nanos = hash_piece(&mut digest, &bytes);
                        core.counters.check_nanos.add(nanos);
                    }
                    Ok(bytes) => whole &= bytes.is_some(),
                    Err(error) => {
                        // The rest is looked through for more of it.
                        core.shelf.drop_broken(&cached, &error);
                        whole = false;
                    }
                }
            }
            // Who asked may be gone.
            let _ = tell.send(whole.then(|| Whirlpool(digest.finalize().into())));
        };
        std::thread::Builder::new()
            .name("verify".to_owned())
            .spawn(work)
            .map_err(|error| {
                let reason = Reason::new(&error, "Try again later.");
                ContentError::Unavailable(reason)
            })?;
        Ok(told.await.unwrap_or(None))
    }

    /// Whether nothing is read, fetched or sent: looked at twice, a moment apart.
    fn is_quiet(&self) -> bool {
        let look = || {
            let counters = &self.counters;
            (counters.hit_bytes.get(), counters.miss_bytes.get())
        };
        let before = look();
        let idle =
            || self.counters.flights.get() == 0 && self.checks.others.load(Ordering::Relaxed) == 0;
        idle() && {
            std::thread::sleep(Duration::from_millis(1));
            look() == before
        }
    }

    /// Checks what was fetched whole, when there is nothing else to do.
    async fn check_one(self: &Arc<Self>) {
        let whole = {
            let state = self.checks.state.lock();
            let mut files = state.candidates.values();
            files
                .find(|file| self.shelf.cached_of(file) == file.size)
                .cloned()
        };
        let Some(file) = whole else {
            return;
        };
        if let Err(error) = self.verify(&file, Hurry::WhenIdle, 0).await {
            tracing::debug!(file = %file.id, %error, "a file could not be checked");
            self.checks.state.lock().candidates.remove(&file.id);
        }
    }
}

/// Checks files as long as the room lives.
pub(super) async fn keep_checking(core: std::sync::Weak<Core>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(core) = core.upgrade() else {
            return;
        };
        core.check_one().await;
    }
}

/// Hashes a piece; returns the nanoseconds of the processor that it took.
fn hash_piece(digest: &mut whirlpool::Whirlpool, bytes: &Bytes) -> u64 {
    let before = processor_time();
    digest.update(bytes);
    processor_time().saturating_sub(before)
}

/// The processor time of this thread, in nanoseconds.
fn processor_time() -> u64 {
    let clock = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID;
    nix::time::clock_gettime(clock).map_or(0, |time| {
        let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
        seconds * 1_000_000_000 + u64::try_from(time.tv_nsec()).unwrap_or(0)
    })
}

/// Gives this thread the lowest priority. Where that is refused, it has its usual one.
fn yield_to_all() {
    // SAFETY: it takes numbers and touches no memory; 0 is the calling thread.
    let refused = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) } != 0;
    if refused {
        tracing::debug!("checks run at the usual priority");
    }
}
