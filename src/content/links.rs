//! The cache of download links: one call of the API serves all ranges, readers
//! and re-opens of a file while the link lives.
//!
//! A link may be opened for five minutes after its issue, and once it has
//! given bytes, asked for further ranges for thirty (API notes 4.2). We stop
//! a little before either.
//!
//! A refusal says little: the link is dead, or the account has all the connections that it
//! may have (API notes 4.4), and nobody knows the status of either. So a link that gave bytes
//! is asked once more before it is replaced, and where the one in its place is refused
//! as well, it was not the link's fault: that one is used on until it is served, and
//! no further call is spent.
//!
//! Should the service grant links for one request only, whatever is asked of it, that
//! shows: link after link gives bytes to its first request and to no other, though it is young,
//! while the next one is served at once. After a few of these in a row each request gets a
//! link of its own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use moka::Entry;
use moka::future::Cache;
use moka::ops::compute::{CompResult, Op};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::error::{ContentError, Reason};
use super::origin::{Fault, Link, Need, Origin};
use super::stats::Counters;
use crate::ids::{FileId, Time};
use crate::store::{Refusal, Store};

/// Links kept; beyond it the least used go.
const MOST_LINKS: u64 = 10_000;

/// The next link is asked for when this part of the life of the one in use is left.
const RENEWED_PART: u32 = 5;

/// Links in a row that have to wear out by one request before it is believed.
const WORN: u32 = 3;

/// How long it is then believed: a host that restarts kills links as well.
const BELIEVED: Duration = Duration::from_secs(3600);

/// What a person should know of a file that is not asked for again.
const REMEMBERED: &str =
    "The service refused it less than an hour ago: it is not asked for again until then.";

/// How long a link is used after its issue.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkLife {
    /// For its first request.
    pub(super) to_open: Duration,
    /// For further requests, once one has succeeded.
    pub(super) to_resume: Duration,
    /// Until the next one is asked for, where it is in use.
    pub(super) to_renew: Duration,
    /// How long a file that the service refused is not asked for again: for so long a failing
    /// call counts against us (API notes 6).
    pub(super) refused: Duration,
}

impl LinkLife {
    pub(super) fn new(to_open: Duration, to_resume: Duration, refused: Duration) -> LinkLife {
        LinkLife {
            to_open,
            to_resume,
            to_renew: to_resume - to_resume / RENEWED_PART,
            refused,
        }
    }
}

/// A link and what is known of it.
pub(super) struct Issued {
    pub(super) link: Arc<dyn Link>,
    at: Instant,
    proven: AtomicBool,
    /// Whether another request than the first got bytes.
    reused: AtomicBool,
    /// Requests made with it.
    opened: AtomicU32,
    /// How many of these had been made when it was refused; 0 while it is not in doubt.
    doubted: AtomicU32,
    /// How the one ended in whose place it is.
    follows: Option<Ended>,
    /// Whether its successor was asked for.
    renewed: AtomicBool,
}

/// What the refusal of a link says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// It gave bytes before: it is asked once more.
    InDoubt,
    /// It is of no more use: the next request gets another.
    Replaced,
    /// It replaced one that was refused, and was refused as well: it is not the link.
    NoFault,
}

/// How a link ended that was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ended {
    /// Its first request got bytes, and no other.
    AfterOneRequest,
    /// In any other way.
    Otherwise,
}

impl Issued {
    /// A request is about to be made; returns which one it is, from 1.
    pub(super) fn open(&self) -> u32 {
        self.opened.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether it was refused once already, before its `nth` request was made.
    fn is_doubted(&self, nth: u32) -> bool {
        let now = self.opened.load(Ordering::Relaxed);
        let before = self
            .doubted
            .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        before.is_err_and(|since| nth > since)
    }

    fn ended(&self, life: LinkLife) -> Ended {
        let once = self.proven.load(Ordering::Relaxed) && !self.reused.load(Ordering::Relaxed);
        match once && self.at.elapsed() < life.to_open {
            true => Ended::AfterOneRequest,
            false => Ended::Otherwise,
        }
    }

    fn is_usable(&self, life: LinkLife) -> bool {
        let limit = if self.proven.load(Ordering::Relaxed) {
            life.to_resume
        } else {
            life.to_open
        };
        self.at.elapsed() < limit
    }

    /// Whether it is in use and near its end; said once.
    fn is_due(&self, life: LinkLife) -> bool {
        self.proven.load(Ordering::Relaxed)
            && self.at.elapsed() >= life.to_renew
            && !self.renewed.swap(true, Ordering::Relaxed)
    }
}

/// What is known of how long links last.
#[derive(Default)]
struct Worn {
    /// Links in a row that were good for one request, while the next was served at once;
    /// none was good for two in between.
    links: u32,
    /// Since when each request gets a link of its own.
    single: Option<Instant>,
}

/// The links of all files. Clones share them.
#[derive(Clone)]
pub(super) struct Links {
    life: LinkLife,
    origin: Arc<dyn Origin>,
    counters: Arc<Counters>,
    worn: Arc<Mutex<Worn>>,
    links: Cache<FileId, Arc<Issued>>,
    /// Those on their way that no reader waits for. A reader does not wait for these, whose
    /// calls let all others pass.
    on_their_way: Cache<FileId, Arc<Issued>>,
    /// Files for which a reader's call is under way; all others wait for that one.
    readers_ask: Arc<Mutex<HashSet<FileId>>>,
    /// Files whose link was refused lately, until one gives bytes.
    refused: Arc<Mutex<HashMap<FileId, (Instant, Ended)>>>,
    /// Remembers files of which the service gives no link.
    store: Store,
}

impl Links {
    pub(super) fn new(
        life: LinkLife,
        origin: Arc<dyn Origin>,
        store: Store,
        counters: Arc<Counters>,
    ) -> Links {
        Links {
            life,
            origin,
            counters,
            worn: Arc::default(),
            links: Cache::new(MOST_LINKS),
            on_their_way: Cache::new(MOST_LINKS),
            readers_ask: Arc::default(),
            refused: Arc::default(),
            store,
        }
    }

    /// The link of a file, a fresh one if there is none to use. All who ask while a reader's
    /// call is under way share that, and so do those who are in no hurry among themselves.
    ///
    /// # Errors
    /// What the call for a link ended with.
    pub(super) async fn get(
        &self,
        id: &FileId,
        need: Need,
        deadline: Instant,
    ) -> Result<Arc<Issued>, Fault> {
        if let Some(known) = self.links.get(id).await {
            if known.is_usable(self.life) {
                if known.is_due(self.life) {
                    tokio::spawn(self.clone().renew(id.clone(), Arc::clone(&known)));
                }
                return Ok(known);
            }
            self.discard(id, &known).await;
        }
        let issue = self.issue(id, need, deadline);
        if self.are_single() {
            return issue.await;
        }
        let asked = match need {
            Need::Reader => &self.links,
            Need::Upload | Need::Nobody if self.readers_ask.lock().contains(id) => &self.links,
            Need::Upload | Need::Nobody => &self.on_their_way,
        };
        let link = asked
            .try_get_with_by_ref(id, issue)
            .await
            .map_err(|fault: Arc<Fault>| (*fault).clone())?;
        if need == Need::Reader {
            return Ok(link);
        }
        // The one that a reader got meanwhile goes before it.
        let entry = self.links.entry_by_ref(id).or_insert(link).await;
        self.on_their_way.invalidate(id).await;
        Ok(entry.into_value())
    }

    /// Asks for a link: one call of the API.
    async fn issue(&self, id: &FileId, need: Need, by: Instant) -> Result<Arc<Issued>, Fault> {
        self.check_refused(id).map_err(Fault::Final)?;
        let _asks = (need == Need::Reader).then(|| ReaderAsks::begin(&self.readers_ask, id));
        self.counters.links.add(1);
        // The life of a link begins when it is issued, not when it arrives.
        let at = Instant::now();
        let link = match self.origin.link(id, need, by.into_std()).await {
            Ok(link) => link,
            Err(fault) => {
                self.note_refused(id, &fault);
                return Err(fault);
            }
        };
        Ok(Arc::new(Issued {
            link,
            at,
            proven: AtomicBool::new(false),
            reused: AtomicBool::new(false),
            opened: AtomicU32::new(0),
            doubted: AtomicU32::new(0),
            follows: self.refused_lately(id),
            renewed: AtomicBool::new(false),
        }))
    }

    /// Whether the service refused the file lately.
    fn check_refused(&self, id: &FileId) -> Result<(), ContentError> {
        let now = Time::now();
        let latest = now.after(self.life.refused);
        let known = self.store.refusal(&self.origin.asked(id), now, latest)?;
        known.map_or(Ok(()), |Refusal { is_gone, said }| {
            let reason = Reason::new(&said, REMEMBERED);
            Err(match is_gone {
                true => ContentError::Gone(reason),
                false => ContentError::Refused(reason),
            })
        })
    }

    /// Remembers that the service refused the file.
    pub(super) fn note_refused(&self, id: &FileId, fault: &Fault) {
        let Fault::Final(error @ (ContentError::Gone(reason) | ContentError::Refused(reason))) =
            fault
        else {
            return;
        };
        let refusal = Refusal {
            is_gone: matches!(error, ContentError::Gone(_)),
            said: reason.to_string(),
        };
        let now = Time::now();
        let until = now.after(self.life.refused);
        let asked = self.origin.asked(id);
        if let Err(error) = self.store.note_refusal(&asked, &refusal, now, until) {
            tracing::warn!(%error, "that a file was refused is not remembered");
        }
    }

    /// Puts a fresh link in the place of one that ends soon. Where none is given, who
    /// reads on after the end asks for it.
    async fn renew(self, id: FileId, old: Arc<Issued>) {
        let end = old.at + self.life.to_resume;
        match self.issue(&id, Need::Nobody, end).await {
            Ok(new) => {
                let replace = |entry: Option<Entry<FileId, Arc<Issued>>>| {
                    let op = match entry {
                        Some(entry) if Arc::ptr_eq(entry.value(), &old) => Op::Put(new),
                        _ => Op::Nop,
                    };
                    std::future::ready(op)
                };
                self.links.entry_by_ref(&id).and_compute_with(replace).await;
            }
            Err(fault) => tracing::debug!(file = %id, ?fault, "a link was not renewed"),
        }
    }

    /// Whether each request needs a link of its own.
    pub(super) fn are_single(&self) -> bool {
        let mut worn = self.worn.lock();
        match worn.single {
            Some(since) if since.elapsed() < BELIEVED => true,
            Some(_) => {
                // Tried once more: a single worn link brings it back.
                *worn = Worn {
                    links: WORN - 1,
                    single: None,
                };
                false
            }
            None => false,
        }
    }

    /// A request, the `nth` of its link, gave bytes.
    pub(super) fn gave(&self, id: &FileId, link: &Issued, nth: u32) {
        if !link.proven.swap(true, Ordering::Relaxed) {
            self.refused.lock().remove(id);
            if nth == 1 && link.follows == Some(Ended::AfterOneRequest) && !self.are_single() {
                self.note_worn();
            }
        }
        if nth > 1 && !link.reused.swap(true, Ordering::Relaxed) && !self.are_single() {
            self.worn.lock().links = 0;
        }
        // A request that was made before the refusal says nothing.
        if nth > link.doubted.load(Ordering::Relaxed) {
            link.doubted.store(0, Ordering::Relaxed);
        }
    }

    /// One more link was good for one request.
    fn note_worn(&self) {
        let mut worn = self.worn.lock();
        worn.links += 1;
        if worn.links >= WORN && worn.single.is_none() {
            worn.single = Some(Instant::now());
            tracing::warn!(
                "download links are good for one request only: each request gets its own from now on"
            );
        }
    }

    /// A request, the `nth` of its link, was refused.
    pub(super) async fn refused(&self, id: &FileId, link: &Arc<Issued>, nth: u32) -> Refused {
        if link.proven.load(Ordering::Relaxed) {
            if !link.is_doubted(nth) {
                return Refused::InDoubt;
            }
        } else if link.follows.is_some() {
            return Refused::NoFault;
        }
        // One link counts once, however many requests it failed.
        if self.discard(id, link).await || self.are_single() {
            let now = Instant::now();
            let mut refused = self.refused.lock();
            refused.retain(|_, (at, _)| now.duration_since(*at) < self.life.to_open);
            refused.insert(id.clone(), (now, link.ended(self.life)));
        }
        Refused::Replaced
    }

    /// How the last link of a file ended, if it was refused lately and none gave bytes since.
    fn refused_lately(&self, id: &FileId) -> Option<Ended> {
        let refused = self.refused.lock();
        let (at, ended) = refused.get(id)?;
        (at.elapsed() < self.life.to_open).then_some(*ended)
    }

    /// Whether a link may be used for a further request.
    pub(super) fn is_usable(&self, link: &Issued) -> bool {
        link.is_usable(self.life)
    }

    /// Forgets a link that failed, unless another has taken its place already:
    /// many requests may fail by one dead link, and one call replaces it. Returns
    /// whether it was this call that forgot it.
    async fn discard(&self, id: &FileId, dead: &Arc<Issued>) -> bool {
        let done = self
            .links
            .entry_by_ref(id)
            .and_compute_with(|entry| {
                let op = match entry {
                    Some(entry) if Arc::ptr_eq(entry.value(), dead) => Op::Remove,
                    _ => Op::Nop,
                };
                std::future::ready(op)
            })
            .await;
        matches!(done, CompResult::Removed(_))
    }
}

/// A reader's call for a link is under way until this is dropped.
struct ReaderAsks<'a> {
    files: &'a Mutex<HashSet<FileId>>,
    id: &'a FileId,
}

impl<'a> ReaderAsks<'a> {
    fn begin(files: &'a Mutex<HashSet<FileId>>, id: &'a FileId) -> ReaderAsks<'a> {
        files.lock().insert(id.clone());
        ReaderAsks { files, id }
    }
}

impl Drop for ReaderAsks<'_> {
    fn drop(&mut self) {
        self.files.lock().remove(self.id);
    }
}

#[cfg(test)]
mod tests;
