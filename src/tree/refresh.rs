//! Fetches listings and takes them into the tree: one call for a folder at a
//! time, whoever and however many wait for it.
//!
//! A folder never seen is waited for within the caller's deadline; a folder seen
//! long ago is served as known and listed again behind the caller's back. What
//! a listing changed goes out as [`Change`]s.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;

use super::events::Change;
use super::merge::{ListedFile, ListedFolder, Listing};
use super::node::{Kind, Known, Node};
use super::{Tree, TreeError};
use crate::api::{self, Api, ApiError, Ask, Class};
use crate::ids::{Ino, Time};

/// After a refresh in the background failed, the folder is left alone so long.
const REST: Duration = Duration::from_secs(60);
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
type Flight = Shared<BoxFuture<'static, Outcome>>;

/// Fetches listings. Cheap to clone.
#[derive(Clone)]
pub struct Refresher {
    inner: Arc<Inner>,
}

struct Inner {
    tree: Tree,
    api: Api,
    /// A listing older than this is fetched again when somebody looks.
    max_age: Duration,
    changes: UnboundedSender<Change>,
    runtime: Handle,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    flights: HashMap<Ino, Flight>,
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

    /// Waits until the folder has been listed whole, at most until `deadline`.
    ///
    /// # Errors
    /// [`RefreshError`]: the folder's content stays unknown, and nothing was
    /// changed.
    pub async fn ensure_known(&self, folder: Ino, deadline: Instant) -> Outcome {
        let Some(node) = self.inner.tree.node(folder)? else {
            return Err(TreeError::NotFound.into());
        };
        if node.known.is_complete() || node.folder_id().is_none() {
            return Ok(());
        }
        self.refresh(folder, Class::Interactive, deadline).await
    }

    /// Lists the folder now, or as soon as the pace allows, and waits for it at
    /// most until `deadline`.
    ///
    /// # Errors
    /// [`RefreshError`]: nothing was changed.
    pub async fn refresh(&self, folder: Ino, class: Class, deadline: Instant) -> Outcome {
        let flight = self.fly(folder, Ask::until(class, deadline));
        match tokio::time::timeout_at(deadline.into(), flight).await {
            Ok(outcome) => outcome,
            Err(_) => Err(RefreshError::TimedOut),
        }
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
        let rests = |until: &Instant| *until > Instant::now();
        old && !self
            .inner
            .state
            .lock()
            .resting
            .get(&folder.ino)
            .is_some_and(rests)
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
                Ok(()) => {
                    state.resting.remove(&folder);
                }
                Err(e) => {
                    tracing::debug!(%folder, error = %e, "folder not listed");
                    state.resting.retain(|_, until| *until > Instant::now());
                    state.resting.insert(folder, Instant::now() + REST);
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
    async fn list(&self, folder: Ino, ask: Ask) -> Outcome {
        let Some(id) = self.tree.node(folder)?.and_then(|node| node.folder_id()) else {
            return Ok(()); // Not on the service: nothing there to be seen.
        };
        let asked = Time::now();
        let listing = self.api.list_folder(id, ask).await?;
        let changes = self
            .tree
            .merge(folder, convert(listing), asked, Time::now())?;
        for change in changes {
            // The receiver goes first when the mount ends; nobody caches then.
            let _ = self.changes.send(change);
        }
        Ok(())
    }
}

fn time(at: jiff::Timestamp) -> Time {
    Time(i64::try_from(at.as_nanosecond()).unwrap_or_default())
}

fn convert(listing: api::Listing) -> Listing {
    Listing {
        cut: listing.truncated,
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
        files: listing
            .files
            .into_iter()
            .map(|file| ListedFile {
                id: file.id,
                name: file.name,
                size: file.size,
                date: file.date.map(time),
                whirlpool: file.checksum,
                protected: file.protected || file.restricted,
            })
            .collect(),
    }
}
