//! What can be done now.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::Result;
use super::circles::{Circles, below_itself, holders};
use super::task::{Copying, Object, Task, awaits, is_emptied, next_place};
use crate::ids::{FolderId, Ino, Time};
use crate::tree::Tree;
use crate::tree::attempts::WHILE_OPEN;
use crate::tree::names;
use crate::tree::node::{Node, Remote, RemoteFolder, RemotePlace};
use crate::tree::removals;
use crate::tree::rows::{self, int};
use crate::tree::unanswered;
use crate::tree::wanted::wanted_place;

impl Tree {
    /// Up to `limit` tasks that can be done at `now`, none of them about the
    /// nodes in `busy`.
    pub fn ready(&self, now: Time, limit: usize, busy: &dyn Fn(Ino) -> bool) -> Result<Vec<Task>> {
        self.store.read(|c| {
            let mut tasks = Vec::new();
            let mut circles = Circles::new(c, now, busy);
            for node in due(c, now, limit)? {
                if busy(node.ino) {
                    continue;
                }
                match step(c, &node)? {
                    Step::Do(task) => tasks.push(task),
                    Step::Waits => {}
                    Step::HeldUp => tasks.extend(circles.open(node.ino)?),
                }
            }
            let leaving = removals::due(c, now, self.listing_lag, limit)?;
            tasks.extend(leaving.into_iter().map(Task::Remove));
            tasks.truncate(limit);
            Ok(tasks)
        })
    }

    /// The folders of the service to which new content becomes due after `now`, up to `until`.
    pub fn coming(&self, now: Time, until: Time) -> Result<HashSet<FolderId>> {
        self.store.read(|c| {
            let mut statement = c.prepare_cached(
                "SELECT DISTINCT folder.rid FROM attempt INDEXED BY attempt_due
                     CROSS JOIN node ON node.ino = attempt.ino
                     CROSS JOIN node folder ON folder.ino = node.parent
                 WHERE not_before > ?1 AND not_before <= ?2 AND parked = 0
                     AND attempts = 0 AND node.pending & 1 AND folder.rid IS NOT NULL",
            )?;
            let found = statement.query_map([now.0, until.0], |row| row.get::<_, String>(0))?;
            let mut folders = HashSet::new();
            for id in found {
                folders.extend(id?.parse().ok().map(FolderId));
            }
            Ok(folders)
        })
    }

    /// When the next intent that waits for a time becomes due.
    pub fn next_due(&self, now: Time) -> Result<Option<Time>> {
        self.store.read(|c| {
            let node: Option<i64> = c
                .prepare_cached(
                    "SELECT min(not_before) FROM attempt WHERE not_before > ?1 AND not_before < ?2
                         AND parked = 0",
                )?
                .query_row([now.0, WHILE_OPEN.0], |row| row.get(0))?;
            let removal = removals::next_due(c, now, self.listing_lag)?;
            Ok(node.map(Time).into_iter().chain(removal).min())
        })
    }
}

/// Nodes with an intent that may be tried at `now`, up to `limit` of each kind: what has been due
/// for longest first. What waits for its folder must not fill the window: that folder may have
/// failed for good.
fn due(c: &Connection, now: Time, limit: usize) -> rusqlite::Result<Vec<Node>> {
    // By the time, and what never was tried: both from indices of what is queued, or the
    // whole queue would be walked after every close.
    const TIMED: &str = "SELECT attempt.ino FROM attempt INDEXED BY attempt_due
             CROSS JOIN node ON node.ino = attempt.ino CROSS JOIN node folder ON folder.ino = node.parent
         WHERE not_before <= ?1 AND parked = 0 AND attempt.node IS NULL
             AND node.pending <> 0 AND (folder.rid IS NOT NULL
                 OR EXISTS (SELECT 1 FROM unanswered WHERE unanswered.ino = node.ino))
         ORDER BY not_before LIMIT ?2";
    const NEW: &str = "SELECT node.ino FROM node INDEXED BY node_changes
             CROSS JOIN node folder ON folder.ino = node.parent
         WHERE node.pending > 1 AND (folder.rid IS NOT NULL
                 OR EXISTS (SELECT 1 FROM unanswered WHERE unanswered.ino = node.ino))
             AND NOT EXISTS (SELECT 1 FROM attempt WHERE attempt.ino = node.ino)
         ORDER BY node.ino LIMIT ?2";
    // Removed here before it was known whether the service made it.
    const UNMADE: &str = "SELECT node.ino FROM unanswered JOIN node USING (ino)
             LEFT JOIN attempt USING (ino)
         WHERE node.parent IS NULL AND node.rid IS NULL AND coalesce(attempt.not_before, 0) <= ?1
         ORDER BY node.ino LIMIT ?2";
    let mut inos: Vec<Ino> = Vec::new();
    for query in [TIMED, NEW, UNMADE] {
        let mut statement = c.prepare_cached(query)?;
        let found = statement.query_map(params![now.0, limit as i64], |row| rows::ino(row, 0))?;
        for ino in found {
            inos.push(ino?);
        }
    }
    let mut nodes = Vec::with_capacity(inos.len());
    for ino in inos {
        nodes.extend(rows::by_ino(c, ino)?);
    }
    Ok(nodes)
}

enum Step {
    Do(Task),
    Waits,
    /// Waits for something to leave a name.
    HeldUp,
}

/// The next step for a node, by what is pending.
fn step(c: &Connection, node: &Node) -> Result<Step> {
    let ino = node.ino;
    // New content goes where it is wanted, wherever the old one is.
    if !node.pending.content && unanswered::of(c, ino)?.is_some() {
        return Ok(Step::Do(Task::Look { ino }));
    }
    let Some(wanted) = wanted_place(c, node)? else {
        return Ok(Step::Waits);
    };
    let at = next_place(node, wanted.clone());
    if awaits(node) && !holders(c, node, &at)?.is_empty() {
        return Ok(Step::HeldUp);
    }
    if node.pending.make {
        return Ok(Step::Do(Task::Make { ino, at }));
    }
    if node.pending.content {
        if is_emptied(node) {
            return Ok(Step::Do(Task::Empty { ino }));
        }
        let (copying, due) = attempt(c, ino)?;
        return Ok(Step::Do(Task::Send {
            ino,
            at,
            size: node.size,
            link: node.target.clone(),
            copying,
            due,
        }));
    }
    let (object, there) = match &node.remote {
        Remote::File(file) => (Object::File(file.id.clone()), &file.place),
        Remote::Folder(RemoteFolder {
            id,
            place: Some(place),
        }) => (Object::Folder(*id), place),
        Remote::Folder(_) | Remote::None => return Ok(Step::Waits),
    };
    if !below_itself(c, node, at.folder)?.is_empty() {
        return Ok(Step::HeldUp);
    }
    if there.folder != at.folder && awaits(node) && is_taken(c, node, &at)? {
        // A folder that stays has its name where it goes: it gets the new one, or a passing
        // one, before.
        let here = RemotePlace {
            folder: there.folder,
            name: wanted.name,
        };
        let free = !is_taken(c, node, &here)? && holders(c, node, &here)?.is_empty();
        let name = match free {
            true => here.name,
            false => names::moving(&there.name, ino),
        };
        return Ok(Step::Do(Task::Rename { ino, object, name }));
    }
    Ok(Step::Do(if there.folder == at.folder {
        Task::Rename {
            ino,
            object,
            name: at.name,
        }
    } else {
        Task::Move {
            ino,
            object,
            to: at.folder,
        }
    }))
}

/// Whether the service has another folder at this place.
fn is_taken(c: &Connection, node: &Node, place: &RemotePlace) -> Result<bool> {
    Ok(c.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM node
             WHERE rparent = ?1 AND rname = ?2 AND parent IS NOT NULL AND ino <> ?3 AND kind = 1)",
    )?
    .query_row(
        params![int(place.folder.0), place.name, int(node.ino.0)],
        |row| row.get(0),
    )?)
}

/// Copies that came to nothing before the content is sent instead.
const COPIES_IN_VAIN: u32 = 2;

/// How content is sent, and since when it may be.
fn attempt(c: &Connection, ino: Ino) -> rusqlite::Result<(Copying, Time)> {
    let tried: Option<(u32, bool, i64)> = c
        .prepare_cached("SELECT vain, no_copy, not_before FROM attempt WHERE ino = ?1")?
        .query_row([int(ino.0)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let (vain, no_copy, due) = tried.unwrap_or_default();
    let copying = match (vain, no_copy) {
        (0, false) => Copying::Together,
        (vain, false) if vain < COPIES_IN_VAIN => Copying::Alone,
        _ => Copying::Never,
    };
    Ok((copying, Time(due)))
}
