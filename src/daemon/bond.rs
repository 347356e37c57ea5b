//! Whose account a state is: the queue of one must never be worked off on another.
//!
//! From the first thing that the service gives to a key on, a state is that key's, by its print;
//! once the account's figures came, also by the account's address. A key that is new to the state
//! is compared with what is known before anything else is asked with it.

use std::time::{Duration, Instant};

use super::StartError;
use super::figures::{self, KEY_PRINT, NewKey};
use super::parts::Below;
use crate::api::{Api, ApiError, Ask, Class, Listing};
use crate::ids::FolderId;
use crate::store::{Store, StoreError};
use crate::tree::{Access, Known, Node, ROOT, Tree, TreeError, journal};

/// How long the check of a new key may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long where that takes a listing, of which the service gives one in 30 seconds.
const PATIENCE_FOR_LISTING: Duration = Duration::from_secs(40);

/// What is known of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bond {
    /// It is that of the state's account, or the state is nobody's yet.
    Own,
    /// The service takes it no more: nothing can be done to any account.
    Refused,
}

/// Makes sure, before anything else is asked, that the key of `api` is not another account's.
/// One that was used here before costs no call.
pub(super) async fn bind(below: &Below, api: &Api) -> Result<Bond, StartError> {
    let (Some(known), Some(key)) = (figures::get(&below.store, KEY_PRINT)?, api.keys().get())
    else {
        return Ok(Bond::Own);
    };
    let print = key.print();
    if known == print {
        return Ok(Bond::Own);
    }
    match figures::load(&below.store)? {
        Some(owner) => ask_whose(&below.store, api, owner.email, &print).await,
        None if is_used(below)? => compare(&below.tree, api).await,
        None => Ok(Bond::Own),
    }
}

/// As [`bind`], for a new key of a running mount.
pub(super) async fn bind_new(
    below: &Below,
    api: &Api,
    new_key: NewKey,
) -> Result<Bond, StartError> {
    let bond = match new_key {
        NewKey::IsChecked => Bond::Own,
        NewKey::MayBeAnyones => bind(below, api).await?,
    };
    if let (Bond::Own, Some(key)) = (bond, api.keys().get()) {
        note(&below.store, &key.print())?;
    }
    Ok(bond)
}

/// Whether anything of an account was ever seen, or changed, in this state.
pub(super) fn is_used(below: &Below) -> Result<bool, StartError> {
    let seen = below.tree.node(ROOT)?.map(|root| root.known);
    Ok(seen.is_some_and(|known| known != Known::Never)
        || figures::load(&below.store)?.is_some()
        || below.tree.backlog()? != journal::Backlog::default())
}

/// Notes the key that the service takes, at the first thing that it gives to it.
pub(super) async fn witness(store: &Store, api: &Api) {
    let mut taken = api.taken();
    loop {
        let print = taken.borrow_and_update().clone();
        if let Some(print) = print
            && let Err(error) = note(store, &print)
        {
            tracing::warn!(%error, "whose this state is cannot be noted");
        }
        if taken.changed().await.is_err() {
            return;
        }
    }
}

fn note(store: &Store, print: &str) -> Result<(), StoreError> {
    figures::put(store, &[(KEY_PRINT, print)])
}

/// Asks whose the key is.
async fn ask_whose(
    store: &Store,
    api: &Api,
    owner: String,
    print: &str,
) -> Result<Bond, StartError> {
    match api.account(within(PATIENCE)).await {
        Ok(account) if account.email == owner => {
            figures::save(store, &account, print)?;
            Ok(Bond::Own)
        }
        Ok(account) => Err(StartError::OtherAccount {
            owner,
            other: account.email,
        }),
        Err(ApiError::KeyRefused(_)) => Ok(Bond::Refused),
        Err(error) => Err(StartError::NewKeyUnchecked {
            owner: Some(owner),
            why: error.to_string(),
        }),
    }
}

/// Compares what the key shows with what is known of the account's own, where its address is
/// not. Ids are never given twice, so one that is known says enough.
async fn compare(tree: &Tree, api: &Api) -> Result<Bond, StartError> {
    let listed = api
        .list_folder(FolderId::ROOT, within(PATIENCE_FOR_LISTING))
        .await;
    match listed {
        Ok(listing) if knows_any(tree, &listing)? => Ok(Bond::Own),
        // Nothing to compare with.
        Ok(listing) if listing.folders.is_empty() && listing.files.is_empty() => {
            Err(StartError::NewKeyUnchecked {
                owner: None,
                why: "the account is empty".to_owned(),
            })
        }
        Ok(_) => Err(StartError::OtherKey),
        Err(ApiError::KeyRefused(_)) => Ok(Bond::Refused),
        Err(error) => Err(StartError::NewKeyUnchecked {
            owner: None,
            why: error.to_string(),
        }),
    }
}

fn knows_any(tree: &Tree, listing: &Listing) -> Result<bool, TreeError> {
    // What others share shows in several accounts.
    let own = |node: Option<Node>| node.is_some_and(|node| node.access == Access::Own);
    for folder in &listing.folders {
        if own(tree.by_folder_id(folder.id)?) {
            return Ok(true);
        }
    }
    for file in &listing.files {
        if own(tree.by_file_id(&file.id)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn within(patience: Duration) -> Ask {
    Ask::until(Class::Interactive, Instant::now() + patience)
}
