//! A stream of bytes and, where it stands still, a second one after the same bytes.
//!
//! A connection that hangs is no error until its timeout, and a reader waits. So
//! the rest of the range is asked for once more on another connection; the first
//! of the two that gives bytes goes on, the other is dropped.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;

use super::lines::Line;
use super::origin::{Chunks, Fault};

/// Second requests for one range: where these stand still too, it is not the connection.
const MOST: u32 = 3;

/// See the module.
pub(super) struct Hedged {
    first: Chunks,
    second: Option<(Chunks, Line)>,
    tried: u32,
}

impl Hedged {
    pub(super) fn new(first: Chunks) -> Hedged {
        Hedged {
            first,
            second: None,
            tried: 0,
        }
    }

    /// The next bytes. When none came for `patience`, `again` may give a second
    /// stream that goes on at the same byte, with the permit of its connection.
    pub(super) async fn next(
        &mut self,
        patience: Duration,
        again: impl Fn() -> Option<(Chunks, Line)>,
    ) -> Option<Result<Bytes, Fault>> {
        loop {
            tokio::select! {
                biased;
                chunk = self.first.next() => {
                    self.second = None;
                    return chunk;
                }
                chunk = next_of(&mut self.second), if self.second.is_some() => {
                    // Its failure is not the first one's, which may still come.
                    if let (Some((second, _)), Some(Ok(chunk))) = (self.second.take(), chunk) {
                        self.first = second;
                        return Some(Ok(chunk));
                    }
                }
                () = tokio::time::sleep(patience), if self.tried < MOST => {
                    // One that stands still as well makes way for the next.
                    self.second = None;
                    self.second = again();
                    self.tried += u32::from(self.second.is_some());
                }
            }
        }
    }
}

async fn next_of(stream: &mut Option<(Chunks, Line)>) -> Option<Result<Bytes, Fault>> {
    match stream {
        Some((chunks, _)) => chunks.next().await,
        None => None,
    }
}
