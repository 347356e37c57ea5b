//! `user/info.cgi` (API notes 7).

use super::context::Context;
use super::error::ApiError;
use super::reply::Reply;
use crate::sim::dates::to_paris;
use crate::sim::world::{State, now};

/// Options that a call may set; texts in the answer, `"0"` before.
const TEXTS: [&str; 7] = [
    "ftp_mode",
    "ftp_report",
    "ru_report",
    "default_port",
    "default_port_files",
    "use_cdn",
    "download_menu",
];

/// The same, as numbers, with what they are before.
const NUMBERS: [(&str, i64); 3] = [("ftp_did", 0), ("default_domain", 0), ("page_limit", 100)];

/// Texts that are only shown.
const SHOWN: [&str; 2] = ["mail_rm", "2fa"];

/// Sets the options that were sent, if any, and shows the account's figures.
pub fn info(context: &Context<'_>, state: &mut State) -> Result<Reply, ApiError> {
    let profile = state
        .profiles
        .get_mut(context.account)
        .ok_or(ApiError::NoSuchUser)?;
    let settable = TEXTS.into_iter().chain(NUMBERS.map(|(name, _)| name));
    for name in settable {
        if let Some(number) = context.params.int(name)? {
            profile.options.insert(name, number);
        }
    }
    let used = state
        .accounts
        .get(context.account)
        .map_or(0, |account| account.bytes());
    let quota = profile.config.quota;
    let available = quota.saturating_sub(used);
    let forbidden = profile.upload_forbidden || used > quota;
    let mut reply = Reply::ok([
        ("email", profile.config.email.clone().into()),
        ("offer", profile.config.offer.to_string().into()),
        ("subscription_end", "2031-01-01 00:00:00".into()),
        ("cold_storage", used.into()),
        ("hot_storage", 0.into()),
        ("allowed_cold_storage", quota.into()),
        ("available_cold_storage", available.into()),
        ("available_storage", available.into()),
        ("default_quota", quota.into()),
        ("default_cold_storage_quota", quota.into()),
        ("overquota", u8::from(used > quota).into()),
        ("upload_forbidden", u8::from(forbidden).to_string().into()),
        ("stats_date", to_paris(now()).into()),
        ("cdn", "0".into()),
    ]);
    let set = |name| profile.options.get(name).copied();
    for name in TEXTS.into_iter().chain(SHOWN) {
        reply.set(name, set(name).unwrap_or(0).to_string());
    }
    for (name, initial) in NUMBERS {
        reply.set(name, set(name).unwrap_or(initial));
    }
    Ok(reply)
}
