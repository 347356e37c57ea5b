//! Processes: started, waited for in bounded time, and never left behind.

use super::Result;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process that does not outlive us.
pub struct Running(Child);

impl Running {
    pub fn new(child: Child) -> Running {
        Running(child)
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.0.id().cast_signed()), signal)?)
    }

    /// Whether it ended.
    pub fn ended(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }

    /// Asks it to end; kills it if it takes longer than that.
    pub fn stop(&mut self, patience: Duration) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        let end = Instant::now() + patience;
        while !self.ended()? && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill();
        Ok(())
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        // Both fail where it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Kills a process if it is still wanted after that long, so that a reader whom it lets
/// wait gets an error. Dropped before the process is waited for.
pub struct Watch {
    /// Dropping it ends the thread.
    _alive: std::sync::mpsc::Sender<()>,
}

impl Watch {
    pub fn over(pid: u32, patience: Duration) -> Watch {
        let (alive, gone) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            if gone.recv_timeout(patience) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                // It may have ended by itself.
                let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
            }
        });
        Watch { _alive: alive }
    }
}

/// A file for what a process says.
pub fn log(path: &Path) -> Result<Stdio> {
    let file = File::options().create(true).append(true).open(path)?;
    Ok(file.into())
}

/// Where programs are looked for: what `tests/setup` built, then the user's path.
pub fn search_path() -> OsString {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin");
    let user = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(own).chain(std::env::split_paths(&user));
    std::env::join_paths(folders).unwrap_or(user.clone())
}

/// Fails with the way out if a program is missing.
pub fn need(programs: &[&str]) -> Result<()> {
    let folders: Vec<PathBuf> = std::env::split_paths(&search_path()).collect();
    for program in programs {
        if !folders.iter().any(|folder| folder.join(program).is_file()) {
            return Err(format!("`{program}` is missing: run tests/setup bench").into());
        }
    }
    Ok(())
}

/// Runs a command to its end, which is kept from hanging; gives its output.
pub fn output(program: &str, arguments: &[&str], patience: Duration) -> Result<String> {
    let seconds = patience.as_secs().max(1).to_string();
    let output = Command::new("timeout")
        .args(["--kill-after=5", &seconds, program])
        .args(arguments)
        .env("PATH", search_path())
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        // What was wrong, without the place of this run.
        let line = errors.lines().last().unwrap_or_default();
        let why = line.rsplit(": ").next().unwrap_or_default();
        return Err(format!("{program} ended with {}: {why}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Waits for something, but not longer than that. Tells whether it came.
pub fn until(patience: Duration, mut done: impl FnMut() -> Result<bool>) -> Result<bool> {
    let end = Instant::now() + patience;
    while !done()? {
        if Instant::now() >= end {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(true)
}

/// Bytes of all files below a folder.
pub fn size_below(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for item in walkdir::WalkDir::new(dir) {
        let facts = item?.metadata()?;
        if facts.is_file() {
            bytes += facts.len();
        }
    }
    Ok(bytes)
}
