//! Folders that somebody wants listed anew with all below them: each is a job that is asked
//! after until it is done, and ends when nobody asks any more.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::answers::Handle;
use crate::api::Class;
use crate::control::protocol::{Failed, WalkProgress};
use crate::control::{Refusal, RefusalKind};
use crate::ids::Ino;
use crate::tree::refresh::Refresher;
use crate::tree::walk::Walk;

/// How long a walk goes on without being asked after.
const FORGOTTEN: Duration = Duration::from_secs(15);

/// The jobs, by number. Cheap to clone.
#[derive(Clone, Default)]
pub struct Jobs {
    running: Arc<Mutex<Running>>,
}

#[derive(Default)]
struct Running {
    last: u64,
    jobs: HashMap<u64, Job>,
}

struct Job {
    walk: Arc<Mutex<Walk>>,
    asked: Instant,
    done: bool,
}

/// Looks at all folders from `root` on anew, in the background, where that is wanted.
pub async fn at_start(refresher: Refresher, root: Option<Ino>) {
    let Some(root) = root else {
        return;
    };
    let walk = Mutex::default();
    refresher.walk(root, Class::Background, &walk).await;
    let Walk { done, failed, .. } = walk.into_inner();
    tracing::info!(
        folders = done,
        failed = failed.len(),
        "all folders were looked at anew"
    );
}

impl Jobs {
    fn begin(&self, refresher: Refresher, root: Ino) -> u64 {
        let walk = Arc::new(Mutex::new(Walk::default()));
        let mut running = self.running.lock();
        running.last += 1;
        let number = running.last;
        let job = Job {
            walk: walk.clone(),
            asked: Instant::now(),
            done: false,
        };
        running.jobs.insert(number, job);
        let jobs = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = refresher.walk(root, Class::Refresh, &walk) => jobs.ended(number),
                () = jobs.forgotten(number) => {}
            }
            // Who began it may be gone.
            jobs.forgotten(number).await;
            jobs.running.lock().jobs.remove(&number);
        });
        number
    }

    fn ended(&self, number: u64) {
        if let Some(job) = self.running.lock().jobs.get_mut(&number) {
            job.done = true;
        }
    }

    /// Resolves when nobody has asked after the job for long.
    async fn forgotten(&self, number: u64) {
        loop {
            let asked = self.running.lock().jobs.get(&number).map(|job| job.asked);
            let rest = asked.and_then(|at| FORGOTTEN.checked_sub(at.elapsed()));
            match rest {
                Some(rest) => tokio::time::sleep(rest).await,
                None => return,
            }
        }
    }

    /// How far a job is, and whether it has ended: then it is forgotten.
    fn ask(&self, number: u64) -> Option<(Walk, bool)> {
        let mut running = self.running.lock();
        let job = running.jobs.get_mut(&number)?;
        job.asked = Instant::now();
        let told = (job.walk.lock().clone(), job.done);
        if told.1 {
            running.jobs.remove(&number);
        }
        Some(told)
    }
}

impl Handle {
    /// Begins a walk over a folder; returns its number.
    pub(super) fn begin_walk(&self, folder: Ino) -> u64 {
        let refresher = self.shared.parts.below.refresher.clone();
        self.shared.walks.begin(refresher, folder)
    }

    /// Tells how far a walk is.
    pub(super) fn walk_progress(&self, job: u64) -> Result<WalkProgress, Refusal> {
        let Some((walk, done)) = self.shared.walks.ask(job) else {
            let line = "nobody asked after this refresh for too long, and it was ended";
            return Err(Refusal::new(RefusalKind::NotNow, line));
        };
        let errors = walk.failed.into_iter().map(|(ino, reason)| Failed {
            path: self.shown(ino).unwrap_or_default(),
            reason,
        });
        Ok(WalkProgress {
            job,
            folders: walk.folders,
            listed: walk.done,
            waits: walk.waits,
            errors: errors.collect(),
            done,
        })
    }
}
