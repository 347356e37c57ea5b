//! `queue list`, `wait`, `flush`, `cancel`, `retry`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::args::QueueVerb;
use super::exit::{Exit, Failure};
use super::show::{self, Countdown, Paint, Tone};
use super::{Outcome, load};
use crate::control::Client;
use crate::control::protocol::{Becomes, Cancelled, Item, ItemState, Queue, Transfer, Work};

/// How long one request waits: also how often the countdown moves.
const STEP: Duration = Duration::from_secs(1);

pub(super) async fn run(verb: QueueVerb) -> Outcome {
    match verb {
        QueueVerb::List { json, mount } => {
            let queue = load::daemon(mount.mountpoint.as_deref())
                .await?
                .queue()
                .await?;
            if json {
                show::print_json(&queue)?;
            } else {
                show::print(&listed(&queue, Paint::for_stdout()))?;
            }
            Ok(Exit::Done)
        }
        QueueVerb::Wait { timeout, path } => {
            let (daemon, inner) = target(path).await?;
            wait(&daemon, inner, timeout).await
        }
        QueueVerb::Flush { path } => {
            let (daemon, inner) = target(path).await?;
            daemon.flush(inner).await?;
            Ok(Exit::Done)
        }
        QueueVerb::Cancel { path, force, json } => {
            // The mount itself stands for all that is queued in it.
            let (daemon, inner) = match path {
                None => (load::daemon(None).await?, None),
                Some(path) => {
                    let (daemon, inner) = load::within(&path).await?;
                    (daemon, Some(inner))
                }
            };
            let cancelled = daemon.cancel(inner, force).await?;
            if json {
                show::print_json(&cancelled)?;
            } else {
                show::print(&given_up(&cancelled, force))?;
            }
            refused(&cancelled, force)
        }
        QueueVerb::Retry { path } => {
            let (daemon, inner) = target(path).await?;
            let again = daemon.retry(inner).await?;
            show::print(&format!("{} taken up again\n", show::count(again, "item")))?;
            Ok(Exit::Done)
        }
    }
}

/// The daemon, and the path in its mount; the mount's root means everything.
async fn target(path: Option<PathBuf>) -> Result<(Client, Option<PathBuf>), Failure> {
    match path {
        None => Ok((load::daemon(None).await?, None)),
        Some(path) => {
            let (daemon, inner) = load::within(&path).await?;
            let whole = inner.as_os_str().is_empty();
            Ok((daemon, (!whole).then_some(inner)))
        }
    }
}

/// What was given up, for people.
fn given_up(cancelled: &Cancelled, force: bool) -> String {
    let mut out = String::new();
    let lost = if force { "lost" } else { "would be lost" };
    for loss in &cancelled.losses {
        let path = show::plain(&loss.path.to_string_lossy());
        let becomes = match loss.becomes {
            Becomes::Nothing => "the service has nothing of it",
            Becomes::Older => "the version of the service stays",
        };
        let size = show::size(loss.bytes);
        out.push_str(&format!("{lost}: /{path} ({size}; {becomes})\n"));
    }
    for path in &cancelled.left {
        let path = show::plain(&path.to_string_lossy());
        out.push_str(&format!("left: /{path} (open, in use, or sent just now)\n"));
    }
    if cancelled.count > 0 || cancelled.losses.is_empty() {
        out.push_str(&format!(
            "{} given up\n",
            show::count(cancelled.count, "item")
        ));
    }
    out
}

/// The outcome of giving up.
fn refused(cancelled: &Cancelled, force: bool) -> Outcome {
    if !force && !cancelled.losses.is_empty() {
        let line = "nothing was given up, since bytes would be lost that exist here alone: \
                    --force gives them up";
        return Err(Failure::new(Exit::Failed, line));
    }
    if cancelled.left.is_empty() {
        return Ok(Exit::Done);
    }
    let line = format!(
        "{} not given up: close what is open and try again",
        show::count(cancelled.left.len() as u64, "item")
    );
    Err(Failure::new(Exit::WorkLeft, line))
}

async fn wait(daemon: &Client, path: Option<PathBuf>, timeout: Option<Duration>) -> Outcome {
    // Once: again and again it would end the waits after failures too.
    daemon.flush(path.clone()).await?;
    let countdown = Countdown::new("sending what is queued");
    let until = timeout.map(|timeout| Instant::now() + timeout);
    loop {
        let now = Instant::now();
        let step = until.map_or(STEP, |until| STEP.min(until.saturating_duration_since(now)));
        let left = daemon.wait_for(path.clone(), step).await?;
        countdown.left(&left);
        if left.total() == 0 {
            return Ok(Exit::Done);
        }
        if left.is_drained() {
            let line = format!(
                "{} failed: `fichierfs queue list` says why, `fichierfs queue retry` tries again",
                show::count(left.failed, "item")
            );
            return Err(Failure::new(Exit::WorkLeft, line));
        }
        if until.is_some_and(|until| now >= until) {
            let line = format!("still queued: {}", show::backlog(&left));
            return Err(Failure::new(Exit::WorkLeft, line));
        }
    }
}

fn listed(queue: &Queue, paint: Paint) -> String {
    let mut out = format!("{}\n", show::backlog(&queue.backlog));
    for item in &queue.items {
        let sending = queue.transfers.iter().find(|t| t.path == item.path);
        out.push_str(&row(item, sending, paint));
    }
    out
}

fn row(item: &Item, sending: Option<&Transfer>, paint: Paint) -> String {
    let path = show::plain(&item.path.to_string_lossy());
    let what: Vec<&str> = item.work.iter().map(|work| name(*work)).collect();
    let what = what.join("+");
    let size = match item.size {
        0 => String::new(),
        size => show::size(size),
    };
    let state = match (item.state, sending, item.wait_seconds) {
        (ItemState::Failed, ..) => paint.tone(Tone::Bad, "failed"),
        (ItemState::Sending, Some(t), _) => {
            let eta = t.eta_seconds().map(|eta| format!(", {}", show::span(eta)));
            let eta = eta.unwrap_or_default();
            let again = match t.attempt {
                0 | 1 => String::new(),
                n => format!(" (try {n})"),
            };
            let (sent, rate) = (show::size(t.sent), show::size(t.rate));
            format!("{}% ({sent}) at {rate}/s{eta}{again}", percent(t))
        }
        (ItemState::Open, ..) => "still open".to_owned(),
        (ItemState::Sending, None, _) => "under way".to_owned(),
        (ItemState::Confirming, ..) => "to be confirmed".to_owned(),
        (ItemState::Waiting, _, Some(seconds)) => {
            let again = match item.attempts {
                0 => String::new(),
                failed => format!("try {} ", failed + 1),
            };
            format!("{again}in {}", show::span(seconds))
        }
        (ItemState::Waiting, ..) => "waiting".to_owned(),
    };
    let mut row = format!("{what:<12} {size:>10}  {state:<16} /{path}\n");
    if let Some(error) = &item.error {
        row.push_str(&format!("{:>25} {}\n", "", show::plain(error)));
    }
    row
}

fn name(work: Work) -> &'static str {
    match work {
        Work::Upload => "upload",
        Work::Move => "move",
        Work::Make => "make",
        Work::Remove => "remove",
    }
}

pub(super) fn percent(transfer: &Transfer) -> u64 {
    (u128::from(transfer.sent) * 100 / u128::from(transfer.size.max(1))).min(100) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::{Backlog, SCHEMA};

    #[test]
    fn a_row_says_what_is_done_with_which_file_and_why_it_failed() {
        let item = |path: &str, state, error: Option<&str>| Item {
            path: path.into(),
            work: vec![Work::Upload, Work::Move],
            size: 1 << 20,
            attempts: 1,
            wait_seconds: (state == ItemState::Waiting).then_some(90),
            error: error.map(str::to_owned),
            state,
        };
        let queue = Queue {
            schema: SCHEMA,
            backlog: Backlog {
                uploads: 3,
                upload_bytes: 3 << 20,
                failed: 1,
                ..Backlog::default()
            },
            items: vec![
                item("a/b", ItemState::Sending, None),
                item("c", ItemState::Waiting, None),
                item("d\u{7}", ItemState::Failed, Some("quota exceeded")),
            ],
            transfers: vec![Transfer {
                path: "a/b".into(),
                sent: 1 << 19,
                size: 1 << 20,
                rate: 1024,
                attempt: 2,
            }],
        };
        let text = listed(&queue, Paint::plain());
        for part in [
            "3 uploads (3.00 MiB); 1 failed\n",
            "upload+move    1.00 MiB  50% (512.00 KiB) at 1.00 KiB/s, 8m 32s (try 2) /a/b\n",
            "try 2 in 1m 30s  /c\n",
            "failed           /d\\u{7}\n",
            "quota exceeded\n",
        ] {
            assert!(text.contains(part), "{part:?} not in:\n{text}");
        }
    }
}
