//! What is done to files, the same for each program.

use super::Result;
use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes of one read of a sequential reader, as `cp` and `dd bs=1M` do.
pub const READ: usize = 1 << 20;

/// Reads a file from its first byte to its last, or for that long; gives the bytes read.
pub fn read_through(path: &Path, patience: Duration) -> Result<u64> {
    let file = File::open(path)?;
    let end = Instant::now() + patience;
    let mut buffer = vec![0; READ];
    let mut offset = 0;
    while Instant::now() < end {
        match file.read_at(&mut buffer, offset)? {
            0 => break,
            n => offset += n as u64,
        }
    }
    Ok(offset)
}

/// Bytes a second of reading a whole file, or of what was read in that long.
pub fn read_rate(path: &Path, patience: Duration) -> Result<f64> {
    let start = Instant::now();
    let bytes = read_through(path, patience)?;
    Ok(bytes as f64 / start.elapsed().as_secs_f64())
}

/// Reads that many bytes at an offset; gives the seconds it took.
pub fn read_timed(file: &File, offset: u64, len: usize) -> Result<f64> {
    let mut buffer = vec![0; len];
    let start = Instant::now();
    file.read_exact_at(&mut buffer, offset)?;
    Ok(start.elapsed().as_secs_f64())
}

/// Drops a file's pages from the kernel's cache, after they are on the disk.
pub fn drop_pages(path: &Path) -> Result<()> {
    let file = File::open(path)?;
    // A mount that cannot sync has nothing unsynced.
    let _ = file.sync_data();
    nix::fcntl::posix_fadvise(
        &file,
        0,
        0,
        nix::fcntl::PosixFadviseAdvice::POSIX_FADV_DONTNEED,
    )?;
    Ok(())
}

/// The same for all files below a folder.
pub fn drop_pages_below(dir: &Path) -> Result<()> {
    for item in walkdir::WalkDir::new(dir) {
        let item = item?;
        if item.file_type().is_file() {
            drop_pages(item.path())?;
        }
    }
    Ok(())
}

/// Small random reads past the page cache, by several threads for that long; gives the
/// reads a second.
pub fn random_direct(path: &Path, size: u64, jobs: usize, time: Duration) -> Result<f64> {
    const BLOCK: u64 = 4096;
    let end = Instant::now() + time;
    let start = Instant::now();
    let done: Result<Vec<u64>> = std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..jobs)
            .map(|job| {
                scope.spawn(move || -> Result<u64> {
                    let file = File::options()
                        .read(true)
                        .custom_flags(libc::O_DIRECT)
                        .open(path)?;
                    let mut buffer = Aligned([0; BLOCK as usize]);
                    let mut random = Random(job as u64 + 1);
                    let mut done = 0;
                    while Instant::now() < end {
                        let block = random.below(size / BLOCK);
                        file.read_exact_at(&mut buffer.0, block * BLOCK)?;
                        done += 1;
                    }
                    Ok(done)
                })
            })
            .collect();
        jobs.into_iter()
            .map(|job| job.join().map_err(|_| "a reader panicked")?)
            .collect()
    });
    let reads: u64 = done?.iter().sum();
    Ok(reads as f64 / start.elapsed().as_secs_f64())
}

/// A page for O_DIRECT.
#[repr(align(4096))]
struct Aligned([u8; 4096]);

/// The same numbers at every run (splitmix64).
pub struct Random(pub u64);

impl Random {
    /// One of `0..limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit.max(1)
    }
}
