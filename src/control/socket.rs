//! Where the sockets are, and who may be at their other end.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use whirlpool::{Digest, Whirlpool};

use super::ControlError;

/// The end of a socket's name.
const SUFFIX: &str = ".sock";

/// The socket of the daemon that owns `state_dir` (an absolute path).
pub fn path_for(dir: &Path, state_dir: &Path) -> PathBuf {
    let digest = Whirlpool::digest(state_dir.as_os_str().as_bytes());
    let name: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
    dir.join(name + SUFFIX)
}

/// All sockets of the user, dead ones among them.
pub fn all(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut sockets: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(SUFFIX))
        .collect();
    sockets.sort();
    sockets
}

/// Listens on `path`. A socket on which nobody listens any more, as a killed daemon leaves it,
/// goes first; anything else that is there stays.
pub fn bind(path: &Path) -> Result<UnixListener, ControlError> {
    let failed = |source| ControlError::Socket {
        path: path.to_owned(),
        source,
    };
    if let Some(dir) = path.parent() {
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir);
        made.map_err(failed)?;
    }
    clear(path).map_err(failed)?;
    let listener = UnixListener::bind(path).map_err(failed)?;
    // Between the two calls the directory's own mode keeps others out.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    Ok(listener)
}

/// Removes a socket on which nobody listens.
fn clear(path: &Path) -> io::Result<()> {
    let refused = |kind, why| Err(io::Error::new(kind, format!("{why}; choose another place")));
    match std::fs::symlink_metadata(path) {
        Ok(facts) if !facts.file_type().is_socket() => refused(
            io::ErrorKind::AlreadyExists,
            "something else than a socket is there, and stays",
        ),
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path)
            }
            Err(error) => Err(error),
            Ok(_) => refused(io::ErrorKind::AddrInUse, "another program listens there"),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether a process of `uid` may command us: our own user, and root, who could
/// anyway.
pub fn may_command(uid: u32) -> bool {
    uid == 0 || uid == nix::unistd::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_directory_has_one_socket_of_bounded_length() {
        let dir = Path::new("/run/user/1000/fichierfs");
        let long = PathBuf::from("/".to_owned() + &"x".repeat(300));
        let one = path_for(dir, &long);
        assert_eq!(one, path_for(dir, &long));
        assert_ne!(one, path_for(dir, Path::new("/other")));
        assert_eq!(one.file_name().unwrap().len(), 21);
    }

    #[test]
    fn a_dead_socket_is_replaced_and_the_new_one_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub").join("a.sock");
        drop(bind(&path).unwrap());
        let listener = bind(&path).unwrap();
        // Neither one that lives, nor what is no socket.
        let refused = bind(&path).unwrap_err().to_string();
        assert!(refused.contains("another program listens"), "{refused}");
        let notes = dir.path().join("notes.txt");
        std::fs::write(&notes, "mine").unwrap();
        let refused = bind(&notes).unwrap_err().to_string();
        assert!(refused.contains("something else"), "{refused}");
        assert_eq!(std::fs::read(&notes).unwrap(), b"mine");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mode = std::fs::metadata(path.parent().unwrap()).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o700);
        assert_eq!(all(path.parent().unwrap()), [path]);
        drop(listener);
    }

    #[test]
    fn strangers_may_not_command() {
        let me = nix::unistd::geteuid().as_raw();
        assert!(may_command(me) && may_command(0));
        assert!(!may_command(me + 1));
    }
}
