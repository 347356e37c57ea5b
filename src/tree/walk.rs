//! Lists a folder and all folders below it anew, a few at a time. It lasts as long as the
//! pace of calls makes it last, and waits locks out.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use parking_lot::Mutex;

use super::refresh::{RefreshError, Refresher};
use crate::api::{ApiError, Class};
use crate::ids::{Ino, Time};

/// Folders listed at a time: enough to keep the pace busy.
const AT_ONCE: usize = 4;

/// How long one try may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often a folder is tried where nothing but the line or the service fails.
const TRIES: u32 = 3;

/// The longest sleep before it is tried again, or a lock is looked at.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How far a walk is.
#[derive(Clone, Default, Debug)]
pub struct Walk {
    /// Folders known to be listed by it, so far.
    pub folders: u64,
    /// Those that are done, listed or not.
    pub done: u64,
    /// What it waits for beyond its turn, in words.
    pub waits: Option<String>,
    /// Folders that could not be listed, with the reason.
    pub failed: Vec<(Ino, String)>,
}

impl Refresher {
    /// Lists `root` and all below it by calls made from now on: when it returns, what the
    /// service listed meanwhile is seen. `progress` tells how far it is.
    pub async fn walk(&self, root: Ino, class: Class, progress: &Mutex<Walk>) {
        let since = Time::now();
        let mut known = vec![root];
        let mut under_way = FuturesUnordered::new();
        progress.lock().folders = 1;
        loop {
            while under_way.len() < AT_ONCE
                && let Some(folder) = known.pop()
            {
                under_way.push(async move {
                    let outcome = self.list_patiently(folder, since, class, progress).await;
                    (folder, outcome)
                });
            }
            let Some((folder, outcome)) = under_way.next().await else {
                return;
            };
            let below = match outcome {
                Ok(()) => {
                    let below = self.inner.ground.tree.folders_in(folder);
                    below.map_err(|error| error.to_string())
                }
                Err(error) => Err(error.to_string()),
            };
            let mut progress = progress.lock();
            progress.done += 1;
            match below {
                Ok(below) => {
                    progress.folders += below.len() as u64;
                    known.extend(below);
                }
                Err(reason) => progress.failed.push((folder, reason)),
            }
        }
    }

    async fn list_patiently(
        &self,
        folder: Ino,
        since: Time,
        class: Class,
        progress: &Mutex<Walk>,
    ) -> Result<(), RefreshError> {
        let mut tries = 0;
        loop {
            let deadline = Instant::now() + PATIENCE;
            let error = match self.refresh_since(folder, since, class, deadline).await {
                Ok(()) => break,
                Err(error) => error,
            };
            let pause = match &error {
                // Our own pace: a lock, or the floor of this folder.
                RefreshError::Api(ApiError::Waiting { until, .. }) => {
                    let wait = until.duration_since(Timestamp::now());
                    Duration::try_from(wait).unwrap_or_default()
                }
                RefreshError::TimedOut => Duration::ZERO,
                RefreshError::Api(api) if api.is_passing() && tries + 1 < TRIES => {
                    tries += 1;
                    self.inner.ground.source.api().limits().folder_gap * 2
                }
                _ => return Err(error),
            };
            progress.lock().waits = Some(error.to_string());
            let pause = pause.clamp(Duration::from_millis(50), LONGEST_PAUSE);
            tokio::time::sleep(pause).await;
        }
        progress.lock().waits = None;
        self.completed(folder).await;
        Ok(())
    }
}
