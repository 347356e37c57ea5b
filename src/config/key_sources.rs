//! Where the key comes from. The first source that is there decides, also when
//! what it gives is no key: falling back would hide the mistake.
//!
//! In order: `FICHIERFS_API_KEY`, the systemd credential, `api_key_command`,
//! `api_key_file`, `api_key_keyring`, `api_key` in the configuration.

use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::guard::{read_private, read_text};
use super::{ApiKey, ConfigError, Settings, keyring};

/// The variable that holds a key.
const VARIABLE: &str = "FICHIERFS_API_KEY";
/// Names of the systemd credential.
const CREDENTIALS: [&str; 2] = ["fichierfs-api-key", "api_key"];
/// How long the command may take: it may ask a person to unlock a key ring.
const COMMAND_PATIENCE: Duration = Duration::from_secs(60);
/// What a command may print, in bytes.
const LONGEST_OUTPUT: u64 = 4096;

/// Finds the key. `environment` gives the variables; the command may take a minute.
pub fn find_key(
    settings: &Settings,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<ApiKey, ConfigError> {
    if let Some(text) = environment(VARIABLE).filter(|text| !text.is_empty()) {
        return parse(VARIABLE.to_owned(), text);
    }
    if let Some(folder) = environment("CREDENTIALS_DIRECTORY") {
        for name in CREDENTIALS {
            let path = PathBuf::from(&folder).join(name);
            // systemd guards these itself, with a mode of its own.
            if let Ok(file) = std::fs::File::open(&path) {
                let text = read_text(&path, file)?;
                return parse(path.display().to_string(), text.as_str().to_owned());
            }
        }
    }
    if let Some(command) = &settings.api_key_command {
        let text = run("api_key_command", command)?;
        return parse("api_key_command".to_owned(), text.as_str().to_owned());
    }
    if let Some(path) = &settings.api_key_file {
        let text =
            read_private(path)?.ok_or_else(|| ConfigError::NoKeyFile { path: path.clone() })?;
        return parse(path.display().to_string(), text.as_str().to_owned());
    }
    if let Some(name) = &settings.api_key_keyring {
        let text = keyring::find(name)?;
        return parse("api_key_keyring".to_owned(), text.as_str().to_owned());
    }
    settings.api_key.clone().ok_or(ConfigError::NoKey)
}

fn parse(source_name: String, text: String) -> Result<ApiKey, ConfigError> {
    ApiKey::new(text).map_err(|error| ConfigError::BadKey { source_name, error })
}

/// Runs a command and gives what it prints. What it says beside that goes to the terminal, where
/// there is one, and nowhere else: a command may well say the secret there (`set -x`), and logs
/// and journals are read by others.
pub(super) fn run(option: &'static str, command: &str) -> Result<Zeroizing<String>, ConfigError> {
    run_for(option, command, COMMAND_PATIENCE)
}

fn run_for(
    option: &'static str,
    command: &str,
    patience: Duration,
) -> Result<Zeroizing<String>, ConfigError> {
    let because = |why: String| ConfigError::Command { option, why };
    let failed = |error: std::io::Error| because(error.to_string());
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(match std::io::stderr().is_terminal() {
            true => Stdio::inherit(),
            false => Stdio::null(),
        })
        .spawn()
        .map_err(failed)?;
    let reader = child.stdout.take().map(|output| {
        std::thread::spawn(move || {
            let mut text = Zeroizing::new(String::new());
            output
                .take(LONGEST_OUTPUT)
                .read_to_string(&mut text)
                .map(|_| text)
        })
    });
    let status = wait(&mut child, patience).map_err(failed)?;
    match status {
        Some(status) if status.success() => {}
        Some(status) => return Err(because(status.to_string())),
        None => {
            let seconds = patience.as_secs();
            return Err(because(format!("no end after {seconds} s")));
        }
    }
    // It has ended, and so has its output, unless it left a child behind that
    // holds it: then what was read is not to be waited for.
    let text = reader
        .map(|reader| {
            let give_up = Instant::now() + Duration::from_secs(2);
            while !reader.is_finished() && Instant::now() < give_up {
                std::thread::sleep(Duration::from_millis(2));
            }
            match reader.is_finished() {
                true => reader.join().ok(),
                false => None,
            }
        })
        .unwrap_or_default();
    match text {
        Some(Ok(text)) => Ok(text),
        Some(Err(error)) => Err(failed(error)),
        None => Err(because("its output does not end".to_owned())),
    }
}

/// Waits for a child for so long, then kills it.
fn wait(
    child: &mut Child,
    patience: Duration,
) -> std::io::Result<Option<std::process::ExitStatus>> {
    let give_up = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= give_up {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layers, resolve};
    use std::os::unix::fs::PermissionsExt;

    /// A key of our own making, told apart by its first letter.
    fn key(letter: char) -> String {
        format!("{letter}{}", "0".repeat(31))
    }

    fn layers(file: &str) -> Layers {
        Layers {
            file: Some(("/c.toml".into(), file.to_owned().into())),
            ..Layers::default()
        }
    }

    fn settings(file: &str) -> Settings {
        resolve(&layers(file)).unwrap().settings
    }

    fn first_letter(found: Result<ApiKey, ConfigError>) -> char {
        found.unwrap().expose().chars().next().unwrap()
    }

    #[test]
    fn the_first_source_that_is_there_decides() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, key('f') + "\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(dir.path().join("api_key"), key('s')).unwrap();

        let nothing = |_: &str| None;
        let mut text = format!("api_key = \"{}\"\n", key('c'));
        assert_eq!(first_letter(find_key(&settings(&text), nothing)), 'c');
        text += &format!("api_key_file = \"{}\"\n", file.display());
        assert_eq!(first_letter(find_key(&settings(&text), nothing)), 'f');
        text += &format!("api_key_command = \"echo ' {} '\"\n", key('p'));
        assert_eq!(first_letter(find_key(&settings(&text), nothing)), 'p');
        let folder = dir.path().to_str().unwrap().to_owned();
        let systemd = |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| folder.clone());
        assert_eq!(first_letter(find_key(&settings(&text), systemd)), 's');
        let variable = |name: &str| (name == VARIABLE).then(|| key('e'));
        assert_eq!(first_letter(find_key(&settings(&text), variable)), 'e');
        assert!(matches!(
            find_key(&settings(""), nothing),
            Err(ConfigError::NoKey)
        ));
    }

    #[test]
    fn a_source_that_gives_no_key_is_an_error_and_not_passed_over() {
        let text = format!("api_key = \"{}\"\n", key('c'));
        let with = |line: &str| {
            find_key(&settings(&format!("{text}{line}\n")), |_| None)
                .unwrap_err()
                .to_string()
        };
        assert!(with("api_key_command = \"false\"").contains("api_key_command failed"));
        assert!(with("api_key_command = \"echo no key\"").starts_with("api_key_command: "));
        assert!(with("api_key_file = \"/nowhere/key\"").contains("no file /nowhere/key;"));
        let variable = |name: &str| (name == VARIABLE).then(|| "two words".to_owned());
        let error = find_key(&settings(&text), variable)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("FICHIERFS_API_KEY: ") && !error.contains("two words"));
    }

    #[test]
    fn what_is_wrong_with_a_key_in_the_configuration_is_said_and_the_key_is_not() {
        for (text, why) in [
            ("two words", "contains a space"),
            ("short", "has 5 characters"),
            ("é2345678901234567890", "contains a character that is not"),
        ] {
            let layers = layers(&format!("api_key = \"{text}\"\n"));
            let error = resolve(&layers).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains(text), "{error}");
        }
    }

    #[test]
    fn a_key_file_open_to_others_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, key('f')).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let text = format!("api_key_file = \"{}\"\n", file.display());
        let error = find_key(&settings(&text), |_| None).unwrap_err();
        assert!(matches!(error, ConfigError::OpenToOthers { .. }));
    }

    #[test]
    fn a_command_without_end_is_ended() {
        let error = run_for("x", "exec sleep 600", Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("no end after"));
    }
}
