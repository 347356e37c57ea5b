//! Who waits for whom to leave a name on the service, and who steps aside where they wait
//! for one another in a circle.
//!
//! A folder (or content) waits for what holds its name there and is about to leave it, and for
//! what would else take it below itself; what
//! lies in a folder that is not made yet waits for that; the removal of a folder waits for what
//! is to leave it, and that of a replaced file for its successor. Along a circle of such waits
//! one folder takes a passing name, which frees both the name that it holds and itself. What
//! merely waits for something that is not due costs no call: that ends by itself.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::Result;
use super::task::{Object, Task, awaits, next_place};
use crate::ids::{FolderId, Ino, Time};
use crate::tree::names;
use crate::tree::node::{Kind, Node, Remote, RemoteFolder, RemotePlace};
use crate::tree::rows::{self, int};
use crate::tree::unanswered;
use crate::tree::wanted::wanted_place;

/// So many waits are looked at in one round. A longer chain grows shorter at its end, where
/// something can be done.
const MOST: usize = 4000;

/// What waits, or is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Waiter {
    /// A node that has a step to make.
    Node(Ino),
    /// A removal.
    Removal(i64),
}

/// What is about to leave this place and holds it for `node`: an object to be removed, or a
/// folder to be moved. Files may share a name (API notes 3.6), so a file waits for folders only.
pub(super) fn holders(
    c: &Connection,
    node: &Node,
    place: &RemotePlace,
) -> rusqlite::Result<Vec<Waiter>> {
    let folders_only = node.kind != Kind::Folder;
    let removals = waiters(
        c,
        "SELECT id FROM removal WHERE rparent = ?1 AND rname = ?2 AND (NOT ?3 OR kind = 1)",
        params![int(place.folder.0), place.name, folders_only],
        Waiter::Removal,
    )?;
    let mut holders = waiters(
        c,
        "SELECT ino FROM node WHERE rparent = ?1 AND rname = ?2 AND parent IS NOT NULL
             AND ino <> ?3 AND kind = 1 AND pending & 2",
        params![int(place.folder.0), place.name, int(node.ino.0)],
        |ino| Waiter::Node(Ino(rows::uint(ino))),
    )?;
    holders.extend(waiters(
        c,
        "SELECT ino FROM unanswered JOIN node USING (ino)
         WHERE folder = ?1 AND unanswered.name = ?2 AND (parent IS NOT NULL OR rid IS NULL)
             AND kind = 1 AND ino <> ?3",
        params![int(place.folder.0), place.name, int(node.ino.0)],
        |ino| Waiter::Node(Ino(rows::uint(ino))),
    )?);
    holders.extend(removals);
    Ok(holders)
}

/// Where the folder `to` lies below the folder `node` on the service, or may: what is about to
/// leave in between. The service would take both out of reach (API notes 10.7).
pub(super) fn below_itself(
    c: &Connection,
    node: &Node,
    to: FolderId,
) -> rusqlite::Result<Vec<Waiter>> {
    let (Remote::Folder(_), Some(there)) = (&node.remote, node.remote.place()) else {
        return Ok(Vec::new());
    };
    if there.folder == to {
        return Ok(Vec::new());
    }
    let mut between = waiters(
        c,
        "WITH RECURSIVE up(ino) AS (
             SELECT ino FROM node WHERE kind = 1 AND rid = CAST(?1 AS TEXT)
             UNION
             SELECT above.ino FROM up JOIN node USING (ino)
                 LEFT JOIN unanswered USING (ino)
                 JOIN node AS above ON above.kind = 1
                     AND above.rid IN (CAST(node.rparent AS TEXT), CAST(unanswered.folder AS TEXT))
             WHERE up.ino <> ?2)
         SELECT ino FROM up WHERE ino <> 1",
        params![int(to.0), int(node.ino.0)],
        |ino| Waiter::Node(Ino(rows::uint(ino))),
    )?;
    let itself = Waiter::Node(node.ino);
    if !between.contains(&itself) {
        return Ok(Vec::new());
    }
    between.retain(|waiter| *waiter != itself);
    Ok(between)
}

/// The node, not yet in place on the service, that takes the place of what is to be removed.
pub(super) fn successor(c: &Connection, after: Option<Ino>) -> rusqlite::Result<Option<Ino>> {
    let Some(successor) = after else {
        return Ok(None);
    };
    let node = rows::by_ino(c, successor)?;
    let waits = |node: &Node| node.place.is_some() && (node.pending.content || node.pending.place);
    Ok(node.filter(waits).map(|node| node.ino))
}

/// Looks for circles from nodes that wait for a name.
pub(super) struct Circles<'a> {
    c: &'a Connection,
    now: Time,
    busy: &'a dyn Fn(Ino) -> bool,
    /// What leads into no circle, or into one that was opened.
    done: HashSet<Waiter>,
}

impl<'a> Circles<'a> {
    pub(super) fn new(c: &'a Connection, now: Time, busy: &'a dyn Fn(Ino) -> bool) -> Circles<'a> {
        Circles {
            c,
            now,
            busy,
            done: HashSet::new(),
        }
    }

    /// What opens the circles that `ino` waits in or for.
    pub(super) fn open(&mut self, ino: Ino) -> Result<Vec<Task>> {
        let mut tasks = Vec::new();
        // The way from `ino` on, each with what it waits for and was not looked at yet.
        let mut path: Vec<(Waiter, Vec<Waiter>)> = Vec::new();
        let mut next = Some(Waiter::Node(ino));
        loop {
            if let Some(waiter) = next.take() {
                if let Some(at) = path.iter().position(|(on_path, _)| *on_path == waiter) {
                    tasks.extend(self.step_aside(&path[at..])?);
                } else if self.done.len() + path.len() < MOST && !self.done.contains(&waiter) {
                    path.push((waiter, self.waits_for(waiter)?));
                }
            }
            match path.last_mut() {
                None => return Ok(tasks),
                Some((_, rest)) => next = rest.pop(),
            }
            if next.is_none() {
                self.done.extend(path.pop().map(|(waiter, _)| waiter));
            }
        }
    }

    /// A folder of the circle that can take a passing name now. One that has such a name
    /// already is not the one to move.
    fn step_aside(&self, circle: &[(Waiter, Vec<Waiter>)]) -> Result<Option<Task>> {
        for (waiter, _) in circle {
            let Waiter::Node(ino) = *waiter else { continue };
            let Some(node) = rows::by_ino(self.c, ino)? else {
                continue;
            };
            if let Remote::Folder(RemoteFolder {
                id,
                place: Some(there),
            }) = &node.remote
                && names::before_moving(&there.name, ino).is_none()
                && !(self.busy)(ino)
                && self.is_due(ino)?
                && unanswered::of(self.c, ino)?.is_none()
            {
                return Ok(Some(Task::Rename {
                    ino,
                    object: Object::Folder(*id),
                    name: names::moving(&there.name, ino),
                }));
            }
        }
        Ok(None)
    }

    fn is_due(&self, ino: Ino) -> rusqlite::Result<bool> {
        let due = self
            .c
            .prepare_cached("SELECT not_before <= ?2 AND parked = 0 FROM attempt WHERE ino = ?1")?
            .query_row(params![int(ino.0), self.now.0], |row| row.get(0))
            .optional()?;
        Ok(due.unwrap_or(true))
    }

    fn waits_for(&self, waiter: Waiter) -> Result<Vec<Waiter>> {
        match waiter {
            Waiter::Node(ino) => self.node_waits_for(ino),
            Waiter::Removal(id) => Ok(self.removal_waits_for(id)?),
        }
    }

    fn node_waits_for(&self, ino: Ino) -> Result<Vec<Waiter>> {
        let node = rows::by_ino(self.c, ino)?.filter(|node| !node.pending.is_empty());
        let Some((node, parent)) = node.and_then(|node| {
            let parent = node.place.as_ref()?.parent;
            Some((node, parent))
        }) else {
            return Ok(Vec::new());
        };
        if unanswered::of(self.c, ino)?.is_some() {
            return Ok(Vec::new()); // It waits for a listing alone.
        }
        match wanted_place(self.c, &node)? {
            // Its folder is not made yet.
            None => Ok(vec![Waiter::Node(parent)]),
            Some(wanted) if awaits(&node) => {
                let next = next_place(&node, wanted);
                let mut waits = holders(self.c, &node, &next)?;
                waits.extend(below_itself(self.c, &node, next.folder)?);
                Ok(waits)
            }
            Some(_) => Ok(Vec::new()),
        }
    }

    fn removal_waits_for(&self, id: i64) -> rusqlite::Result<Vec<Waiter>> {
        let row: Option<(bool, String, Option<i64>)> = self
            .c
            .prepare_cached("SELECT kind = 1, rid, after_ino FROM removal WHERE id = ?1")?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((is_folder, rid, after)) = row else {
            return Ok(Vec::new());
        };
        let after = after.map(|ino| Ino(rows::uint(ino)));
        let mut waits: Vec<Waiter> = successor(self.c, after)?
            .map(Waiter::Node)
            .into_iter()
            .collect();
        if let (true, Ok(folder)) = (is_folder, rid.parse::<u64>()) {
            waits.extend(waiters(
                self.c,
                "SELECT ino FROM node WHERE rparent = ?1 AND parent IS NOT NULL",
                [int(folder)],
                |ino| Waiter::Node(Ino(rows::uint(ino))),
            )?);
            // The removal of a file waits for nothing but a successor.
            waits.extend(waiters(
                self.c,
                "SELECT id FROM removal
                 WHERE rparent = ?1 AND (kind = 1 OR after_ino IS NOT NULL)",
                [int(folder)],
                Waiter::Removal,
            )?);
        }
        Ok(waits)
    }
}

fn waiters(
    c: &Connection,
    query: &str,
    parameters: impl rusqlite::Params,
    waiter: impl Fn(i64) -> Waiter,
) -> rusqlite::Result<Vec<Waiter>> {
    c.prepare_cached(query)?
        .query_map(parameters, |row| Ok(waiter(row.get(0)?)))?
        .collect()
}
