//! Real work with real tools in a mount ends with exactly the right bytes in the account.
//!
//! Each workflow is a script that runs twice: in a folder of the disk and in the mount.
//! The disk says what is right. Afterwards the account must hold what the disk holds, by
//! Whirlpool; the mount must show it; and so must another machine that
//! never saw the account before. All that with no call too many.

mod scripts;

use crate::harness::{Mounted, World, at_limits, sample, shell, tree};
use fichierfs::sim::{Limits, SimConfig};
use scripts::Workflow;
use std::fs;
use std::path::Path;

const ON_DISK: &str = "drain() { :; }\n";
const IN_MOUNT: &str = r#"drain() { "$FICHIERFS" queue wait --timeout "$PATIENCE" "$M"; }
"#;

/// What git and SQLite write differently at each run.
const VARIABLE: [&str; 2] = ["/.git/index", "/.git/logs"];

/// The sample tree, a repository to clone, and a folder of the disk to compare with.
fn lay_out(world: &World) {
    shell::need(scripts::PROGRAMS);
    sample::make(&world.folder("sample"));
    world.folder("disk");
    world.folder("scratch");
    run(
        world,
        "the repository to clone",
        scripts::MAKE_REPOSITORY,
        Path::new("/"),
    )
    .unwrap();
}

/// Runs a script in a folder of its own below `root`.
fn run(world: &World, name: &str, script: &str, root: &Path) -> Result<(), String> {
    let side = if root.ends_with("m") { "mount" } else { "disk" };
    let prelude = if side == "mount" { IN_MOUNT } else { ON_DISK };
    let scratch = world.path(&format!("scratch/{side} {name}"));
    fs::create_dir(&scratch).unwrap();
    let folder = root.join(name);
    if root != Path::new("/") {
        fs::create_dir(&folder).map_err(|e| format!("{name} ({side}): mkdir: {e}"))?;
    }
    let variables = [
        ("M", root),
        ("D", &folder),
        ("W", &scratch),
        ("S", &world.path("sample")),
        ("R", &world.path("repository")),
    ];
    let done = shell::script(world, &format!("{prelude}{script}"), &variables);
    done.map(drop)
        .map_err(|said| format!("{name} ({side}): {said}"))
}

/// Runs workflows on the disk and in the mount, and compares them with the account.
fn work(world: &World, mounted: &Mounted<'_>, workflows: &[Workflow]) {
    let disk = world.path("disk");
    let mut failures = Vec::new();
    for Workflow { name, script } in workflows {
        run(world, name, script, &disk).unwrap_or_else(|e| panic!("not our fault: {e}"));
        failures.extend(run(world, name, script, mounted.path()).err());
    }
    assert!(failures.is_empty(), "failed:\n{}", failures.join("\n"));
    mounted.drain();

    let stable = |mut tree: tree::Tree| {
        tree.retain(|path, _| !VARIABLE.iter().any(|part| path.contains(part)));
        tree
    };
    let seen = tree::local(mounted.path());
    tree::assert_same(
        "the mount",
        &stable(tree::local(&disk)),
        &stable(seen.clone()),
    );
    let kept = tree::account(world);
    tree::assert_same("the account", &tree::without_empty_files(seen), &kept);
    world.assert_well_behaved();
}

/// Another machine sees what the account has, in names and bytes.
fn look_from_elsewhere(world: &World) {
    let kept = tree::account(world);
    world.forget_calls();
    let fresh = world.mount_with("elsewhere", &[]);
    tree::assert_same("another machine", &kept, &tree::local(fresh.path()));
    fresh.unmount();
    world.assert_well_behaved();
}

#[test]
fn whole_trees() {
    let world = World::new();
    lay_out(&world);
    let mounted = world.mount();
    work(&world, &mounted, scripts::TREES);
    mounted.unmount();
    look_from_elsewhere(&world);
}

#[test]
fn edits_of_files() {
    let world = World::new();
    lay_out(&world);
    let mounted = world.mount();
    work(&world, &mounted, scripts::EDITS);
    run(&world, "df and getfattr", scripts::OURS, mounted.path()).unwrap_or_else(|e| panic!("{e}"));
    mounted.unmount();
    look_from_elsewhere(&world);
}

/// Nothing in these tests depends on the service running faster than it does.
#[test]
fn at_the_pace_of_the_real_service() {
    let world = World::with(SimConfig::default());
    let mounted = world.mount();
    let disk = world.folder("disk");
    for (number, name) in ["one", "two", "three"].into_iter().enumerate() {
        let bytes = sample::bytes(number as u64, 40_000);
        for root in [&disk, mounted.path()] {
            fs::create_dir(root.join(name)).unwrap();
            fs::write(root.join(name).join("file"), &bytes).unwrap();
        }
    }
    mounted.drain();
    tree::assert_account_is(&world, &disk);
    for root in [&disk, mounted.path()] {
        fs::rename(root.join("one/file"), root.join("two/moved")).unwrap();
        fs::write(root.join("three/file"), "edited").unwrap();
        fs::remove_dir(root.join("one")).unwrap();
    }
    mounted.drain();
    tree::assert_account_is(&world, &disk);
    mounted.unmount();
    world.assert_well_behaved();
}

/// The service as people describe it is stricter than documented: the pace may learn
/// that from one lock, and gets the work done all the same.
#[test]
fn at_the_observed_limits() {
    let world = World::with(at_limits(Limits::Observed));
    sample::make(&world.folder("sample"));
    let mounted = world.mount();
    let copy = r#"cp -a "$S" "$M/tree" && mv "$M/tree/docs" "$M/" && rm -r "$M/tree/src""#;
    let (sample, disk) = (world.path("sample"), world.folder("disk"));
    for root in [&disk, mounted.path()] {
        let variables = [("S", sample.as_path()), ("M", root)];
        shell::script(&world, copy, &variables).unwrap_or_else(|e| panic!("{e}"));
    }
    mounted.drain();
    tree::assert_account_is(&world, &disk);
    mounted.unmount();
    let report = world.report();
    assert!(report.locks <= 1 && report.bans == 0, "{report:#?}");
}
