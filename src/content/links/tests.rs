use std::ops::Range;
use std::sync::atomic::AtomicUsize;
use std::time::Instant as StdInstant;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use super::super::origin::Chunks;
use super::*;
use crate::store::Asked;

const HOUR: Duration = Duration::from_secs(3600);

/// Gives links that nothing is done with. One that is not needed now waits until it is
/// let go; if it is slow, all do.
struct Giver {
    slow: AtomicBool,
    now: AtomicUsize,
    soon: AtomicUsize,
    go: Arc<Semaphore>,
    refuses: AtomicBool,
}

struct Nothing;

impl Link for Nothing {
    fn open(&self, _: Range<u64>, _: u64) -> BoxFuture<'static, Result<Chunks, Fault>> {
        std::future::pending().boxed()
    }
}

impl Origin for Giver {
    fn link(
        &self,
        _: &FileId,
        need: Need,
        _: StdInstant,
    ) -> BoxFuture<'static, Result<Arc<dyn Link>, Fault>> {
        let count = match need {
            Need::Reader => &self.now,
            Need::Upload | Need::Nobody => &self.soon,
        };
        count.fetch_add(1, Ordering::SeqCst);
        let (go, refuses) = (Arc::clone(&self.go), self.refuses.load(Ordering::SeqCst));
        let waits = need != Need::Reader || self.slow.load(Ordering::SeqCst);
        async move {
            if waits {
                // Never closed.
                go.acquire().await.unwrap().forget();
            }
            match refuses {
                true => Err(Fault::Again(Reason::new(&"as told", ""))),
                false => Ok(Arc::new(Nothing) as Arc<dyn Link>),
            }
        }
        .boxed()
    }

    fn asked(&self, id: &FileId) -> Asked {
        Asked::file(id.as_str(), "")
    }
}

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("db")).unwrap();
    (dir, store)
}

struct House {
    _dir: tempfile::TempDir,
    giver: Arc<Giver>,
    links: Links,
    id: FileId,
}

impl House {
    fn new(life: LinkLife) -> House {
        let giver = Arc::new(Giver {
            slow: AtomicBool::new(false),
            now: AtomicUsize::new(0),
            soon: AtomicUsize::new(0),
            go: Arc::new(Semaphore::new(0)),
            refuses: AtomicBool::new(false),
        });
        let (dir, store) = store();
        House {
            _dir: dir,
            links: Links::new(life, giver.clone(), store, Arc::default()),
            giver,
            id: "film0".parse().unwrap(),
        }
    }

    /// Makes a request that gives bytes, and tells with which link.
    async fn read(&self) -> Arc<Issued> {
        let link = self.get().await;
        let nth = link.open();
        self.links.gave(&self.id, &link, nth);
        // What was begun meanwhile comes to where it waits.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        link
    }

    /// The link that a reader gets.
    async fn get(&self) -> Arc<Issued> {
        let deadline = Instant::now() + HOUR;
        let link = self.links.get(&self.id, Need::Reader, deadline).await;
        link.unwrap_or_else(|fault| panic!("{fault:?}"))
    }

    /// A request with the reader's link is refused.
    async fn refuse(&self) -> Refused {
        let link = self.get().await;
        let nth = link.open();
        self.links.refused(&self.id, &link, nth).await
    }

    /// Links asked for by who needed one now, and by who will need one.
    fn asked(&self) -> (usize, usize) {
        let count = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        (count(&self.giver.now), count(&self.giver.soon))
    }
}

/// A life near whose end every link in use is.
const OLD: LinkLife = LinkLife {
    to_open: HOUR,
    to_resume: HOUR,
    to_renew: Duration::ZERO,
    refused: HOUR,
};

#[test]
fn a_link_is_renewed_minutes_before_its_end() {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let life = LinkLife::new(minutes(4), minutes(25), HOUR);
    assert_eq!(life.to_renew, minutes(20));
}

#[tokio::test]
async fn the_link_of_an_active_reader_is_renewed_before_it_ends_and_nobody_waits_for_it() {
    let house = House::new(OLD);
    let first = house.read().await;
    for _ in 0..5 {
        assert!(Arc::ptr_eq(&house.read().await, &first));
    }
    assert_eq!(house.asked(), (1, 1), "asked for once, and not here yet");
    house.giver.go.add_permits(100);
    house.read().await;
    let second = house.read().await;
    assert!(!Arc::ptr_eq(&second, &first));
    for _ in 0..10 {
        house.read().await;
    }
    let (now, soon) = house.asked();
    assert_eq!(now, 1, "nobody waited");
    assert!(soon > 2);
}

#[tokio::test]
async fn where_the_renewal_fails_the_link_is_used_on_and_the_call_is_not_repeated() {
    let house = House::new(OLD);
    house.giver.go.add_permits(100);
    house.giver.refuses.store(true, Ordering::SeqCst);
    assert!(
        house
            .links
            .get(&house.id, Need::Reader, Instant::now() + HOUR)
            .await
            .is_err()
    );
    house.giver.refuses.store(false, Ordering::SeqCst);
    let first = house.read().await;
    house.giver.refuses.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        assert!(Arc::ptr_eq(&house.read().await, &first));
    }
    assert_eq!(house.asked(), (2, 1));
}

#[tokio::test]
async fn a_link_that_was_replaced_meanwhile_stays() {
    let house = House::new(OLD);
    let first = house.read().await;
    house.read().await;
    // Its renewal is under way, and it fails.
    assert_eq!(house.refuse().await, Refused::InDoubt);
    assert!(Arc::ptr_eq(&house.get().await, &first));
    assert_eq!(house.refuse().await, Refused::Replaced);
    let second = house.read().await;
    house.giver.go.add_permits(1);
    assert!(Arc::ptr_eq(&house.read().await, &second));
    assert!(Arc::ptr_eq(&house.read().await, &second));
}

/// A life that nothing of these tests outlasts.
fn young() -> LinkLife {
    LinkLife::new(HOUR, HOUR, HOUR)
}

#[tokio::test]
async fn a_refusal_that_the_next_link_meets_too_costs_no_third_and_teaches_nothing() {
    let house = House::new(young());
    // All connections are taken, again and again, and free in between.
    for round in 0..8 {
        house.read().await;
        house.read().await;
        assert_eq!(house.refuse().await, Refused::InDoubt);
        assert_eq!(house.refuse().await, Refused::Replaced);
        for _ in 0..5 {
            assert_eq!(house.refuse().await, Refused::NoFault);
        }
        assert_eq!(house.asked(), (round + 2, 0));
        house.read().await;
        assert!(!house.links.are_single());
    }
}

#[tokio::test]
async fn a_link_that_was_refused_once_and_gives_bytes_again_is_kept() {
    let house = House::new(young());
    for _ in 0..5 {
        house.read().await;
        assert_eq!(house.refuse().await, Refused::InDoubt);
    }
    assert_eq!(house.asked(), (1, 0));
    assert!(!house.links.are_single());
}

#[tokio::test]
async fn links_that_give_bytes_to_their_first_request_alone_are_found_out() {
    let house = House::new(young());
    for _ in 0..WORN {
        assert!(!house.links.are_single());
        house.read().await;
        assert_eq!(house.refuse().await, Refused::InDoubt);
        assert_eq!(house.refuse().await, Refused::Replaced);
    }
    house.read().await;
    assert!(house.links.are_single());
}

#[tokio::test]
async fn a_reader_does_not_wait_for_a_link_that_nobody_waits_for() {
    let house = House::new(young());
    let get = |need| house.links.get(&house.id, need, Instant::now() + HOUR);
    let mut later = [Box::pin(get(Need::Nobody)), Box::pin(get(Need::Upload))];
    for asked in &mut later {
        assert!(asked.now_or_never().is_none());
    }
    let first = house.read().await;
    assert_eq!(
        house.asked(),
        (1, 1),
        "one call for all who are in no hurry"
    );
    house.giver.go.add_permits(1);
    for asked in later {
        let link = asked.await.unwrap_or_else(|fault| panic!("{fault:?}"));
        assert!(Arc::ptr_eq(&link, &first));
    }
    assert_eq!(house.asked(), (1, 1));
}

#[tokio::test]
async fn who_is_in_no_hurry_waits_for_the_link_that_a_reader_asked_for() {
    let house = House::new(young());
    house.giver.slow.store(true, Ordering::SeqCst);
    let get = |need| house.links.get(&house.id, need, Instant::now() + HOUR);
    let needs = [Need::Reader, Need::Nobody, Need::Upload, Need::Reader];
    let mut asked = needs.map(|need| Box::pin(get(need)));
    for asked in &mut asked {
        assert!(asked.now_or_never().is_none());
    }
    assert_eq!(house.asked(), (1, 0), "one call for all");
    house.giver.go.add_permits(1);
    let mut links = Vec::new();
    for asked in asked {
        links.push(asked.await.unwrap_or_else(|fault| panic!("{fault:?}")));
    }
    assert!(links.iter().all(|link| Arc::ptr_eq(link, &links[0])));
    // The call is over, so the next one is not taken for it.
    assert!(house.links.readers_ask.lock().is_empty());
}

/// Says of every file that it is gone.
struct Empty(AtomicUsize);

impl Origin for Empty {
    fn link(
        &self,
        _: &FileId,
        _: Need,
        _: StdInstant,
    ) -> BoxFuture<'static, Result<Arc<dyn Link>, Fault>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let gone = ContentError::Gone(Reason::new(&"gone", ""));
        async move { Err(Fault::Final(gone)) }.boxed()
    }

    fn asked(&self, id: &FileId) -> Asked {
        Asked::file(id.as_str(), "")
    }
}

#[tokio::test]
async fn of_a_file_that_is_gone_nobody_asks_for_a_link_again_nor_after_a_restart() {
    let empty = Arc::new(Empty(AtomicUsize::new(0)));
    let (_dir, store) = store();
    for id in ["film0", "film0", "film1", "film0"] {
        // A process for each.
        let links = Links::new(OLD, empty.clone(), store.clone(), Arc::default());
        let id = id.parse().unwrap();
        let deadline = Instant::now() + HOUR;
        let outcome = links.get(&id, Need::Reader, deadline).await;
        let gone = matches!(outcome, Err(Fault::Final(ContentError::Gone(_))));
        assert!(gone);
    }
    assert_eq!(empty.0.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_link_that_nobody_used_is_not_renewed() {
    let house = House::new(OLD);
    for _ in 0..3 {
        house.get().await;
    }
    tokio::task::yield_now().await;
    assert_eq!(house.asked(), (1, 0));
}
