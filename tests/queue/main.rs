//! The queue over the simulator, without a kernel: what is closed here ends there,
//! once, whatever goes wrong in between.

mod folders;
mod model;
mod process;
mod removals;
mod strays;

use std::ffi::OsStr;

use fichierfs::ids::Ino;
use fichierfs::sim::{self, Fault, FaultKind, SimConfig, Simulator};
use fichierfs::tree::{Kind, Lookup, ROOT};
use fichierfs::upload::UploadOptions;
use process::{ANN, BOTH, Process, SCALE, until, wait, write};

async fn simulator() -> Simulator {
    Simulator::start(SimConfig {
        time_scale: SCALE,
        ..SimConfig::default()
    })
    .await
    .unwrap()
}

/// Fails if the client did anything that it must not.
fn assert_well_behaved(sim: &Simulator) {
    let report = sim.report();
    assert_eq!(report.violation_count(), 0, "{:?}", report.violations);
}

/// One upload stands still for a minute after its first bytes.
fn next_upload_stalls(sim: &Simulator) {
    let slow = FaultKind::Stall {
        after_bytes: 1000,
        seconds: 60.0,
    };
    sim.faults().add(Fault::new("upload", slow));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_whose_upload_was_cut_by_the_end_of_the_process_arrives_once() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    sim.faults()
        .add(Fault::new("upload.cgi", FaultKind::LoseAnswer));
    sim.faults()
        .add(Fault::new("end.pl", FaultKind::WaitPage { seconds: 60.0 }));
    let first = Process::start(&sim, dir.path());
    first.list(ROOT).await;
    let made = first
        .vfs
        .symlink(ROOT, OsStr::new("l"), OsStr::new("../there"), ANN);
    wait(made).await.unwrap();
    first.uploader.wake_handle().notify_one();
    until(|| sim.account().file_id("l.rclonelink").is_some()).await;
    first.uploader.stop().await;
    let second = Process::start(&sim, dir.path());
    second.drained().await;
    assert_eq!(second.failed(), 0);
    assert_eq!(sim.account().file_paths(), ["l.rclonelink"]);
    let content = sim.account().content("l.rclonelink").unwrap();
    assert_eq!(content, b"../there");
    assert_well_behaved(&sim);
    second.uploader.stop().await;
}

/// rclone takes a file for a link by its name alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_regular_file_with_the_name_of_a_links_file_is_one_everywhere() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    let long = [b'x'; 4096];
    sim.account().add_file("long.rclonelink", &long).unwrap();
    sim.account()
        .add_file("link.rclonelink", &long[1..])
        .unwrap();
    let first = Process::start(&sim, dir.path());
    first.list(ROOT).await;
    first.write(ROOT, "ours.rclonelink", b"text").await;
    first.write(ROOT, "draft", b"more").await;
    first.rename("draft", (ROOT, "renamed.rclonelink")).await;
    first.drained().await;
    let there = [
        "link.rclonelink",
        "long.rclonelink",
        "ours.rclonelink‛",
        "renamed.rclonelink‛",
    ];
    assert_eq!(sim.account().file_paths(), there);

    let other = tempfile::tempdir().unwrap();
    let second = Process::start(&sim, other.path());
    for process in [first, second] {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        process.list(ROOT).await;
        let here = [
            "link",
            "long.rclonelink",
            "ours.rclonelink",
            "renamed.rclonelink",
        ];
        assert_eq!(process.names(ROOT).await, here);
        for name in here {
            let ino = process.lookup(ROOT, name).await.unwrap();
            let kind = process.tree.node(ino).unwrap().unwrap().kind;
            assert_eq!(kind == Kind::Symlink, name == "link", "{name}");
        }
        process.uploader.stop().await;
    }
    assert_well_behaved(&sim);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_to_a_folder_that_somebody_removes_is_found_and_put_back() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    sim.account().add_folder("d").unwrap();
    sim.account().add_file("other", b"x").unwrap();
    let process = Process::start(&sim, dir.path());
    process.list(ROOT).await;
    let d = wait(process.vfs.lookup(ROOT, OsStr::new("d")))
        .await
        .unwrap();
    process.list(d.attr.ino).await;
    sim.account().delete("d").unwrap();
    // Its result is lost too, so that it is looked for.
    sim.faults()
        .add(Fault::new("end.pl", FaultKind::EmptyLinks).always());
    process.write(d.attr.ino, "note", b"kept").await;
    process.drained().await;
    assert_eq!(process.failed(), 0);
    let mut paths = sim.account().file_paths();
    paths.sort();
    assert_eq!(paths, ["d/note", "other"]);
    assert_eq!(sim.account().content("d/note").unwrap(), b"kept");
    assert_well_behaved(&sim);
    process.uploader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_exists_already_is_taken_for_the_one_made_here() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    let process = Process::start(&sim, dir.path());
    process.list(ROOT).await;
    let there = sim.account().add_folder("d").unwrap();
    sim.account().add_file("d/theirs", b"1").unwrap();
    let d = process.mkdir(ROOT, "d").await;
    process.write(d, "ours", b"2").await;
    process.drained().await;
    assert_eq!(process.failed(), 0);
    assert_eq!(sim.account().folder_id("d"), Some(there));
    let mut paths = sim.account().file_paths();
    paths.sort();
    assert_eq!(paths, ["d/ours", "d/theirs"]);
    process.uploader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_while_the_service_was_down_comes_forward_once_anything_goes_well() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    let process = Process::start(&sim, dir.path());
    process.list(ROOT).await;
    let down = FaultKind::Status { status: 503 };
    sim.faults().add(Fault::new("*", down).always());
    process.write(ROOT, "a", &[1; 5000]).await;
    let a = process.lookup(ROOT, "a").await.unwrap();
    let queued = || process.tree.queued(a).unwrap().unwrap();
    // By then it waits for ten minutes.
    until(|| queued().attempts >= 8).await;
    let due = queued().not_before;
    sim.faults().clear();
    next_upload_stalls(&sim);
    process.mkdir(ROOT, "d").await;
    process.wake();
    until(|| queued().not_before < due).await;
    assert_eq!(queued().attempts, 8);
    process.uploader.stop().await;
    assert_well_behaved(&sim);
}

/// A node that is down knows the result, but cannot tell: where the folder shows the file, nobody
/// waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn what_arrived_is_found_in_its_folder_while_the_node_that_got_it_is_down() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    let down = FaultKind::Status { status: 500 };
    sim.faults().add(Fault::new("end.pl", down).always());
    let process = Process::start(&sim, dir.path());
    process.list(ROOT).await;
    process.write(ROOT, "a", b"once").await;
    process.drained().await;
    // In the two hours for which it may know, it would be asked nineteen times.
    let asked = sim.report().calls_of("end.pl");
    assert!(asked < 10, "asked {asked} times");
    assert_eq!(sim.account().file_paths(), ["a"]);
    assert_eq!(sim.account().content("a").unwrap(), b"once");
    assert_eq!(sim.report().uploads, 1);
    assert_well_behaved(&sim);
    process.uploader.stop().await;
}

/// Files that others put into a folder, of which a listing shows 5,000.
fn crowd(sim: &Simulator, folder: &str, count: i64, date: impl Fn(i64) -> jiff::Timestamp) {
    let files = (0..count).map(|n| (format!("other {n}"), date(n)));
    sim.account().add_dated(folder, files).unwrap();
}

/// A folder with nothing in it yet, and a service that tells nothing of what it got.
async fn quiet_folder(sim: &Simulator, process: &Process) -> Ino {
    sim.account().add_folder("d").unwrap();
    process.list(ROOT).await;
    let d = wait(process.vfs.lookup(ROOT, OsStr::new("d")));
    let d = d.await.unwrap().attr.ino;
    process.list(d).await;
    sim.faults()
        .add(Fault::new("end.pl", FaultKind::EmptyLinks).always());
    d
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_to_a_folder_too_large_for_a_listing_is_found_there() {
    let now = jiff::Timestamp::now().as_second();
    let second = |at| jiff::Timestamp::from_second(at).unwrap();
    let long_ago = |n: i64| second(1_500_000_000 + 1_000 * n);
    // More than a listing holds has come within the last minutes, too.
    let lately = |n: i64| second(now - n % 900);
    for (count, date) in [
        (30_000, &long_ago as &dyn Fn(i64) -> jiff::Timestamp),
        (15_000, &lately),
    ] {
        let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
        let process = Process::start(&sim, dir.path());
        let d = quiet_folder(&sim, &process).await;
        crowd(&sim, "d", count, date);
        for name in ["a", "b", "c"] {
            process.write(d, name, name.as_bytes()).await;
        }
        process.drained().await;
        assert_eq!(process.failed(), 0);
        let ours = |path: &String| !path.starts_with("d/other");
        let mut ours: Vec<_> = sim
            .account()
            .file_paths()
            .into_iter()
            .filter(ours)
            .collect();
        ours.sort();
        assert_eq!(ours, ["d/a", "d/b", "d/c"]);
        assert_well_behaved(&sim);
        process.uploader.stop().await;
    }
}

/// One listing does not show all that is there: slices of dates tell what is gone.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_removed_from_a_folder_too_large_for_a_listing_is_looked_for() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    for name in ["d/a", "d/b", "d/c"] {
        sim.account().add_file(name, b"content").unwrap();
    }
    let process = Process::start(&sim, dir.path());
    process.list(ROOT).await;
    let d = process.enter(ROOT, "d").await;
    let long_ago = |n| jiff::Timestamp::from_second(1_500_000_000 + 1_000 * n).unwrap();
    crowd(&sim, "d", 12_000, long_ago);
    // The second is not carried out.
    let reset = FaultKind::Reset { after_bytes: 0 };
    for (name, lost) in [("a", FaultKind::LoseAnswer), ("b", reset)] {
        sim.faults().add(Fault::new("file/rm", lost));
        let removed = process.vfs.unlink(d, OsStr::new(name), ANN);
        wait(removed).await.unwrap();
        process.wake();
        until(|| sim.faults().list().is_empty()).await;
    }
    process.drained().await;
    let mut paths = sim.account().file_paths();
    paths.retain(|path| !path.starts_with("d/other"));
    assert_eq!(paths, ["d/c"]);
    assert_eq!(sim.report().calls_of("file/rm"), 3);
    assert!(sim.report().failing.is_empty());
    assert_well_behaved(&sim);
    process.uploader.stop().await;
}

/// Nobody knows the checksum of what was half sent when the process ended, and what is there
/// now under that name is another's.
#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_put_in_the_place_of_a_file_that_was_removed_here_stays() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    next_upload_stalls(&sim);
    let first = Process::start(&sim, dir.path());
    first.list(ROOT).await;
    first.write(ROOT, "note", &[1; 500_000]).await;
    until(|| !first.tree.underway().unwrap().is_empty()).await;
    first.uploader.stop().await;
    let removed = first.vfs.unlink(ROOT, OsStr::new("note"), ANN);
    wait(removed).await.unwrap();
    drop(first.vfs);
    let theirs = vec![2; 500_000];
    sim.account().add_file("note", &theirs).unwrap();
    let second = Process::start(&sim, dir.path());
    until(|| second.tree.underway().unwrap().is_empty()).await;
    second.drained().await;
    assert_eq!(sim.account().file_paths(), ["note"]);
    assert!(sim.account().content("note").unwrap() == theirs);
    second.uploader.stop().await;
}

/// Broken off before its last byte, a file is not there, though another's of its name and size
/// came meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_sent_meanwhile_is_not_taken_for_ours() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    next_upload_stalls(&sim);
    let first = Process::start(&sim, dir.path());
    first.list(ROOT).await;
    first.write(ROOT, "note", &[1; 500_000]).await;
    until(|| !first.tree.underway().unwrap().is_empty()).await;
    first.kill().await;
    let theirs = sim.account().add_file("note", &[2; 500_000]).unwrap();
    let second = Process::start(&sim, dir.path());
    second.drained().await;
    assert_eq!(sim.account().file_paths(), ["note", "note"]);
    assert!(sim.account().content_of(&theirs).unwrap() == [2; 500_000]);
    second.uploader.stop().await;
}

/// The process ends between the last byte and the answer, and the file is written anew: of the
/// version that was sent nothing is left here but its checksum.
#[tokio::test(flavor = "multi_thread")]
async fn what_had_arrived_when_the_process_ended_is_known_by_its_checksum() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    next_upload_stalls(&sim);
    sim.faults()
        .add(Fault::new("end.pl", FaultKind::EmptyLinks));
    let first = Process::start(&sim, dir.path());
    first.list(ROOT).await;
    first.write(ROOT, "note", &[1; 5000]).await;
    let has_left = || {
        let underway = first.tree.underway().unwrap();
        underway.iter().any(|upload| upload.whirlpool.is_some())
    };
    until(has_left).await;
    first.write(ROOT, "note", &[2; 5000]).await;
    first.kill().await;
    sim.account().add_file("note", &[1; 5000]).unwrap();
    let second = Process::start(&sim, dir.path());
    second.settled().await;
    assert_eq!(sim.account().file_paths(), ["note"]);
    assert!(sim.account().content("note").unwrap() == [2; 5000]);
    second.uploader.stop().await;
}

/// More files of one second than a listing holds: no question shows them all, so nobody knows
/// whether it arrived, and it is not sent again.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_folder_cannot_show_is_not_sent_twice() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    sim.change_quirks(|quirks| quirks.infected = Some("virus".to_owned()));
    let process = Process::start(&sim, dir.path());
    let d = quiet_folder(&sim, &process).await;
    let one_second = jiff::Timestamp::now();
    crowd(&sim, "d", 6_000, |_| one_second);
    process.write(d, "virus", b"content").await;
    let asked = || sim.report().calls_of("file/ls") > 4;
    until(asked).await;
    let queued = process.tree.underway().unwrap();
    assert_eq!(queued.len(), 1);
    assert_eq!(sim.report().calls_of("upload/get_upload_server"), 1);
    process.uploader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn content_that_never_arrives_is_not_sent_for_ever() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    // The service says nothing of it and does not keep it.
    sim.change_quirks(|quirks| quirks.infected = Some("virus".to_owned()));
    sim.faults()
        .add(Fault::new("end.pl", FaultKind::EmptyLinks).always());
    let process = Process::start(&sim, dir.path());
    process.list(ROOT).await;
    process.write(ROOT, "virus", b"content").await;
    until(|| process.failed() == 1).await;
    let sent = sim.report().calls_of("upload/get_upload_server");
    assert_eq!(sent, u64::from(UploadOptions::default().refusal_tries));
    let kept = wait(process.vfs.lookup(ROOT, OsStr::new("virus"))).await;
    assert_eq!(kept.unwrap().attr.size, 7);
    process.uploader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_here_does_not_stop_the_others() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    {
        let first = Process::start(&sim, dir.path());
        first.uploader.stop().await;
        wait(first.vfs.opendir(ROOT)).await.unwrap();
        for name in ["a", "b", "c"] {
            write(&first.vfs, ROOT, name, name.as_bytes()).await;
        }
    }
    let staged = std::fs::read_dir(dir.path().join("staging")).unwrap();
    let mut staged: Vec<_> = staged.map(|entry| entry.unwrap().path()).collect();
    staged.sort();
    std::fs::remove_file(&staged[0]).unwrap();
    let second = Process::start(&sim, dir.path());
    until(|| second.failed() == 1).await;
    second.drained().await;
    assert_eq!(sim.account().file_paths().len(), 2);
    second.uploader.stop().await;
}

/// An account with a folder `d` and files `a`, `b`, `c`, all of it listed. Gives `d`.
async fn with_files(sim: &Simulator, process: &Process) -> Ino {
    sim.account().add_folder("d").unwrap();
    for name in ["a", "b", "c"] {
        sim.account().add_file(name, name.as_bytes()).unwrap();
    }
    process.list(ROOT).await;
    process.enter(ROOT, "d").await
}

/// What the service says of a file that it does not have.
const NO_SUCH_FILE: &str = "Resource not found #469";

/// The answer that what was asked for is not known, in these words.
fn not_known(message: &str) -> FaultKind {
    FaultKind::Ko {
        message: message.to_owned(),
        status: 404,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_is_asked_for_once() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    let process = Process::start(&sim, dir.path());
    let d = with_files(&sim, &process).await;
    sim.account().delete("a").unwrap();
    process.rename("a", (d, "a")).await;
    process.uploader.wake_handle().notify_one();
    process.drained().await;
    assert_eq!(process.lookup(d, "a").await, None);
    assert_eq!(sim.report().calls_of("file/mv"), 1);
    let failing: u64 = sim.report().failing.values().sum();
    assert_eq!(failing, 1);
    process.uploader.stop().await;
}

/// What others removed a moment ago is still listed.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_and_still_listed_is_looked_for_before_it_is_asked_for_again() {
    let sim = Simulator::start(SimConfig {
        time_scale: SCALE,
        listing_lag: std::time::Duration::from_secs(100),
        ..SimConfig::default()
    })
    .await
    .unwrap();
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let process = Process::start(&sim, dir.path());
    let d = with_files(&sim, &process).await;
    // The floor of a folder is for both.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let others = Process::start(&sim, other.path());
    others.list(ROOT).await;
    others.remove(&["a"]).await;
    others.drained().await;
    process.rename("a", (d, "a")).await;
    process.wake();
    process.drained().await;
    assert_eq!(process.lookup(d, "a").await, None);
    assert_eq!(sim.report().calls_of("file/mv"), 1);
    process.uploader.stop().await;
    others.uploader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_does_not_split_what_goes_with_it() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    let process = Process::start(&sim, dir.path());
    with_files(&sim, &process).await;
    let gone = sim.account().file_id("b").unwrap();
    sim.faults().add(
        Fault::new("file/rename", not_known(NO_SUCH_FILE))
            .only(gone)
            .always(),
    );
    sim.account().delete("b").unwrap();
    for (name, to) in [("a", "x"), ("b", "y"), ("c", "z")] {
        process.rename(name, (ROOT, to)).await;
    }
    process.uploader.wake_handle().notify_one();
    process.drained().await;
    let mut paths = sim.account().file_paths();
    paths.sort();
    assert_eq!(paths, ["x", "z"]);
    assert_eq!(process.lookup(ROOT, "y").await, None);
    assert_eq!(sim.report().calls_of("file/rename"), 2);
    process.uploader.stop().await;
}

/// Nor is what goes with it taken to be gone where no listing shows all that is there.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_with_a_file_that_is_gone_is_there_though_its_folder_is_not_shown_whole() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    for name in ["a", "b", "c"] {
        sim.account().add_file(name, name.as_bytes()).unwrap();
    }
    let process = Process::start(&sim, dir.path());
    process.list(ROOT).await;
    let newer = jiff::Timestamp::now().as_second() + 10;
    crowd(&sim, "", 30_000, |n| {
        jiff::Timestamp::from_second(newer + n).unwrap()
    });
    let gone = sim.account().file_id("b").unwrap();
    sim.faults().add(
        Fault::new("file/rename", not_known(NO_SUCH_FILE))
            .only(gone)
            .always(),
    );
    sim.account().delete("b").unwrap();
    for (name, to) in [("a", "x"), ("b", "y"), ("c", "z")] {
        process.rename(name, (ROOT, to)).await;
    }
    process.wake();
    process.drained().await;
    for (name, content) in [("x", b"a"), ("z", b"c")] {
        assert_eq!(sim.account().content(name).unwrap(), content);
        assert!(process.lookup(ROOT, name).await.is_some(), "{name}");
    }
    assert_eq!(process.failed(), 0);
    process.uploader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_left_out_is_not_asked_for_for_ever() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    sim.change_quirks(|quirks| quirks.rm_unknown = sim::RmUnknown::Ignore);
    let process = Process::start(&sim, dir.path());
    let d = with_files(&sim, &process).await;
    for name in ["a", "b"] {
        sim.account().delete(name).unwrap();
    }
    process.rename("a", (d, "a")).await;
    process.rename("b", (ROOT, "y")).await;
    process.uploader.wake_handle().notify_one();
    process.drained().await;
    assert_eq!(process.lookup(d, "a").await, None);
    assert_eq!(process.lookup(ROOT, "y").await, None);
    assert_eq!(process.failed(), 0);
    process.uploader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_that_may_not_be_removed_does_not_keep_the_others() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    let process = Process::start(&sim, dir.path());
    with_files(&sim, &process).await;
    let message = "Resource not allowed #631".to_owned();
    let refused = FaultKind::Ko {
        message,
        status: 403,
    };
    let kept = sim.account().file_id("b").unwrap();
    sim.faults()
        .add(Fault::new("file/rm", refused).only(kept).always());
    process.remove(&["a", "b", "c"]).await;
    process.drained().await;
    assert_eq!(sim.account().file_paths(), ["b"]);
    process.uploader.stop().await;
}

/// Some of an array are gone: whether the service does nothing then, or the rest, or says that it
/// knows none of them, what was removed here is removed there, and what is gone is not asked
/// for again.
#[tokio::test(flavor = "multi_thread")]
async fn of_an_array_that_is_removed_in_part_nothing_stays() {
    for unknown in [
        sim::RmUnknown::NotFound,
        sim::RmUnknown::Ignore,
        sim::RmUnknown::Whole,
    ] {
        for gone in [&["b"] as &[&str], &["a", "b", "c"]] {
            let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
            sim.change_quirks(|quirks| quirks.rm_unknown = unknown);
            let process = Process::start(&sim, dir.path());
            with_files(&sim, &process).await;
            sim.account().add_file("other", b"stays").unwrap();
            for name in gone {
                sim.account().delete(name).unwrap();
            }
            process.remove(&["a", "b", "c"]).await;
            process.drained().await;
            assert_eq!(sim.account().file_paths(), ["other"], "{unknown:?}");
            let calls = sim.report().calls_of("file/rm");
            assert!(calls <= 2, "{unknown:?}, {gone:?}: {calls} calls");
            assert_well_behaved(&sim);
            process.uploader.stop().await;
        }
    }
}

/// What is said to be gone of several says nothing of each of them.
#[tokio::test(flavor = "multi_thread")]
async fn one_file_that_the_service_does_not_know_does_not_keep_the_others() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    let process = Process::start(&sim, dir.path());
    with_files(&sim, &process).await;
    // Its listing shows it all the same.
    let ghost = sim.account().file_id("b").unwrap();
    sim.faults().add(
        Fault::new("file/rm", not_known(NO_SUCH_FILE))
            .only(ghost)
            .always(),
    );
    process.remove(&["a", "b", "c"]).await;
    process.drained().await;
    assert_eq!(sim.account().file_paths(), ["b"]);
    assert_well_behaved(&sim);
    process.uploader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_that_is_refused_does_not_keep_the_others() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    sim.change_quirks(|quirks| quirks.mixed_names = sim::Mixed::Refuse);
    // They are all there when the queue begins, and so travel together.
    let first = Process::start(&sim, dir.path());
    first.list(ROOT).await;
    first.uploader.stop().await;
    let first = first.vfs;
    for name in ["a", "b", "c", "d", "e"] {
        write(&first, ROOT, name, name.as_bytes()).await;
    }
    drop(first);
    sim.account().add_folder("b").unwrap();
    let process = Process::start(&sim, dir.path());
    until(|| sim.account().file_paths().len() == 4).await;
    assert_eq!(process.failed(), 0);
    // Nobody knows the words of the refusal: it is not believed soon.
    sim.account().rename("b", "elsewhere").unwrap();
    process.drained().await;
    assert_eq!(process.failed(), 0);
    assert_eq!(sim.account().content("b").unwrap(), b"b");
    process.uploader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_that_nobody_knows_are_not_believed_soon() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    let sentence = "Une panne dont personne ne sait rien".to_owned();
    sim.faults()
        .add(Fault::new("upload", FaultKind::UploadRefused { sentence }).times(6));
    let process = Process::start(&sim, dir.path());
    process.list(ROOT).await;
    process.write(ROOT, "a", b"content").await;
    process.drained().await;
    assert_eq!(process.failed(), 0);
    assert_eq!(sim.account().content("a").unwrap(), b"content");
    process.uploader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_waits_for_its_unchanged_bytes_as_long_as_it_takes() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    let content = vec![7; 3 << 20];
    sim.account().add_file("f", &content).unwrap();
    let lock = FaultKind::Flood {
        lock: sim::LockKind::User,
        seconds: None,
    };
    sim.faults().add(Fault::new("download/get_token", lock));
    let process = Process::start(&sim, dir.path());
    process.list(ROOT).await;
    process.edit("f", 0, b"edit").await;
    process.drained().await;
    assert_eq!(process.failed(), 0);
    assert_eq!(sim.account().content("f").unwrap()[..5], *b"edit\x07");
    process.uploader.stop().await;
}

/// More than three pieces that are read to be sent.
const LONG: usize = (3 << 20) + 5;

fn next_download_is_wrong(sim: &Simulator) {
    let flip = FaultKind::FlipBit { at: 1000 };
    sim.faults().add(Fault::new("download", flip));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_appended_to_a_file_that_comes_wrong_is_sent_with_the_right_bytes() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    let old = vec![7; LONG];
    let new = [&old[..], b"more"].concat();
    sim.account().add_file("f", &old).unwrap();
    next_download_is_wrong(&sim);
    let process = Process::start(&sim, dir.path());
    process.list(ROOT).await;
    // It goes in the same request.
    write(&process.vfs, ROOT, "other", b"small").await;
    process.edit("f", LONG as u64, b"more").await;
    until(|| {
        let there = sim.account().content("f").unwrap();
        assert!(there == old || there == new, "other bytes are there");
        process.tree.backlog().unwrap().is_drained()
    })
    .await;
    assert_eq!(process.failed(), 0);
    assert!(sim.faults().list().is_empty(), "nothing came wrong");
    assert!(sim.account().content("f").unwrap() == new);
    assert_eq!(sim.account().content("other").unwrap(), b"small");
    process.uploader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_sent_has_the_right_bytes_though_they_came_wrong() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    let old = vec![7; LONG];
    sim.account().add_file("f", &old).unwrap();
    next_download_is_wrong(&sim);
    let refused = FaultKind::Ko {
        message: "Resource not allowed #631".to_owned(),
        status: 403,
    };
    sim.faults().add(Fault::new("file/cp", refused));
    let process = Process::start(&sim, dir.path());
    process.list(ROOT).await;
    let f = process.lookup(ROOT, "f").await.unwrap();
    let from = process.open(f).await;
    let created = process
        .vfs
        .create(ROOT, OsStr::new("copy"), 0o644, BOTH, ANN);
    let to = wait(created).await.unwrap().1.fh;
    let copied = process.vfs.copy_file_range(from, 0, to, 0, LONG as u64);
    assert_eq!(wait(copied).await.unwrap(), LONG as u64);
    for fh in [from, to] {
        process.close(fh).await;
    }
    process.wake();
    process.drained().await;
    assert_eq!(process.failed(), 0);
    assert!(sim.faults().list().is_empty(), "nothing came wrong");
    assert!(sim.account().content("copy").unwrap() == old);
    process.uploader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_made_a_moment_ago_is_not_given_up_for_one_answer() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    sim.change_quirks(|quirks| quirks.mkdir_existing = sim::Existing::Duplicate);
    let process = Process::start(&sim, dir.path());
    process.list(ROOT).await;
    let d = process.mkdir(ROOT, "d").await;
    process.uploader.wake_handle().notify_one();
    process.drained().await;
    let id = sim.account().folder_id("d").unwrap();
    sim.faults()
        .add(Fault::new("folder/mkdir", not_known("Folder not found #342")).only(id));
    process.mkdir(d, "e").await;
    process.uploader.wake_handle().notify_one();
    process.drained().await;
    let folders = sim.account().entries();
    let mut folders: Vec<_> = folders.iter().map(|entry| entry.path.as_str()).collect();
    folders.sort_unstable();
    assert_eq!(folders, ["d", "d/e"]);
    process.uploader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_to_be_replaced_has_its_name_again_once_the_rename_is_given_up() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    let process = Process::start(&sim, dir.path());
    with_files(&sim, &process).await;
    let refused = || FaultKind::Ko {
        message: "Resource not allowed #631".to_owned(),
        status: 403,
    };
    let (a, b) = (
        sim.account().file_id("a").unwrap(),
        sim.account().file_id("b").unwrap(),
    );
    sim.faults()
        .add(Fault::new("file/rename", refused()).only(a).always());
    // It steps aside, and the way back fails at first.
    sim.faults()
        .add(Fault::new("file/rename", refused()).only(b).after(1));
    process.rename("a", (ROOT, "b")).await;
    process.uploader.wake_handle().notify_one();
    process.drained().await;
    let mut paths = sim.account().file_paths();
    paths.sort();
    assert_eq!(paths, ["a", "b", "c"]);
    until(|| {
        matches!(
            process.tree.lookup(ROOT, OsStr::new("b")),
            Ok(Lookup::Exists(_))
        )
    })
    .await;
    assert_eq!(process.failed(), 0);
    process.uploader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_of_a_copy_that_failed_for_good_keeps_nobody_waiting() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    let process = Process::start(&sim, dir.path());
    with_files(&sim, &process).await;
    let (d, b) = (
        process.lookup(ROOT, "d").await.unwrap(),
        process.lookup(ROOT, "b").await.unwrap(),
    );
    process.rename("b", (d, "film")).await;
    process.uploader.wake_handle().notify_one();
    process.drained().await;
    // An edit that is never sent, and its unchanged bytes are those of the other file.
    let from = process.open(b).await;
    let created = process
        .vfs
        .create(ROOT, OsStr::new("copy"), 0o644, BOTH, ANN);
    let (entry, opened) = wait(created).await.unwrap();
    let copied = process.vfs.copy_file_range(from, 0, opened.fh, 0, 1);
    wait(copied).await.unwrap();
    let sentence = "Une panne dont personne ne sait rien".to_owned();
    sim.faults()
        .add(Fault::new("upload", FaultKind::UploadRefused { sentence }).always());
    wait(process.vfs.write(opened.fh, 1, b"more"))
        .await
        .unwrap();
    for fh in [from, opened.fh] {
        process.close(fh).await;
    }
    process.tree.park(entry.attr.ino, "too large").unwrap();
    wait(process.vfs.unlink(d, OsStr::new("film"), ANN))
        .await
        .unwrap();
    wait(process.vfs.rmdir(ROOT, OsStr::new("d"), ANN))
        .await
        .unwrap();
    process.drained().await;
    // The copy, what it reads from, and the folder in which that is.
    assert_eq!(process.failed(), 3);
    assert!(sim.account().file_id("d/film").is_some());
    process.uploader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_nothing_may_be_made_in_is_not_asked_for_ever() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    let process = Process::start(&sim, dir.path());
    let d = with_files(&sim, &process).await;
    sim.faults()
        .add(Fault::new("folder/mkdir", not_known("Folder not found #342")).always());
    process.mkdir(d, "e").await;
    process.uploader.wake_handle().notify_one();
    until(|| process.failed() == 1).await;
    process.uploader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_of_all_files_costs_few_calls() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    let names: Vec<String> = (0..30).map(|i| format!("f{i}")).collect();
    for name in &names {
        sim.account().add_file(name, b"x").unwrap();
    }
    let process = Process::start(&sim, dir.path());
    process.list(ROOT).await;
    let refused = FaultKind::Ko {
        message: "Resource not allowed #631".to_owned(),
        status: 403,
    };
    sim.faults().add(Fault::new("file/rm", refused).always());
    process.remove(&names).await;
    process.drained().await;
    let calls = sim.report().calls_of("file/rm");
    assert!(calls <= 10, "{calls}");
    assert_eq!(sim.account().file_paths().len(), 30);
    process.uploader.stop().await;
}
