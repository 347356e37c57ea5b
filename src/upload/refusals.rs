//! What the service refused of late: how often, and who is to be asked for alone.
//!
//! Kept in memory alone: a new process tries some more before it believes a refusal. One file
//! that is refused refuses all that travel with it, so each of them is tried in smaller company
//! until it is known which one it is; and what is refused in company is no word about a file.

use std::collections::HashMap;
use std::hash::Hash;

use parking_lot::Mutex;

/// Refusals, by node or by removal.
pub(super) struct Refusals<K>(Mutex<HashMap<K, Refused>>);

#[derive(Clone, Copy)]
struct Refused {
    times: u32,
    company: usize,
}

impl<K> Default for Refusals<K> {
    fn default() -> Self {
        Refusals(Mutex::default())
    }
}

impl<K: Copy + Eq + Hash> Refusals<K> {
    /// One was refused; it may travel in a company of `company` next. Returns how often it
    /// was refused since its `attempts`, as the journal counts them, began.
    pub fn add(&self, key: K, attempts: u32, company: usize) -> u32 {
        let mut all = self.0.lock();
        let refused = all.entry(key).or_insert(Refused { times: 0, company });
        if attempts == 0 {
            refused.times = 0;
        }
        refused.times += 1;
        refused.company = company.max(1);
        refused.times
    }

    /// Whether it was refused and neither taken nor given up since.
    pub fn has(&self, key: K) -> bool {
        self.0.lock().contains_key(&key)
    }

    /// They were taken, or given up.
    pub fn forget(&self, keys: impl IntoIterator<Item = K>) {
        let mut all = self.0.lock();
        for key in keys {
            all.remove(&key);
        }
    }

    /// In how large a company each may travel, where that is limited.
    pub fn companies(&self) -> HashMap<K, usize> {
        let all = self.0.lock();
        all.iter().map(|(key, r)| (*key, r.company)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Ino;

    #[test]
    fn refusals_are_counted_until_the_intent_is_another() {
        let refusals = Refusals::default();
        assert_eq!(refusals.add(Ino(1), 0, 250), 1);
        // Tries that failed for other reasons lie between.
        assert_eq!(refusals.add(Ino(1), 7, 125), 2);
        assert_eq!(refusals.companies()[&Ino(1)], 125);
        assert_eq!(refusals.add(Ino(1), 0, 0), 1);
        assert_eq!(refusals.companies()[&Ino(1)], 1);
        assert!(refusals.has(Ino(1)));
        refusals.forget([Ino(1)]);
        assert!(refusals.companies().is_empty());
    }
}
