//! `completions` and `man`: both from the same grammar as the program itself.

use std::io;
use std::path::Path;

use clap::CommandFactory;

use super::args::Cli;
use super::exit::{Exit, Failure};
use super::{Outcome, show};

pub(super) fn completions(shell: clap_complete::Shell) -> Outcome {
    let mut command = Cli::command();
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, "fichierfs", &mut text);
    show::print(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Done)
}

pub(super) fn man(verb: Option<&str>, out: Option<&Path>) -> Outcome {
    if let Some(dir) = out {
        std::fs::create_dir_all(dir)?;
        clap_mangen::generate_to(Cli::command(), dir)?;
        return Ok(Exit::Done);
    }
    show::print(&page(verb)?)?;
    Ok(Exit::Done)
}

fn page(verb: Option<&str>) -> Result<String, Failure> {
    let mut command = Cli::command();
    command.build();
    let command = match verb {
        None => command,
        Some(verb) => command
            .find_subcommand(verb)
            .cloned()
            .ok_or_else(|| {
                let line = format!("there is no verb {verb:?}: `fichierfs --help` lists them");
                Failure::new(Exit::Usage, line)
            })?
            .display_name(format!("fichierfs-{verb}")),
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text)?;
    String::from_utf8(text).map_err(|error| io::Error::other(error).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_mount_has_every_option() {
        let page = page(Some("mount")).unwrap();
        for option in crate::config::OPTIONS {
            let flag = option.flag().replace('-', "\\-");
            let secret = option.kind == crate::config::Kind::Secret;
            assert_eq!(
                page.contains(&format!("\\-\\-{flag}\\fR")),
                !secret,
                "{flag}"
            );
        }
    }

    #[test]
    fn an_unknown_verb_is_named() {
        let failure = page(Some("fly")).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.line.contains("fly"));
    }
}
