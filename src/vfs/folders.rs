//! Reading folders.
//!
//! The place where reading goes on is an inode number, so a folder that changes
//! between two calls shows each entry that stays exactly once.

use std::ffi::OsStr;

use super::Vfs;
use super::error::{Error, ErrorKind};
use super::types::{Answer, Attr, DirEntry, DirFh, Fill};
use super::wait::Fault;
use crate::ids::Ino;
use crate::tree::{Kind, Node};

/// Entries fetched from the tree at a time.
const PAGE: usize = 256;

/// `.` ends at 1, `..` at 2, an entry at its inode plus this. Inode 1 is the
/// root, which is nobody's entry, so the numbers never meet.
const AFTER_DOTS: u64 = 2;

/// Which attributes are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Detail {
    /// Inode and kind.
    Name,
    /// All, and the kernel will hold the entry.
    Held,
}

impl Vfs {
    /// Opens a folder; waits until it was listed once, so that reading never has
    /// to.
    pub fn opendir(&self, ino: Ino) -> Answer<DirFh> {
        self.listing(move |vfs| {
            let node = vfs.node(ino)?;
            if node.kind != Kind::Folder {
                return Err(ErrorKind::NotDir.into());
            }
            if node.known.at().is_none() && node.folder_id().is_some() {
                return Err(Fault::Unlisted(ino));
            }
            vfs.refresher().touch(&node);
            Ok(vfs.inner.handles.add_folder(ino))
        })
    }

    /// Reads a folder from `offset` on, until the sink is full. Never waits.
    ///
    /// # Errors
    /// An unknown handle, or the database.
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
    /// An unknown handle, or the database.
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
        let folder = self.inner.handles.folder(fh)?;
        for (dot, name) in [(0, "."), (1, "..")] {
            if offset > dot {
                continue;
            }
            let ino = if dot == 0 {
                folder
            } else {
                self.parent_of(folder)?
            };
            let attr = self.attr_for(&self.node(ino)?, detail)?;
            let entry = DirEntry {
                name: OsStr::new(name),
                entry: self.listed(attr),
                next: dot + 1,
            };
            if sink(entry) == Fill::Full {
                return Ok(());
            }
        }
        let mut after = Ino(offset.saturating_sub(AFTER_DOTS));
        loop {
            let page = self.tree().children(folder, after, PAGE)?;
            for node in &page {
                let Some(place) = &node.place else { continue };
                let entry = DirEntry {
                    name: &place.name,
                    entry: self.listed(self.attr_for(node, detail)?),
                    next: node.ino.0 + AFTER_DOTS,
                };
                if sink(entry) == Fill::Full {
                    return Ok(());
                }
                if detail == Detail::Held {
                    self.inner.inodes.looked_up(node.ino);
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = last.ino,
                _ => return Ok(()),
            }
        }
    }

    fn attr_for(&self, node: &Node, detail: Detail) -> Result<Attr, Error> {
        match detail {
            Detail::Name => Ok(self.attr_with(node, 0)),
            Detail::Held => self.attr(node),
        }
    }

    /// Ends a folder handle.
    pub fn releasedir(&self, fh: DirFh) -> Answer<()> {
        self.inner.handles.remove_folder(fh).map(drop).into()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ffi::OsString;

    use super::*;
    use crate::tree::ROOT;
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
        for i in 0..(PAGE + 10) {
            let name = format!("{i:04}");
            house.mkdir(folder, &name);
            expected.push(name.into());
        }
        let fh = house.ok(house.vfs.opendir(folder));
        for room in [1, 100, PAGE, 10_000] {
            assert_eq!(read(&house, fh, room, || {}), expected);
        }
        house.ok(house.vfs.releasedir(fh));
        let gone = house.vfs.readdir(fh, 0, &mut |_| Fill::Added);
        assert_eq!(gone.unwrap_err().kind(), ErrorKind::BadHandle);
    }

    #[test]
    fn a_sync_of_a_folder_lets_what_rests_in_it_be_sent() {
        let house = House::new();
        house.file("a", b"x");
        let now = crate::ids::Time::now();
        assert_eq!(house.tree.ready(now, 10, &|_| false).unwrap(), []);
        let fh = house.ok(house.vfs.opendir(ROOT));
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
        let fh = house.ok(house.vfs.opendir(folder));
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
        let fh = house.ok(house.vfs.opendir(ROOT));
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
    fn a_folder_that_cannot_be_listed_is_not_shown_empty() {
        let house = House::new();
        let folder = house.remote_folder("far").ino;
        let failed = house.error(house.vfs.opendir(folder));
        assert!(matches!(failed, ErrorKind::Io | ErrorKind::TimedOut));
        let file = house.file("f", b"");
        assert_eq!(house.error(house.vfs.opendir(file)), ErrorKind::NotDir);
    }
}
