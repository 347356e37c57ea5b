//! A database of each released schema, with rows as that version of the program wrote them, opened
//! by this one.

use rusqlite::Connection;

use super::{MIGRATIONS, migrate};

/// What an account with a folder, a file on the service, a changed file and a removal is in
/// version `version`.
fn rows(version: usize) -> String {
    let digest = "0a".repeat(64);
    // From the third on, what is the same is stored short.
    let (rname, whirlpool, same) = match version {
        ..3 => ("'b.bin'", format!("'{digest}'"), 7),
        _ => ("NULL", format!("unhex('{digest}')"), 0),
    };
    let mut sql = format!(
        "UPDATE node SET listed_at = 3 WHERE ino = 1;
         INSERT INTO node (ino, parent, name, kind, mode, atime, mtime, ctime, btime, rid, rparent, rname)
         VALUES (2, 1, CAST('folder' AS BLOB), 1, 488, 1, 2, 3, 4, '77', 0, 'folder');
         INSERT INTO node (ino, parent, name, kind, atime, mtime, ctime, btime, size, rid, rparent,
                           rname, rsize, whirlpool, confirmed_at)
         VALUES (3, 2, CAST('b.bin' AS BLOB), 2, {same}, 7, {same}, {same}, 9, 'abc', 77, {rname}, 9,
                 {whirlpool}, 8);
         INSERT INTO node (ino, parent, name, kind, uid, gid, atime, mtime, ctime, btime, size, pending)
         VALUES (4, 2, CAST('new.txt' AS BLOB), 2, 5, 6, 11, 12, 13, 14, 4, 1);
         INSERT INTO xattr VALUES (3, CAST('user.a' AS BLOB), CAST('v' AS BLOB));
         INSERT INTO removal (kind, rid, rparent, rname, queued_at) VALUES (2, 'old', 0, 'gone', 1);
         INSERT INTO tombstone VALUES (2, 'older', 99);
         INSERT INTO staged (ino, data_file, version, size, map, data_bytes, saved_at)
         VALUES (4, 1, 2, 4, x'0102', 4, 5);
         INSERT INTO attempt (ino, not_before, attempts, error) VALUES (4, 6, 1, 'why');
         INSERT INTO block_map (file_id, size, block_size, bits, cached_bytes, data_file, used_at)
         VALUES ('abc', 9, 4, x'07', 9, 1, 2);
         INSERT INTO setting VALUES ('account', '{{}}');"
    );
    if version >= 4 {
        sql.push_str("INSERT INTO pin VALUES (3); INSERT INTO checked VALUES ('abc', 1);");
    }
    if version >= 5 {
        sql.push_str("UPDATE staged SET unsynced = 'boot';");
    }
    if version >= 15 {
        sql.push_str("UPDATE removal SET asked_at = 2, made_at = 1;");
    }
    if version >= 16 {
        sql.push_str("INSERT INTO new_names VALUES (2);");
    }
    sql
}

fn of_version(version: usize) -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    for sql in MIGRATIONS.iter().take(version) {
        connection.execute_batch(sql).unwrap();
    }
    connection.execute_batch(&rows(version)).unwrap();
    connection
        .pragma_update(None, "user_version", version as i64)
        .unwrap();
    connection
}

/// All rows of a query, as text.
fn told(connection: &Connection, query: &str) -> Vec<String> {
    let mut query = connection.prepare(query).unwrap();
    let rows = query.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// What a user would miss.
fn kept(connection: &Connection) -> Vec<String> {
    [
        "SELECT concat_ws('|', ino, parent, CAST(name AS TEXT), kind, mode, uid, gid, mtime, size,
                rid, rparent, coalesce(rname, iif(rid IS NULL, NULL, CAST(name AS TEXT))), rsize,
                hex(whirlpool), listed_at, pending, iif(atime = 0, mtime, atime),
                iif(ctime = 0, mtime, ctime), iif(btime = 0, mtime, btime))
         FROM node ORDER BY ino",
        "SELECT concat_ws('|', ino, CAST(name AS TEXT), CAST(value AS TEXT)) FROM xattr",
        "SELECT concat_ws('|', kind, rid, rparent, rname, queued_at) FROM removal",
        "SELECT concat_ws('|', kind, rid, until) FROM tombstone",
        "SELECT concat_ws('|', ino, data_file, version, size, hex(map), data_bytes) FROM staged",
        "SELECT concat_ws('|', ino, not_before, attempts, error, parked) FROM attempt",
        "SELECT concat_ws('|', file_id, size, hex(bits), data_file) FROM block_map",
        "SELECT concat_ws('|', key, value) FROM setting WHERE key = 'account'",
    ]
    .iter()
    .flat_map(|query| told(connection, query))
    .collect()
}

const SCHEMA: &str = "SELECT type || ' ' || name || ' ' || coalesce(sql, '')
                      FROM sqlite_schema ORDER BY type, name";

#[test]
fn every_released_schema_is_brought_up_to_date_with_all_its_rows() {
    let mut new = Connection::open_in_memory().unwrap();
    migrate(&mut new).unwrap();
    let wanted = kept(&of_version(MIGRATIONS.len()));
    assert_eq!(wanted.len(), 11, "{wanted:#?}");
    for version in 1..=MIGRATIONS.len() {
        let mut old = of_version(version);
        migrate(&mut old).unwrap();
        assert_eq!(kept(&old), wanted, "from version {version}");
        assert_eq!(
            told(&old, SCHEMA),
            told(&new, SCHEMA),
            "from version {version}"
        );
        assert_eq!(told(&old, "PRAGMA integrity_check"), ["ok"]);
        let mut broken = old.prepare("PRAGMA foreign_key_check").unwrap();
        assert!(!broken.exists([]).unwrap(), "from version {version}");
    }
}
