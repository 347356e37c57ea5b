//! A user of the program: a home, a simulated account, and commands that end.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::guard::Guard;
use fichierfs::fuse::mountinfo;
use fichierfs::sim::{AccountConfig, Fault, FaultKind, SimConfig, Simulator};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_fichierfs");

/// An end that does not come is a failure, not a hang.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How many times as fast as the real service all is.
pub const SPEED: u32 = 20;

/// For who asks for the account's figures twice, which the service allows seldom.
pub const HIGH_SPEED: u32 = 1000;

/// A user with a home and a simulated account.
pub struct User {
    _guard: Guard,
    speed: u32,
    runtime: tokio::runtime::Runtime,
    pub simulator: Simulator,
    home: tempfile::TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl User {
    pub fn new(speed: u32) -> User {
        User::with(speed, SimConfig::default().accounts)
    }

    /// One who knows a service with these accounts.
    pub fn with(speed: u32, accounts: Vec<AccountConfig>) -> User {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let config = SimConfig {
            time_scale: f64::from(speed),
            accounts,
            ..SimConfig::default()
        };
        let simulator = runtime.block_on(Simulator::start(config)).unwrap();
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("mnt")).unwrap();
        User {
            _guard: Guard::of(home.path()),
            speed,
            runtime,
            simulator,
            home,
        }
    }

    /// One who has gone through `init`.
    pub fn settled() -> User {
        let user = User::new(SPEED);
        let ran = user.init(user.simulator.key());
        assert_eq!(ran.code, 0, "{ran:?}");
        user
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub fn command(&self, args: &[&str]) -> Command {
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

    /// Gives another program this user's environment, and nothing else.
    pub fn lend(&self, program: &mut Command) {
        let own = self.command(&[]);
        program.env_clear().current_dir(self.home.path());
        for (name, value) in own.get_envs() {
            if let Some(value) = value {
                program.env(name, value);
            }
        }
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        ran(self.command(args).output().unwrap())
    }

    pub fn init(&self, key: &str) -> Ran {
        self.init_with(&["init"], key)
    }

    pub fn init_with(&self, words: &[&str], key: &str) -> Ran {
        let mut child = self
            .command(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.take().unwrap(), "{key}").unwrap();
        ran(child.wait_with_output().unwrap())
    }

    pub fn mount(&self) {
        let ran = self.run(&["mount", "--background", "mnt"]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }

    pub fn is_mounted(&self) -> bool {
        let path = self.path("mnt").canonicalize().unwrap();
        mountinfo::top_at(&mountinfo::current().unwrap(), &path).is_some()
    }

    pub fn status(&self) -> serde_json::Value {
        let ran = self.run(&["status", "--json"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        serde_json::from_str(&ran.out).unwrap()
    }

    pub fn log(&self) -> String {
        let path = self.path(".local/share/fichierfs/default/fichierfs.log");
        std::fs::read_to_string(path).unwrap_or_default()
    }

    pub fn uploads_stall(&self) {
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

pub fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

pub fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < until, "never came: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One line that names the program.
pub fn assert_line(ran: &Ran, code: i32, part: &str) {
    assert_eq!(ran.code, code, "{ran:?}");
    assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    assert!(
        ran.err.starts_with("fichierfs: ") && ran.err.contains(part),
        "{ran:?}"
    );
}
