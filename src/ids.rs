//! The names by which things are known: newtypes that keep a folder id, a file
//! id, an inode and a checksum from being taken for one another.

use std::fmt;
use std::str::FromStr;

/// A folder of the account, as the service numbers it. 0 is the root.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FolderId(pub u64);

impl FolderId {
    /// The account's root folder.
    pub const ROOT: FolderId = FolderId(0);
}

impl fmt::Display for FolderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An inode of the mount: assigned once by the store, stable over restarts,
/// never used again for another file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Ino(pub u64);

impl fmt::Display for Ino {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A file of the service: 5 to 20 lowercase letters and digits, the part of
/// `https://1fichier.com/?<id>` that names fixed bytes for ever.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FileId(Box<str>);

impl FileId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is not a file id.
#[derive(Debug, thiserror::Error)]
#[error("not a file id of the service (5 to 20 lowercase letters and digits)")]
pub struct BadFileId;

impl FromStr for FileId {
    type Err = BadFileId;

    fn from_str(text: &str) -> Result<Self, BadFileId> {
        let fits = (5..=20).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if fits {
            Ok(FileId(text.into()))
        } else {
            Err(BadFileId)
        }
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A Whirlpool digest (ISO version), the service's checksum of a file.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Whirlpool(pub [u8; 64]);

impl FromStr for Whirlpool {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut digest = [0; 64];
        hex::decode_to_slice(text, &mut digest)?;
        Ok(Whirlpool(digest))
    }
}

impl fmt::Display for Whirlpool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Whirlpool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Whirlpool({}…)", hex::encode(&self.0[..4]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_id_is_5_to_20_lowercase_letters_and_digits() {
        for good in ["abcde", "2zk52quqlm0cbjr93ri5"] {
            assert_eq!(good.parse::<FileId>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "abcd",
            "ABCDE",
            "abcde/",
            "a2zk52quqlm0cbjr93ri5",
            "ab-cde",
        ] {
            assert!(bad.parse::<FileId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_digest_round_trips_and_wrong_lengths_are_refused() {
        let text = "0a".repeat(64);
        assert_eq!(text.parse::<Whirlpool>().unwrap().to_string(), text);
        assert!("0a".repeat(63).parse::<Whirlpool>().is_err());
    }
}
