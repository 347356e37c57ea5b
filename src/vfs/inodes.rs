//! The inodes that are in use: looked up by the kernel, open, or holding
//! changes that were not saved yet.
//!
//! An inode is in the table as long as one of the three is so. What the tree
//! knows of it is not repeated here; the table adds what only memory knows:
//! who holds it, the content as it is being written, and the times that those
//! writes gave it.
//!
//! The lock is held for table work alone, never while another room is called.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::types::OpenAccess;
use crate::ids::{Ino, Time};
use crate::staging::StagedFile;
use crate::tree::Names;

/// The table. See the module.
#[derive(Default)]
pub(super) struct Inodes {
    table: Mutex<Table>,
}

/// A walk makes the kernel hold every inode of the account, of which few are used: so
/// those that are held cost a number each.
#[derive(Default)]
struct Table {
    /// Look-ups that the kernel has not given back.
    lookups: HashMap<Ino, u64>,
    used: HashMap<Ino, Inode>,
    /// Folders that the kernel has read and kept.
    kept: HashMap<Ino, Kept>,
}

/// What the kernel keeps of a folder.
#[derive(Clone, Copy)]
struct Kept {
    /// These names or newer ones.
    names: Names,
    read_at: Instant,
}

impl Table {
    /// The inode, if anybody has it.
    fn inode(&mut self, ino: Ino) -> Option<&mut Inode> {
        let known = self.lookups.contains_key(&ino) || self.used.contains_key(&ino);
        known.then(|| self.used.entry(ino).or_default())
    }

    fn forget(&mut self, ino: Ino, count: u64) {
        if let Entry::Occupied(mut held) = self.lookups.entry(ino) {
            match held.get().saturating_sub(count) {
                0 => {
                    held.remove();
                    self.kept.remove(&ino);
                }
                left => *held.get_mut() = left,
            }
        }
    }
}

#[derive(Default)]
struct Inode {
    handles: u32,
    /// Those of them that may write.
    writers: u32,
    /// Those of them that run it as a program.
    runners: u32,
    /// Present while a handle is open, and after that until what is unsaved in it was saved.
    content: Option<Arc<StagedFile>>,
    unsaved: Stamp,
    /// Since when something of it may be unsent: since the first of those writers, or since
    /// all was sent last.
    open_since: Option<Instant>,
    /// A stored version waits for the last writer to close.
    held_back: bool,
    /// It had a set-id bit when it was opened, or was given one since.
    set_id: bool,
    /// Its name was taken away by this mount.
    unlinked: bool,
}

/// The times that writes since the last save gave a file. `None`: as stored.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Stamp {
    /// Last change of the content.
    pub mtime: Option<Time>,
    /// Last change of content or attributes.
    pub ctime: Option<Time>,
}

/// What memory knows of a file beyond the tree.
pub(super) struct Overlay {
    /// Bytes, as written so far.
    pub size: u64,
    /// Times of the writes that are not saved.
    pub unsaved: Stamp,
}

/// What is to be done after somebody let go of an inode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(super) enum Left {
    /// Nothing.
    Nothing,
    /// The last writer closed: the stored version may go to the service.
    Due,
    /// It has no name, and nobody can reach it any more.
    Orphan,
}

impl Inodes {
    /// The kernel was given these inodes once more.
    pub(super) fn looked_up(&self, inodes: &[Ino]) {
        let mut table = self.table.lock();
        for ino in inodes {
            *table.lookups.entry(*ino).or_default() += 1;
        }
    }

    /// Whether the kernel was, and has not given all of it back.
    pub(super) fn is_looked_up(&self, ino: Ino) -> bool {
        self.table.lock().lookups.contains_key(&ino)
    }

    /// The kernel gave `count` look-ups back.
    pub(super) fn forget(&self, ino: Ino, count: u64) -> Left {
        self.change(ino, |table| table.forget(ino, count))
    }

    /// The kernel reads a folder from its beginning through a handle that keeps what it reads, and
    /// was told to drop what it had; when that was opened the names were these.
    pub(super) fn keeps(&self, ino: Ino, names: Names, read_at: Instant) {
        self.table.lock().kept.insert(ino, Kept { names, read_at });
    }

    /// Whether the kernel has these names of a folder, read at most `age` before `now`.
    pub(super) fn has_kept(&self, ino: Ino, names: Names, age: Duration, now: Instant) -> bool {
        let kept = self.table.lock().kept.get(&ino).copied();
        kept.is_some_and(|kept| {
            kept.names == names && now.saturating_duration_since(kept.read_at) < age
        })
    }

    /// A handle was opened on this content.
    pub(super) fn opened(&self, ino: Ino, content: &Arc<StagedFile>, access: OpenAccess) {
        let mut table = self.table.lock();
        let inode = table.used.entry(ino).or_default();
        inode.handles += 1;
        inode.writers += u32::from(access.writes());
        inode.runners += u32::from(access == OpenAccess::Execute);
        if inode.writers > 0 {
            inode.open_since.get_or_insert_with(Instant::now);
        }
        if inode.content.is_none() {
            inode.content = Some(content.clone());
        }
    }

    /// A handle is gone. Content with unsaved changes stays until it was saved:
    /// it is all there is of them.
    pub(super) fn closed(&self, ino: Ino, access: OpenAccess) -> Left {
        self.change(ino, |table| {
            if let Some(inode) = table.used.get_mut(&ino) {
                inode.handles = inode.handles.saturating_sub(1);
                inode.writers = inode.writers.saturating_sub(u32::from(access.writes()));
                let runs = u32::from(access == OpenAccess::Execute);
                inode.runners = inode.runners.saturating_sub(runs);
                if inode.writers == 0 {
                    inode.open_since = None;
                }
            }
        })
    }

    /// The content, if a handle is open or something is unsaved.
    pub(super) fn content(&self, ino: Ino) -> Option<Arc<StagedFile>> {
        self.table.lock().used.get(&ino)?.content.clone()
    }

    /// The content, if something in it is unsaved.
    pub(super) fn unsaved(&self, ino: Ino) -> Option<Arc<StagedFile>> {
        self.content(ino).filter(|content| content.is_dirty())
    }

    /// What memory knows of a file beyond the tree.
    pub(super) fn overlay(&self, ino: Ino) -> Option<Overlay> {
        let table = self.table.lock();
        let inode = table.used.get(&ino)?;
        let content = inode.content.clone()?;
        let unsaved = inode.unsaved;
        drop(table);
        Some(Overlay {
            size: content.size(),
            unsaved,
        })
    }

    /// Whether a handle may write to it. If so, [`Left::Due`] tells when that ends.
    pub(super) fn hold_back(&self, ino: Ino) -> bool {
        let mut table = self.table.lock();
        let Some(inode) = table.used.get_mut(&ino).filter(|inode| inode.writers > 0) else {
            return false;
        };
        inode.held_back = true;
        true
    }

    /// The stored version could not be queued though the last writer is gone.
    pub(super) fn still_held_back(&self, ino: Ino) {
        self.table.lock().used.entry(ino).or_default().held_back = true;
    }

    /// Files that nobody writes to any more and that were not settled for all that: with
    /// the content, where that is not stored.
    pub(super) fn left_behind(&self) -> Vec<(Ino, Option<Arc<StagedFile>>)> {
        let table = self.table.lock();
        let closed = table.used.iter().filter(|(_, inode)| inode.writers == 0);
        closed
            .filter_map(|(&ino, inode)| {
                let unsaved = inode.content.clone().filter(|content| content.is_dirty());
                (unsaved.is_some() || inode.held_back).then_some((ino, unsaved))
            })
            .collect()
    }

    /// What is to be done for an inode that nobody writes to.
    pub(super) fn let_go(&self, ino: Ino) -> Left {
        self.change(ino, |_| ())
    }

    /// Files with something unsent that have been open for writing for `long` at `now`. For
    /// each the time begins anew.
    pub(super) fn open_for(&self, long: Duration, now: Instant) -> Vec<(Ino, Arc<StagedFile>)> {
        let mut found = Vec::new();
        for (&ino, inode) in &mut self.table.lock().used {
            let unsent = |content: &Arc<StagedFile>| content.is_dirty() || inode.held_back;
            let content = inode.content.as_ref().filter(|content| unsent(content));
            let long_open = inode
                .open_since
                .is_some_and(|since| now.saturating_duration_since(since) >= long);
            if let Some(content) = content
                && inode.writers > 0
                && long_open
                && !inode.unlinked
            {
                found.push((ino, content.clone()));
                inode.open_since = Some(now);
            }
        }
        found
    }

    /// Whether a handle may write to it.
    pub(super) fn has_writer(&self, ino: Ino) -> bool {
        self.table
            .lock()
            .used
            .get(&ino)
            .is_some_and(|inode| inode.writers > 0)
    }

    /// Whether it runs as a program.
    pub(super) fn is_running(&self, ino: Ino) -> bool {
        self.table
            .lock()
            .used
            .get(&ino)
            .is_some_and(|inode| inode.runners > 0)
    }

    /// It has a set-id bit.
    pub(super) fn may_have_set_id(&self, ino: Ino) {
        if let Some(inode) = self.table.lock().inode(ino) {
            inode.set_id = true;
        }
    }

    /// Whether it may have a set-id bit, of what is open.
    pub(super) fn has_set_id(&self, ino: Ino) -> bool {
        self.table
            .lock()
            .used
            .get(&ino)
            .is_some_and(|inode| inode.set_id)
    }

    /// The content is being changed.
    pub(super) fn written(&self, ino: Ino, now: Time) {
        if let Some(inode) = self.table.lock().inode(ino) {
            inode.unsaved = Stamp {
                mtime: Some(now),
                ctime: Some(now),
            };
        }
    }

    /// Somebody set the time of the last change: no save may replace it by that
    /// of an earlier write.
    pub(super) fn mtime_was_set(&self, ino: Ino) {
        if let Some(inode) = self.table.lock().inode(ino) {
            inode.unsaved.mtime = None;
        }
    }

    /// The times that a save is to store.
    pub(super) fn stamp(&self, ino: Ino) -> Stamp {
        self.table
            .lock()
            .used
            .get(&ino)
            .map(|inode| inode.unsaved)
            .unwrap_or_default()
    }

    /// A save stored these times.
    pub(super) fn saved(&self, ino: Ino, stored: Stamp) -> Left {
        self.change(ino, |table| {
            if let Some(inode) = table.used.get_mut(&ino)
                && inode.unsaved == stored
            {
                inode.unsaved = Stamp::default();
            }
        })
    }

    /// Its name was taken away. Nothing is left to do while it is in use.
    pub(super) fn unlinked(&self, ino: Ino) -> Left {
        let mut table = self.table.lock();
        match table.inode(ino) {
            Some(inode) => {
                inode.unlinked = true;
                Left::Nothing
            }
            None => Left::Orphan,
        }
    }

    /// Whether this mount took its name away.
    pub(super) fn is_unlinked(&self, ino: Ino) -> bool {
        self.table
            .lock()
            .used
            .get(&ino)
            .is_some_and(|inode| inode.unlinked)
    }

    /// Files that may hold unsaved changes.
    pub(super) fn open_files(&self) -> Vec<(Ino, Arc<StagedFile>)> {
        self.table
            .lock()
            .used
            .iter()
            .filter_map(|(&ino, inode)| Some((ino, inode.content.clone()?)))
            .collect()
    }

    /// Changes an inode and drops from the table what is no longer in use.
    fn change(&self, ino: Ino, change: impl FnOnce(&mut Table)) -> Left {
        let mut table = self.table.lock();
        change(&mut table);
        let held = table.lookups.contains_key(&ino);
        let Some(inode) = table.used.get_mut(&ino) else {
            return Left::Nothing;
        };
        // Dropped after the lock: the last reference may close a file.
        let mut released = None;
        if inode.handles == 0 {
            let holds_changes = inode.content.as_ref().is_some_and(|c| c.is_dirty());
            if !holds_changes || inode.unlinked {
                released = inode.content.take();
                inode.unsaved = Stamp::default();
            }
        }
        let idle = inode.handles == 0 && inode.content.is_none();
        let unused = idle && !held;
        let left = match (unused, inode.unlinked) {
            (true, true) => Left::Orphan,
            (false, true) => Left::Nothing,
            (_, false) if inode.writers == 0 && std::mem::take(&mut inode.held_back) => Left::Due,
            (_, false) => Left::Nothing,
        };
        if unused || (idle && !inode.unlinked) {
            table.used.remove(&ino);
        }
        drop(table);
        drop(released);
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INO: Ino = Ino(7);

    #[test]
    fn an_unlinked_inode_lives_until_the_kernel_forgot_it() {
        let inodes = Inodes::default();
        inodes.looked_up(&[INO]);
        inodes.looked_up(&[INO]);
        assert_eq!(inodes.unlinked(INO), Left::Nothing);
        assert!(inodes.is_unlinked(INO));
        assert_eq!(inodes.forget(INO, 1), Left::Nothing);
        assert_eq!(inodes.forget(INO, 1), Left::Orphan);
        assert!(!inodes.is_unlinked(INO));
    }

    #[test]
    fn one_that_nobody_uses_is_an_orphan_at_once() {
        assert_eq!(Inodes::default().unlinked(INO), Left::Orphan);
    }

    #[test]
    fn one_that_keeps_its_name_is_never_an_orphan() {
        let inodes = Inodes::default();
        inodes.looked_up(&[INO]);
        assert_eq!(inodes.forget(INO, 5), Left::Nothing);
        assert_eq!(inodes.forget(INO, 1), Left::Nothing);
    }

    #[test]
    fn a_time_that_was_set_outlasts_earlier_writes_only() {
        let inodes = Inodes::default();
        inodes.looked_up(&[INO]);
        inodes.written(INO, Time(1));
        inodes.mtime_was_set(INO);
        assert_eq!(inodes.stamp(INO).mtime, None);
        assert_eq!(inodes.stamp(INO).ctime, Some(Time(1)));
        inodes.written(INO, Time(2));
        assert_eq!(inodes.stamp(INO).mtime, Some(Time(2)));
    }

    #[test]
    fn a_save_keeps_the_times_of_later_writes() {
        let inodes = Inodes::default();
        inodes.looked_up(&[INO]);
        let table_stamp = |at| Stamp {
            mtime: Some(Time(at)),
            ctime: Some(Time(at)),
        };
        inodes.opened_for_test(INO);
        inodes.written(INO, Time(1));
        let stored = inodes.stamp(INO);
        inodes.written(INO, Time(2));
        assert_eq!(inodes.saved(INO, stored), Left::Nothing);
        assert_eq!(inodes.stamp(INO), table_stamp(2));
        assert_eq!(inodes.saved(INO, table_stamp(2)), Left::Nothing);
        assert_eq!(inodes.stamp(INO), Stamp::default());
    }

    impl Inodes {
        fn opened_for_test(&self, ino: Ino) {
            self.table.lock().used.entry(ino).or_default().handles += 1;
        }
    }
}
