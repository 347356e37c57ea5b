//! What system calls mean, with the client, content, staging and tree below, and
//! the simulator as the service; no kernel.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fichierfs::api::{Api, ApiConfig, Endpoints, Limits, Pace};
use fichierfs::config::{AddressFamily, ApiKey, KeyStore};
use fichierfs::content::{Content, ContentOptions};
use fichierfs::ids::Ino;
use fichierfs::sim::{self, SimConfig, Simulator, synthetic_bytes};
use fichierfs::staging::{Staging, StagingOptions};
use fichierfs::store::Store;
use fichierfs::tree::refresh::Refresher;
use fichierfs::tree::{ROOT, Tree};
use fichierfs::vfs::{
    Answer, Caller, DirEntry, Entry, Error, ErrorKind, Fh, Fill, OpenAccess, OpenFlags, Parts, Vfs,
    VfsOptions,
};
use tokio::runtime::Handle;

const SCALE: f64 = 50.0;

struct World {
    sim: Simulator,
    vfs: Vfs,
    _dir: tempfile::TempDir,
}

const ANN: Caller = Caller {
    uid: 1000,
    gid: 1000,
    pid: 1,
};

const BOTH: OpenFlags = OpenFlags {
    access: OpenAccess::ReadWrite,
    truncate: false,
    exclusive: false,
    sync: false,
};

impl World {
    async fn new(fill: impl FnOnce(&sim::AccountHandle)) -> World {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let sim = Simulator::start(SimConfig {
            time_scale: SCALE,
            ..SimConfig::default()
        })
        .await
        .unwrap();
        fill(&sim.account());
        let limits = Limits::scaled(SCALE);
        let api = Api::new(ApiConfig {
            endpoints: Endpoints::new(&sim.api_url(), &sim.site_url()).unwrap(),
            keys: KeyStore::new(ApiKey::new(sim::DEFAULT_KEY.to_owned()).unwrap()),
            pace: Pace::open(&dir.path().join("pace"), limits.clone()).unwrap(),
            limits,
            address_family: AddressFamily::Ipv4,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(5),
        })
        .unwrap();
        let store = Store::open(&dir.path().join("db")).unwrap();
        let content = Content::open(
            api.clone(),
            store.clone(),
            &dir.path().join("cache"),
            ContentOptions::default(),
            Handle::current(),
        )
        .unwrap();
        let staging = Staging::open(
            store.clone(),
            content,
            &dir.path().join("staging"),
            StagingOptions { budget: 1 << 30 },
        )
        .unwrap();
        let tree = Tree::new(store.clone(), Duration::from_secs(3));
        let refresher = Refresher::new(
            tree.clone(),
            api,
            Duration::from_secs(600),
            tokio::sync::mpsc::unbounded_channel().0,
            Handle::current(),
        );
        let parts = Parts {
            store,
            tree,
            staging,
            refresher,
            wake: Arc::new(|| ()),
            runtime: Handle::current(),
        };
        World {
            sim,
            vfs: Vfs::new(parts, VfsOptions::default()).unwrap(),
            _dir: dir,
        }
    }

    async fn lookup(&self, path: &str) -> Result<Entry, Error> {
        let mut at = wait(self.vfs.getattr(ROOT, None)).await?.ino;
        let mut entry = None;
        for name in path.split('/') {
            let found = wait(self.vfs.lookup(at, OsStr::new(name))).await?;
            at = found.attr.ino;
            entry = Some(found);
        }
        Ok(entry.unwrap())
    }

    async fn open(&self, ino: Ino) -> Fh {
        wait(self.vfs.open(ino, BOTH, ANN)).await.unwrap().fh
    }

    async fn read(&self, fh: Fh, offset: u64, len: u32) -> Result<Bytes, Error> {
        wait(self.vfs.read(fh, offset, len)).await
    }
}

async fn wait<T>(answer: Answer<T>) -> Result<T, Error> {
    match answer {
        Answer::Now(result) => result,
        Answer::Later(future) | Answer::Disk(future) => future.await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_never_seen_is_listed_on_the_way_and_once() {
    let world = World::new(|account| {
        account.add_folder("a").unwrap();
        account.add_folder("a/b").unwrap();
        account.add_file("a/b/hello.txt", b"hello").unwrap();
    })
    .await;
    let found = world.lookup("a/b/hello.txt").await.unwrap();
    assert_eq!(found.attr.size, 5);
    let gone = world.lookup("a/b/other.txt").await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    let folder = world.lookup("a").await.unwrap().attr.ino;
    let fh = wait(world.vfs.opendir(folder)).await.unwrap().fh;
    let mut names = Vec::new();
    let mut sink = |entry: DirEntry<'_>| {
        names.push(entry.name.to_owned());
        Fill::Added
    };
    world.vfs.readdir(fh, 0, &mut sink).unwrap();
    assert_eq!(names, [".", "..", "b"]);
    let report = world.sim.report();
    assert_eq!(report.calls_of("folder/ls"), 3);
    assert_eq!(report.violation_count(), 0, "{:?}", report.violations);
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_fetches_nothing_and_an_edit_only_what_is_read() {
    const SIZE: u64 = 20 << 30;
    let world = World::new(|account| {
        account.add_synthetic("film.bin", 7, SIZE).unwrap();
    })
    .await;
    let ino = world.lookup("film.bin").await.unwrap().attr.ino;
    let fh = world.open(ino).await;
    wait(world.vfs.write(fh, SIZE / 2, b"!")).await.unwrap();
    wait(world.vfs.flush(fh)).await.unwrap();
    assert_eq!(world.sim.report().bytes_down, 0);
    assert_eq!(world.read(fh, SIZE / 2, 1).await.unwrap(), "!");
    let around = world.read(fh, SIZE / 2 - 2, 5).await.unwrap();
    let mut expected = [0; 5];
    synthetic_bytes(7, SIZE / 2 - 2, &mut expected);
    expected[2] = b'!';
    assert_eq!(around, expected.as_slice());
    assert!(world.sim.report().bytes_down < 16 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_reads_its_version_and_bytes_that_are_gone_are_stale() {
    let world = World::new(|account| {
        account.add_file("note.txt", b"first").unwrap();
    })
    .await;
    let ino = world.lookup("note.txt").await.unwrap().attr.ino;
    let read = world.open(ino).await;
    assert_eq!(world.read(read, 0, 10).await.unwrap(), "first");
    world.sim.account().replace("note.txt", b"second").unwrap();
    // Still the first: from the cache, though the service has another now.
    assert_eq!(world.read(read, 0, 10).await.unwrap(), "first");

    let world = World::new(|account| {
        account.add_file("note.txt", b"first").unwrap();
    })
    .await;
    let ino = world.lookup("note.txt").await.unwrap().attr.ino;
    let unread = world.open(ino).await;
    world.sim.account().replace("note.txt", b"second").unwrap();
    let stale = world.read(unread, 0, 10).await.unwrap_err();
    assert_eq!(stale.kind(), ErrorKind::Stale);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_somebody_else_made_is_read() {
    let world = World::new(|account| {
        account.add_file("l.rclonelink", b"../there").unwrap();
    })
    .await;
    let ino = world.lookup("l").await.unwrap().attr.ino;
    let target = wait(world.vfs.readlink(ino)).await.unwrap();
    assert_eq!(target, "../there");
}
