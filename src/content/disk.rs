//! The bytes of a cache file on its disk.
//!
//! Whole blocks are written and read past the kernel's page cache where the file system
//! lets us (`O_DIRECT`): the kernel keeps what it was given of the mounted file, so a second
//! copy under the cache file would only cost memory, and a third of all processor
//! time. Smaller reads, which tend to come again nearby, go through the page cache.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::uio::{preadv, pwritev};

use super::assemble::Arrived;
use super::blocks::BLOCK_SIZE;
use super::buffers::{Buffer, Buffers};

/// What addresses, lengths and offsets of direct writes are multiples of on every disk.
const PAGE: usize = 4096;

/// A cache file that is open for reading and writing.
pub(super) struct Disk {
    file: File,
    /// The same file past the page cache; `None` where the file system cannot.
    direct: OnceLock<Option<File>>,
    /// The file system opened it and then refused a write.
    refused: AtomicBool,
}

impl Disk {
    pub(super) fn new(file: File) -> Disk {
        Disk {
            file,
            direct: OnceLock::new(),
            refused: AtomicBool::new(false),
        }
    }

    /// The file, for reads and small writes.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Writes blocks that follow one another.
    ///
    /// # Errors
    /// Those of the disk; some of the bytes may be there.
    pub(super) fn write(&self, blocks: &[Arrived]) -> io::Result<()> {
        let Some(first) = blocks.first() else {
            return Ok(());
        };
        let mut at = first.block * BLOCK_SIZE;
        // Only the last block of a file can be short.
        let whole = blocks
            .iter()
            .take_while(|arrived| arrived.bytes.len().is_multiple_of(PAGE))
            .count();
        let mut written = self.write_direct(&blocks[..whole], at)?;
        for arrived in blocks {
            let done = written.min(arrived.bytes.len());
            written -= done;
            self.file
                .write_all_at(&arrived.bytes[done..], at + done as u64)?;
            at += arrived.bytes.len() as u64;
        }
        Ok(())
    }

    /// Writes what can be written directly; says how many bytes that were.
    fn write_direct(&self, blocks: &[Arrived], at: u64) -> io::Result<usize> {
        let Some(direct) = self.direct() else {
            return Ok(0);
        };
        let slices: Vec<IoSlice<'_>> = blocks
            .iter()
            .map(|arrived| IoSlice::new(&arrived.bytes))
            .collect();
        if slices.is_empty() {
            return Ok(0);
        }
        let offset = at
            .try_into()
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        match pwritev(direct, &slices, offset) {
            Ok(written) => Ok(written),
            Err(nix::Error::EINVAL | nix::Error::EOPNOTSUPP) => {
                self.refuse();
                Ok(0)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads whole blocks, which lie at `bytes`.
    ///
    /// # Errors
    /// Those of the disk; [`io::ErrorKind::UnexpectedEof`] where the file is shorter.
    pub(super) fn read(&self, bytes: &Range<u64>, buffers: &Buffers) -> io::Result<Vec<Buffer>> {
        // What is read at once fits in memory, so in usize.
        let len = (bytes.end - bytes.start) as usize;
        let mut read = Vec::with_capacity(len.div_ceil(BLOCK_SIZE as usize));
        for _ in 0..len.div_ceil(BLOCK_SIZE as usize) {
            read.push(buffers.take()?);
        }
        let direct = self.direct().filter(|_| len.is_multiple_of(PAGE));
        if let Some(file) = direct {
            match fill(file, &mut read, bytes.start, len) {
                Err(error) if is_refusal(&error) => self.refuse(),
                done => return done.map(|()| read),
            }
        }
        fill(&self.file, &mut read, bytes.start, len)?;
        Ok(read)
    }

    fn refuse(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    fn direct(&self) -> Option<&File> {
        if self.refused.load(Ordering::Relaxed) {
            return None;
        }
        let open = || {
            // By descriptor: the name may be gone, or another's by now.
            File::options()
                .read(true)
                .write(true)
                .custom_flags(nix::libc::O_DIRECT)
                .open(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
                .ok()
        };
        self.direct.get_or_init(open).as_ref()
    }

    /// Frees the room of `bytes`, which read as zeros then.
    ///
    /// # Errors
    /// The file system cannot.
    pub(super) fn punch_out(&self, bytes: &Range<u64>) -> io::Result<()> {
        let mode = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let out_of_range = |_| io::Error::from(io::ErrorKind::InvalidInput);
        let start = bytes.start.try_into().map_err(out_of_range)?;
        let len = (bytes.end - bytes.start).try_into().map_err(out_of_range)?;
        Ok(fallocate(&self.file, mode, start, len)?)
    }
}

/// Whether the file system says that it does not read past the page cache.
fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(nix::libc::EINVAL | nix::libc::EOPNOTSUPP)
    )
}

/// Fills `buffers` with `len` bytes at `at`, in one call.
fn fill(file: &File, buffers: &mut [Buffer], at: u64, len: usize) -> io::Result<()> {
    let offset = at
        .try_into()
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut left = len;
    let mut slices: Vec<IoSliceMut<'_>> = buffers
        .iter_mut()
        .map(|buffer| {
            let take = left.min(BLOCK_SIZE as usize);
            left -= take;
            IoSliceMut::new(buffer.room(take))
        })
        .collect();
    // A regular file gives all that there is, short of the end.
    match preadv(file, &mut slices, offset)? {
        read if read == len => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn arrived(block: u64, len: usize) -> Arrived {
        let bytes: Bytes = (0..len).map(|i| (i as u64 % 251 + block) as u8).collect();
        let mut buffer = Buffers::default().take().unwrap();
        assert_eq!(buffer.append(&bytes, len), len);
        let bytes = buffer.freeze();
        Arrived::new(block, bytes)
    }

    fn check(disk: &Disk, blocks: &[Arrived]) {
        for arrived in blocks {
            let mut read = vec![0; arrived.bytes.len()];
            let at = arrived.block * BLOCK_SIZE;
            disk.file().read_exact_at(&mut read, at).unwrap();
            assert!(read == arrived.bytes, "block {}", arrived.block);
        }
        let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else {
            return;
        };
        let start = first.block * BLOCK_SIZE;
        let end = last.block * BLOCK_SIZE + last.bytes.len() as u64;
        let read = disk.read(&(start..end), &Buffers::default()).unwrap();
        for (read, arrived) in read.iter().zip(blocks) {
            assert!(read.as_ref() == arrived.bytes, "block {}", arrived.block);
        }
    }

    #[test]
    fn blocks_are_read_as_they_were_written_with_and_without_direct_writes() {
        for folder in [Some("/dev/shm"), None] {
            let file = match folder {
                Some(folder) => tempfile::tempfile_in(folder).unwrap(),
                None => tempfile::tempfile().unwrap(),
            };
            let disk = Disk::new(file);
            let full = BLOCK_SIZE as usize;
            let some = [arrived(1, full), arrived(2, full), arrived(3, 77)];
            disk.write(&some).unwrap();
            check(&disk, &some);
            disk.refused.store(true, Ordering::Relaxed);
            let more = [arrived(0, full), arrived(1, full)];
            disk.write(&more).unwrap();
            check(&disk, &more);
            check(&disk, &some[1..]);
            disk.write(&[]).unwrap();
        }
    }
}
