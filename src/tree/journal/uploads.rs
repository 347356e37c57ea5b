//! Uploads under way, as the journal has them.

use rusqlite::{OptionalExtension, params};

use super::Result;
use crate::ids::{FileId, FolderId, Ino, Time, Whirlpool};
use crate::tree::attempts::clear_upload;
use crate::tree::node::{Node, RemoteFile, RemotePlace};
use crate::tree::rows::{self, int, uint};
use crate::tree::{Tree, removals};

/// How content gets to the service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Way {
    /// In an upload request.
    Upload {
        /// The upload node's host.
        node: String,
        /// The upload's id there.
        xid: String,
    },
    /// As a copy that the service makes of a file that it has.
    Copy {
        /// That file.
        of: FileId,
        /// The copy, once the service told its id.
        told: Option<FileId>,
    },
}

impl Way {
    /// The columns `node` and `xid`: a copy has no node.
    fn columns(&self) -> (&str, &str) {
        match self {
            Way::Upload { node, xid } => (node, xid),
            Way::Copy { of, .. } => ("", of.as_str()),
        }
    }

    fn of_columns(node: String, xid: String, told: Option<String>) -> Way {
        match xid.parse() {
            Ok(of) if node.is_empty() => Way::Copy {
                of,
                told: told.and_then(|id| id.parse().ok()),
            },
            _ => Way::Upload { node, xid },
        }
    }

    /// The copy's id, if it is one of which the service told it.
    pub fn told(&self) -> Option<&FileId> {
        match self {
            Way::Upload { .. } => None,
            Way::Copy { told, .. } => told.as_ref(),
        }
    }
}

/// An upload, or a copy on the service, that was begun and whose result is not known yet.
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
    /// Checksum, once all bytes were sent; of a copy that of its source, where told.
    pub whirlpool: Option<Whirlpool>,
    /// How it gets there.
    pub way: Way,
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
                        not_before, attempts, told
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
                    way: Way::of_columns(row.get(6)?, row.get(7)?, row.get(11)?),
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

    /// Journals uploads before their first byte is sent, so that their result can
    /// be asked for after a crash. Returns the nodes of those that may be sent: one that was
    /// forgotten meanwhile has nobody to be sent for.
    pub fn uploads_begin(&self, uploads: &[Underway]) -> Result<Vec<Ino>> {
        self.store.write_durable(|tx| {
            let mut begun = Vec::with_capacity(uploads.len());
            for upload in uploads {
                let (node, xid) = upload.way.columns();
                let rows = tx
                    .prepare_cached(
                        "INSERT INTO attempt (ino, version, folder, name, size, node, xid, sent_at,
                         whirlpool)
                     SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
                         WHERE EXISTS (SELECT 1 FROM node WHERE ino = ?1)
                     ON CONFLICT (ino) DO UPDATE SET version = ?2, folder = ?3, name = ?4,
                         size = ?5, node = ?6, xid = ?7, sent_at = ?8, whirlpool = ?9, told = NULL",
                    )?
                    .execute(params![
                        int(upload.ino.0),
                        int(upload.version),
                        int(upload.at.folder.0),
                        upload.at.name,
                        int(upload.size),
                        node,
                        xid,
                        upload.started.0,
                        upload.whirlpool.map(|digest| digest.to_string()),
                    ])?;
                if rows > 0 {
                    begun.push(upload.ino);
                }
            }
            Ok(begun)
        })
    }

    /// All bytes of an upload were sent, or are about to be; `way` tells where its result is asked
    /// for. Survives a power cut: without its checksum nobody could tell what arrived.
    pub fn uploads_were_sent(&self, way: &Way, sent: &[(Ino, Whirlpool)], now: Time) -> Result<()> {
        let (node, xid) = way.columns();
        self.store.write_durable(|tx| {
            for (ino, whirlpool) in sent {
                tx.prepare_cached(
                    "UPDATE attempt SET node = ?5, xid = ?2, whirlpool = ?3, sent_at = ?4
                     WHERE ino = ?1",
                )?
                .execute(params![
                    int(ino.0),
                    xid,
                    whirlpool.to_string(),
                    now.0,
                    node
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
                let arrived = removals::Object {
                    kind: node.kind,
                    rid: spoilt.id.as_str(),
                    place: &spoilt.place,
                    made_at: Some(now),
                };
                removals::queue_object(tx, &arrived, None, now)?;
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

    /// Whether a file that the service shows may be one that it has just got from us: no node
    /// stands for it, and we neither removed it nor are about to.
    pub fn may_be_new(&self, id: &FileId, now: Time) -> Result<bool> {
        self.store.read(|c| {
            Ok(c.prepare_cached(
                "SELECT NOT EXISTS (SELECT 1 FROM node WHERE rid = ?1 AND kind <> 1)
                    AND NOT EXISTS (SELECT 1 FROM removal WHERE rid = ?1 AND kind <> 1)
                    AND NOT EXISTS (SELECT 1 FROM tombstone
                        WHERE rid = ?1 AND kind <> 1 AND until > ?2)",
            )?
            .query_row(params![id.as_str(), now.0], |row| row.get(0))?)
        })
    }

    /// Whether an upload of another node may have left what this one, which nobody wants any
    /// more, is looked for as: of the same name and size in the same folder. Of several that
    /// nobody wants, they go in turn.
    pub fn has_rival(&self, upload: &Underway) -> Result<bool> {
        self.store.read(|c| {
            Ok(c.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM attempt
                     WHERE node IS NOT NULL AND folder = ?1 AND name = ?2 AND size = ?3
                         AND ino <> ?4 AND (ino < ?4 OR EXISTS (SELECT 1 FROM node
                             WHERE node.ino = attempt.ino
                                 AND (parent IS NOT NULL OR gone_parent IS NOT NULL))))",
            )?
            .query_row(
                params![
                    int(upload.at.folder.0),
                    upload.at.name,
                    int(upload.size),
                    int(upload.ino.0)
                ],
                |row| row.get(0),
            )?)
        })
    }

    /// The service told the id of a copy that it made.
    pub fn copy_was_told(&self, ino: Ino, id: &FileId, now: Time) -> Result<()> {
        self.store.write(|tx| {
            tx.prepare_cached("UPDATE attempt SET told = ?2, sent_at = ?3 WHERE ino = ?1")?
                .execute(params![int(ino.0), id.as_str(), now.0])?;
            Ok(())
        })
    }

    /// Copies may have been made until now: listings are believed about them from then on
    /// only. Of all copies that were begun, or of these, whose ids are not known.
    pub fn copies_may_be_made(&self, inos: Option<&[Ino]>, now: Time) -> Result<()> {
        self.store.write(|tx| {
            match inos {
                None => {
                    tx.execute("UPDATE attempt SET sent_at = ?1 WHERE node = ''", [now.0])?;
                }
                Some(inos) => {
                    for ino in inos {
                        tx.prepare_cached(
                            "UPDATE attempt SET sent_at = ?2, told = NULL WHERE ino = ?1",
                        )?
                        .execute([int(ino.0), now.0])?;
                    }
                }
            }
            Ok(())
        })
    }

    /// The service does not make this copy: the content is sent.
    pub fn copy_refused(&self, ino: Ino) -> Result<()> {
        self.store.write(|tx| {
            clear_upload(tx, ino)?;
            tx.prepare_cached("UPDATE attempt SET no_copy = 1 WHERE ino = ?1")?
                .execute([int(ino.0)])?;
            Ok(rows::delete_orphan(tx, ino)?)
        })
    }

    /// The name that the service has for a file, also of one that is to be removed.
    pub fn name_there(&self, id: &FileId) -> Result<Option<String>> {
        self.store.read(|c| {
            let node = rows::by_file_id(c, id.as_str())?;
            if let Some(file) = node.as_ref().and_then(Node::remote_file) {
                return Ok(Some(file.place.name.clone()));
            }
            Ok(
                c.prepare_cached("SELECT rname FROM removal WHERE rid = ?1 AND kind <> 1")?
                    .query_row([id.as_str()], |row| row.get(0))
                    .optional()?,
            )
        })
    }

    /// Whether something of the service goes once this node is confirmed as a copy of
    /// `source`: a version before it, what it replaces, or the source itself.
    pub fn frees(&self, ino: Ino, source: &FileId) -> Result<bool> {
        self.store.read(|c| {
            Ok(c.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM node WHERE ino = ?1 AND rid IS NOT NULL)
                     OR EXISTS (SELECT 1 FROM removal WHERE after_ino = ?1)
                     OR EXISTS (SELECT 1 FROM removal WHERE rid = ?2 AND kind <> 1)",
            )?
            .query_row(params![int(ino.0), source.as_str()], |row| row.get(0))?)
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
