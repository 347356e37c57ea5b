//! The units under a systemd of their own: the first process of a container that has the
//! machine's files, keeps changes in memory, and shares the network with the simulator.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use fichierfs::sim::{Fault, FaultKind};

use crate::user::{PROGRAM, Ran, SPEED, User, ran, wait_until};

/// Boots as far as a system without services comes. The devices are as distributions have them.
const BOOT: &str = r#"
mount -t tmpfs none "$1"
mkdir "$1/changes" "$1/work" "$1/root"
# What systemd-nspawn notes there goes with it.
mkdir -p /run/systemd/nspawn
mount -t tmpfs none /run/systemd/nspawn
mount -t overlay -o "lowerdir=/,upperdir=$1/changes,workdir=$1/work" overlay "$1/root"
mknod -m 666 "$1/fuse" c 10 229
mknod -m 644 "$1/autofs" c 10 235
cp "$2" "$1/fichierfs"
exec setpriv --pdeathsig KILL systemd-nspawn --quiet --directory="$1/root" --boot \
    --register=no --keep-unit --link-journal=no --console=pipe --machine=machine \
    --bind="$1/fuse:/dev/fuse" --bind="$1/autofs:/dev/autofs" --bind-ro="$1/fichierfs:/usr/bin/fichierfs" -- --unit=basic.target
"#;

/// A machine that has booted.
struct Machine {
    container: Child,
    init: String,
}

/// A command of root's: a container takes that.
fn as_root(words: &[&str]) -> Command {
    let root = nix::unistd::geteuid().is_root();
    let mut command = Command::new(if root { words[0] } else { "sudo" });
    match root {
        true => command.args(&words[1..]),
        false => command.arg("-n").args(words),
    };
    command.stdin(Stdio::null());
    command
}

impl Machine {
    /// Boots one with a folder to keep its changes in, whose configuration names the user's
    /// simulator.
    fn boot(user: &User) -> Machine {
        let place = user.path("machine");
        std::fs::create_dir(&place).unwrap();
        let mut container = as_root(&["unshare", "--mount", "sh", "-euc", BOOT, "sh"]);
        container.arg(&place).arg(PROGRAM).stdout(Stdio::null());
        let mut machine = Machine {
            container: container.spawn().unwrap(),
            init: String::new(),
        };
        wait_until("the machine is up", || {
            let end = machine.container.try_wait().unwrap();
            assert_eq!(end, None, "no machine: are all of tests/setup installed?");
            machine.find_init() && machine.run("systemctl is-active basic.target").code == 0
        });
        machine
    }

    /// Looks for the first process of the container, and whether it is that far.
    fn find_init(&mut self) -> bool {
        let parent = self.container.id().to_string();
        let below = |pid: &str| {
            let output = Command::new("pgrep").args(["-P", pid]).output().unwrap();
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let mut pid = below(&parent);
        while !pid.is_empty() {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
            if name.is_ok_and(|name| name == "systemd\n") {
                self.init = pid;
                return true;
            }
            pid = below(&pid);
        }
        false
    }

    /// What root gets from a shell line in it.
    fn run(&self, line: &str) -> Ran {
        let mut command = as_root(&["nsenter", "-t", &self.init, "-a", "-r", "-w", "env", "-i"]);
        command.args(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-euc", line]);
        ran(command.output().unwrap())
    }

    /// As [`Machine::run`], for what must go well.
    fn must(&self, line: &str) -> String {
        let ran = self.run(line);
        assert_eq!(ran.code, 0, "{line}: {ran:#?}\n{}", self.journal());
        ran.out
    }

    fn journal(&self) -> String {
        self.run("journalctl --boot --no-pager | tail -n 50").out
    }

    /// A configuration that leads to the user's simulator.
    fn configure(&self, path: &str, user: &User) {
        let text = format!(
            "api_url = \"{}\"\nsite_url = \"{}\"\nlimits_scale = {SPEED}\n",
            user.simulator.api_url(),
            user.simulator.site_url()
        );
        let dir = Path::new(path).parent().unwrap().display();
        self.must(&format!(
            "umask 077; mkdir -p {dir}; printf '{text}' > {path}"
        ));
    }

    fn is_mounted(&self, at: &str) -> bool {
        self.run(&format!("mountpoint -q {at}")).code == 0
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // With the first process all others of the container go, and all mounts.
        let _ = as_root(&["kill", "-KILL", &self.init]).status();
        let _ = self.container.wait();
    }
}

/// The commands that `service install` says come next.
fn next(told: &str) -> String {
    let commands = told.lines().skip_while(|line| *line != "Next:").skip(1);
    let commands: Vec<&str> = commands.take_while(|line| line.starts_with(' ')).collect();
    assert!(commands.len() > 1, "{told}");
    commands.join("\n")
}

const UNIT: &str = "'fichierfs@mnt-1fichier.service'";

#[test]
fn the_unit_of_the_machine_starts_drains_and_comes_back_under_systemd() {
    let user = User::new(SPEED);
    user.simulator.account().add_file("a.txt", b"text").unwrap();
    let machine = Machine::boot(&user);
    machine.configure("/etc/fichierfs/config.toml", &user);
    let key = user.simulator.key();
    // Without a key it says so, and does not try again and again.
    let told = machine.must("fichierfs service install --system /mnt/1fichier");
    let start = next(&told);
    let refused = machine.run(&start);
    assert_ne!(refused.code, 0, "{refused:?}");
    machine.must(&format!("systemctl is-failed {UNIT}"));
    assert!(machine.journal().contains("there is no API key"));
    // The key as a credential of systemd, in the open for root alone.
    machine.must(&format!(
        "umask 077; mkdir -p /etc/credstore
         printf %s {key} > /etc/credstore/fichierfs.mnt-1fichier"
    ));
    machine.must(&start);
    let status = machine.must(&format!("systemctl status --no-pager {UNIT}"));
    assert!(
        status.contains("active (running)") && status.contains("mounted on /mnt/1fichier"),
        "{status}"
    );
    // All users of the machine see it.
    let nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups cat /mnt/1fichier/a.txt";
    assert_eq!(machine.must(nobody), "text");

    // Encrypted for this machine, as the program advises.
    machine.must(&format!(
        "umask 077; mkdir -p /etc/credstore.encrypted; rm /etc/credstore/*
         printf %s {key} | systemd-creds encrypt --name=fichierfs-api-key - \
             /etc/credstore.encrypted/fichierfs-mnt-1fichier
         systemctl restart {UNIT}"
    ));
    assert_eq!(machine.must(nobody), "text");

    // A reload is awaited, and the journal has its figures in fields.
    machine.must(&format!(
        "echo 'log_level = \"debug\"' >> /etc/fichierfs/config.toml
         systemctl reload {UNIT}"
    ));
    let told = machine.must("journalctl --boot -o cat FICHIERFS_APPLIED='[\"log_level\"]'");
    assert!(told.contains("read anew"), "{told}");

    // It drains beyond the time that systemd would give it.
    let stall = FaultKind::Stall {
        after_bytes: 1,
        seconds: 5.0,
    };
    user.simulator
        .faults()
        .add(Fault::new("upload", stall).times(1));
    machine.must(&format!(
        "mkdir /etc/systemd/system/{UNIT}.d
         printf '[Service]\\nTimeoutStopSec=2\\n' > /etc/systemd/system/{UNIT}.d/short.conf
         systemctl daemon-reload
         echo new > /mnt/1fichier/b.txt
         systemctl stop {UNIT}"
    ));
    let result = machine.must(&format!("systemctl show -P Result {UNIT}"));
    assert_eq!(result, "success\n", "{}", machine.journal());
    assert!(!machine.is_mounted("/mnt/1fichier"));
    assert_eq!(
        user.simulator.account().content("b.txt").unwrap(),
        b"new\n",
        "{}",
        machine.journal()
    );

    // A crash: the wreck is cleared and the mount is there again.
    machine.must(&format!(
        "systemctl start {UNIT}; systemctl kill --signal=KILL {UNIT}"
    ));
    wait_until("the mount after a crash", || {
        machine.run(nobody).out == "text"
    });
    let restarts = machine.must(&format!("systemctl show -P NRestarts {UNIT}"));
    assert_eq!(restarts, "1\n");

    machine.must(&format!("rm -r /etc/systemd/system/{UNIT}.d"));
    let told = machine.must("fichierfs service uninstall --system /mnt/1fichier");
    machine.must(&next(&told));
    assert!(!machine.is_mounted("/mnt/1fichier"));
    assert_ne!(machine.run(&format!("systemctl cat {UNIT}")).code, 0);
}

#[test]
fn a_line_of_fstab_mounts_at_the_first_look() {
    let user = User::new(SPEED);
    user.simulator.account().add_file("a.txt", b"text").unwrap();
    let machine = Machine::boot(&user);
    machine.configure("/etc/fichierfs/config.toml", &user);
    machine.must(&format!(
        "echo 'api_key = \"{}\"' >> /etc/fichierfs/config.toml",
        user.simulator.key()
    ));
    let told = machine.must("fichierfs service install --system /srv/one");
    let line = told.lines().find(|line| line.contains("x-systemd.auto"));
    let line = line.unwrap().trim();
    machine.must(&format!(
        "echo '{line}' >> /etc/fstab; systemctl daemon-reload; systemctl start srv-one.automount"
    ));
    assert_eq!(machine.run("fichierfs status").code, 4);
    // A look that waits for itself would wait for ever.
    assert_eq!(machine.must("timeout 60 cat /srv/one/a.txt"), "text");
    machine.must("echo new > /srv/one/b.txt; systemctl stop srv-one.mount");
    wait_until("the upload", || {
        user.simulator.account().content("b.txt").is_ok()
    });
    // And again; systemd may still be tidying up behind the daemon that drained.
    wait_until("the second mount", || {
        machine.run("timeout 60 cat /srv/one/b.txt").out == "new\n"
    });
    machine.must("systemctl stop srv-one.automount srv-one.mount");
    assert!(!machine.is_mounted("/srv/one"));
}

/// A user who is logged in, as far as a service of the user needs that.
const AS_USER: &str = "setpriv --reuid=4321 --regid=4321 --clear-groups env HOME=/home/anna \
    XDG_RUNTIME_DIR=/run/user/4321";

#[test]
fn the_unit_of_a_user_starts_and_drains_under_systemd() {
    let user = User::new(SPEED);
    user.simulator.account().add_file("a.txt", b"text").unwrap();
    let machine = Machine::boot(&user);
    machine.must("useradd --create-home --uid 4321 anna; systemctl start user@4321.service");
    machine.configure("/home/anna/.config/fichierfs/config.toml", &user);
    machine.must("chown -R anna /home/anna/.config");
    let anna = |line: &str| machine.must(&format!("cd /home/anna; {AS_USER} sh -euc \"{line}\""));
    anna(&format!("echo {} | fichierfs init", user.simulator.key()));
    let told = anna("fichierfs service install 1fichier");
    anna(&next(&told));
    let unit = "'fichierfs@home-anna-1fichier.service'";
    let status = anna(&format!("systemctl --user status --no-pager {unit}"));
    assert!(status.contains("active (running)"), "{status}");
    assert_eq!(anna("cat 1fichier/a.txt"), "text");
    let told = anna(&format!(
        "echo new > 1fichier/b.txt; systemctl --user stop {unit}
         systemctl --user show -P Result {unit}"
    ));
    assert_eq!(told, "success\n", "{}", machine.journal());
    assert!(!machine.is_mounted("/home/anna/1fichier"));
    assert_eq!(user.simulator.account().content("b.txt").unwrap(), b"new\n");
}
