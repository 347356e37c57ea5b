//! What is kept on disk, over restarts and where the disk fails.

use super::*;

#[test]
fn the_cache_outlives_a_restart_and_a_wiped_folder_means_nothing_cached() {
    let house = House::with_one_connection();
    let film = file("film0", 3 * MIB);
    let content = house.open();
    house.read(&content, &film, MIB..2 * MIB).unwrap();
    house.settle(&content);
    content.save();
    drop(content);
    let content = house.open();
    assert_eq!(content.stats().cached_bytes, MIB);
    *house.fake.state.always.lock() = Some(Trouble::Down);
    assert!(house.read(&content, &film, MIB..2 * MIB).unwrap() == expect(&film, MIB..2 * MIB));
    assert_eq!(house.requests().len(), 1);
    drop(content);
    *house.fake.state.always.lock() = None;
    std::fs::remove_dir_all(house.cache()).unwrap();
    let content = house.open();
    assert_eq!(content.stats().cached_bytes, 0);
    assert!(house.read(&content, &film, MIB..2 * MIB).unwrap() == expect(&film, MIB..2 * MIB));
}

#[test]
fn a_cache_file_of_another_size_or_number_is_not_believed() {
    let house = House::new();
    let film = file("film0", MIB);
    for spoil in [
        |path: &std::path::Path| {
            std::fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(5)
                .unwrap()
        },
        |path: &std::path::Path| std::fs::rename(path, path.with_extension("999")).unwrap(),
    ] {
        let content = house.open();
        house.read(&content, &film, 0..MIB).unwrap();
        house.settle(&content);
        content.save();
        drop(content);
        let only = std::fs::read_dir(house.cache())
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        spoil(&only.path());
        let before = house.requests().len();
        let content = house.open();
        assert!(house.read(&content, &film, 0..MIB).unwrap() == expect(&film, 0..MIB));
        assert!(house.requests().len() > before);
    }
}

#[test]
fn a_sent_file_becomes_cache_and_one_that_is_gone_is_forgotten() {
    let house = House::new();
    let content = house.open();
    let film = file("film0", 2 * MIB);
    let path = sent(&house, &content, &film);
    assert!(!path.exists());
    drop(content);
    let content = house.open();
    assert!(house.read(&content, &film, 0..film.size).unwrap() == expect(&film, 0..film.size));
    assert!(house.requests().is_empty());
    let gone = |_: &FileId| Ok::<_, ContentError>(false);
    let pin = content.pin(&film.id);
    assert_eq!(content.keep_only(gone).unwrap(), 0, "somebody reads it");
    drop(pin);
    let there = |id: &FileId| Ok::<_, ContentError>(*id == film.id);
    assert_eq!(content.keep_only(there).unwrap(), 0);
    assert_eq!(content.stats().cached_bytes, film.size);
    assert_eq!(content.keep_only(gone).unwrap(), 1);
    assert_eq!(content.stats().cached_bytes, 0);
    assert_eq!(house.bytes_on_disk(), 0);
}

#[test]
fn a_cache_folder_that_vanishes_does_not_stop_readers() {
    let house = House::new();
    let content = house.open();
    std::fs::remove_dir_all(house.cache()).unwrap();
    let film = file("film0", 2 * MIB);
    assert!(house.read(&content, &film, 0..2 * MIB).unwrap() == expect(&film, 0..2 * MIB));
}

#[test]
fn without_room_on_disk_reads_pass_through_memory() {
    let mut house = House::new();
    house.options.cache_size = 0;
    let content = house.open();
    let film = file("film0", 5 * MIB);
    for at in (0..film.size).step_by(MIB as usize) {
        assert!(house.read(&content, &film, at..at + MIB).unwrap() == expect(&film, at..at + MIB));
    }
    assert_eq!(content.stats().cached_bytes, 0);
    assert!(content.stats().memory_bytes > 0);
}

#[test]
fn states_that_have_a_cache_folder_in_turn_never_believe_the_files_of_the_other() {
    let house = House::new();
    let film = file("film0", MIB);
    let read = |database: &str, range: Range<u64>| {
        let content = house.open_with(database);
        assert!(house.read(&content, &film, range.clone()).unwrap() == expect(&film, range));
        house.settle(&content);
        content.save();
    };
    read("db", 0..MIB);
    drop(house.open_with("other"));
    read("other", 0..10);
    read("db", 0..MIB);
}

#[test]
fn a_block_that_was_never_written_is_fetched_whatever_the_row_says() {
    let house = House::new();
    let film = file("film0", MIB);
    let content = house.open();
    house.read(&content, &film, 0..MIB).unwrap();
    house.settle(&content);
    content.save();
    drop(content);
    let disk = house.only_cache_file();
    let len = disk.metadata().unwrap().len();
    disk.set_len(0).unwrap();
    disk.set_len(len).unwrap();
    let content = house.open();
    assert!(house.read(&content, &film, 5..10).unwrap() == expect(&film, 5..10));
    assert!(house.read(&content, &film, 0..MIB).unwrap() == expect(&film, 0..MIB));
}
