//! The pace: the one door that every call to the service passes, of all
//! processes of a user.
//!
//! The service limits calls by address, account and key, and locks or bans who
//! exceeds them (API notes 6), so the limits hold for all our processes
//! together: their common state is a small file (`file`), the rules on it are
//! pure (`rules`), and one thread in each process applies them and hands out
//! permits, best class first. Invariant: no request leaves for the API without a [`Permit`],
//! and every permit tells what became of its call. Only `api` asks for permits;
//! others may look at the [`PaceStatus`].

mod call;
mod file;
mod rules;
mod state;
mod status;
mod thread;

use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::oneshot;

pub use call::{Ask, Call, Class, Script, Subject};
pub use rules::Why;
pub(super) use rules::{Report, Verdict};
pub use status::{LockStatus, PaceStatus};

use super::{ApiError, Limits, Said};
use state::Micros;
use thread::Message;

/// Hands out permits for calls. Clones share one pace; two that were opened on
/// one path do as well, in whatever process.
#[derive(Clone)]
pub struct Pace {
    to_thread: mpsc::Sender<Message>,
}

impl Pace {
    /// Opens the pace whose state is kept at `path`. Its directory must exist;
    /// without a file there, the pace begins carefully.
    pub fn open(path: &Path, limits: Limits) -> std::io::Result<Pace> {
        let (to_thread, messages) = mpsc::channel();
        let worker = thread::Worker::new(file::StateFile::new(path), limits);
        std::thread::Builder::new()
            .name("pace".to_owned())
            .spawn(move || worker.run(&messages))?;
        Ok(Pace { to_thread })
    }

    /// Waits for the permission to make a call with a key (of which only the
    /// print is needed). Fails at once where the deadline cannot be met.
    pub(super) async fn acquire(
        &self,
        call: Call,
        ask: Ask,
        key: Option<&str>,
    ) -> Result<Permit, ApiError> {
        let (reply, permitted) = oneshot::channel();
        let permit = Permit {
            pace: self.clone(),
            call,
            key: key.map(str::to_owned),
            sent: None,
        };
        let message = Message::Acquire(thread::Waiter {
            class: ask.class,
            since: Instant::now(),
            deadline: ask.deadline,
            permit,
            reply,
        });
        self.to_thread.send(message).map_err(|_| gone())?;
        permitted.await.map_err(|_| gone())?
    }

    /// What the pace knows, for a person.
    pub async fn status(&self) -> Result<PaceStatus, ApiError> {
        let (reply, status) = oneshot::channel();
        self.to_thread
            .send(Message::Status(reply))
            .map_err(|_| gone())?;
        status.await.map_err(|_| gone())
    }
}

/// The thread ended: it never does by itself.
fn gone() -> ApiError {
    ApiError::Transient(Said::ours("the pace of calls has stopped"))
}

/// The permission for one call. Dropped without a report, it counts as a call
/// that was given up.
#[must_use]
pub(super) struct Permit {
    pace: Pace,
    call: Call,
    key: Option<String>,
    /// When it was granted; `None` before that and after the report.
    sent: Option<Micros>,
}

impl Permit {
    fn arm(&mut self, now: Micros) {
        self.sent = Some(now);
    }

    /// Tells what became of the call; returns once all processes can know it.
    pub async fn finish(mut self, report: Report) {
        let (noted, when_noted) = oneshot::channel();
        self.tell(report, Some(noted));
        // An error says that the thread is gone, and with it all calls.
        let _ = when_noted.await;
    }

    fn tell(&mut self, report: Report, noted: Option<oneshot::Sender<()>>) {
        if let Some(sent) = self.sent.take() {
            let message = Message::Report {
                call: self.call,
                sent,
                key: self.key.take(),
                report,
                noted,
            };
            let _ = self.pace.to_thread.send(message);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let unknown = Report {
            verdict: Verdict::GivenUp,
            status: None,
        };
        self.tell(unknown, None);
    }
}

/// A time of the state as a timestamp, for people.
fn timestamp(time: Micros) -> Timestamp {
    Timestamp::from_microsecond(time).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
