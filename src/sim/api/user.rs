//! `user/info.cgi` (API notes 7).

use super::Context;
use super::error::ApiError;
use super::reply::Reply;
use crate::sim::dates::to_paris;
use crate::sim::world::{State, now};

/// The account's figures. Options that are sent are accepted and forgotten.
pub fn info(context: &Context<'_>, state: &mut State) -> Result<Reply, ApiError> {
    let profile = state
        .profiles
        .get(context.account)
        .ok_or(ApiError::NoSuchUser)?;
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
        ("page_limit", 100.into()),
        ("default_domain", 0.into()),
        ("ftp_did", 0.into()),
    ]);
    for option in [
        "use_cdn",
        "mail_rm",
        "2fa",
        "ftp_mode",
        "ftp_report",
        "ru_report",
        "default_port",
        "default_port_files",
        "download_menu",
    ] {
        reply.set(option, "0");
    }
    Ok(reply)
}
