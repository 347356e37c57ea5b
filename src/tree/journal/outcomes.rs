//! What was done, or failed, is recorded as facts; what is left to do follows.

use rusqlite::{Connection, Transaction, params};

use super::Result;
use crate::ids::{FolderId, Ino, Time};
use crate::tree::Tree;
use crate::tree::attempts::{clear_attempt, clear_upload};
use crate::tree::node::{Kind, Node, Pending, ROOT, Remote, RemoteFile, RemoteFolder, RemotePlace};
use crate::tree::removals;
use crate::tree::rows::{self, int};
use crate::tree::unanswered;
use crate::tree::wanted::{detach, place_seen};

impl Tree {
    /// An intent failed and is tried again later.
    pub fn postpone(&self, ino: Ino, not_before: Time, error: &str) -> Result<()> {
        self.store.write(|tx| {
            tx.execute(
                "INSERT INTO attempt (ino, not_before, attempts, error)
                 SELECT ino, ?2, 1, ?3 FROM node WHERE ino = ?1
                 ON CONFLICT (ino) DO UPDATE SET not_before = ?2, attempts = attempts + 1,
                     error = ?3",
                params![int(ino.0), not_before.0, error],
            )?;
            Ok(())
        })
    }

    /// An intent is not tried before then, for no fault of its own.
    pub fn wait_until(&self, ino: Ino, not_before: Time) -> Result<()> {
        self.store.write(|tx| {
            tx.execute(
                "INSERT INTO attempt (ino, not_before) SELECT ino, ?2 FROM node WHERE ino = ?1
                 ON CONFLICT (ino) DO UPDATE SET not_before = ?2",
                params![int(ino.0), not_before.0],
            )?;
            Ok(())
        })
    }

    /// Intents that failed are tried again sooner than they were to be.
    pub fn due_sooner(&self, intents: &[(Ino, Time)]) -> Result<()> {
        self.store.write(|tx| {
            // A newer version has no error yet, and a time of its own.
            let mut update = tx.prepare_cached(
                "UPDATE attempt SET not_before = min(not_before, ?2)
                 WHERE ino = ?1 AND error IS NOT NULL AND parked = 0",
            )?;
            for (ino, due) in intents {
                update.execute(params![int(ino.0), due.0])?;
            }
            Ok(())
        })
    }

    /// An intent failed for good: it waits for the user, or for a newer version.
    pub fn park(&self, ino: Ino, error: &str) -> Result<()> {
        self.store.write(|tx| {
            tx.execute(
                "INSERT INTO attempt (ino, attempts, error, parked)
                 SELECT ino, 1, ?2, 1 FROM node WHERE ino = ?1
                 ON CONFLICT (ino) DO UPDATE SET attempts = attempts + 1, error = ?2, parked = 1",
                params![int(ino.0), error],
            )?;
            Ok(())
        })
    }

    /// Whether what we did with this node last may not show yet in a listing that was asked
    /// for at `asked`.
    pub fn is_ahead(&self, ino: Ino, asked: Time) -> Result<bool> {
        self.store.read(|c| {
            let confirmed = rows::confirmed_at(c, ino)?;
            Ok(confirmed.is_some_and(|at| at > asked.before(self.listing_lag)))
        })
    }

    /// A folder was made.
    pub fn made(&self, ino: Ino, id: FolderId, at: RemotePlace, now: Time) -> Result<()> {
        self.store.write(|tx| {
            if rows::by_ino(tx, ino)?.is_none() {
                // Removed and forgotten while it was being made: it is to go from there too.
                let made = removals::Object {
                    kind: Kind::Folder,
                    rid: &id.to_string(),
                    place: &at,
                    made_at: Some(now),
                };
                return Ok(removals::queue_object(tx, &made, None, now)?);
            }
            let remote = Remote::Folder(RemoteFolder {
                id,
                place: Some(at),
            });
            confirm(tx, ino, remote, |pending| pending.make = false, now)?;
            Ok(rows::delete_orphan(tx, ino)?)
        })
    }

    /// The service told where a file is that an unanswered call may have put elsewhere.
    pub fn found_at(&self, ino: Ino, there: RemotePlace, now: Time) -> Result<()> {
        self.relocated(ino, now, |place| *place = there)
    }

    /// A file or folder was moved.
    pub fn moved(&self, ino: Ino, to: FolderId, now: Time) -> Result<()> {
        self.relocated(ino, now, |place| place.folder = to)
    }

    /// A file or folder was renamed.
    pub fn renamed(&self, ino: Ino, name: &str, now: Time) -> Result<()> {
        self.relocated(ino, now, |place| place.name = name.to_owned())
    }

    fn relocated(&self, ino: Ino, now: Time, change: impl FnOnce(&mut RemotePlace)) -> Result<()> {
        self.store.write(|tx| {
            let Some(node) = rows::by_ino(tx, ino)? else {
                return Ok(());
            };
            let Some(remote) = node.remote.relocated(change) else {
                return Ok(());
            };
            if node.place.is_none()
                && let (Some(place), Some(rid)) = (remote.place(), remote.rid())
            {
                // Unlinked meanwhile: its removal must know where it is now.
                tx.execute(
                    "UPDATE removal SET rparent = ?2, rname = ?3, made_at = ?4 WHERE rid = ?1",
                    params![rid, int(place.folder.0), place.name, now.0],
                )?;
            }
            confirm(tx, ino, remote, |_| {}, now)
        })
    }

    /// What the service had of an emptied file is to go; the file itself lives
    /// here until it gets content.
    pub fn emptied(&self, ino: Ino, now: Time) -> Result<()> {
        self.store.write(|tx| {
            let Some(mut node) = rows::by_ino(tx, ino)? else {
                return Ok(());
            };
            if node.size != 0 || node.place.is_none() {
                return Ok(());
            }
            removals::queue(tx, &node, None, now)?;
            rows::set_remote(tx, ino, &Remote::None, None)?;
            node.pending = Pending::default();
            rows::set_pending(tx, ino, node.pending)?;
            Ok(clear_attempt(tx, ino)?)
        })
    }
}

/// The service has this version of the file, confirmed by size and checksum.
/// The version it had before is to go. `newer` tells whether another version
/// was closed meanwhile. Part of the transaction in which staging lets go of
/// the sent version.
pub fn content_confirmed(
    tx: &Transaction<'_>,
    ino: Ino,
    mut file: RemoteFile,
    newer: bool,
    now: Time,
) -> Result<()> {
    clear_upload(tx, ino)?;
    if has_vanished(tx, file.place.folder)? {
        // Such uploads are stored in the root (API notes 3.2).
        file.place.folder = FolderId::ROOT;
    }
    let Some(node) = rows::by_ino(tx, ino)? else {
        return Ok(());
    };
    // A listing may have shown it before we were told: that entry was this file.
    if let Some(stray) = rows::by_file_id(tx, file.id.as_str())?
        && stray.ino != ino
    {
        rows::set_remote(tx, stray.ino, &Remote::None, None)?;
        // What the user wrote to it since is a file of its own.
        if !stray.pending.content {
            let nothing_there = Node {
                remote: Remote::None,
                ..stray
            };
            detach(tx, &nothing_there, None, now)?;
        }
    }
    if node.place.is_some() {
        // What is confirmed is wanted, whatever was wished of the entry that showed it before.
        removals::forget(tx, file.id.as_str())?;
    }
    let superseded = node.remote_file().is_some_and(|old| old.id != file.id);
    if superseded && node.place.is_some() {
        removals::queue(tx, &node, None, now)?;
    }
    if !newer {
        clear_attempt(tx, ino)?;
    }
    confirm(
        tx,
        ino,
        Remote::File(file),
        |pending| pending.content = newer,
        now,
    )?;
    Ok(rows::delete_orphan(tx, ino)?)
}

/// Whether a folder to which something was sent is gone from the service. We do not
/// remove one before what is sent to it has arrived.
fn has_vanished(c: &Connection, folder: FolderId) -> Result<bool> {
    if let Some(node) = rows::by_folder_id(c, folder)?
        && rows::is_within(c, node.ino, ROOT)?
    {
        return Ok(false);
    }
    Ok(!removals::is_queued(c, Kind::Folder, &folder.to_string())?)
}

/// Records a fact about the service and derives what is left to do.
fn confirm(
    tx: &Transaction<'_>,
    ino: Ino,
    remote: Remote,
    settle: impl FnOnce(&mut Pending),
    now: Time,
) -> Result<()> {
    let Some(mut node) = rows::by_ino(tx, ino)? else {
        return Ok(());
    };
    rows::set_remote(tx, ino, &remote, Some(now))?;
    unanswered::forget(tx, ino)?;
    node.remote = remote;
    if node.place.is_none() {
        // Unlinked while this was under way: it is to go from there too. One that
        // vanished did so by a listing that is older than this fact.
        return match rows::gone_from(tx, ino)? {
            Some(_) => Ok(()),
            None => Ok(detach(tx, &node, None, now)?),
        };
    }
    settle(&mut node.pending);
    place_seen(tx, &node)
}
