//! The figures: what the service documents, what people observe, and nothing.

use serde::{Deserialize, Serialize};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// A download of so many bytes or fewer counts as a small one.
pub const SMALL: u64 = 50 << 20;

/// Which limits the service enforces.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Limits {
    /// As documented, enforced at the first excess (API notes 6).
    #[default]
    Documented,
    /// As people describe them: 2 calls/s and one listing per 3 s, each with
    /// a little tolerance before the lock.
    Observed,
    /// None but those on sizes and tokens.
    Off,
    /// A table of one's own.
    Custom(Box<LimitTable>),
}

impl Limits {
    /// The figures in force.
    pub fn table(&self) -> LimitTable {
        match self {
            Limits::Documented => LimitTable::documented(),
            Limits::Observed => LimitTable::observed(),
            Limits::Off => LimitTable::off(),
            Limits::Custom(table) => LimitTable::clone(table),
        }
    }
}

/// So many in any window of that length. An excess beyond `tolerance` of them
/// (forgotten after a minute, or after the window where that is longer) is a
/// violation and begins a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// How many are allowed.
    pub allowed: u32,
    /// In any window of this length.
    pub window: Duration,
    /// How many excesses go unpunished.
    pub tolerance: u32,
}

impl Rule {
    /// A rule without tolerance.
    pub const fn strict(allowed: u32, window: Duration) -> Rule {
        Rule {
            allowed,
            window,
            tolerance: 0,
        }
    }
}

/// Every figure of the service; `None` means unlimited. Times are simulated time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitTable {
    /// All API calls of one IP, and of one account.
    pub calls: Option<Rule>,
    /// Listings of one folder.
    pub folder: Option<Rule>,
    /// Listings of any folder.
    pub listings: Option<Rule>,
    /// Listings of folder -1.
    pub all_files: Option<Rule>,
    /// `user/info.cgi` of one IP.
    pub user_info_ip: Option<Rule>,
    /// `user/info.cgi` of one account.
    pub user_info_account: Option<Rule>,
    /// `file/info.cgi` of one IP; the IP is banned who asks for more (API notes 2.3).
    pub file_info: Option<Rule>,
    /// Links of one IP to files up to [`SMALL`], each of which begins a download (API notes 4.4).
    pub small_downloads: Option<Rule>,
    /// Answers 401, 403, 404 and 410 before the IP is banned.
    pub failing: Option<Rule>,
    /// How long a ban lasts.
    pub ban: Duration,
    /// Transfers at a time of one account.
    pub connections: Option<u32>,
    /// How long an account stays bound to the IP that it last downloaded from.
    pub location: Option<Duration>,
    /// How long after its issue a download URL may be opened first.
    pub token_start: Duration,
    /// How long after the first opening it may be opened again.
    pub token_resume: Duration,
    /// How long an upload may last.
    pub upload_time: Duration,
    /// How long the result of an upload can be asked for.
    pub upload_memory: Duration,
    /// Files in one upload request.
    pub upload_files: u32,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Bytes of one upload request.
    pub request_bytes: u64,
    /// Entries in one listing.
    pub listing_entries: usize,
    /// Items in one rm, mv, cp or rename call.
    pub batch: usize,
}

impl LimitTable {
    /// The documented figures. The number of failing calls that leads to a ban and
    /// the sizes of a batch are not documented: 10 an hour and 100 are on the safe side. That
    /// `file/info` is limited is known, and the gap that another careful client keeps (2.5 s).
    pub fn documented() -> LimitTable {
        LimitTable {
            calls: Some(Rule::strict(3, SECOND)),
            folder: Some(Rule::strict(1, 30 * SECOND)),
            listings: None,
            all_files: Some(Rule::strict(1, HOUR)),
            user_info_ip: Some(Rule::strict(1, MINUTE)),
            user_info_account: Some(Rule::strict(1, 5 * MINUTE)),
            file_info: Some(Rule::strict(24, MINUTE)),
            small_downloads: None,
            failing: Some(Rule::strict(10, HOUR)),
            ban: HOUR,
            connections: Some(30),
            location: Some(5 * MINUTE),
            token_start: 5 * MINUTE,
            token_resume: 30 * MINUTE,
            upload_time: 4 * HOUR,
            upload_memory: 2 * HOUR,
            upload_files: 500,
            file_bytes: 300_000_000_000,
            request_bytes: 500_000_000_000,
            listing_entries: 5_000,
            batch: 100,
        }
    }

    /// The observed figures: fewer calls, listings a rule of their own, and some tolerance. That many
    /// small downloads in a row lock is known, how many is not.
    pub fn observed() -> LimitTable {
        let lenient = |allowed, window, tolerance| Rule {
            allowed,
            window,
            tolerance,
        };
        LimitTable {
            calls: Some(lenient(2, SECOND, 5)),
            folder: Some(lenient(1, 30 * SECOND, 3)),
            listings: Some(lenient(1, 3 * SECOND, 5)),
            small_downloads: Some(Rule::strict(60, MINUTE)),
            ..LimitTable::documented()
        }
    }

    /// No limits on calls, connections and places.
    pub fn off() -> LimitTable {
        LimitTable {
            calls: None,
            folder: None,
            listings: None,
            all_files: None,
            user_info_ip: None,
            user_info_account: None,
            file_info: None,
            failing: None,
            connections: None,
            location: None,
            ..LimitTable::documented()
        }
    }
}

impl Default for LimitTable {
    fn default() -> Self {
        LimitTable::documented()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_what_is_documented() {
        assert_eq!(Limits::default().table(), LimitTable::documented());
        let table = LimitTable::documented();
        assert_eq!(table.calls, Some(Rule::strict(3, SECOND)));
        assert_eq!(table.folder, Some(Rule::strict(1, 30 * SECOND)));
        assert_eq!(table.all_files, Some(Rule::strict(1, HOUR)));
        assert_eq!(table.user_info_ip, Some(Rule::strict(1, MINUTE)));
        assert_eq!(table.user_info_account, Some(Rule::strict(1, 5 * MINUTE)));
        assert_eq!(table.connections, Some(30));
        assert!(table.failing.is_some() && table.location.is_some());
        assert!(table.file_info.is_some());
        assert_eq!(
            (table.token_start, table.token_resume),
            (5 * MINUTE, 30 * MINUTE)
        );
        assert_eq!(
            (table.upload_time, table.upload_memory),
            (4 * HOUR, 2 * HOUR)
        );
        assert_eq!(
            (table.file_bytes, table.request_bytes, table.upload_files),
            (300_000_000_000, 500_000_000_000, 500)
        );
        assert_eq!(table.listing_entries, 5_000);
    }

    #[test]
    fn observed_is_two_calls_a_second_and_a_listing_in_three() {
        let table = Limits::Observed.table();
        let kept = |rule: Option<Rule>| rule.map(|r| (r.allowed, r.window, r.tolerance > 0));
        assert_eq!(kept(table.calls), Some((2, SECOND, true)));
        assert_eq!(kept(table.listings), Some((1, 3 * SECOND, true)));
        assert!(table.small_downloads.is_some());
    }

    #[test]
    fn a_table_can_be_given_in_part() {
        let table: LimitTable = serde_json::from_str(r#"{"calls":null}"#).unwrap();
        assert_eq!(table.calls, None);
        assert_eq!(table.folder, LimitTable::documented().folder);
    }
}
