//! Names: renames, refusals, duplicates, characters and lengths.

use super::new_names::{fill, read_to_end};
use crate::harness::{World, errno, eventually, names, shell, text, tree};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::sys::stat::{Mode, SFlag, mknod};
use nix::unistd::mkfifo;
use std::fs;
use std::os::unix::net::UnixListener;

#[test]
fn a_folder_with_something_in_it_is_not_replaced() {
    let world = World::new();
    world.account().add_file("full/remote", b"kept").unwrap();
    let mounted = world.mount();
    for name in ["other", "empty"] {
        fs::create_dir(mounted.join(name)).unwrap();
    }
    fs::write(mounted.join("other/inside"), "moved").unwrap();
    let onto = |target: &str| fs::rename(mounted.join("other"), mounted.join(target));
    // What is in it is only known to the service at this moment.
    assert_eq!(errno(onto("full")), libc::ENOTEMPTY);
    assert_eq!(errno(fs::remove_dir(mounted.join("full"))), libc::ENOTEMPTY);
    assert_eq!(text(mounted.join("full/remote")), "kept");
    onto("empty").unwrap();
    assert_eq!(names(mounted.path()), ["empty", "full"]);
    assert_eq!(text(mounted.join("empty/inside")), "moved");
    mounted.drain();
    tree::assert_account_is(&world, mounted.path());
    mounted.unmount();
    world.assert_well_behaved();
}

#[test]
fn a_rename_that_must_not_replace_does_not() {
    let world = World::new();
    let mounted = world.mount();
    let (one, two) = (mounted.join("one"), mounted.join("two"));
    fs::write(&one, "1").unwrap();
    fs::write(&two, "2").unwrap();
    let rename = |flags| renameat2(AT_FDCWD, &one, AT_FDCWD, &two, flags);
    assert_eq!(
        rename(RenameFlags::RENAME_NOREPLACE),
        Err(nix::Error::EEXIST)
    );
    // The service has nothing like it, and half of it would be worse than none.
    assert_eq!(
        rename(RenameFlags::RENAME_EXCHANGE),
        Err(nix::Error::EINVAL)
    );
    assert_eq!((text(&one), text(&two)), ("1".into(), "2".into()));
    fs::remove_file(&two).unwrap();
    rename(RenameFlags::RENAME_NOREPLACE).unwrap();
    assert_eq!(names(mounted.path()), ["two"]);
    assert_eq!(text(&two), "1");
}

#[test]
fn a_folder_does_not_go_into_itself() {
    let world = World::new();
    let mounted = world.mount();
    fs::create_dir_all(mounted.join("a/b")).unwrap();
    let into = fs::rename(mounted.join("a"), mounted.join("a/b/c"));
    assert_eq!(errno(into), libc::EINVAL);
}

#[test]
fn names_over_the_limits_of_the_service_are_too_long() {
    let world = World::new();
    let mounted = world.mount();
    let write = |name: &str| fs::write(mounted.join(name), "x");
    // 250 characters, and 255 bytes as the kernel has it.
    let longest = "n".repeat(250);
    write(&longest).unwrap();
    assert_eq!(errno(write(&"n".repeat(251))), libc::ENAMETOOLONG);
    write(&"é".repeat(127)).unwrap();
    assert_eq!(errno(write(&"é".repeat(128))), libc::ENAMETOOLONG);
    assert_eq!(
        errno(fs::create_dir(mounted.join("d".repeat(251)))),
        libc::ENAMETOOLONG
    );
    let renamed = fs::rename(mounted.join(&longest), mounted.join("m".repeat(251)));
    assert_eq!(errno(renamed), libc::ENAMETOOLONG);
    mounted.drain();
    tree::assert_account_is(&world, mounted.path());
    mounted.unmount();
    world.assert_well_behaved();
}

#[test]
fn what_the_service_cannot_have_is_refused() {
    let world = World::new();
    let mounted = world.mount();
    fs::write(mounted.join("file"), "x").unwrap();
    let link = fs::hard_link(mounted.join("file"), mounted.join("link"));
    assert_eq!(errno(link), libc::EPERM);
    let fifo = mkfifo(&mounted.join("fifo"), Mode::S_IRWXU);
    assert_eq!(fifo, Err(nix::Error::EPERM));
    let device = mknod(
        &mounted.join("null"),
        SFlag::S_IFCHR,
        Mode::S_IRWXU,
        nix::sys::stat::makedev(1, 3),
    );
    assert_eq!(device, Err(nix::Error::EPERM));
    let socket = UnixListener::bind(mounted.join("socket"));
    assert_eq!(errno(socket), libc::EPERM);
    assert_eq!(names(mounted.path()), ["file"]);
}

#[test]
fn nested_files_stay_where_their_folder_is_renamed_twice() {
    let world = World::new();
    let account = world.account();
    account.add_file("top/mid/remote", b"remote").unwrap();
    let mounted = world.mount();
    fs::create_dir(mounted.join("top/mid/new")).unwrap();
    fs::write(mounted.join("top/mid/new/local"), "local").unwrap();
    fs::rename(mounted.join("top"), mounted.join("once")).unwrap();
    fs::rename(mounted.join("once"), mounted.join("twice")).unwrap();
    for _ in ["before the service has it", "after"] {
        assert_eq!(names(mounted.path()), ["twice"]);
        assert_eq!(names(mounted.join("twice/mid")), ["new", "remote"]);
        assert_eq!(text(mounted.join("twice/mid/remote")), "remote");
        assert_eq!(text(mounted.join("twice/mid/new/local")), "local");
        mounted.drain();
    }
    tree::assert_account_is(&world, mounted.path());
    mounted.unmount();
    world.assert_well_behaved();
}

#[test]
fn files_of_one_name_are_all_there() {
    let world = World::new();
    let account = world.account();
    let old = account.add_file("twins/a.txt", b"the older").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1_100)); // Dates are in seconds.
    account.add_file("twins/a.txt", b"the newer").unwrap();
    let mounted = world.mount();
    let folder = mounted.join("twins");
    let other = format!("a ({old}).txt");
    assert_eq!(names(&folder), [other.as_str(), "a.txt"]);
    assert_eq!(text(folder.join("a.txt")), "the newer");
    assert_eq!(text(folder.join(&other)), "the older");
    fs::rename(folder.join(&other), folder.join("b.txt")).unwrap();
    fs::remove_file(folder.join("a.txt")).unwrap();
    mounted.drain();
    assert_eq!(account.file_paths(), ["twins/b.txt"]);
    assert_eq!(account.content("twins/b.txt").unwrap(), b"the older");
    mounted.unmount();
    world.assert_well_behaved();
}

/// Neither knows of the other's version when it writes its own.
#[test]
fn two_machines_that_replace_one_file_both_come_to_the_newer_version() {
    let world = World::new();
    let account = world.account();
    account.add_file("d/f", b"as it was").unwrap();
    let flags = ["--dir-cache-time", "1h", "--write-back", "0s"];
    let first = world.mount_with("a", &flags);
    assert_eq!(text(first.join("d/f")), "as it was");
    world.forget_calls();
    let second = world.mount_with("b", &flags);
    assert_eq!(text(second.join("d/f")), "as it was");
    fs::write(first.join("d/f"), "the older").unwrap();
    first.drain();
    std::thread::sleep(std::time::Duration::from_millis(1_100)); // Dates are in seconds.
    fs::write(second.join("d/f"), "the newer").unwrap();
    second.drain();
    for machine in [&first, &second] {
        eventually("both versions, the newer under the name", || {
            let refreshed = machine.verb(&["refresh", "-r"]);
            assert!(refreshed.status.success(), "{}", shell::show(&refreshed));
            let newer = text(machine.join("d/f"));
            let shown = names(machine.join("d"));
            let other = shown.iter().find(|name| *name != "f");
            newer == "the newer"
                && other.is_some_and(|other| text(machine.join("d").join(other)) == "the older")
        });
    }
    assert_eq!(account.file_paths(), ["d/f", "d/f"]);
    first.unmount();
    second.unmount();
    assert_eq!(text(world.mount_with("b", &flags).join("d/f")), "the newer");
}

/// Other clients write them in the same way, so all see the names that were meant.
#[test]
fn names_with_characters_that_the_service_refuses_come_back_as_they_were() {
    let world = World::new();
    let mounted = world.mount();
    let odd = [
        "it's \"quoted\"",
        "<angles> & `ticks`",
        "back\\slash",
        "$dollar",
        " space before",
        "space after ",
        "tab\tand\nnewline",
        "…",
        "été 日本語 🎈",
        "＇already substituted＇",
    ];
    for name in odd {
        fs::create_dir(mounted.join(name)).unwrap();
        fs::write(mounted.join(name).join(name), name).unwrap();
    }
    let expected = tree::local(mounted.path());
    mounted.unmount();
    assert_eq!(world.account().file_paths().len(), odd.len());
    world.forget_calls();
    let elsewhere = world.mount_with("b", &[]);
    tree::assert_same("another machine", &expected, &tree::local(elsewhere.path()));
    elsewhere.unmount();
    world.assert_well_behaved();
}

/// A log that is rotated goes on for those who follow it by name.
#[test]
fn tail_sees_a_rotated_log() {
    let world = World::new();
    shell::need(&["tail"]);
    let mounted = world.mount();
    let script = r#"
        echo first > "$M/log"
        tail -F -n +1 "$M/log" > "$W/seen" 2> "$W/said" &
        tail=$!
        trap 'kill $tail' EXIT
        until_seen() {
            for _ in $(seq 600); do grep -q "$1" "$W/seen" && return; sleep 0.1; done
            echo "tail did not see $1"; cat "$W/seen" "$W/said"; return 1
        }
        until_seen first
        echo second >> "$M/log"
        until_seen second
        mv "$M/log" "$M/log.1"
        echo third > "$M/log"
        until_seen third
        echo fourth >> "$M/log"
        until_seen fourth
        test "$(tr '\n' ' ' < "$W/seen")" = "first second third fourth "
        "#;
    let scratch = world.folder("scratch");
    let variables = [("M", mounted.path()), ("W", &scratch)];
    shell::script(&world, script, &variables).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(text(mounted.join("log.1")), "first\nsecond\n");
}

#[test]
fn in_a_folder_of_very_many_files_new_names_can_be_made_once_it_was_seen_whole() {
    let world = World::new();
    fill(&world, "big", 5_200, 1);
    let mounted = world.mount();
    let big = mounted.join("big");
    // The kernel looks for the name before it asks to make it. One slice is left, and it
    // comes within the deadline.
    fs::write(big.join("new"), "1").unwrap();
    fs::create_dir(big.join("sub")).unwrap();
    fs::write(mounted.join("moved"), "2").unwrap();
    fs::rename(mounted.join("moved"), big.join("moved")).unwrap();
    assert_eq!(names(&big).len(), 5_203);
    mounted.drain();
    let there = world.account().file_paths();
    for made in ["big/new", "big/moved"] {
        assert!(
            there
                .iter()
                .any(|path| path.trim_start_matches('/') == made),
            "{made}"
        );
    }
    mounted.unmount();
    world.assert_well_behaved();
}

/// No question of dates tells files of one second apart.
#[test]
fn a_folder_that_the_service_does_not_show_whole_is_named_with_the_reason() {
    let world = World::new();
    fill(&world, "scans/big", 5_050, 0);
    let mounted = world.mount();
    assert_eq!(names(mounted.join("scans")), ["big"]);
    // What is known is read; who would take it for all of the folder is told that it is not.
    let listed = || {
        let (names, end) = read_to_end(&mounted.join("scans/big"));
        (names.len(), end)
    };
    let a_part = (5_050, Some(libc::EIO));
    assert_eq!(listed(), a_part, "for all that is known there are more");
    let status = || {
        let out = mounted.verb(&["status", "--json"]).stdout;
        serde_json::from_slice::<serde_json::Value>(&out).unwrap()
    };
    let told = || {
        let status = status();
        let daemon = status.get(0).unwrap_or(&status).clone();
        daemon["freshness"]["not_whole"][0].clone()
    };
    assert_eq!(told()["path"], "scans/big");
    eventually("the last question", || told()["coming"] == false);
    let told = told();
    let reason = told["reason"].as_str().unwrap();
    assert!(reason.contains("more files of one second"), "{told}");
    let screen = mounted.verb(&["status"]).stdout;
    let screen = String::from_utf8(screen).unwrap();
    assert!(screen.contains("not whole: /scans/big: "), "{screen}");
    assert_eq!(listed(), a_part);
    let script = r#"
        mkdir "$W/copy"
        cp -r "$M/scans" "$W/full" 2> "$W/said" && exit 1
        grep -q "Input/output error" "$W/said"
        find "$M/scans/big" -type f > "$W/found" && exit 1
        test "$(wc -l < "$W/found")" = 5050
        : > "$W/copy/of what was not seen"
        rsync -r --delete "$M/scans/big/" "$W/copy/" && exit 1
        test -e "$W/copy/of what was not seen"
        "#;
    let scratch = world.folder("scratch");
    let variables = [("M", mounted.path()), ("W", &scratch)];
    shell::script(&world, script, &variables).unwrap_or_else(|e| panic!("{e}"));
    mounted.unmount();
    world.assert_well_behaved();
}

#[test]
fn what_others_change_shows_within_the_cache_time_or_once_a_refresh_returned() {
    for (time, refreshes) in [("2s", false), ("1h", true)] {
        let world = World::new();
        let account = world.account();
        for name in ["from/moved", "gone", "old name", "replaced"] {
            account.add_file(name, b"as it was").unwrap();
        }
        account.add_folder("to").unwrap();
        let mounted = world.mount_with("a", &["--dir-cache-time", time]);
        let root = ["from", "gone", "old name", "replaced", "to"];
        assert_eq!(names(mounted.path()), root);
        assert_eq!(names(mounted.join("from")), ["moved"]);
        assert_eq!(names(mounted.join("to")), [""; 0]);
        assert_eq!(text(mounted.join("replaced")), "as it was");
        account.add_file("created", b"new").unwrap();
        account.delete("gone").unwrap();
        account.rename("old name", "new name").unwrap();
        account.move_into("from/moved", "to").unwrap();
        account.replace("replaced", b"another").unwrap();
        let shown = || {
            names(mounted.path()) == ["created", "from", "new name", "replaced", "to"]
                && names(mounted.join("from")).is_empty()
                && names(mounted.join("to")) == ["moved"]
                && fs::read(mounted.join("replaced")).is_ok_and(|bytes| bytes == b"another")
        };
        if refreshes {
            let refreshed = mounted.verb(&["refresh", "-r"]);
            assert!(refreshed.status.success(), "{}", shell::show(&refreshed));
            assert!(shown());
        } else {
            eventually("what others changed", shown);
        }
        mounted.unmount();
    }
}

/// The service puts it in the root, and says nothing of it.
#[test]
fn what_is_sent_to_a_folder_that_others_removed_comes_back_with_the_folder() {
    let world = World::new();
    let account = world.account();
    account.add_file("p/other", b"1").unwrap();
    account.add_folder("p/d").unwrap();
    let mounted = world.mount();
    assert_eq!(names(mounted.join("p")), ["d", "other"]);
    assert_eq!(names(mounted.join("p/d")), [""; 0]);
    account.delete("p/d").unwrap();
    fs::write(mounted.join("p/d/report"), "kept").unwrap();
    mounted.drain();
    assert_eq!(account.file_paths(), ["p/other", "report"]);
    eventually("the file is where it was put", || {
        // While listings lag, it says that the folder cannot be listed.
        mounted.verb(&["refresh", "-r"]);
        account.file_paths() == ["p/d/report", "p/other"]
    });
    assert_eq!(text(mounted.join("p/d/report")), "kept");
    mounted.drain();
    tree::assert_account_is(&world, mounted.path());
    mounted.unmount();
    world.assert_well_behaved();
}

#[test]
fn a_folder_that_is_read_from_the_kernels_memory_shows_every_change() {
    let world = World::new();
    let account = world.account();
    account.add_file("d/a", b"1").unwrap();
    let mounted = world.mount_with("a", &["--dir-cache-time", "1h"]);
    let folder = mounted.join("d");
    for _ in 0..3 {
        assert_eq!(names(&folder), ["a"]);
    }
    // Open all the time, and read from its beginning each time.
    let opened = fs::File::open(&folder).unwrap();
    let mut held = rustix::fs::Dir::new(opened).unwrap();
    let mut read = || {
        held.rewind();
        let mut names = Vec::new();
        while let Some(entry) = held.read() {
            names.push(entry.unwrap().file_name().to_str().unwrap().to_owned());
        }
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        names
    };
    assert_eq!(read(), ["a"]);
    fs::write(folder.join("b"), "2").unwrap();
    assert_eq!((read(), names(&folder)), (named("ab"), named("ab")));
    fs::rename(folder.join("a"), folder.join("c")).unwrap();
    assert_eq!((read(), names(&folder)), (named("bc"), named("bc")));
    fs::rename(folder.join("c"), mounted.join("c")).unwrap();
    assert_eq!((read(), names(&folder)), (named("b"), named("b")));
    assert_eq!(read(), named("b"));
    account.add_file("d/e", b"3").unwrap();
    let refreshed = mounted.verb(&["refresh", "-r"]);
    assert!(refreshed.status.success(), "{}", shell::show(&refreshed));
    eventually("the new name for who has it open", || read() == named("be"));
    assert_eq!(names(&folder), named("be"));
    drop(held);
    mounted.unmount();
}

/// Names of one letter.
fn named(letters: &str) -> Vec<String> {
    letters.chars().map(String::from).collect()
}

#[test]
fn a_refresh_of_a_whole_tree_shows_what_others_changed_below() {
    let world = World::new();
    let account = world.account();
    account.add_file("a/b/old", b"1").unwrap();
    let mounted = world.mount();
    assert_eq!(names(mounted.join("a/b")), ["old"]);
    account.delete("a/b/old").unwrap();
    account.add_file("a/b/new", b"2").unwrap();
    account.add_file("a/c/d/far", b"3").unwrap();
    let mut refresh = world.fichierfs();
    let output = shell::output(refresh.args(["refresh", "-r"]).arg(mounted.path()));
    assert!(output.status.success(), "{}", shell::show(&output));
    assert!(shell::show(&output).contains("5 folders listed"));
    let calls = world.report().api_calls;
    assert_eq!(names(mounted.join("a/b")), ["new"]);
    assert_eq!(text(mounted.join("a/b/new")), "2");
    assert_eq!(names(mounted.join("a/c/d")), ["far"]);
    // All that the walk saw is known; the file's link is the one call.
    assert_eq!(world.report().api_calls, calls + 1);
    mounted.unmount();
    world.assert_well_behaved();
}

#[test]
fn with_refresh_at_start_all_folders_are_looked_at_by_themselves() {
    let world = World::new();
    let account = world.account();
    account.add_file("a/b/file", b"x").unwrap();
    account.add_file("c/file", b"x").unwrap();
    let flags = ["--refresh-at-start", "--dir-cache-time", "1h"];
    let mounted = world.mount_with("a", &flags);
    let folders = 4;
    eventually("the walk", || {
        world.report().calls_of("folder/ls") == folders
    });
    // Nobody waits for what it saw, and nobody asks again.
    assert_eq!(names(mounted.join("a/b")), ["file"]);
    assert_eq!(names(mounted.join("c")), ["file"]);
    assert_eq!(world.report().calls_of("folder/ls"), folders);
    mounted.unmount();

    account.add_file("a/b/more", b"y").unwrap();
    account.add_file("c/other", b"z").unwrap();
    account.delete("c/file").unwrap();
    let mounted = world.mount_with("a", &flags);
    eventually("what changed meanwhile", || {
        names(mounted.join("a/b")) == ["file", "more"]
    });
    eventually("what went meanwhile", || {
        names(mounted.join("c")) == ["other"]
    });
    mounted.unmount();
    world.assert_well_behaved();
}
