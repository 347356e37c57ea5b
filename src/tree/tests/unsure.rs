//! Calls without an answer, and folders that would go below themselves.

use std::collections::HashMap;

use super::*;
use crate::tree::journal::Put;

impl Bench {
    fn asks(&self, ino: Ino, put: Put) {
        self.tree.asks(&[(ino, put)], self.now).unwrap();
    }

    /// The service has folder 8, "c", in folder 7, "a"; here "a" lies in "c".
    fn turned_inside_out(&self) -> (Ino, Ino) {
        self.list(ROOT, listing(vec![folder(7, "a")], vec![]));
        let a = self.get(ROOT, "a").ino;
        self.list(a, listing(vec![folder(8, "c")], vec![]));
        let c = self.get(a, "c").ino;
        self.list(c, Listing::default());
        self.rename((a, "c"), (ROOT, "c")).unwrap();
        self.rename((ROOT, "a"), (c, "a")).unwrap();
        (a, c)
    }

    /// After a listing of the root at this moment.
    fn looked_for(&self, ino: Ino) -> Option<Time> {
        let listed = HashMap::from([(ROOT, self.now)]);
        self.tree.looked_for(ino, &listed).unwrap()
    }
}

fn in_root(name: &str) -> RemotePlace {
    RemotePlace {
        folder: FolderId(0),
        name: name.to_owned(),
    }
}

/// A folder that the service made then.
fn made(id: u64, name: &str, at: Time) -> ListedFolder {
    ListedFolder {
        created: Some(at),
        ..folder(id, name)
    }
}

fn named(name: &str) -> Put {
    Put::Named(name.to_owned())
}

#[test]
fn a_folder_does_not_go_below_itself() {
    let mut bench = Bench::new();
    let (a, c) = bench.turned_inside_out();
    assert_eq!(bench.todo(), ["move 8 to 0"]);
    bench.tree.moved(c, FolderId(0), bench.now).unwrap();
    assert_eq!(bench.todo(), ["move 7 to 8"]);
    bench.carry_out();
    assert_eq!([bench.there(a), bench.there(c)], ["8/a", "0/c"]);
}

#[test]
fn folders_of_one_name_change_which_lies_in_which() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "a")], vec![]));
    let outer = bench.get(ROOT, "a").ino;
    bench.list(outer, listing(vec![folder(8, "a")], vec![]));
    let inner = bench.get(outer, "a").ino;
    bench.list(inner, Listing::default());
    bench.rename((outer, "a"), (ROOT, "t")).unwrap();
    bench.rename((ROOT, "a"), (inner, "a")).unwrap();
    bench.rename((ROOT, "t"), (ROOT, "a")).unwrap();
    bench.carry_out();
    assert_eq!([bench.there(inner), bench.there(outer)], ["0/a", "8/a"]);
}

#[test]
fn what_became_of_a_call_is_looked_for_before_another() {
    let mut bench = Bench::new();
    let (a, b) = (folder(7, "a"), folder(8, "b"));
    bench.list(ROOT, listing(vec![a, b.clone()], vec![]));
    let a = bench.get(ROOT, "a").ino;
    bench.rename((ROOT, "a"), (ROOT, "c")).unwrap();
    bench.asks(a, named("c"));
    assert_eq!(bench.todo(), ["look for 0/a"]);
    // Nobody gets a name that it has or may have.
    bench.rename((ROOT, "c"), (ROOT, "e")).unwrap();
    for name in ["a", "c"] {
        bench.rename((ROOT, "b"), (ROOT, name)).unwrap();
        assert_eq!(bench.todo(), ["look for 0/a"], "{name}");
        bench.rename((ROOT, name), (ROOT, "b")).unwrap();
        assert!(bench.get(ROOT, "b").pending.is_empty());
    }
    // A listing may lag behind the call, so that it does not tell that nothing was done.
    assert!(bench.looked_for(a).is_some());
    assert_eq!(bench.todo(), ["look for 0/a"]);
    // What it shows there it has done.
    bench.list(ROOT, listing(vec![folder(7, "c"), b], vec![]));
    assert_eq!(bench.looked_for(a), None);
    assert_eq!(bench.todo(), ["rename 7 to e"]);
    bench.carry_out();
    assert_eq!(bench.there(a), "0/e");
}

#[test]
fn a_rename_back_is_no_way_out_of_a_lost_answer() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "a", 1)]));
    let a = bench.get(ROOT, "a").ino;
    bench.rename((ROOT, "a"), (ROOT, "b")).unwrap();
    bench.asks(a, named("b"));
    assert_eq!(bench.todo(), ["look for 0/a"]);
    bench.rename((ROOT, "b"), (ROOT, "a")).unwrap();
    assert_eq!(bench.todo(), ["look for 0/a"]);
    bench.list(ROOT, listing(vec![], vec![file(1, "b", 1)]));
    assert_eq!(bench.names(ROOT), ["a"]);
    assert_eq!(bench.todo(), ["rename file1 to a"]);
    bench.carry_out();
    assert!(bench.tree.node(a).unwrap().unwrap().pending.is_empty());
}

#[test]
fn a_folder_is_not_made_twice_because_an_answer_was_lost() {
    let mut bench = Bench::new();
    let made = bench.create(ROOT, "d", &NewNode::Folder).ino;
    let at = in_root("d");
    bench.asks(made, Put::Anew(at.clone()));
    // Asked for in a row of calls, and sent only now.
    bench.pass(1000);
    bench.tree.may_be_put(&[made], bench.now).unwrap();
    bench.list(ROOT, Listing::default());
    let shown = bench.looked_for(made);
    assert_eq!(shown, Some(bench.now.after(LAG)));
    bench.pass(121);
    bench.list(ROOT, Listing::default());
    assert_eq!(bench.looked_for(made), None);
    assert_eq!(bench.todo(), ["make 0/d"]);
    // And again: this time it is there, and has another name here meanwhile.
    bench.asks(made, Put::Anew(at));
    bench.rename((ROOT, "d"), (ROOT, "e")).unwrap();
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    assert_eq!(bench.names(ROOT), ["e"]);
    assert_eq!(bench.todo(), ["rename 7 to e"]);
}

#[test]
fn what_is_unsure_is_looked_for_though_its_folder_here_is_not_made_yet() {
    let mut bench = Bench::new();
    let old = bench.create(ROOT, "d", &NewNode::Folder).ino;
    bench.asks(old, Put::Anew(in_root("d")));
    bench.rename((ROOT, "d"), (ROOT, "t")).unwrap();
    let new = bench.create(ROOT, "d", &NewNode::Folder).ino;
    bench.rename((ROOT, "t"), (new, "d")).unwrap();
    let looks = |bench: &Bench| matches!(&bench.ready()[..], [Task::Look { ino }] if *ino == old);
    assert!(looks(&bench));
    bench.pass(121);
    bench.list(ROOT, Listing::default());
    assert_eq!(bench.looked_for(old), None);
    bench.carry_out();
    assert_eq!(bench.there(new), "0/d");
}

#[test]
fn a_rename_that_is_given_up_is_looked_for_all_the_same() {
    let bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "a")], vec![]));
    let a = bench.get(ROOT, "a").ino;
    bench.rename((ROOT, "a"), (ROOT, "b")).unwrap();
    bench.asks(a, named("b"));
    bench.tree.restore_place(a).unwrap();
    assert_eq!(bench.todo(), ["look for 0/a"]);
    bench.list(ROOT, listing(vec![folder(7, "b")], vec![]));
    assert_eq!(bench.todo(), ["rename 7 to a"]);
}

#[test]
fn a_folder_is_not_put_back_below_itself() {
    let bench = Bench::new();
    let (_, c) = bench.turned_inside_out();
    assert!(bench.tree.restore_place(c).unwrap().changes.is_empty());
    assert_eq!(bench.names(ROOT), ["c"]);
    assert_eq!(bench.names(c), ["a"]);
}

#[test]
fn an_older_listing_does_not_put_back_what_came_by_a_call_without_an_answer() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "a", 1)]));
    let a = bench.get(ROOT, "a").ino;
    bench.rename((ROOT, "a"), (ROOT, "b")).unwrap();
    bench.asks(a, named("b"));
    bench.pass(1);
    bench.list(ROOT, listing(vec![], vec![file(1, "b", 1)]));
    assert!(bench.get(ROOT, "b").pending.is_empty());
    // Listings lag behind each other too.
    bench.pass(1);
    bench.list(ROOT, listing(vec![], vec![file(1, "a", 1)]));
    assert_eq!(
        (bench.names(ROOT), bench.there(a)),
        (vec!["b".to_owned()], "0/b".to_owned())
    );
    // Later it is somebody's wish.
    bench.pass(121);
    bench.list(ROOT, listing(vec![], vec![file(1, "a", 1)]));
    assert_eq!(bench.names(ROOT), ["a"]);
}

impl Bench {
    /// A folder in the root that was asked for without an answer, and removed before one came.
    fn removed_unmade(&self, name: &str) -> Ino {
        let made = self.create(ROOT, name, &NewNode::Folder).ino;
        self.asks(made, Put::Anew(in_root(name)));
        self.tree.rmdir(ROOT, OsStr::new(name), self.now).unwrap();
        assert!(!self.tree.purge(made).unwrap(), "it is still looked for");
        made
    }

    fn looks_for(&self, ino: Ino) -> bool {
        let mut ready = self.ready().into_iter();
        ready.any(|task| task == Task::Look { ino })
    }
}

#[test]
fn a_folder_that_was_removed_before_it_was_known_to_be_made_goes_there_too() {
    let bench = Bench::new();
    let removed = bench.removed_unmade("d");
    assert!(bench.looks_for(removed));
    bench.list(ROOT, listing(vec![made(7, "d", bench.now)], vec![]));
    assert!(bench.names(ROOT).is_empty());
    assert_eq!(bench.todo(), ["remove 7"]);
    assert!(bench.tree.node(removed).unwrap().is_none());
}

#[test]
fn a_folder_that_somebody_else_made_stays_though_one_of_its_name_was_removed() {
    let bench = Bench::new();
    let removed = bench.removed_unmade("d");
    let later = bench.now.after(Duration::from_secs(3600));
    bench.list(ROOT, listing(vec![made(7, "d", later)], vec![]));
    assert_eq!(bench.names(ROOT), ["d"]);
    assert!(bench.looks_for(removed));
    let bench = Bench::new();
    bench.removed_unmade("d");
    // Of which nobody knows when it was made.
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    assert_eq!(bench.names(ROOT), ["d"]);
}

#[test]
fn a_folder_that_was_removed_and_never_made_is_forgotten_once_listings_tell() {
    let mut bench = Bench::new();
    let made = bench.removed_unmade("d");
    bench.list(ROOT, Listing::default());
    assert!(bench.looked_for(made).is_some());
    bench.pass(121);
    bench.list(ROOT, Listing::default());
    assert_eq!(bench.looked_for(made), None);
    assert!(bench.tree.node(made).unwrap().is_none());
    assert_eq!(bench.todo(), [""; 0]);
}

#[test]
fn the_answer_that_a_removed_folder_was_made_after_all_removes_it() {
    let bench = Bench::new();
    let made = bench.removed_unmade("d");
    let tree = &bench.tree;
    tree.made(made, FolderId(7), in_root("d"), bench.now)
        .unwrap();
    assert_eq!(bench.todo(), ["remove 7"]);
    assert!(tree.node(made).unwrap().is_none());
    let refused = bench.removed_unmade("e");
    tree.not_put(&[refused]).unwrap();
    assert!(tree.node(refused).unwrap().is_none());
}

#[test]
fn a_folder_takes_a_name_that_a_removed_one_may_have_only_once_that_is_known() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(8, "x")], vec![]));
    let made = bench.removed_unmade("d");
    bench.rename((ROOT, "x"), (ROOT, "d")).unwrap();
    assert_eq!(bench.ready(), [Task::Look { ino: made }]);
    let d = self::made(7, "d", bench.now);
    bench.list(ROOT, listing(vec![d, folder(8, "x")], vec![]));
    assert_eq!(bench.names(ROOT), ["d"]);
    assert_eq!(bench.todo(), ["remove 7"]);
    bench.carry_out();
    assert_eq!(bench.there(bench.get(ROOT, "d").ino), "0/d");
}

#[test]
fn a_folder_made_again_is_the_one_that_was_asked_for_before() {
    let bench = Bench::new();
    let first = bench.removed_unmade("d");
    let second = bench.create(ROOT, "d", &NewNode::Folder).ino;
    assert_eq!(bench.ready(), [Task::Look { ino: first }]);
    bench.list(ROOT, listing(vec![folder(7, "d")], vec![]));
    assert_eq!(bench.there(second), "0/d");
    assert_eq!(bench.ready(), []);
    assert!(bench.tree.node(first).unwrap().is_none());
}

#[test]
fn of_a_folder_removed_while_it_may_have_been_moved_both_places_are_known() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![folder(7, "a"), folder(8, "b")], vec![]));
    let [a, b] = ["a", "b"].map(|name| bench.get(ROOT, name).ino);
    for folder in [a, b] {
        bench.list(folder, Listing::default());
    }
    bench.rename((ROOT, "a"), (b, "a")).unwrap();
    bench.asks(a, Put::Into(FolderId(8)));
    bench.tree.rmdir(b, OsStr::new("a"), bench.now).unwrap();
    let removal = removals_due(&bench);
    assert_eq!(removal.place, in_root("a"));
    assert_eq!(removal.may_be_in, Some(FolderId(8)));
    // Listings tell nothing before they can show the move, which may come late.
    bench.pass(1000);
    bench.tree.all_may_be_put(bench.now).unwrap();
    assert_eq!(removals_due(&bench).queued_at, bench.now);
}

#[test]
fn what_an_earlier_process_asked_for_may_be_carried_out_until_the_next_has_begun() {
    let mut bench = Bench::new();
    let made = bench.create(ROOT, "d", &NewNode::Folder).ino;
    bench.asks(made, Put::Anew(in_root("d")));
    bench.pass(1000);
    bench.tree.all_may_be_put(bench.now).unwrap();
    bench.pass(1);
    bench.list(ROOT, Listing::default());
    assert!(
        bench
            .looked_for(made)
            .is_some_and(|shown| shown > bench.now)
    );
}

#[test]
fn where_no_listing_can_tell_of_a_file_the_service_is_asked_for_it() {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![file(1, "a", 1)]));
    let a = bench.get(ROOT, "a").ino;
    let part = Listing {
        extent: Extent::FilesCut,
        ..listing(vec![], vec![file(2, "other", 1)])
    };
    let cut = || {
        bench.tree.store.write(|tx| {
            crate::tree::rows::set_known(tx, ROOT, Known::Cut(bench.now)).map_err(TreeError::from)
        })
    };
    cut().unwrap();
    bench.rename((ROOT, "a"), (ROOT, "b")).unwrap();
    bench.asks(a, named("b"));
    bench.pass(121);
    bench.list(ROOT, part);
    assert!(bench.looked_for(a).is_some_and(|shown| shown < bench.now));
    bench.tree.found_at(a, in_root("a"), bench.now).unwrap();
    assert_eq!(bench.todo(), ["rename file1 to b"]);
    bench.asks(a, named("b"));
    bench.tree.found_at(a, in_root("b"), bench.now).unwrap();
    assert_eq!(bench.todo(), [""; 0]);
}

#[test]
fn of_a_folder_a_listing_that_is_cut_off_tells_unless_sub_folders_are_missing() {
    let cases = [
        (Extent::FilesCut, false, true),
        (Extent::FilesCut, true, false),
        (Extent::Cut, false, false),
    ];
    for (extent, silent, is_told) in cases {
        let sub = || vec![folder(9, "sub")];
        let mut bench = Bench::new();
        bench.list(ROOT, listing(vec![folder(7, "a"), folder(8, "to")], vec![]));
        let [a, to] = ["a", "to"].map(|name| bench.get(ROOT, name).ino);
        bench.list(to, listing(sub(), vec![]));
        bench.rename((ROOT, "a"), (to, "a")).unwrap();
        bench.asks(a, Put::Into(FolderId(8)));
        let asked = bench.tree.asked_place(a).unwrap().unwrap();
        assert_eq!((asked.folder, &*asked.name), (FolderId(8), "a"));
        // It was known whole, and its names stay so where but files were cut off.
        bench
            .tree
            .store
            .write(|tx| {
                crate::tree::rows::set_known(tx, to, Known::Cut(bench.now)).map_err(TreeError::from)
            })
            .unwrap();
        bench.pass(121);
        let part = Listing {
            extent,
            lacks: Lacks {
                folders: silent,
                ..Lacks::default()
            },
            ..listing(
                if silent { vec![] } else { sub() },
                vec![file(1, "other", 1)],
            )
        };
        bench.list(to, part);
        bench.list(ROOT, listing(vec![folder(8, "to")], vec![]));
        let listed = HashMap::from([(ROOT, bench.now), (to, bench.now)]);
        let outcome = bench.tree.looked_for(a, &listed).unwrap();
        assert_eq!(outcome.is_none(), is_told, "{extent:?}, {silent}");
        let todo = match is_told {
            true => "move 7 to 8",
            false => "look for 0/a",
        };
        assert_eq!(bench.todo(), [todo]);
    }
}
