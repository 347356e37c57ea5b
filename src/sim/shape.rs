//! Bandwidth: buckets that tell how long to wait before the next bytes go.

use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A rate in bytes per second, shared by whoever holds a clone.
#[derive(Debug, Clone)]
pub struct Bucket {
    inner: Option<Arc<Inner>>,
}

#[derive(Debug)]
struct Inner {
    bytes_per_second: f64,
    /// When all bytes taken so far will have passed.
    free_at: Mutex<Instant>,
}

/// Pieces are sized so that one takes about this long.
const TICK: Duration = Duration::from_millis(20);

/// How much of what was not used may be made up for: timers fire late, and a flow that
/// lost each delay would stay below its rate.
const SLACK: Duration = Duration::from_millis(50);

impl Bucket {
    /// A bucket of that rate; `None` or zero lets everything pass at once.
    pub fn new(bytes_per_second: Option<u64>) -> Bucket {
        let inner = bytes_per_second.filter(|rate| *rate > 0).map(|rate| {
            Arc::new(Inner {
                bytes_per_second: rate as f64,
                free_at: Mutex::new(Instant::now()),
            })
        });
        Bucket { inner }
    }

    /// The largest piece that keeps the flow even.
    pub fn piece(&self, most: usize) -> usize {
        match &self.inner {
            None => most,
            Some(inner) => {
                let even = inner.bytes_per_second * TICK.as_secs_f64();
                (even as usize).clamp(1_024.min(most), most)
            }
        }
    }

    /// Waits until `bytes` more have passed.
    pub async fn pass(&self, bytes: usize) {
        pass_all([self], bytes).await;
    }

    /// Takes the next place for `bytes`; tells when they will have passed.
    fn reserve(&self, now: Instant, bytes: usize) -> Option<Instant> {
        let inner = self.inner.as_ref()?;
        let needed = Duration::from_secs_f64(bytes as f64 / inner.bytes_per_second);
        let mut free_at = inner.free_at.lock();
        let earliest = now.checked_sub(SLACK).unwrap_or(now);
        *free_at = (*free_at).max(earliest) + needed;
        Some(*free_at)
    }
}

/// Waits until `bytes` more have passed all of `buckets`, which they do at the same time.
pub async fn pass_all<const N: usize>(buckets: [&Bucket; N], bytes: usize) {
    let now = Instant::now();
    let passed = buckets
        .iter()
        .filter_map(|bucket| bucket.reserve(now, bytes));
    if let Some(until) = passed.max() {
        tokio::time::sleep_until(until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_keeps_its_rate_for_all_holders_together() {
        let bucket = Bucket::new(Some(1_000));
        let other = bucket.clone();
        let begun = Instant::now() + Duration::from_secs(1);
        // Its first bytes find the slack unused.
        let now = begun - SLACK;
        let second = Duration::from_secs(1);
        assert_eq!(bucket.reserve(begun, 3_000), Some(now + 3 * second));
        assert_eq!(other.reserve(begun, 2_000), Some(now + 5 * second));
        // What was not used is not saved up, but for a moment of it.
        let later = now + 10 * second;
        assert_eq!(bucket.reserve(later, 1_000), Some(later - SLACK + second));
    }

    #[test]
    fn no_rate_means_no_wait() {
        assert_eq!(Bucket::new(None).reserve(Instant::now(), 1 << 40), None);
        assert_eq!(Bucket::new(None).piece(77), 77);
    }

    #[test]
    fn pieces_are_small_where_the_flow_is_slow() {
        assert_eq!(Bucket::new(Some(1_000_000)).piece(1 << 20), 20_000);
        assert_eq!(Bucket::new(Some(10)).piece(1 << 20), 1_024);
    }
}
