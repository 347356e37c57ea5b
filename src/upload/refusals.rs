//! What the service refused of late: how often, and who is to be asked for alone.
//!
//! Kept in memory alone: a new process tries some more before it believes a refusal. One file
//! that is refused refuses all that travel with it, so each of them is tried in smaller company
//! until it is known which one it is; and what is refused in company is no word about a file.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::ids::Ino;

/// Refusals by node.
#[derive(Default)]
pub(super) struct Refusals(Mutex<HashMap<Ino, Refused>>);

#[derive(Clone, Copy)]
struct Refused {
    times: u32,
    company: usize,
}

impl Refusals {
    /// A node was refused; it may travel in a company of `company` next. Returns how often it
    /// was refused since its `attempts`, as the journal counts them, began.
    pub fn add(&self, ino: Ino, attempts: u32, company: usize) -> u32 {
        let mut all = self.0.lock();
        let refused = all.entry(ino).or_insert(Refused { times: 0, company });
        if attempts == 0 {
            refused.times = 0;
        }
        refused.times += 1;
        refused.company = company.max(1);
        refused.times
    }

    /// Nodes that were taken.
    pub fn forget(&self, inos: &[Ino]) {
        let mut all = self.0.lock();
        for ino in inos {
            all.remove(ino);
        }
    }

    /// In how large a company nodes may travel, where that is limited.
    pub fn companies(&self) -> HashMap<Ino, usize> {
        let all = self.0.lock();
        all.iter().map(|(ino, r)| (*ino, r.company)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_until_the_intent_is_another() {
        let refusals = Refusals::default();
        assert_eq!(refusals.add(Ino(1), 0, 250), 1);
        // Tries that failed for other reasons lie between.
        assert_eq!(refusals.add(Ino(1), 7, 125), 2);
        assert_eq!(refusals.companies()[&Ino(1)], 125);
        assert_eq!(refusals.add(Ino(1), 0, 0), 1);
        assert_eq!(refusals.companies()[&Ino(1)], 1);
        refusals.forget(&[Ino(1)]);
        assert!(refusals.companies().is_empty());
    }
}
