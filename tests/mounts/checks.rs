//! Files are compared with the service's checksums: on demand, and when nothing else
//! goes on.

use crate::harness::{Mounted, World, errno, eventually, shell};
use fichierfs::control::Client;
use fichierfs::control::protocol::VerifyRequest;
use fichierfs::sim::{Fault, FaultKind, synthetic_bytes};
use nix::libc;
use std::fs;
use std::io::Write;
use std::process::Output;

const MIB: u64 = 1 << 20;

fn verify(world: &World, mounted: &Mounted<'_>, path: &str) -> Output {
    shell::output(world.fichierfs().arg("verify").arg(mounted.join(path)))
}

fn status(mounted: &Mounted<'_>) -> serde_json::Value {
    let output = mounted.verb(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    status["cache"].clone()
}

#[test]
fn a_file_that_comes_with_a_wrong_bit_is_told_and_never_read_until_it_is_right() {
    let world = World::new();
    let account = world.account();
    account.add_synthetic("films/good.mkv", 1, MIB).unwrap();
    account.add_synthetic("films/bad.mkv", 2, MIB + 9).unwrap();
    let mounted = world.mount();
    let sound = verify(&world, &mounted, "films/good.mkv");
    assert!(sound.status.success(), "{}", shell::show(&sound));

    let flip = Fault::new("download", FaultKind::FlipBit { at: MIB + 3 });
    world.simulator().faults().add(flip.always());
    let damaged = verify(&world, &mounted, "films");
    assert!(!damaged.status.success(), "{}", shell::show(&damaged));
    let told = shell::show(&damaged);
    assert!(told.contains("damaged: /films/bad.mkv"), "{told}");
    assert_eq!(errno(fs::read(mounted.join("films/bad.mkv"))), libc::EIO);
    assert_eq!(
        fs::read(mounted.join("films/good.mkv")).unwrap().len() as u64,
        MIB
    );
    let cache = status(&mounted);
    assert_eq!(cache["damaged_files"], 1, "{cache}");
    assert_eq!(cache["damaged"][0], "films/bad.mkv", "{cache}");
    let screen = shell::show(&mounted.verb(&["status"]));
    assert!(screen.contains("damaged: /films/bad.mkv"), "{screen}");
    mounted.unmount();

    // It is still known after a restart, and the way out works.
    let mounted = world.mount();
    assert_eq!(errno(fs::read(mounted.join("films/bad.mkv"))), libc::EIO);
    world.simulator().faults().clear();
    let mended = verify(&world, &mounted, "films/bad.mkv");
    assert!(mended.status.success(), "{}", shell::show(&mended));
    assert_eq!(
        fs::read(mounted.join("films/bad.mkv")).unwrap().len() as u64,
        MIB + 9
    );
    assert_eq!(status(&mounted)["damaged_files"], 0);
    mounted.unmount();
    world.assert_well_behaved();
}

#[test]
fn what_was_read_whole_is_compared_without_being_asked() {
    let world = World::new();
    let account = world.account();
    account.add_synthetic("film.mkv", 1, 3 * MIB).unwrap();
    let mounted = world.mount();
    assert_eq!(
        fs::read(mounted.join("film.mkv")).unwrap().len() as u64,
        3 * MIB
    );
    eventually("the check", || status(&mounted)["sound_files"] == 1);
    assert!(status(&mounted)["check_cpu_ms"].as_u64() > Some(0));
    let screen = shell::show(&mounted.verb(&["status"]));
    assert!(screen.contains("checks   1 file sound"), "{screen}");
    mounted.unmount();
    world.assert_well_behaved();
}

#[test]
fn what_was_pinned_and_what_was_read_before_a_restart_is_compared_too() {
    let world = World::new();
    let account = world.account();
    account.add_synthetic("pinned.mkv", 1, 2 * MIB).unwrap();
    account.add_synthetic("read.mkv", 2, 3 * MIB).unwrap();
    let mounted = world.mount();
    let pinned = shell::output(world.fichierfs().arg("pin").arg(mounted.join("pinned.mkv")));
    assert!(pinned.status.success(), "{}", shell::show(&pinned));
    eventually("the check", || status(&mounted)["sound_files"] == 1);
    let read = fs::read(mounted.join("read.mkv")).unwrap();
    assert_eq!(read.len() as u64, 3 * MIB);
    mounted.unmount();
    let mounted = world.mount();
    eventually("the check", || status(&mounted)["sound_files"] == 2);
    mounted.unmount();
    world.assert_well_behaved();
}

#[test]
fn wrong_bytes_that_were_read_are_not_read_again_once_they_were_found_out() {
    let world = World::new();
    let account = world.account();
    account.add_synthetic("mended.mkv", 1, MIB).unwrap();
    account.add_synthetic("damaged.mkv", 2, MIB).unwrap();
    let mounted = world.mount();
    let right = |seed| {
        let mut bytes = vec![0; MIB as usize];
        synthetic_bytes(seed, 0, &mut bytes);
        bytes
    };
    let flip = Fault::new("download", FaultKind::FlipBit { at: 5000 }).always();
    world.simulator().faults().add(flip);
    for (path, seed) in [("mended.mkv", 1), ("damaged.mkv", 2)] {
        assert!(fs::read(mounted.join(path)).unwrap() != right(seed));
    }
    let found = verify(&world, &mounted, "damaged.mkv");
    assert!(!found.status.success(), "{}", shell::show(&found));
    // The kernel has its pages until the news has reached it.
    eventually("the damaged file is refused", || {
        fs::read(mounted.join("damaged.mkv")).is_err()
    });
    assert_eq!(errno(fs::read(mounted.join("damaged.mkv"))), libc::EIO);
    world.simulator().faults().clear();
    let mended = verify(&world, &mounted, "mended.mkv");
    assert!(mended.status.success(), "{}", shell::show(&mended));
    eventually("the mended file is right", || {
        fs::read(mounted.join("mended.mkv")).unwrap() == right(1)
    });
    mounted.unmount();
    world.assert_well_behaved();
}

#[test]
fn what_is_appended_to_a_file_that_never_comes_right_stays_here_until_it_does() {
    let world = World::new();
    let old = vec![7; 3 * MIB as usize];
    let new = [&old[..], b"more"].concat();
    world.account().add_file("log", &old).unwrap();
    let mounted = world.mount();
    let flip = Fault::new("download", FaultKind::FlipBit { at: 5000 }).always();
    world.simulator().faults().add(flip);
    let id = world.account().file_id("log");
    let mut log = fs::File::options()
        .append(true)
        .open(mounted.join("log"))
        .unwrap();
    log.write_all(b"more").unwrap();
    drop(log);
    let wait = || mounted.verb(&["queue", "wait", "--timeout", "100s"]);
    let waited = wait();
    assert_eq!(waited.status.code(), Some(3), "{}", shell::show(&waited));
    let shown = shell::show(&mounted.verb(&["queue", "list"]));
    assert!(shown.contains("the file is damaged"), "{shown}");
    assert_eq!(status(&mounted)["damaged"][0], "log");
    assert!(world.account().content("log").unwrap() == old);
    assert_eq!(world.account().file_id("log"), id);
    // What the message and its page advise.
    world.simulator().faults().clear();
    let mended = verify(&world, &mounted, "log");
    assert!(mended.status.success(), "{}", shell::show(&mended));
    let retried = mounted.verb(&["queue", "retry"]);
    assert!(retried.status.success(), "{}", shell::show(&retried));
    let waited = wait();
    assert!(waited.status.success(), "{}", shell::show(&waited));
    assert!(world.account().content("log").unwrap() == new);
    assert!(fs::read(mounted.join("log")).unwrap() == new);
    mounted.unmount();
    world.assert_well_behaved();
}

#[test]
fn what_was_found_before_is_not_told_to_who_asks_anew() {
    let world = World::new();
    world.account().add_synthetic("a.mkv", 1, MIB).unwrap();
    let mounted = world.mount();
    assert!(fs::metadata(mounted.join("a.mkv")).is_ok());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sockets = [world.path("run/fichierfs")];
    let client = runtime.block_on(Client::find(&sockets, Some(mounted.path())));
    let client = client.unwrap();
    let ask = |begin| {
        let path = "a.mkv".into();
        let asked = runtime.block_on(client.verify(&VerifyRequest { path, begin }));
        asked.unwrap()
    };
    // Somebody begins, and does not stay for the end.
    assert!(!ask(true).done);
    eventually("the end of the check", || ask(false).done);
    let anew = ask(true);
    assert_eq!((anew.done, anew.sound), (false, 0), "an old verdict");
    eventually("the end of the second check", || ask(false).done);
    assert_eq!(ask(false).sound, 1);
    mounted.unmount();
}
