//! What a crash leaves behind: mounts that nobody serves, sockets that nobody hears.

use std::os::unix::net::UnixStream;

use super::super::{Case, Finding};
use crate::control::socket;
use crate::fuse::health;

const CHECK: &str = "leftovers";

pub(super) fn check(case: &Case) -> Vec<Finding> {
    let mut found: Vec<Finding> = match health::wrecks() {
        Ok(wrecks) => wrecks.into_iter().map(wreck).collect(),
        Err(error) => vec![Finding::note(
            CHECK,
            format!("the mounts cannot be listed: {error}"),
        )],
    };
    if let Some(known) = case.known() {
        let [.., runtime] = known.paths.all();
        for path in socket::all(runtime) {
            if UnixStream::connect(&path).is_err() {
                let what = format!("nobody listens on {} any more", path.display());
                found.push(
                    Finding::note(CHECK, what)
                        .mend(format!("rm {}", path.display()))
                        .fix(move || std::fs::remove_file(&path).map_err(|e| e.to_string())),
                );
            }
        }
    }
    if found.is_empty() {
        found.push(Finding::ok(CHECK, "a crash has left nothing behind"));
    }
    found
}

fn wreck(at: std::path::PathBuf) -> Finding {
    let what = format!("the daemon of the mount at {} has died", at.display());
    Finding::problem(CHECK, what)
        .mend(format!("fusermount3 -u -z {}", at.display()))
        .fix(move || health::clear_wreck(&at).map_err(|error| error.to_string()))
}
