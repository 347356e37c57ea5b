//! A mount and network namespace in which the service's names are ours. What is mounted
//! in it goes with it.

use super::Result;
use fichierfs::sim::tls_host_names;
use std::process::{Command, ExitStatus};

const INSIDE: &str = "FICHIERFS_BENCH_NAMESPACE";

/// On which side of the door we are.
pub enum Entered {
    /// All was run inside and ended so.
    Outside(ExitStatus),
    /// Inside.
    Inside,
}

/// Runs this program again inside, unless this is it.
pub fn enter() -> Result<Entered> {
    if std::env::var_os(INSIDE).is_some() {
        return Ok(Entered::Inside);
    }
    let dir = tempfile::tempdir()?;
    let names = tls_host_names();
    let lines = names.iter().map(|name| format!("127.0.0.1 {name}\n"));
    let hosts = dir.path().join("hosts");
    std::fs::write(
        &hosts,
        format!("127.0.0.1 localhost\n{}", lines.collect::<String>()),
    )?;
    let script = "ip link set lo up; mount --bind \"$1\" /etc/hosts; shift; exec \"$@\"";
    let root = nix::unistd::geteuid().is_root();
    let status = Command::new("unshare")
        .arg(if root { "-mn" } else { "-rmn" })
        .args(["sh", "-ec", script, "sh"])
        .arg(&hosts)
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .status()
        .map_err(|error| format!("unshare (package util-linux): {error}"))?;
    Ok(Entered::Outside(status))
}
