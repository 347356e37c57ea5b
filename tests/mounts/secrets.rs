//! The key and download links are in no output and no file but the one that the key
//! is kept in, even where all is logged and everything goes wrong.

use crate::harness::{Mounted, World, names, patience, sample, scaled, shell};
use fichierfs::sim::{AccountConfig, Fault, FaultKind, SimConfig};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Goes through reads, writes and failures of all sorts; their errors may quote addresses.
fn live_through_trouble(world: &World, mounted: &Mounted<'_>) {
    let ko = |message: &str| FaultKind::Ko {
        message: message.to_owned(),
        status: 403,
    };
    let faults = [
        ("download/get_token", FaultKind::Status { status: 500 }),
        ("download", FaultKind::TokenExpired),
        ("download", FaultKind::Reset { after_bytes: 10 }),
        ("download", FaultKind::Redirect),
        ("download", FaultKind::Truncate { after_bytes: 10 }),
        ("upload", FaultKind::Reset { after_bytes: 10 }),
        ("end.pl", FaultKind::CorruptJson),
        ("folder/ls", FaultKind::CorruptJson),
        ("folder/ls", ko("Something new #1")),
        ("file/rm", ko("Resource not allowed #631")),
        ("folder/mkdir", FaultKind::Reset { after_bytes: 0 }),
    ];
    let strike = || {
        for (endpoint, kind) in &faults {
            let fault = Fault::new(endpoint, kind.clone()).times(1);
            world.simulator().faults().add(fault);
        }
    };
    // What is not known could not be written to during the trouble.
    assert_eq!(names(mounted.path()), ["folder", "other"]);
    assert_eq!(names(mounted.join("folder")).len(), 4);
    strike();
    let _ = fs::read_dir(mounted.join("other"));
    for number in 0..4 {
        let path = mounted.join(format!("folder/remote {number}"));
        // Whether it succeeds is not the point here.
        let _ = fs::read(&path);
        fs::write(mounted.join(format!("local {number}")), "local").unwrap();
    }
    strike();
    fs::create_dir(mounted.join("made")).unwrap();
    fs::rename(mounted.join("local 1"), mounted.join("made/moved")).unwrap();
    let _ = fs::remove_file(mounted.join("folder/remote 1"));
}

/// So many characters of a key are told nowhere.
const PART: usize = 10;

/// The socket of the metrics, and the control socket.
fn sockets(world: &World) -> [PathBuf; 2] {
    let control = walkdir::WalkDir::new(world.path("run"))
        .into_iter()
        .filter_map(|entry| Some(entry.ok()?.into_path()))
        .find(|path| path.extension().is_some_and(|end| end == "sock"));
    [world.path("a/metrics.sock"), control.unwrap()]
}

/// What a socket answers to a request without a body.
fn asked(socket: &Path, path: &str) -> String {
    answer(socket, &format!("GET {path}"), "")
}

/// What a socket answers.
fn answer(socket: &Path, request: &str, body: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(patience())).unwrap();
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// What the control socket is asked beside what it is asked for status.
const ORDERS: [(&str, &str); 12] = [
    ("/queue/wait", r#"{"at_most_ms": 1}"#),
    ("/queue/flush", "{}"),
    ("/queue/retry", "{}"),
    ("/queue/cancel", r#"{"path": "folder", "force": false}"#),
    ("/refresh", r#"{"path": "folder"}"#),
    ("/walk", r#"{"path": "other"}"#),
    ("/pin", r#"{"path": "folder/remote 0"}"#),
    ("/unpin", r#"{"path": "folder/remote 0"}"#),
    ("/new-names", r#"{"path": "folder"}"#),
    ("/verify", r#"{"path": "folder/remote 0"}"#),
    ("/link", r#"{"path": "folder/remote 0"}"#),
    // This reads the key again.
    ("/reload", "{}"),
];

/// The program with the state of the mount, and so within the same pace.
fn program(world: &World) -> Command {
    let mut program = world.fichierfs();
    program.env("FICHIERFS_STATE_DIR", world.path("a/state"));
    program
}

/// What the program prints where it needs no mount; one of them is given the key.
fn told_without_a_mount(world: &World) -> String {
    let mut told = String::new();
    let rescued = world.path("a/rescued");
    for words in [
        &["service", "show"][..],
        &["service", "show", "--system"],
        &["man"],
        &["man", "mount"],
        &["completions", "bash"],
        &["doctor"],
        &["doctor", "--offline"],
        &["doctor", "--json", "--restore", rescued.to_str().unwrap()],
        &["mount", "--log-level", "trace", "nowhere"],
    ] {
        told.push_str(&shell::show(&shell::output(program(world).args(words))));
    }
    let mut init = program(world);
    init.args(["init", "--rotate"]).stdin(Stdio::piped());
    init.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut init = init.spawn().unwrap();
    writeln!(init.stdin.take().unwrap(), "{}", world.simulator().key()).unwrap();
    let output = init.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", shell::show(&output));
    told.push_str(&shell::show(&output));
    told
}

/// What the kernel tells of a process to who may ask, but for its memory.
fn told_of_process(pid: nix::unistd::Pid) -> String {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let mut told = String::new();
    for file in [
        "cmdline",
        "environ",
        "comm",
        "status",
        "maps",
        "mountinfo",
        "net/unix",
    ] {
        let path = process.join(file);
        told.push_str(&String::from_utf8_lossy(&fs::read(path).unwrap()));
    }
    for folder in ["fd", "task"] {
        for entry in fs::read_dir(process.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            // Either may have gone meanwhile.
            if let Ok(target) = fs::read_link(&path) {
                told.push_str(&format!("{}\n", target.display()));
            }
            told.push_str(&fs::read_to_string(path.join("comm")).unwrap_or_default());
        }
    }
    told
}

#[test]
fn neither_the_key_nor_a_download_link_is_told() {
    let world = World::new();
    for number in 0..4 {
        let path = format!("folder/remote {number}");
        let bytes = sample::bytes(number, 300_000);
        world.account().add_file(&path, &bytes).unwrap();
    }
    world.account().add_folder("other").unwrap();
    let metrics = world.path("a/metrics.sock");
    fs::create_dir_all(world.path("a")).unwrap();
    let metrics = metrics.to_str().unwrap();
    let mounted = world.mount_with("a", &["--log-level", "trace", "--metrics", metrics]);
    let mut told = String::new();
    let mut listen = || {
        for words in [
            &["status"][..],
            &["status", "--json"],
            &["queue", "list"],
            &["queue", "list", "--json"],
            &["queue", "flush"],
            &["queue", "retry"],
            &["queue", "wait", "--timeout", "1ms"],
            &["account"],
            &["account", "--json"],
            &["pin"],
            &["pin", "--list"],
            &["pin", "--list", "--json"],
            &["unpin"],
            &["allow-new"],
            &["allow-new", "--json"],
            &["verify"],
            &["verify", "--json"],
            &["refresh"],
            &["refresh", "--recursive"],
            &["status", "--check"],
            &["cache", "stats"],
            &["cache", "stats", "--json"],
            &["link"],
        ] {
            told.push_str(&shell::show(&mounted.verb(words)));
        }
        let report = world.path("a/report");
        for words in [&["doctor", "--json"][..], &["doctor", "--report"]] {
            let mut doctor = program(&world);
            doctor.args(words);
            if words.contains(&"--report") {
                // It lies below the place, and is looked through with the rest.
                doctor.arg(&report);
            }
            told.push_str(&shell::show(&shell::output(&mut doctor)));
        }
        for socket in sockets(&world) {
            for path in ["/metrics", "/healthz"] {
                told.push_str(&asked(&socket, path));
            }
        }
        for path in ["/status", "/queue", "/account", "/hello", "/pins"] {
            let answer = asked(&sockets(&world)[1], path);
            assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
            told.push_str(&answer);
        }
        for (path, body) in ORDERS {
            let request = format!("POST {path}");
            told.push_str(&answer(&sockets(&world)[1], &request, body));
            // And what it says to nonsense.
            told.push_str(&answer(&sockets(&world)[1], &request, "{nonsense"));
        }
    };
    live_through_trouble(&world, &mounted);
    listen();
    mounted.drain();
    listen();
    told.push_str(&told_without_a_mount(&world));
    told.push_str(&told_of_process(mounted.pid()));
    let limits = fs::read_to_string(format!("/proc/{}/limits", mounted.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core"));
    let sizes: Vec<&str> = core.unwrap().split_whitespace().skip(4).take(2).collect();
    assert_eq!(sizes, ["0", "0"], "core dumps hold the key");
    let report = world.report();
    assert!(
        report.faults > 10 && report.calls_of("download") > 4,
        "{report:#?}"
    );
    told.push_str(&shell::show(&mounted.verb(&["queue", "cancel", "--json"])));
    told.push_str(&shell::show(&mounted.verb(&["cache", "clear"])));
    mounted.unmount();
    // The log's other form.
    let json = ["--log-level", "trace", "--log-format", "json"];
    let mounted = world.mount_with("a", &json);
    world
        .simulator()
        .faults()
        .add(Fault::new("download", FaultKind::TokenExpired).times(1));
    assert!(fs::read(mounted.join("folder/remote 0")).is_ok());
    fs::write(mounted.join("other/new"), "new").unwrap();
    mounted.unmount();
    assert_eq!(world.report().key_leaks, 0);

    told.push_str(&left_behind(&world));
    for form in ["\"level\":\"TRACE\"", "uses it from now on"] {
        assert!(told.contains(form), "{form} is missing");
    }
    let link = format!("{}/p", world.simulator().site_url());
    let key = world.simulator().key();
    // Half a key helps who guesses the other half.
    let parts = (0..=key.len() - PART).map(|from| &key[from..from + PART]);
    let links = [link.as_str(), link.trim_start_matches("http://")];
    for secret in parts.chain(links) {
        assert_untold(&told, secret);
    }
}

/// All files of the place: the log, the state and the cache, which last longer than the mount.
fn left_behind(world: &World) -> String {
    let mut text = String::new();
    let mut files = 0;
    for entry in walkdir::WalkDir::new(world.path("a")) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            files += 1;
            let bytes = fs::read(entry.path()).unwrap();
            text.push_str(&format!("\n{}\n", entry.path().display()));
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
    assert!(files > 2 && text.contains("TRACE"), "nothing was looked at");
    text
}

fn assert_untold(told: &str, secret: &str) {
    if let Some(at) = told.find(secret) {
        let from = told.floor_char_boundary(at.saturating_sub(300));
        let to = told.ceil_char_boundary((at + 300).min(told.len()));
        panic!("told {secret}: …{}…", &told[from..to]);
    }
}

#[test]
fn no_password_of_what_others_share_is_told() {
    const FOLDER: &str = "sesame-of-the-folder";
    const FILE: &str = "sesame-of-the-file";
    let stranger = AccountConfig {
        key: "f".repeat(32),
        email: "friend@example.org".to_owned(),
        ..AccountConfig::default()
    };
    let world = World::with(SimConfig {
        accounts: vec![AccountConfig::default(), stranger],
        ..scaled()
    });
    let friend = world.simulator().account_number(1).unwrap();
    friend.add_file("pub/a", b"12345").unwrap();
    friend.add_file("pub/b", b"67890").unwrap();
    friend.set_password("pub/a", Some(FILE)).unwrap();
    friend.set_password("pub/b", Some("another")).unwrap();
    let link = friend.share("pub", Some(FOLDER)).unwrap();
    let config = fs::read_to_string(world.config_file()).unwrap();
    world.write_config(&format!("{config}file_password = \"{FILE}\"\n"));
    // As people keep theirs: the command does not show it, but what it says beside it may.
    let kept = world.path("kept");
    fs::write(&kept, format!("{FOLDER}\n")).unwrap();
    let command = format!("set -x; secret=$(cat {}); echo $secret", kept.display());
    let metrics = world.path("a/metrics.sock");
    fs::create_dir_all(world.path("a")).unwrap();
    let mounted = world.mount_with(
        "a",
        &[
            "--log-level",
            "trace",
            "--metrics",
            metrics.to_str().unwrap(),
            "--share",
            &format!("https://1fichier.com/dir/{link}"),
            "--share-password-command",
            &command,
        ],
    );
    assert_eq!(fs::read(mounted.join("a")).unwrap(), b"12345");
    assert!(fs::read(mounted.join("b")).is_err(), "that has another");
    for kind in [
        FaultKind::CorruptJson,
        FaultKind::Status { status: 500 },
        FaultKind::LoseAnswer,
    ] {
        world
            .simulator()
            .faults()
            .add(Fault::new("site", kind).times(1));
        let _ = mounted.verb(&["refresh"]);
    }
    let mut told = String::new();
    for words in [
        &["status"][..],
        &["status", "--json"],
        &["account"],
        &["queue", "list"],
    ] {
        told.push_str(&shell::show(&mounted.verb(words)));
    }
    let mut doctor = world.fichierfs();
    doctor
        .args(["doctor", "--report"])
        .arg(world.path("a/report"));
    told.push_str(&shell::show(&shell::output(&mut doctor)));
    for socket in sockets(&world) {
        for path in ["/metrics", "/status", "/hello"] {
            told.push_str(&asked(&socket, path));
        }
    }
    told.push_str(&told_of_process(mounted.pid()));
    mounted.unmount();
    told.push_str(&left_behind(&world));
    assert_untold(&told, FOLDER);
    assert_untold(&told, FILE);
}
