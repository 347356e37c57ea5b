//! The account seen from behind the service: set it up, look into it, change it behind a
//! client's back. Nothing here counts as a call, and changes show in listings at
//! once, whatever the lag.

use super::account::{Account, FileId, ROOT, Refusal, SharedWith, When, split_path};
use super::content::Content;
use super::dates::to_paris;
use super::world::{Profile, World, now};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// See the module. Paths are relative to the account's root, with `/` between names.
#[derive(Debug, Clone)]
pub struct AccountHandle {
    world: Arc<World>,
    number: usize,
}

/// A file or folder of the account, as it truly is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Path from the root.
    pub path: String,
    /// Folder or file.
    pub kind: EntryKind,
    /// Its id: a folder's in decimal.
    pub id: String,
    /// The folder it is in.
    pub folder: u64,
    /// Bytes of a file.
    pub size: Option<u64>,
    /// Digest of a file, true where it was asked for, else as listings show it.
    pub whirlpool: Option<String>,
    /// Date as listings show it.
    pub date: String,
}

/// What an [`Entry`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A folder.
    Folder,
    /// A file.
    File,
}

/// A tree of synthetic files: folders `dir-0000`… in one another, and in each of the deepest
/// `files` files `file-00000.bin`….
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntheticTree {
    /// Number of folders in each folder, level by level.
    pub folders: Vec<u32>,
    /// Files in each folder of the last level.
    pub files: u32,
    /// Bytes of each file.
    pub size: u64,
    /// Seed of the first file; each has the next one.
    pub seed: u64,
}

/// Why a change behind the scenes failed.
#[derive(Debug, thiserror::Error)]
pub enum HandleError {
    /// Nothing there.
    #[error("no file or folder at `{0}`")]
    Missing(String),
    /// The model refuses.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Content cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

type Done<T> = Result<T, HandleError>;

impl AccountHandle {
    pub(super) fn new(world: Arc<World>, number: usize) -> AccountHandle {
        AccountHandle { world, number }
    }

    /// Makes the folders of a path that are missing; gives the last one's id.
    pub fn add_folder(&self, path: &str) -> Done<u64> {
        self.change(|account, when| Ok(ensure_folder(account, path, when)?))
    }

    /// Adds very many folders to one, beside those of their names.
    pub fn add_folders(&self, folder: &str, names: impl IntoIterator<Item = String>) -> Done<()> {
        self.change(|account, when| {
            let folder = ensure_folder(account, folder, when)?;
            for name in names {
                account.add_folder_unchecked(folder, &name, when);
            }
            Ok(())
        })
    }

    /// Adds a file, beside those of its name; gives its id.
    pub fn add_file(&self, path: &str, bytes: &[u8]) -> Done<String> {
        self.add_content(path, Content::from_bytes(bytes))
    }

    /// Adds files of one byte to a folder, by name and date of upload.
    pub fn add_dated(
        &self,
        folder: &str,
        files: impl IntoIterator<Item = (String, jiff::Timestamp)>,
    ) -> Done<()> {
        self.change(|account, when| {
            let folder = ensure_folder(account, folder, when)?;
            for (name, date) in files {
                let when = When { date, ..when };
                account.add_file_unchecked(folder, &name, Content::from_bytes(b"x"), when);
            }
            Ok(())
        })
    }

    /// Adds a file whose bytes are [`super::synthetic_bytes`] of `seed`.
    pub fn add_synthetic(&self, path: &str, seed: u64, size: u64) -> Done<String> {
        self.add_content(path, Content::synthetic(seed, size))
    }

    /// Adds a tree of synthetic files below a folder.
    pub fn add_tree(&self, under: &str, tree: SyntheticTree) -> Done<()> {
        let mut paths = vec![under.to_owned()];
        for count in tree.folders {
            let below = |path: &String| {
                let path = path.clone();
                (0..count).map(move |folder| format!("{path}/dir-{folder:04}"))
            };
            paths = paths.iter().flat_map(below).collect();
        }
        let mut seed = tree.seed;
        for path in paths {
            self.change(|account, when| {
                let folder = ensure_folder(account, &path, when)?;
                for file in 0..tree.files {
                    let name = format!("file-{file:05}.bin");
                    let content = Content::synthetic(seed, tree.size);
                    account.add_file_unchecked(folder, &name, content, when);
                    seed = seed.wrapping_add(1);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Adds the files of a local directory, which must not change while they are served.
    /// Gives their number. Files that are empty or no regular files are left out,
    /// as the service cannot have them.
    pub fn serve_dir(&self, local: &Path, under: &str) -> Done<usize> {
        let mut count = 0;
        for item in walkdir::WalkDir::new(local).sort_by_file_name() {
            let item = item.map_err(io::Error::from)?;
            let relative = item.path().strip_prefix(local).unwrap_or(item.path());
            let path = format!("{under}/{}", relative.to_string_lossy());
            if item.file_type().is_dir() {
                self.add_folder(&path)?;
            } else if item.file_type().is_file() {
                let content = Content::local(item.path())?;
                if content.size() > 0 {
                    self.add_content(&path, content)?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    /// Removes a file, or a folder with all in it.
    pub fn delete(&self, path: &str) -> Done<()> {
        self.change(|account, when| match locate(account, path)? {
            Place::File(id) => Ok(account.remove_file(&id, when)?),
            Place::Folder(id) => Ok(account.remove_tree(id, when)?),
        })
    }

    /// Renames a file or folder.
    pub fn rename(&self, path: &str, name: &str) -> Done<()> {
        self.change(|account, when| {
            match locate(account, path)? {
                Place::File(id) => account.rename_file(&id, name, when)?,
                Place::Folder(id) => account.move_folder(id, None, Some(name), when)?,
            };
            Ok(())
        })
    }

    /// Moves a file or folder into another folder, which is made if missing.
    pub fn move_into(&self, path: &str, folder: &str) -> Done<()> {
        self.change(|account, when| {
            let target = ensure_folder(account, folder, when)?;
            match locate(account, path)? {
                Place::File(id) => drop(account.move_file(&id, target, None, when)?),
                Place::Folder(id) => drop(account.move_folder(id, Some(target), None, when)?),
            }
            Ok(())
        })
    }

    /// Puts other content in a file's place, as an upload and a removal do; gives the new id.
    pub fn replace(&self, path: &str, bytes: &[u8]) -> Done<String> {
        self.replace_content(path, Content::from_bytes(bytes))
    }

    pub(super) fn replace_content(&self, path: &str, content: Content) -> Done<String> {
        let old = self.find_id(path);
        let new = self.add_content(path, content)?;
        if let Some(old) = old {
            self.change(|account, when| Ok(account.remove_file(&old, when)?))?;
        }
        Ok(new)
    }

    /// Everything in the account by path, with digests as listings show them.
    pub fn entries(&self) -> Vec<Entry> {
        let limit = self.world.config.hash_up_to;
        let (mut entries, contents) = self.read(|account| {
            let mut entries: Vec<Entry> = account
                .folders()
                .filter(|folder| folder.id != ROOT)
                .map(|folder| Entry {
                    path: account.folder_path(folder.id),
                    kind: EntryKind::Folder,
                    id: folder.id.to_string(),
                    folder: folder.parent,
                    size: None,
                    whirlpool: None,
                    date: to_paris(folder.created),
                })
                .collect();
            let folders = entries.len();
            let mut contents = vec![None; folders];
            for file in account.files() {
                contents.push(Some(file.content.clone()));
                entries.push(Entry {
                    path: account.file_path(file),
                    kind: EntryKind::File,
                    id: file.id.to_string(),
                    folder: file.folder,
                    size: Some(file.content.size()),
                    whirlpool: None,
                    date: to_paris(file.date),
                });
            }
            (entries, contents)
        });
        // Hashed without the lock: this may read a lot.
        for (entry, content) in entries.iter_mut().zip(contents) {
            entry.whirlpool = content.map(|content| content.listed_checksum(limit));
        }
        entries.sort_by(|a, b| (&a.path, &a.id).cmp(&(&b.path, &b.id)));
        entries
    }

    /// Paths of all files, sorted.
    pub fn file_paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = self.read(|account| {
            let files = account.files();
            files.map(|file| account.file_path(file)).collect()
        });
        paths.sort();
        paths
    }

    /// The id of the (newest) file at a path.
    pub fn file_id(&self, path: &str) -> Option<String> {
        self.find_id(path).map(|id| id.to_string())
    }

    /// The id of the folder at a path.
    pub fn folder_id(&self, path: &str) -> Option<u64> {
        self.read(|account| account.folder_at(path))
    }

    /// The whole content of the file at a path.
    pub fn content(&self, path: &str) -> Done<Vec<u8>> {
        let id = self.find_id(path);
        let id = id.ok_or_else(|| HandleError::Missing(path.to_owned()))?;
        self.content_of(&id)
    }

    /// The whole content of a file.
    pub fn content_of(&self, id: &str) -> Done<Vec<u8>> {
        Ok(self.raw(id)?.read_all()?)
    }

    /// The true digest of a file's content, read completely if need be.
    pub fn whirlpool_of(&self, id: &str) -> Done<String> {
        Ok(self.raw(id)?.whirlpool()?)
    }

    pub(super) fn raw(&self, id: &str) -> Done<Content> {
        self.read(|account| account.file(id).map(|file| file.content.clone()))
            .ok_or_else(|| HandleError::Missing(id.to_owned()))
    }

    /// Gives a file a download password, or takes it away.
    pub fn set_password(&self, path: &str, pass: Option<&str>) -> Done<()> {
        self.change(|account, _| match locate(account, path)? {
            Place::File(id) => Ok(account.change_attributes(&id, |attributes| {
                attributes.pass = pass.map(str::to_owned);
            })?),
            Place::Folder(_) => Err(HandleError::Missing(path.to_owned())),
        })
    }

    /// Gives a folder a public page; gives the last part of its address.
    pub fn share(&self, path: &str, pass: Option<&str>) -> Done<String> {
        self.change(|account, _| match locate(account, path)? {
            Place::Folder(id) => account
                .share_folder(id, Some(pass.map(str::to_owned)))?
                .ok_or_else(|| HandleError::Missing(path.to_owned())),
            Place::File(_) => Err(HandleError::Missing(path.to_owned())),
        })
    }

    /// Shares a folder, or with an empty path all, with the user of an address.
    pub fn share_with(&self, path: &str, email: &str, rw: bool, hide_links: bool) -> Done<()> {
        self.change(|account, _| {
            let id = account
                .folder_at(path)
                .ok_or_else(|| HandleError::Missing(path.to_owned()))?;
            let with = SharedWith {
                email: email.to_owned(),
                rw: rw.into(),
                hide_links: hide_links.into(),
            };
            Ok(account.share_with(id, vec![with])?)
        })
    }

    /// Changes the owner's side: key, offer, quota, uploads.
    pub fn profile(&self, change: impl FnOnce(&mut Profile)) {
        let mut state = self.world.state.lock();
        if let Some(profile) = state.profiles.get_mut(self.number) {
            change(profile);
        }
    }

    pub(super) fn add_content(&self, path: &str, content: Content) -> Done<String> {
        let (folder, name) = split_path(path);
        self.change(|account, when| {
            let folder = ensure_folder(account, folder, when)?;
            let id = account.add_file_unchecked(folder, name, content, when);
            Ok(id.to_string())
        })
    }

    fn find_id(&self, path: &str) -> Option<FileId> {
        self.read(|account| account.file_at(path).map(|file| file.id.clone()))
    }

    fn read<T>(&self, read: impl FnOnce(&Account) -> T) -> T {
        let state = self.world.state.lock();
        // A handle is made with the number of an account that exists, and none is ever removed.
        read(&state.accounts[self.number])
    }

    fn change<T>(&self, change: impl FnOnce(&mut Account, When<'_>) -> Done<T>) -> Done<T> {
        let mut state = self.world.state.lock();
        let state = &mut *state;
        let when = When {
            now: self.world.clock.now(),
            date: now(),
            lag: Duration::ZERO,
            quirks: &state.quirks,
        };
        // As in `read`.
        change(&mut state.accounts[self.number], when)
    }
}

enum Place {
    File(FileId),
    Folder(u64),
}

fn locate(account: &Account, path: &str) -> Done<Place> {
    if let Some(file) = account.file_at(path) {
        return Ok(Place::File(file.id.clone()));
    }
    match account.folder_at(path) {
        Some(id) => Ok(Place::Folder(id)),
        None => Err(HandleError::Missing(path.to_owned())),
    }
}

fn ensure_folder(account: &mut Account, path: &str, when: When<'_>) -> Result<u64, Refusal> {
    let mut at = ROOT;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        at = match account.folder_named(at, name) {
            Some(id) => id,
            None => account.make_folder(at, name, when)?.0,
        };
    }
    Ok(at)
}
