//! One file, fetched from its first byte to its last by a few streams of ranges, written
//! to a sparse file and copied from there. It retries nothing and forgets nothing.

use super::{FILE, Result, TTL, attributes};
use fuser::{
    Errno, FileHandle, Filesystem, Generation, INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyData,
    ReplyEntry, Request,
};
use futures_util::StreamExt;
use parking_lot::{Condvar, Mutex};
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Ranges fetched at a time: more are not faster on the machines it ran on.
const STREAMS: usize = 4;

/// Bytes of a range.
const PART: u64 = 8 << 20;

/// A file at an address.
#[derive(Clone, PartialEq, Debug)]
pub struct Source {
    pub url: String,
    pub size: u64,
    pub cache: PathBuf,
}

/// See the module.
pub struct BareFile {
    shared: Arc<Shared>,
    // Dropping it ends the streams.
    _runtime: tokio::runtime::Runtime,
}

struct Shared {
    source: Source,
    cache: File,
    /// Bytes there of each part.
    there: Vec<AtomicU64>,
    next: AtomicU64,
    gate: Mutex<()>,
    more: Condvar,
}

impl BareFile {
    /// Begins fetching when the file is opened.
    pub fn new(source: Source) -> Result<BareFile> {
        // Nobody came before in this process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cache = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&source.cache)?;
        let parts = source.size.div_ceil(PART);
        let shared = Arc::new(Shared {
            source,
            cache,
            there: (0..parts).map(|_| AtomicU64::new(0)).collect(),
            next: AtomicU64::new(0),
            gate: Mutex::new(()),
            more: Condvar::new(),
        });
        Ok(BareFile {
            shared,
            _runtime: tokio::runtime::Runtime::new()?,
        })
    }

    fn start(&self) {
        let client = reqwest::Client::builder().http1_only().build();
        let client = match client {
            Ok(client) => client,
            Err(error) => return eprintln!("{error}"),
        };
        for _ in 0..STREAMS {
            let (shared, client) = (self.shared.clone(), client.clone());
            self._runtime.spawn(async move {
                if let Err(error) = shared.fetch(&client).await {
                    // The reader then waits for ever, and the row for its patience.
                    eprintln!("{error}");
                }
            });
        }
    }
}

impl Shared {
    /// One stream: takes the next part until there is none.
    async fn fetch(&self, client: &reqwest::Client) -> Result<()> {
        loop {
            let part = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(there) = self.there.get(part as usize) else {
                return Ok(());
            };
            let start = part * PART;
            let last = (start + PART).min(self.source.size) - 1;
            let request = client
                .get(&self.source.url)
                .header("range", format!("bytes={start}-{last}"));
            let answer = request.send().await?.error_for_status()?;
            let mut stream = answer.bytes_stream();
            while let Some(bytes) = stream.next().await {
                let bytes = bytes?;
                let done = there.load(Ordering::Relaxed);
                self.cache.write_all_at(&bytes, start + done)?;
                there.store(done + bytes.len() as u64, Ordering::Release);
                drop(self.gate.lock());
                self.more.notify_all();
            }
        }
    }

    /// Whether bytes `from..to` are there.
    fn has(&self, from: u64, to: u64) -> bool {
        (from / PART..to.div_ceil(PART)).all(|part| {
            let wanted = to.min((part + 1) * PART) - part * PART;
            let there = self.there.get(part as usize);
            there.is_some_and(|there| there.load(Ordering::Acquire) >= wanted)
        })
    }
}

impl Filesystem for BareFile {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if name == "file" {
            let attributes = attributes(FILE, self.shared.source.size);
            reply.entry(&TTL, &attributes, Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &attributes(ino, self.shared.source.size));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: fuser::ReplyOpen) {
        self.start();
        reply.opened(FileHandle(0), fuser::FopenFlags::empty());
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let end = (offset + u64::from(size)).min(self.shared.source.size);
        let mut gate = self.shared.gate.lock();
        while !self.shared.has(offset, end) {
            self.shared.more.wait(&mut gate);
        }
        drop(gate);
        let mut bytes = vec![0; end.saturating_sub(offset) as usize];
        match self.shared.cache.read_exact_at(&mut bytes, offset) {
            Ok(()) => reply.data(&bytes),
            Err(_) => reply.error(Errno::EIO),
        }
    }
}
