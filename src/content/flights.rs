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
    /// short before it, and a new one begins there.
    pub(super) fn plan(&mut self, wanted: &[Range<Block>], longest: u64) -> Plan {
        let mut plan = Plan {
            start: Vec::new(),
            wait: Vec::new(),
        };
        for run in wanted {
            let mut next = run.start;
            while next < run.end {
                if let Some(flight) = self.covering(next) {
                    let remaining = flight.remaining();
                    // It may have landed since. Where blocks are punched out, all wait for the end.
                    if !flight.brings() || next.saturating_sub(remaining.start) <= REACH {
                        plan.wait.push(Waiter::new(flight));
                        next = remaining.end;
                        continue;
                    }
                    flight.end_at(next);
                }
                let end = self.free_until(next..run.end.min(next + longest));
                let flight = self.bring(&(next..end), Length::Fixed);
                plan.wait.push(Waiter::new(&flight));
                plan.start.push(flight);
                next = end;
            }
        }
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
                match (length, self.flights.iter().find(goes_on)) {
                    (Length::Open(part), Some(flight)) => flight.grow(end, part),
                    _ => start.push(self.bring(&(next..end), length)),
                }
                next = end;
            }
        }
        start
    }

    /// Decides how long `flight` is, whose connection there is now: as long as it may be, and no
    /// longer than `most` says, given its end and the blocks that are to come in all. What is left
    /// over is a flight that has to be started.
    pub(super) fn depart(
        &mut self,
        flight: &Arc<Flight>,
        most: impl FnOnce(Block, Block) -> Option<Block>,
    ) -> Option<Arc<Flight>> {
        let part = flight.close()?;
        let brought = self.flights.iter().filter(|flight| flight.brings());
        let asked = brought.map(|flight| len(&flight.remaining())).sum();
        let whole = flight.run();
        let run = most(whole.end, asked).map_or(part, |most| most.min(part));
        // A rest that is not worth a request of its own comes along.
        if len(&whole) <= run + run / 4 {
            return None;
        }
        let rest = whole.start + run..whole.end;
        flight.end_at(rest.start);
        Some(self.bring(&rest, Length::Open(part)))
    }

    /// Cuts `flight` short in the middle of what has not landed, and makes one for the rest, which
    /// then comes at the same time; where a reader waits for one of these flights, and both
    /// halves are worth a request.
    pub(super) fn halve(&mut self, flight: &Arc<Flight>) -> Option<Arc<Flight>> {
        let left = flight.remaining();
        let half = len(&left) / 2;
        if half < REACH || !self.has(flight) || !self.are_awaited() {
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

    /// Whether a reader waits for one of them.
    pub(super) fn are_awaited(&self) -> bool {
        self.flights.iter().any(|flight| flight.is_awaited())
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
