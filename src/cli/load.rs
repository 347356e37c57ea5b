//! From the command line to settings, and to the daemon that is meant.

use std::path::{Path, PathBuf};

use super::args::{ConfigArgs, OptionFlags};
use super::exit::{Exit, Failure, chain};
use crate::config::{
    self, ApiKey, ConfigError, Layers, Paths, Settings, config_file, read_config, resolve,
};
use crate::control::{Client, ControlError};
use crate::daemon::Secrets;

/// How the names of our variables begin.
const PREFIX: &str = "FICHIERFS_";

/// The configuration as it holds.
pub struct Loaded {
    /// What holds.
    pub settings: Settings,
    /// Where things are kept.
    pub paths: Paths,
    /// The configuration file, which need not exist.
    pub file: PathBuf,
    /// Mount options that are the kernel's.
    pub kernel_options: Vec<String>,
    /// Variables that look like ours and are not.
    pub unknown_variables: Vec<String>,
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::new(Exit::Usage, chain(&error))
    }
}

/// What a configuration file that was named on the command line has to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NamedFile {
    /// There: a mistyped name must not pass for an empty file.
    Exists,
    /// There, or about to be made.
    MayBeNew,
}

/// Reads the configuration with all its layers.
pub fn load(
    args: &ConfigArgs,
    named: NamedFile,
    flags: &OptionFlags,
    mount_options: &[String],
) -> Result<Loaded, Failure> {
    Ok(read(args, named, flags, mount_options)?)
}

/// As [`load`], for who looks at what is wrong.
pub fn read(
    args: &ConfigArgs,
    named: NamedFile,
    flags: &OptionFlags,
    mount_options: &[String],
) -> Result<Loaded, ConfigError> {
    let file = match &args.config {
        Some(path) => path.clone(),
        None => config_file()?,
    };
    let text = read_config(&file)?;
    if text.is_none() && args.config.is_some() && named == NamedFile::Exists {
        return Err(ConfigError::NoConfigFile { path: file });
    }
    let mut layers = Layers {
        file: text.map(|text| (file.clone(), text)),
        profile: args.profile.clone(),
        environment: environment()?,
        mount_options: mount_options.to_vec(),
        flags: flags.0.clone(),
    };
    let resolved = match resolve(&layers) {
        // It is made with the key.
        Err(ConfigError::UnknownProfile { .. }) if named == NamedFile::MayBeNew => {
            layers.profile = None;
            resolve(&layers)?
        }
        resolved => resolved?,
    };
    let mut settings = resolved.settings;
    // The daemon may leave this directory.
    let places = [
        &mut settings.state_dir,
        &mut settings.cache_dir,
        &mut settings.api_key_file,
        &mut settings.log_file,
    ];
    for path in places.into_iter().flatten() {
        let from_base = args.base.as_ref().map(|base| base.join(&path));
        let from = from_base.as_ref().unwrap_or(path);
        *path = std::path::absolute(from).map_err(|error| ConfigError::File {
            path: path.clone(),
            error,
        })?;
    }
    let paths = Paths::new(&settings, args.profile.as_deref())?;
    Ok(Loaded {
        settings,
        paths,
        file,
        kernel_options: resolved.kernel_options,
        unknown_variables: resolved.unknown_variables,
    })
}

/// The variables that can be ours; what others are may be no text.
fn environment() -> Result<Vec<(String, String)>, ConfigError> {
    let mut ours = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        let name = name.to_owned();
        match value.into_string() {
            Ok(value) => ours.push((name, value)),
            Err(_) => return Err(ConfigError::NoText { name }),
        }
    }
    Ok(ours)
}

/// The key from wherever it is kept.
pub fn key(settings: &Settings) -> Result<ApiKey, Failure> {
    Ok(config::find_key(settings, |name| std::env::var(name).ok())?)
}

/// The key for a mount. A public folder can be shown without one.
pub fn key_if_needed(settings: &Settings) -> Result<Option<ApiKey>, Failure> {
    match config::find_key(settings, |name| std::env::var(name).ok()) {
        Err(ConfigError::NoKey) if settings.share.is_some() => Ok(None),
        found => Ok(Some(found?)),
    }
}

/// The key and passwords for a mount.
pub fn secrets(settings: &Settings) -> Result<Secrets, Failure> {
    let key = key_if_needed(settings)?;
    let passwords = config::find_passwords(settings)?;
    Ok(Secrets { key, passwords })
}

/// Where the sockets of this user's daemons are: also those that were started
/// with a session of the user, or without one, unlike this process.
fn sockets() -> Vec<PathBuf> {
    let user = nix::unistd::geteuid();
    let session = PathBuf::from(format!("/run/user/{user}"));
    // The unit of the machine has its sockets there.
    let system = user.is_root().then(|| PathBuf::from("/run"));
    let mut dirs: Vec<PathBuf> = [dirs::runtime_dir(), Some(session), system]
        .into_iter()
        .flatten()
        .map(|dir| dir.join("fichierfs"))
        .chain(dirs::data_local_dir().map(|dir| dir.join("fichierfs/run")))
        .collect();
    dirs.dedup();
    dirs
}

/// All daemons of this user.
pub async fn daemons() -> Vec<Client> {
    Client::running(&sockets()).await
}

/// The daemon of this mount, or the only one.
pub async fn daemon(mountpoint: Option<&Path>) -> Result<Client, Failure> {
    let Some(path) = mountpoint else {
        return Ok(Client::find(&sockets(), None).await?);
    };
    Ok(within(path).await?.0)
}

/// The daemon in whose mount `path` is, and the path from the mount's root.
pub async fn within(path: &Path) -> Result<(Client, PathBuf), Failure> {
    let sockets = sockets();
    let plain = std::path::absolute(path)?;
    let (client, full) = match Client::find(&sockets, Some(&plain)).await {
        Err(ControlError::NoSuchMount(_)) => {
            // Perhaps through a symbolic link. Only now, since this looks into the mount.
            let Ok(real) = tokio::fs::canonicalize(path).await else {
                return Err(ControlError::NoSuchMount(plain).into());
            };
            let found = Client::find(&sockets, Some(&real)).await;
            (found.map_err(|_| ControlError::NoSuchMount(plain))?, real)
        }
        found => (found?, plain),
    };
    let inner = full
        .strip_prefix(&client.hello().mountpoint)
        .map(Path::to_owned)
        .unwrap_or_default();
    Ok((client, inner))
}
