//! The bytes of a download on their way: paced, and spoilt on demand.

use super::range::Range;
use super::slot::Slot;
use crate::sim::content::{Content, PIECE};
use crate::sim::faults::FaultKind;
use crate::sim::http::{Abort, Body, Peer, flush, seconds_of};
use crate::sim::shape::{Bucket, pass_all};
use crate::sim::world::World;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use std::sync::Arc;

/// A transfer under way.
pub struct Sending {
    world: Arc<World>,
    peer: Peer,
    content: Content,
    range: Range,
    at: u64,
    fault: Option<FaultKind>,
    /// This transfer's own bandwidth.
    own: Bucket,
    _slot: Slot,
}

impl Sending {
    /// Begins at the start of the range.
    pub fn new(
        world: &Arc<World>,
        peer: &Peer,
        content: Content,
        range: Range,
        fault: Option<FaultKind>,
        slot: Slot,
    ) -> Sending {
        Sending {
            world: world.clone(),
            peer: peer.clone(),
            content,
            range,
            at: range.start,
            fault,
            own: Bucket::new(world.config.shape.per_connection_bps),
            _slot: slot,
        }
    }

    /// As a body of an answer.
    pub fn into_body(self) -> Body {
        let pieces = stream::unfold(Some(self), |state| async move {
            let mut sending = state?;
            match sending.next().await {
                Ok(None) => None,
                Ok(Some(piece)) => Some((Ok(Frame::data(piece)), Some(sending))),
                Err(abort) => Some((Err(abort), None)),
            }
        });
        StreamBody::new(pieces).boxed_unsync()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Abort> {
        if self.at >= self.range.end {
            return Ok(None);
        }
        let left = self.limit().await? - self.at;
        let most = self.own.piece(self.world.down.piece(PIECE));
        let len = most.min(usize::try_from(left).unwrap_or(most));
        let piece = match self.content.piece(self.at, len).await {
            Ok(piece) if !piece.is_empty() => piece,
            Ok(_) => return Err(Abort),
            Err(error) => {
                tracing::warn!(%error, "a served file cannot be read; the transfer is cut");
                return Err(Abort);
            }
        };
        pass_all([&self.own, &self.world.down], piece.len()).await;
        let piece = self.spoil(piece);
        self.at += piece.len() as u64;
        let sent = piece.len() as u64;
        self.world
            .recorder
            .update(|report| report.bytes_down += sent);
        Ok(Some(piece))
    }

    /// Up to where this piece may go: the end, or the place of a fault, which strikes
    /// once it is reached.
    async fn limit(&mut self) -> Result<u64, Abort> {
        let place = |after: u64| self.range.start.saturating_add(after);
        let (place, seconds) = match &self.fault {
            Some(FaultKind::Reset { after_bytes } | FaultKind::Truncate { after_bytes }) => {
                (place(*after_bytes), None)
            }
            Some(FaultKind::Stall {
                after_bytes,
                seconds,
            }) => (place(*after_bytes), Some(*seconds)),
            _ => return Ok(self.range.end),
        };
        if self.at < place {
            return Ok(place.min(self.range.end));
        }
        match seconds {
            Some(seconds) => {
                tokio::time::sleep(seconds_of(seconds)).await;
                self.fault = None;
                Ok(self.range.end)
            }
            None => {
                flush().await;
                if matches!(self.fault, Some(FaultKind::Reset { .. })) {
                    return Err(self.peer.reset());
                }
                Err(Abort)
            }
        }
    }

    fn spoil(&self, piece: Bytes) -> Bytes {
        let Some(FaultKind::FlipBit { at }) = self.fault else {
            return piece;
        };
        let Some(index) = at
            .checked_sub(self.at)
            .and_then(|index| usize::try_from(index).ok())
            .filter(|index| *index < piece.len())
        else {
            return piece;
        };
        let mut spoilt = BytesMut::from(piece.as_ref());
        if let Some(byte) = spoilt.get_mut(index) {
            *byte ^= 1;
        }
        spoilt.freeze()
    }
}
