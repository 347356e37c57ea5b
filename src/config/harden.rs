//! What keeps the key inside the process.

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};

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
