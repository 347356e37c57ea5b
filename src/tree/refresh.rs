//! Fetches listings and takes them into the tree: one call for a folder at a
//! time, whoever and however many wait for it.
//!
//! A folder never seen is waited for within the caller's deadline; a folder seen
//! long ago is served as known and listed again behind the caller's back. One of more
//! files than a listing holds is then completed in slices, by nobody's wait. What
//! a listing changed goes out as [`Change`]s.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;

use super::complete::{self, Progress, Seen};
use super::events::Change;
use super::merge::{Extent, ListedFile, ListedFolder, Listing};
use super::node::{Kind, Known, Node};
use super::{Tree, TreeError};
use crate::api::limits::LISTING_CAP;
use crate::api::{self, Api, ApiError, Ask, Class};
use crate::ids::{FolderId, Ino, Time};

/// How long a doubted answer is left before the folder is asked for again; the
/// pace adds the folder's own floor.
const SECOND_LOOK: Duration = Duration::from_secs(30);
/// How long a listing may wait for its turn when nobody waits for it.
const PATIENCE: Duration = Duration::from_secs(300);

/// Why a folder is not known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RefreshError {
    /// The deadline came first; the listing goes on.
    #[error("the folder's listing did not arrive in time")]
    TimedOut,
    /// The service did not give it.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The folder is gone from the tree, or the database failed.
    #[error("{0}")]
    Tree(Arc<TreeError>),
}

impl From<TreeError> for RefreshError {
    fn from(e: TreeError) -> Self {
        RefreshError::Tree(Arc::new(e))
    }
}

type Outcome = Result<(), RefreshError>;
/// A listing under way; gives a time since which it was asked for.
type Flight = Shared<BoxFuture<'static, Result<Time, RefreshError>>>;

/// Fetches listings. Cheap to clone.
#[derive(Clone)]
pub struct Refresher {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) tree: Tree,
    pub(super) api: Api,
    /// A listing older than this is fetched again when somebody looks.
    max_age: Duration,
    changes: UnboundedSender<Change>,
    runtime: Handle,
    state: Mutex<State>,
}

/// What goes on now; nothing of it is kept longer.
#[derive(Default)]
struct State {
    flights: HashMap<Ino, Flight>,
    /// Folders that are being seen whole, slice by slice.
    completing: HashMap<Ino, Progress>,
    /// Folders whose refresh failed, and until when they are left alone.
    resting: HashMap<Ino, Instant>,
}

impl Refresher {
    /// Fetches for `tree` through `api`; listings older than `max_age` are
    /// refreshed when looked at. What changed is sent to `changes`.
    pub fn new(
        tree: Tree,
        api: Api,
        max_age: Duration,
        changes: UnboundedSender<Change>,
        runtime: Handle,
    ) -> Refresher {
        Refresher {
            inner: Arc::new(Inner {
                tree,
                api,
                max_age,
                changes,
                runtime,
                state: Mutex::default(),
            }),
        }
    }

    /// Waits until the folder has been listed, at most until `deadline`. A folder of
    /// more files than a listing holds may still not be known whole then.
    ///
    /// # Errors
    /// [`RefreshError`]: the folder's content stays unknown, and nothing was
    /// changed.
    pub async fn ensure_known(&self, folder: Ino, deadline: Instant) -> Outcome {
        let Some(node) = self.inner.tree.node(folder)? else {
            return Err(TreeError::NotFound.into());
        };
        // What is cut off at the cap, another listing would not show either.
        if node.known.at().is_some() || node.folder_id().is_none() {
            self.touch(&node);
            return Ok(());
        }
        self.refresh(folder, Class::Interactive, deadline).await
    }

    /// Waits for a listing of the folder, the one that is under way or a new one, at
    /// most until `deadline`.
    ///
    /// # Errors
    /// [`RefreshError`]: nothing was changed.
    pub async fn refresh(&self, folder: Ino, class: Class, deadline: Instant) -> Outcome {
        self.asked(folder, class, deadline).await.map(drop)
    }

    async fn asked(
        &self,
        folder: Ino,
        class: Class,
        deadline: Instant,
    ) -> Result<Time, RefreshError> {
        let flight = self.fly(folder, Ask::until(class, deadline));
        match tokio::time::timeout_at(deadline.into(), flight).await {
            Ok(outcome) => outcome,
            Err(_) => Err(RefreshError::TimedOut),
        }
    }

    /// Waits until the folder has been listed by a call that was made after `since`:
    /// what the service lists now is then seen.
    ///
    /// # Errors
    /// [`RefreshError`]: nothing was changed.
    pub async fn refresh_since(
        &self,
        folder: Ino,
        since: Time,
        class: Class,
        deadline: Instant,
    ) -> Outcome {
        // One may be under way that was asked for before; the next is our own.
        while self.asked(folder, class, deadline).await? < since {}
        Ok(())
    }

    /// Folders that are being seen whole, slice by slice.
    pub fn completing(&self) -> Vec<(Ino, Progress)> {
        let state = self.inner.state.lock();
        state
            .completing
            .iter()
            .map(|(ino, progress)| (*ino, *progress))
            .collect()
    }

    /// The service does not give something that the folder lists: it is listed again as
    /// soon as its floor allows.
    pub fn doubt(&self, folder: Ino) {
        let deadline = Instant::now() + PATIENCE;
        drop(self.fly(folder, Ask::until(Class::Refresh, deadline)));
    }

    /// Somebody looks into the folder: if its listing is old, a new one is
    /// fetched behind their back.
    pub fn touch(&self, folder: &Node) {
        if folder.kind == Kind::Folder && folder.folder_id().is_some() && self.is_old(folder) {
            let deadline = Instant::now() + PATIENCE;
            drop(self.fly(folder.ino, Ask::until(Class::Refresh, deadline)));
        }
    }

    fn is_old(&self, folder: &Node) -> bool {
        let age = |at: Time| Time::now().since(at);
        let old = match folder.known {
            Known::Never => true,
            Known::Whole(at) | Known::Cut(at) => age(at) > self.inner.max_age,
            Known::Doubted(at) => age(at) > SECOND_LOOK.min(self.inner.max_age),
        };
        let state = self.inner.state.lock();
        let rests = |until: &Instant| *until > Instant::now();
        old && !state.completing.contains_key(&folder.ino)
            && !state.resting.get(&folder.ino).is_some_and(rests)
    }

    /// The running listing of the folder, or a new one.
    fn fly(&self, folder: Ino, ask: Ask) -> Flight {
        let mut state = self.inner.state.lock();
        if let Some(flight) = state.flights.get(&folder) {
            return flight.clone();
        }
        let inner = self.inner.clone();
        let flight = async move {
            let outcome = inner.list(folder, ask).await;
            let mut state = inner.state.lock();
            state.flights.remove(&folder);
            match &outcome {
                Ok(_) => {
                    state.resting.remove(&folder);
                }
                Err(e) => {
                    tracing::debug!(%folder, error = %e, "folder not listed");
                    state.resting.retain(|_, until| *until > Instant::now());
                    state
                        .resting
                        .insert(folder, Instant::now() + inner.rest_after(e));
                }
            }
            outcome
        }
        .boxed()
        .shared();
        state.flights.insert(folder, flight.clone());
        // It goes on when nobody waits any more: the call is spent.
        self.inner.runtime.spawn(flight.clone());
        flight
    }
}

impl Inner {
    async fn list(self: &Arc<Self>, folder: Ino, ask: Ask) -> Result<Time, RefreshError> {
        // Before the wait for its turn: what is asked later was asked since then, too.
        let asked = Time::now();
        let Some(node) = self.tree.node(folder)? else {
            return Ok(asked);
        };
        let Some(id) = node.folder_id() else {
            return Ok(asked); // Not on the service: nothing there to be seen.
        };
        let listing = match self.api.list_folder(id, ask).await {
            Ok(listing) => listing,
            Err(error) => {
                if let (ApiError::NotFound(_), Some(place)) = (&error, &node.place) {
                    // The folder above tells whether it is gone or only late to show.
                    self.list_behind(place.parent);
                }
                return Err(error.into());
            }
        };
        let first = listing.truncated.then(|| complete::First::of(&listing));
        let changes = self
            .tree
            .merge(folder, convert(listing), asked, Time::now())?;
        self.tell(changes);
        if let Some(first) = first {
            self.complete(folder, id, first, asked);
        }
        Ok(asked)
    }

    /// Begins to see a folder whole, if that is not under way.
    fn complete(self: &Arc<Self>, folder: Ino, id: FolderId, first: complete::First, asked: Time) {
        let mut state = self.state.lock();
        if let Entry::Vacant(place) = state.completing.entry(folder) {
            place.insert(Progress::default());
            let inner = self.clone();
            self.runtime.spawn(async move {
                let outcome = complete::run(&inner, folder, id, first, asked).await;
                let rest = match outcome {
                    Ok(Seen::Whole) => None,
                    // There is nothing to be learnt from asking all of that again soon.
                    Ok(Seen::Never) => Some(inner.api.limits().all_files_gap),
                    Err(error) => {
                        tracing::warn!(%folder, %error, "a folder of very many files is not seen whole");
                        Some(inner.rest_after(&error))
                    }
                };
                let mut state = inner.state.lock();
                state.completing.remove(&folder);
                if let Some(rest) = rest {
                    state.resting.insert(folder, Instant::now() + rest);
                }
            });
        }
    }

    /// How far the completion of a folder is.
    pub(super) fn progress(&self, folder: Ino, progress: Progress) {
        self.state.lock().completing.insert(folder, progress);
    }

    /// Tells of changes. The receiver goes first when the mount ends; nobody caches
    /// then.
    pub(super) fn tell(&self, changes: Vec<Change>) {
        for change in changes {
            let _ = self.changes.send(change);
        }
    }

    /// Lists another folder, for nobody who waits.
    fn list_behind(self: &Arc<Self>, folder: Ino) {
        let refresher = Refresher {
            inner: self.clone(),
        };
        self.runtime.spawn(async move { refresher.doubt(folder) });
    }

    /// How long a folder is left alone after its listing failed: what the service
    /// refuses, it is not asked for again soon, since it bans who keeps failing.
    fn rest_after(&self, error: &RefreshError) -> Duration {
        let limits = self.api.limits();
        match error {
            RefreshError::Api(error) if !error.is_passing() => limits.failing_window,
            _ => limits.folder_gap * 2,
        }
    }
}

fn time(at: jiff::Timestamp) -> Time {
    Time(i64::try_from(at.as_nanosecond()).unwrap_or_default())
}

fn convert(listing: api::Listing) -> Listing {
    Listing {
        extent: match listing.truncated {
            _ if listing.folders.len() >= LISTING_CAP => Extent::Cut,
            true => Extent::FilesCut,
            false => Extent::Whole,
        },
        folders: listing
            .folders
            .into_iter()
            .map(|folder| ListedFolder {
                id: folder.id,
                name: folder.name,
                created: folder.created.map(time),
                protected: folder.protected,
            })
            .collect(),
        files: listing.files.into_iter().map(listed).collect(),
    }
}

pub(super) fn listed(file: api::FileItem) -> ListedFile {
    ListedFile {
        id: file.id,
        name: file.name,
        size: file.size,
        date: file.date.map(time),
        whirlpool: file.checksum,
        protected: file.protected || file.restricted,
    }
}
