//! Everything for one screen: what each room tells of itself, put together.

use std::path::PathBuf;

use jiff::Timestamp;

use super::answers::Handle;
use super::figures;
use crate::api::PaceStatus;
use crate::api::limits::LISTING_CAP;
use crate::content::ContentStats;
use crate::control::Controlled;
use crate::control::protocol::{
    Api, Cache, Failed, Freshness, NotWhole, Reads, Status, Totals, Transfer,
};
use crate::ids::Time;
use crate::tree::{self, CutOff, Node, Progress, TreeError};

/// How many failures of a kind are told with the rest.
const FAILURES: usize = 10;

impl Handle {
    /// Everything for one screen.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn overview(&self) -> Result<Status, TreeError> {
        let shared = &self.shared;
        let below = &shared.parts.below;
        let stats = below.content.stats();
        let totals = below.tree.totals()?;
        let queue = self.backlog()?;
        let transfers = self.transfers()?;
        let upload_rate = transfers.iter().map(|t| t.rate).sum();
        let sent: u64 = transfers.iter().map(|t| t.sent).sum();
        Ok(Status {
            daemon: self.hello(),
            uptime_seconds: shared.started.elapsed().as_secs(),
            account: figures::load(&below.store)?,
            queue,
            upload_rate,
            upload_eta_seconds: queue
                .upload_bytes
                .saturating_sub(sent)
                .checked_div(upload_rate),
            transfers,
            failures: self.failures()?,
            staged_bytes: below.staging.usage().staged,
            reads: reads(&stats, shared.rates.now()),
            cache: Cache {
                damaged: self.damaged()?,
                ..cache(&stats)
            },
            tree: Totals {
                files: totals.files,
                bytes: totals.bytes,
            },
            freshness: self.freshness()?,
            api: self.api().await,
        })
    }

    /// Uploads under way.
    pub(super) fn transfers(&self) -> Result<Vec<Transfer>, TreeError> {
        let parts = &self.shared.parts;
        let mut transfers = Vec::new();
        for transfer in parts.transfers() {
            let queued = parts.below.tree.queued(transfer.ino)?;
            let seconds = transfer.running.as_secs_f64().max(0.001);
            transfers.push(Transfer {
                path: self.shown(transfer.ino)?,
                sent: transfer.sent,
                size: transfer.size,
                rate: (transfer.sent as f64 / seconds) as u64,
                attempt: queued.map_or(0, |queued| queued.attempts) + 1,
            });
        }
        Ok(transfers)
    }

    fn failures(&self) -> Result<Vec<Failed>, TreeError> {
        let parked = self.shared.parts.below.tree.parked(FAILURES)?;
        let failed = |queued: tree::journal::Queued| {
            Ok(Failed {
                path: self.shown(queued.ino)?,
                reason: queued.error.unwrap_or_default(),
            })
        };
        parked.into_iter().map(failed).collect()
    }

    fn freshness(&self) -> Result<Freshness, TreeError> {
        let below = &self.shared.parts.below;
        let known = below.tree.freshness()?;
        let folders = match known.cut_off {
            0 => Vec::new(),
            _ => below.refresher.cut_off(FAILURES)?,
        };
        Ok(Freshness {
            not_whole: folders
                .into_iter()
                .map(|(stands, folder)| self.not_whole(&folder, stands))
                .collect::<Result<_, TreeError>>()?,
            ..freshness(known)
        })
    }

    fn not_whole(&self, folder: &Node, stands: CutOff) -> Result<NotWhole, TreeError> {
        let vfs = &self.shared.parts.vfs;
        let new_names = vfs.allows_new(folder.ino)?;
        Ok(NotWhole {
            path: self.shown(folder.ino)?,
            coming: matches!(stands, CutOff::Coming(_)),
            reason: why(stands),
            new_names,
            allowable: !new_names && vfs.may_allow_new(folder) && self.is_within(folder.ino)?,
        })
    }

    /// Files whose bytes are wrong. Those that are not in the account any more are of no
    /// interest.
    fn damaged(&self) -> Result<Vec<PathBuf>, TreeError> {
        let below = &self.shared.parts.below;
        let mut paths = Vec::new();
        for id in below.content.damaged(FAILURES) {
            if let Some(node) = below.tree.by_file_id(&id)? {
                paths.push(self.shown(node.ino)?);
            }
        }
        Ok(paths)
    }

    /// By which the pace knows the key in use.
    fn key_print(&self) -> Option<String> {
        let key = self.shared.parts.below.api.keys().get()?;
        Some(key.print())
    }

    /// What the pace of calls tells.
    pub(super) async fn api(&self) -> Api {
        match self.shared.parts.below.api.pace().status().await {
            Ok(pace) => api(&pace, self.key_print().as_ref()),
            Err(error) => {
                tracing::debug!(%error, "no figures of the pace");
                Api::default()
            }
        }
    }
}

fn api(pace: &PaceStatus, key: Option<&String>) -> Api {
    let own = |kind: &str| kind.to_owned();
    let address = pace
        .address_lock
        .iter()
        .map(|lock| (own("all calls"), lock));
    let kinds = pace.locks.iter().map(|(kind, lock)| (own(kind), lock));
    Api {
        rate: pace.rate,
        saved_up: pace.saved_up,
        waiting: pace.waiting as u64,
        failing: pace.failing as u64,
        failing_limit: pace.failing_budget as u64,
        locks_ever: pace.locks_ever,
        locks: address
            .chain(kinds)
            .map(|(kind, lock)| (kind, lock.until.to_string()))
            .collect(),
        calls: pace
            .calls
            .iter()
            .map(|(kind, count)| (own(kind), *count))
            .collect(),
        key_refused: pace.refused_key.is_some() && pace.refused_key.as_ref() == key,
    }
}

fn reads(stats: &ContentStats, rates: super::rates::Rates) -> Reads {
    Reads {
        streams: stats.connections,
        rate: rates.given,
        fetch_rate: rates.fetched,
        open_files: stats.pinned_files,
        waited_bytes: stats.miss_bytes,
        links: stats.links,
        requests: stats.requests,
        retries: stats.retries,
        failed: stats.failed_reads,
    }
}

fn cache(stats: &ContentStats) -> Cache {
    Cache {
        used: stats.cached_bytes,
        limit: stats.cache_limit,
        files: stats.cached_files,
        hit_bytes: stats.hit_bytes,
        passed_opens: stats.passed_opens,
        fetched_bytes: stats.fetched_bytes,
        fetching: stats.flights,
        sound_files: stats.sound_files,
        damaged_files: stats.damaged_files,
        check_cpu_ms: stats.check_nanos / 1_000_000,
        ..Cache::default()
    }
}

/// Why a folder is not known whole.
pub(super) fn why(stands: CutOff) -> String {
    match stands {
        CutOff::Coming(Progress { files, left }) => format!(
            "the service lists {LISTING_CAP} at once; the others are asked for by their dates, \
             {files} seen so far, {left} questions left, one in half a minute"
        ),
        CutOff::Unseen => format!(
            "it has more than {LISTING_CAP} sub-folders, or more files of one second, and the \
             service shows no more: a name that was not seen may be there"
        ),
        CutOff::Failed(why) => format!("the files beyond {LISTING_CAP} were not listed: {why}"),
        CutOff::Lacking => "the service counts more files than it shows; it is asked again once \
             somebody looks into it"
            .to_owned(),
        CutOff::Doubted => {
            "the service's last answer lacks what it showed before; it is asked again \
             once somebody looks into it"
                .to_owned()
        }
        CutOff::NotAsked => format!(
            "the service lists {LISTING_CAP} at once; more may be seen once somebody looks into it"
        ),
    }
}

fn freshness(known: tree::Freshness) -> Freshness {
    let text = |at: Time| {
        let at = Timestamp::from_nanosecond(i128::from(at.0)).ok()?;
        Some(at.round(jiff::Unit::Second).unwrap_or(at).to_string())
    };
    Freshness {
        folders: known.folders,
        unlisted: known.unlisted,
        cut_off: known.cut_off,
        not_whole: Vec::new(),
        oldest: known.oldest.and_then(text),
        newest: known.newest.and_then(text),
    }
}
