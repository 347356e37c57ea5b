//! 1fichier over HTTP: every request that fichierfs makes leaves from here.
//!
//! This room knows the service's endpoints, its wire format with all its wobbles,
//! its errors by their texts, the table of [`limits`] and the [`Pace`] that all
//! calls pass. It owns the HTTP clients and the rule where the key may go: to
//! the API's host and to upload nodes, checked in `hosts`. It keeps no state of
//! the account, retries nothing and decides nothing: an answer is either what was
//! asked for or one [`ApiError`], and an answer that cannot be read is an error, never
//! an empty folder. `tree`, `content` and `upload` call it.

mod account;
mod call;
mod classify;
mod dates;
mod download;
mod error;
mod files;
mod folders;
mod hosts;
mod http;
pub mod limits;
mod listing;
mod pace;
mod public;
mod upload;
mod upload_body;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

pub use account::{Account, Offer};
pub use dates::{clock as clock_of, is_repeated};
pub use download::{Address, ByteStream, DownloadUrl};
pub use error::{ApiError, FloodScope, LinkFault, Said};
pub use files::{Acl, Attributes, Copied, FileInfo, Renamed, Scan};
pub use folders::{Share, ShareWith};
pub use hosts::{BadEndpoint, Endpoints};
pub use limits::Limits;
pub use listing::{DateWindow, FileItem, FileListing, FolderAt, FolderItem, Grant, Listing};
pub use pace::{Ask, Call, Class, LockStatus, Pace, PaceStatus, Script, Subject, Why};
pub use upload::{Fate, UploadFailure, UploadNode, UploadOutcome, UploadTicket, UploadedFile};
pub use upload_body::{PartStream, UploadForm, UploadPart};

pub use crate::config::AddressFamily;
use crate::config::{ApiKey, KeyStore};
use crate::ids::{FolderId, Time};
use http::Http;
use tokio::sync::watch;

/// What the client needs to know.
pub struct ApiConfig {
    /// Where the service is.
    pub endpoints: Endpoints,
    /// The key, replaceable at run time.
    pub keys: KeyStore,
    /// The pace that all calls pass.
    pub pace: Pace,
    /// The table of limits, scaled as the pace's is.
    pub limits: Limits,
    /// Which addresses of the service are used.
    pub address_family: AddressFamily,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long a download may stand still.
    pub read_timeout: Duration,
}

/// The client of the service. Clones share everything.
#[derive(Clone)]
pub struct Api {
    shared: Arc<Shared>,
}

#[derive(Clone)]
struct Shared {
    endpoints: Endpoints,
    keys: KeyStore,
    pace: Pace,
    limits: Limits,
    http: Http,
    /// The print of the key with which the service gave something last.
    taken: watch::Sender<Option<String>>,
    /// When something that was asked for went well last; 0 for never.
    well: Arc<AtomicI64>,
    /// When that was asked for which the service gave to who has the key, the latest; 0 for never.
    given: Arc<AtomicI64>,
}

impl Api {
    /// A client; nothing is asked of the service yet.
    pub fn new(config: ApiConfig) -> Result<Api, ApiError> {
        let http = Http::new(
            config.address_family,
            config.connect_timeout,
            config.read_timeout,
        )?;
        Ok(Api {
            shared: Arc::new(Shared {
                endpoints: config.endpoints,
                keys: config.keys,
                pace: config.pace,
                limits: config.limits,
                http,
                taken: watch::Sender::new(None),
                well: Arc::default(),
                given: Arc::default(),
            }),
        })
    }

    /// The same client with a key of its own, to try that one.
    pub fn with_keys(&self, keys: KeyStore) -> Api {
        let shared = Shared {
            keys,
            taken: watch::Sender::new(None),
            given: Arc::default(),
            ..(*self.shared).clone()
        };
        Api {
            shared: Arc::new(shared),
        }
    }

    /// The table of limits in use.
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// The pace that all calls pass, for its status.
    pub fn pace(&self) -> &Pace {
        &self.shared.pace
    }

    /// Notes that something that was asked for went well.
    fn note_well(&self) {
        self.shared.well.store(Time::now().0, Ordering::Relaxed);
    }

    /// When something that was asked for went well last.
    pub fn last_well(&self) -> Option<Time> {
        let well = Time(self.shared.well.load(Ordering::Relaxed));
        (well != Time(0)).then_some(well)
    }

    /// Notes that the service gave to the key what it was `asked` for at that time.
    fn note_given(&self, asked: Time) {
        self.shared.given.fetch_max(asked.0, Ordering::Relaxed);
    }

    /// The latest time at which something was asked for that the service gave to the key, though
    /// it may be that it cannot be read.
    pub fn last_given(&self) -> Option<Time> {
        let given = Time(self.shared.given.load(Ordering::Relaxed));
        (given != Time(0)).then_some(given)
    }

    /// Notes that the service gave something to who has this key.
    fn note_taken(&self, key: &ApiKey) {
        let print = Some(key.print());
        self.shared.taken.send_if_modified(|last| {
            let new = *last != print;
            *last = print;
            new
        });
    }

    /// The print of the key that the service took last: it gave something to it.
    pub fn taken(&self) -> watch::Receiver<Option<String>> {
        self.shared.taken.subscribe()
    }

    /// The key in use.
    pub fn keys(&self) -> &KeyStore {
        &self.shared.keys
    }
}

/// A folder's number, if it is the service's: ours mean nothing there, and one that it does not
/// know it takes for the root.
fn numbered(id: FolderId) -> Result<u64, ApiError> {
    match id.is_ours() {
        true => Err(ApiError::Misuse("the service has no such folder")),
        false => Ok(id.0),
    }
}

#[cfg(test)]
mod tests;
