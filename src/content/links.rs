//! The cache of download links: one call of the API serves all ranges, readers
//! and re-opens of a file while the link lives.
//!
//! A link may be opened for five minutes after its issue, and once it has
//! given bytes, asked for further ranges for thirty (API notes 4.2). We stop
//! a little before either.
//!
//! Should the service grant links for one request only, whatever is asked of it, that
//! shows: every link gives bytes once and is refused the second time, though it is young. After a few
//! of these in a row each request gets a link of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use moka::future::Cache;
use moka::ops::compute::{CompResult, Op};
use tokio::time::Instant;

use super::origin::{Fault, Link, Origin};
use super::stats::Counters;
use crate::ids::FileId;

/// Links kept; beyond it the least used go.
const MOST_LINKS: u64 = 10_000;

/// Links in a row that have to wear out by one request before it is believed.
const WORN: u32 = 3;

/// How long a link is used after its issue.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinkLife {
    /// For its first request.
    pub(super) to_open: Duration,
    /// For further requests, once one has succeeded.
    pub(super) to_resume: Duration,
}

/// A link and what is known of it.
pub(super) struct Issued {
    pub(super) link: Arc<dyn Link>,
    at: Instant,
    proven: AtomicBool,
    /// Requests made with it.
    opened: AtomicU32,
}

/// What the refusal of a link says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refused {
    /// It never gave anything.
    Fresh,
    /// It was used before, by this or another request.
    Used,
}

impl Issued {
    /// A request is about to be made; returns which one it is, from 1.
    pub(super) fn open(&self) -> u32 {
        self.opened.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// It has given bytes: it may be resumed.
    fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }

    fn is_usable(&self, life: LinkLife) -> bool {
        let limit = if self.proven.load(Ordering::Relaxed) {
            life.to_resume
        } else {
            life.to_open
        };
        self.at.elapsed() < limit
    }
}

/// The links of all files.
pub(super) struct Links {
    life: LinkLife,
    /// Links in a row that were refused at their second request; none was
    /// good for two in between.
    worn: AtomicU32,
    links: Cache<FileId, Arc<Issued>>,
}

impl Links {
    pub(super) fn new(life: LinkLife) -> Links {
        Links {
            life,
            worn: AtomicU32::new(0),
            links: Cache::new(MOST_LINKS),
        }
    }

    /// The link of a file, a fresh one if there is none to use. All who ask
    /// meanwhile share one call.
    ///
    /// # Errors
    /// What the call for a link ended with.
    pub(super) async fn get(
        &self,
        id: &FileId,
        origin: &dyn Origin,
        deadline: Instant,
        counters: &Counters,
    ) -> Result<Arc<Issued>, Fault> {
        if let Some(old) = self.links.get(id).await
            && !old.is_usable(self.life)
        {
            self.discard(id, &old).await;
        }
        let issue = async {
            counters.links.add(1);
            // The life of a link begins when it is issued, not when it arrives.
            let at = Instant::now();
            let link = origin.link(id, deadline.into_std()).await?;
            Ok(Arc::new(Issued {
                link,
                at,
                proven: AtomicBool::new(false),
                opened: AtomicU32::new(0),
            }))
        };
        if self.are_single() {
            return issue.await;
        }
        self.links
            .try_get_with_by_ref(id, issue)
            .await
            .map_err(|fault: Arc<Fault>| (*fault).clone())
    }

    /// Whether each request needs a link of its own.
    pub(super) fn are_single(&self) -> bool {
        self.worn.load(Ordering::Relaxed) >= WORN
    }

    /// A request, the `nth` of its link, gave bytes.
    pub(super) fn gave(&self, link: &Issued, nth: u32) {
        link.prove();
        if nth > 1 && !self.are_single() {
            self.worn.store(0, Ordering::Relaxed);
        }
    }

    /// A request, the `nth` of its link, was refused: the link is forgotten.
    pub(super) async fn refused(&self, id: &FileId, link: &Arc<Issued>, nth: u32) -> Refused {
        let forgotten = self.discard(id, link).await;
        if nth == 1 || self.are_single() {
            return Refused::Fresh;
        }
        // One link counts once, however many requests it failed.
        if forgotten && link.at.elapsed() < self.life.to_open {
            let worn = self.worn.fetch_add(1, Ordering::Relaxed) + 1;
            if worn == WORN {
                tracing::warn!(
                    "download links are good for one request only: each request gets its own from now on"
                );
            }
        }
        Refused::Used
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
