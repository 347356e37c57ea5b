//! The API key: a type that cannot be printed, and the place where a running
//! program keeps it.

use std::fmt;
use std::sync::Arc;

use parking_lot::RwLock;
use secrecy::{ExposeSecret, SecretString};
use whirlpool::{Digest, Whirlpool};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A key of the service's API. It cannot be printed, and its memory is zeroed when
/// it is dropped.
#[derive(Clone)]
pub struct ApiKey(SecretString);

// Nothing of ours wipes it: its content's type does.
const _: fn() = || {
    fn wiped<T: ZeroizeOnDrop>() {}
    wiped::<SecretString>();
};

/// Why a text cannot be a key. It never quotes the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadKey {
    /// Nothing there.
    #[error("the API key is empty")]
    Empty,
    /// A space, a line break or the like inside.
    #[error(
        "the API key contains a space, a line break or a control character: was it pasted whole, and alone?"
    )]
    Whitespace,
    /// Not the characters of a key.
    #[error("the API key contains a character that is not a letter, a digit, '-', '_' or '='")]
    Characters,
    /// Not the length of a key.
    #[error("the API key has {0} characters, not 20 to 64")]
    Length(usize),
}

impl ApiKey {
    /// Checks the shape (API notes 1.2) and takes the text over; space around it
    /// is left out.
    pub fn new(mut text: String) -> Result<ApiKey, BadKey> {
        let checked = check(text.trim());
        let key = checked.map(|()| ApiKey(SecretString::from(text.trim())));
        text.zeroize();
        key
    }

    /// The key itself, for the one header that needs it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// A short digest by which a key is recognised without being known: a key has
    /// far too many possible values to be found from it.
    pub fn print(&self) -> String {
        let mut hash = Whirlpool::new();
        hash.update(b"fichierfs key print\0");
        hash.update(self.expose().as_bytes());
        hash.finalize()
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

fn check(text: &str) -> Result<(), BadKey> {
    if text.is_empty() {
        return Err(BadKey::Empty);
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(BadKey::Whitespace);
    }
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'=');
    if !text.bytes().all(fits) {
        return Err(BadKey::Characters);
    }
    match text.len() {
        20..=64 => Ok(()),
        length => Err(BadKey::Length(length)),
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// The key in use, shared by all who call the service; replaced at run time when
/// the user gives a new one.
#[derive(Clone, Default)]
pub struct KeyStore(Arc<RwLock<Option<ApiKey>>>);

impl KeyStore {
    /// A store with a key in it, or with none yet.
    pub fn new(key: impl Into<Option<ApiKey>>) -> KeyStore {
        KeyStore(Arc::new(RwLock::new(key.into())))
    }

    /// The key in use.
    pub fn get(&self) -> Option<ApiKey> {
        self.0.read().clone()
    }

    /// Uses none from now on: nothing can be asked any more.
    pub fn clear(&self) {
        *self.0.write() = None;
    }

    /// Uses another key from now on.
    pub fn replace(&self, key: ApiKey) {
        *self.0.write() = Some(key);
    }
}

impl fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyStore(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "aB3-_=aB3-_=aB3-_=aB3-_=";

    fn refusal(text: &str) -> BadKey {
        ApiKey::new(text.to_owned()).unwrap_err()
    }

    #[test]
    fn the_shape_is_checked_without_quoting_the_text() {
        assert_eq!(ApiKey::new(format!("  {TEXT}\n")).unwrap().expose(), TEXT);
        assert_eq!(refusal(" \n"), BadKey::Empty);
        assert_eq!(refusal(&format!("{TEXT} {TEXT}")), BadKey::Whitespace);
        assert_eq!(refusal(&format!("{TEXT}\u{7}x")), BadKey::Whitespace);
        assert_eq!(refusal(&format!("{TEXT}é")), BadKey::Characters);
        assert_eq!(refusal("short"), BadKey::Length(5));
        assert_eq!(refusal(&"x".repeat(65)), BadKey::Length(65));
    }

    #[test]
    fn it_is_not_printed() {
        let key = ApiKey::new(TEXT.to_owned()).unwrap();
        let store = KeyStore::new(key.clone());
        assert_eq!(format!("{key:?} {store:?}"), "ApiKey(…) KeyStore(…)");
        assert!(!key.print().contains(TEXT));
    }

    #[test]
    fn a_print_tells_keys_apart() {
        let key = ApiKey::new(TEXT.to_owned()).unwrap();
        let other = ApiKey::new(format!("{TEXT}x")).unwrap();
        assert_eq!(key.print(), ApiKey::new(TEXT.to_owned()).unwrap().print());
        assert_ne!(key.print(), other.print());
        assert_eq!(key.print().len(), 16);
    }

    #[test]
    fn a_replaced_key_is_seen_by_all() {
        let store = KeyStore::default();
        let other = store.clone();
        assert!(store.get().is_none());
        other.replace(ApiKey::new(TEXT.to_owned()).unwrap());
        assert_eq!(store.get().unwrap().expose(), TEXT);
    }
}
