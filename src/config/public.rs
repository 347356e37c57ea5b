//! A public folder of the service, as people give it: by its link.

use super::value::{Kind, Value};

/// A public folder, by the id in its link `https://1fichier.com/dir/<id>`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicFolder(String);

/// Longest id that is taken for one; those seen have eight characters (API notes 8).
const LONGEST_ID: usize = 64;

impl PublicFolder {
    /// Its id: letters and digits.
    pub fn id(&self) -> &str {
        &self.0
    }
}

impl Value for PublicFolder {
    const KIND: Kind = Kind::PublicFolder;

    fn read(text: &str) -> Option<PublicFolder> {
        let (host, rest) = match text.split_once("://") {
            Some(("https" | "http", rest)) => rest.split_once('/')?,
            Some(_) => return None,
            None => ("1fichier.com", text),
        };
        let host = host.to_ascii_lowercase();
        let name = host.split(':').next().unwrap_or_default();
        // The service's own, and a simulator's: the folder is asked for at `site_url`.
        if !matches!(
            name,
            "1fichier.com" | "www.1fichier.com" | "127.0.0.1" | "localhost"
        ) {
            return None;
        }
        let id = match rest.strip_prefix("dir/") {
            Some(rest) => rest.split(['/', '?', '#']).next().unwrap_or_default(),
            None => return None,
        };
        let fits = (1..=LONGEST_ID).contains(&id.len());
        (fits && id.bytes().all(|b| b.is_ascii_alphanumeric())).then(|| PublicFolder(id.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_of_the_service_names_a_folder() {
        for link in [
            "https://1fichier.com/dir/Ab3dEfGh",
            "https://www.1fichier.com/dir/Ab3dEfGh/",
            "https://1FICHIER.com/dir/Ab3dEfGh?json=1",
            "http://127.0.0.1:8080/dir/Ab3dEfGh",
            "dir/Ab3dEfGh",
        ] {
            assert_eq!(PublicFolder::read(link).unwrap().id(), "Ab3dEfGh", "{link}");
        }
        for other in [
            "",
            "https://1fichier.com/?abcdefghij",
            "https://1fichier.com/dir/",
            "https://1fichier.com/dir/a..b",
            "https://example.org/dir/Ab3dEfGh",
            "ftp://1fichier.com/dir/Ab3dEfGh",
            "Ab3dEfGh",
        ] {
            assert_eq!(PublicFolder::read(other), None, "{other}");
        }
    }
}
