//! The configuration read anew in a running daemon: what can change at once does, and
//! what cannot is named.

use std::sync::Arc;

use super::answers::Handle;
use super::{account, service};
use crate::config::{ApiKey, OptionSpec, Settings};
use crate::control::protocol::Reloaded;
use crate::control::{Refusal, RefusalKind};

/// Reads the configuration as the start did, with everything that was given then. An
/// error is a line for people. It may block for as long as a command for the key takes.
pub type Reread = Arc<dyn Fn() -> Result<Fresh, String> + Send + Sync>;

/// Whether somebody made sure that a new key is that of the same account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NewKey {
    /// Yes: `init` asked the service.
    IsChecked,
    /// No: it waits for the next mount, which asks.
    MayBeAnyones,
}

/// A configuration that was just read.
pub struct Fresh {
    /// The options.
    pub settings: Settings,
    /// The key.
    pub key: ApiKey,
    /// Options that whoever read it has put into effect already.
    pub applied: Vec<&'static str>,
}

impl Handle {
    /// Reads the configuration anew and uses what can change at run time: a new key that is
    /// checked from the next call on.
    ///
    /// # Errors
    /// The configuration cannot be used; everything stays as it was.
    pub async fn reload(&self, new_key: NewKey) -> Result<Reloaded, Refusal> {
        service::reloading();
        let reloaded = self.read_anew(new_key).await;
        service::reloaded();
        reloaded
    }

    async fn read_anew(&self, new_key: NewKey) -> Result<Reloaded, Refusal> {
        let Some(reread) = self.shared.reread.clone() else {
            let line = "this mount has no configuration to read";
            return Err(Refusal::new(RefusalKind::NotNow, line));
        };
        let fresh = tokio::task::spawn_blocking(move || reread())
            .await
            .map_err(Refusal::failed)?
            .map_err(Refusal::failed)?;
        let mut applied: Vec<String> = fresh.applied.iter().map(ToString::to_string).collect();
        let mut later = changed(&self.shared.settings, &fresh.settings, &applied);
        let below = &self.shared.parts.below;
        let keys = below.api.keys();
        let print = fresh.key.print();
        if keys.get().is_none_or(|old| old.print() != print) {
            match new_key {
                NewKey::IsChecked => {
                    account::trust(&below.store, &print).map_err(Refusal::failed)?;
                    keys.replace(fresh.key);
                    applied.push("api_key".to_owned());
                    // What waited for a key that works goes on.
                    self.shared.parts.wake_uploads();
                }
                NewKey::MayBeAnyones => later.push("api_key".to_owned()),
            }
        }
        tracing::info!(?applied, at_next_mount = ?later, "the configuration was read anew");
        Ok(Reloaded {
            applied,
            at_next_mount: later,
        })
    }
}

/// Options that differ and are not in effect.
fn changed(old: &Settings, new: &Settings, applied: &[String]) -> Vec<String> {
    let is_key = |option: &OptionSpec| option.name.starts_with("api_key");
    old.shown()
        .into_iter()
        .zip(new.shown())
        .filter(|((option, old), (_, new))| old != new && !is_key(option))
        .map(|((option, _), _)| option.name.to_owned())
        .filter(|name| !applied.contains(name))
        .collect()
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
        let old = settings("");
        let new = settings("log_level = \"debug\"\nuploads = 3\napi_key_file = \"/k\"");
        let applied = ["log_level".to_owned()];
        assert_eq!(changed(&old, &new, &applied), ["uploads"]);
    }
}
