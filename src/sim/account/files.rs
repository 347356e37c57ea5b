//! What calls do to files.

use super::names::accept;
use super::{Account, Attributes, File, FileId, Ghost, Refusal, Scan, When};
use crate::sim::content::Content;
use crate::sim::quirks::{Mixed, Quirks, SameName};

impl Account {
    /// Adds a file, as an upload does. An unknown folder means the root (API notes 3.2).
    pub fn add_file(
        &mut self,
        folder: u64,
        name: &str,
        content: Content,
        when: When<'_>,
    ) -> Result<FileId, Refusal> {
        let name = accept(name, when.quirks)?;
        if self.is_taken(folder, &name, when.quirks) {
            return Err(Refusal::Exists);
        }
        let folder = self.folder_of_upload(folder);
        Ok(self.insert(folder, name, content, 0, Attributes::default(), when))
    }

    /// Where an upload to this folder ends.
    fn folder_of_upload(&self, folder: u64) -> u64 {
        if self.folders.contains_key(&folder) {
            folder
        } else {
            super::ROOT
        }
    }

    /// Whether something of the other kind has the name of an upload.
    pub fn is_taken(&self, folder: u64, name: &str, quirks: &Quirks) -> bool {
        quirks.mixed_names == Mixed::Refuse && self.has_folder(self.folder_of_upload(folder), name)
    }

    /// Whether the service accepts this name for an upload.
    pub fn takes_name(name: &str, quirks: &Quirks) -> bool {
        accept(name, quirks).is_ok()
    }

    /// Adds a file under any name at all, as from elsewhere.
    pub fn add_file_unchecked(
        &mut self,
        folder: u64,
        name: &str,
        content: Content,
        when: When<'_>,
    ) -> FileId {
        self.insert(
            folder,
            name.to_owned(),
            content,
            0,
            Attributes::default(),
            when,
        )
    }

    /// Moves a file; `rename` must differ from its name (API notes 2.4).
    pub fn move_file(
        &mut self,
        id: &str,
        folder: u64,
        rename: Option<&str>,
        when: When<'_>,
    ) -> Result<FileId, Refusal> {
        let file = self.files.get(id).ok_or(Refusal::FileNotFound)?.clone();
        if !self.folders.contains_key(&folder) {
            return Err(Refusal::FolderNotFound);
        }
        if file.folder == folder || rename == Some(file.name.as_str()) {
            return Err(Refusal::NotMoved);
        }
        let name = match rename {
            Some(name) => accept(name, when.quirks)?,
            None => file.name.clone(),
        };
        self.check_same_name(folder, &name, when, Refusal::NotMoved)?;
        self.relocate(&file, folder, name, when);
        Ok(file.id)
    }

    /// Renames a file; gives the old name and the new one.
    pub fn rename_file(
        &mut self,
        id: &str,
        name: &str,
        when: When<'_>,
    ) -> Result<(String, String), Refusal> {
        let file = self.files.get(id).ok_or(Refusal::FileNotFound)?.clone();
        let name = accept(name, when.quirks)?;
        if name == file.name {
            return Err(Refusal::NotRenamed);
        }
        self.check_same_name(file.folder, &name, when, Refusal::NotRenamed)?;
        let folder = file.folder;
        self.relocate(&file, folder, name.clone(), when);
        Ok((file.name, name))
    }

    /// Copies a file, of this account or another one; the copy has a new id.
    pub fn copy_file(
        &mut self,
        source: &File,
        folder: u64,
        rename: Option<&str>,
        when: When<'_>,
    ) -> Result<FileId, Refusal> {
        if !self.folders.contains_key(&folder) {
            return Err(Refusal::FolderNotFound);
        }
        let name = accept(rename.unwrap_or(&source.name), when.quirks)?;
        self.check_same_name(folder, &name, when, Refusal::Exists)?;
        let content = source.content.clone();
        let attributes = Attributes::default();
        Ok(self.insert(folder, name, content, source.domain, attributes, when))
    }

    /// Removes a file for good.
    pub fn remove_file(&mut self, id: &str, when: When<'_>) -> Result<(), Refusal> {
        let file = self.files.remove(id).ok_or(Refusal::FileNotFound)?;
        self.bytes = self.bytes.saturating_sub(file.content.size());
        self.leave_ghost(file, when);
        Ok(())
    }

    /// Changes the attributes of a file.
    pub fn change_attributes(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut Attributes),
    ) -> Result<(), Refusal> {
        let file = self.files.get_mut(id).ok_or(Refusal::FileNotFound)?;
        change(&mut file.attributes);
        Ok(())
    }

    /// Remembers a scan.
    pub fn scanned(&mut self, id: &str, when: When<'_>) {
        if let Some(file) = self.files.get_mut(id) {
            file.scanned = Some(Scan {
                at: when.now,
                date: when.date,
            });
        }
    }

    /// Sets the domain of a file's link and from when it works.
    pub fn set_link(&mut self, id: &str, domain: usize, ready_from: super::SimTime) {
        if let Some(file) = self.files.get_mut(id) {
            file.domain = domain;
            file.ready_from = ready_from;
        }
    }

    fn insert(
        &mut self,
        folder: u64,
        name: String,
        content: Content,
        domain: usize,
        attributes: Attributes,
        when: When<'_>,
    ) -> FileId {
        let id = self.fresh_file_id();
        self.bytes += content.size();
        let file = File {
            id: id.clone(),
            name,
            folder,
            date: when.date,
            content,
            domain,
            ready_from: when.now,
            listed_from: when.now + when.lag,
            attributes,
            scanned: None,
        };
        self.files.insert(id.clone(), file);
        if let Some(folder) = self.folders.get_mut(&folder) {
            folder.files.insert(id.clone());
        }
        id
    }

    /// Gives a file another folder and name, leaving the old ones in listings for the lag.
    fn relocate(&mut self, old: &File, folder: u64, name: String, when: When<'_>) {
        self.leave_ghost(old.clone(), when);
        if let Some(target) = self.folders.get_mut(&folder) {
            target.files.insert(old.id.clone());
        }
        if let Some(file) = self.files.get_mut(&old.id) {
            file.folder = folder;
            file.name = name;
            file.listed_from = when.now + when.lag;
            if when.quirks.move_changes_date {
                file.date = when.date;
            }
        }
    }

    fn leave_ghost(&mut self, file: File, when: When<'_>) {
        let Some(folder) = self.folders.get_mut(&file.folder) else {
            return;
        };
        folder.files.remove(&file.id);
        folder.file_ghosts.retain(|ghost| ghost.until > when.now);
        // What no listing has shown yet leaves nothing behind.
        if !when.lag.is_zero() && file.listed_from <= when.now {
            folder.file_ghosts.push(Ghost {
                was: file,
                until: when.now + when.lag,
            });
        }
    }

    /// Whether a file may get a name that another one may have; `idle` says that nothing
    /// was done.
    fn check_same_name(
        &self,
        folder: u64,
        name: &str,
        when: When<'_>,
        idle: Refusal,
    ) -> Result<(), Refusal> {
        let refusal = match when.quirks.same_name {
            SameName::Duplicate => return Ok(()),
            SameName::Refuse => Refusal::Exists,
            SameName::NoEffect => idle,
        };
        if self.has_file(folder, name) {
            Err(refusal)
        } else {
            Ok(())
        }
    }

    pub(super) fn has_file(&self, folder: u64, name: &str) -> bool {
        self.folders.get(&folder).is_some_and(|folder| {
            let named = |id: &FileId| self.files.get(id).is_some_and(|file| file.name == name);
            folder.files.iter().any(named)
        })
    }
}
