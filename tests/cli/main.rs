//! The program as people and scripts meet it: exit codes, lines on standard error,
//! life in the background. Against the simulator, over real mounts; needs
//! /dev/fuse, and root or fusermount3.

mod bonds;
mod doctor;
#[path = "../common/guard.rs"]
mod guard;
mod json;
mod machine;
mod messages;
mod observed;
mod options;
mod ordinary;
mod profiles;
mod restore;
mod running;
mod service;
mod strangers;
mod terminal;
mod upgrade;
mod user;

use fichierfs::sim::{Fault, FaultKind};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use user::{HIGH_SPEED, SPEED, User, assert_line, ran, wait_until};

#[test]
fn a_first_day() {
    let user = User::settled();
    user.mount();
    std::fs::write(user.path("mnt/a.txt"), "text").unwrap();
    let ran = user.run(&["queue", "list"]);
    assert!(
        ran.out.contains("1 upload") && ran.out.contains("/a.txt"),
        "{ran:?}"
    );
    assert_eq!(user.run(&["queue", "wait", "--timeout", "60s"]).code, 0);
    assert_eq!(user.simulator.account().file_paths(), ["a.txt"]);

    user.simulator.account().add_file("b.txt", b"new").unwrap();
    assert_eq!(user.run(&["refresh", "mnt"]).code, 0);
    assert_eq!(std::fs::read(user.path("mnt/b.txt")).unwrap(), b"new");

    let ran = user.run(&["account"]);
    assert!(ran.out.contains("owner@example.org"), "{ran:?}");
    std::fs::write(user.path("mnt/c.txt"), "last").unwrap();
    assert_eq!(user.run(&["unmount"]).code, 0);
    assert!(!user.is_mounted());
    assert_eq!(user.simulator.account().content("c.txt").unwrap(), b"last");
    assert_line(&user.run(&["status"]), 4, "no fichierfs is running");
    let report = user.simulator.report();
    assert!(report.violations.is_empty(), "{:?}", report.violations);
}

#[test]
fn mistakes_are_one_line_that_says_what_to_do() {
    let user = User::new(HIGH_SPEED);
    assert_line(&user.run(&["mount", "mnt"]), 2, "run `fichierfs init`");
    assert_line(&user.init("short"), 2, "5 characters");
    let wrong = "x".repeat(32);
    let ran = user.init(&wrong);
    assert_line(&ran, 1, "the API key was refused");
    assert!(!ran.err.contains(&wrong));
    assert!(!user.path(".config/fichierfs/config.toml").exists());
    // The refused key stops nothing for another one.
    assert_eq!(user.init(user.simulator.key()).code, 0);

    assert_line(&user.run(&["mount", "none"]), 1, "mkdir -p");
    assert_line(&user.run(&["mount", "--background", "none"]), 1, "mkdir -p");
    assert_line(
        &user.run(&["mount", "-o", "umaks=1", "mnt"]),
        2,
        "did you mean \"umask\"",
    );
    let none = ["mount", "--config", "none.toml", "mnt"];
    assert_line(&user.run(&none), 2, "no configuration file none.toml");
    let many = ["mount", "--connections", "31", "mnt"];
    assert_line(&user.run(&many), 2, "a whole number from 1 to 30");
    let log = ["mount", "--log-file", "none/log", "mnt"];
    assert_line(&user.run(&log), 1, "there is no such folder");
    assert!(!user.path("none").exists());
    assert_line(&user.run(&["unmount", "mnt"]), 4, "no fichierfs is mounted");
}

#[test]
fn variables_that_are_no_text_matter_only_if_they_are_ours() {
    use std::os::unix::ffi::OsStrExt;
    let user = User::settled();
    let latin = std::ffi::OsStr::from_bytes(b"caf\xe9");
    let with = |name: &str| {
        let mut mount = user.command(&["mount", "--background", "mnt"]);
        ran(mount.env(name, latin).output().unwrap())
    };
    assert_line(&with("FICHIERFS_CACHE_DIR"), 2, "FICHIERFS_CACHE_DIR");
    let mounted = with("OLDPWD");
    assert_eq!(mounted.code, 0, "{mounted:?}");
    assert_eq!(user.run(&["unmount"]).code, 0);
}

#[test]
fn a_folder_in_a_mount_is_not_taken_for_the_mount() {
    let user = User::settled();
    user.mount();
    std::fs::create_dir(user.path("mnt/old")).unwrap();
    assert_line(&user.run(&["unmount", "mnt/old"]), 4, "no mount of its own");
    assert!(user.is_mounted());
    assert_eq!(user.run(&["unmount", "mnt"]).code, 0);
}

#[test]
fn what_is_left_has_its_own_exit_code() {
    let user = User::settled();
    user.mount();
    user.uploads_stall();
    std::fs::write(user.path("mnt/a.txt"), "text").unwrap();
    assert_line(
        &user.run(&["queue", "wait", "--timeout", "300ms"]),
        3,
        "1 upload",
    );
    assert_line(
        &user.run(&["unmount", "--drain-timeout", "300ms", "mnt"]),
        3,
        "next",
    );
    assert!(!user.is_mounted());

    let brief = ["mount", "--background", "--drain-timeout", "300ms", "mnt"];
    assert_eq!(user.run(&brief).code, 0);
    assert_line(&user.run(&["unmount", "mnt"]), 3, "1 upload");

    user.simulator.faults().clear();
    user.mount();
    assert_eq!(std::fs::read(user.path("mnt/a.txt")).unwrap(), b"text");
    assert_eq!(user.run(&["unmount"]).code, 0);
    assert_eq!(user.simulator.account().file_paths(), ["a.txt"]);
}

/// An `unmount` that waits for a queue that does not move, and moves at once when there are nodes
/// again: no upload has begun.
fn waiting_unmount(user: &User) -> std::process::Child {
    let down = FaultKind::Status { status: 503 };
    let no_node = Fault::new("upload/get_upload_server", down).always();
    user.simulator.faults().add(no_node);
    std::fs::write(user.path("mnt/a.txt"), "text").unwrap();
    let mut unmount = user.command(&["unmount", "mnt"]);
    unmount.stdout(std::process::Stdio::piped());
    let child = unmount
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("the mount goes", || !user.is_mounted());
    child
}

#[test]
fn what_a_daemon_leaves_that_is_killed_is_not_called_done() {
    let user = User::settled();
    user.mount();
    let pid = user.status()["pid"].as_i64().unwrap();
    let waiting = waiting_unmount(&user);
    kill(Pid::from_raw(pid as i32), Signal::SIGKILL).unwrap();
    let ended = ran(waiting.wait_with_output().unwrap());
    assert_line(&ended, 3, "1 upload");
}

#[test]
fn what_another_mount_takes_over_is_neither_called_done_nor_ended() {
    let user = User::settled();
    user.mount();
    let waiting = waiting_unmount(&user);
    user.mount();
    let ended = ran(waiting.wait_with_output().unwrap());
    assert_line(&ended, 3, "1 upload");
    assert!(user.is_mounted());
    user.simulator.faults().clear();
    assert_eq!(user.run(&["unmount"]).code, 0);
    assert_eq!(user.simulator.account().file_paths(), ["a.txt"]);
}

#[test]
fn a_removal_that_waits_is_listed() {
    let user = User::settled();
    user.mount();
    std::fs::create_dir(user.path("mnt/d")).unwrap();
    std::fs::write(user.path("mnt/d/a.txt"), "text").unwrap();
    assert_eq!(user.run(&["queue", "wait"]).code, 0);
    let trouble = FaultKind::Status { status: 503 };
    user.simulator
        .faults()
        .add(Fault::new("file/rm", trouble).always());
    std::fs::remove_file(user.path("mnt/d/a.txt")).unwrap();
    wait_until("a removal failed", || {
        user.run(&["queue", "list"]).out.contains("503")
    });
    let list = user.run(&["queue", "list"]).out;
    let row = list.lines().find(|line| line.ends_with("/d/a.txt"));
    assert!(row.is_some_and(|row| row.starts_with("remove")), "{list}");
    let json = user.run(&["queue", "list", "--json"]).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let item = &json["items"][0];
    assert_eq!(item["path"], "d/a.txt");
    assert_eq!(item["work"][0], "remove");
    assert_eq!(item["state"], "waiting");
    assert!(item["error"].as_str().unwrap().contains("503"), "{json}");

    user.simulator.faults().clear();
    assert_eq!(user.run(&["queue", "wait"]).code, 0);
    assert_eq!(user.simulator.account().file_paths(), Vec::<String>::new());
    assert_eq!(user.run(&["unmount"]).code, 0);
}

#[test]
fn a_busy_mount_stays() {
    let user = User::settled();
    user.mount();
    let open = std::fs::File::create(user.path("mnt/a.txt")).unwrap();
    assert_line(&user.run(&["unmount", "mnt"]), 1, "in use");
    assert!(user.is_mounted());
    drop(open);
    assert_eq!(user.run(&["unmount", "mnt"]).code, 0);
}

#[test]
fn a_killed_daemon_loses_nothing() {
    let user = User::settled();
    user.mount();
    user.uploads_stall();
    std::fs::write(user.path("mnt/a.txt"), "text").unwrap();
    let pid = user.status()["pid"].as_i64().unwrap();
    kill(Pid::from_raw(pid as i32), Signal::SIGKILL).unwrap();
    wait_until("the end of the daemon", || user.run(&["status"]).code == 4);

    // The dead mount is cleared away by the new one.
    user.simulator.faults().clear();
    user.mount();
    assert_eq!(std::fs::read(user.path("mnt/a.txt")).unwrap(), b"text");
    assert_eq!(user.run(&["queue", "wait", "--timeout", "60s"]).code, 0);
    assert_eq!(user.simulator.account().file_paths(), ["a.txt"]);
    assert_eq!(user.run(&["unmount"]).code, 0);
}

#[test]
fn a_terminated_daemon_drains() {
    let user = User::settled();
    user.mount();
    std::fs::write(user.path("mnt/a.txt"), "text").unwrap();
    let pid = user.status()["pid"].as_i64().unwrap();
    kill(Pid::from_raw(pid as i32), Signal::SIGTERM).unwrap();
    wait_until("the end of the daemon", || user.run(&["status"]).code == 4);
    assert!(!user.is_mounted());
    assert_eq!(user.simulator.account().content("a.txt").unwrap(), b"text");
}

#[test]
fn the_key_is_nowhere_but_in_its_file() {
    let user = User::settled();
    let key = user.simulator.key();
    let mut mount = user.command(&["mount", "--background", "--log-level", "trace", "mnt"]);
    assert_eq!(ran(mount.output().unwrap()).code, 0);
    user.simulator.account().add_file("b.txt", b"new").unwrap();
    std::fs::write(user.path("mnt/a.txt"), "text").unwrap();
    assert_eq!(std::fs::read(user.path("mnt/b.txt")).unwrap(), b"new");
    assert_eq!(user.run(&["queue", "wait", "--timeout", "60s"]).code, 0);

    for args in [
        &["status", "--json"][..],
        &["queue", "list", "--json"],
        &["account", "--json"],
    ] {
        let ran = user.run(args);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(!ran.out.contains(key) && !ran.err.contains(key));
    }
    let pid = user.status()["pid"].as_i64().unwrap();
    let arguments = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(!arguments.contains(key));
    assert_eq!(user.run(&["unmount"]).code, 0);
    let log = user.log();
    assert!(log.contains("mounted on"), "{log}");
    assert!(!log.contains(key));
    // Nor a download link.
    assert!(
        !log.contains(&format!("{}/p", user.simulator.site_url())),
        "{log}"
    );
}

#[test]
fn completions_and_manuals_are_printed() {
    let user = User::new(SPEED);
    for shell in ["bash", "zsh", "fish"] {
        let ran = user.run(&["completions", shell]);
        assert!(ran.code == 0 && ran.out.contains("write-back"), "{shell}");
    }
    assert!(user.run(&["man"]).out.contains(".TH fichierfs"));
    assert_eq!(user.run(&["man", "--out", "man1"]).code, 0);
    assert!(user.path("man1/fichierfs-mount.1").exists());
}
