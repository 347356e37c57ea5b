//! The way round a move or rename that the service refuses since the name is taken.
//!
//! Whether it lets two files of a name be is not known (API notes 10.5), so this is asked for
//! only after a refusal: what holds the name takes a passing one. A file that is
//! replaced is never removed first, or for a moment there would be none. A crash between any
//! two steps leaves nothing to be undone: the refusal comes again, and with it this question.

use rusqlite::{Connection, params};

use super::Result;
use super::task::next_place;
use crate::ids::{FileId, Ino};
use crate::tree::node::{Kind, Node, Remote, RemotePlace};
use crate::tree::removals::{self, Removal};
use crate::tree::rows::{self, int};
use crate::tree::wanted::wanted_place;
use crate::tree::{Tree, names};

/// A file that takes another name for a while.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Detour {
    /// The file.
    pub id: FileId,
    /// The passing name.
    pub name: String,
    /// What it is to us.
    pub who: Who,
}

/// The file that steps aside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Who {
    /// One that is to be removed.
    Leaving(Removal),
    /// The one that was refused: its name is taken where it goes first, or another file is
    /// yet to leave the place.
    Itself(Ino),
}

impl Tree {
    /// The way round for a file whose next move or rename was refused. `None`: there is none,
    /// or it was taken.
    pub fn detour(&self, ino: Ino) -> Result<Option<Detour>> {
        self.store.read(|c| {
            let Some(node) = rows::by_ino(c, ino)?.filter(|node| node.pending.place) else {
                return Ok(None);
            };
            let Remote::File(file) = &node.remote else {
                return Ok(None);
            };
            let Some(wanted) = wanted_place(c, &node)? else {
                return Ok(None);
            };
            let next = next_place(&node, wanted.clone());
            if let Some(removal) = removals::file_at(c, &next)? {
                return Ok(removal.rid.parse().ok().map(|id| Detour {
                    id,
                    name: names::passing(&next.name, &format!(".replaced-{}", removal.id)),
                    who: Who::Leaving(removal),
                }));
            }
            let tried = names::before_moving(&file.place.name, ino).is_some();
            let way = !tried && is_held(c, &node, &next, &wanted)?;
            Ok(way.then(|| Detour {
                id: file.id.clone(),
                name: names::moving(&file.place.name, ino),
                who: Who::Itself(ino),
            }))
        })
    }

    /// A file that is to be removed has another name now, a passing one or its own again.
    pub fn stepped_aside(&self, removal: &Removal, name: &str) -> Result<()> {
        self.store
            .write(|tx| Ok(removals::rename(tx, removal.id, name)?))
    }

    /// What stepped aside for `ino`, and the name that it had: to be given back if `ino` does
    /// not take it after all.
    pub fn aside_for(&self, ino: Ino) -> Result<Option<Detour>> {
        self.store.read(|c| {
            let Some(node) = rows::by_ino(c, ino)? else {
                return Ok(None);
            };
            let Some(wanted) = wanted_place(c, &node)? else {
                return Ok(None);
            };
            let aside = removals::waiting_for(c, ino)?.into_iter().find(|removal| {
                let mark = format!(".replaced-{}", removal.id);
                removal.place.folder == wanted.folder && removal.place.name.ends_with(&mark)
            });
            Ok(aside.and_then(|removal| {
                let id = removal.rid.parse().ok()?;
                Some(Detour {
                    id,
                    name: wanted.name,
                    who: Who::Leaving(removal),
                })
            }))
        })
    }
}

/// Whether another file holds the place where a file goes next: on its way any, at its
/// end one that is about to leave.
fn is_held(
    c: &Connection,
    node: &Node,
    next: &RemotePlace,
    wanted: &RemotePlace,
) -> rusqlite::Result<bool> {
    c.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM node
             WHERE rparent = ?1 AND coalesce(rname, CAST(name AS TEXT)) = ?2
                 AND parent IS NOT NULL AND ino <> ?3 AND kind <> ?4 AND (pending & 2 OR ?5))",
    )?
    .query_row(
        params![
            int(next.folder.0),
            next.name,
            int(node.ino.0),
            rows::kind_number(Kind::Folder),
            next != wanted
        ],
        |row| row.get(0),
    )
}
