//! Reading the service's bytes over HTTP, against the simulator: the client, the
//! pace and the content room together, under the faults of API notes 4.3.

use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use fichierfs::api::{AddressFamily, Api, ApiConfig, Class, Endpoints, Limits, Pace};
use fichierfs::config::{ApiKey, KeyStore};
use fichierfs::content::{Content, ContentError, ContentOptions, RemoteFile};
use fichierfs::sim::{
    self, Fault, FaultKind, LimitTable, Report, SimConfig, Simulator, synthetic_bytes,
};
use fichierfs::store::Store;
use proptest::prelude::*;

const MIB: u64 = 1 << 20;
const SCALE: f64 = 20.0;

struct World {
    dir: tempfile::TempDir,
    sim: Simulator,
    api: Api,
    content: Content,
}

impl World {
    async fn new(options: ContentOptions) -> World {
        World::at_scale(SCALE, options).await
    }

    /// A world whose clock runs `scale` times as fast.
    async fn at_scale(scale: f64, options: ContentOptions) -> World {
        let config = SimConfig {
            time_scale: scale,
            ..SimConfig::default()
        };
        World::with(config, options).await
    }

    /// A world whose service is like this.
    async fn with(config: SimConfig, options: ContentOptions) -> World {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let scale = config.time_scale;
        let sim = Simulator::start(config).await.unwrap();
        let limits = Limits::scaled(scale);
        let api = Api::new(ApiConfig {
            endpoints: Endpoints::new(&sim.api_url(), &sim.site_url()).unwrap(),
            keys: KeyStore::new(ApiKey::new(sim::DEFAULT_KEY.to_owned()).unwrap()),
            pace: Pace::open(&dir.path().join("pace"), limits.clone()).unwrap(),
            limits,
            address_family: AddressFamily::Ipv4,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(1),
        })
        .unwrap();
        let content = Content::open(
            api.clone(),
            Store::open(&dir.path().join("db")).unwrap(),
            &dir.path().join("cache"),
            options,
            tokio::runtime::Handle::current(),
        )
        .unwrap();
        content.keep(HashSet::new());
        World {
            dir,
            sim,
            api,
            content,
        }
    }

    fn film(&self, seed: u64, size: u64) -> RemoteFile {
        let path = format!("film-{seed}.bin");
        let id = self.sim.account().add_synthetic(&path, seed, size).unwrap();
        RemoteFile {
            id: id.parse().unwrap(),
            size,
            whirlpool: None,
        }
    }

    async fn read(&self, file: &RemoteFile, range: Range<u64>) -> Result<Bytes, ContentError> {
        let len = usize::try_from(range.end - range.start).unwrap();
        self.content.read(file, range.start, len).await
    }

    fn links(&self) -> u64 {
        self.sim.report().calls_of("download/get_token")
    }
}

fn options() -> ContentOptions {
    ContentOptions {
        retry_pause: Duration::from_millis(5),
        attention: Duration::from_millis(200),
        ..ContentOptions::default()
    }
}

fn expect(seed: u64, range: Range<u64>) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap()];
    synthetic_bytes(seed, range.start, &mut bytes);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_read_through_costs_one_link_and_each_byte_once() {
    // However slow the machine is, nobody is thought to have gone.
    let attention = Duration::from_secs(60);
    let world = World::new(ContentOptions {
        attention,
        ..options()
    })
    .await;
    let film = world.film(7, 30 * MIB + 11);
    let mut at = 0;
    while at < film.size {
        let end = film.size.min(at + MIB / 4);
        assert!(world.read(&film, at..end).await.unwrap() == expect(7, at..end));
        at = end;
    }
    let report = world.sim.report();
    assert_eq!(world.links(), 1);
    assert_eq!(report.bytes_down, film.size);
    assert_eq!(report.violation_count(), 0, "{:?}", report.violations);
    assert!(report.transfers.peak <= 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_a_download_is_repaired_without_the_reader_noticing() {
    let after_bytes = 300_000;
    let faults = [
        FaultKind::Status { status: 503 },
        FaultKind::Status { status: 403 },
        FaultKind::Status { status: 404 },
        FaultKind::Page,
        FaultKind::Redirect,
        FaultKind::TokenExpired,
        FaultKind::IgnoreRange,
        FaultKind::WrongContentRange { shift: 1 },
        FaultKind::Reset { after_bytes },
        FaultKind::Reset { after_bytes: 0 },
        FaultKind::Truncate { after_bytes },
        // Longer than the client waits for a stream that stands still.
        FaultKind::Stall {
            after_bytes,
            seconds: 3.0,
        },
    ];
    let world = World::new(options()).await;
    for (seed, kind) in (1..).zip(faults) {
        let film = world.film(seed, 2 * MIB);
        world.sim.faults().add(Fault::new("download", kind.clone()));
        let read = world.read(&film, 0..film.size).await;
        assert!(read.unwrap() == expect(seed, 0..film.size), "{kind:?}");
        assert_eq!(world.sim.faults().list(), [], "{kind:?} has struck");
    }
    let report = world.sim.report();
    assert_eq!(report.violation_count(), 0, "{:?}", report.violations);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_outlasts_the_lives_of_several_links() {
    // The half hour that a link serves is a second and a half.
    let world = World::at_scale(1200.0, options()).await;
    let film = world.film(3, 64 * MIB);
    let begun = std::time::Instant::now();
    let mut at = 0;
    while begun.elapsed() < Duration::from_secs(4) {
        // Far enough apart that each is a request.
        let range = at..at + 1000;
        assert!(world.read(&film, range.clone()).await.unwrap() == expect(3, range));
        at = (at + 5 * MIB) % film.size;
        world.content.clear();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(world.links() >= 3);
    let report = world.sim.report();
    assert_eq!(report.violation_count(), 0, "{:?}", report.violations);
}

/// Somebody else has all the connections that the service gives to an account.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_others_have_are_waited_for_and_nothing_is_made_of_it() {
    let table = LimitTable {
        connections: Some(2),
        ..LimitTable::documented()
    };
    let config = SimConfig {
        time_scale: SCALE,
        limits: sim::Limits::Custom(Box::new(table)),
        ..SimConfig::default()
    };
    let world = World::with(config, options()).await;
    let big = world.film(1, 200 * MIB);
    let film = world.film(2, 200 * MIB);
    let link = world
        .api
        .download_token(&big.id, Class::Interactive)
        .await
        .unwrap();
    for round in 0..4 {
        let at = round * 40 * MIB;
        let before = world.read(&film, at..at + 10).await;
        assert!(before.unwrap() == expect(2, at..at + 10));
        let mut others = Vec::new();
        for _ in 0..2 {
            let taken = loop {
                match world.api.open_range(&link, 0..big.size, big.size).await {
                    Ok(taken) => break taken,
                    // Our own has only just ended.
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            };
            others.push(taken);
        }
        let (content, wanted) = (world.content.clone(), film.clone());
        let at = at + 20 * MIB;
        let reading = tokio::spawn(async move { content.read(&wanted, at, 10).await });
        let refused = |report: &Report| report.violation_counts.get("transfers").copied();
        let before = refused(&world.sim.report());
        let enough = before.unwrap_or(0) + 4;
        while refused(&world.sim.report()).unwrap_or(0) < enough && !reading.is_finished() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drop(others);
        let read = reading.await.unwrap();
        assert!(read.unwrap() == expect(2, at..at + 10));
    }
    // One for the others, one for the film, and one each time that it was refused.
    assert!(world.links() <= 6, "{}", world.links());
    let links = world.links();
    for at in (5..195).step_by(10).map(|mib| mib * MIB) {
        let read = world.read(&film, at..at + 10).await;
        assert!(read.unwrap() == expect(2, at..at + 10));
    }
    assert!(world.links() <= links + 1, "each request gets a link");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_gone_and_nobody_waits_for_leave_a_reader_his_failing_calls() {
    let world = World::at_scale(1.0, options()).await;
    let film = world.film(0, MIB);
    let gone: Vec<RemoteFile> = (1..7).map(|seed| world.film(seed, MIB)).collect();
    for seed in 1..7 {
        let name = format!("film-{seed}.bin");
        world.sim.account().delete(&name).unwrap();
    }
    for file in &gone {
        assert!(world.content.fill(file).await.is_err());
    }
    let report = world.sim.report();
    assert_eq!(report.failing.get(&404), Some(&3));
    let read = world.read(&film, 0..10).await;
    assert!(read.unwrap() == expect(0, 0..10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_says_so_and_is_not_asked_for_again() {
    let world = World::new(options()).await;
    let film = world.film(1, MIB);
    world.sim.account().delete("film-1.bin").unwrap();
    for _ in 0..3 {
        let failed = world.read(&film, 0..10).await.unwrap_err();
        assert!(matches!(failed, ContentError::Gone(_)), "{failed}");
    }
    assert_eq!(world.links(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_size_that_is_wrong_gives_an_error_and_no_bytes() {
    let world = World::new(ContentOptions {
        data_deadline: Duration::from_millis(500),
        ..options()
    })
    .await;
    let film = world.film(1, MIB);
    let longer = RemoteFile {
        size: 2 * MIB,
        ..film
    };
    assert!(world.read(&longer, 0..10).await.is_err());
}

/// A fault of a download, at random, with how often it strikes.
fn fault() -> impl Strategy<Value = (FaultKind, f64)> {
    let after = || 0u64..400_000;
    let kind = prop_oneof![
        prop_oneof![Just(403), Just(404), Just(503)]
            .prop_map(|status| FaultKind::Status { status }),
        Just(FaultKind::Page),
        Just(FaultKind::Redirect),
        Just(FaultKind::TokenExpired),
        Just(FaultKind::IgnoreRange),
        prop_oneof![-5i64..0, 1i64..5].prop_map(|shift| FaultKind::WrongContentRange { shift }),
        after().prop_map(|after_bytes| FaultKind::Reset { after_bytes }),
        after().prop_map(|after_bytes| FaultKind::Truncate { after_bytes }),
        after().prop_map(|after_bytes| FaultKind::Stall {
            after_bytes,
            seconds: 0.5,
        }),
    ];
    (kind, 0.02f64..0.2)
}

/// What a reader does: where it jumps to, if it does, and how much it reads.
type Step = (Option<u64>, u64);

const PLAN_SIZE: u64 = 8 * MIB + 123;

fn plan() -> impl Strategy<Value = Vec<Step>> {
    let step = (prop::option::weighted(0.3, 0..PLAN_SIZE), 1..MIB);
    prop::collection::vec(step, 1..30)
}

/// Reads as planned. A read that fails is tried again, as a program or person would.
async fn follow(content: Content, film: RemoteFile, seed: u64, plan: Vec<Step>) {
    let mut next = 0;
    for (jump, len) in plan {
        next = jump.unwrap_or(next);
        let range = next..film.size.min(next + len);
        let len = usize::try_from(range.end - range.start).unwrap();
        let mut tries = 0;
        let bytes = loop {
            match content.read(&film, next, len).await {
                Ok(bytes) => break bytes,
                Err(error) => {
                    tries += 1;
                    assert!(tries < 20, "{error}");
                }
            }
        };
        assert!(bytes == expect(seed, range.clone()), "{range:?}");
        next = range.end % film.size;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn readers_at_random_under_faults_at_random_get_the_right_bytes_from_a_small_cache(
        faults in prop::collection::vec(fault(), 0..4),
        plans in prop::collection::vec(plan(), 1..6),
        cache in prop_oneof![Just(0), Just(3 * MIB), Just(6 * MIB)],
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let world = World::new(ContentOptions {
                cache_size: cache,
                connections: 4,
                hedge_after: Duration::from_millis(50),
                ..options()
            })
            .await;
            let films = [world.film(1, PLAN_SIZE), world.film(2, PLAN_SIZE)];
            for (kind, probability) in faults {
                let fault = Fault::new("download", kind).always();
                world.sim.faults().add(fault.probability(probability));
            }
            let readers = (0..).zip(plans).map(|(reader, plan)| {
                let film = films[reader % 2].clone();
                tokio::spawn(follow(world.content.clone(), film, reader as u64 % 2 + 1, plan))
            });
            for reader in readers.collect::<Vec<_>>() {
                reader.await.unwrap();
            }
            assert!(world.content.stats().cached_bytes <= cache);
            let report = world.sim.report();
            assert_eq!(report.violation_count(), 0, "{:?}", report.violations);
            drop(world.dir);
        });
    }
}
