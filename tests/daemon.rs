//! The life of a daemon over real mounts of the simulator: start, hand-over,
//! drain, restart. Needs /dev/fuse, and root or fusermount3.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fichierfs::config::{ApiKey, Layers, Paths, resolve};
use fichierfs::control::protocol::{Parting, Phase};
use fichierfs::control::{Controlled, RefusalKind};
use fichierfs::daemon::{self, Running, Secrets, Setup, StartError};
use fichierfs::fuse::{MountError, mountinfo};
use fichierfs::sim::{Fault, FaultKind, SimConfig, Simulator};

/// An end that does not come is a failure, not a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many times as fast as the real service all is.
const SPEED: f64 = 20.0;

/// A simulator and the folders of one user.
struct House {
    simulator: Simulator,
    dir: tempfile::TempDir,
}

impl House {
    async fn new() -> House {
        let config = SimConfig {
            time_scale: SPEED,
            ..SimConfig::default()
        };
        let dir = tempfile::tempdir().unwrap();
        for name in ["one", "two"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        House {
            simulator: Simulator::start(config).await.unwrap(),
            dir,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn setup(&self, mountpoint: &str, more: &[(&'static str, &str)]) -> Setup {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let mut flags = vec![
            ("api_url", self.simulator.api_url()),
            ("site_url", self.simulator.site_url()),
            ("limits_scale", SPEED.to_string()),
            ("state_dir", text(self.at("state"))),
            ("cache_dir", text(self.at("cache"))),
            // Longer than any test: what is queued stays so until it is asked for.
            ("write_back", "1h".to_owned()),
        ];
        flags.extend(
            more.iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        let layers = Layers {
            flags,
            ..Layers::default()
        };
        let settings = resolve(&layers).unwrap().settings;
        Setup {
            paths: Paths::new(&settings, None).unwrap(),
            settings,
            secrets: Secrets {
                key: Some(ApiKey::new(self.simulator.key().to_owned()).unwrap()),
                ..Secrets::default()
            },
            mountpoint: self.at(mountpoint),
            kernel_options: Vec::new(),
            messenger: None,
            reread: None,
        }
    }

    async fn start(&self, mountpoint: &str) -> Running {
        daemon::start(self.setup(mountpoint, &[])).await.unwrap()
    }

    async fn refusal(&self, setup: Setup) -> StartError {
        match daemon::start(setup).await {
            Ok(_) => panic!("it started"),
            Err(error) => error,
        }
    }

    fn is_mounted(&self, name: &str) -> bool {
        let path = self.at(name).canonicalize().unwrap();
        let mounts = mountinfo::current().unwrap();
        mountinfo::top_at(&mounts, &path).is_some()
    }
}

/// Files are touched on other threads than those that answer for them.
async fn off<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let work = tokio::task::spawn_blocking(work);
    tokio::time::timeout(PATIENCE, work).await.unwrap().unwrap()
}

async fn write(path: PathBuf, text: &'static str) {
    off(move || std::fs::write(path, text)).await.unwrap();
}

async fn read(path: PathBuf) -> String {
    off(move || std::fs::read_to_string(path)).await.unwrap()
}

/// umount(8), as somebody else. It does not wait for a file that was just closed here:
/// a child that another test is about to start holds it until its exec.
async fn unmount_from_outside(path: &Path) {
    let path = path.to_owned();
    let umount = move || Command::new("umount").arg(&path).output();
    let unmounted = off(move || {
        let end = Instant::now() + PATIENCE;
        loop {
            let output = umount().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            if output.status.success() || !said.contains("busy") || Instant::now() > end {
                return (output.status.success(), said);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    })
    .await;
    assert!(unmounted.0, "{}", unmounted.1);
}

async fn ended(running: &mut Running) -> daemon::Ended {
    tokio::time::timeout(PATIENCE, running.ended())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_works_off_the_queue_or_leaves_it_for_the_next_mount() {
    let house = House::new().await;
    let mut running = house.start("one").await;
    write(house.at("one/a.txt"), "first").await;
    assert_eq!(running.handle().backlog().unwrap().uploads, 1);
    let end = running.stop(Parting::Leave).await.unwrap();
    assert_eq!((end.left.uploads, end.failure), (1, None));
    assert!(!house.is_mounted("one"));
    assert!(house.simulator.account().file_paths().is_empty());

    let mut running = house.start("two").await;
    assert_eq!(read(house.at("two/a.txt")).await, "first");
    let end = running.stop(Parting::Drain).await.unwrap();
    assert_eq!(end.left.total(), 0);
    let content = house.simulator.account().content("a.txt").unwrap();
    assert_eq!(content, b"first");
    assert!(house.simulator.report().violations.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unmount_from_outside_drains_and_ends() {
    let house = House::new().await;
    let mut running = house.start("one").await;
    write(house.at("one/a.txt"), "text").await;
    unmount_from_outside(&house.at("one")).await;
    let end = ended(&mut running).await;
    assert_eq!((end.left.total(), end.failure), (0, None));
    assert_eq!(house.simulator.account().file_paths(), ["a.txt"]);
}

/// A process with mounts of its own, as containers and sandboxes have them: copies of all that
/// is mounted when it begins.
struct Elsewhere(Child);

impl Elsewhere {
    /// Runs a script there, once it says that it is ready.
    async fn run(script: &str) -> Elsewhere {
        let own = match nix::unistd::geteuid().is_root() {
            true => "-m",
            false => "-rm",
        };
        let mut child = Command::new("unshare")
            .args([own, "sh", "-ec", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let (line, said) = off(move || {
            let mut line = String::new();
            said.read_line(&mut line).unwrap();
            (line, said)
        })
        .await;
        assert_eq!(line, "ready\n");
        child.stdout = Some(said.into_inner());
        Elsewhere(child)
    }

    /// Lets the script go on, and returns what it says.
    async fn end(mut self) -> String {
        drop(self.0.stdin.take());
        let mut stdout = self.0.stdout.take().unwrap();
        off(move || {
            let mut said = String::new();
            stdout.read_to_string(&mut said).unwrap();
            said
        })
        .await
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_mount_elsewhere_does_not_keep_the_daemon() {
    let house = House::new().await;
    let mut running = house.start("one").await;
    write(house.at("one/a.txt"), "text").await;
    let elsewhere = Elsewhere::run("echo ready; read -r end").await;
    let stopped = tokio::time::timeout(PATIENCE, running.stop(Parting::Drain)).await;
    let end = stopped.expect("it waits for the copy").unwrap();
    assert_eq!((end.left.total(), end.failure), (0, None));
    assert_eq!(house.simulator.account().file_paths(), ["a.txt"]);
    drop(elsewhere);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_open_elsewhere_can_be_read_to_its_end() {
    let house = House::new().await;
    let mut running = house.start("one").await;
    write(house.at("one/a.txt"), "text").await;
    let script = format!(
        "exec 3< {}; echo ready; read -r end || sleep 4; cat <&3",
        house.at("one/a.txt").display()
    );
    let elsewhere = Elsewhere::run(&script).await;
    let handle = running.handle().clone();
    handle.unmount(Parting::Drain).await.unwrap();
    assert_eq!(elsewhere.end().await, "text");
    let end = ended(&mut running).await;
    assert_eq!((end.left.total(), end.failure), (0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_mount_is_refused_and_goes_on() {
    let house = House::new().await;
    let mut running = house.start("one").await;
    write(house.at("one/a.txt"), "text").await;
    let path = house.at("one/a.txt");
    let open = off(move || std::fs::File::open(path).unwrap()).await;
    let busy = running.stop(Parting::Drain).await;
    assert!(matches!(busy, Err(MountError::Busy(_))), "{busy:?}");
    assert_eq!(running.handle().hello().phase, Phase::Mounted);
    assert_eq!(read(house.at("one/a.txt")).await, "text");
    drop(open);
    running.stop(Parting::Leave).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_takes_even_a_busy_mount_away_and_the_second_ends_at_once() {
    let house = House::new().await;
    let mut running = house.start("one").await;
    write(house.at("one/a.txt"), "text").await;
    let path = house.at("one/a.txt");
    let open = off(move || std::fs::File::open(path).unwrap()).await;
    let handle = running.handle().clone();
    handle.interrupt(PATIENCE * 10).await;
    assert!(!house.is_mounted("one"));
    // The open file keeps it alive, so that this end is the second signal's doing.
    handle.interrupt(PATIENCE * 10).await;
    let end = ended(&mut running).await;
    assert_eq!(end.failure, None);
    drop(open);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_that_takes_too_long_leaves_the_rest() {
    let house = House::new().await;
    let mut running = house.start("one").await;
    write(house.at("one/a.txt"), "text").await;
    let stall = FaultKind::Stall {
        after_bytes: 1,
        seconds: 3600.0,
    };
    house
        .simulator
        .faults()
        .add(Fault::new("upload", stall).always());
    running.handle().interrupt(Duration::from_millis(300)).await;
    let end = ended(&mut running).await;
    assert_eq!(end.left.uploads, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_is_refused_while_the_first_is_mounted() {
    let house = House::new().await;
    let mut running = house.start("one").await;
    let error = house.refusal(house.setup("two", &[])).await;
    assert!(
        matches!(&error, StartError::Taken { pid, .. } if *pid == std::process::id()),
        "{error}"
    );
    assert!(error.to_string().contains("fichierfs unmount"));
    assert!(!house.is_mounted("two"));
    running.stop(Parting::Leave).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_is_one_mounts_at_a_time() {
    let house = House::new().await;
    let mut running = house.start("one").await;
    let state = house.at("other state");
    let other = [("state_dir", state.to_str().unwrap())];
    let refusal = house.refusal(house.setup("two", &other)).await;
    assert!(matches!(refusal, StartError::CacheTaken(_)), "{refusal}");
    assert!(!house.is_mounted("two"));
    running.stop(Parting::Leave).await.unwrap();
    let mut running = daemon::start(house.setup("two", &other)).await.unwrap();
    running.stop(Parting::Leave).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draining_daemon_gives_way_to_a_new_mount() {
    let house = House::new().await;
    let mut first = house.start("one").await;
    write(house.at("one/a.txt"), "text").await;
    let path = house.at("one/a.txt");
    // Open, so that the first cannot come to its end by itself.
    let open = off(move || std::fs::File::open(path).unwrap()).await;
    first.handle().interrupt(PATIENCE * 10).await;
    let mut second = house.start("two").await;
    assert_eq!(ended(&mut first).await.failure, None);
    assert_eq!(read(house.at("two/a.txt")).await, "text");
    drop(open);
    let end = second.stop(Parting::Drain).await.unwrap();
    assert_eq!(end.left.total(), 0);
    assert_eq!(house.simulator.account().file_paths(), ["a.txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn unfit_places_are_refused_and_nothing_is_left() {
    let house = House::new().await;
    let missing = house.refusal(house.setup("none", &[])).await;
    assert!(
        matches!(missing, StartError::Mount(MountError::Missing(_))),
        "{missing}"
    );

    let inside = house.at("one/state");
    let setup = house.setup("one", &[("state_dir", inside.to_str().unwrap())]);
    let error = house.refusal(setup).await;
    assert!(
        matches!(error, StartError::Mount(MountError::Entangled { .. })),
        "{error}"
    );
    assert!(!inside.exists());

    let setup = house.setup("one", &[("root_folder", "No/Such")]);
    let error = house.refusal(setup).await;
    assert!(matches!(error, StartError::NoRootFolder(_)), "{error}");

    // The lock is free again.
    house.start("one").await.stop(Parting::Leave).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sub_folder_can_be_the_root() {
    let house = House::new().await;
    let account = house.simulator.account();
    account.add_file("Deep/Er/a.txt", b"deep").unwrap();
    let setup = house.setup("one", &[("root_folder", "/Deep/Er/")]);
    let mut running = daemon::start(setup).await.unwrap();
    assert_eq!(read(house.at("one/a.txt")).await, "deep");
    write(house.at("one/b.txt"), "new").await;
    let queue = running.handle().queue(10).await.unwrap();
    let paths: Vec<_> = queue.items.iter().map(|item| item.path.as_path()).collect();
    assert_eq!(paths, [Path::new("b.txt")]);
    running.stop(Parting::Drain).await.unwrap();
    let mut paths = account.file_paths();
    paths.sort();
    assert_eq!(paths, ["Deep/Er/a.txt", "Deep/Er/b.txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_about_paths_and_the_account_are_answered() {
    let house = House::new().await;
    house
        .simulator
        .account()
        .add_file("Here/a.txt", b"text")
        .unwrap();
    let mut running = house.start("one").await;
    let handle = running.handle().clone();

    write(house.at("one/x"), "1").await;
    write(house.at("one/Here/y"), "2").await;
    handle.flush(Some("Here".into())).await.unwrap();
    // Only what is in the folder goes; the rest waits for its hour.
    tokio::time::timeout(PATIENCE, async {
        while handle.backlog().unwrap().uploads > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(
        house.simulator.account().file_paths(),
        ["Here/a.txt", "Here/y"]
    );

    handle.refresh("Here/a.txt".into()).await.unwrap();
    let refusal = handle.refresh("Nowhere".into()).await.unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::NotFound);

    let account = handle.account().await.unwrap();
    assert_eq!(account.email, "owner@example.org");
    let status = handle.status().await.unwrap();
    assert_eq!(status.queue.uploads, 1);
    assert!(!status.api.key_refused && status.api.locks.is_empty());
    let json = serde_json::to_string(&status).unwrap();
    assert!(!json.contains(house.simulator.key()));
    running.stop(Parting::Leave).await.unwrap();
}
