//! `/proc/self/mountinfo`, read without touching any mount: asking a mount of
//! ours about itself from within the daemon would wait for ourselves.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The type under which the mount is listed, and by which `updatedb` and others know to leave it alone.
pub const FS_TYPE: &str = "fuse.fichierfs";

/// The device number of a mounted file system: the same for all places where it
/// is mounted, of no other one while it lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MountedDevice {
    /// Major number, 0 for file systems without a block device.
    pub major: u32,
    /// Minor number; for FUSE also the name in `/sys/fs/fuse/connections`.
    pub minor: u32,
}

/// One mount, as proc_pid_mountinfo(5) describes a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MountEntry {
    /// This mount.
    pub id: u64,
    /// The mount that it lies on.
    pub parent: u64,
    /// The file system.
    pub device: MountedDevice,
    /// Where it is mounted, absolute and without symbolic links.
    pub mount_point: PathBuf,
    /// The type with its subtype, as `fuse.fichierfs`.
    pub fs_type: OsString,
    /// The options of the file system, as `rw,user_id=1000,group_id=1000`.
    pub super_options: OsString,
}

impl MountEntry {
    /// The user who made this FUSE mount.
    pub fn fuse_owner(&self) -> Option<u32> {
        let value = self
            .super_options
            .as_bytes()
            .split(|b| *b == b',')
            .find_map(|option| option.strip_prefix(b"user_id="))?;
        std::str::from_utf8(value).ok()?.parse().ok()
    }

    /// Whether a FUSE daemon stands behind it.
    pub fn is_fuse(&self) -> bool {
        let fs_type = self.fs_type.as_bytes();
        matches!(fs_type, b"fuse" | b"fuseblk")
            || fs_type.starts_with(b"fuse.")
            || fs_type.starts_with(b"fuseblk.")
    }
}

/// The mounts that this process sees.
///
/// # Errors
/// Where `/proc` cannot be read.
pub fn current() -> io::Result<Vec<MountEntry>> {
    Ok(parse(&std::fs::read("/proc/self/mountinfo")?))
}

/// The entries of a mountinfo text; lines that make no sense are left out.
pub fn parse(text: &[u8]) -> Vec<MountEntry> {
    text.split(|b| *b == b'\n').filter_map(parse_line).collect()
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn parse_line(line: &[u8]) -> Option<MountEntry> {
    let mut fields = line.split(|b| *b == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let mut device = fields.next()?.split(|b| *b == b':');
    let device = MountedDevice {
        major: number(device.next()?)?,
        minor: number(device.next()?)?,
    };
    let _root = fields.next()?;
    let mount_point = PathBuf::from(unescape(fields.next()?));
    // The mount's own options, then any number of tags up to a lone hyphen.
    fields.find(|field| *field == b"-")?;
    let fs_type = unescape(fields.next()?);
    let _source = fields.next()?;
    let super_options = fields.next()?.to_vec();
    Some(MountEntry {
        id,
        parent,
        device,
        mount_point,
        fs_type,
        super_options: OsString::from_vec(super_options),
    })
}

fn number<N: std::str::FromStr>(field: &[u8]) -> Option<N> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// The kernel writes space, tab, newline and backslash as `\` and three octal digits.
fn unescape(field: &[u8]) -> OsString {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = match (first, tail) {
            (
                b'\\',
                [
                    a @ b'0'..=b'3',
                    b @ b'0'..=b'7',
                    c @ b'0'..=b'7',
                    after @ ..,
                ],
            ) => Some((((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'), after)),
            _ => None,
        };
        let (byte, after) = escaped.unwrap_or((first, tail));
        out.push(byte);
        rest = after;
    }
    OsString::from_vec(out)
}

/// The mount that a look at exactly `path` reaches, if one is mounted there: of
/// several that lie on one another the uppermost.
pub fn top_at<'a>(mounts: &'a [MountEntry], path: &Path) -> Option<&'a MountEntry> {
    let here = || mounts.iter().filter(|m| m.mount_point == path);
    here().find(|m| !here().any(|above| above.parent == m.id && above.id != m.id))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &[u8] = b"\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
40 22 0:52 / /home/a/My\\040files rw,nosuid,nodev,noatime shared:7 master:3 - fuse.fichierfs fichierfs rw,user_id=1000,group_id=1000,default_permissions\n\
nonsense\n\
41 40 0:53 / /home/a/My\\040files rw - tmpfs tmpfs rw\n\
50 22 8:2 /sub /data rw - ext4 /dev/sdb1 rw\n";

    #[test]
    fn lines_are_taken_apart_and_nonsense_left_out() {
        let mounts = parse(TEXT);
        assert_eq!(mounts.len(), 4);
        let ours = &mounts[1];
        assert_eq!(ours.mount_point, Path::new("/home/a/My files"));
        assert_eq!(
            ours.device,
            MountedDevice {
                major: 0,
                minor: 52
            }
        );
        assert_eq!(ours.fuse_owner(), Some(1000));
        assert!(ours.is_fuse() && !mounts[0].is_fuse());
        assert_eq!(ours.fs_type, "fuse.fichierfs");
    }

    #[test]
    fn of_stacked_mounts_the_uppermost_counts() {
        let mut mounts = parse(TEXT);
        let path = Path::new("/home/a/My files");
        assert_eq!(top_at(&mounts, path).unwrap().id, 41);
        mounts.reverse();
        assert_eq!(
            top_at(&mounts, path).unwrap().id,
            41,
            "whatever order they are listed in"
        );
        assert!(top_at(&mounts, Path::new("/home/a")).is_none());
    }

    #[test]
    fn a_root_that_is_its_own_parent_is_found() {
        let mounts = parse(b"1 1 0:2 / / rw - rootfs rootfs rw\n");
        assert_eq!(top_at(&mounts, Path::new("/")).unwrap().id, 1);
    }

    #[test]
    fn this_machines_table_has_a_root() {
        let mounts = current().unwrap();
        assert!(top_at(&mounts, Path::new("/")).is_some());
    }

    /// What the kernel does to a path (seq_path with the escape set " \t\n\\").
    fn escape(path: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for byte in path {
            match byte {
                b' ' | b'\t' | b'\n' | b'\\' => out.extend(format!("\\{byte:03o}").bytes()),
                other => out.push(*other),
            }
        }
        out
    }

    proptest! {
        #[test]
        fn any_path_survives_the_kernels_escaping(path: Vec<u8>) {
            prop_assert_eq!(unescape(&escape(&path)).into_vec(), path);
        }

        #[test]
        fn any_text_is_read_without_a_panic(text: Vec<u8>) {
            parse(&text);
        }
    }
}
