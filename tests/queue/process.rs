//! A process of the mount without a kernel, over the simulator, and what tests ask of it.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fichierfs::api::{Api, ApiConfig, Endpoints, Limits, Pace};
use fichierfs::config::{AddressFamily, ApiKey, KeyStore};
use fichierfs::content::{Content, ContentOptions};
use fichierfs::ids::Ino;
use fichierfs::sim::{self, Simulator};
use fichierfs::staging::{Staging, StagingOptions};
use fichierfs::store::Store;
use fichierfs::tree::refresh::Refresher;
use fichierfs::tree::{ROOT, Tree};
use fichierfs::upload::{self, UploadOptions, Uploader};
use fichierfs::vfs::{
    self, Answer, Caller, Error, Fh, Fill, OpenAccess, OpenFlags, RenameMode, Vfs, VfsOptions,
};
use tokio::runtime::Handle;

/// How much faster than the real service all goes.
pub const SCALE: f64 = 100.0;

pub const ANN: Caller = Caller {
    uid: 1000,
    gid: 1000,
    pid: 1,
};

/// For reading and writing, from nothing.
pub const BOTH: OpenFlags = OpenFlags {
    access: OpenAccess::ReadWrite,
    truncate: true,
    exclusive: false,
    sync: false,
};

/// One process: the rooms over a state directory.
pub struct Process {
    pub vfs: Vfs,
    pub tree: Tree,
    pub uploader: Uploader,
    pub keys: KeyStore,
}

impl Process {
    pub fn start(sim: &Simulator, dir: &Path) -> Process {
        Process::start_at(SCALE, sim, dir)
    }

    /// So many times as fast as the real service.
    pub fn start_at(scale: f64, sim: &Simulator, dir: &Path) -> Process {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let limits = Limits {
            // Nobody waits in a system call here: the queue has all failing calls.
            failing_reserve: 0,
            ..Limits::scaled(scale)
        };
        let keys = KeyStore::new(ApiKey::new(sim::DEFAULT_KEY.to_owned()).unwrap());
        let api = Api::new(ApiConfig {
            endpoints: Endpoints::new(&sim.api_url(), &sim.site_url()).unwrap(),
            keys: keys.clone(),
            pace: Pace::open(&dir.join("pace"), limits.clone()).unwrap(),
            limits: limits.clone(),
            address_family: AddressFamily::Ipv4,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(5),
        })
        .unwrap();
        let store = Store::open(&dir.join("db")).unwrap();
        let content = Content::open(
            api.clone(),
            store.clone(),
            &dir.join("cache"),
            ContentOptions {
                // In the time of the simulator, too.
                data_deadline: Duration::from_secs(1),
                ..ContentOptions::default()
            },
            Handle::current(),
        )
        .unwrap();
        let options = StagingOptions { budget: 1 << 30 };
        let staging = Staging::open(
            store.clone(),
            content.clone(),
            &dir.join("staging"),
            options,
        )
        .unwrap();
        let tree = Tree::new(store.clone(), limits.listing_lag);
        let (changes, _) = tokio::sync::mpsc::unbounded_channel();
        let refresher = Refresher::new(
            tree.clone(),
            api.clone(),
            Duration::from_secs(600),
            changes.clone(),
            Handle::current(),
        );
        let parts = vfs::Parts {
            store: store.clone(),
            tree: tree.clone(),
            staging: staging.clone(),
            refresher: refresher.clone(),
            wake: Arc::new(|| ()),
            runtime: Handle::current(),
        };
        let options = VfsOptions {
            write_back: Duration::ZERO,
            ..VfsOptions::default()
        };
        let vfs = Vfs::new(parts, options).unwrap();
        let parts = upload::Parts {
            store,
            tree: tree.clone(),
            staging,
            content,
            api,
            refresher,
            changes,
            throttle: fichierfs::throttle::Throttle::default(),
        };
        let options = UploadOptions {
            speed: scale,
            ..UploadOptions::default()
        };
        let uploader = Uploader::start(parts, options, &Handle::current());
        Process {
            vfs,
            tree,
            uploader,
            keys,
        }
    }

    pub async fn list(&self, folder: Ino) {
        let fh = wait(self.vfs.opendir(folder)).await.unwrap().fh;
        wait(self.vfs.releasedir(fh)).await.unwrap();
    }

    /// A folder that is there, listed.
    pub async fn enter(&self, parent: Ino, name: &str) -> Ino {
        let folder = self.lookup(parent, name).await.unwrap();
        self.list(folder).await;
        folder
    }

    pub async fn mkdir(&self, parent: Ino, name: &str) -> Ino {
        let made = self.vfs.mkdir(parent, OsStr::new(name), 0o755, ANN);
        wait(made).await.unwrap().attr.ino
    }

    pub async fn write(&self, parent: Ino, name: &str, content: &[u8]) {
        write(&self.vfs, parent, name, content).await;
        self.wake();
    }

    /// For reading and writing.
    pub async fn open(&self, file: Ino) -> Fh {
        let flags = OpenFlags {
            truncate: false,
            ..BOTH
        };
        wait(self.vfs.open(file, flags, ANN)).await.unwrap().fh
    }

    pub async fn close(&self, fh: Fh) {
        wait(self.vfs.flush(fh)).await.unwrap();
        wait(self.vfs.release(fh)).await.unwrap();
    }

    /// Writes to a file in the root that is there already.
    pub async fn edit(&self, name: &str, at: u64, bytes: &[u8]) {
        let file = self.lookup(ROOT, name).await.unwrap();
        let fh = self.open(file).await;
        wait(self.vfs.write(fh, at, bytes)).await.unwrap();
        self.close(fh).await;
        self.wake();
    }

    pub async fn lookup(&self, parent: Ino, name: &str) -> Option<Ino> {
        let found = wait(self.vfs.lookup(parent, OsStr::new(name))).await;
        found.ok().map(|entry| entry.attr.ino)
    }

    pub async fn rename(&self, name: &str, to: (Ino, &str)) {
        let (name, new) = (OsStr::new(name), OsStr::new(to.1));
        let renamed = self
            .vfs
            .rename(ROOT, name, to.0, new, RenameMode::Replace, ANN);
        wait(renamed).await.unwrap();
    }

    /// Removes these from the root, before the workers look at any.
    pub async fn remove(&self, names: &[impl AsRef<OsStr>]) {
        for name in names {
            let removed = self.vfs.unlink(ROOT, name.as_ref(), ANN);
            wait(removed).await.unwrap();
        }
        self.wake();
    }

    /// The workers look at the journal.
    pub fn wake(&self) {
        self.uploader.wake_handle().notify_one();
    }

    /// The names in a folder, sorted.
    pub async fn names(&self, folder: Ino) -> Vec<String> {
        let fh = wait(self.vfs.opendir(folder)).await.unwrap().fh;
        let (mut names, mut at) = (Vec::new(), 0);
        loop {
            let from = at;
            let mut take = |entry: vfs::DirEntry<'_>| {
                names.push(entry.name.to_str().unwrap().to_owned());
                at = entry.next;
                Fill::Added
            };
            self.vfs.readdir(fh, from, &mut take).unwrap();
            if at == from {
                break;
            }
        }
        wait(self.vfs.releasedir(fh)).await.unwrap();
        names.retain(|name| name != "." && name != "..");
        names.sort();
        names
    }

    /// It ends with what it has in memory, as far as that can be within another process.
    pub async fn kill(self) {
        self.uploader.stop().await;
        std::mem::forget(self.vfs);
    }

    /// Nothing is queued, nothing of unknown result, and what failed was taken up again.
    pub async fn settled(&self) {
        until(|| {
            let backlog = self.tree.backlog().unwrap();
            if backlog.failed > 0 {
                self.tree.retry(None).unwrap();
            }
            self.wake();
            backlog.failed == 0 && backlog.is_drained() && self.tree.underway().unwrap().is_empty()
        })
        .await;
    }

    pub async fn drained(&self) {
        until(|| self.tree.backlog().unwrap().is_drained()).await;
    }

    pub fn failed(&self) -> u64 {
        self.tree.backlog().unwrap().failed
    }
}

pub async fn write(vfs: &Vfs, parent: Ino, name: &str, content: &[u8]) {
    let created = vfs.create(parent, OsStr::new(name), 0o644, BOTH, ANN);
    let fh = wait(created).await.unwrap().1.fh;
    wait(vfs.write(fh, 0, content)).await.unwrap();
    wait(vfs.flush(fh)).await.unwrap();
    wait(vfs.release(fh)).await.unwrap();
}

pub async fn wait<T>(answer: Answer<T>) -> Result<T, Error> {
    match answer {
        Answer::Now(result) => result,
        Answer::Later(future) | Answer::Disk(future) => future.await,
    }
}

pub async fn until(mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "it takes too long");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
