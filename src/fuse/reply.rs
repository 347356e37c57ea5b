//! From an answer to a reply, now or later.
//!
//! What is known is answered on the thread that took the request; what must
//! wait becomes a task with a deadline. Each request is answered exactly once
//! and in bounded time, also when the operation panics: a thread of the session
//! that dies would leave its requests, and in the end the mount, hanging.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;
use fuser::{
    FileHandle, FopenFlags, Generation, ReplyAttr, ReplyCreate, ReplyData, ReplyEmpty, ReplyEntry,
    ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr,
};
use futures_util::FutureExt;
use tokio::runtime::Handle;

use super::errno::errno;
use super::options::{Deadlines, Ttl};
use super::passing::Which;
use super::shape::Shape;
use super::translate::no_attr;
use crate::vfs::{
    Answer, Attr, Entry, Error, ErrorKind, OpenAccess, Opened, OpenedDir, Reading, StatFs,
};

/// Which deadline an operation has.
#[derive(Clone, Copy)]
pub(super) enum Class {
    /// Names and attributes.
    Metadata,
    /// Content.
    Data,
}

/// A reply of fuser's that can carry a `T`.
pub(super) trait Reply<T>: Send + 'static {
    fn value(self, value: T, shape: Shape);
    fn error(self, kind: ErrorKind, shape: Shape);
}

/// Answers requests: inline, or from the runtime.
pub(super) struct Bridge {
    pub(super) shape: Shape,
    deadlines: Deadlines,
    runtime: Handle,
}

impl Bridge {
    pub(super) fn new(shape: Shape, deadlines: Deadlines, runtime: Handle) -> Bridge {
        Bridge {
            shape,
            deadlines,
            runtime,
        }
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Runs `call` and answers `reply` with what it gives. `name` is for the log.
    pub(super) fn answer<T: Send + 'static>(
        &self,
        name: &'static str,
        class: Class,
        reply: impl Reply<T>,
        call: impl FnOnce() -> Answer<T>,
    ) {
        let shape = self.shape.clone();
        match guarded(name, call) {
            Ok(Answer::Now(result)) => finish(name, reply, shape, result),
            Ok(Answer::Later(future)) => {
                let deadline = self.deadline(class);
                self.runtime.spawn(async move {
                    let result = match tokio::time::timeout(deadline, caught(name, future)).await {
                        Ok(result) => result,
                        Err(_) => Err(Error::new(
                            ErrorKind::TimedOut,
                            format!("no result within {} s", deadline.as_secs()),
                        )),
                    };
                    finish(name, reply, shape, result);
                });
            }
            // As with any file system: a slow disk is no failure.
            Ok(Answer::Disk(future)) => {
                self.runtime.spawn(async move {
                    finish(name, reply, shape, caught(name, future).await);
                });
            }
            Err(error) => finish(name, reply, shape, Err(error)),
        }
    }

    fn deadline(&self, class: Class) -> Duration {
        match class {
            Class::Metadata => self.deadlines.metadata,
            Class::Data => self.deadlines.data,
        }
    }
}

/// Runs `call`; a panic becomes EIO for this one caller.
pub(super) fn guarded<R>(name: &'static str, call: impl FnOnce() -> R) -> Result<R, Error> {
    // Unwind safe: a lock that was held is released (parking_lot does not
    // poison), and the state behind it changes in whole steps only.
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| panicked(name))
}

/// The same for what is waited for.
async fn caught<T>(
    name: &'static str,
    future: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let outcome = AssertUnwindSafe(future).catch_unwind().await;
    outcome.unwrap_or_else(|_| Err(panicked(name)))
}

fn panicked(name: &'static str) -> Error {
    Error::new(
        ErrorKind::Io,
        format!("{name} panicked: a defect of fichierfs"),
    )
}

fn finish<T>(name: &'static str, reply: impl Reply<T>, shape: Shape, result: Result<T, Error>) {
    match result {
        Ok(value) => reply.value(value, shape),
        Err(error) => {
            log(name, &error);
            reply.error(error.kind(), shape);
        }
    }
}

/// What a program may well ask for in vain is no news; what it could not know is.
pub(super) fn log(name: &'static str, error: &Error) {
    match error.kind() {
        ErrorKind::Io | ErrorKind::TimedOut | ErrorKind::Stale => {
            tracing::warn!(error = error as &dyn std::error::Error, "{name} failed");
        }
        ErrorKind::NoSpace | ErrorKind::Quota => {
            tracing::error!(error = error as &dyn std::error::Error, "{name} failed");
        }
        _ => tracing::trace!(error = error as &dyn std::error::Error, "{name} refused"),
    }
}

/// The replies that differ only in how their value is given.
macro_rules! reply {
    ($reply:ty, $value:ty, |$this:ident, $v:ident, $shape:ident| $give:expr) => {
        impl Reply<$value> for $reply {
            fn value(self, $v: $value, $shape: Shape) {
                let $this = self;
                $give
            }

            fn error(self, kind: ErrorKind, _: Shape) {
                self.error(errno(kind));
            }
        }
    };
}

reply!(ReplyEntry, Entry, |reply, entry, shape| give_entry(
    reply, &entry, &shape
));
reply!(ReplyData, Bytes, |reply, data, _shape| reply.data(&data));
reply!(ReplyEmpty, (), |reply, _done, _shape| reply.ok());
reply!(ReplyWrite, u32, |reply, written, _shape| reply
    .written(written));
reply!(ReplyOpen, Opened, |reply, opened, shape| open_plainly(
    reply, &opened, &shape
));
reply!(ReplyOpen, OpenedDir, |reply, opened, _shape| reply
    .opened(FileHandle(opened.fh.0), folder_flags(opened.reading)));
reply!(ReplyCreate, (Entry, Opened), |reply, made, shape| {
    let attr = &made.0.attr;
    let which = shape
        .passing
        .as_ref()
        .map_or(Which::First, |passing| passing.table.created(attr.ino));
    let (attr, ttl) = shape.numbered(attr, which);
    reply.created(
        // One time for both: fuser's reply has no other.
        &shape.ttl.entry.min(ttl),
        &attr,
        Generation(made.0.generation),
        FileHandle(made.1.fh.0),
        fopen_flags(&made.1, &shape),
    );
});
// Offsets are below i64::MAX: the kernel's own are signed.
reply!(ReplyLseek, u64, |reply, offset, _shape| reply
    .offset(i64::try_from(offset).unwrap_or(i64::MAX)));
reply!(ReplyStatfs, StatFs, |reply, fs, _shape| reply.statfs(
    fs.blocks,
    fs.blocks_free,
    fs.blocks_free,
    fs.files,
    fs.files_free,
    fs.block_size,
    fs.name_max,
    fs.block_size,
));

fn give_entry(reply: ReplyEntry, entry: &Entry, shape: &Shape) {
    let (attr, ttl) = shape.named(&entry.attr);
    let generation = Generation(entry.generation);
    reply.entry_with_ttls(&ttl, &shape.ttl.entry, &attr, generation);
}

/// The kernel asks us for what is read through this handle.
pub(super) fn open_plainly(reply: ReplyOpen, opened: &Opened, shape: &Shape) {
    reply.opened(FileHandle(opened.fh.0), fopen_flags(opened, shape));
}

/// The reply that tells attributes.
pub(super) struct AttrReply {
    pub(super) reply: ReplyAttr,
    /// The size of what the kernel reads by itself, where the file is another by now.
    pub(super) frozen: Option<u64>,
}

impl Reply<Attr> for AttrReply {
    fn value(self, mut attr: Attr, shape: Shape) {
        if let Some(size) = self.frozen {
            attr.size = size;
        }
        self.reply.attr(&shape.ttl.attr, &shape.root.attr(&attr));
    }

    fn error(self, kind: ErrorKind, _: Shape) {
        self.reply.error(errno(kind));
    }
}

fn fopen_flags(opened: &Opened, shape: &Shape) -> FopenFlags {
    let mut flags = FopenFlags::empty();
    flags.set(FopenFlags::FOPEN_KEEP_CACHE, opened.keep_cache);
    // Such a handle has neither reads nor mappings, which want pages.
    let around = shape.writes_around_pages && opened.access == OpenAccess::Write;
    flags.set(FopenFlags::FOPEN_DIRECT_IO, around);
    flags
}

fn folder_flags(reading: Reading) -> FopenFlags {
    match reading {
        // What the kernel had is dropped.
        Reading::Anew => FopenFlags::empty(),
        Reading::Filling => FopenFlags::FOPEN_CACHE_DIR,
        Reading::Kept => FopenFlags::FOPEN_CACHE_DIR | FopenFlags::FOPEN_KEEP_CACHE,
    }
}

/// Whether the kernel may keep that a name is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Absence {
    /// As long as is usual.
    Kept,
    /// It asks again.
    Forgotten,
}

/// The reply to a look-up: here alone "not found" is an answer that the kernel may keep.
pub(super) struct LookupReply(pub(super) ReplyEntry, pub(super) Absence);

/// For how long the kernel may keep that a name is not there; `None` where it may not.
fn absent_for(kind: ErrorKind, absence: Absence, ttl: Ttl) -> Option<Duration> {
    let kept = kind == ErrorKind::NotFound && absence == Absence::Kept;
    Some(ttl.negative).filter(|ttl| kept && !ttl.is_zero())
}

impl Reply<Entry> for LookupReply {
    fn value(self, entry: Entry, shape: Shape) {
        give_entry(self.0, &entry, &shape);
    }

    fn error(self, kind: ErrorKind, shape: Shape) {
        match absent_for(kind, self.1, shape.ttl) {
            Some(ttl) => {
                self.0
                    .entry_with_ttls(&Duration::ZERO, &ttl, &no_attr(), Generation(0));
            }
            None => self.0.error(errno(kind)),
        }
    }
}

/// The reply to making what was there before: its attributes are older than what the kernel may have.
pub(super) struct MadeReply(pub(super) ReplyEntry);

impl Reply<Entry> for MadeReply {
    fn value(self, entry: Entry, shape: Shape) {
        let (attr, _) = shape.named(&entry.attr);
        let generation = Generation(entry.generation);
        self.0
            .entry_with_ttls(&Duration::ZERO, &shape.ttl.entry, &attr, generation);
    }

    fn error(self, kind: ErrorKind, _: Shape) {
        self.0.error(errno(kind));
    }
}

/// The reply to reading an attribute into a buffer of `size` bytes; 0 asks for the size.
pub(super) struct XattrReply {
    pub(super) reply: ReplyXattr,
    pub(super) size: u32,
}

/// How an attribute's value is given to a buffer of a certain size.
#[derive(PartialEq, Eq, Debug)]
enum XattrFit {
    Size(u32),
    Data,
    TooSmall,
}

fn xattr_fit(len: usize, buffer: u32) -> XattrFit {
    match u32::try_from(len) {
        Ok(len) if buffer == 0 => XattrFit::Size(len),
        Ok(len) if len <= buffer => XattrFit::Data,
        _ => XattrFit::TooSmall,
    }
}

impl Reply<Bytes> for XattrReply {
    fn value(self, data: Bytes, _: Shape) {
        match xattr_fit(data.len(), self.size) {
            XattrFit::Size(len) => self.reply.size(len),
            XattrFit::Data => self.reply.data(&data),
            XattrFit::TooSmall => self.reply.error(errno(ErrorKind::Range)),
        }
    }

    fn error(self, kind: ErrorKind, _: Shape) {
        self.reply.error(errno(kind));
    }
}

/// The reply to a copy: its count is 64 bits wide with us and 32 in the protocol.
pub(super) struct CopyReply(pub(super) ReplyWrite);

impl Reply<u64> for CopyReply {
    fn value(self, copied: u64, _: Shape) {
        // Never more than was asked for, and that was cut to fit.
        self.0.written(u32::try_from(copied).unwrap_or(u32::MAX));
    }

    fn error(self, kind: ErrorKind, _: Shape) {
        self.0.error(errno(kind));
    }
}

#[cfg(test)]
mod tests {
    use std::future;
    use std::sync::mpsc;

    use super::super::translate::RootMap;
    use super::*;
    use crate::ids::Ino;
    use crate::vfs::Fh;

    /// Stands in for the kernel's side: what arrives is what the caller would get.
    struct Heard(mpsc::Sender<Result<u32, i32>>);

    impl Reply<u32> for Heard {
        fn value(self, value: u32, _: Shape) {
            self.0.send(Ok(value)).unwrap();
        }

        fn error(self, kind: ErrorKind, _: Shape) {
            self.0.send(Err(errno(kind).into())).unwrap();
        }
    }

    fn bridge(deadlines: Deadlines) -> Bridge {
        let shape = Shape {
            root: RootMap::new(Ino(1)),
            ttl: Ttl::default(),
            writes_around_pages: true,
            passing: None,
        };
        Bridge::new(shape, deadlines, Handle::current())
    }

    /// What the caller of `call` is answered.
    async fn heard(
        deadlines: Deadlines,
        class: Class,
        call: impl FnOnce() -> Answer<u32>,
    ) -> Result<u32, i32> {
        let (told, hears) = mpsc::channel();
        bridge(deadlines).answer("test", class, Heard(told), call);
        tokio::task::spawn_blocking(move || hears.recv().expect("answered"))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn what_is_known_is_answered_before_the_call_returns() {
        let (told, hears) = mpsc::channel();
        let bridge = bridge(Deadlines::default());
        bridge.answer("test", Class::Data, Heard(told), || Answer::Now(Ok(7)));
        assert_eq!(hears.try_recv(), Ok(Ok(7)));
    }

    #[tokio::test]
    async fn what_must_wait_is_answered_later() {
        let call = || {
            Answer::later(async {
                tokio::task::yield_now().await;
                Ok(8)
            })
        };
        assert_eq!(
            heard(Deadlines::default(), Class::Metadata, call).await,
            Ok(8)
        );
    }

    #[tokio::test]
    async fn nothing_waits_longer_than_its_deadline() {
        let (short, long) = (Duration::from_millis(1), Duration::from_secs(3600));
        let never = || Answer::later(future::pending());
        let deadlines = Deadlines {
            metadata: short,
            data: long,
        };
        let metadata = heard(deadlines, Class::Metadata, never).await;
        let deadlines = Deadlines {
            metadata: long,
            data: short,
        };
        let data = heard(deadlines, Class::Data, never).await;
        assert_eq!(
            (metadata, data),
            (Err(libc::ETIMEDOUT), Err(libc::ETIMEDOUT))
        );
    }

    #[tokio::test]
    async fn our_own_disk_takes_the_time_that_it_takes() {
        let deadlines = Deadlines {
            metadata: Duration::ZERO,
            data: Duration::ZERO,
        };
        let call = || {
            Answer::disk(async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok(9)
            })
        };
        assert_eq!(heard(deadlines, Class::Data, call).await, Ok(9));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_one_caller() {
        let deadlines = Deadlines::default();
        let now = heard(deadlines, Class::Data, || panic!("a test's panic")).await;
        let call = || Answer::later(async { panic!("a test's panic") });
        let later = heard(deadlines, Class::Data, call).await;
        assert_eq!((now, later), (Err(libc::EIO), Err(libc::EIO)));
    }

    #[test]
    fn that_a_name_is_gone_is_kept_and_never_that_it_was_not_seen() {
        let ttl = Ttl::default();
        let kept = |kind| absent_for(kind, Absence::Kept, ttl);
        assert_eq!(kept(ErrorKind::NotFound), Some(ttl.negative));
        assert_eq!(kept(ErrorKind::NotSeen), None);
        assert_eq!(kept(ErrorKind::Io), None);
        let forgotten = absent_for(ErrorKind::NotFound, Absence::Forgotten, ttl);
        assert_eq!(forgotten, None);
        let negative = Duration::ZERO;
        let none = absent_for(ErrorKind::NotFound, Absence::Kept, Ttl { negative, ..ttl });
        assert_eq!(none, None);
    }

    #[test]
    fn who_cannot_read_writes_around_the_pages_where_the_kernel_forgets_those() {
        let around = |access, writes_around_pages| {
            let opened = Opened {
                fh: Fh(1),
                keep_cache: true,
                access,
            };
            let shape = Shape {
                root: RootMap::new(Ino(1)),
                ttl: Ttl::default(),
                writes_around_pages,
                passing: None,
            };
            fopen_flags(&opened, &shape).contains(FopenFlags::FOPEN_DIRECT_IO)
        };
        assert!(around(OpenAccess::Write, true));
        assert!(!around(OpenAccess::Write, false));
        // Both may be mapped.
        assert!(!around(OpenAccess::ReadWrite, true));
        assert!(!around(OpenAccess::Read, true));
    }

    #[test]
    fn an_attribute_is_sized_given_or_refused() {
        assert_eq!(xattr_fit(5, 0), XattrFit::Size(5));
        assert_eq!(xattr_fit(5, 5), XattrFit::Data);
        assert_eq!(xattr_fit(0, 5), XattrFit::Data);
        assert_eq!(xattr_fit(5, 4), XattrFit::TooSmall);
    }
}
