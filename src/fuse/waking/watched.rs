//! Which folders of the mount are watched. The kernel tells it of every process whose memory we
//! might read as well: of an ordinary user's own, of all where the daemon is root.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::fuse::mountinfo::MountedDevice;

/// What the kernel calls a descriptor of inotify(7).
const INOTIFY: &str = "anon_inode:inotify";

/// The numbers of what is watched on a device, as far as it can be seen. Looks at all
/// descriptors of all processes, which takes some 60 ms where there are 14,000 of them; asks no file
/// system for anything.
pub fn on(device: MountedDevice) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    for process in listed(Path::new("/proc")) {
        for descriptor in listed(&process.join("fd")) {
            let is_inotify = fs::read_link(&descriptor).is_ok_and(|it| it == Path::new(INOTIFY));
            if let (true, Some(number)) = (is_inotify, descriptor.file_name()) {
                let info = process.join("fdinfo").join(number);
                // Closed meanwhile.
                let info = fs::read_to_string(info).unwrap_or_default();
                found.extend(watches(&info, device));
            }
        }
    }
    found
}

/// The numbers in a folder of `/proc`. What ends meanwhile or is not ours to see has none.
fn listed(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let is_number = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
    };
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(is_number)
        .map(|entry| entry.path())
}

/// What a descriptor watches on a device, by its lines in proc_pid_fdinfo(5).
fn watches(info: &str, device: MountedDevice) -> impl Iterator<Item = u64> {
    info.lines()
        .filter_map(watch)
        .filter_map(move |(of, ino)| (of == device).then_some(ino))
}

fn watch(line: &str) -> Option<(MountedDevice, u64)> {
    let fields = line.strip_prefix("inotify ")?;
    let field = |name: &str| {
        let mut all = fields.split(' ');
        all.find_map(|field| field.strip_prefix(name)?.strip_prefix(':'))
    };
    let ino = u64::from_str_radix(field("ino")?, 16).ok()?;
    // As the kernel itself puts the two numbers of a device together.
    let device = u32::from_str_radix(field("sdev")?, 16).ok()?;
    let device = MountedDevice {
        major: device >> 20,
        minor: device & 0xf_ffff,
    };
    Some((device, ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "\
pos:\t0
flags:\t00
mnt_id:\t15
inotify wd:3 ino:1f sdev:28 mask:fce ignored_mask:0 fhandle-bytes:c fhandle-type:81 f_handle:00
inotify wd:2 ino:1e sdev:800003 mask:fce ignored_mask:0
inotify wd:1 ino:2 sdev:28 mask:fc6 ignored_mask:0
inotify wd:1 ino:zz sdev:28
";

    #[test]
    fn watches_of_a_device_are_found_by_their_numbers() {
        let on = |major, minor| {
            let device = MountedDevice { major, minor };
            watches(INFO, device).collect::<Vec<_>>()
        };
        assert_eq!(on(0, 0x28), [0x1f, 2]);
        assert_eq!(on(8, 3), [0x1e]);
        assert!(on(0, 0x29).is_empty());
    }
}
