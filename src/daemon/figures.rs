//! The account's figures as they are kept in the database, for `df` and `fichierfs account`, and
//! whose account a state is.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::StartError;
use super::lock;
use crate::api::{self, Offer};
use crate::config::ApiKey;
use crate::control::protocol::Account;
use crate::store::{self, Store, StoreError, setting};
use crate::vfs::AccountFigures;

/// Figures younger than this are not asked for again.
pub(super) const FRESH: Duration = Duration::from_secs(3600);

/// The row of the table `setting`.
const KEY: &str = "account";

/// The row of `setting` with the print of the key that is known to be this account's.
pub(super) const KEY_PRINT: &str = "key_print";

/// The row of `setting` with the print of the key to which the account's address was told.
pub(super) const OWNER_PRINT: &str = "owner_print";

/// Whether somebody made sure that a new key is that of the same account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NewKey {
    /// Yes: `init` compared the accounts, or its user said that it is (`--rotate`).
    IsChecked,
    /// No: the service is asked, if it allows that now.
    MayBeAnyones,
}

/// Stores figures, as told just now to who has the key of this print.
pub(super) fn save(
    store: &Store,
    account: &api::Account,
    print: &str,
) -> Result<Account, StoreError> {
    let told = told(account, Timestamp::now());
    let text = serde_json::to_string(&told).unwrap_or_default();
    put(
        store,
        &[(KEY, &text), (KEY_PRINT, print), (OWNER_PRINT, print)],
    )?;
    Ok(told)
}

pub(super) fn put(store: &Store, rows: &[(&str, &str)]) -> Result<(), StoreError> {
    store.write(|tx| {
        rows.iter()
            .try_for_each(|(key, value)| setting::put(tx, key, value))
    })
}

pub(super) fn remove(store: &Store, key: &str) -> Result<(), StoreError> {
    store.write(|tx| setting::remove(tx, key))
}

pub(super) fn get(store: &Store, key: &str) -> Result<Option<String>, StoreError> {
    store.read(|c| setting::get(c, key))
}

/// Whose account the state in `state_dir` belongs to, if that is known. Changes nothing.
pub fn owner(state_dir: &Path) -> Option<String> {
    let connection = store::look(&state_dir.join(super::DATABASE)).ok()?;
    let text = setting::get(&connection, KEY).ok()??;
    Some(serde_json::from_str::<Account>(&text).ok()?.email)
}

/// Whether the key is the one to which the address of the account was told, whose the state in
/// `state_dir` is. Changes nothing.
pub fn knows(state_dir: &Path, key: &ApiKey) -> bool {
    let known = store::look(&state_dir.join(super::DATABASE))
        .and_then(|connection| setting::get(&connection, OWNER_PRINT));
    matches!(known, Ok(Some(print)) if print == key.print())
}

/// Stores figures where no daemon has the state; a daemon asks by itself, and its
/// database must not be changed beneath it.
///
/// # Errors
/// When the lock or the database fails.
pub fn note(
    state_dir: &Path,
    account: &api::Account,
    key: &ApiKey,
    new_key: NewKey,
) -> Result<Account, StartError> {
    match lock::attempt(&state_dir.join("lock"))? {
        Some(_held) => {
            let store = Store::open(&state_dir.join(super::DATABASE))?;
            let print = key.print();
            let other = get(&store, KEY_PRINT)?.is_some_and(|known| known != print);
            if other && new_key == NewKey::MayBeAnyones && load(&store)?.is_none() {
                // It was used before anybody knew whose it is: the mount finds that out.
                return Ok(told(account, Timestamp::now()));
            }
            Ok(save(&store, account, &print)?)
        }
        None => Ok(told(account, Timestamp::now())),
    }
}

/// The figures as last told; `None` if never, or by a program that wrote them
/// otherwise.
pub(super) fn load(store: &Store) -> Result<Option<Account>, StoreError> {
    let text = get(store, KEY)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// How old figures are.
pub(super) fn age(account: &Account) -> Duration {
    let told: Option<Timestamp> = account.as_of.parse().ok();
    told.and_then(|told| Duration::try_from(Timestamp::now().duration_since(told)).ok())
        .unwrap_or(FRESH)
}

/// What the file system counts with.
pub(super) fn for_df(account: &Account) -> AccountFigures {
    let used = account.cold_used.saturating_add(account.hot_used);
    AccountFigures {
        used,
        // Without a known limit: as much again as there is, and a TiB.
        free: match account.cold_allowed {
            Some(allowed) => allowed.saturating_sub(account.cold_used),
            None => used.saturating_add(1 << 40),
        },
        limited: account.cold_allowed.is_some(),
        upload_forbidden: account.upload_forbidden,
    }
}

fn told(account: &api::Account, now: Timestamp) -> Account {
    let left = account
        .cold_available
        .map(|left| left.saturating_add(account.cold_used));
    Account {
        as_of: now.to_string(),
        email: account.email.clone(),
        offer: match account.offer {
            Offer::Free => "Free".to_owned(),
            Offer::Premium => "Premium".to_owned(),
            Offer::Access => "Access".to_owned(),
            Offer::Gold => "Premium GOLD".to_owned(),
            Offer::Other(number) => format!("offer {number}"),
        },
        subscription_end: account.subscription_end.map(|end| end.to_string()),
        cold_used: account.cold_used,
        cold_allowed: account.cold_allowed.or(left),
        hot_used: account.hot_used,
        over_quota: account.over_quota,
        upload_forbidden: account.upload_forbidden,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn premium() -> api::Account {
        api::Account {
            email: "a@b.c".into(),
            offer: Offer::Premium,
            subscription_end: None,
            cold_used: 40,
            hot_used: 5,
            cold_allowed: None,
            cold_available: Some(60),
            over_quota: false,
            upload_forbidden: false,
        }
    }

    #[test]
    fn figures_are_kept_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("db")).unwrap();
        assert_eq!(load(&store).unwrap(), None);
        save(&store, &premium(), "p").unwrap();
        let mut second = premium();
        second.over_quota = true;
        let saved = save(&store, &second, "p").unwrap();
        assert_eq!(load(&store).unwrap(), Some(saved.clone()));
        assert!(saved.over_quota && age(&saved) < FRESH);
    }

    #[test]
    fn a_state_knows_its_owner_and_is_left_alone_while_it_is_served() {
        let dir = tempfile::tempdir().unwrap();
        let key = ApiKey::new("k".repeat(32)).unwrap();
        assert_eq!(owner(dir.path()), None);
        assert!(!knows(dir.path(), &key));
        note(dir.path(), &premium(), &key, NewKey::MayBeAnyones).unwrap();
        assert!(knows(dir.path(), &key));
        assert_eq!(owner(dir.path()).as_deref(), Some("a@b.c"));
        let mut other = premium();
        other.email = "d@e.f".into();
        let held = lock::attempt(&dir.path().join("lock")).unwrap();
        assert!(held.is_some());
        note(dir.path(), &other, &key, NewKey::MayBeAnyones).unwrap();
        assert_eq!(owner(dir.path()).as_deref(), Some("a@b.c"));
    }

    #[test]
    fn room_is_what_is_allowed_and_not_used() {
        let account = told(&premium(), Timestamp::now());
        assert_eq!(account.cold_allowed, Some(100));
        let expected = AccountFigures {
            used: 45,
            free: 60,
            limited: true,
            upload_forbidden: false,
        };
        assert_eq!(for_df(&account), expected);
    }

    #[test]
    fn figures_of_an_unknown_time_are_old() {
        let mut account = told(&premium(), Timestamp::now());
        account.as_of = "long ago".into();
        assert_eq!(age(&account), FRESH);
    }
}
