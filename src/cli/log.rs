//! Log lines: to standard error, to the journal with fields of their own, or to a file that
//! is followed by the next one when it is full.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Mutex;

use logroller::{LogRoller, LogRollerBuilder, Rotation, RotationSize};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::config::{LogFormat, LogLevel, Settings};

/// Changes how much is logged.
pub type SetLevel = Box<dyn Fn(LogLevel) + Send + Sync>;

/// Where lines go.
pub enum Target {
    /// To standard error.
    Stderr,
    /// To the journal of systemd.
    Journal,
    /// To files.
    Files(Files),
}

/// A file, and those that it was before it was full.
pub struct Files {
    /// The one in use.
    pub path: PathBuf,
    /// How many bytes it may have.
    pub size: u64,
    /// How many full ones are kept.
    pub kept: usize,
}

impl Target {
    /// What the settings say; a process in the background has `background` as its file where
    /// they say nothing.
    pub fn of(settings: &Settings, background: Option<PathBuf>) -> Target {
        let path = settings.log_file.clone();
        if path.is_none() && is_journal() {
            return Target::Journal;
        }
        match path.or(background) {
            None => Target::Stderr,
            Some(path) => Target::Files(Files {
                path,
                size: settings.log_file_size.0,
                kept: settings.log_files,
            }),
        }
    }
}

/// Whether standard error leads to the journal (`JOURNAL_STREAM` in systemd.exec(5)).
fn is_journal() -> bool {
    let named = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    nix::sys::stat::fstat(io::stderr().as_fd())
        .is_ok_and(|facts| named == format!("{}:{}", facts.st_dev, facts.st_ino))
}

/// Begins to log, and returns by what the level is changed.
///
/// # Errors
/// A file that cannot be written, a journal that is not there.
pub fn start(level: LogLevel, format: LogFormat, target: Target) -> io::Result<SetLevel> {
    let (filter, handle) = reload::Layer::new(filter(level));
    let lines = match target {
        Target::Journal => tracing_journald::layer()?
            .with_syslog_identifier("fichierfs".to_owned())
            .with_field_prefix(Some("FICHIERFS".to_owned()))
            .boxed(),
        Target::Files(files) => {
            let file = Mutex::new(files.open()?);
            match format {
                LogFormat::Json => fmt::layer().json().with_writer(file).boxed(),
                LogFormat::Text => plain().with_ansi(false).with_writer(file).boxed(),
            }
        }
        Target::Stderr => match format {
            LogFormat::Json => fmt::layer().json().with_writer(io::stderr).boxed(),
            LogFormat::Text => {
                let colourless = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
                let colour = io::stderr().is_terminal() && !colourless;
                plain().with_ansi(colour).with_writer(io::stderr).boxed()
            }
        },
    };
    // Where it fails somebody else listens already, as a test does.
    let _ = Registry::default()
        .with(lines.with_filter(filter))
        .try_init();
    Ok(Box::new(move |level| {
        drop(handle.reload(self::filter(level)))
    }))
}

fn plain() -> fmt::Layer<Registry> {
    fmt::layer().with_target(false)
}

impl Files {
    /// The file in use, closed to others as it names files of the account.
    fn open(&self) -> io::Result<LogRoller> {
        let folder = self.path.parent().unwrap_or(std::path::Path::new("/"));
        let name = self.path.file_name().unwrap_or_default();
        let wrong = |why: &dyn std::fmt::Display| {
            io::Error::other(format!("log_file {}: {why}", self.path.display()))
        };
        if !folder.is_dir() {
            // It would be made, and a mistyped name with it.
            return Err(wrong(&"there is no such folder"));
        }
        LogRollerBuilder::new(folder, std::path::Path::new(name))
            .rotation(Rotation::SizeBased(RotationSize::Bytes(
                self.size.max(1 << 16),
            )))
            .max_keep_files(self.kept as u64)
            .file_mode(0o600)
            .build()
            .map_err(|error| wrong(&error))
    }
}

/// Other crates only warn: what they say at lower levels can hold download links,
/// which are secrets.
fn filter(level: LogLevel) -> EnvFilter {
    EnvFilter::new(format!("warn,fichierfs={}", name(level)))
}

fn name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}
