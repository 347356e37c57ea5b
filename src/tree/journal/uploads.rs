//! Uploads under way, as the journal has them.

use rusqlite::{OptionalExtension, params};

use super::Result;
use crate::ids::{FolderId, Ino, Time, Whirlpool};
use crate::tree::attempts::clear_upload;
use crate::tree::node::{Node, Remote, RemoteFile, RemotePlace};
use crate::tree::rows::{self, int, uint};
use crate::tree::{Tree, removals};

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

    /// Whether anybody still wants what is being sent of this node: not once it was
    /// unlinked here.
    pub fn is_wanted(&self, ino: Ino) -> Result<bool> {
        self.store.read(|c| {
            Ok(c.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM node
                     WHERE ino = ?1 AND (parent IS NOT NULL OR gone_parent IS NOT NULL))",
            )?
            .query_row([int(ino.0)], |row| row.get(0))?)
        })
    }

    /// Whether an upload of this node has begun and its result is not known yet.
    pub fn is_underway(&self, ino: Ino) -> Result<bool> {
        self.store.read(|c| {
            Ok(c.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM attempt WHERE ino = ?1 AND node IS NOT NULL)",
            )?
            .query_row([int(ino.0)], |row| row.get(0))?)
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
