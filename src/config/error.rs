//! What can be wrong with a configuration; each error says what to change.

use std::io;
use std::path::{Path, PathBuf};

use super::BadKey;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file that cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// A configuration file that was asked for and is not there.
    #[error("there is no configuration file {}; correct the name, or make it: fichierfs --config {} init", path.display(), quoted(path))]
    NoConfigFile {
        /// Which.
        path: PathBuf,
    },
    /// A file with secrets that others can read.
    #[error("{} can be read by others; run: chmod 600 {}", path.display(), quoted(path))]
    OpenToOthers {
        /// Which.
        path: PathBuf,
    },
    /// A file or folder of somebody else.
    #[error("{} belongs to another user (uid {owner}); run: chown {user} {}", path.display(), quoted(path))]
    ForeignOwner {
        /// Which.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Whose it must be.
        user: u32,
    },
    /// Something else where a folder belongs.
    #[error("{} is not a folder, or a symbolic link to one; move it away or choose another place", path.display())]
    NotAFolder {
        /// Which.
        path: PathBuf,
    },
    /// A folder that others can enter, with things in it that are not the program's.
    #[error("{} is open to others and has other things in it; choose a folder of its own, or close it: chmod 700 {}", path.display(), quoted(path))]
    SharedFolder {
        /// Which.
        path: PathBuf,
    },
    /// A variable of ours that is no text.
    #[error("{name} in the environment is not UTF-8")]
    NoText {
        /// Its name.
        name: String,
    },
    /// The machine gives no place for files of the user.
    #[error("there is no home directory; set HOME, or give --config, --cache-dir and --state-dir")]
    NoHome,
    /// A file that is no TOML.
    #[error("{}: {message}", path.display())]
    Syntax {
        /// Which.
        path: PathBuf,
        /// What and where.
        message: String,
    },
    /// An option that does not exist.
    #[error("{source_name}: there is no option {name:?}{}", nearest.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default())]
    UnknownOption {
        /// Who gave it.
        source_name: String,
        /// Its name.
        name: String,
        /// The nearest that exists.
        nearest: Option<&'static str>,
    },
    /// A value that an option cannot have.
    #[error("{source_name}: {name} cannot be \"{value}\": {why}")]
    BadValue {
        /// The option.
        name: &'static str,
        /// The value.
        value: String,
        /// Who gave it.
        source_name: String,
        /// What it takes, or what is wrong with this one.
        why: String,
    },
    /// An option without the value that it needs.
    #[error("{source_name}: {name} needs a value, as in {name}=…")]
    NoValue {
        /// The option.
        name: &'static str,
        /// Who gave it.
        source_name: String,
    },
    /// A secret in the arguments, where every user of the machine can read it.
    #[error(
        "{name} must not be given as an argument, which others can see; use the environment, a file or {name}_command"
    )]
    SecretInArguments {
        /// The option.
        name: &'static str,
    },
    /// A profile that the file does not have.
    #[error(
        "there is no [profile.{name}] in the configuration{}",
        known(known_names)
    )]
    UnknownProfile {
        /// Its name.
        name: String,
        /// Those that it has.
        known_names: Vec<String>,
    },
    /// The file that was to hold the key is not there.
    #[error("api_key_file: there is no file {}; run `fichierfs init`, or name the file that holds the key", path.display())]
    NoKeyFile {
        /// Which.
        path: PathBuf,
    },
    /// No source has a key.
    #[error("there is no API key; run `fichierfs init`, or set FICHIERFS_API_KEY")]
    NoKey,
    /// A source gave something that is no key.
    #[error("{source_name}: {error}")]
    BadKey {
        /// The source.
        source_name: String,
        /// What is wrong with it.
        #[source]
        error: BadKey,
    },
    /// A command that was to print a secret failed.
    #[error("{option} failed: {why}")]
    Command {
        /// The option that gives it.
        option: &'static str,
        /// Why.
        why: String,
    },
    /// The kernel's keyring.
    #[error(
        "api_key_keyring: {name:?} in the kernel's keyring: {why}; after a restart of the machine run `fichierfs init --store keyring` again"
    )]
    Keyring {
        /// The description.
        name: String,
        /// The kernel's reason.
        why: String,
    },
    /// A program that was to store the key.
    #[error(
        "secret-tool, which talks to the desktop's keyring, failed: {0}; as root: apt-get install libsecret-tools; or choose another --store"
    )]
    SecretTool(String),
    /// The table of options does not fit itself.
    #[error("the table of options is broken; please report it")]
    Internal,
}

impl ConfigError {
    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> ConfigError + use<> {
        let path = path.to_owned();
        move |error| ConfigError::File { path, error }
    }
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

fn known(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!("; it has: {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_to_run_can_be_pasted() {
        let error = ConfigError::OpenToOthers {
            path: "/home/u/my files/it's.toml".into(),
        };
        assert!(
            error
                .to_string()
                .ends_with(r"chmod 600 '/home/u/my files/it'\''s.toml'")
        );
    }
}
