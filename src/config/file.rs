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

/// Writes a key into the configuration file, into a profile if one is named. Comments
/// and all other options stay as they are. Makes the file, and a folder for it, if needed.
pub fn write_key(path: &Path, profile: Option<&str>, key: &ApiKey) -> Result<(), ConfigError> {
    let old = read_private(path)?.unwrap_or_default();
    let text = Zeroizing::new(with_key(path, &old, profile, key)?);
    if let Some(folder) = path.parent()
        && !folder.exists()
    {
        private_folder(folder)?;
    }
    write_private(path, &text)
}

fn with_key(
    path: &Path,
    old: &str,
    profile: Option<&str>,
    key: &ApiKey,
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
    match table.get_mut("api_key").and_then(Item::as_value_mut) {
        Some(old) => {
            let decor = old.decor().clone();
            *old = toml_edit::Value::from(key.expose());
            *old.decor_mut() = decor;
        }
        None => {
            table.insert("api_key", value(key.expose()));
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
        write_key(&path, None, &key('a')).unwrap();
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
        let written = with_key(&path, old, None, &key('a')).unwrap();
        assert_eq!(
            written,
            old.replace("\"x\"", &format!("\"{}\"", key('a').expose()))
        );
        let written = with_key(&path, &written, Some("home"), &key('b')).unwrap();
        assert!(written.starts_with("# mine\nuploads = 3   # few\n"));
        write_private(&path, &written).unwrap();
        assert_eq!(stored(&path, None).expose(), key('a').expose());
        assert_eq!(stored(&path, Some("home")).expose(), key('b').expose());
        assert_eq!(stored(&path, Some("work")).expose(), key('a').expose());
    }

    #[test]
    fn a_broken_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        write_private(&path, "uploads = ").unwrap();
        assert!(matches!(
            write_key(&path, None, &key('a')),
            Err(ConfigError::Syntax { .. })
        ));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "uploads = ");
    }
}
