//! Folders whose calls are not answered.

use std::ffi::OsStr;
use std::time::Duration;

use fichierfs::ids::Ino;
use fichierfs::sim::{Existing, Fault, FaultKind, Quirks, SimConfig, Simulator};
use fichierfs::tree::ROOT;
use fichierfs::vfs::RenameMode;

use super::assert_well_behaved;
use super::process::{ANN, Process, SCALE, wait};
use super::removals::crowd;

/// A service whose listings lag, and that makes a second folder of a name that one has.
async fn simulator() -> Simulator {
    simulator_of(Existing::Duplicate).await
}

async fn simulator_of(mkdir_existing: Existing) -> Simulator {
    Simulator::start(SimConfig {
        time_scale: SCALE,
        listing_lag: Duration::from_secs(60),
        quirks: Quirks {
            mkdir_existing,
            folders_lag: true,
            ..Quirks::default()
        },
        ..SimConfig::default()
    })
    .await
    .unwrap()
}

async fn rename(process: &Process, from: (Ino, &str), to: (Ino, &str)) {
    let (old, new) = (OsStr::new(from.1), OsStr::new(to.1));
    let renamed = process
        .vfs
        .rename(from.0, old, to.0, new, RenameMode::Replace, ANN);
    wait(renamed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_whose_making_was_not_answered_is_there_once() {
    for lost in [FaultKind::LoseAnswer, FaultKind::CorruptJson] {
        let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
        let process = Process::start(&sim, dir.path());
        process.list(ROOT).await;
        sim.faults().add(Fault::new("folder/mkdir", lost));
        let folder = process.mkdir(ROOT, "d").await;
        process.write(folder, "f", b"content").await;
        process.settled().await;
        assert_eq!(sim.report().calls_of("folder/mkdir"), 1);
        assert_eq!(sim.account().file_paths(), ["d/f"]);
        assert_eq!(process.names(ROOT).await, ["d"]);
        assert_well_behaved(&sim);
        process.uploader.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_was_not_made_is_asked_for_again() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    let process = Process::start(&sim, dir.path());
    process.list(ROOT).await;
    let broken = FaultKind::Reset { after_bytes: 0 };
    sim.faults().add(Fault::new("folder/mkdir", broken));
    let folder = process.mkdir(ROOT, "d").await;
    process.write(folder, "f", b"content").await;
    process.settled().await;
    assert_eq!(sim.account().file_paths(), ["d/f"]);
    assert_eq!(process.names(ROOT).await, ["d"]);
    assert_well_behaved(&sim);
    process.uploader.stop().await;
}

/// Four renames that turn folders inside out and give one's name to another. Each of the calls
/// is left without an answer in turn, done or not.
#[tokio::test(flavor = "multi_thread")]
async fn folders_end_where_they_were_put_whichever_answer_is_lost() {
    let faults = [
        FaultKind::LoseAnswer,
        FaultKind::CorruptJson,
        FaultKind::Reset { after_bytes: 0 },
    ];
    for (fault, skip) in faults.iter().flat_map(|f| (0..4).map(move |n| (f, n))) {
        let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
        sim.account().add_file("a/b/c/f", b"content").unwrap();
        let process = Process::start(&sim, dir.path());
        process.list(ROOT).await;
        let a = process.enter(ROOT, "a").await;
        let b = process.enter(a, "b").await;
        let c = process.enter(b, "c").await;
        let lost = Fault::new("folder/mv", fault.clone()).after(skip);
        sim.faults().add(lost);
        rename(&process, (b, "c"), (ROOT, "c2")).await;
        rename(&process, (ROOT, "a"), (c, "a")).await;
        rename(&process, (a, "b"), (ROOT, "a")).await;
        rename(&process, (ROOT, "c2"), (b, "a")).await;
        process.settled().await;
        let what = format!("{fault:?} after {skip}");
        assert_eq!(sim.account().file_paths(), ["a/a/f"], "{what}");
        assert!(sim.account().folder_id("a/a/a").is_some(), "{what}");
        assert_eq!(process.names(ROOT).await, ["a"], "{what}");
        assert_eq!(process.names(b).await, ["a"], "{what}");
        assert_eq!(process.names(c).await, ["a", "f"], "{what}");
        assert_well_behaved(&sim);
        process.uploader.stop().await;
    }
}

/// Neither does the folder that it was in show it, nor the one that it came to.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_moved_without_an_answer_is_there_though_its_folder_does_not_show_all_sub_folders()
{
    for lost in [FaultKind::LoseAnswer, FaultKind::Reset { after_bytes: 0 }] {
        let (sim, dir) = (
            simulator_of(Existing::default()).await,
            tempfile::tempdir().unwrap(),
        );
        sim.account().add_file("d/f", b"content").unwrap();
        sim.account().add_folder("big").unwrap();
        let process = Process::start(&sim, dir.path());
        process.list(ROOT).await;
        let [big, d] = ["big", "d"].map(|name| process.lookup(ROOT, name));
        let (big, d) = (big.await.unwrap(), d.await.unwrap());
        process.list(big).await;
        process.list(d).await;
        crowd(&sim, "big").await;
        let made = u64::from(lost != FaultKind::LoseAnswer);
        sim.faults().add(Fault::new("folder/mv", lost));
        rename(&process, (ROOT, "d"), (big, "d")).await;
        process.settled().await;
        assert_eq!(sim.account().file_paths(), ["big/d/f"]);
        assert_eq!(process.lookup(big, "d").await, Some(d));
        assert_eq!(process.names(d).await, ["f"]);
        assert_eq!(sim.report().calls_of("folder/mv"), 1 + made);
        assert_well_behaved(&sim);
        process.uploader.stop().await;
    }
}

/// The service has no words for a folder that is gone that anybody knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_was_removed_without_an_answer_is_looked_for() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    sim.account().add_folder("d").unwrap();
    sim.account().add_file("other", b"x").unwrap();
    let process = Process::start(&sim, dir.path());
    process.list(ROOT).await;
    process.enter(ROOT, "d").await;
    sim.faults()
        .add(Fault::new("folder/rm", FaultKind::LoseAnswer));
    let unknown = FaultKind::Ko {
        message: "Folder cannot be found".to_owned(),
        status: 200,
    };
    sim.faults().add(Fault::new("folder/rm", unknown).always());
    let removed = process.vfs.rmdir(ROOT, OsStr::new("d"), ANN);
    wait(removed).await.unwrap();
    process.settled().await;
    // The second may have come before a listing could tell.
    assert!(sim.report().calls_of("folder/rm") <= 3);
    assert_eq!(process.names(ROOT).await, ["other"]);
    process.uploader.stop().await;
}
