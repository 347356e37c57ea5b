//! Where bytes come from, as this room sees it: a link for a file, and ranges
//! of bytes through the link.
//!
//! A trait, so that the machinery of fetching can be driven by an origin in
//! memory that fails as told; `service.rs` has the real one.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use super::error::{ContentError, Reason};
use crate::ids::FileId;
use crate::store::Asked;

/// What to do about a failed download.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// The connection or the host: the same again, after a pause.
    Again(Reason),
    /// The link is used up, or gives something else: with a new link.
    BadLink(Reason),
    /// It will not work: the answer to the reader.
    Final(ContentError),
}

/// The bytes of a range, in chunks.
pub(super) type Chunks = BoxStream<'static, Result<Bytes, Fault>>;

/// Who needs a link: the first goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Need {
    /// A reader, who waits.
    Reader,
    /// An upload that sends bytes of another file on.
    Upload,
    /// Nobody yet: what is read ahead, kept at hand, checked, or renewed in time.
    Nobody,
}

/// Gives links.
pub(super) trait Origin: Send + Sync + 'static {
    /// Asks for a link to a file, which is of no use after `deadline`. One call
    /// of the API.
    fn link(
        &self,
        id: &FileId,
        need: Need,
        deadline: Instant,
    ) -> BoxFuture<'static, Result<Arc<dyn Link>, Fault>>;

    /// How a refusal of a link to a file is remembered.
    fn asked(&self, id: &FileId) -> Asked;
}

/// A download link. It is a secret: it can be opened, and not be looked at.
pub(super) trait Link: Send + Sync + 'static {
    /// Requests `range` of a file of `size` bytes. The answer has been checked
    /// to be that range of a file of that size.
    fn open(&self, range: Range<u64>, size: u64) -> BoxFuture<'static, Result<Chunks, Fault>>;
}
