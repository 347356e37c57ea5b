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

use super::complete::{self, Ground, Seen};
use super::completing::{Completing, CutOff, Progress};
use super::convert::convert;
pub use super::error::RefreshError;
use super::events::Change;
use super::node::{Kind, Known, Node, ROOT};
use super::source::Source;
use super::{Tree, TreeError};
use crate::api::{self, ApiError, Ask, Class};
use crate::ids::{FolderId, Ino, Time};
use crate::store::{Asked, Refusal};
use crate::vain::Vain;

/// How long a doubted answer is left before the folder is asked for again; the
/// pace adds the folder's own floor.
const SECOND_LOOK: Duration = Duration::from_secs(30);
/// How long a listing may wait for its turn when nobody waits for it.
const PATIENCE: Duration = Duration::from_secs(300);

type Outcome = Result<(), RefreshError>;
/// A listing under way; gives a time since which it was asked for.
type Flight = Shared<BoxFuture<'static, Result<Time, RefreshError>>>;

/// Fetches listings. Cheap to clone.
#[derive(Clone)]
pub struct Refresher {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) ground: Ground,
    /// A listing older than this is fetched again when somebody looks.
    max_age: Duration,
    runtime: Handle,
    state: Mutex<State>,
    /// Folders of which nothing is known.
    vain: Vain<Ino>,
}

/// What goes on now; nothing of it is kept longer.
#[derive(Default)]
struct State {
    flights: HashMap<Ino, Flight>,
    /// Folders that are left alone for a while, and until when. What the service refused, the
    /// database remembers.
    resting: HashMap<Ino, Instant>,
    /// Entries whose folder was listed again because of them, and until when that is enough.
    doubted: HashMap<Ino, Instant>,
}

impl State {
    fn rest(&mut self, folder: Ino, rest: Duration) {
        let now = Instant::now();
        self.resting.retain(|_, until| *until > now);
        self.resting.insert(folder, now + rest);
    }

    fn is_resting(&self, folder: Ino) -> bool {
        let until = self.resting.get(&folder);
        until.is_some_and(|until| *until > Instant::now())
    }

    /// Whether an entry is doubted for the first time in `window`.
    fn doubts(&mut self, entry: Ino, window: Duration) -> bool {
        let now = Instant::now();
        self.doubted.retain(|_, until| *until > now);
        match self.doubted.entry(entry) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(now + window);
                true
            }
        }
    }
}

impl Refresher {
    /// Fetches for `tree` from `source`; listings older than `max_age` are
    /// refreshed when looked at. What changed is sent to `changes`.
    pub fn new(
        tree: Tree,
        source: impl Into<Source>,
        max_age: Duration,
        changes: UnboundedSender<Change>,
        runtime: Handle,
    ) -> Refresher {
        Refresher {
            inner: Arc::new(Inner {
                ground: Ground {
                    tree,
                    source: source.into(),
                    completing: Completing::default(),
                    changes,
                },
                max_age,
                runtime,
                state: Mutex::default(),
                vain: Vain::default(),
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
        let Some(node) = self.inner.tree().node(folder)? else {
            return Err(TreeError::NotFound.into());
        };
        // What is cut off at the cap, another listing would not show either.
        if node.known.at().is_some() || node.folder_id().is_none() {
            self.touch(&node);
            return Ok(());
        }
        if let Some(said) = self.inner.refused(&node)? {
            return Err(RefreshError::Refused(said));
        }
        if self.inner.vain.lately(|waited| *waited == folder) {
            return Err(RefreshError::TimedOut);
        }
        let wait = self.inner.vain.wait(folder, deadline);
        self.refresh(folder, Class::Interactive, deadline).await?;
        wait.over();
        Ok(())
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

    /// Waits until a folder that is being seen whole is, where that can be expected
    /// before `deadline`; returns at once where it cannot, or where nothing goes on.
    pub async fn ensure_whole(&self, folder: Ino, deadline: Instant) {
        self.inner
            .ground
            .completing
            .ended_by(folder, deadline)
            .await;
    }

    /// Waits until a folder is not being seen whole any more.
    pub(super) async fn completed(&self, folder: Ino) {
        self.inner.ground.completing.ended(folder).await;
    }

    /// Folders of which a part is known, `limit` at most, and where each stands.
    ///
    /// # Errors
    /// That of the database.
    pub fn cut_off(&self, limit: usize) -> Result<Vec<(CutOff, Node)>, TreeError> {
        let folders = self.inner.tree().cut_off(limit)?;
        let stands = |folder: Ino| {
            let node = self.inner.tree().node(folder)?;
            Ok(node.map(|node| (self.stands(&node), node)))
        };
        let folders = folders
            .into_iter()
            .filter_map(|folder| stands(folder).transpose());
        folders.collect()
    }

    /// Where a folder stands of which a part is known.
    pub fn stands(&self, folder: &Node) -> CutOff {
        match folder.known {
            Known::Lacking(_) => CutOff::Lacking,
            Known::DoubtedPart(_) => CutOff::Doubted,
            _ => self.inner.ground.completing.stands(folder.ino),
        }
    }

    /// Folders that are being seen whole, slice by slice.
    pub fn completing(&self) -> Vec<(Ino, Progress)> {
        self.inner.ground.completing.all()
    }

    /// The folder is listed again soon, and nobody waits for it.
    pub fn again(&self, folder: Ino) {
        let deadline = Instant::now() + self.inner.source().api().limits().folder_gap * 4;
        drop(self.fly(folder, Ask::until(Class::Refresh, deadline)));
    }

    /// What the service lists in a folder now, for who looks for one object in it; the tree does
    /// not hear of it.
    ///
    /// # Errors
    /// That of the call.
    pub async fn look_into(
        &self,
        folder: FolderId,
        class: Class,
    ) -> Result<api::Listing, ApiError> {
        self.inner.source().list(folder, class.into()).await
    }

    /// Something shows again in a folder of the service: it is listed again soon.
    pub fn look_again(&self, folder: FolderId) {
        match self.inner.tree().by_folder_id(folder) {
            Ok(Some(node)) => self.again(node.ino),
            Ok(None) => {} // It went meanwhile.
            Err(error) => tracing::warn!("{error}"),
        }
    }

    /// The service does not give `entry`, which the folder lists: it is listed again as
    /// soon as its floor allows, once for each entry.
    pub fn doubt(&self, folder: Ino, entry: Ino) {
        let window = self.inner.source().api().limits().failing_window;
        let refused = || -> Result<bool, TreeError> {
            let node = self.inner.tree().node(folder)?;
            Ok(match node {
                Some(node) => self.inner.refused(&node)?.is_some(),
                None => true,
            })
        };
        // Of a database that fails, others tell.
        if refused().unwrap_or(true) || !self.inner.state.lock().doubts(entry, window) {
            return;
        }
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
            Known::Whole(at) | Known::FilesCut(at) | Known::Cut(at) => age(at) > self.inner.max_age,
            Known::Lacking(at) | Known::Doubted(at) | Known::DoubtedPart(at) => {
                age(at) > SECOND_LOOK.min(self.inner.max_age)
            }
        };
        let at_work = || {
            self.inner.ground.completing.holds(folder.ino)
                || self.inner.state.lock().is_resting(folder.ino)
        };
        old && !at_work() && matches!(self.inner.refused(folder), Ok(None))
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
            let remembered = inner.remember(folder, outcome.as_ref().err());
            if let Err(error) = remembered {
                tracing::warn!(%folder, %error, "what the service said of it is not remembered");
            }
            let mut state = inner.state.lock();
            state.flights.remove(&folder);
            match &outcome {
                Ok(_) => {
                    state.resting.remove(&folder);
                }
                Err(e) => {
                    tracing::debug!(%folder, error = %e, "folder not listed");
                    state.rest(folder, inner.source().api().limits().folder_gap * 2);
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
        let Some(node) = self.tree().node(folder)? else {
            return Ok(asked);
        };
        let Some(id) = node.folder_id() else {
            return Ok(asked); // Not on the service: nothing there to be seen.
        };
        let listing = match self.source().list(id, ask).await {
            Ok(listing) => listing,
            Err(error @ ApiError::Refused(_)) if !error.counts() => {
                self.outline_behind(folder, id, asked);
                return Err(error.into());
            }
            Err(error) => {
                if let (ApiError::NotFound(_), Some(place)) = (&error, &node.place) {
                    // The folder above tells whether it is gone or only late to show.
                    self.list_behind(place.parent, folder);
                }
                return Err(error.into());
            }
        };
        self.take(folder, id, listing, asked)?;
        for next in self.source().next_to(id) {
            self.see_behind(next);
        }
        Ok(asked)
    }

    /// Takes a listing in, and begins to complete it where it was cut.
    fn take(
        self: &Arc<Self>,
        folder: Ino,
        id: FolderId,
        listing: api::Listing,
        asked: Time,
    ) -> Result<(), TreeError> {
        let sliced = listing.truncated && self.source().has_slices();
        let first = sliced.then(|| complete::First::of(&listing));
        let gap = self.source().api().limits().folder_gap;
        let completing = &self.ground.completing;
        let begins = sliced && completing.begin(folder, gap);
        completing.seen(folder, &listing.files);
        match self
            .tree()
            .merge(folder, convert(listing), asked, Time::now())
        {
            Ok(changes) => {
                self.ground.tell(changes);
                if folder == ROOT {
                    self.list_left_behind()?;
                }
            }
            Err(error) => {
                if begins {
                    completing.end(folder, Some(CutOff::Failed(error.to_string())));
                }
                return Err(error);
            }
        }
        if let Some(first) = first.filter(|_| begins) {
            self.complete(folder, id, first, asked);
        }
        Ok(())
    }

    /// A folder whose listing is refused may have too many files for one: then it is listed
    /// without them, and they are seen in slices, for nobody who waits.
    fn outline_behind(self: &Arc<Self>, folder: Ino, id: FolderId, asked: Time) {
        let inner = self.clone();
        self.runtime.spawn(async move {
            let ask = Ask::until(Class::Refresh, Instant::now() + PATIENCE);
            match inner.source().outline(id, ask).await {
                Ok(Some(listing)) => {
                    if let Err(error) = inner.take(folder, id, listing, asked) {
                        tracing::warn!(%folder, %error, "a folder is not taken in");
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(%folder, %error, "nor is it listed without its files");
                }
            }
        });
    }

    /// Sees a folder whole, in the background.
    fn complete(self: &Arc<Self>, folder: Ino, id: FolderId, first: complete::First, asked: Time) {
        let inner = self.clone();
        self.runtime.spawn(async move {
            let outcome = complete::run(&inner.ground, folder, id, first, asked).await;
            let limits = inner.source().api().limits();
            let (rest, why) = match &outcome {
                Ok(Seen::Whole) => (None, None),
                // There is nothing to be learnt from asking all of that again soon.
                Ok(Seen::Never) => (Some(limits.all_files_gap), Some(CutOff::Unseen)),
                Err(error) => {
                    tracing::warn!(%folder, %error, "a folder of very many files is not seen whole");
                    let why = CutOff::Failed(error.to_string());
                    (Some(limits.failing_window), Some(why))
                }
            };
            if let Some(rest) = rest {
                inner.state.lock().rest(folder, rest);
            }
            inner.ground.completing.end(folder, why);
        });
    }

    fn tree(&self) -> &Tree {
        &self.ground.tree
    }

    fn source(&self) -> &Source {
        &self.ground.source
    }

    /// Lists a folder that was never seen, for nobody who waits.
    fn see_behind(self: &Arc<Self>, folder: FolderId) {
        let refresher = Refresher {
            inner: self.clone(),
        };
        self.runtime.spawn(async move {
            match refresher.inner.tree().by_folder_id(folder) {
                Ok(Some(node)) if node.known == Known::Never => refresher.touch(&node),
                Ok(_) => {}
                Err(error) => tracing::warn!("{error}"),
            }
        });
    }

    /// Lists the folders that may be gone, since files that were sent to them are in the root, for
    /// nobody who waits.
    fn list_left_behind(self: &Arc<Self>) -> Result<(), TreeError> {
        for folder in self.tree().folders_of_strays()? {
            if let Some(node) = self.tree().node(folder)?
                && self.refused(&node)?.is_none()
            {
                let refresher = Refresher {
                    inner: self.clone(),
                };
                refresher.again(folder);
            }
        }
        Ok(())
    }

    /// Lists the folder above one that is not given, for nobody who waits.
    fn list_behind(self: &Arc<Self>, above: Ino, folder: Ino) {
        let refresher = Refresher {
            inner: self.clone(),
        };
        self.runtime
            .spawn(async move { refresher.doubt(above, folder) });
    }

    /// What the service said when it refused the folder lately: it is not asked for again
    /// soon, since the service bans who keeps failing.
    fn refused(&self, folder: &Node) -> Result<Option<String>, TreeError> {
        let Some(id) = folder.folder_id() else {
            return Ok(None);
        };
        let now = Time::now();
        let latest = now.after(self.source().api().limits().failing_window);
        let refusal = self.tree().store.refusal(&self.asked(id), now, latest)?;
        Ok(refusal.map(|refusal| refusal.said))
    }

    /// Remembers a refusal of the folder, or that it was given.
    fn remember(&self, folder: Ino, error: Option<&RefreshError>) -> Result<(), TreeError> {
        let Some(id) = self.tree().node(folder)?.and_then(|node| node.folder_id()) else {
            return Ok(());
        };
        let (store, asked, now) = (&self.tree().store, self.asked(id), Time::now());
        let window = self.source().api().limits().failing_window;
        match error {
            Some(error) => {
                if let Some(refusal) = refusal(error) {
                    store.note_refusal(&asked, &refusal, now, now.after(window))?;
                }
            }
            None if store.refusal(&asked, now, now.after(window))?.is_some() => {
                store.forget_refusal(&asked)?;
            }
            None => {}
        }
        Ok(())
    }

    fn asked(&self, id: FolderId) -> Asked {
        Asked::folder(&id.to_string(), &self.source().asks_with())
    }
}

/// What the service says of this folder: it comes again and counts against us, if the same
/// is asked. What it says of the key or of the line is not the folder's.
fn refusal(error: &RefreshError) -> Option<Refusal> {
    let RefreshError::Api(error) = error else {
        return None;
    };
    let counts = matches!(
        error,
        ApiError::NotFound(_)
            | ApiError::NotAllowed(_)
            | ApiError::OwnerLocked(_)
            | ApiError::Password(_)
            | ApiError::Refused(_)
    );
    counts.then(|| Refusal {
        is_gone: matches!(error, ApiError::NotFound(_)),
        said: error.to_string(),
    })
}
