//! The device, the helper of ordinary users, and leave for others to enter.

use nix::unistd::geteuid;

use super::super::{Case, Finding};
use crate::fuse::health::{self, Power};

const CHECK: &str = "fuse";

pub(super) fn check(case: &Case) -> Vec<Finding> {
    let mut found = vec![match health::device() {
        Ok(()) => Finding::ok(CHECK, "/dev/fuse can be opened"),
        Err(error) => {
            Finding::problem(CHECK, error.to_string()).mend("sudo modprobe fuse && ls -l /dev/fuse")
        }
    }];
    if !geteuid().is_root() {
        found.push(helper());
    }
    let passes = case.known().is_some_and(|known| known.settings.passthrough);
    if passes && !geteuid().is_root() {
        found.push(Finding::note(
            CHECK,
            "passthrough is set, but the kernel takes files from root alone: all is read as without it",
        ));
    }
    let wanted = case.known().is_some_and(|known| known.settings.allow_other);
    if wanted && !health::others_allowed() {
        found.push(
            Finding::problem(
                CHECK,
                "allow_other is set, but /etc/fuse.conf does not let ordinary users give it",
            )
            .mend("echo user_allow_other | sudo tee -a /etc/fuse.conf"),
        );
    }
    found
}

fn helper() -> Finding {
    match health::helper() {
        Some((program, Power::SetUid)) => {
            Finding::ok(CHECK, format!("{} can mount", program.display()))
        }
        Some((program, Power::None)) => {
            let program = program.display();
            Finding::problem(
                CHECK,
                format!("{program} is not set-uid root, so it cannot mount"),
            )
            .mend("sudo apt-get install --reinstall fuse3")
        }
        None => Finding::problem(CHECK, "mounting as an ordinary user needs fusermount3")
            .mend("sudo apt-get install fuse3"),
    }
}
