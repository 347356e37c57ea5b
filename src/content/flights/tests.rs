#![expect(
    clippy::single_range_in_vec_init,
    reason = "lists of runs that happen to hold one"
)]

use super::*;
use crate::content::error::ContentError;
use crate::content::origin::Need;

fn flights() -> Flights {
    Flights::new(&Arc::default())
}

const LONGEST: u64 = 64;

fn started(plan: &Plan) -> Vec<Range<Block>> {
    plan.start.iter().map(|flight| flight.run()).collect()
}

#[tokio::test]
async fn two_readers_of_one_block_share_a_flight() {
    let mut flights = flights();
    let first = flights.plan(&[0..4], LONGEST);
    assert_eq!(started(&first), [0..4]);
    let mut second = flights.plan(&[2..6], LONGEST);
    assert_eq!(started(&second), [4..6]);
    assert_eq!(second.wait.len(), 2);
    first.start[0].landed(3);
    second.wait[0].wait(2).await.unwrap();
    flights.end(&first.start[0], Progress::Ended);
    assert_eq!(flights.runs().collect::<Vec<_>>(), [4..6]);
}

#[tokio::test]
async fn a_failure_answers_all_who_wait() {
    let mut flights = flights();
    let mut plan = flights.plan(&[0..4], LONGEST);
    let error = ContentError::Timeout(std::time::Duration::from_secs(1));
    flights.end(&plan.start[0], Progress::Failed(error));
    assert!(matches!(
        plan.wait[0].wait(3).await,
        Err(ContentError::Timeout(_))
    ));
}

#[test]
fn a_flight_is_needed_as_much_as_by_the_most_urgent_who_waits_for_it() {
    let mut flights = flights();
    let flight = flights.plan_ahead(&[0..4], Length::Fixed).remove(0);
    assert_eq!(flight.need(), Need::Nobody);
    let mut upload = flights.plan(&[0..1], LONGEST);
    upload.wait[0].for_upload();
    assert_eq!(flight.need(), Need::Upload);
    let reader = flights.plan(&[0..1], LONGEST);
    assert_eq!(flight.need(), Need::Reader);
    drop(upload);
    assert_eq!(flight.need(), Need::Reader);
    drop(reader);
    assert_eq!(flight.need(), Need::Nobody);
}

#[test]
fn a_block_far_down_a_flight_gets_one_of_its_own() {
    let mut flights = flights();
    let ahead = flights.plan_ahead(&[0..64], Length::Fixed);
    let near = flights.plan(&[REACH..REACH + 1], LONGEST);
    assert!(near.start.is_empty());
    let far = flights.plan(&[40..42], LONGEST);
    assert_eq!(started(&far), [40..42]);
    assert_eq!(ahead[0].run(), 0..40, "cut short: nobody brings 40 twice");
}

#[test]
fn a_flight_is_halved_for_who_waits_as_long_as_both_halves_are_long() {
    let mut flights = flights();
    let first = flights.plan_ahead(&[0..5 * REACH], Length::Fixed).remove(0);
    let other = flights
        .plan_ahead(&[100 * REACH..101 * REACH], Length::Fixed)
        .remove(0);
    assert!(flights.halve(&first).is_none(), "nobody waits");
    let plan = flights.plan(&[100 * REACH..100 * REACH + 1], LONGEST);
    assert!(plan.start.is_empty());
    first.landed(REACH);
    let second = flights.halve(&first).unwrap();
    assert_eq!(
        (first.run(), second.run()),
        (0..3 * REACH, 3 * REACH..5 * REACH)
    );
    let third = flights.halve(&second).unwrap();
    assert_eq!(third.run(), 4 * REACH..5 * REACH);
    first.landed(REACH + 1);
    assert!(flights.halve(&first).is_none(), "too little is left of it");
    assert!(flights.halve(&other).is_none());
    flights.end(&second, Progress::Ended);
    assert!(flights.halve(&second).is_none());
}

#[test]
fn long_wishes_are_cut_and_flights_ahead_fill_the_gaps() {
    let mut flights = flights();
    let plan = flights.plan(&[0..100], LONGEST);
    assert_eq!(started(&plan), [0..64, 64..100]);
    let ahead = flights.plan_ahead(&[50..120], Length::Fixed);
    assert_eq!(
        ahead.iter().map(|f| f.run()).collect::<Vec<_>>(),
        [100..120]
    );
}

#[test]
fn who_wants_what_is_punched_out_waits_for_the_end_of_that() {
    let mut flights = flights();
    let punch = flights.punch(&(0..1000));
    let plan = flights.plan(&[500..502], LONGEST);
    assert!(plan.start.is_empty());
    assert_eq!((plan.wait.len(), punch.run()), (1, 0..1000));
}

#[test]
fn what_is_wanted_ahead_is_one_flight_until_each_connection_takes_its_part() {
    let mut flights = flights();
    let open = Length::Open(10);
    let first = flights.plan_ahead(&[0..10], open).remove(0);
    assert!(flights.plan_ahead(&[10..20], open).is_empty());
    assert!(flights.plan_ahead(&[5..40], open).is_empty());
    assert_eq!(first.run(), 0..40);
    let second = flights.depart(&first, |_, _| None).unwrap();
    assert_eq!((first.run(), second.run()), (0..10, 10..40));
    // It is decided once; what is wanted behind it comes with the rest.
    assert!(flights.depart(&first, |_, _| None).is_none());
    assert!(flights.plan_ahead(&[40..100], Length::Open(20)).is_empty());
    first.landed(4);
    let mut told = None;
    let third = flights.depart(&second, |end, asked| {
        told = Some((end, asked));
        Some(50)
    });
    assert_eq!(told, Some((100, 96)));
    let third = third.unwrap();
    assert_eq!((second.run(), third.run()), (10..30, 30..100));
    assert!(flights.depart(&third, |_, _| Some(15)).is_some());
    assert_eq!(third.run(), 30..45);
    // A small rest comes along.
    let last = flights.plan_ahead(&[200..225], Length::Open(20)).remove(0);
    assert!(flights.depart(&last, |_, _| None).is_none());
    assert_eq!(last.run(), 200..225);
    // Where it is decided already, what goes on there is another's.
    let next = flights.plan_ahead(&[225..230], open);
    assert_eq!(next[0].run(), 225..230);
    assert_eq!(flights.plan_ahead(&[230..240], Length::Fixed).len(), 1);
    // Nobody counts on it: who wants the same again gets another.
    assert!(next[0].cut_unless_awaited());
    assert_eq!(flights.plan_ahead(&[225..230], open)[0].run(), 225..230);
}

#[test]
fn what_is_to_come_is_counted_over_all_files_and_what_is_punched_is_not() {
    let counters = Arc::<Counters>::default();
    let blocks = || counters.ahead_bytes.get() / BLOCK_SIZE;
    let [mut one, mut other] = [(); 2].map(|()| Flights::new(&counters));
    let ahead = one.plan_ahead(&[0..64], Length::Open(40)).remove(0);
    let plan = other.plan(&[0..4], LONGEST);
    other.punch(&(10..20));
    assert_eq!(blocks(), 68);
    one.plan_ahead(&[64..100], Length::Open(40));
    assert_eq!(blocks(), 104);
    let rest = one.depart(&ahead, |_, _| None).unwrap();
    assert_eq!(blocks(), 104);
    ahead.landed(10);
    assert_eq!(blocks(), 94);
    assert!(rest.cut_unless_awaited());
    assert_eq!(blocks(), 34);
    one.end(&ahead, Progress::Ended);
    assert_eq!(blocks(), 4);
    drop((plan, other));
    assert_eq!(blocks(), 0);
}

#[test]
fn a_flight_without_waiters_is_cut_where_it_has_landed_and_one_with_is_not() {
    let mut flights = flights();
    let plan = flights.plan(&[0..4], LONGEST);
    let flight = Arc::clone(&plan.start[0]);
    flight.landed(1);
    assert!(!flight.cut_unless_awaited());
    drop(plan);
    assert!(flight.cut_unless_awaited());
    assert_eq!(flight.run(), 0..1);
    // What came is not asked for again while it goes to disk, the rest is.
    let ahead = flights.plan_ahead(&[0..4], Length::Fixed);
    assert_eq!(ahead.iter().map(|f| f.run()).collect::<Vec<_>>(), [1..4]);
    flights.end(&flight, Progress::Ended);
    assert!(!flights.has(&flight));
}
