//! `account`: the figures that the service last told.

use std::path::Path;

use super::exit::Exit;
use super::show::{self, Paint, Tone};
use super::{Outcome, load};
use crate::control::protocol::{Account, Alone};

pub(super) async fn run(json: bool, mountpoint: Option<&Path>) -> Outcome {
    let account = load::daemon(mountpoint).await?.account().await?;
    if json {
        show::print_json(&Alone::new(account))?;
    } else {
        show::print(&text(&account, Paint::for_stdout()))?;
    }
    Ok(Exit::Done)
}

/// The figures in lines.
pub(super) fn text(account: &Account, paint: Paint) -> String {
    let mut out = format!(
        "{}  {}",
        paint.tone(Tone::Strong, &show::plain(&account.email)),
        show::plain(&account.offer)
    );
    if let Some(end) = &account.subscription_end {
        out.push_str(&format!(" until {}", end.get(..10).unwrap_or(end)));
    }
    out.push('\n');
    out.push_str(&match account.cold_allowed {
        Some(allowed) => format!(
            "storage   {} of {}\n",
            show::size(account.cold_used),
            show::size(allowed)
        ),
        None => format!("storage   {}\n", show::size(account.cold_used)),
    });
    if account.hot_used > 0 {
        out.push_str(&format!("hot       {}\n", show::size(account.hot_used)));
    }
    for (wrong, line) in [
        (
            account.over_quota,
            "the quota is exceeded: free some room, or uploads stay queued",
        ),
        (
            account.upload_forbidden,
            "the service forbids uploads: see its site for the reason",
        ),
    ] {
        if wrong {
            out.push_str(&paint.tone(Tone::Bad, line));
            out.push('\n');
        }
    }
    out.push_str(&format!("as of     {}\n", account.as_of));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_the_account_is_told() {
        let mut account = Account {
            as_of: "2026-01-01T00:00:00Z".into(),
            email: "a@b.c".into(),
            offer: "Premium".into(),
            subscription_end: Some("2027-02-03T00:00:00Z".into()),
            cold_used: 1 << 30,
            cold_allowed: Some(1 << 40),
            hot_used: 0,
            over_quota: false,
            upload_forbidden: false,
        };
        let fine = text(&account, Paint::plain());
        assert!(
            fine.starts_with("a@b.c  Premium until 2027-02-03\nstorage   1.00 GiB of 1.00 TiB\n")
        );
        assert!(!fine.contains("quota"));
        account.over_quota = true;
        assert!(text(&account, Paint::plain()).contains("quota is exceeded"));
    }
}
