//! The program as people and scripts meet it: exit codes, lines on standard error,
//! life in the background. Against the simulator, over real mounts; needs
//! /dev/fuse, and root or fusermount3.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use fichierfs::fuse::mountinfo;
use fichierfs::sim::{Fault, FaultKind, SimConfig, Simulator};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_fichierfs");

/// An end that does not come is a failure, not a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many times as fast as the real service all is.
const SPEED: u32 = 20;

/// For who asks for the account's figures twice, which the service allows seldom.
const HIGH_SPEED: u32 = 1000;

/// A user with a home and a simulated account.
struct User {
    speed: u32,
    runtime: tokio::runtime::Runtime,
    simulator: Simulator,
    home: tempfile::TempDir,
}

/// How a command ended.
#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl User {
    fn new(speed: u32) -> User {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let config = SimConfig {
            time_scale: f64::from(speed),
            ..SimConfig::default()
        };
        let simulator = runtime.block_on(Simulator::start(config)).unwrap();
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("mnt")).unwrap();
        User {
            speed,
            runtime,
            simulator,
            home,
        }
    }

    /// One who has gone through `init`.
    fn settled() -> User {
        let user = User::new(SPEED);
        let ran = user.init(user.simulator.key());
        assert_eq!(ran.code, 0, "{ran:?}");
        user
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(args)
            .current_dir(self.home.path())
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("FICHIERFS_API_URL", self.simulator.api_url())
            .env("FICHIERFS_SITE_URL", self.simulator.site_url())
            .env("FICHIERFS_LIMITS_SCALE", self.speed.to_string())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        ran(self.command(args).output().unwrap())
    }

    fn init(&self, key: &str) -> Ran {
        let mut child = self
            .command(&["init"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.take().unwrap(), "{key}").unwrap();
        ran(child.wait_with_output().unwrap())
    }

    fn mount(&self) {
        let ran = self.run(&["mount", "--background", "mnt"]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }

    fn is_mounted(&self) -> bool {
        let path = self.path("mnt").canonicalize().unwrap();
        mountinfo::top_at(&mountinfo::current().unwrap(), &path).is_some()
    }

    fn status(&self) -> serde_json::Value {
        let ran = self.run(&["status", "--json"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        serde_json::from_str(&ran.out).unwrap()
    }

    fn log(&self) -> String {
        let path = self.path(".local/share/fichierfs/default/fichierfs.log");
        std::fs::read_to_string(path).unwrap_or_default()
    }

    fn uploads_stall(&self) {
        let stall = FaultKind::Stall {
            after_bytes: 1,
            seconds: 3600.0,
        };
        self.simulator
            .faults()
            .add(Fault::new("upload", stall).always());
    }
}

impl Drop for User {
    fn drop(&mut self) {
        // A test that failed half-way leaves no mount and no process.
        if self.is_mounted() {
            self.run(&["unmount", "--no-wait", "mnt"]);
        }
        let _entered = self.runtime.enter();
    }
}

fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < until, "never came: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One line that names the program.
fn assert_line(ran: &Ran, code: i32, part: &str) {
    assert_eq!(ran.code, code, "{ran:?}");
    assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    assert!(
        ran.err.starts_with("fichierfs: ") && ran.err.contains(part),
        "{ran:?}"
    );
}

#[test]
fn a_first_day() {
    let user = User::settled();
    user.mount();
    std::fs::write(user.path("mnt/a.txt"), "text").unwrap();
    let ran = user.run(&["queue", "list"]);
    assert!(
        ran.out.contains("1 upload") && ran.out.contains("/a.txt"),
        "{ran:?}"
    );
    assert_eq!(user.run(&["queue", "wait", "--timeout", "60s"]).code, 0);
    assert_eq!(user.simulator.account().file_paths(), ["a.txt"]);

    user.simulator.account().add_file("b.txt", b"new").unwrap();
    assert_eq!(user.run(&["refresh", "mnt"]).code, 0);
    assert_eq!(std::fs::read(user.path("mnt/b.txt")).unwrap(), b"new");

    let ran = user.run(&["account"]);
    assert!(ran.out.contains("owner@example.org"), "{ran:?}");
    std::fs::write(user.path("mnt/c.txt"), "last").unwrap();
    assert_eq!(user.run(&["unmount"]).code, 0);
    assert!(!user.is_mounted());
    assert_eq!(user.simulator.account().content("c.txt").unwrap(), b"last");
    assert_line(&user.run(&["status"]), 4, "no fichierfs is running");
    let report = user.simulator.report();
    assert!(report.violations.is_empty(), "{:?}", report.violations);
}

#[test]
fn mistakes_are_one_line_that_says_what_to_do() {
    let user = User::new(HIGH_SPEED);
    assert_line(&user.run(&["mount", "mnt"]), 2, "run `fichierfs init`");
    assert_line(&user.init("short"), 2, "5 characters");
    let wrong = "x".repeat(32);
    let ran = user.init(&wrong);
    assert_line(&ran, 1, "the API key was refused");
    assert!(!ran.err.contains(&wrong));
    assert!(!user.path(".config/fichierfs/config.toml").exists());
    // The refused key stops nothing for another one.
    assert_eq!(user.init(user.simulator.key()).code, 0);

    assert_line(&user.run(&["mount", "none"]), 1, "mkdir -p");
    assert_line(&user.run(&["mount", "--background", "none"]), 1, "mkdir -p");
    assert_line(
        &user.run(&["mount", "-o", "umaks=1", "mnt"]),
        2,
        "did you mean \"umask\"",
    );
    assert_line(&user.run(&["unmount", "mnt"]), 4, "no fichierfs is mounted");
}

#[test]
fn what_is_left_has_its_own_exit_code() {
    let user = User::settled();
    user.mount();
    user.uploads_stall();
    std::fs::write(user.path("mnt/a.txt"), "text").unwrap();
    assert_line(
        &user.run(&["queue", "wait", "--timeout", "300ms"]),
        3,
        "1 upload",
    );
    assert_line(
        &user.run(&["unmount", "--drain-timeout", "300ms", "mnt"]),
        3,
        "next",
    );
    assert!(!user.is_mounted());

    user.simulator.faults().clear();
    user.mount();
    assert_eq!(std::fs::read(user.path("mnt/a.txt")).unwrap(), b"text");
    assert_eq!(user.run(&["unmount"]).code, 0);
    assert_eq!(user.simulator.account().file_paths(), ["a.txt"]);
}

#[test]
fn a_busy_mount_stays() {
    let user = User::settled();
    user.mount();
    let open = std::fs::File::create(user.path("mnt/a.txt")).unwrap();
    assert_line(&user.run(&["unmount", "mnt"]), 1, "in use");
    assert!(user.is_mounted());
    drop(open);
    assert_eq!(user.run(&["unmount", "mnt"]).code, 0);
}

#[test]
fn a_killed_daemon_loses_nothing() {
    let user = User::settled();
    user.mount();
    user.uploads_stall();
    std::fs::write(user.path("mnt/a.txt"), "text").unwrap();
    let pid = user.status()["pid"].as_i64().unwrap();
    kill(Pid::from_raw(pid as i32), Signal::SIGKILL).unwrap();
    wait_until("the end of the daemon", || user.run(&["status"]).code == 4);

    // The dead mount is cleared away by the new one.
    user.simulator.faults().clear();
    user.mount();
    assert_eq!(std::fs::read(user.path("mnt/a.txt")).unwrap(), b"text");
    assert_eq!(user.run(&["queue", "wait", "--timeout", "60s"]).code, 0);
    assert_eq!(user.simulator.account().file_paths(), ["a.txt"]);
    assert_eq!(user.run(&["unmount"]).code, 0);
}

#[test]
fn a_terminated_daemon_drains() {
    let user = User::settled();
    user.mount();
    std::fs::write(user.path("mnt/a.txt"), "text").unwrap();
    let pid = user.status()["pid"].as_i64().unwrap();
    kill(Pid::from_raw(pid as i32), Signal::SIGTERM).unwrap();
    wait_until("the end of the daemon", || user.run(&["status"]).code == 4);
    assert!(!user.is_mounted());
    assert_eq!(user.simulator.account().content("a.txt").unwrap(), b"text");
}

#[test]
fn the_key_is_nowhere_but_in_its_file() {
    let user = User::settled();
    let key = user.simulator.key();
    let mut mount = user.command(&["mount", "--background", "--log-level", "trace", "mnt"]);
    assert_eq!(ran(mount.output().unwrap()).code, 0);
    user.simulator.account().add_file("b.txt", b"new").unwrap();
    std::fs::write(user.path("mnt/a.txt"), "text").unwrap();
    assert_eq!(std::fs::read(user.path("mnt/b.txt")).unwrap(), b"new");
    assert_eq!(user.run(&["queue", "wait", "--timeout", "60s"]).code, 0);

    for args in [
        &["status", "--json"][..],
        &["queue", "list", "--json"],
        &["account", "--json"],
    ] {
        let ran = user.run(args);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(!ran.out.contains(key) && !ran.err.contains(key));
    }
    let pid = user.status()["pid"].as_i64().unwrap();
    let arguments = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(!arguments.contains(key));
    assert_eq!(user.run(&["unmount"]).code, 0);
    let log = user.log();
    assert!(log.contains("mounted on"), "{log}");
    assert!(!log.contains(key));
    // Nor a download link.
    assert!(
        !log.contains(&format!("{}/p", user.simulator.site_url())),
        "{log}"
    );
}

#[test]
fn completions_and_manuals_are_printed() {
    let user = User::new(SPEED);
    for shell in ["bash", "zsh", "fish"] {
        let ran = user.run(&["completions", shell]);
        assert!(ran.code == 0 && ran.out.contains("write-back"), "{shell}");
    }
    assert!(user.run(&["man"]).out.contains(".TH fichierfs"));
    assert_eq!(user.run(&["man", "--out", "man1"]).code, 0);
    assert!(user.path("man1/fichierfs-mount.1").exists());
}

/// The fields of a JSON value as docs/json.md writes them.
fn fields(value: &serde_json::Value, prefix: &str, out: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (name, value) in map {
                let path = format!("{prefix}{name}");
                // The names in these are those of the service's calls.
                let is_map = ["api.calls", "api.locks"].contains(&path.as_str());
                out.push(path.clone());
                if !is_map {
                    fields(value, &format!("{path}."), out);
                }
            }
        }
        serde_json::Value::Array(items) => {
            let prefix = format!("{}[].", prefix.trim_end_matches('.'));
            for item in items {
                fields(item, &prefix, out);
            }
        }
        _ => {}
    }
}

#[test]
fn what_json_prints_is_what_the_document_says() {
    let document = include_str!("../docs/json.md");
    let user = User::settled();
    user.mount();
    user.uploads_stall();
    // More than the buffers of a connection take.
    std::fs::write(user.path("mnt/a.txt"), vec![7; 32 << 20]).unwrap();
    user.run(&["queue", "flush"]);
    wait_until("the upload", || {
        !user.status()["transfers"].as_array().unwrap().is_empty()
    });
    for verb in ["status", "queue list", "account"] {
        let mut words: Vec<&str> = verb.split(' ').collect();
        words.push("--json");
        let ran = user.run(&words);
        assert_eq!(ran.code, 0, "{ran:?}");
        let (_, section) = document
            .split_once(&format!("## `fichierfs {verb} --json`"))
            .unwrap();
        let section = section.split("\n## ").next().unwrap();
        let documented: Vec<&str> = section
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .collect();
        let mut printed = Vec::new();
        fields(&serde_json::from_str(&ran.out).unwrap(), "", &mut printed);
        assert!(printed.len() > 5, "{printed:?}");
        for field in &printed {
            assert!(documented.contains(&field.as_str()), "{verb}: {field}");
        }
        // Fields in something that may be absent, or in a list that is empty, aside.
        for field in documented
            .iter()
            .filter(|field| !field.contains(['.', '[']))
        {
            assert!(printed.iter().any(|p| p == field), "{verb}: {field}");
        }
    }
    user.simulator.faults().clear();
    assert_eq!(user.run(&["unmount", "--no-wait"]).code, 3);
}
