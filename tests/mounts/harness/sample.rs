//! A tree of files as people have them.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Files of [`make`], links and empty ones among them.
pub const FILES: usize = 300;

const FOLDERS: [&str; 12] = [
    "",
    "docs",
    "docs/letters 2026",
    "docs/letters 2026/été à Paris",
    "photos",
    "photos/2025",
    "photos/2026",
    "src",
    "src/deep",
    "src/deep/er",
    "src/deep/er/still",
    "music & more",
];

/// Bytes that are the same at every run and compress badly.
pub fn bytes(seed: u64, size: usize) -> Vec<u8> {
    let mut buffer = vec![0; size];
    fichierfs::sim::synthetic_bytes(seed, 0, &mut buffer);
    buffer
}

/// Makes a tree of [`FILES`] files in nested folders: many small, some larger, one of
/// 5 MiB, a few empty, links, names with spaces and accents, old times, modes.
pub fn make(root: &Path) {
    for folder in FOLDERS {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for number in 0..FILES {
        let folder = root.join(FOLDERS[number % FOLDERS.len()]);
        if number % 60 == 59 {
            symlink(
                format!("file {}.txt", number - 12),
                folder.join(format!("link {number}")),
            )
            .unwrap();
            continue;
        }
        let size = match number {
            7 => 5 << 20,
            n if n % 50 == 17 => 0,
            n if n % 40 == 3 => 150_000 + n,
            n => 1 + n * 13 % 6_000,
        };
        let path = folder.join(format!("file {number}.txt"));
        fs::write(&path, bytes(number as u64, size)).unwrap();
        let mode = if number % 9 == 0 { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        set_age(&path, number as u64);
    }
    // Deepest first, or each would make its parent new again.
    for (number, folder) in FOLDERS.iter().enumerate().rev() {
        set_age(&root.join(folder), number as u64);
    }
}

fn set_age(path: &Path, days: u64) {
    let base = Duration::from_secs(1_700_000_000) + Duration::from_nanos(123_456_789);
    let time = SystemTime::UNIX_EPOCH + base + Duration::from_secs(days * 86_400);
    let times = FileTimes::new().set_modified(time).set_accessed(time);
    File::open(path).unwrap().set_times(times).unwrap();
}
