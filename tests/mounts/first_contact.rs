//! The first minutes with the program: the demo, and refusals that say what to do.

use crate::harness::{World, eventually, is_mounted, mount_command, names, prepare, shell, text};
use fichierfs::sim::{Fault, FaultKind};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The demo, in a process of its own.
struct Demo<'w> {
    world: &'w World,
    point: PathBuf,
    temporary: PathBuf,
    child: Child,
}

impl Demo<'_> {
    /// Returns once it says how to end it.
    fn start(world: &World) -> Demo<'_> {
        let temporary = world.folder("tmp");
        let point = world.path("demo");
        let log = fs::File::create(world.path("said")).unwrap();
        let child = world
            .fichierfs()
            .arg("demo")
            .arg(&point)
            .env("TMPDIR", &temporary)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut demo = Demo {
            world,
            point,
            temporary,
            child,
        };
        let mut ended = None;
        eventually("the demo's mount", || {
            ended = demo.child.try_wait().unwrap();
            ended.is_some() || demo.said().contains("Ctrl-C")
        });
        assert!(ended.is_none(), "{}", demo.said());
        assert!(is_mounted(&demo.point));
        demo
    }

    fn said(&self) -> String {
        text(self.world.path("said"))
    }

    /// Presses Ctrl-C, once, and looks for what is left.
    fn end(mut self) {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT).unwrap();
        let mut ended = None;
        eventually("the demo's end", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        assert!(ended.unwrap().success(), "{}", self.said());
        assert!(!is_mounted(&self.point) && !self.point.exists());
        assert_eq!(names(&self.temporary), Vec::<String>::new());
    }
}

#[test]
fn the_demo_ends_even_if_somebody_stays_in_it() {
    let world = World::new();
    let demo = Demo::start(&world);
    let open = fs::File::open(demo.point.join("Welcome.txt")).unwrap();
    demo.end();
    drop(open);
}

#[test]
fn the_demo_shows_an_account_and_leaves_nothing() {
    let world = World::new();
    let demo = Demo::start(&world);
    let point = demo.point.clone();
    let shown = [
        "Documents",
        "Empty folder",
        "Pictures",
        "Videos",
        "Welcome.txt",
    ];
    assert_eq!(names(&point), shown);
    assert!(text(point.join("Welcome.txt")).starts_with("Welcome"));
    let notes = point.join("Documents/notes.md");
    let before = text(&notes);
    let mut file = fs::File::options().append(true).open(&notes).unwrap();
    writeln!(file, "a line of mine").unwrap();
    drop(file);
    assert_eq!(text(&notes), format!("{before}a line of mine\n"));

    demo.end();
}

/// One line on standard error, with the way out.
fn assert_refused(mut command: Command, code: i32, advice: &str) {
    let output = shell::output(&mut command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(code)
            && said.lines().count() == 1
            && said.starts_with("fichierfs: ")
            && said.contains(advice),
        "expected {code} and `{advice}`: {}",
        shell::show(&output)
    );
}

#[test]
fn a_key_that_others_can_read_is_not_used() {
    let world = World::new();
    prepare(&world, "a");
    fs::set_permissions(world.config_file(), Permissions::from_mode(0o644)).unwrap();
    let advice = format!("chmod 600 {}", world.config_file().display());
    assert_refused(mount_command(&world, "a", &[]), 2, &advice);
}

#[test]
fn a_cache_inside_the_mountpoint_is_refused() {
    let world = World::new();
    let point = prepare(&world, "a");
    let mut mount = world.fichierfs();
    mount
        .arg("mount")
        .arg("--cache-dir")
        .arg(point.join("cache"));
    mount
        .arg("--state-dir")
        .arg(world.path("a/state"))
        .arg(&point);
    assert_refused(mount, 1, "choose another place");
    assert!(!is_mounted(&point));
}

#[test]
fn without_fuse_it_says_where_fuse_comes_from() {
    shell::need(&["unshare", "mount"]);
    let world = World::new();
    prepare(&world, "a");
    let mount = mount_command(&world, "a", &[]);
    let without_dev = r#"mount -t tmpfs none /dev && exec "$@""#;
    assert_refused(elsewhere(&world, without_dev, &mount), 1, "modprobe fuse");
}

#[test]
fn without_its_helper_an_ordinary_user_is_told_the_package() {
    shell::need(&["unshare", "mount"]);
    let world = World::new();
    prepare(&world, "a");
    let mount = mount_command(&world, "a", &[]);
    // All programs of the system but this one; then nobody in particular runs it.
    let programs = world.folder("programs");
    let without_helper = format!(
        r#"
        mount -t tmpfs none /usr/local/bin && mount --bind /usr/bin {at} && mount -t tmpfs none /usr/bin
        {at}/ln -s {at}/* /usr/bin/ && rm /usr/bin/fusermount3
        exec unshare --user "$@"
        "#,
        at = programs.display()
    );
    let advice = "apt-get install fuse3";
    assert_refused(elsewhere(&world, &without_helper, &mount), 1, advice);
}

/// The command in a private view of the system's files, which `change` makes.
fn elsewhere(world: &World, change: &str, command: &Command) -> Command {
    let mut elsewhere = world.at_home(Command::new("unshare"));
    elsewhere
        .arg(if geteuid().is_root() { "-m" } else { "-rm" })
        .args(["sh", "-ec", change, "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    elsewhere
}

#[test]
fn init_says_what_the_service_means() {
    let world = World::new();
    let refusals = [
        (
            FaultKind::Ko {
                message: "Must be a customer (Premium, Access) #236".to_owned(),
                status: 403,
            },
            "needs a Premium or Access subscription",
        ),
        (
            FaultKind::Status { status: 403 },
            "https://1fichier.com/network.html",
        ),
        (
            FaultKind::Ko {
                message: "No such user #93".to_owned(),
                status: 403,
            },
            "https://1fichier.com/console/params.pl",
        ),
    ];
    for (number, (kind, advice)) in refusals.into_iter().enumerate() {
        world.forget_calls();
        let faults = world.simulator().faults();
        faults.add(Fault::new("user/info", kind));
        let mut init = world.at_home(Command::new("sh"));
        // A key that is not stored yet, on a line of standard input.
        init.args(["-c", r#"printf '%s\n' "$KEY" | "$0" init"#])
            .arg(env!("CARGO_BIN_EXE_fichierfs"))
            .env("KEY", world.simulator().key())
            .env("FICHIERFS_CONFIG", world.path("new.toml"))
            .env("FICHIERFS_API_URL", world.simulator().api_url())
            .env("FICHIERFS_SITE_URL", world.simulator().site_url())
            .env(
                "FICHIERFS_STATE_DIR",
                world.path(&format!("state {number}")),
            );
        assert_refused(init, 1, advice);
        assert!(!world.path("new.toml").exists(), "a refused key was stored");
    }
}
