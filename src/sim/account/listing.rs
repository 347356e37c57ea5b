//! What listings show: the state of a while ago.

use super::{Account, File, Folder, Refusal, Share, SharedWith};
use crate::sim::clock::SimTime;
use crate::sim::content::Content;
use jiff::Timestamp;

/// A folder's listing, in no particular order and not cut.
#[derive(Debug, Clone)]
pub struct Listing {
    /// Its name.
    pub name: String,
    /// When it was made; `None` for the root (API notes 5).
    pub created: Option<Timestamp>,
    /// Its public page.
    pub shared: Option<Share>,
    /// With whom it is shared by address.
    pub shared_with: Vec<SharedWith>,
    /// Its files.
    pub files: Vec<FileView>,
    /// Its sub-folders.
    pub folders: Vec<FolderView>,
}

/// A file in a listing.
#[derive(Debug, Clone)]
pub struct FileView {
    /// Link.
    pub url: String,
    /// Name.
    pub name: String,
    /// Date.
    pub date: Timestamp,
    /// Bytes, for size and checksum.
    pub content: Content,
    /// Has a password.
    pub pass: bool,
    /// Has access rules.
    pub acl: bool,
    /// Spends CDN credits.
    pub cdn: bool,
}

/// A folder in a listing.
#[derive(Debug, Clone)]
pub struct FolderView {
    /// Id.
    pub id: u64,
    /// Name.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// Has a password.
    pub pass: bool,
}

impl FolderView {
    pub(super) fn of(folder: &Folder) -> FolderView {
        FolderView {
            id: folder.id,
            name: folder.name.clone(),
            created: folder.created,
            pass: folder
                .share
                .as_ref()
                .is_some_and(|share| share.pass.is_some()),
        }
    }
}

impl FileView {
    fn of(file: &File) -> FileView {
        FileView {
            url: file.url(),
            name: file.name.clone(),
            date: file.date,
            content: file.content.clone(),
            pass: file.attributes.pass.is_some(),
            acl: file.attributes.acl.is_some(),
            cdn: file.attributes.cdn,
        }
    }
}

impl Account {
    /// What a listing of a folder shows now.
    pub fn list(&self, id: u64, now: SimTime) -> Result<Listing, Refusal> {
        let folder = self.folders.get(&id).ok_or(Refusal::FolderNotFound)?;
        let current = folder.folders.iter().filter_map(|id| self.folders.get(id));
        let folders = current
            .filter(|inner| inner.listed_from <= now)
            .map(FolderView::of)
            .chain(
                folder
                    .folder_ghosts
                    .iter()
                    .filter(|ghost| ghost.until > now)
                    .map(|ghost| ghost.was.clone()),
            )
            .collect();
        Ok(Listing {
            name: folder.name.clone(),
            created: (id != super::ROOT).then_some(folder.created),
            shared: folder.share.clone(),
            shared_with: folder.shared_with.clone(),
            files: self.shown_files(folder, now).collect(),
            folders,
        })
    }

    /// What a listing of all files shows now.
    pub fn list_all(&self, now: SimTime) -> Vec<FileView> {
        self.folders
            .values()
            .flat_map(|folder| self.shown_files(folder, now))
            .collect()
    }

    fn shown_files<'a>(
        &'a self,
        folder: &'a Folder,
        now: SimTime,
    ) -> impl Iterator<Item = FileView> + 'a {
        let current = folder.files.iter().filter_map(|id| self.files.get(id));
        current
            .filter(move |file| file.listed_from <= now)
            .chain(
                folder
                    .file_ghosts
                    .iter()
                    .filter(move |ghost| ghost.until > now)
                    .map(|ghost| &ghost.was),
            )
            .map(FileView::of)
    }
}
