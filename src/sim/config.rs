//! What a simulator is started with.

use super::content::Storage;
use super::limits::Limits;
use super::quirks::Quirks;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The key of the default account.
pub const DEFAULT_KEY: &str = "simulated-key-0123456789abcdefgh";

/// See the module. The default is a strict service on a free loopback port.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// Where the plain HTTP listener binds; port 0 takes a free one.
    pub listen: SocketAddr,
    /// A second listener, with TLS.
    pub tls: Option<TlsConfig>,
    /// The accounts. The first is the one that [`super::Simulator::account`] gives.
    pub accounts: Vec<AccountConfig>,
    /// Which limits are enforced.
    pub limits: Limits,
    /// How many times as fast as real time windows, locks, lags and token lives run.
    pub time_scale: f64,
    /// How long a lock lasts (simulated time; the real length is not known).
    pub lock_length: Duration,
    /// Latency and bandwidth (real time).
    pub shape: Shape,
    /// Where uploaded bytes are kept.
    pub storage: Storage,
    /// How long listings show the state before a change (simulated time; seen on the
    /// real service: up to 90 s).
    pub listing_lag: Duration,
    /// How long end.pl answers with the wait page after an upload (simulated time).
    pub end_delay: Duration,
    /// How long after an upload its link works (simulated time).
    pub storage_delay: Duration,
    /// Files whose digest is not known from an upload are hashed for listings only up to
    /// this size; larger ones show none.
    pub hash_up_to: u64,
    /// Seed of everything that is random: order of keys and entries, types, ids.
    pub seed: u64,
    /// Assumptions about what is not known of the service.
    pub quirks: Quirks,
}

impl Default for SimConfig {
    fn default() -> Self {
        SimConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls: None,
            accounts: vec![AccountConfig::default()],
            limits: Limits::default(),
            time_scale: 1.0,
            lock_length: Duration::from_secs(60),
            shape: Shape::default(),
            storage: Storage::Memory,
            listing_lag: Duration::from_secs(3),
            end_delay: Duration::ZERO,
            storage_delay: Duration::ZERO,
            hash_up_to: 16 << 20,
            seed: 1,
            quirks: Quirks::default(),
        }
    }
}

/// The TLS listener, with a certificate authority of its own.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// Where it binds.
    pub listen: SocketAddr,
    /// Where the authority's certificate is written, as PEM.
    pub ca_out: Option<PathBuf>,
    /// The port in the hosts that this listener hands out (upload nodes, download URLs).
    /// `None`: no port, so 443, as on the real service.
    pub port_in_urls: Option<u16>,
}

/// An account and what it may do.
#[derive(Debug, Clone)]
pub struct AccountConfig {
    /// The API key.
    pub key: String,
    /// The owner's address.
    pub email: String,
    /// 0 none, 1 Premium, 2 Access, 3 Premium GOLD (API notes 7). 0 may not download.
    pub offer: u8,
    /// Quota in bytes. Uploads beyond it are refused.
    pub quota: u64,
}

impl Default for AccountConfig {
    fn default() -> Self {
        AccountConfig {
            key: DEFAULT_KEY.to_owned(),
            email: "owner@example.org".to_owned(),
            offer: 1,
            quota: 2_000_000_000_000,
        }
    }
}

/// The network, in real time. Zero latency and no bandwidth limit by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    /// Added to each API call.
    pub api_latency: Duration,
    /// From a download request to its first byte.
    pub first_byte_latency: Duration,
    /// Bytes per second of one download.
    pub per_connection_bps: Option<u64>,
    /// Bytes per second of all downloads together.
    pub total_bps: Option<u64>,
    /// Bytes per second of all uploads together.
    pub upload_bps: Option<u64>,
}
