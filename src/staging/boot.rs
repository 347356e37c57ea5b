//! Which boot of the machine this is: what was not synced in an earlier one may be lost.

use std::sync::OnceLock;

/// The kernel's name for this boot; empty where it has none, as if there were only one.
pub(super) fn id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| {
        let read = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        read.unwrap_or_default().trim().to_owned()
    })
}
