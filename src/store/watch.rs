//! Who keeps rows of a table in memory is told of each change to them.
//!
//! SQLite itself says which rows a transaction inserts, updates or deletes, also by triggers and
//! foreign keys, so that no statement can forget to. It says nothing of tables `WITHOUT ROWID`, of
//! `DELETE` without a condition where there are no triggers, and of what `REPLACE` takes away.

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rusqlite::Connection;

use super::StoreError;

/// Keeps rows of a table. Both calls come from within a door, so they must not go through one.
pub trait Watch: Send + Sync {
    /// A transaction that touched these rows is about to be committed. Who reads them through a
    /// door may find them either way from now on.
    fn committing(&self, rows: &HashSet<i64>);

    /// It was, or it came to nothing: who comes through a door from now on finds them as they are.
    fn committed(&self);
}

/// Those who are told, and what they are to be told of the transaction that is open.
#[derive(Clone, Default)]
pub(super) struct Watchers {
    list: Arc<Mutex<Vec<Watcher>>>,
}

struct Watcher {
    table: &'static str,
    watch: Weak<dyn Watch>,
    touched: HashSet<i64>,
}

impl Watchers {
    /// Hears of what this connection changes.
    pub(super) fn listen(&self, connection: &mut Connection) -> Result<(), StoreError> {
        let watchers = self.clone();
        let touched = move |_, _: &str, table: &str, row| {
            let mut list = watchers.list.lock();
            for watcher in list.iter_mut().filter(|watcher| watcher.table == table) {
                watcher.touched.insert(row);
            }
        };
        Ok(connection.update_hook(Some(touched))?)
    }

    /// One more is told, until it is dropped. No transaction may be open.
    pub(super) fn add(&self, table: &'static str, watch: Weak<dyn Watch>) {
        let mut list = self.list.lock();
        list.retain(|watcher| watcher.watch.strong_count() > 0);
        list.push(Watcher {
            table,
            watch,
            touched: HashSet::new(),
        });
    }

    /// The open transaction was rolled back.
    pub(super) fn forget(&self) {
        for watcher in self.list.lock().iter_mut() {
            watcher.touched.clear();
        }
    }

    /// The open transaction is about to be committed; what this gives is held until it is.
    pub(super) fn committing(&self) -> Committing {
        let mut told = Vec::new();
        for watcher in self.list.lock().iter_mut() {
            let touched = std::mem::take(&mut watcher.touched);
            if !touched.is_empty()
                && let Some(watch) = watcher.watch.upgrade()
            {
                told.push((watch, touched));
            }
        }
        for (watch, touched) in &told {
            watch.committing(touched);
        }
        Committing(told.into_iter().map(|(watch, _)| watch).collect())
    }
}

/// A transaction is being committed. The end of this says that it was, or came to nothing.
pub(super) struct Committing(Vec<Arc<dyn Watch>>);

impl Drop for Committing {
    fn drop(&mut self) {
        for watch in &self.0 {
            watch.committed();
        }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Transaction;

    use super::*;
    use crate::store::Store;

    #[derive(Debug, PartialEq, Eq)]
    enum Told {
        Committing(Vec<i64>),
        Committed,
    }

    #[derive(Default)]
    struct Ear(Mutex<Vec<Told>>);

    impl Watch for Ear {
        fn committing(&self, rows: &HashSet<i64>) {
            let mut rows: Vec<i64> = rows.iter().copied().collect();
            rows.sort_unstable();
            self.0.lock().push(Told::Committing(rows));
        }

        fn committed(&self) {
            self.0.lock().push(Told::Committed);
        }
    }

    /// A store with the root (1), a folder in it (2) and a file in that (3), and who hears of nodes.
    fn store() -> (tempfile::TempDir, Store, Arc<Ear>) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state.db")).unwrap();
        let ear = Arc::new(Ear::default());
        let heard: Arc<dyn Watch> = ear.clone();
        store.watch("node", &heard);
        let add = "INSERT INTO node (parent, name, kind, atime, mtime, ctime, btime)";
        sql(&store, &format!("{add} VALUES (1, x'64', 1, 0, 0, 0, 0)"));
        sql(&store, &format!("{add} VALUES (2, x'66', 2, 0, 0, 0, 0)"));
        ear.0.lock().clear();
        (dir, store, ear)
    }

    fn try_sql(store: &Store, sql: &str) -> Result<(), StoreError> {
        store.write(|tx: &Transaction<'_>| Ok(tx.execute_batch(sql)?))
    }

    fn sql(store: &Store, sql: &str) {
        try_sql(store, sql).unwrap();
    }

    fn heard(ear: &Ear) -> Vec<Told> {
        std::mem::take(&mut *ear.0.lock())
    }

    fn of(rows: &[i64]) -> Vec<Told> {
        vec![Told::Committing(rows.to_vec()), Told::Committed]
    }

    #[test]
    fn each_row_that_a_commit_touched_is_told_whatever_touched_it() {
        let (_dir, store, ear) = store();
        sql(&store, "UPDATE node SET size = 5 WHERE ino = 3");
        assert_eq!(heard(&ear), of(&[3]));
        // The triggers count the names of both folders.
        sql(&store, "UPDATE node SET parent = 1 WHERE ino = 3");
        assert_eq!(heard(&ear), of(&[1, 2, 3]));
        sql(&store, "DELETE FROM node WHERE ino = 3");
        assert_eq!(heard(&ear), of(&[1, 3]));
    }

    #[test]
    fn other_tables_and_what_was_rolled_back_are_not_told() {
        let (_dir, store, ear) = store();
        sql(&store, "INSERT INTO pin (ino) VALUES (3)");
        let both = "UPDATE node SET size = 5 WHERE ino = 3; INSERT INTO pin (ino) VALUES (3)";
        try_sql(&store, both).unwrap_err();
        assert_eq!(heard(&ear), []);
        sql(&store, "UPDATE node SET size = 5 WHERE ino = 2");
        assert_eq!(heard(&ear), of(&[2]));
    }

    #[test]
    fn a_commit_that_fails_is_told_as_over() {
        let (_dir, store, ear) = store();
        // Looked at by the commit.
        let orphan = "PRAGMA defer_foreign_keys = 1; UPDATE node SET parent = 99 WHERE ino = 3";
        try_sql(&store, orphan).unwrap_err();
        assert_eq!(heard(&ear), of(&[2, 3]));
        sql(&store, "UPDATE node SET size = 5 WHERE ino = 3");
        assert_eq!(heard(&ear), of(&[3]));
    }

    #[test]
    fn who_is_gone_is_told_nothing() {
        let (_dir, store, ear) = store();
        drop(ear);
        sql(&store, "UPDATE node SET size = 5 WHERE ino = 3");
    }
}
