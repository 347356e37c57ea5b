//! The plain types of the room's interface: what goes into an operation and
//! what comes out. No type of fuser and no number of the kernel's ABI is here;
//! `fuse` translates both ways.

use std::ffi::OsStr;
use std::future::Future;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::error::Error;
use crate::ids::Ino;

/// The result of an operation, now or later.
///
/// `Now` is given wherever nothing has to be waited for: it is answered on the
/// thread that asked, without a hop. `Later` may be dropped at any of its
/// awaits when the deadline passes, so a future changes state only in steps
/// that are whole by themselves.
pub enum Answer<T> {
    /// Answered from memory or the local store.
    Now(Result<T, Error>),
    /// Something must be waited for: the service, room in staging.
    Later(BoxFuture<'static, Result<T, Error>>),
    /// Our own disk is waited for, which takes as long as it takes; what else is waited for
    /// has a bound of its own.
    Disk(BoxFuture<'static, Result<T, Error>>),
}

impl<T> Answer<T> {
    /// An answer that is not known yet.
    pub fn later(future: impl Future<Output = Result<T, Error>> + Send + 'static) -> Answer<T> {
        Answer::Later(Box::pin(future))
    }

    /// An answer that our own disk has to give.
    pub fn disk(future: impl Future<Output = Result<T, Error>> + Send + 'static) -> Answer<T> {
        Answer::Disk(Box::pin(future))
    }

    /// The answer, when it is there.
    pub(super) async fn wait(self) -> Result<T, Error> {
        match self {
            Answer::Now(result) => result,
            Answer::Later(future) | Answer::Disk(future) => future.await,
        }
    }

    /// The same answer, with its value made into something else.
    pub fn map<U>(self, f: impl FnOnce(T) -> U + Send + 'static) -> Answer<U>
    where
        T: 'static,
    {
        match self {
            Answer::Now(result) => Answer::Now(result.map(f)),
            Answer::Later(future) => Answer::Later(future.map(move |result| result.map(f)).boxed()),
            Answer::Disk(future) => Answer::Disk(future.map(move |result| result.map(f)).boxed()),
        }
    }
}

impl<T, E: Into<Error>> From<Result<T, E>> for Answer<T> {
    fn from(result: Result<T, E>) -> Answer<T> {
        Answer::Now(result.map_err(Into::into))
    }
}

/// The process behind a system call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
    /// Its process id; 0 for the kernel's own requests.
    pub pid: u32,
}

/// What an inode is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// A folder.
    Dir,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
}

/// The attributes of an inode, as `stat(2)` gives them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attr {
    /// The inode.
    pub ino: Ino,
    /// What it is.
    pub kind: Kind,
    /// Size in bytes.
    pub size: u64,
    /// Allocated size in units of 512 bytes. Not 0 for a file with content, or
    /// `du`, `cp` and `tar` take it for a hole.
    pub blocks: u64,
    /// Last access, nanoseconds since 1970.
    pub atime: i64,
    /// Last change of the content, nanoseconds since 1970.
    pub mtime: i64,
    /// Last change of content or attributes, nanoseconds since 1970.
    pub ctime: i64,
    /// Creation, nanoseconds since 1970.
    pub btime: i64,
    /// Permission bits (the low twelve bits of the mode).
    pub perm: u16,
    /// Number of names.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The size of a request that suits this file, in bytes.
    pub blksize: u32,
}

/// A name that was found or made. The kernel now holds one look-up more on the
/// inode, which it gives back with `forget`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The inode's attributes.
    pub attr: Attr,
    /// Tells two uses of one inode number apart; constant where numbers are never reused.
    pub generation: u64,
}

/// An open file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Fh(pub u64);

/// An open folder.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DirFh(pub u64);

/// The result of opening a folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenedDir {
    /// The new handle.
    pub fh: DirFh,
    /// What the kernel may do with what it reads through it.
    pub reading: Reading,
}

/// Whether a folder is read from the kernel's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reading {
    /// It is read from us each time.
    Anew,
    /// It is read from us once more, and kept.
    Filling,
    /// What was kept is still right.
    Kept,
}

/// The result of opening a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Opened {
    /// The new handle.
    pub fh: Fh,
    /// The pages that the kernel still has of this inode are those of the
    /// version that was opened.
    pub keep_cache: bool,
    /// What the handle may do.
    pub access: OpenAccess,
}

/// What a handle may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenAccess {
    /// `O_RDONLY`.
    Read,
    /// `O_WRONLY`.
    Write,
    /// `O_RDWR`.
    ReadWrite,
    /// As `execve(2)` does: for reading, and it runs as long as the handle lives.
    Execute,
}

impl OpenAccess {
    /// Whether the handle may read.
    pub fn reads(self) -> bool {
        !matches!(self, OpenAccess::Write)
    }

    /// Whether the handle may write.
    pub fn writes(self) -> bool {
        matches!(self, OpenAccess::Write | OpenAccess::ReadWrite)
    }
}

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenFlags {
    /// Reading, writing or both.
    pub access: OpenAccess,
    /// `O_TRUNC`: empty the file first.
    pub truncate: bool,
    /// `O_EXCL`: with `create`, fail if the name exists.
    pub exclusive: bool,
    /// `O_SYNC` or `O_DSYNC`: a write that returned is on the disk.
    pub sync: bool,
}

/// A time to set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetTime {
    /// The time at which the call is handled.
    Now,
    /// Nanoseconds since 1970.
    At(i64),
}

/// The attributes to change; `None` leaves one as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SetAttr {
    /// Permission bits (the low twelve bits of the mode).
    pub perm: Option<u16>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Size in bytes: cut, or extended by a hole.
    pub size: Option<u64>,
    /// Last access.
    pub atime: Option<SetTime>,
    /// Last change of the content.
    pub mtime: Option<SetTime>,
}

/// What a rename does with an existing target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RenameMode {
    /// Take its place: rename(2).
    Replace,
    /// Fail with `Exists`: `RENAME_NOREPLACE`.
    NoReplace,
    /// Swap the two: `RENAME_EXCHANGE`.
    Exchange,
}

/// What setting an extended attribute expects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum XattrMode {
    /// Make or replace it.
    Set,
    /// Fail with `Exists` if it is there: `XATTR_CREATE`.
    Create,
    /// Fail with `NoData` if it is not: `XATTR_REPLACE`.
    Replace,
}

/// What fallocate(2) does with a range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AllocateMode {
    /// Reserve room and let the file grow to the end of the range.
    Extend,
    /// Reserve room, the size stays.
    KeepSize,
    /// Make it a hole, the size stays.
    PunchHole,
    /// Make it zeros and let the file grow to the end of the range.
    Zero,
    /// Make it zeros, the size stays.
    ZeroKeepSize,
}

/// What lseek(2) looks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SeekTo {
    /// `SEEK_DATA`.
    Data,
    /// `SEEK_HOLE`.
    Hole,
}

/// What fsync promises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyncScope {
    /// Content and attributes: fsync(2).
    All,
    /// The content and what is needed to read it: fdatasync(2).
    Data,
}

/// One entry of a folder being read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DirEntry<'a> {
    /// Its name; `.` and `..` come first.
    pub name: &'a OsStr,
    /// What it names.
    pub entry: Entry,
    /// Where reading goes on after this entry; never 0.
    pub next: u64,
}

/// Whether the reader's buffer took an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fill {
    /// It did; in `readdirplus` the kernel now holds one look-up more on it
    /// (not for `.` and `..`).
    Added,
    /// It did not fit; the next call starts with it.
    Full,
}

/// The figures of statfs(2). Blocks are of `block_size` bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatFs {
    /// Size of the unit in bytes.
    pub block_size: u32,
    /// All of it; never 0, or installers refuse.
    pub blocks: u64,
    /// What is free.
    pub blocks_free: u64,
    /// Inodes in use and free together.
    pub files: u64,
    /// Inodes that can still be made.
    pub files_free: u64,
    /// Longest name in bytes.
    pub name_max: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::error::ErrorKind;

    #[test]
    fn access_says_what_a_handle_may_do() {
        let rights = |a: OpenAccess| (a.reads(), a.writes());
        assert_eq!(rights(OpenAccess::Read), (true, false));
        assert_eq!(rights(OpenAccess::Write), (false, true));
        assert_eq!(rights(OpenAccess::ReadWrite), (true, true));
        assert_eq!(rights(OpenAccess::Execute), (true, false));
    }

    #[tokio::test]
    async fn map_reaches_the_value_now_and_later() {
        let Answer::Now(Ok(now)) = Answer::from(Ok::<_, Error>(2)).map(|n| n + 1) else {
            panic!("an answer now stays one");
        };
        let Answer::Later(later) = Answer::later(async { Ok(3) }).map(|n| n + 1) else {
            panic!("an answer later stays one");
        };
        assert_eq!((now, later.await.unwrap()), (3, 4));
        let failed = Answer::<u32>::from(Err(ErrorKind::Busy)).map(|n| n + 1);
        assert!(matches!(failed, Answer::Now(Err(e)) if e.kind() == ErrorKind::Busy));
    }
}
