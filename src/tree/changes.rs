//! What system calls do to the tree: each is one transaction over the wanted
//! half and the journal.

use std::ffi::{OsStr, OsString};

use rusqlite::Connection;

use super::node::{Access, Attributes, Kind, Known, Node, Pending, Place, ROOT, Remote};
use super::wanted::{detach, differs_there, remote_name};
use super::{Tree, TreeError, attempts, rows};
use crate::ids::{FolderId, Ino, Time};

type Result<T> = std::result::Result<T, TreeError>;

/// What a new entry begins with.
#[derive(Clone, Debug)]
pub enum NewNode {
    /// An empty folder.
    Folder,
    /// An empty file.
    File,
    /// A symbolic link to this target.
    Symlink(OsString),
}

/// Owner and permission of a new entry; `None` is the mount's default.
#[derive(Clone, Copy, Default, Debug)]
pub struct Ownership {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
}

/// What `rename` does when the new name is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Over {
    /// The new name's file or empty folder is replaced.
    Replace,
    /// The call fails.
    Refuse,
}

/// What a rename did.
#[derive(Debug)]
pub struct Renamed {
    /// The node that moved, as it is now.
    pub node: Node,
    /// The node that it replaced, as it was.
    pub replaced: Option<Node>,
}

impl Tree {
    /// Makes an entry, whose owner is told by its folder. `made` is called before anybody else
    /// can know of the inode; it runs within a door of the store, so it must not come back here.
    ///
    /// # Errors
    /// [`TreeError::Exists`], [`TreeError::NameTooLong`], [`TreeError::NotFound`]
    /// when there is no such folder, [`TreeError::Unlisted`] when nothing was seen of the folder, or
    /// a folder of that name may exist where one is to be made.
    pub fn create<T>(
        &self,
        parent: Ino,
        name: &OsStr,
        new: &NewNode,
        owner: impl FnOnce(&Node) -> Ownership,
        now: Time,
        made: impl FnOnce(Ino) -> T,
    ) -> Result<(Node, T)> {
        let kind = match new {
            NewNode::Folder => Kind::Folder,
            NewNode::File => Kind::File,
            NewNode::Symlink(_) => Kind::Symlink,
        };
        remote_name(kind, name)?;
        self.store.write(|tx| {
            let folder = open_folder(tx, parent)?;
            if rows::name_taken(tx, parent, name)? {
                return Err(TreeError::Exists);
            }
            check_unseen(&folder, kind)?;
            let target = match new {
                NewNode::Symlink(target) => Some(target.clone()),
                _ => None,
            };
            let owner = owner(&folder);
            let mut node = Node {
                ino: Ino(0),
                place: Some(Place {
                    parent,
                    name: name.to_owned(),
                }),
                kind,
                attributes: Attributes {
                    mode: owner.mode,
                    uid: owner.uid,
                    gid: owner.gid,
                    atime: now,
                    mtime: now,
                    ctime: now,
                    btime: now,
                },
                size: target.as_ref().map_or(0, |t| t.len() as u64),
                target,
                remote: Remote::None,
                // An empty file stays here until it gets content: the service takes
                // none (API notes 3.5).
                pending: Pending {
                    content: kind == Kind::Symlink,
                    make: kind == Kind::Folder,
                    place: false,
                },
                known: if kind == Kind::Folder {
                    Known::Whole(now)
                } else {
                    Known::Never
                },
                name_changes: 0,
                protected: false,
                access: folder.access,
            };
            node.ino = rows::insert(tx, &node)?;
            rows::touch(tx, parent, now)?;
            let made = made(node.ino);
            Ok((node, made))
        })
    }

    /// Removes a file or symbolic link. The node stays, detached, for open
    /// handles, until [`Tree::purge`].
    ///
    /// # Errors
    /// [`TreeError::NotFound`], [`TreeError::IsFolder`].
    pub fn unlink(&self, parent: Ino, name: &OsStr, now: Time) -> Result<Node> {
        self.store.write(|tx| {
            let node = own_entry(tx, parent, name)?;
            if node.kind == Kind::Folder {
                return Err(TreeError::IsFolder);
            }
            detach(tx, &node, None, now)?;
            rows::touch(tx, parent, now)?;
            Ok(node)
        })
    }

    /// Removes an empty folder.
    ///
    /// # Errors
    /// [`TreeError::NotFound`], [`TreeError::NotFolder`], [`TreeError::NotEmpty`],
    /// [`TreeError::Unlisted`].
    pub fn rmdir(&self, parent: Ino, name: &OsStr, now: Time) -> Result<Node> {
        self.store.write(|tx| {
            let node = own_entry(tx, parent, name)?;
            check_owned(&node)?;
            check_removable(tx, &node)?;
            detach(tx, &node, None, now)?;
            rows::touch(tx, parent, now)?;
            Ok(node)
        })
    }

    /// Moves or renames a node, over an existing one where POSIX allows it.
    ///
    /// # Errors
    /// As `rename(2)`: [`TreeError::NotFound`], [`TreeError::Exists`] (with
    /// [`Over::Refuse`]), [`TreeError::NotEmpty`], [`TreeError::IsFolder`],
    /// [`TreeError::NotFolder`], [`TreeError::IntoItself`],
    /// [`TreeError::NameTooLong`], [`TreeError::Unlisted`].
    pub fn rename(
        &self,
        parent: Ino,
        name: &OsStr,
        new_parent: Ino,
        new_name: &OsStr,
        over: Over,
        now: Time,
    ) -> Result<Renamed> {
        self.store.write(|tx| {
            let mut node = own_entry(tx, parent, name)?;
            remote_name(node.kind, new_name)?;
            let folder = open_folder(tx, new_parent)?;
            check_movable(&node, &folder)?;
            if node.kind == Kind::Folder && rows::is_within(tx, new_parent, node.ino)? {
                return Err(TreeError::IntoItself);
            }
            let replaced = rows::by_name(tx, new_parent, new_name)?;
            match &replaced {
                Some(target) if target.ino == node.ino => {
                    return Ok(Renamed {
                        node,
                        replaced: None,
                    });
                }
                Some(_) if over == Over::Refuse => return Err(TreeError::Exists),
                Some(target) => {
                    check_owned(target)?;
                    match (node.kind, target.kind) {
                        (Kind::Folder, Kind::Folder) => check_removable(tx, target)?,
                        (Kind::Folder, _) => return Err(TreeError::NotFolder),
                        (_, Kind::Folder) => return Err(TreeError::IsFolder),
                        _ => {}
                    }
                    // The old file goes only after its successor is confirmed; an old
                    // folder must go before, since two cannot share a name.
                    let after = (node.kind != Kind::Folder).then_some(node.ino);
                    detach(tx, target, after, now)?;
                }
                None => check_unseen(&folder, node.kind)?,
            }
            let place = Place {
                parent: new_parent,
                name: new_name.to_owned(),
            };
            rows::set_place(tx, node.ino, Some(&place))?;
            node.place = Some(place);
            if node.access != folder.access {
                node.access = folder.access;
                rows::set_access(tx, node.ino, node.access)?;
            }
            node.pending.place = differs_there(tx, &node)?;
            // It may have stayed here because of its name.
            node.pending.content |= node.remote == Remote::None && node.has_content();
            rows::set_pending(tx, node.ino, node.pending)?;
            rows::set_changed(tx, node.ino, now)?;
            attempts::unpark(tx, node.ino)?;
            rows::touch(tx, parent, now)?;
            rows::touch(tx, new_parent, now)?;
            node.attributes.ctime = now;
            Ok(Renamed { node, replaced })
        })
    }

    /// Nodes that were unlinked here: to be purged once nobody holds them. Those
    /// that vanished from the service stay: they may turn up again elsewhere.
    pub fn unlinked(&self) -> Result<Vec<Node>> {
        self.store.read(|c| Ok(rows::unlinked(c)?))
    }

    /// Forgets an unlinked node for good, now or, where its upload has begun or the service may
    /// have made it, once that is settled. Does nothing to one that hangs somewhere or that vanished
    /// from the service. Returns whether it is forgotten.
    pub fn purge(&self, ino: Ino) -> Result<bool> {
        self.store.write(|tx| {
            let purgeable: bool = tx
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM node WHERE ino = ?1 AND parent IS NULL
                         AND gone_parent IS NULL AND ino <> 1
                         AND NOT EXISTS (SELECT 1 FROM node child WHERE child.parent = ?1)
                         AND NOT EXISTS (SELECT 1 FROM attempt
                             WHERE attempt.ino = ?1 AND attempt.node IS NOT NULL)
                         AND NOT (rid IS NULL AND EXISTS
                             (SELECT 1 FROM unanswered WHERE unanswered.ino = ?1)))",
                )?
                .query_row([rows::int(ino.0)], |row| row.get(0))?;
            if purgeable {
                rows::delete(tx, ino)?;
            } else {
                rows::set_orphan(tx, ino)?;
            }
            Ok(purgeable)
        })
    }
}

/// What the service has of somebody else is neither renamed nor replaced: it renames own files
/// only, and whether what we send really came to its folder it does not say. Nor is a
/// folder that only we have.
fn check_owned(node: &Node) -> Result<()> {
    let foreign = node.access != Access::Own && node.remote != Remote::None;
    let ours = node.folder_id().is_some_and(FolderId::is_ours);
    match foreign || ours {
        true => Err(TreeError::ReadOnly),
        false => Ok(()),
    }
}

/// Between owners things are copied, not moved.
fn check_movable(node: &Node, to: &Node) -> Result<()> {
    let settled = node.remote != Remote::None || node.kind == Kind::Folder;
    if node.access != to.access && settled && !node.folder_id().is_some_and(FolderId::is_ours) {
        return Err(TreeError::OtherOwner);
    }
    check_owned(node)
}

/// Whether something of this kind may have a name that was not seen in a folder. Should a file of that
/// name turn up, both are kept; a folder must not be made where there may be one: the service may
/// refuse that for ever, or make a second.
fn check_unseen(folder: &Node, kind: Kind) -> Result<()> {
    let known = match kind {
        Kind::Folder => folder.known.has_all_folders(),
        Kind::File | Kind::Symlink => folder.known != Known::Never,
    };
    match known {
        true => Ok(()),
        false => Err(TreeError::Unlisted(folder.ino)),
    }
}

/// An entry that may be taken away from where it is.
fn own_entry(c: &Connection, parent: Ino, name: &OsStr) -> Result<Node> {
    let node = entry(c, parent, name)?;
    open_folder(c, parent).map(|_| node)
}

/// The folder `ino`, whose entries may be changed.
pub(super) fn open_folder(c: &Connection, ino: Ino) -> Result<Node> {
    let folder = live_folder(c, ino)?;
    match folder.access {
        Access::Reading => Err(TreeError::ReadOnly),
        Access::Own | Access::Changes => Ok(folder),
    }
}

fn entry(c: &Connection, parent: Ino, name: &OsStr) -> Result<Node> {
    if let Some(node) = rows::by_name(c, parent, name)? {
        return Ok(node);
    }
    let folder = live_folder(c, parent)?;
    Err(if folder.known.is_complete() {
        TreeError::NotFound
    } else {
        TreeError::Unlisted(parent)
    })
}

/// The folder `ino`, which must hang in the tree with all that is above it.
fn live_folder(c: &Connection, ino: Ino) -> Result<Node> {
    let folder = rows::by_ino(c, ino)?.ok_or(TreeError::NotFound)?;
    if folder.kind != Kind::Folder {
        return Err(TreeError::NotFolder);
    }
    if !rows::is_within(c, ino, ROOT)? {
        return Err(TreeError::NotFound);
    }
    Ok(folder)
}

/// A folder may go when it is known to be empty.
fn check_removable(c: &Connection, node: &Node) -> Result<()> {
    if node.kind != Kind::Folder {
        return Err(TreeError::NotFolder);
    }
    if rows::has_children(c, node.ino)? {
        return Err(TreeError::NotEmpty);
    }
    if node.known.is_complete() {
        Ok(())
    } else {
        Err(TreeError::Unlisted(node.ino))
    }
}
