//! What the service has: tokens, ranges, blocks, the clean cache.
#![allow(missing_docs)]
use crate::ids::{FileId, Whirlpool};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemoteFile {
    pub id: FileId,
    pub size: u64,
    pub whirlpool: Option<Whirlpool>,
}

#[derive(Debug, thiserror::Error)]
#[error("content")]
pub struct ContentError;
