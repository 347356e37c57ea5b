//! Where listings come from: an account with what others share with it, or a public
//! folder of anybody. What differs between them is here and nowhere else.
//!
//! The service lists nowhere what others share with an account, and the roots of
//! others have no number. So there is a folder of our own with an entry for each that the user
//! names ([`Shared`]); it costs no call. Its number and those of the roots are ours
//! ([`FolderId::ours`]).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::api::limits::LISTING_CAP;
use crate::api::{
    Api, ApiError, Ask, DateWindow, FileListing, FolderAt, FolderItem, Grant, Listing,
};
use crate::config::Password;
use crate::ids::{FolderId, Time};

/// How long the files of a folder may wait for their turn where its listing is without them.
const PATIENCE: Duration = Duration::from_secs(300);

/// Where listings come from.
#[derive(Clone)]
pub struct Source {
    api: Api,
    of: Of,
    begun: Time,
}

#[derive(Clone)]
enum Of {
    /// The account of the key.
    Account(Shared),
    /// The public folder of this id, which is the root and has no folder in it.
    Public {
        id: String,
        password: Option<Password>,
    },
}

/// What others share with the account.
#[derive(Clone, Default)]
pub struct Shared {
    /// The folder that shows it, in the root; none where nothing is shared.
    folder: Option<FolderItem>,
    entries: Vec<FolderItem>,
    /// The users whose roots are among the entries.
    owners: HashMap<FolderId, String>,
}

impl Shared {
    /// Nothing yet, to be shown in a folder of this name.
    pub fn under(name: &str) -> Shared {
        Shared {
            folder: Some(item(FolderId::shared(), name)),
            ..Shared::default()
        }
    }

    /// With all that the user of this address shares.
    #[must_use]
    pub fn with_owner(mut self, email: &str) -> Shared {
        let id = FolderId::ours(email);
        self.entries.push(item(id, email));
        self.owners.insert(id, email.to_owned());
        self
    }

    /// With one folder.
    #[must_use]
    pub fn with_folder(mut self, id: FolderId, name: &str) -> Shared {
        self.entries.push(item(id, name));
        self
    }

    /// How the API names a folder.
    pub fn at(&self, id: FolderId) -> FolderAt {
        match self.owners.get(&id) {
            Some(owner) => FolderAt::root_of(owner.clone(), id),
            None => id.into(),
        }
    }

    /// The folder of this number, if it is none of the service's.
    fn own(&self, id: FolderId) -> Option<Listing> {
        let folder = self.folder.as_ref().filter(|folder| folder.id == id)?;
        Some(Listing {
            name: folder.name.clone(),
            folders: self.entries.clone(),
            grant: Some(Grant { may_change: false }),
            ..Listing::default()
        })
    }

    fn next_to(&self, id: FolderId) -> Vec<FolderId> {
        let own = self.folder.iter().map(|folder| folder.id);
        match own.clone().any(|own| own == id) {
            true => self.owners.keys().copied().collect(),
            false if id == FolderId::ROOT => own.collect(),
            false => Vec::new(),
        }
    }

    async fn list(&self, api: &Api, id: FolderId, ask: Ask) -> Result<Listing, ApiError> {
        if let Some(listing) = self.own(id) {
            return Ok(listing);
        }
        if id.is_ours() && !self.owners.contains_key(&id) {
            // It was named once; the folder above tells that it is gone.
            return Err(ApiError::Misuse("nobody is named who shares this folder"));
        }
        let mut listing = api.list_folder(self.at(id), ask).await?;
        if let Some(counted) = listing.withheld {
            // Both ways to list a folder share its floor (API notes 10.3): who looks may be gone
            // by then, and who looks next finds it listed.
            let ask = Ask::until(ask.class, ask.deadline.max(Instant::now() + PATIENCE));
            let asked = api.list_files(self.at(id), DateWindow::default(), ask);
            let FileListing { files, truncated } = asked.await?;
            listing.lacks_counted = !truncated && counted > files.len() as u64;
            listing.lacks_files = listing.lacks_counted;
            listing.truncated = truncated;
            listing.files = files;
        }
        if id == FolderId::ROOT && !self.entries.is_empty() {
            // What is ours must not make an empty answer look like a full one.
            let is_empty = listing.folders.is_empty() && listing.files.is_empty();
            listing.lacks_files |= is_empty;
            listing.lacks_folders |= is_empty;
            listing.folders.extend(self.folder.clone());
        }
        Ok(listing)
    }
}

fn item(id: FolderId, name: &str) -> FolderItem {
    FolderItem {
        id,
        name: name.to_owned(),
        created: None,
        protected: false,
    }
}

/// The account whose key the client has, and nothing of others.
impl From<Api> for Source {
    fn from(api: Api) -> Source {
        Source::account(api, Shared::default())
    }
}

impl Source {
    fn new(api: Api, of: Of) -> Source {
        let begun = Time::now();
        Source { api, of, begun }
    }

    /// The account whose key the client has, with what others share.
    pub fn account(api: Api, shared: Shared) -> Source {
        let of = Of::Account(shared);
        Source::new(api, of)
    }

    /// The public folder of this id. No key is needed.
    pub fn public(api: Api, id: String, password: Option<Password>) -> Source {
        let of = Of::Public { id, password };
        Source::new(api, of)
    }

    /// A print of what it asks with. A password leaves no trace that outlasts this process.
    pub(super) fn asks_with(&self) -> String {
        let key = self.api.keys().get().map(|key| key.print());
        match &self.of {
            Of::Public {
                password: Some(_), ..
            } => self.begun.0.to_string(),
            Of::Account(_) | Of::Public { .. } => key.unwrap_or_default(),
        }
    }

    /// The client that is asked.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Everything in a folder, as far as one answer holds it.
    pub(super) async fn list(&self, folder: FolderId, ask: Ask) -> Result<Listing, ApiError> {
        match &self.of {
            Of::Account(shared) => shared.list(&self.api, folder, ask).await,
            Of::Public { .. } if folder != FolderId::ROOT => {
                Err(ApiError::Misuse("a public folder has no folders in it"))
            }
            Of::Public { id, password } => {
                let FileListing { files, truncated } =
                    self.api.public_folder(id, password.as_ref(), ask).await?;
                Ok(Listing {
                    files,
                    truncated,
                    ..Listing::default()
                })
            }
        }
    }

    /// A folder without its files, of which there are too many for one answer; `None` where
    /// there are not.
    pub(super) async fn outline(
        &self,
        folder: FolderId,
        ask: Ask,
    ) -> Result<Option<Listing>, ApiError> {
        let Of::Account(shared) = &self.of else {
            return Ok(None);
        };
        let (folders, files) = self.api.outline_folder(shared.at(folder), ask).await?;
        let too_many = files >= LISTING_CAP as u64;
        Ok(too_many.then(|| Listing {
            truncated: true,
            lacks_folders: folders.is_empty(),
            folders,
            ..Listing::default()
        }))
    }

    /// The files of a folder that were sent within a window.
    pub(super) async fn slice(
        &self,
        folder: FolderId,
        window: DateWindow,
        ask: Ask,
    ) -> Result<FileListing, ApiError> {
        match &self.of {
            Of::Account(shared) => self.api.list_files(shared.at(folder), window, ask).await,
            Of::Public { .. } => Err(ApiError::Misuse("a public folder tells no dates")),
        }
    }

    /// Folders that are looked at by themselves once `folder` is known: to list the roots of others
    /// one has to wait for one's turn, so that nobody who looks would live to see it.
    pub(super) fn next_to(&self, folder: FolderId) -> Vec<FolderId> {
        match &self.of {
            Of::Account(shared) => shared.next_to(folder),
            Of::Public { .. } => Vec::new(),
        }
    }

    /// Whether what one answer does not hold can be asked for in slices.
    pub(super) fn has_slices(&self) -> bool {
        matches!(self.of, Of::Account(_))
    }
}
