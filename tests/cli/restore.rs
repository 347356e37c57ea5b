//! What was written and neither closed nor synced before a crash, and what a database knew that is
//! damaged or gone, comes back by `doctor --restore`.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::user::{User, assert_line, wait_until};

/// Writes, says so, and keeps the file open until it is left alone.
const WRITER: &str = "import sys
f = open(sys.argv[1], 'wb', 0); f.write(b'unsaved words ' * 1000)
print('written', flush=True); sys.stdin.read()";

#[test]
fn bytes_that_no_mount_shows_are_listed_and_copied() {
    let user = User::settled();
    user.mount();
    // In a process that starts no other: each end of a process that has the file open, be it for
    // a moment, is a close.
    let mut writer = Command::new("python3")
        .args(["-c", WRITER])
        .arg(user.path("mnt/thesis.txt"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is missing; run: tests/setup");
    let mut line = String::new();
    let mut said = BufReader::new(writer.stdout.take().unwrap());
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "written\n");
    assert_line(
        &user.run(&["doctor", "--restore", "back"]),
        1,
        "fichierfs unmount",
    );
    let pid = user.status()["pid"].as_i64().unwrap();
    kill(Pid::from_raw(pid as i32), Signal::SIGKILL).unwrap();
    wait_until("the end of the daemon", || user.run(&["status"]).code == 4);
    drop(writer.stdin.take());
    writer.wait().unwrap();

    let doctor = user.run(&["doctor", "--offline"]);
    assert!(doctor.out.contains("doctor --restore"), "{doctor:?}");
    for copy in ["back/", "back/again/"] {
        let ran = user.run(&["doctor", "--restore", copy]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.out.contains("never closed or synced"), "{ran:?}");
        let files: Vec<_> = std::fs::read_dir(user.path(copy))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
            .collect();
        assert_eq!(files.len(), 1, "{files:?}");
        assert_eq!(
            std::fs::read(&files[0]).unwrap(),
            b"unsaved words ".repeat(1000)
        );
    }
    let ran = user.run(&["doctor", "--restore", "back", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["files"][0]["bytes"], 14_000, "{json}");
    assert_eq!(std::fs::read_dir(user.path("back")).unwrap().count(), 3);
    assert_eq!(user.run(&["unmount", "--if-dead", "mnt"]).code, 0);
}

#[test]
fn where_nothing_is_lost_nothing_is_made() {
    let user = User::settled();
    let ran = user.run(&["doctor", "--restore", "back"]);
    assert!(
        ran.code == 0 && ran.out.contains("nothing to restore"),
        "{ran:?}"
    );
    assert!(!user.path("back").exists());
}

#[test]
fn what_was_not_sent_is_told_though_its_database_is_damaged_or_moved_away() {
    let user = User::settled();
    user.mount();
    user.uploads_stall();
    std::fs::write(user.path("mnt/thesis.txt"), "years of work").unwrap();
    let pid = user.status()["pid"].as_i64().unwrap();
    kill(Pid::from_raw(pid as i32), Signal::SIGKILL).unwrap();
    wait_until("the end of the daemon", || user.run(&["status"]).code == 4);
    let state = user.path(".local/share/fichierfs/default");
    let database = state.join("fichierfs.db");
    let told = |when: &str, level: &str| {
        let doctor = user.run(&["doctor", "--offline", "--json"]);
        let report: serde_json::Value = serde_json::from_str(&doctor.out).unwrap();
        let found = report["findings"].as_array().unwrap().iter().find(|one| {
            let what = one["what"].as_str().unwrap_or_default();
            one["check"] == "staging" && what.contains("13 bytes of 1 files")
        });
        let found = found.unwrap_or_else(|| panic!("{when}: {report}"));
        assert_eq!(found["level"], level, "{when}: {found}");
        let mend = found["mend"].as_str().unwrap();
        assert!(mend.contains("--restore"), "{when}: {found}");
    };
    // What was written last is in its log.
    let log = database.with_extension("db-wal");
    std::fs::write(&database, vec![b'x'; 20_000]).unwrap();
    std::fs::write(&log, "").unwrap();
    told("damaged", "problem");
    for file in [&database, &log, &database.with_extension("db-shm")] {
        let _ = std::fs::rename(file, file.with_extension("away"));
    }
    told("moved away", "problem");
    let ran = user.run(&["doctor", "--restore", "back"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let restored = std::fs::read_to_string(user.path("back/thesis.txt"));
    assert_eq!(restored.unwrap(), "years of work");
    // With a new one it is still there.
    assert_eq!(user.run(&["unmount", "--if-dead", "mnt"]).code, 0);
    user.mount();
    assert_eq!(user.run(&["unmount", "mnt"]).code, 0);
    told("with a new database", "warning");
}
