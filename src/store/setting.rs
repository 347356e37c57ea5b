//! The table `setting`: single values by their names.

use rusqlite::{Connection, OptionalExtension};

use super::StoreError;

/// The value of that name.
///
/// # Errors
/// That of the database.
pub fn get(c: &Connection, key: &str) -> Result<Option<String>, StoreError> {
    let query = "SELECT value FROM setting WHERE key = ?1";
    Ok(c.query_row(query, [key], |row| row.get(0)).optional()?)
}

/// Gives it another value.
///
/// # Errors
/// That of the database.
pub fn put(c: &Connection, key: &str, value: &str) -> Result<(), StoreError> {
    c.execute(
        "INSERT INTO setting (key, value) VALUES (?1, ?2)
         ON CONFLICT (key) DO UPDATE SET value = ?2",
        [key, value],
    )?;
    Ok(())
}

/// Takes it away.
///
/// # Errors
/// That of the database.
pub fn remove(c: &Connection, key: &str) -> Result<(), StoreError> {
    c.execute("DELETE FROM setting WHERE key = ?1", [key])?;
    Ok(())
}
