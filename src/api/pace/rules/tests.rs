use proptest::prelude::*;

use super::*;
use crate::ids::FolderId;

const SECOND: Micros = 1_000_000;
const MINUTE: Micros = 60 * SECOND;
const HOUR: Micros = 60 * MINUTE;
/// A start well after 1970, as real ones are.
const START: Micros = 1_700_000_000 * SECOND;

/// A state with its clock, as one process sees it.
struct World {
    state: State,
    limits: Limits,
    now: Micros,
}

impl World {
    fn new() -> World {
        World {
            state: State::begin(START),
            limits: Limits::real(),
            now: START,
        }
    }

    fn wait(&mut self, time: Micros) -> &mut World {
        self.now += time;
        self
    }

    fn ask(&mut self, call: Call, class: Class) -> Decision {
        advance(&mut self.state, &self.limits, self.now);
        decide(
            &self.state,
            &self.limits,
            &call,
            fresh(class),
            Some("key"),
            0,
        )
    }

    /// Makes a call that must be allowed now.
    fn call(&mut self, call: Call) -> Micros {
        assert_eq!(self.ask(call, Class::Interactive), Decision::Go);
        grant(&mut self.state, &self.limits, &call);
        self.now
    }

    fn answer(&mut self, call: Call, sent: Micros, verdict: Verdict, status: u16) {
        let status = Some(status);
        self.report(call, sent, Report { verdict, status });
    }

    /// Nobody waits for the answer any more.
    fn give_up(&mut self, call: Call, sent: Micros) {
        let (verdict, status) = (Verdict::GivenUp, None);
        self.report(call, sent, Report { verdict, status });
    }

    fn report(&mut self, call: Call, sent: Micros, told: Report) {
        advance(&mut self.state, &self.limits, self.now);
        report(
            &mut self.state,
            &self.limits,
            &call,
            sent,
            Some("key"),
            told,
        );
    }

    fn flood(&mut self, call: Call) {
        let sent = self.call(call);
        self.answer(call, sent, Verdict::Flood, 403);
    }

    /// How long a call has to wait, and why.
    fn waits(&mut self, call: Call) -> Option<(Micros, Why)> {
        match self.ask(call, Class::Interactive) {
            Decision::Wait { until, why } => Some((until - self.now, why)),
            _ => None,
        }
    }
}

/// It has not waited.
fn fresh(class: Class) -> Standing {
    Standing::after(class, Duration::ZERO)
}

fn folder(id: u64) -> Call {
    Call::listing(Script::FolderLs, Subject::Folder(FolderId(id)))
}

fn token() -> Call {
    Call::of(Script::Token)
}

fn node() -> Call {
    Call::of(Script::UploadServer)
}

#[test]
fn a_beginning_is_careful_and_then_bursts_of_three_go() {
    let mut world = World::new();
    assert!(matches!(world.waits(node()), Some((_, Why::Rate))));
    world.wait(HOUR);
    for _ in 0..3 {
        world.call(node());
    }
    let (wait, why) = world.waits(node()).unwrap();
    assert_eq!((wait, why), (1_050_000, Why::Rate));
    // An answer tells when they end to count.
    for _ in 0..3 {
        let sent = world.now;
        world.answer(node(), sent, Verdict::Answered, 200);
    }
    world.wait(1_049_999);
    assert_eq!(world.waits(node()), Some((1, Why::Rate)));
    world.wait(1).call(node());
}

#[test]
fn a_folder_is_listed_once_in_thirty_seconds_by_either_script() {
    let mut world = World::new();
    let sent = world.wait(HOUR).call(folder(7));
    world.answer(folder(7), sent, Verdict::Answered, 200);
    world.wait(SECOND);
    let other = Call::listing(Script::FileLs, Subject::Folder(FolderId(7)));
    assert_eq!(world.waits(other), Some((29 * SECOND, Why::SameFolder)));
    world.call(folder(8));
    world.wait(29 * SECOND).call(other);
}

#[test]
fn a_call_whose_answer_nobody_lived_to_see_may_have_arrived_late() {
    let mut world = World::new();
    world.wait(HOUR).call(folder(7));
    let account = Call::of(Script::Account);
    world.call(account);
    // Killed here; who comes next finds the state as it is.
    world.wait(SECOND);
    assert_eq!(world.waits(folder(7)), Some((34 * SECOND, Why::SameFolder)));
    let gap = 10 * MINUTE + 4 * SECOND;
    assert_eq!(world.waits(account), Some((gap, Why::Account)));
}

#[test]
fn a_call_that_was_given_up_may_get_there_yet() {
    let mut world = World::new();
    let sent = world.wait(HOUR).call(folder(7));
    world.wait(SECOND);
    world.give_up(folder(7), sent);
    assert_eq!(world.waits(folder(7)), Some((34 * SECOND, Why::SameFolder)));
    // So that of a burst only two are left.
    for _ in 0..2 {
        let sent = world.wait(SECOND).call(token());
        world.answer(token(), sent, Verdict::Answered, 200);
    }
    world.wait(1_100_000).call(token());
    world.call(token());
    assert!(matches!(world.waits(token()), Some((_, Why::Rate))));
    // One that was waited for longer got there or never will.
    let mut world = World::new();
    let sent = world.wait(HOUR).call(folder(7));
    world.wait(10 * SECOND);
    world.give_up(folder(7), sent);
    assert_eq!(world.waits(folder(7)), Some((30 * SECOND, Why::SameFolder)));
}

#[test]
fn a_gap_runs_from_the_answer_and_not_at_all_if_nothing_was_sent() {
    let mut world = World::new();
    let sent = world.wait(HOUR).call(folder(7));
    world.wait(2 * SECOND);
    world.answer(folder(7), sent, Verdict::Answered, 200);
    assert_eq!(world.waits(folder(7)), Some((30 * SECOND, Why::SameFolder)));
    let sent = world.call(folder(8));
    world.wait(2 * SECOND);
    world.answer(folder(8), sent, Verdict::NotSent, 0);
    world.call(folder(8));
}

#[test]
fn calls_without_an_answer_fill_the_burst_for_a_while() {
    let mut world = World::new();
    world.wait(HOUR);
    for _ in 0..3 {
        world.call(node());
    }
    world.wait(3 * SECOND);
    assert_eq!(world.waits(node()), Some((1_050_000, Why::Rate)));
    // A process that died with them does not hold up the others for ever.
    world.wait(2 * SECOND).call(node());
}

#[test]
fn the_account_and_all_files_have_gaps_of_their_own() {
    let mut world = World::new();
    let all = Call::listing(Script::FileLs, Subject::AllFiles);
    let account = Call::of(Script::Account);
    let sent = world.wait(HOUR).call(all);
    world.answer(all, sent, Verdict::Answered, 200);
    let sent = world.wait(SECOND).call(account);
    world.answer(account, sent, Verdict::Answered, 200);
    world.wait(SECOND);
    assert_eq!(world.waits(all), Some((HOUR - 2 * SECOND, Why::AllFiles)));
    assert_eq!(world.waits(account), Some((599 * SECOND, Why::Account)));
}

#[test]
fn worse_classes_leave_some_of_the_burst() {
    let mut world = World::new();
    world.wait(HOUR).call(node());
    world.wait(1);
    assert_eq!(world.ask(node(), Class::Refresh), Decision::Go);
    assert!(matches!(
        world.ask(node(), Class::Background),
        Decision::Wait { .. }
    ));
    world.call(node());
    world.wait(1);
    assert!(matches!(
        world.ask(node(), Class::Refresh),
        Decision::Wait { .. }
    ));
    assert_eq!(world.ask(node(), Class::Upload), Decision::Go);
}

#[test]
fn listings_that_nobody_waits_for_are_three_seconds_apart() {
    let mut world = World::new();
    world.wait(HOUR).call(folder(1));
    world.wait(2 * SECOND);
    assert!(matches!(
        world.ask(folder(2), Class::Refresh),
        Decision::Wait { until, why: Why::Gap(Script::FolderLs) } if until - world.now == SECOND
    ));
    assert_eq!(world.ask(folder(2), Class::Interactive), Decision::Go);
}

#[test]
fn after_a_lock_comes_silence_then_one_trial_then_the_rest() {
    let mut world = World::new();
    world.wait(HOUR).flood(token());
    world.wait(SECOND);
    assert_eq!(
        world.waits(token()),
        Some((299 * SECOND, Why::Lock(Script::Token)))
    );
    assert_eq!(world.waits(node()), None, "locks are per script");
    world.wait(299 * SECOND);
    let trial = world.call(token());
    world.wait(SECOND);
    assert_eq!(
        world.waits(token()),
        Some((59 * SECOND, Why::Lock(Script::Token)))
    );
    world.answer(token(), trial, Verdict::Answered, 200);
    world.wait(SECOND).call(token());
}

#[test]
fn a_trial_that_tells_nothing_makes_room_for_another() {
    let mut world = World::new();
    world.wait(HOUR).flood(token());
    world.wait(5 * MINUTE);
    let trial = world.call(token());
    world.answer(token(), trial, Verdict::Nothing, 502);
    world.wait(SECOND).call(token());
    // And one whose process died is given up.
    world.wait(MINUTE).call(token());
}

#[test]
fn each_further_lock_doubles_the_silence_up_to_an_hour() {
    let mut world = World::new();
    world.wait(HOUR);
    for minutes in [5, 10, 20, 40, 60, 60] {
        world.flood(token());
        assert_eq!(
            world.waits(token()),
            Some((minutes * MINUTE, Why::Lock(Script::Token)))
        );
        world.wait(minutes * MINUTE);
    }
    // A good while without one, and it begins anew.
    let sent = world.call(token());
    world.answer(token(), sent, Verdict::Answered, 200);
    world.wait(2 * HOUR).flood(token());
    assert_eq!(world.waits(token()).unwrap().0, 5 * MINUTE);
}

#[test]
fn a_lock_seen_twice_is_one_lock() {
    let mut world = World::new();
    world.wait(HOUR);
    let first = world.call(token());
    let second = world.call(token());
    world
        .wait(SECOND)
        .answer(token(), first, Verdict::Flood, 403);
    world
        .wait(SECOND)
        .answer(token(), second, Verdict::Flood, 403);
    assert_eq!(world.waits(token()).unwrap().0, 299 * SECOND);
    assert_eq!(world.state.locks, 1);
    // Nor does an answer from before it end it.
    world.answer(token(), first, Verdict::Answered, 200);
    assert!(world.waits(token()).is_some());
}

#[test]
fn a_bare_ip_lock_stops_everything_for_an_hour() {
    let mut world = World::new();
    let sent = world.wait(HOUR).call(node());
    world.answer(node(), sent, Verdict::AddressLocked, 403);
    world.wait(SECOND);
    for call in [node(), token(), folder(1)] {
        assert_eq!(world.waits(call), Some((HOUR - SECOND, Why::AddressLock)));
    }
    world.wait(HOUR);
    let trial = world.call(folder(1));
    world.wait(SECOND);
    assert!(world.waits(node()).is_some());
    world.answer(folder(1), trial, Verdict::Answered, 200);
    assert_eq!(world.waits(node()), None);
}

#[test]
fn a_lock_of_listings_teaches_one_listing_in_three_seconds() {
    let mut world = World::new();
    world.wait(HOUR).flood(folder(1));
    world.wait(5 * MINUTE);
    let trial = world.call(folder(2));
    world.answer(folder(2), trial, Verdict::Answered, 200);
    world.wait(SECOND);
    assert_eq!(
        world.waits(folder(3)),
        Some((2 * SECOND, Why::Gap(Script::FolderLs)))
    );
    assert_eq!(world.waits(node()), None);
}

#[test]
fn other_locks_halve_the_rate_of_their_kind() {
    let mut world = World::new();
    world.wait(HOUR);
    for gap in [SECOND, 2 * SECOND, 4 * SECOND, 4 * SECOND] {
        world.flood(token());
        world.wait(HOUR);
        let trial = world.call(token());
        world.answer(token(), trial, Verdict::Answered, 200);
        assert_eq!(world.waits(token()), Some((gap, Why::Gap(Script::Token))));
        world.wait(gap);
    }
    assert!(world.state.rate >= world.limits.lowest_rate / world.limits.rate);
}

#[test]
fn quiet_busy_hours_raise_the_rate_and_idle_ones_only_restore_it() {
    let mut world = World::new();
    world.wait(HOUR).flood(token());
    assert_eq!(world.state.rate, 0.75);
    world.wait(100 * HOUR);
    advance(&mut world.state, &world.limits, world.now);
    assert_eq!(world.state.rate, 1.0);
    for _ in 0..10 {
        world.state.quiet_calls = 2000;
        world.wait(HOUR);
        advance(&mut world.state, &world.limits, world.now);
    }
    assert_eq!(
        world.state.rate * world.limits.rate,
        world.limits.highest_rate
    );
}

#[test]
fn failing_calls_use_up_a_budget() {
    let mut world = World::new();
    world.wait(HOUR);
    for status in [401, 403, 404, 410, 404] {
        let sent = world.call(token());
        world.answer(token(), sent, Verdict::Answered, status);
        world.wait(MINUTE);
    }
    assert_eq!(world.waits(token()), Some((55 * MINUTE, Why::FailingCalls)));
    assert!(world.waits(folder(7)).is_some());
    // What cannot fail goes on.
    assert_eq!(world.waits(folder(0)), None);
    assert_eq!(world.waits(node()), None);
    world.wait(55 * MINUTE).call(token());
}

#[test]
fn what_always_answers_is_held_back_as_others_while_it_fails() {
    for call in [node(), folder(0), Call::of(Script::Account)] {
        let mut world = World::new();
        world.wait(HOUR);
        for _ in 0..5 {
            let sent = world.call(call);
            world.answer(call, sent, Verdict::Nothing, 403);
            world.wait(10 * MINUTE);
        }
        assert_eq!(world.waits(call), Some((10 * MINUTE, Why::FailingCalls)));
        let sent = world.wait(10 * MINUTE).call(call);
        world.answer(call, sent, Verdict::Answered, 200);
        world.wait(10 * MINUTE);
        assert_eq!(world.waits(call), None, "{call:?}");
    }
}

#[test]
fn a_part_of_the_budget_is_left_to_system_calls_however_long_others_waited() {
    let mut world = World::new();
    world.wait(HOUR);
    for _ in 0..3 {
        let sent = world.call(token());
        world.answer(token(), sent, Verdict::Answered, 404);
        world.wait(MINUTE);
    }
    advance(&mut world.state, &world.limits, world.now);
    let ask = |class, waited| {
        let standing = Standing::after(class, waited);
        decide(&world.state, &world.limits, &token(), standing, None, 0)
    };
    for class in [Class::Upload, Class::Refresh, Class::Background] {
        let waits = ask(class, Duration::from_secs(60));
        let until = START + HOUR + HOUR;
        let why = Why::FailingCalls;
        assert_eq!(waits, Decision::Wait { until, why }, "{class:?}");
    }
    assert_eq!(ask(Class::Interactive, Duration::ZERO), Decision::Go);
}

#[test]
fn calls_on_their_way_count_against_what_is_left_of_the_budget() {
    let mut world = World::new();
    world.wait(HOUR);
    let sent = world.call(token());
    world.answer(token(), sent, Verdict::Answered, 404);
    world.wait(MINUTE);
    advance(&mut world.state, &world.limits, world.now);
    let with = |in_flight| {
        decide(
            &world.state,
            &world.limits,
            &token(),
            fresh(Class::Interactive),
            None,
            in_flight,
        )
    };
    assert_eq!(with(3), Decision::Go);
    assert!(matches!(
        with(4),
        Decision::Wait {
            why: Why::FailingCalls,
            ..
        }
    ));
}

#[test]
fn a_refused_key_stops_all_calls_with_it_and_no_other() {
    let mut world = World::new();
    let sent = world.wait(HOUR).call(folder(0));
    world.answer(folder(0), sent, Verdict::KeyRefused, 403);
    world.wait(24 * HOUR);
    assert_eq!(world.ask(node(), Class::Interactive), Decision::KeyRefused);
    let other = decide(
        &world.state,
        &world.limits,
        &node(),
        fresh(Class::Interactive),
        Some("new"),
        0,
    );
    assert_eq!(other, Decision::Go);
}

#[test]
fn who_insists_asks_with_a_refused_key_while_calls_may_fail() {
    let mut world = World::new();
    let account = Call::of(Script::Account);
    let insisting = account.insisting();
    world.wait(HOUR);
    for _ in 0..5 {
        let sent = world.call(insisting);
        world.answer(insisting, sent, Verdict::KeyRefused, 403);
        world.wait(10 * MINUTE);
        assert_eq!(world.ask(account, Class::Interactive), Decision::KeyRefused);
    }
    let held = Some((10 * MINUTE, Why::FailingCalls));
    assert_eq!(world.waits(insisting), held);
    let sent = world.wait(10 * MINUTE).call(insisting);
    // An answer that was on its way is none to who insists.
    world.answer(account, sent, Verdict::Answered, 200);
    assert_eq!(world.ask(account, Class::Interactive), Decision::KeyRefused);
    world.answer(insisting, sent, Verdict::Answered, 200);
    assert_eq!(world.ask(node(), Class::Interactive), Decision::Go);
}

#[test]
fn a_key_whose_account_is_only_not_paid_for_is_refused_no_more() {
    let mut world = World::new();
    let insisting = Call::of(Script::Account).insisting();
    let sent = world.wait(HOUR).call(token());
    world.answer(token(), sent, Verdict::KeyRefused, 403);
    let sent = world.wait(HOUR).call(insisting);
    world.answer(insisting, sent, Verdict::NotPaid, 403);
    world.wait(10 * MINUTE);
    let held = Some((10 * MINUTE, Why::NotPaid));
    assert_eq!(world.waits(token()), held);
    assert_eq!(world.waits(insisting), None);
}

#[test]
fn a_clock_that_is_put_back_allows_nothing_early() {
    let mut world = World::new();
    world.wait(HOUR).flood(token());
    let sent = world.call(folder(7));
    world.answer(folder(7), sent, Verdict::Answered, 200);
    world.wait(-10 * HOUR);
    assert_eq!(
        world.waits(token()),
        Some((5 * MINUTE, Why::Lock(Script::Token)))
    );
    assert_eq!(world.waits(folder(7)), Some((30 * SECOND, Why::SameFolder)));
}

#[derive(Clone, Debug)]
enum Step {
    Pause(Micros),
    Call(Call, Class),
    /// The answer to one of the last calls: which, and what.
    Answer(usize, Verdict, u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let call = prop_oneof![
        (0_u64..4).prop_map(folder),
        Just(token()),
        Just(node()),
        Just(Call::of(Script::Account)),
    ];
    let class = prop_oneof![
        Just(Class::Interactive),
        Just(Class::Upload),
        Just(Class::Refresh),
        Just(Class::Background)
    ];
    let verdict = prop_oneof![
        8 => Just((Verdict::Answered, 200)),
        1 => Just((Verdict::Answered, 404)),
        1 => Just((Verdict::Nothing, 502)),
        1 => Just((Verdict::Flood, 403)),
    ];
    let step = prop_oneof![
        3 => (0..3 * SECOND).prop_map(Step::Pause),
        1 => (0..20 * MINUTE).prop_map(Step::Pause),
        6 => (call, class).prop_map(|(call, class)| Step::Call(call, class)),
        4 => (0_usize..4, verdict).prop_map(|(which, (verdict, status))| Step::Answer(which, verdict, status)),
    ];
    prop::collection::vec(step, 1..300)
}

proptest! {
    /// Whatever is asked and answered: the walls stand.
    #[test]
    fn no_course_of_calls_breaks_a_limit(steps in steps()) {
        let mut world = World::new();
        let mut sent: Vec<(Micros, Call)> = Vec::new();
        let mut locked: Option<Micros> = None;
        for step in steps {
            match step {
                Step::Pause(time) => { world.wait(time); }
                Step::Call(call, class) => {
                    match world.ask(call, class) {
                        Decision::Go => {
                            if call == token() {
                                prop_assert!(locked.is_none_or(|until| world.now >= until));
                            }
                            grant(&mut world.state, &world.limits, &call);
                            sent.push((world.now, call));
                        }
                        Decision::Wait { until, .. } => prop_assert!(until > world.now),
                        Decision::KeyRefused => prop_assert!(false, "no key was refused"),
                    }
                }
                Step::Answer(which, verdict, status) => {
                    if let Some(at) = sent.len().checked_sub(which + 1) {
                        let (time, call) = sent[at];
                        let known = world.state.locks;
                        world.answer(call, time, verdict, status);
                        if call == token() && world.state.locks > known {
                            locked = Some(world.now + 5 * MINUTE);
                        }
                    }
                }
            }
        }
        for (at, (time, call)) in sent.iter().enumerate() {
            let within = |window: Micros| {
                sent[..at].iter().filter(move |(other, _)| time - other < window)
            };
            prop_assert!(within(SECOND).count() < 3, "more than 3 calls in a second");
            if let Subject::Folder(_) = call.subject {
                prop_assert!(within(30 * SECOND).all(|(_, other)| other.subject != call.subject));
            }
            if call.script == Script::Account {
                prop_assert!(within(10 * MINUTE).all(|(_, other)| other.script != Script::Account));
            }
            // Over a minute no more than the highest rate and the burst.
            prop_assert!(within(MINUTE).count() as f64 <= 60.0 * world.limits.highest_rate + 3.0);
        }
    }

    /// Who waits as long as told finds the door open or a later time, never a circle.
    #[test]
    fn waiting_as_told_leads_to_a_call(first in 0_u64..3, times in 1_usize..20) {
        let mut world = World::new();
        for time in 0..times {
            let call = folder((first + time as u64) % 3);
            let mut turns = 0;
            while let Decision::Wait { until, .. } = world.ask(call, Class::Background) {
                world.now = until;
                turns += 1;
                prop_assert!(turns < 5);
            }
            let sent = world.call(call);
            world.answer(call, sent, Verdict::Answered, 200);
        }
    }

    /// Calls may reach the service at any time between their start and their answer, in any
    /// order: it never sees more than three in a second, nor a folder twice in thirty.
    #[test]
    fn no_delay_on_the_way_brings_calls_together(
        trips in prop::collection::vec((0_u64..3, 0..2 * SECOND, 0..2 * SECOND, 0..SECOND), 1..80),
    ) {
        let mut world = World::new();
        world.wait(HOUR);
        let mut under_way: Vec<(Micros, Call, Micros)> = Vec::new();
        let mut arrivals: Vec<(Micros, Call)> = Vec::new();
        for (id, there, back, pause) in trips {
            world.wait(pause);
            let call = folder(id);
            loop {
                // Answers come when they come.
                under_way.sort_by_key(|(_, _, answer)| *answer);
                let next = under_way.first().map_or(Micros::MAX, |(_, _, answer)| *answer);
                if next <= world.now {
                    let (sent, call, _) = under_way.remove(0);
                    world.answer(call, sent, Verdict::Answered, 200);
                    continue;
                }
                match world.ask(call, Class::Interactive) {
                    Decision::Wait { until, .. } => world.now = until.min(next),
                    _ => break,
                }
            }
            let sent = world.call(call);
            arrivals.push((sent + there, call));
            under_way.push((sent, call, sent + there + back));
        }
        arrivals.sort_by_key(|(time, _)| *time);
        for four in arrivals.windows(4) {
            prop_assert!(four[3].0 - four[0].0 >= SECOND);
        }
        for id in 0..3 {
            let times: Vec<_> = arrivals.iter().filter(|(_, call)| *call == folder(id)).collect();
            prop_assert!(times.windows(2).all(|two| two[1].0 - two[0].0 >= 30 * SECOND));
        }
    }
}

#[test]
fn an_account_that_is_not_paid_for_is_asked_for_nothing_for_twenty_minutes() {
    const GAP: Micros = 20 * MINUTE;
    let mut world = World::new();
    world.wait(HOUR);
    let sent = world.call(token());
    world
        .wait(SECOND)
        .answer(token(), sent, Verdict::NotPaid, 403);
    for call in [token(), folder(7), node()] {
        assert_eq!(world.waits(call), Some((GAP, Why::NotPaid)));
    }
    // The wait does not begin again by itself.
    world.wait(GAP - SECOND);
    assert_eq!(world.waits(node()), Some((SECOND, Why::NotPaid)));
    let other = |world: &World| {
        let standing = fresh(Class::Interactive);
        decide(
            &world.state,
            &world.limits,
            &node(),
            standing,
            Some("another"),
            0,
        )
    };
    assert_eq!(other(&world), Decision::Go);
    world.wait(SECOND);
    let sent = world.call(token());
    world.answer(token(), sent, Verdict::NotPaid, 403);
    assert_eq!(world.waits(node()), Some((GAP, Why::NotPaid)));
    // What is answered was paid for.
    world.wait(GAP);
    let sent = world.call(node());
    world.answer(node(), sent, Verdict::Answered, 200);
    assert_eq!(world.state.unpaid, None);
}
