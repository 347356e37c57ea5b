//! A program that mounts the account, whichever it is.

use super::Result;
use super::measure::{Figures, Usage};
use super::service::Service;
use super::shell::{self, Running, Watch};
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::Signal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a program may take to mount, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a mount may last: longer than any row works with it.
const LONGEST: Duration = Duration::from_secs(1_500);

/// A program, with its flags.
pub trait Peer {
    /// Its name in tables.
    fn name(&self) -> &'static str;

    /// The command that mounts the account of `service` in the foreground, keeping all
    /// that it keeps in the place.
    fn command(&self, service: &Service, place: &Place) -> Result<Command>;

    /// Waits, at most so long, until the service has everything that was written.
    /// Tells whether it has.
    fn drained(&self, mount: &Mount, patience: Duration) -> Result<bool>;
}

/// Where a program keeps its things. It outlives the mount, so that there can be another.
#[derive(Clone)]
pub struct Place(PathBuf);

impl Place {
    /// A folder for one program.
    pub fn new(dir: PathBuf) -> Result<Place> {
        for folder in ["m", "cache", "state"] {
            std::fs::create_dir_all(dir.join(folder))?;
        }
        Ok(Place(dir))
    }

    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// The mountpoint.
    pub fn point(&self) -> PathBuf {
        self.0.join("m")
    }

    /// Where it keeps copies of what it read.
    pub fn cache(&self) -> PathBuf {
        self.0.join("cache")
    }

    /// Where it keeps the rest.
    pub fn state(&self) -> PathBuf {
        self.0.join("state")
    }
}

/// A mounted program. Dropping it kills the program and takes the mount away.
pub struct Mount {
    // Before the process: it goes first.
    _watch: Watch,
    process: Running,
    place: Place,
}

impl Mount {
    /// Starts a program and waits for its mount.
    pub fn start(peer: &dyn Peer, service: &Service, place: &Place) -> Result<Mount> {
        Mount::of(peer.command(service, place)?, place)
    }

    /// Starts a command that mounts, and waits for it.
    pub fn of(mut command: Command, place: &Place) -> Result<Mount> {
        let log = place.dir().join("log");
        let child = command
            .stdin(Stdio::null())
            .stdout(shell::log(&log)?)
            .stderr(shell::log(&log)?)
            .spawn()?;
        let mut mount = Mount {
            _watch: Watch::over(child.id(), LONGEST),
            process: Running::new(child),
            place: place.clone(),
        };
        let point = place.point();
        let mounted = shell::until(PATIENCE, || {
            Ok(mount.process.ended()? || is_mounted(&point)?)
        })?;
        if !mounted || mount.process.ended()? {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            return Err(format!("did not mount: {log}").into());
        }
        Ok(mount)
    }

    /// A path in the mount.
    pub fn path(&self, name: &str) -> PathBuf {
        self.place.point().join(name)
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// CPU and memory so far.
    pub fn usage(&self) -> Result<Usage> {
        Usage::of(self.process.pid())
    }

    /// Begins measuring: what [`Figures`] tell counts from here.
    pub fn begin(&self) -> Result<Figures> {
        Figures::begin(self.process.pid())
    }

    /// Kills the program if it is not done after that long.
    #[must_use]
    pub fn limit(&self, patience: Duration) -> Watch {
        Watch::over(self.process.pid(), patience)
    }

    /// Ends the program as a user does, without waiting for what is queued for longer
    /// than a moment.
    pub fn stop(mut self) -> Result<()> {
        self.process.stop(PATIENCE)
    }

    /// Ends it as a crash does.
    pub fn crash(mut self) {
        self.process.kill();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.process.kill();
        while is_mounted(&self.place.point()).unwrap_or(false) {
            if umount2(&self.place.point(), MntFlags::MNT_DETACH).is_err() {
                break;
            }
        }
    }
}

/// Whether something is mounted there.
pub fn is_mounted(point: &Path) -> Result<bool> {
    let mounts = std::fs::read_to_string("/proc/self/mounts")?;
    let mut points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    Ok(points.any(|at| Some(at) == point.to_str()))
}
