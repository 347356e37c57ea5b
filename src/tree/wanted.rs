//! Where the service should have a node, and how a node leaves the tree: what
//! system calls, listings and the journal all need. A leaf over the rows.

use std::ffi::OsStr;

use rusqlite::Connection;

use super::node::{Kind, Node, Pending, Remote, RemotePlace};
use super::{TreeError, names, removals, rows};
use crate::ids::{Ino, Time};

type Result<T> = std::result::Result<T, TreeError>;

/// Takes a node out of the tree and queues the removal of what the service has
/// of it. Its identity stays readable for handles that are open.
pub(super) fn detach(
    c: &Connection,
    node: &Node,
    after: Option<Ino>,
    now: Time,
) -> rusqlite::Result<()> {
    removals::queue(c, node, after, now)?;
    if let Some(successor) = after {
        // What the node was to replace is now replaced by its successor.
        removals::hand_on(c, node.ino, successor)?;
    }
    rows::set_place(c, node.ino, None)?;
    rows::set_pending(c, node.ino, Pending::default())?;
    rows::set_changed(c, node.ino, now)
}

/// Where the service should have the node, as far as that can be said: its
/// parent may not exist there yet.
pub(super) fn wanted_place(c: &Connection, node: &Node) -> Result<Option<RemotePlace>> {
    let Some(place) = &node.place else {
        return Ok(None);
    };
    let Some(folder) = rows::by_ino(c, place.parent)?.and_then(|parent| parent.folder_id()) else {
        return Ok(None);
    };
    Ok(Some(RemotePlace {
        folder,
        name: remote_name(node.kind, &place.name)?,
    }))
}

/// Whether the service has the node elsewhere or under another name. What it
/// does not have at all has no place to be corrected.
pub(super) fn differs_there(c: &Connection, node: &Node) -> Result<bool> {
    if node.remote == Remote::None {
        return Ok(false);
    }
    Ok(wanted_place(c, node)?.as_ref() != node.remote.place())
}

/// The name under which a node of this kind goes to the service.
pub(super) fn remote_name(kind: Kind, name: &OsStr) -> Result<String> {
    let encoded = match kind {
        Kind::Symlink => names::encode_link(name),
        Kind::Folder | Kind::File => names::encode(name),
    };
    encoded.map_err(|names::TooLong| TreeError::NameTooLong)
}
