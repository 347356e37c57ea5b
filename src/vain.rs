//! Waits that have just been in vain, so that nobody waits for the same again at once.
//!
//! The kernel asks a second time for a page that was not read ahead for it, and who looks up
//! a name that another process looks up waits for that one first and then asks. Each would
//! wait for a whole deadline more, and the system call for all of them.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long it counts: longer than the kernel takes, shorter than a person or a program
/// that tries again in earnest.
const MOMENT: Duration = Duration::from_secs(1);

/// What was waited for in vain. See the module.
#[derive(Debug)]
pub struct Vain<K> {
    lately: Mutex<Vec<(K, Instant)>>,
}

impl<K> Default for Vain<K> {
    fn default() -> Self {
        Vain {
            lately: Mutex::default(),
        }
    }
}

impl<K> Vain<K> {
    /// Begins to wait for `key`, at most until `deadline`.
    pub fn wait(&self, key: K, deadline: Instant) -> Wait<'_, K> {
        let left = deadline.saturating_duration_since(Instant::now());
        Wait {
            vain: self,
            key: Some(key),
            // Other deadlines of the same call may come a little before this one.
            late: deadline.checked_sub(MOMENT.min(left / 10)),
        }
    }

    /// Whether somebody has just waited in vain for something that `fits`.
    pub fn lately(&self, fits: impl Fn(&K) -> bool) -> bool {
        let mut lately = self.lately.lock();
        lately.retain(|(_, at)| at.elapsed() < MOMENT);
        lately.iter().any(|(key, _)| fits(key))
    }
}

/// A wait. Dropped about at its deadline without a word that it is over, it was in vain.
#[must_use]
pub struct Wait<'a, K> {
    vain: &'a Vain<K>,
    key: Option<K>,
    late: Option<Instant>,
}

impl<K> Wait<'_, K> {
    /// What was waited for came.
    pub fn over(mut self) {
        self.key = None;
    }
}

impl<K> Drop for Wait<'_, K> {
    fn drop(&mut self) {
        let now = Instant::now();
        if let Some(key) = self.key.take()
            && self.late.is_none_or(|late| now >= late)
        {
            self.vain.lately.lock().push((key, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_to_its_deadline_is_in_vain_unless_it_brought_something() {
        let vain = Vain::default();
        let now = Instant::now();
        drop(vain.wait(1, now));
        vain.wait(2, now).over();
        assert!(vain.lately(|key| *key == 1));
        assert!(!vain.lately(|key| *key == 2));
    }

    #[test]
    fn who_ends_before_its_time_was_not_in_vain() {
        let vain = Vain::default();
        drop(vain.wait(1, Instant::now() + Duration::from_secs(60)));
        assert!(!vain.lately(|_| true));
    }

    #[test]
    fn it_counts_for_a_moment() {
        let vain = Vain::default();
        let before = Instant::now().checked_sub(MOMENT).unwrap();
        vain.lately.lock().push((1, before));
        assert!(!vain.lately(|_| true));
        assert!(vain.lately.lock().is_empty());
    }
}
