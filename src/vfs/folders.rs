//! Reading folders.
//!
//! The place where reading goes on is an inode number, so a folder that changes
//! between two calls shows each entry that stays exactly once.
//!
//! Of a small folder the kernel may keep what it read, so that walking it again costs one request
//! instead of four. It finds the place where a reader goes on by the entry that came last, and says
//! that the folder ends where that is gone; so this is for folders that are read in one piece. Nor
//! does it hear of names that are new, so that each opening says whether what it has is still right:
//! the names did not change since a handle was opened that read them while there was no other.
//! Through another one an answer that is older might get into what is kept.

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::time::Instant;

use super::Vfs;
use super::error::{Error, ErrorKind};
use super::types::{Answer, Attr, DirEntry, DirFh, Fill, OpenedDir, Reading};
use super::wait::{Fault, not_whole};
use crate::ids::Ino;
use crate::tree::{FolderEntry, Kind, Names, Node};

/// `.` ends at 1, `..` at 2, an entry at its inode plus this. Inode 1 is the
/// root, which is nobody's entry, so the numbers never meet.
const AFTER_DOTS: u64 = 2;

/// A folder that is read in one piece, however small the buffer: a page for the kernel's, in which
/// each entry takes [`ENTRY`] bytes and its name, with [`AFTER_DOTS`] dots.
const ONE_PIECE: u64 = 4096;
const ENTRY: u64 = 160;

/// What the kernel makes of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Detail {
    /// A name.
    Name,
    /// An inode that it holds from then on.
    Held,
}

impl Vfs {
    /// Opens a folder; waits until it was listed once, and where its listing was cut off until it is
    /// whole, if that can be expected within the deadline. So reading never has to wait.
    pub fn opendir(&self, ino: Ino) -> Answer<OpenedDir> {
        let deadline = Instant::now() + self.options().metadata_deadline;
        let listed = self.listing(move |vfs| {
            let node = vfs.node(ino)?;
            if node.kind != Kind::Folder {
                return Err(ErrorKind::NotDir.into());
            }
            if node.known.at().is_none() && node.folder_id().is_some() {
                return Err(Fault::Unlisted(ino));
            }
            vfs.refresher().touch(&node);
            Ok(node)
        });
        match listed {
            Answer::Now(Ok(node)) if !is_cut(&node) => self.open_folder(ino, node.names()).into(),
            Answer::Now(Err(error)) => Answer::Now(Err(error)),
            listed => {
                let vfs = self.clone();
                Answer::later(async move {
                    let mut node = listed.wait().await?;
                    if is_cut(&node) {
                        vfs.refresher().ensure_whole(ino, deadline).await;
                        node = vfs.node(ino)?;
                    }
                    vfs.open_folder(ino, node.names())
                })
            }
        }
    }

    fn open_folder(&self, ino: Ino, names: Names) -> Result<OpenedDir, Error> {
        let inodes = &self.inner.inodes;
        let handles = &self.inner.handles;
        if inodes.has_kept(ino, names, self.options().names_kept, Instant::now()) {
            let (fh, _) = handles.add_folder(ino, |_| None);
            let reading = Reading::Kept;
            return Ok(OpenedDir { fh, reading });
        }
        let room = ONE_PIECE - AFTER_DOTS * ENTRY;
        let is_small = self.tree().names_size(ino, ENTRY, room)? <= room;
        let keeps = |alone: bool| (alone && is_small).then_some(names);
        let (fh, handle) = handles.add_folder(ino, keeps);
        let reading = match handle.keeps {
            Some(_) => Reading::Filling,
            None => Reading::Anew,
        };
        Ok(OpenedDir { fh, reading })
    }

    /// Reads a folder from `offset` on, until the sink is full. Never waits.
    ///
    /// # Errors
    /// An unknown handle, the database, or the end of what is known of a folder that has more; the
    /// sink took nothing then.
    pub fn readdir(
        &self,
        fh: DirFh,
        offset: u64,
        sink: &mut dyn FnMut(DirEntry<'_>) -> Fill,
    ) -> Result<(), Error> {
        self.read_folder(fh, offset, Detail::Name, sink)
    }

    /// Like [`Vfs::readdir`], with attributes; counts one look-up for each entry
    /// that the sink took, except `.` and `..`.
    ///
    /// # Errors
    /// Those of [`Vfs::readdir`].
    pub fn readdirplus(
        &self,
        fh: DirFh,
        offset: u64,
        sink: &mut dyn FnMut(DirEntry<'_>) -> Fill,
    ) -> Result<(), Error> {
        self.read_folder(fh, offset, Detail::Held, sink)
    }

    fn read_folder(
        &self,
        fh: DirFh,
        offset: u64,
        detail: Detail,
        sink: &mut dyn FnMut(DirEntry<'_>) -> Fill,
    ) -> Result<(), Error> {
        let handle = self.inner.handles.folder(fh)?;
        let folder = handle.ino;
        if let Some(names) = handle.keeps.filter(|_| offset == 0) {
            let now = Instant::now();
            self.inner.inodes.keeps(folder, names, now);
        }
        let mut taken = 0;
        let mut held = Vec::new();
        let mut take = |entry: DirEntry<'_>| {
            let (ino, is_dot) = (entry.entry.attr.ino, entry.next <= AFTER_DOTS);
            if sink(entry) == Fill::Full {
                return ControlFlow::Break(());
            }
            taken += 1;
            if detail == Detail::Held && !is_dot {
                held.push(ino);
            }
            ControlFlow::Continue(())
        };
        let outcome = match self.show_entries(folder, offset, &mut take) {
            Ok(ControlFlow::Continue(())) => self.check_whole(folder),
            Ok(ControlFlow::Break(())) => Ok(()),
            Err(error) => Err(error),
        };
        self.inner.inodes.looked_up(&held);
        match outcome {
            // An error would take from the kernel what it was given and counts as looked up.
            // The next call begins where this one failed.
            Err(error) if taken > 0 => {
                tracing::debug!(%folder, %error, "a folder is read in part");
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// A folder ends after its last entry, and in an error where it has others that were not seen:
    /// who copies a folder or compares it with another must not take a part for all of it.
    fn check_whole(&self, folder: Ino) -> Result<(), Error> {
        match self.node(folder) {
            Ok(node) if is_cut(&node) => Err(not_whole(folder)),
            // What was removed while it was open has no entries.
            _ => Ok(()),
        }
    }

    /// Shows what follows `offset` in a folder, until `take` breaks.
    fn show_entries(
        &self,
        folder: Ino,
        offset: u64,
        take: &mut dyn FnMut(DirEntry<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        if offset < AFTER_DOTS && self.show_dots(folder, offset, take)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let after = Ino(offset.saturating_sub(AFTER_DOTS));
        let mut flow = ControlFlow::Continue(());
        let mut show = |entry: FolderEntry<'_>| {
            flow = take(DirEntry {
                name: entry.name,
                entry: self.listed(self.attr_with(entry.looks, entry.folders)),
                next: entry.looks.ino.0 + AFTER_DOTS,
            });
            flow
        };
        self.tree().read_folder(folder, after, &mut show)?;
        Ok(flow)
    }

    /// Of these two the kernel takes name, inode and kind alone.
    fn show_dots(
        &self,
        folder: Ino,
        offset: u64,
        take: &mut dyn FnMut(DirEntry<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Error> {
        let node = self.node(folder)?;
        let above = node.place.as_ref().map(|place| place.parent);
        let above = above.filter(|_| folder != self.root()).unwrap_or(folder);
        let attr = self.attr_with(node.looks(), 0);
        let dots = [(".", folder), ("..", above)];
        for (next, (name, ino)) in (1..).zip(dots).skip(offset as usize) {
            let dot = DirEntry {
                name: OsStr::new(name),
                entry: self.listed(Attr { ino, ..attr }),
                next,
            };
            if take(dot).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Ends a folder handle.
    pub fn releasedir(&self, fh: DirFh) -> Answer<()> {
        self.inner.handles.remove_folder(fh).map(drop).into()
    }
}

/// Whether the service did not show all of a folder.
fn is_cut(folder: &Node) -> bool {
    folder.folder_id().is_some() && !folder.known.is_complete()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ffi::OsString;

    use super::*;
    use crate::ids::FolderId;
    use crate::tree::ROOT;
    use crate::tree::listing::{ListedFolder, Listing};
    use crate::vfs::SyncScope;
    use crate::vfs::testing::House;

    /// Reads a folder in calls of `room` entries; `between` runs after each call.
    fn read(house: &House, fh: DirFh, room: usize, mut between: impl FnMut()) -> Vec<OsString> {
        let mut names = Vec::new();
        let mut offset = 0;
        loop {
            let before = names.len();
            let from = offset;
            let mut sink = |entry: DirEntry<'_>| {
                if names.len() - before == room {
                    return Fill::Full;
                }
                names.push(entry.name.to_owned());
                offset = entry.next;
                Fill::Added
            };
            house.vfs.readdirplus(fh, from, &mut sink).unwrap();
            if names.len() == before {
                return names;
            }
            between();
        }
    }

    #[test]
    fn every_entry_is_read_once_whatever_the_buffer() {
        let house = House::new();
        let folder = house.mkdir(ROOT, "d");
        let mut expected: Vec<OsString> = vec![".".into(), "..".into()];
        for i in 0..300 {
            let name = format!("{i:04}");
            house.mkdir(folder, &name);
            expected.push(name.into());
        }
        let fh = house.ok(house.vfs.opendir(folder)).fh;
        for room in [1, 100, 10_000] {
            assert_eq!(read(&house, fh, room, || {}), expected);
        }
        house.ok(house.vfs.releasedir(fh));
        let gone = house.vfs.readdir(fh, 0, &mut |_| Fill::Added);
        assert_eq!(gone.unwrap_err().kind(), ErrorKind::BadHandle);
    }

    fn showing(name: &str) -> Listing {
        let folder = ListedFolder {
            id: FolderId(9),
            name: name.to_owned(),
            created: None,
            protected: false,
        };
        Listing {
            folders: vec![folder],
            ..Listing::default()
        }
    }

    /// Opens a folder, reads it and closes it; gives how it was to be read.
    fn reading(house: &House, folder: Ino) -> Reading {
        let opened = house.ok(house.vfs.opendir(folder));
        read(house, opened.fh, 100, || {});
        house.ok(house.vfs.releasedir(opened.fh));
        opened.reading
    }

    #[test]
    fn what_was_kept_of_a_folder_is_right_until_a_name_in_it_changes() {
        let house = House::new();
        let folder = house.remote_folder("far").ino;
        house.list(folder, Listing::default());
        let file = house.mkdir(folder, "a");
        house.vfs.forget(file, 1); // mkdir held it
        // The kernel holds it, or it keeps nothing of it.
        house.ok(house.vfs.lookup(ROOT, OsStr::new("far")));
        assert_eq!(reading(&house, folder), Reading::Filling);
        assert_eq!(reading(&house, folder), Reading::Kept);
        let (from, to) = (OsStr::new("a"), OsStr::new("b"));
        let replace = crate::vfs::RenameMode::Replace;
        let ann = crate::vfs::testing::ANN;
        house.ok(house.vfs.rename(folder, from, folder, to, replace, ann));
        assert_eq!(reading(&house, folder), Reading::Filling, "renamed");
        assert_eq!(reading(&house, folder), Reading::Kept);
        house.ok(house.vfs.rename(folder, to, ROOT, to, replace, ann));
        assert_eq!(reading(&house, folder), Reading::Filling, "moved away");
        house.ok(house.vfs.rename(ROOT, to, folder, to, replace, ann));
        assert_eq!(reading(&house, folder), Reading::Filling, "moved here");
        // Behind our back.
        house.list(folder, showing("far away"));
        assert_eq!(reading(&house, folder), Reading::Filling, "listed");
        house.list(folder, showing("far away"));
        assert_eq!(reading(&house, folder), Reading::Kept, "the same");
        house.list(folder, showing("near"));
        assert_eq!(reading(&house, folder), Reading::Filling, "renamed there");
        // The kernel let go of it, and of what it kept.
        house.vfs.forget(folder, 1);
        assert_eq!(reading(&house, folder), Reading::Filling, "forgotten");
    }

    #[test]
    fn what_another_reader_may_still_be_answered_is_not_kept() {
        let house = House::new();
        let folder = house.mkdir(ROOT, "d");
        let other = house.ok(house.vfs.opendir(folder));
        assert_eq!(other.reading, Reading::Filling);
        assert_eq!(reading(&house, folder), Reading::Anew);
        // Opened before the name came, read after it.
        house.mkdir(folder, "a");
        read(&house, other.fh, 100, || {});
        assert_eq!(reading(&house, folder), Reading::Anew);
        house.ok(house.vfs.releasedir(other.fh));
        assert_eq!(reading(&house, folder), Reading::Filling);
        assert_eq!(reading(&house, folder), Reading::Kept);
    }

    #[test]
    fn a_folder_that_takes_more_than_one_request_is_read_each_time() {
        let house = House::new();
        let folder = house.mkdir(ROOT, "d");
        for n in 0..21 {
            house.mkdir(folder, &format!("file-{n:05}.bin"));
        }
        assert_eq!(reading(&house, folder), Reading::Filling);
        house.mkdir(folder, "x");
        assert_eq!(reading(&house, folder), Reading::Anew);
        assert_eq!(reading(&house, folder), Reading::Anew);
        let folder = house.mkdir(ROOT, "long");
        for n in 0..10 {
            house.mkdir(folder, &format!("{n}{}", "x".repeat(200)));
        }
        assert_eq!(reading(&house, folder), Reading::Filling);
        house.mkdir(folder, &"y".repeat(200));
        assert_eq!(reading(&house, folder), Reading::Anew);
    }

    #[test]
    fn what_was_kept_is_read_again_before_the_entries_are_asked_for_one_by_one() {
        let house = House::with(crate::vfs::VfsOptions {
            names_kept: std::time::Duration::ZERO,
            ..crate::vfs::VfsOptions::default()
        });
        let folder = house.mkdir(ROOT, "d");
        assert_eq!(reading(&house, folder), Reading::Filling);
        assert_eq!(reading(&house, folder), Reading::Filling);
    }

    #[test]
    fn a_sync_of_a_folder_lets_what_rests_in_it_be_sent() {
        let house = House::new();
        house.file("a", b"x");
        let now = crate::ids::Time::now();
        assert_eq!(house.tree.ready(now, 10, &|_| false).unwrap(), []);
        let fh = house.ok(house.vfs.opendir(ROOT)).fh;
        house.ok(house.vfs.fsyncdir(fh, SyncScope::All));
        assert_eq!(house.tree.ready(now, 10, &|_| false).unwrap().len(), 1);
    }

    #[test]
    fn entries_that_go_meanwhile_hide_no_other() {
        let house = House::new();
        let folder = house.mkdir(ROOT, "d");
        for i in 0..6 {
            house.mkdir(folder, &i.to_string());
        }
        let fh = house.ok(house.vfs.opendir(folder)).fh;
        let mut gone = ["0", "4"].into_iter();
        let names = read(&house, fh, 3, || {
            if let Some(name) = gone.next() {
                let caller = crate::vfs::testing::ANN;
                house.ok(house.vfs.rmdir(folder, OsStr::new(name), caller));
            }
        });
        let names: BTreeSet<_> = names.into_iter().collect();
        for stays in ["1", "2", "3", "5"] {
            assert!(names.contains(OsStr::new(stays)), "{stays}");
        }
    }

    #[test]
    fn only_entries_that_were_taken_are_held() {
        let house = House::new();
        for name in ["a", "b"] {
            house.file(name, b"");
        }
        let [a, b] = ["a", "b"].map(|name| house.node(name).ino);
        for ino in [a, b] {
            house.vfs.forget(ino, 1); // create held it
        }
        let fh = house.ok(house.vfs.opendir(ROOT)).fh;
        let mut left = 3; // ".", "..", "a"
        let mut sink = |_: DirEntry<'_>| {
            left -= 1;
            if left < 0 { Fill::Full } else { Fill::Added }
        };
        house.vfs.readdirplus(fh, 0, &mut sink).unwrap();
        for (name, ino, held) in [("a", a, true), ("b", b, false)] {
            house.ok(house.unlink(name));
            assert_eq!(house.tree.node(ino).unwrap().is_some(), held, "{name}");
        }
    }

    #[test]
    fn what_was_given_before_an_error_is_given_and_the_next_call_fails() {
        let house = House::new();
        let files = ["a", "b", "c"].map(|name| house.file(name, b""));
        for ino in files {
            house.vfs.forget(ino, 1); // create held it
        }
        let [a, b, _] = files;
        house.sql(&format!("UPDATE node SET mtime = 'never' WHERE ino = {b}"));
        let fh = house.ok(house.vfs.opendir(ROOT)).fh;
        let mut next = 0;
        let mut sink = |entry: DirEntry<'_>| {
            next = entry.next;
            Fill::Added
        };
        house.vfs.readdirplus(fh, 0, &mut sink).unwrap();
        assert_eq!(next, a.0 + AFTER_DOTS);
        let failed = house.vfs.readdirplus(fh, next, &mut |_| Fill::Added);
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Io);
        // It is held, so it lives on without its name.
        house.ok(house.unlink("a"));
        assert!(house.tree.node(a).unwrap().is_some());
        house.vfs.forget(a, 1);
        assert!(house.tree.node(a).unwrap().is_none());
    }

    #[test]
    fn a_folder_of_which_a_part_is_known_does_not_end_well() {
        let house = House::new();
        let folder = house.remote_folder("far").ino;
        house.list(folder, showing("seen"));
        house.sql(&format!("UPDATE node SET listing = 1 WHERE ino = {folder}"));
        let fh = house.ok(house.vfs.opendir(folder)).fh;
        let (mut names, mut next) = (Vec::new(), 0);
        let mut sink = |entry: DirEntry<'_>| {
            names.push(entry.name.to_owned());
            next = entry.next;
            Fill::Added
        };
        house.vfs.readdir(fh, 0, &mut sink).unwrap();
        assert_eq!(names, [".", "..", "seen"]);
        let end = |next| house.vfs.readdir(fh, next, &mut |_| Fill::Added);
        assert_eq!(end(next).unwrap_err().kind(), ErrorKind::Io);
        house.sql(&format!("UPDATE node SET listing = 0 WHERE ino = {folder}"));
        end(next).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_listed_is_not_shown_empty() {
        let house = House::new();
        let folder = house.remote_folder("far").ino;
        let failed = house.error(house.vfs.opendir(folder));
        assert!(matches!(failed, ErrorKind::Io | ErrorKind::TimedOut));
        let file = house.file("f", b"");
        assert_eq!(house.error(house.vfs.opendir(file)), ErrorKind::NotDir);
    }
}
