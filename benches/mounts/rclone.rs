//! rclone 1.75 or newer, mounting its `fichier` backend with a full cache.

use super::Result;
use super::peer::{Mount, Peer, Place};
use super::service::Service;
use super::shell;
use std::process::Command;
use std::time::Duration;

/// How it is run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Rclone {
    /// `--vfs-cache-mode full` and else its defaults.
    Default,
    /// Its best for this service: several streams of large chunks, as each chunk costs
    /// it a download link.
    Streams,
}

impl Peer for Rclone {
    fn name(&self) -> &'static str {
        match self {
            Rclone::Default => "rclone (a)",
            Rclone::Streams => "rclone (b)",
        }
    }

    fn command(&self, service: &Service, place: &Place) -> Result<Command> {
        shell::need(&["rclone"])?;
        let mut command = Command::new("rclone");
        command
            .args(["mount", "f:"])
            .arg(place.point())
            .args(["--vfs-cache-mode", "full", "--cache-dir"])
            .arg(place.cache())
            .env_clear()
            .env("PATH", shell::search_path())
            .env("HOME", place.dir())
            .env("SSL_CERT_FILE", service.authority())
            .env("RCLONE_CONFIG", place.dir().join("rclone.conf"))
            .env("RCLONE_CONFIG_F_TYPE", "fichier")
            .env("RCLONE_CONFIG_F_API_KEY", service.key());
        if *self == Rclone::Streams {
            command.args(["--vfs-read-chunk-streams", "8"]);
            command.args(["--vfs-read-chunk-size", "64M"]);
        }
        // Its list of uploads that wait.
        command
            .args(["--rc", "--rc-no-auth", "--rc-addr"])
            .arg(format!("unix://{}", place.dir().join("rc").display()));
        Ok(command)
    }

    fn drained(&self, mount: &Mount, patience: Duration) -> Result<bool> {
        let socket = format!("unix://{}", mount.place().dir().join("rc").display());
        let words = [
            "rc",
            "--unix-socket",
            &socket["unix://".len()..],
            "vfs/stats",
        ];
        shell::until(patience, || {
            let text = shell::output("rclone", &words, Duration::from_secs(10))?;
            let stats: serde_json::Value = serde_json::from_str(&text)?;
            let cache = &stats["diskCache"];
            Ok(cache["uploadsQueued"] == 0 && cache["uploadsInProgress"] == 0)
        })
    }
}
