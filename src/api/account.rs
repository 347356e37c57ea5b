//! The account's figures (API notes 7).

use serde::Deserialize;

use super::{Api, ApiError, Ask, Call, Said, Script, dates, wire};
use jiff::Timestamp;

/// What the service tells of the account. Usage lags: it is counted from time to time.
#[derive(Clone, PartialEq, Debug)]
pub struct Account {
    /// The user's address.
    pub email: String,
    /// The kind of subscription.
    pub offer: Offer,
    /// When the subscription ends.
    pub subscription_end: Option<Timestamp>,
    /// Bytes in cold storage.
    pub cold_used: u64,
    /// Bytes in hot storage.
    pub hot_used: u64,
    /// Bytes of cold storage that the account may use.
    pub cold_allowed: Option<u64>,
    /// Bytes of cold storage that are left.
    pub cold_available: Option<u64>,
    /// Whether the quota is exceeded.
    pub over_quota: bool,
    /// Whether uploads are forbidden, for the quota or for abuse.
    pub upload_forbidden: bool,
}

/// A kind of subscription.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offer {
    /// None.
    Free,
    /// Premium.
    Premium,
    /// Access.
    Access,
    /// Premium GOLD.
    Gold,
    /// One that came later.
    Other(u64),
}

#[derive(serde::Serialize)]
struct Nothing {}

#[derive(Deserialize)]
struct WireAccount {
    #[serde(default, deserialize_with = "wire::text")]
    email: Option<String>,
    #[serde(default, deserialize_with = "wire::number")]
    offer: Option<u64>,
    #[serde(default, deserialize_with = "wire::text")]
    subscription_end: Option<String>,
    #[serde(default, deserialize_with = "wire::number")]
    cold_storage: Option<u64>,
    #[serde(default, deserialize_with = "wire::number")]
    hot_storage: Option<u64>,
    #[serde(default, deserialize_with = "wire::number")]
    allowed_cold_storage: Option<u64>,
    #[serde(default, deserialize_with = "wire::signed")]
    available_cold_storage: Option<i64>,
    #[serde(default, deserialize_with = "wire::flag")]
    overquota: bool,
    #[serde(default, deserialize_with = "wire::flag")]
    upload_forbidden: bool,
}

impl Api {
    /// The account's figures; once per ten minutes for all our processes.
    pub async fn account(&self, ask: impl Into<Ask>) -> Result<Account, ApiError> {
        self.asked_with(Call::of(Script::Account), ask).await
    }

    /// The same with whatever key, for who knows that the service refused it before. One that it
    /// takes again is good for all our processes from then on.
    pub async fn account_of_any_key(&self, ask: impl Into<Ask>) -> Result<Account, ApiError> {
        let call = Call::of(Script::Account).insisting();
        self.asked_with(call, ask).await
    }

    async fn asked_with(&self, call: Call, ask: impl Into<Ask>) -> Result<Account, ApiError> {
        account(self.call(call, ask.into(), &Nothing {}).await?)
    }
}

fn account(wire: WireAccount) -> Result<Account, ApiError> {
    let (Some(email), Some(offer)) = (wire.email, wire.offer) else {
        return Err(ApiError::Unparsable(Said::ours(
            "an account without e-mail or offer",
        )));
    };
    Ok(Account {
        email,
        offer: match offer {
            0 => Offer::Free,
            1 => Offer::Premium,
            2 => Offer::Access,
            3 => Offer::Gold,
            other => Offer::Other(other),
        },
        subscription_end: wire.subscription_end.as_deref().and_then(dates::parse),
        cold_used: wire.cold_storage.unwrap_or(0),
        hot_used: wire.hot_storage.unwrap_or(0),
        cold_allowed: wire.allowed_cold_storage,
        // Negative is an excess: nothing is left.
        cold_available: wire
            .available_cold_storage
            .map(|left| u64::try_from(left).unwrap_or(0)),
        over_quota: wire.overquota,
        upload_forbidden: wire.upload_forbidden,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_come_as_strings_and_numbers() {
        let json = r#"{"status":"OK","email":"a@b.c","offer":"1","subscription_end":"2027-01-01 00:00:00",
            "cold_storage":5,"hot_storage":"6","allowed_cold_storage":100,"available_cold_storage":-5,
            "overquota":1,"upload_forbidden":"0"}"#;
        let account = account(serde_json::from_str(json).unwrap()).unwrap();
        assert_eq!(account.offer, Offer::Premium);
        assert_eq!((account.cold_used, account.hot_used), (5, 6));
        assert_eq!(account.cold_available, Some(0));
        assert!(account.over_quota && !account.upload_forbidden);
        assert_eq!(
            account.subscription_end,
            Some("2026-12-31T23:00:00Z".parse().unwrap())
        );
    }

    #[test]
    fn an_answer_without_an_account_is_unreadable() {
        let read = account(serde_json::from_str(r#"{"status":"OK"}"#).unwrap());
        assert!(matches!(read, Err(ApiError::Unparsable(_))));
    }
}
