//! Commands that end in time, and what they said.

use super::{World, patience, patience_of_the_queue};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Where programs are looked for: what `tests/setup` built, then the user's path.
pub fn search_path() -> OsString {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin");
    let user = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(own).chain(std::env::split_paths(&user));
    std::env::join_paths(folders).unwrap()
}

/// Fails with the way out if a program is missing.
pub fn need(programs: &[&str]) {
    let folders: Vec<PathBuf> = std::env::split_paths(&search_path()).collect();
    for program in programs {
        let found = folders.iter().any(|folder| folder.join(program).is_file());
        assert!(found, "`{program}` is missing: run tests/setup");
    }
}

/// Runs a command to its end; one that hangs is killed, and fails.
pub fn output(command: &mut Command) -> Output {
    let mut timed = Command::new("timeout");
    timed
        .args(["--kill-after=5", &patience().as_secs().to_string()])
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            timed.env(name, value);
        }
    }
    if let Some(dir) = command.get_current_dir() {
        timed.current_dir(dir);
    }
    timed.output().unwrap()
}

/// A command's end for a person.
pub fn show(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Runs a script of bash that stops at its first failure, with variables.
pub fn script(world: &World, text: &str, variables: &[(&str, &Path)]) -> Result<String, String> {
    let mut bash = world.at_home(Command::new("bash"));
    bash.args(["-euo", "pipefail", "-c", text]);
    // Work of people and commits have names and dates; these make both runs of one alike.
    for role in ["AUTHOR", "COMMITTER"] {
        bash.env(format!("GIT_{role}_NAME"), "Somebody")
            .env(format!("GIT_{role}_EMAIL"), "somebody@example.org")
            .env(format!("GIT_{role}_DATE"), "2026-01-02T03:04:05Z");
    }
    bash.env("FICHIERFS", env!("CARGO_BIN_EXE_fichierfs"))
        .env("PATIENCE", patience_of_the_queue());
    for (name, path) in variables {
        bash.env(name, path);
    }
    let output = output(&mut bash);
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(show(&output))
    }
}
