//! Why a file stays here, in the words that people read in the queue (docs/troubleshooting.md).

use std::time::Duration;

/// What keeps a file from being sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum Kept {
    #[error("its staged content is missing")]
    Missing,
    #[error("larger than the service takes (300 GB)")]
    TooLarge,
    /// The line cannot carry it in time.
    #[error(
        "at the rate of the uploads so far it would take {} minutes, and the service ends \
         an upload after {}. `fichierfs queue retry` tries it all the same",
        minutes(needed),
        minutes(allowed)
    )]
    TooSlow {
        /// How long it would take.
        needed: Duration,
        /// How long it may take.
        allowed: Duration,
    },
    /// It ran for as long as it may.
    #[error(
        "it was sent for {} minutes, as long as the service lets an upload last, and not to \
         its end. `fichierfs queue retry` tries it once more",
        minutes(_0)
    )]
    OutOfTime(Duration),
    /// The service does not give what it is a layer over now.
    #[error("its unchanged part cannot be fetched: {0}")]
    NotNow(String),
    /// This machine's disk, or the service, has its bytes no more.
    #[error("its content cannot be read: {0}")]
    Unreadable(String),
    /// It begins with all of a file of the service, which did not come as it is there.
    #[error("what the service sent of its unchanged part is not what its checksum says")]
    Differs,
}

fn minutes(time: &Duration) -> u64 {
    time.as_secs() / 60
}
