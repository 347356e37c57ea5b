//! How fast uploads go: our own limit, and what the line gives, against the four hours
//! that the service allows for one upload (API notes 3.5).
//!
//! An upload that the line cannot carry in that time is not begun. One that only
//! our own limit would make miss it is freed from the limit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::throttle::Throttle;

/// What is sent between two looks at the limit, in bytes.
pub(super) const PIECE: usize = 64 << 10;

/// Fewer bytes than this tell of the node's speed, not of the line's.
const TELLING: u64 = 1 << 20;

/// The way up.
pub(super) struct Uplink {
    throttle: Throttle,
    /// How long one upload may last.
    longest: Duration,
    /// The best rate that an upload has had, in bytes a second; 0 before the first.
    best: AtomicU64,
}

impl Uplink {
    pub fn new(throttle: Throttle, longest: Duration) -> Uplink {
        Uplink {
            throttle,
            longest,
            best: AtomicU64::new(0),
        }
    }

    /// A request that the node took to its end moved so many bytes. A short one tells nothing
    /// of the line, and one that we held back ourselves neither.
    pub fn measured(&self, bytes: u64, time: Duration) {
        let telling = bytes >= TELLING && time >= self.longest / 960;
        if !telling || self.throttle.rate().is_some() {
            return;
        }
        let rate = (bytes as f64 / time.as_secs_f64()) as u64;
        self.best.fetch_max(rate.max(1), Ordering::Relaxed);
    }

    /// How long `bytes` would take, if that is longer than an upload may last.
    pub fn too_long(&self, bytes: u64) -> Option<Duration> {
        let time = time_for(bytes, self.best.load(Ordering::Relaxed))?;
        (time > self.longest).then_some(time)
    }

    /// Bytes that may share a request of `most` at most: what breaks off near its end is
    /// sent again, so it shall not last long.
    pub fn shared(&self, most: u64) -> u64 {
        let held = self.throttle.rate().map_or(u64::MAX, |rate| rate.get());
        let rate = match self.best.load(Ordering::Relaxed) {
            0 => held,
            best => best.min(held),
        };
        let bytes = rate as f64 * (self.longest / 16).as_secs_f64();
        most.min(bytes as u64).max(1)
    }

    /// Returns when the next `bytes` may leave. `left` is what remains of a request that
    /// began then.
    pub async fn pass(&self, bytes: u64, left: u64, began: Instant) {
        let Some(rate) = self.throttle.rate() else {
            return;
        };
        let time = self.longest.saturating_sub(began.elapsed());
        if is_late(left, rate.get(), time) {
            return;
        }
        self.throttle.take(bytes).await;
    }
}

/// Whether what is `left` would not get through at `rate` in `time`, with a tenth to
/// spare.
fn is_late(left: u64, rate: u64, time: Duration) -> bool {
    time_for(left, rate).is_some_and(|needed| needed > time.mul_f64(0.9))
}

/// How long `bytes` take at `rate`; `None` where no rate is known.
fn time_for(bytes: u64, rate: u64) -> Option<Duration> {
    (rate > 0).then(|| Duration::from_secs_f64(bytes as f64 / rate as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Timetable, Value};

    const HOURS: Duration = Duration::from_secs(4 * 3600);

    fn uplink(limit: &str) -> Uplink {
        Uplink::new(Throttle::new(Timetable::read(limit).unwrap()), HOURS)
    }

    #[test]
    fn what_the_line_cannot_carry_in_time_is_known_once_the_line_is() {
        let uplink = uplink("");
        assert_eq!(uplink.too_long(u64::MAX), None, "nothing is known yet");
        uplink.measured(1 << 20, Duration::from_secs(1));
        assert_eq!(uplink.too_long(u64::MAX), None, "a second tells nothing");
        uplink.measured(64 << 10, Duration::from_secs(60));
        assert_eq!(uplink.too_long(u64::MAX), None, "nor do a few bytes");
        uplink.measured(60_000_000, Duration::from_secs(60));
        assert_eq!(uplink.too_long(14_400_000_000), None);
        let time = uplink.too_long(28_800_000_000).unwrap();
        assert_eq!(time, 2 * HOURS);
    }

    #[test]
    fn our_own_limit_tells_nothing_of_the_line() {
        let uplink = uplink("100kB");
        uplink.measured(6_000_000, Duration::from_secs(60));
        assert_eq!(uplink.too_long(u64::MAX), None);
    }

    #[test]
    fn an_upload_is_late_when_the_limit_would_make_it_miss_its_end() {
        assert!(!is_late(1_000, 100, Duration::from_secs(12)));
        assert!(is_late(1_000, 100, Duration::from_secs(11)));
    }

    #[test]
    fn requests_are_bounded_by_time_too() {
        assert_eq!(uplink("").shared(1 << 20), 1 << 20);
        assert_eq!(uplink("16kB").shared(64 << 20), 14_400_000);
    }
}
