//! The set-uid helper `fusermount3`, which mounts for ordinary users: it opens
//! /dev/fuse, mounts, and sends the open device over a socket that it is given.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

use super::error::MountError;

/// Where it is looked for: in PATH, then where distributions put it (a service
/// manager may give a short PATH).
pub(super) const PROGRAMS: [&str; 3] = [
    "fusermount3",
    "/usr/bin/fusermount3",
    "/usr/local/bin/fusermount3",
];

/// The helper only opens a device and mounts.
const PATIENCE: Duration = Duration::from_secs(30);

/// Mounts on `point` with `options` (comma-separated) and returns the device.
pub(super) fn mount(point: &Path, options: &str) -> Result<OwnedFd, MountError> {
    let failed = MountError::system("running fusermount3 for", point);
    let (ours, theirs) = match UnixStream::pair() {
        Ok(pair) => pair,
        Err(error) => return Err(failed(error)),
    };
    let child = start(|command| {
        command
            .args(["-o", options, "--"])
            .arg(point)
            // The socket is its standard input: the one descriptor that reaches
            // this child, and no other that is started meanwhile.
            .env("_FUSE_COMMFD", "0")
            .stdin(Stdio::from(OwnedFd::from(theirs.try_clone()?)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
    })?;
    drop(theirs);
    let received = receive(&ours);
    drop(ours);
    let output = child.wait_with_output().map_err(failed)?;
    match received {
        Ok(Some(device)) => Ok(device),
        Ok(None) => Err(refusal(point, &String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(MountError::system("mounting with fusermount3", point)(
            error,
        )),
    }
}

/// Unmounts for an ordinary user; `lazy` detaches what is in use.
pub(super) fn unmount(point: &Path, lazy: Lazy) -> Result<(), MountError> {
    let child = start(|command| {
        command
            .arg("-u")
            .args(match lazy {
                Lazy::Yes => Some("-z"),
                Lazy::No => None,
            })
            .arg("--")
            .arg(point)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
    })?;
    let output = child
        .wait_with_output()
        .map_err(MountError::system("running fusermount3 for", point))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    if text.contains("busy") {
        return Err(MountError::Busy(point.to_path_buf()));
    }
    Err(MountError::System {
        action: "unmounting",
        path: point.to_path_buf(),
        source: io::Error::other(text.trim().to_owned()),
    })
}

/// Whether a mount in use is detached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lazy {
    Yes,
    No,
}

fn start(spawn: impl Fn(&mut Command) -> io::Result<Child>) -> Result<Child, MountError> {
    for program in PROGRAMS {
        // What it says is read by us, so in the language that we know.
        match spawn(Command::new(program).env("LC_ALL", "C")) {
            Ok(child) => return Ok(child),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(MountError::system("starting", program)(error)),
        }
    }
    Err(MountError::NoHelper)
}

/// The device that the helper sends; `None` if it ended without.
fn receive(socket: &UnixStream) -> io::Result<Option<OwnedFd>> {
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut byte = [0];
    let mut buffers = [IoSliceMut::new(&mut byte)];
    let mut space = nix::cmsg_space!(RawFd);
    let message = loop {
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(socket.as_raw_fd(), &mut buffers, Some(&mut space), flags) {
            Err(Errno::EINTR) => {}
            other => break other?,
        }
    };
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = control
            && let Some(fd) = fds.first()
        {
            // SAFETY: the kernel has just made this descriptor for us, and
            // nothing else knows its number.
            return Ok(Some(unsafe { OwnedFd::from_raw_fd(*fd) }));
        }
    }
    Ok(None)
}

/// What the helper's last words mean.
fn refusal(point: &Path, text: &str) -> MountError {
    let text = text.trim();
    if text.contains("user_allow_other") {
        MountError::AllowOther
    } else if text.contains("device not found") || text.contains("/dev/fuse: No such") {
        MountError::NoDevice
    } else if text.contains("/dev/fuse: Permission denied") {
        MountError::DeviceClosed
    } else {
        let message = match text {
            "" => "it said nothing".to_owned(),
            text => text.to_owned(),
        };
        MountError::Helper {
            path: point.to_path_buf(),
            message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_helpers_words_become_advice() {
        let point = Path::new("/m");
        let allow = "fusermount3: option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf\n";
        assert!(matches!(refusal(point, allow), MountError::AllowOther));
        let device = "fusermount3: fuse device not found, try 'modprobe fuse' first\n";
        assert!(matches!(refusal(point, device), MountError::NoDevice));
        let closed = "fusermount3: failed to open /dev/fuse: Permission denied\n";
        assert!(matches!(refusal(point, closed), MountError::DeviceClosed));
        let other = refusal(
            point,
            "fusermount3: user has no write access to mountpoint /m\n",
        );
        assert!(other.to_string().contains("no write access"), "{other}");
    }

    #[test]
    fn a_helper_that_sends_nothing_is_noticed() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        assert!(receive(&ours).unwrap().is_none());
    }
}
