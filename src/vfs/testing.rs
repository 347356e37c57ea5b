//! A house for the tests of this room: store, tree and staging in a folder,
//! without a service; folders are listed by hand.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::api::{Api, ApiConfig, Endpoints, Limits, Pace};
use crate::config::{AddressFamily, ApiKey, KeyStore};
use crate::staging::StagingOptions;
use crate::staging::testing::Service;
use crate::tree::Node;
use crate::tree::listing::{ListedFile, ListedFolder, Listing};

pub const ANN: Caller = Caller {
    uid: 1000,
    gid: 100,
    pid: 1,
};

pub const READ: OpenFlags = flags(OpenAccess::Read);
pub const WRITE: OpenFlags = flags(OpenAccess::Write);
pub const BOTH: OpenFlags = flags(OpenAccess::ReadWrite);
pub const CUT: OpenFlags = OpenFlags {
    truncate: true,
    ..flags(OpenAccess::Write)
};

const fn flags(access: OpenAccess) -> OpenFlags {
    OpenFlags {
        access,
        truncate: false,
        exclusive: false,
        sync: false,
    }
}

/// What stays over processes.
struct Shape {
    options: VfsOptions,
    budget: u64,
}

pub struct House {
    pub vfs: Vfs,
    pub tree: Tree,
    pub store: Store,
    pub service: Service,
    wakes: Arc<AtomicUsize>,
    shape: Shape,
    runtime: tokio::runtime::Runtime,
    dir: tempfile::TempDir,
}

impl House {
    /// A house whose root was listed and is empty.
    pub fn new() -> House {
        House::with(VfsOptions {
            metadata_deadline: Duration::from_millis(50),
            ..VfsOptions::default()
        })
    }

    pub fn with(options: VfsOptions) -> House {
        House::with_budget(options, 1 << 30)
    }

    /// A house with so many bytes for what is staged.
    pub fn with_budget(options: VfsOptions, budget: u64) -> House {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let store = Store::open(&dir.path().join("state.db")).unwrap();
        let service = Service::default();
        let wakes = Arc::new(AtomicUsize::new(0));
        let shape = Shape { options, budget };
        let vfs = open(&store, &service, dir.path(), &shape, &wakes, &runtime);
        let house = House {
            tree: Tree::new(store.clone(), Duration::from_secs(150)),
            vfs,
            store,
            service,
            wakes,
            shape,
            runtime,
            dir,
        };
        house.list(ROOT, Listing::default());
        house
    }

    /// A process that starts after the one before it was killed.
    pub fn next_process(&mut self) {
        let next = open(
            &self.store,
            &self.service,
            self.dir.path(),
            &self.shape,
            &self.wakes,
            &self.runtime,
        );
        std::mem::forget(std::mem::replace(&mut self.vfs, next));
    }

    /// Where a staged data file is.
    pub fn staged_path(&self, number: u64) -> PathBuf {
        self.dir
            .path()
            .join("staging")
            .join(format!("{number}.data"))
    }

    /// From now on the database refuses this, as in `INSERT ON staged`.
    pub fn refuse(&self, what: &str) {
        self.sql(&format!(
            "CREATE TRIGGER refused BEFORE {what} BEGIN SELECT RAISE(FAIL, 'refused'); END"
        ));
    }

    /// Ends what [`House::refuse`] began.
    pub fn accept(&self) {
        self.sql("DROP TRIGGER refused");
    }

    pub fn sql(&self, statement: &str) {
        let run = |tx: &rusqlite::Transaction<'_>| -> Result<_, crate::store::StoreError> {
            Ok(tx.execute_batch(statement)?)
        };
        self.store.write(run).unwrap();
    }

    pub fn list(&self, folder: Ino, listing: Listing) {
        let now = Time::now();
        self.tree.merge(folder, listing, now, now).unwrap();
    }

    /// Puts a file into the root of the service and lists it.
    pub fn remote(&self, name: &str, content: &[u8]) -> Node {
        self.remotes(&[(name, content)]);
        self.node(name.strip_suffix(".rclonelink").unwrap_or(name))
    }

    /// Puts files into the root of the service and lists them.
    pub fn remotes(&self, files: &[(&str, &[u8])]) {
        let listed = |(name, content): &(&str, &[u8])| {
            let file = self.service.put(content);
            ListedFile {
                id: file.id,
                name: (*name).to_owned(),
                size: file.size,
                date: None,
                whirlpool: None,
                protected: false,
            }
        };
        self.list(
            ROOT,
            Listing {
                files: files.iter().map(listed).collect(),
                ..Listing::default()
            },
        );
    }

    /// Lists a folder in the root that itself was never listed.
    pub fn remote_folder(&self, name: &str) -> Node {
        self.list(
            ROOT,
            Listing {
                folders: vec![ListedFolder {
                    id: crate::ids::FolderId(77),
                    name: name.to_owned(),
                    created: None,
                    protected: false,
                }],
                ..Listing::default()
            },
        );
        self.node(name)
    }

    /// What the tree has under this name in the root.
    pub fn node(&self, name: &str) -> Node {
        match self.tree.lookup(ROOT, OsStr::new(name)).unwrap() {
            crate::tree::Lookup::Exists(node) => *node,
            other => panic!("{name}: {other:?}"),
        }
    }

    pub fn wakes(&self) -> usize {
        self.wakes.load(Ordering::Relaxed)
    }

    pub fn wait<T>(&self, answer: Answer<T>) -> Result<T, Error> {
        match answer {
            Answer::Now(result) => result,
            Answer::Later(future) | Answer::Disk(future) => self.runtime.block_on(future),
        }
    }

    pub fn ok<T>(&self, answer: Answer<T>) -> T {
        self.wait(answer).unwrap()
    }

    pub fn error<T>(&self, answer: Answer<T>) -> ErrorKind {
        self.failure(answer).kind()
    }

    pub fn failure<T>(&self, answer: Answer<T>) -> Error {
        match self.wait(answer) {
            Ok(_) => panic!("it should fail"),
            Err(e) => e,
        }
    }

    pub fn create(&self, name: &str) -> (Ino, Fh) {
        let (entry, opened) = self.ok(self.vfs.create(ROOT, OsStr::new(name), 0o644, BOTH, ANN));
        (entry.attr.ino, opened.fh)
    }

    pub fn open(&self, ino: Ino, flags: OpenFlags) -> Fh {
        self.ok(self.vfs.open(ino, flags, ANN)).fh
    }

    pub fn write(&self, fh: Fh, offset: u64, data: &[u8]) {
        let written = self.ok(self.vfs.write(fh, offset, data));
        assert_eq!(written as usize, data.len());
    }

    pub fn append(&self, fh: Fh, end: u64, data: &[u8]) {
        let written = self.ok(self.vfs.append(fh, end, data));
        assert_eq!(written as usize, data.len());
    }

    pub fn read(&self, fh: Fh) -> Bytes {
        self.ok(self.vfs.read(fh, 0, 1 << 20))
    }

    pub fn close(&self, fh: Fh) {
        self.ok(self.vfs.flush(fh));
        self.ok(self.vfs.release(fh));
        self.vfs.queue_closed();
    }

    /// Makes a file with this content.
    pub fn file(&self, name: &str, content: &[u8]) -> Ino {
        let (ino, fh) = self.create(name);
        self.write(fh, 0, content);
        self.close(fh);
        ino
    }

    /// What a new handle reads.
    pub fn content(&self, name: &str) -> Bytes {
        let fh = self.open(self.node(name).ino, READ);
        let content = self.read(fh);
        self.close(fh);
        content
    }

    pub fn attr(&self, ino: Ino) -> Attr {
        self.ok(self.vfs.getattr(ino, None))
    }

    pub fn mkdir(&self, parent: Ino, name: &str) -> Ino {
        let entry = self.ok(self.vfs.mkdir(parent, OsStr::new(name), 0o755, ANN));
        entry.attr.ino
    }

    pub fn rename(&self, from: &str, to: &str, mode: RenameMode) -> Answer<()> {
        let (from, to) = (OsStr::new(from), OsStr::new(to));
        self.vfs.rename(ROOT, from, ROOT, to, mode, ANN)
    }

    pub fn unlink(&self, name: &str) -> Answer<()> {
        self.vfs.unlink(ROOT, OsStr::new(name), ANN)
    }
}

fn open(
    store: &Store,
    service: &Service,
    dir: &Path,
    shape: &Shape,
    wakes: &Arc<AtomicUsize>,
    runtime: &tokio::runtime::Runtime,
) -> Vfs {
    let tree = Tree::new(store.clone(), Duration::from_secs(150));
    let staging = Staging::open(
        store.clone(),
        service.clone(),
        &dir.join("staging"),
        StagingOptions {
            budget: shape.budget,
        },
    )
    .unwrap();
    let refresher = Refresher::new(
        tree.clone(),
        nobody(dir),
        Duration::from_secs(3600),
        tokio::sync::mpsc::unbounded_channel().0,
        runtime.handle().clone(),
    );
    let wakes = wakes.clone();
    let parts = Parts {
        store: store.clone(),
        tree,
        staging,
        refresher,
        wake: Arc::new(move || {
            wakes.fetch_add(1, Ordering::Relaxed);
        }),
        runtime: runtime.handle().clone(),
    };
    Vfs::new(parts, shape.options.clone()).unwrap()
}

/// A client of a service that does not answer.
fn nobody(dir: &Path) -> Api {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let limits = Limits::scaled(1000.0);
    Api::new(ApiConfig {
        endpoints: Endpoints::new("http://127.0.0.1:9/v1", "http://127.0.0.1:9").unwrap(),
        keys: KeyStore::new(ApiKey::new("k".repeat(32)).unwrap()),
        pace: Pace::open(&dir.join("pace"), limits.clone()).unwrap(),
        limits,
        address_family: AddressFamily::Ipv4,
        connect_timeout: Duration::from_secs(1),
        read_timeout: Duration::from_secs(1),
    })
    .unwrap()
}
