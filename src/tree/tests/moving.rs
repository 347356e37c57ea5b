//! Places, names and folders.

use super::*;

#[test]
fn renames_collapse_and_a_rename_back_cancels() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![file(1, "a", 3)]));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, Listing::default());
    bench.rename((ROOT, "a"), (ROOT, "b")).unwrap();
    bench.rename((ROOT, "b"), (d, "c")).unwrap();
    assert_eq!(bench.todo(), ["move file1 to 7"]);
    let ino = bench.get(d, "c").ino;
    bench.tree.moved(ino, FolderId(7), bench.now).unwrap();
    assert_eq!(bench.todo(), ["rename file1 to c"]);
    bench.rename((d, "c"), (d, "a")).unwrap();
    assert!(bench.todo().is_empty());
}

#[test]
fn folders_that_swap_names_step_aside() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "a"), folder(8, "b")], vec![]));
    bench.rename((ROOT, "a"), (ROOT, "t")).unwrap();
    bench.rename((ROOT, "b"), (ROOT, "a")).unwrap();
    bench.rename((ROOT, "t"), (ROOT, "b")).unwrap();
    let mut steps = Vec::new();
    for _ in 0..3 {
        let tasks = bench.ready();
        let [Task::Rename { ino, object, name }] = &tasks[..] else {
            panic!("{tasks:?}");
        };
        steps.push(format!("{} -> {name}", object_name(object)));
        bench.tree.renamed(*ino, name, bench.now).unwrap();
    }
    assert!(bench.todo().is_empty(), "{steps:?}");
    assert_eq!(bench.names(ROOT), ["a", "b"]);
}

#[test]
fn a_folder_goes_after_everything_in_it() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, listing(vec![], vec![file(1, "a", 1)]));
    assert!(matches!(
        bench.tree.rmdir(ROOT, OsStr::new("d"), bench.now),
        Err(TreeError::NotEmpty)
    ));
    bench.tree.unlink(d, OsStr::new("a"), bench.now).unwrap();
    bench.tree.rmdir(ROOT, OsStr::new("d"), bench.now).unwrap();
    assert_eq!(bench.todo(), ["remove file1"]);
    let [Task::Remove(removal)] = &bench.ready()[..] else {
        panic!();
    };
    bench
        .tree
        .removed(std::slice::from_ref(removal), bench.now)
        .unwrap();
    assert!(bench.todo().is_empty(), "removals lag behind each other");
    bench.now = bench.now.after(Duration::from_secs(10));
    assert_eq!(bench.todo(), ["remove 7"]);
}

#[test]
fn a_refused_rename_shows_the_truth_again() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "a", 1)]));
    bench.rename((ROOT, "a"), (ROOT, "b")).unwrap();
    let b = bench.get(ROOT, "b").ino;
    bench.tree.restore_place(b).unwrap();
    assert_eq!(bench.names(ROOT), ["a"]);
    assert!(bench.todo().is_empty());
}

#[test]
fn rename_follows_posix() {
    let bench = Bench::new();
    bench.list(
        ROOT,
        listing(
            vec![folder(7, "d"), folder(8, "full")],
            vec![file(1, "f", 1)],
        ),
    );
    let (d, full) = (bench.get(ROOT, "d").ino, bench.get(ROOT, "full").ino);
    bench.list(d, Listing::default());
    bench.list(full, listing(vec![], vec![file(2, "x", 1)]));
    assert!(matches!(
        bench.rename((ROOT, "d"), (ROOT, "full")),
        Err(TreeError::NotEmpty)
    ));
    assert!(matches!(
        bench.rename((ROOT, "d"), (ROOT, "f")),
        Err(TreeError::NotFolder)
    ));
    assert!(matches!(
        bench.rename((ROOT, "f"), (ROOT, "d")),
        Err(TreeError::IsFolder)
    ));
    assert!(matches!(
        bench.rename((ROOT, "full"), (full, "y")),
        Err(TreeError::IntoItself)
    ));
    assert!(matches!(
        bench.rename((ROOT, "none"), (d, "y")),
        Err(TreeError::NotFound)
    ));
    let long = "x".repeat(251);
    assert!(matches!(
        bench.rename((ROOT, "f"), (d, &long)),
        Err(TreeError::NameTooLong)
    ));
    bench.rename((ROOT, "full"), (ROOT, "d")).unwrap();
    assert_eq!(bench.names(ROOT), ["d", "f"]);
    assert_eq!(bench.todo(), ["remove 7"]);
}

#[test]
fn files_survive_two_renames_of_their_folder() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, listing(vec![], vec![file(1, "x", 1)]));
    bench.rename((ROOT, "d"), (ROOT, "e")).unwrap();
    bench.rename((ROOT, "e"), (ROOT, "f")).unwrap();
    assert_eq!(bench.names(bench.get(ROOT, "f").ino), ["x"]);
    assert_eq!(bench.todo(), ["rename 7 to f"]);
}

#[test]
fn what_is_to_go_is_listed_with_its_path_and_its_trouble() {
    let bench = Bench::new();
    bench.list(
        ROOT,
        listing(vec![folder(7, "d"), folder(8, "kept")], vec![]),
    );
    let (d, kept) = (bench.get(ROOT, "d").ino, bench.get(ROOT, "kept").ino);
    bench.list(d, listing(vec![], vec![file(1, "＄1", 1)]));
    bench.list(kept, listing(vec![], vec![file(2, "b", 1)]));
    bench.rename((ROOT, "kept"), (ROOT, "renamed")).unwrap();
    for (folder, name) in [(d, "$1"), (kept, "b")] {
        bench
            .tree
            .unlink(folder, OsStr::new(name), bench.now)
            .unwrap();
    }
    bench.tree.rmdir(ROOT, OsStr::new("d"), bench.now).unwrap();
    let sent = bench.write(ROOT, "sent", 9);
    bench.begin_upload(sent.ino, 0, "sent", 9);
    bench
        .tree
        .unlink(ROOT, OsStr::new("sent"), bench.now)
        .unwrap();
    let Some(Task::Remove(first)) = bench
        .ready()
        .into_iter()
        .find(|task| matches!(task, Task::Remove(removal) if removal.rid == "file1"))
    else {
        panic!("nothing to remove");
    };
    bench.postpone_removal(&first, at(2_000_000), "not now");

    let leaving = bench.tree.leaving(100).unwrap();
    let paths: Vec<_> = leaving.iter().map(|l| l.path.to_str().unwrap()).collect();
    assert_eq!(paths, ["d/$1", "renamed/b", "d", "sent"]);
    assert_eq!(leaving.len() as u64, bench.tree.backlog().unwrap().removals);
    assert_eq!(leaving[0].error.as_deref(), Some("not now"));
    assert_eq!(
        (leaving[0].attempts, leaving[0].not_before),
        (1, at(2_000_000))
    );
    assert_eq!(leaving[1].error, None);
    assert_eq!(bench.tree.leaving(2).unwrap(), leaving[..2]);
}

#[test]
fn a_folder_that_is_forgotten_while_it_is_made_goes_from_the_service_too() {
    let bench = Bench::new();
    let d = bench.create(ROOT, "d", &NewNode::Folder).ino;
    bench.tree.rmdir(ROOT, OsStr::new("d"), bench.now).unwrap();
    assert!(bench.tree.purge(d).unwrap());
    let place = RemotePlace {
        folder: FolderId::ROOT,
        name: "d".into(),
    };
    bench.tree.made(d, FolderId(7), place, bench.now).unwrap();
    assert_eq!(bench.todo(), ["remove 7"]);
}

#[test]
fn folders_swap_names_also_while_something_else_can_be_done() {
    let bench = Bench::new();
    bench.list(
        ROOT,
        listing(vec![folder(7, "a"), folder(8, "b")], vec![file(1, "f", 1)]),
    );
    bench.rename((ROOT, "a"), (ROOT, "t")).unwrap();
    bench.rename((ROOT, "b"), (ROOT, "a")).unwrap();
    bench.rename((ROOT, "t"), (ROOT, "b")).unwrap();
    // Somebody reads it: its removal is ready and is not made.
    bench.tree.unlink(ROOT, OsStr::new("f"), bench.now).unwrap();
    let todo = bench.todo();
    assert_eq!(todo.len(), 2, "{todo:?}");
    assert!(todo[1].starts_with("rename"), "{todo:?}");
}

#[test]
fn a_folder_waits_for_a_name_without_a_call() {
    let mut bench = Bench::new();
    bench.list(
        ROOT,
        listing(vec![folder(7, "a"), folder(8, "b"), folder(9, "c")], vec![]),
    );
    let b = bench.get(ROOT, "b").ino;
    bench.list(b, listing(vec![], vec![]));
    // For one that is to be removed, though its removal is not due.
    bench.tree.rmdir(ROOT, OsStr::new("b"), bench.now).unwrap();
    bench.rename((ROOT, "a"), (ROOT, "b")).unwrap();
    let removal = removals_due(&bench);
    let later = bench.now.after(Duration::from_secs(60));
    bench.postpone_removal(&removal, later, "the folder is not empty");
    assert!(bench.todo().is_empty(), "{:?}", bench.todo());
    // For one whose own rename is not due.
    bench.rename((ROOT, "c"), (ROOT, "d")).unwrap();
    let c = bench.get(ROOT, "d").ino;
    bench.rename((ROOT, "b"), (ROOT, "c")).unwrap();
    bench.tree.postpone(c, later, "refused").unwrap();
    assert!(bench.todo().is_empty(), "{:?}", bench.todo());
    bench.pass(60);
    assert_eq!(bench.carry_out(), 3);
    assert_eq!(bench.names(ROOT), ["c", "d"]);
}

#[test]
fn a_folder_takes_the_name_of_the_one_that_it_lay_in() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "a")], vec![]));
    let outer = bench.get(ROOT, "a").ino;
    bench.list(outer, listing(vec![folder(8, "a")], vec![]));
    let inner = bench.get(outer, "a").ino;
    bench.list(inner, listing(vec![], vec![]));
    bench.rename((outer, "a"), (ROOT, "t")).unwrap();
    bench.tree.rmdir(ROOT, OsStr::new("a"), bench.now).unwrap();
    bench.rename((ROOT, "t"), (ROOT, "a")).unwrap();
    // Aside, out, and in the place of the other once that is gone.
    assert_eq!(bench.carry_out(), 4);
    assert_eq!(bench.there(inner), "0/a");
}

#[test]
fn a_folder_goes_into_a_new_one_that_has_its_name() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    let old = bench.get(ROOT, "d").ino;
    bench.rename((ROOT, "d"), (ROOT, "t")).unwrap();
    let new = bench.create(ROOT, "d", &NewNode::Folder).ino;
    bench.rename((ROOT, "t"), (new, "old")).unwrap();
    bench.carry_out();
    assert_eq!(bench.there(new), "0/d");
    assert_eq!(bench.there(old), "901/old");
}
