//! The cache of download links: one call of the API serves all ranges, readers
//! and re-opens of a file while the link lives.
//!
//! A link may be opened for five minutes after its issue, and once it has
//! given bytes, asked for further ranges for thirty (API notes 4.2). We stop
//! a little before either.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use moka::future::Cache;
use moka::ops::compute::Op;
use tokio::time::Instant;

use super::origin::{Fault, Link, Origin};
use super::stats::Counters;
use crate::ids::FileId;

/// Links kept; beyond it the least used go.
const MOST_LINKS: u64 = 10_000;

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
}

impl Issued {
    /// It has given bytes: it may be resumed.
    pub(super) fn prove(&self) {
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
    links: Cache<FileId, Arc<Issued>>,
}

impl Links {
    pub(super) fn new(life: LinkLife) -> Links {
        Links {
            life,
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
            }))
        };
        self.links
            .try_get_with_by_ref(id, issue)
            .await
            .map_err(|fault: Arc<Fault>| (*fault).clone())
    }

    /// Forgets a link that failed, unless another has taken its place already:
    /// many requests may fail by one dead link, and one call replaces it.
    pub(super) async fn discard(&self, id: &FileId, dead: &Arc<Issued>) {
        self.links
            .entry_by_ref(id)
            .and_compute_with(|entry| {
                let op = match entry {
                    Some(entry) if Arc::ptr_eq(entry.value(), dead) => Op::Remove,
                    _ => Op::Nop,
                };
                std::future::ready(op)
            })
            .await;
    }
}
