//! The room as a whole, over an origin in memory that fails as told.

#![expect(
    clippy::single_range_in_vec_init,
    reason = "lists of runs that happen to hold one"
)]

mod cache;
mod checks;
mod faults;
mod lending;
mod line;
mod random;
mod reading;
mod room;

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant as StdInstant;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, future, stream};
use parking_lot::Mutex;
use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::origin::{Chunks, Fault, Link, Need};
use super::*;
use crate::store::Asked;

const MIB: u64 = 1 << 20;

/// What goes wrong with one request.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Trouble {
    None,
    /// The host fails at once.
    Down,
    /// The link is dead.
    DeadLink,
    /// The connection breaks after so many bytes.
    Break(u64),
    /// The answer just ends after so many bytes.
    End(u64),
    /// Nothing more comes after so many bytes.
    Stall(u64),
}

#[derive(Clone, Default)]
struct Fake {
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    links: AtomicUsize,
    /// Who needed them.
    needs: Mutex<Vec<Need>>,
    open: Arc<AtomicUsize>,
    requests: Mutex<Vec<Range<u64>>>,
    troubles: Mutex<VecDeque<Trouble>>,
    always: Mutex<Option<Trouble>>,
    refusal: Mutex<Option<Fault>>,
    /// Links are good for one request.
    single: AtomicBool,
}

impl Origin for Fake {
    fn link(
        &self,
        id: &FileId,
        need: Need,
        _: StdInstant,
    ) -> BoxFuture<'static, Result<Arc<dyn Link>, Fault>> {
        self.state.needs.lock().push(need);
        self.state.links.fetch_add(1, Ordering::SeqCst);
        let answer = match &*self.state.refusal.lock() {
            Some(fault) => Err(fault.clone()),
            None => Ok(Arc::new(FakeLink {
                fake: self.clone(),
                seed: seed(id),
                used: AtomicBool::new(false),
            }) as Arc<dyn Link>),
        };
        future::ready(answer).boxed()
    }

    fn asked(&self, id: &FileId) -> Asked {
        Asked::file(id.as_str(), "")
    }
}

struct FakeLink {
    fake: Fake,
    seed: u64,
    used: AtomicBool,
}

/// Counts a request as open as long as it lives.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Link for FakeLink {
    fn open(&self, range: Range<u64>, size: u64) -> BoxFuture<'static, Result<Chunks, Fault>> {
        assert!(range.start < range.end && range.end <= size);
        let state = &self.fake.state;
        state.requests.lock().push(range.clone());
        let trouble = state
            .always
            .lock()
            .or_else(|| state.troubles.lock().pop_front());
        let reason = Reason::new(&"as told", "");
        let used = self.used.swap(true, Ordering::SeqCst);
        let worn = (used && state.single.load(Ordering::SeqCst)).then_some(Trouble::DeadLink);
        let trouble = worn.or(trouble);
        let (good, then) = match trouble.unwrap_or(Trouble::None) {
            Trouble::Down => return future::ready(Err(Fault::Again(reason))).boxed(),
            Trouble::DeadLink => return future::ready(Err(Fault::BadLink(reason))).boxed(),
            Trouble::None | Trouble::End(u64::MAX..) => (range.end, Trouble::None),
            trouble @ (Trouble::Break(n) | Trouble::End(n) | Trouble::Stall(n)) => {
                (range.end.min(range.start + n), trouble)
            }
        };
        let seed = self.seed;
        state.open.fetch_add(1, Ordering::SeqCst);
        let open = Open(Arc::clone(&state.open));
        // Odd chunks, so that they never agree with blocks.
        let chunks = (range.start..good).step_by(70_001).map(move |at| {
            let _ = &open;
            Ok(content(seed, at..good.min(at + 70_001)))
        });
        let tail = match then {
            Trouble::Break(_) => stream::iter([Err(Fault::Again(reason))]).boxed(),
            Trouble::Stall(_) => stream::pending().boxed(),
            _ => stream::empty().boxed(),
        };
        let stream = stream::iter(chunks).chain(tail).boxed();
        async move {
            tokio::task::yield_now().await;
            Ok(stream)
        }
        .boxed()
    }
}

fn seed(id: &FileId) -> u64 {
    id.as_str()
        .bytes()
        .fold(7, |seed, b| seed * 31 + u64::from(b))
}

fn content(seed: u64, range: Range<u64>) -> Bytes {
    range
        .map(|at| (at.wrapping_add(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect()
}

fn file(id: &str, size: u64) -> RemoteFile {
    RemoteFile {
        id: id.parse().unwrap(),
        size,
        whirlpool: None,
    }
}

fn expect(file: &RemoteFile, range: Range<u64>) -> Bytes {
    content(seed(&file.id), range)
}

struct House {
    dir: tempfile::TempDir,
    fake: Fake,
    runtime: Runtime,
    options: ContentOptions,
}

impl House {
    fn new() -> House {
        House {
            dir: tempfile::tempdir().unwrap(),
            fake: Fake::default(),
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap(),
            options: ContentOptions {
                cache_size: 64 * MIB,
                connections: 4,
                data_deadline: Duration::from_secs(20),
                retry_pause: Duration::from_millis(1),
                attention: Duration::from_millis(50),
                ..ContentOptions::default()
            },
        }
    }

    /// What a reader waits for comes by one request.
    fn with_one_connection() -> House {
        let mut house = House::new();
        house.options.connections = 1;
        house
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    /// The only file of the cache, to be spoilt.
    fn only_cache_file(&self) -> File {
        let only = std::fs::read_dir(self.cache()).unwrap().next();
        let path = only.unwrap().unwrap().path();
        File::options().read(true).write(true).open(path).unwrap()
    }

    fn open(&self) -> Content {
        self.open_with("db")
    }

    /// The same folder for another state.
    fn open_with(&self, database: &str) -> Content {
        let content = self.started(database);
        content.keep(HashSet::new());
        content
    }

    /// The room as it is before it was told what to keep.
    fn started(&self, database: &str) -> Content {
        content_over(
            Arc::new(self.fake.clone()),
            &self.dir.path().join(database),
            &self.cache(),
            self.options.clone(),
            self.runtime.handle(),
        )
    }

    fn read(
        &self,
        content: &Content,
        file: &RemoteFile,
        range: Range<u64>,
    ) -> Result<Bytes, ContentError> {
        let len = (range.end - range.start) as usize;
        self.runtime.block_on(content.read(file, range.start, len))
    }

    /// The same, a moment after others waited for it in vain.
    fn read_later(&self, content: &Content, file: &RemoteFile, range: Range<u64>) -> Bytes {
        loop {
            match self.read(content, file, range.clone()) {
                Err(ContentError::Timeout(_)) => std::thread::sleep(Duration::from_millis(20)),
                read => return read.unwrap(),
            }
        }
    }

    /// Waits until nothing is under way any more.
    fn settle(&self, content: &Content) {
        self.runtime.block_on(async {
            let settled = async {
                while content.stats().flights > 0 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), settled)
                .await
                .expect("flights end when nobody wants them");
        });
        assert_eq!(content.stats().connections, 0);
        assert_eq!(self.fake.state.open.load(Ordering::SeqCst), 0);
    }

    fn requests(&self) -> Vec<Range<u64>> {
        self.fake.state.requests.lock().clone()
    }

    fn links(&self) -> usize {
        self.fake.state.links.load(Ordering::SeqCst)
    }

    fn bytes_on_disk(&self) -> u64 {
        use std::os::unix::fs::MetadataExt;
        std::fs::read_dir(self.cache())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().blocks() * 512)
            .sum()
    }
}

fn content_over(
    origin: Arc<dyn Origin>,
    database: &Path,
    cache: &Path,
    options: ContentOptions,
    runtime: &Handle,
) -> Content {
    let life = LinkLife::new(
        Duration::from_secs(240),
        Duration::from_secs(1500),
        Duration::from_secs(3600),
    );
    let store = Store::open(database).unwrap();
    Content::over(origin, life, store, cache, options, runtime.clone()).unwrap()
}

/// Gives the room a file that was just sent; returns where it was.
fn sent(house: &House, content: &Content, film: &RemoteFile) -> PathBuf {
    let path = house.dir.path().join("staged");
    let data = File::options()
        .create_new(true)
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    data.write_all_at(&expect(film, 0..film.size), 0).unwrap();
    content.adopt(film, data, &path).unwrap();
    path
}
