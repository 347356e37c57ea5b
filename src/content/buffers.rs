//! Buffers for blocks on their way from the network to the disk and to readers.
//!
//! They begin at a page, as writing past the kernel's page cache asks for, and are used
//! again and again: memory that was just in use is still in the processor's caches, and
//! new pages would have to be found and cleared by the kernel. They are cut from slabs of
//! the size of a huge page, where the kernel finds, pins and clears as one what would be
//! hundreds of pages.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use memmap2::{Advice, MmapMut, MmapRaw};
use parking_lot::Mutex;

use super::blocks::BLOCK_SIZE;

/// Bytes of a buffer: those of a block, far less than a `usize` holds.
const CAPACITY: usize = BLOCK_SIZE as usize;

/// Bytes of a slab: a huge page of the usual processors.
const SLAB: usize = 2 * 1024 * 1024;

/// Buffers of a slab.
const SLOTS: usize = SLAB / CAPACITY;

/// Memory for some buffers. It goes back to the system with the last of its slots.
struct Slab(MmapRaw);

/// The place of one buffer. There is one [`Slot`] for each place of a slab, and it is the
/// only way to its bytes.
struct Slot {
    slab: Arc<Slab>,
    offset: usize,
}

impl Slab {
    /// The slots of a new one.
    fn cut() -> std::io::Result<impl Iterator<Item = Slot>> {
        let memory = MmapMut::map_anon(SLAB)?;
        // Where there are no huge pages, small ones serve.
        if let Err(error) = memory.advise(Advice::HugePage) {
            tracing::trace!(%error, "no huge pages");
        }
        let slab = Arc::new(Slab(memory.into()));
        Ok((0..SLOTS).map(move |slot| Slot {
            slab: Arc::clone(&slab),
            offset: slot * CAPACITY,
        }))
    }
}

impl Slot {
    fn bytes(&self) -> &[u8] {
        // SAFETY: the place lies within the slab's mapping, which lives as long as `slab` and
        // was zeroed by the kernel; only this slot reaches it, and it is borrowed.
        unsafe { std::slice::from_raw_parts(self.start(), CAPACITY) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and the slot is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.start(), CAPACITY) }
    }

    fn start(&self) -> *mut u8 {
        self.slab.0.as_mut_ptr().wrapping_add(self.offset)
    }
}

/// Where buffers come from and go back to. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Buffers {
    /// The last is the one that was in use last.
    free: Arc<Mutex<Vec<Slot>>>,
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
        let mut free = self.free.lock();
        if free.is_empty() {
            free.extend(Slab::cut()?);
        }
        Ok(Buffer {
            slot: free.pop(),
            filled: 0,
            home: Arc::downgrade(&self.free),
        })
    }

    /// Gives slabs that are free as a whole back to the system.
    pub(super) fn release(&self) {
        let mut free = self.free.lock();
        let mut count: HashMap<*const Slab, usize> = HashMap::new();
        for slot in &*free {
            *count.entry(Arc::as_ptr(&slot.slab)).or_default() += 1;
        }
        let is_whole = |slot: &mut Slot| count.get(&Arc::as_ptr(&slot.slab)) == Some(&SLOTS);
        let whole: Vec<Slot> = free.extract_if(.., is_whole).collect();
        // The system takes its time.
        drop(free);
        drop(whole);
    }
}

/// A buffer that takes up to a block of bytes.
pub(super) struct Buffer {
    /// `None` only while it is dropped.
    slot: Option<Slot>,
    filled: usize,
    home: Weak<Mutex<Vec<Slot>>>,
}

impl Buffer {
    /// Bytes in it.
    pub(super) fn len(&self) -> usize {
        self.filled
    }

    /// Appends as much of `bytes` as fits below `limit` bytes in all; says how much.
    pub(super) fn append(&mut self, bytes: &[u8], limit: usize) -> usize {
        let Some(slot) = &mut self.slot else {
            return 0;
        };
        let take = bytes.len().min(limit.min(CAPACITY) - self.filled);
        slot.bytes_mut()[self.filled..self.filled + take].copy_from_slice(&bytes[..take]);
        self.filled += take;
        take
    }

    /// The place of its first `len` bytes, to be written there: it counts as filled with
    /// them, whatever they are.
    pub(super) fn room(&mut self, len: usize) -> &mut [u8] {
        let Some(slot) = &mut self.slot else {
            return &mut [];
        };
        self.filled = len.min(CAPACITY);
        &mut slot.bytes_mut()[..self.filled]
    }

    /// Its bytes, shared. The memory goes home with the last of them.
    pub(super) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        match &self.slot {
            Some(slot) => &slot.bytes()[..self.filled],
            None => &[],
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let (Some(slot), Some(home)) = (self.slot.take(), self.home.upgrade()) {
            home.lock().push(slot);
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
        assert_eq!(buffers.free.lock().len(), SLOTS - 1);
        buffers.release();
        assert_eq!(part, [2; 2].as_slice(), "its slab is in use");
        drop(part);
        assert_eq!(buffers.free.lock().len(), SLOTS);
        assert!(buffers.take().unwrap().as_ref().is_empty());
        buffers.release();
        assert!(buffers.free.lock().is_empty());
    }

    #[test]
    fn buffers_in_use_at_once_have_a_place_each() {
        let buffers = Buffers::default();
        let filled: Vec<Buffer> = (0..3 * SLOTS)
            .map(|n| {
                let mut buffer = buffers.take().unwrap();
                buffer.append(&[n as u8; CAPACITY], CAPACITY);
                buffer
            })
            .collect();
        for (n, buffer) in filled.iter().enumerate() {
            assert!(buffer.as_ref() == [n as u8; CAPACITY], "{n}");
        }
        drop(filled);
        assert_eq!(buffers.free.lock().len(), 3 * SLOTS);
    }
}
