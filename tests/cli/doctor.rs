//! `doctor` finds what is wrong, says what mends it, and mends what is safe.
//!
//! Other tests crash daemons of their own at the same time, so what is asked here is
//! what doctor says of one thing, not whether all is well.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::user::{HIGH_SPEED, PROGRAM, User, wait_until};

/// What doctor finds about one thing.
fn findings(user: &User, check: &str) -> Vec<Value> {
    let ran = user.run(&["doctor", "--json"]);
    assert!(ran.code < 2, "{ran:?}");
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["schema"], 1);
    let all = report["findings"].as_array().unwrap().clone();
    let problems = all.iter().any(|one| one["level"] == "problem");
    assert_eq!(ran.code, i32::from(problems), "{all:?}");
    all.into_iter()
        .filter(|one| one["check"] == check)
        .collect()
}

fn only(user: &User, check: &str) -> Value {
    let mut found = findings(user, check);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn config(user: &User) -> std::path::PathBuf {
    user.path(".config/fichierfs/config.toml")
}

fn chmod(path: &std::path::Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn without_a_key_it_says_how_to_get_one() {
    let user = User::new(HIGH_SPEED);
    let key = only(&user, "key");
    assert_eq!(
        (&key["level"], &key["mend"]),
        (&"problem".into(), &"fichierfs init".into())
    );
    assert_eq!(only(&user, "database")["level"], "note");
    let ran = user.run(&["doctor"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.out.contains("→ fichierfs init") && ran.err.contains("to be mended"),
        "{ran:?}"
    );
}

#[test]
fn the_service_is_asked_once_and_not_where_a_daemon_knows() {
    let user = User::new(HIGH_SPEED);
    assert_eq!(user.init(user.simulator.key()).code, 0);
    let calls = || user.simulator.report().calls_of("user/info");
    user.mount();
    wait_until("the daemon's figures", || {
        !user.status()["account"].is_null()
    });
    let before = calls();
    let key = only(&user, "key");
    assert_eq!(key["level"], "ok", "{key}");
    assert!(key["what"].as_str().unwrap().contains("in use at"), "{key}");
    assert_eq!(only(&user, "staging")["level"], "ok");
    assert_eq!(only(&user, "database")["level"], "ok");
    assert_eq!(calls(), before);
    assert_eq!(user.run(&["unmount"]).code, 0);
    let key = only(&user, "key");
    assert_eq!(key["level"], "ok", "{key}");
    assert_eq!(calls(), before + 1);
    let ran = user.run(&["doctor", "--offline"]);
    assert!(
        ran.out
            .contains("was not asked about the API key: --offline"),
        "{ran:?}"
    );
    assert_eq!(calls(), before + 1);
    let report = user.simulator.report();
    assert!(report.violations.is_empty(), "{:?}", report.violations);
}

#[test]
fn a_configuration_that_others_can_read_is_mended() {
    let user = User::settled();
    chmod(&config(&user), 0o644);
    let found = only(&user, "configuration");
    assert_eq!(found["level"], "problem");
    assert!(
        found["mend"].as_str().unwrap().starts_with("chmod 600 "),
        "{found}"
    );

    // In a name space of its own, so that it does not clear the mounts of other tests.
    let as_root: &[&str] = match nix::unistd::geteuid().is_root() {
        true => &[],
        false => &["--map-root-user"],
    };
    let plain = user.command(&["doctor", "--fix", "--offline"]);
    let mut apart = Command::new("unshare");
    apart
        .args(as_root)
        .args(["--mount", "--", PROGRAM])
        .args(plain.get_args());
    apart.env_clear().current_dir(user.path(""));
    for (name, value) in plain.get_envs() {
        apart.env(name, value.unwrap());
    }
    let output = apart.output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(out.contains("mended   configuration"), "{out}");
    let mode = config(&user).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(only(&user, "configuration")["level"], "ok");
}

#[test]
fn a_damaged_database_is_found() {
    let user = User::settled();
    let database = user.path(".local/share/fichierfs/default/fichierfs.db");
    std::fs::write(&database, vec![b'x'; 20_000]).unwrap();
    // What was written last would be read from there.
    let _ = std::fs::remove_file(database.with_extension("db-wal"));
    let found = only(&user, "database");
    assert_eq!(found["level"], "problem");
    assert!(
        found["mend"].as_str().unwrap().contains(".recover"),
        "{found}"
    );
}

#[test]
fn a_mount_without_its_daemon_is_found() {
    let user = User::settled();
    user.mount();
    let pid = user.status()["pid"].as_i64().unwrap();
    kill(Pid::from_raw(pid as i32), Signal::SIGKILL).unwrap();
    wait_until("the end of the daemon", || user.run(&["status"]).code == 4);
    let at = user.path("").canonicalize().unwrap().join("mnt");
    let wreck = findings(&user, "leftovers")
        .into_iter()
        .find(|one| one["what"].as_str().unwrap().contains(at.to_str().unwrap()));
    let mend = wreck.unwrap()["mend"].as_str().unwrap().to_owned();
    assert_eq!(mend, format!("fusermount3 -u -z {}", at.display()));
    let ran = Command::new("sh").args(["-c", &mend]).status().unwrap();
    assert!(ran.success());
    assert!(!user.is_mounted());
}

#[test]
fn a_report_names_neither_the_user_nor_the_files_nor_the_key() {
    let user = User::settled();
    user.mount();
    user.uploads_stall();
    std::fs::write(user.path("mnt/secret plans.txt"), "text").unwrap();
    std::fs::write(user.path("mnt/secret film.mkv"), vec![7; 32 << 20]).unwrap();
    user.run(&["queue", "flush"]);
    wait_until("the upload", || {
        !user.status()["transfers"].as_array().unwrap().is_empty()
    });
    user.run(&["doctor", "--report", "report.txt"]);
    let path = user.path("report.txt");
    let report = std::fs::read_to_string(&path).unwrap();
    assert!(
        report.contains("## Findings") && report.contains("\"uploads\": 2"),
        "{report}"
    );
    let home = user.path("").canonicalize().unwrap();
    for private in [
        user.simulator.key(),
        "secret",
        "owner@example.org",
        home.to_str().unwrap().trim_end_matches('/'),
        &user.simulator.api_url(),
    ] {
        assert!(!report.contains(private), "{private:?} in:\n{report}");
    }
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    user.run(&["doctor", "--report", "full.txt", "--with-names"]);
    let full = std::fs::read_to_string(user.path("full.txt")).unwrap();
    assert!(full.contains("secret film.mkv") && !full.contains(user.simulator.key()));
    assert_eq!(user.run(&["unmount", "--no-wait"]).code, 3);
}
