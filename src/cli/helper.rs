//! As a helper of mount(8): what `mount -t fichierfs`, `mount -t fuse.fichierfs` and lines of
//! fstab start, in the words of `fichierfs mount`.
//!
//! mount(8) runs `/sbin/mount.fichierfs SOURCE DIR [-sfnv] [-N NS] [-o OPTS] [-t TYPE]` (mount(8),
//! "External helpers"); for `fuse.fichierfs` mount.fuse3 runs `fichierfs SOURCE DIR -o OPTS`.
//! Both wait for the end of what they start, so the mount goes on in the background.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;

use super::args::Cli;
use super::exit::Exit;

/// The name under which mount(8) looks for us.
const NAME: &str = "mount.fichierfs";

/// Mount options that are arguments of ours and no options of the table.
const ARGUMENTS: [&str; 2] = ["config", "profile"];

/// The command line of `fichierfs mount` that a helper's command line means; `None` where
/// the program was not started as a helper.
pub(super) fn translate(words: &[OsString]) -> Option<Vec<OsString>> {
    let (program, rest) = words.split_first()?;
    let named = Path::new(program)
        .file_name()
        .is_some_and(|name| name == NAME);
    if !named && !by_mount_fuse(rest) {
        return None;
    }
    Some(mount_words(rest))
}

/// Whether mount.fuse3 calls: a source in place of a verb, a folder, and options.
fn by_mount_fuse(rest: &[OsString]) -> bool {
    let [source, folder, flag, _options] = rest else {
        return false;
    };
    let is_verb = |word: &OsStr| {
        Cli::command()
            .get_subcommands()
            .any(|verb| word == verb.get_name())
    };
    flag == "-o"
        && Path::new(folder).is_absolute()
        && !source.as_bytes().starts_with(b"-")
        && !is_verb(source)
}

fn mount_words(rest: &[OsString]) -> Vec<OsString> {
    let mut places = Vec::new();
    let mut options = Vec::new();
    let mut fake = false;
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        match word.as_bytes() {
            b"-o" => options.extend(rest.next().into_iter().flat_map(|list| items(list))),
            // A namespace, a type: mount(8) is in the one and knows the other.
            b"-N" | b"-t" => drop(rest.next()),
            b"-f" => fake = true,
            [b'-', letters @ ..] if letters.iter().all(|c| b"snvrw".contains(c)) => {
                if letters.contains(&b'r') {
                    options.push("ro".into());
                }
            }
            [b'-', letters @ ..] if letters.iter().all(|c| b"sfnvrw".contains(c)) => fake = true,
            _ => places.push(word.clone()),
        }
    }
    let mut out: Vec<OsString> = vec!["fichierfs".into(), "mount".into(), "--background".into()];
    if fake {
        out.push("--fake".into());
    }
    for option in options {
        let text = option.to_string_lossy();
        match text.split_once('=') {
            Some((name, value)) if ARGUMENTS.contains(&name) => {
                out.push(format!("--{name}").into());
                out.push(value.into());
            }
            _ => {
                out.push("-o".into());
                out.push(option);
            }
        }
    }
    out.push("--".into());
    // The source is a word for people. Without a folder clap says what is missing.
    out.extend(places.into_iter().skip(1));
    out
}

/// The items of a list of options; a comma after a backslash is part of an item, and stays
/// escaped.
fn items(list: &OsStr) -> Vec<OsString> {
    let mut items = vec![Vec::new()];
    let mut escaped = false;
    for byte in list.as_bytes() {
        if *byte == b',' && !escaped {
            items.push(Vec::new());
        } else if let Some(last) = items.last_mut() {
            last.push(*byte);
        }
        escaped = *byte == b'\\' && !escaped;
    }
    items.retain(|item| !item.is_empty());
    items
        .iter()
        .map(|item| OsStr::from_bytes(item).to_owned())
        .collect()
}

/// How mount(8) is told of a failure ("Exit status").
pub(super) fn code(exit: Exit) -> ExitCode {
    ExitCode::from(match exit {
        Exit::Done => 0,
        Exit::Usage => 1,
        Exit::Failed | Exit::WorkLeft | Exit::NoMount => 32,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(line: &str) -> Option<String> {
        let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
        let words = translate(&words)?;
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        Some(words.join(" "))
    }

    #[test]
    fn a_helpers_words_are_those_of_mount() {
        assert_eq!(
            meant("/sbin/mount.fichierfs none /mnt/a -v -o ro,_netdev,profile=work,umask=027")
                .unwrap(),
            "fichierfs mount --background -o ro -o _netdev --profile work -o umask=027 -- /mnt/a"
        );
        assert_eq!(
            meant("mount.fichierfs x /mnt/a -sn -t fuse.fichierfs -N 7").unwrap(),
            "fichierfs mount --background -- /mnt/a"
        );
        assert_eq!(
            meant("/usr/bin/fichierfs my /mnt/a -o rw,config=/etc/f.toml,root_folder=a\\,b")
                .unwrap(),
            "fichierfs mount --background -o rw --config /etc/f.toml -o root_folder=a\\,b -- /mnt/a"
        );
    }

    #[test]
    fn a_persons_words_stay() {
        for line in [
            "fichierfs mount /mnt/a -o ro",
            "fichierfs status",
            "fichierfs moutn /mnt/a",
            "fichierfs --version",
            "fichierfs refresh /a -o /b",
            "fichierfs",
        ] {
            assert_eq!(meant(line), None, "{line}");
        }
    }
}
