//! The command line as clap sees it. The options of the table are not listed
//! here: they come from `config`, where each is defined once.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches, Parser, Subcommand};

use super::init;
use crate::config::{Value, flag_arguments, given_flags};
use crate::sim::SimulateArgs;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed; the line on standard error says why and what to do
  2  the command line or the configuration cannot be used
  3  done as far as possible: work is left in the queue
  4  no such mount

Every option of `fichierfs mount` is also FICHIERFS_<OPTION> in the environment, a line in
the configuration file, and a word after -o.";

/// A 1fichier.com account as a local folder
#[derive(Parser, Debug)]
#[command(name = "fichierfs", version, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Mount the account on an empty folder
    #[command(
        after_help = "Example:\n  fichierfs mount ~/1fichier\n  fichierfs mount --background --ro -o allow_other,umask=027 /mnt/1fichier\n  fichierfs mount --share https://1fichier.com/dir/Ab3dEfGh ~/shared"
    )]
    Mount(Box<MountArgs>),
    /// Take a mount away, after its queue is worked off
    #[command(
        after_help = "Example:\n  fichierfs unmount ~/1fichier\n  fichierfs unmount --drain-timeout 1h ~/1fichier\n\nExits with 3 if work is left; it goes on at the next mount."
    )]
    Unmount(UnmountArgs),
    /// Show what a mount is doing
    #[command(
        after_help = "Example:\n  fichierfs status --watch\n  fichierfs status --json | jq .queue"
    )]
    Status(StatusArgs),
    /// Show and steer what is queued for the service
    #[command(
        after_help = "Example:\n  cp film.mkv ~/1fichier && fichierfs queue wait && echo uploaded"
    )]
    Queue(QueueArgs),
    /// List folders anew, now
    #[command(
        after_help = "Example:\n  fichierfs refresh ~/1fichier/Downloads\n  fichierfs refresh -r ~/1fichier\n\nThe service lists a folder at most every 30 seconds: this waits for it. What the service lists then shows when this returns."
    )]
    Refresh {
        /// Also all folders below them
        #[arg(short, long)]
        recursive: bool,
        /// Folders of a mount
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Fetch files or folders and keep them, for use without the network
    #[command(
        after_help = "Example:\n  fichierfs pin ~/1fichier/Travel\n  fichierfs pin --list\n\nWhat comes into a pinned folder later is fetched, too. Exits with 3 if not all can be had now; it is tried again by itself."
    )]
    Pin(PinArgs),
    /// Compare files with the checksums of the service, after fetching what is absent
    #[command(
        after_help = "Example:\n  fichierfs verify ~/1fichier/Backups\n\nA file that differs is fetched once more; one that still differs cannot be read until this finds it right."
    )]
    Verify {
        /// As JSON, one object a path; the schema is versioned
        #[arg(long)]
        json: bool,
        /// Files or folders of a mount
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Release what was pinned: it stays in the cache as long as there is room
    #[command(after_help = "Example:\n  fichierfs unpin ~/1fichier/Travel")]
    Unpin {
        /// What was pinned
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Print the address under which the service shows a file, for sharing
    #[command(after_help = "Example:\n  fichierfs link ~/1fichier/Videos/film.mkv")]
    Link {
        /// Files of a mount, uploaded already
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Show or empty the cache of what was read
    #[command(
        after_help = "Example:\n  fichierfs cache stats\n  fichierfs cache clear\n\nWhat waits for its upload is kept elsewhere and is never touched."
    )]
    Cache {
        /// What to do
        #[command(subcommand)]
        verb: CacheVerb,
    },
    /// Show the account's figures
    #[command(after_help = "Example:\n  fichierfs account --json")]
    Account {
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Which mount's account
        #[command(flatten)]
        mount: MountpointArg,
    },
    /// Ask for the API key, check it and store it
    #[command(
        after_help = "Example:\n  fichierfs init\n  pass show 1fichier | fichierfs init\n  fichierfs init --rotate",
        long_about = init::ABOUT
    )]
    Init(Box<InitArgs>),
    /// Find what is wrong on this machine, and say how to mend it
    #[command(
        after_help = "Example:\n  fichierfs doctor\n  fichierfs doctor --fix\n  fichierfs doctor --report doctor.txt\n  fichierfs doctor --restore ~/rescued\n\nExits with 1 if something has to be mended. The service is asked one call for the key, and only\nif no mount runs that knows already."
    )]
    Doctor(Box<DoctorArgs>),
    /// Have systemd mount the account at each start
    #[command(
        after_help = "Example:\n  fichierfs service install ~/1fichier\n  sudo fichierfs service install --system /mnt/1fichier\n  fichierfs service show"
    )]
    Service {
        /// What to do
        #[command(subcommand)]
        verb: ServiceVerb,
    },
    /// Run a simulator of the service, for tests
    #[command(
        after_help = "Example:\n  fichierfs simulate --listen 127.0.0.1:8080 --synthetic tree=20x100,size=4KiB"
    )]
    Simulate(Box<SimulateArgs>),
    /// Try it out: a simulated account, mounted until Ctrl-C
    #[command(after_help = "Example:\n  fichierfs demo")]
    Demo {
        /// Where to mount; ./1fichier-demo if left out
        mountpoint: Option<PathBuf>,
    },
    /// Print completions for a shell
    #[command(
        after_help = "Example:\n  fichierfs completions bash > ~/.local/share/bash-completion/completions/fichierfs"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page of a verb, or write all of them
    #[command(
        after_help = "Example:\n  fichierfs man | man -l -\n  fichierfs man --out ~/.local/share/man/man1"
    )]
    Man {
        /// The verb; the program itself if left out
        verb: Option<String>,
        /// Write the pages of all verbs into this folder
        #[arg(long, value_name = "DIR", conflicts_with = "verb")]
        out: Option<PathBuf>,
    },
}

/// Which configuration.
#[derive(Args, Clone, Default, Debug)]
pub struct ConfigArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE", env = "FICHIERFS_CONFIG")]
    pub config: Option<PathBuf>,
    /// Profile in the configuration file, for several accounts
    #[arg(long, value_name = "NAME", env = "FICHIERFS_PROFILE")]
    pub profile: Option<String>,
}

/// The options of the table that were given as flags.
#[derive(Clone, Default, Debug)]
pub struct OptionFlags(pub Vec<(&'static str, String)>);

impl Args for OptionFlags {
    fn augment_args(command: Command) -> Command {
        command.args(flag_arguments())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for OptionFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(OptionFlags(given_flags(matches)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// `mount`.
#[derive(Args, Debug)]
pub struct MountArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// Return once mounted, and go on in the background
    #[arg(long)]
    pub background: bool,
    /// Mount options: every option by its name, and those of mount(8)
    #[arg(short = 'o', value_name = "OPTS", help_heading = "Mount")]
    pub mount_options: Vec<String>,
    #[command(flatten)]
    pub(super) options: OptionFlags,
    /// Tells the process in the foreground how the start went.
    #[arg(long, hide = true)]
    pub(super) report_start: bool,
    /// As `mount -f`: everything but the mount.
    #[arg(long, hide = true)]
    pub(super) fake: bool,
    /// An empty folder
    pub mountpoint: PathBuf,
}

/// Which of several mounts.
#[derive(Args, Debug)]
pub struct MountpointArg {
    /// Which mount; may be left out where only one runs
    pub mountpoint: Option<PathBuf>,
}

/// `unmount`.
#[derive(Args, Debug)]
pub struct UnmountArgs {
    /// How long to wait for the queue [default: the mount's drain_timeout]
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "no_wait")]
    pub drain_timeout: Option<Duration>,
    /// Leave the queue for the next mount
    #[arg(long)]
    pub no_wait: bool,
    /// Only take away what a crash left of the mount; nothing where it lives
    #[arg(long, conflicts_with_all = ["drain_timeout", "no_wait"], requires = "mountpoint")]
    pub if_dead: bool,
    #[command(flatten)]
    pub(super) mount: MountpointArg,
}

/// `status`.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// As JSON; the schema is versioned
    #[arg(long)]
    pub json: bool,
    /// Show it anew each second until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// For supervisors: print nothing, and exit with 1 and a reason unless all is well
    #[arg(long, conflicts_with_all = ["json", "watch"])]
    pub check: bool,
    #[command(flatten)]
    pub(super) mount: MountpointArg,
}

/// `queue`.
#[derive(Args, Debug)]
pub struct QueueArgs {
    #[command(subcommand)]
    pub(super) verb: QueueVerb,
}

/// What to do with the queue.
#[derive(Subcommand, Debug)]
pub enum QueueVerb {
    /// List what is queued
    List {
        /// As JSON; the schema is versioned
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        mount: MountpointArg,
    },
    /// Wait until everything is confirmed on the service
    Wait {
        /// How long to wait; for ever if left out
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        timeout: Option<Duration>,
        #[command(flatten)]
        mount: MountpointArg,
    },
    /// Begin now: end write-back delays and waits after failures
    Flush {
        /// A file of a mount, or the mount for all that is queued
        path: Option<PathBuf>,
    },
    /// Give up what is queued: files become what the service has of them
    ///
    /// What the service has nothing of is removed. Where bytes exist here alone, nothing
    /// is done without --force; what would be lost is listed.
    #[command(
        after_help = "Examples:\n  fichierfs queue cancel ~/1fichier/film.mkv\n  fichierfs queue cancel --force ~/1fichier/old"
    )]
    Cancel {
        /// A file of a mount, or a folder with all that is queued in it; all that failed
        /// if left out
        path: Option<PathBuf>,
        /// Also where bytes are lost
        #[arg(long)]
        force: bool,
        /// As JSON; the schema is versioned
        #[arg(long)]
        json: bool,
    },
    /// Take up again what failed for good
    Retry {
        /// A file of a mount, or the mount for all that failed
        path: Option<PathBuf>,
    },
}

/// What to do with the service.
#[derive(Subcommand, Debug)]
pub enum ServiceVerb {
    /// Write the unit for a mountpoint and say what to run next
    ///
    /// One unit serves all mountpoints; its instance is the mountpoint. With --system the link
    /// /sbin/mount.fichierfs is made, too, so that mount(8) and fstab know the type fichierfs.
    Install {
        #[command(flatten)]
        place: ServicePlace,
        /// Profile in the configuration file that this mount uses
        #[arg(long, value_name = "NAME")]
        profile: Option<String>,
        /// Overwrite files that were changed by hand
        #[arg(long)]
        force: bool,
        /// Where to mount; the folder is made if it is not there
        mountpoint: PathBuf,
    },
    /// Remove what `install` wrote, and say what to run next
    Uninstall {
        #[command(flatten)]
        place: ServicePlace,
        /// Also files that were changed by hand
        #[arg(long)]
        force: bool,
        /// Where it is mounted
        mountpoint: PathBuf,
    },
    /// Print the unit
    Show {
        #[command(flatten)]
        place: ServicePlace,
    },
}

/// Whose service.
#[derive(Args, Debug)]
pub struct ServicePlace {
    /// Of the machine instead of this user: it starts without a login, mounts for all users,
    /// and reads /etc/fichierfs/config.toml
    #[arg(long)]
    pub system: bool,
    /// A folder that is taken for the root of the machine, for who makes packages
    #[arg(long, value_name = "DIR", requires = "system")]
    pub root: Option<PathBuf>,
}

/// `doctor`.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// Mend what can be mended without risk
    #[arg(long)]
    pub fix: bool,
    /// Do not ask the service, nor look for it
    #[arg(long)]
    pub offline: bool,
    /// As JSON; the schema is versioned
    #[arg(long)]
    pub json: bool,
    /// Also write a report that can be posted: without key, links, names and paths
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Leave names and paths in the report
    #[arg(long, requires = "report")]
    pub with_names: bool,
    /// Copy into this folder what was written, but neither closed nor synced, before a crash
    #[arg(long, value_name = "DIR", conflicts_with_all = ["fix", "report", "offline"])]
    pub restore: Option<PathBuf>,
}

/// `pin`.
#[derive(Args, Debug)]
pub struct PinArgs {
    /// Show what is pinned and how far it is
    #[arg(long)]
    pub list: bool,
    /// As JSON; the schema is versioned
    #[arg(long)]
    pub json: bool,
    /// Return at once, and fetch in the background
    #[arg(long, conflicts_with = "list")]
    pub no_wait: bool,
    /// Files or folders of a mount; with --list, which mount
    #[arg(required_unless_present = "list", value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

/// What to do with the cache.
#[derive(Subcommand, Debug)]
pub enum CacheVerb {
    /// Show its figures
    Stats {
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        mount: MountpointArg,
    },
    /// Empty it; readers go on and fetch anew
    Clear {
        #[command(flatten)]
        mount: MountpointArg,
    },
}

/// Where `init` stores the key.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Storage {
    /// In the configuration file, mode 0600
    File,
    /// In the kernel's keyring of the user, until the machine restarts
    Keyring,
    /// In the desktop's keyring, through secret-tool
    Desktop,
}

/// `init`.
#[derive(Args, Debug)]
pub struct InitArgs {
    /// Where to store the key, in place of where it was [default: file, or where it is]
    #[arg(long, value_name = "WHERE")]
    pub store: Option<Storage>,
    /// Have running mounts use the new key from now on
    #[arg(long)]
    pub rotate: bool,
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    #[command(flatten)]
    pub(super) options: OptionFlags,
}

fn duration(text: &str) -> Result<Duration, String> {
    Duration::read(text).ok_or_else(|| format!("it takes {}", Duration::KIND.expects()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_of_the_table_are_flags_of_mount() {
        let cli =
            Cli::try_parse_from(["fichierfs", "mount", "--write-back", "9s", "-o", "ro", "/m"]);
        let Verb::Mount(args) = cli.unwrap().verb else {
            panic!("not mount");
        };
        assert_eq!(args.options.0, [("write_back", "9s".to_owned())]);
        assert_eq!(args.mount_options, ["ro"]);
        assert_eq!(args.mountpoint, PathBuf::from("/m"));
    }

    #[test]
    fn a_bad_duration_is_told_what_is_allowed() {
        let cli = Cli::try_parse_from(["fichierfs", "unmount", "--drain-timeout", "soon"]);
        let text = cli.unwrap_err().to_string();
        assert!(
            text.contains("--drain-timeout") && text.contains("10m"),
            "{text}"
        );
    }

    #[test]
    fn every_verb_has_an_example_and_waiting_excludes_not_waiting() {
        for verb in Cli::command().get_subcommands() {
            let help = verb.get_after_help().map(ToString::to_string);
            assert!(help.is_some_and(|h| h.starts_with("Example:")), "{verb}");
        }
        let both = ["fichierfs", "unmount", "--no-wait", "--drain-timeout", "1s"];
        assert!(Cli::try_parse_from(both).is_err());
    }
}
