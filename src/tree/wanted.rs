//! Where the service should have a node, and how a node leaves the tree: what
//! system calls, listings and the journal all need. A leaf over the rows.

use std::ffi::{OsStr, OsString};

use rusqlite::Connection;

use super::node::{Kind, Node, Pending, Remote, RemotePlace};
use super::{TreeError, attempts, names, removals, rows, unanswered};
use crate::ids::{FolderId, Ino, Time};

type Result<T> = std::result::Result<T, TreeError>;

/// Takes a node out of the tree and queues the removal of what the service has
/// of it. Its identity stays readable for handles that are open, and until it is known whether the
/// service made it, where that is not.
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

/// A node will not take the place of what it was to replace: that stays, and shows
/// again with the next listings of the folders that are returned.
pub(super) fn stop_replacing(c: &Connection, ino: Ino) -> rusqlite::Result<Vec<FolderId>> {
    let look_again = removals::withdraw(c, ino)?;
    for folder in &look_again {
        if let Some(folder) = rows::by_folder_id(c, *folder)? {
            rows::expire(c, folder.ino)?;
        }
    }
    Ok(look_again)
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

/// Whether the service has the node elsewhere or under another name, or may have, as far as a
/// call without an answer tells. What it does not have at all has no place to be corrected.
pub(super) fn differs_there(c: &Connection, node: &Node) -> Result<bool> {
    if node.remote == Remote::None {
        return Ok(false);
    }
    Ok(wanted_place(c, node)?.as_ref() != node.remote.place()
        || unanswered::of(c, node.ino)?.is_some())
}

/// It was found out where the service has the node: what is left of the wish to put it
/// elsewhere.
pub(super) fn place_seen(c: &Connection, node: &Node) -> Result<()> {
    let pending = Pending {
        place: differs_there(c, node)?,
        ..node.pending
    };
    rows::set_pending(c, node.ino, pending)?;
    if pending.is_empty() {
        attempts::clear_attempt(c, node.ino)?;
    }
    Ok(())
}

/// The name under which a node of this kind goes to the service.
pub(super) fn remote_name(kind: Kind, name: &OsStr) -> Result<String> {
    let encoded = match kind {
        Kind::Symlink => names::encode_link(name),
        Kind::Folder => names::encode(name),
        Kind::File => names::encode_file(name),
    };
    encoded.map_err(|names::TooLong| TreeError::NameTooLong)
}

/// The name that a node of this kind has here, if nothing else has it, where the service calls
/// it so.
pub(super) fn shown_name(kind: Kind, remote: &str) -> OsString {
    match kind {
        Kind::Symlink => names::display_link(remote),
        Kind::Folder => names::display(remote),
        Kind::File => names::display_file(remote),
    }
}
