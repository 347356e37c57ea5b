//! Random days of a user: files and folders are made, written, moved and removed, the process is
//! killed, calls fail. Whatever the order, what is here and, once the queue is empty, what the
//! account has is what a few maps in memory say.
//!
//! `FICHIERFS_CASES` asks for more of them than the usual few.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path as StdPath;
use std::time::Duration;

use fichierfs::ids::Ino;
use fichierfs::sim::{
    self, EntryKind, Fault, FaultKind, Quirks, RefusalStyle, SameName, SimConfig, Simulator,
};
use fichierfs::tree::ROOT;
use fichierfs::vfs::{
    Entry, Error, ErrorKind, Fh, OpenAccess, OpenFlags, Opened, RenameMode, SetAttr, SyncScope,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::process::{ANN, BOTH, Process, until, wait};

/// How much faster than the real service all goes.
const SCALE: f64 = 300.0;

/// Names from the root downwards.
type Path = Vec<&'static str>;

#[derive(Clone, Debug)]
enum Op {
    /// Makes or empties a file, and keeps it open.
    Create(Path),
    /// Opens a file and keeps it open.
    Open(Path),
    Write(usize, u64, usize, u8),
    Append(usize, usize, u8),
    /// Through a handle.
    Cut(usize, u64),
    Sync(usize),
    Close(usize),
    Truncate(Path, u64),
    /// A whole file, made, written and closed.
    Save(Path, usize, u8),
    /// A copy that refers to what the service has.
    Copy(Path, Path),
    Rename(Path, Path),
    Unlink(Path),
    Mkdir(Path),
    Rmdir(Path),
    Fail(Fault),
    /// The workers get time.
    Rest(u64),
    Drain,
    Kill,
}

fn path() -> impl Strategy<Value = Path> {
    let name = || prop::sample::select(&["a", "b", "c"][..]);
    prop_oneof![
        name().prop_map(|name| vec![name]),
        (name(), name()).prop_map(|(folder, name)| vec![folder, name]),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    let reset = FaultKind::Reset { after_bytes: 500 };
    let down = FaultKind::Status { status: 503 };
    let wait = FaultKind::WaitPage { seconds: 60.0 };
    let lost = || FaultKind::LoseAnswer;
    let faults = vec![
        Fault::new("upload", lost()),
        Fault::new("upload", reset),
        Fault::new("upload", down.clone()),
        Fault::new("end.pl", FaultKind::EmptyLinks),
        Fault::new("end.pl", FaultKind::SeveralLinks),
        Fault::new("end.pl", FaultKind::WrongChecksum),
        Fault::new("end.pl", FaultKind::CorruptJson),
        Fault::new("end.pl", wait),
        Fault::new("upload/get_upload_server", FaultKind::NodeDown),
        Fault::new("file/*", lost()),
        Fault::new("file/cp", lost()),
        Fault::new("file/*", down.clone()),
        Fault::new("folder/*", lost()),
        Fault::new("folder/mkdir", lost()),
        Fault::new("folder/*", FaultKind::CorruptJson),
        Fault::new("*", down),
        Fault::new("*", FaultKind::Page),
    ];
    (prop::sample::select(faults), 1..3_u32).prop_map(|(fault, times)| fault.times(times))
}

fn op() -> impl Strategy<Value = Op> {
    let handle = 0..4_usize;
    let len = 1..3000_usize;
    let at = 0..4000_u64;
    prop_oneof![
        3 => path().prop_map(Op::Create),
        2 => path().prop_map(Op::Open),
        5 => (handle.clone(), at.clone(), len.clone(), 1..=255u8)
            .prop_map(|(h, at, n, b)| Op::Write(h, at, n, b)),
        2 => (handle.clone(), len.clone(), 1..=255u8).prop_map(|(h, n, b)| Op::Append(h, n, b)),
        1 => (handle.clone(), at.clone()).prop_map(|(h, n)| Op::Cut(h, n)),
        1 => handle.clone().prop_map(Op::Sync),
        4 => handle.prop_map(Op::Close),
        1 => (path(), at).prop_map(|(p, n)| Op::Truncate(p, n)),
        5 => (path(), len, 1..=255u8).prop_map(|(p, n, b)| Op::Save(p, n, b)),
        2 => (path(), path()).prop_map(|(from, to)| Op::Copy(from, to)),
        5 => (path(), path()).prop_map(|(from, to)| Op::Rename(from, to)),
        3 => path().prop_map(Op::Unlink),
        4 => path().prop_map(Op::Mkdir),
        2 => path().prop_map(Op::Rmdir),
        2 => fault().prop_map(Op::Fail),
        4 => (0..60_u64).prop_map(Op::Rest),
        1 => Just(Op::Drain),
        2 => Just(Op::Kill),
    ]
}

/// What a file is to be.
#[derive(Debug)]
struct File {
    now: Vec<u8>,
    /// What may be left of it after a kill.
    kept: Vec<Vec<u8>>,
}

#[derive(Debug)]
enum Node {
    Folder(BTreeMap<&'static str, Node>),
    /// By its number in [`Life::files`].
    File(usize),
}

struct Life<'a> {
    sim: &'a Simulator,
    dir: &'a StdPath,
    /// Between two of them there is none.
    process: Option<Process>,
    root: BTreeMap<&'static str, Node>,
    files: Vec<File>,
    handles: Vec<Handle>,
}

#[derive(Clone, Copy)]
struct Handle {
    fh: Fh,
    ino: Ino,
    file: usize,
}

const MOST_HANDLES: usize = 4;

/// Content for people: its bytes, and how often each follows itself.
fn runs(content: &[u8]) -> Vec<(u8, usize)> {
    let runs = content.chunk_by(|a, b| a == b);
    runs.map(|run| (run[0], run.len())).collect()
}

/// A call failed: nobody knows yet.
fn is_passing(e: &Error) -> bool {
    [ErrorKind::Io, ErrorKind::TimedOut].contains(&e.kind())
}

impl File {
    /// What is now outlasts a kill.
    fn seal(&mut self) {
        self.kept = vec![self.now.clone()];
    }

    fn fill(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        self.now.resize(self.now.len().max(end), 0);
        self.now[at..end].copy_from_slice(bytes);
    }
}

impl Life<'_> {
    async fn step(&mut self, op: Op) {
        match op {
            Op::Create(path) => drop(self.create(&path).await),
            Op::Open(path) => {
                if let Some(Node::File(file)) = self.node(&path) {
                    let (file, ino) = (*file, self.ino(&path).await);
                    let flags = OpenFlags {
                        truncate: false,
                        ..BOTH
                    };
                    let opened = wait(self.process().vfs.open(ino, flags, ANN)).await;
                    self.opened(opened.unwrap().fh, ino, file);
                }
            }
            Op::Write(handle, at, len, byte) => {
                if let Some(handle) = self.handle(handle) {
                    self.write(handle, at as usize, &vec![byte; len]).await;
                }
            }
            Op::Append(handle, len, byte) => {
                if let Some(handle) = self.handle(handle) {
                    let end = self.files[handle.file].now.len();
                    self.write(handle, end, &vec![byte; len]).await;
                }
            }
            Op::Cut(handle, size) => {
                if let Some(handle) = self.handle(handle) {
                    self.resize(handle.ino, Some(handle.fh), size).await;
                    self.files[handle.file].now.resize(size as usize, 0);
                }
            }
            Op::Sync(handle) => {
                if let Some(handle) = self.handle(handle) {
                    let synced = wait(self.process().vfs.fsync(handle.fh, SyncScope::All)).await;
                    assert!(synced.is_ok() || self.process().failed() > 0, "{synced:?}");
                    self.files[handle.file].seal();
                }
            }
            Op::Close(handle) => {
                if let Some(handle) = self.handle(handle) {
                    self.close(handle).await;
                }
            }
            Op::Truncate(path, size) => {
                if let Some(Node::File(file)) = self.node(&path) {
                    let (file, ino) = (*file, self.ino(&path).await);
                    self.resize(ino, None, size).await;
                    self.files[file].now.resize(size as usize, 0);
                    // Else with the next close of who has it open.
                    if self.handles.iter().all(|handle| handle.file != file) {
                        self.files[file].seal();
                    }
                }
            }
            Op::Save(path, len, byte) => {
                if let Some(handle) = self.create(&path).await {
                    self.write(handle, 0, &vec![byte; len]).await;
                    self.close(handle).await;
                }
            }
            Op::Copy(from, to) => self.copy(&from, &to).await,
            Op::Rename(from, to) => self.rename(&from, &to).await,
            Op::Unlink(path) => {
                let (parent, name) = self.place(&path).await.unwrap_or((ROOT, "none"));
                let removed = wait(self.process().vfs.unlink(parent, OsStr::new(name), ANN)).await;
                let is_file = matches!(self.node(&path), Some(Node::File(_)));
                self.removed(&path, is_file, removed);
            }
            Op::Rmdir(path) => {
                let (parent, name) = self.place(&path).await.unwrap_or((ROOT, "none"));
                let removed = wait(self.process().vfs.rmdir(parent, OsStr::new(name), ANN)).await;
                let is_empty = matches!(self.node(&path), Some(Node::Folder(f)) if f.is_empty());
                self.removed(&path, is_empty, removed);
            }
            Op::Mkdir(path) => {
                let Some((parent, name)) = self.place(&path).await else {
                    return;
                };
                let made = self
                    .process()
                    .vfs
                    .mkdir(parent, OsStr::new(name), 0o755, ANN);
                let made = wait(made).await;
                assert_eq!(made.is_ok(), self.node(&path).is_none(), "{made:?}");
                if let Ok(made) = made {
                    let folder = Node::Folder(BTreeMap::new());
                    self.folder(&path).unwrap().insert(name, folder);
                    let made = self.held_no_more(made);
                    // What is not known to be made, and then is moved or removed, may leave an
                    // empty folder there (docs/roadmap.md).
                    self.process().wake();
                    let tree = self.process().tree.clone();
                    let is_made = || !tree.node(made).unwrap().unwrap().pending.make;
                    // An open handle keeps on the service what was removed or replaced, and
                    // that may have the folder's name there.
                    while !is_made() {
                        let is_open = !self.handles.is_empty();
                        until(|| is_made() || is_open && tree.backlog().unwrap().removals > 0)
                            .await;
                        if let Some(handle) = self.handle(0).filter(|_| !is_made()) {
                            self.close(handle).await;
                            self.process().wake();
                        }
                    }
                }
            }
            Op::Fail(fault) => self.sim.faults().add(fault),
            Op::Rest(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Op::Drain => self.drain().await,
            Op::Kill => self.kill().await,
        }
        self.process().wake();
    }

    fn handle(&self, handle: usize) -> Option<Handle> {
        self.handles.get(handle).copied()
    }

    fn node(&self, path: &Path) -> Option<&Node> {
        let (last, above) = path.split_last()?;
        let mut at = &self.root;
        for name in above {
            let Node::Folder(folder) = at.get(name)? else {
                return None;
            };
            at = folder;
        }
        at.get(last)
    }

    /// The folder that a path's last name is in.
    fn folder(&mut self, path: &Path) -> Option<&mut BTreeMap<&'static str, Node>> {
        let (_, above) = path.split_last()?;
        let mut at = &mut self.root;
        for name in above {
            let Node::Folder(folder) = at.get_mut(name)? else {
                return None;
            };
            at = folder;
        }
        Some(at)
    }

    /// The kernel's look-up is given back: handles alone hold an inode here.
    fn held_no_more(&self, entry: Entry) -> Ino {
        let ino = entry.attr.ino;
        self.process().vfs.forget(ino, 1);
        ino
    }

    /// Looks a name up as the kernel does, until it is known.
    async fn lookup(&self, parent: Ino, name: &str) -> Option<Ino> {
        loop {
            match wait(self.process().vfs.lookup(parent, OsStr::new(name))).await {
                Ok(entry) => return Some(self.held_no_more(entry)),
                Err(e) if e.kind() == ErrorKind::NotFound => return None,
                Err(e) if is_passing(&e) => {}
                Err(e) => panic!("{name}: {e:?}"),
            }
        }
    }

    /// The folder of a path's last name, and that name, if the model has the folder.
    async fn place(&mut self, path: &Path) -> Option<(Ino, &'static str)> {
        self.folder(path)?;
        let (last, above) = path.split_last()?;
        let mut at = ROOT;
        for name in above {
            at = self
                .lookup(at, name)
                .await
                .unwrap_or_else(|| panic!("{path:?} is not there"));
        }
        Some((at, last))
    }

    async fn ino(&mut self, path: &Path) -> Ino {
        let (parent, name) = self.place(path).await.unwrap();
        let found = self.lookup(parent, name).await;
        found.unwrap_or_else(|| panic!("{path:?} is not there"))
    }

    fn opened(&mut self, fh: Fh, ino: Ino, file: usize) -> Handle {
        let handle = Handle { fh, ino, file };
        self.handles.push(handle);
        handle
    }

    async fn create(&mut self, path: &Path) -> Option<Handle> {
        if self.handles.len() >= MOST_HANDLES {
            return None;
        }
        let (parent, name) = self.place(path).await?;
        let known = self.lookup(parent, name).await;
        let created = match known {
            // As the kernel does.
            Some(ino) => {
                let opened = wait(self.process().vfs.open(ino, BOTH, ANN)).await;
                opened.map(|opened| (ino, opened.fh))
            }
            None => {
                let created = self
                    .process()
                    .vfs
                    .create(parent, OsStr::new(name), 0o644, BOTH, ANN);
                let created = wait(created).await;
                created.map(|(entry, opened)| (self.held_no_more(entry), opened.fh))
            }
        };
        let file = match self.node(path) {
            Some(Node::Folder(_)) => {
                assert!(created.is_err(), "{path:?} is a folder");
                return None;
            }
            Some(Node::File(file)) => {
                let file = *file;
                self.files[file].now.clear();
                file
            }
            None => {
                assert_eq!(known, None, "{path:?} is there");
                let file = self.files.len();
                self.files.push(File {
                    now: Vec::new(),
                    kept: vec![Vec::new()],
                });
                self.folder(path)?.insert(name, Node::File(file));
                file
            }
        };
        let (ino, fh) = created.unwrap();
        Some(self.opened(fh, ino, file))
    }

    async fn write(&mut self, handle: Handle, at: usize, bytes: &[u8]) {
        let written = wait(self.process().vfs.write(handle.fh, at as u64, bytes)).await;
        assert_eq!(written.unwrap() as usize, bytes.len());
        self.files[handle.file].fill(at, bytes);
        assert!(self.read(handle.fh).await == self.files[handle.file].now);
    }

    async fn read(&self, fh: Fh) -> Vec<u8> {
        loop {
            match wait(self.process().vfs.read(fh, 0, 1 << 20)).await {
                Ok(bytes) => return bytes.to_vec(),
                Err(e) if is_passing(&e) => {}
                Err(e) => panic!("{e:?}"),
            }
        }
    }

    async fn resize(&self, ino: Ino, fh: Option<Fh>, size: u64) {
        let change = SetAttr {
            size: Some(size),
            ..SetAttr::default()
        };
        wait(self.process().vfs.setattr(ino, fh, change, ANN))
            .await
            .unwrap();
    }

    async fn close(&mut self, handle: Handle) {
        self.handles.retain(|open| open.fh != handle.fh);
        // It says so if an older version failed to be sent for good.
        let flushed = wait(self.process().vfs.flush(handle.fh)).await;
        assert!(
            flushed.is_ok() || self.process().failed() > 0,
            "{flushed:?}"
        );
        wait(self.process().vfs.release(handle.fh)).await.unwrap();
        self.files[handle.file].seal();
    }

    /// A whole copy, without a byte being read.
    async fn copy(&mut self, from: &Path, to: &Path) {
        let Some(Node::File(source)) = self.node(from) else {
            return;
        };
        let (source, ino) = (*source, self.ino(from).await);
        if from == to {
            return;
        }
        let opened = self.open_to_read(ino).await;
        if let Some(handle) = self.create(to).await {
            let bytes = self.files[source].now.clone();
            let len = bytes.len() as u64;
            if len > 0 {
                let vfs = &self.process().vfs;
                let copied = vfs.copy_file_range(opened.fh, 0, handle.fh, 0, len);
                assert_eq!(wait(copied).await.unwrap(), len);
            }
            self.files[handle.file].fill(0, &bytes);
            self.close(handle).await;
        }
        wait(self.process().vfs.flush(opened.fh)).await.unwrap();
        wait(self.process().vfs.release(opened.fh)).await.unwrap();
        // What others wrote to it may be stored with that.
        let now = self.files[source].now.clone();
        self.files[source].kept.push(now);
    }

    async fn rename(&mut self, from: &Path, to: &Path) {
        let (Some((old, name)), Some((new, new_name))) =
            (self.place(from).await, self.place(to).await)
        else {
            return;
        };
        let vfs = &self.process().vfs;
        let (old_name, wanted) = (OsStr::new(name), OsStr::new(new_name));
        let renamed = vfs.rename(old, old_name, new, wanted, RenameMode::Replace, ANN);
        let renamed = wait(renamed).await;
        let fits = match (self.node(from), self.node(to)) {
            (None, _) => false,
            _ if from == to => true,
            (Some(Node::Folder(_)), _) if to.starts_with(from) => false,
            (Some(_), None) | (Some(Node::File(_)), Some(Node::File(_))) => true,
            (Some(Node::Folder(_)), Some(Node::Folder(over))) => over.is_empty(),
            (Some(_), Some(_)) => false,
        };
        assert_eq!(renamed.is_ok(), fits, "{from:?} to {to:?}: {renamed:?}");
        // What it holds is stored first, as by a close: it may take the place of other bytes.
        if let Some(Node::File(file)) = self.node(from) {
            let file = *file;
            self.files[file].seal();
        }
        if !fits || from == to {
            return;
        }
        let moved = self.folder(from).unwrap().remove(name).unwrap();
        self.folder(to).unwrap().insert(new_name, moved);
    }

    fn removed(&mut self, path: &Path, fits: bool, removed: Result<(), Error>) {
        assert_eq!(removed.is_ok(), fits, "{path:?}: {removed:?}");
        if fits {
            let name = *path.last().unwrap();
            self.folder(path).unwrap().remove(name);
        }
    }

    fn process(&self) -> &Process {
        self.process.as_ref().unwrap()
    }

    async fn kill(&mut self) {
        self.handles.clear();
        self.process.take().unwrap().kill().await;
        self.process = Some(Process::start_at(SCALE, self.sim, self.dir));
        for (path, file) in self.paths() {
            let ino = self.ino(&path).await;
            let left = self.content(ino).await;
            let file = &mut self.files[file];
            let kept: Vec<_> = file.kept.iter().map(|kept| runs(kept)).collect();
            assert!(
                file.kept.contains(&left),
                "{path:?} after a kill: {:?}, which is none of {kept:?}",
                runs(&left)
            );
            file.now = left;
            file.seal();
        }
    }

    /// All files of the model, by their paths.
    fn paths(&self) -> Vec<(Path, usize)> {
        fn add(at: &Path, folder: &BTreeMap<&'static str, Node>, found: &mut Vec<(Path, usize)>) {
            for (name, node) in folder {
                let mut path = at.clone();
                path.push(name);
                match node {
                    Node::Folder(folder) => add(&path, folder, found),
                    Node::File(file) => found.push((path, *file)),
                }
            }
        }
        let mut found = Vec::new();
        add(&Vec::new(), &self.root, &mut found);
        found
    }

    async fn open_to_read(&self, ino: Ino) -> Opened {
        let read_only = OpenFlags {
            access: OpenAccess::Read,
            truncate: false,
            ..BOTH
        };
        wait(self.process().vfs.open(ino, read_only, ANN))
            .await
            .unwrap()
    }

    async fn content(&self, ino: Ino) -> Vec<u8> {
        let opened = self.open_to_read(ino).await;
        let content = self.read(opened.fh).await;
        wait(self.process().vfs.release(opened.fh)).await.unwrap();
        content
    }

    /// What the mount shows is what the model has.
    async fn assert_shown(&self) {
        let mut folders = vec![(ROOT, &self.root)];
        while let Some((ino, folder)) = folders.pop() {
            let shown = self.process().names(ino).await;
            let known: Vec<&str> = folder.keys().copied().collect();
            assert_eq!(shown, known);
            for (name, node) in folder {
                let ino = self.lookup(ino, name).await.unwrap();
                match node {
                    Node::Folder(folder) => folders.push((ino, folder)),
                    Node::File(file) => {
                        assert!(self.content(ino).await == self.files[*file].now, "{name}");
                    }
                }
            }
        }
    }

    /// With all files closed and the service well again, the account comes to have what the
    /// model has, and nothing else.
    async fn drain(&mut self) {
        while let Some(handle) = self.handle(0) {
            self.close(handle).await;
        }
        self.sim.faults().clear();
        self.process().wake();
        self.assert_shown().await;
        self.process().settled().await;
        self.assert_shown().await;
        let mut wanted: Vec<(String, Option<Vec<u8>>)> = Vec::new();
        let mut folders = vec![(String::new(), &self.root)];
        while let Some((above, folder)) = folders.pop() {
            for (name, node) in folder {
                let path = format!("{above}{name}");
                match node {
                    Node::Folder(folder) => {
                        folders.push((format!("{path}/"), folder));
                        wanted.push((path, None));
                    }
                    // The service takes none that are empty.
                    Node::File(file) if self.files[*file].now.is_empty() => {}
                    Node::File(file) => wanted.push((path, Some(self.files[*file].now.clone()))),
                }
            }
        }
        let account = self.sim.account();
        let content = |entry: sim::Entry| match entry.kind {
            EntryKind::Folder => (entry.path, None),
            EntryKind::File => {
                let content = account.content_of(&entry.id).unwrap();
                (entry.path, Some(content))
            }
        };
        let mut there: Vec<_> = account.entries().into_iter().map(content).collect();
        for entries in [&mut wanted, &mut there] {
            entries.sort();
        }
        let names = |entries: &[(String, Option<Vec<u8>>)]| -> Vec<(String, Option<usize>)> {
            let name = |(path, content): &(String, Option<Vec<u8>>)| {
                (path.clone(), content.as_ref().map(Vec::len))
            };
            entries.iter().map(name).collect()
        };
        assert_eq!(
            names(&there),
            names(&wanted),
            "paths and sizes there, and as they should be"
        );
        assert!(there == wanted, "the content of a file is another");
    }
}

async fn live(quirks: Quirks, lag: Duration, ops: Vec<Op>) {
    let config = SimConfig {
        time_scale: SCALE,
        listing_lag: lag,
        quirks,
        ..SimConfig::default()
    };
    let sim = Simulator::start(config).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start_at(SCALE, &sim, dir.path());
    process.list(ROOT).await;
    let mut life = Life {
        sim: &sim,
        dir: dir.path(),
        process: Some(process),
        root: BTreeMap::new(),
        files: Vec::new(),
        handles: Vec::new(),
    };
    for op in ops {
        life.step(op).await;
    }
    life.drain().await;
    life.process.take().unwrap().kill().await;
}

/// Lives many lives with a service of a kind.
fn lives(quirks: impl Strategy<Value = Quirks>, lag: Duration) {
    let cases = std::env::var("FICHIERFS_CASES").ok();
    let config = Config {
        cases: cases.and_then(|cases| cases.parse().ok()).unwrap_or(6),
        failure_persistence: None,
        max_shrink_time: 120_000,
        ..Config::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let outcome = TestRunner::new(config).run(
        &(quirks, prop::collection::vec(op(), 20..70)),
        |(quirks, ops)| {
            runtime.block_on(live(quirks, lag, ops));
            Ok(())
        },
    );
    outcome.unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn any_day_ends_as_a_few_maps_in_memory_say() {
    lives(Just(Quirks::default()), Duration::ZERO);
}

/// Listings show what was, and what nobody knows of the service is one way or the other.
#[test]
fn any_day_with_a_service_that_lags_ends_as_a_few_maps_in_memory_say() {
    let names = prop::sample::select(&[SameName::Duplicate, SameName::Refuse, SameName::NoEffect]);
    let quirks =
        (names, any::<[bool; 3]>()).prop_map(|(same_name, [dated, all403, folders])| Quirks {
            same_name,
            move_changes_date: dated,
            refusals: match all403 {
                true => RefusalStyle::All403,
                false => RefusalStyle::Mixed,
            },
            folders_lag: folders,
            ..Quirks::default()
        });
    lives(quirks, Duration::from_secs(60));
}
