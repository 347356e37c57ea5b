//! The flights of one file: who fetches what.
//!
//! Single flight: a block belongs to one flight at most, so two readers of one
//! block cost one request.
//!
//! How much comes by one connection is decided when there is one: what nobody waits for yet
//! is one flight, which becomes longer as more is wanted, until it departs with a part of that
//! and leaves the rest to the next ([`Flights::depart`]).

use std::ops::Range;
use std::sync::Arc;

use super::blocks::{BLOCK_SIZE, Block};
use super::flight::{Debt, Flight, Length, Progress, Waiter, len};
use super::stats::Counters;

/// How far before a wanted block a flight may be for a reader to wait for it;
/// further off, a request of its own is sooner there.
const REACH: u64 = 2 * 1024 * 1024 / BLOCK_SIZE;

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
        if !flight.close() {
            return None;
        }
        let brought = self.flights.iter().filter(|flight| flight.brings());
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
        if half < REACH
            || !self.has(flight)
            || !self.flights.iter().any(|flight| flight.is_awaited())
        {
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

#[cfg(test)]
mod tests;
