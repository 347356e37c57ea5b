//! A bandwidth limit by the clock: whoever moves bytes takes them from here first.
//!
//! A leaf, shared by the two directions: each has a [`Throttle`] of its own. The bucket
//! is governor's; what is ours is that the rate follows a [`Timetable`], also in
//! the middle of a transfer.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use jiff::ZonedDateTime;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;

use crate::config::Timetable;

/// Bytes that are taken at once: a large piece must not keep small ones out.
const PIECE: u32 = 32 * 1024;

/// The longest sleep before the timetable is looked at again.
const LOOK: Duration = Duration::from_secs(1);

/// How often those whose turn comes later look whether it has come.
const GLANCE: Duration = Duration::from_millis(20);

/// Whose bytes go first where not all can.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Somebody waits for them.
    First,
    /// Nobody does yet: they let all others pass.
    Later,
}

/// See the module. Cheap to clone; all clones share one bucket.
#[derive(Clone)]
pub struct Throttle {
    shared: Arc<Shared>,
}

struct Shared {
    table: RwLock<Timetable>,
    /// The bucket of the rate that held when it was last looked at.
    bucket: Mutex<Option<(NonZeroU64, Arc<DefaultDirectRateLimiter>)>>,
    /// How many wait whose turn is the first.
    first: AtomicUsize,
    clock: DefaultClock,
}

impl Throttle {
    /// A throttle that follows `table`, in the machine's local time.
    pub fn new(table: Timetable) -> Throttle {
        Throttle {
            shared: Arc::new(Shared {
                table: RwLock::new(table),
                bucket: Mutex::new(None),
                first: AtomicUsize::new(0),
                clock: DefaultClock::default(),
            }),
        }
    }

    /// Follows another table from now on, also for what is under way.
    pub fn follow(&self, table: Timetable) {
        *self.shared.table.write() = table;
    }

    /// Whether anything can ever be held back.
    pub fn is_off(&self) -> bool {
        self.shared.table.read().is_off()
    }

    /// Bytes a second that are allowed now; `None` for no limit.
    pub fn rate(&self) -> Option<NonZeroU64> {
        let table = self.shared.table.read();
        if table.is_off() {
            return None;
        }
        table.at(ZonedDateTime::now().datetime())
    }

    /// Returns when `bytes` may be moved, or have been without breaking the limit.
    /// What was taken when the future is dropped stays taken.
    pub async fn take(&self, bytes: u64) {
        self.take_in_turn(bytes, || Turn::First).await;
    }

    /// The same for bytes whose `turn` may come nearer while they wait.
    pub async fn take_in_turn(&self, bytes: u64, turn: impl Fn() -> Turn) {
        let mut left = bytes;
        let mut place = None;
        while left > 0 {
            let Some(bucket) = self.bucket() else {
                return;
            };
            match turn() {
                Turn::First if place.is_none() => place = Some(Place::new(&self.shared.first)),
                Turn::First => {}
                Turn::Later => {
                    place = None;
                    if self.shared.first.load(Ordering::Relaxed) > 0 {
                        tokio::time::sleep(GLANCE).await;
                        continue;
                    }
                }
            }
            // At most PIECE, so it fits.
            let piece = left.min(u64::from(PIECE)) as u32;
            let Some(cells) = NonZeroU32::new(piece) else {
                return;
            };
            match bucket.check_n(cells) {
                Ok(Ok(())) => left -= u64::from(piece),
                Ok(Err(not_until)) => {
                    let wait = not_until.wait_time_from(self.shared.clock.now());
                    let longest = match turn() {
                        Turn::First => LOOK,
                        Turn::Later => GLANCE,
                    };
                    tokio::time::sleep(wait.min(longest)).await;
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

/// One of those who go first, as long as it lives.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn new(first: &'a AtomicUsize) -> Place<'a> {
        first.fetch_add(1, Ordering::Relaxed);
        Place(first)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
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
    async fn who_waits_passes_those_whose_turn_comes_later() {
        let throttle = throttle("1MiB");
        // Nothing is left of what may go at once.
        throttle.take(256 << 10).await;
        let ended = Mutex::new(Vec::new());
        let take = |name: &'static str, bytes: u64, turn: Turn| {
            let (throttle, ended) = (throttle.clone(), &ended);
            async move {
                throttle.take_in_turn(bytes, || turn).await;
                ended.lock().push(name);
            }
        };
        // Begun first, and far less.
        tokio::join!(
            take("ahead", 64 << 10, Turn::Later),
            take("reader", 256 << 10, Turn::First),
        );
        assert_eq!(*ended.lock(), ["reader", "ahead"]);
    }

    #[tokio::test]
    async fn what_is_read_ahead_goes_first_once_somebody_waits_for_it() {
        let throttle = throttle("1MiB");
        throttle.take(256 << 10).await;
        let ended = Mutex::new(Vec::new());
        let waited_for = AtomicUsize::new(0);
        let ahead = async {
            let turn = || match waited_for.load(Ordering::Relaxed) {
                0 => Turn::Later,
                _ => Turn::First,
            };
            throttle.take_in_turn(64 << 10, turn).await;
            ended.lock().push("ahead");
        };
        let reader = async {
            throttle.take(128 << 10).await;
            waited_for.store(1, Ordering::Relaxed);
            throttle.take(1 << 20).await;
            ended.lock().push("reader");
        };
        tokio::join!(ahead, reader);
        assert_eq!(*ended.lock(), ["ahead", "reader"]);
    }

    #[tokio::test]
    async fn another_table_holds_also_for_what_waits() {
        let throttle = throttle("1KiB");
        let waiting = throttle.clone();
        let waiting = tokio::spawn(async move { waiting.take(1 << 30).await });
        tokio::task::yield_now().await;
        throttle.follow(Timetable::default());
        waiting.await.unwrap();
        assert!(throttle.is_off());
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
