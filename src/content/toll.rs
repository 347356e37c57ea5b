//! What a range request costs: the bytes that its connection would have brought while it
//! waited for the first one.
//!
//! A run is worth asking for when that is a small part of it. On a line with a long way to the
//! service that takes long runs; on one with a short way short ones do as well, and what comes
//! ahead of a reader is then still in memory when the reader is there.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The cost may be this part of a run.
const PART: u64 = 24;

/// Requests that are remembered.
const MANY: usize = 64;

/// Of how many at least something is concluded.
const FEW: usize = 4;

/// What a request must have brought for its speed to say something.
const ENOUGH: u64 = 1024 * 1024;

/// What requests cost of late, in bytes.
#[derive(Default)]
pub(super) struct Toll {
    latest: Mutex<VecDeque<u64>>,
}

impl Toll {
    /// Bytes from which on a longer run is hardly better; without end until it is known.
    pub(super) fn worthwhile(&self) -> u64 {
        let latest = self.latest.lock();
        let least = latest.iter().min().filter(|_| latest.len() >= FEW);
        // What others cost beyond it, they waited for a turn, and would have had to in any case.
        least.map_or(u64::MAX, |cost| cost.saturating_mul(PART))
    }

    /// A request that is made now.
    pub(super) fn begin(&self) -> Trip<'_> {
        Trip {
            toll: self,
            asked: Instant::now(),
            first: None,
            bytes: 0,
        }
    }

    fn note(&self, wait: Duration, bytes: u64, time: Duration) {
        if bytes < ENOUGH || time.is_zero() {
            return;
        }
        let cost = bytes as f64 * wait.as_secs_f64() / time.as_secs_f64();
        let mut latest = self.latest.lock();
        if latest.len() >= MANY {
            latest.pop_front();
        }
        latest.push_back(cost as u64);
    }
}

/// A request under way; it counts when it is dropped.
pub(super) struct Trip<'a> {
    toll: &'a Toll,
    asked: Instant,
    /// When the first bytes came.
    first: Option<Instant>,
    /// What came after them.
    bytes: u64,
}

impl Trip<'_> {
    /// Bytes came.
    pub(super) fn came(&mut self, bytes: u64) {
        match self.first {
            None => self.first = Some(Instant::now()),
            Some(_) => self.bytes += bytes,
        }
    }
}

impl Drop for Trip<'_> {
    fn drop(&mut self) {
        if let Some(first) = self.first {
            let wait = first.duration_since(self.asked);
            self.toll.note(wait, self.bytes, first.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_long_way_is_worth_long_runs_and_a_short_one_short_ones() {
        let toll = Toll::default();
        for _ in 0..FEW {
            assert_eq!(toll.worthwhile(), u64::MAX);
            toll.note(Duration::from_millis(80), 20 * MIB, SECOND);
        }
        let long = toll.worthwhile();
        assert_eq!(long / MIB, 20 * 80 * PART / 1000);
        // One that stood still changes nothing, and too little says nothing.
        toll.note(30 * SECOND, 20 * MIB, SECOND);
        toll.note(Duration::ZERO, ENOUGH - 1, SECOND);
        assert_eq!(toll.worthwhile(), long);
        for _ in 0..MANY {
            toll.note(Duration::from_millis(1), 100 * MIB, SECOND);
        }
        assert_eq!(toll.worthwhile() / MIB, 100 * PART / 1000);
    }

    #[test]
    fn a_trip_counts_from_the_asking_to_the_first_bytes_and_what_came_after_them() {
        let toll = Toll::default();
        for _ in 0..FEW {
            // Without an answer it says nothing.
            drop(toll.begin());
        }
        assert_eq!(toll.worthwhile(), u64::MAX);
        for _ in 0..FEW {
            let mut trip = toll.begin();
            trip.came(u64::MAX / 2);
            trip.came(ENOUGH);
            // As long a wait as the rest took: it cost as much as came.
            trip.asked -= 2 * SECOND;
            trip.first = trip.first.map(|first| first - SECOND);
        }
        let cost = toll.worthwhile() / PART;
        assert!((ENOUGH * 9 / 10..=ENOUGH).contains(&cost), "{cost}");
    }
}
