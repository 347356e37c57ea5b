//! Files that stay here: lock files of editors, their temporary ones, what file managers
//! leave behind.
//!
//! The rule is about a row alone: **a file that the service has nothing of, under such a name,
//! is never pending**. [`rows::set_pending`] keeps it, so that no change of the tree can
//! forget it; the journal never sees such a file, no drain waits for it, and it lasts as
//! any other (its content in `staged`, over kills and restarts). What follows:
//!
//! - renamed to another name, it is queued in the transaction of the rename;
//! - a file that waits to be sent and gets such a name stays here from then on; if its
//!   upload has begun, that ends, and the file is one of the service's;
//! - a file that the service has stays one of the service's, whatever it is called: it is
//!   renamed there, and its new versions are sent;
//! - a file that takes the place of one of the service's is sent as any other. So no name ever
//!   makes a copy go from the service.

use rusqlite::Transaction;

use super::{Tree, TreeError};

/// For rows of `node`: whether it stays here by its name. What takes the place of a file of the
/// service does not, or that would go and leave this one here alone.
pub(super) const IS_LOCAL: &str =
    "(EXISTS (SELECT 1 FROM local_name WHERE CAST(node.name AS TEXT) GLOB pattern)
      AND NOT EXISTS (SELECT 1 FROM removal WHERE after_ino = node.ino))";

impl Tree {
    /// Which names stay here from now on. Where that is new, files that waited to be sent
    /// may stay, and others are queued.
    ///
    /// # Errors
    /// That of the database.
    pub fn keep_here(&self, patterns: &[String]) -> Result<(), TreeError> {
        let mut wanted: Vec<&str> = patterns.iter().map(String::as_str).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let known: Vec<String> = self.store.read(|c| -> Result<_, TreeError> {
            Ok(
                c.prepare("SELECT pattern FROM local_name ORDER BY pattern")?
                    .query_map([], |row| row.get(0))?
                    .collect::<rusqlite::Result<_>>()?,
            )
        })?;
        if known == wanted {
            return Ok(());
        }
        self.store.write(|tx| {
            tx.execute("DELETE FROM local_name", [])?;
            for pattern in wanted {
                tx.execute("INSERT INTO local_name (pattern) VALUES (?1)", [pattern])?;
            }
            Ok(reconcile(tx)?)
        })
    }
}

fn reconcile(tx: &Transaction<'_>) -> rusqlite::Result<()> {
    tx.execute(
        &format!(
            "UPDATE node SET pending = pending & ~1
             WHERE rid IS NULL AND kind <> 1 AND pending & 1 AND {IS_LOCAL}"
        ),
        [],
    )?;
    tx.execute(
        &format!(
            "UPDATE node SET pending = pending | 1
             WHERE rid IS NULL AND kind <> 1 AND parent IS NOT NULL AND (size > 0 OR kind = 3)
                 AND NOT {IS_LOCAL}"
        ),
        [],
    )?;
    tx.execute(
        "INSERT OR IGNORE INTO attempt (ino) SELECT ino FROM node WHERE pending & 1",
        [],
    )?;
    Ok(())
}
