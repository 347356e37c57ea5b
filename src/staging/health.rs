//! Compares the staging folder with the database, without changing either.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::data_file::DataFile;
use super::{StagingError, rows};
use crate::store;

/// What does not fit together.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Mismatch {
    /// Data files that the database counts on and that are not there: their content is
    /// lost.
    pub missing: Vec<PathBuf>,
    /// Data files that no closed version needs: of files that are open or, where no
    /// daemon runs, bytes that were never closed.
    pub unclaimed: Vec<PathBuf>,
}

/// Compares the folder `dir` with the database at `database`.
///
/// # Errors
/// Where either cannot be read.
pub fn compare(database: &Path, dir: &Path) -> Result<Mismatch, StagingError> {
    let connection = store::look(database)?;
    // First the rows: a file goes only after its row.
    let wanted: BTreeSet<_> = rows::data_files(&connection)?.into_iter().collect();
    let found: BTreeSet<_> = DataFile::numbers_in(dir)?.into_iter().collect();
    let path = |number: &super::FileNumber| DataFile::path_in(dir, *number);
    Ok(Mismatch {
        missing: wanted.difference(&found).map(path).collect(),
        unclaimed: found.difference(&wanted).map(path).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn a_file_without_row_and_a_row_without_file_are_told() {
        let home = tempfile::tempdir().unwrap();
        let (database, dir) = (home.path().join("db"), home.path().join("staging"));
        std::fs::create_dir(&dir).unwrap();
        let store = Store::open(&database).unwrap();
        let insert = "INSERT INTO node (ino, parent, name, kind, atime, mtime, ctime, btime)
                      VALUES (9, 1, x'61', 2, 0, 0, 0, 0);
             INSERT INTO staged (ino, data_file, version, size, map, data_bytes, saved_at)
                      VALUES (9, 4, 1, 1, x'', 1, 0)";
        let done: Result<(), StagingError> = store.write(|tx| Ok(tx.execute_batch(insert)?));
        done.unwrap();
        std::fs::write(dir.join("5.data"), "x").unwrap();
        let mismatch = compare(&database, &dir).unwrap();
        assert_eq!(mismatch.missing, [dir.join("4.data")]);
        assert_eq!(mismatch.unclaimed, [dir.join("5.data")]);
        std::fs::rename(dir.join("5.data"), dir.join("4.data")).unwrap();
        assert_eq!(compare(&database, &dir).unwrap(), Mismatch::default());
    }
}
