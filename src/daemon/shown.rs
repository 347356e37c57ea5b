//! What a mount shows: the account, or a public folder of anybody (`share`). All that
//! differs between the two is here: where listings come from, how files are asked for, whose the
//! state is, and whether there are figures of an account.

use std::sync::Arc;
use std::time::Instant;

use super::StartError;
use super::account;
use super::bond;
use super::parts::{Below, Parts};
use crate::api::{Address, Api, ApiError};
use crate::config::{Password, Passwords, PublicFolder, Settings, SharedFolder};
use crate::content::Service;
use crate::ids::{FileId, FolderId};
use crate::store::Store;
use crate::tree::refresh::RefreshError;
use crate::tree::source::{Shared, Source};
use crate::tree::{Access, Known, ROOT, Tree};

/// The row of the table `setting` with the public folder that a state is of.
const KEY: &str = "share";

/// Where listings and bytes come from.
pub(super) fn origins(
    settings: &Settings,
    api: &Api,
    tree: &Tree,
    passwords: Passwords,
) -> (Source, Service) {
    let (source, shared) = match &settings.share {
        Some(folder) => {
            let id = folder.id().to_owned();
            let source = Source::public(api.clone(), id, passwords.share);
            (source, Shared::default())
        }
        None => {
            let shared = shared(settings);
            (Source::account(api.clone(), shared.clone()), shared)
        }
    };
    let reach = Reach {
        tree: tree.clone(),
        shared,
        password: passwords.file,
        owns: settings.share.is_none(),
    };
    let addresses = Arc::new(move |file: &FileId| reach.address(file));
    (source, Service::with_addresses(api.clone(), addresses))
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
    shared: Shared,
    password: Option<Password>,
    /// Whether files are the account's own unless their folder says otherwise.
    owns: bool,
}

impl Reach {
    fn address(&self, file: &FileId) -> Address {
        let Some(node) = self.tree.by_file_id(file).ok().flatten() else {
            return file.into();
        };
        let address = match node.remote_file() {
            Some(known) if !file.has_link() => {
                let place = &known.place;
                Address::named(self.shared.at(place.folder), place.name.clone())
            }
            _ => file.into(),
        };
        // An owner needs no password.
        let needs_one = node.protected && (!self.owns || node.access != Access::Own);
        address.with_password(self.password.clone().filter(|_| needs_one))
    }
}

/// Makes sure, before anything else is asked, that the state is of what is to be shown.
///
/// # Errors
/// It is of something else; or the public folder was never seen, and the service says
/// that it does not show it.
pub(super) async fn bind(below: &Below, settings: &Settings) -> Result<(), StartError> {
    let known = account::get(&below.store, KEY)?;
    match (&settings.share, known) {
        (None, None) => bond::bind(below, &below.api).await.map(drop),
        (None, Some(id)) => Err(StartError::StateOfShare(id)),
        (Some(folder), Some(id)) if folder.id() != id => Err(StartError::StateOfShare(id)),
        (Some(folder), Some(_)) => look(below, settings, folder).await,
        (Some(_), None) if bond::is_used(below)? => Err(StartError::StateOfAccount),
        (Some(folder), None) => {
            look(below, settings, folder).await?;
            Ok(note(&below.store, folder)?)
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
    match below.refresher.ensure_known(ROOT, deadline).await {
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
pub(super) async fn keep_account(parts: Parts, settings: Settings) {
    match settings.share {
        None => {
            let below = parts.below.clone();
            let witness = bond::witness(&below.store, &below.api);
            tokio::join!(account::keep(parts), witness);
        }
        Some(_) => std::future::pending().await,
    }
}
