//! Attributes: what the tree has, the mount's defaults where it has nothing,
//! and what memory knows better of files that are being written.

use super::error::{Error, ErrorKind};
use super::handles::Hold;
use super::types::{Answer, Attr, Caller, Entry, Fh, Kind, OpenAccess, SetAttr, SetTime};
use super::{Vfs, VfsOptions};
use crate::ids::{Ino, Time};
use crate::tree::attributes::AttributeChange;
use crate::tree::{self, Node};

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

/// What the tree alone says.
fn stored(node: &Node, folders: u32, options: &VfsOptions) -> Attr {
    let kind = kind(node.kind);
    let a = &node.attributes;
    Attr {
        ino: node.ino,
        kind,
        size: node.size,
        blocks: node.size.div_ceil(SECTOR),
        atime: a.atime.0,
        mtime: a.mtime.0,
        ctime: a.ctime.0,
        btime: a.btime.0,
        // Twelve bits always fit.
        perm: (a.mode.unwrap_or_else(|| default_perm(kind, options)) & 0o7777) as u16,
        nlink: match (kind, node.place.is_some() || node.ino == options.root) {
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
        let hold: Hold = self.hold(node.ino, OpenAccess::Write)?;
        self.truncate(&hold, size)?;
        if leave_to_writer {
            Ok(())
        } else {
            self.save(&hold)
        }
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
        Ok(self.attr_with(node, folders))
    }

    /// The same, for who knows or does not need the number of sub-folders.
    pub(super) fn attr_with(&self, node: &Node, folders: u32) -> Attr {
        let mut attr = stored(node, folders, self.options());
        if node.kind == tree::Kind::File
            && let Some(overlay) = self.inner.inodes.overlay(node.ino)
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
        self.inner.inodes.looked_up(node.ino);
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

/// Giving a program away takes its set-id bits, except where root does it.
fn perm_after_chown(
    node: &Node,
    change: SetAttr,
    caller: Caller,
    options: &VfsOptions,
) -> Option<u32> {
    const SET_UID: u32 = 0o4000;
    const SET_GID: u32 = 0o2000;
    const GROUP_EXEC: u32 = 0o010;
    let chown = change.uid.is_some() || change.gid.is_some();
    if !chown || caller.uid == 0 || node.kind == tree::Kind::Folder {
        return None;
    }
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
