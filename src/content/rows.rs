//! The SQL of `block_map`: which blocks of which cache file are on disk.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::blocks::BLOCK_SIZE;
use super::error::ContentError;
use crate::ids::FileId;

/// A row without its bits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Row {
    pub(super) id: FileId,
    /// Bytes of the whole file.
    pub(super) size: u64,
    /// Number of the cache file: a row speaks of that very file, never of
    /// another one under the same id.
    pub(super) number: u64,
    /// Bytes on disk.
    pub(super) cached: u64,
    /// Last use, nanoseconds since 1970.
    pub(super) used: u64,
}

/// SQLite's integers are signed. Sizes, numbers and times stay far below 2^63.
fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Reads what [`int`] wrote; a negative number in a damaged row becomes one
/// that agrees with no file.
fn uint(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// All rows of the present block size; those of another are left out.
pub(super) fn all(connection: &Connection) -> Result<Vec<Row>, ContentError> {
    let mut statement = connection.prepare(
        "SELECT file_id, size, data_file, cached_bytes, used_at FROM block_map WHERE block_size = ?1",
    )?;
    let rows = statement.query_map([int(BLOCK_SIZE)], |row| {
        Ok((
            row.get::<_, String>(0)?,
            uint(row.get(1)?),
            uint(row.get(2)?),
            uint(row.get(3)?),
            uint(row.get(4)?),
        ))
    })?;
    let mut all = Vec::new();
    for row in rows {
        let (id, size, number, cached, used) = row?;
        // An id that is none is nobody's cache: the caller drops its file.
        if let Ok(id) = id.parse() {
            all.push(Row {
                id,
                size,
                number,
                cached,
                used,
            });
        }
    }
    Ok(all)
}

/// What there is of a cache file.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Known {
    /// Its block map.
    pub(super) bits: Vec<u8>,
    /// Its checksums, where the cache file has none.
    pub(super) sums: Option<Vec<u8>>,
}

/// What is known of a cache file, if its row speaks of that `size` and `number`.
pub(super) fn known(
    connection: &Connection,
    id: &FileId,
    size: u64,
    number: u64,
) -> Result<Option<Known>, ContentError> {
    Ok(connection
        .prepare_cached(
            "SELECT bits, sums FROM block_map
             WHERE file_id = ?1 AND size = ?2 AND data_file = ?3 AND block_size = ?4",
        )?
        .query_row(
            params![id.as_str(), int(size), int(number), int(BLOCK_SIZE)],
            |row| {
                Ok(Known {
                    bits: row.get(0)?,
                    sums: row.get(1)?,
                })
            },
        )
        .optional()?)
}

/// Writes a row, in place of any other of its id.
pub(super) fn put(tx: &Transaction<'_>, row: &Row, bits: &[u8]) -> Result<(), ContentError> {
    tx.prepare_cached(
        "INSERT OR REPLACE INTO block_map(file_id, size, block_size, bits, cached_bytes, data_file, used_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        row.id.as_str(),
        int(row.size),
        int(BLOCK_SIZE),
        bits,
        int(row.cached),
        int(row.number),
        int(row.used)
    ])?;
    Ok(())
}

/// Takes in the checksums of a cache file that is about to have none.
pub(super) fn put_sums(tx: &Transaction<'_>, row: &Row, sums: &[u8]) -> Result<(), ContentError> {
    tx.prepare_cached("UPDATE block_map SET sums = ?3 WHERE file_id = ?1 AND data_file = ?2")?
        .execute(params![row.id.as_str(), int(row.number), sums])?;
    Ok(())
}

/// Notes when a file was last used.
pub(super) fn touch(
    tx: &Transaction<'_>,
    id: &FileId,
    number: u64,
    used: u64,
) -> Result<(), ContentError> {
    tx.prepare_cached("UPDATE block_map SET used_at = ?3 WHERE file_id = ?1 AND data_file = ?2")?
        .execute(params![id.as_str(), int(number), int(used)])?;
    Ok(())
}

/// Drops the row of a cache file; that of a successor stays.
pub(super) fn delete(tx: &Transaction<'_>, id: &FileId, number: u64) -> Result<(), ContentError> {
    tx.prepare_cached("DELETE FROM block_map WHERE file_id = ?1 AND data_file = ?2")?
        .execute(params![id.as_str(), int(number)])?;
    Ok(())
}

/// Drops every row whose cache file `keep` does not know.
pub(super) fn retain(
    tx: &Transaction<'_>,
    keep: impl Fn(&str, u64) -> bool,
) -> Result<usize, ContentError> {
    let mut dead = Vec::new();
    let mut statement = tx.prepare("SELECT file_id, data_file FROM block_map")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, number): (String, u64) = (row.get(0)?, uint(row.get(1)?));
        if !keep(&id, number) {
            dead.push(id);
        }
    }
    for id in &dead {
        tx.prepare_cached("DELETE FROM block_map WHERE file_id = ?1")?
            .execute([id])?;
    }
    Ok(dead.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    fn row(id: &str, number: u64) -> Row {
        Row {
            id: id.parse().unwrap(),
            size: 300_000,
            number,
            cached: 131_072,
            used: 7,
        }
    }

    #[test]
    fn a_row_speaks_of_one_cache_file_only() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("db")).unwrap();
        let old = row("abcde", 1);
        let new = row("abcde", 2);
        store.write(|tx| put(tx, &old, &[1])).unwrap();
        store.write(|tx| put(tx, &new, &[2])).unwrap();
        store.write(|tx| delete(tx, &old.id, 1)).unwrap();
        store.write(|tx| touch(tx, &new.id, 2, 9)).unwrap();
        let rows = store.read(all).unwrap();
        assert_eq!(
            rows,
            [Row {
                used: 9,
                ..new.clone()
            }]
        );
        let known = |size, number| store.read(|c| known(c, &new.id, size, number)).unwrap();
        let of = |sums| {
            let bits = vec![2];
            Some(Known { bits, sums })
        };
        assert_eq!(known(300_000, 2), of(None));
        assert_eq!(known(300_000, 1), None);
        assert_eq!(known(300_001, 2), None);
        store.write(|tx| put_sums(tx, &new, &[5])).unwrap();
        assert_eq!(known(300_000, 2), of(Some(vec![5])));
        store.write(|tx| put(tx, &new, &[2])).unwrap();
        assert_eq!(known(300_000, 2), of(None), "they are behind the content");
    }

    #[test]
    fn rows_without_a_cache_file_go() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("db")).unwrap();
        for (id, number) in [("abcde", 1), ("fghij", 2)] {
            store.write(|tx| put(tx, &row(id, number), &[0])).unwrap();
        }
        let dropped = store.write(|tx| retain(tx, |id, _| id == "fghij")).unwrap();
        assert_eq!(dropped, 1);
        assert_eq!(store.read(all).unwrap(), [row("fghij", 2)]);
    }
}
