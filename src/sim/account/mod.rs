//! The account's model: folders, files, and what the calls do to them. Pure: no
//! I/O, no HTTP; time, lag and quirks come in with each call as [`When`].
//!
//! Invariants: every file and folder has exactly one parent, which lists it; ids are
//! never used twice. Listings may lag behind ([`Account::list`]); everything
//! else sees the true state at once.

mod files;
mod folders;
mod listing;
mod names;
mod refusal;

pub use folders::{Share, SharedWith};
pub use listing::{FileView, FolderView, Listing};
pub use refusal::Refusal;

use super::clock::SimTime;
use super::content::Content;
use super::quirks::Quirks;
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// The root folder.
pub const ROOT: u64 = 0;

/// Domains that links may have, by number (API notes 1.1).
pub const DOMAINS: [&str; 11] = [
    "1fichier.com",
    "alterupload.com",
    "cjoint.net",
    "desfichiers.com",
    "dfichiers.com",
    "megadl.fr",
    "mesfichiers.org",
    "piecejointe.net",
    "pjointe.com",
    "tenvoi.com",
    "dl4free.com",
];

/// A file's id: 20 lowercase letters and digits.
pub type FileId = Arc<str>;

/// The circumstances of a call.
#[derive(Debug, Clone, Copy)]
pub struct When<'a> {
    /// Simulated time.
    pub now: SimTime,
    /// The date that new things get.
    pub date: Timestamp,
    /// How long listings show the state before.
    pub lag: Duration,
    /// The assumptions in force.
    pub quirks: &'a Quirks,
}

/// A file.
#[derive(Debug, Clone)]
pub struct File {
    /// Its id.
    pub id: FileId,
    /// Its name.
    pub name: String,
    /// The folder it is in.
    pub folder: u64,
    /// When it was uploaded or copied.
    pub date: Timestamp,
    /// Its bytes.
    pub content: Content,
    /// Number of the domain in its link.
    pub domain: usize,
    /// From when its link works.
    pub ready_from: SimTime,
    /// From when listings show it as it is here.
    pub listed_from: SimTime,
    /// What `chattr` sets.
    pub attributes: Attributes,
    /// When it was scanned last.
    pub scanned: Option<Scan>,
}

/// A look for viruses whose result is remembered (API notes 2.9).
#[derive(Debug, Clone, Copy)]
pub struct Scan {
    /// When, in simulated time.
    pub at: SimTime,
    /// When, as answers say it.
    pub date: Timestamp,
}

/// What `file/chattr.cgi` sets (API notes 2.8).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attributes {
    /// Download password.
    pub pass: Option<String>,
    /// Description.
    pub description: String,
    /// Offer http links.
    pub no_ssl: bool,
    /// Show in the browser.
    pub inline: bool,
    /// Spend CDN credits.
    pub cdn: bool,
    /// Access rules, as sent.
    pub acl: Option<serde_json::Value>,
}

impl File {
    /// Its link.
    pub fn url(&self) -> String {
        let domain = DOMAINS.get(self.domain).unwrap_or(&"1fichier.com");
        format!("https://{domain}/?{}", self.id)
    }
}

/// A folder.
#[derive(Debug)]
pub struct Folder {
    /// Its id; 0 is the root.
    pub id: u64,
    /// The folder it is in; the root is in itself.
    pub parent: u64,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// How it is shared.
    pub share: Option<Share>,
    /// With whom it is shared by address.
    pub shared_with: Vec<SharedWith>,
    files: HashSet<FileId>,
    folders: BTreeSet<u64>,
    listed_from: SimTime,
    file_ghosts: Vec<Ghost<File>>,
    folder_ghosts: Vec<Ghost<FolderView>>,
}

/// Something as it was, still shown in listings for a while.
#[derive(Debug, Clone)]
struct Ghost<T> {
    was: T,
    until: SimTime,
}

/// See the module.
#[derive(Debug)]
pub struct Account {
    folders: HashMap<u64, Folder>,
    files: HashMap<FileId, File>,
    next_folder: u64,
    random: StdRng,
    bytes: u64,
}

impl Account {
    /// An empty account. `number` keeps the ids of several accounts apart.
    pub fn new(seed: u64, number: usize, date: Timestamp) -> Account {
        let root = Folder::new(ROOT, ROOT, "Root".to_owned(), date);
        let number = number as u64;
        Account {
            folders: HashMap::from([(ROOT, root)]),
            files: HashMap::new(),
            next_folder: 3_357_645 + number * 10_000_000,
            random: StdRng::seed_from_u64(seed.wrapping_add(number << 32)),
            bytes: 0,
        }
    }

    /// A file.
    pub fn file(&self, id: &str) -> Option<&File> {
        self.files.get(id)
    }

    /// Whether it has a folder.
    pub fn has(&self, folder: u64) -> bool {
        self.folders.contains_key(&folder)
    }

    /// All files, in no order.
    pub fn files(&self) -> impl Iterator<Item = &File> {
        self.files.values()
    }

    /// All folders, in no order.
    pub fn folders(&self) -> impl Iterator<Item = &Folder> {
        self.folders.values()
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The file of a link, which must have the file's own domain.
    pub fn by_url(&self, url: &str) -> Option<&File> {
        let (domain, id) = split_link(url)?;
        let file = self.files.get(id)?;
        (DOMAINS.get(file.domain) == Some(&domain)).then_some(file)
    }

    /// Path of a folder from the root, `""` for the root itself.
    pub fn folder_path(&self, id: u64) -> String {
        let mut names = Vec::new();
        let mut at = id;
        while at != ROOT {
            let Some(folder) = self.folders.get(&at) else {
                break;
            };
            names.push(folder.name.as_str());
            at = folder.parent;
        }
        names.reverse();
        names.join("/")
    }

    /// Path of a file from the root.
    pub fn file_path(&self, file: &File) -> String {
        match self.folder_path(file.folder).as_str() {
            "" => file.name.clone(),
            folder => format!("{folder}/{}", file.name),
        }
    }

    /// The folder at a path; of several of a name, the one made last.
    pub fn folder_at(&self, path: &str) -> Option<u64> {
        let mut at = ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let folder = self.folders.get(&at)?;
            at = *folder
                .folders
                .iter()
                .rev()
                .find(|id| self.folders.get(id).is_some_and(|f| f.name == name))?;
        }
        Some(at)
    }

    /// The file at a path; of several of a name, the newest.
    pub fn file_at(&self, path: &str) -> Option<&File> {
        let (folder, name) = split_path(path);
        let folder = self.folders.get(&self.folder_at(folder)?)?;
        folder
            .files
            .iter()
            .filter_map(|id| self.files.get(id))
            .filter(|file| file.name == name)
            .max_by_key(|file| (file.date, file.listed_from, file.id.clone()))
    }

    fn fresh_file_id(&mut self) -> FileId {
        const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        loop {
            let id: String = (0..20)
                .map(|_| {
                    let index = self.random.random_range(0..ALPHABET.len());
                    char::from(ALPHABET.get(index).copied().unwrap_or(b'0'))
                })
                .collect();
            if !self.files.contains_key(id.as_str()) {
                return id.into();
            }
        }
    }
}

impl Folder {
    fn new(id: u64, parent: u64, name: String, created: Timestamp) -> Folder {
        Folder {
            id,
            parent,
            name,
            created,
            share: None,
            shared_with: Vec::new(),
            files: HashSet::new(),
            folders: BTreeSet::new(),
            listed_from: SimTime::ZERO,
            file_ghosts: Vec::new(),
            folder_ghosts: Vec::new(),
        }
    }
}

/// Splits `a/b/c` into `a/b` and `c`.
pub fn split_path(path: &str) -> (&str, &str) {
    let path = path.trim_matches('/');
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Splits a link into domain and id.
pub fn split_link(url: &str) -> Option<(&str, &str)> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))?;
    let (domain, id) = rest.split_once("/?")?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let good = (5..=20).contains(&id.len()) && id.bytes().all(plain);
    good.then_some((domain, id))
}

#[cfg(test)]
mod tests;
