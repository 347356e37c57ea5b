//! What reads cost the service.

use crate::harness::{Mounted, World, scaled};
use fichierfs::sim::{Shape, SimConfig, synthetic_bytes};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

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

/// A service each connection of which brings 8 MiB a second.
fn by_connection() -> SimConfig {
    SimConfig {
        shape: Shape {
            per_connection_bps: Some(8 * MIB),
            ..Shape::default()
        },
        ..scaled()
    }
}

#[test]
fn no_more_connections_are_used_than_were_asked_for() {
    let peak = |flags: &[&str]| {
        let world = World::with(by_connection());
        world.account().add_synthetic("film", 1, 64 * MIB).unwrap();
        let mounted = world.mount_with("a", flags);
        for at in (0..64).map(|mib| mib * MIB) {
            assert!(read(&mounted, "film", at, MIB) == expected(1, at, MIB));
        }
        mounted.unmount();
        world.assert_well_behaved();
        world.report().transfers.peak
    };
    // One that has just ended may still count there when the next begins.
    let (few, many) = (peak(&["--connections", "2"]), peak(&["--connections", "8"]));
    assert!(few <= 4 && many > 4, "{few}, {many}");
}

/// Slower is always possible, faster never.
#[test]
fn a_download_is_no_faster_than_the_limit() {
    let world = World::new();
    world.account().add_synthetic("film", 1, 4 * MIB).unwrap();
    let mounted = world.mount_with("a", &["--download-limit", "1MiB"]);
    let start = Instant::now();
    assert!(read(&mounted, "film", 0, 4 * MIB) == expected(1, 0, 4 * MIB));
    // The limit lets a part of a second's worth through at once.
    assert!(start.elapsed() >= Duration::from_secs(2));
    mounted.unmount();
    world.assert_well_behaved();
}

/// Programs open a file anew for each piece that they want of it.
#[test]
fn a_reader_that_closes_and_opens_the_file_again_goes_on_where_it_was() {
    let world = World::new();
    world.account().add_synthetic("film", 1, 64 * MIB).unwrap();
    let mounted = world.mount();
    let pieces = 128;
    let piece = 64 * MIB / pieces;
    for at in (0..pieces).map(|nth| nth * piece) {
        assert!(read(&mounted, "film", at, piece) == expected(1, at, piece));
    }
    let report = world.report();
    assert_eq!(report.calls_of("download/get_token"), 1);
    // With a window of its own for each opening there is a request for each at least.
    let requests = report.calls_of("download");
    assert!(requests < pieces, "{requests}");
    mounted.unmount();
    world.assert_well_behaved();
}
