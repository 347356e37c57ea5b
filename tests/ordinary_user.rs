//! The program as most people have it: an ordinary user, no configuration but the key, the
//! service's own addresses over TLS, and its limits as they are.

mod names;

use fichierfs::sim::{SimConfig, Simulator, TlsConfig};
use nix::unistd::{Gid, Uid, chown};
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const NOBODY: u32 = 65534;

/// In a mount namespace of ours: as distributions have it.
const DEVICE_FOR_ALL: &str = r#"
    mkdir "$1/dev" && mount -t tmpfs none "$1/dev"
    mknod -m 666 "$1/dev/fuse" c 10 229 && mount --bind "$1/dev/fuse" /dev/fuse
"#;

#[test]
fn an_ordinary_user_works_at_the_services_own_addresses() {
    if let Some(dir) = names::ours("an_ordinary_user_works_at_the_services_own_addresses") {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(inside(&dir));
    }
}

async fn inside(dir: &Path) {
    let ca = dir.join("ca.pem");
    let simulator = Simulator::start(SimConfig {
        tls: Some(TlsConfig {
            listen: "127.0.0.1:443".parse().unwrap(),
            ca_out: Some(ca.clone()),
            port_in_urls: None,
        }),
        ..SimConfig::default()
    })
    .await
    .unwrap();
    let account = simulator.account();
    account.add_file("there/before.txt", b"was there").unwrap();
    let user = User::new(dir, ca);
    // The commands wait for the simulator, which runs on this runtime.
    let key = simulator.key().to_owned();
    let worked = tokio::task::spawn_blocking(move || work(&user, &key));
    worked.await.unwrap();

    assert_eq!(account.content("there/new.txt").unwrap(), b"brought along");
    assert_eq!(account.content("there/after.txt").unwrap(), b"was there");
    let report = simulator.report();
    assert_eq!(report.violations, [], "{report:#?}");
    assert_eq!((report.locks, report.bans, report.key_leaks), (0, 0, 0));
    // What `init` was told, `mount` need not ask.
    assert_eq!(report.calls_of("user/info"), 1);
}

fn work(user: &User, key: &str) {
    // Nothing is sent to a host whose certificate is not of an authority that is known here.
    let mut distrustful = user.command("mkdir other && HOME=$PWD/other ./fichierfs init");
    let said = with_key(distrustful.env_remove("SSL_CERT_FILE"), key);
    assert!(
        show(&said).contains("stored but not checked: the service cannot be reached"),
        "{}",
        show(&said)
    );

    let said = with_key(&mut user.command("./fichierfs init"), key);
    assert!(said.status.success(), "{}", show(&said));
    let config = fs::metadata(user.home.join(".config/fichierfs/config.toml")).unwrap();
    assert_eq!((config.mode() & 0o777, config.uid()), (0o600, user.uid()));

    user.ok("mkdir 1fichier");
    user.ok("./fichierfs mount --background 1fichier");
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let ours = |line: &&str| line.contains("/1fichier fuse.fichierfs ");
    let line = mounts.lines().find(ours).expect("the mount");
    assert!(line.contains(&format!("user_id={}", user.uid())), "{line}");

    user.ok(r#"
        cd 1fichier
        test "$(cat there/before.txt)" = "was there"
        test "$(stat -c %u there/before.txt)" = "$(id -u)"
        printf "brought along" > ../new.txt && cp ../new.txt there/
        mv there/before.txt there/after.txt
        df . >/dev/null
    "#);
    let status = user.ok("./fichierfs status --json");
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["account"]["email"], "owner@example.org", "{status}");
    user.ok("./fichierfs queue wait --timeout 100s && ./fichierfs unmount");
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert_eq!(mounts.lines().find(ours), None);
}

/// The command with the key on a line of its standard input.
fn with_key(command: &mut Command, key: &str) -> Output {
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    writeln!(child.stdin.take().unwrap(), "{key}").unwrap();
    child.wait_with_output().unwrap()
}

/// Somebody with a home and the program in it, who is not the superuser if that can be had.
struct User {
    home: PathBuf,
    ca: PathBuf,
    superuser: bool,
}

impl User {
    fn new(dir: &Path, ca: PathBuf) -> User {
        let home = dir.join("home");
        fs::create_dir(&home).unwrap();
        let program = home.join("fichierfs");
        // The original may lie where the user may not go.
        fs::copy(env!("CARGO_BIN_EXE_fichierfs"), &program).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        // In a user namespace there is nobody else to become: whoever runs this test is
        // an ordinary user already.
        let mapped = fs::read_to_string("/proc/self/uid_map").unwrap();
        let superuser = mapped.split_whitespace().nth(2) != Some("1");
        if superuser {
            let opened = Command::new("sh")
                .args(["-ec", DEVICE_FOR_ALL, "sh"])
                .arg(dir)
                .status();
            assert!(opened.unwrap().success());
            chown(
                &home,
                Some(Uid::from_raw(NOBODY)),
                Some(Gid::from_raw(NOBODY)),
            )
            .unwrap();
        }
        User {
            home,
            ca,
            superuser,
        }
    }

    fn uid(&self) -> u32 {
        if self.superuser { NOBODY } else { 0 }
    }

    /// A script, as this user.
    fn command(&self, script: &str) -> Command {
        let mut words = vec!["timeout", "--kill-after=5", "150"];
        if self.superuser {
            words.extend([
                "setpriv",
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
                "--inh-caps=-all",
            ]);
        }
        words.extend(["bash", "-euc", script]);
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .env_clear()
            .env("HOME", &self.home)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LC_ALL", "C.UTF-8")
            .env("SSL_CERT_FILE", &self.ca)
            .current_dir(&self.home)
            .stdin(Stdio::null());
        command
    }

    /// A script that must succeed; what it printed.
    fn ok(&self, script: &str) -> String {
        let output = self.command(script).output().unwrap();
        assert!(output.status.success(), "{script}: {}", show(&output));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for User {
    fn drop(&mut self) {
        // A test that failed half-way leaves no mount and no daemon.
        let left = "./fichierfs unmount --no-wait >/dev/null 2>&1 || true";
        let _ = self.command(left).status();
    }
}

fn show(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
