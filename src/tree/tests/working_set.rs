//! What is kept in memory is never anything else than what the database says.

use std::collections::HashSet;
use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::tree::rows;

/// A step of somebody who changes the tree. Folders and names are few, so that they meet.
#[derive(Clone, Debug)]
enum Step {
    Make {
        folder: usize,
        name: u8,
        new: bool,
    },
    Move {
        from: (usize, u8),
        to: (usize, u8),
    },
    Remove {
        folder: usize,
        name: u8,
    },
    Resize {
        folder: usize,
        name: u8,
        size: u64,
    },
    Own {
        folder: usize,
        name: u8,
        uid: u32,
    },
    List {
        folder: usize,
        files: Vec<(u64, u8)>,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (0..4usize, 0..4u8);
    prop_oneof![
        (place(), any::<bool>()).prop_map(|((folder, name), new)| Step::Make { folder, name, new }),
        (place(), place()).prop_map(|(from, to)| Step::Move { from, to }),
        place().prop_map(|(folder, name)| Step::Remove { folder, name }),
        (place(), 0..9u64).prop_map(|((folder, name), size)| Step::Resize { folder, name, size }),
        (place(), 0..9u32).prop_map(|((folder, name), uid)| Step::Own { folder, name, uid }),
        (0..2usize, prop::collection::vec((0..6u64, 0..4u8), 0..4))
            .prop_map(|(folder, files)| Step::List { folder, files }),
    ]
}

fn called(name: u8) -> OsString {
    OsString::from(format!("n{name}"))
}

/// A tree, and the folders that steps speak of by their number.
struct House {
    bench: Bench,
    folders: Vec<Ino>,
}

impl House {
    fn new() -> House {
        let bench = Bench::new();
        bench.list(ROOT, listing(vec![folder(7, "far")], vec![]));
        let far = bench.get(ROOT, "far").ino;
        bench.list(far, Listing::default());
        House {
            folders: vec![ROOT, far],
            bench,
        }
    }

    fn folder(&self, number: usize) -> Ino {
        self.folders[number % self.folders.len()]
    }

    fn ino(&self, folder: usize, name: u8) -> Option<Ino> {
        match self.bench.tree.lookup(self.folder(folder), &called(name)) {
            Ok(Lookup::Exists(node)) => Some(node.ino),
            _ => None,
        }
    }

    /// Takes a step, if it is allowed.
    fn take(&mut self, step: &Step) {
        self.bench.pass(1);
        let (tree, now) = (&self.bench.tree, self.bench.now);
        match step {
            Step::Make { folder, name, new } => {
                let kind = match new {
                    true => NewNode::Folder,
                    false => NewNode::File,
                };
                let parent = self.folder(*folder);
                let owner = |_: &Node| Ownership::default();
                let made = tree.create(parent, &called(*name), &kind, owner, now, |_| ());
                if let Ok((node, ())) = made
                    && node.kind == crate::tree::Kind::Folder
                {
                    self.folders.push(node.ino);
                }
            }
            Step::Move { from, to } => {
                let (old, new) = (called(from.1), called(to.1));
                let (parent, folder) = (self.folder(from.0), self.folder(to.0));
                drop(tree.rename(parent, &old, folder, &new, Over::Replace, now));
            }
            Step::Remove { folder, name } => {
                let (folder, name) = (self.folder(*folder), called(*name));
                if tree.unlink(folder, &name, now).is_err() {
                    drop(tree.rmdir(folder, &name, now));
                }
            }
            Step::Resize { folder, name, size } => {
                if let Some(ino) = self.ino(*folder, *name) {
                    self.bench.close(ino, *size);
                }
            }
            Step::Own { folder, name, uid } => {
                let change = attributes::AttributeChange {
                    uid: Some(*uid),
                    ..attributes::AttributeChange::default()
                };
                if let Some(ino) = self.ino(*folder, *name) {
                    tree.set_attributes(ino, change, now).unwrap();
                }
            }
            Step::List { folder, files } => {
                let mut seen = HashSet::new();
                let files = files.iter().filter(|(id, _)| seen.insert(*id));
                let files = files.map(|(id, name)| file(*id, &format!("n{name}"), 1));
                let folder = self.folder(*folder);
                drop(tree.merge(folder, listing(vec![], files.collect()), now, now));
            }
        }
    }

    /// Looks everything up, twice, and compares it with the database.
    fn check(&self) {
        let tree = &self.bench.tree;
        let stored = |ino| -> Result<_, TreeError> {
            tree.store.read(|c| {
                let folders = rows::count_folders(c, ino)?;
                Ok((rows::by_ino(c, ino)?, folders))
            })
        };
        let mut inodes: HashSet<Ino> = self.folders.iter().copied().collect();
        let names: Vec<OsString> = (0..4).map(called).collect();
        for parent in self.folders.clone() {
            for name in &names {
                let there = tree
                    .store
                    .read(|c| -> Result<_, TreeError> { Ok(rows::by_name(c, parent, name)?) });
                let there = there.unwrap();
                inodes.extend(there.as_ref().map(|node| node.ino));
                for _ in 0..2 {
                    let found = match tree.lookup(parent, name) {
                        Ok(Lookup::Exists(node)) => Some(*node),
                        _ => None,
                    };
                    assert_eq!(found, there);
                }
            }
        }
        for ino in inodes {
            let (node, folders) = stored(ino).unwrap();
            for _ in 0..2 {
                assert_eq!(tree.node(ino).unwrap(), node);
                assert_eq!(tree.count_folders(ino).unwrap(), folders);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_changes_the_next_look_shows_it(
        steps in prop::collection::vec(step(), 1..24),
    ) {
        let mut house = House::new();
        house.check();
        for step in &steps {
            house.take(step);
            house.check();
        }
    }
}

/// Nobody sees a change undone: not what he made himself, and not what somebody has seen. A file
/// grows and takes one name after the other, and both only ever go forward.
#[test]
fn nobody_is_shown_what_was_before_a_change_that_somebody_has_seen() {
    const CHANGES: u64 = 3_000;
    let bench = Bench::new();
    let tree = &bench.tree;
    let number = |n: u64| OsString::from(format!("{n:06}"));
    let ino = bench.create(ROOT, "000000", &NewNode::File).ino;
    let folder = bench.create(ROOT, "folder", &NewNode::Folder).ino;
    // What somebody saw, or was told to be done.
    let (size, name, inside) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let over = AtomicBool::new(false);
    let look = || {
        let before = [&size, &name, &inside].map(|seen| seen.load(Ordering::SeqCst));
        let node = tree.node(ino).unwrap().unwrap();
        assert!(node.size >= before[0], "the size");
        size.fetch_max(node.size, Ordering::SeqCst);
        let place = node.place.unwrap().name.into_string().unwrap();
        let named: u64 = place.parse().unwrap();
        assert!(named >= before[1], "the name");
        name.fetch_max(named, Ordering::SeqCst);
        if let Some(passed) = before[1].checked_sub(1) {
            let found = tree.lookup(ROOT, &number(passed)).unwrap();
            assert_eq!(found, Lookup::Gone, "{passed} of {before:?}");
        }
        let folders = u64::from(tree.count_folders(folder).unwrap());
        assert!(folders >= before[2], "what is in the folder");
        inside.fetch_max(folders, Ordering::SeqCst);
    };
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    look();
                }
            });
        }
        for n in 1..=CHANGES {
            let grow = |tx: &rusqlite::Transaction<'_>| -> Result<(), TreeError> {
                Ok(rows::set_size(tx, ino, n)?)
            };
            tree.store.write(grow).unwrap();
            size.fetch_max(n, Ordering::SeqCst);
            let (old, new) = (number(n - 1), number(n));
            let now = bench.now;
            tree.rename(ROOT, &old, ROOT, &new, Over::Refuse, now)
                .unwrap();
            name.fetch_max(n, Ordering::SeqCst);
            if n % 10 == 0 {
                bench.create(folder, &n.to_string(), &NewNode::Folder);
                inside.fetch_max(n / 10, Ordering::SeqCst);
            }
            look();
        }
        over.store(true, Ordering::Relaxed);
    });
}
