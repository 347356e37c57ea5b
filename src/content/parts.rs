//! The bytes of a read, as they were found: pieces that follow one another.

use bytes::{Bytes, BytesMut};

/// Pieces in order. Most reads consist of one, which is then not copied.
#[derive(Default)]
pub(super) struct Parts(Vec<Bytes>);

impl Parts {
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.0.push(bytes);
    }

    /// Bytes in all.
    pub(super) fn len(&self) -> u64 {
        self.0.iter().map(|part| part.len() as u64).sum()
    }

    /// All of them in one.
    pub(super) fn join(mut self) -> Bytes {
        if self.0.len() <= 1 {
            return self.0.pop().unwrap_or_default();
        }
        let mut whole = BytesMut::with_capacity(self.0.iter().map(Bytes::len).sum());
        for part in &self.0 {
            whole.extend_from_slice(part);
        }
        whole.freeze()
    }
}
