//! Ranges of a file's content: reserved, cleared, looked for, copied.

use super::Vfs;
use super::error::{Error, ErrorKind};
use super::files::end_of;
use super::handles::{FileHandle, Hold};
use super::pressure::{Fault, TRICKLE};
use super::types::{AllocateMode, Answer, Fh, SeekTo};
use crate::ids::Time;
use crate::staging::{Grow, Within};

impl Vfs {
    /// Reserves, clears or punches a range.
    pub fn fallocate(&self, fh: Fh, offset: u64, len: u64, mode: AllocateMode) -> Answer<()> {
        let handle = match self.inner.handles.writable(fh) {
            Ok(handle) => handle,
            Err(e) => return Answer::Now(Err(e)),
        };
        let content = handle.hold.content.clone();
        let (size, end) = (content.size(), offset.saturating_add(len));
        let becomes = match mode {
            // Nothing changes.
            AllocateMode::KeepSize => 0,
            AllocateMode::Extend if end <= size => 0,
            AllocateMode::Extend | AllocateMode::Zero => end.max(size),
            AllocateMode::PunchHole | AllocateMode::ZeroKeepSize => size,
        };
        if let Err(e) = self.check_change(&content, becomes) {
            return Answer::Now(Err(e));
        }
        self.when_there_is_room(&content, len, move |vfs, within| {
            vfs.allocate(&handle, offset, len, mode, within)
        })
    }

    fn allocate(
        &self,
        handle: &FileHandle,
        offset: u64,
        len: u64,
        mode: AllocateMode,
        within: Within,
    ) -> Result<(), Fault> {
        let Hold { ino, content, .. } = &handle.hold;
        if len == 0 {
            return Err(Error::from(ErrorKind::Invalid).into());
        }
        let end = end_of(offset, len)?;
        if matches!(mode, AllocateMode::Extend | AllocateMode::Zero) {
            self.check_growth(content, end)?;
        }
        if mode != AllocateMode::KeepSize {
            self.inner.inodes.written(*ino, Time::now());
        }
        let range = offset..end;
        match mode {
            AllocateMode::KeepSize => content.allocate(range, Grow::KeepSize, within)?,
            AllocateMode::Extend => content.allocate(range, Grow::Size, within)?,
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
        let handles = &self.inner.handles;
        let (source, target) = match (handles.file(fh_in), handles.writable(fh_out)) {
            (Ok(source), Ok(target)) => (source, target),
            (Err(e), _) | (_, Err(e)) => return Answer::Now(Err(e)),
        };
        let content = target.hold.content.clone();
        let left = source.hold.content.size().saturating_sub(offset_in);
        let end = offset_out.saturating_add(len.min(left));
        if let Err(e) = self.check_change(&content, content.size().max(end)) {
            return Answer::Now(Err(e));
        }
        // Whatever is taken beyond the budget is little, and so is what must fit it.
        self.when_there_is_room(&content, 1, move |vfs, within| {
            let len = match within {
                Within::Budget => len,
                Within::Anything => len.min(TRICKLE as u64),
            };
            vfs.copy(&source, offset_in, &target, offset_out, len, within)
        })
    }

    fn copy(
        &self,
        source: &FileHandle,
        offset_in: u64,
        target: &FileHandle,
        offset_out: u64,
        len: u64,
        within: Within,
    ) -> Result<u64, Fault> {
        let left = source.hold.content.size().saturating_sub(offset_in);
        let len = len.min(left);
        if len == 0 {
            return Ok(0);
        }
        end_of(offset_out, len)?;
        self.inner.inodes.written(target.hold.ino, Time::now());
        let copied = target.hold.content.copy_from(
            &source.hold.content,
            offset_in,
            offset_out,
            len,
            within,
        )?;
        Ok(copied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::testing::{House, READ};

    #[test]
    fn ranges_are_reserved_cleared_and_found() {
        let house = House::new();
        let (ino, fh) = house.create("a");
        house.write(fh, 0, b"abcdef");
        let allocate = |offset, len, mode| house.ok(house.vfs.fallocate(fh, offset, len, mode));
        allocate(4, 10, AllocateMode::KeepSize);
        assert_eq!(house.attr(ino).size, 6);
        allocate(1, 2, AllocateMode::PunchHole);
        assert_eq!(house.read(fh), "a\0\0def".as_bytes());
        allocate(5, 5, AllocateMode::ZeroKeepSize);
        assert_eq!(house.read(fh), "a\0\0de\0".as_bytes());
        allocate(5, 3, AllocateMode::Zero);
        assert_eq!(house.attr(ino).size, 8);
        allocate(0, 10, AllocateMode::Extend);
        assert_eq!(house.attr(ino).size, 10);
        let seek = |offset, to| house.vfs.lseek(fh, offset, to);
        assert_eq!(house.ok(seek(1, SeekTo::Data)), 3);
        assert_eq!(house.ok(seek(0, SeekTo::Hole)), 1);
        assert_eq!(house.error(seek(6, SeekTo::Data)), ErrorKind::NoSeek);
        let nothing = house.vfs.fallocate(fh, 0, 0, AllocateMode::Extend);
        assert_eq!(house.error(nothing), ErrorKind::Invalid);
    }

    #[test]
    fn a_file_of_the_service_is_all_data() {
        let house = House::new();
        let fh = house.open(house.remote("film", b"bytes").ino, READ);
        assert_eq!(house.ok(house.vfs.lseek(fh, 2, SeekTo::Data)), 2);
        assert_eq!(house.ok(house.vfs.lseek(fh, 2, SeekTo::Hole)), 5);
    }

    #[test]
    fn a_copy_reaches_to_the_end_of_its_source() {
        let house = House::new();
        let source = house.open(house.remote("film", b"0123456789").ino, READ);
        let (_, target) = house.create("copy");
        let copied = house.vfs.copy_file_range(source, 2, target, 1, 100);
        assert_eq!(house.ok(copied), 8);
        assert_eq!(house.read(target), "\x0023456789".as_bytes());
        let beyond = house.vfs.copy_file_range(source, 10, target, 0, 1);
        assert_eq!(house.ok(beyond), 0);
    }
}
