//! The nodes that are in use, in memory: so that a look-up need not read the database, whose
//! readers forget all their pages at each commit.
//!
//! It never shows anything else than the database does. What the database says a transaction
//! touched ([`Watch`]) goes before that is committed, and until it is, nothing comes in: what
//! somebody read before a commit is not put here after it. So nobody who changes the tree has to
//! think of this, and what depends on other rows is kept only where the row changes with them: a
//! folder's counts its names (schema 012), and so changes with each sub-folder that comes or goes.
//!
//! Names lead to inodes by a table of hints, which may be wrong: what counts is the place that the
//! node itself has. It is not told of changes, and names that are not there have no part in it.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use moka::sync::Cache;
use parking_lot::Mutex;

use super::node::{Lookup, Node};
use super::rows::uint;
use crate::ids::Ino;
use crate::store::Watch;

/// Bytes of nodes: some 13,000 of them, with the names that files have. They lie about among what
/// comes and goes, so that the process grows by several times as much.
const NODES: u64 = 8 << 20;
/// What the cache itself takes for an entry, about.
const ENTRY: usize = 200;
/// Hints, of eight bytes each: a few for each node, since two names that share one lose it to each
/// other in turn.
const HINTS: usize = 1 << 17;

/// A node that is kept.
pub(super) struct Kept {
    pub(super) node: Node,
    /// Sub-folders, where somebody asked for them since.
    pub(super) folders: OnceLock<u32>,
}

impl Kept {
    /// As the answer to a look-up.
    pub(super) fn exists(&self) -> Lookup {
        Lookup::Exists(Box::new(self.node.clone()))
    }

    fn bytes(&self) -> usize {
        let node = &self.node;
        let name = node.place.as_ref().map_or(0, |place| place.name.len());
        let there = node.remote.place().map_or(0, |place| place.name.len());
        let id = node.remote_file().map_or(0, |file| file.id.as_str().len());
        let target = node.target.as_ref().map_or(0, |target| target.len());
        ENTRY + size_of::<Kept>() + name + there + id + target
    }
}

/// How often transactions began and ended to be committed. What was read from the database at one
/// turn may come in at the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Turn(u64);

impl Turn {
    fn is_committing(self) -> bool {
        self.0 % 2 == 1
    }
}

/// The working set. See the module.
pub(super) struct WorkingSet {
    nodes: Cache<Ino, Arc<Kept>>,
    hints: Box<[AtomicU64]>,
    hasher: RandomState,
    turn: Mutex<Turn>,
}

impl Default for WorkingSet {
    fn default() -> WorkingSet {
        let weight = |_: &Ino, kept: &Arc<Kept>| u32::try_from(kept.bytes()).unwrap_or(u32::MAX);
        WorkingSet {
            nodes: Cache::builder().max_capacity(NODES).weigher(weight).build(),
            hints: (0..HINTS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
            turn: Mutex::new(Turn(0)),
        }
    }
}

impl WorkingSet {
    /// Before something is read from the database that is to be kept.
    pub(super) fn turn(&self) -> Turn {
        *self.turn.lock()
    }

    /// The node of an inode, if it is kept.
    pub(super) fn get(&self, ino: Ino) -> Option<Arc<Kept>> {
        self.nodes.get(&ino)
    }

    /// The node at a place, if it is kept.
    pub(super) fn at(&self, parent: Ino, name: &OsStr) -> Option<Arc<Kept>> {
        let hint = Ino(self.hint(parent, name).load(Ordering::Relaxed));
        let is_there = |kept: &Arc<Kept>| {
            let place = kept.node.place.as_ref();
            place.is_some_and(|place| place.parent == parent && place.name == name)
        };
        self.nodes.get(&hint).filter(is_there)
    }

    /// Keeps a node that was read from the database since `read_at`, unless it may have changed
    /// meanwhile.
    pub(super) fn keep(&self, read_at: Turn, node: Node) -> Arc<Kept> {
        let kept = Arc::new(Kept {
            node,
            folders: OnceLock::new(),
        });
        let turn = self.turn.lock();
        // Held while it comes in: the next commit finds it, and takes it out again.
        if *turn == read_at && !turn.is_committing() {
            self.nodes.insert(kept.node.ino, kept.clone());
            if let Some(place) = &kept.node.place {
                let hint = self.hint(place.parent, &place.name);
                hint.store(kept.node.ino.0, Ordering::Relaxed);
            }
        }
        kept
    }

    fn hint(&self, parent: Ino, name: &OsStr) -> &AtomicU64 {
        let hash = self.hasher.hash_one((parent, name.as_bytes()));
        &self.hints[hash as usize % HINTS]
    }

    fn next_turn(&self) {
        self.turn.lock().0 += 1;
    }
}

impl Watch for WorkingSet {
    fn committing(&self, rows: &HashSet<i64>) {
        self.next_turn();
        for row in rows {
            self.nodes.invalidate(&Ino(uint(*row)));
        }
    }

    fn committed(&self) {
        self.next_turn();
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::ids::Time;
    use crate::tree::node::{Access, Attributes, Kind, Known, Pending, Place, ROOT, Remote};

    fn file(ino: u64, name: &str) -> Node {
        let time = Time(1);
        Node {
            ino: Ino(ino),
            place: Some(Place {
                parent: ROOT,
                name: OsString::from(name),
            }),
            kind: Kind::File,
            attributes: Attributes {
                mode: None,
                uid: None,
                gid: None,
                atime: time,
                mtime: time,
                ctime: time,
                btime: time,
            },
            size: 0,
            target: None,
            remote: Remote::None,
            pending: Pending::default(),
            known: Known::Never,
            name_changes: 0,
            protected: false,
            access: Access::Own,
        }
    }

    fn has(set: &WorkingSet, node: &Node) -> bool {
        let place = node.place.as_ref().unwrap();
        let by_ino = set.get(node.ino).is_some();
        assert_eq!(set.at(place.parent, &place.name).is_some(), by_ino);
        by_ino
    }

    fn commit(set: &WorkingSet, rows: &[i64]) {
        set.committing(&rows.iter().copied().collect());
        set.committed();
    }

    #[test]
    fn what_a_transaction_touched_goes_and_nothing_else() {
        let set = WorkingSet::default();
        let [a, b] = [file(2, "a"), file(3, "b")];
        for node in [&a, &b] {
            set.keep(set.turn(), node.clone());
            assert!(has(&set, node));
        }
        commit(&set, &[2]);
        assert!(!has(&set, &a) && has(&set, &b));
        set.keep(set.turn(), a.clone());
        assert!(has(&set, &a));
    }

    #[test]
    fn what_was_read_before_or_during_a_commit_does_not_come_in() {
        let set = WorkingSet::default();
        let node = file(2, "a");
        let before = set.turn();
        set.committing(&HashSet::from([2]));
        let during = set.turn();
        for turn in [before, during] {
            set.keep(turn, node.clone());
            assert!(!has(&set, &node), "while it is committed");
        }
        set.committed();
        for turn in [before, during] {
            set.keep(turn, node.clone());
            assert!(!has(&set, &node), "after it was");
        }
    }

    #[test]
    fn a_hint_that_is_wrong_leads_nowhere() {
        let set = WorkingSet::default();
        set.keep(set.turn(), file(2, "a"));
        let a = set.hint(ROOT, OsStr::new("a")).load(Ordering::Relaxed);
        set.hint(ROOT, OsStr::new("b")).store(a, Ordering::Relaxed);
        set.hint(Ino(9), OsStr::new("a"))
            .store(a, Ordering::Relaxed);
        assert!(set.at(ROOT, OsStr::new("a")).is_some());
        assert!(set.at(ROOT, OsStr::new("b")).is_none());
        assert!(set.at(Ino(9), OsStr::new("a")).is_none());
    }

    #[test]
    fn it_stays_within_its_bytes() {
        let set = WorkingSet::default();
        let name = "n".repeat(200);
        for ino in 2..100_000 {
            set.keep(set.turn(), file(ino, &name));
        }
        set.nodes.run_pending_tasks();
        assert!(set.nodes.weighted_size() <= NODES);
        assert!(set.nodes.entry_count() > 5_000);
    }
}
