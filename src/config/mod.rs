//! One table of options, and the sources of the key.

mod key;

pub use key::{ApiKey, BadKey, KeyStore};
