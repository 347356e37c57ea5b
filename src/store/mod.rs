//! SQLite: the one file in which everything lives that must outlast the process:
//! the tree, the overlay of own changes, the journal, staged versions, block
//! maps.
//!
//! The room owns the connections, the schema and its migrations. It knows no
//! table's meaning, but for the two that rooms share ([`setting`], and what the service
//! refused): each room keeps its own SQL in its `rows.rs` and passes through one of three doors:
//!
//! - [`Store::read`]: on one of a few read-only connections, in parallel;
//! - [`Store::write`]: a transaction that, once it returned, survives the
//!   death of the process;
//! - [`Store::write_durable`]: one that survives a power cut.
//!
//! Transactions on the writing connection are serial: an invariant that a
//! closure establishes is seen whole by the next. Who keeps rows in memory is told
//! which of them a transaction touched ([`Store::watch`]). The doors block for tens of
//! microseconds (a durable one for as long as the disk takes to sync), so they
//! are called straight from FUSE threads; no hop to another thread costs more
//! than the query. Never call a door from within a door.
//!
//! Some room on the disk is kept for what is to be noted when it is full ([`ballast`]).

mod ballast;
mod check;
mod error;
mod refusals;
mod schema;
pub mod setting;
mod watch;

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use ballast::Ballast;
use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, ffi};

pub use check::{Health, check, look};
pub use error::StoreError;
pub use refusals::{Asked, Refusal};
pub use watch::Watch;
use watch::Watchers;

/// Read-only connections. Readers beyond this number wait for one another.
const READERS: usize = 3;

/// Pages of the log after which a commit brings them into the database: that syncs the disk
/// twice, while who closes a file waits. The log so grows to some 16 MiB, which is half of the
/// disk's room that staging leaves to the database.
const CHECKPOINT: i64 = 4_000;

/// How long a connection waits for another process (`doctor`, a backup) to let
/// go of the database before it reports it as busy.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The database. Cheap to clone; all clones share the connections.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    writer: Mutex<Connection>,
    watchers: Watchers,
    readers: [Mutex<Connection>; READERS],
    next_reader: AtomicUsize,
    ballast: Ballast,
}

struct Connections {
    writer: Connection,
    watchers: Watchers,
    readers: [Connection; READERS],
}

impl Connections {
    fn open(path: &Path) -> Result<Connections, StoreError> {
        let mut writer = Connection::open(path)?;
        writer.busy_timeout(BUSY_TIMEOUT)?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        writer.pragma_update(None, "synchronous", "NORMAL")?;
        writer.pragma_update(None, "foreign_keys", "ON")?;
        writer.pragma_update(None, "cache_size", -16_384)?;
        writer.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
        writer.set_prepared_statement_cache_capacity(128);
        keep_plans(&writer)?;
        schema::migrate(&mut writer)?;
        let watchers = Watchers::default();
        watchers.listen(&mut writer)?;
        let reader = || -> Result<Connection, StoreError> {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.pragma_update(None, "cache_size", -8_192)?;
            connection.set_prepared_statement_cache_capacity(64);
            keep_plans(&connection)?;
            Ok(connection)
        };
        Ok(Connections {
            readers: [reader()?, reader()?, reader()?],
            writer,
            watchers,
        })
    }
}

impl Store {
    /// Opens or creates the database at `path` (mode 0600) and brings its
    /// schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Newer`] when a later version of the program wrote it;
    /// [`StoreError::Damaged`], [`StoreError::Held`], [`StoreError::Open`].
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        count_no_memory();
        // SQLite creates files with 0644; the state is nobody else's business.
        std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(|source| StoreError::Open {
                path: path.to_owned(),
                source,
            })?;
        let ballast = Ballast::beside(path);
        let connected = Connections::open(path).or_else(|error| match ballast.give() {
            true => Connections::open(path),
            false => Err(error),
        });
        let Connections {
            writer,
            watchers,
            readers,
        } = connected.map_err(|error| error.at_open(path))?;
        ballast.take();
        Ok(Store {
            inner: Arc::new(Inner {
                writer: Mutex::new(writer),
                watchers,
                readers: readers.map(Mutex::new),
                next_reader: AtomicUsize::new(0),
                ballast,
            }),
        })
    }

    /// Runs `f` on a read-only connection; it sees everything committed before.
    ///
    /// # Errors
    /// Whatever `f` returns.
    pub fn read<T, E>(&self, f: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        // Always in the same order: who reads alone finds the pages of his last query at hand.
        for reader in &self.inner.readers {
            if let Some(connection) = reader.try_lock() {
                return f(&connection);
            }
        }
        // Relaxed: the counter only spreads those who wait.
        let next = self.inner.next_reader.fetch_add(1, Ordering::Relaxed);
        f(&self.inner.readers[next % READERS].lock())
    }

    /// Runs `f` in a transaction that is committed if it returns `Ok` and rolled
    /// back otherwise. Committed, it survives the death of the process.
    ///
    /// # Errors
    /// Whatever `f` returns, or that of the commit.
    pub fn write<T, E>(&self, f: impl FnOnce(&Transaction<'_>) -> Result<T, E>) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        self.transact(&mut self.inner.writer.lock(), f)
    }

    /// Like [`Store::write`]; committed, it survives a power cut, and so does
    /// every transaction before it.
    ///
    /// # Errors
    /// Whatever `f` returns, or that of the commit.
    pub fn write_durable<T, E>(
        &self,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        let mut writer = self.inner.writer.lock();
        set_synchronous(&writer, "FULL").map_err(E::from)?;
        let result = self.transact(&mut writer, f);
        set_synchronous(&writer, "NORMAL").map_err(E::from)?;
        result
    }

    fn transact<T, E>(
        &self,
        writer: &mut Connection,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        let result = commit_or_roll_back(writer, &self.inner.watchers, f);
        if result.is_ok() {
            self.inner.ballast.keep();
        } else {
            // The next one has room.
            self.inner.ballast.give();
        }
        result
    }

    /// From now on `watch` is told of each transaction that touches rows of `table`, until it is
    /// dropped.
    pub fn watch(&self, table: &'static str, watch: &Arc<dyn Watch>) {
        let _no_transaction = self.inner.writer.lock();
        self.inner.watchers.add(table, Arc::downgrade(watch));
    }

    /// Everything that was committed before survives a power cut when this
    /// returns.
    ///
    /// # Errors
    /// That of the commit.
    pub fn sync(&self) -> Result<(), StoreError> {
        // A transaction that writes nothing would sync nothing.
        self.write_durable(|tx| {
            tx.execute(
                "INSERT INTO setting (key, value) VALUES ('syncs', 1)
                 ON CONFLICT (key) DO UPDATE SET value = value + 1",
                [],
            )?;
            Ok(())
        })
    }
}

/// SQLite counts the memory that it has, under one lock for all connections that each of its
/// allocations takes. Nobody asks for the figure.
fn count_no_memory() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the option takes one integer. Where SQLite is in use already, it refuses, and
        // counts on.
        let outcome = unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_MEMSTATUS, 0) };
        if outcome != ffi::SQLITE_OK {
            tracing::debug!(outcome, "SQLite goes on counting its memory");
        }
    });
}

/// A statement keeps its plan whatever is bound to it. Else one that asks about the condition of
/// a partial index is compiled again each time.
fn keep_plans(connection: &Connection) -> Result<(), StoreError> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn set_synchronous(connection: &Connection, mode: &str) -> Result<(), StoreError> {
    Ok(connection.pragma_update(None, "synchronous", mode)?)
}

fn commit_or_roll_back<T, E>(
    connection: &mut Connection,
    watchers: &Watchers,
    f: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
) -> Result<T, E>
where
    E: From<StoreError>,
{
    let tx = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|e| E::from(e.into()))?;
    let value = f(&tx).inspect_err(|_| watchers.forget())?;
    let committing = watchers.committing();
    let outcome = tx.commit();
    drop(committing);
    outcome.map_err(|e| E::from(e.into()))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state.db")).unwrap();
        (dir, store)
    }

    fn put(tx: &Transaction<'_>, key: &str) -> Result<(), StoreError> {
        tx.execute("INSERT INTO setting(key, value) VALUES (?1, '1')", [key])?;
        Ok(())
    }

    fn count(store: &Store) -> i64 {
        store
            .read(|c| -> Result<i64, StoreError> {
                Ok(c.query_row("SELECT count(*) FROM setting", [], |r| r.get(0))?)
            })
            .unwrap()
    }

    #[test]
    fn a_committed_transaction_is_seen_by_the_next_reader() {
        let (_dir, store) = store();
        store.write(|tx| put(tx, "a")).unwrap();
        store.write_durable(|tx| put(tx, "b")).unwrap();
        assert_eq!(count(&store), 2);
    }

    #[test]
    fn a_sync_writes_each_time() {
        let (_dir, store) = store();
        store.sync().unwrap();
        store.sync().unwrap();
        let syncs = store.read(|c| -> Result<i64, StoreError> {
            let query = "SELECT CAST(value AS INTEGER) FROM setting WHERE key = 'syncs'";
            Ok(c.query_row(query, [], |r| r.get(0))?)
        });
        assert_eq!(syncs.unwrap(), 2);
    }

    #[test]
    fn a_failed_transaction_leaves_nothing() {
        let (_dir, store) = store();
        let failed: Result<(), StoreError> = store.write(|tx| {
            put(tx, "a")?;
            put(tx, "a")
        });
        assert!(failed.is_err());
        assert_eq!(count(&store), 0);
    }

    #[test]
    fn the_file_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let (dir, _store) = store();
        let mode = std::fs::metadata(dir.path().join("state.db")).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_statement_is_compiled_once_whatever_is_bound_to_it() {
        let (_dir, store) = store();
        let run = |c: &Connection| -> Result<i32, StoreError> {
            let sql = "SELECT name FROM node WHERE parent = ?1 AND ino > ?2 ORDER BY ino LIMIT ?3";
            for ino in 0..10 {
                c.prepare_cached(sql)?.query([ino, ino, ino])?.next()?;
            }
            let statement = c.prepare_cached(sql)?;
            Ok(statement.get_status(StatementStatus::RePrepare))
        };
        assert_eq!(store.read(run).unwrap(), 0);
        assert_eq!(store.write(|tx| run(tx)).unwrap(), 0);
    }

    #[test]
    fn readers_cannot_write() {
        let (_dir, store) = store();
        let refused: Result<usize, StoreError> =
            store.read(|c| Ok(c.execute("DELETE FROM setting", [])?));
        assert!(refused.is_err());
    }
}
