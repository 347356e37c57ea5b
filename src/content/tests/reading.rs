//! What readers get, and what it costs the service.

use super::*;

#[test]
fn a_small_first_read_fetches_one_block_and_a_second_one_nothing() {
    let house = House::new();
    let content = house.open();
    let film = file("film0", 10 * MIB);
    assert!(content.try_read(&film, 0, 4096).is_none());
    assert!(house.read(&content, &film, 0..4096).unwrap() == expect(&film, 0..4096));
    assert_eq!(house.requests(), [0..BLOCK_SIZE]);
    assert!(content.try_read(&film, 100, 4096).unwrap() == expect(&film, 100..4196));
    assert!(content.try_read(&film, BLOCK_SIZE - 1, 2).is_none());
    house.settle(&content);
    assert_eq!(house.links(), 1);
}

#[test]
fn links_are_asked_for_as_urgently_as_somebody_needs_them() {
    let house = House::new();
    let content = house.open();
    let [read, kept, sent] = ["film0", "film1", "film2"].map(|id| file(id, MIB));
    house.read(&content, &read, 0..10).unwrap();
    house.runtime.block_on(content.fill(&kept)).unwrap();
    let upload = content.read_for(Who::Upload, &sent, 0, 10);
    assert!(house.runtime.block_on(upload).unwrap() == expect(&sent, 0..10));
    let needs = [Need::Reader, Need::Nobody, Need::Upload];
    assert_eq!(*house.fake.state.needs.lock(), needs);
}

#[test]
fn no_more_connections_are_used_than_the_service_allows() {
    let mut house = House::new();
    for (asked, used) in [(1, 1), (30, 30), (99, 30)] {
        house.options.connections = asked;
        assert_eq!(house.open().core.lines.total(), used);
    }
}

#[test]
fn reads_end_at_the_end_of_the_file() {
    let house = House::new();
    let content = house.open();
    let film = file("film0", BLOCK_SIZE + 10);
    let end = film.size;
    assert!(
        house.read(&content, &film, end - 20..end + 500).unwrap() == expect(&film, end - 20..end)
    );
    assert!(
        house
            .read(&content, &film, end..end + 1)
            .unwrap()
            .is_empty()
    );
    assert!(
        house
            .read(&content, &file("empty", 0), 0..10)
            .unwrap()
            .is_empty()
    );
    assert!(
        content
            .try_read(&film, u64::MAX, usize::MAX)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_sequential_reader_costs_one_link_and_few_requests_and_each_byte_once() {
    let mut house = House::new();
    // However slow the machine is, nobody is thought to have gone.
    house.options.attention = Duration::from_secs(60);
    let content = house.open();
    let film = file("film0", 40 * MIB + 17);
    for at in (0..film.size).step_by(BLOCK_SIZE as usize) {
        let range = at..film.size.min(at + BLOCK_SIZE);
        assert!(house.read(&content, &film, range.clone()).unwrap() == expect(&film, range));
    }
    house.settle(&content);
    assert_eq!(house.links(), 1);
    assert_eq!(content.stats().fetched_bytes, film.size);
    assert!(house.requests().len() < 100, "{:?}", house.requests().len());
}

#[test]
fn who_reads_a_megabyte_here_and_there_gets_each_over_two_connections() {
    let house = House::new();
    let content = house.open();
    let film = file("film0", 100 * MIB);
    let megabyte = |at: u64| {
        for at in (at..at + MIB).step_by(BLOCK_SIZE as usize) {
            let range = at..at + BLOCK_SIZE;
            assert!(house.read(&content, &film, range.clone()).unwrap() == expect(&film, range));
        }
        house.settle(&content);
    };
    megabyte(20 * MIB);
    megabyte(60 * MIB);
    let before = house.requests().len();
    let at = 40 * MIB;
    megabyte(at);
    let mut asked = house.requests().split_off(before);
    asked.sort_by_key(|range| range.start);
    assert_eq!(asked, [at..at + MIB / 2, at + MIB / 2..at + MIB]);
}

#[test]
fn a_disk_that_stands_still_holds_up_no_reader_and_makes_none_ask_for_little_at_a_time() {
    let mut house = House::new();
    house.options.attention = Duration::from_secs(60);
    // Long runs: all batches of each wait for the disk.
    house.options.cache_size = 128 * MIB;
    // One thread for what blocks, so that it can be kept busy.
    house.runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let content = house.open();
    let film = file("film0", 40 * MIB);
    let block = |at: u64| at..at + BLOCK_SIZE;
    assert!(house.read(&content, &film, block(0)).unwrap() == expect(&film, block(0)));
    let (release, released) = std::sync::mpsc::channel::<()>();
    house.runtime.spawn_blocking(move || {
        // It ends when the other end is dropped, too.
        let _ = released.recv();
    });
    for at in (BLOCK_SIZE..film.size).step_by(BLOCK_SIZE as usize) {
        assert!(house.read(&content, &film, block(at)).unwrap() == expect(&film, block(at)));
    }
    drop(release);
    house.settle(&content);
    // Half a megabyte at a time, for who need not wait, and the first ones; a block at a time
    // would be four times as many.
    let halves = film.size / (MIB / 2);
    let most = halves as usize + 20;
    assert!(house.requests().len() < most, "{}", house.requests().len());
}

#[test]
fn who_reads_on_from_the_disk_finds_the_next_blocks_in_memory() {
    let house = House::new();
    let film = file("film0", 6 * MIB + 17);
    let content = house.open();
    house.read(&content, &film, 0..film.size).unwrap();
    house.settle(&content);
    content.save();
    drop(content);
    let content = house.open();
    let before = house.requests().len();
    let read = |at: u64| {
        let range = at..film.size.min(at + BLOCK_SIZE);
        assert!(house.read(&content, &film, range.clone()).unwrap() == expect(&film, range));
    };
    (0..4).for_each(|block| read(block * BLOCK_SIZE));
    for _ in 0..2000 {
        if content.stats().memory_bytes > 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(content.stats().memory_bytes > 0, "nothing came ahead");
    (4 * BLOCK_SIZE..film.size)
        .step_by(BLOCK_SIZE as usize)
        .for_each(read);
    assert_eq!(house.requests().len(), before);
}

#[test]
fn readers_of_the_same_block_share_one_request() {
    let house = House::new();
    let content = house.open();
    let film = file("film0", MIB);
    house.runtime.block_on(async {
        let reads = (0..20).map(|i| content.read(&film, i * 1000, 1000));
        for (i, bytes) in (0..).zip(future::join_all(reads).await) {
            assert!(bytes.unwrap() == expect(&film, i * 1000..i * 1000 + 1000));
        }
    });
    assert_eq!(house.requests(), [0..BLOCK_SIZE]);
    assert_eq!(house.links(), 1);
}

#[test]
fn what_nobody_wants_any_more_is_given_up() {
    let house = House::new();
    let content = house.open();
    let film = file("film0", 60 * MIB);
    house.read(&content, &film, 0..MIB).unwrap();
    *house.fake.state.always.lock() = Some(Trouble::Stall(0));
    house.runtime.block_on(async {
        // The second read would go on for ever, and fetches ahead as well.
        let read = content.read(&film, MIB, MIB as usize);
        assert!(
            tokio::time::timeout(Duration::from_millis(20), read)
                .await
                .is_err()
        );
    });
    house.settle(&content);
}

#[test]
fn pins_are_counted() {
    let house = House::new();
    let content = house.open();
    let id: FileId = "film0".parse().unwrap();
    let pin = content.pin(&id);
    assert!(content.is_pinned(&id));
    assert_eq!(content.stats().pinned_files, 1);
    drop(pin);
    assert!(!content.is_pinned(&id));
}
