//! What all processes of a user share about their calls: kept in a file, so
//! that a restart forgets neither a lock nor the calls of the last minute.
//!
//! Times are microseconds since 1970 of the system's clock, read under the
//! file's lock. When that clock is put back, all times move with it: nothing is
//! allowed earlier because of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Script;

/// Microseconds since 1970.
pub(super) type Micros = i64;

/// A lock by the service, and our way out of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Lock {
    /// When we learned of it.
    pub since: Micros,
    /// No call before this.
    pub until: Micros,
    /// When the one trial call after it went out, while it has no answer.
    pub trial: Option<Micros>,
}

/// A call that counts for the burst.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Recent {
    /// When it was let go.
    pub sent: Micros,
    /// When its answer came; it reached the service in between.
    pub answered: Option<Micros>,
}

/// What is known about one kind of call.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct KindState {
    /// The last call.
    pub last: Option<Micros>,
    /// The learned rate as a part of the table's rate for all calls.
    pub rate: Option<f64>,
    /// When `rate` was learned or last raised.
    pub rate_since: Micros,
    pub lock: Option<Lock>,
    /// Locks in a row, and when the last of them ended or will end.
    pub strikes: u32,
    pub last_lock: Micros,
    /// What always answers failed last: it may fail again.
    pub in_trouble: bool,
}

/// The shared state. Unknown fields of a newer version are ignored, missing
/// ones of an older take their defaults.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    /// The latest time that was seen.
    pub seen: Micros,
    /// Calls saved up, as of `tokens_at`.
    pub tokens: f64,
    pub tokens_at: Micros,
    /// The calls that count for the burst.
    pub recent: Vec<Recent>,
    /// The learned rate of all calls, as a part of the table's.
    pub rate: f64,
    /// Since when there was no lock, or the last step up.
    pub quiet_since: Micros,
    /// Calls since `quiet_since`.
    pub quiet_calls: u64,
    /// Folders listed lately.
    pub folders: BTreeMap<u64, Micros>,
    pub all_files: Option<Micros>,
    pub account: Option<Micros>,
    pub kinds: BTreeMap<Script, KindState>,
    /// The lock of the whole address.
    pub address: Option<Lock>,
    /// Failing calls within the window.
    pub failing: Vec<Micros>,
    /// The print of the key of an account that is not paid for, and when the service said so.
    pub unpaid: Option<(String, Micros)>,
    /// The print of the key that the service refused.
    pub refused_key: Option<String>,
    /// Calls since ever, by script.
    pub calls: BTreeMap<Script, u64>,
    /// Locks since ever.
    pub locks: u64,
}

impl Default for State {
    /// A careful beginning: nothing is saved up, since nothing is known about
    /// the calls before.
    fn default() -> State {
        State {
            seen: 0,
            tokens: 0.0,
            tokens_at: 0,
            recent: Vec::new(),
            rate: 1.0,
            quiet_since: 0,
            quiet_calls: 0,
            folders: BTreeMap::new(),
            all_files: None,
            account: None,
            kinds: BTreeMap::new(),
            address: None,
            failing: Vec::new(),
            unpaid: None,
            refused_key: None,
            calls: BTreeMap::new(),
            locks: 0,
        }
    }
}

/// What of a state outlasts a power cut: what a reboot does not take longer than.
#[derive(PartialEq, Debug)]
pub(super) struct Lasting {
    locks: Vec<(Option<Script>, Micros)>,
    failing: Vec<Micros>,
    refused_key: Option<String>,
}

impl State {
    /// What of it must outlast a power cut.
    pub fn lasting(&self) -> Lasting {
        let address = self.address.iter().map(|lock| (None, lock.until));
        let kinds = self.kinds.iter();
        let kinds =
            kinds.filter_map(|(script, kind)| Some((Some(*script), kind.lock.as_ref()?.until)));
        Lasting {
            locks: address.chain(kinds).collect(),
            failing: self.failing.clone(),
            refused_key: self.refused_key.clone(),
        }
    }

    /// Whether the service refused this key.
    pub fn is_refused(&self, key: Option<&str>) -> bool {
        key.is_some() && key == self.refused_key.as_deref()
    }

    /// When the service said that the account of this key is not paid for, if so.
    pub fn unpaid_since(&self, key: Option<&str>) -> Option<Micros> {
        let (unpaid, said) = self.unpaid.as_ref()?;
        (key == Some(unpaid.as_str())).then_some(*said)
    }

    /// A beginning with nothing known, at a time.
    pub fn begin(now: Micros) -> State {
        State {
            seen: now,
            tokens_at: now,
            quiet_since: now,
            ..State::default()
        }
    }

    /// Moves all times by so much.
    pub fn shift(&mut self, by: Micros) {
        let each = |time: &mut Micros| *time = time.saturating_add(by);
        each(&mut self.seen);
        each(&mut self.tokens_at);
        each(&mut self.quiet_since);
        for call in &mut self.recent {
            each(&mut call.sent);
            call.answered.iter_mut().for_each(each);
        }
        self.folders.values_mut().for_each(each);
        self.all_files.iter_mut().for_each(each);
        self.account.iter_mut().for_each(each);
        self.unpaid.iter_mut().for_each(|(_, said)| each(said));
        self.failing.iter_mut().for_each(each);
        let lock = |lock: &mut Lock| {
            each(&mut lock.since);
            each(&mut lock.until);
            lock.trial.iter_mut().for_each(each);
        };
        self.address.iter_mut().for_each(lock);
        for kind in self.kinds.values_mut() {
            kind.last.iter_mut().for_each(each);
            each(&mut kind.rate_since);
            each(&mut kind.last_lock);
            kind.lock.iter_mut().for_each(lock);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_survives_the_file() {
        let mut state = State::begin(5);
        state.kinds.entry(Script::FolderLs).or_default().lock = Some(Lock {
            since: 1,
            until: 9,
            trial: None,
        });
        state.calls.insert(Script::Token, 3);
        state.folders.insert(42, 4);
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state);
    }

    #[test]
    fn locks_failing_calls_and_a_refused_key_are_to_outlast_a_power_cut() {
        let lock = || Lock {
            since: 1,
            until: 9,
            trial: None,
        };
        type Change = fn(&mut State, Lock);
        let changes: [(bool, Change); 7] = [
            (true, |state, lock| state.address = Some(lock)),
            (true, |state, lock| {
                state.kinds.entry(Script::Token).or_default().lock = Some(lock);
            }),
            (true, |state, _| state.failing.push(7)),
            (true, |state, _| state.refused_key = Some("key".to_owned())),
            (false, |state, _| state.tokens = 1.0),
            (false, |state, _| {
                state.kinds.entry(Script::Token).or_default().last = Some(3);
            }),
            (false, |state, _| state.seen = 10),
        ];
        for (index, (lasts, change)) in changes.into_iter().enumerate() {
            let mut state = State::begin(5);
            let before = state.lasting();
            change(&mut state, lock());
            assert_eq!(state.lasting() != before, lasts, "{index}");
        }
    }

    #[test]
    fn a_state_of_another_version_is_read() {
        let state: State = serde_json::from_str(r#"{"seen":7,"new_field":[1]}"#).unwrap();
        assert_eq!(state.seen, 7);
        assert_eq!(state.rate, 1.0);
    }

    #[test]
    fn a_shift_keeps_all_distances() {
        let mut state = State::begin(100);
        state.failing.push(90);
        state.address = Some(Lock {
            since: 95,
            until: 200,
            trial: Some(99),
        });
        state.shift(-50);
        assert_eq!((state.seen, state.failing[0]), (50, 40));
        assert_eq!(state.address.unwrap().until, 150);
    }
}
