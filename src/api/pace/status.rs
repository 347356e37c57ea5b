//! What the pace tells people and `status --json`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::state::{Lock, State};
use super::{Limits, Script, timestamp};

/// The state of the pace, for people.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PaceStatus {
    /// Calls a second that are allowed now, over a long time.
    pub rate: f64,
    /// Calls that could go out at once now.
    pub saved_up: f64,
    /// Calls of this process that wait for their turn.
    pub waiting: usize,
    /// The lock of the whole address, if there is one.
    pub address_lock: Option<LockStatus>,
    /// Locks by kind of call.
    pub locks: BTreeMap<&'static str, LockStatus>,
    /// Learned rates by kind of call, in calls a second.
    pub learned: BTreeMap<&'static str, f64>,
    /// Calls that failed within the window, and how many may.
    pub failing: usize,
    /// The budget for `failing`.
    pub failing_budget: usize,
    /// The print of the key that the service refused last, so that nothing is asked with
    /// it; another one may be in use by now.
    #[serde(skip)]
    pub refused_key: Option<String>,
    /// Calls since ever by script, of all processes.
    pub calls: BTreeMap<&'static str, u64>,
    /// Locks since ever.
    pub locks_ever: u64,
}

/// A lock, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct LockStatus {
    /// When the service told us.
    #[serde(serialize_with = "as_text")]
    pub since: Timestamp,
    /// Until when we keep silent.
    #[serde(serialize_with = "as_text")]
    pub until: Timestamp,
}

fn as_text<S: serde::Serializer>(time: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(time)
}

impl PaceStatus {
    pub(super) fn of(state: &State, limits: &Limits, waiting: usize) -> PaceStatus {
        let lock = |lock: &Lock| LockStatus {
            since: timestamp(lock.since),
            until: timestamp(lock.until),
        };
        let kinds = || state.kinds.iter();
        PaceStatus {
            rate: limits.rate * state.rate,
            saved_up: state.tokens.max(0.0),
            waiting,
            address_lock: state.address.as_ref().map(lock),
            locks: kinds()
                .filter_map(|(kind, known)| Some((kind.name(), lock(known.lock.as_ref()?))))
                .collect(),
            learned: kinds()
                .filter_map(|(kind, known)| Some((kind.name(), known.rate? * limits.rate)))
                .collect(),
            failing: state.failing.len(),
            failing_budget: limits.failing_calls,
            refused_key: state.refused_key.clone(),
            calls: by_name(&state.calls),
            locks_ever: state.locks,
        }
    }
}

fn by_name(calls: &BTreeMap<Script, u64>) -> BTreeMap<&'static str, u64> {
    calls
        .iter()
        .map(|(script, count)| (script.name(), *count))
        .collect()
}
