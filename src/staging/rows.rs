//! The SQL of the table `staged`: the last closed version of each file that
//! the service does not have yet.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Transaction, named_params};

use super::StagingError;
use super::data_file::FileNumber;
use super::extents::{ExtentMap, bytes_in};
use crate::content::RemoteFile;
use crate::ids::Ino;

/// A row of `staged`.
#[derive(Debug)]
pub(super) struct Row {
    pub version: u64,
    pub map: ExtentMap,
    /// `None`: no byte of the map is in a data file.
    pub data_file: Option<FileNumber>,
    /// The boot in which its bytes were not brought to the disk; `None` if they were.
    pub unsynced: Option<String>,
}

/// The stored version of `ino`, if there is one.
pub(super) fn load(connection: &Connection, ino: Ino) -> Result<Option<Row>, StagingError> {
    let mut statement = connection
        .prepare_cached("SELECT version, map, data_file, unsynced FROM staged WHERE ino = ?1")?;
    let found = statement
        .query_row([ino.0 as i64], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, Vec<u8>>(1)?,
                row.get::<_, Option<i64>>(2)?,
                row.get::<_, Option<String>>(3)?,
            ))
        })
        .optional()?;
    let Some((version, map, data_file, unsynced)) = found else {
        return Ok(None);
    };
    Ok(Some(Row {
        version: version as u64,
        map: decode(ino, &map)?,
        data_file: data_file.and_then(|number| FileNumber::new(number as u64)),
        unsynced,
    }))
}

/// The number of the stored version of `ino`.
pub(super) fn stored_version(
    connection: &Connection,
    ino: Ino,
) -> Result<Option<u64>, StagingError> {
    let mut statement = connection.prepare_cached("SELECT version FROM staged WHERE ino = ?1")?;
    Ok(statement
        .query_row([ino.0 as i64], |row| row.get::<_, i64>(0))
        .optional()?
        .map(|version| version as u64))
}

/// The same, with the bytes of that version.
pub(super) fn stored_version_and_size(
    connection: &Connection,
    ino: Ino,
) -> Result<Option<(u64, u64)>, StagingError> {
    let mut statement =
        connection.prepare_cached("SELECT version, size FROM staged WHERE ino = ?1")?;
    Ok(statement
        .query_row([ino.0 as i64], |row| {
            Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64))
        })
        .optional()?)
}

/// The file of the service that the stored version of `ino` is a whole copy of. Looks
/// only at those that have no byte of their own.
pub(super) fn copy_of(
    connection: &Connection,
    ino: Ino,
) -> Result<Option<RemoteFile>, StagingError> {
    let mut statement = connection.prepare_cached(
        "SELECT map FROM staged WHERE ino = ?1 AND base IS NOT NULL AND data_bytes = 0",
    )?;
    let map: Option<Vec<u8>> = statement
        .query_row([ino.0 as i64], |row| row.get(0))
        .optional()?;
    let Some(map) = map else {
        return Ok(None);
    };
    let map = decode(ino, &map)?;
    Ok(map.copy_of().map(|file| RemoteFile::clone(file)))
}

/// Stores a version, unless a newer one is stored.
pub(super) fn save(tx: &Transaction<'_>, ino: Ino, row: &Row) -> Result<(), StagingError> {
    let base = row.map.remotes().first().map(|file| file.id.to_string());
    let data_bytes = bytes_in(&row.map.data_places());
    tx.prepare_cached(
        "INSERT INTO staged(ino, data_file, version, size, map, base, data_bytes, saved_at, unsynced)
         VALUES (:ino, :data_file, :version, :size, :map, :base, :data_bytes, :saved_at, :unsynced)
         ON CONFLICT(ino) DO UPDATE SET
            data_file = excluded.data_file, version = excluded.version, size = excluded.size,
            map = excluded.map, base = excluded.base, data_bytes = excluded.data_bytes,
            saved_at = excluded.saved_at, unsynced = excluded.unsynced
         WHERE excluded.version >= staged.version",
    )?
    .execute(named_params! {
        ":ino": ino.0 as i64,
        ":data_file": row.data_file.map(|number| number.get() as i64),
        ":version": row.version as i64,
        ":size": row.map.size() as i64,
        ":map": row.map.encode(),
        ":base": base,
        ":data_bytes": data_bytes as i64,
        // Years that fit: until 2262.
        ":saved_at": jiff::Timestamp::now().as_nanosecond() as i64,
        ":unsynced": row.unsynced,
    })?;
    Ok(())
}

/// The bytes of a version are on the disk.
pub(super) fn synced(tx: &Transaction<'_>, ino: Ino, version: u64) -> Result<(), StagingError> {
    tx.prepare_cached("UPDATE staged SET unsynced = NULL WHERE ino = ?1 AND version = ?2")?
        .execute([ino.0 as i64, version as i64])?;
    Ok(())
}

/// The versions whose bytes were not brought to the disk in `boot`: of which inode, which one,
/// and in which data file.
pub(super) fn unsynced(
    connection: &Connection,
    boot: &str,
) -> Result<Vec<(Ino, u64, FileNumber)>, StagingError> {
    let query = "SELECT ino, version, data_file FROM staged
                 WHERE unsynced = ?1 AND data_file IS NOT NULL";
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query([boot])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (ino, version) = (row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64);
        let number = FileNumber::new(row.get::<_, i64>(2)? as u64);
        found.extend(number.map(|number| (Ino(ino), version, number)));
    }
    Ok(found)
}

/// Forgets the stored version of `ino`.
pub(super) fn delete(tx: &Transaction<'_>, ino: Ino) -> Result<(), StagingError> {
    tx.prepare_cached("DELETE FROM staged WHERE ino = ?1")?
        .execute([ino.0 as i64])?;
    Ok(())
}

/// What all stored versions come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Totals {
    /// Their bytes in data files.
    pub data_bytes: u64,
    /// Their bytes, wherever they are.
    pub bytes: u64,
    /// The greatest number of a data file that one needs; 0 if none does.
    pub last_number: u64,
}

/// One walk over all rows: with very many of them the start waits for it.
pub(super) fn totals(connection: &Connection) -> Result<Totals, StagingError> {
    let query = "SELECT coalesce(sum(data_bytes), 0), coalesce(sum(size), 0),
                     coalesce(max(data_file), 0)
                 FROM staged";
    Ok(connection.query_row(query, [], |row| {
        Ok(Totals {
            data_bytes: row.get::<_, i64>(0)? as u64,
            bytes: row.get::<_, i64>(1)? as u64,
            last_number: row.get::<_, i64>(2)? as u64,
        })
    })?)
}

/// The data files that stored versions need.
pub(super) fn data_files(connection: &Connection) -> Result<Vec<FileNumber>, StagingError> {
    let mut statement =
        connection.prepare_cached("SELECT data_file FROM staged WHERE data_file IS NOT NULL")?;
    let numbers = statement
        .query_map([], |row| row.get::<_, i64>(0))?
        .filter_map(|number| number.map(|n| FileNumber::new(n as u64)).transpose())
        .collect::<Result<_, _>>()?;
    Ok(numbers)
}

/// Of each data file that a stored version needs: whose it is, and the map if it can be read.
pub(super) fn maps(
    connection: &Connection,
) -> Result<HashMap<FileNumber, (Ino, Option<ExtentMap>)>, rusqlite::Error> {
    let query = "SELECT data_file, ino, map FROM staged WHERE data_file IS NOT NULL";
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query([])?;
    let mut found = HashMap::new();
    while let Some(row) = rows.next()? {
        let Some(number) = FileNumber::new(row.get::<_, i64>(0)? as u64) else {
            continue;
        };
        let ino = Ino(row.get::<_, i64>(1)? as u64);
        let map = ExtentMap::decode(&row.get::<_, Vec<u8>>(2)?).ok();
        found.insert(number, (ino, map));
    }
    Ok(found)
}

/// The stored versions that read from files of the service.
pub(super) fn layered(connection: &Connection) -> Result<Vec<(Ino, ExtentMap)>, StagingError> {
    let mut statement =
        connection.prepare_cached("SELECT ino, map FROM staged WHERE base IS NOT NULL")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let ino = Ino(row.get::<_, i64>(0)? as u64);
        match decode(ino, &row.get::<_, Vec<u8>>(1)?) {
            Ok(map) => found.push((ino, map)),
            // One damaged file must not keep the others from being mounted; who
            // opens it gets the error.
            Err(error) => tracing::error!(%error, "a staged file cannot be read"),
        }
    }
    Ok(found)
}

fn decode(ino: Ino, map: &[u8]) -> Result<ExtentMap, StagingError> {
    ExtentMap::decode(map).map_err(|source| StagingError::Map { ino, source })
}
