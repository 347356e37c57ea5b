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

    /// From here on numbers are ours: folders that the service has no number for.
    const OURS: u64 = 1 << 62;

    /// A folder that the service does not number, the same for the same text.
    pub fn ours(text: &str) -> FolderId {
        let sum = fold(text.as_bytes());
        FolderId(FolderId::OURS | (sum >> 2))
    }

    /// The folder that shows what others share.
    pub fn shared() -> FolderId {
        FolderId::ours("")
    }

    /// Whether the service has no folder of this number.
    pub fn is_ours(self) -> bool {
        self.0 >= FolderId::OURS
    }
}

/// A number for some bytes, the same at any time on any machine (FNV-1a).
fn fold(bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
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

/// A file of the service: the part of `https://1fichier.com/?<id>` that names
/// fixed bytes for ever, 5 to 20 lowercase letters and digits.
///
/// A file may live on one of the service's alias domains, and the same id on
/// another domain counts as missing (API notes 1.1), so the domain is part of
/// the identity where it is not the usual one. As text: `id` or `id@domain`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FileId(Box<str>);

/// The domain that goes without saying.
const USUAL_DOMAIN: &str = "1fichier.com";

/// The domain of files whose link is not told; nobody's.
const NO_DOMAIN: &str = "no-link.invalid";

impl FileId {
    /// Of a file whose link its owner hides: it is known by its folder and name, and what
    /// the listing tells of its content, so that other content is another file.
    pub fn without_link(folder: FolderId, name: &str, content: &str) -> FileId {
        let whole = format!("{folder}\0{name}\0{content}");
        let part = |salt: &str| fold(format!("{salt}{whole}").as_bytes());
        let id = format!("{:016x}{:04x}", part("a"), part("b") >> 48);
        FileId(format!("{id}@{NO_DOMAIN}").into())
    }

    /// Whether it has a link.
    pub fn has_link(&self) -> bool {
        self.domain() != NO_DOMAIN
    }

    /// The whole identity as text, `id` or `id@domain`; parsing gives it back.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id alone.
    pub fn id(&self) -> &str {
        self.0.split_once('@').map_or(&*self.0, |(id, _)| id)
    }

    /// The domain whose link names the file.
    pub fn domain(&self) -> &str {
        self.0
            .split_once('@')
            .map_or(USUAL_DOMAIN, |(_, domain)| domain)
    }

    /// The file's link, as the service's calls want it.
    pub fn link(&self) -> String {
        format!("https://{}/?{}", self.domain(), self.id())
    }

    /// Reads a link of the service, `https://<domain>/?<id>`; what follows an
    /// `&` (`&af=…`, `&lg=…`) says nothing about the file and is left out.
    pub fn from_link(link: &str) -> Result<FileId, BadFileId> {
        let rest = link
            .strip_prefix("https://")
            .or_else(|| link.strip_prefix("http://"))
            .ok_or(BadFileId)?;
        let (host, query) = rest.split_once('?').ok_or(BadFileId)?;
        let domain = host.trim_end_matches('/').to_ascii_lowercase();
        let domain = domain.strip_prefix("www.").unwrap_or(&domain);
        let id = query.split('&').next().unwrap_or_default();
        FileId::on(domain, id)
    }

    fn on(domain: &str, id: &str) -> Result<FileId, BadFileId> {
        let id_fits = (5..=20).contains(&id.len())
            && id
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        // Aliases come and go: any host name will do, so that one file on a new
        // alias does not make its whole folder unreadable.
        let domain_fits = domain.contains('.')
            && domain.len() <= 64
            && domain
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-');
        match (id_fits, domain_fits) {
            (true, true) if domain == USUAL_DOMAIN => Ok(FileId(id.into())),
            (true, true) => Ok(FileId(format!("{id}@{domain}").into())),
            _ => Err(BadFileId),
        }
    }
}

/// A text that is not a file id.
#[derive(Debug, thiserror::Error)]
#[error("not a file id of the service (5 to 20 lowercase letters and digits)")]
pub struct BadFileId;

impl FromStr for FileId {
    type Err = BadFileId;

    fn from_str(text: &str) -> Result<Self, BadFileId> {
        match text.split_once('@') {
            Some((id, domain)) => FileId::on(domain, id),
            None => FileId::on(USUAL_DOMAIN, text),
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

/// A point in time: nanoseconds since 1970, as the store and the kernel keep it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Time(pub i64);

impl Time {
    /// The system clock.
    pub fn now() -> Time {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Time(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }

    /// This much later; stops at the end of time.
    pub fn after(self, wait: std::time::Duration) -> Time {
        Time(
            self.0
                .saturating_add(i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX)),
        )
    }

    /// This much earlier.
    pub fn before(self, span: std::time::Duration) -> Time {
        Time(
            self.0
                .saturating_sub(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)),
        )
    }

    /// How long from `earlier` to here; zero when it is not earlier.
    pub fn since(self, earlier: Time) -> std::time::Duration {
        std::time::Duration::from_nanos(
            u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or_default(),
        )
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
    fn a_link_gives_the_id_and_keeps_an_alias_domain() {
        let usual = FileId::from_link("https://1fichier.com/?abcde12345&af=42").unwrap();
        assert_eq!(usual.as_str(), "abcde12345");
        assert_eq!(usual.link(), "https://1fichier.com/?abcde12345");

        let alias = FileId::from_link("http://desfichiers.com/?abcde12345").unwrap();
        assert_eq!(alias.as_str(), "abcde12345@desfichiers.com");
        assert_eq!(alias.id(), "abcde12345");
        assert_eq!(alias.link(), "https://desfichiers.com/?abcde12345");
        assert_eq!(alias.as_str().parse::<FileId>().unwrap(), alias);
        assert_ne!(alias, usual);

        // The usual domain, said or not, is one identity.
        assert_eq!("abcde12345@1fichier.com".parse::<FileId>().unwrap(), usual);
        for bad in [
            "https://1fichier.com/dir/abcde",
            "ftp://1fichier.com/?abcde",
            "https://localhost/?abcde",
            "https://1fichier.com/?ABCDE",
            "https://user@1fichier.com/?abcde",
            "",
        ] {
            assert!(FileId::from_link(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_digest_round_trips_and_wrong_lengths_are_refused() {
        let text = "0a".repeat(64);
        assert_eq!(text.parse::<Whirlpool>().unwrap().to_string(), text);
        assert!("0a".repeat(63).parse::<Whirlpool>().is_err());
    }
}
