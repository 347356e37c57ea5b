//! The configuration read anew in a running daemon: what can change at once does, and
//! what cannot is named.

use std::sync::Arc;

use super::answers::Handle;
use super::bond::{self, Bond};
use super::figures::NewKey;
use super::{Shared, service};
use crate::config::{ApiKey, Change, KeyStore, OptionSpec, Settings};
use crate::control::protocol::Reloaded;
use crate::control::{Refusal, RefusalKind};

/// Reads the configuration as the start did, with everything that was given then. An
/// error is a line for people. It may block for as long as a command for the key takes.
pub type Reread = Arc<dyn Fn() -> Result<Fresh, String> + Send + Sync>;

/// A configuration that was just read.
pub struct Fresh {
    /// The options. Whoever read them has put into effect what is not the daemon's, as the
    /// level of the log.
    pub settings: Settings,
    /// The key, if there is one.
    pub key: Option<ApiKey>,
}

impl Handle {
    /// Reads the configuration anew and uses what can change at run time: a new key that is
    /// checked from the next call on. `checked` is the print of a key that is known to be of this
    /// account.
    ///
    /// # Errors
    /// The configuration cannot be used; everything stays as it was.
    pub async fn reload(&self, checked: Option<&str>) -> Result<Reloaded, Refusal> {
        service::reloading();
        let reloaded = self.read_anew(checked).await;
        service::reloaded();
        reloaded
    }

    async fn read_anew(&self, checked: Option<&str>) -> Result<Reloaded, Refusal> {
        let Some(reread) = self.shared.reread.clone() else {
            let line = "this mount has no configuration to read";
            return Err(Refusal::new(RefusalKind::NotNow, line));
        };
        let fresh = tokio::task::spawn_blocking(move || reread())
            .await
            .map_err(Refusal::failed)?
            .map_err(Refusal::failed)?;
        let Changes {
            mut applied,
            mut later,
        } = self.shared.follow(&fresh.settings);
        let change = match fresh.key {
            Some(key) => {
                let new_key = match checked == Some(key.print().as_str()) {
                    true => NewKey::IsChecked,
                    false => NewKey::MayBeAnyones,
                };
                self.take_key(key, new_key).await
            }
            None => KeyChange::None,
        };
        match change {
            KeyChange::None => {}
            KeyChange::Taken => applied.push("api_key".to_owned()),
            KeyChange::Stays(why) => {
                tracing::error!("the new API key is not used: {why}");
                later.push("api_key".to_owned());
            }
        }
        tracing::info!(?applied, at_next_mount = ?later, "the configuration was read anew");
        Ok(Reloaded {
            applied,
            at_next_mount: later,
            key_print: self
                .shared
                .parts
                .below
                .api
                .keys()
                .get()
                .map(|key| key.print()),
        })
    }

    /// Uses another key from the next call on, if it is that of this account.
    async fn take_key(&self, key: ApiKey, new_key: NewKey) -> KeyChange {
        let below = &self.shared.parts.below;
        let keys = below.api.keys();
        if keys.get().is_some_and(|old| old.print() == key.print()) {
            return KeyChange::None;
        }
        let trial = below.api.with_keys(KeyStore::new(key.clone()));
        let bound = bond::bind_new(below, &trial, new_key).await;
        match bound {
            Ok(Bond::Own) => {
                keys.replace(key);
                // What waited for a key that works goes on.
                self.shared.parts.wake_uploads();
                KeyChange::Taken
            }
            Ok(Bond::Refused) => KeyChange::Stays("the service refuses it".to_owned()),
            Err(error) => KeyChange::Stays(error.to_string()),
        }
    }
}

/// What became of the key.
enum KeyChange {
    /// It is the one in use.
    None,
    Taken,
    /// The old one stays in use, with the reason.
    Stays(String),
}

impl Shared {
    /// Puts into effect what can change at once.
    fn follow(&self, fresh: &Settings) -> Changes {
        let mut current = self.current.lock();
        let changes = changes(&self.settings, &current, fresh);
        self.parts.below.follow_limits(fresh);
        *current = fresh.clone();
        changes
    }
}

/// What a configuration changes.
#[derive(PartialEq, Eq, Debug)]
struct Changes {
    /// In effect at once: what differs from what held so far.
    applied: Vec<String>,
    /// In effect at the next mount: what differs from what held at the start.
    later: Vec<String>,
}

fn changes(start: &Settings, current: &Settings, fresh: &Settings) -> Changes {
    let differing = |old: &Settings, when: Change| {
        // The key itself is compared where it is used, wherever it comes from.
        let is_key = |option: &OptionSpec| option.name.starts_with("api_key");
        old.shown()
            .into_iter()
            .zip(fresh.shown())
            .filter(|((option, old), (_, new))| old != new && !is_key(option))
            .filter(|((option, _), _)| option.change == when)
            .map(|((option, _), _)| option.name.to_owned())
            .collect()
    };
    Changes {
        applied: differing(current, Change::Now),
        later: differing(start, Change::NextMount),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layers, resolve};

    #[test]
    fn what_needs_a_new_mount_is_named() {
        let settings = |text: &str| {
            let file = Some(("/c".into(), text.to_owned().into()));
            let layers = Layers {
                file,
                ..Layers::default()
            };
            resolve(&layers).unwrap().settings
        };
        let start = settings("");
        let first = settings("log_level = \"debug\"\nuploads = 3\napi_key_file = \"/k\"");
        let told = changes(&start, &start, &first);
        assert_eq!(told.applied, ["log_level"]);
        assert_eq!(told.later, ["uploads"]);
        // What changed at once can change back.
        let told = changes(&start, &first, &start);
        assert_eq!(told.applied, ["log_level"]);
        assert!(told.later.is_empty());
    }

    /// What [`Shared::follow`], [`Handle::take_key`] and the log do; an option that says so
    /// without being here would be a promise that nobody keeps.
    #[test]
    fn what_changes_at_once_is_what_is_put_into_effect() {
        let now: Vec<&str> = crate::config::OPTIONS
            .iter()
            .filter(|option| option.change == Change::Now)
            .map(|option| option.name)
            .filter(|name| !name.starts_with("api_key"))
            .collect();
        assert_eq!(now, ["download_limit", "upload_limit", "log_level"]);
    }
}
