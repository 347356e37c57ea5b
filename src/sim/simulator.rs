//! Starting and stopping, and all that tests may do with it.

use super::config::{DEFAULT_KEY, SimConfig};
use super::faults::Faults;
use super::handle::AccountHandle;
use super::quirks::Quirks;
use super::report::Report;
use super::world::World;
use super::{server, tls};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

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

    pub(super) fn greeting(&self) -> String {
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
