use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::super::blocks::BLOCK_SIZE;
use super::super::cursor::{AMPLE_WINDOW, EASY_WINDOW};
use super::super::flight::Length;
use super::super::flights::Flights;
use super::super::window::{Price, Room};
use super::*;

const MIB: u64 = 1024 * 1024;
const FREE: Terms = Terms {
    room: Room::UpTo(u64::MAX),
    price: Price::Free,
    lines: 8,
    idle: 0,
    worthwhile: u64::MAX,
};
const LIMITS: Window = Window {
    run: 8 * MIB,
    ahead: 64 * MIB,
    attention: Duration::from_secs(5),
};

fn read_on(cursors: &mut Cursors, from: u64, reads: u64, met: Met) -> Vec<Range<Block>> {
    read_on_terms(cursors, from, reads, met, FREE)
}

fn read_on_terms(
    cursors: &mut Cursors,
    from: u64,
    reads: u64,
    met: Met,
    terms: Terms,
) -> Vec<Range<Block>> {
    (0..reads)
        .flat_map(|i| {
            let start = from + i * BLOCK_SIZE;
            runs_after(cursors, &(start..start + BLOCK_SIZE), met, terms)
        })
        .collect()
}

/// The runs by which comes what is fetched ahead after a read, where each has a connection at
/// once and what was fetched before is here.
fn runs_after(
    cursors: &mut Cursors,
    read: &Range<u64>,
    met: Met,
    terms: Terms,
) -> Vec<Range<Block>> {
    let Some(ahead) = cursors.on_read(read, met, terms, Instant::now()) else {
        return Vec::new();
    };
    let mut flights = Flights::new(&Arc::default());
    let mut departing = flights.plan_ahead(&[ahead.blocks], Length::Open(ahead.run));
    let mut runs = Vec::new();
    while let Some(flight) = departing.pop() {
        departing.extend(flights.depart(&flight, |_, _| None));
        runs.push(flight.run());
    }
    runs
}

#[test]
fn where_each_run_costs_a_link_there_are_few_and_long_ones() {
    let reads = 1000 * MIB / BLOCK_SIZE;
    let dear = Terms {
        price: Price::Link,
        ..FREE
    };
    let limits = Window {
        run: 32 * MIB,
        ahead: 384 * MIB,
        ..LIMITS
    };
    let mut cursors = Cursors::new(1000 * MIB, limits);
    let runs = read_on_terms(&mut cursors, 0, reads, Met::Waited, dear);
    assert!(runs.windows(2).all(|pair| pair[0].end == pair[1].start));
    assert_eq!(runs.last().unwrap().end, reads);
    assert!(runs.len() < 40, "{} links", runs.len());
    let mut cursors = Cursors::new(1000 * MIB, limits);
    let cheap = read_on(&mut cursors, 0, reads, Met::Waited);
    assert!(cheap.len() > runs.len());
    // In a small cache it stays within its bounds.
    let mut cursors = Cursors::new(
        1000 * MIB,
        Window {
            run: MIB,
            ahead: 4 * MIB,
            ..LIMITS
        },
    );
    for at in 0..reads {
        let range = at * BLOCK_SIZE..(at + 1) * BLOCK_SIZE;
        for run in runs_after(&mut cursors, &range, Met::Waited, dear) {
            assert!(run.end * BLOCK_SIZE <= range.end + 4 * MIB + BLOCK_SIZE);
        }
    }
}

#[test]
fn a_first_read_and_a_jump_fetch_nothing_ahead() {
    let mut cursors = Cursors::new(1000 * MIB, LIMITS);
    assert!(read_on(&mut cursors, 0, 1, Met::Waited).is_empty());
    for jump in [17, 34, 16, 500] {
        assert!(read_on(&mut cursors, jump * MIB, 1, Met::Waited).is_empty());
    }
}

#[test]
fn a_sequential_reader_gets_runs_that_grow_to_the_limit_and_leave_no_gap() {
    let mut cursors = Cursors::new(1000 * MIB, LIMITS);
    let runs = read_on(&mut cursors, 0, 2000, Met::Waited);
    assert_eq!(runs[0], 2..6, "twice what it has read");
    assert!(runs.windows(2).all(|pair| pair[0].end == pair[1].start));
    let longest = runs.iter().map(|run| run.end - run.start).max().unwrap();
    // A run for each of the eight connections, and two that wait.
    assert_eq!(longest, LIMITS.ahead / 10 / BLOCK_SIZE);
}

#[test]
fn the_window_stays_small_for_a_reader_that_never_waits() {
    let mut cursors = Cursors::new(1000 * MIB, LIMITS);
    let runs = read_on(&mut cursors, 0, 1000, Met::AtHand);
    let end = runs.last().unwrap().end * BLOCK_SIZE;
    assert!(end <= 1000 * BLOCK_SIZE + EASY_WINDOW);
}

#[test]
fn who_goes_on_after_what_was_asked_for_was_given_up_has_it_asked_for_again() {
    let mut cursors = Cursors::new(1000 * MIB, LIMITS);
    let asked = read_on(&mut cursors, 0, 1000, Met::Waited);
    assert!(asked.last().unwrap().end > 1100);
    assert!(read_on(&mut cursors, 1000 * BLOCK_SIZE, 1, Met::Waited).is_empty());
    let again = read_on(&mut cursors, 1001 * BLOCK_SIZE, 1, Met::Absent);
    assert_eq!(again[0].start, 1002);
    assert!(again.last().unwrap().end > 1100);

    // So has who was expected to read on after a jump, and is as patient with that.
    let mut cursors = Cursors::new(1000 * MIB, LIMITS);
    for place in [100 * MIB, 500 * MIB] {
        read_on(&mut cursors, place, 8, Met::Absent);
    }
    let at = 700 * MIB / BLOCK_SIZE;
    assert!(read_on(&mut cursors, at * BLOCK_SIZE, 1, Met::Absent).is_empty());
    let again = read_on(&mut cursors, (at + 1) * BLOCK_SIZE, 1, Met::Absent);
    assert_eq!(again[0], at + 2..at + 4);
}

#[test]
fn that_what_was_asked_for_was_given_up_makes_no_window_larger() {
    let mut cursors = Cursors::new(1000 * MIB, LIMITS);
    read_on(&mut cursors, 0, 20, Met::Waited);
    let before = cursors.latest().unwrap().window();
    for at in 20..30 {
        let asked = cursors.latest().unwrap().counted_on().end;
        assert!(asked > (at + 1) * BLOCK_SIZE);
        read_on(&mut cursors, at * BLOCK_SIZE, 1, Met::Absent);
    }
    assert_eq!(cursors.latest().unwrap().window(), before);
    // What was not asked for yet says that it was too little.
    let asked = cursors.latest().unwrap().counted_on().end / BLOCK_SIZE;
    read_on(&mut cursors, (asked - 1) * BLOCK_SIZE, 1, Met::Waited);
    let end = cursors.latest().unwrap().counted_on().end;
    let across = end - BLOCK_SIZE..end + BLOCK_SIZE;
    cursors.on_read(&across, Met::Absent, FREE, Instant::now());
    assert!(cursors.latest().unwrap().window() > before);
}

#[test]
fn who_read_a_megabyte_at_two_places_is_expected_to_do_so_at_the_third() {
    let mut cursors = Cursors::new(1000 * MIB, LIMITS);
    let now = Instant::now();
    for place in [100 * MIB, 500 * MIB] {
        assert_eq!(cursors.expected(&(place..place + 10)), place..place + 10);
        read_on(&mut cursors, place, 8, Met::Waited);
    }
    let at = 700 * MIB;
    assert_eq!(cursors.expected(&(at..at + BLOCK_SIZE)), at..at + MIB);
    assert!(read_on(&mut cursors, at, 8, Met::Waited).is_empty());
    assert!(cursors.want(&blocks::covering(&(at..at + MIB)), now));
    let on = read_on(&mut cursors, at + MIB, 1, Met::Waited);
    assert_eq!(on[0].start * BLOCK_SIZE, at + MIB + BLOCK_SIZE);
    assert_eq!(cursors.expected(&(5..6)).start, 5);
}

#[test]
fn a_window_halves_where_others_have_much_asked_ahead() {
    let mut cursors = Cursors::new(1000 * MIB, LIMITS);
    read_on(&mut cursors, 0, 1000, Met::Waited);
    let ahead = |cursors: &mut Cursors, room| {
        let mut end = 0;
        for i in 1000..2000 {
            let start = i * BLOCK_SIZE;
            let more = cursors.on_read(
                &(start..start + BLOCK_SIZE),
                Met::Waited,
                Terms { room, ..FREE },
                Instant::now(),
            );
            end = more.map_or(end, |more| more.blocks.end * BLOCK_SIZE - start);
        }
        end
    };
    assert!(ahead(&mut cursors, Room::Short) <= 4 * BLOCK_SIZE);
}

#[test]
fn a_reader_that_is_slower_than_the_line_gets_what_memory_holds() {
    let limits = Window {
        run: 32 * MIB,
        ahead: 320 * MIB,
        ..LIMITS
    };
    let mut cursors = Cursors::new(4000 * MIB, limits);
    let mut asked = 0;
    for i in 0..16_000 {
        let range = i * BLOCK_SIZE..(i + 1) * BLOCK_SIZE;
        let met = match asked > range.end + 96 * MIB {
            true => Met::Late,
            false => Met::Waited,
        };
        let more = cursors.on_read(&range, met, FREE, Instant::now());
        asked = more.map_or(asked, |more| more.blocks.end * BLOCK_SIZE);
        if i > 8_000 {
            assert!(asked <= range.end + 192 * MIB, "{}", asked - range.end);
        }
    }
    assert!(asked > 16_000 * BLOCK_SIZE + 16 * MIB);
}

#[test]
fn a_reader_that_had_to_wait_keeps_its_window_though_others_came_early() {
    let limits = Window {
        run: 32 * MIB,
        ahead: 320 * MIB,
        ..LIMITS
    };
    let mut cursors = Cursors::new(4000 * MIB, limits);
    let runs = read_on(&mut cursors, 0, 1000, Met::Waited);
    let asked = runs.last().unwrap().end;
    assert!(asked > 1000 + 2 * AMPLE_WINDOW / BLOCK_SIZE);
    // The rest of what several connections bring is there before what it waited for.
    let mut ahead = 0;
    for at in 1000..asked {
        let start = at * BLOCK_SIZE;
        let range = start..start + BLOCK_SIZE;
        let more = cursors.on_read(&range, Met::Late, FREE, Instant::now());
        ahead = more.map_or(ahead, |more| more.blocks.end - at);
    }
    assert!(ahead > 2 * AMPLE_WINDOW / BLOCK_SIZE, "{ahead}");
    // What was asked for after that comes early as well: the line is faster.
    let runs = read_on(&mut cursors, asked * BLOCK_SIZE, 4000, Met::Late);
    let end = runs.last().unwrap().end;
    assert!(end <= asked + 4000 + AMPLE_WINDOW / BLOCK_SIZE, "{end}");
}

#[test]
fn a_reader_with_few_connections_has_few_long_runs_and_none_is_a_rest() {
    let reads = 256 * MIB / BLOCK_SIZE;
    let runs = |lines| {
        let mut cursors = Cursors::new(
            256 * MIB,
            Window {
                run: 32 * MIB,
                ahead: 160 * MIB,
                ..LIMITS
            },
        );
        read_on_terms(&mut cursors, 0, reads, Met::Waited, Terms { lines, ..FREE })
    };
    let (few, many) = (runs(2), runs(8));
    assert!(few.len() < many.len(), "{} {}", few.len(), many.len());
    assert!(few.len() <= 24, "{}", few.len());
    for runs in [&few, &many] {
        assert!(runs.windows(2).all(|pair| pair[0].end == pair[1].start));
        let inner = &runs[..runs.len() - 1];
        let grown = inner.iter().skip_while(|run| run.end - run.start < 8);
        let shortest = grown.map(|run| run.end - run.start).min();
        assert!(shortest >= Some(8), "{runs:?}");
    }
}

#[test]
fn the_first_runs_of_a_reader_that_waits_are_shared_by_what_is_idle() {
    let idle = Terms { idle: 8, ..FREE };
    let mut cursors = Cursors::new(1000 * MIB, LIMITS);
    let runs = read_on_terms(&mut cursors, 0, 4, Met::Waited, idle);
    assert_eq!(runs[0], 2..6, "twice what it has read");
    // As soon as it is clear that it reads on, each of them has something to do.
    let more = read_on_terms(&mut cursors, MIB, 3, Met::Waited, idle);
    assert!(more.len() >= 8, "{more:?}");
    // Where none is idle, each request keeps one that is in use from its bytes for a while.
    let mut cursors = Cursors::new(1000 * MIB, LIMITS);
    read_on(&mut cursors, 0, 4, Met::Waited);
    assert!(read_on(&mut cursors, MIB, 3, Met::Waited).len() < 4);
}

#[test]
fn two_interleaved_readers_are_both_sequential() {
    let mut cursors = Cursors::new(1000 * MIB, LIMITS);
    let mut ahead = [0, 0];
    for i in 0..100 {
        for (reader, base) in [0, 600 * MIB].into_iter().enumerate() {
            let runs = read_on(&mut cursors, base + i * BLOCK_SIZE, 1, Met::Waited);
            ahead[reader] += runs.len();
        }
    }
    assert!(ahead.iter().all(|&runs| runs > 5), "{ahead:?}");
}

#[test]
fn what_was_asked_ahead_is_wanted_until_attention_ends() {
    let mut cursors = Cursors::new(1000 * MIB, LIMITS);
    let runs = read_on(&mut cursors, 0, 3, Met::Waited);
    let last = runs.last().unwrap();
    let now = Instant::now();
    assert!(cursors.want(last, now));
    assert!(!cursors.want(&(last.end..last.end + 1), now));
    assert!(!cursors.want(last, now + LIMITS.attention * 2));
}

proptest! {
    #[test]
    fn runs_stay_within_the_file_and_the_limits(
        size in 1u64..200 * MIB,
        reads in prop::collection::vec((0u64..200 * MIB, 1u64..2 * MIB, any::<bool>()), 1..100),
    ) {
        let mut cursors = Cursors::new(size, LIMITS);
        let mut last_end = 0;
        for (start, len, sequential) in reads {
            let start = if sequential { last_end } else { start }.min(size - 1);
            let range = start..(start + len).min(size);
            last_end = range.end;
            for run in runs_after(&mut cursors, &range, Met::Waited, FREE) {
                prop_assert!(run.start < run.end && run.end <= blocks::count(size));
                prop_assert!((run.end - run.start) * BLOCK_SIZE <= LIMITS.run * 5 / 4);
                prop_assert!(run.end * BLOCK_SIZE <= range.end + LIMITS.ahead + 2 * BLOCK_SIZE);
            }
        }
    }
}

#[test]
fn where_longer_runs_are_worth_no_more_the_window_is_as_many_short_ones() {
    let window = Window {
        run: 32 * MIB,
        ahead: 320 * MIB,
        ..LIMITS
    };
    let reads = 1000 * MIB / BLOCK_SIZE;
    let lengths = |worthwhile| {
        let mut cursors = Cursors::new(10_000 * MIB, window);
        let terms = Terms { worthwhile, ..FREE };
        let runs = read_on_terms(&mut cursors, 0, reads, Met::Waited, terms);
        let longest = runs.iter().map(|run| run.end - run.start).max().unwrap();
        let ahead = runs.last().unwrap().end - reads;
        (longest * BLOCK_SIZE / MIB, ahead * BLOCK_SIZE / MIB)
    };
    for (worthwhile, run) in [(u64::MAX, 32), (16 * MIB + 1, 16), (0, 6)] {
        let (longest, ahead) = lengths(worthwhile);
        assert_eq!(longest, run);
        assert!((9 * run..=10 * run).contains(&ahead), "{ahead} of {run}");
    }
}
