//! What a test over a real mount needs: a simulated service and a folder of its own
//! ([`World`]), the program mounted on it ([`Mounted`]), shell commands that end
//! in time ([`shell`]), and the comparison of folders with the account ([`tree`]).
//!
//! A world is a user's machine: it has a home, a configuration and one or more places
//! (mountpoint, state, cache). Nothing of the real user is read or
//! written. When a world goes, its daemons are killed and its mounts taken away,
//! and if the test failed, their logs are printed first.

#[path = "../../common/guard.rs"]
mod guard;
mod mounted;
pub mod sample;
pub mod shell;
pub mod tree;
mod world;

pub use mounted::{Mounted, is_mounted, mount_command, mount_command_on, prepare};
pub use world::{World, at_limits, scaled};

use std::path::Path;
use std::time::{Duration, Instant};

/// How long anything may take before it counts as hanging. No test depends on how
/// fast something is, only on its coming to an end. A node that is gone is asked for the result
/// of an upload for two hours, which are two minutes here.
pub fn patience() -> Duration {
    let usual = Duration::from_secs(240);
    match f64::from(world::SCALE) / world::speed() {
        slower if slower > 1.0 => usual.mul_f64(slower),
        _ => usual,
    }
}

/// The same for the queue, as an argument: it gives up first, and says what is left.
pub fn patience_of_the_queue() -> String {
    format!("{}s", patience().as_secs() * 5 / 6)
}

/// Waits for something that another process or thread does.
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + patience();
    while !done() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The error number of a failed call; a test fails if the call did not.
pub fn errno<T>(result: std::io::Result<T>) -> i32 {
    match result {
        Ok(_) => panic!("the call succeeded but should have failed"),
        Err(error) => error
            .raw_os_error()
            .unwrap_or_else(|| panic!("no error of the system: {error}")),
    }
}

/// The file's whole content as text, for comparisons that can be read.
pub fn text(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    String::from_utf8(bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Names in a folder, sorted.
pub fn names(path: impl AsRef<Path>) -> Vec<String> {
    let path = path.as_ref();
    let entries = std::fs::read_dir(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// How far a file has come between the mount and the service, as the mount tells it.
pub fn state(path: &Path) -> String {
    let mut value = [0; 200];
    let size = rustix::fs::getxattr(path, "user.1fichier.state", &mut value).unwrap();
    String::from_utf8(value[..size].to_vec()).unwrap()
}
