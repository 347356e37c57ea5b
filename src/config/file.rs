//! The configuration file: read under guard, and written by `init` without touching what
//! else is in it.

use std::path::Path;

use toml_edit::{DocumentMut, Item, Table, value};
use zeroize::Zeroizing;

use super::guard::{private_folder, read_private, write_private};
use super::{ApiKey, ConfigError};

/// The text of the configuration file; `None` if there is none.
pub fn read_config(path: &Path) -> Result<Option<Zeroizing<String>>, ConfigError> {
    read_private(path)
}

/// The options that say where the key is, of which [`write_key`] and [`write_source`] keep one.
const SOURCES: [&str; 4] = [
    "api_key",
    "api_key_command",
    "api_key_file",
    "api_key_keyring",
];

/// What becomes of other sources of the key in the same part of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OtherSources {
    /// They stay, and may go before the one that is written.
    Stay,
    /// They go.
    Go,
}

/// Writes a key into the configuration file, into a profile if one is named. Comments
/// and all other options stay as they are. Makes the file, and a folder for it, if needed.
pub fn write_key(
    path: &Path,
    profile: Option<&str>,
    key: &ApiKey,
    others: OtherSources,
) -> Result<(), ConfigError> {
    write(path, profile, ("api_key", key.expose()), others)
}

/// Writes where the key is, as [`write_key`] does the key itself.
pub fn write_source(
    path: &Path,
    profile: Option<&str>,
    source: (&str, &str),
) -> Result<(), ConfigError> {
    write(path, profile, source, OtherSources::Go)
}

fn write(
    path: &Path,
    profile: Option<&str>,
    entry: (&str, &str),
    others: OtherSources,
) -> Result<(), ConfigError> {
    let old = read_private(path)?.unwrap_or_default();
    let text = Zeroizing::new(with_entry(path, &old, profile, entry, others)?);
    if let Some(folder) = path.parent()
        && !folder.exists()
    {
        private_folder(folder)?;
    }
    write_private(path, &text)
}

fn with_entry(
    path: &Path,
    old: &str,
    profile: Option<&str>,
    (name, text): (&str, &str),
    others: OtherSources,
) -> Result<String, ConfigError> {
    let syntax = |message: &str| ConfigError::Syntax {
        path: path.to_owned(),
        message: message.to_owned(),
    };
    let mut document: DocumentMut = old
        .parse()
        .map_err(|error: toml_edit::TomlError| syntax(error.message()))?;
    let mut table: &mut Table = document.as_table_mut();
    if let Some(name) = profile {
        for part in ["profile", name] {
            let mut implicit = Table::new();
            implicit.set_implicit(part == "profile");
            table = table
                .entry(part)
                .or_insert(Item::Table(implicit))
                .as_table_mut()
                .ok_or_else(|| syntax("profile is not a table: write [profile.NAME]"))?;
        }
    }
    // A comment behind the old key stays behind the new one.
    match table.get_mut(name).and_then(Item::as_value_mut) {
        Some(old) => {
            let decor = old.decor().clone();
            *old = toml_edit::Value::from(text);
            *old.decor_mut() = decor;
        }
        None => {
            table.insert(name, value(text));
        }
    }
    if others == OtherSources::Go {
        for other in SOURCES.into_iter().filter(|other| *other != name) {
            table.remove(other);
        }
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layers, resolve};
    use std::os::unix::fs::PermissionsExt;

    fn key(letter: char) -> ApiKey {
        ApiKey::new(letter.to_string().repeat(32)).unwrap()
    }

    fn stored(path: &Path, profile: Option<&str>) -> ApiKey {
        let layers = Layers {
            file: Some((path.to_owned(), read_config(path).unwrap().unwrap())),
            profile: profile.map(str::to_owned),
            ..Layers::default()
        };
        resolve(&layers).unwrap().settings.api_key.unwrap()
    }

    #[test]
    fn a_key_is_written_into_a_new_private_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fichierfs/config.toml");
        write_key(&path, None, &key('a'), OtherSources::Stay).unwrap();
        assert_eq!(stored(&path, None).expose(), key('a').expose());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_rest_of_the_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        let old =
            "# mine\nuploads = 3   # few\napi_key = \"x\" # old\n\n[profile.work]\nro = true\n";
        let written = with_entry(
            &path,
            old,
            None,
            ("api_key", key('a').expose()),
            OtherSources::Stay,
        )
        .unwrap();
        assert_eq!(
            written,
            old.replace("\"x\"", &format!("\"{}\"", key('a').expose()))
        );
        let written = with_entry(
            &path,
            &written,
            Some("home"),
            ("api_key", key('b').expose()),
            OtherSources::Stay,
        )
        .unwrap();
        assert!(written.starts_with("# mine\nuploads = 3   # few\n"));
        write_private(&path, &written).unwrap();
        assert_eq!(stored(&path, None).expose(), key('a').expose());
        assert_eq!(stored(&path, Some("home")).expose(), key('b').expose());
        assert_eq!(stored(&path, Some("work")).expose(), key('a').expose());
    }

    #[test]
    fn another_place_for_the_key_takes_the_place_of_the_old_ones() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        write_private(
            &path,
            "api_key = \"x\"\napi_key_file = \"/k\"\nuploads = 3\n",
        )
        .unwrap();
        write_source(&path, None, ("api_key_keyring", "fichierfs")).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "uploads = 3\napi_key_keyring = \"fichierfs\"\n");
    }

    #[test]
    fn a_broken_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        write_private(&path, "uploads = ").unwrap();
        assert!(matches!(
            write_key(&path, None, &key('a'), OtherSources::Stay),
            Err(ConfigError::Syntax { .. })
        ));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "uploads = ");
    }
}
