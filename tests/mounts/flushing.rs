//! Files that go to the service while they are open.

use crate::harness::{World, errno, eventually, sample, scaled, shell};
use fichierfs::sim::{Fault, FaultKind, Shape, SimConfig};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;

/// Nothing is sent because of its time alone.
const RESTING: [&str; 2] = ["--write-back", "1h"];

/// Who waits for one file waits for no other, and is told if it failed.
#[test]
fn the_queue_is_waited_for_by_path() {
    let world = World::new();
    let mounted = world.mount_with("a", &RESTING);
    fs::create_dir(mounted.join("d")).unwrap();
    fs::create_dir(mounted.join("other")).unwrap();
    fs::write(mounted.join("d/file"), "wanted").unwrap();
    fs::write(mounted.join("other/file"), "rests").unwrap();
    let wait = |path: &str| {
        let mut command = world.fichierfs();
        command.args(["queue", "wait", "--timeout", "60s"]);
        shell::output(command.arg(mounted.join(path)))
    };
    let waited = wait("d");
    assert!(waited.status.success(), "{}", shell::show(&waited));
    assert_eq!(world.account().file_paths(), ["d/file"]);
    // Where it is called otherwise there, it is waited for as well.
    fs::rename(mounted.join("d"), mounted.join("e")).unwrap();
    let waited = wait("e/file");
    assert!(waited.status.success(), "{}", shell::show(&waited));
    assert_eq!(world.account().file_paths(), ["e/file"]);
    // What is below a folder that cannot be made fails with it.
    let refused = FaultKind::Ko {
        message: "This folder cannot be made #777".to_owned(),
        status: 200,
    };
    let fault = Fault::new("folder/mkdir", refused).always();
    world.simulator().faults().add(fault);
    fs::create_dir(mounted.join("refused")).unwrap();
    fs::write(mounted.join("refused/file"), "stays here").unwrap();
    let waited = wait("refused/file");
    let said = shell::show(&waited);
    assert_eq!(waited.status.code(), Some(3), "{said}");
    assert!(said.contains("2 items failed"), "{said}");
    world.simulator().faults().clear();
    assert!(mounted.verb(&["queue", "retry"]).status.success());
    mounted.unmount();
}

#[test]
fn an_fsync_that_waits_for_the_service_returns_when_that_has_the_file() {
    let world = World::new();
    world.account().add_file("edited", b"before").unwrap();
    let mounted = world.mount_with("a", &[&RESTING[..], &["--fsync", "remote"]].concat());
    let mut log = File::create(mounted.join("log")).unwrap();
    for part in ["first", "second", "third"] {
        log.write_all(part.as_bytes()).unwrap();
        log.sync_all().unwrap();
        let there = world.account().content("log").unwrap();
        assert!(there.ends_with(part.as_bytes()), "{part}");
    }
    drop(log);
    // What is closed rests, until its folder is synced.
    fs::create_dir(mounted.join("folder")).unwrap();
    for name in ["a", "b"] {
        fs::write(mounted.join("folder").join(name), name).unwrap();
    }
    File::open(mounted.join("folder"))
        .unwrap()
        .sync_all()
        .unwrap();
    for name in ["folder/a", "folder/b"] {
        assert!(world.account().content(name).is_ok(), "{name}");
    }
    mounted.drain();
    let paths = ["edited", "folder/a", "folder/b", "log"];
    assert_eq!(world.account().file_paths(), paths);
    mounted.unmount();
}

/// Its deadline ends a wait, never falsely as a failure; the file goes on being sent, once.
#[test]
fn an_fsync_that_takes_longer_than_its_deadline_says_so_and_can_be_called_again() {
    let config = SimConfig {
        shape: Shape {
            upload_bps: Some(300_000),
            ..Shape::default()
        },
        ..scaled()
    };
    let world = World::with(config);
    let flags = ["--fsync", "remote", "--data-deadline", "1s"];
    let mounted = world.mount_with("a", &[&RESTING[..], &flags].concat());
    let bytes = sample::bytes(1, 1_000_000);
    let mut file = File::create(mounted.join("file")).unwrap();
    file.write_all(&bytes).unwrap();
    assert_eq!(errno(file.sync_all()), libc::ETIMEDOUT);
    let mut waits = 1;
    while let Err(error) = file.sync_all() {
        assert_eq!(error.raw_os_error(), Some(libc::ETIMEDOUT));
        waits += 1;
        assert!(waits < 100, "it never arrives");
    }
    assert!(world.account().content("file").unwrap() == bytes);
    assert_eq!(world.report().uploads, 1);
    drop(file);
    world.assert_well_behaved();
    mounted.unmount();
}

/// Most of an edited file is on the service alone, and somebody else removed it there.
#[test]
fn an_fsync_to_the_service_fails_where_that_will_never_have_the_file() {
    let world = World::new();
    let bytes = sample::bytes(1, 1 << 20);
    world.account().add_file("edited", &bytes).unwrap();
    let mounted = world.mount_with("a", &[&RESTING[..], &["--fsync", "remote"]].concat());
    let file = File::options()
        .write(true)
        .open(mounted.join("edited"))
        .unwrap();
    world.account().delete("edited").unwrap();
    file.write_all_at(b"changed", 77).unwrap();
    assert_eq!(errno(file.sync_all()), libc::EIO);
}

#[test]
fn what_stays_open_for_long_is_sent_as_it_is() {
    let world = World::new();
    let mounted = world.mount_with(
        "a",
        &[&RESTING[..], &["--flush-open-after", "500ms"]].concat(),
    );
    let mut log = File::create(mounted.join("log")).unwrap();
    let mut whole = Vec::new();
    for part in ["first, ", "second, ", "third"] {
        whole.extend_from_slice(part.as_bytes());
        log.write_all(part.as_bytes()).unwrap();
        eventually("the snapshot", || {
            world
                .account()
                .content("log")
                .is_ok_and(|there| there == whole)
        });
    }
    let sent = world.report().uploads;
    drop(log);
    mounted.drain();
    assert_eq!(world.account().file_paths(), ["log"]);
    assert_eq!(world.report().uploads, sent, "closing adds nothing");
    world.assert_well_behaved();
    mounted.unmount();
}
