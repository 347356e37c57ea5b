//! Waiting for what the tree does not know yet.
//!
//! An operation is a closure over the tree that either settles the matter or
//! says which folder must be listed first. It is tried at once; only when a
//! folder is missing does it become a wait: list, try again, within the
//! deadline. What stays unknown fails as such, never as "no such file".

use std::future::Future;
use std::time::{Duration, Instant};

use super::Vfs;
use super::error::{Error, ErrorKind};
use super::types::Answer;
use crate::ids::Ino;
use crate::staging::StagingError;
use crate::store::StoreError;
use crate::tree::TreeError;
use crate::tree::refresh::RefreshError;

/// A rename needs three folders at most: source, target, and the folder that it
/// replaces.
const FOLDERS: usize = 3;

/// Why an operation was not done.
pub(super) enum Fault {
    /// This folder must be listed first.
    Unlisted(Ino),
    /// The same, to find a name.
    Unseen(Ino),
    /// It cannot be done.
    Failed(Error),
}

impl From<Error> for Fault {
    fn from(e: Error) -> Self {
        Fault::Failed(e)
    }
}

impl From<ErrorKind> for Fault {
    fn from(kind: ErrorKind) -> Self {
        Fault::Failed(kind.into())
    }
}

impl From<TreeError> for Fault {
    fn from(e: TreeError) -> Self {
        match e {
            TreeError::Unlisted(folder) => Fault::Unlisted(folder),
            other => Fault::Failed(other.into()),
        }
    }
}

impl From<StagingError> for Fault {
    fn from(e: StagingError) -> Self {
        Fault::Failed(e.into())
    }
}

impl From<TreeError> for Error {
    fn from(e: TreeError) -> Self {
        let kind = match e {
            TreeError::NotFound => ErrorKind::NotFound,
            TreeError::Exists => ErrorKind::Exists,
            TreeError::NotFolder => ErrorKind::NotDir,
            TreeError::IsFolder => ErrorKind::IsDir,
            TreeError::NotEmpty => ErrorKind::NotEmpty,
            TreeError::NameTooLong => ErrorKind::NameTooLong,
            TreeError::ReadOnly => ErrorKind::ReadOnly,
            // `mv` copies then.
            TreeError::OtherOwner => ErrorKind::CrossDevice,
            TreeError::IntoItself => ErrorKind::Invalid,
            TreeError::Unlisted(_) => return Error::from_source(ErrorKind::Io, "a folder", e),
            TreeError::Store(e) => return e.into(),
        };
        kind.into()
    }
}

impl From<StoreError> for Error {
    fn from(e: StoreError) -> Self {
        let kind = if e.is_disk_full() {
            ErrorKind::NoSpace
        } else {
            ErrorKind::Io
        };
        Error::from_source(kind, "the database", e)
    }
}

impl From<RefreshError> for Error {
    fn from(e: RefreshError) -> Self {
        let kind = match &e {
            RefreshError::TimedOut => ErrorKind::TimedOut,
            // Gone from the tree while we waited: this is certain.
            RefreshError::Tree(tree) if matches!(**tree, TreeError::NotFound) => {
                ErrorKind::NotFound
            }
            RefreshError::Api(_) | RefreshError::Refused(_) | RefreshError::Tree(_) => {
                ErrorKind::Io
            }
        };
        Error::from_source(kind, "listing a folder", e)
    }
}

impl Vfs {
    /// Answers with `op`, after listing the folders that it turns out to need.
    /// `op` may run several times; only its last run can have changed anything.
    pub(super) fn listing<T: Send + 'static>(
        &self,
        mut op: impl FnMut(&Vfs) -> Result<T, Fault> + Send + 'static,
    ) -> Answer<T> {
        match op(self) {
            Ok(value) => Answer::Now(Ok(value)),
            Err(Fault::Failed(e)) => Answer::Now(Err(e)),
            Err(Fault::Unlisted(first) | Fault::Unseen(first)) => {
                let vfs = self.clone();
                Answer::later(async move { vfs.list_and_retry(first, op).await })
            }
        }
    }

    async fn list_and_retry<T>(
        &self,
        first: Ino,
        mut op: impl FnMut(&Vfs) -> Result<T, Fault> + Send,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + self.options().metadata_deadline;
        let mut folder = first;
        for _ in 0..FOLDERS {
            self.refresher().ensure_known(folder, deadline).await?;
            match op(self) {
                Ok(value) => return Ok(value),
                Err(Fault::Failed(e)) => return Err(e),
                // Listed, and still not whole: cut off at the service's cap.
                Err(Fault::Unlisted(again) | Fault::Unseen(again)) if again == folder => {
                    self.refresher().ensure_whole(folder, deadline).await;
                    return op(self).map_err(|fault| self.unknown(fault));
                }
                Err(Fault::Unlisted(next) | Fault::Unseen(next)) => folder = next,
            }
        }
        Err(not_whole(folder))
    }

    /// What is said of what stays unknown though its folder was listed.
    fn unknown(&self, fault: Fault) -> Error {
        match fault {
            Fault::Failed(error) => error,
            Fault::Unlisted(folder) => match self.node(folder) {
                Ok(node) if !node.known.has_all_folders() => lacks(
                    folder,
                    "the service does not show all sub-folders of this folder: a folder of that \
                     name may be there",
                ),
                _ => not_whole(folder),
            },
            Fault::Unseen(folder) => match self.node(folder) {
                Ok(node) if self.may_allow_new(&node) => lacks(
                    folder,
                    "a name that was not seen may be there; `fichierfs allow-new PATH` has such \
                     names count as new",
                ),
                _ => not_whole(folder),
            },
        }
    }
}

/// What is not seen of a folder may be there.
pub(super) fn not_whole(folder: Ino) -> Error {
    lacks(folder, "what was not seen of it may be there")
}

fn lacks(folder: Ino, why: &str) -> Error {
    let what = format!("folder {folder} is not known whole, as `fichierfs status` says: {why}");
    Error::new(ErrorKind::Io, what)
}

/// Waits for `work`, but not longer than `limit`.
pub(super) async fn within<T, E: Into<Error>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result.map_err(Into::into),
        Err(_) => Err(ErrorKind::TimedOut.into()),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::vfs::testing::House;

    #[test]
    fn what_is_not_known_is_never_said_not_to_exist() {
        let unknown = Error::from(TreeError::Unlisted(Ino(5)));
        assert_eq!(unknown.kind(), ErrorKind::Io);
        assert_eq!(
            Error::from(RefreshError::TimedOut).kind(),
            ErrorKind::TimedOut
        );
        assert!(matches!(
            Fault::from(TreeError::Unlisted(Ino(5))),
            Fault::Unlisted(Ino(5))
        ));
    }

    #[test]
    fn who_comes_after_a_wait_in_vain_does_not_wait_as_long_once_more() {
        let house = House::new();
        let folder = house.remote_folder("folder").ino;
        let refresher = house.vfs.refresher().clone();
        let later = Instant::now() + Duration::from_secs(3600);
        let timed_out = |outcome| matches!(outcome, Err(RefreshError::TimedOut));
        house.ok(Answer::later(async move {
            let first = refresher.ensure_known(folder, Instant::now()).await;
            assert!(first.is_err());
            let again = refresher.ensure_known(folder, later).now_or_never();
            assert!(again.is_some_and(timed_out));
            Ok(())
        }));
    }

    #[tokio::test]
    async fn a_wait_ends_at_its_limit() {
        let never = std::future::pending::<Result<(), Error>>();
        let outcome = within(Duration::ZERO, never).await;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::TimedOut);
    }
}
