//! Every option is everywhere: one definition, and this look at all the places that come from it.

use std::collections::BTreeSet;

use fichierfs::config::{Kind, Layers, OPTIONS, OptionSpec, Timetable, Value, resolve};

use crate::user::{SPEED, User};

/// Something that an option takes and that is not its default.
fn example(option: &OptionSpec) -> String {
    match option.kind {
        Kind::Flag => (option.default == "false").to_string(),
        Kind::Duration | Kind::Wait => "17s".to_owned(),
        Kind::Size => "17MiB".to_owned(),
        Kind::Count | Kind::Between(..) => "17".to_owned(),
        Kind::Factor => "2".to_owned(),
        Kind::Octal => "027".to_owned(),
        Kind::Text => "https://127.0.0.1:1/x".to_owned(),
        Kind::Path => "/tmp/x".to_owned(),
        Kind::Timetable => "17MiB".to_owned(),
        Kind::Patterns => "*.x".to_owned(),
        Kind::Listen => "/tmp/x.sock".to_owned(),
        Kind::SharedFolders => "friend@example.org".to_owned(),
        Kind::PublicFolder => "https://1fichier.com/dir/Ab3dEfGh".to_owned(),
        Kind::Choice(words) => {
            let other = words.iter().find(|word| **word != option.default);
            (*other.unwrap()).to_owned()
        }
        Kind::Secret => "a".repeat(32),
    }
}

fn changed(layers: &Layers) -> Vec<&'static str> {
    let plain = resolve(&Layers::default()).unwrap().settings.shown();
    let resolved = resolve(layers).unwrap();
    assert!(resolved.unknown_variables.is_empty());
    let values = resolved.settings.shown();
    let pairs = plain.into_iter().zip(values);
    pairs
        .filter(|((_, old), (_, new))| old != new)
        .map(|((option, _), _)| option.name)
        .collect()
}

#[test]
fn every_option_is_in_the_file_the_environment_and_after_o() {
    for option in OPTIONS {
        let value = example(option);
        let file = Layers {
            file: Some(("/c".into(), format!("{} = \"{value}\"", option.name).into())),
            ..Layers::default()
        };
        let environment = Layers {
            environment: vec![(option.variable(), value.clone())],
            ..Layers::default()
        };
        let mount_option = Layers {
            mount_options: vec![format!("{}={value}", option.name)],
            ..Layers::default()
        };
        assert_eq!(changed(&file), [option.name]);
        assert_eq!(changed(&environment), [option.name]);
        match option.kind {
            // Arguments can be seen by every user of the machine.
            Kind::Secret => assert!(resolve(&mount_option).is_err()),
            _ => assert_eq!(changed(&mount_option), [option.name]),
        }
    }
    assert!(!Timetable::read("17MiB").unwrap().is_off());
}

/// The long flags in a text, as `--write-back`.
fn flags(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("--") {
        let rest = &text[at + 2..];
        let end = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '-' || c.is_ascii_digit()));
        let name = &rest[..end.unwrap_or(rest.len())];
        if !name.is_empty() && !text[..at].ends_with('-') {
            found.insert(name.trim_end_matches('-').to_owned());
        }
    }
    found
}

#[test]
fn help_manual_completions_and_documents_name_the_same_options() {
    let user = User::new(SPEED);
    let wanted: BTreeSet<String> = OPTIONS
        .iter()
        .filter(|option| option.kind != Kind::Secret)
        .map(OptionSpec::flag)
        .collect();
    // What `mount` has beside the table.
    let own = [
        "config",
        "profile",
        "background",
        "help",
        "version",
        "fake",
        "report-start",
    ];
    let own: BTreeSet<String> = own.map(str::to_owned).into();
    let missing =
        |text: &str| -> Vec<String> { wanted.difference(&flags(text)).cloned().collect() };
    let none: Vec<String> = Vec::new();

    let help = user.run(&["mount", "--help"]).out;
    assert_eq!(missing(&help), none, "in --help");
    let manual = user.run(&["man", "mount"]).out.replace("\\-", "-");
    assert_eq!(missing(&manual), none, "in the manual");
    for text in [&help, &manual] {
        let unknown: Vec<String> = flags(text)
            .into_iter()
            .filter(|flag| !wanted.contains(flag) && !own.contains(flag))
            .collect();
        assert_eq!(unknown, none, "named, but no option");
    }
    for shell in ["bash", "zsh"] {
        let completion = user.run(&["completions", shell]).out;
        assert_eq!(missing(&completion), none, "in {shell}");
    }
    let fish = user.run(&["completions", "fish"]).out;
    for flag in &wanted {
        let words = format!("__fish_fichierfs_using_subcommand mount\" -l {flag}");
        assert!(fish.contains(&words), "{flag} in fish");
    }

    let document = include_str!("../../docs/configuration.md");
    let rows: BTreeSet<&str> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    for option in OPTIONS {
        assert!(
            rows.contains(option.name),
            "{} in the document",
            option.name
        );
        assert!(help.contains(&option.flag()) || option.kind == Kind::Secret);
    }
}

#[test]
fn exit_codes_are_documented_where_people_look() {
    let user = User::new(SPEED);
    let help = user.run(&["--help"]).out;
    let troubleshooting = include_str!("../../docs/troubleshooting.md");
    for words in [
        "0  done",
        "1  failed",
        "2  the command line",
        "3  done as far",
        "4  no such",
    ] {
        assert!(help.contains(words), "{words}");
        let plain = words.replace("  ", " ");
        assert!(troubleshooting.contains(&plain), "{plain}");
    }
}
