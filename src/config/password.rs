//! Passwords of other people's folders and files.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::key_sources::run;
use super::value::{Kind, Value};
use super::{ConfigError, Settings};

/// A password. It cannot be printed, and its memory is zeroed when it is dropped.
#[derive(Clone)]
pub struct Password(SecretString);

impl Password {
    /// The password itself, for the one field that needs it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The first line of what a command printed.
    fn printed(option: &'static str, text: &Zeroizing<String>) -> Result<Password, ConfigError> {
        let line = text.lines().next().unwrap_or_default();
        Password::read(line).ok_or_else(|| ConfigError::Command {
            option,
            why: "it printed no password".to_owned(),
        })
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Value for Password {
    const KIND: Kind = Kind::Secret;

    fn read(text: &str) -> Option<Password> {
        let fits = !text.is_empty() && !text.contains(char::is_control);
        fits.then(|| Password(SecretString::from(text)))
    }
}

/// The passwords that a mount may need.
#[derive(Clone, Default, Debug)]
pub struct Passwords {
    /// Of the public folder that it shows.
    pub share: Option<Password>,
    /// Of files behind one.
    pub file: Option<Password>,
}

/// Finds the passwords, for which commands may be run; each may take a minute.
pub fn find_passwords(settings: &Settings) -> Result<Passwords, ConfigError> {
    let printed = |option, command: &Option<String>| {
        let command = command.as_deref();
        let text = command.map(|command| run(option, command)).transpose()?;
        text.map(|text| Password::printed(option, &text))
            .transpose()
    };
    let share = match settings.share {
        Some(_) => printed("share_password_command", &settings.share_password_command)?,
        None => None,
    };
    let file = printed("file_password_command", &settings.file_password_command)?;
    Ok(Passwords {
        share,
        file: file.or_else(|| settings.file_password.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layers, resolve};

    fn found(text: &str) -> Result<Passwords, ConfigError> {
        let file = Some(("/c".into(), text.to_owned().into()));
        let layers = Layers {
            file,
            ..Layers::default()
        };
        find_passwords(&resolve(&layers).unwrap().settings)
    }

    #[test]
    fn a_password_is_the_first_line_that_a_command_prints_and_is_not_printed_by_us() {
        let text = "share = \"dir/Ab3dEfGh\"\nshare_password_command = \"echo ' open it '; echo more\"\n\
                    file_password = \"given\"\n";
        let found = found(text).unwrap();
        assert_eq!(found.share.as_ref().unwrap().expose(), " open it ");
        assert_eq!(found.file.as_ref().unwrap().expose(), "given");
        let shown = format!("{found:?}");
        assert!(
            !shown.contains("open it") && !shown.contains("given"),
            "{shown}"
        );
    }

    #[test]
    fn the_command_of_a_folder_that_is_not_mounted_is_not_run() {
        let found = found("share_password_command = \"false\"").unwrap();
        assert!(found.share.is_none() && found.file.is_none());
    }

    #[test]
    fn a_command_that_gives_no_password_is_named() {
        for command in ["true", "false"] {
            let error = found(&format!("file_password_command = \"{command}\"")).unwrap_err();
            assert!(
                error.to_string().starts_with("file_password_command"),
                "{error}"
            );
        }
    }
}
