//! Which of several files that have one name on the service has it here: the newest, by the dates
//! that the service tells. The others go by their ids; there nothing is renamed.
//!
//! What was sent from here is undated until a listing shows it, and until then it gives its name
//! to none. What is not yet sent keeps the name that it has.

use rusqlite::Transaction;

use super::TreeError;
use super::events::Change;
use super::node::{Node, Place, RemoteFile};
use super::vanished::distinct_name;
use super::wanted::shown_name;
use super::{names, rows};
use crate::ids::Ino;

/// Gives a file the name that the service has for it, if nothing else has it here, or only an
/// older file of that name, which then steps aside. Returns what the kernel must hear of.
pub(super) fn name_anew(tx: &Transaction<'_>, ino: Ino) -> Result<Vec<Change>, TreeError> {
    let Some(node) = rows::by_ino(tx, ino)? else {
        return Ok(Vec::new());
    };
    let (Some(place), Some(file)) = (&node.place, settled_file(&node)) else {
        return Ok(Vec::new());
    };
    let name = shown_name(node.kind, &file.place.name);
    if place.name == name || !names::fits(&name) {
        return Ok(Vec::new());
    }
    let mut changes = Vec::new();
    let mut put = |ino: Ino, name| {
        let parent = place.parent;
        let place = Place { parent, name };
        rows::set_place(tx, ino, Some(&place))?;
        changes.push(told(&place));
        Ok::<_, TreeError>(())
    };
    if let Some(holder) = rows::by_name(tx, place.parent, &name)? {
        let Some(older) = settled_file(&holder).filter(|held| goes_before(file, held)) else {
            return Ok(Vec::new());
        };
        let id = older.id.as_str();
        let aside = distinct_name(tx, place.parent, &name, id, holder.ino)?;
        put(holder.ino, aside)?;
    }
    put(node.ino, name)?;
    changes.push(told(place));
    Ok(changes)
}

/// What the service has of a file of which nothing is to be done there.
fn settled_file(node: &Node) -> Option<&RemoteFile> {
    node.remote_file().filter(|_| node.pending.is_empty())
}

/// Whether `file` has the name before `held` which has it now. Dates are in seconds: of two files
/// of one second, all machines take the same.
fn goes_before(file: &RemoteFile, held: &RemoteFile) -> bool {
    let one_name = file.place == held.place;
    one_name
        && file.date.zip(held.date).is_some_and(|(new, old)| {
            new > old || (new == old && file.id.as_str() < held.id.as_str())
        })
}

fn told(place: &Place) -> Change {
    Change::Entry {
        parent: place.parent,
        name: place.name.clone(),
    }
}
