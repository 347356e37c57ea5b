//! `unmount`: the mount goes at once, the command returns when the queue is empty.

use std::path::Path;
use std::time::{Duration, Instant};

use super::args::UnmountArgs;
use super::exit::{Exit, Failure};
use super::show::{self, Countdown};
use super::{Outcome, load};
use crate::control::protocol::{Backlog, Parting};
use crate::control::{Client, ControlError};
use crate::daemon;
use crate::fuse::health;

/// How long one request waits: also how often the countdown moves.
const STEP: Duration = Duration::from_secs(1);

/// A daemon that has nothing left to do ends within this.
const END: Duration = Duration::from_secs(30);

pub(super) async fn run(args: &UnmountArgs) -> Outcome {
    if args.if_dead {
        return clear(args.mount.mountpoint.as_deref());
    }
    let daemon = match &args.mount.mountpoint {
        Some(path) => exactly(path).await?,
        None => load::daemon(None).await?,
    };
    if args.no_wait {
        let left = daemon.wait(Duration::ZERO).await?;
        daemon.stop(Parting::Leave).await?;
        return ended(&daemon, left).await;
    }
    let usual = match daemon.stop(Parting::Drain).await {
        // It was killed over the answer: what it left is read from its state.
        Err(ControlError::Gone(_)) => END,
        stopped => stopped?,
    };
    let left = drained(&daemon, args.drain_timeout.unwrap_or(usual)).await?;
    // Another daemon may have taken over; that one is not asked to stop.
    if !left.is_drained() && matches!(daemon.is_same().await, Ok(true)) {
        match daemon.stop(Parting::Leave).await {
            // It came to its end at this very moment.
            Err(ControlError::Gone(_) | ControlError::Socket { .. }) => {}
            stopped => {
                stopped?;
            }
        }
    }
    ended(&daemon, left).await
}

/// The daemon that is mounted there: a folder in its mount is no mount of its own.
async fn exactly(path: &Path) -> Result<Client, Failure> {
    let (daemon, inner) = load::within(path).await?;
    if inner.as_os_str().is_empty() {
        return Ok(daemon);
    }
    let at = daemon.hello().mountpoint.display();
    let line = format!(
        "{} is a folder in the mount on {at}, and no mount of its own",
        path.display()
    );
    Err(Failure::new(Exit::NoMount, line))
}

/// Takes a mount away that nobody serves any more.
fn clear(mountpoint: Option<&Path>) -> Outcome {
    let Some(path) = mountpoint.map(std::path::absolute).transpose()? else {
        return Ok(Exit::Done);
    };
    for wreck in health::wrecks()?.into_iter().filter(|at| *at == path) {
        health::clear_wreck(&wreck).map_err(|error| Failure::of(&error))?;
    }
    Ok(Exit::Done)
}

/// Waits for the queue of a daemon that ends by itself once it is empty; it may also be killed, or
/// give way to another one.
async fn drained(daemon: &Client, at_most: Duration) -> Result<Backlog, Failure> {
    let countdown = Countdown::new("unmounted, sending what is queued");
    let until = Instant::now() + at_most;
    let mut silent: Option<Instant> = None;
    loop {
        let now = Instant::now();
        let step = STEP.min(until.saturating_duration_since(now));
        let asked = match daemon.is_same().await {
            Ok(true) => daemon.wait(step).await,
            // The one that has the state now knows what is left.
            Ok(false) => return Ok(daemon.wait(Duration::ZERO).await?),
            Err(error) => Err(error),
        };
        match asked {
            Ok(left) => {
                silent = None;
                countdown.left(&left);
                if left.is_drained() || now >= until {
                    return Ok(left);
                }
            }
            Err(ControlError::Gone(_) | ControlError::Socket { .. }) => {
                if let Some(left) = daemon::left_in(&daemon.hello().state_dir)? {
                    return Ok(left);
                }
                if silent.get_or_insert(now).elapsed() > END {
                    let line = "unmounted, but what is left is not known: the state is in use, and nobody answers for it";
                    return Err(Failure::new(Exit::Failed, line));
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits for the process to end, so that a mount or a shutdown may follow.
async fn ended(daemon: &Client, left: Backlog) -> Outcome {
    let until = Instant::now() + END;
    while matches!(daemon.is_same().await, Ok(true)) {
        if Instant::now() > until {
            let pid = daemon.hello().pid;
            let line = format!(
                "unmounted, but process {pid} does not end; its work is kept if you end it with `kill {pid}`"
            );
            return Err(Failure::new(Exit::Failed, line));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    if left.total() == 0 {
        return Ok(Exit::Done);
    }
    let what = show::backlog(&left);
    let line =
        format!("unmounted with work left: {what}; it goes on at the next `fichierfs mount`");
    Err(Failure::new(Exit::WorkLeft, line))
}
