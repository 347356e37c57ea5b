//! Copies within the account are made by the service: nothing is fetched, nothing is
//! sent, and each copy is there once.

use crate::harness::{World, errno, eventually, names, sample, scaled, shell, tree};
use fichierfs::sim::{Fault, FaultKind, SimConfig};
use std::fs;
use std::os::unix::fs::FileExt;
use std::time::Duration;

const MIB: usize = 1 << 20;

#[test]
fn a_folder_is_copied_in_a_call_for_fifty_files() {
    let world = World::new();
    for number in 0..60 {
        let bytes = sample::bytes(number, 10_000);
        let path = format!("from/{number}");
        world.account().add_file(&path, &bytes).unwrap();
    }
    // However slowly this machine copies, all rests until it is asked for.
    let mounted = world.mount_with("a", &["--write-back", "1h"]);
    let cp = r#"cp -r "$M/from" "$M/to""#;
    shell::script(&world, cp, &[("M", mounted.path())]).unwrap();
    mounted.drain();
    let report = world.report();
    assert_eq!(report.calls_of("file/cp"), 2, "{:?}", report.calls);
    assert_eq!((report.bytes_up, report.bytes_down), (0, 0));
    // The mount asked for the account; two folders were listed, one was made.
    let calls: u64 = report.calls.values().sum();
    assert!(calls <= 7, "{:?}", report.calls);
    tree::assert_account_is(&world, mounted.path());
    world.assert_well_behaved();
    mounted.unmount();
}

#[test]
fn a_file_too_long_for_one_call_of_the_system_is_copied_whole() {
    let world = World::new();
    let size = 5 << 30;
    world.account().add_synthetic("film", 7, size).unwrap();
    let mounted = world.mount();
    let cp = r#"cp "$M/film" "$M/another name""#;
    shell::script(&world, cp, &[("M", mounted.path())]).unwrap();
    mounted.drain();
    let report = world.report();
    assert_eq!(report.calls_of("file/cp"), 1);
    assert_eq!((report.bytes_up, report.bytes_down), (0, 0));
    assert_eq!(world.account().file_paths(), ["another name", "film"]);
    let mut expected = [0; 4096];
    fichierfs::sim::synthetic_bytes(7, size - 4096, &mut expected);
    let mut found = [0; 4096];
    let copy = fs::File::open(mounted.join("another name")).unwrap();
    copy.read_exact_at(&mut found, size - 4096).unwrap();
    drop(copy);
    assert!(found == expected);
    world.assert_well_behaved();
    mounted.unmount();
}

#[test]
fn a_copy_that_was_changed_is_sent() {
    let world = World::new();
    let mut bytes = sample::bytes(1, MIB);
    world.account().add_file("file", &bytes).unwrap();
    let mounted = world.mount_with("a", &["--write-back", "1h"]);
    fs::copy(mounted.join("file"), mounted.join("copy")).unwrap();
    let copy = fs::OpenOptions::new()
        .write(true)
        .open(mounted.join("copy"))
        .unwrap();
    copy.write_all_at(b"!", 77).unwrap();
    drop(copy);
    mounted.drain();
    bytes[77] = b'!';
    assert!(world.account().content("copy").unwrap() == bytes);
    assert_eq!(world.report().calls_of("file/cp"), 0);
    world.assert_well_behaved();
    mounted.unmount();
}

/// The source goes only after the service itself said what it has of the copy.
#[test]
fn what_is_copied_and_removed_is_asked_about_in_between() {
    let world = World::new();
    let bytes = sample::bytes(1, MIB);
    world.account().add_file("old", &bytes).unwrap();
    let mounted = world.mount_with("a", &["--write-back", "1h"]);
    fs::copy(mounted.join("old"), mounted.join("new")).unwrap();
    fs::remove_file(mounted.join("old")).unwrap();
    mounted.drain();
    assert_eq!(world.account().file_paths(), ["new"]);
    assert!(world.account().content("new").unwrap() == bytes);
    let report = world.report();
    assert_eq!((report.calls_of("file/cp"), report.bytes_up), (1, 0));
    assert_eq!(report.calls_of("file/info"), 1);
    world.assert_well_behaved();
    mounted.unmount();
}

/// Of many the service is not asked one by one: a listing shows them all.
#[test]
fn what_is_copied_and_removed_in_numbers_is_asked_about_in_one_listing() {
    let world = World::new();
    for number in 0..20 {
        let bytes = sample::bytes(number, 10_000);
        let path = format!("from/{number}");
        world.account().add_file(&path, &bytes).unwrap();
    }
    let mounted = world.mount_with("a", &["--write-back", "1h"]);
    let script = r#"cp -r "$M/from" "$M/to" && rm -r "$M/from""#;
    shell::script(&world, script, &[("M", mounted.path())]).unwrap();
    mounted.drain();
    tree::assert_account_is(&world, mounted.path());
    let report = world.report();
    assert_eq!((report.calls_of("file/cp"), report.bytes_up), (1, 0));
    assert_eq!(report.calls_of("file/info"), 0);
    let listings = report.calls_of("folder/ls");
    assert!(listings <= 3, "{:?}", report.calls);
    world.assert_well_behaved();
    mounted.unmount();
}

/// What the service told of and does not list when its listing should show it, it is asked about.
#[test]
fn copies_that_are_listed_late_are_asked_about_and_not_sent() {
    let world = World::with(SimConfig {
        listing_lag: Duration::from_secs(600),
        ..scaled()
    });
    for number in 0..6 {
        let bytes = sample::bytes(number, 10_000);
        let path = format!("from {number}");
        world.account().add_file(&path, &bytes).unwrap();
    }
    let mounted = world.mount_with("a", &["--write-back", "1h"]);
    let script = r#"cd "$M" && mkdir to && cp from* to && rm from*"#;
    shell::script(&world, script, &[("M", mounted.path())]).unwrap();
    mounted.drain();
    let copies: Vec<_> = (0..6).map(|number| format!("to/from {number}")).collect();
    assert_eq!(world.account().file_paths(), copies);
    let report = world.report();
    assert_eq!((report.calls_of("file/cp"), report.bytes_up), (1, 0));
    assert_eq!(report.calls_of("file/info"), 6);
    world.assert_well_behaved();
    mounted.unmount();
}

#[test]
fn a_copy_whose_answer_is_lost_is_there_once() {
    for several in [false, true] {
        let world = World::new();
        for name in ["from/a", "from/b"] {
            world.account().add_file(name, name.as_bytes()).unwrap();
        }
        let lost = Fault::new("file/cp", FaultKind::LoseAnswer);
        world.simulator().faults().add(lost);
        let mounted = world.mount_with("a", &["--write-back", "1h"]);
        fs::create_dir(mounted.join("to")).unwrap();
        fs::copy(mounted.join("from/a"), mounted.join("to/a")).unwrap();
        if several {
            fs::copy(mounted.join("from/b"), mounted.join("to/b")).unwrap();
        }
        mounted.drain();
        // Two of one name would show.
        tree::assert_account_is(&world, mounted.path());
        let report = world.report();
        assert_eq!((report.calls_of("file/cp"), report.bytes_up), (1, 0));
        world.assert_well_behaved();
        mounted.unmount();
    }
}

/// Killed before the call reaches the service, and after it was done there but before the
/// answer came.
#[test]
fn a_copy_that_is_interrupted_by_a_kill_is_there_once() {
    let fate = [
        ("done", FaultKind::LoseAnswer, 1),
        ("not done", FaultKind::Status { status: 503 }, 2),
    ];
    for (shown, fault, calls) in fate {
        let world = World::new();
        let bytes = sample::bytes(1, MIB);
        world.account().add_file("file", &bytes).unwrap();
        world.simulator().faults().add(Fault::new("file/cp", fault));
        let mounted = world.mount_with("a", &["--write-back", "0s"]);
        fs::copy(mounted.join("file"), mounted.join("copy")).unwrap();
        eventually("the call", || world.report().calls_of("file/cp") > 0);
        mounted.crash();
        let mounted = world.mount_with("a", &["--write-back", "0s"]);
        let found = fs::read(mounted.join("copy")).unwrap_or_else(|e| panic!("{shown}: {e}"));
        assert!(found == bytes, "{shown}");
        mounted.drain();
        assert_eq!(world.account().file_paths(), ["copy", "file"], "{shown}");
        assert!(world.account().content("copy").unwrap() == bytes);
        let report = world.report();
        assert_eq!(report.calls_of("file/cp"), calls, "{shown}");
        assert_eq!(report.bytes_up, 0, "{shown}");
        mounted.unmount();
    }
}

#[test]
fn a_copy_that_the_service_refuses_is_sent() {
    let world = World::new();
    let bytes = sample::bytes(1, MIB);
    world.account().add_file("file", &bytes).unwrap();
    let no = FaultKind::Ko {
        message: "Something new #999".to_owned(),
        status: 200,
    };
    let fault = Fault::new("file/cp", no).always();
    world.simulator().faults().add(fault);
    let mounted = world.mount();
    fs::copy(mounted.join("file"), mounted.join("copy")).unwrap();
    mounted.drain();
    assert!(world.account().content("copy").unwrap() == bytes);
    let report = world.report();
    assert_eq!((report.calls_of("file/cp"), report.uploads), (1, 1));
    mounted.unmount();
}

/// Somebody else removed what was copied. What was read before is here and is sent; what
/// was not is told to be lost, and nothing is made up.
#[test]
fn a_copy_of_what_is_gone_is_sent_from_the_cache_or_fails_with_the_reason() {
    let world = World::new();
    let bytes = sample::bytes(1, MIB);
    for name in ["read", "unread"] {
        world.account().add_file(name, &bytes).unwrap();
    }
    let mounted = world.mount_with("a", &["--write-back", "1h"]);
    assert!(fs::read(mounted.join("read")).unwrap() == bytes);
    for name in ["read", "unread"] {
        let copy = format!("copy of {name}");
        fs::copy(mounted.join(name), mounted.join(copy)).unwrap();
        world.account().delete(name).unwrap();
    }
    let waited = mounted.verb(&["queue", "wait", "--timeout", "100s"]);
    assert_eq!(waited.status.code(), Some(3), "{}", shell::show(&waited));
    assert!(world.account().content("copy of read").unwrap() == bytes);
    assert!(
        !world
            .account()
            .file_paths()
            .contains(&"copy of unread".to_owned())
    );
    // The one that was read. To ask for the other, of which the service has just said that it
    // has it not, would be another failing call.
    assert_eq!(world.report().calls_of("download/get_token"), 1);
    let list = mounted.verb(&["queue", "list"]);
    let shown = shell::show(&list);
    assert!(
        shown.contains("copy of unread") && shown.contains("cannot be read"),
        "{shown}"
    );
    assert!(names(mounted.path()).contains(&"copy of unread".to_owned()));
    let error = errno(fs::read(mounted.join("copy of unread")));
    assert!([libc::ESTALE, libc::EIO].contains(&error), "{error}");
}
