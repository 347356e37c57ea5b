//! What a folder shows of what is looked for in it: one listing tells, and where that was cut off,
//! slices of dates tell of the rest.

use jiff::Timestamp;
use jiff::civil::DateTime;

use super::{Context, UploadError};
use crate::api::{ApiError, Class, FileItem, clock_of};
use crate::ids::FolderId;
use crate::tree::slices::Plan;

/// What a folder shows.
pub(super) struct Sight {
    /// Files that may be what is looked for.
    pub files: Vec<FileItem>,
    /// What of other files.
    pub unseen_files: Unseen,
    /// All sub-folders.
    pub folders: Vec<FolderId>,
    /// What of other sub-folders.
    pub unseen_folders: Unseen,
}

/// What is to be thought of what a folder does not show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unseen {
    /// It is not there.
    NotThere,
    /// Nothing: it says nothing at all, which is believed the second time.
    Doubted,
    /// Nothing: not all of it can be seen.
    Unknown,
}

impl Context {
    /// Asks a folder for the files that are `looked_for`, as often as it takes until `all_there`
    /// says that they are, and for its sub-folders. What was put there before `since` is not
    /// looked for.
    pub(super) async fn see(
        &self,
        folder: FolderId,
        since: Option<Timestamp>,
        looked_for: impl Fn(&FileItem) -> Result<bool, UploadError> + Sync,
        all_there: impl Fn(&[FileItem]) -> bool + Sync,
    ) -> Result<Result<Sight, ApiError>, UploadError> {
        let listing = match self.refresher.look_into(folder, Class::Upload).await {
            Ok(listing) => listing,
            Err(e) => return Ok(Err(e)),
        };
        let unseen = |told, empty| match (told, empty) {
            (true, _) => Unseen::NotThere,
            (false, true) => Unseen::Doubted,
            (false, false) => Unseen::Unknown,
        };
        let told = self.silence.tells_of_files(folder, &listing);
        let unseen_files = unseen(told, listing.files.is_empty());
        let told = self.silence.tells_of_folders(folder, &listing);
        let mut sight = Sight {
            files: Vec::new(),
            unseen_files,
            folders: listing.folders.iter().map(|folder| folder.id).collect(),
            unseen_folders: unseen(told, true),
        };
        let dates = dates(&listing.files);
        sight.add(listing.files, &looked_for)?;
        if !listing.truncated {
            return Ok(Ok(sight));
        }
        let mut plan = match since {
            Some(since) => Plan::since(since),
            None => Plan::new(&dates),
        };
        while !all_there(&sight.files)
            && let Some((slice, window)) = plan.next()
        {
            let answer = match self.api.list_files(folder, window, Class::Upload).await {
                Ok(answer) => answer,
                Err(e) => return Ok(Err(e)),
            };
            let dates = self::dates(&answer.files);
            match answer.truncated {
                true => plan.cut(slice, window, &dates),
                false => plan.whole(window, &dates),
            }
            sight.add(answer.files, &looked_for)?;
        }
        let whole = plan.left() == 0 && !plan.is_overfull();
        sight.unseen_files = unseen(whole, false);
        Ok(Ok(sight))
    }
}

impl Sight {
    fn add(
        &mut self,
        shown: Vec<FileItem>,
        looked_for: impl Fn(&FileItem) -> Result<bool, UploadError>,
    ) -> Result<(), UploadError> {
        for file in shown {
            if looked_for(&file)? && !self.files.iter().any(|known| known.id == file.id) {
                self.files.push(file);
            }
        }
        Ok(())
    }
}

fn dates(files: &[FileItem]) -> Vec<DateTime> {
    let dates = files.iter().filter_map(|file| file.date);
    dates.map(clock_of).collect()
}
