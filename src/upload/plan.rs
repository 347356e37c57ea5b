//! Groups tasks into batches: one call of the service each. Pure.
//!
//! The service counts calls, not objects (API notes 6): files of one folder
//! travel in one upload request, removals, moves and renames in arrays.

use std::collections::HashMap;
use std::ffi::OsString;
use std::time::Duration;

use crate::ids::{FileId, FolderId, Ino, Time};
use crate::tree::journal::{Object, Task};
use crate::tree::removals::Removal;
use crate::tree::{Kind, RemotePlace};

/// Objects in one array (API notes 10.18: at most 50 to 100).
pub const MAX_ARRAY: usize = 50;
/// Files in one upload request (API notes 3.2).
pub const MAX_FILES: usize = 500;
/// Files up to this size share a request, in bytes.
const SMALL: u64 = 16 << 20;
/// Bytes of one shared request: what is lost when it breaks.
const MAX_SHARED: u64 = 128 << 20;

/// Removals wait so long for company: `rm -r` asks for them one by one, and calls are
/// counted. In the user's time, so it is not scaled.
pub const GATHER: Duration = Duration::from_secs(1);

/// A version that is to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sending {
    /// The node.
    pub ino: Ino,
    /// Where and under which name.
    pub at: RemotePlace,
    /// Bytes, as the tree knows it.
    pub size: u64,
    /// The target, if it is a symbolic link.
    pub link: Option<OsString>,
}

/// One call of the service, or one upload request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Batch {
    /// Send these to one folder in one request.
    Upload(Vec<Sending>),
    /// Make a folder.
    Make {
        /// The node.
        ino: Ino,
        /// Where and how it is to be called.
        at: RemotePlace,
    },
    /// Move files into one folder.
    MoveFiles {
        /// Where to.
        to: FolderId,
        /// What.
        files: Vec<(Ino, FileId)>,
    },
    /// Move a folder.
    MoveFolder {
        /// The node.
        ino: Ino,
        /// What.
        id: FolderId,
        /// Where to.
        to: FolderId,
    },
    /// Rename files where they are.
    RenameFiles(Vec<(Ino, FileId, String)>),
    /// Rename a folder where it is.
    RenameFolder {
        /// The node.
        ino: Ino,
        /// What.
        id: FolderId,
        /// Its new name.
        name: String,
    },
    /// Drop what the service has of an emptied file.
    Empty(Ino),
    /// Remove files.
    RemoveFiles(Vec<Removal>),
    /// Remove an empty folder.
    RemoveFolder(Removal),
}

/// Groups `tasks`. Folders are made first, since others wait for them; removals
/// come last.
pub fn batches(tasks: Vec<Task>) -> Vec<Batch> {
    let mut makes = Vec::new();
    let mut changes = Vec::new();
    let mut moves: HashMap<FolderId, Vec<(Ino, FileId)>> = HashMap::new();
    let mut renames = Vec::new();
    let mut sends: HashMap<FolderId, Vec<Sending>> = HashMap::new();
    let mut files = Vec::new();
    let mut folders = Vec::new();
    for task in tasks {
        match task {
            Task::Make { ino, at } => makes.push(Batch::Make { ino, at }),
            Task::Empty { ino } => changes.push(Batch::Empty(ino)),
            Task::Move { ino, object, to } => match object {
                Object::File(id) => moves.entry(to).or_default().push((ino, id)),
                Object::Folder(id) => changes.push(Batch::MoveFolder { ino, id, to }),
            },
            Task::Rename { ino, object, name } => match object {
                Object::File(id) => renames.push((ino, id, name)),
                Object::Folder(id) => changes.push(Batch::RenameFolder { ino, id, name }),
            },
            Task::Send {
                ino,
                at,
                size,
                link,
            } => sends.entry(at.folder).or_default().push(Sending {
                ino,
                at,
                size,
                link,
            }),
            Task::Remove(removal) if removal.kind == Kind::Folder => {
                folders.push(Batch::RemoveFolder(removal));
            }
            Task::Remove(removal) => files.push(removal),
        }
    }
    let mut batches = makes;
    batches.append(&mut changes);
    for (to, files) in moves {
        batches.extend(arrays(files).map(|files| Batch::MoveFiles { to, files }));
    }
    batches.extend(arrays(renames).map(Batch::RenameFiles));
    for (_, sends) in sends {
        batches.extend(requests(sends).into_iter().map(Batch::Upload));
    }
    batches.extend(arrays(files).map(Batch::RemoveFiles));
    batches.append(&mut folders);
    batches
}

impl Batch {
    /// Whether more of its kind may come within a moment, and nothing is lost by waiting.
    pub fn gathers(&self, now: Time) -> bool {
        match self {
            Batch::RemoveFiles(removals) => {
                let oldest = removals.iter().map(|r| r.queued_at).min();
                removals.len() < MAX_ARRAY && oldest.is_some_and(|at| now.since(at) < GATHER)
            }
            _ => false,
        }
    }
}

fn arrays<T>(items: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let mut rest = items.into_iter();
    std::iter::from_fn(move || {
        let array: Vec<T> = rest.by_ref().take(MAX_ARRAY).collect();
        (!array.is_empty()).then_some(array)
    })
}

/// Small files together, large ones alone.
fn requests(sends: Vec<Sending>) -> Vec<Vec<Sending>> {
    let mut requests = Vec::new();
    let mut shared: Vec<Sending> = Vec::new();
    let mut bytes = 0;
    for send in sends {
        if send.size > SMALL {
            requests.push(vec![send]);
            continue;
        }
        if shared.len() == MAX_FILES || bytes + send.size > MAX_SHARED {
            requests.push(std::mem::take(&mut shared));
            bytes = 0;
        }
        bytes += send.size;
        shared.push(send);
    }
    if !shared.is_empty() {
        requests.push(shared);
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(folder: u64, name: &str) -> RemotePlace {
        RemotePlace {
            folder: FolderId(folder),
            name: name.to_owned(),
        }
    }

    fn send(ino: u64, folder: u64, size: u64) -> Task {
        Task::Send {
            ino: Ino(ino),
            at: at(folder, &format!("f{ino}")),
            size,
            link: None,
        }
    }

    fn removal(id: i64, kind: Kind) -> Task {
        Task::Remove(Removal {
            id,
            kind,
            rid: format!("file{id}"),
            place: at(0, "x"),
            after: None,
            attempts: 0,
            queued_at: Time(id),
        })
    }

    #[test]
    fn small_files_of_a_folder_share_a_request_and_large_ones_do_not() {
        let tasks = vec![
            send(1, 7, 10),
            send(2, 7, 20),
            send(3, 8, 10),
            send(4, 7, SMALL + 1),
        ];
        let mut sizes: Vec<usize> = batches(tasks)
            .iter()
            .map(|b| match b {
                Batch::Upload(sends) => sends.len(),
                other => panic!("{other:?}"),
            })
            .collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [1, 1, 2]);
    }

    #[test]
    fn a_request_is_bounded_in_files_and_bytes() {
        let many = batches((0..1001).map(|i| send(i, 7, 1)).collect());
        assert_eq!(many.len(), 3);
        let big = batches((0..20).map(|i| send(i, 7, SMALL)).collect());
        for batch in &big {
            let Batch::Upload(sends) = batch else {
                panic!("{batch:?}")
            };
            assert!(sends.iter().map(|s| s.size).sum::<u64>() <= MAX_SHARED);
        }
        assert_eq!(big.len(), 3);
    }

    #[test]
    fn removals_travel_in_arrays_and_folders_after_files() {
        let mut tasks: Vec<Task> = (0..120).map(|i| removal(i, Kind::File)).collect();
        tasks.insert(0, removal(500, Kind::Folder));
        let batches = batches(tasks);
        assert_eq!(batches.len(), 4);
        assert!(matches!(batches[3], Batch::RemoveFolder(_)));
    }

    #[test]
    fn removals_wait_a_moment_for_company() {
        let some = batches((0..3).map(|i| removal(i, Kind::File)).collect());
        assert!(some[0].gathers(Time(0)));
        assert!(!some[0].gathers(Time(0).after(GATHER)));
        let full = batches((0..50).map(|i| removal(i, Kind::File)).collect());
        assert!(!full[0].gathers(Time(0)));
        assert!(!batches(vec![removal(1, Kind::Folder)])[0].gathers(Time(0)));
    }

    #[test]
    fn folders_are_made_first() {
        let tasks = vec![
            send(1, 7, 1),
            Task::Make {
                ino: Ino(2),
                at: at(0, "d"),
            },
        ];
        assert!(matches!(batches(tasks)[0], Batch::Make { .. }));
    }
}
