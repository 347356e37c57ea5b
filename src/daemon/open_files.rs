//! Files that stay open for long are sent all the same, and what a close could not store
//! is stored later.

use std::time::Duration;

use crate::vfs::Vfs;

/// Looks at them at most and at least so often.
const LOOKS: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(60)];

/// Runs until it is aborted. Where `long` is zero, no open file is sent.
pub(super) async fn keep(vfs: Vfs, long: Duration) {
    let [shortest, longest] = LOOKS;
    let sends = !long.is_zero();
    let pause = match sends {
        true => (long / 10).clamp(shortest, longest),
        false => longest,
    };
    loop {
        tokio::time::sleep(pause).await;
        let vfs = vfs.clone();
        let look = move || {
            vfs.catch_up();
            if sends { vfs.flush_open(long) } else { 0 }
        };
        let sent = tokio::task::spawn_blocking(look).await;
        match sent {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "open for long: sent as they are now"),
            Err(error) => tracing::error!("files that are open are not sent: {error}"),
        }
    }
}
