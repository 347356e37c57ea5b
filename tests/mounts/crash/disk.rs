//! A disk in memory that loses what was not synced when the power goes: a small
//! filesystem over FUSE that keeps beside what everybody sees also what is on
//! the platter.
//!
//! - Bytes reach the platter by page: with an fsync of the file, or by chance when the power
//!   goes, each page for itself, as a kernel writes pages back in any order.
//! - Names (create, mkdir, unlink, rmdir, rename) are a journal, as in a journaling filesystem: an
//!   fsync of a folder brings everything up to its last change to the platter; when the
//!   power goes, some more of the journal's beginning may be there. The fsync of a
//!   file does not sync its name.
//!
//! That is what POSIX allows, and harder than common filesystems are.

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate,
    ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs,
    ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use parking_lot::{Mutex, MutexGuard};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const PAGE: u64 = 4096;
const ROOT: u64 = 1;
const TTL: Duration = Duration::ZERO;

type Page = Box<[u8; PAGE as usize]>;
type Name = (u64, OsString);

/// The disk, mounted. Dropping it takes the mount away.
pub struct Disk {
    state: Arc<Mutex<State>>,
    point: PathBuf,
    session: Option<BackgroundSession>,
}

impl Disk {
    /// An empty disk, mounted on a new folder.
    pub fn new(point: PathBuf, seed: u64) -> Disk {
        std::fs::create_dir(&point).unwrap();
        let mut disk = Disk {
            state: Arc::new(Mutex::new(State::new(StdRng::seed_from_u64(seed)))),
            point,
            session: None,
        };
        disk.mount();
        disk
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.point
    }

    /// Lets so many bytes more onto the disk.
    pub fn limit(&self, bytes: u64) {
        self.state.lock().room = bytes / PAGE;
    }

    /// Refuses all changes from now on, or takes them again.
    pub fn set_read_only(&self, read_only: bool) {
        self.state.lock().read_only = read_only;
    }

    /// A handle with which another thread cuts the power.
    pub fn switch(&self) -> Switch {
        Switch(self.state.clone())
    }

    /// After a cut: mounts what is on the platter. Nobody may use the mount meanwhile.
    pub fn restart(&mut self) {
        self.unmount();
        let mut state = self.state.lock();
        assert!(state.off, "the power was not cut");
        state.come_back();
        drop(state);
        self.mount();
    }

    fn mount(&mut self) {
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("test-disk".to_owned())];
        config.n_threads = Some(2);
        let session = fuser::spawn_mount(Door(self.state.clone()), &self.point, &config).unwrap();
        self.session = Some(session);
    }

    fn unmount(&mut self) {
        if let Some(session) = self.session.take() {
            session.umount_and_join().unwrap();
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            // In use still, if a test failed; the process ends then.
            let _ = session.umount_and_join();
        }
    }
}

/// Cuts the power of a [`Disk`].
pub struct Switch(Arc<Mutex<State>>);

impl Switch {
    /// From now on nothing reaches the disk, and every request fails.
    pub fn cut(&self) {
        self.0.lock().off = true;
    }
}

/// What a file or folder is.
struct Inode {
    is_folder: bool,
    mode: u16,
    size: u64,
    pages: BTreeMap<u64, Page>,
    /// What of it is on the platter, ...
    platter: BTreeMap<u64, Page>,
    platter_size: u64,
    /// ... and which pages differ from that.
    dirty: BTreeSet<u64>,
    mtime: SystemTime,
}

/// Names that change together: to which inode each leads from now on.
type Change = Vec<(Name, Option<u64>)>;

struct State {
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<Name, u64>,
    /// Names as they are on the platter, and what was changed since.
    platter: BTreeMap<Name, u64>,
    journal: Vec<Change>,
    off: bool,
    read_only: bool,
    /// Pages that may be taken yet.
    room: u64,
    random: StdRng,
}

impl State {
    fn new(random: StdRng) -> State {
        State {
            inodes: BTreeMap::from([(ROOT, Inode::new(true, 0o700))]),
            names: BTreeMap::new(),
            platter: BTreeMap::new(),
            journal: Vec::new(),
            off: false,
            read_only: false,
            room: u64::MAX,
            random,
        }
    }

    fn inode(&mut self, ino: u64) -> Result<&mut Inode, Errno> {
        self.inodes.get_mut(&ino).ok_or(Errno::ENOENT)
    }

    fn find(&self, parent: u64, name: &OsStr) -> Result<u64, Errno> {
        let found = self.names.get(&(parent, name.to_owned()));
        found.copied().ok_or(Errno::ENOENT)
    }

    fn is_empty(&self, folder: u64) -> bool {
        !self.names.keys().any(|(parent, _)| *parent == folder)
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.names, &change);
        self.journal.push(change);
    }

    fn make(&mut self, parent: u64, name: &OsStr, inode: Inode) -> Result<u64, Errno> {
        if self.find(parent, name).is_ok() {
            return Err(Errno::EEXIST);
        }
        // Inodes stay as long as the disk: an unlink may not be on the platter.
        let ino = self.inodes.keys().next_back().map_or(ROOT, |last| *last) + 1;
        self.inodes.insert(ino, inode);
        self.change(vec![((parent, name.to_owned()), Some(ino))]);
        Ok(ino)
    }

    fn sync_folder(&mut self, folder: u64) {
        let concerns = |change: &Change| {
            change
                .iter()
                .any(|((parent, _), ino)| *parent == folder || *ino == Some(folder))
        };
        if let Some(last) = self.journal.iter().rposition(concerns) {
            for change in self.journal.drain(..=last) {
                apply(&mut self.platter, &change);
            }
        }
    }

    /// The power is back: what everybody sees is what is on the platter.
    fn come_back(&mut self) {
        let more = self.random.random_range(0..=self.journal.len());
        for change in self.journal.drain(..).take(more) {
            apply(&mut self.platter, &change);
        }
        self.names = self.platter.clone();
        // Sometimes nothing of the last seconds was written back, sometimes all of it.
        let luck = [0.0, 0.5, 0.9, 1.0][self.random.random_range(0..4)];
        for inode in self.inodes.values_mut() {
            inode.come_back(luck, &mut self.random);
        }
        self.off = false;
    }

    fn attr(&self, ino: u64) -> Result<FileAttr, Errno> {
        let inode = self.inodes.get(&ino).ok_or(Errno::ENOENT)?;
        Ok(FileAttr {
            ino: INodeNo(ino),
            size: inode.size,
            blocks: inode.pages.len() as u64 * (PAGE / 512),
            atime: inode.mtime,
            mtime: inode.mtime,
            ctime: inode.mtime,
            crtime: inode.mtime,
            kind: inode.kind(),
            perm: inode.mode,
            nlink: 1,
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
            rdev: 0,
            blksize: PAGE as u32,
            flags: 0,
        })
    }
}

fn apply(names: &mut BTreeMap<Name, u64>, change: &Change) {
    for (name, ino) in change {
        match ino {
            Some(ino) => names.insert(name.clone(), *ino),
            None => names.remove(name),
        };
    }
}

impl Inode {
    fn new(is_folder: bool, mode: u16) -> Inode {
        Inode {
            is_folder,
            mode,
            size: 0,
            pages: BTreeMap::new(),
            platter: BTreeMap::new(),
            platter_size: 0,
            dirty: BTreeSet::new(),
            mtime: SystemTime::now(),
        }
    }

    fn kind(&self) -> FileType {
        match self.is_folder {
            true => FileType::Directory,
            false => FileType::RegularFile,
        }
    }

    fn read(&self, offset: u64, length: u64) -> Vec<u8> {
        let end = self.size.min(offset.saturating_add(length));
        let mut bytes = vec![0; end.saturating_sub(offset) as usize];
        let first = offset / PAGE;
        for (number, page) in self.pages.range(first..) {
            let from = (number * PAGE).max(offset);
            let to = ((number + 1) * PAGE).min(end);
            if from >= end {
                break;
            }
            let (at, within) = ((from - offset) as usize, (from % PAGE) as usize);
            let count = (to - from) as usize;
            bytes[at..at + count].copy_from_slice(&page[within..within + count]);
        }
        bytes
    }

    fn new_pages(&self, offset: u64, length: u64) -> u64 {
        let all = offset / PAGE..(offset + length).div_ceil(PAGE);
        let there = self.pages.range(all.clone()).count() as u64;
        all.end - all.start - there
    }

    fn write(&mut self, offset: u64, mut data: &[u8]) {
        let mut at = offset;
        while !data.is_empty() {
            let within = (at % PAGE) as usize;
            let (now, rest) = data.split_at(data.len().min(PAGE as usize - within));
            let page = self.page(at / PAGE);
            page[within..within + now.len()].copy_from_slice(now);
            at += now.len() as u64;
            data = rest;
        }
        self.size = self.size.max(at);
        self.mtime = SystemTime::now();
    }

    fn page(&mut self, number: u64) -> &mut Page {
        self.dirty.insert(number);
        let empty = || Box::new([0; PAGE as usize]);
        self.pages.entry(number).or_insert_with(empty)
    }

    fn punch(&mut self, from: u64, to: u64) {
        let whole = from.div_ceil(PAGE)..to / PAGE;
        let inside: Vec<u64> = match whole.is_empty() {
            true => Vec::new(),
            false => self.pages.range(whole).map(|(number, _)| *number).collect(),
        };
        for number in inside {
            self.pages.remove(&number);
            self.dirty.insert(number);
        }
        for edge in [from, to.saturating_sub(1)] {
            let start = from.max(edge / PAGE * PAGE);
            let end = to.min((edge / PAGE + 1) * PAGE);
            if start < end && self.pages.contains_key(&(edge / PAGE)) {
                let within = (start % PAGE) as usize;
                self.page(edge / PAGE)[within..within + (end - start) as usize].fill(0);
            }
        }
    }

    fn set_size(&mut self, size: u64) {
        if size < self.size {
            self.punch(size, self.size.next_multiple_of(PAGE));
        }
        self.size = size;
        self.mtime = SystemTime::now();
    }

    fn sync(&mut self) {
        for number in std::mem::take(&mut self.dirty) {
            match self.pages.get(&number) {
                Some(page) => self.platter.insert(number, page.clone()),
                None => self.platter.remove(&number),
            };
        }
        self.platter_size = self.size;
    }

    fn come_back(&mut self, luck: f64, random: &mut StdRng) {
        for number in std::mem::take(&mut self.dirty) {
            if !random.random_bool(luck) {
                continue;
            }
            match self.pages.get(&number) {
                Some(page) => self.platter.insert(number, page.clone()),
                None => self.platter.remove(&number),
            };
        }
        let size = match random.random_bool(luck) {
            true => self.size,
            false => self.platter_size,
        };
        self.pages = self.platter.clone();
        // Whatever was written beyond is not of the file.
        let last = self.pages.keys().next_back();
        self.size = last.map_or(0, |last| (last + 1) * PAGE).max(size);
        self.set_size(size);
        self.sync();
    }

    /// Where, from `offset` on, a page is or is not.
    fn seek(&self, offset: u64, data: bool) -> Option<u64> {
        if offset >= self.size {
            return None;
        }
        let first = offset / PAGE;
        if data {
            let (number, _) = self.pages.range(first..).next()?;
            let at = offset.max(number * PAGE);
            return (at < self.size).then_some(at);
        }
        let mut number = first;
        while self.pages.contains_key(&number) {
            number += 1;
        }
        Some(offset.max(number * PAGE).min(self.size))
    }
}

/// The disk as the kernel asks it.
struct Door(Arc<Mutex<State>>);

impl Door {
    fn on(&self) -> Result<MutexGuard<'_, State>, Errno> {
        let state = self.0.lock();
        if state.off {
            Err(Errno::EIO)
        } else {
            Ok(state)
        }
    }

    fn to_change(&self) -> Result<MutexGuard<'_, State>, Errno> {
        let state = self.on()?;
        if state.read_only {
            return Err(Errno::EROFS);
        }
        Ok(state)
    }

    fn make(
        &self,
        parent: INodeNo,
        name: &OsStr,
        is_folder: bool,
        mode: u32,
    ) -> Result<FileAttr, Errno> {
        let mut state = self.to_change()?;
        let inode = Inode::new(is_folder, (mode & 0o7777) as u16);
        let ino = state.make(parent.0, name, inode)?;
        state.attr(ino)
    }

    fn remove(&self, parent: INodeNo, name: &OsStr) -> Result<(), Errno> {
        let mut state = self.to_change()?;
        let ino = state.find(parent.0, name)?;
        if !state.is_empty(ino) {
            return Err(Errno::ENOTEMPTY);
        }
        let freed = state.inode(ino)?.pages.len();
        state.room = state.room.saturating_add(freed as u64);
        state.change(vec![((parent.0, name.to_owned()), None)]);
        Ok(())
    }
}

fn done(reply: ReplyEmpty, result: Result<(), Errno>) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

fn entry(reply: ReplyEntry, result: Result<FileAttr, Errno>) {
    match result {
        Ok(attr) => reply.entry(&TTL, &attr, Generation(0)),
        Err(error) => reply.error(error),
    }
}

impl Filesystem for Door {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.on().and_then(|state| {
            let ino = state.find(parent.0, name)?;
            state.attr(ino)
        });
        entry(reply, found);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.on().and_then(|state| state.attr(ino.0)) {
            Ok(attr) => reply.attr(&TTL, &attr),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let changed = self.to_change().and_then(|mut state| {
            let inode = state.inode(ino.0)?;
            if let Some(mode) = mode {
                inode.mode = (mode & 0o7777) as u16;
            }
            if let Some(size) = size {
                inode.set_size(size);
            }
            state.attr(ino.0)
        });
        match changed {
            Ok(attr) => reply.attr(&TTL, &attr),
            Err(error) => reply.error(error),
        }
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        entry(reply, self.make(parent, name, true, mode));
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        match self.make(parent, name, false, mode) {
            Ok(attr) => {
                let flags = FopenFlags::empty();
                reply.created(&TTL, &attr, Generation(0), FileHandle(0), flags);
            }
            Err(error) => reply.error(error),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(reply, self.remove(parent, name));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(reply, self.remove(parent, name));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        to: INodeNo,
        new: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let renamed = self.to_change().and_then(|mut state| {
            if flags.contains(RenameFlags::RENAME_NOREPLACE) && state.find(to.0, new).is_ok() {
                return Err(Errno::EEXIST);
            }
            let ino = state.find(parent.0, name)?;
            let from = (parent.0, name.to_owned());
            state.change(vec![(from, None), ((to.0, new.to_owned()), Some(ino))]);
            Ok(())
        });
        done(reply, renamed);
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.on() {
            Ok(_) => reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE),
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let bytes = self
            .on()
            .and_then(|mut state| Ok(state.inode(ino.0)?.read(offset, size.into())));
        match bytes {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written = self.to_change().and_then(|mut state| {
            let new = state.inode(ino.0)?.new_pages(offset, data.len() as u64);
            if new > state.room {
                return Err(Errno::ENOSPC);
            }
            state.room -= new;
            state.inode(ino.0)?.write(offset, data);
            Ok(data.len() as u32)
        });
        match written {
            Ok(count) => reply.written(count),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let synced = self.on().and_then(|mut state| {
            state.inode(ino.0)?.sync();
            Ok(())
        });
        done(reply, synced);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let synced = self.on().map(|mut state| state.sync_folder(ino.0));
        done(reply, synced);
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let state = match self.on() {
            Ok(state) => state,
            Err(error) => return reply.error(error),
        };
        let inside = state.names.iter().filter(|((at, _), _)| *at == ino.0);
        let mut inside: Vec<_> = inside.map(|((_, name), child)| (child, name)).collect();
        // Names come and go; an inode's number stays and is its offset.
        inside.sort();
        for (child, name) in inside {
            let kind = state.inodes[child].kind();
            if *child > offset && reply.add(INodeNo(*child), *child, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let room = self.0.lock().room.min(1 << 30);
        reply.statfs(1 << 30, room, room, 0, 0, PAGE as u32, 255, PAGE as u32);
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        if mode & libc::FALLOC_FL_PUNCH_HOLE == 0 {
            return reply.error(Errno::EOPNOTSUPP);
        }
        let punched = self.to_change().and_then(|mut state| {
            let inode = state.inode(ino.0)?;
            let before = inode.pages.len();
            inode.punch(offset, offset + length);
            let freed = before - inode.pages.len();
            state.room = state.room.saturating_add(freed as u64);
            Ok(())
        });
        done(reply, punched);
    }

    fn lseek(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        let found = self.on().and_then(|mut state| {
            let data = whence == libc::SEEK_DATA;
            let found = state.inode(ino.0)?.seek(offset as u64, data);
            found.ok_or(Errno::ENXIO)
        });
        match found {
            Ok(at) => reply.offset(at as i64),
            Err(error) => reply.error(error),
        }
    }
}
