//! The tree over the simulator, without a kernel: what is listed, how often, and
//! what is said meanwhile.

use std::ffi::OsStr;
use std::time::{Duration, Instant};

use fichierfs::api::{Api, ApiConfig, Class, Endpoints, Limits, Pace};
use fichierfs::config::{AddressFamily, ApiKey, KeyStore};
use fichierfs::ids::{Ino, Time};
use fichierfs::sim::{self, Fault, FaultKind, Overlong, Quirks, SimConfig, Simulator};
use fichierfs::store::Store;
use fichierfs::tree::refresh::{RefreshError, Refresher};
use fichierfs::tree::{Lookup, Node, ROOT, Tree};
use jiff::Timestamp;
use tokio::runtime::Handle;

const SCALE: f64 = 100.0;

/// A wait that does not end is a failure, not a hang.
const PATIENCE: Duration = Duration::from_secs(60);

struct House {
    sim: Simulator,
    tree: Tree,
    refresher: Refresher,
    api: Api,
    _dir: tempfile::TempDir,
}

impl House {
    async fn new() -> House {
        House::with_max_age(Duration::from_secs(600)).await
    }

    async fn with_max_age(max_age: Duration) -> House {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sim = Simulator::start(SimConfig {
            time_scale: SCALE,
            ..SimConfig::default()
        })
        .await
        .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let limits = Limits::scaled(SCALE);
        let api = Api::new(ApiConfig {
            endpoints: Endpoints::new(&sim.api_url(), &sim.site_url()).unwrap(),
            keys: KeyStore::new(ApiKey::new(sim::DEFAULT_KEY.to_owned()).unwrap()),
            pace: Pace::open(&dir.path().join("pace"), limits.clone()).unwrap(),
            limits: limits.clone(),
            address_family: AddressFamily::Ipv4,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(5),
        })
        .unwrap();
        let store = Store::open(&dir.path().join("db")).unwrap();
        let tree = Tree::new(store, limits.listing_lag);
        let (changes, _) = tokio::sync::mpsc::unbounded_channel();
        let refresher = Refresher::new(
            tree.clone(),
            api.clone(),
            max_age,
            changes,
            Handle::current(),
        );
        House {
            sim,
            tree,
            refresher,
            api,
            _dir: dir,
        }
    }

    /// As after a restart.
    fn another(&self) -> Refresher {
        let (changes, _) = tokio::sync::mpsc::unbounded_channel();
        let api = self.api.clone();
        let age = Duration::from_secs(600);
        Refresher::new(self.tree.clone(), api, age, changes, Handle::current())
    }

    async fn list(&self, folder: Ino) {
        let deadline = Instant::now() + PATIENCE;
        self.refresher.ensure_known(folder, deadline).await.unwrap();
    }

    async fn refresh(&self, folder: Ino) {
        let deadline = Instant::now() + PATIENCE;
        self.refresher
            .refresh_since(folder, Time::now(), Class::Interactive, deadline)
            .await
            .unwrap();
    }

    fn look_up(&self, parent: Ino, name: &str) -> Lookup {
        self.tree.lookup(parent, OsStr::new(name)).unwrap()
    }

    fn get(&self, parent: Ino, name: &str) -> Node {
        match self.look_up(parent, name) {
            Lookup::Exists(node) => *node,
            other => panic!("{name}: {other:?}"),
        }
    }

    fn count(&self, folder: Ino) -> usize {
        self.tree.children(folder, Ino(0), 100_000).unwrap().len()
    }

    async fn eventually(&self, what: &str, mut done: impl FnMut() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done() {
            assert!(Instant::now() < end, "waited in vain: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn assert_well_behaved(&self) {
        let report = self.sim.report();
        assert!(
            report.violation_count() == 0 && report.locks == 0,
            "{report:#?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_the_service_refuses_to_list_whole_is_seen_in_slices() {
    let house = House::new().await;
    let refuse = |quirks: &mut Quirks| quirks.overlong_listing = Overlong::Refuse;
    house.sim.change_quirks(refuse);
    let start: Timestamp = "2026-10-24T23:30:00Z".parse().unwrap();
    let files = (0..7_000_i64).map(|n| {
        let date = start + jiff::SignedDuration::from_secs(n * 3);
        (format!("file-{n:04}"), date)
    });
    let account = house.sim.account();
    account.add_dated("big", files).unwrap();
    account.add_file("big/inner/x", b"x").unwrap();
    house.list(ROOT).await;
    let big = house.get(ROOT, "big").ino;
    // Who looks is told the refusal; behind it the folder is listed without its files.
    let deadline = Instant::now() + PATIENCE;
    let refused = house.refresher.ensure_known(big, deadline).await;
    assert!(matches!(refused, Err(RefreshError::Api(_))), "{refused:?}");
    house
        .eventually("its sub-folders", || {
            matches!(house.look_up(big, "inner"), Lookup::Exists(_))
        })
        .await;
    assert_eq!(house.look_up(big, "never there"), Lookup::Unknown);
    house
        .eventually("the whole folder", || house.count(big) == 7_001)
        .await;
    house
        .eventually("that it is known whole", || {
            house.look_up(big, "never there") == Lookup::Gone
        })
        .await;
    house.assert_well_behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_folder_is_listed_without_its_files_they_are_asked_for_by_themselves() {
    let house = House::new().await;
    house
        .sim
        .change_quirks(|quirks| quirks.ignores_files_flag = true);
    let account = house.sim.account();
    account.add_file("d/a", b"1").unwrap();
    account.add_file("d/inner/b", b"2").unwrap();
    account.add_file("top", b"3").unwrap();
    // Nobody is told that it is empty while its files are still to come.
    let soon = Instant::now() + Duration::from_millis(50);
    let early = house.refresher.ensure_known(ROOT, soon).await;
    assert!(matches!(early, Err(RefreshError::TimedOut)), "{early:?}");
    assert_eq!(house.look_up(ROOT, "top"), Lookup::Unknown);
    house
        .eventually("the root", || house.look_up(ROOT, "x") == Lookup::Gone)
        .await;
    let d = house.get(ROOT, "d").ino;
    house.list(d).await;
    assert!(matches!(house.look_up(d, "a"), Lookup::Exists(_)));
    assert!(matches!(house.look_up(ROOT, "top"), Lookup::Exists(_)));
    house.list(house.get(d, "inner").ino).await;
    let report = house.sim.report();
    let calls = |script| report.calls_of(script);
    assert_eq!((calls("folder/ls"), calls("file/ls")), (3, 3));
    // What goes is seen to go.
    account.delete("d/a").unwrap();
    house.refresh(d).await;
    assert_eq!(house.look_up(d, "a"), Lookup::Gone);
    house.assert_well_behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_refused_is_not_asked_for_again_after_a_restart() {
    let house = House::new().await;
    house.sim.account().add_file("closed/x", b"x").unwrap();
    let folder = house.sim.account().folder_id("closed").unwrap();
    house.list(ROOT).await;
    let closed = house.get(ROOT, "closed").ino;
    let ko = FaultKind::Ko {
        message: "Resource not allowed #631".to_owned(),
        status: 403,
    };
    let faults = house.sim.faults();
    faults.add(Fault::new("folder/ls", ko).always().only(folder));
    let look = async |refresher: &Refresher| {
        let deadline = Instant::now() + PATIENCE;
        refresher.ensure_known(closed, deadline).await.unwrap_err()
    };
    let first = look(&house.refresher).await;
    assert!(matches!(first, RefreshError::Api(_)), "{first}");
    let calls = house.sim.report().api_calls;
    let again = house.another();
    let second = look(&again).await;
    assert!(
        matches!(&second, RefreshError::Refused(said) if said.contains("631")),
        "{second}"
    );
    assert_eq!(house.sim.report().api_calls, calls);
    // Who wants to know it again is told the truth.
    faults.clear();
    let deadline = Instant::now() + PATIENCE;
    let since = Time::now();
    again
        .refresh_since(closed, since, Class::Interactive, deadline)
        .await
        .unwrap();
    house.get(closed, "x");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_beyond_the_cap_is_completed_in_slices() {
    let house = House::new().await;
    // A third of them in the hour that the clocks repeat, in both passes.
    let start: Timestamp = "2026-10-24T23:30:00Z".parse().unwrap();
    let files = (0..7_000_i64).map(|n| {
        let date = start + jiff::SignedDuration::from_secs(n * 3);
        (format!("file-{n:04}"), date)
    });
    house.sim.account().add_dated("big", files).unwrap();
    house.list(ROOT).await;
    let big = house.get(ROOT, "big").ino;
    house.list(big).await;
    assert_eq!(house.count(big), 5_000);
    assert_eq!(house.look_up(big, "never there"), Lookup::Unknown);
    // Another look at an unknown name asks for nothing, and waits for what cannot come in
    // time no more.
    let calls = house.sim.report().api_calls;
    house.list(big).await;
    house.refresher.ensure_whole(big, Instant::now()).await;
    assert_eq!(house.look_up(big, "never there"), Lookup::Unknown);
    house
        .eventually("the first question", || {
            let under_way = house.refresher.completing();
            under_way.iter().all(|(_, progress)| progress.left > 0)
        })
        .await;
    while house.look_up(big, "never there") == Lookup::Unknown {
        let deadline = Instant::now() + PATIENCE;
        house.refresher.ensure_whole(big, deadline).await;
    }
    assert_eq!(house.look_up(big, "never there"), Lookup::Gone);
    assert_eq!(house.count(big), 7_000);
    let slices = house.sim.report().api_calls - calls;
    assert!(slices <= 6, "{slices} calls for 7,000 files");
    house
        .eventually("the end", || house.refresher.completing().is_empty())
        .await;
    house.assert_well_behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_shows_what_changed_before_it_even_if_a_listing_was_under_way() {
    let house = House::new().await;
    let account = house.sim.account();
    account.add_file("old", b"1").unwrap();
    house.list(ROOT).await;
    for n in 0..3 {
        // Under way while the change happens.
        house.refresher.again(ROOT);
        let name = format!("new-{n}");
        account.add_file(&name, b"2").unwrap();
        house.refresh(ROOT).await;
        house.get(ROOT, &name);
    }
    account.delete("old").unwrap();
    account.rename("new-0", "renamed").unwrap();
    account.move_into("new-1", "folder").unwrap();
    let before = house.get(ROOT, "new-2");
    let id = account.replace("new-2", b"other").unwrap();
    house.refresh(ROOT).await;
    assert_eq!(house.look_up(ROOT, "old"), Lookup::Gone);
    assert_eq!(house.look_up(ROOT, "new-0"), Lookup::Gone);
    house.get(ROOT, "renamed");
    assert_eq!(house.look_up(ROOT, "new-1"), Lookup::Gone);
    let after = house.get(ROOT, "new-2");
    assert_ne!(before.ino, after.ino, "other bytes are another file");
    assert_eq!(after.remote.rid(), Some(id));
    house.list(house.get(ROOT, "folder").ino).await;
    house.get(house.get(ROOT, "folder").ino, "new-1");
    house.assert_well_behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_the_service_does_not_know_is_asked_for_once_and_its_parent_tells() {
    let house = House::new().await;
    let account = house.sim.account();
    account.add_file("gone/a", b"1").unwrap();
    account.add_file("stays", b"1").unwrap();
    house.list(ROOT).await;
    let gone = house.get(ROOT, "gone");
    account.delete("gone").unwrap();
    let deadline = Instant::now() + PATIENCE;
    assert!(
        house
            .refresher
            .ensure_known(gone.ino, deadline)
            .await
            .is_err()
    );
    house
        .eventually("the parent's listing", || {
            house.look_up(ROOT, "gone") == Lookup::Gone
        })
        .await;
    let failing = || house.sim.report().failing.values().sum::<u64>();
    assert_eq!(failing(), 1);
    // Whoever looks again by what he holds of it costs nothing.
    for _ in 0..3 {
        let deadline = Instant::now() + PATIENCE;
        let again = house.refresher.ensure_known(gone.ino, deadline).await;
        assert!(again.is_err());
        house.refresher.doubt(gone.ino, gone.ino);
    }
    house.refresh(ROOT).await;
    assert_eq!(failing(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn slices_outlast_answers_that_cannot_be_read() {
    let house = House::new().await;
    let start: Timestamp = "2026-05-01T00:00:00Z".parse().unwrap();
    let files = (0..5_500_i64).map(|n| {
        let date = start + jiff::SignedDuration::from_secs(n);
        (format!("file-{n:04}"), date)
    });
    house.sim.account().add_dated("big", files).unwrap();
    house.list(ROOT).await;
    let big = house.get(ROOT, "big").ino;
    house
        .sim
        .faults()
        .add(Fault::new("file/ls", FaultKind::CorruptJson).times(1));
    house.list(big).await;
    house
        .eventually("the whole folder", || {
            house.look_up(big, "never there") == Lookup::Gone
        })
        .await;
    assert_eq!(house.count(big), 5_500);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_refresh_shows_while_slices_come_in_is_not_taken_for_missing() {
    let house = House::new().await;
    let start: Timestamp = "2026-05-01T00:00:00Z".parse().unwrap();
    let files = (0..5_500_i64).map(|n| {
        let date = start + jiff::SignedDuration::from_secs(n);
        (format!("file-{n:04}"), date)
    });
    let account = house.sim.account();
    account.add_dated("big", files).unwrap();
    house.list(ROOT).await;
    let big = house.get(ROOT, "big").ino;
    house.list(big).await;
    // Of a date whose slice may have been asked for by now.
    for n in 0..20 {
        let date = start - jiff::SignedDuration::from_secs(n);
        account
            .add_dated("big", [(format!("late-{n}"), date)])
            .unwrap();
    }
    house.refresh(big).await;
    let shown = || {
        let all = house.tree.children(big, Ino(0), 100_000).unwrap();
        let late = |node: &Node| {
            let name = node
                .place
                .as_ref()
                .map(|p| p.name.to_string_lossy().into_owned());
            name.is_some_and(|name| name.starts_with("late-"))
        };
        all.into_iter().filter(late).count()
    };
    let before = shown();
    assert!(before > 0);
    house
        .eventually("the end", || house.refresher.completing().is_empty())
        .await;
    assert!(
        shown() >= before,
        "{before} were shown, {} are left",
        shown()
    );
    house.assert_well_behaved();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_lists_each_folder_once_and_again_what_could_not_be_read() {
    let house = House::new().await;
    let account = house.sim.account();
    for n in 0..12 {
        account.add_file(&format!("d{n}/sub/a"), b"1").unwrap();
    }
    house.list(ROOT).await;
    let d0 = house.get(ROOT, "d0").ino;
    house.list(d0).await;
    // After what is known was listed.
    account.add_file("d0/late/b", b"2").unwrap();
    account.delete("d1").unwrap();
    let broken = Fault::new("folder/ls", FaultKind::CorruptJson).times(1);
    house.sim.faults().add(broken);
    let calls = || house.sim.report().calls_of("folder/ls");
    let before = calls();
    let walk = parking_lot::Mutex::default();
    house.refresher.walk(ROOT, Class::Refresh, &walk).await;
    let walk = walk.into_inner();
    assert!(walk.failed.is_empty(), "{walk:?}");
    // The root, eleven folders with one in each, and the late one.
    assert_eq!((walk.folders, walk.done), (24, 24));
    assert_eq!(
        calls() - before,
        25,
        "and one more for what could not be read"
    );
    let late = house.get(d0, "late").ino;
    house.get(late, "b");
    assert_eq!(house.look_up(ROOT, "d1"), Lookup::Gone);
    house.assert_well_behaved();
}
