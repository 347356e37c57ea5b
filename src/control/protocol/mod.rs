//! The schema of what a daemon tells: `status --json`, `queue list --json` and
//! `account --json` print it as it is.
//!
//! [`SCHEMA`] is raised when a field changes its meaning or goes; new fields may
//! come without. Sizes are bytes, spans of time seconds, times RFC 3339 in UTC.
//! No field may hold a secret: neither the key nor a download link.

mod daemon;
mod files;
mod queue;
mod status;

pub use daemon::{Hello, Parting, Phase, ReloadRequest, Reloaded, StopRequest, Stopping};
pub use files::{
    Count, Link, NewNames, NewNamesRequest, PathRequest, Pin, Pins, Verification, VerifyRequest,
    WalkProgress, WalkRequest,
};
pub use queue::{
    Backlog, Becomes, CancelRequest, Cancelled, Failed, Item, ItemState, Loss, Queue, Transfer,
    WaitRequest, Work,
};
pub use status::{Account, Api, Cache, Freshness, NotWhole, Reads, Status, Totals};

/// The version of this schema.
pub const SCHEMA: u32 = 1;

/// A part of a status that is told by itself.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Alone<T> {
    /// [`SCHEMA`].
    schema: u32,
    #[serde(flatten)]
    part: T,
}

impl<T> Alone<T> {
    /// Puts the version of the schema beside `part`.
    pub fn new(part: T) -> Alone<T> {
        Alone {
            schema: SCHEMA,
            part,
        }
    }
}
