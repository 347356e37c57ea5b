//! The table of options, the one place where an option is added: from it come
//! the typed [`Settings`], the flags, the variables of the environment, the keys of the
//! file, the mount options, and the manual.

use std::path::PathBuf;
use std::time::Duration;

use super::timetable::Timetable;
use super::value::{
    AddressFamily, Between, Factor, Fsync, Kind, Listen, LogFormat, LogLevel, Patterns, Size,
    Umask, Value, Wait,
};
use super::{ApiKey, ConfigError, Password, PublicFolder, SharedFolders};

/// What an option is about, for grouping it in help texts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// The service and how it is reached.
    Service,
    /// The key.
    Key,
    /// What the mount looks like.
    Mount,
    /// Reading, and what is kept of it.
    Reading,
    /// Writing and uploads.
    Writing,
    /// The running program.
    Program,
}

/// An option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OptionSpec {
    /// Its name, as in the file and after `-o`.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What it is if nobody says otherwise; may be empty for "none".
    pub default: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// What it is about.
    pub scope: Scope,
    /// When a running mount follows a change.
    pub change: Change,
}

/// When a running mount that reads its configuration anew follows a change of an option.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// At once.
    Now,
    /// At the next mount.
    NextMount,
}

macro_rules! change {
    () => {
        Change::NextMount
    };
    (Now) => {
        Change::Now
    };
}

impl Settings {
    /// Whether the mount takes no changes: asked for, or because nobody may change what it shows.
    pub fn is_read_only(&self) -> bool {
        self.ro || self.share.is_some()
    }
}

impl OptionSpec {
    /// The option of a name.
    pub fn of(name: &str) -> Option<&'static OptionSpec> {
        OPTIONS.iter().find(|option| option.name == name)
    }

    /// Its name in the environment.
    pub fn variable(&self) -> String {
        format!("FICHIERFS_{}", self.name.to_ascii_uppercase())
    }

    /// Its name as a flag, without the dashes.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }
}

macro_rules! options {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:literal, $scope:ident $(, $change:ident)?;)+) => {
        /// All options, in the order of the manual.
        pub const OPTIONS: &[OptionSpec] = &[$(
            OptionSpec {
                name: stringify!($name),
                kind: <$type as Value>::KIND,
                default: $default,
                help: concat!($($doc),+).trim_ascii(),
                scope: Scope::$scope,
                change: change!($($change)?),
            },
        )+];

        /// What holds after all layers, typed.
        #[derive(Clone, Debug)]
        pub struct Settings {
            $($(#[doc = $doc])+ pub $name: $type,)+
        }

        impl Settings {
            /// Every option with its value, as a programmer writes it; secrets do not show.
            pub fn shown(&self) -> Vec<(&'static OptionSpec, String)> {
                let values = [$(format!("{:?}", self.$name),)+];
                OPTIONS.iter().zip(values).collect()
            }

            /// Reads every option; `value` gives its text.
            pub(super) fn read(value: impl Fn(&OptionSpec) -> Given) -> Result<Settings, ConfigError> {
                let mut table = OPTIONS.iter();
                Ok(Settings {
                    $($name: next(&mut table, &value)?,)+
                })
            }
        }
    };
}

/// The text of an option, and who says so.
pub(super) struct Given {
    pub text: zeroize::Zeroizing<String>,
    pub source: String,
}

fn next<T: Value>(
    table: &mut std::slice::Iter<'_, OptionSpec>,
    value: &impl Fn(&OptionSpec) -> Given,
) -> Result<T, ConfigError> {
    // The table and the fields come from one list, so there is one for each.
    let option = table.next().ok_or(ConfigError::Internal)?;
    let given = value(option);
    T::read(&given.text).ok_or_else(|| ConfigError::BadValue {
        name: option.name,
        value: match option.kind {
            Kind::Secret => "(not shown)".to_owned(),
            _ => given.text.escape_debug().to_string(),
        },
        source_name: given.source,
        why: T::wrong(&given.text),
    })
}

options! {
    /// Address of the API. Plain http is accepted on a loopback address only.
    api_url: String = "https://api.1fichier.com/v1", Service;
    /// Address of the public site.
    site_url: String = "https://1fichier.com", Service;
    /// For a simulator on a loopback address that runs so many times as fast: divides every
    /// window of the limits and multiplies every rate.
    limits_scale: Factor = "1", Service;
    /// Which addresses of the service to use: the account may be used from one place at a
    /// time, and IPv4 and IPv6 can count as two.
    address_family: AddressFamily = "auto", Service;
    /// How long a connection may take to come about.
    connect_timeout: Wait = "10s", Service;

    /// The API key. Better in a file of its own or from a command.
    api_key: Option<ApiKey> = "", Key, Now;
    /// A shell command that prints the API key.
    api_key_command: Option<String> = "", Key, Now;
    /// A file that holds the API key, readable by its owner only.
    api_key_file: Option<PathBuf> = "", Key, Now;
    /// Under which description the API key is in the kernel's keyring of the user. It is gone
    /// after a restart of the machine.
    api_key_keyring: Option<String> = "", Key, Now;

    /// A shell command that prints the password of the public folder that `share` names.
    share_password_command: Option<String> = "", Key;
    /// The password of files that the service gives only to who knows one: sent for these alone.
    file_password: Option<Password> = "", Key;
    /// A shell command that prints that password.
    file_password_command: Option<String> = "", Key;

    /// Show this public folder instead of the account, for reading only. Names and sizes need no
    /// account; the service gives the bytes only to who has the key of one.
    share: Option<PublicFolder> = "", Mount;
    /// Who shares folders with the account: e-mail addresses of users, and NAME=NUMBER of single
    /// folders, separated by spaces. The service lists them nowhere.
    shared: SharedFolders = "", Mount;
    /// The folder in the root that shows what others share; it is there when `shared` names some.
    shared_folder: String = "Shared with me", Mount;
    /// Refuse all changes.
    ro: bool = "false", Mount;
    /// Let other users see the mount.
    allow_other: bool = "false", Mount;
    /// Owner of all files that have none of their own; the user who mounts if empty.
    uid: Option<u32> = "", Mount;
    /// Group of all files that have none of their own; the group of who mounts if empty.
    gid: Option<u32> = "", Mount;
    /// Permissions that files and folders lack which have none of their own.
    umask: Umask = "022", Mount;
    /// Folder of the account to show as the root of the mount; all of it if empty.
    root_folder: String = "", Mount;
    /// How long a folder's listing is good before it is looked at again.
    dir_cache_time: Duration = "5m", Mount;
    /// Look at all folders anew after the start, in the background: at most what people leave of
    /// the pace that the service allows, two folders a second.
    refresh_at_start: bool = "false", Mount;
    /// Have programs that watch a folder, as file managers do, hear of changes made elsewhere once they
    /// are found. Indexers, thumbnailers and programs that synchronise hear of them, too, and may read what
    /// is new, which downloads it. Not in a mount that refuses all changes.
    inotify: bool = "true", Mount;
    /// How long an operation on names may take before it fails.
    metadata_deadline: Wait = "10s", Mount;
    /// How long a read may take before it fails.
    data_deadline: Wait = "30s", Mount;

    /// Where clean copies of what was read are kept, for one account: what another left in it is
    /// removed. Below the user's cache directory if empty, a folder for each profile.
    cache_dir: Option<PathBuf> = "", Reading;
    /// Most bytes that the cache may take.
    cache_size: Size = "10GiB", Reading;
    /// How long a cached file is kept after its last use; 0 for as long as there is room.
    cache_max_age: Duration = "0", Reading;
    /// Bytes that the cache leaves free on its disk: it keeps less where the disk fills up.
    cache_min_free: Size = "1GiB", Reading;
    /// Have the kernel itself read files that are whole in the cache and were compared with their
    /// checksum: no read of them comes here. For a daemon that is root. Who has such a file open goes on
    /// reading what it was when others change it; not for mounts that an NFS server shares.
    passthrough: bool = "false", Reading;
    /// Most connections for downloads at a time; the service allows 30 for all programs together.
    connections: Between<1, 30> = "8", Reading;
    /// Most bytes a second of all downloads together, by local time where wanted: the first span
    /// that holds decides.
    download_limit: Timetable = "", Reading, Now;

    /// Where changes wait for their upload, with the database; below the user's data
    /// directory if empty.
    state_dir: Option<PathBuf> = "", Writing;
    /// Most bytes that may wait for their upload; beyond it writing is slowed down to the
    /// speed of the uploads. A single file cannot be larger: it can be sent only when it is whole.
    staging_budget: Size = "32GiB", Writing;
    /// How long writing waits for room where nothing that is queued makes progress, before
    /// it fails with "no space".
    write_wait: Duration = "10m", Writing;
    /// How long a closed file rests before it is uploaded.
    write_back: Duration = "5s", Writing;
    /// What an `fsync` waits for: this machine's disk, or also the service. A wait beyond
    /// `data_deadline` ends with "timed out"; the file is safe here then and is being sent.
    fsync: Fsync = "local", Writing;
    /// How long a file may stay open for writing before what it holds is uploaded all the same,
    /// and again each time as much has passed; 0 for never. Each time it is uploaded whole.
    flush_open_after: Duration = "24h", Writing;
    /// Files of these names stay on this machine and are never uploaded: what editors and file
    /// managers leave beside files. Patterns as shells have them, separated by spaces. A file
    /// that the service has already stays there under any name.
    local_names: Patterns = ".~lock.*# .#* .*.sw? 4913 .goutputstream-* .DS_Store Thumbs.db ~$* .fuse_hidden*", Writing;
    /// Uploads at a time.
    uploads: Between<1, 30> = "2", Writing;
    /// Most bytes a second of all uploads together, by local time where wanted: the first span
    /// that holds decides. An upload that would last longer than the service allows is freed from it.
    upload_limit: Timetable = "", Writing, Now;
    /// How long the queue is worked off after `unmount` or a signal took the mount away.
    drain_timeout: Duration = "10m", Writing;

    /// How much is logged.
    log_level: LogLevel = "info", Program, Now;
    /// How log lines are written, where they do not go to the journal.
    log_format: LogFormat = "text", Program;
    /// A file for the log. If empty: the journal for a service of systemd, fichierfs.log in
    /// state_dir in the background, else standard error.
    log_file: Option<PathBuf> = "", Program;
    /// How long a log file may become before the next one is begun.
    log_file_size: Size = "10MiB", Program;
    /// How many full log files are kept beside the one in use.
    log_files: usize = "5", Program;
    /// Where figures for Prometheus can be fetched, at /metrics, and /healthz for supervisors: a
    /// unix socket for this user alone, or a port of a loopback address, open to all users of the machine.
    metrics: Option<Listen> = "", Program;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_can_be_read() {
        let settings = Settings::read(|option| Given {
            text: option.default.to_owned().into(),
            source: "default".to_owned(),
        })
        .unwrap();
        assert_eq!(settings.write_back, Duration::from_secs(5));
        assert_eq!(settings.umask, Umask(0o22));
        assert!(settings.api_key.is_none() && settings.cache_dir.is_none());
    }

    #[test]
    fn names_are_plain_and_each_is_there_once() {
        let mut names: Vec<_> = OPTIONS.iter().map(|option| option.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), OPTIONS.len());
        for option in OPTIONS {
            assert!(
                option.help.ends_with('.') && !option.help.starts_with(' '),
                "{}",
                option.name
            );
            assert_eq!(OptionSpec::of(option.name), Some(option));
        }
        let option = OptionSpec::of("write_back").unwrap();
        assert_eq!(option.variable(), "FICHIERFS_WRITE_BACK");
        assert_eq!(option.flag(), "write-back");
    }
}
