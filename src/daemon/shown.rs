//! What a mount shows: the account, or a public folder of anybody (`share`). All that
//! differs between the two is here: where listings come from, how files are asked for, whose the
//! state is, and whether there are figures of an account.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::StartError;
use super::account;
use super::bond::{self, Bond};
use super::parts::{Below, Parts};
use crate::api::{Address, Api, ApiError, Class};
use crate::config::{Password, PublicFolder, Settings, SharedFolder};
use crate::content::{self, NoWay, Service};
use crate::ids::{FileId, FolderId, Time};
use crate::store::Store;
use crate::tree::refresh::{RefreshError, Refresher};
use crate::tree::source::{Shared, Source};
use crate::tree::{Access, Known, Node, ROOT, Tree};

/// The row of the table `setting` with the public folder that a state is of.
const KEY: &str = "share";

/// Where listings come from, and what others share.
pub(super) fn source(
    settings: &Settings,
    api: &Api,
    password: Option<Password>,
) -> (Source, Shared) {
    match &settings.share {
        Some(folder) => {
            let id = folder.id().to_owned();
            let source = Source::public(api.clone(), id, password);
            (source, Shared::default())
        }
        None => {
            let shared = shared(settings);
            (Source::account(api.clone(), shared.clone()), shared)
        }
    }
}

/// Where bytes come from.
pub(super) fn service(
    settings: &Settings,
    api: &Api,
    (tree, refresher): (&Tree, &Refresher),
    shared: Shared,
    password: Option<Password>,
) -> Service {
    let reach = Reach {
        tree: tree.clone(),
        refresher: refresher.clone(),
        shared,
        password,
        owns: settings.share.is_none(),
        fresh: api.limits().folder_gap,
    };
    Service::reaching(api.clone(), reach)
}

/// What others share, as the settings name it.
fn shared(settings: &Settings) -> Shared {
    let begin = Shared::under(&settings.shared_folder);
    let add = |shared: Shared, folder: &SharedFolder| match folder {
        SharedFolder::Of(email) => shared.with_owner(email),
        SharedFolder::Folder { name, id } => shared.with_folder(FolderId(*id), name),
    };
    settings.shared.0.iter().fold(begin, add)
}

/// How files are asked for.
struct Reach {
    tree: Tree,
    refresher: Refresher,
    shared: Shared,
    password: Option<Password>,
    /// Whether files are the account's own unless their folder says otherwise.
    owns: bool,
    /// How old a listing may be that tells of a file without a link.
    fresh: Duration,
}

impl Reach {
    fn node(&self, file: &FileId) -> Option<Node> {
        self.tree.by_file_id(file).ok().flatten()
    }

    /// Of its owner no password is asked.
    fn is_closed(&self, node: &Node) -> bool {
        node.protected && (!self.owns || node.access != Access::Own)
    }

    fn password_for(&self, node: &Node) -> Result<Option<Password>, NoWay> {
        match (self.is_closed(node), &self.password) {
            (false, _) => Ok(None),
            (true, Some(password)) => Ok(Some(password.clone())),
            (true, None) => Err(NoWay::NoPassword),
        }
    }
}

impl content::Reach for Reach {
    fn address(&self, file: &FileId, by: Instant) -> BoxFuture<'static, Result<Address, NoWay>> {
        let node = self.node(file);
        let password = match &node {
            Some(node) => self.password_for(node),
            None => Ok(None),
        };
        if file.has_link() {
            let address = Address::from(file);
            let told = password.map(|password| address.with_password(password));
            return std::future::ready(told).boxed();
        }
        let (tree, refresher) = (self.tree.clone(), self.refresher.clone());
        let (shared, fresh, file) = (self.shared.clone(), self.fresh, file.clone());
        async move {
            let password = password?;
            // A name may be another file's by now: its folder has to have shown this one lately.
            let node = node.ok_or(NoWay::Gone)?;
            let folder = node.place.as_ref().ok_or(NoWay::Gone)?.parent;
            let unknown = |error: &dyn std::fmt::Display| NoWay::Unknown(error.to_string());
            let above = tree.node(folder).map_err(|error| unknown(&error))?;
            let listed = above.and_then(|folder| folder.known.at());
            if listed.is_none_or(|at| Time::now().since(at) > fresh) {
                let listing = refresher.refresh(folder, Class::Interactive, by);
                listing.await.map_err(|error| unknown(&error))?;
            }
            let node = tree.by_file_id(&file).map_err(|error| unknown(&error))?;
            let node = node.filter(|node| node.place.is_some());
            let node = node.ok_or(NoWay::Gone)?;
            let place = &node.remote_file().ok_or(NoWay::Gone)?.place;
            let address = Address::named(shared.at(place.folder), place.name.clone());
            Ok(address.with_password(password))
        }
        .boxed()
    }

    fn needs_password(&self, file: &FileId) -> bool {
        self.node(file).is_some_and(|node| self.is_closed(&node))
    }
}

/// Makes sure, before anything else is asked, that the state is of what is to be shown.
///
/// # Errors
/// It is of something else; or the public folder was never seen, and the service says
/// that it does not show it.
pub(super) async fn bind(below: &Below, settings: &Settings) -> Result<Bond, StartError> {
    let known = account::get(&below.store, KEY)?;
    match (&settings.share, known) {
        (None, None) => bond::bind(below, &below.api).await,
        (None, Some(id)) => Err(StartError::StateOfShare(id)),
        (Some(folder), Some(id)) if folder.id() != id => Err(StartError::StateOfShare(id)),
        (Some(folder), Some(_)) => look(below, settings, folder).await.map(|()| Bond::Own),
        (Some(_), None) if bond::is_used(below)? => Err(StartError::StateOfAccount),
        (Some(folder), None) => {
            note(&below.store, folder)?;
            let looked = look(below, settings, folder).await;
            if looked.is_err() {
                account::remove(&below.store, KEY)?;
            }
            looked.map(|()| Bond::Own)
        }
    }
}

fn note(store: &Store, folder: &PublicFolder) -> Result<(), crate::store::StoreError> {
    account::put(store, &[(KEY, folder.id())])
}

/// A public folder that was never seen is looked at before it is mounted: a wrong link or
/// password is told to who gave it. What will pass does not stop the mount.
async fn look(below: &Below, settings: &Settings, folder: &PublicFolder) -> Result<(), StartError> {
    if below.api.keys().get().is_none() {
        tracing::warn!(
            "without an API key names and sizes show, but no file can be read: the service gives \
             the bytes to programs only with the key of a paying account; run `fichierfs init`"
        );
    }
    if below
        .tree
        .node(ROOT)?
        .is_some_and(|root| root.known != Known::Never)
    {
        return Ok(());
    }
    let deadline = Instant::now() + settings.metadata_deadline;
    // A person asks: what was refused a moment ago may be right now.
    let look = below.refresher.refresh(ROOT, Class::Interactive, deadline);
    match look.await {
        Ok(()) => Ok(()),
        Err(RefreshError::Api(error)) if !error.is_passing() => Err(StartError::Share {
            id: folder.id().to_owned(),
            advice: match error {
                ApiError::Password(_) => "Give its password with --share-password-command.",
                ApiError::NotFound(_) => "Look at its link: it may have been withdrawn.",
                _ => error.advice(),
            },
            error,
        }),
        Err(error) => {
            tracing::warn!(%error, "the public folder cannot be looked at now; it is tried again when somebody looks into the mount");
            Ok(())
        }
    }
}

/// Keeps what is known of the account fresh, where one is shown.
pub(super) async fn keep_account(parts: Parts, settings: Settings, bond: Bond) {
    match settings.share {
        // Whose the key is has to be told first.
        None if bond == Bond::Refused => account::keep(parts).await,
        None => {
            let below = parts.below.clone();
            let witness = bond::witness(&below.store, &below.api);
            tokio::join!(account::keep(parts), witness);
        }
        Some(_) => std::future::pending().await,
    }
}
