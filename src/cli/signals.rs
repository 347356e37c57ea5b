//! Signals to a process that serves a mount: the first takes the mount away and
//! lets the queue be worked off, the second ends at once and keeps the queue.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::daemon::{Ended, Running};

/// Serves until the end, however it comes about.
pub(super) async fn serve(running: &mut Running, drain_timeout: Duration) -> io::Result<Ended> {
    let mut signals = Signals::new()?;
    let handle = running.handle().clone();
    loop {
        tokio::select! {
            ended = running.ended() => return Ok(ended),
            name = signals.next() => {
                tracing::info!("{name}: unmounting; once more ends at once and keeps what is queued");
                handle.interrupt(drain_timeout).await;
            }
        }
    }
}

/// The signals that ask for an end. A terminal that closes is one of them.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Catches them from now on.
    pub fn new() -> io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next one's name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hang_up.recv() => "SIGHUP",
        }
    }
}
