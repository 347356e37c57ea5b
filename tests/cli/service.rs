//! The parts that systemd and mount(8) meet: units, the notify socket, the mount helper.

use std::ffi::OsStr;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::guard::Guard;
use crate::user::{PATIENCE, PROGRAM, Ran, SPEED, User, assert_line, ran, wait_until};

fn tool(name: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    assert!(there, "`{name}` is missing: run tests/setup");
    Command::new(name)
}

/// A unit as systemd itself sees it.
fn verify(arguments: &[&OsStr]) {
    let mut command = tool("systemd-analyze");
    command.args(["verify", "--man=no"]).args(arguments);
    // Where there is no session.
    let runtime = tempfile::tempdir().unwrap();
    command.env("XDG_RUNTIME_DIR", runtime.path());
    let ran = ran(command.output().unwrap());
    assert!(ran.code == 0 && ran.err.is_empty(), "{ran:?}");
}

#[test]
fn a_unit_for_the_user_is_written_once_and_never_over_a_changed_one() {
    let user = User::new(SPEED);
    let ran = user.run(&["service", "install", "--profile", "work", "my mount"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let name = ran
        .out
        .lines()
        .find_map(|line| line.trim().strip_prefix("systemctl --user enable --now "))
        .unwrap()
        .trim_matches('\'')
        .to_owned();
    assert!(name.ends_with("-my\\x20mount.service"), "{name}");
    assert!(user.path("my mount").is_dir());
    let units = user.path(".config/systemd/user");
    let template = units.join("fichierfs@.service");
    verify(&["--user".as_ref(), units.join(&name).as_ref()]);
    let drop_in = std::fs::read_to_string(units.join(format!("{name}.d/profile.conf"))).unwrap();
    assert!(drop_in.contains("FICHIERFS_PROFILE=work"), "{drop_in}");

    let written = std::fs::read_to_string(&template).unwrap();
    let changed = written.clone() + "Nice=5\n";
    std::fs::write(&template, &changed).unwrap();
    let ran = user.run(&["service", "install", "my mount"]);
    assert_line(&ran, 1, "was changed by hand");
    assert_eq!(std::fs::read_to_string(&template).unwrap(), changed);
    assert_eq!(
        user.run(&["service", "install", "--force", "my mount"])
            .code,
        0
    );
    assert_eq!(std::fs::read_to_string(&template).unwrap(), written);
    assert!(written.ends_with(&user.run(&["service", "show"]).out));

    assert_eq!(user.run(&["service", "uninstall", "my mount"]).code, 0);
    assert_eq!(std::fs::read_dir(&units).unwrap().count(), 0);
}

#[test]
fn the_unit_of_the_machine_is_sound_and_hardened() {
    let user = User::new(SPEED);
    let root = user.path("root");
    let words = [
        "service",
        "install",
        "--system",
        "--root",
        "root",
        "/mnt/1fichier",
    ];
    let ran = user.run(&words);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.out
            .contains("enable --now 'fichierfs@mnt-1fichier.service'")
    );
    assert!(ran.out.contains("x-systemd.automount,_netdev"), "{ran:?}");
    let unit = root.join("etc/systemd/system/fichierfs@mnt-1fichier.service");
    verify(&[unit.as_ref()]);
    assert_eq!(
        std::fs::read_link(root.join("sbin/mount.fichierfs")).unwrap(),
        Path::new(PROGRAM)
    );
    // What a service that mounts for all can have is "OK" for systemd, not "exposed".
    let security = tool("systemd-analyze")
        .args(["security", "--no-pager", "--offline=true", "--threshold=50"])
        .arg(root.join("etc/systemd/system/fichierfs@.service"))
        .output()
        .unwrap();
    let ran = crate::user::ran(security);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn the_powers_that_the_unit_of_the_machine_leaves_are_enough() {
    let user = User::settled();
    let unit = user.run(&["service", "show", "--system"]).out;
    let powers: Vec<String> = unit
        .lines()
        .find_map(|line| line.strip_prefix("CapabilityBoundingSet="))
        .unwrap()
        .split(' ')
        .map(|power| power.strip_prefix("CAP_").unwrap().to_lowercase())
        .collect();
    assert!(unit.contains("\nNoNewPrivileges=yes\n"));
    let script = r#"
setpriv --bounding-set "$POWERS" --inh-caps=-all --no-new-privs \
    "$PROGRAM" mount --background -o allow_other "$HOME/mnt"
echo text > "$HOME/mnt/a.txt"
"$PROGRAM" unmount
"#;
    let mut unshare = own_mounts(&user);
    unshare
        .args(["bash", "-euc", script])
        .env("PROGRAM", PROGRAM)
        .env("POWERS", format!("-all,+{}", powers.join(",+")));
    let ran = ran(unshare.output().unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        user.simulator.account().content("a.txt").unwrap(),
        b"text\n"
    );
}

/// A daemon as a service manager starts it, and what it tells.
struct Managed {
    child: Child,
    socket: UnixDatagram,
}

impl Managed {
    fn start(user: &User) -> Managed {
        let path = user.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = user.command(&["mount", "mnt"]);
        let child = command.env("NOTIFY_SOCKET", &path).spawn().unwrap();
        Managed { child, socket }
    }

    fn told(&self) -> String {
        let mut bytes = [0; 4096];
        let length = self.socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }
}

#[test]
fn a_service_manager_hears_of_start_reload_and_drain() {
    let user = User::settled();
    let mut managed = Managed::start(&user);
    let told = managed.told();
    assert!(
        told.contains("READY=1") && told.contains("STATUS=mounted on"),
        "{told}"
    );
    assert!(user.is_mounted());

    managed.signal(Signal::SIGHUP);
    let told = managed.told();
    assert!(
        told.contains("RELOADING=1") && told.contains("MONOTONIC_USEC="),
        "{told}"
    );
    assert_eq!(managed.told().trim(), "READY=1");

    user.uploads_stall();
    std::fs::write(user.path("mnt/a.txt"), "text").unwrap();
    managed.signal(Signal::SIGTERM);
    let told = managed.told();
    assert!(
        told.contains("STOPPING=1") && told.contains("1 uploads"),
        "{told}"
    );
    let more = told
        .lines()
        .find_map(|line| line.strip_prefix("EXTEND_TIMEOUT_USEC="));
    // Longer than until it is told again.
    assert!(more.unwrap().parse::<u64>().unwrap() > 10_000_000, "{told}");
    wait_until("the mount goes first", || !user.is_mounted());
    assert!(managed.child.try_wait().unwrap().is_none());

    managed.signal(Signal::SIGTERM);
    assert_eq!(managed.child.wait().unwrap().code(), Some(3));
}

/// The helper of mount(8), with the user's environment.
fn helper(user: &User, arguments: &[&str]) -> Ran {
    let link = user.path("mount.fichierfs");
    if !link.is_symlink() {
        std::os::unix::fs::symlink(PROGRAM, &link).unwrap();
    }
    let mut helper = Command::new(link);
    user.lend(&mut helper);
    helper.args(arguments);
    ran(helper.output().unwrap())
}

/// Puts the program where mount(8) looks, in a mount namespace of its own, so that the machine
/// stays as it is.
const IN_PLACE: &str = r#"
# mount.fuse3 gives whom it starts root's home.
export XDG_CONFIG_HOME="$HOME/.config" XDG_DATA_HOME="$HOME/.local/share" XDG_CACHE_HOME="$HOME/.cache"
mkdir "$HOME/bin" "$HOME/sbin" "$HOME/real"
mount --bind /usr/sbin "$HOME/real"
ln -s "$HOME"/real/* "$HOME/sbin/"
ln -s "$PROGRAM" "$HOME/sbin/mount.fichierfs"
ln -s "$PROGRAM" "$HOME/bin/fichierfs"
mount --bind "$HOME/sbin" /usr/sbin
mount --bind "$HOME/bin" /usr/local/bin
"#;

/// A command that begins a mount namespace of its own, with the user's environment.
pub fn own_mounts(user: &User) -> Command {
    let mut unshare = tool("unshare");
    unshare.arg("--mount");
    if !nix::unistd::geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    user.lend(&mut unshare);
    unshare
}

#[test]
fn mount_and_umount_know_both_types() {
    let user = User::settled();
    let script = r#"
options=_netdev,x-systemd.automount,noauto,nofail,umask=027,write_back=1s
for type in fuse.fichierfs fichierfs; do
    mount -t $type 1fichier "$HOME/mnt" -o $options
    grep -q "$HOME/mnt .* fuse.fichierfs " /proc/self/mountinfo
    echo text > "$HOME/mnt/$type"
    stat -c %a "$HOME/mnt" | grep -qx 750
    umount "$HOME/mnt"
    # The queue is worked off by the daemon.
    while "$PROGRAM" status > /dev/null 2>&1; do sleep 0.1; done
done
echo "1fichier $HOME/mnt fichierfs ro,$options 0 0" > "$HOME/fstab"
mount -T "$HOME/fstab" "$HOME/mnt"
cat "$HOME/mnt/fichierfs"
if touch "$HOME/mnt/b" 2> /dev/null; then exit 9; fi
umount "$HOME/mnt"
# A mistake is told.
if mount -t fuse.fichierfs 1fichier "$HOME/mnt" -o umaks=1; then exit 9; fi
"#;
    let text = format!("{IN_PLACE}{script}");
    let mut unshare = own_mounts(&user);
    unshare.args(["bash", "-euc", &text]);
    let ran = ran(unshare.env("PROGRAM", PROGRAM).output().unwrap());
    assert!(ran.code == 0 && ran.out.contains("text"), "{ran:?}");
    assert!(ran.err.contains("did you mean \"umask\""), "{ran:?}");
    assert_eq!(
        user.simulator.account().file_paths(),
        ["fichierfs", "fuse.fichierfs"]
    );
}

#[test]
fn the_mount_helper_speaks_the_language_of_mount() {
    let user = User::settled();
    let at = user.path("mnt").display().to_string();
    let config = user.path(".config/fichierfs/config.toml");
    let options = format!("ro,_netdev,nofail,config={}", config.display());
    let fake = helper(&user, &["1fichier", &at, "-fv", "-o", &options]);
    assert_eq!(fake.code, 0, "{fake:?}");
    assert!(!user.is_mounted());
    let ran = helper(&user, &["1fichier", &at, "-v", "-o", &options]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let refused = std::fs::write(user.path("mnt/a.txt"), "text").unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(nix::libc::EROFS));
    assert_eq!(user.run(&["unmount"]).code, 0);

    let ran = helper(&user, &["1fichier", &at, "-o", "umaks=1"]);
    assert_line(&ran, 1, "did you mean");
    let ran = helper(&user, &["1fichier", "/nowhere/at/all"]);
    assert_line(&ran, 32, "mkdir -p");
}

#[test]
fn what_a_crash_left_is_taken_away_and_a_living_mount_is_not() {
    let user = User::settled();
    user.mount();
    assert_eq!(user.run(&["unmount", "--if-dead", "mnt"]).code, 0);
    assert!(user.is_mounted());
    let pid = user.status()["pid"].as_i64().unwrap();
    kill(Pid::from_raw(pid as i32), Signal::SIGKILL).unwrap();
    wait_until("the end of the daemon", || user.run(&["status"]).code == 4);
    assert_eq!(user.run(&["unmount", "--if-dead", "mnt"]).code, 0);
    assert!(!user.is_mounted());
}

#[test]
fn a_test_that_is_killed_leaves_neither_daemon_nor_mount() {
    let user = User::settled();
    user.mount();
    user.uploads_stall();
    std::fs::write(user.path("mnt/a.txt"), "text").unwrap();
    // As when the process that holds it ends.
    drop(Guard::of(&user.path("")));
    assert!(!user.is_mounted());
    assert_eq!(user.run(&["status"]).code, 4);
}
