//! How fast uploads go: our own limit, and what the line gives, against the four hours
//! that the service allows for one upload (API notes 3.5).
//!
//! An upload that the line cannot carry in that time is not begun, or broken off once the
//! line is known. One that only our own limit would make miss it is freed from the limit.
//!
//! What the line gives is seen while requests run, over spans in which nothing on our side held
//! them back: what all of them together move then.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::throttle::Throttle;

/// What is sent between two looks at the limit, in bytes.
pub(super) const PIECE: usize = 64 << 10;

/// Fewer bytes than this tell of the node's speed, not of the line's.
const TELLING: u64 = 1 << 20;

/// The part of the longest time that fills what buffers on the way take at once: 15 s of 4 h.
const WARM_UP: u32 = 960;

/// The part of it over which a running request is looked at: 5 min of 4 h.
const SPAN: u32 = 48;

/// So many looks at the line tell what it cannot carry: one may have fallen into bad minutes.
const LOOKS: u32 = 3;

/// The way up.
pub(super) struct Uplink {
    throttle: Throttle,
    /// How long one upload may last.
    longest: Duration,
    /// The best rate that there was, in bytes a second; 0 before the first.
    best: AtomicU64,
    /// How often this process saw what the line gives.
    looks: AtomicU32,
    /// Bytes that all requests have moved.
    passed: AtomicU64,
}

/// One request on its way.
pub(super) struct Flow {
    began: Instant,
    /// What all requests had moved then.
    passed: u64,
    course: Mutex<Course>,
}

/// What became of a request so far.
struct Course {
    span: Span,
    /// Our own limit held it back at some time.
    held: bool,
    /// How long there was nothing to send, in all.
    waited: Duration,
}

/// The time in which a request is looked at.
struct Span {
    since: Instant,
    /// What all requests had moved then.
    passed: u64,
    /// The buffers are full.
    warm: bool,
    /// How long there was nothing to send since then.
    waited: Duration,
}

impl Span {
    fn new(passed: u64, warm: bool) -> Span {
        Span {
            since: Instant::now(),
            passed,
            warm,
            waited: Duration::ZERO,
        }
    }
}

impl Flow {
    /// How long ago it began.
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// There was nothing to send for so long.
    pub fn waited(&self, time: Duration) {
        let mut course = self.course.lock();
        course.waited += time;
        course.span.waited += time;
    }

    /// Our own limit held it back.
    fn restart(&self, passed: u64) {
        let mut course = self.course.lock();
        course.held = true;
        course.span = Span::new(passed, false);
    }

    /// What the line gave while it ran to its end, if nothing on our side held it back.
    fn whole(&self, passed: u64) -> Option<(u64, Duration)> {
        let (time, course) = (self.age(), self.course.lock());
        let busy = !course.held && course.waited < time / 10;
        busy.then(|| (passed.saturating_sub(self.passed), time))
    }

    /// What the line gave during the span that ends now, if one does.
    fn seen(&self, passed: u64, longest: Duration) -> Option<(u64, Duration)> {
        let mut course = self.course.lock();
        let time = course.span.since.elapsed();
        let needed = longest / if course.span.warm { SPAN } else { WARM_UP };
        if time < needed {
            return None;
        }
        let span = std::mem::replace(&mut course.span, Span::new(passed, true));
        let busy = span.waited < time / 10;
        (span.warm && busy).then(|| (passed.saturating_sub(span.passed), time))
    }
}

impl Uplink {
    /// `best`: the best rate that earlier processes had, 0 for none.
    pub fn new(throttle: Throttle, longest: Duration, best: u64) -> Uplink {
        Uplink {
            throttle,
            longest,
            best: AtomicU64::new(best),
            looks: AtomicU32::new(0),
            passed: AtomicU64::new(0),
        }
    }

    /// A request begins.
    pub fn begin(&self) -> Flow {
        let passed = self.passed.load(Ordering::Relaxed);
        Flow {
            began: Instant::now(),
            passed,
            course: Mutex::new(Course {
                span: Span::new(passed, false),
                held: false,
                waited: Duration::ZERO,
            }),
        }
    }

    /// The best rate that there was, in bytes a second; 0 for none.
    pub fn best(&self) -> u64 {
        self.best.load(Ordering::Relaxed)
    }

    /// Whether a request ran for as long as the service lets one.
    pub fn is_over(&self, flow: &Flow) -> bool {
        flow.age() >= self.longest
    }

    /// The node took a request to its end. A short one tells nothing of the line, and one that
    /// we held back ourselves neither.
    pub fn ended(&self, flow: &Flow) {
        if let Some((bytes, time)) = flow.whole(self.passed.load(Ordering::Relaxed)) {
            self.measured(bytes, time);
        }
    }

    fn measured(&self, bytes: u64, time: Duration) {
        if bytes >= TELLING && time >= self.longest / WARM_UP {
            self.learn(bytes, time);
            // All of it came there: nothing is estimated.
            self.looks.fetch_max(LOOKS, Ordering::Relaxed);
        }
    }

    fn learn(&self, bytes: u64, time: Duration) {
        let rate = (bytes as f64 / time.as_secs_f64()) as u64;
        self.best.fetch_max(rate.max(1), Ordering::Relaxed);
    }

    /// How long `bytes` would take, if that is longer than an upload may last. Before this
    /// process has seen the line often enough, that is not known.
    pub fn too_long(&self, bytes: u64) -> Option<Duration> {
        self.beyond(Duration::ZERO, bytes)
    }

    /// How long a request would have taken at its end, if that is longer than it may last.
    pub fn cannot_end(&self, flow: &Flow, left: u64) -> Option<Duration> {
        self.beyond(flow.age(), left)
    }

    fn beyond(&self, age: Duration, left: u64) -> Option<Duration> {
        let known = self.looks.load(Ordering::Relaxed) >= LOOKS;
        let time = age.saturating_add(time_for(left, self.best()).filter(|_| known)?);
        (time > self.longest).then_some(time)
    }

    /// Bytes that may share a request of `most` at most: what breaks off near its end is
    /// sent again, so it shall not last long.
    pub fn shared(&self, most: u64) -> u64 {
        let held = self.throttle.rate().map_or(u64::MAX, |rate| rate.get());
        let rate = match self.best() {
            0 => held,
            best => best.min(held),
        };
        let bytes = rate as f64 * (self.longest / 16).as_secs_f64();
        most.min(bytes as u64).max(1)
    }

    /// Returns when the next `bytes` of a request may leave. `left` is what remains of it.
    pub async fn pass(&self, bytes: u64, left: u64, flow: &Flow) {
        let time = self.longest.saturating_sub(flow.age());
        let rate = self.throttle.rate();
        let held = rate.is_some_and(|rate| !is_late(left, rate.get(), time));
        if held {
            self.throttle.take(bytes).await;
        }
        let passed = self.passed.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if held {
            flow.restart(passed);
        } else if let Some((bytes, time)) = flow.seen(passed, self.longest)
            && bytes >= TELLING
        {
            self.learn(bytes, time);
            self.looks.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Whether what is `left` would not get through at `rate` in `time`, with a tenth to
/// spare.
fn is_late(left: u64, rate: u64, time: Duration) -> bool {
    time_for(left, rate).is_some_and(|needed| needed > time.mul_f64(0.9))
}

/// How long `bytes` take at `rate`; `None` where no rate is known.
fn time_for(bytes: u64, rate: u64) -> Option<Duration> {
    (rate > 0)
        .then(|| Duration::try_from_secs_f64(bytes as f64 / rate as f64).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Timetable, Value};

    const HOURS: Duration = Duration::from_secs(4 * 3600);

    fn uplink(limit: &str) -> Uplink {
        Uplink::new(Throttle::new(Timetable::read(limit).unwrap()), HOURS, 0)
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
    fn what_held_a_request_back_on_our_side_tells_nothing_of_the_line() {
        let uplink = uplink("");
        let flow = uplink.begin();
        flow.restart(0);
        assert_eq!(flow.whole(1000), None, "our limit");
        let flow = uplink.begin();
        flow.waited(HOURS);
        assert_eq!(flow.whole(1000), None, "there was nothing to send");
        // What goes beside it is the line's too.
        uplink.passed.store(500, Ordering::Relaxed);
        let flow = uplink.begin();
        assert_eq!(flow.whole(1500).unwrap().0, 1000);
    }

    #[test]
    fn a_request_that_can_end_in_time_is_not_broken_off_and_one_look_is_not_believed() {
        let uplink = uplink("");
        let flow = uplink.begin();
        uplink.learn(60_000_000, Duration::from_secs(60));
        uplink.looks.fetch_add(1, Ordering::Relaxed);
        assert_eq!(uplink.cannot_end(&flow, u64::MAX), None, "one look");
        uplink.looks.fetch_add(2, Ordering::Relaxed);
        assert!(uplink.too_long(28_800_000_000).is_some());
        assert_eq!(
            uplink.cannot_end(&flow, 1_000_000_000),
            None,
            "most is sent"
        );
        assert!(uplink.cannot_end(&flow, 28_800_000_000).is_some());
        // What an earlier process saw says nothing of what this line cannot do.
        let table = Timetable::read("").unwrap();
        let kept = Uplink::new(Throttle::new(table), HOURS, 1);
        assert_eq!(kept.too_long(u64::MAX), None);
        assert_eq!(kept.shared(1 << 30), 900);
    }

    #[test]
    fn what_a_running_request_moves_tells_of_the_line_unless_we_hold_it_back() {
        let longest = Duration::from_millis(960);
        let table = Timetable::read("").unwrap();
        let uplink = Uplink::new(Throttle::new(table), longest, 0);
        let flow = uplink.begin();
        let span = || std::thread::sleep(longest / SPAN + longest / WARM_UP);
        assert_eq!(flow.seen(1_000_000, longest), None, "nothing was seen yet");
        span();
        assert_eq!(flow.seen(1_000_000, longest), None, "buffers were filled");
        span();
        let (bytes, time) = flow.seen(1_500_000, longest).unwrap();
        assert!(bytes == 500_000 && time >= longest / SPAN, "{time:?}");
        flow.waited(longest);
        span();
        assert_eq!(
            flow.seen(2_000_000, longest),
            None,
            "there was nothing to send"
        );
        span();
        assert!(flow.seen(2_500_000, longest).is_some());
        flow.restart(2_500_000);
        span();
        assert_eq!(
            flow.seen(3_000_000, longest),
            None,
            "our limit held it back"
        );
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
