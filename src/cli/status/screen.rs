//! The screen of `status`: a paragraph for each mount, a line or two for each part.

use std::path::Path;

use jiff::Timestamp;

use super::super::queue::percent;
use super::super::show::{self, Paint, Tone};
use crate::control::protocol::{
    Account, Api, Cache, Freshness, Hello, NotWhole, Phase, Reads, Status, Totals, Transfer,
};

/// All mounts, one below the other.
pub(super) fn of(all: &[Status], paint: Paint) -> String {
    let now = Timestamp::now();
    let screens: Vec<String> = all.iter().map(|one| screen(one, paint, now)).collect();
    screens.join("\n")
}

fn screen(status: &Status, paint: Paint, now: Timestamp) -> String {
    let mut lines = vec![title(&status.daemon, status.uptime_seconds, paint)];
    lines.extend(status.account.as_ref().map(account));
    lines.push(reads(&status.reads, &status.cache));
    lines.push(cache(&status.cache));
    lines.extend(checks(&status.cache, paint));
    for path in &status.cache.damaged {
        let path = show::plain(&path.to_string_lossy());
        lines.push(paint.tone(Tone::Bad, &format!("  damaged: /{path}")));
    }
    lines.push(queue(status));
    lines.extend(status.transfers.iter().map(transfer));
    for failed in &status.failures {
        let path = show::plain(&failed.path.to_string_lossy());
        let line = format!("  failed: /{path}: {}", show::plain(&failed.reason));
        lines.push(paint.tone(Tone::Bad, &line));
    }
    if status.queue.failed > 0 {
        lines
            .push("  `fichierfs queue list` shows all, `fichierfs queue retry` tries again".into());
    }
    lines.push(tree(&status.tree, &status.freshness, now));
    for folder in &status.freshness.not_whole {
        let path = show::plain(&folder.path.to_string_lossy());
        let reason = show::plain(&folder.reason);
        let names = new_names(folder, &status.daemon.mountpoint);
        let line = format!("  not whole: /{path}: {reason}{names}");
        lines.push(match folder.coming {
            true => line,
            false => paint.tone(Tone::Bad, &line),
        });
    }
    lines.push(api(&status.api));
    lines.extend(api_troubles(&status.api, now).map(|line| paint.tone(Tone::Bad, &line)));
    lines.join("\n") + "\n"
}

fn title(daemon: &Hello, uptime: u64, paint: Paint) -> String {
    let phase = match daemon.phase {
        Phase::Mounted => paint.tone(Tone::Good, "mounted"),
        Phase::Draining => paint.tone(Tone::Bad, "unmounted, sending what is queued"),
        Phase::Stopping => paint.tone(Tone::Bad, "stopping"),
    };
    let place = show::plain(&daemon.mountpoint.to_string_lossy());
    format!(
        "{}  {phase}  since {}  pid {}  version {}",
        paint.tone(Tone::Strong, &place),
        show::span(uptime),
        daemon.pid,
        daemon.version
    )
}

fn account(account: &Account) -> String {
    let of = account
        .cold_allowed
        .map(|all| format!(" of {}", show::size(all)));
    format!(
        "account  {} ({})  {}{} used{}{}",
        show::plain(&account.email),
        show::plain(&account.offer),
        show::size(account.cold_used),
        of.unwrap_or_default(),
        match account.over_quota {
            true => "  over quota: uploads wait",
            false => "",
        },
        match account.upload_forbidden {
            true => "  the service forbids uploads",
            false => "",
        },
    )
}

fn reads(reads: &Reads, cache: &Cache) -> String {
    let asked = cache.hit_bytes + reads.waited_bytes;
    let share = (u128::from(cache.hit_bytes) * 100).checked_div(u128::from(asked));
    let mut line = format!(
        "reads    {}  {}/s to readers  {}/s fetched  {}  {} open",
        show::count(reads.streams, "stream"),
        show::size(reads.rate),
        show::size(reads.fetch_rate),
        show::count(reads.links, "link"),
        show::count(reads.open_files, "file"),
    );
    if let Some(share) = share {
        line.push_str(&format!("  {share}% from the cache"));
    }
    if reads.failed > 0 {
        line.push_str(&format!("  {} failed", reads.failed));
    }
    line
}

/// What was compared with the service's checksums, if anything was.
fn checks(cache: &Cache, paint: Paint) -> Option<String> {
    if cache.sound_files + cache.damaged_files + cache.check_cpu_ms == 0 {
        return None;
    }
    let mut line = format!(
        "checks   {} sound; {} s of the processor",
        show::count(cache.sound_files, "file"),
        cache.check_cpu_ms.div_ceil(1000)
    );
    if cache.damaged_files > 0 {
        let files = show::count(cache.damaged_files, "file");
        let text = format!("  {files} damaged, reading fails: `fichierfs verify` fetches anew");
        line.push_str(&paint.tone(Tone::Bad, &text));
    }
    Some(line)
}

fn cache(cache: &Cache) -> String {
    let mut line = format!(
        "cache    {} of {} in {}; read {} from it, {} fetched",
        show::size(cache.used),
        show::size(cache.limit),
        show::count(cache.files, "file"),
        show::size(cache.hit_bytes),
        show::size(cache.fetched_bytes),
    );
    if cache.passed_opens > 0 {
        let times = show::count(cache.passed_opens, "open");
        line.push_str(&format!("; {times} passed through"));
    }
    if cache.fetching > 0 {
        let what = show::count(cache.fetching, "fetch");
        line.push_str(&format!("; {what} under way"));
    }
    line
}

fn queue(status: &Status) -> String {
    let mut line = format!("queue    {}", show::backlog(&status.queue));
    if status.upload_rate > 0 {
        line.push_str(&format!("; {}/s", show::size(status.upload_rate)));
    }
    if let Some(eta) = status.upload_eta_seconds {
        line.push_str(&format!(", done in {}", show::span(eta)));
    }
    if status.staged_bytes > 0 {
        line.push_str(&format!("; {} kept here", show::size(status.staged_bytes)));
    }
    line
}

fn transfer(transfer: &Transfer) -> String {
    let eta = transfer.eta_seconds().map(show::span);
    let again = match transfer.attempt {
        0 | 1 => String::new(),
        n => format!("  (try {n})"),
    };
    format!(
        "  {:>3}%  {}/s  {}  /{}{again}",
        percent(transfer),
        show::size(transfer.rate),
        eta.unwrap_or_else(|| "-".to_owned()),
        show::plain(&transfer.path.to_string_lossy()),
    )
}

fn tree(known: &Totals, fresh: &Freshness, now: Timestamp) -> String {
    let mut line = format!(
        "tree     {} known, {} in {}",
        show::count(known.files, "file"),
        show::size(known.bytes),
        show::count(fresh.folders, "folder"),
    );
    let age = |at: &Option<String>| {
        let at: Timestamp = at.as_ref()?.parse().ok()?;
        Some(show::span(seconds_between(at, now)?))
    };
    if let (Some(newest), Some(oldest)) = (age(&fresh.newest), age(&fresh.oldest)) {
        line.push_str(&match newest == oldest {
            true => format!("; listed {newest} ago"),
            false => format!("; listed {newest} to {oldest} ago"),
        });
    }
    if fresh.unlisted > 0 {
        line.push_str(&format!("; {} not looked into yet", fresh.unlisted));
    }
    if fresh.cut_off > 0 {
        line.push_str(&format!("; {} not listed whole", fresh.cut_off));
    }
    line
}

/// Whether names that were not seen in a folder count as new, and if not, what has them so.
fn new_names(folder: &NotWhole, mountpoint: &Path) -> String {
    match (folder.new_names, folder.allowable) {
        (true, _) => "; names that were not seen count as new".to_owned(),
        (false, true) => {
            let path = mountpoint.join(&folder.path);
            let path = show::word(&path.to_string_lossy());
            format!("; `fichierfs allow-new {path}` has names that were not seen count as new")
        }
        (false, false) => String::new(),
    }
}

fn api(api: &Api) -> String {
    let calls: u64 = api.calls.values().sum();
    format!(
        "api      {}; {:.1} a second allowed, {} at once now; {} waiting; {} of {} failures an hour",
        show::count(calls, "call"),
        api.rate,
        api.saved_up.max(0.0) as u64,
        api.waiting,
        api.failing,
        api.failing_limit,
    )
}

fn api_troubles(api: &Api, now: Timestamp) -> impl Iterator<Item = String> + '_ {
    let lock = move |(kind, until): (&String, &String)| {
        let end: Option<Timestamp> = until.parse().ok();
        let left = end
            .and_then(|end| seconds_between(now, end))
            .map(|left| format!(" (in {})", show::span(left)));
        format!(
            "  locked: {kind} until {until}{}; nothing is lost, it goes on by itself",
            left.unwrap_or_default()
        )
    };
    let refused = api
        .key_refused
        .then(|| "  the service refused the key: run `fichierfs init`".to_owned());
    api.locks.iter().map(lock).chain(refused)
}

/// Whole seconds, if `later` is later.
fn seconds_between(earlier: Timestamp, later: Timestamp) -> Option<u64> {
    u64::try_from(later.duration_since(earlier).as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::{Backlog, Failed, SCHEMA};

    #[test]
    fn the_screen_shows_every_part_and_what_is_wrong() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
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
                uploads: 2,
                upload_bytes: 100,
                failed: 1,
                ..Backlog::default()
            },
            transfers: vec![Transfer {
                path: "a".into(),
                sent: 40,
                size: 100,
                rate: 6,
                attempt: 2,
            }],
            upload_rate: 6,
            upload_eta_seconds: Some(10),
            failures: vec![Failed {
                path: "b".into(),
                reason: "quota exceeded".into(),
            }],
            staged_bytes: 0,
            reads: Reads {
                streams: 2,
                rate: 2048,
                waited_bytes: 25,
                ..Reads::default()
            },
            cache: Cache {
                hit_bytes: 75,
                sound_files: 2,
                damaged_files: 1,
                damaged: vec!["films/c".into()],
                check_cpu_ms: 1500,
                ..Cache::default()
            },
            tree: Totals { files: 1, bytes: 0 },
            freshness: Freshness {
                folders: 3,
                unlisted: 1,
                cut_off: 3,
                not_whole: vec![
                    NotWhole {
                        path: "the scans".into(),
                        reason: "more than can be listed".into(),
                        coming: false,
                        new_names: false,
                        allowable: true,
                    },
                    NotWhole {
                        path: "films".into(),
                        reason: "one question left".into(),
                        coming: true,
                        new_names: true,
                        allowable: false,
                    },
                    NotWhole {
                        path: "shared".into(),
                        reason: "no word of some".into(),
                        coming: false,
                        new_names: false,
                        allowable: false,
                    },
                ],
                oldest: Some("2026-01-01T11:00:00Z".into()),
                newest: Some("2026-01-01T11:59:00Z".into()),
            },
            api: Api {
                rate: 2.0,
                saved_up: 2.9,
                failing_limit: 5,
                locks: [("file/rm".to_owned(), "2026-01-01T12:04:00Z".to_owned())].into(),
                key_refused: true,
                ..Api::default()
            },
        };
        let text = screen(&status, Paint::plain(), now);
        for part in [
            "/m  mounted  since 1m 1s  pid 7",
            "reads    2 streams  2.00 KiB/s to readers",
            "75% from the cache",
            "checks   2 files sound; 2 s of the processor  1 file damaged",
            "\n  damaged: /films/c\n",
            "1 file known, 0 B in 3 folders; listed 1m to 1h ago; 1 not looked into yet",
            "1 not looked into yet; 3 not listed whole\n  not whole: /the scans: more than can be listed; \
             `fichierfs allow-new '/m/the scans'` has names that were not seen count as new\n",
            "\n  not whole: /films: one question left; names that were not seen count as new\n",
            "\n  not whole: /shared: no word of some\n",
            "queue    2 uploads (100 B); 1 failed; 6 B/s, done in 10s\n",
            " 40%  6 B/s  10s  /a  (try 2)\n",
            "failed: /b: quota exceeded\n",
            "2.0 a second allowed, 2 at once now; 0 waiting; 0 of 5 failures",
            "locked: file/rm until 2026-01-01T12:04:00Z (in 4m)",
            "refused the key",
        ] {
            assert!(text.contains(part), "{part:?} not in:\n{text}");
        }
        assert!(!text.contains('\u{1b}'));
    }
}
