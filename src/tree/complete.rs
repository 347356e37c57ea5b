//! Sees a folder whole that has more files than a listing holds, in the background at
//! the folder's floor: which questions are asked, [`super::slices`] decides.

use std::time::{Duration, Instant};

use jiff::civil::DateTime;
use jiff::{Timestamp, ToSpan};

use super::TreeError;
use super::merge::Extent;
use super::refresh::{Inner, RefreshError, listed};
use super::slices::Plan;
use crate::api::limits::LISTING_CAP;
use crate::api::{ApiError, Ask, Class, FileItem, Listing, clock_of};
use crate::ids::{FolderId, Ino, Time};

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Progress {
    /// Files seen so far.
    pub files: usize,
    /// Questions left, as far as is known.
    pub left: usize,
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
    inner: &Inner,
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
        let files = inner.count_seen(folder);
        let left = plan.left() + 1;
        inner.progress(folder, Progress { files, left });
        let now = Time::now();
        let ask = Ask::until(Class::Background, Instant::now() + PATIENCE);
        let answer = match inner.source.slice(id, window, ask).await {
            Ok(answer) => answer,
            Err(error @ ApiError::Refused(_)) => {
                refused += 1;
                if refused > MOST_REFUSED {
                    return Err(error.into());
                }
                plan.refused(slice, end);
                continue;
            }
            Err(error) if error.is_passing() => {
                plan.put_back(slice);
                let pause = pause(&error, inner.source.api().limits().folder_gap);
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
        inner.seen(folder, &answer.files);
        let files = answer.files.into_iter().map(listed).collect();
        inner.tell(inner.tree.merge_slice(folder, files, now, Time::now())?);
    }
    if plan.is_overfull() || folders != Extent::Whole {
        let path = inner.tree.path(folder)?.unwrap_or_default();
        tracing::warn!(
            path = %path.display(),
            "the service does not list this folder whole: too many sub-folders, or files of one \
             second; names that were not seen stay unknown"
        );
        return Ok(Seen::Never);
    }
    let seen = || inner.all_seen(folder);
    match inner.tree.complete(folder, seen, asked, Time::now()) {
        Ok(changes) => inner.tell(changes),
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
