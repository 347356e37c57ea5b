//! Scenarios over the whole room: what a user does, what the service shows, and
//! what is left to do.

use std::ffi::OsStr;
use std::time::Duration;

use super::changes::{NewNode, Over, Ownership};
use super::journal::{self, Object, Task, Underway, Way};
use super::merge::{Extent, ListedFile, ListedFolder, Listing};
use super::node::{Known, Node, ROOT};
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
        self.tree
            .create(
                parent,
                OsStr::new(name),
                new,
                Ownership::default(),
                self.now,
            )
            .unwrap()
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
                Task::Remove(removal) => self.tree.removed(&removal, self.now),
                Task::Send { .. } | Task::Empty { .. } => panic!("{task:?}"),
            }
            .unwrap();
            self.pass(10);
        }
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

#[test]
fn a_name_in_a_folder_never_listed_is_unknown_and_in_a_listed_one_gone() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    let d = bench.get(ROOT, "d").ino;
    assert_eq!(
        bench.tree.lookup(d, OsStr::new("x")).unwrap(),
        Lookup::Unknown
    );
    assert!(matches!(
        bench.tree.unlink(d, OsStr::new("x"), bench.now),
        Err(TreeError::Unlisted(_))
    ));
    bench.list(d, Listing::default());
    assert_eq!(bench.tree.lookup(d, OsStr::new("x")).unwrap(), Lookup::Gone);
}

#[test]
fn a_listing_cut_off_removes_nothing_and_leaves_names_unknown() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    let d = bench.get(ROOT, "d").ino;
    let look_up = |bench: &Bench| bench.tree.lookup(d, OsStr::new("x")).unwrap();
    let cut = |n, name| Listing {
        extent: Extent::FilesCut,
        ..listing(vec![], vec![file(n, name, 1)])
    };
    bench.list(d, cut(1, "a"));
    assert_eq!(look_up(&bench), Lookup::Unknown);
    // The name may exist there; what is made here stays all the same.
    let made = bench.create(d, "b", &NewNode::File);
    let slice = vec![file(2, "b", 9), file(3, "c", 1)];
    bench
        .tree
        .merge_slice(d, slice, bench.now, bench.now)
        .unwrap();
    assert_eq!(bench.get(d, "b").ino, made.ino);
    assert_eq!(bench.names(d), ["a", "b", "b (file2)", "c"]);
    assert_eq!(look_up(&bench), Lookup::Unknown);
    let seen = [1, 2, 3].map(file_id).into_iter().collect();
    bench
        .tree
        .complete(d, || seen, bench.now, bench.now)
        .unwrap();
    assert_eq!(look_up(&bench), Lookup::Gone);

    // Seen whole once, it is served as known while it is looked at anew.
    bench.pass(600);
    bench.list(d, cut(1, "a"));
    assert_eq!(look_up(&bench), Lookup::Gone);
    assert_eq!(bench.names(d), ["a", "b", "b (file2)", "c"]);
    let seen = [1, 3].map(file_id).into_iter().collect();
    bench
        .tree
        .complete(d, || seen, bench.now, bench.now)
        .unwrap();
    assert_eq!(bench.names(d), ["a", "b", "c"]);
}

#[test]
fn an_empty_answer_after_a_full_one_is_believed_the_second_time() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "a", 1)]));
    bench.pass(60);
    bench.list(ROOT, Listing::default());
    assert_eq!(bench.names(ROOT), ["a"]);
    assert!(matches!(
        bench.tree.node(ROOT).unwrap().unwrap().known,
        Known::Doubted(_)
    ));
    bench.pass(60);
    let changes = bench.list(ROOT, Listing::default());
    assert!(bench.names(ROOT).is_empty());
    assert!(matches!(changes[..], [Change::Gone { .. }]));
}

#[test]
fn of_two_files_of_one_name_the_newest_keeps_it() {
    let bench = Bench::new();
    bench.list(
        ROOT,
        listing(vec![], vec![file(1, "a.txt", 1), file(2, "a.txt", 2)]),
    );
    assert_eq!(bench.names(ROOT), ["a (file1).txt", "a.txt"]);
    assert_eq!(bench.get(ROOT, "a.txt").size, 2);
    bench.list(
        ROOT,
        listing(
            vec![],
            vec![
                file(1, "a.txt", 1),
                file(2, "a.txt", 2),
                file(3, "a.txt", 3),
            ],
        ),
    );
    assert_eq!(
        bench.names(ROOT),
        ["a (file1).txt", "a (file2).txt", "a.txt"]
    );
    assert_eq!(bench.get(ROOT, "a.txt").size, 3);
    // The twin gets the name back when the newer ones are gone.
    bench.list(ROOT, listing(vec![], vec![file(1, "a.txt", 1)]));
    assert_eq!(bench.names(ROOT), ["a.txt"]);
    assert_eq!(bench.get(ROOT, "a.txt").size, 1);
}

#[test]
fn a_file_replaced_behind_our_back_is_a_new_inode() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "a", 1)]));
    let old = bench.get(ROOT, "a").ino;
    bench.list(ROOT, listing(vec![], vec![file(2, "a", 2)]));
    assert_ne!(bench.get(ROOT, "a").ino, old);
    assert_eq!(bench.names(ROOT), ["a"]);
}

#[test]
fn a_file_moved_behind_our_back_keeps_its_inode() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![file(1, "a", 1)]));
    let (d, a) = (bench.get(ROOT, "d").ino, bench.get(ROOT, "a").ino);
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    bench.list(d, listing(vec![], vec![file(1, "b", 1)]));
    assert_eq!(bench.get(d, "b").ino, a);
}

#[test]
fn a_new_file_waits_for_its_folder_and_is_sent_under_its_latest_name() {
    let bench = Bench::new();
    let d = bench.create(ROOT, "d", &NewNode::Folder).ino;
    let f = bench.write(d, ".tmp", 5);
    bench.rename((d, ".tmp"), (d, "final")).unwrap();
    assert_eq!(bench.todo(), ["make 0/d"]);
    let place = RemotePlace {
        folder: FolderId::ROOT,
        name: "d".into(),
    };
    bench.tree.made(d, FolderId(7), place, bench.now).unwrap();
    assert_eq!(bench.todo(), ["send 7/final 5"]);
    bench.sent(f.ino, 1, 7, "final", 5);
    assert!(bench.todo().is_empty());
}

#[test]
fn a_temporary_file_that_came_and_went_costs_no_call() {
    let bench = Bench::new();
    let d = bench.create(ROOT, "d", &NewNode::Folder).ino;
    bench.write(d, "tmp", 5);
    bench.tree.unlink(d, OsStr::new("tmp"), bench.now).unwrap();
    bench.tree.rmdir(ROOT, OsStr::new("d"), bench.now).unwrap();
    assert!(bench.todo().is_empty());
    assert!(bench.tree.backlog().unwrap().is_drained());
}

#[test]
fn an_old_version_goes_only_after_the_new_one_is_confirmed() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "doc", 3)]));
    let doc = bench.write(ROOT, "doc", 4);
    assert_eq!(bench.todo(), ["send 0/doc 4"]);
    bench.sent(doc.ino, 2, 0, "doc", 4);
    assert_eq!(bench.todo(), ["remove file1"]);
}

#[test]
fn write_temp_and_rename_replaces_after_the_confirmation() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "doc", 3)]));
    let tmp = bench.write(ROOT, "doc.tmp", 4);
    bench.rename((ROOT, "doc.tmp"), (ROOT, "doc")).unwrap();
    assert_eq!(bench.names(ROOT), ["doc"]);
    assert_eq!(bench.todo(), ["send 0/doc 4"]);
    bench.sent(tmp.ino, 2, 0, "doc", 4);
    assert_eq!(bench.todo(), ["remove file1"]);
}

#[test]
fn what_is_replaced_steps_aside_where_the_service_refuses_and_can_come_back() {
    let bench = Bench::new();
    bench.list(
        ROOT,
        listing(vec![], vec![file(1, "old", 3), file(2, "new", 4)]),
    );
    let new = bench.get(ROOT, "new").ino;
    bench.rename((ROOT, "new"), (ROOT, "old")).unwrap();
    assert_eq!(bench.todo(), ["rename file2 to old"]);
    let detour = bench.tree.detour(new).unwrap().unwrap();
    assert_eq!(
        (detour.id, detour.name.as_str()),
        (file_id(1), "old.replaced-1")
    );
    let journal::Who::Leaving(removal) = detour.who else {
        panic!("{:?}", detour.who);
    };
    // Until that is recorded, the same is asked for; after it there is nothing in the way.
    assert!(bench.tree.detour(new).unwrap().is_some());
    bench.tree.stepped_aside(&removal, &detour.name).unwrap();
    assert_eq!(bench.tree.detour(new).unwrap(), None);
    assert_eq!(bench.todo(), ["rename file2 to old"]);
    let back = bench.tree.aside_for(new).unwrap().unwrap();
    assert_eq!((back.id, back.name.as_str()), (file_id(1), "old"));
    bench.tree.renamed(new, "old", bench.now).unwrap();
    assert_eq!(bench.todo(), ["remove file1"]);
}

#[test]
fn files_that_swap_names_get_out_of_each_others_way_once() {
    let bench = Bench::new();
    bench.list(
        ROOT,
        listing(vec![], vec![file(1, "a", 3), file(2, "b", 4)]),
    );
    let a = bench.get(ROOT, "a").ino;
    bench.rename((ROOT, "a"), (ROOT, "t")).unwrap();
    bench.rename((ROOT, "b"), (ROOT, "a")).unwrap();
    bench.rename((ROOT, "t"), (ROOT, "b")).unwrap();
    let detour = bench.tree.detour(a).unwrap().unwrap();
    assert_eq!(detour.who, journal::Who::Itself(a));
    bench.tree.renamed(a, &detour.name, bench.now).unwrap();
    assert_eq!(bench.tree.detour(a).unwrap(), None);
    assert_eq!(bench.names(ROOT), ["a", "b"]);
    // Should the rest be refused, the passing name is not what people see.
    bench.tree.restore_place(a).unwrap();
    assert_eq!(
        bench.names(ROOT),
        ["a", "a (file1)"],
        "the other one wants to be `a`"
    );
    assert_eq!(
        bench.todo(),
        ["rename file1 to a (file1)", "rename file2 to a"]
    );
    // Refused once more, it is not asked for without end.
    assert!(bench.tree.restore_place(a).unwrap().changes.is_empty());
}

#[test]
fn a_replaced_file_outlives_all_its_unsent_successors() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "doc", 3)]));
    bench.write(ROOT, "tmp1", 4);
    bench.rename((ROOT, "tmp1"), (ROOT, "doc")).unwrap();
    let second = bench.write(ROOT, "tmp2", 5);
    bench.rename((ROOT, "tmp2"), (ROOT, "doc")).unwrap();
    assert_eq!(bench.todo(), ["send 0/doc 5"]);
    bench.sent(second.ino, 2, 0, "doc", 5);
    assert_eq!(bench.todo(), ["remove file1"]);
}

#[test]
fn content_of_an_open_file_waits_until_it_is_closed_or_found_at_the_next_start() {
    let bench = Bench::new();
    let f = bench.write(ROOT, "a", 5);
    let hold = |tx: &rusqlite::Transaction<'_>| -> Result<(), TreeError> {
        Ok(journal::content_due(tx, f.ino, journal::WHILE_OPEN)?)
    };
    bench.tree.store.write(hold).unwrap();
    bench.tree.hurry(None).unwrap();
    assert!(bench.todo().is_empty());
    assert_eq!(bench.tree.next_due(bench.now).unwrap(), None);
    assert!(!bench.tree.backlog().unwrap().is_drained());
    bench.tree.nothing_is_open(bench.now).unwrap();
    assert_eq!(bench.todo(), ["send 0/a 5"]);
}

#[test]
fn renames_collapse_and_a_rename_back_cancels() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![file(1, "a", 3)]));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, Listing::default());
    bench.rename((ROOT, "a"), (ROOT, "b")).unwrap();
    bench.rename((ROOT, "b"), (d, "c")).unwrap();
    assert_eq!(bench.todo(), ["move file1 to 7"]);
    let ino = bench.get(d, "c").ino;
    bench.tree.moved(ino, FolderId(7), bench.now).unwrap();
    assert_eq!(bench.todo(), ["rename file1 to c"]);
    bench.rename((d, "c"), (d, "a")).unwrap();
    assert!(bench.todo().is_empty());
}

#[test]
fn folders_that_swap_names_step_aside() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "a"), folder(8, "b")], vec![]));
    bench.rename((ROOT, "a"), (ROOT, "t")).unwrap();
    bench.rename((ROOT, "b"), (ROOT, "a")).unwrap();
    bench.rename((ROOT, "t"), (ROOT, "b")).unwrap();
    let mut steps = Vec::new();
    for _ in 0..3 {
        let tasks = bench.ready();
        let [Task::Rename { ino, object, name }] = &tasks[..] else {
            panic!("{tasks:?}");
        };
        steps.push(format!("{} -> {name}", object_name(object)));
        bench.tree.renamed(*ino, name, bench.now).unwrap();
    }
    assert!(bench.todo().is_empty(), "{steps:?}");
    assert_eq!(bench.names(ROOT), ["a", "b"]);
}

#[test]
fn folders_swap_names_also_while_something_else_can_be_done() {
    let bench = Bench::new();
    bench.list(
        ROOT,
        listing(vec![folder(7, "a"), folder(8, "b")], vec![file(1, "f", 1)]),
    );
    bench.rename((ROOT, "a"), (ROOT, "t")).unwrap();
    bench.rename((ROOT, "b"), (ROOT, "a")).unwrap();
    bench.rename((ROOT, "t"), (ROOT, "b")).unwrap();
    // Somebody reads it: its removal is ready and is not made.
    bench.tree.unlink(ROOT, OsStr::new("f"), bench.now).unwrap();
    let todo = bench.todo();
    assert_eq!(todo.len(), 2, "{todo:?}");
    assert!(todo[1].starts_with("rename"), "{todo:?}");
}

#[test]
fn a_folder_waits_for_a_name_without_a_call() {
    let mut bench = Bench::new();
    bench.list(
        ROOT,
        listing(vec![folder(7, "a"), folder(8, "b"), folder(9, "c")], vec![]),
    );
    let b = bench.get(ROOT, "b").ino;
    bench.list(b, listing(vec![], vec![]));
    // For one that is to be removed, though its removal is not due.
    bench.tree.rmdir(ROOT, OsStr::new("b"), bench.now).unwrap();
    bench.rename((ROOT, "a"), (ROOT, "b")).unwrap();
    let removal = removals_due(&bench);
    let later = bench.now.after(Duration::from_secs(60));
    bench
        .tree
        .postpone_removal(&removal, later, "the folder is not empty")
        .unwrap();
    assert!(bench.todo().is_empty(), "{:?}", bench.todo());
    // For one whose own rename is not due.
    bench.rename((ROOT, "c"), (ROOT, "d")).unwrap();
    let c = bench.get(ROOT, "d").ino;
    bench.rename((ROOT, "b"), (ROOT, "c")).unwrap();
    bench.tree.postpone(c, later, "refused").unwrap();
    assert!(bench.todo().is_empty(), "{:?}", bench.todo());
    bench.pass(60);
    assert_eq!(bench.carry_out(), 3);
    assert_eq!(bench.names(ROOT), ["c", "d"]);
}

#[test]
fn a_folder_takes_the_name_of_the_one_that_it_lay_in() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "a")], vec![]));
    let outer = bench.get(ROOT, "a").ino;
    bench.list(outer, listing(vec![folder(8, "a")], vec![]));
    let inner = bench.get(outer, "a").ino;
    bench.list(inner, listing(vec![], vec![]));
    bench.rename((outer, "a"), (ROOT, "t")).unwrap();
    bench.tree.rmdir(ROOT, OsStr::new("a"), bench.now).unwrap();
    bench.rename((ROOT, "t"), (ROOT, "a")).unwrap();
    // Aside, out, and in the place of the other once that is gone.
    assert_eq!(bench.carry_out(), 4);
    assert_eq!(bench.there(inner), "0/a");
}

#[test]
fn a_folder_goes_into_a_new_one_that_has_its_name() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    let old = bench.get(ROOT, "d").ino;
    bench.rename((ROOT, "d"), (ROOT, "t")).unwrap();
    let new = bench.create(ROOT, "d", &NewNode::Folder).ino;
    bench.rename((ROOT, "t"), (new, "old")).unwrap();
    bench.carry_out();
    assert_eq!(bench.there(new), "0/d");
    assert_eq!(bench.there(old), "901/old");
}

#[test]
fn a_folder_goes_after_everything_in_it() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, listing(vec![], vec![file(1, "a", 1)]));
    assert!(matches!(
        bench.tree.rmdir(ROOT, OsStr::new("d"), bench.now),
        Err(TreeError::NotEmpty)
    ));
    bench.tree.unlink(d, OsStr::new("a"), bench.now).unwrap();
    bench.tree.rmdir(ROOT, OsStr::new("d"), bench.now).unwrap();
    assert_eq!(bench.todo(), ["remove file1"]);
    let [Task::Remove(removal)] = &bench.ready()[..] else {
        panic!();
    };
    bench.tree.removed(removal, bench.now).unwrap();
    assert!(bench.todo().is_empty(), "removals lag behind each other");
    bench.now = bench.now.after(Duration::from_secs(10));
    assert_eq!(bench.todo(), ["remove 7"]);
}

#[test]
fn a_lagging_listing_neither_hides_nor_revives_what_we_did() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "old", 1)]));
    let new = bench.write(ROOT, "new", 4);
    bench.sent(new.ino, 2, 0, "new", 4);
    bench
        .tree
        .unlink(ROOT, OsStr::new("old"), bench.now)
        .unwrap();
    for task in bench.ready() {
        if let Task::Remove(removal) = task {
            bench.tree.removed(&removal, bench.now).unwrap();
        }
    }
    bench.pass(60);
    bench.list(ROOT, listing(vec![], vec![file(1, "old", 1)]));
    assert_eq!(bench.names(ROOT), ["new"]);
    bench.pass(100);
    bench.list(ROOT, listing(vec![], vec![file(2, "new", 4)]));
    assert_eq!(bench.names(ROOT), ["new"]);
    assert_eq!(bench.get(ROOT, "new").ino, new.ino);
}

#[test]
fn unsent_content_outlives_the_file_and_its_folder_on_the_service() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d"), folder(9, "e")], vec![]));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, listing(vec![], vec![file(1, "a", 1)]));
    bench.write(d, "a", 9);
    bench.pass(600);
    bench.list(ROOT, listing(vec![folder(9, "e")], vec![]));
    assert_eq!(bench.names(ROOT), ["d", "e"]);
    assert_eq!(bench.todo(), ["make 0/d"]);
}

#[test]
fn an_unlinked_file_whose_upload_ends_is_removed_there() {
    let bench = Bench::new();
    let f = bench.write(ROOT, "a", 9);
    bench.tree.unlink(ROOT, OsStr::new("a"), bench.now).unwrap();
    bench.sent(f.ino, 1, 0, "a", 9);
    assert_eq!(bench.todo(), ["remove file1"]);
}

#[test]
fn an_emptied_file_lives_here_and_goes_there() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "a", 1)]));
    let a = bench.write(ROOT, "a", 0);
    assert_eq!(bench.todo(), ["empty"]);
    bench.tree.emptied(a.ino, bench.now).unwrap();
    assert_eq!(bench.todo(), ["remove file1"]);
    assert_eq!(bench.names(ROOT), ["a"]);
}

#[test]
fn a_folder_made_here_and_there_becomes_one() {
    let bench = Bench::new();
    let d = bench.create(ROOT, "d", &NewNode::Folder).ino;
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    assert_eq!(bench.names(ROOT), ["d"]);
    assert_eq!(bench.get(ROOT, "d").ino, d);
    assert!(bench.todo().is_empty());
}

#[test]
fn a_move_done_before_a_crash_is_seen_in_the_listing() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![file(1, "a", 1)]));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, Listing::default());
    bench.rename((ROOT, "a"), (d, "a")).unwrap();
    assert_eq!(bench.todo(), ["move file1 to 7"]);
    bench.list(d, listing(vec![], vec![file(1, "a", 1)]));
    assert!(bench.todo().is_empty());
    assert_eq!(bench.names(d), ["a"]);
}

#[test]
fn a_refused_rename_shows_the_truth_again() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "a", 1)]));
    bench.rename((ROOT, "a"), (ROOT, "b")).unwrap();
    let b = bench.get(ROOT, "b").ino;
    bench.tree.restore_place(b).unwrap();
    assert_eq!(bench.names(ROOT), ["a"]);
    assert!(bench.todo().is_empty());
}

#[test]
fn what_a_refused_or_vanished_file_was_to_replace_stays() {
    let files = || vec![file(1, "a", 1), file(2, "b", 1)];
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![], files()));
    bench.rename((ROOT, "a"), (ROOT, "b")).unwrap();
    let a = bench.get(ROOT, "b").ino;
    bench.tree.restore_place(a).unwrap();
    assert!(bench.todo().is_empty(), "b is not removed");
    bench.list(ROOT, listing(vec![], files()));
    assert_eq!(bench.names(ROOT), ["a", "b"]);

    // In a folder that goes, with what was to change in it.
    bench.list(ROOT, listing(vec![folder(7, "d")], files()));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, listing(vec![], vec![file(3, "c", 1), file(4, "x", 1)]));
    bench.rename((d, "c"), (d, "x")).unwrap();
    bench.tree.vanished(d).unwrap();
    bench.pass(600);
    let todo = bench.todo();
    assert!(
        !todo.iter().any(|task| task.starts_with("remove")),
        "{todo:?}"
    );
}

#[test]
fn rename_follows_posix() {
    let bench = Bench::new();
    bench.list(
        ROOT,
        listing(
            vec![folder(7, "d"), folder(8, "full")],
            vec![file(1, "f", 1)],
        ),
    );
    let (d, full) = (bench.get(ROOT, "d").ino, bench.get(ROOT, "full").ino);
    bench.list(d, Listing::default());
    bench.list(full, listing(vec![], vec![file(2, "x", 1)]));
    assert!(matches!(
        bench.rename((ROOT, "d"), (ROOT, "full")),
        Err(TreeError::NotEmpty)
    ));
    assert!(matches!(
        bench.rename((ROOT, "d"), (ROOT, "f")),
        Err(TreeError::NotFolder)
    ));
    assert!(matches!(
        bench.rename((ROOT, "f"), (ROOT, "d")),
        Err(TreeError::IsFolder)
    ));
    assert!(matches!(
        bench.rename((ROOT, "full"), (full, "y")),
        Err(TreeError::IntoItself)
    ));
    assert!(matches!(
        bench.rename((ROOT, "none"), (d, "y")),
        Err(TreeError::NotFound)
    ));
    let long = "x".repeat(251);
    assert!(matches!(
        bench.rename((ROOT, "f"), (d, &long)),
        Err(TreeError::NameTooLong)
    ));
    bench.rename((ROOT, "full"), (ROOT, "d")).unwrap();
    assert_eq!(bench.names(ROOT), ["d", "f"]);
    assert_eq!(bench.todo(), ["remove 7"]);
}

#[test]
fn files_survive_two_renames_of_their_folder() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, listing(vec![], vec![file(1, "x", 1)]));
    bench.rename((ROOT, "d"), (ROOT, "e")).unwrap();
    bench.rename((ROOT, "e"), (ROOT, "f")).unwrap();
    assert_eq!(bench.names(bench.get(ROOT, "f").ino), ["x"]);
    assert_eq!(bench.todo(), ["rename 7 to f"]);
}

#[test]
fn a_file_that_vanished_while_it_was_written_is_back_when_it_is_closed() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d"), folder(9, "e")], vec![]));
    let d = bench.get(ROOT, "d").ino;
    let with_sub = listing(vec![folder(8, "s")], vec![file(1, "a", 1), file(2, "b", 1)]);
    bench.list(d, with_sub);
    let (a, s) = (bench.get(d, "a").ino, bench.get(d, "s").ino);
    bench.pass(600);
    // The file first, then the folder it was in.
    let without_a = listing(vec![folder(8, "s")], vec![file(2, "b", 1)]);
    bench.list(d, without_a);
    bench.list(ROOT, listing(vec![folder(9, "e")], vec![]));
    assert_eq!(bench.names(ROOT), ["e"]);
    let refused = bench.tree.create(
        s,
        OsStr::new("x"),
        &NewNode::File,
        Ownership::default(),
        bench.now,
    );
    assert!(matches!(refused, Err(TreeError::NotFound)));
    // Somebody takes the name meanwhile.
    bench.create(ROOT, "d", &NewNode::Folder);
    bench.close(a, 9);
    let back = format!("d ({d})");
    assert_eq!(bench.names(ROOT), ["d", &back, "e"]);
    assert_eq!(bench.names(bench.get(ROOT, &back).ino), ["a"]);
    assert_eq!(bench.todo(), ["make 0/d", &format!("make 0/{back}")]);
    let place = RemotePlace {
        folder: FolderId::ROOT,
        name: back,
    };
    bench.tree.made(d, FolderId(20), place, bench.now).unwrap();
    assert_eq!(bench.todo(), ["make 0/d", "send 20/a 9"]);
}

#[test]
fn a_file_that_was_unlinked_while_it_was_written_does_not_come_back() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "a", 1)]));
    let a = bench.get(ROOT, "a").ino;
    bench.tree.unlink(ROOT, OsStr::new("a"), bench.now).unwrap();
    bench.close(a, 9);
    assert_eq!(bench.todo(), ["remove file1"]);
    assert!(bench.names(ROOT).is_empty());
    // Even if the service refuses to remove it: that is another inode then.
    let [Task::Remove(removal)] = &bench.ready()[..] else {
        panic!();
    };
    bench.tree.give_up_removal(removal).unwrap();
    bench.list(ROOT, listing(vec![], vec![file(1, "a", 1)]));
    assert_ne!(bench.get(ROOT, "a").ino, a);
}

#[test]
fn a_file_whose_move_is_under_way_is_not_lost_over_a_listing_of_its_old_folder() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![file(1, "a", 1)]));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, Listing::default());
    let a = bench.get(ROOT, "a").ino;
    bench.rename((ROOT, "a"), (d, "a")).unwrap();
    bench.pass(600);
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    assert_eq!(bench.names(d), ["a"]);
    bench.tree.moved(a, FolderId(7), bench.now).unwrap();
    assert!(bench.todo().is_empty(), "nothing is removed");
    assert_eq!(bench.get(d, "a").ino, a);
}

#[test]
fn what_lay_in_a_folder_that_is_made_anew_is_not_taken_to_lie_there() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d"), folder(9, "e")], vec![]));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, listing(vec![folder(8, "s")], vec![file(1, "a", 1)]));
    let s = bench.get(d, "s").ino;
    bench.list(s, Listing::default());
    bench.write(s, "new", 5);
    bench.pass(600);
    bench.list(ROOT, listing(vec![folder(9, "e")], vec![]));
    assert_eq!(bench.names(d), ["s"]);
    assert_eq!(bench.todo(), ["make 0/d"]);
    let place = |folder, name: &str| RemotePlace {
        folder,
        name: name.to_owned(),
    };
    let made = place(FolderId::ROOT, "d");
    bench.tree.made(d, FolderId(20), made, bench.now).unwrap();
    assert_eq!(bench.todo(), ["make 20/s"]);
    let made = place(FolderId(20), "s");
    bench.tree.made(s, FolderId(21), made, bench.now).unwrap();
    assert_eq!(bench.todo(), ["send 21/new 5"]);
}

#[test]
fn an_unlinked_file_is_forgotten_once_its_upload_is_settled() {
    let bench = Bench::new();
    let f = bench.write(ROOT, "a", 9);
    bench.begin_upload(f.ino, 0, "a", 9);
    bench.tree.unlink(ROOT, OsStr::new("a"), bench.now).unwrap();
    assert!(!bench.tree.purge(f.ino).unwrap());
    assert!(bench.tree.node(f.ino).unwrap().is_some());
    bench.sent(f.ino, 1, 0, "a", 9);
    assert!(bench.tree.node(f.ino).unwrap().is_none());
    assert_eq!(bench.todo(), ["remove file1"]);
}

#[test]
fn what_waits_for_something_that_failed_for_good_does_not_hold_up_the_rest() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "doc", 3)]));
    let d = bench.create(ROOT, "d", &NewNode::Folder).ino;
    bench.write(d, "in d", 1);
    bench.create(d, "sub", &NewNode::Folder);
    let tmp = bench.write(ROOT, "tmp", 4);
    bench.rename((ROOT, "tmp"), (ROOT, "doc")).unwrap();
    bench.tree.park(d, "a name").unwrap();
    bench.tree.park(tmp.ino, "too large").unwrap();
    let backlog = bench.tree.backlog().unwrap();
    // The folder, what is in it, the file, and what that replaces.
    assert_eq!((backlog.failed, backlog.removals), (5, 1));
    assert!(backlog.is_drained());
    // And in a window of one there is room for others.
    bench.write(ROOT, "other", 2);
    assert!(!bench.tree.backlog().unwrap().is_drained());
    let ready = bench.tree.ready(bench.now, 1, &|_| false).unwrap();
    assert!(matches!(&ready[..], [Task::Send { .. }]), "{ready:?}");
}

#[test]
fn what_is_to_go_is_listed_with_its_path_and_its_trouble() {
    let bench = Bench::new();
    bench.list(
        ROOT,
        listing(vec![folder(7, "d"), folder(8, "kept")], vec![]),
    );
    let (d, kept) = (bench.get(ROOT, "d").ino, bench.get(ROOT, "kept").ino);
    bench.list(d, listing(vec![], vec![file(1, "＄1", 1)]));
    bench.list(kept, listing(vec![], vec![file(2, "b", 1)]));
    bench.rename((ROOT, "kept"), (ROOT, "renamed")).unwrap();
    for (folder, name) in [(d, "$1"), (kept, "b")] {
        bench
            .tree
            .unlink(folder, OsStr::new(name), bench.now)
            .unwrap();
    }
    bench.tree.rmdir(ROOT, OsStr::new("d"), bench.now).unwrap();
    let sent = bench.write(ROOT, "sent", 9);
    bench.begin_upload(sent.ino, 0, "sent", 9);
    bench
        .tree
        .unlink(ROOT, OsStr::new("sent"), bench.now)
        .unwrap();
    let Some(Task::Remove(first)) = bench
        .ready()
        .into_iter()
        .find(|task| matches!(task, Task::Remove(removal) if removal.rid == "file1"))
    else {
        panic!("nothing to remove");
    };
    bench
        .tree
        .postpone_removal(&first, at(2_000_000), "not now")
        .unwrap();

    let leaving = bench.tree.leaving(100).unwrap();
    let paths: Vec<_> = leaving.iter().map(|l| l.path.to_str().unwrap()).collect();
    assert_eq!(paths, ["d/$1", "renamed/b", "d", "sent"]);
    assert_eq!(leaving.len() as u64, bench.tree.backlog().unwrap().removals);
    assert_eq!(leaving[0].error.as_deref(), Some("not now"));
    assert_eq!(
        (leaving[0].attempts, leaving[0].not_before),
        (1, at(2_000_000))
    );
    assert_eq!(leaving[1].error, None);
    assert_eq!(bench.tree.leaving(2).unwrap(), leaving[..2]);
}

#[test]
fn a_new_name_is_a_new_try() {
    let bench = Bench::new();
    let d = bench.create(ROOT, "bad", &NewNode::Folder).ino;
    bench.tree.park(d, "a name").unwrap();
    assert!(bench.todo().is_empty());
    bench.rename((ROOT, "bad"), (ROOT, "good")).unwrap();
    assert_eq!(bench.todo(), ["make 0/good"]);
}

#[test]
fn a_folder_goes_after_what_is_still_being_sent_to_it() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, Listing::default());
    let f = bench.write(d, "a", 5);
    bench.begin_upload(f.ino, 7, "a", 5);
    bench.rename((d, "a"), (ROOT, "a")).unwrap();
    bench.tree.rmdir(ROOT, OsStr::new("d"), bench.now).unwrap();
    assert!(bench.todo().is_empty());
    assert!(!bench.tree.backlog().unwrap().is_drained());
    bench.sent(f.ino, 1, 7, "a", 5);
    assert_eq!(bench.todo(), ["move file1 to 0"]);
    bench.tree.moved(f.ino, FolderId::ROOT, bench.now).unwrap();
    assert_eq!(bench.todo(), ["remove 7"]);
}

#[test]
fn what_was_sent_to_a_folder_that_vanished_lies_in_the_root() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d"), folder(9, "e")], vec![]));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, Listing::default());
    let f = bench.write(d, "a", 5);
    bench.begin_upload(f.ino, 7, "a", 5);
    bench.pass(600);
    bench.list(ROOT, listing(vec![folder(9, "e")], vec![]));
    assert_eq!(bench.names(ROOT), ["d", "e"]);
    bench.sent(f.ino, 1, 7, "a", 5);
    let place = RemotePlace {
        folder: FolderId::ROOT,
        name: "d".to_owned(),
    };
    bench.tree.made(d, FolderId(20), place, bench.now).unwrap();
    assert_eq!(bench.todo(), ["move file1 to 20"]);
}

#[test]
fn the_root_is_as_old_as_its_first_listing() {
    let mut bench = Bench::new();
    let first = bench.now;
    bench.pass(600);
    bench.list(ROOT, Listing::default());
    let root = bench.tree.node(ROOT).unwrap().unwrap().attributes;
    assert_eq!((root.btime, root.mtime), (first, first));
}

#[test]
fn the_root_never_vanishes() {
    let bench = Bench::new();
    bench.write(ROOT, "a", 1);
    assert!(bench.tree.vanished(ROOT).unwrap().is_empty());
    assert_eq!(bench.todo(), ["send 0/a 1"]);
}

#[test]
fn what_a_row_says_once_reads_back_after_either_half_changed() {
    let mut bench = Bench::new();
    let whirlpool = "ab".repeat(64).parse().unwrap();
    let mut plain = file(1, "plain", 1);
    plain.whirlpool = Some(whirlpool);
    bench.list(ROOT, listing(vec![], vec![plain, file(2, "q＂", 1)]));
    let there = |bench: &Bench, name: &str| {
        let node = bench.get(ROOT, name);
        node.remote.place().unwrap().name.clone()
    };
    let node = bench.get(ROOT, "plain");
    assert_eq!(node.remote_file().unwrap().whirlpool, Some(whirlpool));
    assert_eq!(there(&bench, "plain"), "plain");
    assert_eq!(there(&bench, "q\""), "q＂");
    let sent = node.attributes.mtime;
    assert_eq!((node.attributes.atime, node.attributes.btime), (sent, sent));

    // The name here changes, that there does not, until it follows.
    bench.rename((ROOT, "plain"), (ROOT, "other")).unwrap();
    assert_eq!(there(&bench, "other"), "plain");
    bench.tree.renamed(node.ino, "other", bench.now).unwrap();
    assert_eq!(there(&bench, "other"), "other");
    assert!(bench.get(ROOT, "other").pending.is_empty());

    // One time changes, the others stay.
    let change = attributes::AttributeChange {
        mtime: Some(at(5)),
        ..attributes::AttributeChange::default()
    };
    bench
        .tree
        .set_attributes(node.ino, change, bench.now)
        .unwrap();
    let times = bench.get(ROOT, "other").attributes;
    assert_eq!((times.mtime, times.atime, times.btime), (at(5), sent, sent));

    // Gone, and found again elsewhere under the name it had.
    bench.pass(600);
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![file(2, "q＂", 1)]));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, listing(vec![], vec![file(1, "other", 1)]));
    let back = bench.get(d, "other");
    assert_eq!(back.ino, node.ino);
    assert_eq!(back.remote.place().unwrap().name, "other");
}

#[test]
fn a_file_that_a_listing_showed_during_the_completion_stays() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    let d = bench.get(ROOT, "d").ino;
    let cut = |files| Listing {
        extent: Extent::FilesCut,
        ..listing(vec![], files)
    };
    bench.list(d, cut(vec![file(1, "a", 1)]));
    // What was seen is asked for when nothing can come in between any more.
    bench.list(d, cut(vec![file(2, "new", 1)]));
    let seen = || [1, 2].map(file_id).into_iter().collect();
    bench.tree.complete(d, seen, bench.now, bench.now).unwrap();
    assert_eq!(bench.names(d), ["a", "new"]);
}

#[test]
fn a_forgotten_file_does_not_keep_the_others_of_its_request_from_being_sent() {
    let bench = Bench::new();
    let node = bench.write(ROOT, "a", 4);
    let underway = |ino: Ino| Underway {
        ino,
        version: 1,
        at: RemotePlace {
            folder: FolderId(0),
            name: "a".to_owned(),
        },
        size: 4,
        whirlpool: None,
        way: Way::Upload {
            node: "up".to_owned(),
            xid: "x".to_owned(),
        },
        started: bench.now,
        not_before: Time(0),
        attempts: 0,
    };
    let both = [underway(node.ino), underway(Ino(4711))];
    assert_eq!(bench.tree.uploads_begin(&both).unwrap(), [node.ino]);
}

#[test]
fn a_folder_that_is_forgotten_while_it_is_made_goes_from_the_service_too() {
    let bench = Bench::new();
    let d = bench.create(ROOT, "d", &NewNode::Folder).ino;
    bench.tree.rmdir(ROOT, OsStr::new("d"), bench.now).unwrap();
    assert!(bench.tree.purge(d).unwrap());
    let place = RemotePlace {
        folder: FolderId::ROOT,
        name: "d".into(),
    };
    bench.tree.made(d, FolderId(7), place, bench.now).unwrap();
    assert_eq!(bench.todo(), ["remove 7"]);
}

#[test]
fn a_file_that_waits_and_gets_a_local_name_stays_here_until_it_loses_that() {
    let bench = Bench::new();
    bench.tree.keep_here(&[".*.sw?".to_owned()]).unwrap();
    let ino = bench.write(ROOT, "text", 4).ino;
    assert_eq!(bench.tree.backlog().unwrap().uploads, 1);
    bench.rename((ROOT, "text"), (ROOT, ".text.swp")).unwrap();
    assert!(bench.tree.backlog().unwrap().is_drained());
    bench.close(ino, 5);
    assert!(bench.tree.backlog().unwrap().is_drained());
    bench.rename((ROOT, ".text.swp"), (ROOT, "text")).unwrap();
    assert_eq!(bench.tree.backlog().unwrap().uploads, 1);
}

#[test]
fn a_file_that_is_being_sent_is_the_services_whatever_it_is_called_then() {
    let bench = Bench::new();
    bench.tree.keep_here(&[".*.sw?".to_owned()]).unwrap();
    let ino = bench.write(ROOT, "text", 4).ino;
    bench.begin_upload(ino, 0, "text", 4);
    bench.rename((ROOT, "text"), (ROOT, ".text.swp")).unwrap();
    bench.sent(ino, 1, 0, "text", 4);
    let pending = bench.get(ROOT, ".text.swp").pending;
    assert!(pending.place && !pending.content, "it is renamed there");
    bench.close(ino, 5);
    assert!(bench.get(ROOT, ".text.swp").pending.content);
}

#[test]
fn what_takes_the_place_of_a_file_of_the_service_is_sent_whatever_its_name() {
    let bench = Bench::new();
    bench
        .tree
        .keep_here(&[".DS_Store".to_owned(), "*.new".to_owned()])
        .unwrap();
    bench.list(ROOT, listing(vec![], vec![file(1, ".DS_Store", 4)]));
    bench.write(ROOT, "x.new", 4);
    assert!(bench.tree.backlog().unwrap().is_drained());
    bench.rename((ROOT, "x.new"), (ROOT, ".DS_Store")).unwrap();
    assert_eq!(bench.tree.backlog().unwrap().uploads, 1);
    // Also where the names that stay change meanwhile.
    bench.tree.keep_here(&[".*".to_owned()]).unwrap();
    assert_eq!(bench.tree.backlog().unwrap().uploads, 1);
    assert!(!bench.todo().iter().any(|task| task.starts_with("remove")));
}

#[test]
fn what_we_remove_is_not_taken_for_what_we_sent() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "f", 4)]));
    let id = file_id(1);
    assert!(
        !bench.tree.may_be_new(&id, bench.now).unwrap(),
        "a node has it"
    );
    bench.write(ROOT, "f.tmp", 4);
    let old = bench.get(ROOT, "f").ino;
    bench.rename((ROOT, "f.tmp"), (ROOT, "f")).unwrap();
    bench.tree.purge(old).unwrap();
    assert!(
        !bench.tree.may_be_new(&id, bench.now).unwrap(),
        "to be removed"
    );
    let new = bench.get(ROOT, "f").ino;
    bench.sent(new, 2, 0, "f", 4);
    let removal = removals_due(&bench);
    bench.tree.removed(&removal, bench.now).unwrap();
    assert!(
        !bench.tree.may_be_new(&id, bench.now).unwrap(),
        "removed just now"
    );
    bench.pass(10_000);
    assert!(bench.tree.may_be_new(&id, bench.now).unwrap());
}

fn removals_due(bench: &Bench) -> super::removals::Removal {
    let tasks = bench.tree.ready(bench.now, 10, &|_| false).unwrap();
    tasks
        .into_iter()
        .find_map(|task| match task {
            Task::Remove(removal) => Some(removal),
            _ => None,
        })
        .unwrap()
}
