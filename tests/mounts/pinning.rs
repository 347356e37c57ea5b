//! Files that were pinned are at hand without the network, for as long as they are pinned.

use crate::harness::{World, errno, eventually, names, shell};
use fichierfs::sim::{Fault, FaultKind, synthetic_bytes};
use std::fs;
use std::net::TcpListener;
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

/// The network is away since before the mount: nothing even listens there.
#[test]
fn without_the_service_a_mount_is_up_with_all_that_was_seen_and_reads_what_it_has() {
    let world = World::new();
    let account = world.account();
    account.add_synthetic("travel/a.mkv", 1, MIB + 7).unwrap();
    account.add_synthetic("films/b.mkv", 2, MIB).unwrap();
    account.add_synthetic("films/c.mkv", 3, MIB).unwrap();
    account.add_synthetic("unseen/d.mkv", 4, MIB).unwrap();
    let flags = ["--data-deadline", "2s", "--metadata-deadline", "2s"];
    let mounted = world.mount_with("a", &flags);
    let pinned = run(&world, "pin", &mounted.join("travel"));
    assert!(pinned.status.success(), "{}", shell::show(&pinned));
    assert_eq!(names(mounted.join("films")), ["b.mkv", "c.mkv"]);
    assert!(fs::read(mounted.join("films/b.mkv")).unwrap() == film(2, MIB));
    mounted.unmount();

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    let there = fs::read_to_string(world.config_file()).unwrap();
    let mut away = there.clone();
    let simulator = world.simulator();
    for url in [simulator.api_url(), simulator.site_url()] {
        let host = url.split('/').nth(2).unwrap().to_owned();
        away = away.replace(&host, &address);
    }
    assert!(away != there);
    world.write_config(&away);
    let mounted = world.mount_with("a", &flags);
    assert_eq!(names(mounted.path()), ["films", "travel", "unseen"]);
    assert_eq!(names(mounted.join("films")), ["b.mkv", "c.mkv"]);
    let size = fs::metadata(mounted.join("films/c.mkv")).unwrap().len();
    assert_eq!(size, MIB);
    assert!(fs::read(mounted.join("travel/a.mkv")).unwrap() == film(1, MIB + 7));
    assert!(fs::read(mounted.join("films/b.mkv")).unwrap() == film(2, MIB));
    let passing = [libc::EIO, libc::ETIMEDOUT];
    let unknown = errno(fs::metadata(mounted.join("unseen/d.mkv")));
    assert!(passing.contains(&unknown), "{unknown}");
    let absent = errno(fs::read(mounted.join("films/c.mkv")));
    assert!(passing.contains(&absent), "{absent}");
    fs::write(mounted.join("films/new"), b"new").unwrap();
    let left = mounted.verb(&["unmount", "--no-wait"]);
    assert_eq!(left.status.code(), Some(3), "{}", shell::show(&left));
    drop(mounted);

    world.write_config(&there);
    let mounted = world.mount_with("a", &flags);
    mounted.drain();
    assert_eq!(account.content("films/new").unwrap(), b"new");
    mounted.unmount();
    world.assert_well_behaved();
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

/// At the start it is not known at once what is pinned, and much may have become too old meanwhile.
#[test]
fn what_is_pinned_outlives_a_start_however_little_the_cache_may_keep() {
    let world = World::new();
    let account = world.account();
    account.add_synthetic("pinned.mkv", 1, 3 * MIB).unwrap();
    account.add_synthetic("other.mkv", 2, MIB).unwrap();
    let mounted = world.mount();
    let pinned = run(&world, "pin", &mounted.join("pinned.mkv"));
    assert!(pinned.status.success(), "{}", shell::show(&pinned));
    assert!(fs::read(mounted.join("other.mkv")).unwrap() == film(2, MIB));
    mounted.unmount();

    let mounted = world.mount_with("a", &["--cache-max-age", "1ms"]);
    eventually("what is too old to go", || {
        let stats = mounted.verb(&["cache", "stats", "--json"]);
        let stats: serde_json::Value = serde_json::from_slice(&stats.stdout).unwrap();
        stats["files"] == 1
    });
    let before = world.report().bytes_down;
    assert!(fs::read(mounted.join("pinned.mkv")).unwrap() == film(1, 3 * MIB));
    assert_eq!(world.report().bytes_down, before);
    mounted.unmount();
    world.assert_well_behaved();
}
