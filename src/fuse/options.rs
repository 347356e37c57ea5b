//! What can be tuned between the kernel and us, in one place.

use std::path::PathBuf;
use std::time::Duration;

use fuser::Version;

use crate::ids::Ino;

/// The largest write, and read, of one request: the kernel's own limit of 256 pages.
pub(super) const MAX_REQUEST: u32 = 1 << 20;

/// Read-ahead requests in flight before the kernel holds back. Its default of
/// 16 leaves several sequential readers waiting for one another.
pub(super) const MAX_BACKGROUND: u16 = 64;

/// Threads that take requests. They answer from memory and hand over what must
/// wait, so a few are enough; one alone would let a slow fsync stall the mount.
pub(super) const THREADS: usize = 4;

/// Since this version (Linux 6.18) a write that goes around the kernel's pages makes it forget those
/// that somebody read meanwhile; before, a reader could keep what was there before the write.
pub(super) const DROPS_PAGES_WRITTEN_AROUND: Version = Version(7, 45);

/// How the mount speaks to the kernel.
#[derive(Clone, Debug)]
pub struct FuseOptions {
    /// The folder that the mountpoint shows.
    pub root: Ino,
    /// How long the kernel may remember.
    pub ttl: Ttl,
    /// How long a caller waits at most.
    pub deadlines: Deadlines,
    /// Whether the kernel is to read by itself what is whole in the cache.
    pub passthrough: bool,
    /// What to start, by the name [`MESSENGER`](super::MESSENGER), to have programs that watch folders hear
    /// of changes made elsewhere.
    pub messenger: Option<PathBuf>,
}

/// How long the kernel may answer from memory. Changes that we learn of are
/// told to it at once; these bound how long one that was missed stays hidden.
#[derive(Clone, Copy, Debug)]
pub struct Ttl {
    /// A name and what it stands for.
    pub entry: Duration,
    /// Attributes.
    pub attr: Duration,
    /// That a name does not exist; zero to be asked each time.
    pub negative: Duration,
}

impl Ttl {
    /// How long a folder may be read from the kernel's memory: at the end of it, there is as much time
    /// left in which its entries need not be asked for.
    pub fn names_kept(self) -> Duration {
        self.entry.min(self.attr) / 2
    }
}

impl Default for Ttl {
    fn default() -> Ttl {
        Ttl {
            entry: Duration::from_secs(60),
            attr: Duration::from_secs(60),
            negative: Duration::from_secs(10),
        }
    }
}

/// After these a caller gets ETIMEDOUT, whatever is still being waited for:
/// requests cannot be interrupted, so a killed process is held until then.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Names and attributes.
    pub metadata: Duration,
    /// Reading, writing and syncing content.
    pub data: Duration,
}

impl Default for Deadlines {
    fn default() -> Deadlines {
        Deadlines {
            metadata: Duration::from_secs(10),
            data: Duration::from_secs(30),
        }
    }
}
