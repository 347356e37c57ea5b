//! From paths to nodes and back, for people's questions.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use super::StartError;
use super::parts::Below;
use crate::config::Settings;
use crate::ids::Ino;
use crate::tree::refresh::RefreshError;
use crate::tree::{Kind, Lookup, Node, ROOT, TreeError};

/// Why a path has no node.
#[derive(Debug, thiserror::Error)]
pub enum NoPlace {
    /// There is none.
    #[error("there is no {0:?}")]
    Gone(PathBuf),
    /// It is not known whether there is.
    #[error("it is not known whether there is a {path:?}: {why}")]
    Unknown {
        /// The path.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The tree failed.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// The node at `path` below `from`; folders on the way are listed where they are not
/// known.
pub async fn find(
    below: &Below,
    from: Ino,
    path: &Path,
    patience: Duration,
) -> Result<Node, NoPlace> {
    let deadline = Instant::now() + patience;
    let gone = || NoPlace::Gone(path.to_owned());
    let mut node = below.tree.node(from)?.ok_or_else(gone)?;
    for part in path.components() {
        match part {
            Component::Normal(name) => node = child(below, &node, name, path, deadline).await?,
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return Err(gone()),
        }
    }
    Ok(node)
}

async fn child(
    below: &Below,
    parent: &Node,
    name: &OsStr,
    path: &Path,
    deadline: Instant,
) -> Result<Node, NoPlace> {
    let gone = || NoPlace::Gone(path.to_owned());
    if parent.kind != Kind::Folder {
        return Err(gone());
    }
    if let Lookup::Exists(node) = below.tree.lookup(parent.ino, name)? {
        return Ok(*node);
    }
    let unknown = |error: RefreshError| NoPlace::Unknown {
        path: path.to_owned(),
        why: error.to_string(),
    };
    below
        .refresher
        .ensure_known(parent.ino, deadline)
        .await
        .map_err(unknown)?;
    match below.tree.lookup(parent.ino, name)? {
        Lookup::Exists(node) => Ok(*node),
        Lookup::Gone => Err(gone()),
        Lookup::Unknown | Lookup::New => Err(NoPlace::Unknown {
            path: path.to_owned(),
            why: "the service does not list its folder completely".to_owned(),
        }),
    }
}

/// The folder that the mount is to show.
pub async fn root(below: &Below, settings: &Settings) -> Result<Ino, StartError> {
    let folder = settings.root_folder.trim_matches('/');
    // What the configuration says of the account is not meant for a public folder.
    if folder.is_empty() || settings.share.is_some() {
        return Ok(ROOT);
    }
    let patience = settings.metadata_deadline.0;
    match find(below, ROOT, Path::new(folder), patience).await {
        Ok(node) if node.kind == Kind::Folder => Ok(node.ino),
        Ok(_) | Err(NoPlace::Gone(_)) => Err(StartError::NoRootFolder(folder.to_owned())),
        Err(NoPlace::Unknown { why, .. }) => Err(StartError::RootFolderUnknown {
            folder: folder.to_owned(),
            why,
        }),
        Err(NoPlace::Tree(error)) => Err(error.into()),
    }
}
