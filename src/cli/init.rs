//! `init`: asks for the key, checks it with one call, and stores it.

use std::io::{self, BufRead, IsTerminal};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::args::InitArgs;
use super::exit::{Exit, Failure};
use super::load::{self, Loaded, NamedFile};
use super::show::{self, Paint};
use super::{Outcome, account};
use crate::api::{ApiError, Ask, Class};
use crate::config::{ApiKey, BadKey, write_key};
use crate::control::protocol::Account;
use crate::daemon::{self, StartError};
use crate::store::Store;

/// How long the check may take.
const PATIENCE: Duration = Duration::from_secs(30);

const WHERE: &str = "\
The API key is on https://1fichier.com/console/params.pl, for Premium and Access accounts.
Take one for fichierfs alone: a program that shares it can get it locked.";

pub(super) async fn run(args: &InitArgs) -> Outcome {
    let loaded = load::load(&args.config, NamedFile::MayBeNew, &args.options, &[])?;
    let key = ask_for_key()?;
    let checked = check(&loaded, &key).await?;
    let profile = args.config.profile.as_deref();
    write_key(&loaded.file, profile, &key)?;
    let mut text = String::new();
    match checked {
        Checked::Good(figures) => text.push_str(&account::text(&figures, Paint::for_stdout())),
        Checked::NotNow(error) => text.push_str(&format!(
            "The key is stored but not checked: {error}. {}\n",
            error.advice()
        )),
    }
    text.push_str(&format!(
        "Written to {} (readable by you alone). Next: mkdir -p ~/1fichier && fichierfs mount{} ~/1fichier\n",
        loaded.file.display(),
        profile.map(|name| format!(" --profile {name}")).unwrap_or_default(),
    ));
    show::print(&text)?;
    Ok(Exit::Done)
}

fn ask_for_key() -> Result<ApiKey, Failure> {
    let text = if io::stdin().is_terminal() {
        eprintln!("{WHERE}");
        Zeroizing::new(rpassword::prompt_password("API key (it is not shown): ")?)
    } else {
        let mut line = Zeroizing::new(String::new());
        io::stdin().lock().read_line(&mut line)?;
        line
    };
    ApiKey::new(text.as_str().to_owned()).map_err(|error| {
        let line = match error {
            BadKey::Empty => format!("{error}. {}", WHERE.replace('\n', " ")),
            error => error.to_string(),
        };
        Failure::new(Exit::Usage, line)
    })
}

/// What one call told of the key.
enum Checked {
    Good(Account),
    /// The service could not be asked, which says nothing about the key.
    NotNow(ApiError),
}

async fn check(loaded: &Loaded, key: &ApiKey) -> Result<Checked, Failure> {
    let api = daemon::api(&loaded.settings, &loaded.paths, key.clone())?;
    let ask = Ask::until(Class::Interactive, Instant::now() + PATIENCE);
    match api.account(ask).await {
        Ok(account) => {
            let path = loaded.paths.state_dir()?.join(daemon::DATABASE);
            let store = Store::open(&path).map_err(StartError::from)?;
            let told = daemon::account::save(&store, &account).map_err(StartError::from)?;
            Ok(Checked::Good(told))
        }
        Err(error) if error.is_passing() => Ok(Checked::NotNow(error)),
        Err(error) => {
            let line = format!("nothing was stored: {error}. {}", error.advice());
            Err(Failure::new(Exit::Failed, line))
        }
    }
}
