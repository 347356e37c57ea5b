//! Folders as values, to be compared: of the disk, of a mount, of the account.

use super::World;
use fichierfs::sim::EntryKind;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use whirlpool::{Digest, Whirlpool};

/// How symbolic links are kept in the account, as rclone does it.
const LINK_SUFFIX: &str = ".rclonelink";

/// How many differences are shown.
const SHOWN: usize = 20;

/// Something in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A folder.
    Folder,
    /// A file, by size and digest.
    File(u64, String),
    /// A symbolic link, by target.
    Link(String),
}

/// Everything below a folder, by path.
pub type Tree = BTreeMap<String, Item>;

/// A folder of the disk or of a mount, read completely.
pub fn local(folder: &Path) -> Tree {
    let mut tree = Tree::new();
    for entry in walkdir::WalkDir::new(folder).min_depth(1) {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(folder).unwrap();
        let kind = entry.file_type();
        let item = if kind.is_dir() {
            Item::Folder
        } else if kind.is_symlink() {
            let target = fs::read_link(entry.path()).unwrap();
            Item::Link(target.to_str().unwrap().to_owned())
        } else {
            let (size, digest) = digest(entry.path());
            Item::File(size, digest)
        };
        tree.insert(path.to_str().unwrap().to_owned(), item);
    }
    tree
}

/// Size and digest of a file.
pub fn digest(path: &Path) -> (u64, String) {
    let mut file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut hasher = Whirlpool::new();
    let mut buffer = vec![0; 1 << 20];
    let mut size = 0;
    loop {
        let read = file
            .read(&mut buffer)
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        if read == 0 {
            return (size, hex::encode(hasher.finalize()));
        }
        size += read as u64;
        hasher.update(&buffer[..read]);
    }
}

/// The account, as it truly is behind the service. Two entries of one path are a failure.
pub fn account(world: &World) -> Tree {
    let account = world.account();
    let mut tree = Tree::new();
    for entry in account.entries() {
        let mut path = entry.path.trim_start_matches('/').to_owned();
        let item = match entry.kind {
            EntryKind::Folder => Item::Folder,
            EntryKind::File => match path.strip_suffix(LINK_SUFFIX) {
                Some(link) => {
                    path = link.to_owned();
                    let target = account.content_of(&entry.id).unwrap();
                    Item::Link(String::from_utf8(target).unwrap())
                }
                None => {
                    // Of the bytes, not of what somebody said about them.
                    let digest = account.whirlpool_of(&entry.id).unwrap();
                    Item::File(entry.size.unwrap(), digest)
                }
            },
        };
        let twice = tree.insert(path, item);
        assert!(twice.is_none(), "twice in the account: {}", entry.path);
    }
    tree
}

/// A tree as the service can have it: without empty files, which stay with us.
pub fn without_empty_files(mut tree: Tree) -> Tree {
    tree.retain(|_, item| !matches!(item, Item::File(0, _)));
    tree
}

/// What differs, in words; nothing if nothing does.
pub fn differences(expected: &Tree, found: &Tree) -> Vec<String> {
    let mut all = Vec::new();
    for (path, item) in expected {
        match found.get(path) {
            None => all.push(format!("missing: {path} ({item:?})")),
            Some(other) if other != item => {
                all.push(format!("{path}: expected {item:?}, found {other:?}"));
            }
            Some(_) => {}
        }
    }
    let unexpected = found
        .iter()
        .filter(|(path, _)| !expected.contains_key(*path));
    all.extend(unexpected.map(|(path, item)| format!("unexpected: {path} ({item:?})")));
    all
}

/// Fails with the differences.
pub fn assert_same(what: &str, expected: &Tree, found: &Tree) {
    let all = differences(expected, found);
    let shown = all.iter().take(SHOWN).cloned().collect::<Vec<_>>();
    assert!(
        all.is_empty(),
        "{what}: {} differences:\n{}",
        all.len(),
        shown.join("\n")
    );
}

/// Fails unless the account has exactly the files of a folder.
pub fn assert_account_is(world: &World, folder: &Path) {
    let expected = without_empty_files(local(folder));
    assert_same("the account", &expected, &account(world));
}
