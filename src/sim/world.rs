//! The state that all connections share, and the small rules that tie its parts
//! together.
//!
//! One lock guards the model ([`State`]), another one each the report and the faults; none
//! is held across an await, and they are never nested in another order than
//! state, then report.

use super::account::{Account, ROOT, Refusal, SharedWith, When};
use super::clock::{Clock, SimTime};
use super::config::{AccountConfig, SimConfig};
use super::faults::Faults;
use super::limits::{Call, LimitBook, Locked, News, Prolong, Slack};
use super::quirks::Quirks;
use super::report::{Offence, Recorder};
use super::shape::Bucket;
use super::token::Token;
use super::uploads::Uploads;
use jiff::Timestamp;
use parking_lot::Mutex;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Real time within which a call may still arrive that was sent before its sender
/// could know of a lock.
const NOTICE: Duration = Duration::from_millis(1_000);

/// Real time by which calls may come closer together than they were sent.
const JITTER: Duration = Duration::from_millis(20);

/// See the module.
#[derive(Debug)]
pub struct World {
    /// What it was started with.
    pub config: SimConfig,
    /// Time.
    pub clock: Clock,
    /// The model.
    pub state: Mutex<State>,
    /// Faults in force.
    pub faults: Faults,
    /// Counters.
    pub recorder: Recorder,
    /// All downloads.
    pub down: Bucket,
    /// All uploads.
    pub up: Bucket,
    /// Where the plain listener is.
    pub plain: SocketAddr,
}

/// The model: everything that calls change.
#[derive(Debug)]
pub struct State {
    /// The accounts, by number.
    pub accounts: Vec<Account>,
    /// Their owners.
    pub profiles: Vec<Profile>,
    /// Counters of the limits.
    pub limits: LimitBook,
    /// Download URLs, by the part after `/p`.
    pub tokens: HashMap<String, Token>,
    /// Upload nodes given out, and results.
    pub uploads: Uploads,
    /// Assumptions in force.
    pub quirks: Quirks,
    /// How long listings lag.
    pub lag: Duration,
    /// Randomness of answers.
    pub random: StdRng,
    /// From where accounts last downloaded.
    pub places: HashMap<usize, (IpAddr, SimTime)>,
    /// Downloads under way, by account.
    pub transfers: HashMap<usize, u32>,
}

/// An account's owner.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Key, offer, quota.
    pub config: AccountConfig,
    /// Uploads are refused.
    pub upload_forbidden: bool,
    /// What `user/info` sets and shows.
    pub options: HashMap<&'static str, i64>,
}

impl World {
    /// A world that begins now.
    pub fn new(config: SimConfig, plain: SocketAddr) -> World {
        let clock = Clock::start(config.time_scale);
        let date = now();
        let limits = LimitBook::new(
            config.limits.table(),
            config.lock_length,
            Prolong::of(&config.quirks),
            Slack {
                notice: clock.to_sim(NOTICE),
                jitter: clock.to_sim(JITTER),
            },
        );
        let profile = |config: &AccountConfig| Profile {
            config: config.clone(),
            upload_forbidden: false,
            options: HashMap::new(),
        };
        let state = State {
            accounts: (0..config.accounts.len())
                .map(|number| Account::new(config.seed, number, date))
                .collect(),
            profiles: config.accounts.iter().map(profile).collect(),
            limits,
            tokens: HashMap::new(),
            uploads: Uploads::default(),
            quirks: config.quirks.clone(),
            lag: config.listing_lag,
            random: StdRng::seed_from_u64(config.seed),
            places: HashMap::new(),
            transfers: HashMap::new(),
        };
        World {
            clock,
            state: Mutex::new(state),
            faults: Faults::new(config.seed),
            recorder: Recorder::default(),
            down: Bucket::new(config.shape.total_bps),
            up: Bucket::new(config.shape.upload_bps),
            plain,
            config,
        }
    }

    /// Records a violation.
    pub fn violation(&self, kind: Offence, endpoint: &str, detail: impl Into<String>) {
        let detail = detail.into();
        tracing::debug!(?kind, endpoint, detail, "violation");
        self.recorder
            .violation(self.clock.now(), kind, endpoint, detail);
    }

    /// Judges a call by the limits, and reports.
    pub fn judge(&self, state: &mut State, call: Call) -> Result<(), Locked> {
        state.limits.set_prolong(Prolong::of(&state.quirks));
        let (verdict, news) = state.limits.call(self.clock.now(), call);
        self.tell(call, verdict, news)
    }

    fn tell(&self, call: Call, verdict: Result<(), Locked>, news: Vec<News>) -> Result<(), Locked> {
        for item in news {
            self.report_news(call.script, item);
        }
        if verdict.is_err() {
            self.recorder.update(|report| report.locked_calls += 1);
        }
        verdict
    }

    /// Whether an address is banned.
    pub fn is_banned(&self, ip: IpAddr) -> bool {
        self.state.lock().limits.banned(self.clock.now(), ip)
    }

    /// Counts the start of a download of a small file, and judges it.
    pub fn judge_small(&self, state: &mut State, call: Call) -> Result<(), Locked> {
        let (verdict, news) = state.limits.small_download(self.clock.now(), call);
        self.tell(call, verdict, news)
    }

    /// Counts a failing API answer, which may lead to a ban.
    pub fn failed(&self, endpoint: &str, ip: IpAddr) {
        let news = self.state.lock().limits.failed(self.clock.now(), ip);
        if let Some(item) = news {
            self.report_news(endpoint, item);
        }
    }

    /// What strikes a request, if anything.
    pub fn strike(&self, endpoint: &str, ids: &[String]) -> Option<super::faults::FaultKind> {
        let fault = self.faults.strike(endpoint, ids)?;
        self.recorder.update(|report| report.faults += 1);
        Some(fault)
    }

    fn report_news(&self, endpoint: &str, news: News) {
        match news {
            News::Exceeded(text) => {
                self.recorder.update(|report| report.locks += 1);
                self.violation(Offence::LimitExceeded, endpoint, text);
            }
            News::Tolerated(_) => self.recorder.update(|report| report.tolerated += 1),
            News::DuringLock(_) => {
                self.violation(Offence::CallDuringLock, endpoint, "call during a lock");
            }
            News::Banned(allowed) => {
                self.recorder.update(|report| report.bans += 1);
                let text = format!("more than {allowed} failing calls");
                self.violation(Offence::FailingCalls, endpoint, text);
            }
        }
    }
}

impl State {
    /// The account of a key.
    pub fn account_of(&self, key: &str) -> Option<usize> {
        self.profiles
            .iter()
            .position(|profile| profile.config.key == key)
    }

    /// Runs a change of an account's model under the circumstances in force.
    pub fn with_account<T>(
        &mut self,
        number: usize,
        clock: &Clock,
        change: impl FnOnce(&mut Account, When<'_>) -> T,
    ) -> Option<T> {
        let when = When {
            now: clock.now(),
            date: now(),
            lag: self.lag,
            quirks: &self.quirks,
        };
        let account = self.accounts.get_mut(number)?;
        Some(change(account, when))
    }

    /// The account that has a folder, where the caller may see it; and how that is shared with
    /// the caller, where it is not its own.
    pub fn reach(&self, caller: usize, folder: u64) -> Option<(usize, Option<SharedWith>)> {
        if self.accounts.get(caller)?.has(folder) {
            return Some((caller, None));
        }
        let email = &self.profiles.get(caller)?.config.email;
        // Every account has a root.
        let mut others = self.accounts.iter().enumerate().filter(|_| folder != ROOT);
        others.find_map(|(number, account)| Some((number, Some(account.grant(folder, email)?))))
    }

    /// The account to change, where the caller may change something in a folder.
    pub fn reach_to_change(&self, caller: usize, folder: u64) -> Result<usize, Refusal> {
        match self.reach(caller, folder) {
            Some((number, None)) => Ok(number),
            Some((number, Some(grant))) if grant.rw == 1 => Ok(number),
            Some(_) => Err(Refusal::NotAllowed),
            None => Err(Refusal::FolderNotFound),
        }
    }

    /// The account of an address.
    pub fn account_of_email(&self, email: &str) -> Option<usize> {
        self.profiles
            .iter()
            .position(|profile| profile.config.email == email)
    }

    /// The account and file of a link.
    pub fn find_link(&self, url: &str) -> Option<(usize, &super::account::File)> {
        self.accounts
            .iter()
            .enumerate()
            .find_map(|(number, account)| Some((number, account.by_url(url)?)))
    }

    /// Whether an account may be used from a place, which binds it to that place for
    /// a while if so (API notes 4.4).
    pub fn use_from(&mut self, account: usize, ip: IpAddr, now: SimTime) -> bool {
        let Some(hold) = self.limits.table().location else {
            return true;
        };
        if let Some((place, last)) = self.places.get(&account)
            && *place != ip
            && now.saturating_sub(*last) < hold
        {
            return false;
        }
        self.places.insert(account, (ip, now));
        true
    }
}

/// The date that new things get: whole seconds, as the service keeps them.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}
