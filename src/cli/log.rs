//! Log lines: to standard error, for who reads them now or in a journal.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogLevel};

/// Begins to log. Other crates only warn: what they say at lower levels can hold
/// download links, which are secrets.
pub fn start(level: LogLevel, format: LogFormat) {
    let filter = EnvFilter::new(format!("warn,fichierfs={}", name(level)));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr);
    let begun = match format {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Text => {
            let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
            let colour = io::stderr().is_terminal() && !plain;
            builder.with_ansi(colour).with_target(false).try_init()
        }
    };
    // Somebody else listens already, as a test does.
    drop(begun);
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
