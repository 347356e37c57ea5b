//! Readers at random under faults at random.

use super::*;

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        3 => Just(Trouble::None),
        1 => Just(Trouble::Down),
        1 => Just(Trouble::DeadLink),
        2 => (0u64..400_000).prop_map(Trouble::Break),
        1 => (0u64..400_000).prop_map(Trouble::End),
        1 => (0u64..400_000).prop_map(Trouble::Stall),
    ]
}

/// Nothing is left of reads that are over: no flight, no request, no connection, no
/// bytes counted as asked for, and no task that holds the room.
fn assert_nothing_left(house: &House, content: Content) {
    house.settle(&content);
    assert_eq!(content.core.counters.ahead_bytes.get(), 0);
    assert_eq!(content.stats().pinned_files, 0);
    assert!(content.stats().memory_bytes <= MEMORY);
    let room = Arc::downgrade(&content.core);
    drop(content);
    // Whoever has just ended may hold it for a moment.
    for _ in 0..2000 {
        if room.strong_count() == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{} tasks still hold the room", room.strong_count());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Several readers of several files, in sequence and at random, under
    /// faults, in a cache that is too small and is cleared meanwhile: whoever
    /// gets bytes gets the right ones.
    #[test]
    fn no_read_ever_gives_wrong_bytes(
        troubles in prop::collection::vec(trouble(), 0..60),
        cache_mib in prop_oneof![Just(0u64), Just(1), Just(3), Just(64)],
        readers in prop::collection::vec(
            (0usize..3, prop::collection::vec((0u64..5 * MIB, 1u64..700_000, any::<bool>()), 1..25)),
            1..6,
        ),
        clears in 0u64..4,
        single in any::<bool>(),
    ) {
        let mut house = House::new();
        house.options.hedge_after = Duration::from_millis(5);
        // Not all of this is repaired so soon.
        house.options.data_deadline = Duration::from_millis(300);
        house.fake.state.single.store(single, Ordering::SeqCst);
        house.options.cache_size = cache_mib * MIB;
        *house.fake.state.troubles.lock() = troubles.into();
        let content = house.open();
        let files = [file("film0", 5 * MIB + 3), file("film1", 2 * MIB), file("film2", 999)];
        let tasks: Vec<_> = readers.into_iter().map(|(which, reads)| {
            let (content, file) = (content.clone(), files[which].clone());
            house.runtime.spawn(async move {
                let mut next = 0;
                for (offset, len, sequential) in reads {
                    let start = (if sequential { next } else { offset }).min(file.size);
                    let range = start..(start + len).min(file.size);
                    // A file whose links fail again and again is an error, not bytes.
                    if let Ok(bytes) = content.read(&file, start, len as usize).await
                        && bytes != expect(&file, range.clone())
                    {
                        return Err(format!("{range:?} of {file:?}"));
                    }
                    next = range.end;
                }
                Ok(())
            })
        }).collect();
        for _ in 0..clears {
            std::thread::sleep(Duration::from_millis(3));
            content.clear();
        }
        for task in tasks {
            prop_assert_eq!(house.runtime.block_on(task).unwrap(), Ok(()));
        }
        house.settle(&content);
        prop_assert!(content.stats().cached_bytes <= house.options.cache_size);
        content.clear();
        prop_assert_eq!(content.stats().cached_bytes, 0);
        assert_nothing_left(&house, content);
    }

    /// Readers who give up at any moment, in a cache that is too small: nothing is left
    /// of them, and who stays gets right bytes.
    #[test]
    fn who_gives_up_leaves_nothing_behind(
        troubles in prop::collection::vec(trouble(), 0..40),
        cache_mib in prop_oneof![Just(0u64), Just(2), Just(64)],
        reads in prop::collection::vec(
            (0usize..2, 0u64..6 * MIB, 1u64..MIB, 0u64..4_000),
            1..30,
        ),
    ) {
        let mut house = House::new();
        house.options.hedge_after = Duration::from_millis(5);
        house.options.cache_size = cache_mib * MIB;
        *house.fake.state.troubles.lock() = troubles.into();
        let content = house.open();
        let files = [file("film0", 6 * MIB + 3), file("film1", 3 * MIB)];
        let tasks: Vec<_> = reads.into_iter().map(|(which, offset, len, patience)| {
            let (content, file) = (content.clone(), files[which].clone());
            house.runtime.spawn(async move {
                let read = content.read(&file, offset, len as usize);
                let patience = Duration::from_micros(patience);
                let Ok(Ok(bytes)) = tokio::time::timeout(patience, read).await else {
                    return true;
                };
                let start = offset.min(file.size);
                bytes == expect(&file, start..(start + len).min(file.size))
            })
        }).collect();
        for task in tasks {
            prop_assert!(house.runtime.block_on(task).unwrap());
        }
        house.settle(&content);
        house.fake.state.troubles.lock().clear();
        for file in &files {
            let whole = house.read(&content, file, 0..file.size).unwrap();
            prop_assert!(whole == expect(file, 0..file.size));
        }
        assert_nothing_left(&house, content);
    }
}
