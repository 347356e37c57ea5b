//! Who shares folders with the account, as people write it down.

use std::collections::HashSet;

use super::value::{Kind, Value};

/// Folders of others that the account may see.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SharedFolders(pub Vec<SharedFolder>);

/// One of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SharedFolder {
    /// All that the user of this address shares.
    Of(String),
    /// One folder, by its number, under a name of one's own.
    Folder {
        /// The name.
        name: String,
        /// The number.
        id: u64,
    },
}

impl SharedFolder {
    /// Who or which folder it is, whatever it is called.
    fn key(&self) -> (&str, u64) {
        match self {
            SharedFolder::Of(email) => (email, 0),
            SharedFolder::Folder { id, .. } => ("", *id),
        }
    }

    fn read(word: &str) -> Option<SharedFolder> {
        match word.split_once('=') {
            Some((name, number)) => {
                let id = number.parse().ok().filter(|id| (1..1 << 62).contains(id))?;
                let fits = !name.is_empty() && !name.contains('/') && !matches!(name, "." | "..");
                fits.then(|| SharedFolder::Folder {
                    name: name.to_owned(),
                    id,
                })
            }
            None => {
                let (user, domain) = word.split_once('@')?;
                let fits = !user.is_empty() && domain.contains('.') && !word.contains('/');
                fits.then(|| SharedFolder::Of(word.to_lowercase()))
            }
        }
    }
}

impl Value for SharedFolders {
    const KIND: Kind = Kind::SharedFolders;

    fn read(text: &str) -> Option<SharedFolders> {
        let words = text.split_whitespace().map(SharedFolder::read);
        let all: Vec<SharedFolder> = words.collect::<Option<_>>()?;
        let numbers: HashSet<_> = all.iter().map(SharedFolder::key).collect();
        (numbers.len() == all.len()).then_some(SharedFolders(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_numbered_folders_are_told_apart() {
        let read = SharedFolders::read("friend@example.org  Films=22692433").unwrap();
        let folder = SharedFolder::Folder {
            name: "Films".to_owned(),
            id: 22_692_433,
        };
        assert_eq!(
            read.0,
            [SharedFolder::Of("friend@example.org".to_owned()), folder]
        );
        assert_eq!(SharedFolders::read(""), Some(SharedFolders::default()));
        for bad in [
            "friend",
            "a/b@example.org",
            "=7",
            "Films=",
            "Films=0",
            "Films=x",
            "a/b=7",
            "..=7",
            "a=7 b=7",
            "friend@example.org Friend@Example.org",
            "Films=9223372036854775807",
        ] {
            assert_eq!(SharedFolders::read(bad), None, "{bad}");
        }
    }
}
