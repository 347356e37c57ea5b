//! The journal's workers: they bring the service to what the user wants.
//!
//! What is to be done comes from [`crate::tree::journal`], already ordered by its
//! dependencies; this room groups it into calls ([`plan`]), makes them
//! ([`objects`], [`send`]) and records what the service confirmed. It keeps no
//! state of its own that matters: after a crash the same differences are found,
//! and an upload whose result is unknown is settled ([`settle`]) before anything
//! is sent again.
//!
//! Invariants: nothing of the old is removed before the new is confirmed by size
//! and checksum; nothing is sent twice while the first may still turn up; a
//! failure that passes is retried for as long as it takes; one that does not is
//! parked with its reason, the content kept.
//!
//! `daemon` starts it; `vfs` wakes it.

mod apart;
mod copy;
mod doubt;
mod failure;
mod hashing;
mod kept;
mod leaving;
mod look;
mod objects;
mod plan;
mod refusals;
mod relief;
mod removals;
mod send;
mod settle;
mod sight;
mod silence;
mod transfers;
mod uplink;
mod whereabouts;
mod worker;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::api::Api;
use crate::content::Content;
use crate::ids::{Ino, Time};
use crate::staging::{Staging, StagingError, Version};
use crate::store::{Store, StoreError, setting};
use crate::throttle::Throttle;
use crate::tree::refresh::Refresher;
use crate::tree::{Change, Tree, TreeError};

use doubt::Doubt;
use refusals::Refusals;
use relief::Relief;
use silence::Silence;
pub use transfers::Transfer;
use transfers::Transfers;
use uplink::Uplink;

/// How the queue behaves.
#[derive(Clone, Debug)]
pub struct UploadOptions {
    /// Upload requests at once.
    pub workers: usize,
    /// Divides all waits of the queue, for a simulator that runs faster.
    pub speed: f64,
    /// Tries before a refusal that looks permanent is believed.
    pub permanent_tries: u32,
    /// The same where nobody knows the words of the refusal, which may be trouble of the node:
    /// together about an hour.
    pub unclear_tries: u32,
    /// The same for removals, which lag behind each other, and for moves and
    /// renames, which may have been done before a crash: together longer than listings lag.
    pub refusal_tries: u32,
}

impl Default for UploadOptions {
    fn default() -> Self {
        UploadOptions {
            workers: 2,
            speed: 1.0,
            permanent_tries: 2,
            unclear_tries: 12,
            refusal_tries: 5,
        }
    }
}

/// The parts that the workers work with.
pub struct Parts {
    /// The database, for transactions over tree and staging.
    pub store: Store,
    /// The tree and its journal.
    pub tree: Tree,
    /// Staged content.
    pub staging: Staging,
    /// Tells which files are being read and must stay.
    pub content: Content,
    /// The service.
    pub api: Api,
    /// Lists folders again where the service disagrees.
    pub refresher: Refresher,
    /// Our own limit.
    pub throttle: Throttle,
    /// News for the kernel.
    pub changes: UnboundedSender<Change>,
}

/// What went wrong inside, as opposed to what the service refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error(transparent)]
    Staging(#[from] StagingError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Files whose uploads are to be broken off.
type Abandoned = Arc<Mutex<HashSet<Ino>>>;

/// Keeps files from being sent while it lives.
#[must_use = "they are sent again once it is dropped"]
pub struct Abandoning {
    inos: Vec<Ino>,
    abandoned: Abandoned,
    wake: Arc<Notify>,
}

impl Drop for Abandoning {
    fn drop(&mut self) {
        let mut all = self.abandoned.lock();
        for ino in &self.inos {
            all.remove(ino);
        }
        drop(all);
        self.wake.notify_one();
    }
}

/// The running queue.
pub struct Uploader {
    wake: Arc<Notify>,
    transfers: Arc<Transfers>,
    abandoned: Abandoned,
    doubt: Arc<Doubt>,
    stop: watch::Sender<bool>,
    worker: JoinHandle<()>,
}

/// What every batch needs.
struct Context {
    store: Store,
    tree: Tree,
    staging: Staging,
    content: Content,
    api: Api,
    refresher: Refresher,
    changes: UnboundedSender<Change>,
    options: UploadOptions,
    transfers: Arc<Transfers>,
    uplink: Arc<Uplink>,
    /// What was refused of late.
    refusals: Refusals<Ino>,
    /// What the service did not know when it was to be moved or renamed: looked for before it is
    /// asked for again.
    unknown: Refusals<Ino>,
    /// The same of removals, by their rows.
    kept: Refusals<i64>,
    /// Those that the service left out, or did not know in company.
    unclear: Refusals<i64>,
    /// Answers that say nothing.
    silence: Silence,
    /// Whether the account gets what is sent.
    doubt: Arc<Doubt>,
    /// What waits for trouble to be over.
    relief: Relief,
    /// The versions that are being sent: newer ones may have been closed since.
    sent: Mutex<HashMap<Ino, Version>>,
    /// Files that somebody is about to cancel.
    abandoned: Abandoned,
}

/// The row of the table `setting` with the best rate of the line, in bytes a second.
const RATE: &str = "uplink_rate";

/// The best rate that the line had in earlier processes; 0 for none.
fn kept_rate(store: &Store) -> u64 {
    let kept = store.read(|c| setting::get(c, RATE));
    let text = kept.unwrap_or_else(|e| {
        tracing::warn!("how fast uploads were is not known: {e}");
        None
    });
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

impl Uploader {
    /// Starts the workers; what an earlier process left is taken up at once.
    pub fn start(parts: Parts, options: UploadOptions, runtime: &Handle) -> Uploader {
        let wake = Arc::new(Notify::new());
        let transfers = Arc::new(Transfers::default());
        let abandoned = Abandoned::default();
        let doubt = Arc::<Doubt>::default();
        let (stop, stopped) = watch::channel(false);
        let longest = parts.api.limits().upload_time;
        let best = kept_rate(&parts.store);
        let uplink = Arc::new(Uplink::new(parts.throttle, longest, best));
        let speed = options.speed;
        let context = Arc::new(Context {
            uplink,
            store: parts.store,
            tree: parts.tree,
            staging: parts.staging,
            content: parts.content,
            api: parts.api,
            refresher: parts.refresher,
            changes: parts.changes,
            options,
            transfers: transfers.clone(),
            refusals: Refusals::default(),
            unknown: Refusals::default(),
            kept: Refusals::default(),
            unclear: Refusals::default(),
            silence: Silence::default(),
            doubt: doubt.clone(),
            relief: Relief::new(speed),
            sent: Mutex::default(),
            abandoned: abandoned.clone(),
        });
        let worker = runtime.spawn(worker::run(context, wake.clone(), stopped));
        Uploader {
            wake,
            transfers,
            abandoned,
            doubt,
            stop,
            worker,
        }
    }

    /// Notified, the workers look at the journal.
    pub fn wake_handle(&self) -> Arc<Notify> {
        self.wake.clone()
    }

    /// Breaks off the uploads of these files and begins none, for as long as the result
    /// lives.
    pub fn abandon(&self, inos: Vec<Ino>) -> Abandoning {
        self.abandoned.lock().extend(&inos);
        Abandoning {
            inos,
            abandoned: self.abandoned.clone(),
            wake: self.wake.clone(),
        }
    }

    /// Why no upload is begun, if so.
    pub fn held(&self) -> Option<&'static str> {
        self.doubt.is_open().then_some(doubt::HELD)
    }

    /// Uploads under way.
    pub fn transfers(&self) -> Vec<Transfer> {
        self.transfers.snapshot()
    }

    /// Stops: uploads under way are broken off and settled at the next start;
    /// nothing that was journaled is lost.
    pub async fn stop(self) {
        // An error says that the worker has ended already.
        let _ = self.stop.send(true);
        if let Err(e) = self.worker.await {
            tracing::error!("the upload worker failed: {e}");
        }
    }
}

impl Context {
    /// How often an intent was tried.
    fn attempts(&self, ino: Ino) -> Result<u32, UploadError> {
        Ok(self.tree.queued(ino)?.map_or(0, |queued| queued.attempts))
    }

    /// When to try again after the `attempts`-th failure.
    fn later(&self, attempts: u32) -> Time {
        Time::now().after(self.scaled(failure::back_off(attempts)))
    }

    fn scaled(&self, wait: Duration) -> Duration {
        wait.div_f64(self.options.speed.max(1.0))
    }

    /// The node's path, for messages.
    fn path(&self, ino: Ino) -> String {
        match self.tree.path(ino) {
            Ok(Some(path)) => format!("/{}", path.display()),
            _ => format!("(removed, inode {ino})"),
        }
    }
}
