//! The room as a whole, over an origin in memory that fails as told.

#![expect(
    clippy::single_range_in_vec_init,
    reason = "lists of runs that happen to hold one"
)]

use std::collections::VecDeque;
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

use super::origin::{Chunks, Fault, Link};
use super::*;

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
    open: Arc<AtomicUsize>,
    requests: Mutex<Vec<Range<u64>>>,
    troubles: Mutex<VecDeque<Trouble>>,
    always: Mutex<Option<Trouble>>,
    refusal: Mutex<Option<Fault>>,
    /// Links are good for one request.
    single: AtomicBool,
}

impl Origin for Fake {
    fn link(&self, id: &FileId, _: StdInstant) -> BoxFuture<'static, Result<Arc<dyn Link>, Fault>> {
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

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    fn open(&self) -> Content {
        let life = LinkLife {
            to_open: Duration::from_secs(240),
            to_resume: Duration::from_secs(1500),
        };
        Content::over(
            Box::new(self.fake.clone()),
            life,
            Store::open(&self.dir.path().join("db")).unwrap(),
            &self.cache(),
            self.options.clone(),
            self.runtime.handle().clone(),
        )
        .unwrap()
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

#[test]
fn a_small_first_read_fetches_one_block_and_a_second_one_nothing() {
    let house = House::new();
    let content = house.open();
    let film = file("film0", 10 * MIB);
    assert!(content.try_read(&film, 0, 4096).is_none());
    assert!(house.read(&content, &film, 0..4096).unwrap() == expect(&film, 0..4096));
    assert_eq!(house.requests(), [0..BLOCK_SIZE]);
    assert!(content.try_read(&film, 100, 4096).unwrap() == expect(&film, 100..4196));
    assert!(content.try_read(&film, BLOCK_SIZE - 1, 2).is_none());
    house.settle(&content);
    assert_eq!(house.links(), 1);
}

#[test]
fn reads_end_at_the_end_of_the_file() {
    let house = House::new();
    let content = house.open();
    let film = file("film0", BLOCK_SIZE + 10);
    let end = film.size;
    assert!(
        house.read(&content, &film, end - 20..end + 500).unwrap() == expect(&film, end - 20..end)
    );
    assert!(
        house
            .read(&content, &film, end..end + 1)
            .unwrap()
            .is_empty()
    );
    assert!(
        house
            .read(&content, &file("empty", 0), 0..10)
            .unwrap()
            .is_empty()
    );
    assert!(
        content
            .try_read(&film, u64::MAX, usize::MAX)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_sequential_reader_costs_one_link_and_few_requests_and_each_byte_once() {
    let mut house = House::new();
    // However slow the machine is, nobody is thought to have gone.
    house.options.attention = Duration::from_secs(60);
    let content = house.open();
    let film = file("film0", 40 * MIB + 17);
    for at in (0..film.size).step_by(BLOCK_SIZE as usize) {
        let range = at..film.size.min(at + BLOCK_SIZE);
        assert!(house.read(&content, &film, range.clone()).unwrap() == expect(&film, range));
    }
    house.settle(&content);
    assert_eq!(house.links(), 1);
    assert_eq!(content.stats().fetched_bytes, film.size);
    assert!(house.requests().len() < 100, "{:?}", house.requests().len());
}

#[test]
fn readers_of_the_same_block_share_one_request() {
    let house = House::new();
    let content = house.open();
    let film = file("film0", MIB);
    house.runtime.block_on(async {
        let reads = (0..20).map(|i| content.read(&film, i * 1000, 1000));
        for (i, bytes) in (0..).zip(future::join_all(reads).await) {
            assert!(bytes.unwrap() == expect(&film, i * 1000..i * 1000 + 1000));
        }
    });
    assert_eq!(house.requests(), [0..BLOCK_SIZE]);
    assert_eq!(house.links(), 1);
}

#[test]
fn a_broken_connection_goes_on_where_it_broke() {
    let house = House::new();
    let content = house.open();
    let film = file("film0", MIB);
    *house.fake.state.troubles.lock() = [
        Trouble::Break(200_000),
        Trouble::Down,
        Trouble::End(100_000),
    ]
    .into();
    assert!(house.read(&content, &film, 0..MIB).unwrap() == expect(&film, 0..MIB));
    assert_eq!(
        house.requests(),
        [0..MIB, 200_000..MIB, 200_000..MIB, 300_000..MIB]
    );
    assert_eq!((house.links(), content.stats().retries), (1, 3));
}

#[test]
fn a_dead_link_is_replaced_and_links_are_not_asked_for_without_end() {
    let house = House::new();
    let content = house.open();
    let film = file("film0", MIB);
    *house.fake.state.troubles.lock() = [Trouble::DeadLink].into();
    assert!(house.read(&content, &film, 0..10).unwrap() == expect(&film, 0..10));
    assert_eq!(house.links(), 2);
    *house.fake.state.always.lock() = Some(Trouble::DeadLink);
    let failed = house.read(&content, &film, MIB - 10..MIB).unwrap_err();
    assert!(matches!(failed, ContentError::Unavailable(_)), "{failed}");
    assert_eq!(house.links(), 4);
    *house.fake.state.always.lock() = None;
    assert!(house.read(&content, &film, MIB - 10..MIB).unwrap() == expect(&film, MIB - 10..MIB));
}

#[test]
fn links_that_are_good_for_one_request_are_noticed_and_no_reader_sees_it() {
    let house = House::new();
    house.fake.state.single.store(true, Ordering::SeqCst);
    let content = house.open();
    let film = file("film0", 64 * MIB);
    for at in (0..film.size).step_by(MIB as usize) {
        assert!(house.read(&content, &film, at..at + MIB).unwrap() == expect(&film, at..at + MIB));
    }
    house.settle(&content);
    let (links, requests) = (house.links(), house.requests().len());
    for at in [3, 5, 7] {
        let other = file(&format!("film{at}"), 64 * MIB);
        for at in [at * MIB, 2 * at * MIB] {
            assert!(
                house.read(&content, &other, at..at + 10).unwrap() == expect(&other, at..at + 10)
            );
        }
    }
    // Once noticed, no link is tried a second time.
    assert_eq!(house.links() - links, 6);
    assert_eq!(house.requests().len() - requests, 6);
}

#[test]
fn a_download_that_stands_still_is_asked_for_on_another_connection() {
    let mut house = House::new();
    house.options.hedge_after = Duration::from_millis(20);
    let content = house.open();
    let film = file("film0", MIB);
    *house.fake.state.troubles.lock() = [Trouble::Stall(300_000), Trouble::Stall(0)].into();
    assert!(house.read(&content, &film, 0..MIB).unwrap() == expect(&film, 0..MIB));
    // The first stands still, and so does its second; the third goes on where it stood.
    let requests = house.requests();
    assert_eq!(requests[0], 0..MIB);
    assert!(requests[1..].iter().all(|range| *range == (300_000..MIB)));
    assert_eq!(content.stats().retries, 0);
    house.settle(&content);
}

#[test]
fn a_file_that_is_gone_is_asked_for_once() {
    let house = House::new();
    let content = house.open();
    let film = file("film0", MIB);
    let gone = ContentError::Gone(Reason::new(&"Resource not found", ""));
    *house.fake.state.refusal.lock() = Some(Fault::Final(gone));
    for _ in 0..5 {
        let failed = house.read(&content, &film, 0..10).unwrap_err();
        assert!(matches!(failed, ContentError::Gone(_)));
    }
    assert_eq!(house.links(), 1);
}

#[test]
fn a_stalled_read_ends_at_its_deadline_and_leaves_nothing_behind() {
    let mut house = House::new();
    house.options.data_deadline = Duration::from_millis(300);
    let content = house.open();
    let film = file("film0", MIB);
    *house.fake.state.always.lock() = Some(Trouble::Stall(1000));
    let failed = house.read(&content, &film, 0..10).unwrap_err();
    assert!(matches!(failed, ContentError::Timeout(_)), "{failed}");
    house.settle(&content);
    *house.fake.state.always.lock() = None;
    assert!(house.read(&content, &film, 0..10).unwrap() == expect(&film, 0..10));
}

#[test]
fn what_nobody_wants_any_more_is_given_up() {
    let house = House::new();
    let content = house.open();
    let film = file("film0", 60 * MIB);
    house.read(&content, &film, 0..MIB).unwrap();
    *house.fake.state.always.lock() = Some(Trouble::Stall(0));
    house.runtime.block_on(async {
        // The second read would go on for ever, and fetches ahead as well.
        let read = content.read(&film, MIB, MIB as usize);
        assert!(
            tokio::time::timeout(Duration::from_millis(20), read)
                .await
                .is_err()
        );
    });
    house.settle(&content);
}

#[test]
fn the_cache_outlives_a_restart_and_a_wiped_folder_means_nothing_cached() {
    let house = House::new();
    let film = file("film0", 3 * MIB);
    let content = house.open();
    house.read(&content, &film, MIB..2 * MIB).unwrap();
    house.settle(&content);
    content.save();
    drop(content);
    let content = house.open();
    assert_eq!(content.stats().cached_bytes, MIB);
    *house.fake.state.always.lock() = Some(Trouble::Down);
    assert!(house.read(&content, &film, MIB..2 * MIB).unwrap() == expect(&film, MIB..2 * MIB));
    assert_eq!(house.requests().len(), 1);
    drop(content);
    *house.fake.state.always.lock() = None;
    std::fs::remove_dir_all(house.cache()).unwrap();
    let content = house.open();
    assert_eq!(content.stats().cached_bytes, 0);
    assert!(house.read(&content, &film, MIB..2 * MIB).unwrap() == expect(&film, MIB..2 * MIB));
}

#[test]
fn a_cache_file_of_another_size_or_number_is_not_believed() {
    let house = House::new();
    let film = file("film0", MIB);
    for spoil in [
        |path: &std::path::Path| {
            std::fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(5)
                .unwrap()
        },
        |path: &std::path::Path| std::fs::rename(path, path.with_extension("999")).unwrap(),
    ] {
        let content = house.open();
        house.read(&content, &film, 0..MIB).unwrap();
        house.settle(&content);
        content.save();
        drop(content);
        let only = std::fs::read_dir(house.cache())
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        spoil(&only.path());
        let before = house.requests().len();
        let content = house.open();
        assert!(house.read(&content, &film, 0..MIB).unwrap() == expect(&film, 0..MIB));
        assert!(house.requests().len() > before);
    }
}

#[test]
fn a_bit_that_the_cache_disk_lost_is_noticed_and_fetched_again() {
    let house = House::new();
    let film = file("film0", MIB);
    let content = house.open();
    house.read(&content, &film, 0..MIB).unwrap();
    house.settle(&content);
    content.save();
    drop(content);
    let only = std::fs::read_dir(house.cache()).unwrap().next();
    let disk = File::options()
        .write(true)
        .open(only.unwrap().unwrap().path());
    let [byte] = *expect(&film, 5000..5001) else {
        panic!("one byte");
    };
    disk.unwrap().write_all_at(&[byte ^ 1], 5000).unwrap();
    let content = house.open();
    let before = house.requests().len();
    assert!(house.read(&content, &film, 4990..5010).unwrap() == expect(&film, 4990..5010));
    assert!(house.requests().len() > before);
}

#[test]
fn the_cache_keeps_its_size_and_drops_the_least_recently_used() {
    let mut house = House::new();
    house.options.cache_size = 8 * MIB;
    house.options.attention = Duration::ZERO;
    let content = house.open();
    for n in 0..20 {
        let film = file(&format!("film{n}"), MIB);
        assert!(house.read(&content, &film, 0..MIB).unwrap() == expect(&film, 0..MIB));
        house.settle(&content);
        assert!(content.stats().cached_bytes <= house.options.cache_size);
    }
    assert!(house.bytes_on_disk() <= house.options.cache_size);
    let last = file("film19", MIB);
    assert!(content.try_read(&last, 0, MIB as usize).unwrap() == expect(&last, 0..MIB));
    assert!(content.try_read(&file("film0", MIB), 0, 1).is_none());
}

#[test]
fn what_nobody_used_for_too_long_goes_and_a_disk_without_room_keeps_nothing() {
    let mut house = House::new();
    house.options.attention = Duration::ZERO;
    let content = house.open();
    let film = file("film0", MIB);
    house.read(&content, &film, 0..MIB).unwrap();
    house.settle(&content);
    content.save();
    drop(content);
    house.options.cache_max_age = Duration::from_secs(3600);
    assert_eq!(house.open().stats().cached_bytes, MIB);
    house.options.cache_max_age = Duration::from_millis(1);
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(house.open().stats().cached_bytes, 0);
    assert_eq!(house.bytes_on_disk(), 0);

    house.options.cache_max_age = Duration::ZERO;
    house.options.cache_min_free = 1 << 60;
    let content = house.open();
    assert_eq!(content.stats().cache_limit, 0);
    assert!(house.read(&content, &film, 0..MIB).unwrap() == expect(&film, 0..MIB));
    assert_eq!(content.stats().cached_bytes, 0);
}

#[test]
fn a_file_larger_than_the_cache_is_read_right_within_the_size() {
    let mut house = House::new();
    house.options.cache_size = 4 * MIB;
    let content = house.open();
    let film = file("film0", 24 * MIB);
    for at in (0..film.size).step_by(MIB as usize / 2) {
        let range = at..at + MIB / 2;
        assert!(house.read(&content, &film, range.clone()).unwrap() == expect(&film, range));
        assert!(content.stats().cached_bytes <= house.options.cache_size);
    }
    house.settle(&content);
    // Not a block more: the checksums and the file system's own notes take some pages besides.
    let besides = house
        .bytes_on_disk()
        .saturating_sub(house.options.cache_size);
    assert!(besides < BLOCK_SIZE, "{besides}");
}

#[test]
fn without_room_on_disk_reads_pass_through_memory() {
    let mut house = House::new();
    house.options.cache_size = 0;
    let content = house.open();
    let film = file("film0", 5 * MIB);
    for at in (0..film.size).step_by(MIB as usize) {
        assert!(house.read(&content, &film, at..at + MIB).unwrap() == expect(&film, at..at + MIB));
    }
    assert_eq!(content.stats().cached_bytes, 0);
    assert!(content.stats().memory_bytes > 0);
}

#[test]
fn a_cache_folder_that_vanishes_does_not_stop_readers() {
    let house = House::new();
    let content = house.open();
    std::fs::remove_dir_all(house.cache()).unwrap();
    let film = file("film0", 2 * MIB);
    assert!(house.read(&content, &film, 0..2 * MIB).unwrap() == expect(&film, 0..2 * MIB));
}

#[test]
fn a_sent_file_becomes_cache_and_a_forgotten_one_goes() {
    let house = House::new();
    let content = house.open();
    let film = file("film0", 2 * MIB);
    let path = house.dir.path().join("staged");
    let data = File::options()
        .create_new(true)
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    data.write_all_at(&expect(&film, 0..film.size), 0).unwrap();
    content.adopt(&film, data, &path).unwrap();
    assert!(!path.exists());
    drop(content);
    let content = house.open();
    assert!(house.read(&content, &film, 0..film.size).unwrap() == expect(&film, 0..film.size));
    assert!(house.requests().is_empty());
    content.forget(&film.id);
    assert_eq!(content.stats().cached_bytes, 0);
    assert_eq!(house.bytes_on_disk(), 0);
}

#[test]
fn a_filled_and_kept_file_is_whole_and_outlives_what_pushes_others_out() {
    let mut house = House::new();
    house.options.cache_size = 8 * MIB;
    house.options.attention = Duration::ZERO;
    let content = house.open();
    let (film, big) = (file("film0", 4 * MIB + 5), file("film9", 64 * MIB));
    content.keep([film.id.clone(), big.id.clone()].into());
    house.read(&content, &film, MIB..2 * MIB).unwrap();
    house.runtime.block_on(content.fill(&film)).unwrap();
    house.settle(&content);
    assert_eq!(content.cached(&film), film.size);
    assert_eq!(content.stats().fetched_bytes, film.size);
    for n in 1..9 {
        let other = file(&format!("film{n}"), MIB);
        assert!(house.read(&content, &other, 0..MIB).unwrap() == expect(&other, 0..MIB));
        house.settle(&content);
    }
    content.clear();
    let before = house.requests().len();
    assert!(house.read(&content, &film, 0..film.size).unwrap() == expect(&film, 0..film.size));
    assert_eq!(house.requests().len(), before);
    let failed = house.runtime.block_on(content.fill(&big)).unwrap_err();
    assert!(failed.to_string().contains("no room"), "{failed}");
    content.keep(std::collections::HashSet::new());
    content.clear();
    assert_eq!(content.stats().cached_bytes, 0);
}

fn with_checksum(id: &str, size: u64) -> RemoteFile {
    use whirlpool::Digest;
    let mut film = file(id, size);
    let sum = whirlpool::Whirlpool::digest(expect(&film, 0..size));
    film.whirlpool = Some(Whirlpool(sum.into()));
    film
}

#[test]
fn bytes_that_differ_from_the_checksum_are_fetched_once_more_and_then_never_given() {
    let house = House::new();
    let content = house.open();
    let verify = |film: &RemoteFile| house.runtime.block_on(content.verify(film)).unwrap();
    let film = with_checksum("film0", MIB + 3);
    assert_eq!(verify(&film), Verdict::Sound);
    assert_eq!(house.requests().len(), 1);
    let only = std::fs::read_dir(house.cache()).unwrap().next();
    let disk = File::options()
        .write(true)
        .open(only.unwrap().unwrap().path());
    disk.unwrap().write_all_at(&[0; 64], 5000).unwrap();
    assert_eq!(verify(&film), Verdict::Sound);
    assert!(house.requests().len() > 1);
    assert!(house.read(&content, &film, 0..film.size).unwrap() == expect(&film, 0..film.size));

    let mut other = with_checksum("film1", MIB);
    let right = other.whirlpool.replace(Whirlpool([7; 64]));
    assert_eq!(verify(&other), Verdict::Damaged);
    assert!(content.try_read(&other, 0, 10).is_none());
    let failed = house.read(&content, &other, 0..10).unwrap_err();
    assert!(matches!(failed, ContentError::Damaged(_)), "{failed}");
    let stats = content.stats();
    assert_eq!((stats.sound_files, stats.damaged_files), (1, 1));
    assert!(stats.check_nanos > 0);
    drop(content);
    // It is not forgotten, and can be mended.
    let content = house.open();
    assert!(house.read(&content, &other, 0..10).is_err());
    other.whirlpool = right;
    let mended = house.runtime.block_on(content.verify(&other)).unwrap();
    assert_eq!(mended, Verdict::Sound);
    assert!(house.read(&content, &other, 0..10).unwrap() == expect(&other, 0..10));
    assert_eq!(
        house
            .runtime
            .block_on(content.verify(&file("film2", 9)))
            .unwrap(),
        Verdict::Unknown
    );
}

#[test]
fn a_file_that_was_read_whole_is_checked_when_nothing_else_goes_on() {
    let mut house = House::new();
    house.options.check_every = Duration::from_millis(10);
    let content = house.open();
    let film = with_checksum("film0", MIB);
    house.read(&content, &film, 0..MIB).unwrap();
    house.runtime.block_on(async {
        let checked = async {
            while content.stats().sound_files == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), checked)
            .await
            .expect("it is checked");
    });
    assert_eq!(house.requests().len(), 1);
}

#[test]
fn pins_are_counted() {
    let house = House::new();
    let content = house.open();
    let id: FileId = "film0".parse().unwrap();
    let pin = content.pin(&id);
    assert!(content.is_pinned(&id));
    assert_eq!(content.stats().pinned_files, 1);
    drop(pin);
    assert!(!content.is_pinned(&id));
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        3 => Just(Trouble::None),
        1 => Just(Trouble::Down),
        1 => Just(Trouble::DeadLink),
        2 => (0u64..400_000).prop_map(Trouble::Break),
        1 => (0u64..400_000).prop_map(Trouble::End),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Several readers of several files, in sequence and at random, under
    /// faults, in a cache that is too small and is cleared meanwhile: whoever
    /// gets bytes gets the right ones.
    #[test]
    fn no_read_ever_gives_wrong_bytes(
        troubles in prop::collection::vec(trouble(), 0..60),
        cache_mib in prop_oneof![Just(0u64), Just(1), Just(3), Just(64)],
        readers in prop::collection::vec(
            (0usize..3, prop::collection::vec((0u64..5 * MIB, 1u64..700_000, any::<bool>()), 1..25)),
            1..6,
        ),
        clears in 0u64..4,
    ) {
        let mut house = House::new();
        house.options.cache_size = cache_mib * MIB;
        *house.fake.state.troubles.lock() = troubles.into();
        let content = house.open();
        let files = [file("film0", 5 * MIB + 3), file("film1", 2 * MIB), file("film2", 999)];
        let tasks: Vec<_> = readers.into_iter().map(|(which, reads)| {
            let (content, file) = (content.clone(), files[which].clone());
            house.runtime.spawn(async move {
                let mut next = 0;
                for (offset, len, sequential) in reads {
                    let start = (if sequential { next } else { offset }).min(file.size);
                    let range = start..(start + len).min(file.size);
                    // A file whose links fail again and again is an error, not bytes.
                    if let Ok(bytes) = content.read(&file, start, len as usize).await
                        && bytes != expect(&file, range.clone())
                    {
                        return Err(format!("{range:?} of {file:?}"));
                    }
                    next = range.end;
                }
                Ok(())
            })
        }).collect();
        for _ in 0..clears {
            std::thread::sleep(Duration::from_millis(3));
            content.clear();
        }
        for task in tasks {
            prop_assert_eq!(house.runtime.block_on(task).unwrap(), Ok(()));
        }
        house.settle(&content);
        prop_assert!(content.stats().cached_bytes <= house.options.cache_size);
        content.clear();
        prop_assert_eq!(content.stats().cached_bytes, 0);
    }
}
