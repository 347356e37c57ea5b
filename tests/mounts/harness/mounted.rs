//! The program, mounted.

use super::{World, eventually, patience_of_the_queue, shell};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

/// The type that mounts of the program have.
const FS_TYPE: &str = "fuse.fichierfs";

/// How much of a log is shown when a test failed.
const SHOWN: usize = 12_000;

/// A running daemon and its mount. Dropping it kills the daemon and takes the mount away.
pub struct Mounted<'w> {
    world: &'w World,
    place: String,
    child: Child,
    point: PathBuf,
}

impl<'w> Mounted<'w> {
    pub(super) fn start(world: &'w World, place: &str, data: &Path, flags: &[&str]) -> Mounted<'w> {
        let point = prepare(world, place);
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(world.path(&format!("{place}/log")))
            .unwrap();
        let child = mount_command_on(world, place, data, flags)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut mounted = Mounted {
            world,
            place: place.to_owned(),
            child,
            point,
        };
        eventually("the mount", || {
            let ended = mounted.child.try_wait().unwrap();
            assert!(ended.is_none(), "the daemon ended: {ended:?}");
            is_alive(&mounted.point)
        });
        mounted
    }

    /// The mountpoint.
    pub fn path(&self) -> &Path {
        &self.point
    }

    /// Where it is.
    pub fn world(&self) -> &'w World {
        self.world
    }

    /// A path in the mount.
    pub fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.point.join(path)
    }

    /// The daemon's process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    /// What the daemon logged so far, at all mounts of this place.
    pub fn log(&self) -> String {
        log_of(self.world, &self.place)
    }

    /// Runs a verb of the program on this mount.
    pub fn verb(&self, words: &[&str]) -> Output {
        let mut command = self.world.fichierfs();
        command.args(words).arg(&self.point);
        shell::output(&mut command)
    }

    /// Waits until the service has confirmed everything.
    pub fn drain(&self) {
        let output = self.verb(&["queue", "wait", "--timeout", &patience_of_the_queue()]);
        if !output.status.success() {
            let list = self.verb(&["queue", "list"]);
            panic!(
                "the queue is not worked off: {}{}",
                shell::show(&output),
                shell::show(&list)
            );
        }
    }

    /// Unmounts after the queue is worked off.
    pub fn unmount(mut self) {
        let output = self.verb(&["unmount", "--drain-timeout", &patience_of_the_queue()]);
        assert!(output.status.success(), "unmount: {}", shell::show(&output));
        assert!(!is_mounted(&self.point), "unmount left the mount");
        let status = self.wait_for_end();
        assert!(status.success(), "the daemon ended with {status}");
    }

    /// Kills the daemon as a crash would. The dead mount stays.
    pub fn crash(mut self) {
        self.signal(Signal::SIGKILL);
        self.wait_for_end();
        // What Drop does would clear the wreck.
        self.point = PathBuf::new();
    }

    /// Sends the daemon a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits for the daemon's end.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the daemon's end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let from = log.ceil_char_boundary(log.len().saturating_sub(SHOWN));
            eprintln!("--- log of `{}`:\n{}", self.place, &log[from..]);
        }
        // An ended daemon needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
        while is_mounted(&self.point) {
            let gone = Command::new("fusermount3")
                .args([OsStr::new("-uz"), self.point.as_os_str()])
                .status();
            if !gone.is_ok_and(|status| status.success()) {
                break;
            }
        }
    }
}

/// Makes a place's folders; gives the mountpoint.
pub fn prepare(world: &World, place: &str) -> PathBuf {
    let point = world.path(&format!("{place}/m"));
    // A dead mount there cannot be looked at; the program clears it.
    if !is_mounted(&point) {
        fs::create_dir_all(&point).unwrap();
    }
    point
}

/// `fichierfs mount` for a place.
pub fn mount_command(world: &World, place: &str, flags: &[&str]) -> Command {
    mount_command_on(world, place, &world.path(place), flags)
}

/// The same with the program's data in a folder that may be on another disk.
pub fn mount_command_on(world: &World, place: &str, data: &Path, flags: &[&str]) -> Command {
    let mut command = world.fichierfs();
    command
        .arg("mount")
        .arg("--state-dir")
        .arg(data.join("state"))
        .arg("--cache-dir")
        .arg(data.join("cache"))
        .args(flags)
        .arg(world.path(&format!("{place}/m")));
    command
}

fn log_of(world: &World, place: &str) -> String {
    fs::read_to_string(world.path(&format!("{place}/log"))).unwrap_or_default()
}

/// Whether a mount of ours is there, dead or alive.
pub fn is_mounted(point: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    mounts.lines().any(|line| {
        let mut words = line.split(' ').skip(1);
        words.next() == point.to_str() && words.next() == Some(FS_TYPE)
    })
}

/// Whether a mount is there and answers. One question: a dead mount is there but does not answer,
/// and once the program has cleared that, the folder below it answers.
fn is_alive(point: &Path) -> bool {
    use nix::sys::statfs::{FUSE_SUPER_MAGIC, statfs};
    statfs(point).is_ok_and(|there| there.filesystem_type() == FUSE_SUPER_MAGIC)
}
