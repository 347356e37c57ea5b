//! The content of files: opening, reading, writing, cutting, copying.
//!
//! Opening never waits: the first read fetches, the first write begins a
//! version. All handles of an inode share one content, so what one wrote the
//! next reads.

use bytes::Bytes;

use super::Vfs;
use super::error::{Error, ErrorKind};
use super::handles::{FileHandle, Hold};
use super::types::{
    AllocateMode, Answer, Caller, Fh, OpenAccess, OpenFlags, Opened, SeekTo, SyncScope,
};
use super::wait::within;
use crate::content::RemoteFile;
use crate::ids::{Ino, Time};
use crate::staging::{Grow, Read};
use crate::tree::{Kind, Node};

/// The largest file that the service takes, in bytes (API notes 3.5).
pub(super) const MAX_FILE: u64 = 300_000_000_000;

/// The service's version of a file, where reading begins that has no newer one.
fn base(node: &Node) -> Option<RemoteFile> {
    node.remote_file().map(|file| RemoteFile {
        id: file.id.clone(),
        size: file.size,
        whirlpool: file.whirlpool,
    })
}

impl Vfs {
    /// Opens a file.
    pub fn open(&self, ino: Ino, flags: OpenFlags, _caller: Caller) -> Answer<Opened> {
        self.node(ino)
            .and_then(|node| self.open_node(&node, flags))
            .into()
    }

    pub(super) fn open_node(&self, node: &Node, flags: OpenFlags) -> Result<Opened, Error> {
        match node.kind {
            Kind::File => {}
            Kind::Folder => return Err(ErrorKind::IsDir.into()),
            Kind::Symlink => return Err(ErrorKind::Loop.into()),
        }
        if flags.access.writes() || flags.truncate {
            self.check_writable()?;
        }
        let hold = self.hold(node.ino, flags.access)?;
        if flags.truncate {
            self.truncate(&hold, 0)?;
        }
        let fh = self.inner.handles.add_file(FileHandle {
            hold,
            append: flags.append,
            sync: flags.sync,
        });
        Ok(Opened {
            fh,
            // An inode's content changes only through this mount, hence through
            // these pages: somebody else's version is another inode.
            keep_cache: true,
        })
    }

    /// Holds a file's content.
    pub(super) fn hold(&self, ino: Ino, access: OpenAccess) -> Result<Hold, Error> {
        if let Some(content) = self.inner.inodes.content(ino) {
            return Ok(Hold::new(self, ino, content, access));
        }
        let mut node = self.node(ino)?;
        loop {
            let content = self.staging().file(ino, base(&node))?;
            // An upload may have been confirmed in between: what we just loaded
            // would then begin from the version before it.
            let now = self.node(ino)?;
            if now.remote == node.remote {
                return Ok(Hold::new(self, ino, content, access));
            }
            node = now;
        }
    }

    /// Reads; short only at the end of the file.
    pub fn read(&self, fh: Fh, offset: u64, len: u32) -> Answer<Bytes> {
        let handle = match self.inner.handles.file(fh) {
            Ok(handle) => handle,
            Err(e) => return Answer::Now(Err(e)),
        };
        match handle.hold.content.read(offset, len as usize) {
            Read::Now(bytes) => bytes.into(),
            Read::Later(bytes) => {
                let deadline = self.options().data_deadline;
                Answer::later(async move {
                    let bytes = within(deadline, bytes).await;
                    // The version stays pinned until it was read.
                    drop(handle);
                    bytes
                })
            }
        }
    }

    /// Writes at `offset`; with `O_APPEND` at the end of the file.
    pub fn write(&self, fh: Fh, offset: u64, data: &[u8]) -> Answer<u32> {
        let written = match self.write_now(fh, offset, data) {
            Ok(written) => written,
            Err(e) => return Answer::Now(Err(e)),
        };
        match self.inner.handles.file(fh) {
            Ok(handle) if handle.sync => self.fsync(fh, SyncScope::Data).map(move |()| written),
            Ok(_) => Answer::Now(Ok(written)),
            Err(e) => Answer::Now(Err(e)),
        }
    }

    fn write_now(&self, fh: Fh, offset: u64, data: &[u8]) -> Result<u32, Error> {
        let handle = self.inner.handles.writable(fh)?;
        let Hold { ino, content, .. } = &handle.hold;
        let size = content.size();
        // What an append handle writes inside the file is a page of a mapping.
        let append = handle.append && offset >= size;
        let at = if append { size } else { offset };
        end_of(at, data.len() as u64)?;
        // Before the bytes: a save in between then has a time to store.
        self.inner.inodes.written(*ino, Time::now());
        if append {
            content.append(data)?;
        } else {
            content.write(offset, data)?;
        }
        u32::try_from(data.len()).map_err(|_| ErrorKind::Overflow.into())
    }

    /// Cuts or extends a file.
    pub(super) fn truncate(&self, hold: &Hold, size: u64) -> Result<(), Error> {
        end_of(0, size)?;
        self.inner.inodes.written(hold.ino, Time::now());
        // Same size: nothing to send, but the times change all the same.
        if hold.content.size() != size {
            hold.content.truncate(size)?;
        }
        Ok(())
    }

    /// Reserves, clears or punches a range.
    pub fn fallocate(&self, fh: Fh, offset: u64, len: u64, mode: AllocateMode) -> Answer<()> {
        self.allocate(fh, offset, len, mode).into()
    }

    fn allocate(&self, fh: Fh, offset: u64, len: u64, mode: AllocateMode) -> Result<(), Error> {
        let handle = self.inner.handles.writable(fh)?;
        let Hold { ino, content, .. } = &handle.hold;
        if len == 0 {
            return Err(ErrorKind::Invalid.into());
        }
        let end = end_of(offset, len)?;
        self.inner.inodes.written(*ino, Time::now());
        let range = offset..end;
        match mode {
            AllocateMode::KeepSize => content.allocate(range, Grow::KeepSize)?,
            AllocateMode::Extend => content.allocate(range, Grow::Size)?,
            AllocateMode::PunchHole => content.punch(range)?,
            AllocateMode::ZeroKeepSize => content.zero(range, Grow::KeepSize)?,
            AllocateMode::Zero => content.zero(range, Grow::Size)?,
        }
        Ok(())
    }

    /// The next data or hole at or after `offset`.
    pub fn lseek(&self, fh: Fh, offset: u64, to: SeekTo) -> Answer<u64> {
        let found = self.inner.handles.file(fh).and_then(|handle| {
            let content = &handle.hold.content;
            let found = match to {
                SeekTo::Data => content.seek_data(offset),
                SeekTo::Hole => content.seek_hole(offset),
            };
            found.ok_or_else(|| ErrorKind::NoSeek.into())
        });
        found.into()
    }

    /// Copies between two files; what the service has is referred to, not fetched.
    pub fn copy_file_range(
        &self,
        fh_in: Fh,
        offset_in: u64,
        fh_out: Fh,
        offset_out: u64,
        len: u64,
    ) -> Answer<u64> {
        self.copy(fh_in, offset_in, fh_out, offset_out, len).into()
    }

    fn copy(
        &self,
        fh_in: Fh,
        offset_in: u64,
        fh_out: Fh,
        offset_out: u64,
        len: u64,
    ) -> Result<u64, Error> {
        let source = self.inner.handles.file(fh_in)?;
        let target = self.inner.handles.writable(fh_out)?;
        let left = source.hold.content.size().saturating_sub(offset_in);
        let len = len.min(left);
        if len == 0 {
            return Ok(0);
        }
        end_of(offset_out, len)?;
        self.inner.inodes.written(target.hold.ino, Time::now());
        let copied =
            target
                .hold
                .content
                .copy_from(&source.hold.content, offset_in, offset_out, len)?;
        Ok(copied)
    }
}

/// The end of a range, if a file may be that long.
fn end_of(offset: u64, len: u64) -> Result<u64, Error> {
    match offset.checked_add(len) {
        Some(end) if end <= MAX_FILE => Ok(end),
        _ => Err(ErrorKind::TooBig.into()),
    }
}
