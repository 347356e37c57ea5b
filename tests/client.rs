//! The client of the service against the simulator: every call that it can make,
//! with the limits of the service in force, and not one offence against them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use fichierfs::api::{
    AddressFamily, Api, ApiConfig, ApiError, Ask, Attributes, Class, DateWindow, Endpoints, Fate,
    Offer, Pace, Share, UploadForm, UploadOutcome, UploadPart, UploadTicket,
};
use fichierfs::config::{ApiKey, KeyStore, Password, Value};
use fichierfs::ids::{FileId, FolderId};
use fichierfs::sim::{self, Limits, SimConfig, Simulator, SyntheticTree};
use futures_util::{StreamExt, TryStreamExt, stream};

/// How many times as fast as the real service.
const SCALE: f64 = 50.0;

struct World {
    sim: Simulator,
    dir: tempfile::TempDir,
    api: Api,
}

impl World {
    async fn new(config: SimConfig) -> World {
        let config = SimConfig {
            time_scale: SCALE,
            ..config
        };
        let sim = Simulator::start(config).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let api = client(&sim, &dir);
        World { sim, dir, api }
    }

    /// Ends with not one offence.
    fn blameless(&self) {
        let report = self.sim.report();
        assert_eq!(report.violation_count(), 0, "{:#?}", report.violations);
        assert_eq!((report.locks, report.bans, report.key_leaks), (0, 0, 0));
    }
}

/// A client as one process has it; those of one folder share their pace.
fn client(sim: &Simulator, dir: &tempfile::TempDir) -> Api {
    let endpoints = Endpoints::new(&sim.api_url(), &sim.site_url()).unwrap();
    let limits = endpoints.limits(SCALE).unwrap();
    Api::new(ApiConfig {
        endpoints,
        keys: KeyStore::new(ApiKey::new(sim::DEFAULT_KEY.to_owned()).unwrap()),
        pace: Pace::open(&dir.path().join("pace.json"), limits.clone()).unwrap(),
        limits,
        address_family: AddressFamily::Auto,
        connect_timeout: Duration::from_secs(5),
        read_timeout: Duration::from_secs(5),
    })
    .unwrap()
}

/// With all the time in the world: what is tested is that walls hold, not deadlines.
fn patient() -> Ask {
    Ask::until(Class::Upload, Instant::now() + Duration::from_secs(60))
}

fn part(name: &str, content: &'static [u8]) -> UploadPart {
    UploadPart {
        name: name.to_owned(),
        len: content.len() as u64,
        body: stream::iter([Ok(Bytes::from_static(content))]).boxed(),
    }
}

/// Asks for a result until there is one.
async fn result(api: &Api, ticket: &UploadTicket) -> UploadOutcome {
    for _ in 0..200 {
        match api.upload_result(ticket).await.unwrap() {
            UploadOutcome::Pending => tokio::time::sleep(Duration::from_millis(20)).await,
            outcome => return outcome,
        }
    }
    UploadOutcome::Pending
}

async fn bytes(api: &Api, id: &FileId, range: std::ops::Range<u64>, size: u64) -> Vec<u8> {
    let link = api.download_token(id, patient()).await.unwrap();
    let stream = api.open_range(&link, range, size).await.unwrap();
    let chunks: Vec<Bytes> = stream.try_collect().await.unwrap();
    chunks.concat()
}

#[tokio::test]
async fn a_file_goes_up_round_the_account_and_down() {
    let world = World::new(SimConfig {
        listing_lag: Duration::ZERO,
        end_delay: Duration::from_secs(2),
        ..SimConfig::default()
    })
    .await;
    let api = &world.api;
    let (folder, name) = api
        .make_folder(FolderId::ROOT, "été", patient())
        .await
        .unwrap();
    assert_eq!(name, "été");

    let node = api.upload_node(patient()).await.unwrap();
    let form = UploadForm {
        folder,
        parts: vec![part("né 1.txt", b"0123456789"), part("b.bin", b"xyz")],
    };
    let ticket = api.upload(&node, form).await.unwrap();
    let UploadOutcome::Links(files) = result(api, &ticket).await else {
        panic!("no links");
    };
    let file = files.iter().find(|file| file.name == "né 1.txt").unwrap();
    assert_eq!(file.size, 10);

    let listing = api.list_folder(folder, patient()).await.unwrap();
    assert_eq!((listing.name.as_str(), listing.files.len()), ("été", 2));
    let item = listing
        .files
        .iter()
        .find(|item| item.id == file.id)
        .unwrap();
    assert_eq!((item.size, item.checksum), (10, file.checksum));
    let age = jiff::Timestamp::now().duration_since(item.date.unwrap());
    assert!(age.abs() < jiff::SignedDuration::from_hours(24 * 365));

    assert_eq!(bytes(api, &file.id, 2..6, 10).await, b"2345");
    assert_eq!(bytes(api, &file.id, 0..10, 10).await, b"0123456789");

    let copies = api
        .copy_files(
            std::slice::from_ref(&file.id),
            FolderId::ROOT,
            Some("copy"),
            patient(),
        )
        .await
        .unwrap();
    assert_eq!(copies[0].from, file.id);
    let renamed = api
        .rename_files(&[(copies[0].to.clone(), "kopie".to_owned())], patient())
        .await
        .unwrap();
    assert_eq!(
        (&renamed[0].id, renamed[0].name.as_str()),
        (&copies[0].to, "kopie")
    );
    let moved = api
        .move_files(std::slice::from_ref(&copies[0].to), folder, patient())
        .await
        .unwrap();
    assert_eq!(moved, [copies[0].to.clone()]);
    let attributes = Attributes {
        description: Some("mine".to_owned()),
        ..Attributes::default()
    };
    let ids: Vec<_> = files.iter().map(|file| file.id.clone()).collect();
    assert_eq!(
        api.set_attributes(&ids, &attributes, patient())
            .await
            .unwrap(),
        2
    );
    let info = api.file_info(&file.id, patient()).await.unwrap();
    assert_eq!(
        (info.folder, info.description.as_str()),
        (Some(folder), "mine")
    );

    let (above, _) = api
        .make_folder(FolderId::ROOT, "above", patient())
        .await
        .unwrap();
    api.move_folder(folder, above, patient()).await.unwrap();
    api.rename_folder(folder, "hiver", patient()).await.unwrap();
    assert_eq!(world.sim.account().folder_id("above/hiver"), Some(folder.0));
    assert_eq!(
        world.sim.account().content("above/hiver/kopie").unwrap(),
        b"0123456789"
    );

    let full = api.remove_folder(folder, patient()).await.unwrap_err();
    assert!(matches!(full, ApiError::NotEmpty(_)), "{full}");
    let all: Vec<_> = ids.iter().chain([&copies[0].to]).cloned().collect();
    assert_eq!(api.remove_files(&all, patient()).await.unwrap().len(), 3);
    api.remove_folder(folder, patient()).await.unwrap();
    assert_eq!(world.sim.account().folder_id("above/hiver"), None);
    world.blameless();
}

#[tokio::test]
async fn windows_of_dates_the_account_and_public_folders() {
    let world = World::new(SimConfig::default()).await;
    let account = world.sim.account();
    account.add_file("f/a", b"1").unwrap();
    let api = &world.api;
    let folder = FolderId(account.folder_id("f").unwrap());

    let window = DateWindow {
        after: Some(jiff::civil::date(2001, 1, 1).at(0, 0, 0, 0)),
        before: None,
    };
    let all = api.list_all_files(window, patient()).await.unwrap();
    assert_eq!((all.files.len(), all.truncated), (1, false));
    let before = DateWindow {
        after: None,
        before: window.after,
    };
    let none = api.list_files(folder, before, patient()).await.unwrap();
    assert!(none.files.is_empty());

    let figures = api.account(patient()).await.unwrap();
    assert_eq!(figures.offer, Offer::Premium);
    assert!(!figures.upload_forbidden && figures.cold_allowed.is_some());

    let share = Share {
        public: true,
        password: Some("secret6".to_owned()),
        ..Share::default()
    };
    let link = api
        .share_folder(folder, &share, patient())
        .await
        .unwrap()
        .unwrap();
    let public = link.rsplit('/').next().unwrap();
    let locked = api.public_folder(public, None, patient()).await;
    assert!(matches!(locked, Err(ApiError::Password(_))), "{locked:?}");
    let files = api
        .public_folder(public, Password::read("secret6").as_ref(), patient())
        .await
        .unwrap()
        .files;
    assert_eq!((files[0].name.as_str(), files[0].size), ("a", 1));
    world.blameless();
}

#[tokio::test]
async fn two_processes_that_hurry_stay_within_the_documented_limits() {
    let world = World::new(SimConfig::default()).await;
    let account = world.sim.account();
    let folders: Vec<_> = (0..30)
        .map(|n| FolderId(account.add_folder(&format!("f{n}")).unwrap()))
        .collect();
    let other = client(&world.sim, &world.dir);
    let calls = folders.iter().enumerate().map(|(n, folder)| {
        let api = if n % 2 == 0 { &world.api } else { &other };
        api.list_folder(*folder, patient())
    });
    let listings = futures_util::future::join_all(calls).await;
    assert!(listings.iter().all(Result::is_ok));
    // And all of them once more, which the thirty seconds hold back.
    for folder in &folders[..3] {
        world.api.list_folder(*folder, patient()).await.unwrap();
    }
    assert_eq!(world.sim.report().calls_of("folder/ls"), 33);
    world.blameless();
}

#[tokio::test]
async fn at_the_observed_limits_one_lock_teaches_the_pace() {
    let world = World::new(SimConfig {
        limits: Limits::Observed,
        ..SimConfig::default()
    })
    .await;
    let tree = SyntheticTree {
        folders: vec![60],
        files: 1,
        size: 10,
        seed: 1,
    };
    world.sim.account().add_tree("", tree).unwrap();
    let root = world
        .api
        .list_folder(FolderId::ROOT, patient())
        .await
        .unwrap();
    for folder in root.folders {
        // A lock holds a listing back for some time; then it goes.
        while let Err(error) = world.api.list_folder(folder.id, patient()).await {
            assert!(matches!(error, ApiError::Flood { .. }), "{error}");
        }
    }
    let report = world.sim.report();
    assert!(report.locks <= 1 && report.bans == 0, "{report:#?}");
}

#[tokio::test]
async fn an_upload_that_the_service_refuses_is_not_stored() {
    let world = World::new(SimConfig::default()).await;
    world
        .sim
        .account()
        .profile(|profile| profile.config.quota = 5);
    let node = world.api.upload_node(patient()).await.unwrap();
    let form = UploadForm {
        folder: FolderId::ROOT,
        parts: vec![part("a", b"0123456789")],
    };
    let failure = world.api.upload(&node, form).await.unwrap_err();
    assert_eq!(failure.fate, Fate::NotStored);
    assert!(world.sim.account().file_paths().is_empty());
}
