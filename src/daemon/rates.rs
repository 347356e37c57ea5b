//! How fast bytes flow lately: counters, looked at from time to time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::content::{Content, ContentStats};

/// "Lately".
const WINDOW: Duration = Duration::from_secs(10);

/// How often the counters are looked at.
const PERIOD: Duration = Duration::from_secs(1);

/// Bytes a second, lately.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Rates {
    /// Given to readers, from the cache or not.
    pub given: u64,
    /// Received from download hosts.
    pub fetched: u64,
}

/// The counters at some time.
#[derive(Clone, Copy)]
struct Sample {
    at: Instant,
    given: u64,
    fetched: u64,
}

/// The counters of the last seconds. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Meter(Arc<Mutex<VecDeque<Sample>>>);

impl Meter {
    /// Looks at the counters for as long as it is polled.
    pub(super) async fn keep(self, content: Content) {
        loop {
            self.note(Instant::now(), &content.stats());
            tokio::time::sleep(PERIOD).await;
        }
    }

    fn note(&self, at: Instant, stats: &ContentStats) {
        let mut samples = self.0.lock();
        samples.push_back(Sample {
            at,
            given: stats.hit_bytes + stats.miss_bytes,
            fetched: stats.fetched_bytes,
        });
        while samples
            .front()
            .is_some_and(|first| at.duration_since(first.at) > WINDOW)
        {
            samples.pop_front();
        }
    }

    /// The rates over the last seconds; none before there are two looks.
    pub(super) fn now(&self) -> Rates {
        let samples = self.0.lock();
        let (Some(first), Some(last)) = (samples.front(), samples.back()) else {
            return Rates::default();
        };
        let millis = last.at.duration_since(first.at).as_millis() as u64;
        let rate = |from: u64, to: u64| {
            let bytes = to.saturating_sub(from).saturating_mul(1000);
            bytes.checked_div(millis).unwrap_or_default()
        };
        Rates {
            given: rate(first.given, last.given),
            fetched: rate(first.fetched, last.fetched),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(bytes: u64) -> ContentStats {
        ContentStats {
            hit_bytes: bytes,
            miss_bytes: bytes,
            fetched_bytes: bytes,
            ..ContentStats::default()
        }
    }

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let meter = Meter::default();
        assert_eq!(meter.now(), Rates::default());
        let begin = Instant::now();
        for second in 0..=30 {
            // Fast at first, then slow.
            let bytes = if second < 10 {
                second * 1000
            } else {
                9000 + second
            };
            meter.note(begin + Duration::from_secs(second), &stats(bytes));
        }
        assert_eq!(
            meter.now(),
            Rates {
                given: 2,
                fetched: 1
            }
        );
        for second in 31..=50 {
            meter.note(begin + Duration::from_secs(second), &stats(9030));
        }
        assert_eq!(meter.now(), Rates::default());
    }
}
