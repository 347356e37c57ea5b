//! Calls that put a node somewhere, from before they are made until it is known what became of
//! them.
//!
//! An answer can be lost, and the program can end before it comes. Then the node may be in
//! either place, and neither is taken to be free, nor is anything asked for again, before a
//! listing told: one that shows the node where it was to go does so at once, one that does not is
//! believed when it cannot lag behind the call any more (API notes 2.7). A folder that was removed
//! here meanwhile is looked for in the same way, to be removed there too.

use std::collections::HashMap;

use rusqlite::Connection;

use super::Result;
use crate::ids::{FolderId, Ino, Time};
use crate::tree::Tree;
use crate::tree::node::RemotePlace;
use crate::tree::wanted::place_seen;
use crate::tree::{Kind, Known, Node, ROOT, removals, rows, unanswered};

/// What a call is to do with a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Put {
    /// Make it there.
    Anew(RemotePlace),
    /// Move it into this folder.
    Into(FolderId),
    /// Rename it where it is.
    Named(String),
}

impl Tree {
    /// These calls are about to be made.
    pub fn asks(&self, puts: &[(Ino, Put)], now: Time) -> Result<()> {
        self.store.write(|tx| {
            for (ino, put) in puts {
                let there = rows::by_ino(tx, *ino)?.and_then(|node| node.remote.place().cloned());
                let place = match (put, there) {
                    (Put::Anew(at), _) => at.clone(),
                    (Put::Into(folder), Some(there)) => RemotePlace {
                        folder: *folder,
                        ..there
                    },
                    (Put::Named(name), Some(there)) => RemotePlace {
                        name: name.clone(),
                        ..there
                    },
                    (_, None) => continue,
                };
                unanswered::note(tx, *ino, &place, now)?;
            }
            Ok(())
        })
    }

    /// A call about these failed, and was surely not carried out.
    pub fn not_put(&self, inos: &[Ino]) -> Result<()> {
        self.store.write(|tx| {
            for ino in inos {
                unanswered::forget(tx, *ino)?;
                rows::delete_orphan(tx, *ino)?;
            }
            Ok(())
        })
    }

    /// A call about these failed, and may have been carried out until now.
    pub fn may_be_put(&self, inos: &[Ino], now: Time) -> Result<()> {
        self.store.write(|tx| {
            for ino in inos {
                unanswered::postpone(tx, *ino, now)?;
            }
            Ok(())
        })
    }

    /// What an earlier process asked for last may have been carried out until now.
    pub fn all_may_be_put(&self, now: Time) -> Result<()> {
        self.store.write(|tx| {
            removals::all_may_be_moved(tx, now)?;
            Ok(unanswered::postpone_all(tx, now)?)
        })
    }

    /// The folders whose listings tell where a node is that was to be put elsewhere; none if
    /// nothing is unsure about it.
    pub fn may_be_in(&self, ino: Ino) -> Result<Vec<Ino>> {
        self.store.read(|c| {
            let unsure = unsure(c, ino)?;
            Ok(unsure.map_or_else(Vec::new, |unsure| {
                unsure.folders.iter().map(|folder| folder.ino).collect()
            }))
        })
    }

    /// Where the call that is unsure was to put a node.
    pub fn asked_place(&self, ino: Ino) -> Result<Option<RemotePlace>> {
        self.store
            .read(|c| Ok(unanswered::of(c, ino)?.map(|asked| asked.place)))
    }

    /// Folders were listed, and it is told when that was asked for. `None`: it is known now where
    /// the node is. Else the time from which on the listings of [`Tree::may_be_in`] would tell.
    pub fn looked_for(&self, ino: Ino, listed: &HashMap<Ino, Time>) -> Result<Option<Time>> {
        self.store.write(|tx| {
            let Some(Unsure {
                node,
                asked,
                folders,
            }) = unsure(tx, ino)?
            else {
                return Ok(None);
            };
            let shown = asked.after(self.listing_lag);
            for folder in folders {
                let told = match folder.known {
                    Known::Whole(_) => true,
                    Known::FilesCut(_) => node.kind == Kind::Folder,
                    Known::Never
                    | Known::Cut(_)
                    | Known::Lacking(_)
                    | Known::Doubted(_)
                    | Known::DoubtedPart(_) => false,
                };
                if !told || listed.get(&folder.ino).is_none_or(|asked| *asked <= shown) {
                    return Ok(Some(shown));
                }
            }
            unanswered::forget(tx, ino)?;
            place_seen(tx, &node)?;
            Ok(rows::delete_orphan(tx, ino).map(|()| None)?)
        })
    }
}

/// A node of which it is not known where the service has it.
struct Unsure {
    node: Node,
    /// When it was asked for at the latest to put it elsewhere.
    asked: Time,
    /// Where it may be, of what can be listed.
    folders: Vec<Node>,
}

fn unsure(c: &Connection, ino: Ino) -> Result<Option<Unsure>> {
    let Some((asked, node)) = unanswered::of(c, ino)?.zip(rows::by_ino(c, ino)?) else {
        return Ok(None);
    };
    let here = node.remote.place().map(|place| place.folder);
    let here = here.filter(|here| *here != asked.place.folder);
    let mut folders = Vec::new();
    for folder in [Some(asked.place.folder), here].into_iter().flatten() {
        let folder = rows::by_folder_id(c, folder)?;
        folders.extend(folder.filter(|folder| folder.ino == ROOT || folder.place.is_some()));
    }
    Ok(Some(Unsure {
        node,
        asked: asked.at,
        folders,
    }))
}
