//! Sees a folder whole that has more files than a listing holds, in the background at
//! the folder's floor: which questions are asked, [`super::slices`] decides.

use std::time::{Duration, Instant};

use jiff::civil::DateTime;
use jiff::{Timestamp, ToSpan};
use tokio::sync::mpsc::UnboundedSender;

use super::completing::Completing;
use super::convert::listed;
use super::error::RefreshError;
use super::events::Change;
use super::listing::Extent;
use super::slices::Plan;
use super::source::Source;
use super::{Tree, TreeError};
use crate::api::limits::LISTING_CAP;
use crate::api::{ApiError, Ask, Class, FileItem, Listing, clock_of};
use crate::ids::{FolderId, Ino, Time};

/// What it takes, and what a listing takes.
pub(super) struct Ground {
    pub tree: Tree,
    pub source: Source,
    pub completing: Completing,
    pub changes: UnboundedSender<Change>,
}

impl Ground {
    /// Tells of changes. The receiver goes first when the mount ends; nobody caches
    /// then.
    pub fn tell(&self, changes: Vec<Change>) {
        for change in changes {
            let _ = self.changes.send(change);
        }
    }
}

/// What is needed of the listing that was cut.
pub(super) struct First {
    dates: Vec<DateTime>,
    folders: Extent,
    /// The service refused to list the files.
    blind: bool,
}

impl First {
    pub fn of(listing: &Listing) -> First {
        First {
            folders: match listing.folders.len() >= LISTING_CAP {
                true => Extent::Cut,
                false => Extent::Whole,
            },
            dates: dates(&listing.files),
            blind: listing.files.is_empty(),
        }
    }
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    /// All of it, or it is gone.
    Whole,
    /// Some of it cannot be seen by any question.
    Never,
}

/// How long one question may wait for its turn; then it is put again.
const PATIENCE: Duration = Duration::from_secs(300);

/// So many refusals in a row take any slice down to a second: then it is something else that is
/// refused.
const MOST_REFUSED: u32 = 40;

/// The longest sleep before a question is put again.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Asks until all is known. Locks, our own pace and broken networks are waited out.
///
/// # Errors
/// What will not pass by itself; what was seen so far stays.
pub(super) async fn run(
    ground: &Ground,
    folder: Ino,
    id: FolderId,
    first: First,
    asked: Time,
) -> Result<Seen, RefreshError> {
    let First {
        dates,
        folders,
        blind,
    } = first;
    let end = clock_of(Timestamp::now()).saturating_add(1.day());
    let mut plan = match blind {
        true => Plan::blind(end),
        false => Plan::new(&dates),
    };
    let mut refused = 0;
    while let Some((slice, window)) = plan.next() {
        let gap = ground.source.api().limits().folder_gap;
        ground.completing.is_at(folder, plan.left() + 1, gap);
        let now = Time::now();
        let ask = Ask::until(Class::Background, Instant::now() + PATIENCE);
        let answer = match ground.source.slice(id, window, ask).await {
            Ok(answer) => answer,
            // Whatever else is refused would count against us at each further question.
            Err(error @ ApiError::Refused(_)) if !error.counts() => {
                refused += 1;
                if refused > MOST_REFUSED {
                    return Err(error.into());
                }
                plan.refused(slice, end);
                continue;
            }
            Err(error) if error.is_passing() => {
                plan.put_back(slice);
                let pause = pause(&error, gap);
                tracing::debug!(%folder, %error, "the next slice waits");
                tokio::time::sleep(pause).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        refused = 0;
        let dates = self::dates(&answer.files);
        match answer.truncated {
            true => plan.cut(slice, window, &dates),
            false => plan.whole(window, &dates),
        }
        ground.completing.seen(folder, &answer.files);
        let files = answer.files.into_iter().map(listed).collect();
        ground.tell(ground.tree.merge_slice(folder, files, now, Time::now())?);
    }
    if plan.is_overfull() || folders != Extent::Whole {
        let path = ground.tree.path(folder)?.unwrap_or_default();
        tracing::warn!(
            path = %path.display(),
            "the service does not list this folder whole: too many sub-folders, or files of one \
             second; names that were not seen stay unknown"
        );
        return Ok(Seen::Never);
    }
    let seen = || ground.completing.all_seen(folder);
    match ground.tree.complete(folder, seen, asked, Time::now()) {
        Ok(changes) => ground.tell(changes),
        Err(TreeError::NotFound) => {} // Gone meanwhile.
        Err(error) => return Err(error.into()),
    }
    Ok(Seen::Whole)
}

/// How long to wait after a failure: until our own pace lets the call go, else for two
/// of the folder's floors.
fn pause(error: &ApiError, floor: Duration) -> Duration {
    let pause = match error {
        ApiError::Waiting { until, .. } => {
            Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default()
        }
        _ => floor * 2,
    };
    pause.clamp(Duration::from_millis(50), LONGEST_PAUSE)
}

fn dates(files: &[FileItem]) -> Vec<DateTime> {
    files
        .iter()
        .filter_map(|file| file.date.map(clock_of))
        .collect()
}
