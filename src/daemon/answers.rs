//! What the daemon answers, over the socket and to who runs it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::account;
use super::figures;
use super::places::{self, NoPlace};
use super::{GLANCE, Shared, Wish};
use crate::api::{Ask, Class, Limits};
use crate::control::protocol::{
    Account, Backlog, Cancelled, Hello, Item, ItemState, Link, NewNames, NewNamesRequest, Parting,
    Pin, Pins, Queue, ReloadRequest, Reloaded, SCHEMA, Status, Verification, VerifyRequest,
    WalkProgress, WalkRequest, Work,
};
use crate::control::{Controlled, Health, Refusal, RefusalKind};
use crate::fuse::{MountError, Unmount};
use crate::ids::{Ino, Time};
use crate::tree::journal::{self, Leaving, Queued};
use crate::tree::refresh::RefreshError;
use crate::tree::{FileState, Kind, Node, ROOT, TreeError};

/// How long a person who asks waits for the service.
pub(super) const PATIENCE: Duration = Duration::from_secs(45);

/// The kernel tells of a file's end a moment after `close` returned: who flushes
/// right then means that file, too.
const RELEASE_LAG: Duration = Duration::from_millis(500);

/// Rows of the queue that are looked at for one folder.
const ROWS: usize = 100_000;

/// The way to a running daemon within its process.
#[derive(Clone)]
pub struct Handle {
    pub(super) shared: Arc<Shared>,
}

impl Handle {
    pub(super) fn new(shared: Arc<Shared>) -> Handle {
        Handle { shared }
    }

    /// Where it is mounted.
    pub fn mountpoint(&self) -> &Path {
        &self.shared.mountpoint
    }

    /// What is queued.
    ///
    /// # Errors
    /// When the database fails.
    pub fn backlog(&self) -> Result<Backlog, TreeError> {
        Ok(backlog(&self.shared.parts.below.tree.backlog()?))
    }

    /// Takes the mount away and ends the daemon, after the queue as `parting` says.
    ///
    /// # Errors
    /// [`MountError::Busy`] while something in the mount is in use; the daemon goes on.
    pub async fn unmount(&self, parting: Parting) -> Result<(), MountError> {
        let _leaving = self.shared.leaving.lock().await;
        self.take_away(Unmount::IfIdle).await?;
        self.wish(Wish {
            parting,
            until: None,
        });
        Ok(())
    }

    /// As a signal does: the mount goes even if it is in use, and the queue is
    /// worked off for so long at most; the second time it is left.
    pub async fn interrupt(&self, drain_timeout: Duration) {
        let again = self
            .shared
            .wish
            .borrow()
            .is_some_and(|wish| wish.until.is_some());
        self.wish(Wish {
            parting: if again {
                Parting::Leave
            } else {
                Parting::Drain
            },
            until: Some(Instant::now() + drain_timeout),
        });
        if let Err(error) = self.take_away(Unmount::Detach).await {
            tracing::warn!("the mount cannot be taken away: {error}");
        }
    }

    async fn take_away(&self, how: Unmount) -> Result<(), MountError> {
        let shared = self.shared.clone();
        tokio::task::spawn_blocking(move || shared.session.unmount(how))
            .await
            .unwrap_or_else(|error| Err(MountError::Session(std::io::Error::other(error))))
    }

    /// Once the queue is to be left, it stays so.
    fn wish(&self, wish: Wish) {
        self.shared.wish.send_modify(|known| {
            if known.is_none_or(|known| known.parting != Parting::Leave) {
                *known = Some(wish);
            }
        });
    }

    pub(super) async fn find(&self, path: &Path) -> Result<Node, Refusal> {
        let parts = &self.shared.parts;
        places::find(&parts.below, parts.vfs.root(), path, PATIENCE)
            .await
            .map_err(|error| match error {
                NoPlace::Gone(_) => Refusal::new(RefusalKind::NotFound, error.to_string()),
                NoPlace::Unknown { .. } => Refusal::new(RefusalKind::NotNow, error.to_string()),
                NoPlace::Tree(error) => Refusal::failed(error),
            })
    }

    /// Ends all waits of what is queued at or below a node, or of everything.
    /// Returns whether some of it is still open for writing.
    fn hurry(&self, node: Option<&Node>) -> Result<bool, TreeError> {
        let parts = &self.shared.parts;
        let tree = &parts.below.tree;
        // Looked at before, since one that is closed in between is not hurried.
        let open = match node {
            None => {
                let open = tree.queue(ROWS)?.iter().any(Queued::is_open);
                tree.hurry(None)?;
                open
            }
            Some(node) => {
                let mut open = false;
                for ino in self.queued_within(node)? {
                    open |= tree.queued(ino)?.as_ref().is_some_and(Queued::is_open);
                    tree.hurry(Some(ino))?;
                }
                open
            }
        };
        parts.wake_uploads();
        Ok(open)
    }

    /// What is queued at or below a node.
    fn queued_within(&self, node: &Node) -> Result<Vec<Ino>, TreeError> {
        let tree = &self.shared.parts.below.tree;
        if node.kind != Kind::Folder {
            return Ok(vec![node.ino]);
        }
        let Some(folder) = tree.path(node.ino)? else {
            return Ok(Vec::new());
        };
        let mut within = Vec::new();
        for queued in tree.queue(ROWS)? {
            if tree
                .path(queued.ino)?
                .is_some_and(|path| path.starts_with(&folder))
            {
                within.push(queued.ino);
            }
        }
        Ok(within)
    }

    /// The path from the mount's root, for people.
    pub(super) fn shown(&self, ino: Ino) -> Result<PathBuf, TreeError> {
        let parts = &self.shared.parts;
        let Some(path) = parts.below.tree.path(ino)? else {
            return Ok(PathBuf::from("(removed)"));
        };
        self.inner(&path)
    }

    /// Whether it is in the mount, which may show a part of the account.
    pub(super) fn is_within(&self, ino: Ino) -> Result<bool, TreeError> {
        let parts = &self.shared.parts;
        let root = parts.below.tree.path(parts.vfs.root())?.unwrap_or_default();
        let path = parts.below.tree.path(ino)?;
        Ok(path.is_some_and(|path| path.starts_with(root)))
    }

    /// A path of the account, from the mount's root.
    fn inner(&self, path: &Path) -> Result<PathBuf, TreeError> {
        let parts = &self.shared.parts;
        let root = parts.below.tree.path(parts.vfs.root())?.unwrap_or_default();
        let inner = path.strip_prefix(&root).unwrap_or(path);
        // JSON has no word for a name that is no UTF-8.
        Ok(PathBuf::from(inner.to_string_lossy().into_owned()))
    }

    /// `held` is why no upload is begun.
    fn item(&self, queued: Queued, now: Time, held: Option<&str>) -> Result<Item, TreeError> {
        let work = [
            (queued.pending.make, Work::Make),
            (queued.pending.content, Work::Upload),
            (queued.pending.place, Work::Move),
        ];
        let state = match queued.state(false) {
            FileState::Failed => ItemState::Failed,
            FileState::Sending => ItemState::Sending,
            FileState::Confirming => ItemState::Confirming,
            _ if queued.is_open() => ItemState::Open,
            _ => ItemState::Waiting,
        };
        let is_held = state == ItemState::Waiting && queued.pending.content;
        let held = held.filter(|_| is_held).map(str::to_owned);
        Ok(Item {
            path: self.shown(queued.ino)?,
            work: work
                .into_iter()
                .filter_map(|(is, work)| is.then_some(work))
                .collect(),
            size: queued.size,
            attempts: queued.attempts,
            wait_seconds: wait(queued.not_before, now).filter(|_| !queued.is_open()),
            state,
            error: queued.error.or(held),
        })
    }

    fn removal(&self, leaving: Leaving, now: Time) -> Result<Item, TreeError> {
        Ok(Item {
            path: self.inner(&leaving.path)?,
            work: vec![Work::Remove],
            size: 0,
            attempts: leaving.attempts,
            wait_seconds: wait(leaving.not_before, now),
            error: leaving.error,
            state: ItemState::Waiting,
        })
    }
}

impl Controlled for Handle {
    fn hello(&self) -> Hello {
        Hello {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            mountpoint: self.shared.mountpoint.clone(),
            state_dir: self.shared.state_dir.clone(),
            phase: *self.shared.phase.borrow(),
        }
    }

    async fn health(&self) -> Result<Health, Refusal> {
        // Where the database does not answer, nothing does.
        let tree = &self.shared.parts.below.tree;
        tree.node(ROOT).map_err(Refusal::failed)?;
        let key_refused = self.api().await.key_refused;
        Ok(Health {
            phase: *self.shared.phase.borrow(),
            key_refused,
        })
    }

    async fn status(&self) -> Result<Status, Refusal> {
        self.overview().await.map_err(Refusal::failed)
    }

    async fn queue(&self, limit: usize) -> Result<Queue, Refusal> {
        let tree = &self.shared.parts.below.tree;
        let now = Time::now();
        let rows = tree.queue(limit).map_err(Refusal::failed)?;
        let held = self.shared.parts.uploads_held();
        let rest = limit.saturating_sub(rows.len());
        let leaving = tree.leaving(rest).map_err(Refusal::failed)?;
        let changes = rows.into_iter().map(|queued| self.item(queued, now, held));
        let removals = leaving.into_iter().map(|row| self.removal(row, now));
        let items: Result<_, _> = changes.chain(removals).collect();
        Ok(Queue {
            schema: SCHEMA,
            backlog: self.backlog().map_err(Refusal::failed)?,
            items: items.map_err(Refusal::failed)?,
            transfers: self.transfers().map_err(Refusal::failed)?,
        })
    }

    async fn wait(&self, path: Option<PathBuf>, at_most: Duration) -> Result<Backlog, Refusal> {
        let until = Instant::now() + at_most;
        let node = match path {
            None => None,
            Some(path) => Some(self.find(&path).await?),
        };
        let tree = &self.shared.parts.below.tree;
        loop {
            let left = match &node {
                None => self.backlog(),
                Some(node) => tree.backlog_within(node.ino).map(|left| backlog(&left)),
            };
            let left = left.map_err(Refusal::failed)?;
            if left.is_drained() || Instant::now() >= until {
                return Ok(left);
            }
            // Who waits for a part lets the rest rest; the part was hurried once.
            if node.is_none() {
                self.shared.parts.hurry_closed();
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    async fn flush(&self, path: Option<PathBuf>) -> Result<(), Refusal> {
        let node = match path {
            None => None,
            Some(path) => Some(self.find(&path).await?),
        };
        let until = Instant::now() + RELEASE_LAG;
        while self.hurry(node.as_ref()).map_err(Refusal::failed)? && Instant::now() < until {
            tokio::time::sleep(GLANCE / 4).await;
        }
        Ok(())
    }

    async fn retry(&self, path: Option<PathBuf>) -> Result<u64, Refusal> {
        let tree = &self.shared.parts.below.tree;
        let mut count = 0;
        match path {
            None => count += tree.retry(None).map_err(Refusal::failed)?,
            Some(path) => {
                let node = self.find(&path).await?;
                for ino in self.queued_within(&node).map_err(Refusal::failed)? {
                    count += tree.retry(Some(ino)).map_err(Refusal::failed)?;
                }
            }
        }
        self.shared.parts.wake_uploads();
        Ok(count as u64)
    }

    async fn cancel(&self, path: Option<PathBuf>, force: bool) -> Result<Cancelled, Refusal> {
        let tree = &self.shared.parts.below.tree;
        let mut queued = Vec::new();
        let node = match path {
            Some(path) => Some(self.find(&path).await?),
            None => None,
        };
        // Who names the mount means its queue, as with the other verbs, not all that is in it.
        let top = self.shared.parts.vfs.root();
        match node.filter(|node| node.ino != top) {
            None => {
                let all = tree.queue(ROWS).map_err(Refusal::failed)?;
                queued.extend(
                    all.into_iter()
                        .filter(|q| q.state(false) == FileState::Failed),
                );
            }
            Some(node) => {
                for ino in self.queued_within(&node).map_err(Refusal::failed)? {
                    queued.extend(tree.queued(ino).map_err(Refusal::failed)?);
                }
            }
        }
        self.cancel_all(queued, force).await
    }

    async fn refresh(&self, path: PathBuf) -> Result<(), Refusal> {
        let node = self.find(&path).await?;
        let folder = folder_of(&node);
        let below = &self.shared.parts.below;
        let deadline = Instant::now() + turn_by(below.api.limits());
        below
            .refresher
            .refresh_since(folder, Time::now(), Class::Interactive, deadline)
            .await
            .map_err(not_listed)?;
        self.shared.relay.told().await;
        Ok(())
    }

    async fn walk(&self, ask: WalkRequest) -> Result<WalkProgress, Refusal> {
        let job = match ask.job {
            Some(job) => job,
            None => {
                let node = self.find(&ask.path).await?;
                self.begin_walk(folder_of(&node))
            }
        };
        self.walk_progress(job)
    }

    async fn pin(&self, path: PathBuf) -> Result<Pin, Refusal> {
        self.pin_node(&self.find(&path).await?)
    }

    async fn unpin(&self, path: PathBuf) -> Result<(), Refusal> {
        self.unpin_node(&self.find(&path).await?)
    }

    async fn new_names(&self, ask: NewNamesRequest) -> Result<NewNames, Refusal> {
        self.new_names_in(ask).await
    }

    async fn verify(&self, ask: VerifyRequest) -> Result<Verification, Refusal> {
        self.verify_node(&self.find(&ask.path).await?, ask.begin)
    }

    async fn pins(&self) -> Result<Pins, Refusal> {
        self.pins_told().map_err(Refusal::failed)
    }

    async fn account(&self) -> Result<Account, Refusal> {
        let parts = &self.shared.parts;
        if self.shared.settings.share.is_some() {
            let line = "a public folder is mounted there: it has no account";
            return Err(Refusal::new(RefusalKind::NotNow, line));
        }
        if let Some(account) = figures::load(&parts.below.store).map_err(Refusal::failed)? {
            return Ok(account);
        }
        let ask = Ask::until(Class::Interactive, Instant::now() + PATIENCE);
        account::ask(parts, ask)
            .await
            .map_err(|error| Refusal::new(RefusalKind::NotNow, error.to_string()))
    }

    async fn link(&self, path: PathBuf) -> Result<Link, Refusal> {
        let node = self.find(&path).await?;
        let sent = !node.pending.content;
        match node.remote_file().filter(|_| sent) {
            Some(file) if !file.id.has_link() => {
                let line = "its owner hides its link";
                Err(Refusal::new(RefusalKind::Failed, line))
            }
            Some(file) => Ok(Link {
                url: file.id.link(),
            }),
            None if node.kind == Kind::Folder => {
                let line = "a folder has no link of its own; give a file in it";
                Err(Refusal::new(RefusalKind::Failed, line))
            }
            None => {
                let line =
                    "not uploaded yet, so it has no link: `fichierfs queue wait` waits for it";
                Err(Refusal::new(RefusalKind::NotNow, line))
            }
        }
    }

    async fn clear_cache(&self) -> Result<u64, Refusal> {
        let content = self.shared.parts.below.content.clone();
        tokio::task::spawn_blocking(move || content.clear())
            .await
            .map_err(Refusal::failed)
    }

    async fn reload(&self, ask: ReloadRequest) -> Result<Reloaded, Refusal> {
        Handle::reload(self, ask.checked.as_deref()).await
    }

    async fn stop(&self, parting: Parting) -> Result<Duration, Refusal> {
        self.unmount(parting).await.map_err(|error| match error {
            MountError::Busy(_) => Refusal::new(RefusalKind::Busy, error.to_string()),
            error => Refusal::failed(error),
        })?;
        Ok(self.shared.settings.drain_timeout)
    }
}

/// Why a folder was not listed, for who asked for it.
pub(super) fn not_listed(error: RefreshError) -> Refusal {
    match error {
        RefreshError::Api(error) => {
            let line = format!("not listed: {error}. {}", error.advice());
            Refusal::new(RefusalKind::NotNow, line)
        }
        RefreshError::TimedOut | RefreshError::Refused(_) => {
            Refusal::new(RefusalKind::NotNow, error.to_string())
        }
        RefreshError::Tree(error) => Refusal::failed(error),
    }
}

/// By when a folder that is asked for has been listed: a listing that was asked for before may be
/// under way, and then its turn has to come again.
fn turn_by(limits: &Limits) -> Duration {
    limits.folder_gap * 2 + PATIENCE
}

/// The folder that shows a node: itself, or the one above.
fn folder_of(node: &Node) -> Ino {
    match (node.kind, &node.place) {
        (Kind::Folder, _) | (_, None) => node.ino,
        (_, Some(place)) => place.parent,
    }
}

/// Seconds until the next try, if it is not due.
fn wait(not_before: Time, now: Time) -> Option<u64> {
    Some(not_before.since(now).as_secs()).filter(|wait| *wait > 0)
}

pub(super) fn backlog(backlog: &journal::Backlog) -> Backlog {
    Backlog {
        uploads: backlog.uploads,
        upload_bytes: backlog.bytes,
        changes: backlog.changes,
        removals: backlog.removals,
        failed: backlog.failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_a_listing_waits_for_as_long_as_it_may_take() {
        // The folder has to be found first.
        let longest = PATIENCE + turn_by(&Limits::real());
        assert!(longest < crate::control::client::TURN);
    }
}
