//! New names in folders that are not known whole (`fichierfs allow-new`).

use crate::harness::{Mounted, World, errno, eventually, names, shell, text};
use fichierfs::sim::{Fault, FaultKind};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Makes a folder of the account with more files than a listing holds, of different seconds or of one.
pub fn fill(world: &World, folder: &str, files: i64, apart: i64) {
    let start: jiff::Timestamp = "2026-05-01T00:00:00Z".parse().unwrap();
    let files = (0..files).map(|n| {
        let date = start + jiff::SignedDuration::from_secs(n * apart);
        (format!("file-{n:04}"), date)
    });
    world.account().add_dated(folder, files).unwrap();
}

/// Runs a verb of the program on a path.
fn run(world: &World, words: &[&str], path: &Path) -> String {
    let output = shell::output(world.fichierfs().args(words).arg(path));
    assert!(output.status.success(), "{}", shell::show(&output));
    shell::show(&output)
}

/// Where folders stand that are not whole: path, and whether new names can be made.
fn not_whole(mounted: &Mounted<'_>) -> Vec<(String, bool)> {
    let out = mounted.verb(&["status", "--json"]).stdout;
    let status: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let folders = status["freshness"]["not_whole"].as_array().unwrap();
    let told = |folder: &serde_json::Value| {
        let path = folder["path"].as_str().unwrap().to_owned();
        (path, folder["new_names"].as_bool().unwrap())
    };
    let mut told: Vec<_> = folders.iter().map(told).collect();
    told.sort();
    told
}

/// The entries that a folder shows, and the error in which that ends.
pub fn read_to_end(folder: &Path) -> (Vec<String>, Option<i32>) {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        match entry {
            Ok(entry) => names.push(entry.file_name().into_string().unwrap()),
            Err(error) => return (names, error.raw_os_error()),
        }
    }
    (names, None)
}

#[test]
fn in_a_folder_that_is_not_known_whole_new_names_can_be_made_once_that_is_allowed() {
    let world = World::new();
    let account = world.account();
    fill(&world, "big", 5_200, 1);
    fill(&world, "other", 5_050, 0);
    // A folder without sub-folders may be listed without a word of any.
    account.add_folder("big/there").unwrap();
    let id = account.folder_id("big").unwrap();
    // No slice comes until that is over.
    let reset = FaultKind::Reset { after_bytes: 0 };
    let fault = Fault::new("file/ls", reset).only(id).always();
    world.simulator().faults().add(fault);
    let mounted = world.mount_with("a", &["--metadata-deadline", "2s"]);
    let (big, other) = (mounted.join("big"), mounted.join("other"));
    run(&world, &["refresh"], &big);
    run(&world, &["refresh"], &other);
    let (seen, end) = read_to_end(&big);
    assert_eq!((seen.len(), end), (5_001, Some(libc::EIO)));
    let is_unseen = |name: &String| !seen.contains(name);
    let unseen = (0..5_200).map(|n| format!("file-{n:04}")).find(is_unseen);
    let unseen = unseen.unwrap();
    let touch = |path: &Path| shell::output(world.at_home(Command::new("touch")).arg(path));
    let failed = touch(&big.join("new"));
    assert!(shell::show(&failed).contains("Input/output error"));
    let folders = |big| vec![("big".to_owned(), big), ("other".to_owned(), false)];
    assert_eq!(not_whole(&mounted), folders(false));
    let way_out = format!("`fichierfs allow-new {}`", big.display());
    let screen = shell::show(&mounted.verb(&["status"]));
    assert!(screen.contains(&way_out), "{screen}");
    assert!(mounted.log().contains("fichierfs allow-new PATH"));

    let said = run(&world, &["allow-new"], &big);
    assert!(said.contains("both files are kept"), "{said}");
    assert!(
        said.contains("questions left"),
        "how far it has come: {said}"
    );
    assert_eq!(not_whole(&mounted), folders(true));
    assert!(!shell::show(&mounted.verb(&["status"])).contains(&way_out));
    assert_eq!(errno(fs::metadata(big.join("none"))), libc::ENOENT);
    assert_eq!(errno(fs::remove_file(big.join("none"))), libc::ENOENT);
    assert_eq!(errno(fs::metadata(other.join("none"))), libc::EIO);
    let mut link = world.fichierfs();
    let link = shell::output(link.arg("link").arg(big.join("none")));
    assert!(shell::show(&link).contains("it is not known whether"));
    let script = r#"
        touch "$M/big/touched"
        echo written > "$M/big/written"
        mkdir "$M/big/sub"
        echo inner > "$M/big/sub/inner"
        echo copied > "$W/copied"
        cp "$W/copied" "$M/big/"
        echo moved > "$M/moved"
        mv "$M/moved" "$M/big/"
        echo from outside > "$W/outside"
        mv "$W/outside" "$M/big/"
        echo mine > "$M/big/$(cat "$W/unseen")"
        mkdir "$W/copy"
        : > "$W/copy/of what was not seen"
        rsync -r --delete "$M/big/" "$W/copy/" --include 'of *' --exclude '*' && exit 1
        test -e "$W/copy/of what was not seen"
        touch "$M/other/new" 2> "$W/said" && exit 1
        grep -q "Input/output error" "$W/said"
        "#;
    let scratch = world.folder("scratch");
    fs::write(scratch.join("unseen"), &unseen).unwrap();
    let variables = [("M", mounted.path()), ("W", &scratch)];
    shell::script(&world, script, &variables).unwrap_or_else(|e| panic!("{e}"));
    let made = ["touched", "written", "sub", "copied", "moved", "outside"];
    assert_eq!(
        read_to_end(&big).1,
        Some(libc::EIO),
        "it is still not whole"
    );

    // That a name was not there is not kept.
    assert_eq!(errno(fs::metadata(big.join("none"))), libc::ENOENT);
    let said = run(&world, &["allow-new", "--off"], &big);
    assert!(said.contains("neither found nor made"), "{said}");
    assert_eq!(errno(fs::metadata(big.join("none"))), libc::EIO);
    assert_eq!(text(big.join(&unseen)), "mine\n");
    run(&world, &["allow-new"], &big);

    world.simulator().faults().clear();
    eventually("that it is whole", || {
        not_whole(&mounted) == folders(false)[1..]
    });
    let said = run(&world, &["allow-new", "--off"], &big);
    assert!(said.contains("/big: known whole"), "{said}");
    let mut expected: Vec<String> = (0..5_200).map(|n| format!("file-{n:04}")).collect();
    expected.extend(made.map(str::to_owned));
    expected.push("there".to_owned());
    let twin = |names: &[String]| -> Vec<String> {
        let beside = |name: &&String| name.starts_with(&format!("{unseen} ("));
        names.iter().filter(beside).cloned().collect()
    };
    let shown = names(&big);
    let twins = twin(&shown);
    assert_eq!(twins.len(), 1, "{twins:?}");
    expected.extend(twins.clone());
    expected.sort();
    assert_eq!(shown, expected);
    for _ in ["before the service has it", "after"] {
        assert_eq!(text(big.join(&unseen)), "mine\n");
        assert_eq!(text(big.join(&twins[0])), "x");
        mounted.drain();
    }
    for (name, content) in [
        ("written", "written"),
        ("sub/inner", "inner"),
        ("copied", "copied"),
        ("moved", "moved"),
        ("outside", "from outside"),
    ] {
        let there = account.content(&format!("big/{name}")).unwrap();
        assert_eq!(there, format!("{content}\n").into_bytes());
    }
    let path = format!("big/{unseen}");
    let both = account.file_paths().iter().filter(|p| **p == path).count();
    assert_eq!(both, 2);
    mounted.unmount();
    world.assert_well_behaved();
}

/// As in a backup every night.
#[test]
fn in_a_folder_that_is_never_whole_new_names_can_be_made_after_a_restart_too() {
    let world = World::new();
    fill(&world, "scans/big", 5_050, 0);
    world.account().add_folder("scans/big/there").unwrap();
    let mounted = world.mount();
    let big = mounted.join("scans/big");
    // It was never listed: that comes first.
    run(&world, &["allow-new"], &big);
    fs::write(big.join("first"), "1").unwrap();
    mounted.unmount();
    let mounted = world.mount();
    assert_eq!(not_whole(&mounted), [("scans/big".to_owned(), true)]);
    let script = r#"
        mkdir -p "$W/from/night"
        echo second > "$W/from/second"
        echo third > "$W/from/night/third"
        rsync -r "$W/from/" "$M/scans/big/"
        "#;
    let scratch = world.folder("scratch");
    let variables = [("M", mounted.path()), ("W", &scratch)];
    shell::script(&world, script, &variables).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(text(big.join("first")), "1");
    mounted.drain();
    for made in ["first", "second", "night/third"] {
        let path = format!("scans/big/{made}");
        assert!(world.account().file_id(&path).is_some(), "{made}");
    }
    run(&world, &["refresh"], &big);
    assert_eq!(text(big.join("night/third")), "third\n");
    assert_eq!(read_to_end(&big).1, Some(libc::EIO));
    run(&world, &["allow-new", "--off"], &big);
    assert_eq!(errno(fs::write(big.join("new"), "1")), libc::EIO);
    assert_eq!(text(big.join("first")), "1");
    mounted.unmount();
    world.assert_well_behaved();
}

/// No question shows the sub-folders that a listing does not hold.
#[test]
fn where_sub_folders_are_not_shown_files_can_be_made_and_no_folders() {
    let world = World::new();
    let account = world.account();
    let all = || (0..5_050).map(|n| format!("night-{n:04}"));
    account.add_folders("nights", all()).unwrap();
    let mounted = world.mount();
    let nights = mounted.join("nights");
    let said = run(&world, &["allow-new"], &nights);
    assert!(said.contains("Folders can be neither made"), "{said}");
    let (seen, end) = read_to_end(&nights);
    assert_eq!((seen.len(), end), (5_000, Some(libc::EIO)));
    let unseen = all().find(|name| !seen.contains(name)).unwrap();
    fs::create_dir(mounted.join("mine")).unwrap();
    let holds = |time: &str| {
        for name in ["new", &unseen] {
            assert_eq!(errno(fs::create_dir(nights.join(name))), libc::EIO);
        }
        for from in [mounted.join("mine"), nights.join(&seen[0])] {
            assert_eq!(errno(fs::rename(from, nights.join("new"))), libc::EIO);
        }
        assert!(mounted.log().contains("does not show all sub-folders"));
        fs::write(nights.join(time), time).unwrap();
        fs::write(mounted.join(time), time).unwrap();
        fs::rename(mounted.join(time), nights.join(format!("{time}, moved"))).unwrap();
        fs::write(nights.join(&seen[0]).join(time), time).unwrap();
    };
    holds("first");
    mounted.unmount();
    let mounted = world.mount();
    let holds = |time: &str| {
        assert_eq!(errno(fs::create_dir(nights.join(&unseen))), libc::EIO);
        fs::write(nights.join(time), time).unwrap();
    };
    holds("second");
    mounted.drain();
    let inner = format!("{}/first", seen[0]);
    for name in ["first", "first, moved", &inner, "second"] {
        let path = format!("nights/{name}");
        let expected = name.split(", ").next().unwrap();
        let expected = expected.rsplit('/').next().unwrap();
        assert_eq!(account.content(&path).unwrap(), expected.as_bytes());
    }
    mounted.unmount();
    world.assert_well_behaved();
}

/// What was allowed holds only where something can be made.
#[test]
fn what_was_allowed_does_not_count_in_a_mount_that_takes_no_changes() {
    let world = World::new();
    fill(&world, "big", 5_050, 0);
    let mounted = world.mount();
    let big = mounted.join("big");
    run(&world, &["allow-new"], &big);
    assert_eq!(errno(fs::metadata(big.join("none"))), libc::ENOENT);
    mounted.unmount();
    let mounted = world.mount_with("a", &["--ro"]);
    let big = mounted.join("big");
    assert_eq!(errno(fs::metadata(big.join("none"))), libc::EIO);
    assert_eq!(not_whole(&mounted), [("big".to_owned(), false)]);
    let screen = shell::show(&mounted.verb(&["status"]));
    assert!(screen.contains("not whole: /big"), "{screen}");
    assert!(!screen.contains("allow-new") && !mounted.log().contains("allow-new PATH"));
    let said = run(&world, &["allow-new", "--off"], &big);
    assert!(said.contains("neither found nor made"), "{said}");
    mounted.unmount();
    let mounted = world.mount_with("a", &[]);
    assert_eq!(errno(fs::metadata(mounted.join("big/none"))), libc::EIO);
    mounted.unmount();
    world.assert_well_behaved();
}
