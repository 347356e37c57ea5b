//! fichierfs, as people run it.

use super::Result;
use super::peer::{Mount, Peer, Place};
use super::service::Service;
use super::shell;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::time::Duration;

/// With flags of `mount`.
pub struct Fichierfs {
    flags: Vec<String>,
}

impl Fichierfs {
    /// With its defaults.
    pub const fn plain() -> Fichierfs {
        Fichierfs { flags: Vec::new() }
    }

    pub fn with(flags: &[&str]) -> Fichierfs {
        Fichierfs {
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        }
    }

    /// The mount of a place that was mounted before, whether its service is there or not.
    pub fn offline(&self, place: &Place) -> Command {
        let mut command = program(place);
        command
            .arg("mount")
            .arg("--state-dir")
            .arg(place.state())
            .arg("--cache-dir")
            .arg(place.cache())
            .args(&self.flags)
            .arg(place.point());
        command
    }
}

/// A verb of the program, for the mount of a place.
pub fn verb(place: &Place, words: &[&str]) -> Command {
    let mut command = program(place);
    command.args(words).arg(place.point());
    command
}

fn program(place: &Place) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fichierfs"));
    command
        .env_clear()
        .env("PATH", shell::search_path())
        .env("HOME", place.dir())
        .env("XDG_RUNTIME_DIR", place.dir())
        .env("FICHIERFS_CONFIG", place.dir().join("config.toml"));
    command
}

impl Peer for Fichierfs {
    fn name(&self) -> &'static str {
        "fichierfs"
    }

    fn command(&self, service: &Service, place: &Place) -> Result<Command> {
        let mut file = std::fs::File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(place.dir().join("config.toml"))?;
        file.write_all(service.configuration().as_bytes())?;
        let mut command = self.offline(place);
        command.env("SSL_CERT_FILE", service.authority());
        Ok(command)
    }

    fn drained(&self, mount: &Mount, patience: Duration) -> Result<bool> {
        let seconds = format!("{}s", patience.as_secs().max(1));
        let words = ["queue", "wait", "--timeout", &seconds];
        let output = verb(mount.place(), &words).output()?;
        Ok(output.status.success())
    }
}
