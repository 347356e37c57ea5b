//! Files that stay open for long are sent all the same.

use std::time::Duration;

use crate::vfs::Vfs;

/// Looks at them at most and at least so often.
const LOOKS: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(60)];

/// Runs until it is aborted; at once at its end where `long` is zero.
pub(super) async fn keep(vfs: Vfs, long: Duration) {
    if long.is_zero() {
        return;
    }
    let [shortest, longest] = LOOKS;
    let pause = (long / 10).clamp(shortest, longest);
    loop {
        tokio::time::sleep(pause).await;
        let vfs = vfs.clone();
        let sent = tokio::task::spawn_blocking(move || vfs.flush_open(long)).await;
        match sent {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "open for long: sent as they are now"),
            Err(error) => tracing::error!("files that are open are not sent: {error}"),
        }
    }
}
