//! Why an operation failed, in the terms of a file system.
//!
//! The kind is what a caller can act on and what `fuse` turns into an errno;
//! message and source are for the log and never reach the calling process.

use std::error::Error as StdError;
use std::fmt;

/// What went wrong, one kind per errno that the mount can give, and a second one for ENOENT.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorKind {
    /// The name or inode certainly does not exist (ENOENT). Never for "we do not know".
    NotFound,
    /// The name was not seen where such names count as new (ENOENT). That is not to be remembered.
    NotSeen,
    /// The name is taken (EEXIST).
    Exists,
    /// A folder was needed (ENOTDIR).
    NotDir,
    /// A folder cannot be used like this (EISDIR).
    IsDir,
    /// The folder still has entries (ENOTEMPTY).
    NotEmpty,
    /// The permission bits do not allow it (EACCES).
    Access,
    /// Not allowed to anybody here: hard links, device nodes, protected files (EPERM).
    NotPermitted,
    /// An argument that makes no sense (EINVAL).
    Invalid,
    /// The handle is unknown or not open for this (EBADF).
    BadHandle,
    /// A name over the service's limits (ENAMETOOLONG).
    NameTooLong,
    /// The local disk or the staging budget is full (ENOSPC).
    NoSpace,
    /// The account is full (EDQUOT).
    Quota,
    /// Over the largest file of the service (EFBIG).
    TooBig,
    /// The mount is read-only (EROFS).
    ReadOnly,
    /// The content of this inode is gone from the service (ESTALE).
    Stale,
    /// Could not be done or found out (EIO).
    Io,
    /// Could not be done or found out within the deadline (ETIMEDOUT).
    TimedOut,
    /// This file system does not have that operation (EOPNOTSUPP).
    Unsupported,
    /// Source and target are not on one file system (EXDEV).
    CrossDevice,
    /// No such extended attribute (ENODATA).
    NoData,
    /// The answer does not fit the caller's buffer (ERANGE).
    Range,
    /// No data or hole at or after that offset (ENXIO).
    NoSeek,
    /// In use (EBUSY).
    Busy,
    /// A running program (ETXTBSY).
    Running,
    /// A symbolic link where none may be (ELOOP).
    Loop,
    /// A number does not fit its field (EOVERFLOW).
    Overflow,
}

impl ErrorKind {
    /// Every kind, so that tests can walk them.
    #[cfg(test)]
    pub(crate) const ALL: [ErrorKind; 27] = [
        ErrorKind::NotFound,
        ErrorKind::NotSeen,
        ErrorKind::Exists,
        ErrorKind::NotDir,
        ErrorKind::IsDir,
        ErrorKind::NotEmpty,
        ErrorKind::Access,
        ErrorKind::NotPermitted,
        ErrorKind::Invalid,
        ErrorKind::BadHandle,
        ErrorKind::NameTooLong,
        ErrorKind::NoSpace,
        ErrorKind::Quota,
        ErrorKind::TooBig,
        ErrorKind::ReadOnly,
        ErrorKind::Stale,
        ErrorKind::Io,
        ErrorKind::TimedOut,
        ErrorKind::Unsupported,
        ErrorKind::CrossDevice,
        ErrorKind::NoData,
        ErrorKind::Range,
        ErrorKind::NoSeek,
        ErrorKind::Busy,
        ErrorKind::Running,
        ErrorKind::Loop,
        ErrorKind::Overflow,
    ];

    fn text(self) -> &'static str {
        match self {
            ErrorKind::NotFound => "no such file or folder",
            ErrorKind::NotSeen => "not seen, and so taken for new",
            ErrorKind::Exists => "the name is taken",
            ErrorKind::NotDir => "not a folder",
            ErrorKind::IsDir => "is a folder",
            ErrorKind::NotEmpty => "the folder is not empty",
            ErrorKind::Access => "permission denied",
            ErrorKind::NotPermitted => "not permitted",
            ErrorKind::Invalid => "invalid argument",
            ErrorKind::BadHandle => "bad file handle",
            ErrorKind::NameTooLong => "the name is too long",
            ErrorKind::NoSpace => "no space left",
            ErrorKind::Quota => "the account is full",
            ErrorKind::TooBig => "the file is too big",
            ErrorKind::ReadOnly => "the mount is read-only",
            ErrorKind::Stale => "the content is gone from the service",
            ErrorKind::Io => "input/output error",
            ErrorKind::TimedOut => "not answered in time",
            ErrorKind::Unsupported => "not supported",
            ErrorKind::CrossDevice => "not on one file system",
            ErrorKind::NoData => "no such attribute",
            ErrorKind::Range => "does not fit the buffer",
            ErrorKind::NoSeek => "no data or hole there",
            ErrorKind::Busy => "in use",
            ErrorKind::Running => "a running program",
            ErrorKind::Loop => "a symbolic link where none may be",
            ErrorKind::Overflow => "a number is too large",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// A failed operation: its kind, and for the log what was being done and why
/// it failed. A bare kind (a look-up that finds nothing) allocates nothing.
pub struct Error {
    kind: ErrorKind,
    detail: Option<Box<Detail>>,
}

struct Detail {
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error that tells what was being done. No secrets, no download links.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        let detail = Detail {
            message: message.into(),
            source: None,
        };
        Error {
            kind,
            detail: Some(Box::new(detail)),
        }
    }

    /// An error of another room, seen as `kind`.
    pub fn from_source(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Error {
        let detail = Detail {
            message: message.into(),
            source: Some(source.into()),
        };
        Error {
            kind,
            detail: Some(Box::new(detail)),
        }
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Error {
        Error { kind, detail: None }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Some(detail) => write!(f, "{}: {}", detail.message, self.kind),
            None => self.kind.fmt(f),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.kind);
        if let Some(detail) = &self.detail {
            out.field("message", &detail.message);
            out.field("source", &detail.source);
        }
        out.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.detail.as_ref()?.source.as_ref()?;
        Some(source.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_kind_says_what_it_is() {
        let error = Error::from(ErrorKind::NotEmpty);
        assert_eq!(error.kind(), ErrorKind::NotEmpty);
        assert_eq!(error.to_string(), "the folder is not empty");
        assert!(error.source().is_none());
    }

    #[test]
    fn message_and_source_are_kept_for_the_log() {
        let cause = std::io::Error::other("disk on fire");
        let error = Error::from_source(ErrorKind::Io, "sealing inode 7", cause);
        assert_eq!(error.to_string(), "sealing inode 7: input/output error");
        assert_eq!(error.source().unwrap().to_string(), "disk on fire");
    }
}
