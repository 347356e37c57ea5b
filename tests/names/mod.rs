//! A place where the service's own names lead to the simulator.
//!
//! Its TLS listener must be reachable under them on port 443. A test that asks for that is run
//! again in a private mount and network namespace, with a hosts file of its own over
//! `/etc/hosts`. It needs `unshare`, `ip` and `mount`; without them it fails.

use fichierfs::sim::tls_host_names;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

const INSIDE: &str = "FICHIERFS_TEST_NAMESPACE";

/// Runs `test` of this program again where the service's names are ours, and gives `None`; in
/// there, a folder for the test's files, which everybody may enter.
pub fn ours(test: &str) -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os(INSIDE) {
        return Some(dir.into());
    }
    let dir = tempfile::tempdir().unwrap();
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(dir.path(), open).unwrap();
    let hosts: String = tls_host_names()
        .iter()
        .map(|name| format!("127.0.0.1 {name}\n"))
        .collect();
    std::fs::write(
        dir.path().join("hosts"),
        format!("127.0.0.1 localhost\n{hosts}"),
    )
    .unwrap();
    let script = "ip link set lo up && mount --bind \"$1/hosts\" /etc/hosts && \
                  exec \"$2\" \"$3\" --exact --nocapture";
    // The superuser needs no user namespace, and could not mount FUSE in one everywhere.
    let root = nix::unistd::geteuid().is_root();
    let status = Command::new("unshare")
        .arg(if root { "-mn" } else { "-rmn" })
        .args(["sh", "-ec", script, "sh"])
        .arg(dir.path())
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env(INSIDE, dir.path())
        .status()
        .expect("`unshare` (package util-linux) cannot be started");
    assert!(status.success(), "the test inside the namespace failed");
    None
}
