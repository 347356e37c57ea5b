//! What keeps the key inside the process.

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};

/// Keeps other processes of the user from reading this one's memory, and the
/// memory out of core dumps. To be called before the key is read.
pub fn harden_process() {
    // Where the kernel refuses, the program is no worse than others.
    if let Err(error) = prctl::set_dumpable(false) {
        tracing::debug!(%error, "the process stays dumpable");
    }
    if let Err(error) = setrlimit(Resource::RLIMIT_CORE, 0, 0) {
        tracing::debug!(%error, "core dumps stay possible");
    }
}

/// Keeps the numbers of ended children ours until they were waited for. Who starts the program may
/// have it otherwise, by having SIGCHLD ignored. To be called before anything else handles that signal.
pub fn keep_children() {
    // SAFETY: no handler is installed.
    if let Err(error) = unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) } {
        tracing::debug!(%error, "SIGCHLD stays as it was");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_not_dumpable_afterwards() {
        harden_process();
        assert!(!prctl::get_dumpable().unwrap());
        assert_eq!(
            nix::sys::resource::getrlimit(Resource::RLIMIT_CORE).unwrap(),
            (0, 0)
        );
    }
}
