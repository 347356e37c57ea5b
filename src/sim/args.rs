//! The command line of `fichierfs simulate`, and running it.

use super::config::{AccountConfig, DEFAULT_KEY, Shape, SimConfig, TlsConfig};
use super::content::Storage;
use super::handle::{AccountHandle, SyntheticTree};
use super::limits::Limits;
use super::quirks::Quirks;
use super::report::Report;
use super::simulator::Simulator;
use super::units::{parse_duration, parse_size};
use clap::{Args, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// A local 1fichier for tests and demonstrations.
#[derive(Debug, Clone, Args)]
pub struct SimulateArgs {
    /// Address of the plain HTTP listener; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Address of a second listener with TLS, under the service's names
    #[arg(long, value_name = "ADDR")]
    pub tls: Option<SocketAddr>,
    /// Where to write the certificate of the TLS listener's authority
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub ca_out: Option<PathBuf>,
    /// Port in the addresses that the TLS listener hands out (default: none, so 443)
    #[arg(long, value_name = "PORT", requires = "tls")]
    pub tls_port: Option<u16>,
    /// API key of the account
    #[arg(long, value_name = "KEY", default_value = DEFAULT_KEY)]
    pub key: String,
    /// Quota of the account
    #[arg(long, value_name = "SIZE", default_value = "2TB", value_parser = parse_size)]
    pub quota: u64,
    /// Limits to enforce
    #[arg(long, value_enum, default_value_t = LimitsArg::Documented)]
    pub limits: LimitsArg,
    /// Run windows, locks, lags and token lives this many times as fast
    #[arg(long, value_name = "K", default_value_t = 1.0)]
    pub time_scale: f64,
    /// How long a lock lasts
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    pub lock_length: Duration,
    /// Latency of API calls
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = parse_duration)]
    pub api_latency: Duration,
    /// Time to the first byte of a download
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = parse_duration)]
    pub first_byte_latency: Duration,
    /// Bytes per second of one download
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub bandwidth_per_connection: Option<u64>,
    /// Bytes per second of all downloads
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub bandwidth: Option<u64>,
    /// Bytes per second of all uploads
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub upload_bandwidth: Option<u64>,
    /// Serve the files of a local directory
    #[arg(long, value_name = "DIR")]
    pub files_dir: Option<PathBuf>,
    /// Add synthetic content: `tree=2000x20,size=4KiB` (2000 folders of 20 files each),
    /// `tree=250x200x20` (each of 250 folders has 200 of 20 files) or `file=NAME:SIZE`
    #[arg(long, value_name = "SPEC", value_parser = parse_synthetic)]
    pub synthetic: Vec<Synthetic>,
    /// Keep uploaded files in this directory instead of in memory
    #[arg(long, value_name = "DIR")]
    pub storage: Option<PathBuf>,
    /// How long listings show the state before a change
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = parse_duration)]
    pub listing_lag: Duration,
    /// How long end.pl has the wait page after an upload
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = parse_duration)]
    pub end_delay: Duration,
    /// Seed of everything random
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Set an assumption about the service, such as `forbidden_names=drop` (repeatable)
    #[arg(long, value_name = "NAME=VALUE")]
    pub quirk: Vec<String>,
    /// Write the report to this file at the end, besides standard output
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// Sets of limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LimitsArg {
    /// As documented, without tolerance
    Documented,
    /// As people describe them
    Observed,
    /// None
    Off,
}

/// Synthetic content asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Synthetic {
    /// A tree below the root.
    Tree(SyntheticTree),
    /// One file.
    File {
        /// Its path.
        path: String,
        /// Its size.
        size: u64,
    },
}

fn parse_synthetic(text: &str) -> Result<Synthetic, String> {
    let bad = || {
        format!("`{text}` is neither tree=FOLDERS[xFOLDERS...]xFILES,size=SIZE nor file=NAME:SIZE")
    };
    if let Some(file) = text.strip_prefix("file=") {
        let (path, size) = file.rsplit_once(':').ok_or_else(bad)?;
        return Ok(Synthetic::File {
            path: path.to_owned(),
            size: parse_size(size)?,
        });
    }
    let tree = text.strip_prefix("tree=").ok_or_else(bad)?;
    let (shape, size) = tree.split_once(",size=").unwrap_or((tree, "4KiB"));
    let (folders, files) = shape.rsplit_once('x').ok_or_else(bad)?;
    let folders = folders.split('x').map(str::parse).collect::<Result<_, _>>();
    Ok(Synthetic::Tree(SyntheticTree {
        folders: folders.map_err(|_| bad())?,
        files: files.parse().map_err(|_| bad())?,
        size: parse_size(size)?,
        seed: 1,
    }))
}

impl SimulateArgs {
    /// What the simulator is to be started with.
    pub fn config(&self) -> Result<SimConfig, String> {
        let mut quirks = Quirks::default();
        for quirk in &self.quirk {
            quirks.set(quirk)?;
        }
        if !(self.time_scale.is_finite() && self.time_scale > 0.0) {
            return Err("the time scale must be a number above 0".to_owned());
        }
        Ok(SimConfig {
            listen: self.listen,
            tls: self.tls.map(|listen| TlsConfig {
                listen,
                ca_out: self.ca_out.clone(),
                port_in_urls: self.tls_port,
            }),
            accounts: vec![AccountConfig {
                key: self.key.clone(),
                quota: self.quota,
                ..AccountConfig::default()
            }],
            limits: match self.limits {
                LimitsArg::Documented => Limits::Documented,
                LimitsArg::Observed => Limits::Observed,
                LimitsArg::Off => Limits::Off,
            },
            time_scale: self.time_scale,
            lock_length: self.lock_length,
            shape: Shape {
                api_latency: self.api_latency,
                first_byte_latency: self.first_byte_latency,
                per_connection_bps: self.bandwidth_per_connection,
                total_bps: self.bandwidth,
                upload_bps: self.upload_bandwidth,
            },
            storage: self.storage.clone().map_or(Storage::Memory, Storage::Disk),
            listing_lag: self.listing_lag,
            end_delay: self.end_delay,
            seed: self.seed,
            quirks,
            ..SimConfig::default()
        })
    }

    fn fill(&self, account: &AccountHandle) -> Result<(), super::HandleError> {
        if let Some(dir) = &self.files_dir {
            account.serve_dir(dir, "")?;
        }
        for (number, item) in self.synthetic.iter().enumerate() {
            match item {
                Synthetic::Tree(tree) => account.add_tree("", tree.clone())?,
                Synthetic::File { path, size } => {
                    let seed = self.seed.wrapping_add(number as u64);
                    account.add_synthetic(path, seed, *size)?;
                }
            }
        }
        Ok(())
    }
}

/// Why `simulate` ended badly.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A flag makes no sense.
    #[error("{0}")]
    Config(String),
    /// The account could not be filled.
    #[error("cannot fill the account: {0}")]
    Fill(#[from] super::HandleError),
    /// A listener or file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Runs a simulator until SIGINT or SIGTERM. Prints one JSON line with `api_url`, `site_url`,
/// `key`, `control_url` (and `tls`) when it is ready, and the report as JSON at the end.
pub async fn run(args: SimulateArgs) -> Result<Report, RunError> {
    let config = args.config().map_err(RunError::Config)?;
    let simulator = Simulator::start(config).await?;
    args.fill(&simulator.account())?;
    // Handlers before the line: whoever reads it may send a signal at once.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    print_line(&simulator.greeting())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    let report = simulator.report();
    simulator.stop().await;
    let text = serde_json::to_string_pretty(&report).map_err(std::io::Error::other)?;
    if let Some(path) = &args.report {
        std::fs::write(path, &text)?;
    }
    print_line(&text)?;
    Ok(report)
}

fn print_line(text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: SimulateArgs,
    }

    fn parse(line: &str) -> Result<SimulateArgs, clap::Error> {
        Cli::try_parse_from(line.split(' ')).map(|cli| cli.args)
    }

    #[test]
    fn flags_become_a_configuration() {
        let line = "x --limits observed --time-scale 60 --bandwidth 10MB --listing-lag 90s \
                    --quirk types=full --tls 127.0.0.1:0 --synthetic tree=3x4,size=1KiB --synthetic file=a/b:1GB";
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let args = parse(&line).unwrap();
        let config = args.config().unwrap();
        assert_eq!(config.limits, Limits::Observed);
        assert_eq!(config.shape.total_bps, Some(10_000_000));
        assert_eq!(config.listing_lag, Duration::from_secs(90));
        assert_eq!(config.quirks.types, super::super::quirks::Types::Full);
        assert!(config.tls.is_some());
        assert!(
            matches!(&args.synthetic[1], Synthetic::File { path, size: 1_000_000_000 } if path == "a/b")
        );
    }

    #[test]
    fn defaults_are_those_of_the_library() {
        let config = parse("x").unwrap().config().unwrap();
        let default = SimConfig::default();
        assert_eq!(config.limits, default.limits);
        assert_eq!(config.listing_lag, default.listing_lag);
        assert_eq!(config.lock_length, default.lock_length);
        assert_eq!(config.accounts[0].key, default.accounts[0].key);
        assert_eq!(config.accounts[0].quota, default.accounts[0].quota);
    }

    #[test]
    fn a_tree_has_as_many_levels_as_are_named() {
        let args = parse("x --synthetic tree=20 --synthetic tree=3x4").err();
        assert!(args.is_some(), "files alone are no tree");
        let args = parse("x --synthetic tree=5x3x4,size=1KiB").unwrap();
        let tree = SyntheticTree {
            folders: vec![5, 3],
            files: 4,
            size: 1 << 10,
            seed: 1,
        };
        assert_eq!(args.synthetic, [Synthetic::Tree(tree)]);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(parse("x --synthetic forest=3").is_err());
        assert!(parse("x --synthetic tree=3x,size=1KiB").is_err());
        assert!(parse("x --lock-length soon").is_err());
        assert!(parse("x --time-scale 0").unwrap().config().is_err());
        assert!(parse("x --quirk nonsense=1").unwrap().config().is_err());
    }
}
