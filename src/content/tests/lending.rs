//! Files that the kernel reads by itself.

use std::os::unix::fs::FileExt as _;

use super::checks::{spoil, with_checksum};
use super::*;

const SIZE: u64 = MIB + 77;

/// All bytes of what was lent, up to its end and no further.
fn read_all(lent: &Lent) -> Vec<u8> {
    let disk = File::from(lent.disk().try_clone_to_owned().unwrap());
    assert_eq!(disk.metadata().unwrap().len(), lent.size());
    let mut bytes = vec![0; lent.size() as usize + 4096];
    let read = disk.read_at(&mut bytes, 0).unwrap();
    bytes.truncate(read);
    bytes
}

impl House {
    /// Changes the database between two processes.
    fn sql(&self, change: &str) {
        let store = Store::open(&self.dir.path().join("db")).unwrap();
        let changed = store.write(|tx| Ok::<_, crate::store::StoreError>(tx.execute(change, [])?));
        assert_eq!(changed.unwrap(), 1);
    }
}

/// A file that is whole in the cache and was found sound.
fn sound(house: &House, content: &Content, id: &str) -> RemoteFile {
    let film = with_checksum(id, SIZE);
    let verdict = house.runtime.block_on(content.verify(&film)).unwrap();
    assert_eq!(verdict, Verdict::Sound);
    film
}

#[test]
fn only_what_is_whole_and_was_found_sound_is_lent_and_it_ends_where_the_file_does() {
    let house = House::with_one_connection();
    let content = house.open();
    let film = with_checksum("film0", SIZE);
    assert!(!content.may_lend(&film) && content.lend(&film).is_none());
    house.read(&content, &film, 0..SIZE).unwrap();
    house.settle(&content);
    content.core.memory.clear();
    house.read(&content, &film, 0..SIZE).unwrap();
    assert!(
        !content.may_lend(&film),
        "it was not compared with its checksum"
    );
    assert!(content.lend(&film).is_none());
    let verdict = house.runtime.block_on(content.verify(&film)).unwrap();
    assert_eq!(verdict, Verdict::Sound);
    assert!(content.may_lend(&film));
    let lent = content.lend(&film).unwrap();
    assert!(read_all(&lent) == expect(&film, 0..SIZE));
    let disk = File::from(lent.disk().try_clone_to_owned().unwrap());
    assert!(disk.write_at(&[1], 0).is_err(), "for reading alone");
    // Whoever reads by us finds it as before.
    assert!(content.try_read(&film, SIZE - 9, 99).unwrap() == expect(&film, SIZE - 9..SIZE));
    lent.note_opened();
    assert_eq!(content.stats().passed_opens, 1);
    assert_eq!(house.requests(), [0..SIZE]);
}

#[test]
fn after_a_restart_its_checksums_are_known_and_it_is_lent_once_it_was_read() {
    let house = House::with_one_connection();
    let content = house.open();
    let film = sound(&house, &content, "film0");
    drop(content.lend(&film).unwrap());
    drop(content);
    let content = house.open();
    assert!(!content.may_lend(&film));
    assert!(house.read(&content, &film, 0..SIZE).unwrap() == expect(&film, 0..SIZE));
    assert!(content.may_lend(&film));
    assert!(read_all(&content.lend(&film).unwrap()) == expect(&film, 0..SIZE));
    drop(content);
    assert_eq!(house.only_cache_file().metadata().unwrap().len(), SIZE);
    assert_eq!(house.requests(), [0..SIZE]);
}

#[test]
fn a_bit_that_the_disk_lost_of_it_is_noticed_and_another_file_takes_its_place() {
    let house = House::with_one_connection();
    let content = house.open();
    let film = sound(&house, &content, "film0");
    let lent = content.lend(&film).unwrap();
    drop(content);
    spoil(&house, 5000);
    let before = read_all(&lent);
    let content = house.open();
    assert!(house.read(&content, &film, 0..SIZE).unwrap() == expect(&film, 0..SIZE));
    assert!(content.try_read(&film, 0, SIZE as usize).unwrap() == expect(&film, 0..SIZE));
    assert!(
        read_all(&lent) == before,
        "it was not changed, only its name went"
    );
    assert!(house.requests().len() > 1);
}

#[test]
fn checksums_that_are_damaged_themselves_are_not_believed() {
    for sums in [
        "x'00'",
        "zeroblob(36)",
        "x'000102030405060708090a0b0c0d0e0f1011121314151617'",
    ] {
        let house = House::with_one_connection();
        let content = house.open();
        let film = sound(&house, &content, "film0");
        drop(content.lend(&film).unwrap());
        drop(content);
        house.sql(&format!("UPDATE block_map SET sums = {sums}"));
        spoil(&house, 5000);
        let content = house.open();
        assert!(house.read(&content, &film, 0..SIZE).unwrap() == expect(&film, 0..SIZE));
        assert!(house.requests().len() > 1, "{sums}");
    }
}

#[test]
fn what_is_lent_is_not_dropped_for_room_and_counts_until_it_is_given_back() {
    let mut house = House::with_one_connection();
    house.options.cache_size = 4 * MIB;
    house.options.attention = Duration::ZERO;
    let content = house.open();
    let film = sound(&house, &content, "film0");
    let lent = content.lend(&film).unwrap();
    for n in 1..12 {
        let other = file(&format!("film{n}"), MIB);
        house.read(&content, &other, 0..MIB).unwrap();
        house.settle(&content);
    }
    assert!(content.try_read(&film, 0, 9).is_some());
    content.clear();
    assert_eq!(content.stats().cached_bytes, SIZE);
    // What is gone for good goes by its name, and its room with the last reader.
    content.core.shelf.forget(&film.id);
    assert!(!lent.is_current());
    assert_eq!(content.stats().cached_bytes, SIZE);
    assert!(read_all(&lent) == expect(&film, 0..SIZE));
    drop(lent);
    assert_eq!(content.stats().cached_bytes, 0);
    assert_eq!(house.bytes_on_disk(), 0);
}

#[test]
fn one_that_was_lent_once_goes_whole_when_room_is_needed() {
    let mut house = House::with_one_connection();
    house.options.cache_size = 4 * MIB;
    house.options.attention = Duration::ZERO;
    let content = house.open();
    let film = sound(&house, &content, "film0");
    drop(content.lend(&film).unwrap());
    let fill = |content: &Content| {
        for n in 1..12 {
            let other = file(&format!("film{n}"), MIB);
            house.read(content, &other, 0..MIB).unwrap();
            house.settle(content);
        }
        content.core.shelf.cached_of(&film)
    };
    drop(content);
    house.sql("UPDATE block_map SET used_at = 1 WHERE file_id = 'film0'");
    let content = house.open();
    assert_eq!(fill(&content), 0);
    assert!(content.stats().cached_bytes <= house.options.cache_size);
}

#[test]
fn a_file_that_was_sent_is_lent_once_it_was_looked_at() {
    let house = House::new();
    let content = house.open();
    let film = with_checksum("film0", SIZE);
    sent(&house, &content, &film);
    assert!(!content.may_lend(&film));
    let verdict = house.runtime.block_on(content.verify(&film)).unwrap();
    assert_eq!(verdict, Verdict::Sound);
    assert!(read_all(&content.lend(&film).unwrap()) == expect(&film, 0..SIZE));
    assert_eq!(house.requests(), []);
}
