//! A simulated service and a user's machine.

use super::Mounted;
use super::guard::Guard;
use fichierfs::sim::{AccountHandle, Limits, Report, SimConfig, Simulator};
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::runtime::Runtime;

/// How many times as fast as the real service the simulator runs in most tests.
pub const SCALE: u32 = 50;

/// How many times as fast it is this time: [`SCALE`], or what the environment says.
/// `FICHIERFS_SPEED=1 cargo test --test mounts workflows` works at the real pace, for an hour or so.
pub fn speed() -> f64 {
    let asked = std::env::var("FICHIERFS_SPEED").ok();
    asked.map_or(f64::from(SCALE), |speed| {
        speed.parse().expect("FICHIERFS_SPEED is a number")
    })
}

/// A service at the documented limits that runs [`speed`] times as fast.
pub fn scaled() -> SimConfig {
    SimConfig {
        time_scale: speed(),
        ..SimConfig::default()
    }
}

/// See the module above.
pub struct World {
    _guard: Guard,
    // Before the runtime, which it runs on.
    simulator: Simulator,
    _runtime: Runtime,
    dir: tempfile::TempDir,
}

impl World {
    /// A world at the documented limits, scaled.
    pub fn new() -> World {
        World::with(scaled())
    }

    /// A world whose service is like this.
    pub fn with(config: SimConfig) -> World {
        super::shell::need(&["fusermount3"]);
        assert!(
            Path::new("/dev/fuse").exists(),
            "/dev/fuse is missing: run tests/setup"
        );
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let scale = config.time_scale;
        let simulator = runtime.block_on(Simulator::start(config)).unwrap();
        let dir = tempfile::Builder::new()
            .prefix("fichierfs-")
            .tempdir()
            .unwrap();
        let world = World {
            _guard: Guard::of(dir.path()),
            simulator,
            _runtime: runtime,
            dir,
        };
        let text = format!(
            "api_url = {:?}\nsite_url = {:?}\napi_key = {:?}\nlimits_scale = \"{scale}\"\n",
            world.simulator.api_url(),
            world.simulator.site_url(),
            world.simulator.key(),
        );
        world.write_config(&text);
        fs::create_dir(world.path("run")).unwrap();
        world
    }

    /// Below the world's own folder, whose path has no symbolic links.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    /// A new folder for local files.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir(&path).unwrap();
        path
    }

    /// The configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.path("config.toml")
    }

    /// Replaces the configuration file.
    pub fn write_config(&self, text: &str) {
        use std::io::Write;
        let file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.config_file());
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// The program, in the world's own home.
    pub fn fichierfs(&self) -> Command {
        self.at_home(Command::new(env!("CARGO_BIN_EXE_fichierfs")))
    }

    /// A command that sees this world and nothing of the real user's.
    pub fn at_home(&self, mut command: Command) -> Command {
        command
            .env_clear()
            .env("PATH", super::shell::search_path())
            .env("HOME", self.path("."))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("FICHIERFS_CONFIG", self.config_file())
            .env("LC_ALL", "C.UTF-8")
            .current_dir(self.path("."));
        command
    }

    /// Mounts the account on the first place.
    pub fn mount(&self) -> Mounted<'_> {
        self.mount_with("a", &[])
    }

    /// Mounts the account on a place, with flags. A place keeps its state and cache
    /// over mounts; a new one knows nothing of the account.
    pub fn mount_with(&self, place: &str, flags: &[&str]) -> Mounted<'_> {
        self.mount_on(place, &self.path(place), flags)
    }

    /// The same with the program's data in a folder that may be on another disk.
    pub fn mount_on(&self, place: &str, data: &Path, flags: &[&str]) -> Mounted<'_> {
        Mounted::start(self, place, data, flags)
    }

    /// Lets a place that never called before begin with a clean slate: it cannot know
    /// what other machines of the user called a moment ago, and the service would lock it.
    pub fn forget_calls(&self) {
        self.simulator.unlock();
    }

    /// The simulator.
    pub fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// The account as it truly is.
    pub fn account(&self) -> AccountHandle {
        self.simulator.account()
    }

    /// What the service saw so far.
    pub fn report(&self) -> Report {
        self.simulator.report()
    }

    /// Fails if the client did anything that it must not, or was ever locked.
    pub fn assert_well_behaved(&self) {
        let report = self.report();
        assert!(
            report.violation_count() == 0 && report.locks == 0 && report.bans == 0,
            "violations of the service's rules: {report:#?}"
        );
        assert_eq!(report.key_leaks, 0, "the key went to a download host");
    }
}

/// A simulator at other limits.
pub fn at_limits(limits: Limits) -> SimConfig {
    SimConfig { limits, ..scaled() }
}
