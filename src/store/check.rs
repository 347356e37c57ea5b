//! Looks at a database without changing it, also while a daemon uses it.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::schema::MIGRATIONS;
use super::{BUSY_TIMEOUT, StoreError};

/// What a look at a database tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Health {
    /// The version of its schema; an older one is brought up to date at the next mount.
    pub version: i64,
    /// What is damaged, in SQLite's words; empty if nothing is.
    pub damage: Vec<String>,
}

/// Looks through the whole database at `path`.
///
/// # Errors
/// [`StoreError::Newer`] when a later version of the program wrote it;
/// [`StoreError::Sqlite`] when it cannot be read at all.
pub fn check(path: &Path) -> Result<Health, StoreError> {
    let connection = look(path)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = MIGRATIONS.len() as i64;
    if version > known {
        return Err(StoreError::Newer {
            found: version,
            known,
        });
    }
    let mut look = connection.prepare("PRAGMA quick_check(20)")?;
    let said: Vec<String> = look
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Health {
        version,
        damage: said.into_iter().filter(|line| line != "ok").collect(),
    })
}

/// A connection that changes nothing, to a database that is there.
///
/// # Errors
/// When it cannot be opened.
pub fn look(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn a_sound_database_is_sound_also_while_it_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        let _store = Store::open(&path).unwrap();
        let health = check(&path).unwrap();
        assert_eq!(health.version, MIGRATIONS.len() as i64);
        assert!(health.damage.is_empty());
    }

    #[test]
    fn a_damaged_database_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.db");
        drop(Store::open(&path).unwrap());
        let all = Connection::open(&path).unwrap();
        all.pragma_update(None, "journal_mode", "DELETE").unwrap();
        let page: i64 = all
            .query_row(
                "SELECT rootpage FROM sqlite_schema WHERE name = 'setting'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        drop(all);
        // Free pages that do not exist (their number is at byte 36): the file can be
        // opened, and read to its end.
        let mut bytes = std::fs::read(&path).unwrap();
        let free = bytes[39];
        bytes[39] = free + 5;
        std::fs::write(&path, &bytes).unwrap();
        let health = check(&path).unwrap();
        assert_eq!(health.version, MIGRATIONS.len() as i64);
        let told = health.damage.concat().to_lowercase();
        assert!(told.contains("freelist"), "{:?}", health.damage);
        bytes[39] = free;
        std::fs::write(&path, &bytes).unwrap();
        assert!(check(&path).unwrap().damage.is_empty());

        // And a page of one table that is no page any more.
        let start = (page as usize - 1) * 4096;
        bytes[start..start + 4096].fill(0x5a);
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(check(&path), Err(StoreError::Sqlite(_))));
        std::fs::write(&path, "no database at all").unwrap();
        assert!(check(&path).is_err());
    }
}
