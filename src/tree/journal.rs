//! The journal of intents, as the upload room sees it: what is ready to be
//! done, what was done, and what must wait.
//!
//! An intent is a difference between the wanted and the confirmed half of a
//! node, or a row of [`removals`]. Dependencies are derived each time from
//! both halves, never stored:
//!
//! - a node waits for its parent's id;
//! - a name that another object still holds on the service, and is about to
//!   leave, is waited for; folders that wait for one another in a circle are
//!   resolved by a passing name;
//! - a file whose content is to be sent is not moved first: the new version
//!   goes to the new place;
//! - a replaced file is removed after its successor was confirmed, a folder
//!   after everything confirmed in it has left.
//!
//! What was done is recorded as facts ("the service has X there"), and what is
//! left to do follows from them. So a user's change while a step is under way
//! needs no special case: the fact is recorded, and the difference remains.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::changes::{detach, wanted_place};
use super::node::{
    Kind, Known, Node, Pending, ROOT, Remote, RemoteFile, RemoteFolder, RemotePlace,
};
use super::removals::{self, Removal};
use super::rows::{int, uint};
use super::{Change, Tree, TreeError, merge, rows};
use crate::ids::{FileId, FolderId, Ino, Time, Whirlpool};

type Result<T> = std::result::Result<T, TreeError>;

/// Something that can be done now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Task {
    /// Make a folder.
    Make {
        /// The node.
        ino: Ino,
        /// Where and how it is to be called.
        at: RemotePlace,
    },
    /// Move a file or folder, keeping its name.
    Move {
        /// The node.
        ino: Ino,
        /// What to move.
        object: Object,
        /// Where to.
        to: FolderId,
    },
    /// Rename a file or folder where it is.
    Rename {
        /// The node.
        ino: Ino,
        /// What to rename.
        object: Object,
        /// The new name, never the current one (API notes 2.4).
        name: String,
    },
    /// Send the last closed version.
    Send {
        /// The node.
        ino: Ino,
        /// Where and under which name.
        at: RemotePlace,
        /// Bytes of the version as the tree knows it.
        size: u64,
        /// The target, for a symbolic link.
        link: Option<std::ffi::OsString>,
    },
    /// The last closed version is empty, which the service cannot hold: what it
    /// has of the file goes.
    Empty {
        /// The node.
        ino: Ino,
    },
    /// Remove an object.
    Remove(Removal),
}

/// A file or folder of the service.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Object {
    /// A file.
    File(FileId),
    /// A folder.
    Folder(FolderId),
}

/// What is queued, for people and for draining.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Backlog {
    /// Files whose content is to be sent.
    pub uploads: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Folders to make, nodes to move or rename.
    pub changes: u64,
    /// Objects to remove, and files unlinked while they were sent.
    pub removals: u64,
    /// What failed for good and waits for the user, and what waits for that; counted
    /// above too.
    pub failed: u64,
}

impl Backlog {
    /// Whether everything that can be done is done.
    pub fn is_drained(&self) -> bool {
        self.uploads + self.changes + self.removals <= self.failed
    }
}

/// A row of the queue, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Queued {
    /// The node.
    pub ino: Ino,
    /// Bytes of the version to be sent; 0 for other intents.
    pub size: u64,
    /// What is to be done.
    pub pending: Pending,
    /// Failed tries.
    pub attempts: u32,
    /// Not tried before.
    pub not_before: Time,
    /// Why the last try failed.
    pub error: Option<String>,
    /// Failed for good.
    pub parked: bool,
}

/// An upload that was begun and whose result is not known yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Underway {
    /// The node; it may be detached by now.
    pub ino: Ino,
    /// Which closed version was being sent.
    pub version: u64,
    /// Where it was sent.
    pub at: RemotePlace,
    /// Bytes.
    pub size: u64,
    /// Checksum, once all bytes were sent.
    pub whirlpool: Option<Whirlpool>,
    /// The upload node's host.
    pub node: String,
    /// The upload's id there.
    pub xid: String,
    /// When it began or, once all bytes were sent, when it ended.
    pub started: Time,
    /// Its result is not asked for before.
    pub not_before: Time,
    /// How often it was asked for in vain.
    pub attempts: u32,
}

impl Tree {
    /// Up to `limit` tasks that can be done at `now`, none of them about the
    /// nodes in `busy`.
    pub fn ready(&self, now: Time, limit: usize, busy: &dyn Fn(Ino) -> bool) -> Result<Vec<Task>> {
        self.store.read(|c| {
            let mut tasks = Vec::new();
            let mut circle = None;
            for node in due(c, now, limit)? {
                if busy(node.ino) {
                    continue;
                }
                match step(c, &node)? {
                    Step::Do(task) => tasks.push(task),
                    Step::Waits => {}
                    Step::HeldUp(task) => circle = circle.or(Some(task)),
                }
            }
            for removal in removals::due(c, now, limit)? {
                if removal_is_free(c, &removal)? {
                    tasks.push(Task::Remove(removal));
                }
            }
            // Folders hold each other's names and nothing else can be done: one
            // of them steps aside.
            if tasks.is_empty() {
                tasks.extend(circle);
            }
            tasks.truncate(limit);
            Ok(tasks)
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
            let removal = removals::next_due(c, now)?;
            Ok(node.map(Time).into_iter().chain(removal).min())
        })
    }

    /// What is queued in total.
    pub fn backlog(&self) -> Result<Backlog> {
        self.store.read(|c| {
            let mut backlog = c
                .prepare_cached(
                    "SELECT coalesce(sum(pending & 1), 0),
                            coalesce(sum(iif(pending & 1, node.size, 0)), 0),
                            coalesce(sum((pending & 1) = 0), 0)
                     FROM node WHERE pending <> 0 AND parent IS NOT NULL",
                )?
                .query_row([], |row| {
                    Ok(Backlog {
                        uploads: uint(row.get(0)?),
                        bytes: uint(row.get(1)?),
                        changes: uint(row.get(2)?),
                        removals: 0,
                        failed: 0,
                    })
                })?;
            let unsettled: i64 = c
                .prepare_cached(
                    "SELECT count(*) FROM attempt JOIN node USING (ino)
                     WHERE attempt.node IS NOT NULL AND parent IS NULL",
                )?
                .query_row([], |row| row.get(0))?;
            backlog.removals = removals::count(c)? + uint(unsettled);
            backlog.failed = failed(c)?;
            Ok(backlog)
        })
    }

    /// The queue, oldest first, for people.
    pub fn queue(&self, limit: usize) -> Result<Vec<Queued>> {
        self.store.read(|c| {
            Ok(c.prepare_cached(&format!(
                "{QUEUED} WHERE pending <> 0 AND parent IS NOT NULL ORDER BY ino LIMIT ?1"
            ))?
            .query_map([limit as i64], queued)?
            .collect::<rusqlite::Result<_>>()?)
        })
    }

    /// What failed for good, oldest first, for people.
    pub fn parked(&self, limit: usize) -> Result<Vec<Queued>> {
        self.store.read(|c| {
            Ok(c.prepare_cached(&format!(
                "{QUEUED} WHERE pending <> 0 AND parent IS NOT NULL AND parked = 1
                 ORDER BY ino LIMIT ?1"
            ))?
            .query_map([limit as i64], queued)?
            .collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The state of one node's intent.
    pub fn queued(&self, ino: Ino) -> Result<Option<Queued>> {
        self.store.read(|c| {
            Ok(
                c.prepare_cached(&format!("{QUEUED} WHERE ino = ?1 AND pending <> 0"))?
                    .query_row([int(ino.0)], queued)
                    .optional()?,
            )
        })
    }

    /// Ends every write-back delay and back-off, of `ino` or of all.
    pub fn hurry(&self, ino: Option<Ino>) -> Result<()> {
        self.store.write(|tx| {
            tx.execute(
                "UPDATE attempt SET not_before = 0
                 WHERE not_before < ?2 AND (?1 IS NULL OR ino = ?1)",
                params![ino.map(|i| int(i.0)), WHILE_OPEN.0],
            )?;
            if ino.is_none() {
                tx.execute("UPDATE removal SET not_before = 0", [])?;
            }
            Ok(())
        })
    }

    /// Ends the write-back delays of closed files, but no wait after a failure: for
    /// who waits and calls this again and again. Returns how many.
    pub fn hurry_closed(&self) -> Result<usize> {
        self.store.write(|tx| {
            Ok(tx.execute(
                "UPDATE attempt SET not_before = 0
                 WHERE not_before BETWEEN 1 AND ?1 - 1 AND attempts = 0",
                [WHILE_OPEN.0],
            )?)
        })
    }

    /// Nothing is open when a process starts: content that waited for its file to
    /// be closed is due.
    pub fn nothing_is_open(&self, now: Time) -> Result<()> {
        self.store.write(|tx| {
            tx.execute(
                "UPDATE attempt SET not_before = ?2 WHERE not_before = ?1",
                [WHILE_OPEN.0, now.0],
            )?;
            Ok(())
        })
    }

    /// Takes failed intents up again, of `ino` or of all. Returns how many.
    pub fn retry(&self, ino: Option<Ino>) -> Result<usize> {
        self.store.write(|tx| {
            Ok(tx.execute(
                "UPDATE attempt SET parked = 0, not_before = 0, attempts = 0, vain = 0
                 WHERE parked = 1 AND (?1 IS NULL OR ino = ?1)",
                [ino.map(|i| int(i.0))],
            )?)
        })
    }

    /// An intent failed and is tried again later.
    pub fn postpone(&self, ino: Ino, not_before: Time, error: &str) -> Result<()> {
        self.store.write(|tx| {
            tx.execute(
                "INSERT INTO attempt (ino, not_before, attempts, error) VALUES (?1, ?2, 1, ?3)
                 ON CONFLICT (ino) DO UPDATE SET not_before = ?2, attempts = attempts + 1,
                     error = ?3",
                params![int(ino.0), not_before.0, error],
            )?;
            Ok(())
        })
    }

    /// An intent failed for good: it waits for the user, or for a newer version.
    pub fn park(&self, ino: Ino, error: &str) -> Result<()> {
        self.store.write(|tx| {
            tx.execute(
                "INSERT INTO attempt (ino, attempts, error, parked) VALUES (?1, 1, ?2, 1)
                 ON CONFLICT (ino) DO UPDATE SET attempts = attempts + 1, error = ?2, parked = 1",
                params![int(ino.0), error],
            )?;
            Ok(())
        })
    }

    /// The service refused to move or rename the node for good: the user's wish
    /// is given up and the node shown where it truly is.
    pub fn restore_place(&self, ino: Ino) -> Result<Vec<Change>> {
        merge::restore_place(self, ino)
    }

    /// A folder was made.
    pub fn made(&self, ino: Ino, id: FolderId, at: RemotePlace, now: Time) -> Result<()> {
        self.store.write(|tx| {
            let remote = Remote::Folder(RemoteFolder {
                id,
                place: Some(at),
            });
            confirm(tx, ino, remote, |pending| pending.make = false, now)
        })
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
                    "UPDATE removal SET rparent = ?2, rname = ?3 WHERE rid = ?1",
                    params![rid, int(place.folder.0), place.name],
                )?;
            }
            confirm(tx, ino, remote, |_| {}, now)
        })
    }

    /// An object was removed.
    pub fn removed(&self, removal: &Removal, now: Time) -> Result<()> {
        self.store.write(|tx| {
            removals::sweep(tx, now)?;
            Ok(removals::done(tx, removal, now.after(self.listing_lag))?)
        })
    }

    /// A removal failed and is tried again later.
    pub fn postpone_removal(&self, removal: &Removal, not_before: Time, error: &str) -> Result<()> {
        self.store
            .write(|tx| Ok(removals::postpone(tx, removal.id, not_before, error)?))
    }

    /// The service refused a removal for good: the wish is given up, and the
    /// folder is listed again so that the object shows.
    pub fn give_up_removal(&self, removal: &Removal) -> Result<()> {
        self.store.write(|tx| {
            removals::drop_row(tx, removal)?;
            if let Some(folder) = rows::by_folder_id(tx, removal.place.folder)?
                && folder.known.is_complete()
            {
                rows::set_known(tx, folder.ino, Known::Whole(Time(0)))?;
            }
            Ok(())
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

    /// Uploads whose result is not known yet: under way in this process, or left
    /// by one that ended.
    pub fn underway(&self) -> Result<Vec<Underway>> {
        self.store.read(|c| {
            Ok(c.prepare_cached(
                "SELECT ino, version, folder, name, size, whirlpool, node, xid, sent_at,
                        not_before, attempts
                 FROM attempt WHERE node IS NOT NULL ORDER BY ino",
            )?
            .query_map([], |row| {
                let whirlpool: Option<String> = row.get(5)?;
                Ok(Underway {
                    ino: rows::ino(row, 0)?,
                    version: uint(row.get(1)?),
                    at: RemotePlace {
                        folder: FolderId(uint(row.get(2)?)),
                        name: row.get(3)?,
                    },
                    size: uint(row.get(4)?),
                    whirlpool: whirlpool.and_then(|hex| hex.parse().ok()),
                    node: row.get(6)?,
                    xid: row.get(7)?,
                    started: Time(row.get::<_, Option<i64>>(8)?.unwrap_or_default()),
                    not_before: Time(row.get(9)?),
                    attempts: row.get(10)?,
                })
            })?
            .collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Journals uploads before their first byte is sent, so that their result can
    /// be asked for after a crash.
    pub fn uploads_begin(&self, uploads: &[Underway]) -> Result<()> {
        self.store.write_durable(|tx| {
            for upload in uploads {
                tx.prepare_cached(
                    "INSERT INTO attempt (ino, version, folder, name, size, node, xid, sent_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                     ON CONFLICT (ino) DO UPDATE SET version = ?2, folder = ?3, name = ?4,
                         size = ?5, whirlpool = NULL, node = ?6, xid = ?7, sent_at = ?8",
                )?
                .execute(params![
                    int(upload.ino.0),
                    int(upload.version),
                    int(upload.at.folder.0),
                    upload.at.name,
                    int(upload.size),
                    upload.node,
                    upload.xid,
                    upload.started.0,
                ])?;
            }
            Ok(())
        })
    }

    /// All bytes of an upload were sent; `xid` is where its result is asked for.
    pub fn uploads_were_sent(&self, xid: &str, sent: &[(Ino, Whirlpool)], now: Time) -> Result<()> {
        self.store.write(|tx| {
            for (ino, whirlpool) in sent {
                tx.prepare_cached(
                    "UPDATE attempt SET xid = ?2, whirlpool = ?3, sent_at = ?4 WHERE ino = ?1",
                )?
                .execute(params![
                    int(ino.0),
                    xid,
                    whirlpool.to_string(),
                    now.0
                ])?;
            }
            Ok(())
        })
    }

    /// What an upload left on the service is not what was sent: it is to go, and
    /// the content is sent again.
    pub fn upload_was_spoilt(&self, ino: Ino, spoilt: RemoteFile, now: Time) -> Result<()> {
        self.store.write(|tx| {
            clear_upload(tx, ino)?;
            if let Some(node) = rows::by_ino(tx, ino)? {
                let remote = Remote::File(spoilt);
                removals::queue(tx, &Node { remote, ..node }, None, now)?;
            }
            Ok(rows::delete_orphan(tx, ino)?)
        })
    }

    /// An upload that was sent whole left nothing of use on the service. Returns how
    /// often that was so with this version.
    pub fn upload_in_vain(&self, ino: Ino) -> Result<u32> {
        self.store.write(|tx| {
            clear_upload(tx, ino)?;
            let times = tx
                .prepare_cached("UPDATE attempt SET vain = vain + 1 WHERE ino = ?1 RETURNING vain")?
                .query_row([int(ino.0)], |row| row.get(0))
                .optional()?;
            rows::delete_orphan(tx, ino)?;
            Ok(times.unwrap_or(1))
        })
    }

    /// An upload is known to have left nothing on the service.
    pub fn upload_failed(&self, ino: Ino) -> Result<()> {
        self.store.write(|tx| {
            clear_upload(tx, ino)?;
            Ok(rows::delete_orphan(tx, ino)?)
        })
    }
}

/// The due time of content whose file is still open for writing: not before it is
/// closed, or a new process finds it.
pub const WHILE_OPEN: Time = Time(i64::MAX);

/// When the last closed version of a file is to be sent: [`WHILE_OPEN`], or after
/// the write-back delay. A failed upload of an older version no longer matters.
pub fn content_due(tx: &Transaction<'_>, ino: Ino, not_before: Time) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO attempt (ino, not_before) VALUES (?1, ?2)
         ON CONFLICT (ino) DO UPDATE SET not_before = ?2, attempts = 0, vain = 0, error = NULL,
             parked = 0",
    )?
    .execute(params![int(ino.0), not_before.0])?;
    Ok(())
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
        detach(
            tx,
            &Node {
                remote: Remote::None,
                ..stray
            },
            None,
            now,
        )?;
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

/// A listing shows where the service has the node: what is left of the wish to put
/// it elsewhere.
pub(super) fn place_seen(c: &Connection, node: &Node) -> Result<()> {
    let pending = Pending {
        place: wanted_place(c, node)?.as_ref() != node.remote.place(),
        ..node.pending
    };
    rows::set_pending(c, node.ino, pending)?;
    if pending.is_empty() {
        clear_attempt(c, node.ino)?;
    }
    Ok(())
}

/// Whether a file of the service may be the result of an upload under way.
pub(super) fn is_being_sent(c: &Connection, file: &RemoteFile) -> rusqlite::Result<bool> {
    c.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM attempt
             WHERE node IS NOT NULL AND folder = ?1 AND name = ?2 AND size = ?3)",
    )?
    .query_row(
        params![int(file.place.folder.0), file.place.name, int(file.size)],
        |row| row.get(0),
    )
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
    node.pending.place = wanted_place(tx, &node)?.as_ref() != node.remote.place();
    rows::set_pending(tx, ino, node.pending)?;
    if node.pending.is_empty() {
        clear_attempt(tx, ino)?;
    }
    Ok(())
}

const QUEUED: &str = "SELECT ino, iif(pending & 1, node.size, 0), pending, coalesce(attempts, 0),
         coalesce(not_before, 0), error, coalesce(parked, 0) FROM node LEFT JOIN attempt USING (ino)";

fn queued(row: &rusqlite::Row<'_>) -> rusqlite::Result<Queued> {
    Ok(Queued {
        ino: rows::ino(row, 0)?,
        size: uint(row.get(1)?),
        pending: Pending::from_bits(row.get(2)?),
        attempts: row.get(3)?,
        not_before: Time(row.get(4)?),
        error: row.get(5)?,
        parked: row.get(6)?,
    })
}

/// How many intents failed for good, or wait for one that did: what is in a folder
/// that cannot be made, and what is to go once its successor was sent.
fn failed(c: &Connection) -> rusqlite::Result<u64> {
    c.prepare_cached(
        "WITH RECURSIVE stuck(ino) AS (
             SELECT ino FROM attempt JOIN node USING (ino)
                 WHERE parked = 1 AND pending <> 0 AND parent IS NOT NULL
             UNION
             SELECT child.ino FROM stuck JOIN node folder USING (ino)
                 JOIN node child ON child.parent = folder.ino WHERE folder.pending & 4)
         SELECT (SELECT count(*) FROM stuck JOIN node USING (ino) WHERE pending <> 0)
              + (SELECT count(*) FROM removal WHERE after_ino IN (SELECT ino FROM stuck))",
    )?
    .query_row([], |row| Ok(uint(row.get(0)?)))
}

/// The user changed what failed for good: it may go well now.
pub(super) fn unpark(c: &Connection, ino: Ino) -> rusqlite::Result<()> {
    c.prepare_cached(
        "UPDATE attempt SET parked = 0, attempts = 0, vain = 0, not_before = 0, error = NULL
         WHERE ino = ?1 AND parked = 1",
    )?
    .execute([int(ino.0)])?;
    Ok(())
}

/// A listing showed that a folder to be made exists: nothing is left to try.
pub(super) fn seen_made(c: &Connection, ino: Ino) -> rusqlite::Result<()> {
    clear_attempt(c, ino)
}

fn clear_attempt(c: &Connection, ino: Ino) -> rusqlite::Result<()> {
    c.prepare_cached("DELETE FROM attempt WHERE ino = ?1 AND node IS NULL")?
        .execute([int(ino.0)])?;
    Ok(())
}

fn clear_upload(c: &Connection, ino: Ino) -> rusqlite::Result<()> {
    c.prepare_cached(
        "UPDATE attempt SET version = NULL, folder = NULL, name = NULL, size = NULL,
             whirlpool = NULL, node = NULL, xid = NULL, sent_at = NULL WHERE ino = ?1",
    )?
    .execute([int(ino.0)])?;
    Ok(())
}

/// Nodes with an intent that may be tried at `now`.
fn due(c: &Connection, now: Time, limit: usize) -> rusqlite::Result<Vec<Node>> {
    let inos: Vec<Ino> = c
        .prepare_cached(
            // What waits for its folder must not fill the window: that folder may
            // have failed for good.
            "SELECT node.ino FROM node JOIN node folder ON folder.ino = node.parent
                 LEFT JOIN attempt ON attempt.ino = node.ino
             WHERE node.pending <> 0 AND folder.rid IS NOT NULL
               AND coalesce(not_before, 0) <= ?1 AND coalesce(parked, 0) = 0
               AND attempt.node IS NULL
             ORDER BY node.ino LIMIT ?2",
        )?
        .query_map(params![now.0, limit as i64], |row| rows::ino(row, 0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut nodes = Vec::with_capacity(inos.len());
    for ino in inos {
        nodes.extend(rows::by_ino(c, ino)?);
    }
    Ok(nodes)
}

enum Step {
    Do(Task),
    Waits,
    /// Waits for another folder to leave a name; the task is the way round.
    HeldUp(Task),
}

/// The next step for a node, by what is pending.
fn step(c: &Connection, node: &Node) -> Result<Step> {
    let Some(wanted) = wanted_place(c, node)? else {
        return Ok(Step::Waits);
    };
    if node.pending.make {
        return Ok(if name_is_held(c, node, &wanted)? {
            Step::Waits
        } else {
            Step::Do(Task::Make {
                ino: node.ino,
                at: wanted,
            })
        });
    }
    if node.pending.content {
        let empty = node.size == 0 && node.kind == Kind::File;
        return Ok(if empty {
            Step::Do(Task::Empty { ino: node.ino })
        } else if name_is_held(c, node, &wanted)? {
            Step::Waits
        } else {
            Step::Do(Task::Send {
                ino: node.ino,
                at: wanted,
                size: node.size,
                link: node.target.clone(),
            })
        });
    }
    let (object, there) = match &node.remote {
        Remote::File(file) => (Object::File(file.id.clone()), &file.place),
        Remote::Folder(RemoteFolder {
            id,
            place: Some(place),
        }) => (Object::Folder(*id), place),
        Remote::Folder(_) | Remote::None => return Ok(Step::Waits),
    };
    let (ino, is_folder) = (node.ino, node.kind == Kind::Folder);
    // Move first, then rename (API notes 10.6).
    let next = if there.folder == wanted.folder {
        wanted.clone()
    } else {
        RemotePlace {
            folder: wanted.folder,
            name: there.name.clone(),
        }
    };
    if is_folder && name_is_held(c, node, &next)? {
        let aside = Task::Rename {
            ino,
            object,
            name: format!("{}.moving-{ino}", there.name),
        };
        return Ok(Step::HeldUp(aside));
    }
    Ok(Step::Do(if there.folder == wanted.folder {
        Task::Rename {
            ino,
            object,
            name: wanted.name,
        }
    } else {
        Task::Move {
            ino,
            object,
            to: wanted.folder,
        }
    }))
}

/// Whether something that is about to leave still holds this place: an object
/// to be removed, or a folder to be moved. Files may share a name (API notes
/// 3.6), so a file waits for folders only.
fn name_is_held(c: &Connection, node: &Node, place: &RemotePlace) -> Result<bool> {
    let folders_only = node.kind != Kind::Folder;
    Ok(c.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM removal
                 WHERE rparent = ?1 AND rname = ?2 AND (NOT ?3 OR kind = 1))
             OR EXISTS (SELECT 1 FROM node
                 WHERE rparent = ?1 AND rname = ?2 AND parent IS NOT NULL AND ino <> ?4
                   AND kind = 1 AND pending & 2)",
    )?
    .query_row(
        params![
            int(place.folder.0),
            place.name,
            folders_only,
            int(node.ino.0)
        ],
        |row| row.get(0),
    )?)
}

/// Whether nothing that must come first is left.
fn removal_is_free(c: &Connection, removal: &Removal) -> Result<bool> {
    if let Some(successor) = removal.after
        && let Some(node) = rows::by_ino(c, successor)?
        && node.place.is_some()
        && (node.pending.content || node.pending.place)
    {
        return Ok(false);
    }
    if removal.kind != Kind::Folder {
        return Ok(true);
    }
    let Ok(id) = removal.rid.parse::<u64>() else {
        return Ok(true);
    };
    let occupied: bool = c
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM node WHERE rparent = ?1 AND parent IS NOT NULL)
                 OR EXISTS (SELECT 1 FROM removal WHERE rparent = ?1)
                 OR EXISTS (SELECT 1 FROM attempt WHERE folder = ?1 AND node IS NOT NULL)",
        )?
        .query_row([int(id)], |row| row.get(0))?;
    Ok(!occupied)
}
