//! Who watches a folder hears of changes made elsewhere, and nobody sees how that is done.

use crate::harness::tree::account;
use crate::harness::{Mounted, World, eventually, names, scaled, shell, text};
use fichierfs::sim::SimConfig;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The thread of the daemon that has events raised.
const THREAD: &str = "fuse-inotify";

/// Everything that a change can cause; opening and reading are no changes.
const CHANGES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::CLOSE_WRITE);

/// What became of a name.
type Event = ReadFlags;

/// A program that watches a folder.
struct Watcher {
    inotify: OwnedFd,
    heard: BTreeSet<(String, u32)>,
}

impl Watcher {
    fn of(folder: &Path) -> Watcher {
        Watcher::of_some(folder, CHANGES)
    }

    fn of_some(folder: &Path, events: WatchFlags) -> Watcher {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&inotify, folder, events).unwrap();
        Watcher {
            inotify,
            heard: BTreeSet::new(),
        }
    }

    /// All that was heard so far.
    fn heard(&mut self) -> &BTreeSet<(String, u32)> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        loop {
            match events.next() {
                Ok(event) => {
                    let name = event.file_name().unwrap_or_default().to_str().unwrap();
                    self.heard.insert((name.to_owned(), event.events().bits()));
                }
                Err(error) => {
                    assert_eq!(error, Errno::WOULDBLOCK);
                    return &self.heard;
                }
            }
        }
    }

    /// Exactly this, and nothing before the last of it.
    fn hears(&mut self, expected: &[(&str, Event)]) {
        let expected = expected
            .iter()
            .map(|(name, event)| ((*name).to_owned(), event.bits()));
        let expected = expected.collect::<BTreeSet<_>>();
        eventually("all events", || self.heard().is_superset(&expected));
        assert_eq!(*self.heard(), expected);
    }
}

/// Listings show at once what changed.
fn without_lag() -> SimConfig {
    SimConfig {
        listing_lag: Duration::ZERO,
        ..scaled()
    }
}

fn refresh(mounted: &Mounted<'_>, folder: &str) {
    let mut command = mounted.world().fichierfs();
    command.arg("refresh").arg(mounted.join(folder));
    let refreshed = shell::output(&mut command);
    assert!(refreshed.status.success(), "{}", shell::show(&refreshed));
}

fn has_thread(mounted: &Mounted<'_>) -> bool {
    let tasks = fs::read_dir(format!("/proc/{}/task", mounted.pid())).unwrap();
    tasks.flatten().any(|task| {
        let name = fs::read_to_string(task.path().join("comm"));
        name.is_ok_and(|name| name.trim() == THREAD)
    })
}

#[test]
fn who_watches_a_folder_hears_of_what_others_changed_and_nothing_is_done_for_it() {
    let world = World::with(without_lag());
    let theirs = world.account();
    for name in ["gone", "renamed", "replaced", "stays"] {
        theirs.add_file(&format!("d/e/{name}"), b"before").unwrap();
    }
    theirs.add_folder("d/e/folder gone").unwrap();
    let mounted = world.mount();
    assert_eq!(names(mounted.join("d/e")).len(), 5);
    let mut watcher = Watcher::of(&mounted.join("d/e"));

    theirs.add_file("d/e/new", b"new").unwrap();
    theirs.add_file("d/e/link.rclonelink", b"new").unwrap();
    theirs.add_folder("d/e/folder").unwrap();
    theirs.delete("d/e/gone").unwrap();
    theirs.delete("d/e/folder gone").unwrap();
    theirs.rename("d/e/renamed", "has another name").unwrap();
    theirs.replace("d/e/replaced", b"afterwards").unwrap();
    let (before, calls) = (account(&world), world.report());
    refresh(&mounted, "d/e");
    watcher.hears(&[
        ("new", Event::CREATE),
        ("link", Event::CREATE),
        ("folder", Event::CREATE | Event::ISDIR),
        ("gone", Event::DELETE),
        ("folder gone", Event::DELETE),
        ("renamed", Event::DELETE),
        ("has another name", Event::CREATE),
        ("replaced", Event::CREATE),
    ]);

    let listings = world.report().calls_of("folder/ls") - calls.calls_of("folder/ls");
    assert_eq!(listings, 1, "the one that was asked for");
    let shown = [
        "folder",
        "has another name",
        "link",
        "new",
        "replaced",
        "stays",
    ];
    assert_eq!(names(mounted.join("d/e")), shown);
    assert_eq!(text(mounted.join("d/e/replaced")), "afterwards");
    assert_eq!(text(mounted.join("d/e/link")), "new");
    assert_eq!(fs::metadata(mounted.join("d/e/folder")).unwrap().nlink(), 2);
    mounted.drain();
    assert_eq!(account(&world), before);
    // What comes late came before this.
    theirs.add_file("d/e/last", b"last").unwrap();
    watcher.heard.clear();
    refresh(&mounted, "d/e");
    watcher.hears(&[("last", Event::CREATE)]);
    mounted.unmount();
    let report = world.report();
    assert_eq!(report.uploads, 0);
    for call in [
        "file/rm",
        "folder/rm",
        "folder/mkdir",
        "file/rename",
        "file/mv",
    ] {
        assert_eq!(report.calls_of(call), 0, "{call}");
    }
    world.assert_well_behaved();
}

#[test]
fn a_file_manager_hears_of_it_by_the_library_that_it_uses() {
    shell::need(&["gio"]);
    let world = World::with(without_lag());
    world.account().add_file("d/gone", b"before").unwrap();
    // The mountpoint itself has another number than its folder has elsewhere.
    let mounted = world.mount_with("a", &["--root-folder", "d"]);
    assert_eq!(names(mounted.path()), ["gone"]);
    let mut gio = world.at_home(Command::new("gio"));
    gio.args(["monitor", "-d"]).arg(mounted.path());
    let mut gio = gio.stdout(Stdio::piped()).spawn().unwrap();
    let pid = gio.id();
    eventually("that it watches", || {
        let all = fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap();
        all.flatten()
            .any(|one| fs::read_to_string(one.path()).is_ok_and(|it| it.contains("inotify wd:")))
    });
    world.account().add_file("d/new", b"new").unwrap();
    world.account().delete("d/gone").unwrap();
    refresh(&mounted, "");

    let mut lines = BufReader::new(gio.stdout.take().unwrap()).lines();
    let mut expected = BTreeSet::from(["/m/gone: deleted", "/m/new: created"]);
    while !expected.is_empty() {
        let line = lines.next().expect("it goes on").unwrap();
        expected.retain(|end| !line.ends_with(end));
    }
    gio.kill().unwrap();
    gio.wait().unwrap();
    mounted.unmount();
}

#[test]
fn where_it_is_not_wanted_or_not_possible_nobody_is_sent() {
    let world = World::with(without_lag());
    world.account().add_file("d/there", b"before").unwrap();
    for (place, flag) in [("off", "--inotify=false"), ("ro", "--ro")] {
        let mounted = world.mount_with(place, &[flag]);
        assert!(!has_thread(&mounted), "{place}");
        assert!(names(mounted.join("d")).contains(&"there".to_owned()));
        let mut watcher = Watcher::of(&mounted.join("d"));
        let new = format!("new, {place}");
        world.account().add_file(&format!("d/{new}"), b"x").unwrap();
        refresh(&mounted, "d");
        assert!(names(mounted.join("d")).contains(&new));
        assert!(watcher.heard().is_empty(), "{place}");
        mounted.unmount();
        world.forget_calls();
    }
    assert!(has_thread(&world.mount()));
}

/// What the kernel knows of a file that is being written is newer than what an event for its new name tells.
#[test]
fn a_file_that_grows_while_others_rename_it_loses_nothing_of_what_is_written() {
    const ROUNDS: usize = 6;
    let world = World::with(without_lag());
    let theirs = world.account();
    theirs.add_file("d/name 0", b"").unwrap();
    theirs.add_file("d/stays", b"x").unwrap();
    let mounted = world.mount();
    assert_eq!(names(mounted.join("d")), ["name 0", "stays"]);
    // Writes would fill the queue of events.
    let mut watcher = Watcher::of_some(&mounted.join("d"), WatchFlags::CREATE);

    let mut options = fs::OpenOptions::new();
    let mut file = options
        .read(true)
        .append(true)
        .open(mounted.join("d/name 0"))
        .unwrap();
    let ino = file.metadata().unwrap().ino();
    let ended = Ended::default();
    let written = std::thread::scope(|scope| {
        let mut writer = &file;
        let ended = &ended;
        let written = scope.spawn(move || {
            let mut written = 0_u64;
            while !ended.0.load(Ordering::Relaxed) {
                writer.write_all(&written.to_le_bytes()).unwrap();
                written += 1;
            }
            written
        });
        let end = End(ended);
        for round in 1..=ROUNDS {
            let (old, new) = (format!("name {}", round - 1), format!("name {round}"));
            theirs.rename(&format!("d/{old}"), &new).unwrap();
            refresh(&mounted, "d");
            let event = (new.clone(), Event::CREATE.bits());
            eventually(&new, || watcher.heard().contains(&event));
            // It is the same file, or nothing is tried here.
            assert_eq!(
                fs::metadata(mounted.join("d").join(&new)).unwrap().ino(),
                ino
            );
        }
        drop(end);
        written.join().unwrap()
    });
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    let expected = (0..written).flat_map(u64::to_le_bytes);
    assert_eq!(bytes.len() as u64, 8 * written);
    assert!(expected.eq(bytes.iter().copied()));
    drop(file);
    let last = mounted.join(format!("d/name {ROUNDS}"));
    assert!(fs::read(last).unwrap() == bytes);
    mounted.drain();
    mounted.unmount();
    world.assert_well_behaved();
}

/// A messenger that nobody sent: its word is a name like any other to the daemon, as that of one that was sent
/// is where the kernel does not tell who asks.
#[test]
fn a_messenger_that_is_not_known_does_nothing() {
    let world = World::with(without_lag());
    world.account().add_file("d/theirs", b"theirs").unwrap();
    let mounted = world.mount();
    let folder = mounted.join("d");
    assert_eq!(names(&folder), ["theirs"]);
    let mut watcher = Watcher::of(&folder);
    let calls = world.report();
    let stat = fs::metadata(&folder).unwrap();
    for (act, name) in [
        ("gone", "theirs"),
        ("file", "new"),
        ("folder", "new"),
        ("link", "new"),
    ] {
        let (mut line, other) = UnixStream::pair().unwrap();
        let mut messenger = world
            .fichierfs()
            .arg0("fichierfs-inotify")
            .stdin(OwnedFd::from(other))
            .spawn()
            .unwrap();
        let (major, minor) = (libc::major(stat.dev()), libc::minor(stat.dev()));
        let (ino, point) = (stat.ino(), mounted.path().display());
        let told = format!("a word\0{act}\0{major}\0{minor}\0{ino}\0{point}\0d\0{name}\0");
        line.write_all(told.as_bytes()).unwrap();
        line.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        line.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, (-1_i32).to_ne_bytes(), "{act}");
        messenger.wait().unwrap();
    }
    assert_eq!(names(&folder), ["theirs"]);
    assert!(watcher.heard().is_empty());
    mounted.drain();
    let report = world.report();
    for call in ["file/rm", "folder/mkdir"] {
        assert_eq!(report.calls_of(call), calls.calls_of(call), "{call}");
    }
    assert_eq!(report.uploads, calls.uploads);
    mounted.unmount();
}

/// Names that many look at all the time, while they come, are replaced and go. Where one was once
/// seen it stays until it goes, and then it stays away: no answer that was meant for the
/// messenger reaches anybody else.
#[test]
fn whoever_looks_meanwhile_never_sees_an_answer_that_is_meant_for_the_messenger() {
    const NAMES: usize = 150;
    let world = World::with(without_lag());
    let theirs = world.account();
    // A folder that is listed empty all at once is not believed to be.
    theirs.add_file("d/stays", b"x").unwrap();
    let mounted = world.mount();
    let folder = mounted.join("d");
    assert_eq!(names(&folder), ["stays"]);
    let all = (0..NAMES).map(|n| format!("n{n}")).collect::<Vec<_>>();
    let path = |name: &String| format!("d/{name}");

    type Change<'c> = (&'c str, Event, bool, &'c dyn Fn(&String));
    let rounds: [Change<'_>; 4] = [
        ("come", Event::CREATE, true, &|name| {
            theirs.add_file(&path(name), b"x").unwrap();
        }),
        ("are replaced", Event::CREATE, true, &|name| {
            theirs.replace(&path(name), b"another").unwrap();
        }),
        ("go", Event::DELETE, false, &|name| {
            theirs.delete(&path(name)).unwrap();
        }),
        ("come again", Event::CREATE, true, &|name| {
            theirs.add_file(&path(name), b"again").unwrap();
        }),
    ];
    for (what, event, there, change) in rounds {
        let mut watcher = Watcher::of(&folder);
        all.iter().for_each(change);
        let ended = Ended::default();
        std::thread::scope(|scope| {
            let lookers: [Look; 3] = [by_stat, by_opening, by_listing];
            for look in lookers {
                let (folder, all, ended) = (&folder, &all, &ended);
                scope.spawn(move || {
                    // What is as it is to be stays so.
                    let mut settled = BTreeMap::new();
                    while !ended.0.load(Ordering::Relaxed) {
                        let seen = look(folder, all);
                        for name in all {
                            let is_there = seen.contains(name);
                            let before = settled.entry(name).or_insert(is_there == there);
                            assert!(
                                !*before || is_there == there,
                                "names {what}, and {name} is once more as it was before"
                            );
                            *before = is_there == there;
                        }
                    }
                });
            }
            // Also where this fails, or those would look on for ever.
            let _end = End(&ended);
            refresh(&mounted, "d");
            let expected = all
                .iter()
                .map(|name| (name.clone(), event.bits()))
                .collect();
            eventually(what, || watcher.heard().is_superset(&expected));
            assert_eq!(*watcher.heard(), expected, "{what}");
        });
        let expected: BTreeSet<String> = all.iter().filter(|_| there).cloned().collect();
        assert_eq!(by_listing(&folder, &all), expected, "{what}");
        assert_eq!(by_stat(&folder, &all), expected, "{what}");
    }
    mounted.drain();
    assert_eq!(text(folder.join("n0")), "again");
    mounted.unmount();
    assert_eq!(world.report().uploads, 0);
    world.assert_well_behaved();
}

#[derive(Default)]
struct Ended(AtomicBool);

/// That it has ended, at the end of this.
struct End<'e>(&'e Ended);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// Which of these names are there.
type Look = fn(&Path, &[String]) -> BTreeSet<String>;

/// A name is there or not; nothing else is an answer.
fn is_there<T>(result: std::io::Result<T>) -> bool {
    match result {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
            false
        }
    }
}

fn by_stat(folder: &Path, all: &[String]) -> BTreeSet<String> {
    let there = all.iter().filter(|name| {
        let found = fs::symlink_metadata(folder.join(name));
        if let Ok(found) = &found {
            assert_ne!(found.len(), 0, "of the file that the messenger removes");
        }
        is_there(found)
    });
    there.cloned().collect()
}

fn by_opening(folder: &Path, all: &[String]) -> BTreeSet<String> {
    let there = all
        .iter()
        .filter(|name| is_there(fs::File::open(folder.join(name))));
    there.cloned().collect()
}

fn by_listing(folder: &Path, all: &[String]) -> BTreeSet<String> {
    let names = names(folder).into_iter();
    names.filter(|name| all.contains(name)).collect()
}
