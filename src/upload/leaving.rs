//! Looks for what the service may have removed already, in the folders that it was in, when no
//! listing can lag behind the call any more: what these do not show is gone, and only what they
//! show is asked for again. Another call about what is gone would fail, and count against us
//! (API notes 1.5).

use std::collections::{HashMap, HashSet};

use super::failure::{Failure, judge};
use super::sight::{Sight, Unseen};
use super::{Context, UploadError};
use crate::api::ApiError;
use crate::ids::{FolderId, Time};
use crate::tree::Kind;
use crate::tree::journal::Postponed;
use crate::tree::removals::Removal;

/// What became of something that was to be removed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// It is not there any more.
    Gone,
    /// It is there, or nobody will tell: it is to be asked for.
    There,
    /// Its folder is to be looked into again.
    Unknown(Again),
}

/// Why a folder is looked into again, and when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Again {
    /// It could not be listed.
    Failed(String),
    /// It was, and said nothing.
    Doubted,
}

/// What is looked for, and what the folders show that were looked into.
pub(super) struct Sights<'a> {
    /// Files, by the folders that they may be in.
    files: HashMap<FolderId, HashSet<&'a str>>,
    seen: HashMap<FolderId, Result<Sight, ApiError>>,
}

impl<'a> Sights<'a> {
    pub fn of(removals: &'a [Removal]) -> Sights<'a> {
        let mut files: HashMap<_, HashSet<_>> = HashMap::new();
        for removal in removals.iter().filter(|r| r.kind != Kind::Folder) {
            for folder in folders(removal) {
                files.entry(folder).or_default().insert(&*removal.rid);
            }
        }
        let seen = HashMap::new();
        Sights { files, seen }
    }
}

impl Context {
    /// Finds out which of these are gone. Each folder is looked into once, and what it tells is
    /// noted before the next.
    pub(super) async fn look_for_leaving(&self, removals: &[Removal]) -> Result<(), UploadError> {
        let mut sights = Sights::of(removals);
        let mut by_folder: HashMap<FolderId, Vec<&Removal>> = HashMap::new();
        for removal in removals {
            let together = by_folder.entry(removal.place.folder).or_default();
            together.push(removal);
        }
        for together in by_folder.into_values() {
            let (mut gone, mut there, mut postponed) = (Vec::new(), Vec::new(), Vec::new());
            for removal in together {
                let (until, why) = match self.fate(removal, &mut sights).await? {
                    Fate::Gone => {
                        gone.push(removal.clone());
                        continue;
                    }
                    Fate::There => {
                        there.push(removal.clone());
                        continue;
                    }
                    Fate::Unknown(Again::Failed(why)) => (self.later(removal.attempts + 1), why),
                    Fate::Unknown(Again::Doubted) => {
                        let next = Time::now().after(self.api.limits().folder_gap);
                        (next, "the folder's listing is not clear".to_owned())
                    }
                };
                postponed.push(Postponed {
                    removal,
                    until,
                    asked_at: removal.asked_at,
                    why,
                });
            }
            self.all_removed(&gone)?;
            self.tree.still_there(&there)?;
            self.tree.postpone_removals(&postponed)?;
        }
        Ok(())
    }

    /// What became of one, by all folders that it may be in.
    pub(super) async fn fate(
        &self,
        removal: &Removal,
        sights: &mut Sights<'_>,
    ) -> Result<Fate, UploadError> {
        let mut fate = Fate::Gone;
        for folder in folders(removal) {
            if !sights.seen.contains_key(&folder) {
                let sight = self.see_leaving(folder, sights.files.get(&folder)).await?;
                sights.seen.insert(folder, sight);
            }
            match sights.seen.get(&folder).map(|sight| told(removal, sight)) {
                None | Some(Fate::Gone) => {}
                Some(Fate::There) => return Ok(Fate::There),
                Some(unknown) => fate = unknown,
            }
        }
        Ok(fate)
    }

    async fn see_leaving(
        &self,
        folder: FolderId,
        files: Option<&HashSet<&str>>,
    ) -> Result<Result<Sight, ApiError>, UploadError> {
        let is_leaving = |id: &str| files.is_some_and(|files| files.contains(id));
        let count = files.map_or(0, HashSet::len);
        self.see(
            folder,
            None,
            |file| Ok(is_leaving(file.id.as_str())),
            |seen| seen.len() == count,
        )
        .await
    }
}

/// Where it may be.
fn folders(removal: &Removal) -> impl Iterator<Item = FolderId> {
    [Some(removal.place.folder), removal.may_be_in]
        .into_iter()
        .flatten()
}

/// What a folder tells of one that was to be removed.
fn told(removal: &Removal, sight: &Result<Sight, ApiError>) -> Fate {
    let sight = match sight {
        Ok(sight) => sight,
        // It went with its folder.
        Err(ApiError::NotFound(_)) => return Fate::Gone,
        Err(e) if judge(e) == Failure::Permanent => return Fate::There,
        Err(e) => return Fate::Unknown(Again::Failed(e.to_string())),
    };
    let (shown, unseen) = match removal.kind {
        Kind::Folder => {
            let mut folders = sight.folders.iter();
            let shown = folders.any(|id| id.to_string() == removal.rid);
            (shown, sight.unseen_folders)
        }
        Kind::File | Kind::Symlink => {
            let mut files = sight.files.iter();
            let shown = files.any(|file| file.id.as_str() == removal.rid);
            (shown, sight.unseen_files)
        }
    };
    match unseen {
        _ if shown => Fate::There,
        Unseen::NotThere => Fate::Gone,
        Unseen::Doubted => Fate::Unknown(Again::Doubted),
        Unseen::Unknown => Fate::There,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::FileItem;
    use crate::tree::RemotePlace;

    fn removal(kind: Kind, rid: &str) -> Removal {
        Removal {
            id: 1,
            kind,
            rid: rid.to_owned(),
            place: RemotePlace {
                folder: FolderId(7),
                name: "x".to_owned(),
            },
            may_be_in: None,
            after: None,
            attempts: 0,
            queued_at: Time(0),
            asked_at: Some(Time(1)),
            made_at: None,
        }
    }

    fn shows(file: &str, folder: u64, unseen: Unseen) -> Result<Sight, ApiError> {
        Ok(Sight {
            files: vec![FileItem {
                id: file.parse().unwrap(),
                name: "x".to_owned(),
                size: 1,
                date: None,
                checksum: None,
                content_type: String::new(),
                protected: false,
                restricted: false,
                cdn: false,
            }],
            unseen_files: unseen,
            folders: vec![FolderId(folder)],
            unseen_folders: unseen,
        })
    }

    #[test]
    fn what_a_folder_does_not_show_is_gone_if_it_shows_all() {
        let again = Fate::Unknown(Again::Doubted);
        for (unseen, fate) in [
            (Unseen::NotThere, Fate::Gone),
            (Unseen::Doubted, again),
            (Unseen::Unknown, Fate::There),
        ] {
            let sight = shows("aaaaa", 8, unseen);
            for (kind, there, missing) in [
                (Kind::File, "aaaaa", "bbbbb"),
                (Kind::Symlink, "aaaaa", "8"),
                (Kind::Folder, "8", "9"),
            ] {
                assert_eq!(told(&removal(kind, there), &sight), Fate::There);
                assert_eq!(told(&removal(kind, missing), &sight), fate);
            }
        }
    }

    #[test]
    fn a_folder_that_cannot_be_listed_is_listed_later_if_that_helps() {
        let fate = |e| told(&removal(Kind::File, "aaaaa"), &Err(e));
        let later = fate(ApiError::NoKey);
        assert!(matches!(later, Fate::Unknown(Again::Failed(_))));
        // It would be the same each time.
        assert_eq!(fate(ApiError::Misuse("no folder")), Fate::There);
    }
}
