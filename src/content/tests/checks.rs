//! Bytes that are not what they should be.

use super::*;

/// Changes a bit of the only cache file.
pub(super) fn spoil(house: &House, at: u64) {
    let disk = house.only_cache_file();
    let mut byte = [0];
    disk.read_exact_at(&mut byte, at).unwrap();
    disk.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

#[test]
fn a_bit_that_the_cache_disk_lost_is_noticed_and_its_block_alone_is_fetched_again() {
    let house = House::with_one_connection();
    let film = file("film0", MIB);
    let content = house.open();
    house.read(&content, &film, 0..MIB).unwrap();
    house.settle(&content);
    content.save();
    drop(content);
    spoil(&house, 5000);
    let content = house.open();
    assert!(house.read(&content, &film, 4990..5010).unwrap() == expect(&film, 4990..5010));
    assert!(house.read(&content, &film, 0..MIB).unwrap() == expect(&film, 0..MIB));
    house.settle(&content);
    assert_eq!(house.requests(), [0..MIB, 0..BLOCK_SIZE]);
    assert_eq!(content.stats().cached_bytes, MIB);
    content.save();
    drop(content);
    // What was fetched anew is as good as the rest.
    let content = house.open();
    assert!(house.read(&content, &film, 0..MIB).unwrap() == expect(&film, 0..MIB));
    assert_eq!(house.requests().len(), 2);
}

#[test]
fn a_sent_file_that_was_read_once_is_guarded_like_others() {
    let house = House::new();
    let content = house.open();
    let film = file("film0", MIB + 5);
    sent(&house, &content, &film);
    assert!(house.read(&content, &film, 0..film.size).unwrap() == expect(&film, 0..film.size));
    drop(content);
    let tail = MIB..film.size;
    spoil(&house, MIB + 2);
    let content = house.open();
    assert!(house.read(&content, &film, tail.clone()).unwrap() == expect(&film, tail.clone()));
    assert_eq!(house.requests(), [tail]);
}

pub(super) fn with_checksum(id: &str, size: u64) -> RemoteFile {
    use whirlpool::Digest;
    let mut film = file(id, size);
    let sum = whirlpool::Whirlpool::digest(expect(&film, 0..size));
    film.whirlpool = Some(Whirlpool(sum.into()));
    film
}

#[test]
fn bytes_that_differ_from_the_checksum_are_fetched_once_more_and_then_never_given() {
    let house = House::new();
    let content = house.open();
    let verify = |film: &RemoteFile| house.runtime.block_on(content.verify(film)).unwrap();
    let film = with_checksum("film0", MIB + 3);
    assert_eq!(verify(&film), Verdict::Sound);
    assert_eq!(house.requests().len(), 1);
    let disk = house.only_cache_file();
    disk.write_all_at(&[0; 64], 5000).unwrap();
    assert_eq!(verify(&film), Verdict::Sound);
    assert!(house.requests().len() > 1);
    assert!(house.read(&content, &film, 0..film.size).unwrap() == expect(&film, 0..film.size));

    let mut other = with_checksum("film1", MIB);
    let right = other.whirlpool.replace(Whirlpool([7; 64]));
    assert_eq!(verify(&other), Verdict::Damaged);
    assert!(content.try_read(&other, 0, 10).is_none());
    let failed = house.read(&content, &other, 0..10).unwrap_err();
    assert!(matches!(failed, ContentError::Damaged(_)), "{failed}");
    let stats = content.stats();
    assert_eq!((stats.sound_files, stats.damaged_files), (1, 1));
    assert_eq!(content.damaged(10), [other.id.clone()]);
    assert_eq!(content.damaged(0), []);
    assert!(stats.check_nanos > 0);
    drop(content);
    // It is not forgotten, and can be mended.
    let content = house.open();
    assert!(house.read(&content, &other, 0..10).is_err());
    other.whirlpool = right;
    let mended = house.runtime.block_on(content.verify(&other)).unwrap();
    assert_eq!(mended, Verdict::Sound);
    assert!(house.read(&content, &other, 0..10).unwrap() == expect(&other, 0..10));
    assert_eq!(
        house
            .runtime
            .block_on(content.verify(&file("film2", 9)))
            .unwrap(),
        Verdict::Unknown
    );
    // Of files that are gone nothing stays.
    let gone = |_: &FileId| Ok::<_, ContentError>(false);
    assert_eq!(content.keep_only(gone).unwrap(), 2);
    drop(content);
    let stats = house.open().stats();
    assert_eq!((stats.sound_files, stats.damaged_files), (0, 0));
}

#[test]
fn what_somebody_found_to_differ_is_fetched_anew_though_it_had_passed() {
    let house = House::with_one_connection();
    let content = house.open();
    let mend = |film: &RemoteFile| house.runtime.block_on(content.mend(film)).unwrap();
    let film = with_checksum("film0", MIB);
    let verified = house.runtime.block_on(content.verify(&film)).unwrap();
    assert_eq!(verified, Verdict::Sound);
    assert_eq!(mend(&film), Verdict::Sound);
    assert_eq!(house.requests(), [0..MIB, 0..MIB]);
    assert!(house.read(&content, &film, 0..MIB).unwrap() == expect(&film, 0..MIB));
    // Who found it has seen it differ once.
    let wrong = RemoteFile {
        whirlpool: Some(Whirlpool([7; 64])),
        ..film
    };
    assert_eq!(mend(&wrong), Verdict::Damaged);
    assert_eq!(house.requests().len(), 3);
    assert!(house.read(&content, &wrong, 0..10).is_err());
}

/// Waits until a check has found a file sound.
fn until_sound(house: &House, content: &Content) {
    house.runtime.block_on(async {
        let checked = async {
            while content.stats().sound_files == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), checked)
            .await
            .expect("it is checked");
    });
}

#[test]
fn what_the_cache_disk_lost_is_no_damage_of_the_file() {
    let house = House::with_one_connection();
    let film = with_checksum("film0", MIB);
    let content = house.open();
    house.read(&content, &film, 0..MIB).unwrap();
    house.settle(&content);
    content.save();
    drop(content);
    spoil(&house, 5000);
    spoil(&house, 500_000);
    let content = house.open();
    let verdict = house.runtime.block_on(content.verify(&film)).unwrap();
    assert_eq!(verdict, Verdict::Sound);
    let block = 3 * BLOCK_SIZE..4 * BLOCK_SIZE;
    assert_eq!(house.requests(), [0..MIB, 0..BLOCK_SIZE, block]);
}

#[test]
fn a_file_that_was_read_whole_is_checked_when_nothing_else_goes_on() {
    let mut house = House::with_one_connection();
    house.options.check_every = Duration::from_millis(10);
    let content = house.open();
    let film = with_checksum("film0", MIB);
    house.read(&content, &film, 0..MIB).unwrap();
    until_sound(&house, &content);
    assert_eq!(house.requests().len(), 1);
}

#[test]
fn a_file_that_was_fetched_to_be_at_hand_is_checked_when_nothing_else_goes_on() {
    let mut house = House::new();
    house.options.check_every = Duration::from_millis(10);
    let content = house.open();
    let film = with_checksum("film0", MIB);
    house.runtime.block_on(content.fill(&film)).unwrap();
    until_sound(&house, &content);
    assert_eq!(house.requests().len(), 1);
}

#[test]
fn what_an_earlier_process_fetched_whole_is_known_to_be_unchecked() {
    let mut house = House::new();
    house.options.check_every = Duration::from_secs(3600);
    let content = house.open();
    let [whole, part] = ["film0", "film1"].map(|id| with_checksum(id, MIB));
    house.read(&content, &whole, 0..MIB).unwrap();
    house.read(&content, &part, 0..10).unwrap();
    house.settle(&content);
    content.save();
    drop(content);
    house.options.check_every = Duration::from_millis(10);
    let content = house.open();
    assert_eq!(content.unchecked(), std::slice::from_ref(&whole.id));
    content.may_check(&whole);
    until_sound(&house, &content);
    assert_eq!(content.unchecked(), []);
    drop(content);
    assert_eq!(house.open().unchecked(), []);
}

#[test]
fn checks_that_nobody_waits_for_rest_while_others_are_at_work() {
    let mut house = House::new();
    house.options.check_every = Duration::from_millis(10);
    let content = house.open();
    let upload = content.at_work();
    let film = with_checksum("film0", MIB);
    house.read(&content, &film, 0..MIB).unwrap();
    // Many times as long as the check takes.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(content.stats().sound_files, 0);
    drop(upload);
    until_sound(&house, &content);
}

#[test]
fn where_memory_is_short_a_read_fails_and_the_cache_keeps_what_it_has() {
    let house = House::with_one_connection();
    let film = file("film0", MIB);
    let content = house.open();
    house.read(&content, &film, 0..MIB).unwrap();
    house.settle(&content);
    content.core.memory.clear();
    let dry = &content.core.buffers.dry;
    dry.store(true, Ordering::Relaxed);
    let failed = house.read(&content, &film, 0..MIB).unwrap_err();
    assert!(matches!(failed, ContentError::Unavailable(_)), "{failed}");
    dry.store(false, Ordering::Relaxed);
    assert!(house.read(&content, &film, 0..MIB).unwrap() == expect(&film, 0..MIB));
    assert_eq!(house.requests(), [0..MIB]);
}

#[test]
fn a_check_that_nobody_waits_for_makes_way_for_one_that_somebody_waits_for() {
    let mut house = House::new();
    house.options.check_every = Duration::from_millis(10);
    let content = house.open();
    let (first, second) = (with_checksum("film0", MIB), with_checksum("film1", MIB));
    let upload = content.at_work();
    house.read(&content, &first, 0..MIB).unwrap();
    // It rests, with its turn, for as long as somebody else is at work.
    while content.core.checks.turn.try_lock().is_ok() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let found = house.runtime.block_on(content.verify(&second)).unwrap();
    assert_eq!(found, Verdict::Sound);
    drop(upload);
}
