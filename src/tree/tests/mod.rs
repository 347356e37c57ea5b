//! Scenarios over the whole room: what a user does, what the service shows, and
//! what is left to do.

mod listings;
mod moving;
mod new_names;
mod removing;
mod replacing;
mod sending;
mod shared;
mod twins;
mod unsure;
mod working_set;

use std::ffi::OsStr;
use std::time::Duration;

use super::changes::{NewNode, Over, Ownership};
use super::clock::Clock;
use super::journal::{self, Object, Postponed, Task, Underway, Way};
use super::listing::{Extent, Lacks, ListedFile, ListedFolder, Listing};
use super::node::{Kind, Known, Node, ROOT};
use super::removals::Removal;
use super::{Change, Lookup, RemoteFile, RemotePlace, Tree, TreeError, attributes};
use crate::ids::{FileId, FolderId, Ino, Time};
use crate::store::Store;

const LAG: Duration = Duration::from_secs(120);
const SECOND: i64 = 1_000_000_000;

struct Bench {
    _dir: tempfile::TempDir,
    tree: Tree,
    now: Time,
}

fn at(seconds: i64) -> Time {
    Time(seconds * SECOND)
}

fn file_id(n: u64) -> FileId {
    format!("file{n}").parse().unwrap()
}

fn file(n: u64, name: &str, size: u64) -> ListedFile {
    ListedFile {
        id: file_id(n),
        name: name.to_owned(),
        size,
        date: Some(at(n as i64)),
        whirlpool: None,
        protected: false,
    }
}

fn folder(id: u64, name: &str) -> ListedFolder {
    ListedFolder {
        id: FolderId(id),
        name: name.to_owned(),
        created: None,
        protected: false,
    }
}

fn listing(folders: Vec<ListedFolder>, files: Vec<ListedFile>) -> Listing {
    Listing {
        folders,
        files,
        ..Listing::default()
    }
}

impl Bench {
    /// A tree whose root is known to be empty.
    fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state.db")).unwrap();
        let bench = Bench {
            tree: Tree::new(store, LAG),
            _dir: dir,
            now: at(1_000_000),
        };
        bench.list(ROOT, Listing::default());
        bench
    }

    fn list(&self, folder: Ino, listing: Listing) -> Vec<Change> {
        self.tree
            .merge(folder, listing, self.now, self.now)
            .unwrap()
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
    }

    fn names(&self, folder: Ino) -> Vec<String> {
        let mut names: Vec<String> = self
            .tree
            .children(folder, Ino(0), 1000)
            .unwrap()
            .into_iter()
            .filter_map(|n| n.place)
            .map(|p| p.name.into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn get(&self, parent: Ino, name: &str) -> Node {
        match self.tree.lookup(parent, OsStr::new(name)).unwrap() {
            Lookup::Exists(node) => *node,
            other => panic!("{name}: {other:?}"),
        }
    }

    fn create(&self, parent: Ino, name: &str, new: &NewNode) -> Node {
        self.try_create(parent, name, new).unwrap()
    }

    fn try_create(&self, parent: Ino, name: &str, new: &NewNode) -> Result<Node, TreeError> {
        let owner = |_: &Node| Ownership::default();
        let name = OsStr::new(name);
        let made = self.tree.create(parent, name, new, owner, self.now, |_| ());
        made.map(|(node, ())| node)
    }

    /// Creates a file and closes a version of `size` bytes.
    fn write(&self, parent: Ino, name: &str, size: u64) -> Node {
        let node = match self.tree.lookup(parent, OsStr::new(name)).unwrap() {
            Lookup::Exists(node) => *node,
            _ => self.create(parent, name, &NewNode::File),
        };
        self.close(node.ino, size);
        node
    }

    /// Closes a version of `size` bytes.
    fn close(&self, ino: Ino, size: u64) {
        self.tree
            .store
            .write(|tx| -> Result<(), TreeError> {
                attributes::content_closed(tx, ino, size, None, self.now)?;
                Ok(journal::content_due(tx, ino, self.now)?)
            })
            .unwrap();
    }

    /// The last closed version is on its way.
    fn begin_upload(&self, ino: Ino, folder: u64, name: &str, size: u64) {
        let upload = Underway {
            ino,
            version: 1,
            at: RemotePlace {
                folder: FolderId(folder),
                name: name.to_owned(),
            },
            size,
            whirlpool: None,
            way: Way::Upload {
                node: "up1.1fichier.com".to_owned(),
                xid: "a1B2c3D4e5".to_owned(),
            },
            started: self.now,
            not_before: Time(0),
            attempts: 0,
        };
        self.tree.uploads_begin(&[upload]).unwrap();
    }

    /// The service has the node's content as file `n`.
    fn sent(&self, ino: Ino, n: u64, folder: u64, name: &str, size: u64) {
        let file = RemoteFile {
            id: file_id(n),
            place: RemotePlace {
                folder: FolderId(folder),
                name: name.to_owned(),
            },
            size,
            whirlpool: None,
            date: None,
        };
        self.tree
            .store
            .write(|tx| journal::content_confirmed(tx, ino, file, false, self.now))
            .unwrap();
    }

    fn rename(&self, from: (Ino, &str), to: (Ino, &str)) -> Result<(), TreeError> {
        self.tree
            .rename(
                from.0,
                OsStr::new(from.1),
                to.0,
                OsStr::new(to.1),
                Over::Replace,
                self.now,
            )
            .map(|_| ())
    }

    fn ready(&self) -> Vec<Task> {
        self.tree.ready(self.now, 100, &|_| false).unwrap()
    }

    /// Does what is ready, as the service would, until nothing is. Returns how many calls that was.
    fn carry_out(&mut self) -> usize {
        let mut calls = 0;
        let mut next_folder = 900;
        loop {
            let tasks = self.ready();
            let Some(task) = tasks.into_iter().next() else {
                return calls;
            };
            calls += 1;
            assert!(calls < 50, "it never ends: {task:?}");
            match task {
                Task::Make { ino, at } => {
                    next_folder += 1;
                    self.tree.made(ino, FolderId(next_folder), at, self.now)
                }
                Task::Move { ino, to, .. } => self.tree.moved(ino, to, self.now),
                Task::Rename { ino, name, .. } => self.tree.renamed(ino, &name, self.now),
                Task::Remove(removal) => self.tree.removed(&[removal], self.now),
                Task::Send { .. } | Task::Empty { .. } | Task::Look { .. } => panic!("{task:?}"),
            }
            .unwrap();
            self.pass(10);
        }
    }

    /// A removal failed, and nothing was done.
    fn postpone_removal(&self, removal: &Removal, until: Time, why: &str) {
        let postponed = Postponed {
            removal,
            until,
            asked_at: None,
            why: why.to_owned(),
        };
        self.tree.postpone_removals(&[postponed]).unwrap();
    }

    /// Where the service has a node.
    fn there(&self, ino: Ino) -> String {
        let node = self.tree.node(ino).unwrap().unwrap();
        let place = node.remote.place().unwrap();
        format!("{}/{}", place.folder, place.name)
    }

    /// What is ready, in words.
    fn todo(&self) -> Vec<String> {
        let mut todo: Vec<String> = self
            .ready()
            .into_iter()
            .map(|task| match task {
                Task::Make { at, .. } => format!("make {}/{}", at.folder, at.name),
                Task::Move { object, to, .. } => format!("move {} to {to}", object_name(&object)),
                Task::Rename { object, name, .. } => {
                    format!("rename {} to {name}", object_name(&object))
                }
                Task::Send { at, size, .. } => format!("send {}/{} {size}", at.folder, at.name),
                Task::Empty { .. } => "empty".to_owned(),
                Task::Look { ino } => format!("look for {}", self.there(ino)),
                Task::Remove(removal) => format!("remove {}", removal.rid),
            })
            .collect();
        todo.sort();
        todo
    }
}

fn object_name(object: &Object) -> String {
    match object {
        Object::File(id) => id.to_string(),
        Object::Folder(id) => id.to_string(),
    }
}

fn removals_due(bench: &Bench) -> Removal {
    let tasks = bench.tree.ready(bench.now, 10, &|_| false).unwrap();
    tasks
        .into_iter()
        .find_map(|task| match task {
            Task::Remove(removal) => Some(removal),
            _ => None,
        })
        .unwrap()
}
