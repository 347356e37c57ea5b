//! What others see of a running daemon: figures for Prometheus, health for supervisors, the log
//! in files and in the journal.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use crate::user::{PATIENCE, PROGRAM, User, assert_line, ran, wait_until};

/// What `GET` answers: the status line, and the body.
fn get(mut stream: impl Read + Write, path: &str) -> (String, String) {
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

fn over_socket(user: &User, path: &str) -> (String, String) {
    let stream = UnixStream::connect(user.path("metrics.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    get(stream, path)
}

fn value(text: &str, name: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in:\n{text}"))
        .parse()
        .unwrap()
}

#[test]
fn figures_follow_what_happens_and_their_socket_is_private() {
    let user = User::settled();
    let socket = user.path("metrics.sock").display().to_string();
    let ran = user.run(&["mount", "--background", "--metrics", &socket, "mnt"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    user.simulator.account().add_file("b.txt", b"new").unwrap();
    assert_eq!(user.run(&["refresh", "mnt"]).code, 0);
    assert_eq!(std::fs::read(user.path("mnt/b.txt")).unwrap(), b"new");
    user.uploads_stall();
    std::fs::write(user.path("mnt/a.txt"), "text").unwrap();

    let (head, text) = over_socket(&user, "/metrics");
    assert!(
        head.ends_with("200 OK") && text.ends_with("# EOF\n"),
        "{head}\n{text}"
    );
    assert_eq!(value(&text, "fichierfs_mounted"), 1.0);
    assert_eq!(value(&text, "fichierfs_fetched_bytes_total"), 3.0);
    assert_eq!(value(&text, "fichierfs_queue_uploads"), 1.0);
    assert_eq!(value(&text, "fichierfs_queue_upload_bytes"), 4.0);
    assert!(value(&text, "fichierfs_cache_limit_bytes") > 1e9);
    assert!(text.contains("fichierfs_api_calls_total{kind=\""), "{text}");
    assert!(
        text.contains("# TYPE fichierfs_download_requests counter"),
        "{text}"
    );
    assert!(
        !text.contains("a.txt") && !text.contains("owner@"),
        "{text}"
    );
    // The document names them all, and no others.
    let document = include_str!("../../docs/monitoring.md");
    let documented: BTreeSet<&str> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let told: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|line| line.split_once(' '))
        .map(|(name, kind)| match kind {
            "counter" => format!("{name}_total"),
            _ => name.to_owned(),
        })
        .collect();
    let told: BTreeSet<&str> = told.iter().map(String::as_str).collect();
    assert_eq!(told, documented);
    // Nothing can be commanded there.
    assert!(over_socket(&user, "/stop").0.contains("404"));

    assert_eq!(
        over_socket(&user, "/healthz"),
        ("HTTP/1.1 200 OK".into(), "ok\n".into())
    );
    assert_eq!(user.run(&["status", "--check"]).code, 0);
    assert_eq!(user.run(&["unmount", "--no-wait"]).code, 3);
    assert!(!user.path("metrics.sock").exists());
    assert_eq!(user.run(&["status", "--check"]).code, 4);
}

#[test]
fn figures_are_off_unless_wished_and_never_for_other_machines() {
    let user = User::settled();
    for place in ["0.0.0.0:9847", "192.0.2.1:9847", "metrics.sock"] {
        let ran = user.run(&["mount", "--background", "--metrics", place, "mnt"]);
        assert_line(&ran, 2, "a loopback address with a port");
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = port.local_addr().unwrap().to_string();
    let taken = user.run(&["mount", "--background", "--metrics", &place, "mnt"]);
    assert_line(&taken, 1, "choose another port");
    assert!(!user.is_mounted());
    drop(port);
    let ran = user.run(&["mount", "--background", "--metrics", &place, "mnt"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let (head, text) = get(TcpStream::connect(&place).unwrap(), "/metrics");
    assert!(head.ends_with("200 OK") && text.contains("fichierfs_build_info{version=\""));
    assert_eq!(user.run(&["unmount"]).code, 0);
    assert!(TcpStream::connect(&place).is_err());
}

#[test]
fn a_full_log_file_is_followed_by_the_next_and_the_oldest_go() {
    let user = User::settled();
    let words = [
        "mount",
        "--background",
        "--log-file",
        "logs/f.log",
        "--log-file-size",
        "64KiB",
    ];
    let mut words = words.to_vec();
    words.extend(["--log-files", "2", "--log-level", "trace", "mnt"]);
    std::fs::create_dir(user.path("logs")).unwrap();
    assert_eq!(user.run(&words).code, 0);
    let files = || std::fs::read_dir(user.path("logs")).unwrap().count();
    let mut number = 0;
    wait_until("a second log file", || {
        number += 1;
        std::fs::write(user.path(&format!("mnt/{number}")), "text").unwrap();
        files() > 2
    });
    for _ in 0..200 {
        number += 1;
        std::fs::write(user.path(&format!("mnt/{number}")), "text").unwrap();
    }
    assert_eq!(user.run(&["unmount", "--no-wait"]).code & !3, 0);
    assert!(files() <= 3, "{}", files());
    for entry in std::fs::read_dir(user.path("logs")).unwrap() {
        let facts = entry.unwrap().metadata().unwrap();
        assert_eq!(facts.permissions().mode() & 0o777, 0o600);
        assert!(facts.len() < 80 << 10, "{}", facts.len());
    }
}

/// A journal of our own in a mount namespace of its own: it prints what it gets.
const JOURNAL: &str = r#"
import os, signal, socket, subprocess, sys
os.makedirs("/run/systemd/journal", exist_ok=True)
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journal.bind("/run/systemd/journal/socket")
journal.settimeout(60)
home, program = os.environ["HOME"], os.environ["PROGRAM"]
errors = open(home + "/stderr", "wb")
facts = os.fstat(errors.fileno())
os.environ["JOURNAL_STREAM"] = f"{facts.st_dev}:{facts.st_ino}"
daemon = subprocess.Popen([program, "mount", home + "/mnt"], stderr=errors)
def until(text):
    line = ""
    while text not in line:
        line = journal.recv(65536).decode(errors="replace")
        print(line)
until("mounted on")
daemon.send_signal(signal.SIGTERM)
until("working off what is queued")
sys.exit(daemon.wait())
"#;

#[test]
fn a_service_writes_fields_to_the_journal() {
    let user = User::settled();
    let mut unshare = crate::service::own_mounts(&user);
    let script = "mount -t tmpfs none /run && exec python3 -c \"$JOURNAL\"";
    unshare.args(["bash", "-euc", script]);
    let ran = ran(unshare
        .env("JOURNAL", JOURNAL)
        .env("PROGRAM", PROGRAM)
        .output()
        .unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    // A field is NAME=value, or its name, the length of the value, and the value.
    for part in [
        "SYSLOG_IDENTIFIER\n",
        "PRIORITY\n",
        "TARGET\n",
        "fichierfs::cli::mount\n",
        "CODE_LINE=",
        "FICHIERFS_UPLOADS",
    ] {
        assert!(ran.out.contains(part), "{part:?} in {ran:?}");
    }
    // And not also as plain lines.
    assert_eq!(std::fs::read_to_string(user.path("stderr")).unwrap(), "");
}
