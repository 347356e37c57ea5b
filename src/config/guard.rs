//! Files and folders that only the user may read: made so, and refused if they
//! are not. What is checked is what was opened, not what a path means a moment later.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use zeroize::Zeroizing;

use super::ConfigError;

/// No configuration or key file is longer, in bytes.
const LONGEST_FILE: u64 = 1 << 20;

/// Reads a file with secrets; `None` if there is none. It must belong to the user (or
/// root) and be closed to all others.
pub(super) fn read_private(path: &Path) -> Result<Option<Zeroizing<String>>, ConfigError> {
    // Non-blocking, so that a FIFO in its place does not stop the program.
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ConfigError::file(path)(error)),
    };
    let facts = file.metadata().map_err(ConfigError::file(path))?;
    let user = geteuid().as_raw();
    if facts.uid() != user && facts.uid() != 0 {
        return Err(ConfigError::ForeignOwner {
            path: path.to_owned(),
            owner: facts.uid(),
            user,
        });
    }
    if facts.mode() & 0o077 != 0 {
        return Err(ConfigError::OpenToOthers {
            path: path.to_owned(),
        });
    }
    read_text(path, file).map(Some)
}

/// Reads a text of bounded length from an open file.
pub(super) fn read_text(path: &Path, file: File) -> Result<Zeroizing<String>, ConfigError> {
    let mut text = Zeroizing::new(String::new());
    let read = file
        .take(LONGEST_FILE + 1)
        .read_to_string(&mut text)
        .map_err(ConfigError::file(path))?;
    if read as u64 > LONGEST_FILE {
        let error = io::Error::new(io::ErrorKind::FileTooLarge, "the file is too long");
        return Err(ConfigError::file(path)(error));
    }
    Ok(text)
}

/// Replaces a file with secrets as a whole, with mode 0600: a crash leaves the old or
/// the new one. A symbolic link stays one, and what it points to is replaced.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), ConfigError> {
    let path = match std::fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(ConfigError::file(path)(error)),
    };
    let fail = ConfigError::file(&path);
    let written = (|| {
        let folder = path.parent().unwrap_or(Path::new("."));
        let next = sibling(&path);
        // What a crashed attempt left.
        match std::fs::remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&next)?;
        // Whatever the umask says.
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&next, &path)?;
        File::open(folder)?.sync_all()
    })();
    written.map_err(fail)
}

fn sibling(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Makes sure that a folder exists, belongs to the user and is closed to others
/// (0700). Folders above it are made as needed. One that is open is closed where it is ours
/// or empty, and else refused: others may live in it.
pub fn private_folder(path: &Path) -> Result<(), ConfigError> {
    let fail = |error| ConfigError::file(path)(error);
    if let Some(above) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(above)
            .map_err(fail)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(fail(error)),
        _ => {}
    }
    let folder = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_DIRECTORY)
        .open(path)
        .map_err(|error| match error.raw_os_error() {
            Some(nix::libc::ELOOP | nix::libc::ENOTDIR) => ConfigError::NotAFolder {
                path: path.to_owned(),
            },
            _ => fail(error),
        })?;
    let facts = folder.metadata().map_err(fail)?;
    let user = geteuid().as_raw();
    if facts.uid() != user {
        return Err(ConfigError::ForeignOwner {
            path: path.to_owned(),
            owner: facts.uid(),
            user,
        });
    }
    if facts.mode() & 0o777 != 0o700 {
        if facts.mode() & 0o077 != 0 && !is_ours(path) && !is_empty(path).map_err(fail)? {
            return Err(ConfigError::SharedFolder {
                path: path.to_owned(),
            });
        }
        folder
            .set_permissions(std::fs::Permissions::from_mode(0o700))
            .map_err(fail)?;
    }
    Ok(())
}

/// Whether a folder is the program's own, by its place or by what is in it.
fn is_ours(path: &Path) -> bool {
    let bases = [
        dirs::config_dir(),
        dirs::data_local_dir(),
        dirs::cache_dir(),
        dirs::runtime_dir(),
    ];
    let mut own = bases.iter().flatten().map(|base| base.join("fichierfs"));
    own.any(|own| path.starts_with(own))
        || ["pace.json", "fichierfs.db"]
            .iter()
            .any(|name| path.join(name).is_file())
}

fn is_empty(path: &Path) -> io::Result<bool> {
    Ok(std::fs::read_dir(path)?.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::symlink_metadata(path).unwrap().mode() & 0o777
    }

    fn chmod(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_command_to_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        assert!(read_private(&path).unwrap().is_none());
        std::fs::write(&path, "x").unwrap();
        for open in [0o644, 0o640, 0o604, 0o622] {
            chmod(&path, open);
            let error = read_private(&path).unwrap_err().to_string();
            assert!(
                error.ends_with(&format!("run: chmod 600 {}", path.display())),
                "{error}"
            );
        }
        chmod(&path, 0o600);
        assert_eq!(read_private(&path).unwrap().unwrap().as_str(), "x");
    }

    #[test]
    fn a_written_file_is_private_and_a_link_to_it_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        std::os::unix::fs::symlink(&real, &link).unwrap();
        std::fs::write(&real, "old").unwrap();
        chmod(&real, 0o644);
        write_private(&link, "new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "new");
        assert_eq!(mode(&real), 0o600);
        write_private(&dir.path().join("first"), "x").unwrap();
        assert_eq!(mode(&dir.path().join("first")), 0o600);
    }

    #[test]
    fn a_folder_is_made_private_and_a_link_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        private_folder(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700);
        chmod(&folder, 0o755);
        private_folder(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700);

        // Others may live in a folder that is open, unless it is known to be ours.
        let shared = dir.path().join("shared");
        std::fs::create_dir(&shared).unwrap();
        std::fs::write(shared.join("notes"), "").unwrap();
        chmod(&shared, 0o755);
        assert!(matches!(
            private_folder(&shared),
            Err(ConfigError::SharedFolder { .. })
        ));
        assert_eq!(mode(&shared), 0o755);
        std::fs::write(shared.join("fichierfs.db"), "").unwrap();
        private_folder(&shared).unwrap();
        assert_eq!(mode(&shared), 0o700);

        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        for path in [link, file] {
            assert!(matches!(
                private_folder(&path),
                Err(ConfigError::NotAFolder { .. })
            ));
        }
    }
}
