//! What reads cost the service.

use crate::harness::{Mounted, World};
use fichierfs::sim::synthetic_bytes;
use std::fs::File;
use std::os::unix::fs::FileExt;

const MIB: u64 = 1 << 20;
const FILMS: u64 = 6;
const SIZE: u64 = 40 * MIB;

fn expected(seed: u64, at: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    synthetic_bytes(seed, at, &mut bytes);
    bytes
}

fn read(mounted: &Mounted<'_>, path: &str, at: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    let file = File::open(mounted.join(path)).unwrap();
    file.read_exact_at(&mut bytes, at).unwrap();
    bytes
}

/// Reads the beginning and the end of each film, as a media server does.
fn scan(mounted: &Mounted<'_>) {
    for film in 0..FILMS {
        let path = format!("library/{film}.mkv");
        for (at, len) in [(0, 64 << 10), (SIZE - MIB, MIB)] {
            assert!(read(mounted, &path, at, len) == expected(film, at, len));
        }
    }
}

#[test]
fn a_second_scan_of_a_library_costs_no_call_and_no_byte() {
    let world = World::new();
    let account = world.account();
    for film in 0..FILMS {
        let path = format!("library/{film}.mkv");
        account.add_synthetic(&path, film, SIZE).unwrap();
    }
    for big in [100, 101] {
        let path = format!("big/{big}.mkv");
        account.add_synthetic(&path, big, 120 * MIB).unwrap();
    }
    let flags = ["--cache-size", "96MiB"];
    let mounted = world.mount_with("a", &flags);
    scan(&mounted);
    let report = world.report();
    assert!(
        report.calls_of("download/get_token") <= FILMS,
        "{report:#?}"
    );
    // More than the cache holds goes through it, before and after a restart.
    for at in (0..120).map(|mib| mib * MIB) {
        assert!(read(&mounted, "big/100.mkv", at, MIB) == expected(100, at, MIB));
    }
    mounted.unmount();
    let mounted = world.mount_with("a", &flags);
    for at in (0..120).map(|mib| mib * MIB) {
        assert!(read(&mounted, "big/101.mkv", at, MIB) == expected(101, at, MIB));
    }
    mounted.unmount();
    let mounted = world.mount_with("a", &flags);
    let before = world.report();
    scan(&mounted);
    let after = world.report();
    for role in ["download/get_token", "download"] {
        assert_eq!(after.calls_of(role), before.calls_of(role), "{role}");
    }
    assert_eq!(after.bytes_down, before.bytes_down);
    mounted.unmount();
    world.assert_well_behaved();
}
