//! Folders that are being seen whole, slice by slice: how far each is, what was seen of it since that
//! began, and who waits for its end.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::api::FileItem;
use crate::ids::{FileId, Ino};

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Progress {
    /// Files seen so far.
    pub files: usize,
    /// Questions left, as far as is known.
    pub left: usize,
}

/// Where the files of a folder stand that its listing lacked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CutOff {
    /// They are being asked for.
    Coming(Progress),
    /// No question shows some of them: of more sub-folders than a listing holds, or of more
    /// files of one second.
    Unseen,
    /// The service did not answer a question, and why.
    Failed(String),
    /// The only answer counts more files than it shows.
    Lacking,
    /// The last answer lacks what another showed before.
    Doubted,
    /// They were not asked for since the start: they are when somebody looks.
    NotAsked,
}

#[derive(Default)]
struct Folder {
    progress: Progress,
    /// When it is whole, if no slice turns out to be cut off.
    expected: Option<Instant>,
    /// All that was seen since it began, by slices and by listings meanwhile.
    seen: HashSet<FileId>,
    /// Closes when it ends.
    ends: watch::Sender<()>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Completing {
    folders: Mutex<HashMap<Ino, Folder>>,
    /// Those that were not seen whole, and why.
    unseen: Mutex<HashMap<Ino, CutOff>>,
}

impl Completing {
    /// A folder begins to be completed; false if it is already. It takes one question at
    /// least, which is put after `gap`.
    pub fn begin(&self, folder: Ino, gap: Duration) -> bool {
        match self.folders.lock().entry(folder) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(Folder {
                    expected: Instant::now().checked_add(gap),
                    ..Folder::default()
                });
                true
            }
        }
    }

    /// It is over, and was seen whole unless it is told why not.
    pub fn end(&self, folder: Ino, why: Option<CutOff>) {
        match why {
            Some(why) => self.unseen.lock().insert(folder, why),
            None => self.unseen.lock().remove(&folder),
        };
        self.folders.lock().remove(&folder);
    }

    /// Where a folder stands whose listing was cut off.
    pub fn stands(&self, folder: Ino) -> CutOff {
        if let Some(folder) = self.folders.lock().get(&folder) {
            return CutOff::Coming(folder.progress);
        }
        let why = self.unseen.lock().get(&folder).cloned();
        why.unwrap_or(CutOff::NotAsked)
    }

    /// Whether a folder is being completed.
    pub fn holds(&self, folder: Ino) -> bool {
        self.folders.lock().contains_key(&folder)
    }

    /// How far a folder is; a question is put every `gap`.
    pub fn is_at(&self, folder: Ino, left: usize, gap: Duration) {
        if let Some(folder) = self.folders.lock().get_mut(&folder) {
            let files = folder.seen.len();
            folder.progress = Progress { files, left };
            let left = u32::try_from(left).unwrap_or(u32::MAX);
            let wait = gap.checked_mul(left);
            folder.expected = wait.and_then(|wait| Instant::now().checked_add(wait));
        }
    }

    /// Files were seen in a folder: where it is being completed, they are not missing.
    pub fn seen(&self, folder: Ino, files: &[FileItem]) {
        if let Some(folder) = self.folders.lock().get_mut(&folder) {
            folder.seen.extend(files.iter().map(|file| file.id.clone()));
        }
    }

    /// All files that were seen in a folder since it began. To be asked for in the tree's
    /// transaction, so that no listing comes in between.
    pub fn all_seen(&self, folder: Ino) -> HashSet<FileId> {
        let mut folders = self.folders.lock();
        let folder = folders.get_mut(&folder);
        folder
            .map(|folder| std::mem::take(&mut folder.seen))
            .unwrap_or_default()
    }

    /// All of them, with their progress.
    pub fn all(&self) -> Vec<(Ino, Progress)> {
        let folders = self.folders.lock();
        folders
            .iter()
            .map(|(ino, folder)| (*ino, folder.progress))
            .collect()
    }

    /// Waits until a folder is not being completed any more.
    pub async fn ended(&self, folder: Ino) {
        let end = |folder: &Folder| folder.ends.subscribe();
        let end = self.folders.lock().get(&folder).map(end);
        if let Some(mut end) = end {
            // Nothing is ever sent: it ends by closing.
            let _ = end.changed().await;
        }
    }

    /// The same, where the end can be expected before `deadline`; returns at once where it
    /// cannot.
    pub async fn ended_by(&self, folder: Ino, deadline: Instant) {
        let expected = self.folders.lock().get(&folder).and_then(|f| f.expected);
        if expected.is_some_and(|at| at <= deadline) {
            let ended = self.ended(folder);
            // It ends, or the deadline comes.
            let _ = tokio::time::timeout_at(deadline.into(), ended).await;
        }
    }
}
