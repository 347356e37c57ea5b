//! Verbs that ask a running mount for one thing.

use std::io::Write;

use linux_keyutils::{KeyRing, KeyRingIdentifier};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::user::{HIGH_SPEED, PROGRAM, User, assert_line, ran, wait_until};

fn hang_up(user: &User) {
    let pid = user.status()["pid"].as_i64().unwrap();
    kill(Pid::from_raw(pid as i32), Signal::SIGHUP).unwrap();
}

fn configure(user: &User, line: &str) {
    let path = user.path(".config/fichierfs/config.toml");
    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    writeln!(file, "{line}").unwrap();
}

fn edit(user: &User, old: &str, new: &str) {
    let path = user.path(".config/fichierfs/config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "{text}");
    std::fs::write(&path, text.replace(old, new)).unwrap();
}

#[test]
fn a_hang_up_takes_a_new_key_if_it_is_of_this_account() {
    let user = User::new(HIGH_SPEED);
    let key = user.simulator.key().to_owned();
    assert_eq!(user.init(&key).code, 0);
    user.mount();
    // One that the service does not take leaves the old one in use.
    edit(&user, &key, &"x".repeat(32));
    hang_up(&user);
    wait_until("the refusal", || {
        user.log().contains("the new API key is not used")
    });
    std::fs::write(user.path("mnt/a.txt"), "text").unwrap();
    assert_eq!(user.run(&["queue", "wait"]).code, 0);
    let ended = user.run(&["unmount"]);
    assert_eq!(ended.code, 0, "{ended:?}");

    // And the other way round: a mount with a key that is refused, which is then mended.
    user.mount();
    wait_until("the refusal", || {
        let _ = std::fs::read_dir(user.path("mnt"));
        user.status()["api"]["key_refused"] == true
    });
    assert_line(&user.run(&["status", "--check"]), 1, "init --rotate");
    edit(&user, &"x".repeat(32), &key);
    hang_up(&user);
    wait_until("the key", || user.log().contains("applied=[\"api_key\"]"));
    std::fs::write(user.path("mnt/b.txt"), "text").unwrap();
    assert_eq!(user.run(&["queue", "wait"]).code, 0);
    assert_eq!(user.run(&["status", "--check"]).code, 0);
    let ended = user.run(&["unmount"]);
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[test]
fn a_key_can_live_in_the_kernels_keyring() {
    let user = User::new(HIGH_SPEED);
    let name = format!("work{}", std::process::id());
    let words = ["init", "--store", "keyring", "--profile", &name];
    let ran = user.init_with(&words, user.simulator.key());
    assert_eq!(ran.code, 0, "{ran:?}");
    let config = std::fs::read_to_string(user.path(".config/fichierfs/config.toml")).unwrap();
    assert!(
        config.contains(&format!("api_key_keyring = \"fichierfs:{name}\"")),
        "{config}"
    );
    assert!(!config.contains(user.simulator.key()));
    let ran = user.run(&["mount", "--background", "--profile", &name, "mnt"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    std::fs::write(user.path("mnt/a.txt"), "text").unwrap();
    assert_eq!(user.run(&["queue", "wait"]).code, 0);
    let ended = user.run(&["unmount"]);
    assert_eq!(ended.code, 0, "{ended:?}");

    let ring = KeyRing::from_special_id(KeyRingIdentifier::User, false).unwrap();
    let stored = ring.search(&format!("fichierfs:{name}")).unwrap();
    ring.unlink_key(stored).unwrap();
    let file = config.replace(&name, "none");
    std::fs::write(user.path(".config/fichierfs/config.toml"), file).unwrap();
    let ran = user.run(&["mount", "--profile", "none", "mnt"]);
    assert_line(&ran, 2, "init --store keyring");
}

#[test]
fn a_shells_low_limit_of_open_files_does_not_hinder_large_folders() {
    let user = User::new(HIGH_SPEED);
    assert_eq!(user.init(user.simulator.key()).code, 0);
    let mut shell = std::process::Command::new("bash");
    user.lend(&mut shell);
    shell.args([
        "-euc",
        "ulimit -Sn 128; exec \"$0\" mount --background mnt",
        PROGRAM,
    ]);
    let mounted = ran(shell.output().unwrap());
    assert_eq!(mounted.code, 0, "{mounted:?}");
    let pid = user.status()["pid"].to_string();
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let soft = files.unwrap().split_whitespace().nth(3).unwrap();
    assert!(soft.parse::<u64>().unwrap() >= 4096, "{limits}");
    for folder in ["one", "two"] {
        let at = user.path("mnt").join(folder);
        std::fs::create_dir(&at).unwrap();
        for number in 0..300 {
            std::fs::write(at.join(number.to_string()), number.to_string()).unwrap();
        }
    }
    let waited = user.run(&["queue", "wait", "--timeout", "60s"]);
    assert_eq!(waited.code, 0, "{waited:?}");
    assert_eq!(user.simulator.account().file_paths().len(), 600);
    assert!(
        !user.log().contains("Too many open files"),
        "{}",
        user.log()
    );
    let ended = user.run(&["unmount"]);
    assert_eq!(ended.code, 0, "{ended:?}");
}

/// A session with a keyring of its own that is open.
const IN_A_SESSION: &str = r#"
printf password | gnome-keyring-daemon --unlock --components=secrets > "$HOME/keyring"
printf '%s\n' "$KEY" | "$PROGRAM" init --store desktop
"$PROGRAM" mount --background "$HOME/mnt"
echo text > "$HOME/mnt/a.txt"
"$PROGRAM" unmount
"#;

#[test]
fn a_key_can_live_in_the_desktops_keyring() {
    let user = User::new(HIGH_SPEED);
    let mut session = std::process::Command::new("dbus-run-session");
    user.lend(&mut session);
    session.args(["--", "bash", "-euc", IN_A_SESSION]);
    session
        .env("KEY", user.simulator.key())
        .env("PROGRAM", PROGRAM);
    let output = session
        .output()
        .expect("dbus-run-session is missing; run: tests/setup");
    let ran = ran(output);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.out.contains("Stored in the desktop's keyring"),
        "{ran:?}"
    );
    assert_eq!(
        user.simulator.account().content("a.txt").unwrap(),
        b"text\n"
    );
    let config = std::fs::read_to_string(user.path(".config/fichierfs/config.toml")).unwrap();
    assert!(config.contains("secret-tool lookup service"), "{config}");
    assert!(!config.contains(user.simulator.key()));
}

#[test]
fn a_link_is_that_of_the_file_on_the_service() {
    let user = User::settled();
    user.mount();
    user.simulator.account().add_file("b.txt", b"new").unwrap();
    assert_eq!(user.run(&["refresh", "mnt"]).code, 0);
    let ran = user.run(&["link", "mnt/b.txt"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.starts_with("https://1fichier.com/?"), "{ran:?}");
    user.uploads_stall();
    std::fs::write(user.path("mnt/a.txt"), "text").unwrap();
    assert_line(&user.run(&["link", "mnt/a.txt"]), 1, "fichierfs queue wait");
    assert_line(&user.run(&["link", "mnt/none"]), 1, "there is no");
    assert_line(&user.run(&["link", "mnt"]), 1, "a folder has no link");
    assert_eq!(user.run(&["unmount", "--no-wait"]).code, 3);
}

#[test]
fn new_names_can_be_made_in_a_folder_that_is_known_whole_and_nothing_is_said_of_what_is_none() {
    let user = User::settled();
    user.mount();
    let account = user.simulator.account();
    account.add_file("folder/b.txt", b"new").unwrap();
    assert_eq!(user.run(&["refresh", "mnt"]).code, 0);
    // Never looked into: it is listed first.
    let ran = user.run(&["allow-new", "mnt/folder"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    assert!(ran.out.starts_with("/folder: known whole"), "{ran:?}");
    for words in [
        &["allow-new", "--json"][..],
        &["allow-new", "--off", "--json"],
    ] {
        let ran = user.run(&[words, &["mnt/folder", "mnt"]].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        let told: Vec<serde_json::Value> = serde_json::Deserializer::from_str(&ran.out)
            .into_iter()
            .collect::<Result<_, _>>()
            .unwrap();
        for (told, path) in told.iter().zip(["folder", ""]) {
            let expected = serde_json::json!({
                "schema": 1, "path": path, "whole": true, "new_names": true,
                "new_folders": true, "reason": null
            });
            assert_eq!(*told, expected);
        }
        assert_eq!(told.len(), 2);
    }
    let refused = |path: &str, code, part: &str| {
        assert_line(&user.run(&["allow-new", path]), code, part);
        assert_line(&user.run(&["allow-new", "--off", path]), code, part);
    };
    refused("mnt/folder/b.txt", 1, "it is no folder");
    refused("mnt/folder/none", 1, "there is no");
    refused("elsewhere", 4, "elsewhere");
    assert_eq!(user.run(&["allow-new"]).code, 2);
    assert_eq!(user.run(&["unmount"]).code, 0);
    let ran = user.run(&["mount", "--background", "--ro", "mnt"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_line(
        &user.run(&["allow-new", "mnt/folder"]),
        1,
        "the mount is read-only",
    );
    // To take it back is no change of anything in it.
    let ran = user.run(&["allow-new", "--off", "mnt/folder"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    let told = "/folder: known whole; nothing can be made in it\n";
    assert_eq!(ran.out, told);
    assert_eq!(user.run(&["unmount"]).code, 0);
}

#[test]
fn an_emptied_cache_costs_a_fetch_and_no_change() {
    let user = User::settled();
    user.mount();
    user.simulator.account().add_file("b.txt", b"new").unwrap();
    assert_eq!(user.run(&["refresh", "mnt"]).code, 0);
    assert_eq!(std::fs::read(user.path("mnt/b.txt")).unwrap(), b"new");
    user.uploads_stall();
    std::fs::write(user.path("mnt/a.txt"), "text").unwrap();
    let stats = || -> serde_json::Value {
        let ran = user.run(&["cache", "stats", "--json"]);
        serde_json::from_str(&ran.out).unwrap()
    };
    assert_eq!(stats()["files"], 1);
    let ran = user.run(&["cache", "clear"]);
    assert!(ran.code == 0 && ran.out.ends_with(" freed\n"), "{ran:?}");
    assert_eq!(stats()["files"], 0);
    // What a reader was given may still be on its way to disk, and has its room there.
    wait_until("an empty cache", || {
        user.run(&["cache", "stats"])
            .out
            .contains("on disk   0 B of 10.00 GiB")
    });
    assert_eq!(std::fs::read(user.path("mnt/b.txt")).unwrap(), b"new");
    assert_eq!(std::fs::read(user.path("mnt/a.txt")).unwrap(), b"text");
    assert_eq!(user.run(&["unmount", "--no-wait"]).code, 3);
}

#[test]
fn a_hang_up_reads_the_configuration_anew() {
    let user = User::settled();
    user.mount();
    configure(&user, "log_level = \"debug\"\nuploads = 3");
    hang_up(&user);
    wait_until("the new configuration", || {
        user.log().contains("was read anew")
    });
    assert!(
        user.log()
            .contains("applied=[\"log_level\"] at_next_mount=[\"uploads\"]"),
        "{}",
        user.log()
    );
    std::fs::write(user.path("mnt/a.txt"), "text").unwrap();
    assert_eq!(user.run(&["queue", "wait"]).code, 0);
    wait_until("a line of more detail", || user.log().contains("DEBUG"));

    // Limits hold at once, and what changed can change back.
    let lines = "log_level = \"debug\"\nuploads = 3";
    edit(
        &user,
        lines,
        "download_limit = \"2MiB\"\nupload_limit = \"1MiB\"",
    );
    hang_up(&user);
    wait_until("the limits", || {
        let names =
            "applied=[\"download_limit\", \"upload_limit\", \"log_level\"] at_next_mount=[]";
        user.log().contains(names)
    });

    // A mistake changes nothing and ends nothing.
    configure(&user, "uplods = 3");
    hang_up(&user);
    wait_until("the refusal", || user.log().contains("stays as it was"));
    assert!(user.is_mounted() && user.log().contains("did you mean"));
    let ended = user.run(&["unmount"]);
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[test]
fn a_new_key_is_used_by_the_running_mount() {
    let user = User::new(HIGH_SPEED);
    // The mount starts with a key that the service does not take.
    let wrong = "x".repeat(32);
    let mut mount = user.command(&["mount", "--background", "mnt"]);
    let file = user.path("key");
    std::fs::write(&file, &wrong).unwrap();
    std::fs::create_dir_all(user.path(".config/fichierfs")).unwrap();
    let config = user.path(".config/fichierfs/config.toml");
    std::fs::write(&config, format!("api_key = \"{wrong}\"\n")).unwrap();
    for path in [&file, &config] {
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(path, private).unwrap();
    }
    assert!(mount.status().unwrap().success());
    std::fs::read_dir(user.path("mnt"))
        .and_then(|mut all| all.next().transpose())
        .ok();
    wait_until("the refusal", || {
        user.status()["api"]["key_refused"] == true
    });

    let ran = user.init_with(&["init", "--rotate"], user.simulator.key());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("uses it from now on"), "{ran:?}");
    std::fs::write(user.path("mnt/a.txt"), "text").unwrap();
    assert_eq!(user.run(&["queue", "wait"]).code, 0);
    assert_eq!(user.status()["api"]["key_refused"], false);
    assert_eq!(user.simulator.account().content("a.txt").unwrap(), b"text");
    let ended = user.run(&["unmount"]);
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[test]
fn a_key_that_is_good_again_is_asked_about_once_and_used_by_the_running_mount() {
    let user = User::new(HIGH_SPEED);
    let key = user.simulator.key().to_owned();
    assert_eq!(user.init(&key).code, 0);
    user.mount();
    let rename = |key: &str| {
        let account = user.simulator.account();
        account.profile(|profile| profile.config.key = key.to_owned());
    };
    rename("nobodys");
    wait_until("the refusal", || {
        let _ = std::fs::read_dir(user.path("mnt"));
        user.status()["api"]["key_refused"] == true
    });
    let before = user.simulator.report().api_calls;
    assert_line(&user.init(&key), 1, "the same answer as before: ");
    assert_eq!(user.simulator.report().api_calls, before + 1);
    assert_eq!(user.status()["api"]["key_refused"], true);

    rename(&key);
    let ran = user.init(&key);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("takes this key again"), "{ran:?}");
    assert_eq!(user.status()["api"]["key_refused"], false);
    std::fs::write(user.path("mnt/a.txt"), "text").unwrap();
    assert_eq!(user.run(&["queue", "wait"]).code, 0);
    assert_eq!(user.simulator.account().content("a.txt").unwrap(), b"text");
    let ended = user.run(&["unmount"]);
    assert_eq!(ended.code, 0, "{ended:?}");
}

/// As if the state had been another account's so far.
fn give_away(user: &User) {
    let database = user.path(".local/share/fichierfs/default/fichierfs.db");
    let database = rusqlite::Connection::open(database).unwrap();
    let given = database
        .execute(
            "UPDATE setting SET value = iif(key <> 'account', '0', replace(value, 'owner@', 'other@'))
             WHERE key IN ('account', 'key_print', 'owner_print')",
            [],
        )
        .unwrap();
    assert_eq!(given, 3);
}

#[test]
fn a_state_is_not_used_with_the_key_of_another_account() {
    let user = User::new(HIGH_SPEED);
    assert_eq!(user.init(user.simulator.key()).code, 0);
    give_away(&user);
    let before = user.simulator.report().calls_of("folder/ls");
    let line = "this state belongs to the account other@example.org";
    assert_line(&user.run(&["mount", "--background", "mnt"]), 2, line);
    assert!(!user.is_mounted());
    assert_eq!(user.simulator.report().calls_of("folder/ls"), before);
    let config = std::fs::read(user.path(".config/fichierfs/config.toml")).unwrap();
    assert_line(&user.init(user.simulator.key()), 1, line);
    assert_eq!(
        std::fs::read(user.path(".config/fichierfs/config.toml")).unwrap(),
        config
    );
}

#[test]
fn an_account_whose_address_changed_is_still_the_same() {
    let user = User::new(HIGH_SPEED);
    assert_eq!(user.init(user.simulator.key()).code, 0);
    let database = user.path(".local/share/fichierfs/default/fichierfs.db");
    let database = rusqlite::Connection::open(database).unwrap();
    let changed =
        "UPDATE setting SET value = replace(replace(value, 'owner@', 'before@'), '20', '19')
                   WHERE key = 'account'";
    assert_eq!(database.execute(changed, []).unwrap(), 1);
    drop(database);
    assert_eq!(user.init(user.simulator.key()).code, 0);
    user.mount();
    let account = || user.run(&["account"]).out;
    wait_until("the new address", || {
        account().contains("owner@example.org")
    });
    std::fs::write(user.path("mnt/a.txt"), "text").unwrap();
    let ended = user.run(&["unmount"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(user.simulator.account().content("a.txt").unwrap(), b"text");
}

#[test]
fn a_mount_that_has_its_key_from_elsewhere_is_not_said_to_take_the_new_one() {
    let user = User::new(HIGH_SPEED);
    let mut mount = user.command(&["mount", "--background", "mnt"]);
    mount.env("FICHIERFS_API_KEY", "x".repeat(32));
    assert!(mount.status().unwrap().success());
    let ran = user.init_with(&["init", "--rotate"], user.simulator.key());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.out.contains("mnt does not use it: it has another one"),
        "{ran:?}"
    );
    user.run(&["unmount", "--no-wait"]);
}

#[test]
fn a_hang_up_reads_relative_paths_from_where_the_mount_was_started() {
    let user = User::new(HIGH_SPEED);
    let file = user.path("key.txt");
    std::fs::write(&file, user.simulator.key()).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, private).unwrap();
    let words = ["mount", "--background", "--api-key-file", "key.txt", "mnt"];
    let ran = user.run(&words);
    assert_eq!(ran.code, 0, "{ran:?}");
    hang_up(&user);
    wait_until("the configuration is read", || {
        user.log().contains("was read anew") || user.log().contains("stays as it was")
    });
    let log = user.log();
    assert!(log.contains("applied=[] at_next_mount=[]"), "{log}");
    let ended = user.run(&["unmount"]);
    assert_eq!(ended.code, 0, "{ended:?}");
}
