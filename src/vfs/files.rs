//! The content of files: opening, reading, writing, cutting.
//!
//! Opening never waits: the first read fetches, the first write begins a
//! version. All handles of an inode share one content, so what one wrote the
//! next reads.

use std::sync::Arc;

use bytes::Bytes;

use super::Vfs;
use super::attr::{check_open_to_changes, has_set_id};
use super::error::{Error, ErrorKind};
use super::handles::{FileHandle, Hold};
use super::pressure::{Fault, portion};
use super::types::{Answer, Caller, Fh, OpenAccess, OpenFlags, Opened};
use super::wait::within;
use crate::content::{Lent, RemoteFile};
use crate::ids::{Ino, Time};
use crate::staging::{Read, StagedFile, StagingError, Within};
use crate::tree::attributes::AttributeChange;
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
            check_open_to_changes(node)?;
            self.check_account(0)?;
        }
        // Of a file opened for reading with O_TRUNC the kernel asks only after this call
        // whether it runs; by then the program would have lost its code.
        if flags.truncate && self.inner.inodes.is_running(node.ino) {
            return Err(ErrorKind::Running.into());
        }
        let hold = match (flags.truncate, flags.access) {
            // That is a change, which the close of this handle stores.
            (true, OpenAccess::Read) => self.hold_emptied(node, OpenAccess::ReadWrite)?,
            (true, access) => self.hold_emptied(node, access)?,
            (false, access) => self.hold(node, access)?,
        };
        Ok(self.opened(node, hold, flags))
    }

    /// A handle on content that is held.
    pub(super) fn opened(&self, node: &Node, hold: Hold, flags: OpenFlags) -> Opened {
        // An inode's content changes only through this mount, hence through
        // these pages: somebody else's version is another inode.
        let keep_cache = !hold.content.is_damaged();
        if has_set_id(node) {
            self.inner.inodes.may_have_set_id(node.ino);
        }
        let access = hold.access;
        let fh = self.inner.handles.add_file(FileHandle {
            hold,
            sync: flags.sync,
        });
        Opened {
            fh,
            keep_cache,
            access,
        }
    }

    /// Holds the content of a file, which was this node a moment ago.
    pub(super) fn hold(&self, node: &Node, access: OpenAccess) -> Result<Hold, Error> {
        self.hold_or(node, access, Err)
    }

    /// The same; `otherwise` is asked where the content cannot be loaded.
    fn hold_or(
        &self,
        node: &Node,
        access: OpenAccess,
        otherwise: impl Fn(StagingError) -> Result<Arc<StagedFile>, StagingError>,
    ) -> Result<Hold, Error> {
        let ino = node.ino;
        if let Some(content) = self.inner.inodes.content(ino) {
            return Ok(Hold::new(self, ino, content, access));
        }
        let mut known = node.clone();
        loop {
            let content = self.staging().file(ino, base(&known)).or_else(&otherwise)?;
            // An upload may have been confirmed in between: what we just loaded
            // would then begin from the version before it.
            let now = self.node(ino)?;
            if now.remote == known.remote {
                return Ok(Hold::new(self, ino, content, access));
            }
            known = now;
        }
    }

    /// Holds a file's content and cuts it to nothing: also one whose bytes are lost here.
    pub(super) fn hold_emptied(&self, node: &Node, access: OpenAccess) -> Result<Hold, Error> {
        let hold = self.hold_or(node, access, |e| match e.is_lost() {
            true => self.staging().anew(node.ino),
            false => Err(e),
        })?;
        self.truncate(&hold, 0)?;
        Ok(hold)
    }

    /// Whether [`Vfs::lend`] is worth a try.
    pub fn may_lend(&self, fh: Fh) -> bool {
        let handle = self.inner.handles.file(fh);
        handle.is_ok_and(|handle| handle.hold.content.may_lend())
    }

    /// All bytes of an open file as it is now, for the kernel to read them by itself; `None` where
    /// they cannot be given. Blocks for the disk.
    pub fn lend(&self, fh: Fh) -> Option<Lent> {
        let handle = self.inner.handles.file(fh).ok()?;
        handle.hold.content.lend()
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
                let vfs = self.clone();
                Answer::later(async move {
                    let bytes = within(deadline, bytes).await;
                    if let Err(e) = &bytes
                        && e.kind() == ErrorKind::Stale
                    {
                        vfs.doubt(handle.hold.ino);
                    }
                    // The version stays pinned until it was read.
                    drop(handle);
                    bytes
                })
            }
        }
    }

    /// The service does not give a file that its folder shows: the folder is listed
    /// again, which tells whether it is gone.
    fn doubt(&self, ino: Ino) {
        match self.node(ino) {
            Ok(Node {
                place: Some(place), ..
            }) => self.refresher().doubt(place.parent, ino),
            Ok(_) => {}
            Err(e) => tracing::debug!(%ino, error = ?e, "no folder to be listed"),
        }
    }

    /// Writes at `offset`. Returns how many bytes were taken: fewer where there is no room
    /// for all of them.
    pub fn write(&self, fh: Fh, offset: u64, data: &[u8]) -> Answer<u32> {
        self.write_to(fh, Place::At(offset), data)
    }

    /// Writes at the end of the file (`O_APPEND`), which the kernel takes to be at `end`.
    /// Returns as [`Vfs::write`] does.
    pub fn append(&self, fh: Fh, end: u64, data: &[u8]) -> Answer<u32> {
        self.write_to(fh, Place::End(end), data)
    }

    fn write_to(&self, fh: Fh, place: Place, data: &[u8]) -> Answer<u32> {
        let handle = match self.inner.handles.writable(fh) {
            Ok(handle) => handle,
            Err(e) => return Answer::Now(Err(e)),
        };
        let content = &handle.hold.content;
        let size = content.size();
        let end = match place {
            Place::At(at) => at.saturating_add(data.len() as u64),
            Place::End(_) => size.saturating_add(data.len() as u64),
        };
        if let Err(e) = self.check_change(content, size.max(end)) {
            return Answer::Now(Err(e));
        }
        let written = match self.write_now(&handle, place, data, Within::Budget) {
            Ok(written) => Answer::Now(Ok(written)),
            Err(Fault::Failed(e)) => Answer::Now(Err(e)),
            Err(Fault::Full(_)) => {
                let (handle, data) = (handle.clone(), Bytes::copy_from_slice(data));
                let (content, more) = (handle.hold.content.clone(), data.len() as u64);
                self.when_there_is_room(&content, more, move |vfs, within| {
                    vfs.write_now(&handle, place, portion(within, &data), within)
                })
            }
        };
        if !handle.sync {
            return written;
        }
        let vfs = self.clone();
        match written {
            Answer::Now(Ok(written)) => vfs.sync(handle).map(move |()| written),
            Answer::Now(Err(e)) => Answer::Now(Err(e)),
            later => Answer::disk(async move {
                let written = later.wait().await?;
                vfs.sync(handle).map(move |()| written).wait().await
            }),
        }
    }

    /// Takes a page of a mapping, which the kernel has changed already and which
    /// nobody could write again: never refused for want of room in the budget.
    pub fn write_page(&self, fh: Fh, offset: u64, data: &[u8]) -> Answer<u32> {
        let written = self.inner.handles.writable(fh).and_then(|handle| {
            Ok(self.write_now(&handle, Place::At(offset), data, Within::Anything)?)
        });
        written.into()
    }

    fn write_now(
        &self,
        handle: &FileHandle,
        place: Place,
        data: &[u8],
        within: Within,
    ) -> Result<u32, Fault> {
        if data.is_empty() {
            return Ok(0);
        }
        let Hold { ino, content, .. } = &handle.hold;
        let size = content.size();
        // The kernel holds the inode's lock over an append, so its idea of the end may be
        // old, but never too small: what is before the end was asked for there (RWF_NOAPPEND).
        let (at, append) = match place {
            Place::End(end) if end >= size => (size, true),
            Place::End(offset) | Place::At(offset) => (offset, false),
        };
        end_of(at, data.len() as u64)?;
        // Before the bytes: a save in between then has a time to store.
        self.inner.inodes.written(*ino, Time::now());
        if append {
            content.append(within, data)?;
        } else {
            content.write_within(within, at, data)?;
        }
        u32::try_from(data.len()).map_err(|_| Error::from(ErrorKind::Overflow).into())
    }

    /// Cuts or extends a file.
    pub(super) fn truncate(&self, hold: &Hold, size: u64) -> Result<(), Error> {
        end_of(0, size)?;
        let now = Time::now();
        if hold.content.size() == size {
            // Nothing to save, but the times change all the same.
            let change = AttributeChange {
                mtime: Some(now),
                ..AttributeChange::default()
            };
            self.tree().set_attributes(hold.ino, change, now)?;
            self.inner.inodes.mtime_was_set(hold.ino);
            return Ok(());
        }
        self.check_account(hold.content.more_unsent(size))?;
        self.check_growth(&hold.content, size)?;
        self.inner.inodes.written(hold.ino, now);
        Ok(hold.content.truncate(size)?)
    }
}

/// Where the bytes of a write go.
#[derive(Clone, Copy)]
enum Place {
    At(u64),
    /// At the end as it is then, which the kernel takes to be here.
    End(u64),
}

/// The end of a range, if a file may be that long.
pub(super) fn end_of(offset: u64, len: u64) -> Result<u64, Error> {
    match offset.checked_add(len) {
        Some(end) if end <= MAX_FILE => Ok(end),
        _ => Err(ErrorKind::TooBig.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::testing::{ANN, BOTH, CUT, House, READ, WRITE};
    use crate::vfs::{AllocateMode, RenameMode, SetAttr};

    #[test]
    fn a_write_is_seen_by_every_handle_at_once() {
        let house = House::new();
        let (ino, fh) = house.create("a");
        let reader = house.open(ino, READ);
        house.write(fh, 0, b"hello");
        assert_eq!(house.read(reader), "hello");
        assert_eq!(house.attr(ino).size, 5);
    }

    #[test]
    fn a_file_of_the_service_is_edited_in_place() {
        let house = House::new();
        let ino = house.remote("film", b"0123456789").ino;
        let fh = house.open(ino, BOTH);
        house.write(fh, 4, b"xy");
        assert_eq!(house.read(fh), "0123xy6789");
        house.close(fh);
        assert_eq!(house.content("film"), "0123xy6789");
        assert!(house.node("film").pending.content);
    }

    #[test]
    fn an_unlinked_file_keeps_its_bytes_for_its_handle_and_is_gone_after() {
        let house = House::new();
        let node = house.remote("film", b"old");
        house.vfs.inner.inodes.looked_up(&[node.ino]);
        let id = node.remote_file().unwrap().id.clone();
        let fh = house.open(node.ino, BOTH);
        house.ok(house.unlink("film"));
        assert!(house.service.is_pinned(&id));
        assert_eq!(house.read(fh), "old");
        house.write(fh, 3, b"er");
        assert_eq!(house.read(fh), "older");
        assert_eq!(house.attr(node.ino).nlink, 0);
        house.close(fh);
        assert!(house.tree.node(node.ino).unwrap().is_some(), "still known");
        house.vfs.forget(node.ino, 1);
        assert!(house.tree.node(node.ino).unwrap().is_none());
        assert!(!house.service.is_pinned(&id));
    }

    #[test]
    fn a_replaced_file_keeps_its_bytes_for_its_handle() {
        let house = House::new();
        house.file("new", b"new");
        let old = house.file("old", b"old");
        let fh = house.open(old, READ);
        house.ok(house.rename("new", "old", RenameMode::Replace));
        assert_eq!(house.read(fh), "old");
        assert_eq!(house.content("old"), "new");
    }

    #[test]
    fn appends_of_two_handles_follow_one_another() {
        let house = House::new();
        let ino = house.file("log", b"0");
        let (first, second) = (house.open(ino, WRITE), house.open(ino, WRITE));
        house.append(first, 1, b"1");
        // The kernel's idea of the end may be old, never too small.
        house.append(second, 9, b"2");
        house.append(first, 3, b"3");
        assert_eq!(house.content("log"), "0123");
    }

    #[test]
    fn what_is_to_go_inside_a_file_goes_there() {
        let house = House::new();
        let ino = house.file("log", b"0123");
        let fh = house.open(ino, WRITE);
        house.append(fh, 1, b"x");
        house.ok(house.vfs.write_page(fh, 2, b"y"));
        assert_eq!(house.content("log"), "0xy3");
    }

    #[test]
    fn opening_with_truncation_empties_the_file() {
        let house = House::new();
        let ino = house.file("a", b"content");
        let fh = house.open(ino, CUT);
        assert_eq!(house.attr(ino).size, 0);
        house.close(fh);
        assert_eq!(house.node("a").size, 0);
    }

    #[test]
    fn a_running_program_is_not_emptied() {
        let house = House::new();
        let ino = house.file("a", b"content");
        let cut = OpenFlags {
            truncate: true,
            ..READ
        };
        let run = OpenFlags {
            access: OpenAccess::Execute,
            ..READ
        };
        let running = house.open(ino, run);
        let refused = house.vfs.open(ino, cut, ANN);
        assert_eq!(house.error(refused), ErrorKind::Running);
        assert_eq!(house.attr(ino).size, 7);
        house.close(running);
        let fh = house.open(ino, cut);
        house.close(fh);
        assert_eq!(house.node("a").size, 0);
    }

    /// The machine went down before the bytes of `name` were on the disk.
    fn tear(house: &House, ino: Ino) {
        let number: i64 = house
            .store
            .write(|tx| -> Result<_, crate::store::StoreError> {
                let torn = "UPDATE staged SET unsynced = 'an earlier boot' WHERE ino = ?1
                    RETURNING data_file";
                Ok(tx.query_row(torn, [ino.0 as i64], |row| row.get(0))?)
            })
            .unwrap();
        let path = house.staged_path(number as u64);
        std::fs::File::create(path).unwrap();
    }

    #[test]
    fn what_a_power_cut_tore_can_be_begun_anew() {
        let mut house = House::new();
        let (opened, cut) = (house.file("opened", b"torn"), house.file("cut", b"torn"));
        tear(&house, opened);
        tear(&house, cut);
        house.next_process();
        assert_eq!(
            house.error(house.vfs.open(opened, READ, ANN)),
            ErrorKind::Io
        );
        assert_eq!(
            house.error(house.vfs.open(opened, WRITE, ANN)),
            ErrorKind::Io
        );
        let fh = house.open(opened, CUT);
        assert_eq!(house.attr(opened).size, 0);
        house.write(fh, 0, b"new");
        // Until it is closed the loss is still told.
        house.next_process();
        assert_eq!(
            house.error(house.vfs.open(opened, READ, ANN)),
            ErrorKind::Io
        );
        let fh = house.open(opened, CUT);
        house.write(fh, 0, b"newer");
        house.close(fh);
        let empty = SetAttr {
            size: Some(0),
            ..SetAttr::default()
        };
        house.ok(house.vfs.setattr(cut, None, empty, ANN));
        house.next_process();
        assert_eq!(house.content("opened"), "newer");
        assert_eq!(house.content("cut"), "");
    }

    #[test]
    fn a_file_that_nobody_has_open_is_cut_and_stored_at_once() {
        let mut house = House::new();
        let ino = house.file("a", b"content");
        let cut = SetAttr {
            size: Some(3),
            ..SetAttr::default()
        };
        let attr = house.ok(house.vfs.setattr(ino, None, cut, ANN));
        assert_eq!((attr.size, attr.blocks), (3, 1));
        house.next_process();
        assert_eq!(house.content("a"), "con");
        let grown = SetAttr {
            size: Some(5),
            ..SetAttr::default()
        };
        house.ok(house.vfs.setattr(ino, None, grown, ANN));
        assert_eq!(house.content("a"), "con\0\0".as_bytes());
    }

    #[test]
    fn cutting_to_the_same_size_changes_the_times_and_sends_nothing() {
        let house = House::new();
        let ino = house.remote("film", b"bytes").ino;
        let before = house.attr(ino).mtime;
        let cut = SetAttr {
            size: Some(5),
            ..SetAttr::default()
        };
        let attr = house.ok(house.vfs.setattr(ino, None, cut, ANN));
        assert!(attr.mtime > before && attr.ctime == attr.mtime);
        assert_eq!(house.attr(ino), attr);
        assert!(house.node("film").pending.is_empty());
    }

    #[test]
    fn nothing_beyond_the_services_largest_file_is_taken() {
        let house = House::new();
        let (ino, fh) = house.create("a");
        let at_the_end = house.vfs.write(fh, MAX_FILE - 1, b"x");
        house.ok(at_the_end);
        assert_eq!(
            house.error(house.vfs.write(fh, MAX_FILE, b"x")),
            ErrorKind::TooBig
        );
        let far = house.vfs.write(fh, u64::MAX, b"xy");
        assert_eq!(house.error(far), ErrorKind::TooBig);
        let grow = house.vfs.fallocate(fh, MAX_FILE, 1, AllocateMode::Extend);
        assert_eq!(house.error(grow), ErrorKind::TooBig);
        assert_eq!(house.attr(ino).size, MAX_FILE);
    }

    #[test]
    fn a_handle_does_only_what_it_was_opened_for() {
        let house = House::new();
        let ino = house.file("a", b"x");
        let fh = house.open(ino, READ);
        assert_eq!(
            house.error(house.vfs.write(fh, 0, b"y")),
            ErrorKind::BadHandle
        );
        house.close(fh);
        assert_eq!(house.error(house.vfs.read(fh, 0, 1)), ErrorKind::BadHandle);
    }

    #[test]
    fn a_synchronous_write_is_stored_when_it_returns() {
        let mut house = House::new();
        let (ino, fh) = house.create("a");
        house.close(fh);
        let fh = house.open(
            ino,
            OpenFlags {
                sync: true,
                ..WRITE
            },
        );
        house.write(fh, 0, b"x");
        house.next_process();
        assert_eq!(house.content("a"), "x");
    }
}
