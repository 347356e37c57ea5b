//! The unix socket by which commands talk to a running daemon.
//!
//! A daemon listens on one socket in the user's runtime directory, named after
//! its state directory; both the directory and the socket are for its user alone,
//! and every caller's identity is checked again when it connects. The language is JSON over
//! HTTP/1.1, so that `curl --unix-socket` can speak it; [`protocol`] is its
//! schema, versioned, and holds no secret. What is asked for is answered by
//! something that implements [`Controlled`]: this room knows nothing of the
//! daemon's parts. [`server`] is used by `daemon`, [`client`] by `cli` and by a
//! daemon that takes over from another. Figures for Prometheus and a word for supervisors can
//! be fetched there and at a place of their own (`scrape`), from which nothing can be commanded.

pub mod client;
mod error;
mod health;
mod listener;
mod metrics;
pub mod protocol;
mod scrape;
pub mod server;
pub mod socket;

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

pub use client::Client;
pub use error::{ControlError, Refusal, RefusalKind};
pub use health::Health;
pub use scrape::Scrape;

use protocol::{
    Account, Backlog, Cancelled, Hello, Link, NewNames, NewNamesRequest, Parting, Pin, Pins, Queue,
    ReloadRequest, Reloaded, Status, Verification, VerifyRequest, WalkProgress, WalkRequest,
};

/// What can be asked of a running daemon. Paths are relative to the mount's root.
pub trait Controlled: Clone + Send + Sync + 'static {
    /// Who this is; answered from memory.
    fn hello(&self) -> Hello;
    /// Whether it does what it is for.
    fn health(&self) -> impl Future<Output = Result<Health, Refusal>> + Send;
    /// Everything for one screen.
    fn status(&self) -> impl Future<Output = Result<Status, Refusal>> + Send;
    /// The queue, at most `limit` rows.
    fn queue(&self, limit: usize) -> impl Future<Output = Result<Queue, Refusal>> + Send;
    /// Returns once all that can be done is done, of one path or of all, or after `at_most`.
    fn wait(
        &self,
        path: Option<PathBuf>,
        at_most: Duration,
    ) -> impl Future<Output = Result<Backlog, Refusal>> + Send;
    /// Ends delays before the next try, of one path or of all.
    fn flush(&self, path: Option<PathBuf>) -> impl Future<Output = Result<(), Refusal>> + Send;
    /// Takes failed work up again; returns how much.
    fn retry(&self, path: Option<PathBuf>) -> impl Future<Output = Result<u64, Refusal>> + Send;
    /// Gives up what is queued at or below a path, or all that failed; where bytes would
    /// be lost, only if `force` says so, and else tells what they are.
    fn cancel(
        &self,
        path: Option<PathBuf>,
        force: bool,
    ) -> impl Future<Output = Result<Cancelled, Refusal>> + Send;
    /// Lists a folder anew, or the folder of a file, as soon as the pace of calls
    /// allows.
    fn refresh(&self, path: PathBuf) -> impl Future<Output = Result<(), Refusal>> + Send;
    /// Begins to list a folder and all below it anew, or tells how far that is.
    fn walk(&self, ask: WalkRequest) -> impl Future<Output = Result<WalkProgress, Refusal>> + Send;
    /// Pins a file or folder: it is fetched and kept.
    fn pin(&self, path: PathBuf) -> impl Future<Output = Result<Pin, Refusal>> + Send;
    /// Releases what was pinned.
    fn unpin(&self, path: PathBuf) -> impl Future<Output = Result<(), Refusal>> + Send;
    /// All pins and how far they are.
    fn pins(&self) -> impl Future<Output = Result<Pins, Refusal>> + Send;
    /// Has names that were not seen in a folder count as new, or takes that back.
    fn new_names(
        &self,
        ask: NewNamesRequest,
    ) -> impl Future<Output = Result<NewNames, Refusal>> + Send;
    /// Begins to compare files with their checksums, or tells how far that is.
    fn verify(
        &self,
        ask: VerifyRequest,
    ) -> impl Future<Output = Result<Verification, Refusal>> + Send;
    /// The account's figures as last told by the service.
    fn account(&self) -> impl Future<Output = Result<Account, Refusal>> + Send;
    /// The address under which the service shows a file.
    fn link(&self, path: PathBuf) -> impl Future<Output = Result<Link, Refusal>> + Send;
    /// Drops what is cached of the service's content; returns how many bytes.
    fn clear_cache(&self) -> impl Future<Output = Result<u64, Refusal>> + Send;
    /// Reads the configuration anew; the caller made sure that a new key is that of the
    /// same account.
    fn reload(&self, ask: ReloadRequest) -> impl Future<Output = Result<Reloaded, Refusal>> + Send;
    /// Takes the mount away and, after the queue as `parting` says, ends the
    /// daemon. Returns once the mount is gone, with the time that the user allows for
    /// the queue; a busy mount is refused.
    fn stop(&self, parting: Parting) -> impl Future<Output = Result<Duration, Refusal>> + Send;
}
