//! Files that were pinned are at hand without the network, for as long as they are pinned.

use crate::harness::{World, eventually, shell};
use fichierfs::sim::{Fault, FaultKind, synthetic_bytes};
use std::fs;
use std::path::Path;
use std::process::Output;

const MIB: u64 = 1 << 20;

fn film(seed: u64, size: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(size).unwrap()];
    synthetic_bytes(seed, 0, &mut bytes);
    bytes
}

fn run(world: &World, verb: &str, path: &Path) -> Output {
    shell::output(world.fichierfs().arg(verb).arg(path))
}

#[test]
fn a_pinned_folder_is_read_without_the_network_after_a_restart_and_what_comes_later_too() {
    let world = World::new();
    let account = world.account();
    account
        .add_synthetic("travel/a.mkv", 1, 3 * MIB + 7)
        .unwrap();
    account.add_synthetic("travel/deep/b.mkv", 2, MIB).unwrap();
    account.add_synthetic("other.mkv", 3, 20 * MIB).unwrap();
    let flags = ["--cache-size", "12MiB", "--data-deadline", "4s"];
    let mounted = world.mount_with("a", &flags);

    let too_much = run(&world, "pin", &mounted.join("other.mkv"));
    assert_eq!(
        too_much.status.code(),
        Some(1),
        "{}",
        shell::show(&too_much)
    );
    assert!(shell::show(&too_much).contains("cache_size"));

    let pinned = run(&world, "pin", &mounted.join("travel"));
    assert!(pinned.status.success(), "{}", shell::show(&pinned));
    // Reading past the size of the cache drops others, not these.
    assert!(fs::read(mounted.join("other.mkv")).unwrap() == film(3, 20 * MIB));
    let list = mounted.verb(&["pin", "--list", "--json"]);
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(list["pins"][0]["path"], "travel");
    assert_eq!(list["pins"][0]["complete"], true);
    assert_eq!(list["pins"].as_array().unwrap().len(), 1);

    // A file that is made in it here is at hand, sent or not.
    fs::write(mounted.join("travel/new"), b"new").unwrap();
    mounted.unmount();

    for role in ["download", "download/get_token"] {
        let fault = Fault::new(role, FaultKind::Status { status: 503 });
        world.simulator().faults().add(fault.always());
    }
    let mounted = world.mount_with("a", &flags);
    assert!(fs::read(mounted.join("travel/a.mkv")).unwrap() == film(1, 3 * MIB + 7));
    assert!(fs::read(mounted.join("travel/deep/b.mkv")).unwrap() == film(2, MIB));
    assert_eq!(fs::read(mounted.join("travel/new")).unwrap(), b"new");
    world.simulator().faults().clear();

    // What others put there comes with the next listing.
    account.add_synthetic("travel/c.mkv", 4, MIB).unwrap();
    let refreshed = run(&world, "refresh", &mounted.join("travel"));
    assert!(refreshed.status.success(), "{}", shell::show(&refreshed));
    let again = run(&world, "pin", &mounted.join("travel"));
    assert!(again.status.success(), "{}", shell::show(&again));
    let before = world.report().bytes_down;
    assert!(fs::read(mounted.join("travel/c.mkv")).unwrap() == film(4, MIB));
    assert_eq!(world.report().bytes_down, before);

    let released = run(&world, "unpin", &mounted.join("travel"));
    assert!(released.status.success(), "{}", shell::show(&released));
    let none = run(&world, "unpin", &mounted.join("travel"));
    assert!(!none.status.success() && shell::show(&none).contains("not pinned"));
    eventually("the pin to go", || {
        let list = mounted.verb(&["pin", "--list"]);
        String::from_utf8_lossy(&list.stdout).contains("nothing pinned")
    });
    mounted.unmount();
    world.assert_well_behaved();
}
