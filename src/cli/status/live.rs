//! `--watch` on a terminal: the screen drawn anew each second, in place.
//!
//! The terminal's second screen is used, as `less` and `top` do, so that what was on it
//! before is there again afterwards.

use console::Term;

use super::super::exit::Exit;
use super::super::show::Paint;
use super::super::signals::Signals;
use super::super::{Failure, Outcome};
use super::{PERIOD, gathered, screen};
use crate::control::Client;

const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
/// Before what did not fit into the row above: as wide as the names of the parts.
const INDENT: &str = "         ";
/// To the upper left corner.
const HOME: &str = "\u{1b}[H";
/// Clears what an older, longer line left.
const REST_OF_LINE: &str = "\u{1b}[K\r\n";
/// Clears what an older, longer screen left.
const REST_OF_SCREEN: &str = "\u{1b}[J";

/// Shows it until a signal, or until there is nothing left to show.
pub(super) async fn watch(daemons: &[Client]) -> Outcome {
    let mut signals = Signals::new()?;
    let terminal = Screen::enter()?;
    loop {
        let all = tokio::select! {
            all = gathered(daemons) => all?,
            _ = signals.next() => return Ok(Exit::Done),
        };
        terminal.draw(&screen::of(&all, Paint::for_stdout()))?;
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            _ = signals.next() => return Ok(Exit::Done),
        }
    }
}

/// The terminal's second screen, until dropped.
struct Screen(Term);

impl Screen {
    fn enter() -> Result<Screen, Failure> {
        let screen = Screen(Term::stdout());
        screen.0.write_str(ENTER)?;
        Ok(screen)
    }

    fn draw(&self, text: &str) -> Result<(), Failure> {
        let (rows, columns) = self.0.size();
        Ok(self.0.write_str(&frame(text, rows, columns))?)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs no mending.
        let _ = self.0.write_str(LEAVE);
    }
}

/// A text as one frame of so many rows and columns; lines that are longer go on in the next
/// row, and what does not fit below is cut off.
fn frame(text: &str, rows: u16, columns: u16) -> String {
    let mut out = HOME.to_owned();
    let (rows, columns) = (usize::from(rows), usize::from(columns));
    let lines = text.lines().flat_map(|line| folded(line, columns));
    for line in lines.take(rows.saturating_sub(1)) {
        out.push_str(&console::truncate_str(line.trim_end(), columns, "…"));
        out.push_str(REST_OF_LINE);
    }
    out + REST_OF_SCREEN
}

/// A line in rows of so many columns, broken between words; the figures stay below each other.
fn folded(line: &str, columns: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    let mut used = 0;
    for word in line.split_inclusive(' ') {
        let width = console::measure_text_width(word.trim_end());
        if used > INDENT.len() && used + width > columns {
            rows.push(INDENT.to_owned());
            used = INDENT.len();
        }
        if let Some(row) = rows.last_mut() {
            row.push_str(word);
            used += console::measure_text_width(word);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_no_larger_than_the_terminal() {
        let text = "unbreakably-long\nshort\nmore\nbelow\n";
        let drawn = frame(text, 4, 10);
        assert_eq!(
            drawn,
            "\u{1b}[Hunbreakab…\u{1b}[K\r\nshort\u{1b}[K\r\nmore\u{1b}[K\r\n\u{1b}[J"
        );
    }

    #[test]
    fn a_long_line_goes_on_below_its_figures() {
        let line = "reads    2 streams  2.00 KiB/s to readers  1 link";
        assert_eq!(
            folded(line, 30),
            [
                "reads    2 streams  2.00 KiB/s ",
                "         to readers  1 link"
            ]
        );
        assert_eq!(folded(line, 80), [line]);
        // Nothing is lost, however narrow it is.
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        for columns in 0..60 {
            assert_eq!(words(&folded(line, columns).concat()), words(line));
        }
    }

    #[test]
    fn colour_takes_no_room_in_a_frame() {
        let drawn = frame("\u{1b}[32mmounted\u{1b}[0m", 4, 7);
        assert!(drawn.contains("mounted") && !drawn.contains('…'));
    }
}
