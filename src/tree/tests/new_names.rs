//! Folders not known whole in which names that were not seen count as new.

use super::super::node::Access;
use super::*;

/// Folder `d` of the root, of which a part was listed, and the bench.
fn half_seen(files: Vec<ListedFile>) -> (Bench, Ino) {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d"), folder(8, "e")], vec![]));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, cut(files));
    (bench, d)
}

fn cut(files: Vec<ListedFile>) -> Listing {
    Listing {
        extent: Extent::FilesCut,
        ..listing(vec![], files)
    }
}

fn look_up(bench: &Bench, folder: Ino, name: &str) -> Lookup {
    bench.tree.lookup(folder, OsStr::new(name)).unwrap()
}

fn slice(bench: &Bench, folder: Ino, files: Vec<ListedFile>) {
    let merged = bench
        .tree
        .merge_slice(folder, files, bench.now, bench.now)
        .unwrap();
    // The kernel may have been told that they are not there.
    assert!(matches!(merged[..], [Change::Entry { .. }, ..]));
}

fn complete(bench: &Bench, folder: Ino, files: impl IntoIterator<Item = u64>) {
    let seen = files.into_iter().map(file_id).collect();
    bench
        .tree
        .complete(folder, || seen, bench.now, bench.now)
        .unwrap();
}

#[test]
fn names_not_seen_count_as_new_where_the_user_says_so_until_the_folder_is_whole() {
    let (bench, d) = half_seen(vec![file(1, "a", 1)]);
    let e = bench.get(ROOT, "e").ino;
    bench.list(e, cut(vec![file(3, "c", 1)]));
    assert_eq!(look_up(&bench, d, "x"), Lookup::Unknown);
    bench.tree.allow_new(d).unwrap();
    assert_eq!(look_up(&bench, d, "x"), Lookup::New);
    assert_eq!(look_up(&bench, e, "x"), Lookup::Unknown, "another folder");
    assert!(bench.tree.allows_new(d).unwrap() && !bench.tree.allows_new(e).unwrap());
    // Nothing is claimed of what is there, and the folder is not taken for an empty one.
    assert!(matches!(look_up(&bench, d, "a"), Lookup::Exists(_)));
    let unlisted = |outcome| matches!(outcome, Err(TreeError::Unlisted(at)) if at == d);
    let x = OsStr::new("x");
    assert!(unlisted(bench.tree.unlink(d, x, bench.now)));
    assert!(unlisted(bench.tree.rmdir(d, x, bench.now)));
    bench.tree.unlink(d, OsStr::new("a"), bench.now).unwrap();
    assert!(unlisted(bench.tree.rmdir(ROOT, OsStr::new("d"), bench.now)));
    // It lasts over restarts, and can be taken back.
    let again = Tree::new(bench.tree.store.clone(), LAG);
    assert_eq!(again.lookup(d, x).unwrap(), Lookup::New);
    bench.tree.disallow_new(d).unwrap();
    assert_eq!(look_up(&bench, d, "x"), Lookup::Unknown);
    bench.tree.allow_new(d).unwrap();
    bench.tree.allow_new(d).unwrap();
    slice(&bench, d, vec![file(2, "x", 1)]);
    assert!(matches!(look_up(&bench, d, "x"), Lookup::Exists(_)));
    assert_eq!(look_up(&bench, d, "y"), Lookup::New);
    complete(&bench, d, [2]);
    assert_eq!(look_up(&bench, d, "y"), Lookup::Gone);
    assert!(!bench.tree.allows_new(d).unwrap(), "forgotten");
}

#[test]
fn whatever_a_folder_lacks_it_is_forgotten_once_the_second_answer_agrees() {
    let lacking = |files| Listing {
        lacks: Lacks {
            files: true,
            counted: true,
            folders: false,
        },
        ..listing(vec![], files)
    };
    let a = || vec![file(1, "a", 1)];
    // The second of one that is known by a part is asked for once more.
    let cases = [
        (lacking(a()), lacking(a()), false),
        (cut(a()), Listing::default(), true),
    ];
    for (first, next, once_more) in cases {
        let mut bench = Bench::new();
        bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
        let d = bench.get(ROOT, "d").ino;
        bench.list(d, first);
        bench.tree.allow_new(d).unwrap();
        assert_eq!(look_up(&bench, d, "x"), Lookup::New);
        bench.pass(600);
        bench.list(d, next.clone());
        if once_more {
            assert_eq!(look_up(&bench, d, "x"), Lookup::New);
            bench.pass(60);
            bench.list(d, next);
        }
        assert_eq!(look_up(&bench, d, "x"), Lookup::Gone);
        assert!(!bench.tree.allows_new(d).unwrap());
    }
}

#[test]
fn where_nothing_was_seen_or_all_or_nothing_can_be_made_it_is_not_kept() {
    let bench = Bench::new();
    let folders = vec![folder(7, "never"), folder(8, "whole"), folder(9, "closed")];
    bench.list(ROOT, listing(folders, vec![file(1, "file", 1)]));
    let [never, whole, closed, file] =
        ["never", "whole", "closed", "file"].map(|name| bench.get(ROOT, name).ino);
    let allow = |folder| bench.tree.allow_new(folder);
    assert!(matches!(allow(never), Err(TreeError::Unlisted(at)) if at == never));
    bench.list(whole, Listing::default());
    allow(whole).unwrap();
    let shared = Listing {
        access: Some(Access::Reading),
        ..cut(vec![])
    };
    bench.list(closed, shared);
    assert!(matches!(allow(closed), Err(TreeError::ReadOnly)));
    assert!(matches!(allow(file), Err(TreeError::NotFolder)));
    assert!(matches!(allow(Ino(999)), Err(TreeError::NotFound)));
    for folder in [never, whole, closed, file] {
        assert!(!bench.tree.allows_new(folder).unwrap());
    }
    assert_eq!(look_up(&bench, never, "x"), Lookup::Unknown);
    assert_eq!(look_up(&bench, closed, "x"), Lookup::Unknown);
}

#[test]
fn what_was_made_under_a_name_that_turns_up_is_kept_beside_it_and_a_folder_becomes_that_one() {
    let (mut bench, d) = half_seen(vec![file(1, "a", 1)]);
    bench.tree.allow_new(d).unwrap();
    let sent = bench.write(d, "b", 4);
    bench.sent(sent.ino, 20, 7, "b", 4);
    let unsent = bench.write(d, "c", 5);
    let moved = bench.write(ROOT, "elsewhere", 6);
    bench.rename((ROOT, "elsewhere"), (d, "e")).unwrap();
    let made = bench.create(d, "sub", &NewNode::Folder);
    // A name that one of the twins will want.
    bench.create(d, "c (file3)", &NewNode::File);
    let there = vec![file(2, "b", 9), file(3, "c", 9), file(4, "e", 9)];
    slice(&bench, d, there.clone());
    for (name, ino) in [("b", sent.ino), ("c", unsent.ino), ("e", moved.ino)] {
        assert_eq!(bench.get(d, name).ino, ino, "{name}");
    }
    let names = bench.names(d);
    for twin in ["b (file2)", "e (file4)"] {
        assert!(names.contains(&twin.to_owned()), "{names:?}");
    }
    assert_eq!(names.len(), 9, "{names:?}");
    bench.pass(600);
    let all = [there, vec![file(1, "a", 1), file(20, "b", 4)]].concat();
    bench.list(
        d,
        Listing {
            folders: vec![folder(30, "sub")],
            ..cut(all)
        },
    );
    let sub = bench.get(d, "sub");
    assert_eq!((sub.ino, sub.folder_id()), (made.ino, Some(FolderId(30))));
    complete(&bench, d, [1, 2, 3, 4, 20]);
    assert_eq!(bench.names(d), names);
}

#[test]
fn a_folder_takes_a_name_not_seen_only_where_all_sub_folders_are_shown() {
    // No word of sub-folders, as of a folder that has none.
    let silent = || Listing {
        lacks: Lacks {
            folders: true,
            ..Lacks::default()
        },
        ..cut(vec![])
    };
    let (bench, d) = half_seen(vec![]);
    bench.list(d, silent());
    bench.create(d, "made", &NewNode::Folder);

    let cases = [
        (Extent::FilesCut, false, true),
        (Extent::FilesCut, true, false),
        (Extent::Cut, false, false),
    ];
    for (extent, then_silent, takes) in cases {
        let (bench, d) = half_seen(vec![]);
        let part = Listing {
            extent,
            ..listing(vec![folder(20, "seen"), folder(21, "empty")], vec![])
        };
        bench.list(d, part);
        if then_silent {
            bench.list(d, silent());
        }
        bench.list(bench.get(d, "empty").ino, Listing::default());
        let mine = bench.create(ROOT, "mine", &NewNode::Folder).ino;
        for allowed in [false, true] {
            if allowed {
                bench.tree.allow_new(d).unwrap();
            }
            let holds = |outcome: Result<(), TreeError>| {
                let unlisted = matches!(outcome, Err(TreeError::Unlisted(at)) if at == d);
                assert!(unlisted || outcome.is_ok(), "{outcome:?}");
                assert_eq!(
                    outcome.is_ok(),
                    takes,
                    "{extent:?}, {then_silent}, {allowed}"
                );
            };
            let name = |what: &str| format!("{what} {allowed}");
            let folder = NewNode::Folder;
            holds(bench.try_create(d, &name("made"), &folder).map(drop));
            holds(bench.rename((ROOT, "mine"), (d, &name("moved"))).map(drop));
            if takes {
                bench.rename((d, &name("moved")), (ROOT, "mine")).unwrap();
            }
            holds(bench.rename((d, "seen"), (d, &name("named"))).map(drop));
            if takes {
                bench.rename((d, &name("named")), (d, "seen")).unwrap();
            }
            bench.write(d, &name("file"), 1);
            let link = NewNode::Symlink("target".into());
            bench.create(d, &name("link"), &link);
            let file = bench.write(ROOT, "file", 2).ino;
            bench.rename((ROOT, "file"), (d, &name("brought"))).unwrap();
            assert_eq!(bench.get(d, &name("brought")).ino, file);
        }
        // A name that is seen can be taken over.
        bench.rename((ROOT, "mine"), (d, "empty")).unwrap();
        assert_eq!(bench.get(d, "empty").ino, mine);
    }
}

#[test]
fn where_others_share_it_for_reading_since_names_stay_unknown() {
    let (mut bench, d) = half_seen(vec![file(1, "a", 1)]);
    bench.tree.allow_new(d).unwrap();
    for (access, expected) in [
        (Access::Reading, Lookup::Unknown),
        (Access::Changes, Lookup::New),
    ] {
        bench.pass(600);
        let shared = Listing {
            access: Some(access),
            ..cut(vec![file(1, "a", 1)])
        };
        bench.list(d, shared);
        assert_eq!(bench.tree.allows_new(d).unwrap(), expected == Lookup::New);
        assert_eq!(look_up(&bench, d, "x"), expected);
    }
    // It can be taken back all the same.
    bench.tree.disallow_new(d).unwrap();
    assert_eq!(look_up(&bench, d, "x"), Lookup::Unknown);
}
