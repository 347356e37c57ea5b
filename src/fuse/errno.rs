//! The one place where a failure becomes a number for the caller.

use fuser::Errno;

use crate::vfs::ErrorKind;

/// The errno of a kind. Exhaustive, so that a new kind is decided here and nowhere else.
pub(super) fn errno(kind: ErrorKind) -> Errno {
    match kind {
        ErrorKind::NotFound | ErrorKind::NotSeen => Errno::ENOENT,
        ErrorKind::Exists => Errno::EEXIST,
        ErrorKind::NotDir => Errno::ENOTDIR,
        ErrorKind::IsDir => Errno::EISDIR,
        ErrorKind::NotEmpty => Errno::ENOTEMPTY,
        ErrorKind::Access => Errno::EACCES,
        ErrorKind::NotPermitted => Errno::EPERM,
        ErrorKind::Invalid => Errno::EINVAL,
        ErrorKind::BadHandle => Errno::EBADF,
        ErrorKind::NameTooLong => Errno::ENAMETOOLONG,
        ErrorKind::NoSpace => Errno::ENOSPC,
        ErrorKind::Quota => Errno::EDQUOT,
        ErrorKind::TooBig => Errno::EFBIG,
        ErrorKind::ReadOnly => Errno::EROFS,
        ErrorKind::Stale => Errno::ESTALE,
        ErrorKind::Io => Errno::EIO,
        ErrorKind::TimedOut => Errno::ETIMEDOUT,
        // Not ENOSYS: the kernel takes that as "never ask again".
        ErrorKind::Unsupported => Errno::EOPNOTSUPP,
        ErrorKind::CrossDevice => Errno::EXDEV,
        ErrorKind::NoData => Errno::ENODATA,
        ErrorKind::Range => Errno::ERANGE,
        ErrorKind::NoSeek => Errno::ENXIO,
        ErrorKind::Busy => Errno::EBUSY,
        ErrorKind::Running => Errno::ETXTBSY,
        ErrorKind::Loop => Errno::ELOOP,
        ErrorKind::Overflow => Errno::EOVERFLOW,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_kind_has_an_errno_of_its_own_but_the_two_of_no_such_file() {
        let numbers: HashSet<i32> = ErrorKind::ALL.iter().map(|k| errno(*k).into()).collect();
        assert_eq!(numbers.len(), ErrorKind::ALL.len() - 1);
        let absent = [ErrorKind::NotFound, ErrorKind::NotSeen].map(|kind| i32::from(errno(kind)));
        assert_eq!(absent, [libc::ENOENT; 2]);
        assert!(
            !numbers.contains(&libc::ENOSYS),
            "the kernel would stop asking"
        );
    }
}
