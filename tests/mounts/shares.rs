//! What others share: public folders without an account, and behind passwords.

use crate::harness::{
    Mounted, World, errno, eventually, mount_command, names, prepare, sample, scaled, shell, text,
};
use fichierfs::sim::{AccountConfig, AccountHandle, SimConfig};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// The friend's number among the accounts of [`friends`].
const FRIEND: usize = 1;

/// A world with somebody else, whose folder `pub` has a file, one behind a password and a folder.
fn friends() -> World {
    let other = AccountConfig {
        key: "f".repeat(32),
        email: "friend@example.org".to_owned(),
        ..AccountConfig::default()
    };
    let world = World::with(SimConfig {
        accounts: vec![AccountConfig::default(), other],
        ..scaled()
    });
    let friend = friend(&world);
    friend.add_file("pub/a.txt", b"for all\n").unwrap();
    friend.add_file("pub/secret.txt", b"for some\n").unwrap();
    friend
        .set_password("pub/secret.txt", Some("opensesame"))
        .unwrap();
    friend.add_file("pub/below/b.txt", b"deeper\n").unwrap();
    world
}

fn friend(world: &World) -> AccountHandle {
    world.simulator().account_number(FRIEND).unwrap()
}

/// Shares the friend's folder; gives its link.
fn share(world: &World, password: Option<&str>) -> String {
    let id = friend(world).share("pub", password).unwrap();
    format!("https://1fichier.com/dir/{id}")
}

/// The configuration of somebody who has no key.
fn without_key(world: &World) {
    let config = fs::read_to_string(world.config_file()).unwrap();
    let lines = config.lines().filter(|line| !line.starts_with("api_key"));
    world.write_config(&lines.map(|line| format!("{line}\n")).collect::<String>());
}

#[test]
fn a_public_folder_is_shown_without_a_key_and_read_with_one() {
    let world = friends();
    let with_key = fs::read_to_string(world.config_file()).unwrap();
    let link = share(&world, None);
    let flags = ["--share", link.as_str(), "--dir-cache-time", "1h"];
    without_key(&world);
    let mounted = world.mount_with("a", &flags);
    // Folders within do not show there.
    assert_eq!(names(mounted.path()), ["a.txt", "secret.txt"]);
    let file = mounted.join("a.txt");
    assert_eq!(fs::metadata(&file).unwrap().len(), 8);
    assert_eq!(errno(fs::read(&file)), libc::EACCES);
    assert!(
        mounted.log().contains("without an API key"),
        "nobody is told"
    );
    for change in [
        fs::write(mounted.join("new"), "x"),
        fs::remove_file(&file),
        fs::create_dir(mounted.join("new")),
        fs::rename(&file, mounted.join("b.txt")),
    ] {
        assert_eq!(errno(change), libc::EROFS);
    }
    let account = shell::show(&mounted.verb(&["account"]));
    assert!(account.contains("has no account"), "{account}");

    friend(&world).add_file("pub/c.txt", b"new\n").unwrap();
    assert!(mounted.verb(&["refresh"]).status.success());
    assert_eq!(names(mounted.path()), ["a.txt", "c.txt", "secret.txt"]);
    mounted.unmount();

    let report = world.report();
    assert_eq!(report.calls_of("site"), 2, "{report:#?}");
    assert_eq!(report.calls_of("user/info"), 0);
    world.write_config(&with_key);
    let mounted = world.mount_with("a", &flags);
    // Known from before: nobody is asked.
    assert_eq!(names(mounted.path()), ["a.txt", "c.txt", "secret.txt"]);
    assert_eq!(text(mounted.join("a.txt")), "for all\n");
    assert_eq!(world.report().calls_of("site"), 2);
    // Without its password.
    assert_eq!(errno(fs::read(mounted.join("secret.txt"))), libc::EACCES);
    mounted.unmount();
    assert_eq!(world.report().calls_of("user/info"), 0);
    assert_eq!(world.report().key_leaks, 0);
}

#[test]
fn a_public_folder_behind_a_password_is_shown_to_who_has_it() {
    let world = friends();
    let link = share(&world, Some("sesame42"));
    let refused = |place: &str, more: &[&str]| {
        prepare(&world, place);
        let flags = [&["--share", &link][..], more].concat();
        let output = shell::output(&mut mount_command(&world, place, &flags));
        assert_eq!(output.status.code(), Some(1), "{}", shell::show(&output));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("--share-password-command"), "{said}");
    };
    refused("a", &[]);
    refused("b", &["--share-password-command", "echo wrong one"]);
    let command = "echo sesame42";
    let flags = ["--share", &link, "--share-password-command", command];
    let mounted = world.mount_with("c", &flags);
    assert_eq!(names(mounted.path()), ["a.txt", "secret.txt"]);
    assert_eq!(text(mounted.join("a.txt")), "for all\n");
    mounted.unmount();
}

#[test]
fn files_behind_a_password_open_with_it_and_others_are_asked_for_without() {
    let world = friends();
    let link = share(&world, None);
    let config = fs::read_to_string(world.config_file()).unwrap();
    world.write_config(&format!("{config}file_password = \"opensesame\"\n"));
    let mounted = world.mount_with("a", &["--share", &link]);
    assert_eq!(text(mounted.join("secret.txt")), "for some\n");
    assert_eq!(text(mounted.join("a.txt")), "for all\n");
    mounted.unmount();
    for number in 0..8 {
        let path = format!("pub/more {number}");
        friend(&world).add_file(&path, b"x").unwrap();
        friend(&world)
            .set_password(&path, Some("opensesame"))
            .unwrap();
    }
    let read_all = |mounted: &Mounted<'_>| {
        let before = world.report().calls_of("download/get_token");
        assert_eq!(errno(fs::read(mounted.join("secret.txt"))), libc::EACCES);
        for number in 0..8 {
            let path = mounted.join(format!("more {number}"));
            assert_eq!(errno(fs::read(path)), libc::EACCES);
        }
        world.report().calls_of("download/get_token") - before
    };
    // None is not tried, and a wrong one with two files: failing calls count.
    world.write_config(&config);
    let mounted = world.mount_with("c", &["--share", &link]);
    assert_eq!(read_all(&mounted), 0);
    mounted.unmount();
    world.write_config(&format!(
        "{config}file_password_command = \"echo wrong one\"\n"
    ));
    let mounted = world.mount_with("b", &["--share", &link]);
    assert_eq!(read_all(&mounted), 2);
    assert_eq!(text(mounted.join("a.txt")), "for all\n");
    mounted.unmount();
}

#[test]
fn a_file_with_another_password_does_not_shut_out_those_that_ours_opens() {
    let world = friends();
    let link = share(&world, None);
    friend(&world).add_file("pub/other.txt", b"x").unwrap();
    friend(&world)
        .set_password("pub/other.txt", Some("another one"))
        .unwrap();
    let config = fs::read_to_string(world.config_file()).unwrap();
    world.write_config(&format!("{config}file_password = \"opensesame\"\n"));
    let mounted = world.mount_with("a", &["--share", &link]);
    assert_eq!(errno(fs::read(mounted.join("other.txt"))), libc::EACCES);
    assert_eq!(text(mounted.join("secret.txt")), "for some\n");
    assert_eq!(errno(fs::read(mounted.join("other.txt"))), libc::EACCES);
    mounted.unmount();
    assert_eq!(world.report().failing.values().sum::<u64>(), 1);
}

#[test]
fn a_public_folder_that_is_gone_or_was_never_there_is_told_at_the_mount() {
    let world = friends();
    prepare(&world, "a");
    let mut command = mount_command(
        &world,
        "a",
        &["--share", "https://1fichier.com/dir/Nowhere1"],
    );
    let output = shell::output(&mut command);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("may have been withdrawn"), "{said}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_state_of_an_account_and_that_of_a_public_folder_are_not_taken_for_each_other() {
    let world = friends();
    world
        .account()
        .add_file("mine", &sample::bytes(1, 100))
        .unwrap();
    let link = share(&world, None);
    let refused = |place: &str, flags: &[&str]| {
        let output = shell::output(&mut mount_command(&world, place, flags));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("--state-dir"), "{said}");
    };
    let mounted = world.mount_with("a", &[]);
    assert_eq!(names(mounted.path()), ["mine"]);
    mounted.unmount();
    // Beside it, in folders of its own.
    let mounted = world.mount_with("a", &["--share", &link]);
    assert_eq!(names(mounted.path()), ["a.txt", "secret.txt"]);
    mounted.unmount();
    let mounted = world.mount_with("a", &[]);
    eventually("the account again", || names(mounted.path()) == ["mine"]);
    mounted.unmount();
    // Put in each other's place.
    let own = format!("share-{}", link.rsplit('/').next().unwrap());
    fs::create_dir_all(world.path("b/state")).unwrap();
    fs::rename(world.path("a/state").join(&own), world.path("c-state")).unwrap();
    fs::rename(world.path("a/state"), world.path("b/state").join(&own)).unwrap();
    prepare(&world, "b");
    refused("b", &["--share", &link]);
    prepare(&world, "c");
    fs::rename(world.path("c-state"), world.path("c/state")).unwrap();
    refused("c", &[]);
}

/// The account's own address.
const ME: &str = "owner@example.org";

/// A friend who shares folders with the account in all ways.
fn sharing_friend(world: &World) -> AccountHandle {
    let friend = friend(world);
    friend.add_file("Films/a.mkv", b"a film\n").unwrap();
    friend.add_file("Films/Deep/b.mkv", b"another\n").unwrap();
    friend
        .add_file("Private/x", b"nobody's business\n")
        .unwrap();
    friend.add_file("Hidden/h.txt", b"no link\n").unwrap();
    friend.add_file("Work/plan.txt", b"version 1\n").unwrap();
    friend.share_with("Films", ME, false, false).unwrap();
    friend.share_with("Hidden", ME, false, true).unwrap();
    friend.share_with("Work", ME, true, false).unwrap();
    friend
}

fn xattr(path: &std::path::Path, name: &str) -> std::io::Result<usize> {
    Ok(rustix::fs::getxattr(path, name, &mut [0; 200])?)
}

#[test]
fn what_others_share_shows_and_is_changed_only_where_that_is_granted() {
    let world = friends();
    let friend = sharing_friend(&world);
    world.account().add_file("mine.txt", b"mine\n").unwrap();
    let flags = ["--shared", "friend@example.org", "--dir-cache-time", "1h"];
    let mounted = world.mount_with("a", &flags);
    assert_eq!(names(mounted.path()), ["Shared with me", "mine.txt"]);
    let shared = mounted.join("Shared with me/friend@example.org");
    assert_eq!(
        names(mounted.join("Shared with me")),
        ["friend@example.org"]
    );
    // The service lists no root more often than that; until then it is unknown.
    eventually("the friend's root", || fs::read_dir(&shared).is_ok());
    assert_eq!(names(&shared), ["Films", "Hidden", "Work"]);

    let film = shared.join("Films/a.mkv");
    assert_eq!(text(&film), "a film\n");
    assert_eq!(text(shared.join("Films/Deep/b.mkv")), "another\n");
    assert_eq!(
        fs::metadata(&film).unwrap().permissions().mode() & 0o777,
        0o444
    );
    for change in [
        fs::write(shared.join("Films/new"), "x"),
        fs::write(shared.join("new"), "x"),
        fs::write(&film, "x"),
        fs::remove_file(&film),
        fs::create_dir(shared.join("Films/Deep/er")),
        fs::rename(&film, mounted.join("film")),
        fs::rename(mounted.join("mine.txt"), shared.join("Films/mine.txt")),
        fs::rename(shared.join("Work"), mounted.join("Work")),
        // The folder of ours is in the root, which is the account's.
        fs::remove_dir(mounted.join("Shared with me")),
        fs::rename(mounted.join("Shared with me"), mounted.join("Friends")),
    ] {
        assert_eq!(errno(change), libc::EROFS);
    }

    // Its bytes are asked for by folder and name.
    let hidden = shared.join("Hidden/h.txt");
    assert_eq!(text(&hidden), "no link\n");
    assert_eq!(errno(xattr(&hidden, "user.1fichier.url")), libc::ENODATA);
    assert_eq!(errno(fs::remove_file(&hidden)), libc::EROFS);
    // The service copies by links, so a copy of this is sent.
    fs::copy(&hidden, mounted.join("copy.txt")).unwrap();

    // What is the friend's is not replaced, renamed or taken: only he could tell that it came
    // well. New things can be brought, and what is there removed.
    let plan = shared.join("Work/plan.txt");
    for change in [
        fs::write(&plan, "version 2\n"),
        fs::rename(&plan, shared.join("Work/other name")),
        fs::rename(mounted.join("copy.txt"), &plan),
    ] {
        assert_eq!(errno(change), libc::EROFS);
    }
    let mut mv = world.at_home(std::process::Command::new("mv"));
    mv.arg(mounted.join("mine.txt"))
        .arg(shared.join("Work/moved.txt"));
    let moved = shell::output(&mut mv);
    assert!(moved.status.success(), "{}", shell::show(&moved));
    fs::create_dir(shared.join("Work/more")).unwrap();
    fs::write(shared.join("Work/more/note.txt"), "a note\n").unwrap();
    mounted.drain();
    assert_eq!(friend.content("Work/plan.txt").unwrap(), b"version 1\n");
    assert_eq!(friend.content("Work/moved.txt").unwrap(), b"mine\n");
    assert_eq!(friend.content("Work/more/note.txt").unwrap(), b"a note\n");
    assert_eq!(world.account().file_paths(), ["copy.txt"]);
    fs::remove_file(&plan).unwrap();
    mounted.drain();
    assert!(friend.file_id("Work/plan.txt").is_none());
    mounted.unmount();

    let listings = world.report().calls_of("folder/ls");
    let mounted = world.mount_with("a", &flags);
    let shared = mounted.join("Shared with me/friend@example.org");
    assert_eq!(names(&shared), ["Films", "Hidden", "Work"]);
    assert_eq!(names(shared.join("Work/more")), ["note.txt"]);
    assert_eq!(errno(fs::write(shared.join("Films/new"), "x")), libc::EROFS);
    assert_eq!(world.report().calls_of("folder/ls"), listings);
    mounted.unmount();
    world.assert_well_behaved();
}

#[test]
fn a_root_that_is_shared_whole_and_a_folder_by_its_number_show_too() {
    let world = friends();
    let friend = friend(&world);
    friend.add_file("top.txt", b"at the top\n").unwrap();
    world.account().add_file("mine.txt", b"mine\n").unwrap();
    friend.share_with("", ME, true, true).unwrap();
    let number = friend.folder_id("pub/below").unwrap();
    // One's own stays where it is.
    world
        .account()
        .add_file("docs/b.txt", b"mine too\n")
        .unwrap();
    let own = world.account().folder_id("docs").unwrap();
    let shared = format!("friend@example.org Below={number} Docs={own}");
    let mounted = world.mount_with("a", &["--shared", &shared, "--shared-folder", "Friends"]);
    assert_eq!(names(mounted.path()), ["Friends", "docs", "mine.txt"]);
    assert_eq!(text(mounted.join("docs/b.txt")), "mine too\n");
    let friends = mounted.join("Friends");
    assert_eq!(names(&friends), ["Below", "friend@example.org"]);
    assert_eq!(
        names(friends.join("friend@example.org")),
        ["pub", "top.txt"]
    );
    // No number and no link: by its owner and name.
    assert_eq!(
        text(friends.join("friend@example.org/top.txt")),
        "at the top\n"
    );
    assert_eq!(text(friends.join("Below/b.txt")), "deeper\n");
    // Whatever is granted, nothing can be sent to a root without a number.
    let change = fs::write(friends.join("friend@example.org/new"), "x");
    assert_eq!(errno(change), libc::EROFS);
    mounted.unmount();

    // Named no more, it goes.
    let mounted = world.mount_with("a", &[]);
    assert!(mounted.verb(&["refresh"]).status.success());
    assert_eq!(names(mounted.path()), ["docs", "mine.txt"]);
    mounted.unmount();
    world.assert_well_behaved();
}
