//! Removals whose answer is lost, or that a kill interrupts: what is gone already is not asked for
//! again, since that is a failing call, and the service bans who has many.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use fichierfs::ids::Ino;
use fichierfs::sim::{Fault, FaultKind, Quirks, SimConfig, Simulator};
use fichierfs::tree::ROOT;

use super::assert_well_behaved;
use super::process::{ANN, Process, SCALE, until, wait};

/// Listings of a lagging service show what is gone for a while.
async fn simulator() -> Simulator {
    simulator_at(SCALE).await
}

async fn simulator_at(scale: f64) -> Simulator {
    let sim = Simulator::start(SimConfig {
        time_scale: scale,
        listing_lag: Duration::from_secs(60),
        quirks: Quirks {
            folders_lag: true,
            ..Quirks::default()
        },
        ..SimConfig::default()
    });
    sim.await.unwrap()
}

/// Makes a folder of so many more sub-folders than a listing holds that it hardly ever shows a
/// certain one.
pub async fn crowd(sim: &Simulator, folder: &str) {
    let names = (0..40_000).map(|n| format!("crowd-{n}"));
    sim.account().add_folders(folder, names).unwrap();
    // Until the listing shows them.
    tokio::time::sleep(Duration::from_secs(60).div_f64(SCALE)).await;
}

async fn rmdir(process: &Process, parent: Ino, name: &str) {
    let removed = process.vfs.rmdir(parent, OsStr::new(name), ANN);
    wait(removed).await.unwrap();
    process.wake();
}

/// A process that knows the files "a", "b" and "c" and the folder "d" of the root.
async fn with_files(sim: &Simulator, dir: &Path) -> Process {
    for name in ["a", "b", "c"] {
        sim.account().add_file(name, b"content").unwrap();
    }
    sim.account().add_folder("d").unwrap();
    sim.account().add_file("other", b"stays").unwrap();
    let process = Process::start(sim, dir);
    process.list(ROOT).await;
    process.enter(ROOT, "d").await;
    process
}

/// Whether the process lives on, or another takes over from it once the call was made.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Then {
    Lives,
    Dies,
}

async fn go_on(process: Process, then: Then, sim: &Simulator, dir: &Path) -> Process {
    until(|| sim.faults().list().is_empty()).await;
    match then {
        Then::Lives => process,
        Then::Dies => {
            process.kill().await;
            Process::start(sim, dir)
        }
    }
}

/// All that may keep an answer from us, and how many calls it then takes.
fn losses() -> Vec<(FaultKind, u64)> {
    let reset = FaultKind::Reset { after_bytes: 0 };
    vec![
        (FaultKind::LoseAnswer, 1),
        (FaultKind::CorruptJson, 1),
        (reset, 2),
        (FaultKind::Status { status: 502 }, 2),
    ]
}

/// Answers of the kind that ends in a ban.
fn failing(sim: &Simulator) -> u64 {
    let failing = sim.report().failing;
    let counts = failing.iter().filter(|(status, _)| **status < 500);
    counts.map(|(_, count)| count).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_were_removed_without_an_answer_are_not_asked_for_again() {
    for ((lost, calls), then) in losses()
        .into_iter()
        .flat_map(|loss| [Then::Lives, Then::Dies].map(|then| (loss.clone(), then)))
    {
        let what = format!("{lost:?}, {then:?}");
        let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
        let process = with_files(&sim, dir.path()).await;
        sim.faults().add(Fault::new("file/rm", lost));
        process.remove(&["a", "b", "c"]).await;
        let process = go_on(process, then, &sim, dir.path()).await;
        process.drained().await;
        assert_eq!(sim.account().file_paths(), ["other"], "{what}");
        assert_eq!(process.names(ROOT).await, ["d", "other"], "{what}");
        assert_eq!(sim.report().calls_of("file/rm"), calls, "{what}");
        assert_eq!(failing(&sim), 0, "{what}");
        assert_well_behaved(&sim);
        process.uploader.stop().await;
    }
}

/// What the listing does not show is not gone then.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_was_not_removed_goes_though_its_folder_does_not_show_all_sub_folders() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    sim.account().add_folder("big/d").unwrap();
    let process = Process::start(&sim, dir.path());
    process.list(ROOT).await;
    let big = process.enter(ROOT, "big").await;
    process.enter(big, "d").await;
    crowd(&sim, "big").await;
    let reset = FaultKind::Reset { after_bytes: 0 };
    sim.faults().add(Fault::new("folder/rm", reset));
    rmdir(&process, big, "d").await;
    process.settled().await;
    assert_eq!(sim.account().folder_id("big/d"), None);
    assert_eq!(sim.report().calls_of("folder/rm"), 2);
    assert_well_behaved(&sim);
    process.uploader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_was_removed_without_an_answer_is_not_asked_for_again() {
    for ((lost, calls), then) in losses()
        .into_iter()
        .flat_map(|loss| [Then::Lives, Then::Dies].map(|then| (loss.clone(), then)))
    {
        let what = format!("{lost:?}, {then:?}");
        let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
        let process = with_files(&sim, dir.path()).await;
        sim.faults().add(Fault::new("folder/rm", lost));
        rmdir(&process, ROOT, "d").await;
        let process = go_on(process, then, &sim, dir.path()).await;
        process.drained().await;
        assert_eq!(sim.account().folder_id("d"), None, "{what}");
        assert_eq!(
            process.names(ROOT).await,
            ["a", "b", "c", "other"],
            "{what}"
        );
        assert_eq!(sim.report().calls_of("folder/rm"), calls, "{what}");
        assert_eq!(failing(&sim), 0, "{what}");
        assert_well_behaved(&sim);
        process.uploader.stop().await;
    }
}

/// The folder that it was in has nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_of_a_folder_is_known_to_be_gone_too() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    sim.account().add_file("d/e/f", b"content").unwrap();
    let process = Process::start(&sim, dir.path());
    process.list(ROOT).await;
    let d = process.enter(ROOT, "d").await;
    let e = process.enter(d, "e").await;
    for call in ["file/rm", "folder/rm"] {
        sim.faults().add(Fault::new(call, FaultKind::LoseAnswer));
    }
    wait(process.vfs.unlink(e, OsStr::new("f"), ANN))
        .await
        .unwrap();
    rmdir(&process, d, "e").await;
    process.drained().await;
    assert_eq!(sim.account().file_paths().len(), 0);
    assert_eq!(sim.account().folder_id("d/e"), None);
    assert_eq!(sim.report().calls_of("file/rm"), 1);
    assert_eq!(sim.report().calls_of("folder/rm"), 1);
    assert_eq!(failing(&sim), 0);
    assert_well_behaved(&sim);
    process.uploader.stop().await;
}

/// Of an array that came to nothing, somebody else removes one.
#[tokio::test(flavor = "multi_thread")]
async fn of_an_array_without_an_answer_each_is_settled_by_itself() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    let process = with_files(&sim, dir.path()).await;
    sim.faults()
        .add(Fault::new("file/rm", FaultKind::Reset { after_bytes: 0 }));
    process.remove(&["a", "b", "c"]).await;
    let process = go_on(process, Then::Dies, &sim, dir.path()).await;
    sim.account().delete("b").unwrap();
    process.drained().await;
    assert_eq!(sim.account().file_paths(), ["other"]);
    assert_eq!(sim.report().calls_of("file/rm"), 2);
    assert_eq!(failing(&sim), 0);
    assert_well_behaved(&sim);
    process.uploader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_before_goes_once_though_that_is_not_answered() {
    for then in [Then::Lives, Then::Dies] {
        let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
        let process = with_files(&sim, dir.path()).await;
        sim.faults()
            .add(Fault::new("file/rm", FaultKind::LoseAnswer));
        let replaced = process.lookup(ROOT, "a").await.unwrap();
        let options = super::BOTH;
        let opened = wait(process.vfs.open(replaced, options, ANN))
            .await
            .unwrap();
        wait(process.vfs.write(opened.fh, 0, b"newer"))
            .await
            .unwrap();
        wait(process.vfs.flush(opened.fh)).await.unwrap();
        wait(process.vfs.release(opened.fh)).await.unwrap();
        process.wake();
        let process = go_on(process, then, &sim, dir.path()).await;
        process.drained().await;
        let mut paths = sim.account().file_paths();
        paths.sort();
        assert_eq!(paths, ["a", "b", "c", "other"]);
        assert_eq!(sim.account().content("a").unwrap(), b"newer");
        assert_eq!(sim.report().calls_of("file/rm"), 1);
        assert_eq!(failing(&sim), 0);
        assert_well_behaved(&sim);
        process.uploader.stop().await;
    }
}

/// No process lives as long as listings lag.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_killed_again_and_again_finds_out_what_is_gone() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    let process = with_files(&sim, dir.path()).await;
    let lost = FaultKind::LoseAnswer;
    sim.faults().add(Fault::new("file/rm", lost.clone()));
    sim.faults().add(Fault::new("folder/rm", lost));
    process.remove(&["a", "b", "c"]).await;
    rmdir(&process, ROOT, "d").await;
    let mut process = go_on(process, Then::Dies, &sim, dir.path()).await;
    let mut lives = 0;
    while !process.tree.backlog().unwrap().is_drained() {
        lives += 1;
        assert!(lives < 100, "it never ends");
        tokio::time::sleep(Duration::from_secs(40).div_f64(SCALE)).await;
        process.kill().await;
        process = Process::start(&sim, dir.path());
    }
    assert_eq!(sim.account().file_paths(), ["other"]);
    assert_eq!(sim.account().folder_id("d"), None);
    assert_eq!(sim.report().calls_of("file/rm"), 1);
    assert_eq!(sim.report().calls_of("folder/rm"), 1);
    assert_eq!(failing(&sim), 0);
    assert_well_behaved(&sim);
    process.uploader.stop().await;
}

/// The service does not know yet what it made a moment ago.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_a_moment_ago_is_not_taken_to_be_gone() {
    // Removals wait a second for company, of anybody's time.
    const SLOW: f64 = 10.0;
    let (sim, dir) = (simulator_at(SLOW).await, tempfile::tempdir().unwrap());
    let process = Process::start_at(SLOW, &sim, dir.path());
    process.list(ROOT).await;
    for call in ["file/rm", "folder/rm"] {
        sim.faults()
            .add(Fault::new(call, super::not_known(super::NO_SUCH_FILE)));
    }
    process.write(ROOT, "new", b"content").await;
    process.mkdir(ROOT, "e").await;
    process.wake();
    process.drained().await;
    process.remove(&["new"]).await;
    rmdir(&process, ROOT, "e").await;
    process.drained().await;
    assert!(sim.faults().list().is_empty());
    assert_eq!(sim.account().file_id("new"), None);
    assert_eq!(sim.account().folder_id("e"), None);
    assert_eq!(failing(&sim), 2);
    assert_well_behaved(&sim);
    process.uploader.stop().await;
}
