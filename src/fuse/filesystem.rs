//! The callbacks: each translates its arguments and hands them to `vfs`.
//!
//! What is not here is so on purpose. `access` never comes, since the kernel
//! checks the permission bits itself (`default_permissions`). Locks stay with
//! the kernel, which keeps them right for the processes of this machine.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, CopyFileRangeFlags, Errno, FileHandle, Filesystem, Generation, INodeNo,
    InitFlags, IoctlFlags, KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate,
    ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek,
    ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use tokio::runtime::Handle;

use super::backed::{Pass, Passing};
use super::errno::errno;
use super::notifier::Notifier;
use super::options::{DROPS_PAGES_WRITTEN_AROUND, FuseOptions, MAX_BACKGROUND, MAX_REQUEST};
use super::passing::{Which, Wish};
use super::reply::{
    AttrReply, Bridge, Class, CopyReply, LookupReply, Reply, XattrReply, guarded, log,
};
use super::shape::Shape;
use super::through::{Changed, OpenReply, wish};
use super::translate::{
    RootMap, allocate_mode, file_type, open_flags, perm, rename_mode, set_time, xattr_mode,
};
use super::waking::Desk;
use crate::ids::Ino;
use crate::vfs::{
    Answer, Caller, DirEntry, DirFh, Error, ErrorKind, Fh, Fill, Kind, SeekTo, SetAttr, SyncScope,
    Vfs,
};

/// Asked of the kernel where it has them.
///
/// - DO_READDIRPLUS without AUTO: our listings know the attributes, and AUTO
///   falls back to a look-up per entry.
/// - ATOMIC_O_TRUNC: open and truncation are one step, so no other open comes between.
/// - CACHE_SYMLINKS: a changed target is a new inode.
/// - EXPORT_SUPPORT: inodes outlive the mount and `.` and `..` are looked up.
/// - No WRITEBACK_CACHE: the kernel would own size and times, and send writes
///   after their close.
/// - No AUTO_INVAL_DATA: the content of an inode changes only through us.
const WANTED: InitFlags = InitFlags::FUSE_DO_READDIRPLUS
    .union(InitFlags::FUSE_PARALLEL_DIROPS)
    .union(InitFlags::FUSE_ATOMIC_O_TRUNC)
    .union(InitFlags::FUSE_ASYNC_DIO)
    .union(InitFlags::FUSE_CACHE_SYMLINKS)
    .union(InitFlags::FUSE_EXPORT_SUPPORT);

/// The largest copy whose length fits a reply, a whole number of pages.
const MAX_COPY: u64 = 0xffff_f000;

/// `vfs` as fuser wants to see it.
pub(super) struct Adapter {
    pub(super) vfs: Vfs,
    root: RootMap,
    news: Notifier,
    bridge: Bridge,
    /// Where who watches folders is to hear of changes.
    pub(super) desk: Option<Arc<Desk>>,
}

impl Adapter {
    pub(super) fn new(vfs: Vfs, options: &FuseOptions, news: Notifier, runtime: Handle) -> Adapter {
        Adapter {
            vfs,
            root: RootMap::new(options.root),
            news,
            bridge: Bridge::new(Shape::new(options), options.deadlines, runtime),
            desk: options.messenger.is_some().then(Arc::default),
        }
    }

    pub(super) fn shape(&self) -> Shape {
        self.bridge.shape.clone()
    }

    fn passing(&self) -> Option<&Passing> {
        self.bridge.shape.passing.as_deref()
    }

    /// A place among those that have a file open, where they are counted. Fails where the kernel is
    /// to look the file up anew.
    fn enter(&self, ino: INodeNo, wish: Wish) -> Result<Option<Pass>, Errno> {
        let Some(passing) = self.passing() else {
            return Ok(None);
        };
        let pass = passing
            .table
            .enter(self.ino(ino), self.root.which(ino), wish);
        pass.map(Some).ok_or(Errno::ESTALE)
    }

    /// The size of what the kernel reads by itself through this inode, where the file is another by now.
    fn frozen(&self, ino: INodeNo) -> Option<u64> {
        let table = &self.passing()?.table;
        table.frozen(self.ino(ino), self.root.which(ino))
    }

    pub(super) fn ino(&self, ino: INodeNo) -> Ino {
        self.root.to_vfs(ino)
    }

    pub(super) fn meta<T: Send + 'static>(
        &self,
        name: &'static str,
        reply: impl Reply<T>,
        call: impl FnOnce(&Vfs) -> Answer<T>,
    ) {
        self.bridge
            .answer(name, Class::Metadata, reply, || call(&self.vfs));
    }

    fn data<T: Send + 'static>(
        &self,
        name: &'static str,
        reply: impl Reply<T>,
        call: impl FnOnce(&Vfs) -> Answer<T>,
    ) {
        self.bridge
            .answer(name, Class::Data, reply, || call(&self.vfs));
    }
}

fn refuse<T>(kind: ErrorKind) -> Answer<T> {
    Answer::Now(Err(kind.into()))
}

fn caller(request: &Request) -> Caller {
    Caller {
        uid: request.uid(),
        gid: request.gid(),
        pid: request.pid(),
    }
}

fn fh(handle: FileHandle) -> Fh {
    Fh(handle.0)
}

fn dir_fh(handle: FileHandle) -> DirFh {
    DirFh(handle.0)
}

fn scope(datasync: bool) -> SyncScope {
    if datasync {
        SyncScope::Data
    } else {
        SyncScope::All
    }
}

/// Where data and holes are in a file that the kernel reads by itself: it is data to its end.
fn frozen_lseek(size: u64, offset: u64, whence: i32) -> Answer<u64> {
    match (offset < size, whence) {
        (false, _) => refuse(ErrorKind::NoSeek),
        (true, libc::SEEK_HOLE) => Answer::Now(Ok(size)),
        (true, _) => Answer::Now(Ok(offset)),
    }
}

/// The errno of a folder's reading that failed, either way.
fn dir_errno(name: &'static str, result: Result<Result<(), Error>, Error>) -> Result<(), Errno> {
    result.and_then(|inner| inner).map_err(|error| {
        log(name, &error);
        errno(error.kind())
    })
}

impl Filesystem for Adapter {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let missing = WANTED.difference(config.capabilities());
        if !missing.is_empty() {
            tracing::debug!(?missing, "the kernel lacks some capabilities");
        }
        let refused = |what: &str| io::Error::other(format!("fuser refused {what}"));
        config
            .add_capabilities(WANTED.difference(missing))
            .map_err(|_| refused("the capabilities"))?;
        config
            .set_max_write(MAX_REQUEST)
            .map_err(|_| refused("max_write"))?;
        config
            .set_max_background(MAX_BACKGROUND)
            .map_err(|_| refused("max_background"))?;
        self.bridge.shape.writes_around_pages = config.kernel_abi() >= DROPS_PAGES_WRITTEN_AROUND;
        if let Some(passing) = self.passing() {
            let able = config
                .add_capabilities(InitFlags::FUSE_PASSTHROUGH)
                .is_ok_and(|()| config.set_max_stack_depth(1).is_ok());
            if !able {
                passing.refuse(&"it is older than Linux 6.9, or built without it");
            }
        }
        Ok(())
    }

    fn lookup(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let Some(reply) = self.messenger_looks(request, parent, name, reply) else {
            return;
        };
        // Nothing lies above the mountpoint, whatever folder it shows.
        let above_root = parent == INodeNo::ROOT && name == "..";
        let name = if above_root { OsStr::new(".") } else { name };
        // By a handle of file(7): the kernel wants the inode that it named.
        if name == "." && self.root.which(parent) != self.bridge.shape.which(self.ino(parent)) {
            return reply.error(Errno::ESTALE);
        }
        let absence = self.absence(parent, name);
        self.meta("lookup", LookupReply(reply, absence), |vfs| {
            vfs.lookup(self.ino(parent), name)
        });
    }

    fn forget(&self, _: &Request, ino: INodeNo, lookups: u64) {
        if let Err(error) = guarded("forget", || self.vfs.forget(self.ino(ino), lookups)) {
            log("forget", &error);
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, handle: Option<FileHandle>, reply: ReplyAttr) {
        let frozen = self.frozen(ino);
        self.meta("getattr", AttrReply { reply, frozen }, |vfs| {
            vfs.getattr(self.ino(ino), handle.map(fh))
        });
    }

    fn setattr(
        &self,
        request: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let change = SetAttr {
            perm: mode.map(perm),
            uid,
            gid,
            size,
            atime: atime.map(set_time),
            mtime: mtime.map(set_time),
        };
        // Through a handle, the file is open already.
        let entered = match (size, handle) {
            (Some(_), None) => self.enter(ino, Wish::Other),
            _ => Ok(None),
        };
        let pass = match entered {
            Ok(pass) => pass,
            Err(errno) => return reply.error(errno),
        };
        let told = AttrReply {
            reply,
            frozen: self.frozen(ino),
        };
        let has_two = self.bridge.shape.which(self.ino(ino)) == Which::Second;
        let others = has_two.then(|| (self.news.clone(), self.ino(ino)));
        self.meta("setattr", Changed { told, others, pass }, |vfs| {
            vfs.setattr(self.ino(ino), handle.map(fh), change, caller(request))
        });
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        self.meta("readlink", reply, |vfs| vfs.readlink(self.ino(ino)));
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        let made = (parent, name, Kind::File);
        let Some(reply) = self.messenger_makes(request, made, reply) else {
            return;
        };
        self.meta("mknod", reply, |vfs| match mode & libc::S_IFMT {
            libc::S_IFREG => vfs.mknod(self.ino(parent), name, perm(mode), caller(request)),
            _ => refuse(ErrorKind::NotPermitted),
        });
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let made = (parent, name, Kind::Dir);
        let Some(reply) = self.messenger_makes(request, made, reply) else {
            return;
        };
        self.meta("mkdir", reply, |vfs| {
            vfs.mkdir(self.ino(parent), name, perm(mode), caller(request))
        });
    }

    fn unlink(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let Some(reply) = self.messenger_removes(request, parent, name, reply) else {
            return;
        };
        self.meta("unlink", reply, |vfs| {
            vfs.unlink(self.ino(parent), name, caller(request))
        });
    }

    fn rmdir(&self, request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.meta("rmdir", reply, |vfs| {
            vfs.rmdir(self.ino(parent), name, caller(request))
        });
    }

    fn symlink(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let made = (parent, name, Kind::Symlink);
        let Some(reply) = self.messenger_makes(request, made, reply) else {
            return;
        };
        self.meta("symlink", reply, |vfs| {
            vfs.symlink(self.ino(parent), name, target.as_os_str(), caller(request))
        });
    }

    fn rename(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        self.meta("rename", reply, |vfs| match rename_mode(flags) {
            Some(mode) => vfs.rename(
                self.ino(parent),
                name,
                self.ino(new_parent),
                new_name,
                mode,
                caller(request),
            ),
            None => refuse(ErrorKind::Invalid),
        });
    }

    fn link(&self, _: &Request, _: INodeNo, _: INodeNo, _: &OsStr, reply: ReplyEntry) {
        // The service has no second name for a file.
        self.meta("link", reply, |_| refuse(ErrorKind::NotPermitted));
    }

    fn open(&self, request: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let call = |vfs: &Vfs| vfs.open(self.ino(ino), open_flags(flags.0), caller(request));
        let wish = wish(open_flags(flags.0), flags.0);
        match self.enter(ino, wish) {
            Ok(None) => self.meta("open", reply, call),
            Ok(Some(pass)) => {
                let reply = OpenReply {
                    reply,
                    wish,
                    pass,
                    vfs: self.vfs.clone(),
                    runtime: self.bridge.runtime().clone(),
                };
                self.meta("open", reply, call);
            }
            Err(errno) => reply.error(errno),
        }
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        self.meta("create", reply, |vfs| {
            vfs.create(
                self.ino(parent),
                name,
                perm(mode),
                open_flags(flags),
                caller(request),
            )
        });
    }

    fn read(
        &self,
        _: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.data("read", reply, |vfs| vfs.read(fh(handle), offset, size));
    }

    fn write(
        &self,
        _: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        self.data("write", reply, |vfs| {
            if write_flags.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID)
                && let Err(error) = vfs.drop_set_id(fh(handle))
            {
                return Answer::Now(Err(error));
            }
            if write_flags.contains(WriteFlags::FUSE_WRITE_CACHE) {
                vfs.write_page(fh(handle), offset, data)
            } else if flags.0 & libc::O_APPEND != 0 {
                // As it is now: fcntl(2) changes it while the file is open.
                vfs.append(fh(handle), offset, data)
            } else {
                vfs.write(fh(handle), offset, data)
            }
        });
    }

    fn flush(
        &self,
        _: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        self.data("flush", reply, |vfs| vfs.flush(fh(handle)));
    }

    fn fsync(
        &self,
        _: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        datasync: bool,
        reply: ReplyEmpty,
    ) {
        self.data("fsync", reply, |vfs| vfs.fsync(fh(handle), scope(datasync)));
    }

    fn release(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        if let Some(passing) = self.passing() {
            passing.table.leave(self.ino(ino), self.root.which(ino));
        }
        self.data("release", reply, |vfs| vfs.release(fh(handle)));
    }

    fn fallocate(
        &self,
        _: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        len: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        self.data("fallocate", reply, |vfs| match allocate_mode(mode) {
            Some(mode) => vfs.fallocate(fh(handle), offset, len, mode),
            None => refuse(ErrorKind::Unsupported),
        });
    }

    fn lseek(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        let frozen = self.frozen(ino);
        self.data("lseek", reply, |vfs| {
            match (u64::try_from(offset), whence) {
                (Ok(offset), libc::SEEK_DATA | libc::SEEK_HOLE) if frozen.is_some() => {
                    frozen_lseek(frozen.unwrap_or(0), offset, whence)
                }
                (Ok(offset), libc::SEEK_DATA) => vfs.lseek(fh(handle), offset, SeekTo::Data),
                (Ok(offset), libc::SEEK_HOLE) => vfs.lseek(fh(handle), offset, SeekTo::Hole),
                // lseek(2): an offset that is not in the file.
                (Err(_), libc::SEEK_DATA | libc::SEEK_HOLE) => refuse(ErrorKind::NoSeek),
                _ => refuse(ErrorKind::Invalid),
            }
        });
    }

    /// Programs ask each file whether it is a terminal; files here have no controls.
    fn ioctl(
        &self,
        _: &Request,
        _ino: INodeNo,
        _handle: FileHandle,
        _flags: IoctlFlags,
        _command: u32,
        _in_data: &[u8],
        _out_size: u32,
        reply: ReplyIoctl,
    ) {
        reply.error(Errno::ENOTTY);
    }

    fn copy_file_range(
        &self,
        _: &Request,
        ino_in: INodeNo,
        handle_in: FileHandle,
        offset_in: u64,
        _ino_out: INodeNo,
        handle_out: FileHandle,
        offset_out: u64,
        len: u64,
        _flags: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        let frozen = self.frozen(ino_in).is_some();
        self.data("copy_file_range", CopyReply(reply), |vfs| {
            // What it reads through that handle, the kernel has to copy.
            if frozen {
                return refuse(ErrorKind::Unsupported);
            }
            vfs.copy_file_range(
                fh(handle_in),
                offset_in,
                fh(handle_out),
                offset_out,
                len.min(MAX_COPY),
            )
        });
    }

    fn opendir(&self, _: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        self.meta("opendir", reply, |vfs| vfs.opendir(self.ino(ino)));
    }

    fn readdir(
        &self,
        _: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let mut sink = |item: DirEntry<'_>| {
            let attr = &item.entry.attr;
            let ino = self.root.to_kernel(attr.ino);
            fill(reply.add(ino, item.next, file_type(attr.kind), item.name))
        };
        let result = guarded("readdir", || {
            self.vfs.readdir(dir_fh(handle), offset, &mut sink)
        });
        match dir_errno("readdir", result) {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(errno),
        }
    }

    fn readdirplus(
        &self,
        _: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let shape = &self.bridge.shape;
        let mut sink = |item: DirEntry<'_>| {
            let (attr, ttl) = shape.named(&item.entry.attr);
            // One time for name and attributes: fuser's reply has no other.
            let ttl = shape.ttl.entry.min(ttl);
            let generation = Generation(item.entry.generation);
            fill(reply.add(attr.ino, item.next, item.name, &ttl, &attr, generation))
        };
        let result = guarded("readdirplus", || {
            self.vfs.readdirplus(dir_fh(handle), offset, &mut sink)
        });
        match dir_errno("readdirplus", result) {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(errno),
        }
    }

    fn releasedir(
        &self,
        _: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.meta("releasedir", reply, |vfs| vfs.releasedir(dir_fh(handle)));
    }

    fn fsyncdir(
        &self,
        _: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        datasync: bool,
        reply: ReplyEmpty,
    ) {
        self.data("fsyncdir", reply, |vfs| {
            vfs.fsyncdir(dir_fh(handle), scope(datasync))
        });
    }

    fn statfs(&self, _: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        self.meta("statfs", reply, Vfs::statfs);
    }

    fn setxattr(
        &self,
        request: &Request,
        ino: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        self.meta("setxattr", reply, |vfs| match xattr_mode(flags) {
            Some(mode) => vfs.setxattr(self.ino(ino), name, value, mode, caller(request)),
            None => refuse(ErrorKind::Invalid),
        });
    }

    fn getxattr(&self, _: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        self.meta("getxattr", XattrReply { reply, size }, |vfs| {
            vfs.getxattr(self.ino(ino), name)
        });
    }

    fn listxattr(&self, _: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        self.meta("listxattr", XattrReply { reply, size }, |vfs| {
            vfs.listxattr(self.ino(ino))
        });
    }

    fn removexattr(&self, request: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.meta("removexattr", reply, |vfs| {
            vfs.removexattr(self.ino(ino), name, caller(request))
        });
    }
}

/// fuser says whether the buffer was full.
fn fill(full: bool) -> Fill {
    if full { Fill::Full } else { Fill::Added }
}
