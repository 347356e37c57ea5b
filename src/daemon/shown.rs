//! What a mount shows: the account, or a public folder of anybody (`share`). What differs
//! between the two is here and in `reach`: whose the state is, and whether there are figures of
//! an account.

use std::time::Instant;

use super::StartError;
use super::account;
use super::bond::{self, Bond};
use super::figures;
use super::parts::{Below, Parts};
use crate::api::{ApiError, Class};
use crate::config::{PublicFolder, Settings};
use crate::store::Store;
use crate::tree::refresh::RefreshError;
use crate::tree::{Known, ROOT};

/// The row of the table `setting` with the public folder that a state is of.
const KEY: &str = "share";

/// Makes sure, before anything else is asked, that the state is of what is to be shown.
///
/// # Errors
/// It is of something else; or the public folder was never seen, and the service says
/// that it does not show it.
pub(super) async fn bind(below: &Below, settings: &Settings) -> Result<Bond, StartError> {
    let known = figures::get(&below.store, KEY)?;
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
                figures::remove(&below.store, KEY)?;
            }
            looked.map(|()| Bond::Own)
        }
    }
}

fn note(store: &Store, folder: &PublicFolder) -> Result<(), crate::store::StoreError> {
    figures::put(store, &[(KEY, folder.id())])
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
    let deadline = Instant::now() + settings.metadata_deadline.0;
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
