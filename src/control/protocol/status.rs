//! What a daemon is doing: everything for one screen.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::daemon::Hello;
use super::queue::{Backlog, Failed, Transfer};

/// Everything for one screen.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Status {
    /// Who tells.
    #[serde(flatten)]
    pub daemon: Hello,
    /// How long it has been running.
    pub uptime_seconds: u64,
    /// The account's figures, once they are known.
    pub account: Option<Account>,
    /// What is to be done on the service.
    pub queue: Backlog,
    /// Uploads under way.
    pub transfers: Vec<Transfer>,
    /// All uploads together, bytes a second, lately.
    pub upload_rate: u64,
    /// When all uploads are done at this rate; absent while nothing is sent.
    pub upload_eta_seconds: Option<u64>,
    /// What failed for good and why, the oldest first, ten at most; `queue list` has all.
    pub failures: Vec<Failed>,
    /// Bytes of closed and open changes that the service does not have.
    pub staged_bytes: u64,
    /// Reads of file content.
    pub reads: Reads,
    /// The cache of what the service has.
    pub cache: Cache,
    /// What is known of the account's files.
    pub tree: Totals,
    /// How fresh that is.
    pub freshness: Freshness,
    /// Calls, rates and locks.
    pub api: Api,
}

/// The account's figures, as the service told them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Account {
    /// When it told them.
    pub as_of: String,
    /// The user's address.
    pub email: String,
    /// The kind of subscription.
    pub offer: String,
    /// When that ends.
    pub subscription_end: Option<String>,
    /// Bytes in cold storage.
    pub cold_used: u64,
    /// Bytes of cold storage that the account may use.
    pub cold_allowed: Option<u64>,
    /// Bytes in hot storage.
    pub hot_used: u64,
    /// Whether the quota is exceeded.
    pub over_quota: bool,
    /// Whether uploads are forbidden.
    pub upload_forbidden: bool,
}

/// The cache of what the service has.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cache {
    /// Bytes on disk.
    pub used: u64,
    /// Bytes that it may use.
    pub limit: u64,
    /// Files of which something is kept.
    pub files: u64,
    /// Bytes served from it.
    pub hit_bytes: u64,
    /// How often a file was opened that the kernel then read by itself (`passthrough`).
    pub passed_opens: u64,
    /// Bytes that had to be fetched.
    pub fetched_bytes: u64,
    /// Reads from the service that are under way.
    pub fetching: u64,
    /// Files whose bytes were compared with the service's checksum, and are right.
    pub sound_files: u64,
    /// Files whose bytes are wrong: reading them fails until `fichierfs verify` finds them right.
    pub damaged_files: u64,
    /// The first of these, from the mount's root.
    pub damaged: Vec<PathBuf>,
    /// Processor time that the comparing took, in milliseconds.
    pub check_cpu_ms: u64,
}

/// Reads of file content. Counts are since the start.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reads {
    /// Connections to download hosts in use now.
    pub streams: u64,
    /// Bytes a second given to readers, lately.
    pub rate: u64,
    /// Bytes a second received from the service, lately.
    pub fetch_rate: u64,
    /// Files that are open or being sent from now.
    pub open_files: u64,
    /// Bytes given to readers that had to wait for the service.
    pub waited_bytes: u64,
    /// Download links that were asked for: each is a call of the API.
    pub links: u64,
    /// Requests to download hosts.
    pub requests: u64,
    /// Those that failed and were repeated.
    pub retries: u64,
    /// Reads that ended with an error.
    pub failed: u64,
}

/// How fresh what is known of the account's folders is.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Freshness {
    /// Folders that are known.
    pub folders: u64,
    /// Those whose content was never listed: it is when somebody looks.
    pub unlisted: u64,
    /// Those whose listing the service cut off: names may be missing.
    pub cut_off: u64,
    /// Some of those, and why each is not known whole.
    #[serde(default)]
    pub not_whole: Vec<NotWhole>,
    /// The time of the oldest listing that is in use.
    pub oldest: Option<String>,
    /// The time of the newest one.
    pub newest: Option<String>,
}

/// A folder that is not known whole: a name that was not seen in it may be there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NotWhole {
    /// Where it is, from the mount's root.
    pub path: PathBuf,
    /// Why, or how far it has come.
    pub reason: String,
    /// Whether it will be known whole without somebody looking into it.
    pub coming: bool,
    /// Whether names that were not seen count as new meanwhile, as `fichierfs allow-new` has them.
    #[serde(default)]
    pub new_names: bool,
    /// Whether they do not, and `fichierfs allow-new` would be taken for it: it is in the mount, and
    /// something can be made in it.
    #[serde(default)]
    pub allowable: bool,
}

/// What is known of the account's files.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Totals {
    /// Files and links.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Calls, rates and locks.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Api {
    /// Calls a second that are allowed now, over a long time.
    pub rate: f64,
    /// Calls that could go out at once now.
    pub saved_up: f64,
    /// Calls that wait for their turn.
    pub waiting: u64,
    /// Calls that failed within the last hour. The service bans who keeps failing, so
    /// calls stop at `failing_limit`.
    pub failing: u64,
    /// See `failing`.
    pub failing_limit: u64,
    /// How often the service has locked us, ever.
    pub locks_ever: u64,
    /// Calls so far, by kind.
    pub calls: BTreeMap<String, u64>,
    /// What the service has locked, with the end of each lock.
    pub locks: BTreeMap<String, String>,
    /// Whether the service refused the key, so that nothing is asked any more.
    pub key_refused: bool,
}

#[cfg(test)]
mod tests {
    use super::super::{Phase, SCHEMA};
    use super::*;

    #[test]
    fn a_status_names_its_daemon_on_the_top_level() {
        let status = Status {
            daemon: Hello {
                schema: SCHEMA,
                version: "0".into(),
                pid: 7,
                mountpoint: "/m".into(),
                state_dir: "/s".into(),
                phase: Phase::Draining,
            },
            uptime_seconds: 1,
            account: None,
            queue: Backlog::default(),
            transfers: Vec::new(),
            upload_rate: 0,
            upload_eta_seconds: None,
            failures: Vec::new(),
            staged_bytes: 0,
            reads: Reads::default(),
            cache: Cache::default(),
            tree: Totals::default(),
            freshness: Freshness::default(),
            api: Api::default(),
        };
        let json = serde_json::to_value(&status).unwrap();
        assert_eq!(json["pid"], 7);
        assert_eq!(json["phase"], "draining");
        assert_eq!(serde_json::from_value::<Status>(json).unwrap(), status);
    }
}
