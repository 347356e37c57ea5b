//! `status`: everything on one screen.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::Duration;

use super::args::StatusArgs;
use super::exit::Exit;
use super::show::{self, Paint, Tone};
use super::{Outcome, load, queue};
use crate::control::protocol::{Phase, Status};
use crate::control::{Client, ControlError};

/// How often `--watch` looks.
const PERIOD: Duration = Duration::from_secs(1);

/// Moves the cursor home and clears the screen below it.
const HOME: &str = "\u{1b}[H\u{1b}[J";

pub(super) async fn run(args: &StatusArgs) -> Outcome {
    let daemons = match &args.mount.mountpoint {
        Some(path) => vec![load::daemon(Some(path)).await?],
        None => load::daemons().await,
    };
    if daemons.is_empty() {
        return Err(ControlError::NotRunning.into());
    }
    loop {
        let text = gathered(&daemons, args.json).await?;
        let redraw = args.watch && !args.json && std::io::stdout().is_terminal();
        show::print(&if redraw {
            HOME.to_owned() + &text
        } else {
            text
        })?;
        if !args.watch {
            return Ok(Exit::Done);
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// All of them; JSON is one object a line for a mount that was named or is the
/// only one, else an array.
async fn gathered(daemons: &[Client], json: bool) -> Result<String, super::Failure> {
    let mut all = Vec::new();
    for daemon in daemons {
        all.push(daemon.status().await?);
    }
    if json {
        let text = match all.as_slice() {
            [one] => serde_json::to_string(one),
            several => serde_json::to_string(several),
        };
        return Ok(text.map_err(std::io::Error::from)? + "\n");
    }
    let paint = Paint::for_stdout();
    let screens: Vec<String> = all.iter().map(|status| screen(status, paint)).collect();
    Ok(screens.join("\n"))
}

fn screen(status: &Status, paint: Paint) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = lines(&mut out, status, paint);
    out
}

fn lines(out: &mut String, status: &Status, paint: Paint) -> std::fmt::Result {
    let daemon = &status.daemon;
    let phase = match daemon.phase {
        Phase::Mounted => paint.tone(Tone::Good, "mounted"),
        Phase::Draining => paint.tone(Tone::Bad, "unmounted, sending what is queued"),
        Phase::Stopping => paint.tone(Tone::Bad, "stopping"),
    };
    let place = show::plain(&daemon.mountpoint.to_string_lossy());
    writeln!(
        out,
        "{}  {phase}  since {}  pid {}  version {}",
        paint.tone(Tone::Strong, &place),
        show::span(status.uptime_seconds),
        daemon.pid,
        daemon.version
    )?;
    if let Some(account) = &status.account {
        let of = account
            .cold_allowed
            .map(|all| format!(" of {}", show::size(all)));
        writeln!(
            out,
            "account  {} ({})  {}{}{}",
            show::plain(&account.email),
            show::plain(&account.offer),
            show::size(account.cold_used),
            of.unwrap_or_default(),
            if account.over_quota {
                "  over quota"
            } else {
                ""
            },
        )?;
    }
    let known = status.tree;
    writeln!(
        out,
        "tree     {} known, {}",
        show::count(known.files, "file"),
        show::size(known.bytes)
    )?;
    let cache = status.cache;
    writeln!(
        out,
        "cache    {} of {} in {}; read {} from it, {} fetched{}",
        show::size(cache.used),
        show::size(cache.limit),
        show::count(cache.files, "file"),
        show::size(cache.hit_bytes),
        show::size(cache.fetched_bytes),
        match cache.fetching {
            0 => String::new(),
            n => format!("; {} under way", show::count(n, "fetch")),
        },
    )?;
    write!(out, "queue    {}", show::backlog(&status.queue))?;
    match status.staged_bytes {
        0 => writeln!(out)?,
        bytes => writeln!(out, "; {} kept here", show::size(bytes))?,
    }
    for transfer in &status.transfers {
        let left = transfer.size.saturating_sub(transfer.sent);
        let eta = left.checked_div(transfer.rate).map(show::span);
        writeln!(
            out,
            "  {:>3}%  {}/s  {}  /{}",
            queue::percent(transfer),
            show::size(transfer.rate),
            eta.unwrap_or_else(|| "-".to_owned()),
            show::plain(&transfer.path.to_string_lossy()),
        )?;
    }
    let api = &status.api;
    let calls: u64 = api.calls.values().sum();
    writeln!(
        out,
        "api      {}; {:.1} a second allowed; {} waiting",
        show::count(calls, "call"),
        api.rate,
        api.waiting
    )?;
    for (kind, until) in &api.locks {
        let line = format!("  locked: {kind} until {until}; nothing is lost, it goes on by itself");
        writeln!(out, "{}", paint.tone(Tone::Bad, &line))?;
    }
    if api.key_refused {
        let line = "  the service refused the key: run `fichierfs init` and mount again";
        writeln!(out, "{}", paint.tone(Tone::Bad, line))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::{Api, Backlog, Cache, Hello, SCHEMA, Totals, Transfer};

    #[test]
    fn the_screen_shows_transfers_locks_and_a_refused_key() {
        let status = Status {
            daemon: Hello {
                schema: SCHEMA,
                version: "0.1.0".into(),
                pid: 7,
                mountpoint: "/m".into(),
                state_dir: "/s".into(),
                phase: Phase::Mounted,
            },
            uptime_seconds: 61,
            account: None,
            queue: Backlog {
                uploads: 1,
                upload_bytes: 100,
                ..Backlog::default()
            },
            transfers: vec![Transfer {
                path: "a".into(),
                sent: 40,
                size: 100,
                rate: 6,
                attempt: 1,
            }],
            staged_bytes: 0,
            cache: Cache::default(),
            tree: Totals { files: 1, bytes: 0 },
            api: Api {
                rate: 2.0,
                locks: [("file/rm".to_owned(), "12:00".to_owned())].into(),
                key_refused: true,
                ..Api::default()
            },
        };
        let text = screen(&status, Paint::plain());
        for part in [
            "/m  mounted  since 1m 1s  pid 7",
            "1 file known",
            "queue    1 upload (100 B)\n",
            " 40%  6 B/s  10s  /a\n",
            "locked: file/rm until 12:00",
            "refused the key",
        ] {
            assert!(text.contains(part), "{part:?} not in:\n{text}");
        }
        assert!(!text.contains('\u{1b}'));
    }
}
