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
        if let Some(until) = self.reserve(Instant::now(), bytes) {
            tokio::time::sleep_until(until).await;
        }
    }

    /// Takes the next place for `bytes`; tells when they will have passed.
    fn reserve(&self, now: Instant, bytes: usize) -> Option<Instant> {
        let inner = self.inner.as_ref()?;
        let needed = Duration::from_secs_f64(bytes as f64 / inner.bytes_per_second);
        let mut free_at = inner.free_at.lock();
        *free_at = (*free_at).max(now) + needed;
        Some(*free_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_keeps_its_rate_for_all_holders_together() {
        let bucket = Bucket::new(Some(1_000));
        let other = bucket.clone();
        let now = Instant::now() + Duration::from_secs(1);
        let second = Duration::from_secs(1);
        assert_eq!(bucket.reserve(now, 3_000), Some(now + 3 * second));
        assert_eq!(other.reserve(now, 2_000), Some(now + 5 * second));
        // What was not used is not saved up.
        let later = now + 10 * second;
        assert_eq!(bucket.reserve(later, 1_000), Some(later + second));
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
