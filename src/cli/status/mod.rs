//! `status`: everything on one screen, once or live.

mod live;
mod screen;

use std::io::IsTerminal;
use std::time::Duration;

use super::args::StatusArgs;
use super::exit::Exit;
use super::show::{self, Paint};
use super::{Failure, Outcome, load};
use crate::control::protocol::Status;
use crate::control::{Client, ControlError, Health};

/// How often `--watch` looks.
const PERIOD: Duration = Duration::from_secs(1);

pub(super) async fn run(args: &StatusArgs) -> Outcome {
    let daemons = meant(args).await?;
    if args.check {
        return check(&gathered(&daemons).await?);
    }
    if !args.watch {
        show::print(&text(&gathered(&daemons).await?, args.json)?)?;
        return Ok(Exit::Done);
    }
    if !args.json && std::io::stdout().is_terminal() {
        return live::watch(&daemons).await;
    }
    loop {
        show::print(&text(&gathered(&daemons).await?, args.json)?)?;
        tokio::time::sleep(PERIOD).await;
    }
}

fn check(all: &[Status]) -> Outcome {
    for status in all {
        if let Some(problem) = Health::from(status).problems().first() {
            let at = status.daemon.mountpoint.display();
            return Err(Failure::new(Exit::Failed, format!("{at}: {problem}")));
        }
    }
    Ok(Exit::Done)
}

/// The daemons that are meant, at least one.
async fn meant(args: &StatusArgs) -> Result<Vec<Client>, Failure> {
    let daemons = match &args.mount.mountpoint {
        Some(path) => vec![load::daemon(Some(path)).await?],
        None => load::daemons().await,
    };
    match daemons.is_empty() {
        true => Err(ControlError::NotRunning.into()),
        false => Ok(daemons),
    }
}

async fn gathered(daemons: &[Client]) -> Result<Vec<Status>, Failure> {
    let mut all = Vec::new();
    for daemon in daemons {
        all.push(daemon.status().await?);
    }
    Ok(all)
}

/// JSON is one line: an object for a mount that was named or is the only one, else an
/// array.
fn text(all: &[Status], json: bool) -> Result<String, Failure> {
    if !json {
        return Ok(screen::of(all, Paint::for_stdout()));
    }
    let text = match all {
        [one] => serde_json::to_string(one),
        several => serde_json::to_string(several),
    };
    Ok(text.map_err(std::io::Error::from)? + "\n")
}
