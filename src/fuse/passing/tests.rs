//! The table against what the kernel does with its answers.

use proptest::prelude::*;

use super::*;

const FILE: Ino = Ino(5);

/// Bytes as they were in one version.
#[derive(Clone, Debug)]
struct Copy {
    id: usize,
    version: u64,
}

impl Backing for Copy {
    fn size(&self) -> u64 {
        self.version
    }

    fn is_current(&self) -> bool {
        true
    }
}

/// An inode of the kernel, by the rules of its fs/fuse/iomode.c.
#[derive(Default)]
struct Inode {
    cached: u32,
    through: Vec<usize>,
}

impl Inode {
    /// Takes an answer to an open; `false` is EIO for the caller.
    #[must_use]
    fn open(&mut self, backing: Option<usize>) -> bool {
        match backing {
            None if !self.through.is_empty() => return false,
            Some(_) if self.cached > 0 => return false,
            Some(id) if self.through.iter().any(|other| *other != id) => return false,
            None => self.cached += 1,
            Some(id) => self.through.push(id),
        }
        true
    }

    fn close(&mut self, backing: Option<usize>) {
        match backing {
            None => self.cached -= 1,
            Some(_) => drop(self.through.pop()),
        }
    }
}

/// A handle on its way from our answer to its release.
struct Handle {
    which: Which,
    wish: Wish,
    step: Step,
}

enum Step {
    /// It has its place; a copy to be read may have been made.
    Entered(Ticket<Copy>, Option<Copy>),
    /// We answered, and the kernel has yet to hear it.
    Answered(Option<Copy>),
    Open(Option<Copy>),
    /// The kernel is done with it, and we have yet to hear of that.
    Closed,
}

#[derive(Clone, Debug)]
enum Do {
    /// By a number that was looked up now, or at the beginning.
    Open(Wish, Lookup),
    Create,
    /// truncate(2)
    Cut(Lookup),
    /// The handle takes its next step.
    Step(usize),
    Write(usize),
}

#[derive(Clone, Copy, Debug)]
enum Lookup {
    Fresh,
    Old,
}

struct World {
    table: Arc<Table<Copy>>,
    kernel: [Inode; 2],
    handles: Vec<Handle>,
    version: u64,
    copies: usize,
}

impl World {
    fn number(&self, lookup: Lookup) -> Which {
        match lookup {
            Lookup::Fresh => self.table.which(FILE),
            Lookup::Old => Which::First,
        }
    }

    /// As the kernel does: once more by a new look-up after ESTALE.
    fn enter(&self, wish: Wish, lookup: Lookup) -> (Which, Ticket<Copy>) {
        let which = self.number(lookup);
        match self.table.enter(FILE, which, wish) {
            Some(ticket) => (which, ticket),
            None => {
                let anew = self.number(Lookup::Fresh);
                assert_eq!((which, anew), (Which::First, Which::Second));
                let ticket = self.table.enter(FILE, anew, wish);
                (anew, ticket.expect("the second try succeeds"))
            }
        }
    }

    fn step(&mut self, at: usize) {
        let index = at % self.handles.len();
        let Handle { which, wish, step } = self.handles.swap_remove(index);
        let inode = &mut self.kernel[which as usize];
        let step = match step {
            Step::Entered(ticket, None) if wish == Wish::Read && ticket.is_alone() => {
                self.copies += 1;
                let copy = Copy {
                    id: self.copies,
                    version: self.version,
                };
                Step::Entered(ticket, Some(copy))
            }
            Step::Entered(mut ticket, copy) => {
                let given = match copy {
                    Some(copy) => ticket.pass(copy.clone()).is_ok().then(|| {
                        assert_eq!(copy.version, self.version, "an old version is opened");
                        copy
                    }),
                    None => ticket.through().cloned(),
                };
                if given.is_some() {
                    assert_eq!((which, wish), (Which::First, Wish::Read));
                }
                ticket.keep();
                Step::Answered(given)
            }
            Step::Answered(given) => {
                let id = given.as_ref().map(|copy| copy.id);
                assert!(inode.open(id), "EIO");
                Step::Open(given)
            }
            Step::Open(given) => {
                let frozen = self.table.frozen(FILE, which);
                match (&given, frozen) {
                    // What it reads is as long as it is told.
                    (Some(copy), None) => assert_eq!(copy.version, self.version),
                    (Some(copy), Some(size)) => assert_eq!(copy.version, size),
                    (None, frozen) => assert_eq!(frozen, None),
                }
                inode.close(given.map(|copy| copy.id));
                Step::Closed
            }
            Step::Closed => return self.table.leave(FILE, which),
        };
        self.handles.push(Handle { which, wish, step });
    }

    fn run(&mut self, what: &Do) {
        match *what {
            Do::Open(wish, lookup) => {
                let (which, ticket) = self.enter(wish, lookup);
                // Whoever joins others reads what there is now.
                if let Some(copy) = ticket.through() {
                    assert_eq!(copy.version, self.version);
                }
                let step = Step::Entered(ticket, None);
                self.handles.push(Handle { which, wish, step });
            }
            Do::Create => {
                let which = self.table.created(FILE);
                self.version += 1;
                let (wish, step) = (Wish::Other, Step::Answered(None));
                self.handles.push(Handle { which, wish, step });
            }
            Do::Cut(lookup) => {
                let (_, ticket) = self.enter(Wish::Other, lookup);
                self.version += 1;
                drop(ticket);
            }
            Do::Step(at) if !self.handles.is_empty() => self.step(at),
            Do::Write(at) if !self.handles.is_empty() => {
                let handle = &self.handles[at % self.handles.len()];
                if handle.wish == Wish::Other && matches!(handle.step, Step::Open(_)) {
                    self.version += 1;
                }
            }
            Do::Step(_) | Do::Write(_) => {}
        }
    }
}

fn something() -> impl Strategy<Value = Do> {
    let lookup = || prop_oneof![Just(Lookup::Fresh), Just(Lookup::Old)];
    let wish = prop_oneof![9 => Just(Wish::Read), 1 => Just(Wish::Other)];
    prop_oneof![
        6 => (wish, lookup()).prop_map(|(wish, lookup)| Do::Open(wish, lookup)),
        1 => Just(Do::Create),
        1 => lookup().prop_map(Do::Cut),
        16 => any::<usize>().prop_map(Do::Step),
        1 => any::<usize>().prop_map(Do::Write),
    ]
}

proptest! {
    #[test]
    fn no_order_of_opens_and_changes_gives_an_error_or_an_old_version(
        all in proptest::collection::vec(something(), 1..120),
    ) {
        let mut world = World {
            table: Arc::default(),
            kernel: Default::default(),
            handles: Vec::new(),
            version: 1,
            copies: 0,
        };
        for what in &all {
            world.run(what);
        }
        while !world.handles.is_empty() {
            world.step(0);
        }
        let left = world.table.files.lock();
        prop_assert!(left.values().all(|file| file.replaced && file.through.is_none()));
        prop_assert!(left.values().all(|file| file.open == 0));
    }
}

fn table() -> Arc<Table<Copy>> {
    Arc::default()
}

fn copy(id: usize) -> Copy {
    Copy { id, version: 7 }
}

#[test]
fn readers_share_what_is_passed_through_until_the_last_of_them_goes() {
    let table = table();
    let mut first = table.enter(FILE, Which::First, Wish::Read).unwrap();
    assert!(first.pass(copy(1)).is_ok());
    first.keep();
    let second = table.enter(FILE, Which::First, Wish::Read).unwrap();
    assert_eq!(second.through().unwrap().id, 1);
    second.keep();
    table.leave(FILE, Which::First);
    assert_eq!(table.frozen(FILE, Which::First), None);
    table.leave(FILE, Which::First);
    assert!(table.files.lock().is_empty());
}

#[test]
fn who_opened_it_before_goes_on_and_who_comes_later_is_sent_to_the_second_inode() {
    let table = table();
    let mut reader = table.enter(FILE, Which::First, Wish::Read).unwrap();
    assert!(reader.pass(copy(1)).is_ok());
    reader.keep();
    assert!(table.enter(FILE, Which::First, Wish::Other).is_none());
    assert_eq!(table.which(FILE), Which::Second);
    assert!(table.enter(FILE, Which::First, Wish::Read).is_none());
    assert_eq!(table.frozen(FILE, Which::First), Some(7));
    assert_eq!(table.frozen(FILE, Which::Second), None);
    let writer = table.enter(FILE, Which::Second, Wish::Other).unwrap();
    let late = table.enter(FILE, Which::Second, Wish::Read).unwrap();
    assert!(!late.is_alone() && late.through().is_none());
    drop((writer, late));
    table.leave(FILE, Which::First);
    assert!(table.enter(FILE, Which::First, Wish::Read).is_none());
    assert_eq!(table.created(FILE), Which::Second);
}

#[test]
fn a_second_inode_that_this_mount_never_told_is_not_opened() {
    assert!(table().enter(FILE, Which::Second, Wish::Read).is_none());
}

#[test]
fn nothing_is_passed_through_once_somebody_else_was_there() {
    let table = table();
    let mut reader = table.enter(FILE, Which::First, Wish::Read).unwrap();
    assert!(reader.is_alone());
    drop(table.enter(FILE, Which::First, Wish::Other).unwrap());
    assert!(!reader.is_alone());
    assert!(reader.pass(copy(1)).is_err());
    drop(reader);
    assert!(table.files.lock().is_empty());
}

#[test]
fn what_was_found_wrong_is_given_to_nobody_else() {
    #[derive(Clone)]
    struct Wrong;
    impl Backing for Wrong {
        fn size(&self) -> u64 {
            1
        }
        fn is_current(&self) -> bool {
            false
        }
    }
    let table: Arc<Table<Wrong>> = Arc::default();
    let mut first = table.enter(FILE, Which::First, Wish::Read).unwrap();
    assert!(first.pass(Wrong).is_ok());
    assert!(table.enter(FILE, Which::First, Wish::Read).is_none());
    assert_eq!(table.which(FILE), Which::Second);
}
