//! Content on its way to the service.

use super::*;

#[test]
fn a_new_file_waits_for_its_folder_and_is_sent_under_its_latest_name() {
    let bench = Bench::new();
    let d = bench.create(ROOT, "d", &NewNode::Folder).ino;
    let f = bench.write(d, ".tmp", 5);
    bench.rename((d, ".tmp"), (d, "final")).unwrap();
    assert_eq!(bench.todo(), ["make 0/d"]);
    let place = RemotePlace {
        folder: FolderId::ROOT,
        name: "d".into(),
    };
    bench.tree.made(d, FolderId(7), place, bench.now).unwrap();
    assert_eq!(bench.todo(), ["send 7/final 5"]);
    bench.sent(f.ino, 1, 7, "final", 5);
    assert!(bench.todo().is_empty());
}

#[test]
fn a_temporary_file_that_came_and_went_costs_no_call() {
    let bench = Bench::new();
    let d = bench.create(ROOT, "d", &NewNode::Folder).ino;
    bench.write(d, "tmp", 5);
    bench.tree.unlink(d, OsStr::new("tmp"), bench.now).unwrap();
    bench.tree.rmdir(ROOT, OsStr::new("d"), bench.now).unwrap();
    assert!(bench.todo().is_empty());
    assert!(bench.tree.backlog().unwrap().is_drained());
}

#[test]
fn content_of_an_open_file_waits_until_it_is_closed_or_found_at_the_next_start() {
    let bench = Bench::new();
    let f = bench.write(ROOT, "a", 5);
    let hold = |tx: &rusqlite::Transaction<'_>| -> Result<(), TreeError> {
        Ok(journal::content_due(tx, f.ino, journal::WHILE_OPEN)?)
    };
    bench.tree.store.write(hold).unwrap();
    bench.tree.hurry(None).unwrap();
    assert!(bench.todo().is_empty());
    assert_eq!(bench.tree.next_due(bench.now).unwrap(), None);
    assert!(!bench.tree.backlog().unwrap().is_drained());
    bench.tree.nothing_is_open(bench.now).unwrap();
    assert_eq!(bench.todo(), ["send 0/a 5"]);
}

#[test]
fn unsent_content_outlives_the_file_and_its_folder_on_the_service() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d"), folder(9, "e")], vec![]));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, listing(vec![], vec![file(1, "a", 1)]));
    bench.write(d, "a", 9);
    bench.pass(600);
    bench.list(ROOT, listing(vec![folder(9, "e")], vec![]));
    assert_eq!(bench.names(ROOT), ["d", "e"]);
    assert_eq!(bench.todo(), ["make 0/d"]);
}

#[test]
fn an_unlinked_file_whose_upload_ends_is_removed_there() {
    let bench = Bench::new();
    let f = bench.write(ROOT, "a", 9);
    bench.tree.unlink(ROOT, OsStr::new("a"), bench.now).unwrap();
    bench.sent(f.ino, 1, 0, "a", 9);
    assert_eq!(bench.todo(), ["remove file1"]);
}

#[test]
fn an_emptied_file_lives_here_and_goes_there() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "a", 1)]));
    let a = bench.write(ROOT, "a", 0);
    assert_eq!(bench.todo(), ["empty"]);
    bench.tree.emptied(a.ino, bench.now).unwrap();
    assert_eq!(bench.todo(), ["remove file1"]);
    assert_eq!(bench.names(ROOT), ["a"]);
}

#[test]
fn a_file_that_vanished_while_it_was_written_is_back_when_it_is_closed() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d"), folder(9, "e")], vec![]));
    let d = bench.get(ROOT, "d").ino;
    let with_sub = listing(vec![folder(8, "s")], vec![file(1, "a", 1), file(2, "b", 1)]);
    bench.list(d, with_sub);
    let (a, s) = (bench.get(d, "a").ino, bench.get(d, "s").ino);
    bench.pass(600);
    // The file first, then the folder it was in.
    let without_a = listing(vec![folder(8, "s")], vec![file(2, "b", 1)]);
    bench.list(d, without_a);
    bench.list(ROOT, listing(vec![folder(9, "e")], vec![]));
    assert_eq!(bench.names(ROOT), ["e"]);
    let refused = bench.tree.create(
        s,
        OsStr::new("x"),
        &NewNode::File,
        |_| Ownership::default(),
        bench.now,
        |_| (),
    );
    assert!(matches!(refused, Err(TreeError::NotFound)));
    // Somebody takes the name meanwhile.
    bench.create(ROOT, "d", &NewNode::Folder);
    bench.close(a, 9);
    let back = format!("d ({d})");
    assert_eq!(bench.names(ROOT), ["d", &back, "e"]);
    assert_eq!(bench.names(bench.get(ROOT, &back).ino), ["a"]);
    assert_eq!(bench.todo(), ["make 0/d", &format!("make 0/{back}")]);
    let place = RemotePlace {
        folder: FolderId::ROOT,
        name: back,
    };
    bench.tree.made(d, FolderId(20), place, bench.now).unwrap();
    assert_eq!(bench.todo(), ["make 0/d", "send 20/a 9"]);
}

#[test]
fn a_file_that_was_unlinked_while_it_was_written_does_not_come_back() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "a", 1)]));
    let a = bench.get(ROOT, "a").ino;
    bench.tree.unlink(ROOT, OsStr::new("a"), bench.now).unwrap();
    bench.close(a, 9);
    assert_eq!(bench.todo(), ["remove file1"]);
    assert!(bench.names(ROOT).is_empty());
    // Even if the service refuses to remove it: that is another inode then.
    let [Task::Remove(removal)] = &bench.ready()[..] else {
        panic!();
    };
    bench.tree.give_up_removal(removal).unwrap();
    bench.list(ROOT, listing(vec![], vec![file(1, "a", 1)]));
    assert_ne!(bench.get(ROOT, "a").ino, a);
}

#[test]
fn an_unlinked_file_is_forgotten_once_its_upload_is_settled() {
    let bench = Bench::new();
    let f = bench.write(ROOT, "a", 9);
    bench.begin_upload(f.ino, 0, "a", 9);
    bench.tree.unlink(ROOT, OsStr::new("a"), bench.now).unwrap();
    assert!(!bench.tree.purge(f.ino).unwrap());
    assert!(bench.tree.node(f.ino).unwrap().is_some());
    bench.sent(f.ino, 1, 0, "a", 9);
    assert!(bench.tree.node(f.ino).unwrap().is_none());
    assert_eq!(bench.todo(), ["remove file1"]);
}

#[test]
fn what_waits_for_something_that_failed_for_good_does_not_hold_up_the_rest() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "doc", 3)]));
    let d = bench.create(ROOT, "d", &NewNode::Folder).ino;
    bench.write(d, "in d", 1);
    bench.create(d, "sub", &NewNode::Folder);
    let tmp = bench.write(ROOT, "tmp", 4);
    bench.rename((ROOT, "tmp"), (ROOT, "doc")).unwrap();
    bench.tree.park(d, "a name").unwrap();
    bench.tree.park(tmp.ino, "too large").unwrap();
    let backlog = bench.tree.backlog().unwrap();
    // The folder, what is in it, the file, and what that replaces.
    assert_eq!((backlog.failed, backlog.removals), (5, 1));
    assert!(backlog.is_drained());
    // And in a window of one there is room for others.
    bench.write(ROOT, "other", 2);
    assert!(!bench.tree.backlog().unwrap().is_drained());
    let ready = bench.tree.ready(bench.now, 1, &|_| false).unwrap();
    assert!(matches!(&ready[..], [Task::Send { .. }]), "{ready:?}");
}

#[test]
fn a_folder_goes_after_what_is_still_being_sent_to_it() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, Listing::default());
    let f = bench.write(d, "a", 5);
    bench.begin_upload(f.ino, 7, "a", 5);
    bench.rename((d, "a"), (ROOT, "a")).unwrap();
    bench.tree.rmdir(ROOT, OsStr::new("d"), bench.now).unwrap();
    assert!(bench.todo().is_empty());
    assert!(!bench.tree.backlog().unwrap().is_drained());
    bench.sent(f.ino, 1, 7, "a", 5);
    assert_eq!(bench.todo(), ["move file1 to 0"]);
    bench.tree.moved(f.ino, FolderId::ROOT, bench.now).unwrap();
    assert_eq!(bench.todo(), ["remove 7"]);
}

#[test]
fn what_was_sent_to_a_folder_that_vanished_lies_in_the_root() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d"), folder(9, "e")], vec![]));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, Listing::default());
    let f = bench.write(d, "a", 5);
    bench.begin_upload(f.ino, 7, "a", 5);
    bench.pass(600);
    bench.list(ROOT, listing(vec![folder(9, "e")], vec![]));
    assert_eq!(bench.names(ROOT), ["d", "e"]);
    bench.sent(f.ino, 1, 7, "a", 5);
    let place = RemotePlace {
        folder: FolderId::ROOT,
        name: "d".to_owned(),
    };
    bench.tree.made(d, FolderId(20), place, bench.now).unwrap();
    assert_eq!(bench.todo(), ["move file1 to 20"]);
}

/// A file of ours that was sent to `p/d`, which is gone, so that it is in the root; and the folder.
fn strayed() -> (Bench, Ino, Ino, Ino) {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(6, "p"), folder(9, "e")], vec![]));
    let p = bench.get(ROOT, "p").ino;
    bench.list(p, listing(vec![folder(7, "d"), folder(8, "s")], vec![]));
    let d = bench.get(p, "d").ino;
    bench.list(d, Listing::default());
    let f = bench.write(d, "a", 5).ino;
    bench.sent(f, 1, 7, "a", 5);
    bench.pass(600);
    (bench, p, d, f)
}

/// The folder was made anew, and the file is to follow.
fn comes_back(bench: &Bench, d: Ino, f: Ino) {
    let all = [bench.names(ROOT).concat(), bench.names(d).concat()];
    assert_eq!(all, ["ep", "a"]);
    assert_eq!(bench.there(f), "0/a");
    assert_eq!(bench.todo(), ["make 6/d"]);
    let place = RemotePlace {
        folder: FolderId(6),
        name: "d".to_owned(),
    };
    bench.tree.made(d, FolderId(20), place, bench.now).unwrap();
    assert_eq!(bench.todo(), ["move file1 to 20"]);
}

fn root_with_the_file() -> Listing {
    let folders = vec![folder(6, "p"), folder(9, "e")];
    listing(folders, vec![file(1, "a", 5)])
}

#[test]
fn what_strayed_to_the_root_is_moved_once_its_folder_is_known_to_be_gone() {
    let (bench, p, d, f) = strayed();
    for _ in 0..2 {
        bench.list(ROOT, root_with_the_file());
        assert_eq!(bench.names(ROOT), ["e", "p"]);
        assert_eq!(bench.names(d), ["a"]);
        assert_eq!(bench.tree.folders_of_strays().unwrap(), [d]);
        assert!(bench.todo().is_empty());
    }
    bench.list(p, listing(vec![folder(8, "s")], vec![]));
    comes_back(&bench, d, f);
    assert!(bench.tree.folders_of_strays().unwrap().is_empty());
}

#[test]
fn what_strayed_to_the_root_comes_back_though_its_folder_went_from_here_before_that_was_seen() {
    let (bench, p, d, f) = strayed();
    bench.list(p, listing(vec![folder(8, "s")], vec![]));
    assert_eq!(bench.names(p), ["s"]);
    let changes = bench.list(ROOT, root_with_the_file());
    let told = |name: &str| {
        let is = |change: &Change| matches!(change, Change::Entry { name: n, .. } if n == name);
        changes.iter().any(is)
    };
    assert!(told("a") && told("d"), "{changes:?}");
    comes_back(&bench, d, f);
}

#[test]
fn what_strayed_comes_back_with_all_folders_that_went() {
    let (bench, p, d, f) = strayed();
    bench.list(ROOT, listing(vec![folder(9, "e")], vec![file(1, "a", 5)]));
    assert_eq!(bench.names(ROOT), ["e", "p"]);
    assert_eq!(bench.names(p), ["d"]);
    assert_eq!(bench.names(d), ["a"]);
    assert_eq!(bench.there(f), "0/a");
    assert_eq!(bench.todo(), ["make 0/p"]);
}

#[test]
fn what_somebody_moved_to_the_root_is_not_taken_for_a_stray() {
    // Before its folder was listed again, and after.
    for seen in [false, true] {
        let (bench, _, d, f) = strayed();
        if seen {
            bench.list(d, listing(vec![], vec![file(1, "a", 5)]));
        }
        bench.list(ROOT, root_with_the_file());
        bench.list(d, Listing::default());
        bench.list(ROOT, root_with_the_file());
        assert_eq!(bench.names(ROOT), ["a", "e", "p"]);
        assert_eq!(bench.get(ROOT, "a").ino, f);
        assert!(bench.todo().is_empty());
        assert!(bench.tree.folders_of_strays().unwrap().is_empty());
    }
}

#[test]
fn what_the_root_did_not_show_at_first_was_moved_there_by_somebody_who_may_remove_its_folder() {
    for its_folder_goes_first in [true, false] {
        let (mut bench, p, d, f) = strayed();
        let folders = || vec![folder(6, "p"), folder(9, "e")];
        bench.list(ROOT, listing(folders(), vec![]));
        bench.pass(600);
        let gone = listing(vec![folder(8, "s")], vec![]);
        if its_folder_goes_first {
            bench.list(p, gone.clone());
        }
        bench.list(ROOT, root_with_the_file());
        bench.list(p, gone);
        bench.list(ROOT, root_with_the_file());
        assert_eq!(bench.names(ROOT), ["a", "e", "p"]);
        assert_eq!(bench.get(ROOT, "a").ino, f);
        assert_eq!(bench.names(p), ["s"]);
        assert!(bench.todo().is_empty(), "{:?}", bench.todo());
        assert!(!bench.tree.folders_of_strays().unwrap().contains(&d));
    }
}

#[test]
fn a_forgotten_file_does_not_keep_the_others_of_its_request_from_being_sent() {
    let bench = Bench::new();
    let node = bench.write(ROOT, "a", 4);
    let underway = |ino: Ino| Underway {
        ino,
        version: 1,
        at: RemotePlace {
            folder: FolderId(0),
            name: "a".to_owned(),
        },
        size: 4,
        whirlpool: None,
        way: Way::Upload {
            node: "up".to_owned(),
            xid: "x".to_owned(),
        },
        started: bench.now,
        not_before: Time(0),
        attempts: 0,
    };
    let both = [underway(node.ino), underway(Ino(4711))];
    assert_eq!(bench.tree.uploads_begin(&both).unwrap(), [node.ino]);
}

#[test]
fn a_file_that_waits_and_gets_a_local_name_stays_here_until_it_loses_that() {
    let bench = Bench::new();
    bench.tree.keep_here(&[".*.sw?".to_owned()]).unwrap();
    let ino = bench.write(ROOT, "text", 4).ino;
    assert_eq!(bench.tree.backlog().unwrap().uploads, 1);
    bench.rename((ROOT, "text"), (ROOT, ".text.swp")).unwrap();
    assert!(bench.tree.backlog().unwrap().is_drained());
    bench.close(ino, 5);
    assert!(bench.tree.backlog().unwrap().is_drained());
    bench.rename((ROOT, ".text.swp"), (ROOT, "text")).unwrap();
    assert_eq!(bench.tree.backlog().unwrap().uploads, 1);
}

#[test]
fn a_file_that_is_being_sent_is_the_services_whatever_it_is_called_then() {
    let bench = Bench::new();
    bench.tree.keep_here(&[".*.sw?".to_owned()]).unwrap();
    let ino = bench.write(ROOT, "text", 4).ino;
    bench.begin_upload(ino, 0, "text", 4);
    bench.rename((ROOT, "text"), (ROOT, ".text.swp")).unwrap();
    bench.sent(ino, 1, 0, "text", 4);
    let pending = bench.get(ROOT, ".text.swp").pending;
    assert!(pending.place && !pending.content, "it is renamed there");
    bench.close(ino, 5);
    assert!(bench.get(ROOT, ".text.swp").pending.content);
}

#[test]
fn what_takes_the_place_of_a_file_of_the_service_is_sent_whatever_its_name() {
    let bench = Bench::new();
    bench
        .tree
        .keep_here(&[".DS_Store".to_owned(), "*.new".to_owned()])
        .unwrap();
    bench.list(ROOT, listing(vec![], vec![file(1, ".DS_Store", 4)]));
    bench.write(ROOT, "x.new", 4);
    assert!(bench.tree.backlog().unwrap().is_drained());
    bench.rename((ROOT, "x.new"), (ROOT, ".DS_Store")).unwrap();
    assert_eq!(bench.tree.backlog().unwrap().uploads, 1);
    // Also where the names that stay change meanwhile.
    bench.tree.keep_here(&[".*".to_owned()]).unwrap();
    assert_eq!(bench.tree.backlog().unwrap().uploads, 1);
    assert!(!bench.todo().iter().any(|task| task.starts_with("remove")));
}

#[test]
fn what_was_noted_by_a_clock_that_was_ahead_follows_it_when_it_is_put_back() {
    let mut bench = Bench::new();
    let right = bench.now;
    bench.pass(3 * 3600);
    let mut clock = Clock::open(bench.tree.clone()).unwrap();
    clock.look(bench.now).unwrap();
    bench.list(ROOT, listing(vec![], vec![file(1, "old", 1)]));
    let a = bench.write(ROOT, "a", 5);
    let soon = bench.now.after(Duration::from_secs(5));
    bench.tree.postpone(a.ino, soon, "no").unwrap();
    let open = bench.write(ROOT, "open", 5);
    let hold = |tx: &rusqlite::Transaction<'_>| -> Result<(), TreeError> {
        Ok(journal::content_due(tx, open.ino, journal::WHILE_OPEN)?)
    };
    bench.tree.store.write(hold).unwrap();
    let b = bench.write(ROOT, "b", 6);
    bench.sent(b.ino, 2, 0, "b", 6);

    // By the next process, as it may be.
    drop(clock);
    let mut clock = Clock::open(bench.tree.clone()).unwrap();
    bench.now = right;
    assert_eq!(clock.look(right).unwrap(), Duration::from_secs(3 * 3600));
    assert!(bench.todo().is_empty());
    bench.pass(6);
    assert_eq!(clock.look(bench.now).unwrap(), Duration::ZERO);
    assert_eq!(bench.todo(), ["send 0/a 5"]);
    let listed = bench.tree.node(ROOT).unwrap().unwrap().known.at().unwrap();
    assert!(listed <= bench.now);
    // What we did passes for fresh as long as ever.
    bench.pass(LAG.as_secs());
    assert!(!bench.tree.is_ahead(b.ino, bench.now).unwrap());
}
