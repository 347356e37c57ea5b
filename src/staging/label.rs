//! What a data file says about itself, so that its bytes can be given back to their
//! owner where the database cannot: an extended attribute in JSON, `user.fichierfs`.
//!
//! The database is what counts; a label may be older than it, and a disk without
//! extended attributes has none.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::extents::ExtentMap;
use crate::ids::Ino;

const ATTRIBUTE: &str = "user.fichierfs";

/// Some file systems take 4 KiB for all attributes of a file. A longer map is left out, in bytes.
const MAX_MAP: usize = 1024;

/// Whose bytes a data file has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Label {
    /// The inode's number.
    pub ino: u64,
    /// Where the file was when it was closed last, from the root of the account; characters
    /// that are no UTF-8 are replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Where its bytes were then: an encoded [`ExtentMap`], in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    map: Option<String>,
}

impl Label {
    pub fn new(ino: Ino) -> Label {
        Label {
            ino: ino.0,
            path: None,
            map: None,
        }
    }

    pub fn closed(ino: Ino, path: &Path, map: &ExtentMap) -> Label {
        let map = map.encode();
        Label {
            ino: ino.0,
            path: Some(path.to_string_lossy().into_owned().into()),
            map: (map.len() <= MAX_MAP).then(|| hex::encode(map)),
        }
    }

    /// Where the bytes were at the last close, if there was one.
    pub fn map(&self) -> Option<ExtentMap> {
        let bytes = hex::decode(self.map.as_ref()?).ok()?;
        ExtentMap::decode(&bytes).ok()
    }

    /// Writes it, without the map where there is no room for that. It is for emergencies:
    /// where it cannot be written nothing else fails, and an older one, whose map would be wrong
    /// now, goes.
    pub fn write(self, file: &File) {
        let flags = rustix::fs::XattrFlags::empty();
        let set = |label: &Label| {
            let text = serde_json::to_vec(label).unwrap_or_default();
            rustix::fs::fsetxattr(file, ATTRIBUTE, &text, flags)
        };
        let written = set(&self).or_else(|_| set(&Label { map: None, ..self }));
        if let Err(error) = written {
            tracing::debug!(%error, "a staged file is not labelled");
            // There may be none.
            let _ = rustix::fs::fremovexattr(file, ATTRIBUTE);
        }
    }

    /// Reads it, if there is one.
    pub fn read(file: &File) -> Option<Label> {
        let mut text = vec![0; 64 << 10];
        let length = rustix::fs::fgetxattr(file, ATTRIBUTE, text.as_mut_slice()).ok()?;
        serde_json::from_slice(text.get(..length)?).ok()
    }
}
