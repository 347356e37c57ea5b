//! The loop: what is ready is put into lanes, what is done makes room.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::task::{self, JoinSet};

use super::plan::{Batch, Bounds, GATHER, MAX_SHARED, batches};
use super::{Context, UploadError};
use crate::ids::{FileId, Ino, Time};
use crate::tree::Kind;
use crate::tree::journal::{Task, Underway, Way};

/// Tasks looked at in one round.
const ROUND: usize = 2000;
/// The journal is looked at at least so often; what a handle held back may be
/// free by then.
const TICK: Duration = Duration::from_secs(5);

/// It looks again no sooner after it was woken: who copies many files wakes it at each.
const BREATH: Duration = Duration::from_millis(10);

/// Calls that change names and places: one at a time, since the pace would not
/// let more through, and order is kept without effort.
const CHANGE_LANES: usize = 1;

/// What a batch in work keeps others from touching.
#[derive(Default)]
struct Busy {
    nodes: HashSet<Ino>,
    removals: HashSet<i64>,
    uploads: usize,
    changes: usize,
    settling: usize,
}

/// What a round did.
#[derive(Clone, Copy, Default)]
struct Begun {
    /// Batches were put into lanes: a full round may have left some behind.
    any: bool,
    /// A batch waits for company.
    gathering: bool,
}

/// What was put into a lane, to be taken out when it is done.
struct Claim {
    lane: Lane,
    nodes: Vec<Ino>,
    removals: Vec<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lane {
    Upload,
    Change,
    Settle,
}

pub(super) async fn run(
    context: Arc<Context>,
    wake: Arc<Notify>,
    mut stopped: watch::Receiver<bool>,
) {
    // An earlier process may have waited long before the service did what it was asked for:
    // nothing is looked for before that is noted.
    let mut noted = false;
    let mut busy = Busy::default();
    let mut running = Running::default();
    // After a failure inside, nothing is begun until then.
    let mut rest: Option<Instant> = None;
    loop {
        rest = rest.filter(|until| *until > Instant::now());
        let started = match rest {
            Some(_) => Begun::default(),
            None => match context.begin(&mut noted, &mut busy, &mut running) {
                Ok(started) => started,
                Err(e) => {
                    tracing::error!("the queue cannot be read: {e}");
                    rest = Some(Instant::now() + TICK);
                    Begun::default()
                }
            },
        };
        let pause = match context.tree.next_due(Time::now()) {
            Ok(Some(due)) => due.since(Time::now()).min(TICK),
            _ => TICK,
        };
        let pause = rest.map_or(pause, |until| {
            until.saturating_duration_since(Instant::now())
        });
        let pause = match started {
            Begun {
                gathering: true, ..
            } => pause.min(GATHER / 4),
            Begun { any: true, .. } => pause.min(Duration::from_millis(500)),
            Begun { .. } => pause,
        };
        tokio::select! {
            () = wake.notified() => tokio::time::sleep(BREATH).await,
            () = tokio::time::sleep(pause) => {}
            _ = stopped.changed() => break,
            Some(finished) = running.next() => {
                if let Some(claim) = finished.claim {
                    busy.release(&claim);
                }
                if !finished.well {
                    // The journal holds the same intents as before: at once they
                    // would fail in the same way, and repeat calls that were made.
                    rest = Some(Instant::now() + TICK);
                }
            }
        }
    }
    running.tasks.shutdown().await;
}

/// Batches in work, and what each has claimed.
#[derive(Default)]
struct Running {
    tasks: JoinSet<bool>,
    claims: HashMap<task::Id, Claim>,
}

impl Running {
    fn start(&mut self, claim: Claim, work: impl Future<Output = bool> + Send + 'static) {
        let id = self.tasks.spawn(work).id();
        self.claims.insert(id, claim);
    }

    /// The next batch that ends, also by a panic; `None` when none is in work.
    async fn next(&mut self) -> Option<Finished> {
        let (id, well) = match self.tasks.join_next_with_id().await? {
            Ok((id, well)) => (id, well),
            Err(e) => {
                tracing::error!("a worker failed: {e}");
                (e.id(), false)
            }
        };
        Some(Finished {
            claim: self.claims.remove(&id),
            well,
        })
    }
}

/// A batch that ended.
struct Finished {
    claim: Option<Claim>,
    /// Whether its outcome is in the journal.
    well: bool,
}

impl Busy {
    fn claim(&mut self, claim: &Claim) {
        self.nodes.extend(&claim.nodes);
        self.removals.extend(&claim.removals);
        *self.lane(claim.lane) += 1;
    }

    fn release(&mut self, claim: &Claim) {
        for ino in &claim.nodes {
            self.nodes.remove(ino);
        }
        for id in &claim.removals {
            self.removals.remove(id);
        }
        *self.lane(claim.lane) -= 1;
    }

    fn lane(&mut self, lane: Lane) -> &mut usize {
        match lane {
            Lane::Upload => &mut self.uploads,
            Lane::Change => &mut self.changes,
            Lane::Settle => &mut self.settling,
        }
    }
}

impl Context {
    /// What the loop does in a round, the first of which notes what an earlier process left.
    fn begin(
        self: &Arc<Self>,
        noted: &mut bool,
        busy: &mut Busy,
        running: &mut Running,
    ) -> Result<Begun, UploadError> {
        if !*noted {
            let now = Time::now();
            self.tree.copies_may_be_made(None, now)?;
            self.tree.all_may_be_put(now)?;
            *noted = true;
        }
        self.call_forward()?;
        self.start_ready(busy, running)
    }

    /// Fills free lanes. Returns what was begun.
    fn start_ready(
        self: &Arc<Self>,
        busy: &mut Busy,
        running: &mut Running,
    ) -> Result<Begun, UploadError> {
        let mut started = Begun::default();
        let now = Time::now();
        let in_doubt = self.is_in_doubt();
        if busy.settling == 0 && self.doubt.is_due(now) {
            let claim = Claim {
                lane: Lane::Settle,
                nodes: Vec::new(),
                removals: Vec::new(),
            };
            busy.claim(&claim);
            let context = self.clone();
            running.start(claim, async move { report(context.try_the_key().await) });
            started.any = true;
        }
        if busy.settling == 0 {
            for group in self.unsettled(busy, now)? {
                let claim = Claim {
                    lane: Lane::Settle,
                    nodes: group.iter().map(|u| u.ino).collect(),
                    removals: Vec::new(),
                };
                busy.claim(&claim);
                let context = self.clone();
                running.start(claim, async move { report(context.settle(&group).await) });
                started.any = true;
            }
        }
        if busy.uploads >= self.options.workers && busy.changes >= CHANGE_LANES {
            return Ok(started);
        }
        let abandoned = self.abandoned.lock().clone();
        let is_busy = |ino: Ino| busy.nodes.contains(&ino) || abandoned.contains(&ino);
        let mut tasks = self.tree.ready(now, ROUND, &is_busy)?;
        tasks.retain(|task| !self.is_held(task, busy));
        let sources = self.sources(&tasks)?;
        let coming = match tasks.iter().any(|task| matches!(task, Task::Send { .. })) {
            true => self.tree.coming(now, now.after(GATHER))?,
            false => HashSet::new(),
        };
        let bounds = Bounds {
            shared: self.uplink.shared(MAX_SHARED),
            companies: &self.refusals.companies(),
            leaving: &self.leaving_companies(),
        };
        for batch in batches(tasks, bounds, &sources) {
            if batch.gathers(now, &coming) {
                started.gathering = true;
                continue;
            }
            let claim = claim(&batch);
            let room = match claim.lane {
                Lane::Upload => busy.uploads < self.options.workers && !in_doubt,
                Lane::Change => busy.changes < CHANGE_LANES,
                Lane::Settle => busy.settling == 0,
            };
            if !room {
                continue;
            }
            busy.claim(&claim);
            let context = self.clone();
            running.start(claim, async move {
                report(match batch {
                    Batch::Upload(sends) => context.upload(sends).await,
                    change => context.change(change).await,
                })
            });
            started.any = true;
        }
        Ok(started)
    }

    /// In how large a company removals may travel, where that is limited.
    fn leaving_companies(&self) -> HashMap<i64, usize> {
        let mut companies = self.kept.companies();
        for (id, company) in self.unclear.companies() {
            let least = companies.entry(id).or_insert(company);
            *least = company.min(*least);
        }
        companies
    }

    /// Uploads of unknown result whose time has come, by request.
    fn unsettled(&self, busy: &Busy, now: Time) -> Result<Vec<Vec<Underway>>, UploadError> {
        let mut groups: Vec<Vec<Underway>> = Vec::new();
        for upload in self.tree.underway()? {
            if busy.nodes.contains(&upload.ino) || upload.not_before > now {
                continue;
            }
            // What is asked for at once: the result of a request, or the listing that shows
            // copies.
            let same = |g: &&mut Vec<Underway>| {
                g.first().is_some_and(|u| match (&u.way, &upload.way) {
                    (Way::Copy { .. }, Way::Copy { .. }) => u.at.folder == upload.at.folder,
                    (one, other) => one == other,
                })
            };
            match groups.iter_mut().find(same) {
                Some(group) => group.push(upload),
                None => groups.push(vec![upload]),
            }
        }
        Ok(groups)
    }

    /// Whether a removal must wait: it is being made, or somebody still reads the
    /// file.
    fn is_held(&self, task: &Task, busy: &Busy) -> bool {
        let Task::Remove(removal) = task else {
            return false;
        };
        if busy.removals.contains(&removal.id) {
            return true;
        }
        removal.kind != Kind::Folder
            && removal
                .rid
                .parse::<FileId>()
                .is_ok_and(|id| self.content.is_pinned(&id))
    }
}

fn claim(batch: &Batch) -> Claim {
    let (lane, nodes, removals) = match batch {
        Batch::Upload(sends) => (
            Lane::Upload,
            sends.iter().map(|s| s.ino).collect(),
            Vec::new(),
        ),
        Batch::Make { ino, .. }
        | Batch::MoveFolder { ino, .. }
        | Batch::RenameFolder { ino, .. }
        | Batch::Empty(ino) => (Lane::Change, vec![*ino], Vec::new()),
        Batch::Copy { files, .. } => (
            Lane::Change,
            files.iter().map(|copy| copy.ino).collect(),
            Vec::new(),
        ),
        Batch::MoveFiles { files, .. } => (
            Lane::Change,
            files.iter().map(|(ino, _)| *ino).collect(),
            Vec::new(),
        ),
        Batch::RenameFiles(files) => (
            Lane::Change,
            files.iter().map(|(ino, ..)| *ino).collect(),
            Vec::new(),
        ),
        Batch::Look(nodes) => (Lane::Settle, nodes.clone(), Vec::new()),
        Batch::LookForLeaving(removals) => (
            Lane::Settle,
            Vec::new(),
            removals.iter().map(|r| r.id).collect(),
        ),
        Batch::RemoveFiles(removals) => (
            Lane::Change,
            Vec::new(),
            removals.iter().map(|r| r.id).collect(),
        ),
        Batch::RemoveFolder(removal) => (Lane::Change, Vec::new(), vec![removal.id]),
    };
    Claim {
        lane,
        nodes,
        removals,
    }
}

/// What went wrong inside is said; the journal still holds the intent. Returns
/// whether nothing did.
fn report(outcome: Result<(), UploadError>) -> bool {
    if let Err(e) = &outcome {
        tracing::error!("the queue: {e}");
    }
    outcome.is_ok()
}
