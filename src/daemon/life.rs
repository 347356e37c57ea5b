//! From the mount to the last step of the queue.
//!
//! ```text
//! Mounted ──the mount goes──> Draining ──queue empty, or enough──> Stopping
//! ```
//!
//! The mount may go by `umount`, by a signal or by `fichierfs unmount`; after each
//! the queue is worked off, unless it is to be left. A file that is still open
//! in a detached mount keeps the session, and with it the drain, alive. Where the end was
//! asked for, what only looks at the mount does not: a copy of it in another mount
//! namespace (containers and sandboxes make them), or a shell that stood in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::lock::{CacheLock, StateLock};
use super::{Ended, GLANCE, Shared, answers, service};
use crate::control::Scrape;
use crate::control::protocol::{Backlog, Parting, Phase};
use crate::control::server::Server;
use crate::fuse::{End, Unmount};

/// How often the log and the service manager hear how far the drain is.
const NEWS: Duration = Duration::from_secs(10);

/// How long nothing may be open, with an empty queue, until a session that goes on for all that
/// is ended. It usually ends with the unmount.
const SETTLING: Duration = Duration::from_secs(2);

/// Lives until the end and takes everything down; `keepers` keep figures fresh until
/// then. The locks go last, that of the cache first: who waits has the state's already when it
/// takes this one.
pub(super) async fn run(
    shared: Arc<Shared>,
    (server, scrape): (Server, Option<Scrape>),
    keepers: [JoinHandle<()>; 7],
    (cache, state): (CacheLock, StateLock),
) -> Ended {
    service::ready(&shared.mountpoint);
    let failure = until_unmounted(&shared).await;
    drop(shared.leaving.lock().await);
    shared.parts.vfs.refuse_changes();
    shared.phase.send_replace(Phase::Draining);
    drain(&shared).await;
    shared.phase.send_replace(Phase::Stopping);
    for keeper in keepers {
        keeper.abort();
    }
    let end = async {
        shared.parts.stop_uploads().await;
        detach(&shared).await;
        save(&shared).await;
    };
    tokio::select! {
        () = end => {}
        () = extend() => {}
    }
    let left = backlog(&shared);
    drop(scrape);
    server.close().await;
    drop(cache);
    drop(state);
    Ended { left, failure }
}

/// Returns when the mount is gone, or the end is wished for; with what went
/// wrong if nobody wished it.
async fn until_unmounted(shared: &Shared) -> Option<String> {
    let mut wish = shared.wish.subscribe();
    tokio::select! {
        end = shared.session.ended() => match end {
            End::Unmounted => None,
            End::Failed(why) => Some(format!("the connection to the kernel broke: {why}")),
        },
        // The sender lives in `shared`, so this cannot fail.
        _ = wish.wait_for(Option::is_some) => None,
    }
}

/// Asks the service manager for more time again and again. Does not end.
async fn extend() {
    loop {
        service::storing(NEWS * 3);
        tokio::time::sleep(NEWS).await;
    }
}

/// Works off the queue, as far as is wished.
async fn drain(shared: &Shared) {
    let mut hurried = false;
    let mut told: Option<Instant> = None;
    let mut closed = false;
    let mut idle: Option<Instant> = None;
    loop {
        let wish = *shared.wish.borrow();
        let enough = wish.is_some_and(|wish| {
            wish.parting == Parting::Leave
                || wish.until.is_some_and(|until| Instant::now() >= until)
        });
        let left = backlog(shared);
        if enough || (closed && left.is_drained()) {
            return;
        }
        let is_idle = wish.is_some() && left.is_drained() && !shared.parts.vfs.is_in_use();
        idle = is_idle.then(|| idle.unwrap_or_else(Instant::now));
        if idle.is_some_and(|since| since.elapsed() >= SETTLING) {
            tracing::info!(
                "the mount is gone here; what is left of it elsewhere is not waited for"
            );
            return;
        }
        if !hurried {
            hurried = true;
            hurry(shared);
        }
        // The last files may be closed only now.
        shared.parts.hurry_closed();
        if told.is_none_or(|at| at.elapsed() >= NEWS) {
            told = Some(Instant::now());
            tracing::info!(
                uploads = left.uploads,
                bytes = left.upload_bytes,
                changes = left.changes,
                removals = left.removals,
                "unmounted; working off what is queued"
            );
            let what = format!(
                "{} uploads, {} changes",
                left.uploads,
                left.changes + left.removals
            );
            service::draining(&what, NEWS * 3);
        }
        tokio::select! {
            _ = shared.session.ended(), if !closed => closed = true,
            () = tokio::time::sleep(GLANCE) => {}
        }
    }
}

/// What waits in the queue is due at once.
fn hurry(shared: &Shared) {
    if let Err(error) = shared.parts.below.tree.hurry(None) {
        tracing::warn!(%error, "delays before uploads stay");
    }
    shared.parts.wake_uploads();
}

/// Whoever enters a mount that nobody serves would wait for ever.
async fn detach(shared: &Arc<Shared>) {
    let shared = shared.clone();
    let detached =
        tokio::task::spawn_blocking(move || shared.session.unmount(Unmount::Detach)).await;
    if let Ok(Err(error)) = detached {
        tracing::warn!("the mount cannot be taken away: {error}");
    }
}

/// What files that are still open have is stored for the next mount, and what is
/// cached is noted.
async fn save(shared: &Shared) {
    let parts = shared.parts.clone();
    let saved = tokio::task::spawn_blocking(move || {
        parts.below.content.save();
        if let Err(error) = parts.vfs.save_all() {
            tracing::error!("not all that was written could be stored: {error}");
        }
        if let Err(error) = parts.below.staging.sync_all() {
            tracing::error!("what is stored may not be on the disk yet: {error}");
        }
    });
    if let Err(error) = saved.await {
        tracing::error!("the end failed: {error}");
    }
}

fn backlog(shared: &Shared) -> Backlog {
    match shared.parts.below.tree.backlog() {
        Ok(backlog) => answers::backlog(&backlog),
        Err(error) => {
            // Nothing more can be done, but also nothing be called done.
            tracing::error!(%error, "the journal cannot be read");
            Backlog {
                changes: 1,
                failed: 1,
                ..Backlog::default()
            }
        }
    }
}
