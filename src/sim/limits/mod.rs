//! Rate limits, locks and bans: pure counters, time comes in from outside.
//!
//! [`LimitBook`] is asked once per API call ([`LimitBook::call`]) and told of every
//! failing answer ([`LimitBook::failed`]). Locks are per script and per
//! IP or account, as observed (API notes 6); a ban closes the whole API to
//! an IP. Everything that a well-behaved client would not have caused comes back
//! as [`News`], for the report.

mod table;

pub use table::{LimitTable, Limits, Rule, SMALL};

use super::clock::SimTime;
use super::quirks::Quirks;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An address.
    Ip(IpAddr),
    /// An account, by its number.
    Account(usize),
}

/// What is being listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listing {
    /// One folder. The second value tells counters of different scripts apart
    /// where they are not common.
    Folder(u64, &'static str),
    /// All files of the account.
    All,
}

/// A call, as far as limits go.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// The script, such as `file/ls`.
    pub script: &'static str,
    /// Where it comes from.
    pub ip: IpAddr,
    /// Whose key it carried, if any.
    pub account: Option<usize>,
    /// What it lists, if it does.
    pub listing: Option<Listing>,
}

/// A refusal of the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locked {
    /// `Flood detected: IP Locked`.
    Ip,
    /// `Flood detected: User Locked`.
    User,
    /// `Flood detected: User APK Locked`.
    Key,
    /// The bare `IP Locked` of a ban.
    Banned,
}

/// Something to report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A limit was exceeded; a lock began.
    Exceeded(String),
    /// A limit was exceeded within its tolerance.
    Tolerated(String),
    /// A call during a lock that its sender must have known of.
    DuringLock(&'static str),
    /// Too many failing calls; a ban began.
    Banned(u32),
}

/// The counters. One for all accounts and addresses.
#[derive(Debug)]
pub struct LimitBook {
    table: LimitTable,
    lock_length: Duration,
    prolong: Prolong,
    /// What arrives sooner than this after a lock began was already under way.
    notice: Duration,
    /// How much shorter than a window the distance may be, for the network's jitter.
    jitter: Duration,
    windows: HashMap<(RuleName, Key), VecDeque<SimTime>>,
    excesses: HashMap<(RuleName, Key), VecDeque<SimTime>>,
    locks: HashMap<(&'static str, Subject), Lock>,
    bans: HashMap<IpAddr, SimTime>,
    failures: HashMap<IpAddr, VecDeque<SimTime>>,
}

/// Whether calls during a lock make it longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prolong {
    /// Each begins the lock anew.
    Yes,
    /// The lock ends when it was going to.
    No,
}

impl Prolong {
    /// As the quirks have it.
    pub fn of(quirks: &Quirks) -> Prolong {
        if quirks.prolong_locks {
            Prolong::Yes
        } else {
            Prolong::No
        }
    }
}

/// How the network's delays count: both in simulated time.
#[derive(Debug, Clone, Copy)]
pub struct Slack {
    /// How long after a lock began calls may still arrive that were sent before.
    pub notice: Duration,
    /// By how much two calls may come closer than they were sent.
    pub jitter: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum RuleName {
    Calls,
    Folder,
    Listings,
    AllFiles,
    UserInfo,
    FileInfo,
    SmallDownloads,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Subject(Subject),
    Listed(Subject, Listing),
}

#[derive(Debug, Clone, Copy)]
struct Lock {
    kind: Locked,
    begun: SimTime,
    until: SimTime,
}

impl LimitBook {
    /// Empty counters.
    pub fn new(
        table: LimitTable,
        lock_length: Duration,
        prolong: Prolong,
        slack: Slack,
    ) -> LimitBook {
        LimitBook {
            table,
            lock_length,
            prolong,
            notice: slack.notice,
            jitter: slack.jitter,
            windows: HashMap::new(),
            excesses: HashMap::new(),
            locks: HashMap::new(),
            bans: HashMap::new(),
            failures: HashMap::new(),
        }
    }

    /// Changes what calls during a lock do.
    pub fn set_prolong(&mut self, prolong: Prolong) {
        self.prolong = prolong;
    }

    /// The figures in force.
    pub fn table(&self) -> &LimitTable {
        &self.table
    }

    /// Counts a call and judges it.
    pub fn call(&mut self, now: SimTime, call: Call) -> (Result<(), Locked>, Vec<News>) {
        let mut news = Vec::new();
        if let Some(kind) = self.locked(now, call, &mut news) {
            return (Err(kind), news);
        }
        let verdict = self.check(now, call, self.rules_for(call), &mut news);
        (verdict, news)
    }

    /// Counts the start of a download of a small file, by a call that was counted, and judges it.
    pub fn small_download(&mut self, now: SimTime, call: Call) -> (Result<(), Locked>, Vec<News>) {
        let mut news = Vec::new();
        let key = Key::Subject(Subject::Ip(call.ip));
        let rule = self.table.small_downloads;
        let rule = rule.map(|rule| (RuleName::SmallDownloads, rule, key, Locked::Ip));
        let verdict = self.check(now, call, rule.into_iter().collect(), &mut news);
        (verdict, news)
    }

    fn check(
        &mut self,
        now: SimTime,
        call: Call,
        rules: Vec<(RuleName, Rule, Key, Locked)>,
        news: &mut Vec<News>,
    ) -> Result<(), Locked> {
        for (name, rule, key, kind) in rules {
            if self.within(now, name, rule, key) {
                continue;
            }
            let text = format!(
                "{}: more than {} in {:?} ({name:?})",
                call.script, rule.allowed, rule.window
            );
            if self.tolerated(now, name, rule, key) {
                news.push(News::Tolerated(text));
                continue;
            }
            news.push(News::Exceeded(text));
            let subject = match key {
                Key::Subject(subject) | Key::Listed(subject, _) => subject,
            };
            self.lock(now, call.script, subject, kind);
            return Err(kind);
        }
        Ok(())
    }

    /// Locks a script as if a limit had been exceeded; `length` in simulated time.
    pub fn lock_for(
        &mut self,
        now: SimTime,
        script: &'static str,
        subject: Subject,
        kind: Locked,
        length: Option<Duration>,
    ) {
        match (kind, subject) {
            (Locked::Banned, Subject::Ip(ip)) => {
                self.bans.insert(ip, now + length.unwrap_or(self.table.ban));
            }
            _ => {
                let until = now + length.unwrap_or(self.lock_length);
                let lock = Lock {
                    kind,
                    begun: now,
                    until,
                };
                self.locks.insert((script, subject), lock);
            }
        }
    }

    /// Counts an answer 401, 403, 404 or 410; a ban may follow.
    pub fn failed(&mut self, now: SimTime, ip: IpAddr) -> Option<News> {
        let rule = self.table.failing?;
        let times = self.failures.entry(ip).or_default();
        times.push_back(now);
        forget(times, now, rule.window);
        if times.len() <= rule.allowed as usize {
            return None;
        }
        times.clear();
        self.bans.insert(ip, now + self.table.ban);
        Some(News::Banned(rule.allowed))
    }

    /// Whether an address is banned.
    pub fn banned(&self, now: SimTime, ip: IpAddr) -> bool {
        self.bans.get(&ip).is_some_and(|until| now < *until)
    }

    /// Ends all locks and bans and forgets all calls.
    pub fn clear(&mut self) {
        self.windows.clear();
        self.excesses.clear();
        self.locks.clear();
        self.bans.clear();
        self.failures.clear();
    }

    fn locked(&mut self, now: SimTime, call: Call, news: &mut Vec<News>) -> Option<Locked> {
        if self.banned(now, call.ip) {
            news.push(News::DuringLock("banned"));
            return Some(Locked::Banned);
        }
        let subjects = [
            Some(Subject::Ip(call.ip)),
            call.account.map(Subject::Account),
        ];
        for subject in subjects.into_iter().flatten() {
            let Some(lock) = self.locks.get_mut(&(call.script, subject)) else {
                continue;
            };
            if now >= lock.until {
                self.locks.remove(&(call.script, subject));
                continue;
            }
            if now.saturating_sub(lock.begun) > self.notice {
                news.push(News::DuringLock(call.script));
                if self.prolong == Prolong::Yes {
                    lock.until = lock.until.max(now + self.lock_length);
                }
            }
            return Some(lock.kind);
        }
        None
    }

    fn rules_for(&self, call: Call) -> Vec<(RuleName, Rule, Key, Locked)> {
        let table = &self.table;
        let ip = Subject::Ip(call.ip);
        let account = call.account.map(Subject::Account);
        // Listings are limited for the account where it is known.
        let owner = account.unwrap_or(ip);
        let mut rules = vec![(RuleName::Calls, table.calls, Key::Subject(ip), Locked::Ip)];
        if let Some(account) = account {
            let key = Key::Subject(account);
            rules.push((RuleName::Calls, table.calls, key, Locked::Key));
        }
        match call.listing {
            Some(listing @ Listing::Folder(..)) => {
                let key = Key::Listed(owner, listing);
                rules.push((RuleName::Folder, table.folder, key, Locked::Ip));
                let key = Key::Subject(owner);
                rules.push((RuleName::Listings, table.listings, key, Locked::Ip));
            }
            Some(listing @ Listing::All) => {
                let key = Key::Listed(owner, listing);
                rules.push((RuleName::AllFiles, table.all_files, key, Locked::Ip));
            }
            None => {}
        }
        if call.script == "user/info" {
            let key = Key::Subject(ip);
            rules.push((RuleName::UserInfo, table.user_info_ip, key, Locked::Ip));
            if let Some(account) = account {
                let key = Key::Subject(account);
                let rule = table.user_info_account;
                rules.push((RuleName::UserInfo, rule, key, Locked::User));
            }
        }
        if call.script == "file/info" {
            let key = Key::Subject(ip);
            rules.push((RuleName::FileInfo, table.file_info, key, Locked::Banned));
        }
        rules
            .into_iter()
            .filter_map(|(name, rule, key, kind)| Some((name, rule?, key, kind)))
            .collect()
    }

    /// Counts one more; whether the rule still holds.
    fn within(&mut self, now: SimTime, name: RuleName, rule: Rule, key: Key) -> bool {
        let times = self.windows.entry((name, key)).or_default();
        times.push_back(now);
        let slack = self.jitter.min(rule.window / 4);
        forget(times, now, rule.window - slack);
        times.len() <= rule.allowed as usize
    }

    fn tolerated(&mut self, now: SimTime, name: RuleName, rule: Rule, key: Key) -> bool {
        let times = self.excesses.entry((name, key)).or_default();
        times.push_back(now);
        forget(times, now, rule.window.max(Duration::from_secs(60)));
        times.len() <= rule.tolerance as usize
    }

    fn lock(&mut self, now: SimTime, script: &'static str, subject: Subject, kind: Locked) {
        self.lock_for(now, script, subject, kind, None);
    }
}

fn forget(times: &mut VecDeque<SimTime>, now: SimTime, window: Duration) {
    while times
        .front()
        .is_some_and(|time| now.saturating_sub(*time) >= window)
    {
        times.pop_front();
    }
}

#[cfg(test)]
mod tests;
