//! `init`: asks for the key, checks it with one call, and stores it.

use std::io::{self, BufRead, IsTerminal};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::args::{InitArgs, Storage};
use super::exit::{Exit, Failure};
use super::hidden;
use super::load::{self, Loaded, NamedFile};
use super::show::{self, Paint};
use super::{Outcome, account, storage};
use crate::api::{ApiError, Ask, Class};
use crate::config::{ApiKey, BadKey};
use crate::control::protocol::{Account, ReloadRequest};
use crate::daemon::{self, NewKey};

/// What can be done about a thief, and where the key will be.
fn kept(storage: Storage) -> String {
    let place = match storage {
        Storage::File => {
            "in a file that other users of the machine cannot read; programs of your own
can, and who has the disk"
        }
        Storage::Keyring => {
            "in the kernel's keyring, in memory alone; programs of your own can read it,
and it has to be given again after each restart of the machine"
        }
        Storage::Desktop => {
            "in the desktop's keyring; programs of your own can ask for it while you are
logged in"
        }
    };
    format!(
        "There it can also be restricted to your address at home: who steals it can then not use it
         from elsewhere. It will be kept {place}.
         `fichierfs init --help` tells the other places, and what each protects from."
    )
}

/// How long the check may take.
const PATIENCE: Duration = Duration::from_secs(30);

const WHERE: &str = "\
The API key is on https://1fichier.com/console/params.pl, for Premium and Access accounts.
Take one for fichierfs alone: a program that shares it can get it locked.";

pub(super) async fn run(args: &InitArgs) -> Outcome {
    let loaded = load::load(&args.config, NamedFile::MayBeNew, &args.options, &[])?;
    let key = ask_for_key(storage::place(&loaded, args.store))?;
    // Whose first account it is nobody may know; then the user's word counts.
    let new_key = match args.rotate {
        true => NewKey::IsChecked,
        false => NewKey::MayBeAnyones,
    };
    let checked = check(&loaded, &key, new_key).await?;
    let profile = args.config.profile.as_deref();
    let stored = storage::keep(&loaded, profile, args.store, &key)?;
    let told = match (args.rotate, &checked) {
        (true, Checked::Good(_)) => rotate(&loaded, &key).await?,
        (true, Checked::NotNow(_)) => {
            "Running mounts go on with the old key, since the new one is not checked.\n".to_owned()
        }
        (false, _) => String::new(),
    };
    let mut text = String::new();
    match checked {
        Checked::Good(good) => {
            text.push_str(&account::text(&good.figures, Paint::for_stdout()));
            if good.was_refused {
                text.push_str("The service takes this key again, and mounts use it again.\n");
            }
        }
        Checked::NotNow(error) => text.push_str(&format!(
            "The key is stored but not checked: {error}. {}\n",
            error.advice()
        )),
    }
    text.push_str(&told);
    text.push_str(&format!(
        "{stored} Next: mkdir -p ~/1fichier && fichierfs mount{} ~/1fichier\n",
        profile
            .map(|name| format!(" --profile {name}"))
            .unwrap_or_default(),
    ));
    show::print(&text)?;
    Ok(Exit::Done)
}

/// Has the mount of this configuration use the new key.
async fn rotate(loaded: &Loaded, key: &ApiKey) -> Result<String, Failure> {
    let [state, ..] = loaded.paths.all();
    let mut told = String::new();
    for daemon in load::daemons().await {
        if daemon.hello().state_dir == state {
            let checked = Some(key.print());
            let in_use = daemon.reload(&ReloadRequest { checked }).await?.key_print;
            let at = daemon.hello().mountpoint.display().to_string();
            let at = show::plain(&at);
            told.push_str(&match in_use.is_none_or(|print| print == key.print()) {
                true => format!("{at} uses it from now on.\n"),
                false => format!(
                    "{at} does not use it: it has another one from its environment, a credential of systemd or its own configuration. Change it there, and mount again.\n"
                ),
            });
        }
    }
    Ok(told)
}

fn ask_for_key(place: Storage) -> Result<ApiKey, Failure> {
    let text = if io::stdin().is_terminal() {
        eprintln!("{WHERE}\n{}", kept(place));
        hidden::ask("API key (it is not shown): ")?
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
    Good(Good),
    /// The service could not be asked, which says nothing about the key.
    NotNow(ApiError),
}

/// A key that the service takes.
struct Good {
    figures: Account,
    /// It refused it before.
    was_refused: bool,
}

async fn check(loaded: &Loaded, key: &ApiKey, new_key: NewKey) -> Result<Checked, Failure> {
    let api = daemon::api(&loaded.settings, &loaded.paths, Some(key.clone()))?;
    let ask = Ask::until(Class::Interactive, Instant::now() + PATIENCE);
    let print = key.print();
    let pace = api.pace().status().await.ok();
    let was_refused = pace.is_some_and(|pace| pace.refused_key == Some(print));
    match api.account_of_any_key(ask).await {
        Ok(account) => {
            let state = loaded.paths.state_dir()?;
            if let Some(owner) = daemon::figures::owner(&state)
                && owner != account.email
                && !daemon::figures::knows(&state, key)
            {
                let line = format!(
                    "nothing was stored: this state belongs to the account {owner}, the key to {}; for several accounts use --profile NAME",
                    account.email
                );
                return Err(Failure::new(Exit::Failed, line));
            }
            let figures = daemon::figures::note(&state, &account, key, new_key)?;
            Ok(Checked::Good(Good {
                figures,
                was_refused,
            }))
        }
        Err(error) if error.is_passing() && was_refused => {
            let line = format!(
                "nothing was stored: the service refused this key before, and cannot be asked about it now: {error}. Run this again then, or with another key"
            );
            Err(Failure::new(Exit::Failed, line))
        }
        Err(error) if error.is_passing() => Ok(Checked::NotNow(error)),
        Err(error) => {
            let still = match (&error, was_refused) {
                (ApiError::KeyRefused(_), true) => "the same answer as before: ",
                _ => "",
            };
            let line = format!("nothing was stored: {still}{error}. {}", error.advice());
            Err(Failure::new(Exit::Failed, line))
        }
    }
}
