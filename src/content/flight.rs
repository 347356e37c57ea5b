//! Runs of blocks on their way: who fetches what, and who waits for it.
//!
//! Single flight: a block belongs to one flight at most, so two readers of one
//! block cost one request. Punching blocks out of the cache is a flight too:
//! whoever wants them meanwhile waits for its end and fetches them anew.
//!
//! How much comes by one connection is decided when there is one: what nobody waits for yet
//! is one flight, which becomes longer as more is wanted, until it departs with a part of that
//! and leaves the rest to the next ([`Flights::depart`]).

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::watch;

use super::blocks::{BLOCK_SIZE, Block};
use super::error::ContentError;
use super::origin::Need;
use super::stats::Counters;

/// How far before a wanted block a flight may be for a reader to wait for it;
/// further off, a request of its own is sooner there.
const REACH: u64 = 2 * 1024 * 1024 / BLOCK_SIZE;

/// How far a flight has come.
#[derive(Clone)]
pub(super) enum Progress {
    /// On its way: all blocks before this one have landed.
    Until(Block),
    /// Over: what it did not bring, a reader asks for anew.
    Ended,
    /// Failed for good: that is the answer to all who wait.
    Failed(ContentError),
}

/// A run of blocks that is being fetched, or punched out.
pub(super) struct Flight {
    start: Block,
    end: AtomicU64,
    /// Whether its length is still to be decided.
    open: AtomicBool,
    progress: watch::Sender<Progress>,
    waiters: watch::Sender<usize>,
    /// How many of these are uploads.
    uploads: AtomicUsize,
    /// What it is to bring; `None` where it punches.
    debt: Option<Debt>,
}

/// The length of a flight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Length {
    /// As planned.
    Fixed,
    /// Decided when it departs.
    Open,
}

/// Bytes that are to come, counted among those of all files.
struct Debt {
    counted: AtomicU64,
    counters: Arc<Counters>,
}

impl Debt {
    fn new(counters: &Arc<Counters>) -> Debt {
        Debt {
            counted: AtomicU64::new(0),
            counters: Arc::clone(counters),
        }
    }

    fn is(&self, bytes: u64) {
        let counted = self.counted.swap(bytes, Ordering::SeqCst);
        self.counters.ahead_bytes.add(bytes);
        self.counters.ahead_bytes.sub(counted);
    }
}

impl Drop for Debt {
    fn drop(&mut self) {
        self.is(0);
    }
}

impl Flight {
    fn new(run: &Range<Block>, length: Length, debt: Option<Debt>) -> Arc<Flight> {
        let flight = Flight {
            start: run.start,
            end: AtomicU64::new(run.end),
            open: AtomicBool::new(length == Length::Open),
            progress: watch::Sender::new(Progress::Until(run.start)),
            waiters: watch::Sender::new(0),
            uploads: AtomicUsize::new(0),
            debt,
        };
        flight.count();
        Arc::new(flight)
    }

    /// Brings what is counted as to come up to date.
    fn count(&self) {
        if let Some(debt) = &self.debt {
            debt.is(len(&self.remaining()) * BLOCK_SIZE);
        }
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    fn end_at(&self, block: Block) {
        self.end.store(block, Ordering::SeqCst);
        self.count();
    }

    fn progressed(&self, progress: Progress) {
        self.progress.send_replace(progress);
        self.count();
    }

    /// The blocks it is to bring. The end may come closer, see [`Flights::plan`].
    pub(super) fn run(&self) -> Range<Block> {
        self.start..self.end.load(Ordering::SeqCst)
    }

    /// The blocks that have not landed yet.
    pub(super) fn remaining(&self) -> Range<Block> {
        let run = self.run();
        match *self.progress.borrow() {
            Progress::Until(block) => block.min(run.end)..run.end,
            _ => run.end..run.end,
        }
    }

    /// Tells the waiters that all blocks before `block` have landed.
    pub(super) fn landed(&self, block: Block) {
        self.progressed(Progress::Until(block));
    }

    /// How many readers wait for it, to be watched.
    pub(super) fn waiters(&self) -> watch::Receiver<usize> {
        self.waiters.subscribe()
    }

    /// Who needs its bytes most.
    pub(super) fn need(&self) -> Need {
        let waiters = *self.waiters.borrow();
        match self.uploads.load(Ordering::SeqCst) {
            _ if waiters == 0 => Need::Nobody,
            uploads if uploads < waiters => Need::Reader,
            _ => Need::Upload,
        }
    }

    /// Waits for the end, without the interest of a reader.
    ///
    /// # Errors
    /// The failure that ended it.
    pub(super) async fn over(&self) -> Result<(), ContentError> {
        let mut progress = self.progress.subscribe();
        let over = |progress: &Progress| !matches!(progress, Progress::Until(_));
        // The sender is ours, so this cannot fail.
        match progress.wait_for(over).await.as_deref() {
            Ok(Progress::Failed(error)) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Ends the run where it has landed, if no reader waits for it: what came is kept,
    /// and who wants the rest asks anew.
    pub(super) fn cut_unless_awaited(&self) -> bool {
        let unwanted = *self.waiters.borrow() == 0;
        if unwanted {
            self.open.store(false, Ordering::SeqCst);
            self.end_at(self.remaining().start);
        }
        unwanted
    }
}

/// A reader's interest in a flight; it counts as long as it lives.
pub(super) struct Waiter {
    flight: Arc<Flight>,
    progress: watch::Receiver<Progress>,
    need: Need,
}

impl Waiter {
    fn new(flight: &Arc<Flight>) -> Waiter {
        flight.waiters.send_modify(|count| *count += 1);
        Waiter {
            flight: Arc::clone(flight),
            progress: flight.progress.subscribe(),
            need: Need::Reader,
        }
    }

    /// It is an upload that waits, which makes way for readers.
    pub(super) fn for_upload(&mut self) {
        if self.need == Need::Reader {
            self.need = Need::Upload;
            self.flight.uploads.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Waits until `block` has landed or the flight is over.
    ///
    /// # Errors
    /// The failure that ended the flight.
    pub(super) async fn wait(&mut self, block: Block) -> Result<(), ContentError> {
        let over = |progress: &Progress| !matches!(progress, Progress::Until(b) if *b <= block);
        // The sender lives in the flight that we hold, so this cannot fail.
        match self.progress.wait_for(over).await.as_deref() {
            Ok(Progress::Failed(error)) => Err(error.clone()),
            _ => Ok(()),
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.flight.waiters.send_modify(|count| *count -= 1);
        if self.need == Need::Upload {
            self.flight.uploads.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// The flights of one file. Its owner keeps it under the file's lock.
pub(super) struct Flights {
    flights: Vec<Arc<Flight>>,
    counters: Arc<Counters>,
}

/// What a reader's wish led to.
pub(super) struct Plan {
    /// Flights that must be started.
    pub(super) start: Vec<Arc<Flight>>,
    /// The interest in every flight that brings a wanted block, in order.
    pub(super) wait: Vec<Waiter>,
}

impl Flights {
    pub(super) fn new(counters: &Arc<Counters>) -> Flights {
        Flights {
            flights: Vec::new(),
            counters: Arc::clone(counters),
        }
    }

    /// Finds or makes the flights for `wanted`, runs of absent blocks in order.
    ///
    /// A flight that would come to a wanted block only after a long way is cut
    /// short before it, and new ones begin there.
    pub(super) fn plan(&mut self, wanted: &[Range<Block>], longest: u64) -> Plan {
        let mut plan = Plan {
            start: Vec::new(),
            wait: Vec::new(),
        };
        let mut rests = Vec::new();
        for run in wanted {
            let mut next = run.start;
            while next < run.end {
                if let Some(flight) = self.covering(next) {
                    let remaining = flight.remaining();
                    // It may have landed since.
                    if next.saturating_sub(remaining.start) <= REACH {
                        plan.wait.push(Waiter::new(flight));
                        next = remaining.end;
                        continue;
                    }
                    let rest = run.end..flight.run().end;
                    flight.end_at(next);
                    if !rest.is_empty() {
                        rests.push(self.bring(&rest, Length::Open));
                    }
                }
                let end = self.free_until(next..run.end.min(next + longest));
                let flight = self.bring(&(next..end), Length::Fixed);
                plan.wait.push(Waiter::new(&flight));
                plan.start.push(flight);
                next = end;
            }
        }
        // What somebody waits for goes first.
        plan.start.extend(rests);
        plan
    }

    /// Makes flights for those of `wanted` that nobody brings yet, without
    /// anybody waiting for them; where the length is open, what goes on where another ends
    /// comes with it.
    pub(super) fn plan_ahead(
        &mut self,
        wanted: &[Range<Block>],
        length: Length,
    ) -> Vec<Arc<Flight>> {
        let mut start = Vec::new();
        for run in wanted {
            let mut next = run.start;
            while next < run.end {
                // What has landed may not be on disk yet, and needs not come again.
                let taken = |flight: &&Arc<Flight>| flight.run().contains(&next);
                if let Some(flight) = self.flights.iter().find(taken) {
                    next = flight.run().end;
                    continue;
                }
                let end = self.free_until(next..run.end);
                let goes_on = |flight: &&Arc<Flight>| flight.is_open() && flight.run().end == next;
                match self.flights.iter().find(goes_on) {
                    Some(flight) if length == Length::Open => flight.end_at(end),
                    _ => start.push(self.bring(&(next..end), length)),
                }
                next = end;
            }
        }
        start
    }

    /// Decides how long `flight` is, whose connection there is now: `run` says so, given the
    /// blocks that are to come in all, and whether the file ends with its own. What is left over is
    /// a flight that has to be started.
    pub(super) fn depart(
        &mut self,
        flight: &Arc<Flight>,
        file_end: Block,
        run: impl FnOnce(Block, bool) -> Block,
    ) -> Option<Arc<Flight>> {
        if !flight.open.swap(false, Ordering::SeqCst) {
            return None;
        }
        let brought = self.flights.iter().filter(|flight| flight.debt.is_some());
        let asked = brought.map(|flight| len(&flight.remaining())).sum();
        let whole = flight.run();
        let most = run(asked, whole.end == file_end);
        // A rest that is not worth a request of its own comes along.
        if len(&whole) <= most + most / 4 {
            return None;
        }
        let rest = whole.start + most..whole.end;
        flight.end_at(rest.start);
        Some(self.bring(&rest, Length::Open))
    }

    /// Cuts `flight` short in the middle of what has not landed, and makes one for the rest, which
    /// then comes at the same time; where a reader waits for one of these flights, and both
    /// halves are worth a request.
    pub(super) fn halve(&mut self, flight: &Arc<Flight>) -> Option<Arc<Flight>> {
        let left = flight.remaining();
        let half = len(&left) / 2;
        let somebody_waits = |flight: &Arc<Flight>| *flight.waiters.borrow() > 0;
        if half < REACH || !self.has(flight) || !self.flights.iter().any(somebody_waits) {
            return None;
        }
        let middle = left.end - half;
        flight.end_at(middle);
        Some(self.bring(&(middle..left.end), Length::Fixed))
    }

    /// Registers the punching of `run`, which must not touch another's blocks.
    pub(super) fn punch(&mut self, run: &Range<Block>) -> Arc<Flight> {
        self.add(Flight::new(run, Length::Fixed, None))
    }

    /// Registers a flight that brings `run`, which must not touch another's blocks.
    fn bring(&mut self, run: &Range<Block>, length: Length) -> Arc<Flight> {
        self.add(Flight::new(run, length, Some(Debt::new(&self.counters))))
    }

    fn add(&mut self, flight: Arc<Flight>) -> Arc<Flight> {
        self.flights.push(Arc::clone(&flight));
        flight
    }

    /// Takes the flight off the table and answers its waiters.
    pub(super) fn end(&mut self, flight: &Arc<Flight>, how: Progress) {
        self.flights.retain(|other| !Arc::ptr_eq(other, flight));
        flight.progressed(how);
    }

    /// Whether the flight is still on the table.
    pub(super) fn has(&self, flight: &Arc<Flight>) -> bool {
        self.flights.iter().any(|other| Arc::ptr_eq(other, flight))
    }

    /// Whether nothing is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }

    /// All blocks that some flight has brought or will bring.
    pub(super) fn runs(&self) -> impl Iterator<Item = Range<Block>> {
        self.flights.iter().map(|flight| flight.run())
    }

    fn covering(&self, block: Block) -> Option<&Arc<Flight>> {
        self.flights
            .iter()
            .find(|flight| flight.remaining().contains(&block))
    }

    /// Where the free blocks from `wanted.start` on end.
    fn free_until(&self, wanted: Range<Block>) -> Block {
        self.flights
            .iter()
            .flat_map(|flight| [flight.run(), flight.remaining()])
            .filter(|run| !run.is_empty() && run.start > wanted.start)
            .map(|run| run.start)
            .fold(wanted.end, Block::min)
    }
}

fn len(run: &Range<Block>) -> u64 {
    run.end.saturating_sub(run.start)
}

#[cfg(test)]
#[expect(
    clippy::single_range_in_vec_init,
    reason = "lists of runs that happen to hold one"
)]
mod tests {
    use super::*;

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
        assert_eq!(
            started(&far),
            [40..42, 42..64],
            "what was asked for stays so"
        );
        assert_eq!(far.wait.len(), 1);
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
    fn what_is_wanted_ahead_is_one_flight_until_each_connection_takes_its_part() {
        let mut flights = flights();
        let first = flights.plan_ahead(&[0..10], Length::Open).remove(0);
        assert!(flights.plan_ahead(&[10..20], Length::Open).is_empty());
        assert!(flights.plan_ahead(&[5..24], Length::Open).is_empty());
        assert_eq!(first.run(), 0..24);
        let mut told = None;
        let rest = flights.depart(&first, 100, |asked, last| {
            told = Some((asked, last));
            10
        });
        assert_eq!(told, Some((24, false)));
        let rest = rest.unwrap();
        assert_eq!((first.run(), rest.run()), (0..10, 10..24));
        // It is decided once; the next takes what comes after it, too.
        assert!(flights.depart(&first, 100, |_, _| 1).is_none());
        assert!(flights.plan_ahead(&[24..100], Length::Open).is_empty());
        first.landed(4);
        let last = flights.depart(&rest, 100, |asked, last| {
            told = Some((asked, last));
            80
        });
        assert_eq!(told, Some((96, true)));
        assert!(last.is_none(), "a small rest comes along");
        assert_eq!(rest.run(), 10..100);
        // Where it is decided already, what goes on there is another's.
        let next = flights.plan_ahead(&[100..110], Length::Open);
        assert_eq!(next[0].run(), 100..110);
        assert_eq!(flights.plan_ahead(&[110..120], Length::Fixed).len(), 1);
        // Nobody counts on it: who wants the same again gets another.
        assert!(next[0].cut_unless_awaited());
        assert_eq!(
            flights.plan_ahead(&[100..110], Length::Open)[0].run(),
            100..110
        );
    }

    #[test]
    fn what_is_to_come_is_counted_over_all_files_and_what_is_punched_is_not() {
        let counters = Arc::<Counters>::default();
        let blocks = || counters.ahead_bytes.get() / BLOCK_SIZE;
        let [mut one, mut other] = [(); 2].map(|()| Flights::new(&counters));
        let ahead = one.plan_ahead(&[0..64], Length::Open).remove(0);
        let plan = other.plan(&[0..4], LONGEST);
        other.punch(&(10..20));
        assert_eq!(blocks(), 68);
        one.plan_ahead(&[64..100], Length::Open);
        assert_eq!(blocks(), 104);
        let rest = one.depart(&ahead, 200, |_, _| 40).unwrap();
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
}
