//! From the kernel's numbers to the types of `vfs` and back. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo, TimeOrNow};

use super::passing::Which;
use crate::ids::Ino;
use crate::vfs::{AllocateMode, Attr, Kind, OpenAccess, OpenFlags, RenameMode, SetTime, XattrMode};

/// Set in the number of a file's second inode ([`super::passing`]). Inodes are counted from 1 on,
/// and never come so far.
const SECOND: u64 = 1 << 62;

/// What stands in for a file that is gone ([`super::waking`]).
pub(super) const PHANTOM: INodeNo = INodeNo(1 << 61);

/// Which inode the mountpoint shows. The kernel calls the root of a mount 1;
/// where the root is another folder, its number and 1 change places, so that
/// both directions stay one to one.
#[derive(Clone, Copy, Debug)]
pub(super) struct RootMap {
    root: Ino,
}

impl RootMap {
    pub(super) fn new(root: Ino) -> RootMap {
        RootMap { root }
    }

    fn swap(self, number: u64) -> u64 {
        let kernel_root = INodeNo::ROOT.0;
        if number == kernel_root {
            self.root.0
        } else if number == self.root.0 {
            kernel_root
        } else {
            number
        }
    }

    pub(super) fn to_vfs(self, ino: INodeNo) -> Ino {
        Ino(self.swap(ino.0 & !SECOND))
    }

    /// Which inode of its file a number of the kernel's is.
    pub(super) fn which(self, ino: INodeNo) -> Which {
        match ino.0 & SECOND {
            0 => Which::First,
            _ => Which::Second,
        }
    }

    /// The number of one of the two inodes of a file.
    pub(super) fn number(self, ino: Ino, which: Which) -> INodeNo {
        let INodeNo(number) = self.to_kernel(ino);
        match which {
            Which::First => INodeNo(number),
            Which::Second => INodeNo(number | SECOND),
        }
    }

    pub(super) fn to_kernel(self, ino: Ino) -> INodeNo {
        INodeNo(self.swap(ino.0))
    }

    pub(super) fn attr(self, attr: &Attr) -> FileAttr {
        FileAttr {
            ino: self.to_kernel(attr.ino),
            size: attr.size,
            blocks: attr.blocks,
            atime: system_time(attr.atime),
            mtime: system_time(attr.mtime),
            ctime: system_time(attr.ctime),
            crtime: system_time(attr.btime),
            kind: file_type(attr.kind),
            perm: attr.perm,
            nlink: attr.nlink,
            uid: attr.uid,
            gid: attr.gid,
            rdev: 0,
            blksize: attr.blksize,
            flags: 0,
        }
    }
}

/// The attributes of "no such name": inode 0 makes the kernel remember that.
pub(super) fn no_attr() -> FileAttr {
    FileAttr {
        ino: INodeNo(0),
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: FileType::RegularFile,
        perm: 0,
        nlink: 0,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 0,
        flags: 0,
    }
}

pub(super) fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::Dir => FileType::Directory,
        Kind::File => FileType::RegularFile,
        Kind::Symlink => FileType::Symlink,
    }
}

/// An i64 of nanoseconds reaches from 1677 to 2262; `SystemTime` holds all of it.
fn system_time(nanos: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanos.unsigned_abs());
    if nanos < 0 {
        UNIX_EPOCH - distance
    } else {
        UNIX_EPOCH + distance
    }
}

/// Nanoseconds since 1970 of a time that fuser read from a request, cut to
/// what an i64 holds. fuser 0.18 subtracts the fraction of a time before 1970
/// where the kernel means it to be added; this takes that back.
fn nanos(time: SystemTime) -> i64 {
    let total = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_nanos() as i128,
        Err(before) => {
            let before = before.duration();
            i128::from(before.subsec_nanos()) - i128::from(before.as_secs()) * 1_000_000_000
        }
    };
    total.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

pub(super) fn set_time(time: TimeOrNow) -> SetTime {
    match time {
        TimeOrNow::Now => SetTime::Now,
        TimeOrNow::SpecificTime(time) => SetTime::At(nanos(time)),
    }
}

/// The permission bits of a mode.
pub(super) fn perm(mode: u32) -> u16 {
    (mode & 0o7777) as u16
}

/// The kernel's own flag for what `execve(2)` opens (`__FMODE_EXEC` in its
/// `include/uapi/asm-generic/fcntl.h`).
const FMODE_EXEC: i32 = 0x20;

pub(super) fn open_flags(raw: i32) -> OpenFlags {
    let access = match raw & libc::O_ACCMODE {
        libc::O_RDONLY if raw & FMODE_EXEC != 0 => OpenAccess::Execute,
        libc::O_WRONLY => OpenAccess::Write,
        libc::O_RDWR => OpenAccess::ReadWrite,
        _ => OpenAccess::Read,
    };
    OpenFlags {
        access,
        truncate: raw & libc::O_TRUNC != 0,
        exclusive: raw & libc::O_EXCL != 0,
        sync: raw & libc::O_DSYNC != 0,
    }
}

/// `None`: a combination that we do not have (EINVAL).
pub(super) fn rename_mode(flags: fuser::RenameFlags) -> Option<RenameMode> {
    if flags.is_empty() {
        Some(RenameMode::Replace)
    } else if flags == fuser::RenameFlags::RENAME_NOREPLACE {
        Some(RenameMode::NoReplace)
    } else if flags == fuser::RenameFlags::RENAME_EXCHANGE {
        Some(RenameMode::Exchange)
    } else {
        None
    }
}

/// `None`: flags that no setxattr(2) has (EINVAL).
pub(super) fn xattr_mode(flags: i32) -> Option<XattrMode> {
    match flags {
        0 => Some(XattrMode::Set),
        libc::XATTR_CREATE => Some(XattrMode::Create),
        libc::XATTR_REPLACE => Some(XattrMode::Replace),
        _ => None,
    }
}

/// `None`: a mode that we do not have (EOPNOTSUPP), such as collapsing a range.
pub(super) fn allocate_mode(mode: i32) -> Option<AllocateMode> {
    const PUNCH_KEEP: i32 = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    const ZERO_KEEP: i32 = libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE;
    match mode {
        0 => Some(AllocateMode::Extend),
        libc::FALLOC_FL_KEEP_SIZE => Some(AllocateMode::KeepSize),
        PUNCH_KEEP => Some(AllocateMode::PunchHole),
        libc::FALLOC_FL_ZERO_RANGE => Some(AllocateMode::Zero),
        ZERO_KEEP => Some(AllocateMode::ZeroKeepSize),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_mounted_folder_is_the_kernels_root() {
        let map = RootMap::new(Ino(57));
        assert_eq!(map.to_vfs(INodeNo::ROOT), Ino(57));
        assert_eq!(map.to_kernel(Ino(57)), INodeNo::ROOT);
        assert_eq!(map.to_kernel(Ino(1)), INodeNo(57));
        assert_eq!(
            RootMap::new(Ino(1)).to_vfs(INodeNo::ROOT),
            Ino(INodeNo::ROOT.0)
        );
    }

    proptest! {
        #[test]
        fn inode_numbers_translate_one_to_one(root in 1u64..100, ino in 1u64..200) {
            let map = RootMap::new(Ino(root));
            prop_assert_eq!(map.to_vfs(map.to_kernel(Ino(ino))), Ino(ino));
            prop_assert_eq!(map.to_kernel(map.to_vfs(INodeNo(ino))), INodeNo(ino));
            for which in [Which::First, Which::Second] {
                let number = map.number(Ino(ino), which);
                prop_assert_eq!((map.to_vfs(number), map.which(number)), (Ino(ino), which));
            }
        }

        #[test]
        fn any_time_reaches_the_kernel_whole(t: i64) {
            let back = match system_time(t).duration_since(UNIX_EPOCH) {
                Ok(after) => after.as_nanos() as i128,
                Err(before) => -(before.duration().as_nanos() as i128),
            };
            prop_assert_eq!(back, i128::from(t));
        }

        /// What fuser 0.18 makes of the (seconds, nanoseconds) of a request.
        #[test]
        fn any_time_of_a_request_is_understood(secs in -9_000_000_000i64..9_000_000_000, sub in 0u32..1_000_000_000) {
            let received = if secs >= 0 {
                UNIX_EPOCH + Duration::new(secs as u64, sub)
            } else {
                UNIX_EPOCH - Duration::new(secs.unsigned_abs(), sub)
            };
            prop_assert_eq!(i128::from(nanos(received)), i128::from(secs) * 1_000_000_000 + i128::from(sub));
        }
    }

    #[test]
    fn a_time_out_of_range_is_cut_not_wrapped() {
        let far = UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert_eq!(nanos(far), i64::MAX);
        let old = UNIX_EPOCH - Duration::from_secs(1 << 40);
        assert_eq!(nanos(old), i64::MIN);
    }

    #[test]
    fn open_flags_are_taken_apart() {
        let flags = open_flags(libc::O_RDWR | libc::O_EXCL | libc::O_SYNC);
        assert_eq!(
            flags,
            OpenFlags {
                access: OpenAccess::ReadWrite,
                truncate: false,
                exclusive: true,
                sync: true,
            }
        );
        assert_eq!(open_flags(libc::O_RDONLY).access, OpenAccess::Read);
        assert_eq!(open_flags(FMODE_EXEC).access, OpenAccess::Execute);
        assert!(open_flags(libc::O_WRONLY | libc::O_TRUNC).truncate);
    }

    #[test]
    fn unknown_combinations_are_not_guessed() {
        let both = fuser::RenameFlags::RENAME_NOREPLACE | fuser::RenameFlags::RENAME_EXCHANGE;
        assert_eq!(rename_mode(both), None);
        assert_eq!(
            rename_mode(fuser::RenameFlags::empty()),
            Some(RenameMode::Replace)
        );
        assert_eq!(xattr_mode(libc::XATTR_CREATE | libc::XATTR_REPLACE), None);
        assert_eq!(allocate_mode(libc::FALLOC_FL_COLLAPSE_RANGE), None);
        assert_eq!(
            allocate_mode(libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE),
            Some(AllocateMode::PunchHole)
        );
    }
}
