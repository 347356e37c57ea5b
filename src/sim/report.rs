//! What happened: counters and protocol violations, as JSON for tests and people.

use super::clock::SimTime;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Violations kept in full; more are only counted.
const KEPT_VIOLATIONS: usize = 1_000;

/// A snapshot of the counters.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// API calls, and requests to the other roles, by endpoint (`file/ls`, `upload`, `end.pl`,
    /// `download`, `site`).
    pub calls: BTreeMap<String, u64>,
    /// API calls in all (without uploads, end.pl, downloads and the site).
    pub api_calls: u64,
    /// Most API calls in any second of simulated time.
    pub peak_calls_per_second: u64,
    /// Answers outside 2xx of any role, by status.
    pub failing: BTreeMap<u16, u64>,
    /// API answers with `status: KO`, by endpoint.
    pub refused: BTreeMap<String, u64>,
    /// Connections.
    pub connections: Gauge,
    /// Downloads and uploads under way.
    pub transfers: Gauge,
    /// Bytes of files sent.
    pub bytes_down: u64,
    /// Bytes of files received.
    pub bytes_up: u64,
    /// Files received and kept.
    pub uploads: u64,
    /// Those among them that belong to nobody.
    pub guest_uploads: u64,
    /// Locks that began, by whatever cause.
    pub locks: u64,
    /// Bans that began.
    pub bans: u64,
    /// Calls answered with a lock or ban.
    pub locked_calls: u64,
    /// Excesses within the tolerance of a limit.
    pub tolerated: u64,
    /// Faults that struck.
    pub faults: u64,
    /// Requests to a download host, or to the site, that carried the key. rclone does that; it is unwise, no offence.
    pub key_leaks: u64,
    /// How often a client did what it must not, by kind.
    pub violation_counts: BTreeMap<String, u64>,
    /// The first of them.
    pub violations: Vec<Violation>,
}

/// Something counted up and down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauge {
    /// Now.
    pub now: u64,
    /// The most at a time.
    pub peak: u64,
    /// In all.
    pub total: u64,
}

/// Something that a well-behaved client does not do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Violation {
    /// When, in seconds of simulated time.
    pub at: f64,
    /// What sort.
    pub kind: Offence,
    /// At which endpoint.
    pub endpoint: String,
    /// In words.
    pub detail: String,
}

/// Sorts of violations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Offence {
    /// More calls than a limit allows.
    LimitExceeded,
    /// A call during a lock or ban.
    CallDuringLock,
    /// So many failing calls that a ban followed.
    FailingCalls,
    /// A request that the service cannot make sense of.
    Malformed,
    /// A request that makes no sense for a careful client, though well formed.
    Careless,
    /// More transfers at a time than allowed, or from two places.
    Transfers,
    /// A download URL used after its time or more often than it allows.
    Token,
}

impl Offence {
    fn name(self) -> &'static str {
        match self {
            Offence::LimitExceeded => "limit_exceeded",
            Offence::CallDuringLock => "call_during_lock",
            Offence::FailingCalls => "failing_calls",
            Offence::Malformed => "malformed",
            Offence::Careless => "careless",
            Offence::Transfers => "transfers",
            Offence::Token => "token",
        }
    }
}

impl Report {
    /// Violations in all.
    pub fn violation_count(&self) -> u64 {
        self.violation_counts.values().sum()
    }

    /// Calls of an endpoint.
    pub fn calls_of(&self, endpoint: &str) -> u64 {
        self.calls.get(endpoint).copied().unwrap_or(0)
    }
}

/// Collects the report; shared by all connections.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    report: Report,
    last_second: VecDeque<SimTime>,
}

impl Recorder {
    /// The counters now.
    pub fn report(&self) -> Report {
        self.inner.lock().report.clone()
    }

    /// Begins again; what is under way stays counted as such.
    pub fn reset(&self) {
        let mut inner = self.inner.lock();
        let fresh = |old: Gauge| Gauge {
            now: old.now,
            peak: old.now,
            total: old.now,
        };
        inner.report = Report {
            connections: fresh(inner.report.connections),
            transfers: fresh(inner.report.transfers),
            ..Report::default()
        };
        inner.last_second.clear();
    }

    /// An API call.
    pub fn api_call(&self, now: SimTime, endpoint: &str) {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        count(&mut inner.report.calls, endpoint);
        inner.report.api_calls += 1;
        inner.last_second.push_back(now);
        while inner
            .last_second
            .front()
            .is_some_and(|time| now.saturating_sub(*time) >= Duration::from_secs(1))
        {
            inner.last_second.pop_front();
        }
        let rate = inner.last_second.len() as u64;
        inner.report.peak_calls_per_second = inner.report.peak_calls_per_second.max(rate);
    }

    /// A request to another role.
    pub fn request(&self, role: &str) {
        count(&mut self.inner.lock().report.calls, role);
    }

    /// An API answer with KO.
    pub fn refused(&self, endpoint: &str) {
        count(&mut self.inner.lock().report.refused, endpoint);
    }

    /// An answer's HTTP status.
    pub fn status(&self, status: u16) {
        if !(200..400).contains(&status) {
            *self.inner.lock().report.failing.entry(status).or_default() += 1;
        }
    }

    /// A violation.
    pub fn violation(&self, now: SimTime, kind: Offence, endpoint: &str, detail: String) {
        let mut inner = self.inner.lock();
        let report = &mut inner.report;
        count(&mut report.violation_counts, kind.name());
        if report.violations.len() < KEPT_VIOLATIONS {
            report.violations.push(Violation {
                at: now.as_secs_f64(),
                kind,
                endpoint: endpoint.to_owned(),
                detail,
            });
        }
    }

    /// Any other change of the counters.
    pub fn update(&self, change: impl FnOnce(&mut Report)) {
        change(&mut self.inner.lock().report);
    }

    /// Counts a connection until the guard is dropped.
    pub fn connection(&self) -> GaugeGuard {
        GaugeGuard::new(self, |report| &mut report.connections)
    }

    /// Counts a transfer until the guard is dropped.
    pub fn transfer(&self) -> GaugeGuard {
        GaugeGuard::new(self, |report| &mut report.transfers)
    }
}

fn count(map: &mut BTreeMap<String, u64>, name: &str) {
    match map.get_mut(name) {
        Some(value) => *value += 1,
        None => {
            map.insert(name.to_owned(), 1);
        }
    }
}

/// Holds one of a [`Gauge`].
#[derive(Debug)]
pub struct GaugeGuard {
    recorder: Recorder,
    gauge: fn(&mut Report) -> &mut Gauge,
}

impl GaugeGuard {
    fn new(recorder: &Recorder, gauge: fn(&mut Report) -> &mut Gauge) -> GaugeGuard {
        recorder.update(|report| {
            let gauge = gauge(report);
            gauge.now += 1;
            gauge.total += 1;
            gauge.peak = gauge.peak.max(gauge.now);
        });
        GaugeGuard {
            recorder: recorder.clone(),
            gauge,
        }
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        let gauge = self.gauge;
        self.recorder.update(|report| {
            let gauge = gauge(report);
            gauge.now = gauge.now.saturating_sub(1);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_rate_is_the_most_in_any_second() {
        let recorder = Recorder::default();
        for ms in [0, 500, 900, 1_400, 1_450, 1_480, 5_000] {
            recorder.api_call(Duration::from_millis(ms), "file/ls");
        }
        let report = recorder.report();
        assert_eq!(report.peak_calls_per_second, 5);
        assert_eq!(report.calls_of("file/ls"), 7);
    }

    #[test]
    fn gauges_go_down_again_and_survive_a_reset() {
        let recorder = Recorder::default();
        let first = recorder.connection();
        let second = recorder.connection();
        drop(first);
        recorder.reset();
        assert_eq!(recorder.report().connections.now, 1);
        drop(second);
        let report = recorder.report();
        assert_eq!(
            report.connections,
            Gauge {
                now: 0,
                peak: 1,
                total: 1
            }
        );
    }

    #[test]
    fn violations_are_counted_by_kind() {
        let recorder = Recorder::default();
        for _ in 0..2 {
            recorder.violation(Duration::ZERO, Offence::Malformed, "upload", "x".into());
        }
        let report = recorder.report();
        assert_eq!(report.violation_count(), 2);
        assert_eq!(report.violation_counts.get("malformed"), Some(&2));
    }
}
