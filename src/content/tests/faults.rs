//! Links, hosts and connections that fail: readers get their bytes, or an error in time.

use super::*;

#[test]
fn a_broken_connection_goes_on_where_it_broke() {
    let house = House::with_one_connection();
    let content = house.open();
    let film = file("film0", MIB);
    *house.fake.state.troubles.lock() = [
        Trouble::Break(200_000),
        Trouble::Down,
        Trouble::End(100_000),
    ]
    .into();
    assert!(house.read(&content, &film, 0..MIB).unwrap() == expect(&film, 0..MIB));
    assert_eq!(
        house.requests(),
        [0..MIB, 200_000..MIB, 200_000..MIB, 300_000..MIB]
    );
    assert_eq!((house.links(), content.stats().retries), (1, 3));
}

#[test]
fn a_dead_link_is_replaced_and_links_are_not_asked_for_without_end() {
    let mut house = House::new();
    // Longer than the longest wait for a connection after refusals.
    house.options.data_deadline = Duration::from_secs(5);
    let content = house.open();
    let film = file("film0", MIB);
    *house.fake.state.troubles.lock() = [Trouble::DeadLink].into();
    assert!(house.read(&content, &film, 0..10).unwrap() == expect(&film, 0..10));
    assert_eq!(house.links(), 2);
    *house.fake.state.always.lock() = Some(Trouble::DeadLink);
    for _ in 0..2 {
        assert!(house.read(&content, &film, MIB - 10..MIB).is_err());
        assert_eq!(
            house.links(),
            3,
            "the third was refused as well: it is not the link"
        );
    }
    *house.fake.state.always.lock() = None;
    assert!(house.read_later(&content, &film, MIB - 10..MIB) == expect(&film, MIB - 10..MIB));
    assert_eq!(house.links(), 3);
}

#[test]
fn connections_that_are_refused_for_a_while_are_waited_for_and_links_are_used_on() {
    let house = House::new();
    let content = house.open();
    let film = file("film0", 64 * MIB);
    for round in 0..4 {
        let at = round * 8 * MIB;
        assert!(house.read(&content, &film, at..at + 10).unwrap() == expect(&film, at..at + 10));
        *house.fake.state.always.lock() = Some(Trouble::DeadLink);
        let (other, state) = (content.clone(), Arc::clone(&house.fake.state));
        let wanted = film.clone();
        let reading = house
            .runtime
            .spawn(async move { other.read(&wanted, at + 4 * MIB, 10).await });
        let before = house.requests().len();
        while house.requests().len() < before + 4 {
            std::thread::sleep(Duration::from_millis(5));
        }
        *state.always.lock() = None;
        let read = house.runtime.block_on(reading).unwrap().unwrap();
        assert!(read == expect(&film, at + 4 * MIB..at + 4 * MIB + 10));
        house.settle(&content);
        assert!(house.links() <= round as usize + 2, "{}", house.links());
        assert!(!content.core.links.are_single());
    }
    assert_eq!(content.stats().failed_reads, 0);
}

#[test]
fn who_joins_a_download_that_fails_soon_has_all_of_his_patience() {
    let mut house = House::new();
    house.options.data_deadline = Duration::from_secs(3);
    let content = house.open();
    let film = file("film0", MIB);
    *house.fake.state.always.lock() = Some(Trouble::Down);
    let read = || {
        let (content, film) = (content.clone(), film.clone());
        house
            .runtime
            .spawn(async move { content.read(&film, 0, 10).await })
    };
    let first = read();
    std::thread::sleep(Duration::from_millis(2900));
    let second = read();
    assert!(house.runtime.block_on(first).unwrap().is_err());
    // The download that both waited for has failed since.
    let failed = house.runtime.block_on(second).unwrap().unwrap_err();
    assert!(matches!(failed, ContentError::Timeout(_)), "{failed}");
}

#[test]
fn a_download_that_stands_still_is_broken_off_where_there_is_no_second_connection() {
    let mut house = House::new();
    house.options.hedge_after = Duration::from_millis(20);
    house.options.connections = 1;
    let content = house.open();
    let film = file("film0", MIB);
    *house.fake.state.troubles.lock() = [Trouble::Stall(300_000), Trouble::Stall(0)].into();
    assert!(house.read(&content, &film, 0..MIB).unwrap() == expect(&film, 0..MIB));
    assert_eq!(house.requests(), [0..MIB, 300_000..MIB, 300_000..MIB]);
    assert_eq!((house.links(), content.stats().retries), (1, 2));
}

#[test]
fn where_links_are_good_for_one_request_a_download_that_stands_still_gets_another() {
    let mut house = House::new();
    house.options.hedge_after = Duration::from_millis(20);
    house.fake.state.single.store(true, Ordering::SeqCst);
    let content = house.open();
    let film = file("film0", 200 * MIB);
    let mut at = 0;
    while !content.core.links.are_single() {
        house.read(&content, &film, at..at + 10).unwrap();
        at += 4 * MIB;
    }
    house.settle(&content);
    let other = file("film1", MIB);
    let links = house.links();
    *house.fake.state.troubles.lock() = [Trouble::Stall(300_000)].into();
    assert!(house.read(&content, &other, 0..MIB).unwrap() == expect(&other, 0..MIB));
    assert_eq!(house.links() - links, 2);
    assert_eq!(content.stats().failed_reads, 0);
}

#[test]
fn links_that_are_good_for_one_request_are_noticed_and_no_reader_sees_it() {
    let house = House::new();
    house.fake.state.single.store(true, Ordering::SeqCst);
    let content = house.open();
    let film = file("film0", 64 * MIB);
    for at in (0..film.size).step_by(MIB as usize) {
        assert!(house.read(&content, &film, at..at + MIB).unwrap() == expect(&film, at..at + MIB));
    }
    house.settle(&content);
    let (links, requests) = (house.links(), house.requests().len());
    for at in [3, 5, 7] {
        let other = file(&format!("film{at}"), 64 * MIB);
        for at in [at * MIB, 2 * at * MIB] {
            assert!(
                house.read(&content, &other, at..at + 10).unwrap() == expect(&other, at..at + 10)
            );
        }
    }
    // Once noticed, no link is tried a second time.
    assert_eq!(house.links() - links, 6);
    assert_eq!(house.requests().len() - requests, 6);
}

#[test]
fn a_download_that_stands_still_is_asked_for_on_another_connection() {
    let mut house = House::new();
    house.options.hedge_after = Duration::from_millis(20);
    let content = house.open();
    // Less than what would come over two connections.
    let size = MIB - BLOCK_SIZE;
    let film = file("film0", size);
    *house.fake.state.troubles.lock() = [Trouble::Stall(300_000), Trouble::Stall(0)].into();
    assert!(house.read(&content, &film, 0..size).unwrap() == expect(&film, 0..size));
    // The first stands still, and so does its second; the third goes on where it stood.
    let requests = house.requests();
    assert_eq!(requests[0], 0..size);
    assert!(requests[1..].iter().all(|range| *range == (300_000..size)));
    assert_eq!(content.stats().retries, 0);
    house.settle(&content);
}

#[test]
fn a_file_that_is_gone_is_asked_for_once() {
    let house = House::new();
    let content = house.open();
    let film = file("film0", MIB);
    let gone = ContentError::Gone(Reason::new(&"Resource not found", ""));
    *house.fake.state.refusal.lock() = Some(Fault::Final(gone));
    for _ in 0..5 {
        let failed = house.read(&content, &film, 0..10).unwrap_err();
        assert!(matches!(failed, ContentError::Gone(_)));
    }
    assert_eq!(house.links(), 1);
}

#[test]
fn a_stalled_read_ends_at_its_deadline_and_leaves_nothing_behind() {
    let mut house = House::new();
    house.options.data_deadline = Duration::from_millis(300);
    let content = house.open();
    let film = file("film0", MIB);
    *house.fake.state.always.lock() = Some(Trouble::Stall(1000));
    let failed = house.read(&content, &film, 0..10).unwrap_err();
    assert!(matches!(failed, ContentError::Timeout(_)), "{failed}");
    // The kernel asks once more for the page that was to be read ahead: a system call
    // does not wait twice.
    let _inside = house.runtime.enter();
    let again = content.read(&film, 5, 10).now_or_never();
    assert!(
        matches!(again, Some(Err(ContentError::Timeout(_)))),
        "{again:?}"
    );
    let upload = content.read_for(Who::Upload, &film, 5, 10).now_or_never();
    assert!(upload.is_none(), "{upload:?}");
    let elsewhere = content.read(&film, MIB / 2, 10).now_or_never();
    assert!(elsewhere.is_none(), "{elsewhere:?}");
    house.settle(&content);
    *house.fake.state.always.lock() = None;
    assert!(house.read_later(&content, &film, 0..10) == expect(&film, 0..10));
}
