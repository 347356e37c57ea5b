//! Files are compared with the service's checksums: on demand, and when nothing else
//! goes on.

use crate::harness::{Mounted, World, errno, eventually, shell};
use fichierfs::sim::{Fault, FaultKind};
use nix::libc;
use std::fs;
use std::os::unix::fs::FileExt;
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
fn wrong_bytes_that_were_read_are_not_read_again_once_the_check_found_them() {
    let world = World::new();
    let account = world.account();
    account.add_synthetic("once.mkv", 1, MIB).unwrap();
    account.add_synthetic("always.mkv", 2, MIB).unwrap();
    let right = account.content("once.mkv").unwrap();
    let mounted = world.mount();
    let flip = || Fault::new("download", FaultKind::FlipBit { at: 5000 });
    world.simulator().faults().add(flip());
    assert!(fs::read(mounted.join("once.mkv")).unwrap() != right);
    // From the kernel's memory, as all who come later would.
    fs::read(mounted.join("once.mkv")).unwrap();
    eventually("the check", || status(&mounted)["sound_files"] == 1);
    eventually("right bytes", || {
        fs::read(mounted.join("once.mkv")).unwrap() == right
    });

    world.simulator().faults().add(flip().always());
    let open = fs::File::open(mounted.join("always.mkv")).unwrap();
    assert_eq!(
        fs::read(mounted.join("always.mkv")).unwrap().len() as u64,
        MIB
    );
    eventually("the check", || status(&mounted)["damaged_files"] == 1);
    eventually("no bytes", || {
        let old = open.read_exact_at(&mut [0; 100], 0);
        let new = fs::read(mounted.join("always.mkv"));
        old.is_err() && new.is_err_and(|error| error.raw_os_error() == Some(libc::EIO))
    });
    drop(open);
    mounted.unmount();
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
