//! The layers of the configuration, pure: defaults, then the file, its profile, the
//! environment, `-o`, and flags, each over the one before.

use std::collections::BTreeMap;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::ConfigError;
use super::options::{Given, OPTIONS, OptionSpec, Settings};
use super::value::Kind;

/// Where options come from. What is left empty says nothing.
#[derive(Default)]
pub struct Layers {
    /// The text of the configuration file, and its path for messages.
    pub file: Option<(PathBuf, Zeroizing<String>)>,
    /// The profile of the file to use.
    pub profile: Option<String>,
    /// The environment.
    pub environment: Vec<(String, String)>,
    /// The arguments of `-o`.
    pub mount_options: Vec<String>,
    /// Flags, by the name of the option.
    pub flags: Vec<(&'static str, String)>,
}

/// Which layer decided about an option.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Layer {
    /// The table.
    Default,
    /// The file.
    File,
    /// The profile in the file.
    Profile,
    /// The environment.
    Environment,
    /// `-o`.
    MountOption,
    /// A flag.
    Flag,
}

/// The outcome of all layers.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// What holds.
    pub settings: Settings,
    /// Who decided about each option that is not its default.
    pub decided_by: BTreeMap<&'static str, Layer>,
    /// Options after `-o` that are the kernel's and not ours, as `noexec`.
    pub kernel_options: Vec<String>,
    /// Variables that look like ours and are not, for a warning.
    pub unknown_variables: Vec<String>,
}

/// Variables that are not options: they say where to look for them.
const OTHER_VARIABLES: [&str; 2] = ["FICHIERFS_CONFIG", "FICHIERFS_PROFILE"];

/// Options of mount(8) that the kernel knows.
const KERNEL_OPTIONS: [&str; 12] = [
    "exec",
    "noexec",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "atime",
    "noatime",
    "relatime",
    "nodiratime",
    "sync",
    "dirsync",
];

/// Options of mount(8) and fstab(5) that say nothing to a mount program.
const EMPTY_OPTIONS: [&str; 12] = [
    "defaults",
    "async",
    "auto",
    "noauto",
    "user",
    "users",
    "nouser",
    "owner",
    "group",
    "_netdev",
    "nofail",
    "default_permissions",
];

/// Puts the layers over each other.
pub fn resolve(layers: &Layers) -> Result<Resolved, ConfigError> {
    let mut chosen = Chosen::default();
    if let Some((path, text)) = &layers.file {
        file(&mut chosen, path, text, layers.profile.as_deref())?;
    } else if let Some(name) = &layers.profile {
        return Err(ConfigError::UnknownProfile {
            name: name.clone(),
            known_names: Vec::new(),
        });
    }
    let unknown_variables = environment(&mut chosen, &layers.environment);
    let mut kernel_options = Vec::new();
    for options in &layers.mount_options {
        mount_options(&mut chosen, options, &mut kernel_options)?;
    }
    for (name, value) in &layers.flags {
        let option = known(name, "arguments")?;
        not_secret(option)?;
        chosen.set(option, value, Layer::Flag, format!("--{}", option.flag()));
    }
    let settings = Settings::read(|option| chosen.given(option))?;
    Ok(Resolved {
        settings,
        decided_by: chosen.decided_by(),
        kernel_options,
        unknown_variables,
    })
}

/// The text of each option so far.
#[derive(Default)]
struct Chosen(BTreeMap<&'static str, (Layer, String, Zeroizing<String>)>);

impl Chosen {
    fn set(&mut self, option: &'static OptionSpec, text: &str, layer: Layer, source: String) {
        let text = Zeroizing::new(text.to_owned());
        self.0.insert(option.name, (layer, source, text));
    }

    fn given(&self, option: &OptionSpec) -> Given {
        match self.0.get(option.name) {
            Some((_, source, text)) => Given {
                text: text.clone(),
                source: source.clone(),
            },
            None => Given {
                text: option.default.to_owned().into(),
                source: "default".to_owned(),
            },
        }
    }

    fn decided_by(&self) -> BTreeMap<&'static str, Layer> {
        self.0
            .iter()
            .map(|(name, (layer, ..))| (*name, *layer))
            .collect()
    }
}

fn known(name: &str, source: &str) -> Result<&'static OptionSpec, ConfigError> {
    OptionSpec::of(name).ok_or_else(|| ConfigError::UnknownOption {
        source_name: source.to_owned(),
        name: name.to_owned(),
        nearest: nearest(name),
    })
}

/// The option whose name is the most like a text, if any is like it.
fn nearest(text: &str) -> Option<&'static str> {
    OPTIONS
        .iter()
        .map(|option| (strsim::jaro_winkler(text, option.name), option.name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, name)| name)
}

fn not_secret(option: &'static OptionSpec) -> Result<(), ConfigError> {
    if option.kind == Kind::Secret {
        return Err(ConfigError::SecretInArguments { name: option.name });
    }
    Ok(())
}

fn file(
    chosen: &mut Chosen,
    path: &std::path::Path,
    text: &str,
    profile: Option<&str>,
) -> Result<(), ConfigError> {
    let source = path.display().to_string();
    let mut table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        // Without the quotation of the line, which may hold the key.
        let line = error
            .span()
            .and_then(|span| text.get(..span.start))
            .map_or(1, |before| before.matches('\n').count() + 1);
        ConfigError::Syntax {
            path: path.to_owned(),
            message: format!("line {line}: {}", error.message()),
        }
    })?;
    let profiles = match table.remove("profile") {
        None => toml::Table::new(),
        Some(toml::Value::Table(profiles)) => profiles,
        Some(_) => {
            return Err(ConfigError::Syntax {
                path: path.to_owned(),
                message: "profile is not a table: write [profile.NAME]".to_owned(),
            });
        }
    };
    section(chosen, &table, Layer::File, &source)?;
    // All profiles are checked, so that a mistake shows before its profile is needed.
    for (name, values) in &profiles {
        let source = format!("{source}, [profile.{name}]");
        let toml::Value::Table(values) = values else {
            return Err(ConfigError::Syntax {
                path: path.to_owned(),
                message: format!("profile.{name} is not a table"),
            });
        };
        let mut unused = Chosen::default();
        let target = match profile {
            Some(wanted) if wanted == name => &mut *chosen,
            _ => &mut unused,
        };
        section(target, values, Layer::Profile, &source)?;
    }
    match profile {
        Some(name) if !profiles.contains_key(name) => Err(ConfigError::UnknownProfile {
            name: name.to_owned(),
            known_names: profiles.keys().cloned().collect(),
        }),
        _ => Ok(()),
    }
}

fn section(
    chosen: &mut Chosen,
    values: &toml::Table,
    layer: Layer,
    source: &str,
) -> Result<(), ConfigError> {
    for (name, value) in values {
        let option = known(name, source)?;
        let text = plain(value).ok_or_else(|| ConfigError::BadValue {
            name: option.name,
            value: format!("a TOML {}", value.type_str()),
            source_name: source.to_owned(),
            why: option.kind.takes(),
        })?;
        chosen.set(option, &text, layer, source.to_owned());
    }
    Ok(())
}

/// A value of the file as the text of an option.
fn plain(value: &toml::Value) -> Option<Zeroizing<String>> {
    let text = match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::Boolean(flag) => flag.to_string(),
        toml::Value::Array(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => return None,
    };
    Some(text.into())
}

fn environment(chosen: &mut Chosen, variables: &[(String, String)]) -> Vec<String> {
    let mut unknown = Vec::new();
    for (name, value) in variables {
        let Some(upper) = name.strip_prefix("FICHIERFS_") else {
            continue;
        };
        match OptionSpec::of(&upper.to_ascii_lowercase()) {
            Some(option) if option.variable() == *name => {
                chosen.set(option, value, Layer::Environment, name.clone());
            }
            _ if OTHER_VARIABLES.contains(&name.as_str()) => {}
            _ => unknown.push(name.clone()),
        }
    }
    unknown
}

fn mount_options(
    chosen: &mut Chosen,
    options: &str,
    kernel: &mut Vec<String>,
) -> Result<(), ConfigError> {
    const SOURCE: &str = "-o";
    for item in split(options) {
        let (name, value) = match item.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (item.as_str(), None),
        };
        if KERNEL_OPTIONS.contains(&name) {
            kernel.push(item);
            continue;
        }
        // fstab(5): comments of other programs.
        let comment = ["x-", "X-", "comment", "fsname", "subtype"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        if EMPTY_OPTIONS.contains(&name) || comment {
            continue;
        }
        let (name, value) = match (name, value) {
            ("rw", None) => ("ro", Some("false")),
            other => other,
        };
        let option = known(name, SOURCE)?;
        not_secret(option)?;
        let value = match (value, option.kind) {
            (Some(value), _) => value,
            (None, Kind::Flag) => "true",
            (None, _) => {
                return Err(ConfigError::NoValue {
                    name: option.name,
                    source_name: SOURCE.to_owned(),
                });
            }
        };
        chosen.set(option, value, Layer::MountOption, SOURCE.to_owned());
    }
    Ok(())
}

/// The items of a list that commas separate; a comma after a backslash is part of an item.
fn split(list: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut letters = list.chars().peekable();
    while let Some(c) = letters.next() {
        match (c, letters.peek()) {
            ('\\', Some(',' | '\\')) => {
                let escaped = letters.next();
                items
                    .iter_mut()
                    .next_back()
                    .into_iter()
                    .for_each(|item| item.extend(escaped));
            }
            (',', _) => items.push(String::new()),
            _ => items
                .iter_mut()
                .next_back()
                .into_iter()
                .for_each(|item| item.push(c)),
        }
    }
    items.retain(|item| !item.is_empty());
    items
}

#[cfg(test)]
mod tests;
