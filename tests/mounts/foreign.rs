//! Other people's test suites, on a mount: fsx tries random operations on one file and
//! compares, pjdfstest asks for what POSIX says of each call.

use crate::harness::{World, shell};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn given(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/mounts/foreign")
        .join(name)
}

fn fsx(config: &str, seed: &str) {
    shell::need(&["fsx"]);
    let world = World::new();
    let mounted = world.mount();
    let mut command = world.at_home(Command::new("fsx"));
    command
        .args(["-N", "10000", "-S", seed, "-f"])
        .arg(given(config))
        .arg("-P")
        .arg(world.folder("artifacts"))
        .arg(mounted.join("file"));
    let output = shell::output(&mut command);
    assert!(output.status.success(), "{}", shell::show(&output));
    mounted.drain();
    mounted.unmount();
    world.assert_well_behaved();
}

#[test]
fn fsx_finds_nothing() {
    fsx("fsx-unmapped.toml", "1");
}

#[test]
fn fsx_finds_nothing_with_mappings() {
    fsx("fsx.toml", "2");
}

/// Whether a test's name matches a pattern with stars.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            rest.is_empty() || (0..=name.len()).any(|at| matches(rest, &name[at..]))
        }),
    }
}

#[test]
fn pjdfstest_finds_nothing_that_is_not_excluded() {
    shell::need(&["pjdfstest"]);
    assert!(
        nix::unistd::geteuid().is_root(),
        "pjdfstest acts as several users: run the tests as root"
    );
    let exclusions = std::fs::read_to_string(given("pjdfstest-exclusions.txt")).unwrap();
    let exclusions: Vec<&str> = exclusions
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();

    let world = World::new();
    let mounted = world.mount_with("a", &["--allow-other"]);
    let folder = mounted.join("pjdfstest");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    // The other users must reach the mount.
    for part in ["", "a"] {
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(world.path(part), open).unwrap();
    }
    let mut command = world.at_home(Command::new("pjdfstest"));
    command
        .arg("-c")
        .arg(given("pjdfstest.toml"))
        .arg("-p")
        .arg(&folder);
    let output = shell::output(&mut command);
    let said = String::from_utf8_lossy(&output.stdout);

    let ended = |how: &str| -> Vec<String> {
        said.lines()
            .filter_map(|line| line.strip_suffix(how))
            .map(|name| name.trim().to_owned())
            .collect()
    };
    let (passed, failed) = (ended(" ok"), ended(" FAILED"));
    assert!(
        passed.len() > 190,
        "it did not run:\n{}",
        shell::show(&output)
    );
    let unexpected: Vec<&String> = failed
        .iter()
        .filter(|name| !exclusions.iter().any(|pattern| matches(pattern, name)))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}\n{said}");
    for pattern in exclusions {
        assert!(
            failed.iter().any(|name| matches(pattern, name)),
            "{pattern} is excluded for nothing"
        );
    }
    mounted.drain();
    mounted.unmount();
    world.assert_well_behaved();
}
