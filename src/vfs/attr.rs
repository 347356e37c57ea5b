//! Attributes: what the tree has, the mount's defaults where it has nothing,
//! and what memory knows better of files that are being written.

use super::error::{Error, ErrorKind};
use super::handles::Hold;
use super::types::{Answer, Attr, Caller, Entry, Fh, Kind, OpenAccess, SetAttr, SetTime};
use super::{Vfs, VfsOptions};
use crate::ids::{Ino, Time};
use crate::tree::attributes::AttributeChange;
use crate::tree::{self, Looks, Node};

/// A request of this size suits a block of the cache.
const BLOCK_SIZE: u32 = 128 * 1024;
/// The unit of `st_blocks`.
const SECTOR: u64 = 512;

/// Inode numbers are never used again, so one generation is enough.
const GENERATION: u64 = 0;

pub(super) fn kind(kind: tree::Kind) -> Kind {
    match kind {
        tree::Kind::Folder => Kind::Dir,
        tree::Kind::File => Kind::File,
        tree::Kind::Symlink => Kind::Symlink,
    }
}

/// The permission bits of a node that was given none.
fn default_perm(kind: Kind, options: &VfsOptions) -> u32 {
    match kind {
        Kind::Dir => 0o777 & !options.umask,
        Kind::File => 0o666 & !options.umask,
        Kind::Symlink => 0o777,
    }
}

/// The permission bits that a node can have.
fn allowed(looks: Looks) -> u32 {
    match looks.kind {
        tree::Kind::File if !is_open_to_changes(looks) => 0o7555,
        tree::Kind::Folder if looks.access == tree::Access::Reading => 0o7555,
        _ => 0o7777,
    }
}

fn is_open_to_changes(looks: Looks) -> bool {
    match looks.access {
        tree::Access::Reading => false,
        tree::Access::Changes => !looks.is_confirmed,
        tree::Access::Own => true,
    }
}

/// Refuses to change what others share for reading, and files of theirs that the service has: the old
/// version would have to go on the word that the new one came to their folder.
pub(super) fn check_open_to_changes(node: &Node) -> Result<(), Error> {
    match is_open_to_changes(node.looks()) {
        true => Ok(()),
        false => Err(ErrorKind::ReadOnly.into()),
    }
}

/// What the tree alone says.
fn stored(looks: Looks, folders: u32, options: &VfsOptions) -> Attr {
    let kind = kind(looks.kind);
    let a = looks.attributes;
    Attr {
        ino: looks.ino,
        kind,
        size: looks.size,
        blocks: looks.size.div_ceil(SECTOR),
        atime: a.atime.0,
        mtime: a.mtime.0,
        ctime: a.ctime.0,
        btime: a.btime.0,
        // Twelve bits always fit.
        perm: (a.mode.unwrap_or_else(|| default_perm(kind, options)) & allowed(looks)) as u16,
        nlink: match (kind, looks.is_placed || looks.ino == options.root) {
            (Kind::Dir, true) => folders.saturating_add(2),
            (_, true) => 1,
            (_, false) => 0,
        },
        uid: a.uid.unwrap_or(options.uid),
        gid: a.gid.unwrap_or(options.gid),
        blksize: BLOCK_SIZE,
    }
}

impl Vfs {
    /// The attributes of an inode.
    pub fn getattr(&self, ino: Ino, _fh: Option<Fh>) -> Answer<Attr> {
        self.node(ino).and_then(|node| self.attr(&node)).into()
    }

    /// Changes attributes. With `fh` the size is changed through that handle and
    /// stored with its next flush; without, it is stored before this returns,
    /// unless somebody has the file open for writing.
    pub fn setattr(
        &self,
        ino: Ino,
        fh: Option<Fh>,
        change: SetAttr,
        caller: Caller,
    ) -> Answer<Attr> {
        if fh.is_none() && change.size.is_some() {
            // The new version is stored: bytes that replace others go to the disk first.
            let vfs = self.clone();
            return self.blocking(move || vfs.change_attributes(ino, fh, change, caller));
        }
        self.change_attributes(ino, fh, change, caller).into()
    }

    fn change_attributes(
        &self,
        ino: Ino,
        fh: Option<Fh>,
        change: SetAttr,
        caller: Caller,
    ) -> Result<Attr, Error> {
        self.check_writable()?;
        let node = self.node(ino)?;
        if let Some(size) = change.size {
            check_open_to_changes(&node)?;
            self.resize(&node, fh, size)?;
        }
        let now = Time::now();
        let time = |t: SetTime| match t {
            SetTime::Now => now,
            SetTime::At(ns) => Time(ns),
        };
        let attributes = AttributeChange {
            mode: change
                .perm
                .map(u32::from)
                .or_else(|| perm_after_chown(&node, change, caller, self.options())),
            uid: change.uid,
            gid: change.gid,
            atime: change.atime.map(time),
            mtime: change.mtime.map(time),
        };
        let node = if is_empty(&attributes) {
            self.node(ino)?
        } else {
            let node = self.tree().set_attributes(ino, attributes, now)?;
            if has_set_id(&node) {
                self.inner.inodes.may_have_set_id(ino);
            }
            if attributes.mtime.is_some() {
                self.inner.inodes.mtime_was_set(ino);
            }
            node
        };
        self.attr(&node)
    }

    fn resize(&self, node: &Node, fh: Option<Fh>, size: u64) -> Result<(), Error> {
        match kind(node.kind) {
            Kind::Dir => return Err(ErrorKind::IsDir.into()),
            Kind::Symlink => return Err(ErrorKind::Invalid.into()),
            Kind::File => {}
        }
        if let Some(fh) = fh {
            let handle = self.inner.handles.writable(fh)?;
            return self.truncate(&handle.hold, size);
        }
        let leave_to_writer = self.inner.inodes.has_writer(node.ino);
        let hold: Hold = match size {
            0 => self.hold_emptied(node, OpenAccess::Write)?,
            _ => self.hold(node, OpenAccess::Write)?,
        };
        self.truncate(&hold, size)?;
        if leave_to_writer {
            Ok(())
        } else {
            self.save(&hold)
        }
    }

    /// Somebody who may not give a program rights is about to write to it: it loses those of
    /// its owner and group. The kernel sees to that itself only where the write goes through its pages.
    ///
    /// # Errors
    /// That of the database.
    pub fn drop_set_id(&self, fh: Fh) -> Result<(), Error> {
        let ino = self.inner.handles.file(fh)?.hold.ino;
        if !self.inner.inodes.has_set_id(ino) {
            return Ok(());
        }
        let change = AttributeChange {
            mode: without_set_id(&self.node(ino)?, self.options()),
            ..AttributeChange::default()
        };
        if change.mode.is_some() {
            self.tree().set_attributes(ino, change, Time::now())?;
        }
        Ok(())
    }

    /// The node of an inode that somebody holds.
    pub(super) fn node(&self, ino: Ino) -> Result<Node, Error> {
        // The kernel knows it, so it did exist.
        self.tree()
            .node(ino)?
            .ok_or_else(|| ErrorKind::Stale.into())
    }

    /// The attributes of a node as of now.
    pub(super) fn attr(&self, node: &Node) -> Result<Attr, Error> {
        let folders = match node.kind {
            tree::Kind::Folder => self.tree().count_folders(node.ino)?,
            tree::Kind::File | tree::Kind::Symlink => 0,
        };
        Ok(self.attr_with(node.looks(), folders))
    }

    /// The same, for who knows or does not need the number of sub-folders.
    pub(super) fn attr_with(&self, looks: Looks, folders: u32) -> Attr {
        let mut attr = stored(looks, folders, self.options());
        if looks.kind == tree::Kind::File
            && let Some(overlay) = self.inner.inodes.overlay(looks.ino)
        {
            attr.size = overlay.size;
            attr.blocks = overlay.size.div_ceil(SECTOR);
            let at = |t: Option<Time>, stored: i64| t.map_or(stored, |t| t.0);
            attr.mtime = at(overlay.unsaved.mtime, attr.mtime);
            attr.ctime = at(overlay.unsaved.ctime, attr.ctime).max(attr.ctime);
        }
        attr
    }

    /// Answers with a node that was found or made: the kernel holds it from now.
    pub(super) fn entry(&self, node: &Node) -> Result<Entry, Error> {
        let entry = Entry {
            attr: self.attr(node)?,
            generation: GENERATION,
        };
        self.inner.inodes.looked_up(&[node.ino]);
        Ok(entry)
    }

    /// An entry of a folder being read: not held by the kernel unless it takes it.
    pub(super) fn listed(&self, attr: Attr) -> Entry {
        Entry {
            attr,
            generation: GENERATION,
        }
    }
}

fn is_empty(change: &AttributeChange) -> bool {
    let AttributeChange {
        mode,
        uid,
        gid,
        atime,
        mtime,
    } = change;
    mode.is_none() && uid.is_none() && gid.is_none() && atime.is_none() && mtime.is_none()
}

const SET_UID: u32 = 0o4000;
/// On a folder it hands the group on.
pub(super) const SET_GID: u32 = 0o2000;

/// Whether a program runs with the rights of its owner or group.
pub(super) fn has_set_id(node: &Node) -> bool {
    let mode = node.attributes.mode.unwrap_or(0);
    node.kind == tree::Kind::File && mode & (SET_UID | SET_GID) != 0
}

/// The mode of a file without its set-id bits, if it has any. The one of the group counts only with
/// the group's right to run it.
fn without_set_id(node: &Node, options: &VfsOptions) -> Option<u32> {
    const GROUP_EXEC: u32 = 0o010;
    let kind = kind(node.kind);
    let old = node
        .attributes
        .mode
        .unwrap_or_else(|| default_perm(kind, options));
    let mut new = old & !SET_UID;
    if new & GROUP_EXEC != 0 {
        new &= !SET_GID;
    }
    (new != old).then_some(new)
}

/// Giving a program away takes its set-id bits, except where root does it.
fn perm_after_chown(
    node: &Node,
    change: SetAttr,
    caller: Caller,
    options: &VfsOptions,
) -> Option<u32> {
    let chown = change.uid.is_some() || change.gid.is_some();
    if !chown || caller.uid == 0 || node.kind == tree::Kind::Folder {
        return None;
    }
    without_set_id(node, options)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;
    use crate::tree::ROOT;
    use crate::vfs::testing::{ANN, House, WRITE};

    const OTHER: Caller = Caller {
        uid: 5,
        gid: 5,
        pid: 1,
    };

    #[test]
    fn what_has_no_owner_is_the_mounts() {
        let house = House::with(VfsOptions {
            uid: 7,
            gid: 8,
            umask: 0o027,
            ..VfsOptions::default()
        });
        let file = house.attr(house.remote("film", &[0; 513]).ino);
        assert_eq!((file.uid, file.gid, file.perm), (7, 8, 0o640));
        assert_eq!((file.size, file.blocks, file.nlink), (513, 2, 1));
        let root = house.attr(ROOT);
        assert_eq!((root.kind, root.perm, root.nlink), (Kind::Dir, 0o750, 2));
    }

    #[test]
    fn a_folder_counts_its_sub_folders() {
        let house = House::new();
        house.mkdir(ROOT, "a");
        let b = house.mkdir(ROOT, "b");
        house.file("c", b"");
        assert_eq!(house.attr(ROOT).nlink, 4);
        assert_eq!(house.attr(b).nlink, 2);
    }

    #[test]
    fn attributes_last() {
        let mut house = House::new();
        let ino = house.file("a", b"x");
        let change = SetAttr {
            perm: Some(0o4711),
            uid: Some(3),
            gid: Some(4),
            atime: Some(SetTime::At(-5)),
            mtime: Some(SetTime::At(1_000)),
            size: None,
        };
        let set = house.ok(house.vfs.setattr(ino, None, change, ANN));
        assert_eq!((set.perm, set.uid, set.gid), (0o4711, 3, 4));
        assert_eq!((set.atime, set.mtime), (-5, 1_000));
        house.next_process();
        assert_eq!(house.attr(ino), set);
    }

    #[test]
    fn a_time_that_was_set_before_the_close_stays() {
        let house = House::new();
        let (ino, fh) = house.create("a");
        house.write(fh, 0, b"x");
        let change = SetAttr {
            mtime: Some(SetTime::At(1_000)),
            ..SetAttr::default()
        };
        let set = house.ok(house.vfs.setattr(ino, Some(fh), change, ANN));
        assert_eq!(set.mtime, 1_000);
        house.close(fh);
        assert_eq!(house.attr(ino).mtime, 1_000);
        let fh = house.open(ino, crate::vfs::testing::WRITE);
        house.write(fh, 0, b"y");
        assert!(house.attr(ino).mtime > 1_000, "a later write counts");
    }

    #[test]
    fn giving_a_program_away_takes_its_set_id_bits() {
        let house = House::new();
        let ino = house.file("a", b"");
        let set = |change, caller| house.ok(house.vfs.setattr(ino, None, change, caller)).perm;
        let bits = SetAttr {
            perm: Some(0o6755),
            ..SetAttr::default()
        };
        let chown = SetAttr {
            gid: Some(5),
            ..SetAttr::default()
        };
        assert_eq!(set(bits, ANN), 0o6755);
        assert_eq!(set(chown, OTHER), 0o755);
    }

    #[test]
    fn what_is_gone_is_stale_and_what_has_no_size_keeps_none() {
        let house = House::new();
        assert_eq!(
            house.error(house.vfs.getattr(Ino(99), None)),
            ErrorKind::Stale
        );
        let size = SetAttr {
            size: Some(1),
            ..SetAttr::default()
        };
        let folder = house.mkdir(ROOT, "d");
        let cut = house.vfs.setattr(folder, None, size, ANN);
        assert_eq!(house.error(cut), ErrorKind::IsDir);
        let link = house
            .vfs
            .symlink(ROOT, OsStr::new("l"), OsStr::new("t"), ANN);
        let cut = house.vfs.setattr(house.ok(link).attr.ino, None, size, ANN);
        assert_eq!(house.error(cut), ErrorKind::Invalid);
    }

    #[test]
    fn who_may_not_give_a_program_rights_leaves_it_none_by_writing_to_it() {
        let house = House::new();
        let (ino, fh) = house.create("a");
        let mode = |perm| {
            let perm = SetAttr {
                perm: Some(perm),
                ..SetAttr::default()
            };
            house.ok(house.vfs.setattr(ino, None, perm, ANN));
        };
        let left = |fh| {
            house.vfs.drop_set_id(fh).unwrap();
            house.attr(ino).perm
        };
        mode(0o6755);
        assert_eq!(left(fh), 0o755, "given while it was open");
        mode(0o2745);
        assert_eq!(left(fh), 0o2745, "the group may not run it");
        mode(0o4755);
        house.close(fh);
        let before = house.attr(ino);
        let fh = house.open(ino, WRITE);
        assert_eq!(house.attr(ino), before);
        assert_eq!(left(fh), 0o755, "given before it was opened");
    }
}
