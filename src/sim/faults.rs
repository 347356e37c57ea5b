//! Faults on demand: what to do wrong, where, and how often.
//!
//! A [`Fault`] waits for requests to the endpoints that its pattern fits and
//! strikes the given number of times. At most one strikes a request: the first one
//! that fits and applies there.

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What to do wrong, where, how often. As JSON:
/// `{"on":"download","kind":"reset","after_bytes":65536,"times":2}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// An endpoint (`file/ls`, `download/get_token`, …), or one of the roles `upload`, `end.pl`,
    /// `download` and `site`. A `*` at the end stands for anything (`file/*`, `*`).
    pub on: String,
    /// Only requests that concern this: the id of a file, or of a folder, in decimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How often it strikes; null means always.
    #[serde(default = "once")]
    pub times: Option<u32>,
    /// How many fitting requests it lets pass first.
    #[serde(default)]
    pub skip: u32,
    /// How likely it strikes, from 0 to 1.
    #[serde(default = "certain")]
    pub probability: f64,
    /// What goes wrong.
    #[serde(flatten)]
    pub what: FaultKind,
}

fn once() -> Option<u32> {
    Some(1)
}

fn certain() -> f64 {
    1.0
}

fn forbidden() -> u16 {
    403
}

impl Fault {
    /// A fault that strikes once.
    pub fn new(on: &str, what: FaultKind) -> Fault {
        Fault {
            on: on.to_owned(),
            id: None,
            times: once(),
            skip: 0,
            probability: certain(),
            what,
        }
    }

    /// Strikes that often.
    #[must_use]
    pub fn times(self, times: u32) -> Fault {
        Fault {
            times: Some(times),
            ..self
        }
    }

    /// Strikes until removed.
    #[must_use]
    pub fn always(self) -> Fault {
        Fault {
            times: None,
            ..self
        }
    }

    /// Lets that many requests pass first.
    #[must_use]
    pub fn after(self, skip: u32) -> Fault {
        Fault { skip, ..self }
    }

    /// Strikes requests that concern this file or folder only.
    #[must_use]
    pub fn only(self, id: impl ToString) -> Fault {
        Fault {
            id: Some(id.to_string()),
            ..self
        }
    }

    /// Strikes at random.
    #[must_use]
    pub fn probability(self, probability: f64) -> Fault {
        Fault {
            probability,
            ..self
        }
    }

    fn fits(&self, endpoint: &str, ids: &[String]) -> bool {
        let place = match self.on.strip_suffix('*') {
            Some(prefix) => endpoint.starts_with(prefix),
            None => self.on == endpoint,
        };
        let id = match &self.id {
            None => true,
            Some(id) => ids.contains(id),
        };
        place && id && self.what.applies_to(endpoint)
    }
}

/// What goes wrong. Times are real time, positions are bytes of the answer's (for
/// `upload`: the request's) body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// An HTML page with this status, nothing done.
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// KO, nothing done.
    Ko {
        /// The text.
        message: String,
        /// The HTTP status.
        #[serde(default = "forbidden")]
        status: u16,
    },
    /// The answer comes late.
    Delay {
        /// By that much.
        seconds: f64,
    },
    /// The transfer stops in the middle, then goes on.
    Stall {
        /// After so many bytes.
        #[serde(default)]
        after_bytes: u64,
        /// For that long.
        seconds: f64,
    },
    /// The connection is reset. Calls are not carried out.
    Reset {
        /// After so many bytes (transfers only).
        #[serde(default)]
        after_bytes: u64,
    },
    /// The request is carried out, then the connection is reset instead of an answer.
    LoseAnswer,
    /// The answer ends early, with an orderly close.
    Truncate {
        /// After so many bytes.
        after_bytes: u64,
    },
    /// The call is carried out, its JSON is broken.
    CorruptJson,
    /// An HTML page with status 200, nothing done.
    Page,
    /// A lock begins.
    Flood {
        /// Of what.
        #[serde(default)]
        lock: LockKind,
        /// For how long (simulated time); as configured if missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seconds: Option<f64>,
    },
    /// Downloads: the whole file with 200 to a Range.
    IgnoreRange,
    /// Downloads: a Content-Range that is off by this many bytes (the bytes are as asked for).
    WrongContentRange {
        /// Added to both ends.
        shift: i64,
    },
    /// Downloads: one bit of the byte at this position of the file is wrong.
    FlipBit {
        /// Offset in the file.
        at: u64,
    },
    /// Downloads: as if the token had run out.
    TokenExpired,
    /// Downloads: a redirection to the page for database trouble.
    Redirect,
    /// Uploads: refused with this sentence in the page.
    UploadRefused {
        /// For example `Ne peut ouvrir le fichier destination`.
        sentence: String,
    },
    /// Uploads: taken as if no key had come with them: they are anybody's.
    AsGuest,
    /// end.pl: the wait page for that long from now on (simulated time).
    WaitPage {
        /// How long.
        seconds: f64,
    },
    /// end.pl: JSON without links.
    EmptyLinks,
    /// end.pl: each link twice.
    SeveralLinks,
    /// end.pl: a checksum that is not that of the content.
    WrongChecksum,
    /// `upload/get_upload_server`: a node that nobody can reach.
    NodeDown,
}

/// Sorts of locks, by the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockKind {
    /// `Flood detected: IP Locked`, of this script.
    #[default]
    Ip,
    /// `Flood detected: User Locked`, of this script.
    User,
    /// `Flood detected: User APK Locked`, of this script.
    Key,
    /// `IP Locked`, of everything.
    Ban,
}

impl FaultKind {
    fn applies_to(&self, endpoint: &str) -> bool {
        use FaultKind::*;
        let api = endpoint.contains('/');
        match self {
            Status { .. } | Delay { .. } | Reset { .. } | LoseAnswer | Page => true,
            Ko { .. } | Flood { .. } => api,
            CorruptJson => api || endpoint == "end.pl" || endpoint == "site",
            Stall { .. } => endpoint != "site",
            Truncate { .. } => endpoint != "upload",
            IgnoreRange | WrongContentRange { .. } | FlipBit { .. } | TokenExpired | Redirect => {
                endpoint == "download"
            }
            UploadRefused { .. } | AsGuest => endpoint == "upload",
            WaitPage { .. } | EmptyLinks | SeveralLinks | WrongChecksum => endpoint == "end.pl",
            NodeDown => endpoint == "upload/get_upload_server",
        }
    }
}

/// The faults in force. Clones share them.
#[derive(Debug, Clone)]
pub struct Faults {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    faults: Vec<Fault>,
    random: StdRng,
}

impl Faults {
    /// None yet.
    pub fn new(seed: u64) -> Faults {
        Faults {
            inner: Arc::new(Mutex::new(Inner {
                faults: Vec::new(),
                random: StdRng::seed_from_u64(seed ^ 0x000F_A017),
            })),
        }
    }

    /// Adds one, after those that are there.
    pub fn add(&self, fault: Fault) {
        self.inner.lock().faults.push(fault);
    }

    /// Removes all.
    pub fn clear(&self) {
        self.inner.lock().faults.clear();
    }

    /// Those still in force.
    pub fn list(&self) -> Vec<Fault> {
        self.inner.lock().faults.clone()
    }

    /// The fault that strikes a request, used up by one.
    pub(super) fn strike(&self, endpoint: &str, ids: &[String]) -> Option<FaultKind> {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let mut hit = None;
        for fault in &mut inner.faults {
            if !fault.fits(endpoint, ids) || fault.times == Some(0) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            let strikes = inner.random.random_bool(fault.probability.clamp(0.0, 1.0));
            if strikes {
                fault.times = fault.times.map(|left| left - 1);
                hit = Some(fault.what.clone());
                break;
            }
        }
        inner.faults.retain(|fault| fault.times != Some(0));
        hit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_form() {
        let text = r#"{"on":"download","kind":"reset","after_bytes":65536,"times":2}"#;
        let fault: Fault = serde_json::from_str(text).unwrap();
        let built = Fault::new(
            "download",
            FaultKind::Reset {
                after_bytes: 65_536,
            },
        )
        .times(2);
        assert_eq!(fault, built);
        let always: Fault =
            serde_json::from_str(r#"{"on":"*","kind":"page","times":null}"#).unwrap();
        assert_eq!(always.times, None);
        let flood: Fault =
            serde_json::from_str(r#"{"on":"file/ls","kind":"flood","lock":"ban"}"#).unwrap();
        assert!(matches!(
            flood.what,
            FaultKind::Flood {
                lock: LockKind::Ban,
                ..
            }
        ));
    }

    #[test]
    fn strikes_where_it_fits_and_as_often_as_told() {
        let faults = Faults::new(1);
        faults.add(Fault::new("file/*", FaultKind::Page).times(2).after(1));
        assert_eq!(faults.strike("folder/ls", &[]), None);
        assert_eq!(faults.strike("file/ls", &[]), None);
        assert_eq!(faults.strike("file/ls", &[]), Some(FaultKind::Page));
        assert_eq!(faults.strike("file/mv", &[]), Some(FaultKind::Page));
        assert_eq!(faults.strike("file/mv", &[]), None);
        assert!(faults.list().is_empty());
    }

    #[test]
    fn only_what_concerns_the_id() {
        let faults = Faults::new(1);
        faults.add(Fault::new("*", FaultKind::Page).only(42).always());
        assert_eq!(faults.strike("folder/ls", &["7".into()]), None);
        let hit = faults.strike("folder/ls", &["42".into()]);
        assert_eq!(hit, Some(FaultKind::Page));
    }

    #[test]
    fn a_fault_is_not_used_up_where_it_means_nothing() {
        let faults = Faults::new(1);
        faults.add(Fault::new("*", FaultKind::IgnoreRange));
        assert_eq!(faults.strike("file/ls", &[]), None);
        assert_eq!(faults.strike("download", &[]), Some(FaultKind::IgnoreRange));
    }

    #[test]
    fn chance_is_chance() {
        let faults = Faults::new(1);
        faults.add(Fault::new("*", FaultKind::Page).always().probability(0.3));
        let hits = (0..1_000)
            .filter(|_| faults.strike("site", &[]).is_some())
            .count();
        assert!((200..400).contains(&hits), "{hits}");
    }
}
