//! The rules of the pace, pure: a state and a time in, a decision out.
//!
//! A call passes when every rule lets it: no lock of its kind or of the
//! address, failing calls left, its own gap kept (the same folder, the account),
//! the learned gap of its kind kept, a token in the bucket and room in the burst window.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::call::Standing;
use super::state::{Lock, Micros, Recent, State};
use super::{Call, Class, Script, Subject};
use crate::api::limits::Limits;
use crate::ids::FolderId;

/// May this call go now?
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Decision {
    /// Yes.
    Go,
    /// Not before then.
    Wait { until: Micros, why: Why },
    /// Not with this key.
    KeyRefused,
}

/// Which rule holds a call back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Why {
    /// The rate of all calls.
    Rate,
    /// The learned or fixed gap between calls of this kind.
    Gap(Script),
    /// The same folder was listed less than 30 s ago.
    SameFolder,
    /// All files were listed less than an hour ago.
    AllFiles,
    /// The account's figures were asked for less than 10 minutes ago.
    Account,
    /// The service locked this kind of call.
    Lock(Script),
    /// The service locked our address.
    AddressLock,
    /// Too many calls failed in the last hour.
    FailingCalls,
    /// The service said a while ago that the account is not paid for.
    NotPaid,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Rate => f.write_str("other calls come first"),
            Why::Gap(script) => write!(f, "calls of {} are spaced out", script.name()),
            Why::SameFolder => f.write_str("the folder was listed a moment ago"),
            Why::AllFiles => f.write_str("all files were listed within the last hour"),
            Why::Account => f.write_str("the account was asked about a moment ago"),
            Why::Lock(script) => write!(f, "the service locked {}", script.name()),
            Why::AddressLock => f.write_str("the service locked this address"),
            Why::NotPaid => f.write_str("the account was not paid for when it was asked last"),
            Why::FailingCalls => f.write_str("too many calls failed within the last hour"),
        }
    }
}

/// What an answer tells the pace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::api) enum Verdict {
    /// The service dealt with the call, well or not.
    Answered,
    /// A flood lock of this kind of call.
    Flood,
    /// The harder lock of the address.
    AddressLocked,
    /// The account is in use elsewhere.
    Location,
    /// The account is not paid for.
    NotPaid,
    /// The key is refused.
    KeyRefused,
    /// No answer that tells anything.
    Nothing,
    /// The answer was not waited for: the call may get there yet.
    GivenUp,
    /// No connection came about: the service knows nothing of the call.
    NotSent,
}

/// What became of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::api) struct Report {
    /// What the answer tells.
    pub verdict: Verdict,
    /// Its HTTP status, if there was one.
    pub status: Option<u16>,
}

impl Report {
    /// The call did not leave.
    pub(super) fn not_sent() -> Report {
        Report {
            verdict: Verdict::NotSent,
            status: None,
        }
    }
}

fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX / 4)
}

/// The time of one call at a rate.
fn gap(rate: f64) -> Micros {
    // Rates come from the table and are above zero; the cast saturates.
    (1e6 / rate).ceil() as Micros
}

/// Brings a state up to now: what is past is forgotten, quiet raises rates.
pub(super) fn advance(state: &mut State, limits: &Limits, now: Micros) {
    if now < state.seen {
        state.shift(now - state.seen);
    }
    state.seen = now;
    let rate = limits.rate * state.rate;
    let earned = (now - state.tokens_at).max(0) as f64 / 1e6 * rate;
    state.tokens = (state.tokens + earned).min(f64::from(limits.burst));
    state.tokens_at = now;

    let folder_gap = micros(limits.folder_gap);
    state.folders.retain(|_, listed| now - *listed < folder_gap);
    let failing_window = micros(limits.failing_window);
    state
        .failing
        .retain(|failed| now - *failed < failing_window);

    state
        .recent
        .retain(|call| leaves_burst(call, limits, now) > now);

    let quiet = micros(limits.quiet).max(1);
    let hours = (now - state.quiet_since) / quiet;
    if hours > 0 {
        // Only hours that were really used show that more is borne; idle ones
        // lead back to the table's rate at most.
        let busy = state.quiet_calls as f64 >= limits.rate * limits.quiet.as_secs_f64() / 10.0;
        let top = if busy {
            limits.highest_rate / limits.rate
        } else {
            state.rate.max(1.0)
        };
        state.rate = (state.rate + 0.05 * hours.min(100) as f64).min(top);
        state.quiet_since += hours * quiet;
        state.quiet_calls = 0;
    }
    let week = micros(limits.kind_quiet).max(1);
    for kind in state.kinds.values_mut() {
        if let Some(rate) = kind.rate
            && now - kind.rate_since >= week
        {
            let raised = rate * 1.25;
            kind.rate = (raised < 1.0).then_some(raised);
            kind.rate_since = now;
        }
    }
}

/// Decides about a call at the time of the last [`advance`]. `key` is the print of
/// the key in use, `in_flight` the number of calls without an answer yet that may fail.
pub(super) fn decide(
    state: &State,
    limits: &Limits,
    call: &Call,
    standing: Standing,
    key: Option<&str>,
    in_flight: usize,
) -> Decision {
    let is_refused = state.is_refused(key);
    if is_refused && !call.insists {
        return Decision::KeyRefused;
    }
    let unpaid = state.unpaid_since(key);
    let now = state.seen;
    let kind_name = call.script.kind();
    let kind = state.kinds.get(&kind_name);

    let mut latest: Option<(Micros, Why)> = None;
    let mut not_before = |until: Micros, why: Why| {
        if until > now && latest.is_none_or(|(other, _)| until > other) {
            latest = Some((until, why));
        }
    };

    if let Some(said) = unpaid
        && !call.insists
    {
        not_before(said + micros(limits.unpaid_gap), Why::NotPaid);
    }
    let trial = micros(limits.trial);
    if let Some(lock) = &state.address {
        not_before(lock_end(lock, trial), Why::AddressLock);
    }
    if let Some(lock) = kind.and_then(|kind| kind.lock.as_ref()) {
        not_before(lock_end(lock, trial), Why::Lock(kind_name));
    }
    let in_trouble = kind.is_some_and(|kind| kind.in_trouble);
    if call.may_fail() || in_trouble || is_refused || unpaid.is_some() {
        let failed = state.failing.len();
        let window = micros(limits.failing_window);
        // By whose call it is: having waited for long does not open the reserve.
        let budget = match standing.class {
            Class::Interactive => limits.failing_calls,
            _ => limits.failing_calls.saturating_sub(limits.failing_reserve),
        };
        if failed >= budget {
            // The one whose end brings the number below the budget.
            let free = state.failing.get(failed - budget);
            not_before(free.map_or(now, |at| at + window), Why::FailingCalls);
        } else if failed > 0 && failed + in_flight >= budget {
            // Those on their way may all fail: wait for an answer.
            not_before(now + gap(limits.rate), Why::FailingCalls);
        }
    }
    match call.subject {
        Subject::Folder(_) | Subject::OthersRoot | Subject::Public(_) => {
            if let Some(listed) = state.folders.get(&number(call.subject)) {
                not_before(listed + micros(limits.folder_gap), Why::SameFolder);
            }
        }
        Subject::AllFiles => {
            if let Some(listed) = state.all_files {
                not_before(listed + micros(limits.all_files_gap), Why::AllFiles);
            }
        }
        Subject::Other => {}
    }
    if call.script == Script::Account
        && let Some(asked) = state.account
    {
        not_before(asked + micros(limits.account_gap), Why::Account);
    }
    if let Some(last) = kind.and_then(|kind| kind.last) {
        if let Some(rate) = kind.and_then(|kind| kind.rate) {
            not_before(last + gap(limits.rate * rate), Why::Gap(kind_name));
        }
        if kind_name == Script::FolderLs && standing.aged >= Class::Refresh {
            not_before(
                last + micros(limits.background_listing_gap),
                Why::Gap(kind_name),
            );
        }
        if kind_name == Script::FileInfo {
            not_before(last + micros(limits.file_info_gap), Why::Gap(kind_name));
        }
    }
    let need = 1.0 + standing.aged.reserve() - state.tokens;
    if need > 1e-9 {
        let wait = need / (limits.rate * state.rate) * 1e6;
        not_before(now + wait.ceil() as Micros, Why::Rate);
    }
    let burst = usize::try_from(limits.burst).unwrap_or(1).max(1);
    if let Some(surplus) = state.recent.len().checked_sub(burst) {
        let mut ends: Vec<Micros> = state
            .recent
            .iter()
            .map(|call| leaves_burst(call, limits, now))
            .collect();
        ends.sort_unstable();
        not_before(ends.get(surplus).copied().unwrap_or(now), Why::Rate);
    }
    match latest {
        None => Decision::Go,
        Some((until, why)) => Decision::Wait { until, why },
    }
}

/// The number by which a folder's last listing is noted; public folders have theirs apart
/// from those of accounts.
fn number(subject: Subject) -> u64 {
    match subject {
        Subject::Folder(id) => id.0,
        Subject::Public(number) => number | 1 << 63,
        Subject::OthersRoot | Subject::AllFiles | Subject::Other => FolderId::ROOT.0,
    }
}

/// When a call counts no more for the burst. For one without an answer yet it is
/// the time to look again.
fn leaves_burst(call: &Recent, limits: &Limits, now: Micros) -> Micros {
    let window = micros(limits.burst_window);
    match call.answered {
        Some(answered) => answered + window,
        None => (now + window).min(call.sent + micros(limits.under_way)),
    }
}

/// When a lock lets the next call through: at its end one trial call, the others
/// once that has an answer or is given up.
fn lock_end(lock: &Lock, trial: Micros) -> Micros {
    match lock.trial {
        Some(sent) => (sent + trial).max(lock.until),
        None => lock.until,
    }
}

/// Notes that a call goes out, at the time of the last [`advance`]. Who is killed before the
/// answer leaves the gaps running from the latest time at which the service may have had it.
pub(super) fn grant(state: &mut State, limits: &Limits, call: &Call) {
    let now = state.seen;
    let there = now + micros(limits.under_way);
    state.tokens -= 1.0;
    state.recent.push(Recent {
        sent: now,
        answered: None,
    });
    state.quiet_calls += 1;
    match call.subject {
        Subject::Folder(_) | Subject::OthersRoot | Subject::Public(_) => {
            state.folders.insert(number(call.subject), there);
        }
        Subject::AllFiles => state.all_files = Some(there),
        Subject::Other => {}
    }
    if call.script == Script::Account {
        state.account = Some(there);
    }
    *state.calls.entry(call.script).or_default() += 1;
    if let Some(lock) = &mut state.address {
        lock.trial = Some(now);
    }
    let kind = state.kinds.entry(call.script.kind()).or_default();
    kind.last = Some(now);
    if let Some(lock) = &mut kind.lock {
        lock.trial = Some(now);
    }
}

/// Notes what became of a call that went out at `sent`.
pub(super) fn report(
    state: &mut State,
    limits: &Limits,
    call: &Call,
    sent: Micros,
    key: Option<&str>,
    report: Report,
) {
    let now = state.seen;
    // A lock has a wait of its own, and says nothing against the call.
    let is_lock = matches!(report.verdict, Verdict::Flood | Verdict::AddressLocked);
    let has_failed = !is_lock && matches!(report.status, Some(401 | 403 | 404 | 410));
    if has_failed {
        state.failing.push(now);
    }
    if !call.may_fail() && (has_failed || report.verdict == Verdict::Answered) {
        let kind = state.kinds.entry(call.script.kind()).or_default();
        kind.in_trouble = has_failed;
    }
    arrived(state, limits, call, sent, report.verdict);
    let kind_name = call.script.kind();
    // An answer to a call from before the refusal says nothing of it.
    let is_known = matches!(report.verdict, Verdict::Answered | Verdict::NotPaid);
    if is_known && call.insists && state.is_refused(key) {
        state.refused_key = None;
    }
    match report.verdict {
        Verdict::Answered => {
            if state.unpaid_since(key).is_some() {
                state.unpaid = None;
            }
            // An answer to a call from before the lock says nothing about it.
            if state.address.as_ref().is_some_and(|lock| sent > lock.since) {
                state.address = None;
            }
            if let Some(kind) = state.kinds.get_mut(&kind_name)
                && kind.lock.as_ref().is_some_and(|lock| sent > lock.since)
            {
                kind.lock = None;
            }
        }
        Verdict::Nothing | Verdict::GivenUp | Verdict::NotSent => {
            // The trial told nothing: another may follow.
            let kind = state.kinds.get_mut(&kind_name);
            let kind_lock = kind.and_then(|kind| kind.lock.as_mut());
            for lock in state.address.iter_mut().chain(kind_lock) {
                if lock.trial == Some(sent) {
                    lock.trial = None;
                }
            }
        }
        Verdict::Flood => {
            if lock_kind(state, limits, kind_name, sent, limits.first_lock) {
                slow_down(state, limits, kind_name);
            }
        }
        Verdict::Location => {
            lock_kind(state, limits, kind_name, sent, limits.location_lock);
        }
        Verdict::AddressLocked => {
            state.locks += 1;
            state.quiet_since = now;
            state.quiet_calls = 0;
            state.address = Some(Lock {
                since: now,
                until: now + micros(limits.address_lock),
                trial: None,
            });
        }
        Verdict::KeyRefused => state.refused_key = key.map(str::to_owned),
        Verdict::NotPaid => state.unpaid = key.map(|key| (key.to_owned(), now)),
    }
}

/// Lets the gaps run from the answer, for nobody knows when between the two the
/// service counted the call; and not at all if it never got there. One that was given up may
/// get there as long as that of a process that was killed (see [`grant`]).
fn arrived(state: &mut State, limits: &Limits, call: &Call, sent: Micros, verdict: Verdict) {
    let now = state.seen;
    let there = match verdict {
        Verdict::GivenUp => now.max(sent + micros(limits.under_way)),
        _ => now,
    };
    let mut under_way = state.recent.iter_mut();
    if let Some(recent) = under_way.find(|call| call.sent == sent && call.answered.is_none()) {
        recent.answered = Some(there);
    }
    let counted = (verdict != Verdict::NotSent).then_some(there);
    match (call.subject, counted) {
        (Subject::Folder(_) | Subject::OthersRoot | Subject::Public(_), Some(there)) => {
            state.folders.insert(number(call.subject), there);
        }
        (Subject::Folder(_) | Subject::OthersRoot | Subject::Public(_), None) => {
            state.folders.remove(&number(call.subject));
        }
        (Subject::AllFiles, counted) => state.all_files = counted,
        (Subject::Other, _) => {}
    }
    if call.script == Script::Account {
        state.account = counted;
    }
    let kind = state.kinds.entry(call.script.kind()).or_default();
    kind.last = Some(now);
}

/// Locks a kind of call; false if the call went out before a lock that is known
/// already, so that it is the same lock seen twice.
fn lock_kind(
    state: &mut State,
    limits: &Limits,
    kind_name: Script,
    sent: Micros,
    first: Duration,
) -> bool {
    let now = state.seen;
    let kind = state.kinds.entry(kind_name).or_default();
    if kind.lock.as_ref().is_some_and(|lock| sent <= lock.since) {
        return false;
    }
    let again = kind.strikes > 0 && now - kind.last_lock < micros(limits.longest_lock);
    kind.strikes = if again {
        kind.strikes.saturating_add(1)
    } else {
        1
    };
    let doublings = (kind.strikes - 1).min(16);
    let silence = (micros(first) << doublings).min(micros(limits.longest_lock));
    kind.last_lock = now + silence;
    kind.lock = Some(Lock {
        since: now,
        until: now + silence,
        trial: None,
    });
    // A trial of the address's lock got an answer after all: of this kind's lock.
    if state.address.as_ref().is_some_and(|lock| sent > lock.since) {
        state.address = None;
    }
    state.locks += 1;
    state.quiet_since = now;
    state.quiet_calls = 0;
    true
}

/// Learns from a flood lock.
fn slow_down(state: &mut State, limits: &Limits, kind_name: Script) {
    let now = state.seen;
    state.rate = (state.rate * 0.75).max(limits.lowest_rate / limits.rate);
    let kind = state.kinds.entry(kind_name).or_default();
    kind.rate = Some(if kind_name == Script::FolderLs {
        // The rate is known for listings: no need to find it lock by lock.
        limits.careful_listing_rate / limits.rate
    } else {
        (kind.rate.unwrap_or(1.0) / 2.0).max(limits.lowest_kind_rate / limits.rate)
    });
    kind.rate_since = now;
}

#[cfg(test)]
mod tests;
