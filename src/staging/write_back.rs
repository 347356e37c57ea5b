//! A long write is on its way to the disk while it goes on.
//!
//! The kernel would keep the bytes in memory for half a minute, and who then syncs the file
//! waits for all of them. So after each portion a thread has it begin to write them out. Nothing
//! counts on that: what a sync promises, the sync itself does.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

/// So many new bytes of a file begin their way together. Smaller files often live too shortly to
/// be worth the disk's work.
pub(super) const PORTION: u64 = 16 << 20;

/// Files that wait for their turn. One that finds no place begins with its next portion.
const WAITING: usize = 16;

/// The thread. It ends with this.
#[derive(Debug)]
pub(super) struct WriteBack {
    files: SyncSender<File>,
}

impl WriteBack {
    /// # Errors
    /// There can be no more threads.
    pub fn start() -> io::Result<WriteBack> {
        WriteBack::with(write_out)
    }

    fn with(write_out: impl Fn(&File) + Send + 'static) -> io::Result<WriteBack> {
        let (files, begin) = sync_channel::<File>(WAITING);
        thread::Builder::new()
            .name("write-back".to_owned())
            .spawn(move || begin.iter().for_each(|file| write_out(&file)))?;
        Ok(WriteBack { files })
    }

    /// What was written to `file` begins its way to the disk. Does not wait.
    pub fn begin(&self, file: &File) {
        // Without a descriptor or a place, a sync has more to do.
        if let Ok(file) = file.try_clone() {
            let _ = self.files.try_send(file);
        }
    }
}

/// The kernel begins to write a file out; it may hold us back where the disk has much to do.
fn write_out(file: &File) {
    let all = 0;
    // SAFETY: the descriptor is open as long as `file`, and no memory is touched.
    let failed =
        unsafe { libc::sync_file_range(file.as_raw_fd(), 0, all, libc::SYNC_FILE_RANGE_WRITE) }
            != 0;
    if failed {
        // Bytes that could not be written are told by the sync.
        let error = io::Error::last_os_error();
        tracing::debug!(%error, "a staged file is not on its way to the disk");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::super::budget::Budget;
    use super::super::data_file::{DataFile, FileNumber};
    use super::*;

    #[test]
    fn a_long_write_is_on_its_way_before_anybody_syncs_it_and_a_short_one_is_not() {
        let (told, begun) = mpsc::channel();
        let write_back = WriteBack::with(move |file| {
            write_out(file);
            told.send(()).unwrap();
        })
        .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let budget = Arc::new(Budget::new(u64::MAX, 0));
        let data = DataFile::create(dir.path(), FileNumber::MIN, budget).unwrap();
        data.grew(PORTION - 1, &write_back);
        assert!(begun.recv_timeout(Duration::from_millis(50)).is_err());
        for _ in 0..2 {
            data.grew(1, &write_back);
            begun.recv_timeout(Duration::from_secs(10)).unwrap();
            data.grew(PORTION - 1, &write_back);
        }
        assert!(begun.recv_timeout(Duration::from_millis(50)).is_err());
    }
}
