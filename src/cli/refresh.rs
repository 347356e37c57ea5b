//! `refresh`: lists folders anew through the daemon that has them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::exit::{Exit, Failure};
use super::show::{self, Countdown};
use super::{Outcome, load};
use crate::control::Client;
use crate::control::protocol::{WalkProgress, WalkRequest};

/// How often progress is looked at.
const STEP: Duration = Duration::from_millis(250);

pub(super) async fn run(paths: &[PathBuf], recursive: bool) -> Outcome {
    let mut failed = 0;
    for path in paths {
        let (daemon, inner) = load::within(path).await?;
        let title = format!("listing {}", show::plain(&path.to_string_lossy()));
        let countdown = Countdown::new(&title);
        if !recursive {
            countdown.say("a folder is listed at most every 30 s".to_owned());
            daemon.refresh(inner).await?;
            continue;
        }
        let walk = walk(&daemon, &inner, &countdown).await?;
        drop(countdown);
        show::print(&told(&walk))?;
        failed += walk.errors.len() as u64;
    }
    match failed {
        0 => Ok(Exit::Done),
        failed => {
            let line = format!("{} not listed, see above", show::count(failed, "folder"));
            Err(Failure::new(Exit::Failed, line))
        }
    }
}

async fn walk(
    daemon: &Client,
    inner: &Path,
    countdown: &Countdown,
) -> Result<WalkProgress, Failure> {
    let mut ask = WalkRequest {
        path: inner.to_owned(),
        job: None,
    };
    loop {
        let walk = daemon.walk(&ask).await?;
        if walk.done {
            return Ok(walk);
        }
        countdown.say(progress(&walk));
        ask.job = Some(walk.job);
        tokio::time::sleep(STEP).await;
    }
}

fn progress(walk: &WalkProgress) -> String {
    let folders = show::count(walk.folders, "folder");
    let mut line = format!("{} of {folders} known", walk.listed);
    if let Some(waits) = &walk.waits {
        line.push_str(&format!("; {}", show::plain(waits)));
    }
    line
}

fn told(walk: &WalkProgress) -> String {
    let listed = walk.listed - walk.errors.len() as u64;
    let mut out = format!("{} listed\n", show::count(listed, "folder"));
    for failed in &walk.errors {
        let path = show::plain(&failed.path.to_string_lossy());
        let reason = show::plain(&failed.reason);
        out.push_str(&format!("not listed: /{path}: {reason}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::Failed;

    #[test]
    fn how_far_it_is_and_what_failed_is_told() {
        let walk = WalkProgress {
            job: 1,
            folders: 7,
            listed: 3,
            waits: Some("locked".into()),
            errors: vec![Failed {
                path: "a/b".into(),
                reason: "not found".into(),
            }],
            done: false,
        };
        assert_eq!(progress(&walk), "3 of 7 folders known; locked");
        assert_eq!(
            told(&walk),
            "2 folders listed\nnot listed: /a/b: not found\n"
        );
    }
}
