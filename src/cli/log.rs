//! Log lines: to standard error, for who reads them now or in a journal.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogLevel};

/// Changes how much is logged.
pub type SetLevel = Box<dyn Fn(LogLevel) + Send + Sync>;

/// Begins to log, and returns by what the level is changed.
pub fn start(level: LogLevel, format: LogFormat) -> SetLevel {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(level))
        .with_writer(io::stderr);
    let (begun, set): (_, SetLevel) = match format {
        LogFormat::Json => {
            let builder = builder.json().with_filter_reloading();
            let handle = builder.reload_handle();
            let set = move |level| drop(handle.reload(filter(level)));
            (builder.try_init(), Box::new(set))
        }
        LogFormat::Text => {
            let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
            let colour = io::stderr().is_terminal() && !plain;
            let builder = builder.with_ansi(colour).with_target(false);
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            let set = move |level| drop(handle.reload(filter(level)));
            (builder.try_init(), Box::new(set))
        }
    };
    // Somebody else listens already, as a test does.
    drop(begun);
    set
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
