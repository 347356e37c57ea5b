//! Buffers for blocks on their way from the network to the disk and to readers.
//!
//! They begin at a page, as writing past the kernel's page cache asks for, and are used
//! again and again: memory that was just in use is still in the processor's caches, and
//! new pages would have to be found and cleared by the kernel.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use memmap2::MmapMut;
use parking_lot::Mutex;

use super::blocks::BLOCK_SIZE;

/// Bytes of a buffer: those of a block, far less than a `usize` holds.
const CAPACITY: usize = BLOCK_SIZE as usize;

/// Free buffers kept for use again.
const MOST_FREE: usize = 64;

/// Where buffers come from and go back to. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Buffers {
    free: Arc<Mutex<Vec<MmapMut>>>,
    /// There is no more memory.
    #[cfg(test)]
    pub(super) dry: Arc<std::sync::atomic::AtomicBool>,
}

impl Buffers {
    /// An empty buffer.
    ///
    /// # Errors
    /// There is no memory.
    pub(super) fn take(&self) -> std::io::Result<Buffer> {
        #[cfg(test)]
        if self.dry.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(std::io::ErrorKind::OutOfMemory.into());
        }
        let used = self.free.lock().pop();
        let memory = match used {
            Some(memory) => memory,
            None => MmapMut::map_anon(CAPACITY)?,
        };
        Ok(Buffer {
            memory: Some(memory),
            filled: 0,
            home: Arc::downgrade(&self.free),
        })
    }

    /// Gives free buffers back to the system.
    pub(super) fn release(&self) {
        let free = std::mem::take(&mut *self.free.lock());
        drop(free);
    }
}

/// A buffer that takes up to a block of bytes.
pub(super) struct Buffer {
    /// `None` only while it is dropped.
    memory: Option<MmapMut>,
    filled: usize,
    home: Weak<Mutex<Vec<MmapMut>>>,
}

impl Buffer {
    /// Bytes in it.
    pub(super) fn len(&self) -> usize {
        self.filled
    }

    /// Appends as much of `bytes` as fits below `limit` bytes in all; says how much.
    pub(super) fn append(&mut self, bytes: &[u8], limit: usize) -> usize {
        let Some(memory) = &mut self.memory else {
            return 0;
        };
        let take = bytes.len().min(limit.min(CAPACITY) - self.filled);
        memory[self.filled..self.filled + take].copy_from_slice(&bytes[..take]);
        self.filled += take;
        take
    }

    /// The place of its first `len` bytes, to be written there: it counts as filled with
    /// them, whatever they are.
    pub(super) fn room(&mut self, len: usize) -> &mut [u8] {
        let Some(memory) = &mut self.memory else {
            return &mut [];
        };
        self.filled = len.min(CAPACITY);
        &mut memory[..self.filled]
    }

    /// Its bytes, shared. The memory goes home with the last of them.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        match &self.memory {
            Some(memory) => &memory[..self.filled],
            None => &[],
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let (Some(memory), Some(home)) = (self.memory.take(), self.home.upgrade()) else {
            return;
        };
        let mut free = home.lock();
        if free.len() < MOST_FREE {
            free.push(memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_once_its_last_bytes_are_gone_and_begins_at_a_page() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take().unwrap();
        assert_eq!(buffer.append(&[1; 10], 4), 4);
        assert_eq!(buffer.append(&vec![2; CAPACITY], CAPACITY), CAPACITY - 4);
        assert_eq!(buffer.append(&[3], CAPACITY), 0);
        let bytes = buffer.freeze();
        assert!(bytes[..4] == [1; 4] && bytes[4..] == vec![2; CAPACITY - 4]);
        assert_eq!(bytes.as_ptr() as usize % 4096, 0);
        let part = bytes.slice(7..9);
        drop(bytes);
        assert!(buffers.free.lock().is_empty());
        drop(part);
        assert_eq!(buffers.free.lock().len(), 1);
        assert!(buffers.take().unwrap().as_ref().is_empty());
        buffers.release();
        assert!(buffers.free.lock().is_empty());
    }
}
