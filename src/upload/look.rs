//! Looks for what was sent or copied with an unknown result in the folder that it went to, not
//! before listings have caught up.
//!
//! "It is not there", upon which it is sent again, is said only of a folder of which enough was
//! seen: a listing that was cut off tells of what it shows and of nothing else, and slices of
//! dates tell of the rest.
//!
//! Nobody says that what is found there is ours. It is taken for that by name, size and
//! checksum, where no node stands for it yet. Where the service tells no checksum, name and
//! size are enough for a file that is wanted, which goes on living as what was found; but what
//! was unlinked here meanwhile is removed there once it is found, so nothing is taken for that
//! on weak evidence. Our own checksum is journaled before the last byte leaves: without it
//! nothing can have arrived.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;

use super::settle::InVain;
use super::sight::{Sight, Unseen};
use super::{Context, UploadError};
use crate::api::{ApiError, Class, FileItem, UploadedFile};
use crate::ids::{FileId, FolderId, Time};
use crate::tree::journal::{Underway, Way};
use crate::tree::{RemoteFile, RemotePlace};

/// How far the service's clock may be from ours, and the hour of autumn by which a date may
/// mislead (API notes 5).
const CLOCKS: Duration = Duration::from_secs(600 + 3600);

/// Files that the service is asked about one by one. To do so with more would get us locked out
/// (API notes 2.3): one listing tells of all of them, later.
pub(super) const ASKED_ABOUT: usize = 4;

/// What becomes of an upload that its folder does not show.
#[derive(Clone, Copy)]
pub(super) enum NotShown<'a> {
    /// It did not arrive.
    SentAgain,
    /// The account did not get it, though its node took it.
    Strayed,
    /// Its node may still tell: it is asked again later. With why it did not now.
    AskedAgain(&'a str),
}

/// What became of an upload.
enum Found {
    /// It is this, as far as anybody can tell.
    There(RemoteFile),
    /// It is the copy that the service told of.
    Told(UploadedFile),
    /// It did not arrive.
    Missing,
    /// Nothing is known yet, and why.
    Unknown(String),
}

impl Found {
    fn asked_later() -> Found {
        Found::Unknown("the service is asked about the others first".to_owned())
    }
}

/// What the service was asked about single files in one look.
#[derive(Default)]
struct Asking {
    asked: usize,
    /// It does not know one that it told of and does not list.
    is_listing_right: bool,
}

impl Context {
    /// Looks for uploads of unknown result in their folder.
    pub(super) async fn look_for(
        &self,
        group: &[Underway],
        not_shown: NotShown<'_>,
    ) -> Result<(), UploadError> {
        let Some(mut folder) = group.first().map(|u| u.at.folder) else {
            return Ok(());
        };
        let now = Time::now();
        let lag = self.api.limits().listing_lag;
        if !group.iter().all(|u| now.since(u.started) >= lag) {
            return self.wait_for_lag(group);
        }
        // What is sent to a folder that does not exist is stored in the root (API
        // notes 3.2).
        let mut sight = self.see_uploads(folder, group).await?;
        if folder != FolderId::ROOT
            && matches!(sight, Err(ApiError::NotFound(_)))
            && self.is_folder_gone(folder).await?
        {
            folder = FolderId::ROOT;
            sight = self.see_uploads(folder, group).await?;
        }
        self.doubt.heard(now, sight.as_ref().err());
        let (mut told, mut there) = (Vec::new(), Vec::new());
        let mut asking = Asking::default();
        let mut taken: HashSet<FileId> = HashSet::new();
        for upload in group {
            let found = match &sight {
                Ok(sight) => {
                    self.find(upload, folder, sight, &taken, &mut asking)
                        .await?
                }
                Err(e) => Found::Unknown(e.to_string()),
            };
            let found = match (found, not_shown) {
                (Found::Missing, NotShown::AskedAgain(why)) => Found::Unknown(why.to_owned()),
                (found, _) => found,
            };
            match found {
                Found::There(file) => {
                    if matches!(not_shown, NotShown::Strayed) {
                        self.doubt.was_groundless();
                    }
                    taken.insert(file.id.clone());
                    there.push((upload.clone(), file));
                }
                Found::Told(file) => {
                    taken.insert(file.id.clone());
                    told.push((upload.clone(), file));
                }
                Found::Missing if self.tree.is_wanted(upload.ino)? => {
                    let vain = match not_shown {
                        NotShown::Strayed => InVain::Strayed,
                        _ => InVain::NotThere,
                    };
                    self.sent_in_vain(upload, vain)?;
                }
                Found::Missing => self.tree.upload_failed(upload.ino)?,
                Found::Unknown(why) => {
                    let tries = upload.attempts + 1;
                    let later = match &sight {
                        Err(ApiError::NotFound(_)) => self.once_shown(tries),
                        _ => self.later(tries),
                    };
                    if let Err(e) = &sight {
                        self.troubled(upload.ino, later, e);
                    }
                    self.tree.postpone(upload.ino, later, &why)?;
                }
            }
        }
        self.arrived(there)?;
        self.confirm(told).await
    }

    /// They are looked for once listings have caught up with what was sent.
    pub(super) fn wait_for_lag(&self, group: &[Underway]) -> Result<(), UploadError> {
        for upload in group {
            self.tree.postpone(
                upload.ino,
                upload.started.after(self.api.limits().listing_lag),
                "waiting for the service's listing to show whether it arrived",
            )?;
        }
        Ok(())
    }

    /// Asks a folder for what may be the result of these uploads.
    async fn see_uploads(
        &self,
        folder: FolderId,
        group: &[Underway],
    ) -> Result<Result<Sight, ApiError>, UploadError> {
        let now = Time::now();
        let begun: Option<Vec<Timestamp>> = group.iter().map(|u| self.earliest(u)).collect();
        let since = begun.into_iter().flatten().min();
        let looked_for = |file: &FileItem| {
            let may_be = group.iter().any(|upload| may_be(upload, file));
            Ok(may_be && self.tree.may_be_new(&file.id, now)?)
        };
        let all_there = |files: &[FileItem]| {
            let is_there = |upload| files.iter().any(|file| is_surely(upload, file));
            group.iter().all(is_there)
        };
        self.see(folder, since, looked_for, all_there).await
    }

    /// Finds an upload in what its folder shows, without what is `taken` for others.
    async fn find(
        &self,
        upload: &Underway,
        folder: FolderId,
        sight: &Sight,
        taken: &HashSet<FileId>,
        asking: &mut Asking,
    ) -> Result<Found, UploadError> {
        let wanted = self.tree.is_wanted(upload.ino)?;
        if !wanted && self.tree.has_rival(upload)? {
            let why = "another upload of that name is not settled yet";
            return Ok(Found::Unknown(why.to_owned()));
        }
        let shown = sight.files.iter();
        for file in shown.filter(|file| may_be(upload, file) && !taken.contains(&file.id)) {
            if upload.way.told() == Some(&file.id) {
                return Ok(Found::Told(UploadedFile {
                    id: file.id.clone(),
                    name: file.name.clone(),
                    size: file.size,
                    checksum: file.checksum,
                }));
            }
            let checksum = match file.checksum {
                Some(checksum) => Some(checksum),
                None if asking.asked == ASKED_ABOUT => return Ok(Found::asked_later()),
                None => match self.api.file_info(&file.id, Class::Upload).await {
                    Ok(info) => {
                        asking.asked += 1;
                        info.checksum
                    }
                    Err(ApiError::NotFound(_)) => continue,
                    Err(e) => return Ok(Found::Unknown(e.to_string())),
                },
            };
            let sent = match self.sent(upload).await {
                Ok(sent) => sent,
                Err(UploadError::Staging(e)) => return Ok(Found::Unknown(e.to_string())),
                Err(e) => return Err(e),
            };
            let is_ours = match (sent, checksum, &upload.way) {
                (Some(sent), Some(there), _) => sent == there,
                // Its last byte was never on its way, or its checksum were known.
                (None, _, Way::Upload { .. }) => false,
                _ => wanted && !self.is_older(upload, file),
            };
            if is_ours {
                return Ok(Found::There(RemoteFile {
                    id: file.id.clone(),
                    place: RemotePlace {
                        folder,
                        name: file.name.clone(),
                    },
                    size: file.size,
                    whirlpool: checksum.or(sent),
                    date: None,
                }));
            }
        }
        Ok(match (sight.unseen_files, upload.way.told()) {
            (Unseen::NotThere, Some(id)) => self.find_told(id, asking).await,
            (Unseen::NotThere, None) => Found::Missing,
            (Unseen::Doubted | Unseen::Unknown, _) => {
                Found::Unknown("its folder cannot be seen whole".to_owned())
            }
        })
    }

    /// The service told of a copy that its folder does not show: it knows the copy, if there is
    /// one. Where it knows one of them not, the listing is right about the others.
    async fn find_told(&self, id: &FileId, asking: &mut Asking) -> Found {
        if asking.is_listing_right {
            return Found::Missing;
        }
        if asking.asked == ASKED_ABOUT {
            return Found::asked_later();
        }
        asking.asked += 1;
        match self.api.file_info(id, Class::Upload).await {
            Ok(info) => Found::Told(UploadedFile {
                id: id.clone(),
                name: info.name,
                size: info.size,
                checksum: info.checksum,
            }),
            Err(ApiError::NotFound(_)) => {
                asking.is_listing_right = true;
                Found::Missing
            }
            Err(e) => Found::Unknown(e.to_string()),
        }
    }

    /// Before when the result of an upload is not dated, which may be when its first byte came.
    /// How copies are dated is not known.
    fn earliest(&self, upload: &Underway) -> Option<Timestamp> {
        match upload.way {
            Way::Upload { .. } => {
                let longest = self.api.limits().upload_time;
                let begun = upload.started.before(CLOCKS + longest);
                Timestamp::from_nanosecond(begun.0.into()).ok()
            }
            Way::Copy { .. } => None,
        }
    }

    fn is_older(&self, upload: &Underway, file: &FileItem) -> bool {
        let earliest = self.earliest(upload);
        file.date
            .zip(earliest)
            .is_some_and(|(date, earliest)| date < earliest)
    }
}

/// Whether a file that a folder shows may be the result of an upload, by what a listing tells.
fn may_be(upload: &Underway, file: &FileItem) -> bool {
    let other = |(one, other)| one != other;
    upload.way.told() == Some(&file.id)
        || (upload.way.told().is_none()
            && file.name == upload.at.name
            && file.size == upload.size
            && !file.checksum.zip(upload.whirlpool).is_some_and(other))
}

/// Whether no other file that a folder shows can be it rather.
fn is_surely(upload: &Underway, file: &FileItem) -> bool {
    may_be(upload, file)
        && (upload.way.told().is_some() || file.checksum.is_some() && upload.whirlpool.is_some())
}
