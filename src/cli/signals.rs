//! Signals to a process that serves a mount: the first takes the mount away and
//! lets the queue be worked off, the second ends at once and keeps the queue.
//!
//! SIGHUP reads the configuration anew, as it does with other services; but where a
//! terminal is at standard input it means that the terminal closes, and asks for an
//! end like the others.

use std::io::{self, IsTerminal};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::daemon::{Ended, Running};

/// Serves until the end, however it comes about. `signals` are caught since before the start, so
/// that none of them ends a mount that is just coming up.
pub(super) async fn serve(
    running: &mut Running,
    signals: &mut Signals,
    drain_timeout: Duration,
) -> io::Result<Ended> {
    let handle = running.handle().clone();
    let has_terminal = io::stdin().is_terminal();
    loop {
        let asked = tokio::select! {
            ended = running.ended() => return Ok(ended),
            asked = signals.next() => asked,
        };
        if asked == Asked::HangUp && !has_terminal {
            // Beside the wait for signals: a command for the key may take its time.
            let handle = handle.clone();
            tokio::spawn(async move {
                if let Err(refusal) = handle.reload(None).await {
                    tracing::error!("the configuration stays as it was: {refusal}");
                }
            });
            continue;
        }
        tracing::info!("{asked:?}: unmounting; once more ends at once and keeps what is queued");
        handle.interrupt(drain_timeout).await;
    }
}

/// What somebody asked by a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP.
    HangUp,
}

/// The signals that ask for something.
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

    /// The next one.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Interrupt,
            _ = self.terminate.recv() => Asked::Terminate,
            _ = self.hang_up.recv() => Asked::HangUp,
        }
    }
}
