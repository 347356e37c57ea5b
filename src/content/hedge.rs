//! A stream of bytes and, where it stands still, a second one after the same bytes.
//!
//! A connection that hangs is no error until its timeout, and a reader waits. So
//! the rest of the range is asked for once more on another connection; the first
//! of the two that gives bytes goes on, the other is dropped. Where there is no other
//! connection, it is broken off after a while, to be asked for anew on its own.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;

use super::error::Reason;
use super::lines::Line;
use super::origin::{Chunks, Fault};

/// Second requests for one range: where these stand still too, it is not the connection.
const MOST: u32 = 3;

/// How often a second request may be in vain before the first is broken off: one that has
/// given bytes, and one that may only be slow to begin.
const PATIENCE: u32 = 3;
const PATIENCE_AT_FIRST: u32 = 2 * PATIENCE;

/// What can be done for a stream that stands still.
pub(super) enum Second {
    /// Another that goes on at the same byte, with the permit of its connection.
    Stream(Chunks, Line),
    /// No other can be begun now.
    NotNow,
    /// Nobody waits for it: let it stand.
    Unwanted,
}

/// See the module.
pub(super) struct Hedged {
    first: Chunks,
    second: Option<(Chunks, Line)>,
    tried: u32,
    /// Whether bytes have come.
    has_begun: bool,
    /// How often in a row there was nothing to be done.
    in_vain: u32,
}

impl Hedged {
    pub(super) fn new(first: Chunks) -> Hedged {
        Hedged {
            first,
            second: None,
            tried: 0,
            has_begun: false,
            in_vain: 0,
        }
    }

    /// The next bytes. When none came for `patience`, `again` may give a second
    /// stream.
    pub(super) async fn next(
        &mut self,
        patience: Duration,
        again: impl Fn() -> Second,
    ) -> Option<Result<Bytes, Fault>> {
        loop {
            tokio::select! {
                biased;
                chunk = self.first.next() => {
                    self.second = None;
                    (self.has_begun, self.in_vain) = (true, 0);
                    return chunk;
                }
                chunk = next_of(&mut self.second), if self.second.is_some() => {
                    // Its failure is not the first one's, which may still come.
                    if let (Some((second, _)), Some(Ok(chunk))) = (self.second.take(), chunk) {
                        self.first = second;
                        (self.has_begun, self.in_vain) = (true, 0);
                        return Some(Ok(chunk));
                    }
                }
                () = tokio::time::sleep(patience), if self.tried < MOST => {
                    // One that stands still as well makes way for the next.
                    self.second = None;
                    match again() {
                        Second::Stream(chunks, line) => {
                            self.second = Some((chunks, line));
                            self.tried += 1;
                        }
                        Second::NotNow => {
                            self.in_vain += 1;
                            let patience = match self.has_begun {
                                true => PATIENCE,
                                false => PATIENCE_AT_FIRST,
                            };
                            if self.in_vain >= patience {
                                return Some(Err(stands_still()));
                            }
                        }
                        Second::Unwanted => {}
                    }
                }
            }
        }
    }
}

fn stands_still() -> Fault {
    let advice = "It is asked for anew by itself.";
    Fault::Again(Reason::new(&"the download stands still", advice))
}

async fn next_of(stream: &mut Option<(Chunks, Line)>) -> Option<Result<Bytes, Fault>> {
    match stream {
        Some((chunks, _)) => chunks.next().await,
        None => None,
    }
}
