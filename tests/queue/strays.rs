//! Uploads that their node takes as anybody's: each is a copy that everybody can read, and that
//! the account does not have.

use fichierfs::config::ApiKey;
use fichierfs::sim::{Fault, FaultKind, RemoveLinks, UnknownKey};
use fichierfs::tree::ROOT;

use crate::process::{Process, until};
use crate::{assert_well_behaved, simulator};

const NEW_KEY: &str = "another-key-of-the-same-account-";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_as_anybodys_once_the_key_is_revoked_waits_for_a_new_one() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    sim.change_quirks(|quirks| quirks.unknown_key = UnknownKey::Guest);
    let process = Process::start(&sim, dir.path());
    process.list(ROOT).await;
    sim.account()
        .profile(|profile| profile.config.key = NEW_KEY.to_owned());
    process.write(ROOT, "first", b"1").await;
    until(|| sim.report().failing.contains_key(&403)).await;
    for name in ["second", "third"] {
        process.write(ROOT, name, name.as_bytes()).await;
    }
    let said = |ino| process.tree.queued(ino).unwrap().and_then(|q| q.error);
    let mut first = None;
    for name in ["second", "first"] {
        let ino = process.lookup(ROOT, name).await.unwrap();
        until(|| said(ino).is_some_and(|text| text.contains("key was refused"))).await;
        first = Some(ino);
    }
    assert_eq!(sim.report().guest_uploads, 1);
    assert_eq!(sim.report().failing.get(&403), Some(&1));
    let node = process.tree.node(first.unwrap()).unwrap().unwrap();
    assert!(node.remote_file().is_none());

    process
        .keys
        .replace(ApiKey::new(NEW_KEY.to_owned()).unwrap());
    process.settled().await;
    assert_eq!(sim.account().file_paths(), ["first", "second", "third"]);
    assert_eq!(sim.account().content("first").unwrap(), b"1");
    assert_eq!(sim.report().guest_uploads, 1);
    assert_well_behaved(&sim);
    process.uploader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_while_it_is_not_known_whether_the_key_is_good() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    let process = Process::start(&sim, dir.path());
    process.list(ROOT).await;
    let down = FaultKind::Status { status: 500 };
    sim.faults().add(Fault::new("folder/ls", down).always());
    sim.faults().add(Fault::new("upload", FaultKind::AsGuest));
    let listed = sim.report().calls_of("folder/ls");
    process.write(ROOT, "a", b"1").await;
    until(|| sim.report().calls_of("folder/ls") > listed).await;
    process.write(ROOT, "b", b"2").await;
    let b = process.lookup(ROOT, "b").await.unwrap();
    until(|| !process.tree.queued(b).unwrap().unwrap().is_open()).await;
    process.wake();
    until(|| sim.report().calls_of("folder/ls") >= listed + 4).await;
    assert_eq!(sim.report().uploads, 1);
    sim.faults().clear();
    process.drained().await;
    assert_eq!(sim.account().file_paths(), ["a", "b"]);
    assert_eq!(sim.report().guest_uploads, 1);
    assert_well_behaved(&sim);
    process.uploader.stop().await;
}

/// Whatever the service gives to the key tells, and so does what cannot be read.
#[tokio::test(flavor = "multi_thread")]
async fn uploads_go_on_though_the_root_cannot_be_listed_and_say_why_not_until_then() {
    for is_unreadable in [true, false] {
        let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
        sim.account().add_folder("d").unwrap();
        let process = Process::start(&sim, dir.path());
        process.list(ROOT).await;
        let d = process.lookup(ROOT, "d").await.unwrap();
        let down = FaultKind::Status { status: 500 };
        sim.faults()
            .add(Fault::new("folder/ls", down).only(0).always());
        sim.faults().add(Fault::new("upload", FaultKind::AsGuest));
        assert_eq!(process.uploader.held(), None);
        process.write(ROOT, "a", b"1").await;
        until(|| process.uploader.held().is_some()).await;
        process.write(ROOT, "b", b"2").await;
        assert_eq!(sim.account().file_id("b"), None);
        if is_unreadable {
            sim.account().add_file("x\\y", b"").unwrap();
            sim.faults().clear();
        } else {
            process.list(d).await;
        }
        until(|| {
            process.wake();
            sim.account().file_id("b").is_some()
        })
        .await;
        assert_eq!(process.uploader.held(), None);
        assert_eq!(sim.report().guest_uploads, 1);
        assert_well_behaved(&sim);
        process.uploader.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_as_anybodys_with_a_good_key_is_sent_again_once() {
    for times in [1, 2] {
        let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
        sim.faults()
            .add(Fault::new("upload", FaultKind::AsGuest).times(times));
        let process = Process::start(&sim, dir.path());
        process.list(ROOT).await;
        process.write(ROOT, "a", b"kept").await;
        if times == 1 {
            process.drained().await;
            assert_eq!(process.failed(), 0);
        } else {
            until(|| process.failed() == 1).await;
            let ino = process.lookup(ROOT, "a").await.unwrap();
            let queued = process.tree.queued(ino).unwrap().unwrap();
            let said = queued.error.unwrap();
            assert!(said.contains("did not get it, 2 times"), "{said}");
            assert_eq!(sim.report().uploads, 2);
            // It is still here.
            process.tree.retry(None).unwrap();
            process.settled().await;
        }
        assert_eq!(sim.account().file_paths(), ["a"]);
        assert_eq!(sim.account().content("a").unwrap(), b"kept");
        assert_eq!(sim.report().guest_uploads, u64::from(times));
        assert_well_behaved(&sim);
        process.uploader.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_tells_of_removal_for_all_has_each_file_once() {
    let (sim, dir) = (simulator().await, tempfile::tempdir().unwrap());
    sim.change_quirks(|quirks| quirks.remove_links = RemoveLinks::All);
    let process = Process::start(&sim, dir.path());
    process.list(ROOT).await;
    let d = process.mkdir(ROOT, "d").await;
    process.write(ROOT, "a", b"1").await;
    process.drained().await;
    process.write(d, "b", b"2").await;
    process.write(ROOT, "c", b"3").await;
    process.drained().await;
    assert_eq!(process.failed(), 0);
    assert_eq!(sim.account().file_paths(), ["a", "c", "d/b"]);
    assert_eq!(sim.report().uploads, 3);
    assert_well_behaved(&sim);
    process.uploader.stop().await;
}
