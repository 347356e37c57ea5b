//! Names: finding, making, removing and moving them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::Vfs;
use super::error::{Error, ErrorKind};
use super::links::MAX_TARGET;
use super::types::{Answer, Caller, Entry, OpenFlags, Opened, RenameMode};
use super::wait::Fault;
use crate::ids::{Ino, Time};
use crate::tree::changes::{NewNode, Over, Ownership};
use crate::tree::{Kind, Lookup, Node};

/// The set-group-id bit: on a folder it hands the group on.
const SET_GID: u32 = 0o2000;

impl Vfs {
    /// The entry `name` of a folder; also `.` and `..`, for file handles that
    /// outlive the kernel's cache.
    pub fn lookup(&self, parent: Ino, name: &OsStr) -> Answer<Entry> {
        let name = name.to_owned();
        self.listing(move |vfs| {
            let node = vfs.find(parent, &name)?;
            Ok(vfs.entry(&node)?)
        })
    }

    fn find(&self, parent: Ino, name: &OsStr) -> Result<Node, Fault> {
        match name.as_bytes() {
            b"." => return Ok(self.node(parent)?),
            b".." => return Ok(self.node(self.parent_of(parent)?)?),
            _ => {}
        }
        if let Some(folder) = self.tree().node(parent)? {
            self.refresher().touch(&folder);
        }
        match self.tree().lookup(parent, name)? {
            Lookup::Exists(node) => Ok(*node),
            Lookup::Gone => Err(ErrorKind::NotFound.into()),
            Lookup::Unknown => Err(Fault::Unlisted(parent)),
        }
    }

    /// The folder above; the mount's root is above itself.
    pub(super) fn parent_of(&self, ino: Ino) -> Result<Ino, Error> {
        if ino == self.root() {
            return Ok(ino);
        }
        Ok(self.node(ino)?.place.map_or(ino, |place| place.parent))
    }

    /// The kernel gives look-ups back.
    pub fn forget(&self, ino: Ino, lookups: u64) {
        let left = self.inner.inodes.forget(ino, lookups);
        self.settle(ino, left);
    }

    /// Makes a folder. `perm` has the umask applied, here and below.
    pub fn mkdir(&self, parent: Ino, name: &OsStr, perm: u16, caller: Caller) -> Answer<Entry> {
        self.make(parent, name, NewNode::Folder, perm, caller)
    }

    /// Makes an empty regular file.
    pub fn mknod(&self, parent: Ino, name: &OsStr, perm: u16, caller: Caller) -> Answer<Entry> {
        self.make(parent, name, NewNode::File, perm, caller)
    }

    /// Makes a symbolic link.
    pub fn symlink(
        &self,
        parent: Ino,
        name: &OsStr,
        target: &OsStr,
        caller: Caller,
    ) -> Answer<Entry> {
        if target.len() > MAX_TARGET {
            return Answer::Now(Err(ErrorKind::NameTooLong.into()));
        }
        let new = NewNode::Symlink(target.to_owned());
        self.make(parent, name, new, 0o777, caller)
    }

    fn make(
        &self,
        parent: Ino,
        name: &OsStr,
        new: NewNode,
        perm: u16,
        caller: Caller,
    ) -> Answer<Entry> {
        let name = name.to_owned();
        self.listing(move |vfs| {
            let node = vfs.make_node(parent, &name, &new, perm, caller)?;
            Ok(vfs.entry(&node)?)
        })
    }

    fn make_node(
        &self,
        parent: Ino,
        name: &OsStr,
        new: &NewNode,
        perm: u16,
        caller: Caller,
    ) -> Result<Node, Fault> {
        self.check_writable()?;
        let folder = self.tree().node(parent)?.ok_or(ErrorKind::NotFound)?;
        let owner = ownership(&folder, new, perm, caller, self.options().gid);
        let node = self.tree().create(parent, name, new, owner, Time::now())?;
        if !matches!(new, NewNode::File) {
            self.wake();
        }
        Ok(node)
    }

    /// Opens a file, and makes it if the name is free.
    pub fn create(
        &self,
        parent: Ino,
        name: &OsStr,
        perm: u16,
        flags: OpenFlags,
        caller: Caller,
    ) -> Answer<(Entry, Opened)> {
        let name = name.to_owned();
        self.listing(move |vfs| {
            let made = vfs.make_node(parent, &name, &NewNode::File, perm, caller);
            let node = match made {
                Err(Fault::Failed(e)) if e.kind() == ErrorKind::Exists && !flags.exclusive => {
                    vfs.find(parent, &name)?
                }
                other => other?,
            };
            let opened = vfs.open_node(&node, flags)?;
            // As it is after O_TRUNC.
            let node = vfs.node(node.ino)?;
            Ok((vfs.entry(&node)?, opened))
        })
    }

    /// Removes a file or link. Handles that are open on it keep its bytes.
    pub fn unlink(&self, parent: Ino, name: &OsStr, _caller: Caller) -> Answer<()> {
        let name = name.to_owned();
        self.listing(move |vfs| {
            vfs.check_writable()?;
            let node = vfs.tree().unlink(parent, &name, Time::now())?;
            vfs.lost_its_name(&node);
            Ok(())
        })
    }

    /// Removes an empty folder.
    pub fn rmdir(&self, parent: Ino, name: &OsStr, _caller: Caller) -> Answer<()> {
        let name = name.to_owned();
        self.listing(move |vfs| {
            vfs.check_writable()?;
            let node = vfs.tree().rmdir(parent, &name, Time::now())?;
            vfs.lost_its_name(&node);
            Ok(())
        })
    }

    /// Moves or renames. A file that is replaced keeps its bytes for handles that
    /// are open on it.
    pub fn rename(
        &self,
        parent: Ino,
        name: &OsStr,
        new_parent: Ino,
        new_name: &OsStr,
        mode: RenameMode,
        _caller: Caller,
    ) -> Answer<()> {
        let over = match mode {
            RenameMode::Replace => Over::Replace,
            RenameMode::NoReplace => Over::Refuse,
            // The service has no such step, and two renames would show a moment in
            // which a name is missing.
            RenameMode::Exchange => return Answer::Now(Err(ErrorKind::Invalid.into())),
        };
        let (name, new_name): (OsString, OsString) = (name.to_owned(), new_name.to_owned());
        self.listing(move |vfs| {
            vfs.check_writable()?;
            let renamed =
                vfs.tree()
                    .rename(parent, &name, new_parent, &new_name, over, Time::now())?;
            match &renamed.replaced {
                Some(replaced) => vfs.lost_its_name(replaced),
                None => vfs.wake(),
            }
            Ok(())
        })
    }

    fn lost_its_name(&self, node: &Node) {
        let left = self.inner.inodes.unlinked(node.ino);
        self.settle(node.ino, left);
        self.wake();
    }
}

/// Who owns a new entry: its maker, and the folder's group if the folder hands
/// it on.
fn ownership(
    folder: &Node,
    new: &NewNode,
    perm: u16,
    caller: Caller,
    default_gid: u32,
) -> Ownership {
    let inherits =
        folder.kind == Kind::Folder && folder.attributes.mode.unwrap_or_default() & SET_GID != 0;
    let hands_on = inherits && matches!(new, NewNode::Folder);
    Ownership {
        mode: Some(u32::from(perm) | if hands_on { SET_GID } else { 0 }),
        uid: Some(caller.uid),
        gid: Some(if inherits {
            folder.attributes.gid.unwrap_or(default_gid)
        } else {
            caller.gid
        }),
    }
}
