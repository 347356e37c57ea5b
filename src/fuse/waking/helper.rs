//! The helper: a process of this program that makes one call for each errand.
//!
//! It is told by one end of a pair of sockets, its standard input, and answers there with the
//! error's number of each errand, 0 for none.

use std::ffi::CString;
use std::io::{self, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Component, Path};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat, mkdirat, mknodat};
use nix::unistd::{UnlinkatFlags, symlinkat, unlinkat};

use super::errand::{Act, Errand};
use crate::fuse::mountinfo::MountedDevice;
use crate::vfs::Kind;

/// The name that the program is started by as the helper.
pub const NAME: &str = "fichierfs-inotify";

/// The helper, from the side of who sends it. Dropping it ends and waits for it.
pub struct Helper {
    child: Child,
    line: UnixStream,
}

impl Helper {
    /// Starts it; it is to answer within `patience`.
    ///
    /// # Errors
    /// Those of starting a process.
    pub fn start(program: &Path, patience: Duration) -> io::Result<Helper> {
        let (line, other) = UnixStream::pair()?;
        line.set_read_timeout(Some(patience))?;
        line.set_write_timeout(Some(patience))?;
        let child = Command::new(program)
            .arg0(NAME)
            .env_clear()
            .current_dir("/")
            // Ctrl-C in the terminal is meant for us.
            .process_group(0)
            .stdin(OwnedFd::from(other))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Helper { child, line })
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has it run an errand; what the call gave.
    ///
    /// # Errors
    /// Those of speaking to it. It is of no use then.
    pub fn run(&mut self, errand: &Errand) -> io::Result<Result<(), Errno>> {
        self.line.write_all(&errand.write())?;
        let mut answer = [0; 4];
        self.line.read_exact(&mut answer)?;
        Ok(match i32::from_ne_bytes(answer) {
            0 => Ok(()),
            error => Err(Errno::from_raw(error)),
        })
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It may have ended. What it asks is answered within the deadline, and it can be killed before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The helper's own life: runs errands until there are no more.
pub fn serve() -> ExitCode {
    // Who sent it gets an end of the line as an answer.
    match errands() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn errands() -> io::Result<()> {
    // With who sent it, in whatever way that ends.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let mut answers = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut line = BufReader::new(answers.try_clone()?);
    while let Some(errand) = Errand::read(&mut line)? {
        let error = run(&errand).err().map_or(0, |error| error as i32);
        answers.write_all(&error.to_ne_bytes())?;
    }
    Ok(())
}

fn run(errand: &Errand) -> nix::Result<()> {
    let folder = folder(errand)?;
    let name = CString::new(errand.name.as_bytes()).map_err(|_| Errno::EINVAL)?;
    let private = Mode::S_IRUSR | Mode::S_IWUSR;
    match errand.act {
        Act::Make(Kind::File) => mknodat(folder, name.as_c_str(), SFlag::S_IFREG, private, 0),
        Act::Make(Kind::Dir) => mkdirat(folder, name.as_c_str(), private),
        Act::Make(Kind::Symlink) => symlinkat(c"-", folder, name.as_c_str()),
        Act::Remove => unlinkat(folder, name.as_c_str(), UnlinkatFlags::NoRemoveDir),
    }
}

/// The errand's folder. Where anything else is in its place, or the mount is not there any more, a
/// name of somebody else's would be made or removed.
fn folder(errand: &Errand) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut at = open(&errand.point, flags, Mode::empty())?;
    check(&at, errand.device)?;
    for part in errand.folder.components() {
        let Component::Normal(name) = part else {
            return Err(Errno::EINVAL);
        };
        at = openat(&at, name, flags, Mode::empty())?;
    }
    match check(&at, errand.device)?.st_ino == errand.ino {
        true => Ok(at),
        false => Err(Errno::ESTALE),
    }
}

/// Of a folder that is on this device.
fn check(folder: &OwnedFd, device: MountedDevice) -> nix::Result<FileStat> {
    let stat = fstatat(folder, c"", AtFlags::AT_EMPTY_PATH)?;
    let of = MountedDevice {
        major: libc::major(stat.st_dev),
        minor: libc::minor(stat.st_dev),
    };
    match of == device {
        true => Ok(stat),
        false => Err(Errno::EXDEV),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nix::sys::stat::stat;

    use super::*;

    /// In a folder of an ordinary disk, where calls do what they say.
    fn errand(point: &Path, act: Act) -> Errand {
        let folder = stat(&point.join("d")).unwrap();
        Errand {
            point: point.to_owned(),
            device: MountedDevice {
                major: libc::major(folder.st_dev),
                minor: libc::minor(folder.st_dev),
            },
            folder: "d".into(),
            ino: folder.st_ino,
            name: "name".into(),
            act,
        }
    }

    fn point() -> tempfile::TempDir {
        let point = tempfile::tempdir().unwrap();
        fs::create_dir(point.path().join("d")).unwrap();
        point
    }

    #[test]
    fn an_errand_is_a_call_that_makes_or_removes_the_name_and_never_another_kind() {
        let point = point();
        let name = point.path().join("d/name");
        for (kind, is_there) in [
            (Kind::File, fs::Metadata::is_file as fn(&fs::Metadata) -> _),
            (Kind::Symlink, fs::Metadata::is_symlink),
        ] {
            let make = errand(point.path(), Act::Make(kind));
            assert_eq!(run(&make), Ok(()));
            assert!(is_there(&fs::symlink_metadata(&name).unwrap()));
            assert_eq!(run(&make), Err(Errno::EEXIST));
            assert_eq!(run(&errand(point.path(), Act::Remove)), Ok(()));
        }
        assert_eq!(run(&errand(point.path(), Act::Make(Kind::Dir))), Ok(()));
        assert!(name.is_dir());
        assert_eq!(run(&errand(point.path(), Act::Remove)), Err(Errno::EISDIR));
    }

    #[test]
    fn nothing_is_done_where_the_mount_or_the_folder_is_no_more_what_it_was() {
        let point = point();
        let name = point.path().join("d/name");
        fs::write(&name, "somebody's").unwrap();
        let right = errand(point.path(), Act::Remove);
        let device = MountedDevice {
            minor: right.device.minor + 1,
            ..right.device
        };
        std::os::unix::fs::symlink("d", point.path().join("link")).unwrap();
        let at = |folder: &str| Errand {
            folder: folder.into(),
            ..right.clone()
        };
        let wrong = [
            (
                Errand {
                    device,
                    ..right.clone()
                },
                Errno::EXDEV,
            ),
            (
                Errand {
                    ino: right.ino + 1,
                    ..right.clone()
                },
                Errno::ESTALE,
            ),
            (at("other"), Errno::ENOENT),
            (at("../d"), Errno::EINVAL),
            (at("link"), Errno::ENOTDIR),
        ];
        for (errand, error) in wrong {
            assert_eq!(run(&errand), Err(error));
            assert!(name.exists());
        }
    }

    #[test]
    fn one_that_does_not_answer_is_ended() {
        let point = point();
        // Neither reads what it is told nor ends.
        let mut helper =
            Helper::start(Path::new("/usr/bin/yes"), Duration::from_millis(1)).unwrap();
        let process = format!("/proc/{}", helper.pid());
        assert!(helper.run(&errand(point.path(), Act::Remove)).is_err());
        assert!(Path::new(&process).exists());
        drop(helper);
        assert!(!Path::new(&process).exists());
    }
}
