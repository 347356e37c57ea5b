//! Where state and cache are kept: whose, on what, with how much room.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::geteuid;

use super::super::{Case, Finding};
use crate::disk_space::DiskSpace;
use crate::fuse::mountinfo::{self, MountEntry};

const CHECK: &str = "places";

/// Below this much room, in bytes, not even the database is safe.
const TOO_LITTLE: u64 = 64 << 20;

/// Below this much room, in bytes, larger files cannot be written.
const LITTLE: u64 = 1 << 30;

/// What is kept there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Use {
    State,
    Cache,
}

impl Use {
    fn name(self) -> &'static str {
        match self {
            Use::State => "state",
            Use::Cache => "cache",
        }
    }

    fn option(self) -> &'static str {
        match self {
            Use::State => "--state-dir",
            Use::Cache => "--cache-dir",
        }
    }
}

pub(super) fn check(case: &Case) -> Vec<Finding> {
    let Some(known) = case.known() else {
        return Vec::new();
    };
    let mounts = mountinfo::current().unwrap_or_default();
    let [state, cache, _] = known.paths.all();
    [(Use::State, state), (Use::Cache, cache)]
        .into_iter()
        .flat_map(|(role, path)| place(role, path, &mounts))
        .collect()
}

fn place(role: Use, path: &Path, mounts: &[MountEntry]) -> Vec<Finding> {
    let shown = format!("{} {}", role.name(), path.display());
    // What is not there yet will be made in the nearest folder above.
    let Some(real) = path.ancestors().find_map(|dir| dir.canonicalize().ok()) else {
        return vec![Finding::problem(
            CHECK,
            format!("{shown}: no folder above it exists"),
        )];
    };
    let mut found = Vec::new();
    if path.exists() {
        found.extend(owner(&shown, path));
    }
    if let Some(mount) = holding(mounts, &real) {
        found.extend(file_system(role, &shown, &mount.fs_type));
    }
    match DiskSpace::of(&real) {
        Ok(disk) => found.push(room(role, &shown, disk.free)),
        Err(error) => found.push(Finding::problem(CHECK, format!("{shown}: {error}"))),
    }
    found
}

fn owner(shown: &str, path: &Path) -> Option<Finding> {
    let facts = match path.metadata() {
        Ok(facts) => facts,
        Err(error) => return Some(Finding::problem(CHECK, format!("{shown}: {error}"))),
    };
    let user = geteuid().as_raw();
    (facts.uid() != user).then(|| {
        let what = format!("{shown} belongs to another user (uid {})", facts.uid());
        Finding::problem(CHECK, what).mend(format!("chown -R {user} {}", path.display()))
    })
}

/// The mount in which `path` is.
fn holding<'a>(mounts: &'a [MountEntry], path: &Path) -> Option<&'a MountEntry> {
    // The last of several at one place covers the others.
    mounts
        .iter()
        .filter(|mount| path.starts_with(&mount.mount_point))
        .max_by_key(|mount| mount.mount_point.components().count())
}

fn file_system(role: Use, shown: &str, fs_type: &OsStr) -> Option<Finding> {
    let name = fs_type.to_string_lossy();
    let elsewhere = format!("use a local disk: fichierfs mount {} DIR …", role.option());
    match name.as_ref() {
        "fuse.fichierfs" => Some(
            Finding::problem(CHECK, format!("{shown} lies in a mount of fichierfs, which would wait for itself"))
                .mend(elsewhere),
        ),
        "nfs" | "nfs4" | "cifs" | "smb3" | "9p" | "afs" | "ceph" => Some(
            Finding::warning(CHECK, format!("{shown} is on a network file system ({name}), where locks and syncs may not hold"))
                .mend(elsewhere),
        ),
        "vfat" | "exfat" | "msdos" => Some(
            Finding::problem(CHECK, format!("{shown} is on {name}, which has neither permissions nor sparse files"))
                .mend(elsewhere),
        ),
        "tmpfs" | "ramfs" if role == Use::State => Some(
            Finding::warning(CHECK, format!("{shown} is in memory ({name}): what is not uploaded is lost with the power"))
                .mend(elsewhere),
        ),
        _ => None,
    }
}

fn room(role: Use, shown: &str, free: u64) -> Finding {
    let mib = free >> 20;
    match free {
        0..TOO_LITTLE if role == Use::State => Finding::problem(
            CHECK,
            format!("{shown}: only {mib} MiB are free; writing fails with \"no space\""),
        )
        .mend("make room on that disk, or choose another with --state-dir"),
        0..LITTLE => {
            Finding::warning(CHECK, format!("{shown}: only {mib} MiB are free")).mend(format!(
                "make room on that disk, or choose another with {}",
                role.option()
            ))
        }
        _ => Finding::ok(CHECK, format!("{shown}: {} GiB are free", free >> 30)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Level;
    use super::*;

    #[test]
    fn a_place_is_judged_by_what_it_is_for() {
        let level = |role, name: &str| {
            file_system(role, "x", OsStr::new(name)).map(|finding| finding.level)
        };
        assert_eq!(level(Use::State, "tmpfs"), Some(Level::Warning));
        assert_eq!(level(Use::Cache, "tmpfs"), None);
        assert_eq!(level(Use::State, "fuse.fichierfs"), Some(Level::Problem));
        assert_eq!(level(Use::Cache, "nfs4"), Some(Level::Warning));
        assert_eq!(level(Use::State, "ext4"), None);
        assert_eq!(room(Use::State, "x", 1).level, Level::Problem);
        assert_eq!(room(Use::Cache, "x", 1).level, Level::Warning);
        assert_eq!(room(Use::State, "x", LITTLE).level, Level::Ok);
    }
}
