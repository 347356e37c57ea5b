//! Cleans up behind a test, also one that is killed since it took too long: a process of its own
//! that waits for the end of the test's, whose pipe then closes.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Ends the daemons whose state lies below the folder, each by the number in its lock, and takes
/// away mounts there.
const SCRIPT: &str = r#"
read -r _ || :
find "$1" -xdev -name lock -type f 2> /dev/null | while read -r lock; do
    # Who holds it is whose number is in it.
    if flock -n "$lock" true; then continue; fi
    pid=$(cat "$lock")
    case "$(readlink "/proc/$pid/exe" 2> /dev/null)" in
    */fichierfs | */fichierfs' (deleted)') kill -9 "$pid" ;;
    esac
done
grep -F " $1/" /proc/self/mounts | cut -d' ' -f2 | while read -r at; do
    fusermount3 -uqz "$at" || umount -l "$at"
done
"#;

/// Guards a folder until it is dropped, or its process ends.
pub struct Guard(Child);

impl Guard {
    /// Begins to.
    pub fn of(folder: &Path) -> Guard {
        let child = Command::new("sh")
            .args(["-c", SCRIPT, "sh"])
            .arg(folder.canonicalize().unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C ends the tests, not what cleans up behind them.
            .process_group(0)
            .spawn()
            .unwrap();
        Guard(child)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It has nothing to wait for.
        let _ = self.0.wait();
    }
}
