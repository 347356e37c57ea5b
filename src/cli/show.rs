//! How figures, lines and progress look to people.
//!
//! Colour and moving lines go to terminals only, and colour not where `NO_COLOR` is set
//! (<https://no-color.org>).

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::control::protocol::Backlog;

/// Bytes, as `1.50 GiB`.
pub fn size(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// A span of time in its two largest units, as `1h 5m`.
pub fn span(seconds: u64) -> String {
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let first = parts.iter().position(|(n, _)| *n > 0).unwrap_or(3);
    let shown: Vec<String> = parts
        .iter()
        .skip(first)
        .take(2)
        .enumerate()
        .filter(|(at, (n, _))| *at == 0 || *n > 0)
        .map(|(_, (n, unit))| format!("{n}{unit}"))
        .collect();
    shown.join(" ")
}

/// One thing or several: `1 upload`, `3 uploads`.
pub fn count(n: u64, one: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        n => format!("{n} {one}s"),
    }
}

/// What is queued, in one line.
pub fn backlog(queue: &Backlog) -> String {
    if queue.total() == 0 {
        return "nothing queued".to_owned();
    }
    let mut parts = Vec::new();
    if queue.uploads > 0 {
        let what = count(queue.uploads, "upload");
        parts.push(format!("{what} ({})", size(queue.upload_bytes)));
    }
    if queue.changes > 0 {
        parts.push(count(queue.changes, "change"));
    }
    if queue.removals > 0 {
        parts.push(count(queue.removals, "removal"));
    }
    let mut line = parts.join(", ");
    if queue.failed > 0 {
        line.push_str(&format!("; {} failed", queue.failed));
    }
    line
}

/// Text of the account or the service, without what a terminal would obey.
pub fn plain(text: &str) -> String {
    let dangerous =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if dangerous(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// A path as a word of a command that a shell reads; what cannot be shown in one is as in [`plain`].
pub fn word(path: &str) -> String {
    let is_safe = |c: char| c.is_alphanumeric() || "/._-+,:@%=".contains(c);
    let shown = plain(path);
    match shown.chars().all(is_safe) && !shown.is_empty() {
        true => shown,
        false => format!("'{}'", shown.replace('\'', r"'\''")),
    }
}

/// How loud a piece of text is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    /// A heading or a name.
    Strong,
    /// All is well.
    Good,
    /// Somebody should look.
    Bad,
}

/// Writes to standard output, in colour where that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    colour: bool,
}

impl Paint {
    /// As standard output and the environment want it.
    pub fn for_stdout() -> Paint {
        Paint {
            colour: io::stdout().is_terminal()
                && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        }
    }

    /// Never in colour.
    #[cfg(test)]
    pub fn plain() -> Paint {
        Paint { colour: false }
    }

    /// `text` in this tone.
    pub fn tone(self, tone: Tone, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Strong => "1",
            Tone::Good => "32",
            Tone::Bad => "31",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// Prints to standard output; a reader who went away, as `head` does, is no error.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Prints a value as JSON in lines, for scripts and people alike.
pub fn print_json(value: &impl serde::Serialize) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
    print(&(text + "\n"))
}

/// A moving line on standard error while a queue empties; nothing where that is
/// no terminal.
pub struct Countdown {
    bar: ProgressBar,
}

impl Countdown {
    /// Begins with a title.
    pub fn new(title: &str) -> Countdown {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}: {msg} [{elapsed}]") {
            bar.set_style(style);
        }
        bar.set_prefix(title.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Countdown { bar }
    }

    /// Shows what is left.
    pub fn left(&self, queue: &Backlog) {
        self.say(backlog(queue));
    }

    /// Shows how far it is.
    pub fn say(&self, text: String) {
        self.bar.set_message(text);
    }
}

impl Drop for Countdown {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_to_a_shell() {
        let table = [
            ("/m/a.txt", "/m/a.txt"),
            ("/m/été", "/m/été"),
            ("/m/it's $HOME", r"'/m/it'\''s $HOME'"),
            ("", "''"),
        ];
        for (path, shown) in table {
            assert_eq!(word(path), shown);
        }
    }

    #[test]
    fn spans_show_their_two_largest_units() {
        let table = [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (61, "1m 1s"),
            (3_600, "1h"),
            (3_661, "1h 1m"),
            (90_000, "1d 1h"),
            (86_400 + 59, "1d"),
        ];
        for (seconds, text) in table {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn a_backlog_is_one_line_with_only_what_is_there() {
        let queue = Backlog {
            uploads: 1,
            upload_bytes: 1 << 20,
            changes: 2,
            removals: 0,
            failed: 1,
        };
        assert_eq!(backlog(&queue), "1 upload (1.00 MiB), 2 changes; 1 failed");
        assert_eq!(backlog(&Backlog::default()), "nothing queued");
    }

    #[test]
    fn a_name_cannot_command_the_terminal() {
        assert_eq!(
            plain("a\u{1b}[2Jb\u{202e}é\n"),
            "a\\u{1b}[2Jb\\u{202e}é\\u{a}"
        );
    }
}
