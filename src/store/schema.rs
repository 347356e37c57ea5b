//! The schema, as a list of migrations: version N of the file is the first N
//! of them applied. A released migration is never edited.

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("schema/001.sql"),
    include_str!("schema/002.sql"),
    include_str!("schema/003.sql"),
    include_str!("schema/004.sql"),
    include_str!("schema/005.sql"),
    include_str!("schema/006.sql"),
    include_str!("schema/007.sql"),
    include_str!("schema/008.sql"),
    include_str!("schema/009.sql"),
    include_str!("schema/010.sql"),
    include_str!("schema/011.sql"),
    include_str!("schema/012.sql"),
    include_str!("schema/013.sql"),
    include_str!("schema/014.sql"),
    include_str!("schema/015.sql"),
    include_str!("schema/016.sql"),
];

/// Applies what is missing, one transaction a migration.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let known = MIGRATIONS.len() as i64;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (version, sql) in (1i64..).zip(MIGRATIONS) {
        if version > found {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
            tx.execute_batch(sql)?;
            tx.pragma_update(None, "user_version", version)?;
            tx.commit()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod released;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrating_twice_changes_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        let roots: i64 = connection
            .query_row("SELECT count(*) FROM node", [], |row| row.get(0))
            .unwrap();
        assert_eq!(roots, 1);
    }

    #[test]
    fn rows_of_the_first_version_are_made_short_and_say_the_same() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(MIGRATIONS[0]).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        let add = "INSERT INTO node (parent, name, kind, atime, mtime, ctime, btime, rid, rparent,
                       rname, whirlpool)
                   VALUES (1, CAST(?1 AS BLOB), 2, 5, 5, 6, 5, ?1, 0, ?2, ?3)";
        let digest = "0a".repeat(64);
        for (name, there) in [("same", "same"), ("here", "there")] {
            connection.execute(add, [name, there, &digest]).unwrap();
        }
        migrate(&mut connection).unwrap();
        let mut rows = connection
            .prepare("SELECT rname, whirlpool, atime, ctime FROM node WHERE kind = 2 ORDER BY ino")
            .unwrap();
        let rows: Vec<(Option<String>, [u8; 64], i64, i64)> = rows
            .query_map([], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(rows[0], (None, [10; 64], 0, 6));
        assert_eq!(rows[1], (Some("there".to_owned()), [10; 64], 0, 6));
    }

    #[test]
    fn a_newer_schema_is_refused_with_a_way_out() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 999).unwrap();
        let refused = migrate(&mut connection).unwrap_err();
        assert!(refused.to_string().contains("newer fichierfs"));
    }
}
