//! The kernel's keyring of the user, where a key lives in memory until the machine restarts.
//!
//! It is shared by all processes of that user, also by services and
//! on machines without a desktop (keyrings(7)). It protects from who has the disk.

use linux_keyutils::{KeyError, KeyRing, KeyRingIdentifier};
use zeroize::Zeroizing;

use super::{ApiKey, ConfigError};

/// Reads a key of the kernel's keyring.
pub(super) fn find(name: &str) -> Result<Zeroizing<String>, ConfigError> {
    let failed = |error: KeyError| ConfigError::Keyring {
        name: name.to_owned(),
        why: match error {
            KeyError::KeyDoesNotExist => "there is no such key".to_owned(),
            other => format!("{other:?}"),
        },
    };
    let ring = ring().map_err(failed)?;
    let bytes = ring
        .search(name)
        .and_then(|key| key.read_to_vec())
        .map(Zeroizing::new)
        .map_err(failed)?;
    Ok(Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Puts a key into the kernel's keyring; one of the same name is replaced.
///
/// # Errors
/// The kernel's reason, as a quota.
pub fn store(name: &str, key: &ApiKey) -> Result<(), ConfigError> {
    let stored = ring().and_then(|ring| ring.add_key(name, key.expose()));
    stored.map(drop).map_err(|error| ConfigError::Keyring {
        name: name.to_owned(),
        why: format!("{error:?}"),
    })
}

/// That of the user, within reach of this process: what a service of the system has as its
/// session's keyring does not lead to it by itself.
fn ring() -> Result<KeyRing, KeyError> {
    let user = KeyRing::from_special_id(KeyRingIdentifier::User, true)?;
    // Reading needs possession, which comes through the session.
    let session = KeyRing::from_special_id(KeyRingIdentifier::Session, true)?;
    // Where it is linked already this changes nothing.
    let _ = session.link_keyring(user);
    Ok(user)
}
