//! Where `init` puts the key, and how the configuration is told.

use std::io::Write;
use std::process::{Command, Stdio};

use super::args::Storage;
use super::exit::Failure;
use super::load::Loaded;
use crate::config::{ApiKey, ConfigError, OtherSources, store_in_keyring, write_key, write_source};

/// Where the key goes: where nobody says, to where it is, if that is a place that can be written.
pub(super) fn place(loaded: &Loaded, wanted: Option<Storage>) -> Storage {
    let in_keyring = loaded.settings.api_key_keyring.is_some();
    wanted.unwrap_or(match in_keyring {
        true => Storage::Keyring,
        false => Storage::File,
    })
}

/// Stores the key, and tells where in a sentence for people.
pub(super) fn keep(
    loaded: &Loaded,
    profile: Option<&str>,
    wanted: Option<Storage>,
    key: &ApiKey,
) -> Result<String, Failure> {
    let file = &loaded.file;
    let name = match profile {
        None => "fichierfs".to_owned(),
        Some(profile) => format!("fichierfs:{profile}"),
    };
    let in_use = loaded.settings.api_key_keyring.as_ref();
    Ok(match place(loaded, wanted) {
        Storage::File => {
            let others = match wanted {
                Some(_) => OtherSources::Go,
                None => OtherSources::Stay,
            };
            write_key(file, profile, key, others)?;
            let told = format!("Written to {} (readable by you alone).", file.display());
            match before_the_file(loaded).filter(|_| wanted.is_none()) {
                None => told,
                Some(option) => format!(
                    "{told} But {option} is set and goes before it: change the key there, too, or give --store file."
                ),
            }
        }
        Storage::Keyring => {
            let name = in_use.filter(|_| wanted.is_none()).unwrap_or(&name);
            store_in_keyring(name, key)?;
            write_source(file, profile, ("api_key_keyring", name))?;
            format!(
                "Stored in the kernel's keyring as {name:?}, until the machine restarts; {} says so.",
                file.display()
            )
        }
        Storage::Desktop => {
            in_desktop(&name, key)?;
            let command = format!("secret-tool lookup service '{name}'");
            write_source(file, profile, ("api_key_command", &command))?;
            format!(
                "Stored in the desktop's keyring; {} says how it is asked for.",
                file.display()
            )
        }
    })
}

/// The option that keeps a key in the file from being used.
fn before_the_file(loaded: &Loaded) -> Option<&'static str> {
    let settings = &loaded.settings;
    let command = settings.api_key_command.as_ref().map(|_| "api_key_command");
    command.or(settings.api_key_file.as_ref().map(|_| "api_key_file"))
}

/// Hands the key to the desktop's keyring, not as an argument.
fn in_desktop(name: &str, key: &ApiKey) -> Result<(), ConfigError> {
    let failed = |error: std::io::Error| ConfigError::SecretTool(error.to_string());
    let mut child = Command::new("secret-tool")
        .args([
            "store",
            "--label=fichierfs: 1fichier.com API key",
            "service",
            name,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(key.expose().as_bytes()).map_err(failed)?;
    }
    match child.wait().map_err(failed)? {
        status if status.success() => Ok(()),
        status => Err(ConfigError::SecretTool(status.to_string())),
    }
}
