//! The service fails, lies and falls silent: what is known stays, what is not known is
//! never made up, and the work gets done once it can be.

use crate::harness::{Mounted, World, errno, eventually, names, sample, scaled, tree};
use fichierfs::sim::{Fault, FaultKind, LockKind, SimConfig};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::Duration;

const MIB: usize = 1 << 20;

fn status(status: u16) -> FaultKind {
    FaultKind::Status { status }
}

/// Short deadlines, so that what fails does so soon.
const IMPATIENT: [&str; 4] = ["--metadata-deadline", "2s", "--data-deadline", "4s"];

/// What a folder does that could not be listed: it fails, and says no more than that.
fn assert_unknown(mounted: &Mounted<'_>, kind: &FaultKind) {
    let allowed = [libc::EIO, libc::ETIMEDOUT];
    for error in [
        errno(
            fs::read_dir(mounted.join("folder")).and_then(|mut entries| match entries.next() {
                Some(Err(error)) => Err(error),
                Some(Ok(_)) | None => Ok(()),
            }),
        ),
        errno(fs::metadata(mounted.join("folder/file"))),
        errno(File::open(mounted.join("folder/file"))),
        // Whether that name is free is not known either.
        errno(fs::metadata(mounted.join("folder/none"))),
    ] {
        assert!(allowed.contains(&error), "{kind:?}: error {error}");
    }
}

#[test]
fn a_folder_that_cannot_be_listed_is_neither_empty_nor_gone() {
    for kind in [
        status(500),
        FaultKind::Page,
        FaultKind::CorruptJson,
        FaultKind::Reset { after_bytes: 0 },
        FaultKind::Ko {
            message: "Something new #999".to_owned(),
            status: 200,
        },
    ] {
        let world = World::new();
        let account = world.account();
        account.add_file("folder/file", b"content").unwrap();
        let folder = account.folder_id("folder").unwrap();
        let mounted = world.mount_with("a", &IMPATIENT);
        assert_eq!(names(mounted.path()), ["folder"]);
        let fault = Fault::new("folder/ls", kind.clone()).always().only(folder);
        world.simulator().faults().add(fault);
        assert_unknown(&mounted, &kind);
        world.simulator().faults().clear();
        // Errors are not remembered as the folder's state.
        eventually("the folder's listing", || {
            fs::read(mounted.join("folder/file")).is_ok_and(|bytes| bytes == b"content")
        });
        assert_eq!(
            errno(fs::metadata(mounted.join("folder/none"))),
            libc::ENOENT
        );
        mounted.unmount();
    }
}

/// A lock is waited out; meanwhile names work as far as they are known.
#[test]
fn during_a_lock_what_is_known_stays_and_changes_are_accepted() {
    let world = World::new();
    world.account().add_file("folder/file", b"content").unwrap();
    let mounted = world.mount_with("a", &IMPATIENT);
    assert_eq!(names(mounted.join("folder")), ["file"]);
    assert_eq!(fs::read(mounted.join("folder/file")).unwrap(), b"content");
    for endpoint in ["folder/*", "file/*"] {
        let lock = FaultKind::Flood {
            lock: LockKind::Ip,
            seconds: None,
        };
        world.simulator().faults().add(Fault::new(endpoint, lock));
    }
    fs::create_dir(mounted.join("new")).unwrap();
    fs::write(mounted.join("new/file"), "written").unwrap();
    fs::rename(mounted.join("folder/file"), mounted.join("new/moved")).unwrap();
    assert_eq!(names(mounted.join("new")), ["file", "moved"]);
    assert_eq!(fs::read(mounted.join("new/moved")).unwrap(), b"content");
    mounted.drain();
    tree::assert_account_is(&world, mounted.path());
    mounted.unmount();
    let report = world.report();
    // The locks were the test's; the client made none longer by calling during it.
    assert_eq!(report.violation_count(), 0, "{report:#?}");
}

/// A lock of each kind in the middle of a walk, a copy and an upload.
#[test]
fn a_lock_in_the_middle_of_all_work_is_no_error_where_things_are_known() {
    let world = World::new();
    let account = world.account();
    for number in 0..30 {
        let path = format!("far/folder {number}/file");
        account.add_file(&path, b"unknown").unwrap();
    }
    for number in 0..3 {
        let bytes = sample::bytes(number, 400_000);
        account.add_file(&format!("near/{number}"), &bytes).unwrap();
    }
    let mounted = world.mount_with("a", &IMPATIENT);
    assert_eq!(names(mounted.join("near")), ["0", "1", "2"]);
    assert_eq!(names(mounted.join("far")).len(), 30);
    // Known, and its bytes at hand.
    assert_eq!(fs::read(mounted.join("near/0")).unwrap().len(), 400_000);
    let here = world.folder("here");
    fs::write(here.join("up"), sample::bytes(9, 300_000)).unwrap();
    let before = world.report();
    let (walked, failed) = std::thread::scope(|scope| {
        let walk = scope.spawn(|| {
            let mut failed = Vec::new();
            for number in 0..30 {
                let folder = mounted.join(format!("far/folder {number}"));
                // What is known meanwhile is there at any time.
                assert!(names(mounted.join("near")).len() >= 3);
                assert_eq!(fs::metadata(mounted.join("near/1")).unwrap().len(), 400_000);
                match fs::read_dir(&folder) {
                    Ok(entries) => assert_eq!(entries.count(), 1, "a listing that lacks something"),
                    Err(error) => failed.push((folder, error.raw_os_error())),
                }
                if number == 5 {
                    for endpoint in ["folder/*", "file/*", "upload/*"] {
                        let lock = FaultKind::Flood {
                            lock: LockKind::Ip,
                            seconds: None,
                        };
                        world.simulator().faults().add(Fault::new(endpoint, lock));
                    }
                }
            }
            (30 - failed.len(), failed)
        });
        // A copy on the service, and one to it.
        for number in 0..3 {
            fs::copy(
                mounted.join("near/0"),
                mounted.join(format!("near/copy {number}")),
            )
            .unwrap();
            fs::copy(here.join("up"), mounted.join(format!("near/up {number}"))).unwrap();
        }
        walk.join().unwrap()
    });
    assert!(
        walked > 5 && !failed.is_empty(),
        "{walked} folders were read"
    );
    for (folder, error) in &failed {
        let unknown = matches!(error, Some(libc::EIO | libc::ETIMEDOUT));
        assert!(unknown, "{}: {error:?}", folder.display());
    }
    // After the locks the queue is worked off, and what was unknown is there.
    mounted.drain();
    for (folder, _) in &failed {
        eventually("a folder after the lock", || {
            fs::read_dir(folder).is_ok_and(|entries| entries.count() == 1)
        });
    }
    tree::assert_account_is(&world, mounted.path());
    mounted.unmount();
    let report = world.report();
    assert!(report.faults > before.faults, "no lock struck");
    // Nobody called again while a lock held.
    assert_eq!(report.violation_count(), 0, "{report:#?}");
}

/// The service bans who keeps failing: what it does not know is asked for a few times in an hour,
/// whatever asks, and its folder tells what became of it.
#[test]
fn failing_calls_are_few_in_an_hour_over_restarts_and_meanwhile_what_is_known_is_served() {
    const FOLDERS: u32 = 12;
    // An hour lasts minutes, so that none ends within the test.
    let world = World::with(SimConfig {
        time_scale: 10.0,
        ..SimConfig::default()
    });
    let account = world.account();
    let file = |number| format!("folder {number}/file");
    for number in 0..FOLDERS {
        account.add_file(&file(number), b"content").unwrap();
    }
    account.add_file("far/file", b"never seen").unwrap();
    let flags = [&IMPATIENT[..], &["--dir-cache-time", "1h"]].concat();
    let mut mounted = world.mount_with("a", &flags);
    for number in 0..FOLDERS {
        let folder = mounted.join(format!("folder {number}"));
        eventually("a first listing", || fs::read_dir(&folder).is_ok());
        account.delete(&file(number)).unwrap();
    }
    assert!([libc::ESTALE, libc::EIO].contains(&errno(fs::read(mounted.join(file(0))))));
    eventually("the folder of what is gone", || {
        names(mounted.join("folder 0")).is_empty()
    });
    for number in 1..FOLDERS {
        if number == FOLDERS / 2 {
            mounted.unmount();
            mounted = world.mount_with("a", &flags);
        }
        let failed = errno(fs::read(mounted.join(file(number))));
        assert!(
            [libc::ESTALE, libc::EIO, libc::ENOENT].contains(&failed),
            "{failed}"
        );
    }
    let last = FOLDERS - 1;
    assert_eq!(names(mounted.join(format!("folder {last}"))), ["file"]);
    assert_eq!(fs::metadata(mounted.join(file(last))).unwrap().len(), 7);
    let unknown = errno(fs::metadata(mounted.join("far/file")));
    assert!([libc::EIO, libc::ETIMEDOUT].contains(&unknown), "{unknown}");
    mounted.unmount();
    let report = world.report();
    let failing: u64 = report.failing.values().sum();
    assert!((2..=5).contains(&failing), "{report:#?}");
    assert_eq!(report.violation_count(), 0, "{report:#?}");
}

#[test]
fn reads_are_right_through_all_that_goes_wrong_on_the_way() {
    let world = World::new();
    let size = 4 * MIB;
    let faults = [
        FaultKind::Reset {
            after_bytes: 100_000,
        },
        FaultKind::Truncate {
            after_bytes: 100_000,
        },
        FaultKind::Stall {
            after_bytes: 1_000,
            seconds: 1.0,
        },
        FaultKind::IgnoreRange,
        FaultKind::WrongContentRange { shift: 4_096 },
        FaultKind::TokenExpired,
        FaultKind::Redirect,
        FaultKind::Page,
        status(503),
    ];
    for number in 0..faults.len() {
        let name = format!("file {number}");
        world
            .account()
            .add_synthetic(&name, number as u64, size as u64)
            .unwrap();
    }
    let mounted = world.mount();
    for (number, kind) in faults.into_iter().enumerate() {
        let shown = format!("{kind:?}");
        world
            .simulator()
            .faults()
            .add(Fault::new("download", kind).times(2));
        let file = File::open(mounted.join(format!("file {number}"))).unwrap();
        let expected = sample::bytes(number as u64, size);
        // From the middle, then from the start: ranges matter in both.
        for at in [size / 2 + 17, 0] {
            let mut bytes = vec![0; size / 2];
            let end = bytes.len().min(size - at);
            file.read_exact_at(&mut bytes[..end], at as u64)
                .unwrap_or_else(|error| panic!("{shown}: {error}"));
            assert!(bytes[..end] == expected[at..at + end], "{shown} at {at}");
        }
        world.simulator().faults().clear();
    }
    mounted.unmount();
    world.assert_well_behaved();
}

#[test]
fn uploads_arrive_once_through_all_that_goes_wrong_on_the_way() {
    uploads_arrive_once(scaled());
}

/// What arrived, and what went, shows in listings only a minute and a half later.
#[test]
fn uploads_arrive_once_through_all_that_goes_wrong_while_listings_lag() {
    uploads_arrive_once(SimConfig {
        listing_lag: Duration::from_secs(90),
        ..scaled()
    });
}

/// The right content, once, each: whatever goes wrong, twice in a row.
fn uploads_arrive_once(config: SimConfig) {
    let reset = |after_bytes| FaultKind::Reset { after_bytes };
    let faults = [
        ("upload/get_upload_server", status(500)),
        ("upload/get_upload_server", FaultKind::CorruptJson),
        ("upload/get_upload_server", FaultKind::NodeDown),
        ("upload", reset(0)),
        ("upload", reset(50_000)),
        ("upload", reset(200_000)),
        ("upload", FaultKind::LoseAnswer),
        ("upload", status(502)),
        (
            "upload",
            FaultKind::UploadRefused {
                sentence: "Ne peut ouvrir le fichier destination".to_owned(),
            },
        ),
        ("end.pl", FaultKind::LoseAnswer),
        ("end.pl", FaultKind::EmptyLinks),
        ("end.pl", FaultKind::SeveralLinks),
        ("end.pl", FaultKind::WrongChecksum),
        ("end.pl", FaultKind::CorruptJson),
        ("end.pl", FaultKind::Page),
        ("end.pl", FaultKind::WaitPage { seconds: 60.0 }),
        ("folder/mkdir", FaultKind::LoseAnswer),
        ("file/mv", FaultKind::LoseAnswer),
        ("file/rename", FaultKind::LoseAnswer),
        ("file/rm", FaultKind::LoseAnswer),
        ("folder/rm", FaultKind::LoseAnswer),
    ];
    let world = World::with(config);
    let account = world.account();
    let mounted = world.mount();
    let disk = world.folder("disk");
    for (number, (endpoint, kind)) in faults.into_iter().enumerate() {
        let shown = format!("{endpoint}: {kind:?}");
        let name = format!("{number} {}", endpoint.replace('/', "-"));
        account
            .add_file(&format!("{name}/old/there"), b"already there")
            .unwrap();
        account
            .add_file(&format!("{name}/edited"), b"before")
            .unwrap();
        fs::create_dir_all(disk.join(&name).join("old")).unwrap();
        fs::write(disk.join(&name).join("old/there"), "already there").unwrap();
        fs::write(disk.join(&name).join("edited"), "before").unwrap();
        eventually("the new folder", || {
            let listed = mounted.verb(&["refresh"]);
            listed.status.success() && names(mounted.path()).contains(&name)
        });
        let fault = Fault::new(endpoint, kind).times(2);
        world.simulator().faults().add(fault);
        for root in [&disk, mounted.path()] {
            let folder = root.join(&name);
            fs::create_dir(folder.join("made")).unwrap();
            fs::write(
                folder.join("made/large"),
                sample::bytes(number as u64, 200_000),
            )
            .unwrap();
            fs::write(folder.join("edited"), "after").unwrap();
            fs::rename(folder.join("old/there"), folder.join("renamed")).unwrap();
            fs::remove_dir(folder.join("old")).unwrap();
        }
        mounted.drain();
        world.simulator().faults().clear();
        let (expected, found) = (tree::local(&disk), tree::account(&world));
        tree::assert_same(&shown, &expected, &found);
    }
    tree::assert_same(
        "the mount",
        &tree::local(&disk),
        &tree::local(mounted.path()),
    );
    mounted.unmount();
}

/// The old version of a file is no proof that the new one arrived, even if both are the same: the
/// old one is about to be removed.
#[test]
fn what_is_to_be_removed_is_not_taken_for_what_was_sent() {
    let bytes = sample::bytes(1, 200_000);
    let reset = FaultKind::Reset {
        after_bytes: 200_000,
    };
    for fault in [status(503), reset] {
        let world = World::new();
        world.account().add_file("f", &bytes).unwrap();
        let shown = format!("{fault:?}");
        let fault = Fault::new("upload", fault);
        world.simulator().faults().add(fault);
        let flags = ["--write-back", "0s"];
        let mounted = world.mount_with("a", &flags);
        fs::write(mounted.join("f.new"), &bytes).unwrap();
        fs::rename(mounted.join("f.new"), mounted.join("f")).unwrap();
        eventually("the upload", || world.report().bytes_up > 0);
        // The next process knows of the old version by its removal alone.
        mounted.crash();
        let mounted = world.mount_with("a", &flags);
        mounted.drain();
        assert_eq!(world.account().file_paths(), ["f"], "{shown}");
        assert!(world.account().content("f").unwrap() == bytes, "{shown}");
        assert!(fs::read(mounted.join("f")).unwrap() == bytes, "{shown}");
        mounted.unmount();
    }
}
