//! What writing costs, and what a writer meets where there is no room. Calls of the
//! service are counted: they are the scarce resource.

use crate::harness::{Mounted, World, errno, eventually, sample, scaled, shell};
use fichierfs::sim::{Report, Shape, SimConfig};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;

/// Calls of the API, and requests to upload nodes.
fn calls(report: &Report) -> u64 {
    report.calls.values().sum()
}

/// A service that takes so many bytes a second.
fn slow(up: u64) -> SimConfig {
    SimConfig {
        shape: Shape {
            upload_bps: Some(up),
            ..Shape::default()
        },
        ..scaled()
    }
}

#[test]
fn a_thousand_small_files_of_a_folder_cost_few_calls() {
    let world = World::new();
    // However slowly this machine writes, all rests until it is asked for.
    let mounted = world.mount_with("a", &["--write-back", "1h"]);
    fs::create_dir(mounted.join("d")).unwrap();
    for number in 0..1000 {
        let bytes = sample::bytes(number, 4096);
        fs::write(mounted.join(format!("d/{number}")), bytes).unwrap();
    }
    mounted.drain();
    assert_eq!(world.account().file_paths().len(), 1000);
    let report = world.report();
    assert!(calls(&report) <= 20, "{:?}", report.calls);
    world.assert_well_behaved();
    mounted.unmount();
}

/// The first of them could be sent long before the last is written.
#[test]
fn small_files_that_follow_each_other_travel_in_one_request() {
    let world = World::new();
    let mounted = world.mount_with("a", &["--write-back", "1s"]);
    for number in 0..25 {
        fs::write(mounted.join(number.to_string()), b"x").unwrap();
        thread::sleep(Duration::from_millis(60));
    }
    eventually("the uploads", || world.account().file_paths().len() == 25);
    let report = world.report();
    assert_eq!(report.calls_of("upload"), 1, "{:?}", report.calls);
    mounted.unmount();
}

#[test]
fn small_files_over_many_folders_cost_four_calls_a_folder_at_most() {
    const FOLDERS: u64 = 100;
    let world = World::new();
    // However slowly this machine writes, all rests until it is asked for.
    let mounted = world.mount_with("a", &["--write-back", "1h"]);
    for folder in 0..FOLDERS {
        fs::create_dir(mounted.join(folder.to_string())).unwrap();
        for number in 0..10 {
            let bytes = sample::bytes(number, 4096);
            fs::write(mounted.join(format!("{folder}/{number}")), bytes).unwrap();
        }
    }
    mounted.drain();
    assert_eq!(world.account().file_paths().len(), 1000);
    let report = world.report();
    // The mount itself asked for the root and the account.
    assert!(calls(&report) <= 4 * FOLDERS + 2, "{:?}", report.calls);
    world.assert_well_behaved();
    mounted.unmount();
}

#[test]
fn removing_a_large_tree_costs_few_calls() {
    let world = World::new();
    for folder in 0..20 {
        for number in 0..100 {
            let path = format!("top/{folder}/{number}");
            world.account().add_file(&path, b"x").unwrap();
        }
    }
    let mounted = world.mount();
    fs::remove_dir_all(mounted.join("top")).unwrap();
    mounted.drain();
    assert_eq!(world.account().file_paths().len(), 0);
    assert_eq!(world.account().folder_id("top"), None);
    let report = world.report();
    assert!(calls(&report) <= 100, "{:?}", report.calls);
    world.assert_well_behaved();
    mounted.unmount();
}

#[test]
fn a_file_that_is_renamed_while_it_is_sent_is_sent_once() {
    let world = World::with(slow(2 << 20));
    let mounted = world.mount_with("a", &["--write-back", "0s"]);
    fs::create_dir(mounted.join("d")).unwrap();
    let bytes = sample::bytes(1, 6 * MIB);
    fs::write(mounted.join("old"), &bytes).unwrap();
    eventually("the upload", || world.report().bytes_up > MIB as u64);
    fs::rename(mounted.join("old"), mounted.join("d/new")).unwrap();
    mounted.drain();
    assert_eq!(world.account().file_paths(), ["d/new"]);
    assert_eq!(world.account().content("d/new").unwrap(), bytes);
    let sent = world.report().bytes_up;
    assert!(sent < 7 * MIB as u64, "{sent} bytes were sent");
    world.assert_well_behaved();
    mounted.unmount();
}

#[test]
fn a_file_that_is_removed_while_it_is_sent_is_not_sent_to_the_end() {
    let world = World::with(slow(1 << 20));
    let mounted = world.mount_with("a", &["--write-back", "0s"]);
    fs::write(mounted.join("long"), sample::bytes(1, 40 * MIB)).unwrap();
    eventually("the upload", || world.report().bytes_up > MIB as u64);
    fs::remove_file(mounted.join("long")).unwrap();
    fs::write(mounted.join("short"), b"next").unwrap();
    mounted.drain();
    assert_eq!(world.account().file_paths(), ["short"]);
    let sent = world.report().bytes_up;
    assert!(sent < 20 * MIB as u64, "{sent} bytes were sent");
    world.assert_well_behaved();
    mounted.unmount();
}

/// Bytes that a folder's files take on the disk.
fn on_disk(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).unwrap();
    // Files go while they are looked at.
    let blocks = files.filter_map(|file| Some(file.ok()?.metadata().ok()?.blocks()));
    blocks.sum::<u64>() * 512
}

#[test]
fn writers_beyond_the_budget_are_slowed_down_and_all_arrives() {
    const FILES: u64 = 64;
    let world = World::new();
    let flags = ["--staging-budget", "4MiB", "--write-back", "0s"];
    let mounted = world.mount_with("a", &flags);
    let staging = world.path("a/state/staging");
    let mut most = 0;
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..FILES {
                let bytes = sample::bytes(number, MIB / 4);
                fs::write(mounted.join(number.to_string()), bytes).unwrap();
            }
        });
        while !writer.is_finished() {
            most = most.max(on_disk(&staging));
        }
    });
    // The budget, and a block of the one writer.
    assert!(most <= 5 * MIB as u64, "{most} bytes were staged");
    // Alone larger than the budget: refused where it crosses it.
    let mut large = File::create(mounted.join("large")).unwrap();
    let written = (0..8).try_for_each(|_| large.write_all(&vec![1; MIB]));
    assert_eq!(errno(written), libc::ENOSPC);
    assert_eq!(errno(large.set_len(8 * MIB as u64)), libc::ENOSPC);
    drop(large);
    fs::remove_file(mounted.join("large")).unwrap();
    mounted.drain();
    assert_eq!(world.account().file_paths().len(), FILES as usize);
    for number in 0..FILES {
        let there = world.account().content(&number.to_string()).unwrap();
        assert!(there == sample::bytes(number, MIB / 4), "file {number}");
    }
    world.assert_well_behaved();
    mounted.unmount();
}

#[test]
fn what_is_given_up_is_listed_first_and_goes_only_by_force() {
    let world = World::with(slow(1 << 20));
    world.account().add_file("edited", b"as it was").unwrap();
    let mounted = world.mount_with("a", &["--write-back", "0s"]);
    fs::write(mounted.join("edited"), b"as it is").unwrap();
    mounted.drain();
    fs::write(mounted.join("long"), sample::bytes(1, 80 * MIB)).unwrap();
    eventually("the upload", || world.report().bytes_up > MIB as u64);
    let cancel = |force: &[&str], path: &Path| {
        let words = [&["queue", "cancel"], force].concat();
        let mut command = world.fichierfs();
        command.args(words).arg(path);
        shell::output(&mut command)
    };
    // The mount itself stands for what failed, and nothing has.
    let none = cancel(&["--force"], &mounted.join(""));
    assert_eq!(none.status.code(), Some(0), "{}", shell::show(&none));
    assert!(mounted.join("long").exists());
    let long = mounted.join("long");
    let asked = cancel(&[], &long);
    assert_eq!(asked.status.code(), Some(1));
    let told = String::from_utf8(asked.stdout).unwrap();
    assert!(told.contains("would be lost: /long (80.00 MiB"), "{told}");
    assert!(mounted.join("long").exists());
    let done = cancel(&["--force"], &long);
    assert_eq!(done.status.code(), Some(0), "{}", shell::show(&done));
    assert!(!mounted.join("long").exists());
    mounted.drain();
    assert_eq!(world.account().file_paths(), ["edited"]);
    assert!(world.report().bytes_up < 70 * MIB as u64);
    world.assert_well_behaved();
    mounted.unmount();
}

#[test]
fn a_writer_is_refused_when_the_queue_makes_no_progress_and_nothing_is_lost() {
    let world = World::new();
    let flags = [
        "--staging-budget",
        "2MiB",
        "--write-wait",
        "1s",
        "--write-back",
        "1h",
    ];
    let mounted = world.mount_with("a", &flags);
    // Nothing can be sent.
    let down = fichierfs::sim::FaultKind::Status { status: 503 };
    let fault = fichierfs::sim::Fault::new("upload/get_upload_server", down);
    world.simulator().faults().add(fault.always());
    let bytes = sample::bytes(1, 2 * MIB);
    fs::write(mounted.join("first"), &bytes).unwrap();
    let second = fs::write(mounted.join("second"), vec![2; MIB]);
    assert_eq!(errno(second), libc::ENOSPC);
    assert_eq!(fs::read(mounted.join("first")).unwrap(), bytes);
    fs::remove_file(mounted.join("second")).unwrap();
    world.simulator().faults().clear();
    mounted.drain();
    assert_eq!(world.account().file_paths(), ["first"]);
    assert_eq!(world.account().content("first").unwrap(), bytes);
    mounted.unmount();
}

/// A service on which four hours are 14.4 seconds, at a megabyte a second.
fn hurried() -> SimConfig {
    SimConfig {
        time_scale: 1000.0,
        ..slow(1_000_000)
    }
}

#[test]
fn what_the_line_cannot_carry_in_four_hours_is_said_and_not_begun() {
    let world = World::with(hurried());
    let mounted = world.mount_with("a", &["--write-back", "0s"]);
    // What the line gives is known once something was sent.
    fs::write(mounted.join("first"), sample::bytes(1, 2 * MIB)).unwrap();
    mounted.drain();
    let sent = world.report().uploads;
    let long = File::create(mounted.join("long")).unwrap();
    long.set_len(200_000_000).unwrap();
    drop(long);
    fs::write(mounted.join("last"), "goes on").unwrap();
    let waited = mounted.verb(&["queue", "wait", "--timeout", "100s"]);
    assert_eq!(waited.status.code(), Some(3), "{}", shell::show(&waited));
    let list = shell::show(&mounted.verb(&["queue", "list"]));
    assert!(
        list.contains("long") && list.contains("ends an upload after"),
        "{list}"
    );
    assert_eq!(world.account().file_paths(), ["first", "last"]);
    assert_eq!(world.report().uploads, sent + 1);
    assert_eq!(
        fs::metadata(mounted.join("long")).unwrap().len(),
        200_000_000
    );
    // Who knows better has it tried all the same.
    let before = world.report().bytes_up;
    let retried = mounted.verb(&["queue", "retry"]);
    assert!(retried.status.success(), "{}", shell::show(&retried));
    eventually("the upload", || world.report().bytes_up > before + 100_000);
}

/// Nothing was sent before, and our own limit would tell nothing: it is known while it is sent.
#[test]
fn what_the_line_cannot_carry_in_four_hours_is_broken_off_once_that_is_known() {
    for limit in ["", "100kB"] {
        let world = World::with(SimConfig {
            time_scale: 100.0,
            ..slow(1_000_000)
        });
        let mut flags = vec!["--write-back", "0s"];
        if !limit.is_empty() {
            flags.extend(["--upload-limit", limit]);
        }
        let mounted = world.mount_with("a", &flags);
        let make = |mounted: &Mounted<'_>, name: &str| {
            let long = File::create(mounted.join(name)).unwrap();
            long.set_len(2_000_000_000).unwrap();
        };
        let parked = |mounted: &Mounted<'_>, name: &str| {
            let waited = mounted.verb(&["queue", "wait", "--timeout", "100s"]);
            assert_eq!(waited.status.code(), Some(3), "{}", shell::show(&waited));
            let list = shell::show(&mounted.verb(&["queue", "list"]));
            let told = list.contains(name) && list.contains("ends an upload after");
            assert!(told, "{list}");
        };
        make(&mounted, "long");
        parked(&mounted, "long");
        let report = world.report();
        // A third of what the line carries in that time.
        assert!(report.bytes_up < 48_000_000, "{}", report.bytes_up);
        make(&mounted, "other");
        parked(&mounted, "other");
        let begun = |report: &Report| report.calls_of("upload/get_upload_server");
        assert_eq!(begun(&world.report()), begun(&report), "it was not begun");
        assert_eq!(world.account().file_paths(), [""; 0]);
    }
}

/// Slower is always possible, faster never.
#[test]
fn an_upload_is_no_faster_than_the_limit() {
    let world = World::new();
    let flags = ["--write-back", "0s", "--upload-limit", "1MiB"];
    let mounted = world.mount_with("a", &flags);
    let bytes = sample::bytes(1, 4 * MIB);
    let start = Instant::now();
    fs::write(mounted.join("file"), &bytes).unwrap();
    mounted.drain();
    // The limit lets a second's worth through at once.
    assert!(start.elapsed() >= Duration::from_secs(2));
    assert!(world.account().content("file").unwrap() == bytes);
    world.assert_well_behaved();
    mounted.unmount();
}

#[test]
fn no_more_uploads_are_under_way_than_were_asked_for() {
    let peak = |uploads: &str| {
        let world = World::with(slow(4 * MIB as u64));
        let flags = ["--write-back", "0s", "--uploads", uploads];
        let mounted = world.mount_with("a", &flags);
        // What lies in one folder may go in one request.
        for folder in ["a", "b", "c", "d"] {
            fs::create_dir(mounted.join(folder)).unwrap();
            let file = mounted.join(folder).join("file");
            fs::write(file, sample::bytes(1, 4 * MIB)).unwrap();
        }
        mounted.drain();
        mounted.unmount();
        world.assert_well_behaved();
        assert_eq!(world.account().file_paths().len(), 4);
        world.report().transfers.peak
    };
    assert_eq!(peak("1"), 1);
    assert!((2..=3).contains(&peak("3")));
}

/// At our own limit it would take twice the time that the service allows.
#[test]
fn an_upload_that_the_limit_would_make_miss_its_end_arrives() {
    let world = World::with(SimConfig {
        time_scale: 1000.0,
        ..scaled()
    });
    let flags = ["--write-back", "0s", "--upload-limit", "100kB"];
    let mounted = world.mount_with("a", &flags);
    let bytes = sample::bytes(1, 3_000_000);
    fs::write(mounted.join("file"), &bytes).unwrap();
    mounted.drain();
    assert!(world.account().content("file").unwrap() == bytes);
    assert_eq!(world.report().uploads, 1);
    mounted.unmount();
}
