//! Why a unit cannot be put in place.

use std::io;
use std::path::{Path, PathBuf};

/// Nothing was changed, or not all of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// A file that cannot be read or written.
    #[error("{}: {source}{}", path.display(), way_out(source))]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that somebody changed, or wrote.
    #[error("{} was changed by hand and stays as it is; compare with `fichierfs service show`, or give --force", path.display())]
    Edited {
        /// Which.
        path: PathBuf,
    },
}

fn way_out(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "; for a service of the machine run it with sudo",
        _ => "",
    }
}

impl ServiceError {
    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> ServiceError + use<> {
        let path = path.to_owned();
        move |source| ServiceError::File { path, source }
    }
}
