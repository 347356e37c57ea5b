//! The messenger: a process of this program that makes one call for each errand.
//!
//! It is told by one end of a pair of sockets, its standard input: a word first, then errands. It
//! answers there with the error's number of each errand, 0 for none, and -1 where it is not known.
//!
//! Known it is where it asks for the word, as a name in the mountpoint, and is answered [`KNOWN`]: that
//! answers who sent it alone, and nobody else, and anywhere else the call would be real.

use std::ffi::{CString, OsStr, OsString};
use std::io::{self, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
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
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, UnlinkatFlags, symlinkat, unlinkat};

use super::errand::{Act, Errand, field};
use crate::fuse::mountinfo::MountedDevice;
use crate::vfs::Kind;

/// The name that the program is started by as the messenger.
pub const NAME: &str = "fichierfs-inotify";

/// What a look-up of the word gives where the messenger is known, and nothing ever gives otherwise.
pub const KNOWN: i32 = libc::EDOTDOT;

/// What it answers where it is not known.
const STRANGER: i32 = -1;

/// Why there is no event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The error of a call.
    Call(Errno),
    /// Who answers there does not know the messenger; nothing was done.
    Stranger,
}

impl From<Errno> for Fault {
    fn from(error: Errno) -> Fault {
        Fault::Call(error)
    }
}

/// The messenger, from the side of who sends it. Dropping it ends and waits for it.
pub struct Messenger {
    child: Child,
    line: UnixStream,
    word: String,
}

impl Messenger {
    /// Starts it; it is to answer within `patience`.
    ///
    /// # Errors
    /// Those of starting a process.
    pub fn start(program: &Path, patience: Duration) -> io::Result<Messenger> {
        let word = format!("{NAME}-{:032x}", rand::random::<u128>());
        let (mut line, other) = UnixStream::pair()?;
        line.set_read_timeout(Some(patience))?;
        line.set_write_timeout(Some(patience))?;
        line.write_all(word.as_bytes())?;
        line.write_all(b"\0")?;
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
        Ok(Messenger { child, line, word })
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it asks for to find out whether it is known.
    pub fn word(&self) -> &str {
        &self.word
    }

    /// Has it run an errand; what came of that.
    ///
    /// # Errors
    /// Those of speaking to it. It is of no use then.
    pub fn run(&mut self, errand: &Errand) -> io::Result<Result<(), Fault>> {
        self.line.write_all(&errand.write())?;
        let mut answer = [0; 4];
        self.line.read_exact(&mut answer)?;
        Ok(match i32::from_ne_bytes(answer) {
            0 => Ok(()),
            STRANGER => Err(Fault::Stranger),
            error => Err(Fault::Call(Errno::from_raw(error))),
        })
    }

    /// Ends it. Its number remains its own until this is dropped.
    pub fn end(&mut self) {
        // It may have ended. What it asks is answered within the deadline, and it can be killed before.
        let _ = self.child.kill();
        let ended = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        if let Ok(pid) = self.pid().try_into() {
            let _ = waitid(Id::Pid(Pid::from_raw(pid)), ended);
        }
    }
}

impl Drop for Messenger {
    fn drop(&mut self) {
        self.end();
        let _ = self.child.wait();
    }
}

/// The messenger's own life: runs errands until there are no more.
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
    let word = OsString::from_vec(field(&mut line)?);
    while let Some(errand) = Errand::read(&mut line)? {
        let answer = match run(&errand, &word) {
            Ok(()) => 0,
            Err(Fault::Call(error)) => error as i32,
            Err(Fault::Stranger) => STRANGER,
        };
        answers.write_all(&answer.to_ne_bytes())?;
        if answer == STRANGER {
            break;
        }
    }
    Ok(())
}

fn run(errand: &Errand, word: &OsStr) -> Result<(), Fault> {
    let point = open(&errand.point, FOLDER, Mode::empty())?;
    check(&point, errand.device)?;
    let folder = folder(&point, errand)?;
    // Both are open and on a device of the same number: so on the same mount, and what answers at one answers
    // at the other.
    prove(&point, word)?;
    Ok(act(&folder, errand)?)
}

/// Whether we are known at a mountpoint, so that nothing is done for what we do.
fn prove(point: &OwnedFd, word: &OsStr) -> Result<(), Fault> {
    match fstatat(point, word, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(error) if error as i32 == KNOWN => Ok(()),
        // Nobody was asked, or nobody answers any more: it is not known whether we are known.
        Err(error @ (Errno::EACCES | Errno::ENOTCONN | Errno::ECONNABORTED)) => {
            Err(Fault::Call(error))
        }
        Ok(_) | Err(_) => Err(Fault::Stranger),
    }
}

fn act(folder: &OwnedFd, errand: &Errand) -> nix::Result<()> {
    let name = CString::new(errand.name.as_bytes()).map_err(|_| Errno::EINVAL)?;
    let private = Mode::S_IRUSR | Mode::S_IWUSR;
    match errand.act {
        Act::Make(Kind::File) => mknodat(folder, name.as_c_str(), SFlag::S_IFREG, private, 0),
        Act::Make(Kind::Dir) => mkdirat(folder, name.as_c_str(), private),
        Act::Make(Kind::Symlink) => symlinkat(c"-", folder, name.as_c_str()),
        Act::Remove => unlinkat(folder, name.as_c_str(), UnlinkatFlags::NoRemoveDir),
    }
}

/// How a folder is opened to go on from there.
const FOLDER: OFlag = OFlag::O_PATH
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// The errand's folder. Where anything else is in its place, a name of somebody else's would be made or
/// removed.
fn folder(point: &OwnedFd, errand: &Errand) -> nix::Result<OwnedFd> {
    let mut at = point.try_clone().map_err(|_| Errno::EMFILE)?;
    for part in errand.folder.components() {
        let Component::Normal(name) = part else {
            return Err(Errno::EINVAL);
        };
        at = openat(&at, name, FOLDER, Mode::empty())?;
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

    /// As in a mount where it is known.
    fn call(errand: &Errand) -> nix::Result<()> {
        let point = open(&errand.point, FOLDER, Mode::empty())?;
        act(&folder(&point, errand)?, errand)
    }

    const ACTS: [Act; 4] = [
        Act::Make(Kind::File),
        Act::Make(Kind::Dir),
        Act::Make(Kind::Symlink),
        Act::Remove,
    ];

    #[test]
    fn nothing_is_done_where_it_is_not_known() {
        let point = point();
        let name = point.path().join("d/name");
        for act in ACTS {
            let errand = errand(point.path(), act);
            assert_eq!(run(&errand, "a word".as_ref()), Err(Fault::Stranger));
            assert!(!name.exists(), "{act:?}");
        }
        fs::write(&name, "somebody's").unwrap();
        // Neither where there is such a name.
        fs::write(point.path().join("a word"), "theirs").unwrap();
        for word in ["a word", "another"] {
            let errand = errand(point.path(), Act::Remove);
            assert_eq!(run(&errand, word.as_ref()), Err(Fault::Stranger));
            assert_eq!(fs::read_to_string(&name).unwrap(), "somebody's");
        }
    }

    #[test]
    fn its_number_is_its_own_until_it_was_dropped() {
        let mut messenger =
            Messenger::start(Path::new("/usr/bin/yes"), Duration::from_secs(1)).unwrap();
        let process = format!("/proc/{}/stat", messenger.pid());
        messenger.end();
        let stat = fs::read_to_string(&process).unwrap();
        assert!(stat.contains(") Z "), "{stat}");
        drop(messenger);
        assert!(!Path::new(&process).exists());
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
            assert_eq!(call(&make), Ok(()));
            assert!(is_there(&fs::symlink_metadata(&name).unwrap()));
            assert_eq!(call(&make), Err(Errno::EEXIST));
            assert_eq!(call(&errand(point.path(), Act::Remove)), Ok(()));
        }
        assert_eq!(call(&errand(point.path(), Act::Make(Kind::Dir))), Ok(()));
        assert!(name.is_dir());
        assert_eq!(call(&errand(point.path(), Act::Remove)), Err(Errno::EISDIR));
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
            assert_eq!(run(&errand, "a word".as_ref()), Err(Fault::Call(error)));
            assert!(name.exists());
        }
    }

    #[test]
    fn one_that_does_not_answer_is_ended() {
        let point = point();
        // Neither reads what it is told nor ends.
        let mut messenger =
            Messenger::start(Path::new("/usr/bin/yes"), Duration::from_millis(1)).unwrap();
        let process = format!("/proc/{}", messenger.pid());
        assert!(messenger.run(&errand(point.path(), Act::Remove)).is_err());
        assert!(Path::new(&process).exists());
        drop(messenger);
        assert!(!Path::new(&process).exists());
    }
}
