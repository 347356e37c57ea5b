//! The table as flags of the command line.

use clap::{Arg, ArgAction, ArgMatches};

use super::options::{OPTIONS, OptionSpec, Scope};
use super::value::Kind;

/// A flag for every option that may be given as one.
pub fn arguments() -> impl Iterator<Item = Arg> {
    OPTIONS
        .iter()
        .filter(|option| option.kind != Kind::Secret)
        .map(argument)
}

fn argument(option: &'static OptionSpec) -> Arg {
    let help = match option.default {
        "" => option.help.to_owned(),
        default => format!("{} [default: {default}]", option.help),
    };
    let arg = Arg::new(option.name)
        .long(option.flag())
        .help(help)
        .help_heading(heading(option.scope))
        .action(ArgAction::Set)
        .value_name(match option.kind {
            Kind::Flag => "BOOL",
            Kind::Duration | Kind::Wait => "DURATION",
            Kind::Size => "SIZE",
            Kind::Path => "PATH",
            Kind::Choice(_) => "WORD",
            Kind::Count | Kind::Between(..) | Kind::Factor | Kind::Octal => "N",
            Kind::Timetable => "LIMIT",
            Kind::Listen => "PLACE",
            Kind::PublicFolder => "LINK",
            Kind::SharedFolders => "WHO",
            Kind::Patterns => "NAMES",
            Kind::Text | Kind::Secret => "TEXT",
        });
    match option.kind {
        Kind::Flag => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        _ => arg,
    }
}

pub(super) fn heading(scope: Scope) -> &'static str {
    match scope {
        Scope::Service => "Service",
        Scope::Key => "API key",
        Scope::Mount => "Mount",
        Scope::Reading => "Reading",
        Scope::Writing => "Writing",
        Scope::Program => "Program",
    }
}

/// The flags that were given, as a layer of the configuration.
pub fn given(matches: &ArgMatches) -> Vec<(&'static str, String)> {
    OPTIONS
        .iter()
        .filter_map(|option| {
            // A command may have only some of the flags.
            let value = matches.try_get_one::<String>(option.name).ok()??;
            Some((option.name, value.clone()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Vec<(&'static str, String)>, clap::Error> {
        clap::Command::new("t")
            .args(arguments())
            .try_get_matches_from(args)
            .map(|matches| given(&matches))
    }

    #[test]
    fn the_table_makes_sound_flags() {
        clap::Command::new("t").args(arguments()).debug_assert();
        let given = parse(&["t", "--ro", "--write-back", "9s", "--allow-other=false"]).unwrap();
        assert_eq!(
            given,
            [
                ("ro", "true".to_owned()),
                ("allow_other", "false".to_owned()),
                ("write_back", "9s".to_owned()),
            ]
        );
    }

    #[test]
    fn there_is_no_flag_for_a_secret() {
        assert!(parse(&["t", "--api-key", "x"]).is_err());
        assert!(parse(&["t", "--api-key-file", "/x"]).is_ok());
    }
}
