//! `doctor`: examines this machine, tells what was found, and mends what it may.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use super::args::{DoctorArgs, OptionFlags};
use super::exit::{Exit, Failure};
use super::load::{self, Loaded, NamedFile};
use super::show::{self, Paint, Tone};
use super::{Outcome, restore};
use crate::api::{Ask, Class};
use crate::config::config_file;
use crate::control::protocol::{SCHEMA, Status};
use crate::daemon;
use crate::doctor::report::{self, Names};
use crate::doctor::{self, Case, Configured, Finding, KeyAnswer, Level, Report};

/// How long the service may take to say whether it takes the key, its turn in the
/// pace of calls included.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn run(args: &DoctorArgs) -> Outcome {
    if let Some(dir) = &args.restore {
        let none = OptionFlags::default();
        let loaded = load::load(&args.config, NamedFile::Exists, &none, &[])?;
        return restore::run(&loaded, dir, args.json);
    }
    let case = case(args).await?;
    let mut findings = doctor::examine(&case);
    if args.fix {
        findings.iter_mut().for_each(Finding::mend_now);
    }
    if let Some(file) = &args.report {
        let names = match args.with_names {
            true => Names::Shown,
            false => Names::Hidden,
        };
        let text = report::write(&case, &findings, names);
        let written = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(file)
            .and_then(|mut file| file.write_all(text.as_bytes()));
        written
            .map_err(|error| Failure::new(Exit::Failed, format!("{}: {error}", file.display())))?;
    }
    let problems = findings.iter().filter(|one| one.is_open_problem()).count();
    if args.json {
        let version = env!("CARGO_PKG_VERSION");
        show::print_json(&Report {
            schema: SCHEMA,
            version,
            findings,
        })?;
    } else {
        show::print(&listed(&findings, Paint::for_stdout()))?;
    }
    match problems {
        0 => Ok(Exit::Done),
        n => {
            let line = format!("{} to be mended", show::count(n as u64, "problem"));
            Err(Failure::new(Exit::Failed, line))
        }
    }
}

async fn case(args: &DoctorArgs) -> Result<Case, Failure> {
    let file = match &args.config.config {
        Some(path) => path.clone(),
        None => config_file()?,
    };
    let mut daemons = Vec::new();
    for daemon in load::daemons().await {
        // One that is about to end is none to look at.
        daemons.extend(daemon.status().await);
    }
    let loaded = load::read(
        &args.config,
        NamedFile::Exists,
        &OptionFlags::default(),
        &[],
    );
    let (configured, key) = match loaded {
        Err(error) => (Err(error), KeyAnswer::NotAsked("no configuration".into())),
        Ok(loaded) => {
            let key = key(&loaded, &daemons, args.offline).await;
            let configured = Configured {
                settings: loaded.settings,
                paths: loaded.paths,
                unknown_variables: loaded.unknown_variables,
            };
            (Ok(configured), key)
        }
    };
    Ok(Case {
        file,
        configured,
        daemons,
        key,
        offline: args.offline,
    })
}

/// Whether the service takes the key: a daemon knows, or one call tells.
async fn key(loaded: &Loaded, daemons: &[Status], offline: bool) -> KeyAnswer {
    let [state, ..] = loaded.paths.all();
    let daemon = daemons
        .iter()
        .find(|status| status.daemon.state_dir == state);
    if let Some(status) = daemon {
        let at = status.daemon.mountpoint.display();
        return match status.api.key_refused {
            true => KeyAnswer::Refused("the service refused the API key".to_owned()),
            false => KeyAnswer::Good(format!("in use at {at}")),
        };
    }
    let key = match load::key(&loaded.settings) {
        Ok(key) => key,
        Err(failure) => return KeyAnswer::None(failure.line),
    };
    if offline {
        return KeyAnswer::NotAsked("--offline".to_owned());
    }
    let api = match daemon::api(&loaded.settings, &loaded.paths, Some(key)) {
        Ok(api) => api,
        Err(error) => return KeyAnswer::NotAsked(super::exit::chain(&error)),
    };
    let ask = Ask::until(Class::Interactive, Instant::now() + PATIENCE);
    match api.account(ask).await {
        Ok(_) => KeyAnswer::Good("asked just now".to_owned()),
        Err(error) if error.is_passing() => KeyAnswer::NotAsked(error.to_string()),
        Err(error) => KeyAnswer::Refused(format!("{error}. {}", error.advice())),
    }
}

fn listed(findings: &[Finding], paint: Paint) -> String {
    let mut out = String::new();
    for finding in findings {
        let (word, tone) = match (finding.fixed, finding.level) {
            (true, _) => ("mended", Tone::Good),
            (_, Level::Ok) => ("ok", Tone::Good),
            (_, Level::Note) => ("note", Tone::Strong),
            (_, Level::Warning) => ("warning", Tone::Strong),
            (_, Level::Problem) => ("problem", Tone::Bad),
        };
        let word = paint.tone(tone, &format!("{word:<8}"));
        let what = show::plain(&finding.what);
        out.push_str(&format!("{word} {:<14} {what}\n", finding.check));
        if let Some(mend) = finding.mend.as_ref().filter(|_| !finding.fixed) {
            out.push_str(&format!("{:>23} → {}\n", "", show::plain(mend)));
        }
    }
    out
}
