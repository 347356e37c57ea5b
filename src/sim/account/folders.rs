//! What calls do to folders.

use super::names::accept;
use super::{Account, Folder, FolderView, Ghost, ROOT, Refusal, When};
use crate::sim::quirks::{Existing, FolderMove, Mixed};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// A folder's public page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The id in its address `/dir/<slug>`: letters and digits, mixed case.
    pub slug: String,
    /// The password, if any.
    pub pass: Option<String>,
}

/// Somebody with whom a folder is shared by address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedWith {
    /// The address.
    pub email: String,
    /// May write (0 or 1).
    #[serde(default)]
    pub rw: u8,
    /// Sees no links (0 or 1), and then does not write.
    #[serde(default)]
    pub hide_links: u8,
}

impl Account {
    /// Makes a folder; gives its id and the name that it got.
    pub fn make_folder(
        &mut self,
        parent: u64,
        name: &str,
        when: When<'_>,
    ) -> Result<(u64, String), Refusal> {
        let name = accept(name, when.quirks)?;
        if !self.folders.contains_key(&parent) {
            return Err(Refusal::FolderNotFound);
        }
        if when.quirks.mixed_names == Mixed::Refuse && self.has_file(parent, &name) {
            return Err(Refusal::Exists);
        }
        if let Some(existing) = self.folder_named(parent, &name) {
            match when.quirks.mkdir_existing {
                Existing::Refuse => return Err(Refusal::Exists),
                Existing::Return => return Ok((existing, name)),
                Existing::Duplicate => {}
            }
        }
        Ok((self.add_folder_unchecked(parent, &name, when), name))
    }

    /// Adds a folder whether there is one of that name or not.
    pub fn add_folder_unchecked(&mut self, parent: u64, name: &str, when: When<'_>) -> u64 {
        let id = self.next_folder;
        self.next_folder += self.random.random_range(1..5);
        let mut folder = Folder::new(id, parent, name.to_owned(), when.date);
        if when.quirks.folders_lag {
            folder.listed_from = when.now + when.lag;
        }
        self.folders.insert(id, folder);
        if let Some(parent) = self.folders.get_mut(&parent) {
            parent.folders.insert(id);
        }
        id
    }

    /// Moves and renames a folder as `folder/mv.cgi` does (API notes 2.11); gives the
    /// old name and the new one.
    pub fn move_folder(
        &mut self,
        id: u64,
        destination: Option<u64>,
        rename: Option<&str>,
        when: When<'_>,
    ) -> Result<(String, String), Refusal> {
        if id == ROOT {
            return Err(Refusal::Impossible);
        }
        let folder = self.folders.get(&id).ok_or(Refusal::FolderNotFound)?;
        let (old_parent, old_name) = (folder.parent, folder.name.clone());
        let destination = match (rename, when.quirks.folder_mv) {
            (Some(_), FolderMove::RenameWins) => None,
            _ => destination,
        };
        if destination.is_none() && rename.is_none() {
            return Err(Refusal::Parameter("destination_folder_id"));
        }
        let parent = destination.unwrap_or(old_parent);
        if !self.folders.contains_key(&parent) {
            return Err(Refusal::FolderNotFound);
        }
        if self.is_within(parent, id) {
            return Err(Refusal::Impossible);
        }
        let name = match rename {
            Some(name) => accept(name, when.quirks)?,
            None => old_name.clone(),
        };
        let same = parent == old_parent && name == old_name;
        let taken = self.folder_named(parent, &name).is_some();
        if same || (taken && when.quirks.mkdir_existing != Existing::Duplicate) {
            return Err(Refusal::Exists);
        }
        self.leave_folder_ghost(id, when);
        if let Some(old) = self.folders.get_mut(&old_parent) {
            old.folders.remove(&id);
        }
        if let Some(new) = self.folders.get_mut(&parent) {
            new.folders.insert(id);
        }
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.parent = parent;
            folder.name.clone_from(&name);
            if when.quirks.folders_lag {
                folder.listed_from = when.now + when.lag;
            }
        }
        Ok((old_name, name))
    }

    /// Removes an empty folder.
    pub fn remove_folder(&mut self, id: u64, when: When<'_>) -> Result<(), Refusal> {
        if id == ROOT {
            return Err(Refusal::Impossible);
        }
        let folder = self.folders.get(&id).ok_or(Refusal::FolderNotFound)?;
        let haunted = when.quirks.rmdir_lags
            && folder
                .file_ghosts
                .iter()
                .any(|ghost| ghost.until > when.now);
        if haunted || !folder.files.is_empty() || !folder.folders.is_empty() {
            return Err(Refusal::NotEmpty);
        }
        self.leave_folder_ghost(id, when);
        if let Some(folder) = self.folders.remove(&id)
            && let Some(parent) = self.folders.get_mut(&folder.parent)
        {
            parent.folders.remove(&id);
        }
        Ok(())
    }

    /// Removes a folder with all that is in it, as from the web site.
    pub fn remove_tree(&mut self, id: u64, when: When<'_>) -> Result<(), Refusal> {
        let folder = self.folders.get(&id).ok_or(Refusal::FolderNotFound)?;
        let (files, folders) = (folder.files.clone(), folder.folders.clone());
        for file in files {
            self.remove_file(&file, when)?;
        }
        for inner in folders {
            self.remove_tree(inner, when)?;
        }
        if id == ROOT {
            return Ok(());
        }
        if let Some(folder) = self.folders.get_mut(&id) {
            folder.file_ghosts.clear();
        }
        self.remove_folder(id, when)
    }

    /// Gives a folder a public page, or takes it away.
    pub fn share_folder(
        &mut self,
        id: u64,
        public: Option<Option<String>>,
    ) -> Result<Option<String>, Refusal> {
        const ALPHABET: &[u8; 52] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let random = &mut self.random;
        let folder = self.folders.get_mut(&id).ok_or(Refusal::FolderNotFound)?;
        let Some(pass) = public else {
            folder.share = None;
            return Ok(None);
        };
        let slug = match &folder.share {
            Some(share) => share.slug.clone(),
            None => (0..8)
                .filter_map(|_| ALPHABET.get(random.random_range(0..ALPHABET.len())))
                .map(|letter| char::from(*letter))
                .collect(),
        };
        folder.share = Some(Share {
            slug: slug.clone(),
            pass,
        });
        Ok(Some(slug))
    }

    /// Shares a folder with these, and with nobody else by address.
    pub fn share_with(&mut self, id: u64, with: Vec<SharedWith>) -> Result<(), Refusal> {
        let folder = self.folders.get_mut(&id).ok_or(Refusal::FolderNotFound)?;
        folder.shared_with = with;
        for share in &mut folder.shared_with {
            if share.hide_links == 1 {
                share.rw = 0;
            }
        }
        Ok(())
    }

    /// How a folder is shared with somebody, itself or with one above it.
    pub fn grant(&self, id: u64, email: &str) -> Option<SharedWith> {
        let mut at = id;
        loop {
            let folder = self.folders.get(&at)?;
            let own = folder.shared_with.iter().find(|with| with.email == email);
            if own.is_some() || at == ROOT {
                return own.cloned();
            }
            at = folder.parent;
        }
    }

    /// The folders that are shared with somebody, without those within them.
    pub fn shared_to(&self, email: &str) -> Vec<FolderView> {
        let is_shared = |folder: &&Folder| {
            folder.shared_with.iter().any(|with| with.email == email)
                && (folder.id == ROOT || self.grant(folder.parent, email).is_none())
        };
        self.folders
            .values()
            .filter(is_shared)
            .map(FolderView::of)
            .collect()
    }

    /// The folder with that public page.
    pub fn shared_as(&self, slug: &str) -> Option<&Folder> {
        self.folders.values().find(|folder| {
            folder
                .share
                .as_ref()
                .is_some_and(|share| share.slug == slug)
        })
    }

    pub(super) fn has_folder(&self, parent: u64, name: &str) -> bool {
        self.folder_named(parent, name).is_some()
    }

    /// The newest folder of that name in a folder.
    pub fn folder_named(&self, parent: u64, name: &str) -> Option<u64> {
        let named = |id: &&u64| self.folders.get(id).is_some_and(|f| f.name == name);
        let parent = self.folders.get(&parent)?;
        parent.folders.iter().rev().find(named).copied()
    }

    /// Whether a folder is another one or below it.
    fn is_within(&self, mut id: u64, ancestor: u64) -> bool {
        loop {
            if id == ancestor {
                return true;
            }
            match self.folders.get(&id) {
                Some(folder) if id != ROOT => id = folder.parent,
                _ => return false,
            }
        }
    }

    fn leave_folder_ghost(&mut self, id: u64, when: When<'_>) {
        if !when.quirks.folders_lag || when.lag.is_zero() {
            return;
        }
        let Some(folder) = self.folders.get(&id) else {
            return;
        };
        if folder.listed_from > when.now {
            return;
        }
        let ghost = Ghost {
            was: FolderView::of(folder),
            until: when.now + when.lag,
        };
        let parent = folder.parent;
        if let Some(parent) = self.folders.get_mut(&parent) {
            parent.folder_ghosts.retain(|ghost| ghost.until > when.now);
            parent.folder_ghosts.push(ghost);
        }
    }
}
