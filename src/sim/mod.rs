//! A local 1fichier: the service's simulator for the demo, the tests and the
//! benchmarks. It is written from the API notes, not from our client, and imports
//! nothing of the rest of this crate, or a mistake on both sides would hide.
//!
//! One plain HTTP listener plays all roles: API (`/v1`), upload node (`/upload.cgi`,
//! `/end.pl`), download host (`/p<digits>`), public site (`/dir/<ID>`). A second
//! listener does the same under TLS and the service's own names. The default is strict:
//! the documented limits without tolerance, the parser of the real upload node, and for
//! each open question the answer that is hardest on a client ([`Quirks`]). Whatever
//! a well-behaved client does not do is a violation in the [`Report`].
//!
//! Who may call: anyone, through [`Simulator`] and the handles that it gives. Inside,
//! `account`, `limits`, `content`, `json` and `multipart` are pure or nearly so;
//! `server`, `api`, `node`, `download` and `site` speak HTTP; `world` ties them together.
//!
//! # The control endpoint
//!
//! On the plain listener, for loopback peers only; everything is JSON.
//!
//! | request | what |
//! | --- | --- |
//! | `GET /_sim/report` | the [`Report`] |
//! | `POST /_sim/reset-report` | its counters begin again |
//! | `GET /_sim/faults` | faults still in force |
//! | `POST /_sim/faults` | adds a [`Fault`] or a list: `{"on":"download","kind":"reset","after_bytes":65536,"times":2}` |
//! | `DELETE /_sim/faults` | removes all |
//! | `GET /_sim/tree` | every folder and file with path, id, size, digest |
//! | `GET /_sim/file?id=ID`, `?path=PATH` | the bytes of a file |
//! | `POST /_sim/change` | one change or a list, as below |
//!
//! Changes: `{"op":"create","path":P,"text":T}` (or `"size":N,"seed":S` for synthetic
//! content), `replace` likewise, `{"op":"mkdir","path":P}`, `{"op":"delete","path":P}`,
//! `{"op":"rename","path":P,"name":N}`, `{"op":"move","path":P,"to":FOLDER}`,
//! `{"op":"password","path":P,"pass":X}`, `{"op":"share","path":P,"pass":X}`,
//! `{"op":"account","key":K,"offer":0,"quota":N,"upload_forbidden":true}`,
//! `{"op":"settings","listing_lag":5,"quirks":{"types":"full"}}`, `{"op":"unlock"}`.

mod account;
mod api;
mod args;
mod clock;
mod config;
mod content;
mod control;
mod dates;
mod download;
mod faults;
mod handle;
mod http;
mod json;
mod limits;
mod node;
mod quirks;
mod report;
mod server;
mod shape;
mod site;
mod tls;
mod units;
mod world;

pub use account::Refusal;
pub use args::{LimitsArg, RunError, SimulateArgs, Synthetic, run};
pub use config::{AccountConfig, DEFAULT_KEY, Shape, SimConfig, TlsConfig};
pub use content::{Storage, synthetic_bytes};
pub use faults::{Fault, FaultKind, Faults, LockKind};
pub use handle::{AccountHandle, Entry, EntryKind, HandleError, SyntheticTree};
pub use limits::{LimitTable, Limits, Rule};
pub use quirks::*;
pub use report::{Gauge, Offence, Report, Violation};
pub use tls::host_names as tls_host_names;
pub use world::Profile;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use world::World;

/// A running simulator. Dropping it cuts all connections.
#[derive(Debug)]
pub struct Simulator {
    world: Arc<World>,
    tls: Option<SocketAddr>,
    ca_pem: Option<String>,
    listeners: JoinSet<()>,
}

impl Simulator {
    /// Binds the listeners and serves them on the current runtime.
    pub async fn start(config: SimConfig) -> io::Result<Simulator> {
        if config.accounts.is_empty() {
            let text = "a simulator needs an account";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let plain = TcpListener::bind(config.listen).await?;
        let tls_config = config.tls.clone();
        let world = Arc::new(World::new(config, plain.local_addr()?));
        let mut listeners = JoinSet::new();
        let (mut tls, mut ca_pem) = (None, None);
        if let Some(tls_config) = tls_config {
            let made = tls::make()?;
            if let Some(path) = &tls_config.ca_out {
                tokio::fs::write(path, &made.ca_pem).await?;
            }
            let listener = TcpListener::bind(tls_config.listen).await?;
            tls = Some(listener.local_addr()?);
            ca_pem = Some(made.ca_pem);
            listeners.spawn(server::serve(listener, Some(made.acceptor), world.clone()));
        }
        listeners.spawn(server::serve(plain, None, world.clone()));
        Ok(Simulator {
            world,
            tls,
            ca_pem,
            listeners,
        })
    }

    /// Base of the API: `http://127.0.0.1:PORT/v1`.
    pub fn api_url(&self) -> String {
        format!("http://{}/v1", self.world.plain)
    }

    /// Base of the public site: `http://127.0.0.1:PORT`.
    pub fn site_url(&self) -> String {
        format!("http://{}", self.world.plain)
    }

    /// Base of the control endpoint.
    pub fn control_url(&self) -> String {
        format!("http://{}/_sim", self.world.plain)
    }

    /// Where the TLS listener is.
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.tls
    }

    /// The certificate of the TLS listener's authority, as PEM.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// The first account's key, as started with.
    pub fn key(&self) -> &str {
        let first = self.world.config.accounts.first();
        first.map_or(DEFAULT_KEY, |account| &account.key)
    }

    /// The first account.
    pub fn account(&self) -> AccountHandle {
        AccountHandle::new(self.world.clone(), 0)
    }

    /// The account of that number, in the order of the configuration.
    pub fn account_number(&self, number: usize) -> Option<AccountHandle> {
        let exists = number < self.world.config.accounts.len();
        exists.then(|| AccountHandle::new(self.world.clone(), number))
    }

    /// Faults in force; add to them at any time.
    pub fn faults(&self) -> Faults {
        self.world.faults.clone()
    }

    /// What happened so far.
    pub fn report(&self) -> Report {
        self.world.recorder.report()
    }

    /// Begins the report again.
    pub fn reset_report(&self) {
        self.world.recorder.reset();
    }

    /// How long listings lag from now on (simulated time).
    pub fn set_listing_lag(&self, lag: Duration) {
        self.world.state.lock().lag = lag;
    }

    /// Changes assumptions from now on.
    pub fn change_quirks(&self, change: impl FnOnce(&mut Quirks)) {
        change(&mut self.world.state.lock().quirks);
    }

    /// Ends all locks and bans and forgets the calls counted so far.
    pub fn unlock(&self) {
        self.world.state.lock().limits.clear();
    }

    /// Stops listening and cuts all connections.
    pub async fn stop(mut self) {
        self.listeners.shutdown().await;
    }

    fn greeting(&self) -> String {
        serde_json::json!({
            "api_url": self.api_url(),
            "site_url": self.site_url(),
            "control_url": self.control_url(),
            "key": self.key(),
            "tls": self.tls.map(|address| address.to_string()),
        })
        .to_string()
    }
}
