//! Lock files and temporary files of editors stay here: no call, no wait for them.

use crate::harness::{World, names, shell, state, text};
use fichierfs::sim::Report;
use std::fs;
use std::path::Path;

/// Calls that change something on the service.
fn changes(report: &Report) -> u64 {
    let changing = [
        "upload",
        "end.pl",
        "file/mv",
        "file/rename",
        "file/rm",
        "folder/mkdir",
    ];
    changing
        .iter()
        .map(|endpoint| report.calls_of(endpoint))
        .sum()
}

#[test]
fn what_editors_leave_beside_files_costs_no_call_and_lasts() {
    let world = World::new();
    let mounted = world.mount_with("a", &["--write-back", "0s"]);
    // As vim, LibreOffice, Emacs and file managers do.
    let editors = r#"
        cd "$M"
        echo test > 4913; rm 4913
        printf 'swap' > .text.swp
        printf 'lock' > '.~lock.report.odt#'
        ln -s 'me@here.1:2' '.#notes'
        printf 'icons' > .DS_Store
        printf 'icons' > Thumbs.db
        printf 'word' > '~$letter.docx'
        cp .text.swp .text.swo
        mv .text.swo .other.swp
        sync -f .text.swp
    "#;
    shell::script(&world, editors, &[("M", mounted.path())]).unwrap();
    // No drain waits for them.
    mounted.drain();
    let list = shell::show(&mounted.verb(&["queue", "list"]));
    assert!(!list.contains(".swp"), "{list}");
    assert_eq!(state(&mounted.join(".text.swp")), "local");
    mounted.crash();
    let mounted = world.mount_with("a", &["--write-back", "0s"]);
    let there = [
        ".#notes",
        ".DS_Store",
        ".other.swp",
        ".text.swp",
        ".~lock.report.odt#",
        "Thumbs.db",
        "~$letter.docx",
    ];
    assert_eq!(names(mounted.path()), there);
    assert_eq!(text(mounted.join(".other.swp")), "swap");
    assert_eq!(
        fs::read_link(mounted.join(".#notes")).unwrap(),
        Path::new("me@here.1:2")
    );
    for name in there {
        fs::remove_file(mounted.join(name)).unwrap();
    }
    mounted.drain();
    assert_eq!(changes(&world.report()), 0, "{:?}", world.report().calls);
    assert!(world.account().file_paths().is_empty());
    world.assert_well_behaved();
    mounted.unmount();
}

#[test]
fn a_save_through_a_temporary_name_of_an_editor_is_sent_once_under_the_last_name() {
    let world = World::new();
    world.account().add_file("text", b"before").unwrap();
    let mounted = world.mount_with("a", &["--write-back", "0s"]);
    fs::write(mounted.join(".goutputstream-A1B2C3"), "after").unwrap();
    mounted.drain();
    assert_eq!(world.account().file_paths(), ["text"]);
    fs::rename(mounted.join(".goutputstream-A1B2C3"), mounted.join("text")).unwrap();
    mounted.drain();
    assert_eq!(world.account().file_paths(), ["text"]);
    assert_eq!(world.account().content("text").unwrap(), b"after");
    assert_eq!(state(&mounted.join("text")), "clean");
    let report = world.report();
    assert_eq!((report.uploads, report.calls_of("file/rename")), (1, 0));
    world.assert_well_behaved();
    mounted.unmount();
}

/// No name makes a copy go from the service.
#[test]
fn what_the_service_has_stays_there_under_any_name() {
    let world = World::new();
    world.account().add_file("letter", b"content").unwrap();
    world.account().add_file("Thumbs.db", b"of others").unwrap();
    let mounted = world.mount_with("a", &["--write-back", "0s"]);
    fs::rename(mounted.join("letter"), mounted.join(".DS_Store")).unwrap();
    fs::write(mounted.join("Thumbs.db"), "changed").unwrap();
    mounted.drain();
    assert_eq!(world.account().file_paths(), [".DS_Store", "Thumbs.db"]);
    assert_eq!(world.account().content(".DS_Store").unwrap(), b"content");
    assert_eq!(world.account().content("Thumbs.db").unwrap(), b"changed");
    world.assert_well_behaved();
    mounted.unmount();
}

#[test]
fn the_option_decides_also_about_what_is_there_already() {
    let world = World::new();
    let mounted = world.mount_with("a", &["--write-back", "1h"]);
    fs::write(mounted.join("notes.tmp"), "queued").unwrap();
    fs::write(mounted.join("4913"), "local").unwrap();
    mounted.crash();
    let mounted = world.mount_with("a", &["--local-names", "*.tmp .x"]);
    mounted.drain();
    assert_eq!(world.account().file_paths(), ["4913"]);
    assert_eq!(text(mounted.join("notes.tmp")), "queued");
    mounted.unmount();
    let mounted = world.mount_with("a", &["--local-names", ""]);
    mounted.drain();
    assert_eq!(world.account().file_paths(), ["4913", "notes.tmp"]);
    mounted.unmount();
}
