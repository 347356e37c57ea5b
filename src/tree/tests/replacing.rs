//! What takes the place of something.

use super::*;

#[test]
fn an_old_version_goes_only_after_the_new_one_is_confirmed() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "doc", 3)]));
    let doc = bench.write(ROOT, "doc", 4);
    assert_eq!(bench.todo(), ["send 0/doc 4"]);
    bench.sent(doc.ino, 2, 0, "doc", 4);
    assert_eq!(bench.todo(), ["remove file1"]);
}

#[test]
fn write_temp_and_rename_replaces_after_the_confirmation() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "doc", 3)]));
    let tmp = bench.write(ROOT, "doc.tmp", 4);
    bench.rename((ROOT, "doc.tmp"), (ROOT, "doc")).unwrap();
    assert_eq!(bench.names(ROOT), ["doc"]);
    assert_eq!(bench.todo(), ["send 0/doc 4"]);
    bench.sent(tmp.ino, 2, 0, "doc", 4);
    assert_eq!(bench.todo(), ["remove file1"]);
}

#[test]
fn what_is_replaced_steps_aside_where_the_service_refuses_and_can_come_back() {
    let bench = Bench::new();
    bench.list(
        ROOT,
        listing(vec![], vec![file(1, "old", 3), file(2, "new", 4)]),
    );
    let new = bench.get(ROOT, "new").ino;
    bench.rename((ROOT, "new"), (ROOT, "old")).unwrap();
    assert_eq!(bench.todo(), ["rename file2 to old"]);
    let detour = bench.tree.detour(new).unwrap().unwrap();
    assert_eq!(
        (detour.id, detour.name.as_str()),
        (file_id(1), "old.replaced-1")
    );
    let journal::Who::Leaving(removal) = detour.who else {
        panic!("{:?}", detour.who);
    };
    // Until that is recorded, the same is asked for; after it there is nothing in the way.
    assert!(bench.tree.detour(new).unwrap().is_some());
    bench.tree.stepped_aside(&removal, &detour.name).unwrap();
    assert_eq!(bench.tree.detour(new).unwrap(), None);
    assert_eq!(bench.todo(), ["rename file2 to old"]);
    let back = bench.tree.aside_for(new).unwrap().unwrap();
    assert_eq!((back.id, back.name.as_str()), (file_id(1), "old"));
    bench.tree.renamed(new, "old", bench.now).unwrap();
    assert_eq!(bench.todo(), ["remove file1"]);
}

#[test]
fn files_that_swap_names_get_out_of_each_others_way_once() {
    let bench = Bench::new();
    bench.list(
        ROOT,
        listing(vec![], vec![file(1, "a", 3), file(2, "b", 4)]),
    );
    let a = bench.get(ROOT, "a").ino;
    bench.rename((ROOT, "a"), (ROOT, "t")).unwrap();
    bench.rename((ROOT, "b"), (ROOT, "a")).unwrap();
    bench.rename((ROOT, "t"), (ROOT, "b")).unwrap();
    let detour = bench.tree.detour(a).unwrap().unwrap();
    assert_eq!(detour.who, journal::Who::Itself(a));
    bench.tree.renamed(a, &detour.name, bench.now).unwrap();
    assert_eq!(bench.tree.detour(a).unwrap(), None);
    assert_eq!(bench.names(ROOT), ["a", "b"]);
    // Should the rest be refused, the passing name is not what people see.
    bench.tree.restore_place(a).unwrap();
    assert_eq!(
        bench.names(ROOT),
        ["a", "a (file1)"],
        "the other one wants to be `a`"
    );
    assert_eq!(
        bench.todo(),
        ["rename file1 to a (file1)", "rename file2 to a"]
    );
    // Refused once more, it is not asked for without end.
    assert!(bench.tree.restore_place(a).unwrap().changes.is_empty());
}

#[test]
fn a_replaced_file_outlives_all_its_unsent_successors() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "doc", 3)]));
    bench.write(ROOT, "tmp1", 4);
    bench.rename((ROOT, "tmp1"), (ROOT, "doc")).unwrap();
    let second = bench.write(ROOT, "tmp2", 5);
    bench.rename((ROOT, "tmp2"), (ROOT, "doc")).unwrap();
    assert_eq!(bench.todo(), ["send 0/doc 5"]);
    bench.sent(second.ino, 2, 0, "doc", 5);
    assert_eq!(bench.todo(), ["remove file1"]);
}

#[test]
fn what_a_refused_or_vanished_file_was_to_replace_stays() {
    let files = || vec![file(1, "a", 1), file(2, "b", 1)];
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![], files()));
    bench.rename((ROOT, "a"), (ROOT, "b")).unwrap();
    let a = bench.get(ROOT, "b").ino;
    bench.tree.restore_place(a).unwrap();
    assert!(bench.todo().is_empty(), "b is not removed");
    bench.list(ROOT, listing(vec![], files()));
    assert_eq!(bench.names(ROOT), ["a", "b"]);

    // In a folder that goes, with what was to change in it.
    bench.list(ROOT, listing(vec![folder(7, "d")], files()));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, listing(vec![], vec![file(3, "c", 1), file(4, "x", 1)]));
    bench.rename((d, "c"), (d, "x")).unwrap();
    bench.tree.vanished(d).unwrap();
    bench.pass(600);
    let todo = bench.todo();
    assert!(
        !todo.iter().any(|task| task.starts_with("remove")),
        "{todo:?}"
    );
}

#[test]
fn a_new_name_is_a_new_try() {
    let bench = Bench::new();
    let d = bench.create(ROOT, "bad", &NewNode::Folder).ino;
    bench.tree.park(d, "a name").unwrap();
    assert!(bench.todo().is_empty());
    bench.rename((ROOT, "bad"), (ROOT, "good")).unwrap();
    assert_eq!(bench.todo(), ["make 0/good"]);
}

#[test]
fn removals_that_wait_do_not_keep_one_that_can_be_done_from_its_turn() {
    let bench = Bench::new();
    let names = ["a", "b", "c", "other"];
    let files = names.iter().zip(1..).map(|(name, n)| file(n, name, 3));
    bench.list(ROOT, listing(vec![folder(7, "d")], files.collect()));
    let d = bench.get(ROOT, "d").ino;
    bench.list(d, listing(vec![], vec![file(9, "pinned", 1)]));
    for name in &names[..3] {
        let new = bench.write(ROOT, "tmp", 4);
        bench.rename((ROOT, "tmp"), (ROOT, name)).unwrap();
        let parked = |tx: &rusqlite::Transaction<'_>| -> Result<(), TreeError> {
            Ok(journal::content_due(tx, new.ino, journal::WHILE_OPEN)?)
        };
        bench.tree.store.write(parked).unwrap();
    }
    bench
        .tree
        .unlink(ROOT, OsStr::new("other"), bench.now)
        .unwrap();
    let tasks = bench.tree.ready(bench.now, 2, &|_| false).unwrap();
    let [Task::Remove(removal)] = &tasks[..] else {
        panic!("{tasks:?}");
    };
    assert_eq!(removal.rid, "file4");
}
