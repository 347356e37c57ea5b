//! Several files of one name, some of them from here: the newest has it, by the dates of the
//! service, on every machine.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// File `n` of the service, that came there at second `date`.
fn dated(n: u64, name: &str, date: i64) -> ListedFile {
    ListedFile {
        date: Some(at(date)),
        ..file(n, name, 1)
    }
}

/// A machine that has replaced `f`, which was an old file, by file `n`, and knows of nothing else.
fn replaced_by(n: u64) -> Bench {
    let mut bench = Bench::new();
    bench.list(ROOT, listing(vec![], vec![dated(1, "f", 10)]));
    let f = bench.write(ROOT, "f", 1);
    bench.sent(f.ino, n, 0, "f", 1);
    bench.carry_out();
    bench
}

fn told(changes: &[Change]) -> Vec<&str> {
    let mut names: Vec<&str> = changes
        .iter()
        .map(|change| match change {
            Change::Entry { parent: ROOT, name } => name.to_str().unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn what_was_just_sent_has_its_name_until_its_date_is_told_and_as_the_newest_after_that() {
    let bench = replaced_by(3);
    let ours = bench.get(ROOT, "f").ino;
    // Newer than what was replaced, and the listing lags behind ours.
    bench.list(ROOT, listing(vec![], vec![dated(2, "f", 20)]));
    assert_eq!(bench.names(ROOT), ["f", "f (file2)"]);
    assert_eq!(bench.get(ROOT, "f").ino, ours);
    for _ in 0..2 {
        let both = vec![dated(2, "f", 20), dated(3, "f", 30)];
        assert_eq!(bench.list(ROOT, listing(vec![], both)), []);
        assert_eq!(bench.names(ROOT), ["f", "f (file2)"]);
        assert_eq!(bench.get(ROOT, "f").ino, ours);
    }
    assert!(bench.todo().is_empty());
}

#[test]
fn the_name_goes_to_a_newer_file_once_both_dates_are_told() {
    let bench = replaced_by(2);
    let ours = bench.get(ROOT, "f").ino;
    bench.list(ROOT, listing(vec![], vec![dated(3, "f", 30)]));
    assert_eq!(bench.get(ROOT, "f").ino, ours);
    let theirs = bench.get(ROOT, "f (file3)").ino;
    let both = || listing(vec![], vec![dated(2, "f", 20), dated(3, "f", 30)]);
    let changes = bench.list(ROOT, both());
    assert_eq!(told(&changes), ["f", "f (file2)", "f (file3)"]);
    assert_eq!(bench.names(ROOT), ["f", "f (file2)"]);
    assert_eq!(bench.get(ROOT, "f").ino, theirs);
    assert_eq!(bench.get(ROOT, "f (file2)").ino, ours);
    assert!(bench.todo().is_empty(), "nothing is renamed there");
    assert_eq!(bench.list(ROOT, both()), []);
}

/// As a version of the program left it that took the birth of the inode for the date of its content.
#[test]
fn a_newer_file_that_was_put_aside_has_its_name_again() {
    let bench = replaced_by(3);
    let ours = bench.get(ROOT, "f").ino;
    bench.list(ROOT, listing(vec![], vec![dated(2, "f", 20)]));
    let put = |from: &str, to: &str| {
        let sql = "UPDATE node SET rdate = NULL, rname = 'f', name = CAST(?2 AS BLOB)
                   WHERE parent = 1 AND name = CAST(?1 AS BLOB)";
        let rows = bench
            .tree
            .store
            .write(|tx| -> Result<_, TreeError> { Ok(tx.execute(sql, [from, to])?) });
        assert_eq!(rows.unwrap(), 1);
    };
    put("f", "f (file3)");
    put("f (file2)", "f");
    assert_ne!(bench.get(ROOT, "f").ino, ours);
    let both = vec![dated(2, "f", 20), dated(3, "f", 30)];
    bench.list(ROOT, listing(vec![], both));
    assert_eq!(bench.names(ROOT), ["f", "f (file2)"]);
    assert_eq!(bench.get(ROOT, "f").ino, ours);
}

#[test]
fn of_files_of_one_second_every_machine_takes_the_same() {
    let twins = || vec![dated(2, "f", 20), dated(3, "f", 20)];
    for n in [2, 3] {
        let bench = replaced_by(n);
        let other = dated(5 - n, "f", 20);
        bench.list(ROOT, listing(vec![], vec![other]));
        bench.list(ROOT, listing(vec![], twins()));
        assert_eq!(bench.names(ROOT), ["f", "f (file3)"], "after file{n}");
    }
    let fresh = Bench::new();
    fresh.list(ROOT, listing(vec![], twins()));
    assert_eq!(fresh.names(ROOT), ["f", "f (file3)"]);
}

#[test]
fn what_is_unsent_keeps_the_name_that_it_has() {
    let bench = Bench::new();
    let three = || {
        let files = vec![dated(2, "f", 20), dated(3, "f", 30), dated(4, "f", 40)];
        listing(vec![], files)
    };
    bench.list(
        ROOT,
        listing(vec![], vec![dated(2, "f", 20), dated(3, "f", 30)]),
    );
    // Under the name itself, and under that of one put aside.
    let (f, aside) = (
        bench.write(ROOT, "f", 7).ino,
        bench.write(ROOT, "f (file2)", 8).ino,
    );
    bench.list(ROOT, three());
    assert_eq!(bench.names(ROOT), ["f", "f (file2)", "f (file4)"]);
    assert_eq!(bench.get(ROOT, "f").ino, f);
    assert_eq!(bench.get(ROOT, "f (file2)").ino, aside);
    assert_eq!(bench.todo(), ["send 0/f (file2) 8", "send 0/f 7"]);
    // The others go: that one is being sent under the name that it has.
    bench.begin_upload(aside, 0, "f (file2)", 8);
    bench.tree.unlink(ROOT, OsStr::new("f"), bench.now).unwrap();
    bench.list(ROOT, listing(vec![], vec![dated(2, "f", 20)]));
    assert_eq!(bench.names(ROOT), ["f (file2)"]);
    bench.sent(aside, 5, 0, "f (file2)", 8);
    assert_eq!(bench.todo(), ["remove file2", "remove file3"]);
}

/// What somebody does on one of two machines.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Writes a file.
    Write(usize, &'static str),
    /// Its queue is worked off.
    Send(usize),
    /// It lists the folder.
    List(usize),
    /// The service's clock goes on by a second.
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    let name = prop_oneof![4 => Just("f"), 1 => Just("g")];
    prop_oneof![
        3 => (0..2_usize, name).prop_map(|(machine, name)| Step::Write(machine, name)),
        3 => (0..2_usize).prop_map(Step::Send),
        2 => (0..2_usize).prop_map(Step::List),
        2 => Just(Step::Wait),
    ]
}

/// The service, by the numbers of the files: name and date.
#[derive(Default)]
struct Service {
    files: BTreeMap<u64, (String, i64)>,
    clock: i64,
    ids: Vec<u64>,
}

impl Service {
    fn listing(&self) -> Listing {
        let files = self.files.iter();
        let files = files.map(|(n, (name, date))| dated(*n, name, *date));
        listing(vec![], files.collect())
    }

    fn work_off(&mut self, machine: &mut Bench) {
        while let Some(task) = machine.ready().into_iter().next() {
            match task {
                Task::Send { ino, at, size, .. } => {
                    let n = self.ids.pop().unwrap();
                    self.files.insert(n, (at.name.clone(), self.clock));
                    machine.sent(ino, n, 0, &at.name, size);
                }
                Task::Remove(removal) => {
                    self.files
                        .retain(|n, _| file_id(*n).as_str() != removal.rid);
                    machine.tree.removed(&[removal], machine.now).unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

/// What each name leads to.
fn shown(machine: &Bench) -> BTreeMap<String, Option<String>> {
    let name = |name: String| (name.clone(), machine.get(ROOT, &name).remote.rid());
    machine.names(ROOT).into_iter().map(name).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_machine_comes_to_the_names_that_a_new_one_sees(
        ids in Just((10..60).collect::<Vec<u64>>()).prop_shuffle(),
        steps in prop::collection::vec(step(), 1..24),
    ) {
        let mut service = Service { ids, ..Service::default() };
        let mut machines = [Bench::new(), Bench::new()];
        for step in steps {
            match step {
                Step::Write(machine, name) => {
                    machines[machine].write(ROOT, name, 1);
                }
                Step::Send(machine) => service.work_off(&mut machines[machine]),
                Step::List(machine) => {
                    machines[machine].list(ROOT, service.listing());
                }
                Step::Wait => service.clock += 1,
            }
        }
        for machine in &mut machines {
            service.work_off(machine);
        }
        let new = Bench::new();
        new.list(ROOT, service.listing());
        for machine in &mut machines {
            machine.pass(1_000);
            // An empty answer is believed the second time.
            machine.list(ROOT, service.listing());
            machine.list(ROOT, service.listing());
            prop_assert_eq!(shown(machine), shown(&new));
            prop_assert!(machine.todo().is_empty());
        }
    }
}
