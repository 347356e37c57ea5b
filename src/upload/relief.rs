//! Intents that failed for trouble of the whole service or of the line: once anything goes well
//! again, they need not wait for their own time, which may be ten minutes away.
//!
//! They are called forward one after another, so that what is left of the trouble meets few of
//! them. One that fails again soon after that has a trouble of its own, and waits for its time.
//! Kept in memory alone: after a restart each waits for its time.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use super::failure::is_general;
use super::{Context, UploadError};
use crate::api::ApiError;
use crate::ids::{Ino, Time};

/// Who has less to wait is left alone.
const SHORT: Duration = Duration::from_secs(30);
/// How far apart they come.
const STEP: Duration = Duration::from_millis(500);
/// Within which all of them come.
const SPREAD: Duration = Duration::from_secs(60);
/// Who fails again so soon has a trouble of its own.
const SOON: Duration = Duration::from_secs(120);

/// Who waits after such a failure.
pub(super) struct Relief {
    /// Divides all waits.
    speed: f64,
    waiting: Mutex<HashMap<Ino, Waiting>>,
}

struct Waiting {
    failed: Time,
    due: Time,
    /// When it was to come after it was called forward.
    called: Option<Time>,
    /// It has a trouble of its own.
    own: bool,
}

impl Relief {
    pub fn new(speed: f64) -> Relief {
        Relief {
            speed: speed.max(1.0),
            waiting: Mutex::default(),
        }
    }

    fn scaled(&self, wait: Duration) -> Duration {
        wait.div_f64(self.speed)
    }

    /// One failed, and is due at another time.
    pub fn failed(&self, ino: Ino, now: Time, due: Time) {
        let soon = self.scaled(SOON);
        let mut waiting = self.waiting.lock();
        let called = waiting.get(&ino).and_then(|before| before.called);
        let own = called.is_some_and(|at| now.since(at) < soon);
        waiting.insert(
            ino,
            Waiting {
                failed: now,
                due,
                called: None,
                own,
            },
        );
    }

    /// Something went `well`: who may come sooner for it, and when.
    pub fn sooner(&self, well: Time, now: Time) -> Vec<(Ino, Time)> {
        let (short, soon) = (self.scaled(SHORT), self.scaled(SOON));
        let mut all = self.waiting.lock();
        all.retain(|_, waiting| now.since(waiting.due) < soon);
        let mut called: Vec<(&Ino, &mut Waiting)> = all
            .iter_mut()
            .filter(|(_, waiting)| !waiting.own && waiting.called.is_none())
            .filter(|(_, waiting)| waiting.failed < well && waiting.due > now.after(short))
            .collect();
        called.sort_unstable_by_key(|(ino, waiting)| (waiting.due, ino.0));
        let count = u32::try_from(called.len()).unwrap_or(u32::MAX).max(1);
        let step = self.scaled(STEP.min(SPREAD / count));
        let mut at = now;
        let mut sooner = Vec::with_capacity(called.len());
        for (ino, waiting) in called {
            let due = at.min(waiting.due);
            waiting.called = Some(due);
            waiting.due = due;
            sooner.push((*ino, due));
            at = at.after(step);
        }
        sooner
    }
}

impl Context {
    /// An intent failed by this, and is due at a time.
    pub(super) fn troubled(&self, ino: Ino, due: Time, e: &ApiError) {
        if is_general(e) {
            self.relief.failed(ino, Time::now(), due);
        }
    }

    /// What failed while nothing went well comes forward once something does.
    pub(super) fn call_forward(&self) -> Result<(), UploadError> {
        let Some(well) = self.api.last_well() else {
            return Ok(());
        };
        let sooner = self.relief.sooner(well, Time::now());
        if !sooner.is_empty() {
            tracing::info!(intents = sooner.len(), "the service is well again");
            self.tree.due_sooner(&sooner)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn at(seconds: i64) -> Time {
        Time(seconds * SECOND)
    }

    #[test]
    fn what_failed_before_anything_went_well_comes_one_after_another() {
        let relief = Relief::new(1.0);
        relief.failed(Ino(3), at(12), at(700));
        relief.failed(Ino(1), at(10), at(600));
        // These wait for nothing that went well, or not for long.
        relief.failed(Ino(4), at(20), at(600));
        relief.failed(Ino(2), at(5), at(44));
        let sooner = relief.sooner(at(15), at(16));
        assert_eq!(
            sooner,
            [(Ino(1), at(16)), (Ino(3), Time(16 * SECOND + SECOND / 2))]
        );
        assert_eq!(relief.sooner(at(17), at(18)), [], "once each");
        assert_eq!(relief.sooner(at(21), at(22)), [(Ino(4), at(22))]);
    }

    #[test]
    fn very_many_come_within_a_minute() {
        let relief = Relief::new(1.0);
        for ino in 0..10_000 {
            relief.failed(Ino(ino), at(0), at(600));
        }
        let sooner = relief.sooner(at(1), at(2));
        assert_eq!(sooner.len(), 10_000);
        assert!(sooner.iter().all(|(_, due)| (at(2)..=at(62)).contains(due)));
        assert!(sooner.is_sorted_by_key(|(_, due)| *due));
    }

    #[test]
    fn what_fails_again_soon_waits_for_its_own_time_and_then_begins_anew() {
        let relief = Relief::new(1.0);
        relief.failed(Ino(1), at(0), at(600));
        assert_eq!(relief.sooner(at(10), at(10)), [(Ino(1), at(10))]);
        relief.failed(Ino(1), at(11), at(611));
        assert_eq!(relief.sooner(at(20), at(20)), []);
        relief.failed(Ino(1), at(611), at(1211));
        assert_eq!(relief.sooner(at(612), at(612)), [(Ino(1), at(612))]);
        // It went well for a while after it was called.
        relief.failed(Ino(1), at(800), at(1400));
        assert_eq!(relief.sooner(at(801), at(801)), [(Ino(1), at(801))]);
    }
}
