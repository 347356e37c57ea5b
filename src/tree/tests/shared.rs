//! What others share, and what is named as shared.

use super::super::node::Access;
use super::*;

/// The folder of what is shared, in which `folders` are named.
fn name(bench: &Bench, folders: Vec<ListedFolder>) -> Ino {
    let shared = bench.tree.by_folder_id(FolderId::shared()).unwrap();
    let shared = shared.unwrap().ino;
    granted(bench, shared, Access::Reading, folders);
    shared
}

fn granted(bench: &Bench, folder: Ino, access: Access, folders: Vec<ListedFolder>) {
    let listing = Listing {
        access: Some(access),
        ..listing(folders, vec![])
    };
    bench
        .tree
        .merge(folder, listing, bench.now, bench.now)
        .unwrap();
}

/// The root, with the folder of what is shared.
fn root(folders: &[ListedFolder]) -> Vec<ListedFolder> {
    let shared = folder(FolderId::shared().0, "Shared with me");
    [&[shared], folders].concat()
}

fn above(bench: &Bench, id: u64) -> Option<Ino> {
    let node = bench.tree.by_folder_id(FolderId(id)).unwrap();
    Some(node?.place?.parent)
}

#[test]
fn a_folder_of_ones_own_stays_where_it_is_though_it_is_named_as_shared() {
    let bench = Bench::new();
    bench.list(ROOT, listing(root(&[folder(8, "docs")]), vec![]));
    for _ in 0..2 {
        name(&bench, vec![folder(8, "Named")]);
        assert_eq!(above(&bench, 8), Some(ROOT));
        bench.list(ROOT, listing(root(&[folder(8, "docs")]), vec![]));
        assert_eq!(above(&bench, 8), Some(ROOT));
    }
}

#[test]
fn named_before_it_was_seen_it_goes_to_its_place_once_it_is() {
    let bench = Bench::new();
    bench.list(ROOT, listing(root(&[]), vec![]));
    let shared = name(&bench, vec![folder(8, "Named")]);
    assert_eq!(above(&bench, 8), Some(shared));
    bench.list(ROOT, listing(root(&[folder(8, "docs")]), vec![]));
    assert_eq!(above(&bench, 8), Some(ROOT));
    name(&bench, vec![folder(8, "Named")]);
    assert_eq!(above(&bench, 8), Some(ROOT));
}

#[test]
fn a_folder_of_another_shows_where_it_is_named_whoever_lists_it() {
    let bench = Bench::new();
    bench.list(ROOT, listing(root(&[]), vec![]));
    let all = || vec![folder(7, "Films"), folder(8, "Deep")];
    let shared = name(&bench, vec![folder(7, "Films")]);
    let films = bench.get(shared, "Films").ino;
    granted(&bench, films, Access::Reading, vec![folder(8, "deep")]);
    assert_eq!(above(&bench, 8), Some(films));
    for _ in 0..2 {
        name(&bench, all());
        assert_eq!(above(&bench, 8), Some(shared));
        granted(&bench, films, Access::Reading, vec![folder(8, "deep")]);
        assert_eq!(above(&bench, 8), Some(shared));
    }
}

#[test]
fn a_right_to_changes_that_is_withdrawn_is_withdrawn_below_too() {
    let bench = Bench::new();
    bench.list(ROOT, listing(root(&[]), vec![]));
    let shared = name(&bench, vec![folder(7, "Work")]);
    let work = bench.get(shared, "Work").ino;
    granted(&bench, work, Access::Changes, vec![folder(8, "more")]);
    let more = bench.get(work, "more").ino;
    granted(&bench, more, Access::Changes, vec![folder(9, "deeper")]);
    let deeper = bench.get(more, "deeper").ino;
    granted(&bench, deeper, Access::Changes, vec![]);
    let make = |name: &str| {
        let made = bench.tree.create(
            deeper,
            OsStr::new(name),
            &NewNode::Folder,
            |_| Ownership::default(),
            bench.now,
            |_| (),
        );
        made.map(|_| ())
    };
    make("a").unwrap();
    granted(&bench, work, Access::Reading, vec![folder(8, "more")]);
    assert!(matches!(make("b"), Err(TreeError::ReadOnly)));
    // As its own listing says.
    granted(&bench, more, Access::Changes, vec![folder(9, "deeper")]);
    let access = |ino| bench.tree.node(ino).unwrap().unwrap().access;
    assert_eq!(
        (access(work), access(more)),
        (Access::Reading, Access::Changes)
    );
}
