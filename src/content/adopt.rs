//! Files that were sent become cache, and are looked at once: their checksums are not known
//! yet, and without them the disk could lose bits of them unnoticed.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::file::CacheFile;
use super::{Content, ContentError, RemoteFile};

/// Bytes that are looked at in one go.
const PIECE: u64 = 1024 * 1024;

impl Content {
    /// Takes over the bytes of a file that was sent, as its cached content:
    /// `data`, open for reading and writing at `path`, holds the whole file and
    /// nobody writes to it any more. The file at `path` is moved away or, where
    /// it cannot be kept, removed. Blocks for as long as the disk takes to sync.
    ///
    /// # Errors
    /// The database failed: the bytes are used now and not known after a restart.
    pub fn adopt(&self, file: &RemoteFile, data: File, path: &Path) -> Result<(), ContentError> {
        self.core.shelf.adopt(file, data, path)?;
        if let Some(adopted) = self.core.shelf.get(file) {
            self.look_at(adopted);
        }
        Ok(())
    }

    /// Reads a file once, which takes the checksums that are not known.
    fn look_at(&self, adopted: Arc<CacheFile>) {
        let core = Arc::downgrade(&self.core);
        self.core.runtime.spawn_blocking(move || {
            let mut at = 0;
            while at < adopted.size {
                let Some(core) = core.upgrade() else {
                    return;
                };
                let range = at..adopted.size.min(at + PIECE);
                at = range.end;
                // Who reads what cannot be read meets it again, and sees to it; what was
                // dropped meanwhile needs no look.
                if let Err(error) = core.read_cached(&adopted, &range) {
                    tracing::debug!(file = %adopted.id, %error, "a sent file cannot be looked at");
                    return;
                }
            }
        });
    }
}
