//! Names over listings: whatever the service lists, each entry has a name of its own here by
//! which it is found, and which leads back to it.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::time::Duration;

use proptest::prelude::*;

use super::listing::{ListedFile, ListedFolder, Listing};
use super::names::{self, LINK_SUFFIX};
use super::{Lookup, ROOT, Tree};
use crate::ids::{FileId, FolderId, Ino, Time};
use crate::store::Store;

/// Names that get into each other's way, as the service may have them.
fn name() -> impl Strategy<Value = String> {
    let stem = prop_oneof![
        Just("a"),
        Just("A"),
        Just("é"),
        Just("e\u{301}"),
        Just("a (file1)"),
        Just("a (file2)"),
        Just("a (file1-2)"),
        Just("."),
        Just(".."),
        Just("．"),
        Just("‛．"),
        Just(" "),
        Just("␠"),
        Just("a/b"),
        Just("a／b"),
        Just("a‛／b"),
        Just("a\0"),
        Just("a␀"),
        Just("\u{1}"),
        Just("␁"),
        Just("‛FF"),
    ]
    .prop_map(str::to_owned);
    let long = prop_oneof![Just("x"), Just("é"), Just("😀")].prop_map(|c| c.repeat(250));
    let ending = prop_oneof![3 => Just(""), 1 => Just(".txt"), 1 => Just(LINK_SUFFIX)];
    (prop_oneof![6 => stem, 1 => long], ending).prop_map(|(stem, ending)| stem + ending)
}

/// A folder's entries: for each its name, whether it is a folder, and its age.
fn entries() -> impl Strategy<Value = Vec<(String, bool, i64)>> {
    prop::collection::vec((name(), any::<bool>(), 0..3_i64), 0..12)
}

fn file_id(n: usize) -> FileId {
    format!("file{n}").parse().unwrap()
}

/// The listing of those entries, of which each keeps its id from listing to listing.
fn listing(entries: &[(String, bool, i64)]) -> Listing {
    let mut listing = Listing::default();
    for (n, (name, is_folder, age)) in entries.iter().enumerate() {
        let name = name.clone();
        let date = Some(Time(1_000_000_000 * (10 - age)));
        match is_folder {
            true => listing.folders.push(ListedFolder {
                id: FolderId(n as u64 + 1),
                name,
                created: date,
                protected: false,
            }),
            false => listing.files.push(ListedFile {
                id: file_id(n),
                name,
                size: 1,
                date,
                whirlpool: None,
                protected: false,
            }),
        }
    }
    listing
}

/// What is seen, by inode.
fn seen(tree: &Tree) -> HashMap<Ino, OsString> {
    let nodes = tree.children(ROOT, Ino(0), 1000).unwrap();
    let named = |node: super::Node| Some((node.ino, node.place?.name));
    nodes.into_iter().filter_map(named).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_listed_has_names_that_are_its_own_and_lead_back(
        first in entries(),
        second in entries(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::new(Store::open(&dir.path().join("db")).unwrap(), Duration::ZERO);
        for (round, entries) in [&first, &second, &second].into_iter().enumerate() {
            let now = Time(1_000_000_000 * (1_000 + 1_000 * round as i64));
            let before = seen(&tree);
            // An empty answer is believed the second time.
            tree.merge(ROOT, listing(entries), now, now).unwrap();
            tree.merge(ROOT, listing(entries), now, now).unwrap();
            let after = seen(&tree);
            prop_assert_eq!(after.len(), entries.len(), "nothing is hidden: {:?}", after);
            let names: HashSet<_> = after.values().collect();
            prop_assert_eq!(names.len(), entries.len(), "no two collide: {:?}", after);
            for (ino, name) in &after {
                prop_assert!(names::fits(name));
                let found = tree.lookup(ROOT, name).unwrap();
                prop_assert!(matches!(&found, Lookup::Exists(node) if node.ino == *ino));
            }
            if round == 2 {
                prop_assert_eq!(before, after, "names stay while nothing changes");
            }
        }
    }
}
