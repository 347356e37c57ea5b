//! What a service manager is told; nothing where there is none.

use std::time::Duration;

use sd_notify::NotifyState;

/// Mounted and usable.
pub fn ready(mountpoint: &std::path::Path) {
    let status = format!("mounted on {}", mountpoint.display());
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// The mount is gone, what is queued is being sent.
pub fn draining(left: &str, more: Duration) {
    stopping(&format!("unmounted, sending what is queued: {left}"), more);
}

/// The last steps, which can take their time on a slow disk.
pub fn storing(more: Duration) {
    stopping("storing what is left", more);
}

fn stopping(status: &str, more: Duration) {
    let more = u32::try_from(more.as_micros()).unwrap_or(u32::MAX);
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status(status),
        NotifyState::ExtendTimeoutUsec(more),
    ]);
}

/// The configuration is being read anew, until [`reloaded`] says that it was.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "the service manager cannot be told"),
    }
}

/// It was read, or stays as it was.
pub fn reloaded() {
    tell(&[NotifyState::Ready]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}
