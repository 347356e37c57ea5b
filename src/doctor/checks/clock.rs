//! The clock: certificates, locks and times of files depend on it.

use jiff::Timestamp;

use super::super::{Case, Finding};

const CHECK: &str = "clock";

/// The program is no older than this.
const BUILT_AFTER: &str = "2026-01-01T00:00:00Z";

pub(super) fn check(_: &Case) -> Vec<Finding> {
    let now = Timestamp::now();
    let earliest: Option<Timestamp> = BUILT_AFTER.parse().ok();
    if earliest.is_some_and(|earliest| now < earliest) {
        return vec![
            Finding::problem(
                CHECK,
                format!("the clock says {now}, before this program was made"),
            )
            .mend("sudo timedatectl set-ntp true"),
        ];
    }
    vec![match is_synchronised() {
        Some(true) => Finding::ok(CHECK, "the clock is synchronised"),
        Some(false) => Finding::note(CHECK, "nothing keeps the clock right")
            .mend("sudo timedatectl set-ntp true"),
        None => Finding::note(
            CHECK,
            "the kernel does not say whether the clock is kept right",
        ),
    }]
}

/// What the kernel was told by whoever keeps the clock.
fn is_synchronised() -> Option<bool> {
    // SAFETY: all zeros are a valid `timex`: integers alone.
    let mut clock: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: `clock` is a valid `timex` for the call; with no mode set nothing is changed.
    match unsafe { libc::adjtimex(&mut clock) } {
        -1 => None,
        _ => Some(clock.status & libc::STA_UNSYNC == 0),
    }
}
