//! Where things are kept: the user's folders for configuration, data, cache and
//! run time, each with a `fichierfs` below it.

use std::path::{Path, PathBuf};

use super::{ConfigError, Settings, private_folder};

/// The name of the mount's folders if no profile gives one.
const NO_PROFILE: &str = "default";

/// What the name of a public folder's places begins with.
const SHARE: &str = "share-";

/// The places of one account, or of one public folder. Nothing is made before it is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Paths {
    state: PathBuf,
    cache: PathBuf,
    runtime: PathBuf,
    shared: PathBuf,
    /// The state directory was given.
    own_state: bool,
}

/// Where the configuration file is if nobody says otherwise.
pub fn config_file() -> Result<PathBuf, ConfigError> {
    let base = dirs::config_dir().ok_or(ConfigError::NoHome)?;
    Ok(base.join("fichierfs/config.toml"))
}

impl Paths {
    /// The places for a profile, or for a public folder that is shown instead of an account, as
    /// the settings say or below the user's folders.
    pub fn new(settings: &Settings, profile: Option<&str>) -> Result<Paths, ConfigError> {
        let name = match &settings.share {
            Some(folder) => format!("{SHARE}{}", folder.id()),
            None => folder_name(profile.unwrap_or(NO_PROFILE)),
        };
        let data = || dirs::data_local_dir().ok_or(ConfigError::NoHome);
        // A folder that is given is given for accounts.
        let given = |path: &PathBuf| match &settings.share {
            Some(_) => path.join(&name),
            None => path.clone(),
        };
        let state = match &settings.state_dir {
            Some(path) => given(path),
            None => data()?.join("fichierfs").join(&name),
        };
        let cache = match &settings.cache_dir {
            Some(path) => given(path),
            None => dirs::cache_dir()
                .ok_or(ConfigError::NoHome)?
                .join("fichierfs")
                .join(&name),
        };
        // Without a home everything that is shared stays with the given state.
        let shared = data().map_or_else(|_| state.clone(), |data| data.join("fichierfs"));
        let runtime = dirs::runtime_dir()
            .map_or_else(|| shared.join("run"), |runtime| runtime.join("fichierfs"));
        Ok(Paths {
            state,
            cache,
            runtime,
            shared,
            own_state: settings.state_dir.is_some(),
        })
    }

    /// All folders that a mount uses, made or not.
    pub fn all(&self) -> [&Path; 3] {
        [&self.state, &self.cache, &self.runtime]
    }

    /// The folder of the database and of what waits for its upload, made if needed.
    pub fn state_dir(&self) -> Result<PathBuf, ConfigError> {
        made(&self.state)
    }

    /// The folder of clean copies, made if needed.
    pub fn cache_dir(&self) -> Result<PathBuf, ConfigError> {
        made(&self.cache)
    }

    /// The folder of control sockets, made if needed.
    pub fn runtime_dir(&self) -> Result<PathBuf, ConfigError> {
        made(&self.runtime)
    }

    /// The record of calls of all accounts of the user: the service's limits are by address
    /// before they are by account.
    pub fn pace_file(&self) -> Result<PathBuf, ConfigError> {
        Ok(made(&self.shared)?.join("pace.json"))
    }

    /// The record of calls to a simulator at an address, which has limits of its own: of all
    /// profiles, or with a state directory of its own that mount's alone, as if it were on
    /// another machine.
    pub fn simulator_pace_file(&self, address: &str) -> Result<PathBuf, ConfigError> {
        if self.own_state {
            return Ok(made(&self.state)?.join("pace.json"));
        }
        let name = format!("pace-{}.json", address.replace(['/', ':'], "-"));
        Ok(made(&self.shared)?.join(name))
    }
}

fn made(path: &Path) -> Result<PathBuf, ConfigError> {
    private_folder(path)?;
    Ok(path.to_owned())
}

/// A profile's name as one name of a folder.
fn folder_name(profile: &str) -> String {
    let name: String = profile
        .chars()
        .map(|c| match c {
            '/' | '\0' => '_',
            c => c,
        })
        .collect();
    match name.as_str() {
        "" | "." | ".." => NO_PROFILE.to_owned(),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layers, resolve};

    #[test]
    fn given_folders_are_used_and_made() {
        let dir = tempfile::tempdir().unwrap();
        let give = |name: &'static str, sub: &str| {
            (name, dir.path().join(sub).to_str().unwrap().to_owned())
        };
        let layers = Layers {
            flags: vec![give("state_dir", "s/t"), give("cache_dir", "c")],
            ..Layers::default()
        };
        let settings = resolve(&layers).unwrap().settings;
        let paths = Paths::new(&settings, None).unwrap();
        assert_eq!(paths.state_dir().unwrap(), dir.path().join("s/t"));
        assert!(paths.cache_dir().unwrap().is_dir());
        assert_eq!(
            paths.simulator_pace_file("127.0.0.1:8000").unwrap(),
            dir.path().join("s/t/pace.json")
        );
    }

    #[test]
    fn all_profiles_keep_one_record_of_a_simulator() {
        let dir = tempfile::tempdir().unwrap();
        let paths = |profile| Paths {
            shared: dir.path().join("fichierfs"),
            ..Paths::new(&resolve(&Layers::default()).unwrap().settings, profile).unwrap()
        };
        let file = |profile, address| paths(profile).simulator_pace_file(address).unwrap();
        let one = file(Some("one"), "127.0.0.1:8000");
        assert!(one.ends_with("pace-127.0.0.1-8000.json"));
        assert_eq!(one, file(Some("two"), "127.0.0.1:8000"));
        assert_ne!(one, file(None, "127.0.0.1:8001"));
    }

    #[test]
    fn a_public_folder_has_places_of_its_own_under_any_profile() {
        let layers = Layers {
            flags: vec![("share", "https://1fichier.com/dir/Ab3dEfGh".to_owned())],
            ..Layers::default()
        };
        let settings = resolve(&layers).unwrap().settings;
        for profile in [None, Some("work")] {
            let paths = Paths::new(&settings, profile).unwrap();
            let [state, cache, _] = paths.all();
            assert!(state.ends_with("fichierfs/share-Ab3dEfGh"));
            assert!(cache.ends_with("fichierfs/share-Ab3dEfGh"));
        }
        let layers = Layers {
            flags: vec![
                ("share", "dir/Ab3dEfGh".to_owned()),
                ("cache_dir", "/c".to_owned()),
                ("state_dir", "/s".to_owned()),
            ],
            ..Layers::default()
        };
        let given = Paths::new(&resolve(&layers).unwrap().settings, None).unwrap();
        let [state, cache, _] = given.all();
        assert_eq!(state, Path::new("/s/share-Ab3dEfGh"));
        assert_eq!(cache, Path::new("/c/share-Ab3dEfGh"));
        assert!(settings.is_read_only());
    }

    #[test]
    fn a_profile_names_one_folder() {
        assert_eq!(folder_name("work"), "work");
        assert_eq!(folder_name("../x"), ".._x");
        assert_eq!(folder_name(".."), "default");
    }
}
