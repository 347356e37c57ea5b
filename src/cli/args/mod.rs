//! The command line as clap sees it. The options of the table are not listed
//! here: they come from `config`, where each is defined once.

mod allow_new;
mod cache;
mod common;
mod init;
mod look;
mod mount;
mod queue;
mod service;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::sim::SimulateArgs;

pub use allow_new::AllowNewArgs;
pub use cache::{CacheVerb, PinArgs};
pub use common::{ConfigArgs, MountpointArg, OptionFlags};
pub use init::{InitArgs, Storage};
pub use look::{DoctorArgs, StatusArgs};
pub use mount::{MountArgs, UnmountArgs};
pub use queue::{QueueArgs, QueueVerb};
pub use service::{ServicePlace, ServiceVerb};

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
    /// Have names that were not seen in a folder count as new, so that they can be made
    #[command(
        after_help = "Example:\n  fichierfs allow-new ~/1fichier/Scans\n  fichierfs allow-new --off ~/1fichier/Scans",
        long_about = allow_new::ABOUT
    )]
    AllowNew(AllowNewArgs),
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
        fn check(command: &clap::Command) {
            for verb in command.get_subcommands() {
                let help = verb.get_after_help().map(ToString::to_string);
                assert!(help.is_some_and(|h| h.starts_with("Example:")), "{verb}");
                check(verb);
            }
        }
        check(&Cli::command());
        let both = ["fichierfs", "unmount", "--no-wait", "--drain-timeout", "1s"];
        assert!(Cli::try_parse_from(both).is_err());
    }
}
