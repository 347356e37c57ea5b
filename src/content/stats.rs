//! What the room has done and holds, for status and metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// A snapshot of the room's figures. Bytes are bytes; the rest are counts since
/// the start unless said otherwise.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct ContentStats {
    /// Bytes on the cache disk now.
    pub cached_bytes: u64,
    /// Bytes the cache may take.
    pub cache_limit: u64,
    /// Files in the cache now.
    pub cached_files: u64,
    /// Cache files open now.
    pub open_files: u64,
    /// Bytes in the memory tier now.
    pub memory_bytes: u64,
    /// Files that a handle or a staged map reads now.
    pub pinned_files: u64,
    /// Connections to download hosts in use now.
    pub connections: u64,
    /// Runs being fetched now, those waiting for a connection included.
    pub flights: u64,
    /// Bytes given to readers from the cache at once.
    pub hit_bytes: u64,
    /// Bytes given to readers that had to wait.
    pub miss_bytes: u64,
    /// Bytes received from download hosts.
    pub fetched_bytes: u64,
    /// Range requests sent.
    pub requests: u64,
    /// Range requests that failed and were repeated.
    pub retries: u64,
    /// Download links asked for: calls of the API.
    pub links: u64,
    /// Reads that ended with an error.
    pub failed_reads: u64,
    /// Bytes dropped from the cache to make room.
    pub evicted_bytes: u64,
    /// How often a file was opened that the kernel reads by itself.
    pub passed_opens: u64,
    /// Files whose bytes are those of their checksum.
    pub sound_files: u64,
    /// Files whose bytes are not: reading them fails.
    pub damaged_files: u64,
    /// Processor time that checks took, in nanoseconds.
    pub check_nanos: u64,
}

/// One counter.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, n: u64) {
        // Relaxed: each stands for itself.
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn sub(&self, n: u64) {
        self.0.fetch_sub(n, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The room's counters.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) flights: Counter,
    /// Bytes asked for by flights that are under way or wait for a connection, and that have
    /// not come.
    pub(super) ahead_bytes: Counter,
    pub(super) hit_bytes: Counter,
    pub(super) miss_bytes: Counter,
    pub(super) fetched_bytes: Counter,
    pub(super) requests: Counter,
    pub(super) retries: Counter,
    pub(super) links: Counter,
    pub(super) failed_reads: Counter,
    pub(super) evicted_bytes: Counter,
    pub(super) passed_opens: Counter,
    pub(super) check_nanos: Counter,
}
