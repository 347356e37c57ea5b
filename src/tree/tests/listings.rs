//! What listings show, and what they are not believed.

use super::*;

#[test]
fn a_name_in_a_folder_never_listed_is_unknown_and_in_a_listed_one_gone() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    let d = bench.get(ROOT, "d").ino;
    assert_eq!(
        bench.tree.lookup(d, OsStr::new("x")).unwrap(),
        Lookup::Unknown
    );
    assert!(matches!(
        bench.tree.unlink(d, OsStr::new("x"), bench.now),
        Err(TreeError::Unlisted(_))
    ));
    bench.list(d, Listing::default());
    assert_eq!(bench.tree.lookup(d, OsStr::new("x")).unwrap(), Lookup::Gone);
}

#[test]
fn a_listing_cut_off_removes_nothing_and_leaves_names_unknown() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    let d = bench.get(ROOT, "d").ino;
    let look_up = |bench: &Bench| bench.tree.lookup(d, OsStr::new("x")).unwrap();
    let cut = |n, name| Listing {
        extent: Extent::FilesCut,
        ..listing(vec![], vec![file(n, name, 1)])
    };
    bench.list(d, cut(1, "a"));
    assert_eq!(look_up(&bench), Lookup::Unknown);
    // The name may exist there; what is made here stays all the same.
    let made = bench.create(d, "b", &NewNode::File);
    let slice = vec![file(2, "b", 9), file(3, "c", 1)];
    bench
        .tree
        .merge_slice(d, slice, bench.now, bench.now)
        .unwrap();
    assert_eq!(bench.get(d, "b").ino, made.ino);
    assert_eq!(bench.names(d), ["a", "b", "b (file2)", "c"]);
    assert_eq!(look_up(&bench), Lookup::Unknown);
    let seen = [1, 2, 3].map(file_id).into_iter().collect();
    bench
        .tree
        .complete(d, || seen, bench.now, bench.now)
        .unwrap();
    assert_eq!(look_up(&bench), Lookup::Gone);

    // Seen whole once, it is served as known while it is looked at anew.
    bench.pass(600);
    bench.list(d, cut(1, "a"));
    assert_eq!(look_up(&bench), Lookup::Gone);
    assert_eq!(bench.names(d), ["a", "b", "b (file2)", "c"]);
    let seen = [1, 3].map(file_id).into_iter().collect();
    bench
        .tree
        .complete(d, || seen, bench.now, bench.now)
        .unwrap();
    assert_eq!(bench.names(d), ["a", "b", "c"]);
}

#[test]
fn a_first_listing_is_no_news() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    let d = bench.get(ROOT, "d").ino;
    let (a, b) = (file(1, "a", 1), file(2, "b", 1));
    assert_eq!(bench.list(d, listing(vec![], vec![a.clone()])), []);
    bench.pass(60);
    let changes = bench.list(d, listing(vec![], vec![a, b]));
    assert!(matches!(&changes[..], [Change::Entry { name, .. }] if name == "b"));
}

#[test]
fn an_empty_answer_after_a_full_one_is_believed_the_second_time() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "a", 1)]));
    bench.pass(60);
    bench.list(ROOT, Listing::default());
    assert_eq!(bench.names(ROOT), ["a"]);
    assert!(matches!(
        bench.tree.node(ROOT).unwrap().unwrap().known,
        Known::Doubted(_)
    ));
    bench.pass(60);
    let changes = bench.list(ROOT, Listing::default());
    assert!(bench.names(ROOT).is_empty());
    assert!(matches!(changes[..], [Change::Gone { .. }]));
}

#[test]
fn of_two_files_of_one_name_the_newest_keeps_it() {
    let bench = Bench::new();
    bench.list(
        ROOT,
        listing(vec![], vec![file(1, "a.txt", 1), file(2, "a.txt", 2)]),
    );
    assert_eq!(bench.names(ROOT), ["a (file1).txt", "a.txt"]);
    assert_eq!(bench.get(ROOT, "a.txt").size, 2);
    bench.list(
        ROOT,
        listing(
            vec![],
            vec![
                file(1, "a.txt", 1),
                file(2, "a.txt", 2),
                file(3, "a.txt", 3),
            ],
        ),
    );
    assert_eq!(
        bench.names(ROOT),
        ["a (file1).txt", "a (file2).txt", "a.txt"]
    );
    assert_eq!(bench.get(ROOT, "a.txt").size, 3);
    // The twin gets the name back when the newer ones are gone.
    bench.list(ROOT, listing(vec![], vec![file(1, "a.txt", 1)]));
    assert_eq!(bench.names(ROOT), ["a.txt"]);
    assert_eq!(bench.get(ROOT, "a.txt").size, 1);
}

#[test]
fn a_file_replaced_behind_our_back_is_a_new_inode() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "a", 1)]));
    let old = bench.get(ROOT, "a").ino;
    bench.list(ROOT, listing(vec![], vec![file(2, "a", 2)]));
    assert_ne!(bench.get(ROOT, "a").ino, old);
    assert_eq!(bench.names(ROOT), ["a"]);
}

#[test]
fn a_file_moved_behind_our_back_keeps_its_inode() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![file(1, "a", 1)]));
    let (d, a) = (bench.get(ROOT, "d").ino, bench.get(ROOT, "a").ino);
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    bench.list(d, listing(vec![], vec![file(1, "b", 1)]));
    assert_eq!(bench.get(d, "b").ino, a);
}

#[test]
fn a_lagging_listing_neither_hides_nor_revives_what_we_did() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "old", 1)]));
    let new = bench.write(ROOT, "new", 4);
    bench.sent(new.ino, 2, 0, "new", 4);
    bench
        .tree
        .unlink(ROOT, OsStr::new("old"), bench.now)
        .unwrap();
    for task in bench.ready() {
        if let Task::Remove(removal) = task {
            bench.tree.removed(&[removal], bench.now).unwrap();
        }
    }
    bench.pass(60);
    bench.list(ROOT, listing(vec![], vec![file(1, "old", 1)]));
    assert_eq!(bench.names(ROOT), ["new"]);
    bench.pass(100);
    bench.list(ROOT, listing(vec![], vec![file(2, "new", 4)]));
    assert_eq!(bench.names(ROOT), ["new"]);
    assert_eq!(bench.get(ROOT, "new").ino, new.ino);
}

#[test]
fn a_folder_made_here_and_there_becomes_one() {
    let bench = Bench::new();
    let d = bench.create(ROOT, "d", &NewNode::Folder).ino;
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    assert_eq!(bench.names(ROOT), ["d"]);
    assert_eq!(bench.get(ROOT, "d").ino, d);
    assert!(bench.todo().is_empty());
}

#[test]
fn a_move_done_before_a_crash_is_seen_in_the_listing() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![file(1, "a", 1)]));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, Listing::default());
    bench.rename((ROOT, "a"), (d, "a")).unwrap();
    assert_eq!(bench.todo(), ["move file1 to 7"]);
    bench.list(d, listing(vec![], vec![file(1, "a", 1)]));
    assert!(bench.todo().is_empty());
    assert_eq!(bench.names(d), ["a"]);
}

#[test]
fn a_file_whose_move_is_under_way_is_not_lost_over_a_listing_of_its_old_folder() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![file(1, "a", 1)]));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, Listing::default());
    let a = bench.get(ROOT, "a").ino;
    bench.rename((ROOT, "a"), (d, "a")).unwrap();
    bench.pass(600);
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    assert_eq!(bench.names(d), ["a"]);
    bench.tree.moved(a, FolderId(7), bench.now).unwrap();
    assert!(bench.todo().is_empty(), "nothing is removed");
    assert_eq!(bench.get(d, "a").ino, a);
}

#[test]
fn what_lay_in_a_folder_that_is_made_anew_is_not_taken_to_lie_there() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d"), folder(9, "e")], vec![]));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, listing(vec![folder(8, "s")], vec![file(1, "a", 1)]));
    let s = bench.get(d, "s").ino;
    bench.list(s, Listing::default());
    bench.write(s, "new", 5);
    bench.pass(600);
    bench.list(ROOT, listing(vec![folder(9, "e")], vec![]));
    assert_eq!(bench.names(d), ["s"]);
    assert_eq!(bench.todo(), ["make 0/d"]);
    let place = |folder, name: &str| RemotePlace {
        folder,
        name: name.to_owned(),
    };
    let made = place(FolderId::ROOT, "d");
    bench.tree.made(d, FolderId(20), made, bench.now).unwrap();
    assert_eq!(bench.todo(), ["make 20/s"]);
    let made = place(FolderId(20), "s");
    bench.tree.made(s, FolderId(21), made, bench.now).unwrap();
    assert_eq!(bench.todo(), ["send 21/new 5"]);
}

#[test]
fn the_root_is_as_old_as_its_first_listing() {
    let mut bench = Bench::new();
    let first = bench.now;
    bench.pass(600);
    bench.list(ROOT, Listing::default());
    let root = bench.tree.node(ROOT).unwrap().unwrap().attributes;
    assert_eq!((root.btime, root.mtime), (first, first));
}

#[test]
fn the_root_never_vanishes() {
    let bench = Bench::new();
    bench.write(ROOT, "a", 1);
    assert!(bench.tree.vanished(ROOT).unwrap().is_empty());
    assert_eq!(bench.todo(), ["send 0/a 1"]);
}

#[test]
fn what_a_row_says_once_reads_back_after_either_half_changed() {
    let mut bench = Bench::new();
    let whirlpool = "ab".repeat(64).parse().unwrap();
    let mut plain = file(1, "plain", 1);
    plain.whirlpool = Some(whirlpool);
    bench.list(ROOT, listing(vec![], vec![plain, file(2, "q＂", 1)]));
    let there = |bench: &Bench, name: &str| {
        let node = bench.get(ROOT, name);
        node.remote.place().unwrap().name.clone()
    };
    let node = bench.get(ROOT, "plain");
    assert_eq!(node.remote_file().unwrap().whirlpool, Some(whirlpool));
    assert_eq!(there(&bench, "plain"), "plain");
    assert_eq!(there(&bench, "q\""), "q＂");
    let sent = node.attributes.mtime;
    assert_eq!((node.attributes.atime, node.attributes.btime), (sent, sent));

    // The name here changes, that there does not, until it follows.
    bench.rename((ROOT, "plain"), (ROOT, "other")).unwrap();
    assert_eq!(there(&bench, "other"), "plain");
    bench.tree.renamed(node.ino, "other", bench.now).unwrap();
    assert_eq!(there(&bench, "other"), "other");
    assert!(bench.get(ROOT, "other").pending.is_empty());

    // One time changes, the others stay.
    let change = attributes::AttributeChange {
        mtime: Some(at(5)),
        ..attributes::AttributeChange::default()
    };
    bench
        .tree
        .set_attributes(node.ino, change, bench.now)
        .unwrap();
    let times = bench.get(ROOT, "other").attributes;
    assert_eq!((times.mtime, times.atime, times.btime), (at(5), sent, sent));

    // Gone, and found again elsewhere under the name it had.
    bench.pass(600);
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![file(2, "q＂", 1)]));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, listing(vec![], vec![file(1, "other", 1)]));
    let back = bench.get(d, "other");
    assert_eq!(back.ino, node.ino);
    assert_eq!(back.remote.place().unwrap().name, "other");
}

#[test]
fn a_file_that_a_listing_showed_during_the_completion_stays() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    let d = bench.get(ROOT, "d").ino;
    let cut = |files| Listing {
        extent: Extent::FilesCut,
        ..listing(vec![], files)
    };
    bench.list(d, cut(vec![file(1, "a", 1)]));
    // What was seen is asked for when nothing can come in between any more.
    bench.list(d, cut(vec![file(2, "new", 1)]));
    let seen = || [1, 2].map(file_id).into_iter().collect();
    bench.tree.complete(d, seen, bench.now, bench.now).unwrap();
    assert_eq!(bench.names(d), ["a", "new"]);
}

#[test]
fn what_we_remove_is_not_taken_for_what_we_sent() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "f", 4)]));
    let id = file_id(1);
    assert!(
        !bench.tree.may_be_new(&id, bench.now).unwrap(),
        "a node has it"
    );
    bench.write(ROOT, "f.tmp", 4);
    let old = bench.get(ROOT, "f").ino;
    bench.rename((ROOT, "f.tmp"), (ROOT, "f")).unwrap();
    bench.tree.purge(old).unwrap();
    assert!(
        !bench.tree.may_be_new(&id, bench.now).unwrap(),
        "to be removed"
    );
    let new = bench.get(ROOT, "f").ino;
    bench.sent(new, 2, 0, "f", 4);
    let removal = removals_due(&bench);
    bench.tree.removed(&[removal], bench.now).unwrap();
    assert!(
        !bench.tree.may_be_new(&id, bench.now).unwrap(),
        "removed just now"
    );
    bench.pass(10_000);
    assert!(bench.tree.may_be_new(&id, bench.now).unwrap());
}

#[test]
fn an_answer_that_lacks_what_it_counts_is_believed_the_second_time() {
    let mut bench = Bench::new();
    let all = || vec![file(1, "a", 1), file(2, "b", 1)];
    bench.list(ROOT, listing(vec![folder(7, "d")], all()));
    let short = || Listing {
        lacks: Lacks {
            files: true,
            counted: true,
            folders: false,
        },
        ..listing(vec![folder(7, "d")], vec![file(1, "a", 1)])
    };
    bench.pass(60);
    bench.list(ROOT, short());
    assert_eq!(bench.names(ROOT), ["a", "b", "d"]);
    bench.list(ROOT, listing(vec![folder(7, "d")], all()));
    bench.list(ROOT, short());
    assert_eq!(bench.names(ROOT), ["a", "b", "d"]);
    bench.list(ROOT, short());
    assert_eq!(bench.names(ROOT), ["a", "d"]);

    // Without a list of folders, what else it shows is believed.
    let without = |extent| Listing {
        extent,
        lacks: Lacks {
            folders: true,
            ..Lacks::default()
        },
        ..listing(vec![], vec![file(3, "c", 1)])
    };
    bench.list(ROOT, without(Extent::Whole));
    assert_eq!(bench.names(ROOT), ["c", "d"]);
    bench.list(ROOT, without(Extent::Whole));
    assert_eq!(bench.names(ROOT), ["c"]);
    bench.list(ROOT, without(Extent::Whole));
    let whole = matches!(bench.get(ROOT, "c").known, Known::Never);
    assert!(whole && bench.tree.node(ROOT).unwrap().unwrap().known.is_complete());
    // In one that was cut off nothing is ever believed of them.
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    for _ in 0..3 {
        bench.list(ROOT, without(Extent::FilesCut));
    }
    assert_eq!(bench.names(ROOT), ["c", "d"]);
}

#[test]
fn a_first_answer_that_lacks_what_it_counts_leaves_names_unknown_until_another_agrees() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d"), folder(8, "e")], vec![]));
    let short = || Listing {
        lacks: Lacks {
            files: true,
            counted: true,
            folders: false,
        },
        ..listing(vec![], vec![file(1, "a", 1)])
    };
    for (name, next) in [
        ("d", short()),
        ("e", listing(vec![], vec![file(1, "a", 1), file(2, "b", 1)])),
    ] {
        let folder = bench.get(ROOT, name).ino;
        let look_up = |bench: &Bench| bench.tree.lookup(folder, OsStr::new("x")).unwrap();
        bench.list(folder, short());
        assert_eq!(look_up(&bench), Lookup::Unknown);
        assert_eq!(bench.tree.cut_off(9).unwrap(), [folder]);
        bench.pass(60);
        bench.list(folder, next);
        assert_eq!(look_up(&bench), Lookup::Gone);
        assert!(bench.tree.cut_off(9).unwrap().is_empty());
    }
    assert_eq!(bench.names(bench.get(ROOT, "e").ino), ["a", "b"]);
}

#[test]
fn an_answer_that_is_doubted_makes_no_folder_whole_that_was_not() {
    let file_names = |names: &[u64]| {
        let named = |n: &u64| file(*n, &format!("f{n}"), 1);
        listing(vec![], names.iter().map(named).collect())
    };
    let short = |names: &[u64]| Listing {
        lacks: Lacks {
            files: true,
            counted: true,
            folders: false,
        },
        ..file_names(names)
    };
    let cut = |names: &[u64]| Listing {
        extent: Extent::FilesCut,
        ..file_names(names)
    };
    // What is known at first, the odd answer, and what is there after it and after a second one.
    let cases = [
        (short(&[1, 2]), Listing::default(), vec!["f1", "f2"], vec![]),
        (cut(&[1, 2]), Listing::default(), vec!["f1", "f2"], vec![]),
        (
            short(&[1, 2]),
            short(&[2, 3]),
            vec!["f1", "f2", "f3"],
            vec!["f2", "f3"],
        ),
        (
            cut(&[1, 2]),
            short(&[2, 3]),
            vec!["f1", "f2", "f3"],
            vec!["f2", "f3"],
        ),
    ];
    for (first, odd, kept, left) in cases {
        let mut bench = Bench::new();
        bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
        let d = bench.get(ROOT, "d").ino;
        let known = |bench: &Bench| bench.tree.node(d).unwrap().unwrap().known;
        let look_up = |bench: &Bench| bench.tree.lookup(d, OsStr::new("x")).unwrap();
        bench.list(d, first);
        bench.pass(600);
        bench.list(d, odd.clone());
        assert_eq!(bench.names(d), kept);
        assert_eq!(look_up(&bench), Lookup::Unknown);
        // So that to read the folder ends in an error, and the second look comes soon.
        assert!(!known(&bench).is_complete());
        assert_eq!(known(&bench), Known::DoubtedPart(bench.now));
        assert_eq!(bench.tree.cut_off(9).unwrap(), [d]);

        bench.pass(60);
        bench.list(d, odd);
        assert_eq!(bench.names(d), left);
        assert_eq!(look_up(&bench), Lookup::Gone);
        assert!(bench.tree.cut_off(9).unwrap().is_empty());
    }
}

#[test]
fn a_doubted_answer_after_a_part_takes_nothing_that_the_next_one_shows() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    let d = bench.get(ROOT, "d").ino;
    let all = || listing(vec![], vec![file(1, "a", 1), file(2, "b", 1)]);
    let short = Listing {
        lacks: Lacks {
            files: true,
            counted: true,
            folders: false,
        },
        ..listing(vec![], vec![file(1, "a", 1)])
    };
    bench.list(d, short);
    let a = bench.get(d, "a").ino;
    bench.pass(60);
    assert_eq!(bench.list(d, Listing::default()), []);
    bench.pass(60);
    bench.list(d, all());
    assert_eq!(bench.names(d), ["a", "b"]);
    assert_eq!(bench.get(d, "a").ino, a);
    assert_eq!(bench.tree.lookup(d, OsStr::new("x")).unwrap(), Lookup::Gone);
}

#[test]
fn what_was_once_taken_for_a_link_and_holds_no_target_becomes_a_regular_file() {
    let bench = Bench::new();
    let big = || file(1, "x.rclonelink", 5000);
    let link = || file(2, "y.rclonelink", 10);
    let all = || listing(vec![], vec![big(), link()]);
    bench.list(ROOT, all());
    // As an earlier version had it.
    let made_link = bench.tree.store.write(|tx| {
        let change = "UPDATE node SET kind = 3, name = CAST('x' AS BLOB), rname = 'x.rclonelink'
             WHERE rid = 'file1'";
        Ok::<_, TreeError>(tx.execute(change, [])?)
    });
    assert_eq!(made_link.unwrap(), 1);
    let old = bench.get(ROOT, "x");
    let y = bench.get(ROOT, "y").ino;
    assert_eq!(old.kind, Kind::Symlink);

    let changes = bench.list(ROOT, all());
    let gone = |change: &Change| matches!(change, Change::Gone { child, .. } if *child == old.ino);
    assert!(changes.iter().any(gone));
    assert_eq!(bench.names(ROOT), ["x.rclonelink", "y"]);
    let new = bench.get(ROOT, "x.rclonelink");
    assert_eq!((new.kind, new.size), (Kind::File, 5000));
    assert_ne!(new.ino, old.ino);
    assert_eq!(bench.get(ROOT, "y").ino, y, "a link stays what it is");
    assert!(bench.todo().is_empty());
    // It is one from then on.
    assert_eq!(bench.list(ROOT, all()), []);
    assert_eq!(bench.get(ROOT, "x.rclonelink").ino, new.ino);
}
