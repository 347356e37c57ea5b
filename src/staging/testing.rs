//! A bench for the tests of this room: a store, a folder, and a service that
//! is a map from ids to bytes.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::{Base, Pin, Read, Staging, StagingOptions, Survive};
use super::{StagedFile, Version};
use crate::content::{ContentError, Lent, RemoteFile, Who};
use crate::ids::{FileId, Ino};
use crate::store::{Store, StoreError};

/// The file that most tests work on.
pub const INO: Ino = Ino(2);

/// Files of the service, as one process sees them.
#[derive(Clone, Default)]
pub struct Service {
    files: Arc<Mutex<HashMap<FileId, Bytes>>>,
    pins: Arc<Mutex<HashMap<FileId, Arc<()>>>>,
    /// Every other read has to wait.
    reads: Arc<AtomicUsize>,
    /// What was given to the cache.
    pub adopted: Arc<Mutex<Vec<FileId>>>,
}

impl Service {
    /// Puts a file there.
    pub fn put(&self, content: &[u8]) -> RemoteFile {
        let mut files = self.files.lock();
        let id: FileId = format!("{:08}", files.len()).parse().unwrap();
        files.insert(id.clone(), Bytes::copy_from_slice(content));
        RemoteFile {
            id,
            size: content.len() as u64,
            whirlpool: None,
        }
    }

    /// Empties a file unless it is pinned: reading it is an error from then on.
    pub fn remove(&self, id: &FileId) {
        if !self.is_pinned(id) {
            self.files.lock().insert(id.clone(), Bytes::new());
        }
    }

    pub fn is_pinned(&self, id: &FileId) -> bool {
        let pins = self.pins.lock();
        pins.get(id).is_some_and(|pin| Arc::strong_count(pin) > 1)
    }

    /// The same files after all of our pins died with the process.
    fn for_next_process(&self) -> Service {
        Service {
            pins: Arc::default(),
            ..self.clone()
        }
    }

    fn bytes(&self, file: &RemoteFile, offset: u64, len: usize) -> Bytes {
        let content = self.files.lock()[&file.id].clone();
        let start = content.len().min(offset as usize);
        content.slice(start..content.len().min(start + len))
    }
}

impl Base for Service {
    fn try_read(&self, file: &RemoteFile, offset: u64, len: usize) -> Option<Bytes> {
        let wait = self.reads.fetch_add(1, Ordering::Relaxed) % 2 == 1;
        (!wait).then(|| self.bytes(file, offset, len))
    }

    fn read(
        &self,
        _: Who,
        file: &RemoteFile,
        offset: u64,
        len: usize,
    ) -> BoxFuture<'static, Result<Bytes, ContentError>> {
        let (service, file) = (self.clone(), file.clone());
        Box::pin(async move {
            tokio::task::yield_now().await;
            Ok(service.bytes(&file, offset, len))
        })
    }

    fn pin(&self, id: &FileId) -> Pin {
        Box::new(Arc::clone(self.pins.lock().entry(id.clone()).or_default()))
    }

    fn adopt(&self, file: &RemoteFile, mut data: File, path: &Path) -> Result<(), ContentError> {
        let mut content = Vec::new();
        // Whoever looked for its holes left the position somewhere.
        data.rewind().unwrap();
        data.read_to_end(&mut content).unwrap();
        assert_eq!(content, self.files.lock()[&file.id], "adopted other bytes");
        std::fs::remove_file(path).unwrap();
        self.adopted.lock().push(file.id.clone());
        Ok(())
    }

    fn is_damaged(&self, _id: &FileId) -> bool {
        false
    }

    fn may_lend(&self, _file: &RemoteFile) -> bool {
        false
    }

    fn lend(&self, _file: &RemoteFile) -> Option<Lent> {
        None
    }

    fn make_room(&self, _folder: &Path) -> u64 {
        0
    }
}

/// One process after another on one state directory.
pub struct Bench {
    dir: tempfile::TempDir,
    pub store: Store,
    pub service: Service,
    pub staging: Staging,
    budget: u64,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    pub fn new() -> Bench {
        Bench::with_budget(u64::MAX)
    }

    pub fn with_budget(budget: u64) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state.db")).unwrap();
        for ino in [INO, Ino(3)] {
            let insert = "INSERT INTO node(ino, kind, atime, mtime, ctime, btime)
                VALUES (?1, 2, 0, 0, 0, 0)";
            store
                .write(|tx| Ok::<_, StoreError>(tx.execute(insert, [ino.0 as i64])?))
                .unwrap();
        }
        let service = Service::default();
        let staging = open(&store, &service, dir.path(), budget);
        let runtime = tokio::runtime::Builder::new_current_thread();
        Bench {
            staging,
            runtime: { runtime }.build().unwrap(),
            dir,
            store,
            service,
            budget,
        }
    }

    pub fn database(&self) -> PathBuf {
        self.dir.path().join("state.db")
    }

    pub fn folder(&self) -> PathBuf {
        self.dir.path().join("staging")
    }

    /// The process dies, and the next one starts. `files` are those that it had
    /// in memory: whatever is dropped of them later does nothing to the disk.
    pub fn kill(&mut self, files: &[&StagedFile]) {
        for file in files {
            if let Some(data) = file.state.lock().data.take() {
                data.let_go();
            }
        }
        self.service = self.service.for_next_process();
        self.staging = open(&self.store, &self.service, self.dir.path(), self.budget);
    }

    pub fn file(&self, base: Option<&RemoteFile>) -> Arc<StagedFile> {
        self.staging.file(INO, base.cloned()).unwrap()
    }

    pub fn wait(&self, read: Read) -> Bytes {
        self.runtime.block_on(read.wait()).unwrap()
    }

    pub fn content(&self, file: &StagedFile) -> Bytes {
        self.wait(file.read(0, usize::MAX))
    }

    pub fn version(&self, version: &Version) -> Vec<u8> {
        use futures_util::TryStreamExt;
        let chunks = version.clone().read_stream();
        let chunks: Vec<Bytes> = self.runtime.block_on(chunks.try_collect()).unwrap();
        chunks.concat()
    }

    /// A close.
    pub fn seal(&self, file: &Arc<StagedFile>) -> Option<u64> {
        let mut sealing = file.seal(Survive::Kill).unwrap()?;
        self.store.write(|tx| sealing.store(tx)).unwrap();
        let number = sealing.version();
        sealing.committed();
        Some(number)
    }

    /// The service has `version`.
    pub fn confirm(&self, version: Version) -> RemoteFile {
        let remote = self.service.put(&self.version(&version));
        let mut confirming = version.confirmed(remote.clone()).unwrap();
        self.store.write(|tx| confirming.store(tx)).unwrap();
        confirming.committed();
        remote
    }

    /// Bytes that the rows say are in data files.
    pub fn stored_bytes(&self) -> u64 {
        self.store.read(super::rows::totals).unwrap().data_bytes
    }

    /// Names in the staging folder.
    pub fn data_files(&self) -> usize {
        std::fs::read_dir(self.folder()).unwrap().count()
    }
}

fn open(store: &Store, service: &Service, dir: &Path, budget: u64) -> Staging {
    let options = StagingOptions { budget };
    Staging::open(
        store.clone(),
        service.clone(),
        &dir.join("staging"),
        options,
    )
    .unwrap()
}
