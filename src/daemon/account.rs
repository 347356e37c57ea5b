//! The account's figures are asked for seldom, since the service allows few such calls
//! (API notes 7).

use std::time::Duration;

use super::figures::{FRESH, OWNER_PRINT, age, for_df, get, load, save};
use super::parts::Parts;
use crate::api::{ApiError, Ask, Class};
use crate::control::protocol::Account;
use crate::store::StoreError;

/// Figures older than this are asked for again if something seems not to fit.
const WANTED: Duration = Duration::from_secs(600);

/// How often one looks whether somebody wants newer figures.
const GLANCE: Duration = Duration::from_secs(30);

/// How long to leave the service alone after it did not answer.
const PAUSE: Duration = Duration::from_secs(900);

/// Tells the file system what is stored.
pub(super) fn show(parts: &Parts) -> Result<(), StoreError> {
    if let Some(account) = load(&parts.below.store)? {
        parts.vfs.set_account(for_df(&account), age(&account));
    }
    Ok(())
}

/// Asks the service, and stores and shows what it tells.
pub(super) async fn ask(parts: &Parts, ask: impl Into<Ask>) -> Result<Account, AskError> {
    let (api, store) = (&parts.below.api, &parts.below.store);
    let print = api.keys().get().map(|key| key.print()).unwrap_or_default();
    let account = api.account(ask).await?;
    // The owner can change the address; a key is one account's for ever.
    let known = get(store, OWNER_PRINT)?.is_some_and(|known| known == print);
    if let Some(owner) = load(store)?
        && owner.email != account.email
        && !known
    {
        api.keys().clear();
        return Err(AskError::Other(owner.email));
    }
    let account = save(store, &account, &print)?;
    parts.vfs.set_account(for_df(&account), age(&account));
    Ok(account)
}

/// Why there are no newer figures.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("{error}. {advice}", error = .0, advice = .0.advice())]
    Api(#[from] ApiError),
    #[error(
        "the key is not that of {0}, to whom this state belongs; nothing more is asked with it: run `fichierfs init`"
    )]
    Other(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keeps the figures fresh for as long as it is polled.
pub(super) async fn keep(parts: Parts) {
    loop {
        let known = load(&parts.below.store).ok().flatten();
        let age = known.as_ref().map_or(FRESH, age);
        if let Some(rest) = FRESH.checked_sub(age).filter(|rest| !rest.is_zero()) {
            // The service allows one call in so long, and somebody may want it.
            if age < WANTED || !parts.vfs.wants_figures() {
                tokio::time::sleep(rest.min(GLANCE)).await;
                continue;
            }
        }
        if let Err(error) = ask(&parts, Class::Background).await {
            match &error {
                AskError::Api(api) if api.is_passing() => {
                    tracing::debug!(%error, "the account's figures stay as they are");
                }
                _ => tracing::error!("the account's figures cannot be had: {error}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
