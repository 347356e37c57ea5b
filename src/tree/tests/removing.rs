//! Removals that were asked for, and of which it is not known what became.

use super::*;
use crate::tree::journal::Put;

impl Bench {
    /// The service had a file in the root that was removed here.
    fn unlinked(&self) -> Removal {
        self.list(ROOT, listing(vec![], vec![file(1, "a", 1)]));
        self.tree.unlink(ROOT, OsStr::new("a"), self.now).unwrap();
        removals_due(self)
    }
}

#[test]
fn what_may_be_gone_is_looked_for_when_listings_tell_and_no_earlier() {
    let mut bench = Bench::new();
    let removal = bench.unlinked();
    assert_eq!((removal.asked_at, removal.made_at), (None, None));
    let asked = bench.now;
    bench
        .tree
        .asks_to_remove(std::slice::from_ref(&removal), asked)
        .unwrap();
    assert_eq!(bench.todo().len(), 0);
    assert_eq!(
        bench.tree.next_due(bench.now).unwrap(),
        Some(asked.after(LAG))
    );
    // Neither who hurries nor another process makes that earlier, or later.
    bench.tree.hurry(None).unwrap();
    bench.tree.all_may_be_put(bench.now).unwrap();
    assert_eq!(bench.todo().len(), 0);
    bench.pass(119);
    bench.tree.all_may_be_put(bench.now).unwrap();
    assert_eq!(bench.todo().len(), 0);
    bench.pass(1);
    let removal = removals_due(&bench);
    assert_eq!(removal.asked_at, Some(asked));
    bench.tree.still_there(&[removal]).unwrap();
    assert_eq!(removals_due(&bench).asked_at, None);
}

#[test]
fn what_was_surely_not_removed_is_asked_for_again_without_a_look() {
    let mut bench = Bench::new();
    let removal = bench.unlinked();
    bench
        .tree
        .asks_to_remove(std::slice::from_ref(&removal), bench.now)
        .unwrap();
    let later = bench.now.after(Duration::from_secs(5));
    bench.postpone_removal(&removal, later, "a lock");
    bench.pass(5);
    let again = removals_due(&bench);
    assert_eq!((again.asked_at, again.attempts), (None, 1));
}

#[test]
fn a_clock_that_is_put_back_does_not_make_the_look_late() {
    let mut bench = Bench::new();
    let removal = bench.unlinked();
    let mut clock = Clock::open(bench.tree.clone()).unwrap();
    clock.look(bench.now).unwrap();
    bench.tree.asks_to_remove(&[removal], bench.now).unwrap();
    bench.now = bench.now.before(Duration::from_secs(7200));
    clock.look(bench.now).unwrap();
    bench.pass(120);
    assert!(removals_due(&bench).asked_at.is_some());
}

/// The service may not know it yet.
#[test]
fn of_what_was_sent_a_moment_ago_it_is_known_when_it_is_removed() {
    let mut bench = Bench::new();
    let ino = bench.create(ROOT, "a", &NewNode::File).ino;
    bench.sent(ino, 1, 0, "a", 0);
    let made = bench.now;
    bench.pass(7);
    bench.tree.unlink(ROOT, OsStr::new("a"), bench.now).unwrap();
    assert_eq!(removals_due(&bench).made_at, Some(made));
}

/// The service was asked to move file 1 from its root to folder 8, and has not answered: the inodes
/// of both.
fn perhaps_moved(bench: &Bench) -> [Ino; 2] {
    let there = listing(vec![folder(8, "b")], vec![file(1, "a", 1)]);
    bench.list(ROOT, there);
    let [a, b] = ["a", "b"].map(|name| bench.get(ROOT, name).ino);
    bench.list(b, Listing::default());
    bench.rename((ROOT, "a"), (b, "a")).unwrap();
    bench
        .tree
        .asks(&[(a, Put::Into(FolderId(8)))], bench.now)
        .unwrap();
    [a, b]
}

#[test]
fn of_a_file_removed_while_it_may_have_been_moved_both_places_are_known() {
    let bench = Bench::new();
    let [_, b] = perhaps_moved(&bench);
    bench.tree.unlink(b, OsStr::new("a"), bench.now).unwrap();
    let removal = removals_due(&bench);
    assert_eq!(removal.place.folder, FolderId(0));
    assert_eq!(removal.may_be_in, Some(FolderId(8)));
}

#[test]
fn of_a_version_replaced_while_it_may_have_been_moved_both_places_are_known() {
    let bench = Bench::new();
    let [a, _] = perhaps_moved(&bench);
    bench.sent(a, 2, 8, "a", 5);
    let removal = removals_due(&bench);
    assert_eq!(
        (&*removal.rid, removal.place.folder),
        ("file1", FolderId(0))
    );
    assert_eq!(removal.may_be_in, Some(FolderId(8)));
}
