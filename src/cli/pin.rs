//! `pin`, `unpin`: files and folders at hand without the network.

use std::path::PathBuf;
use std::time::Duration;

use super::args::PinArgs;
use super::exit::{Exit, Failure};
use super::show::{self, Countdown, Paint, Tone};
use super::{Outcome, load};
use crate::control::Client;
use crate::control::protocol::{Pin, Pins, SCHEMA};

/// How often progress is looked at.
const STEP: Duration = Duration::from_millis(250);

pub(super) async fn pin(args: &PinArgs) -> Outcome {
    if args.list {
        let mount = args.paths.first().map(PathBuf::as_path);
        let pins = load::daemon(mount).await?.pins().await?;
        return tell(&pins, args.json);
    }
    let mut done = Vec::new();
    for path in &args.paths {
        let (daemon, inner) = load::within(path).await?;
        let pin = daemon.pin(inner).await?;
        done.push(if args.no_wait {
            pin
        } else {
            wait(&daemon, pin).await?
        });
    }
    let pins = Pins {
        schema: SCHEMA,
        pins: done,
    };
    tell(&pins, args.json)
}

pub(super) async fn unpin(paths: &[PathBuf]) -> Outcome {
    for path in paths {
        let (daemon, inner) = load::within(path).await?;
        daemon.unpin(inner).await?;
    }
    Ok(Exit::Done)
}

/// Waits until all of it is at hand; shows how far it is.
async fn wait(daemon: &Client, mut pin: Pin) -> Result<Pin, Failure> {
    let title = format!("pinning /{}", show::plain(&pin.path.to_string_lossy()));
    let countdown = Countdown::new(&title);
    while !pin.complete {
        if let Some(error) = &pin.error {
            let line = format!(
                "/{} is pinned but not complete: {error}; it is tried again by itself, `fichierfs pin --list` shows how far it is",
                pin.path.display()
            );
            return Err(Failure::new(Exit::WorkLeft, line));
        }
        countdown.say(far(&pin));
        tokio::time::sleep(STEP).await;
        let all = daemon.pins().await?.pins;
        let Some(now) = all.into_iter().find(|other| other.path == pin.path) else {
            let line = format!("/{} was released or moved meanwhile", pin.path.display());
            return Err(Failure::new(Exit::Failed, line));
        };
        pin = now;
    }
    Ok(pin)
}

fn tell(pins: &Pins, json: bool) -> Outcome {
    if json {
        show::print_json(pins)?;
    } else {
        show::print(&listed(pins, Paint::for_stdout()))?;
    }
    Ok(Exit::Done)
}

fn listed(pins: &Pins, paint: Paint) -> String {
    if pins.pins.is_empty() {
        return "nothing pinned\n".to_owned();
    }
    let mut out = String::new();
    for pin in &pins.pins {
        let state = match pin.complete {
            true => paint.tone(Tone::Good, "at hand"),
            false => far(pin),
        };
        let path = show::plain(&pin.path.to_string_lossy());
        let files = show::count(pin.files, "file");
        out.push_str(&format!("{state:<28} {files:>12}  /{path}\n"));
        if let Some(error) = &pin.error {
            out.push_str(&format!("{:>28} {}\n", "", show::plain(error)));
        }
    }
    out
}

fn far(pin: &Pin) -> String {
    format!("{} of {}", show::size(pin.cached), show::size(pin.size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_how_far_a_pin_is_and_why_no_further() {
        let pin = |path: &str, cached, error: Option<&str>| Pin {
            path: path.into(),
            files: 2,
            size: 2048,
            cached,
            complete: cached == 2048,
            error: error.map(str::to_owned),
        };
        let pins = Pins {
            schema: SCHEMA,
            pins: vec![
                pin("films", 1024, Some("the network is down")),
                pin("b\u{7}", 2048, None),
            ],
        };
        let text = listed(&pins, Paint::plain());
        for part in [
            "1.00 KiB of 2.00 KiB",
            "2 files  /films\n",
            "the network is down\n",
            "at hand",
            "/b\\u{7}\n",
        ] {
            assert!(text.contains(part), "{part:?} not in:\n{text}");
        }
    }
}
