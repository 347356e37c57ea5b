//! Another user of the machine gets nothing; nor does a core dump.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::user::{PROGRAM, Ran, User, ran, wait_until};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The only file in a folder that ends so.
fn socket(user: &User) -> std::path::PathBuf {
    let run = user.path(".local/share/fichierfs/run");
    let mut all = std::fs::read_dir(run).unwrap().map(|e| e.unwrap().path());
    all.find(|path| path.extension().is_some_and(|e| e == "sock"))
        .unwrap()
}

/// What nobody gets from a shell line.
fn as_nobody(line: &str) -> Ran {
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "sh",
        "-c",
        line,
    ]);
    ran(command
        .output()
        .expect("setpriv is missing; run: tests/setup"))
}

const CONNECT: &str = "import socket,sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.send(b'GET /status HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); print(s.recv(9999))";

#[test]
fn another_user_gets_nothing_from_socket_state_cache_and_mount() {
    let user = User::settled();
    let metrics = user.path("metrics.sock");
    let place = metrics.display().to_string();
    let ran = user.run(&["mount", "--background", "--metrics", &place, "mnt"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    user.simulator.account().add_file("b.txt", b"new").unwrap();
    assert_eq!(user.run(&["refresh", "mnt"]).code, 0);
    assert_eq!(std::fs::read(user.path("mnt/b.txt")).unwrap(), b"new");
    let pid = user.status()["pid"].to_string();
    let (state, cache) = (".local/share/fichierfs/default", ".cache/fichierfs/default");
    let config = ".config/fichierfs/config.toml";
    for private in [state, cache, ".local/share/fichierfs/run"] {
        assert_eq!(mode(&user.path(private)), 0o700, "{private}");
    }
    for private in [
        &user.path(config),
        &socket(&user),
        &metrics,
        &user.path(state).join("fichierfs.log"),
    ] {
        assert_eq!(mode(private), 0o600, "{}", private.display());
    }
    // Not even to other processes of this user, but for root.
    assert_eq!(
        std::fs::metadata(format!("/proc/{pid}/environ"))
            .unwrap()
            .uid(),
        0
    );

    if nix::unistd::geteuid().is_root() {
        // All above is opened wide, so that only what is ours keeps a stranger out.
        let open = std::fs::Permissions::from_mode(0o755);
        for folder in [
            "",
            ".local",
            ".local/share",
            ".local/share/fichierfs",
            ".cache",
            ".cache/fichierfs",
            ".config",
            ".config/fichierfs",
        ] {
            std::fs::set_permissions(user.path(folder), open.clone()).unwrap();
        }
        let at = |name: &str| user.path(name).display().to_string();
        let socket = socket(&user).display().to_string();
        for line in [
            format!("ls {}", at(state)),
            format!("ls {}", at(cache)),
            format!("cat {}", at(config)),
            format!("ls {}", at("mnt")),
            format!("cat {}/b.txt", at("mnt")),
            format!("cat /proc/{pid}/environ"),
            format!("cat /proc/{pid}/maps"),
            format!("python3 -c \"{CONNECT}\" {socket}"),
            format!("python3 -c \"{CONNECT}\" {place}"),
            format!("kill -0 {pid}"),
        ] {
            let ran = as_nobody(&line);
            assert!(ran.code != 0 && ran.out.is_empty(), "{line}: {ran:?}");
        }
        // The way of asking works: it is not for lack of Python that nothing is told.
        let mut python = Command::new("python3");
        assert!(
            python
                .args(["-c", CONNECT, &place])
                .status()
                .unwrap()
                .success()
        );
    }
    assert_eq!(user.run(&["unmount"]).code, 0);
}

#[test]
fn a_crash_leaves_no_core_even_where_that_is_wished() {
    let user = User::settled();
    // The limit is raised as far as it goes; the program lowers it.
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -c unlimited 2> /dev/null; exec \"$0\" \"$@\""]);
    user.lend(&mut shell);
    shell.args([PROGRAM, "mount", "mnt"]);
    let mut child = shell.spawn().unwrap();
    wait_until("the mount", || user.is_mounted());
    kill(Pid::from_raw(child.id() as i32), Signal::SIGABRT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(Signal::SIGABRT as i32));
    assert!(!status.core_dumped());
    let cores = std::fs::read_dir(user.path("")).unwrap();
    let cores = cores.filter(|e| {
        e.as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with("core")
    });
    assert_eq!(cores.count(), 0);
    assert_eq!(user.run(&["unmount", "--if-dead", "mnt"]).code, 0);
}
