//! A bandwidth limit by the clock: whoever moves bytes takes them from here first.
//!
//! A leaf, shared by the two directions: each has a [`Throttle`] of its own. The bucket
//! is governor's; what is ours is that the rate follows a [`Timetable`], also in
//! the middle of a transfer.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use jiff::ZonedDateTime;
use parking_lot::Mutex;
use std::sync::Arc;

use crate::config::Timetable;

/// Bytes that are taken at once: a large piece must not keep small ones out.
const PIECE: u32 = 32 * 1024;

/// The longest sleep before the timetable is looked at again.
const LOOK: Duration = Duration::from_secs(1);

/// See the module. Cheap to clone; all clones share one bucket.
#[derive(Clone)]
pub struct Throttle {
    shared: Arc<Shared>,
}

struct Shared {
    table: Timetable,
    /// The bucket of the rate that held when it was last looked at.
    bucket: Mutex<Option<(NonZeroU64, Arc<DefaultDirectRateLimiter>)>>,
    clock: DefaultClock,
}

impl Throttle {
    /// A throttle that follows `table`, in the machine's local time.
    pub fn new(table: Timetable) -> Throttle {
        Throttle {
            shared: Arc::new(Shared {
                table,
                bucket: Mutex::new(None),
                clock: DefaultClock::default(),
            }),
        }
    }

    /// Whether anything can ever be held back.
    pub fn is_off(&self) -> bool {
        self.shared.table.is_off()
    }

    /// Bytes a second that are allowed now; `None` for no limit.
    pub fn rate(&self) -> Option<NonZeroU64> {
        if self.is_off() {
            return None;
        }
        self.shared.table.at(ZonedDateTime::now().datetime())
    }

    /// Returns when `bytes` may be moved, or have been without breaking the limit.
    /// What was taken when the future is dropped stays taken.
    pub async fn take(&self, bytes: u64) {
        let mut left = bytes;
        while left > 0 {
            let Some(bucket) = self.bucket() else {
                return;
            };
            // At most PIECE, so it fits.
            let piece = left.min(u64::from(PIECE)) as u32;
            let Some(cells) = NonZeroU32::new(piece) else {
                return;
            };
            match bucket.check_n(cells) {
                Ok(Ok(())) => left -= u64::from(piece),
                Ok(Err(not_until)) => {
                    let wait = not_until.wait_time_from(self.shared.clock.now());
                    tokio::time::sleep(wait.min(LOOK)).await;
                }
                // A bucket holds a piece at least, so this cannot be.
                Err(_) => return,
            }
        }
    }

    /// The bucket of the rate that holds now.
    fn bucket(&self) -> Option<Arc<DefaultDirectRateLimiter>> {
        let rate = self.rate()?;
        let mut bucket = self.shared.bucket.lock();
        match &*bucket {
            Some((known, bucket)) if *known == rate => Some(Arc::clone(bucket)),
            _ => {
                // Above 4 GiB a second nothing needs to be held back.
                let cells = NonZeroU32::try_from(rate).ok()?;
                let burst = cells.get().div_euclid(4).max(PIECE);
                let quota = Quota::per_second(cells).allow_burst(NonZeroU32::new(burst)?);
                let made = Arc::new(RateLimiter::direct(quota));
                *bucket = Some((rate, Arc::clone(&made)));
                Some(made)
            }
        }
    }
}

impl Default for Throttle {
    /// One that holds nothing back.
    fn default() -> Throttle {
        Throttle::new(Timetable::default())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::config::Value;

    fn throttle(table: &str) -> Throttle {
        Throttle::new(Timetable::read(table).unwrap())
    }

    #[tokio::test]
    async fn without_a_limit_nothing_is_held_back() {
        let throttle = throttle("off");
        assert!(throttle.is_off() && throttle.rate().is_none());
        throttle.take(u64::MAX).await;
    }

    #[tokio::test]
    async fn what_is_beyond_the_burst_takes_its_time_also_for_clones() {
        let throttle = throttle("1MiB");
        let start = Instant::now();
        // A quarter of a second's worth goes at once.
        let takers = (0..3).map(|_| {
            let throttle = throttle.clone();
            async move { throttle.take(128 << 10).await }
        });
        futures_util::future::join_all(takers).await;
        assert!(start.elapsed() >= Duration::from_millis(100));
        assert_eq!(throttle.rate().map(NonZeroU64::get), Some(1 << 20));
    }
}
