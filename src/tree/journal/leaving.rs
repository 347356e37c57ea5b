//! What is to be removed from the service, as people see it.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Result;
use crate::ids::{FolderId, Time};
use crate::tree::node::Kind;
use crate::tree::rows::{self, int, uint};
use crate::tree::{Tree, names};

/// Deeper than any path: an end for folders that would lie within one another.
const DEEPEST: usize = 4096;

/// Something that is to go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leaving {
    /// Where the user had it, from the root; only its name if what was above it is not
    /// known any more.
    pub path: PathBuf,
    /// Failed tries.
    pub attempts: u32,
    /// Not tried before.
    pub not_before: Time,
    /// Why the last try failed.
    pub error: Option<String>,
}

impl Tree {
    /// Removals that are queued and files that were unlinked while they were sent, the
    /// oldest first: the rows that [`super::Backlog::removals`] counts.
    pub fn leaving(&self, limit: usize) -> Result<Vec<Leaving>> {
        self.store.read(|c| {
            let rows: Vec<(FolderId, String, Leaving)> = c
                .prepare_cached(
                    "SELECT rparent, rname, attempts, not_before, error FROM
                         (SELECT 0 AS late, id, rparent, rname, attempts, not_before, error
                              FROM removal
                          UNION ALL
                          SELECT 1, ino, attempt.folder, attempt.name, attempts, not_before, error
                              FROM attempt JOIN node USING (ino)
                              WHERE attempt.node IS NOT NULL AND parent IS NULL)
                     ORDER BY late, id LIMIT ?1",
                )?
                .query_map([limit as i64], leaving)?
                .collect::<rusqlite::Result<_>>()?;
            rows.into_iter()
                .map(|(folder, name, mut leaving)| {
                    leaving.path = path(c, folder, &name)?;
                    Ok(leaving)
                })
                .collect()
        })
    }
}

fn leaving(row: &Row<'_>) -> rusqlite::Result<(FolderId, String, Leaving)> {
    let leaving = Leaving {
        path: PathBuf::new(),
        attempts: row.get(2)?,
        not_before: Time(row.get(3)?),
        error: row.get(4)?,
    };
    Ok((FolderId(uint(row.get(0)?)), row.get(1)?, leaving))
}

/// The names of the folders that are still in the tree are today's; those of folders
/// that go too are the service's.
fn path(c: &Connection, mut folder: FolderId, name: &str) -> Result<PathBuf> {
    let mut below = vec![names::display(name)];
    while below.len() < DEEPEST {
        if let Some(node) = rows::by_folder_id(c, folder)?
            && let Some(mut above) = rows::path(c, node.ino)?
        {
            above.extend(below.iter().rev());
            return Ok(above);
        }
        let gone: Option<(i64, String)> = c
            .prepare_cached("SELECT rparent, rname FROM removal WHERE kind = ?1 AND rid = ?2")?
            .query_row(
                params![rows::kind_number(Kind::Folder), int(folder.0).to_string()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let Some((above, name)) = gone else {
            break;
        };
        below.push(names::display(&name));
        folder = FolderId(uint(above));
    }
    Ok(below.iter().rev().collect())
}
