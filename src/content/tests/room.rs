//! What stays in a cache that is full.

use super::*;

#[test]
fn the_cache_keeps_its_size_and_drops_the_least_recently_used() {
    let mut house = House::with_one_connection();
    house.options.cache_size = 8 * MIB;
    house.options.attention = Duration::ZERO;
    let content = house.open();
    for n in 0..20 {
        let film = file(&format!("film{n}"), MIB);
        assert!(house.read(&content, &film, 0..MIB).unwrap() == expect(&film, 0..MIB));
        house.settle(&content);
        assert!(content.stats().cached_bytes <= house.options.cache_size);
    }
    assert!(house.bytes_on_disk() <= house.options.cache_size);
    let last = file("film19", MIB);
    assert!(content.try_read(&last, 0, MIB as usize).unwrap() == expect(&last, 0..MIB));
    assert!(content.try_read(&file("film0", MIB), 0, 1).is_none());
}

#[test]
fn what_nobody_used_for_too_long_goes_and_a_disk_without_room_keeps_nothing() {
    let mut house = House::new();
    house.options.attention = Duration::ZERO;
    let content = house.open();
    let film = file("film0", MIB);
    house.read(&content, &film, 0..MIB).unwrap();
    house.settle(&content);
    content.save();
    drop(content);
    let tidied = |house: &House| {
        let content = house.open();
        content.core.shelf.tidy();
        content.stats().cached_bytes
    };
    house.options.cache_max_age = Duration::from_secs(3600);
    assert_eq!(tidied(&house), MIB);
    house.options.cache_max_age = Duration::from_millis(1);
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(tidied(&house), 0);
    assert_eq!(house.bytes_on_disk(), 0);

    house.options.cache_max_age = Duration::ZERO;
    house.options.cache_min_free = 1 << 60;
    let content = house.open();
    assert_eq!(content.stats().cache_limit, 0);
    assert!(house.read(&content, &film, 0..MIB).unwrap() == expect(&film, 0..MIB));
    assert_eq!(content.stats().cached_bytes, 0);
}

#[test]
fn after_a_start_nothing_goes_before_it_is_known_what_is_kept() {
    let mut house = House::new();
    house.options.attention = Duration::ZERO;
    let (kept, other) = (file("film0", MIB), file("film1", MIB));
    let content = house.open();
    for film in [&kept, &other] {
        house.read(&content, film, 0..MIB).unwrap();
    }
    house.settle(&content);
    content.save();
    drop(content);
    // Both are too old, and too much.
    house.options.cache_max_age = Duration::from_millis(1);
    house.options.cache_size = MIB;
    std::thread::sleep(Duration::from_millis(5));
    let content = house.started("db");
    content.core.shelf.tidy();
    assert_eq!(content.clear(), 0);
    assert_eq!(content.stats().cached_bytes, 2 * MIB);
    content.keep([kept.id.clone()].into());
    content.core.shelf.tidy();
    assert_eq!((content.cached(&kept), content.cached(&other)), (MIB, 0));
}

#[test]
fn a_file_larger_than_the_cache_is_read_right_within_the_size() {
    let mut house = House::new();
    house.options.cache_size = 4 * MIB;
    let content = house.open();
    let film = file("film0", 24 * MIB);
    for at in (0..film.size).step_by(MIB as usize / 2) {
        let range = at..at + MIB / 2;
        assert!(house.read(&content, &film, range.clone()).unwrap() == expect(&film, range));
        assert!(content.stats().cached_bytes <= house.options.cache_size);
    }
    house.settle(&content);
    // Not a block more: the checksums and the file system's own notes take some pages besides.
    let besides = house
        .bytes_on_disk()
        .saturating_sub(house.options.cache_size);
    assert!(besides < BLOCK_SIZE, "{besides}");
}

#[test]
fn a_filled_and_kept_file_is_whole_and_outlives_what_pushes_others_out() {
    let mut house = House::new();
    house.options.cache_size = 8 * MIB;
    house.options.attention = Duration::ZERO;
    let content = house.open();
    let (film, big) = (file("film0", 4 * MIB + 5), file("film9", 64 * MIB));
    content.keep([film.id.clone(), big.id.clone()].into());
    house.read(&content, &film, MIB..2 * MIB).unwrap();
    house.runtime.block_on(content.fill(&film)).unwrap();
    house.settle(&content);
    assert_eq!(content.cached(&film), film.size);
    // Where attention is nothing, a flight may end between two looks of its reader, and the
    // part of a block that it had comes once more.
    let fetched = content.stats().fetched_bytes;
    assert!(
        (film.size..film.size + BLOCK_SIZE).contains(&fetched),
        "{fetched}"
    );
    for n in 1..9 {
        let other = file(&format!("film{n}"), MIB);
        assert!(house.read(&content, &other, 0..MIB).unwrap() == expect(&other, 0..MIB));
        house.settle(&content);
    }
    content.clear();
    let before = house.requests().len();
    assert!(house.read(&content, &film, 0..film.size).unwrap() == expect(&film, 0..film.size));
    assert_eq!(house.requests().len(), before);
    let failed = house.runtime.block_on(content.fill(&big)).unwrap_err();
    assert!(failed.to_string().contains("no room"), "{failed}");
    content.keep(std::collections::HashSet::new());
    content.clear();
    assert_eq!(content.stats().cached_bytes, 0);
}

#[test]
fn a_second_scan_of_a_library_costs_nothing_after_big_streams_and_a_restart() {
    let mut house = House::new();
    house.options.cache_size = 96 * MIB;
    house.options.attention = Duration::ZERO;
    let library: Vec<_> = (0..6)
        .map(|n| file(&format!("film{n}"), 40 * MIB + n))
        .collect();
    let scan = |content: &Content| {
        for film in &library {
            let tail = film.size - MIB..film.size;
            for range in [0..MIB / 16, tail] {
                let read = house.read(content, film, range.clone());
                assert!(read.unwrap() == expect(film, range));
            }
        }
        house.settle(content);
    };
    let stream = |content: &Content, film: &RemoteFile| {
        for at in (0..film.size).step_by(MIB as usize) {
            let range = at..film.size.min(at + MIB);
            assert!(
                house.read(content, film, range.clone()).unwrap() == expect(film, range.clone())
            );
        }
        house.settle(content);
        assert!(content.stats().cached_bytes <= house.options.cache_size);
    };
    let content = house.open();
    scan(&content);
    // More than the cache holds, also of a film of the library.
    stream(&content, &file("other", 120 * MIB));
    stream(&content, &library[3]);
    content.save();
    drop(content);
    let content = house.open();
    stream(&content, &file("another", 120 * MIB));
    let (links, requests) = (house.links(), house.requests().len());
    scan(&content);
    assert_eq!((house.links(), house.requests().len()), (links, requests));
}

#[test]
fn where_nothing_else_is_left_edges_go_as_well() {
    let mut house = House::new();
    house.options.cache_size = 8 * MIB;
    house.options.attention = Duration::ZERO;
    let content = house.open();
    // All of a small file is edge, and the share of edges in this cache is two of them.
    for n in 0..20 {
        let film = file(&format!("film{n}"), MIB);
        assert!(house.read(&content, &film, 0..MIB).unwrap() == expect(&film, 0..MIB));
    }
    house.settle(&content);
    assert!(content.stats().cached_bytes <= house.options.cache_size);
    let last = file("film19", MIB);
    assert!(content.try_read(&last, 0, MIB as usize).is_some());
}
