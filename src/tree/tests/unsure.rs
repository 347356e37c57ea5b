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
