//! A bandwidth limit that depends on the time of day: `08:00-23:00 2MiB, off`.
//!
//! Entries are separated by commas or semicolons (a comma ends a word of `-o`). Each is
//! a rate in bytes a second, or `off` for no limit, with an optional span before it:
//! days (`Mon-Fri`, `Sat`), times (`08:00-23:00`), or both. The first entry whose
//! span holds decides; where none does, there is no limit. A span that ends before it begins
//! goes over midnight and belongs to the day on which it began.

use std::fmt;
use std::num::NonZeroU64;

use jiff::civil::{DateTime, Time, Weekday};

use super::value::{Kind, Size, Value};

/// The slowest rate that is taken: below it a read could not end within any
/// sensible deadline, and somebody forgot a unit.
const SLOWEST: u64 = 1024;

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Timetable {
    entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    days: Option<(Weekday, Weekday)>,
    times: Option<(Time, Time)>,
    rate: Option<NonZeroU64>,
}

impl Timetable {
    /// The limit at a local time, in bytes a second; `None` for no limit.
    pub fn at(&self, now: DateTime) -> Option<NonZeroU64> {
        self.entries
            .iter()
            .find(|entry| entry.holds(now))
            .and_then(|entry| entry.rate)
    }

    /// Whether it never limits anything.
    pub fn is_off(&self) -> bool {
        self.entries.iter().all(|entry| entry.rate.is_none())
    }
}

impl Entry {
    fn holds(&self, now: DateTime) -> bool {
        let (today, time) = (now.weekday(), now.time());
        let Some((from, until)) = self.times else {
            return self.on(today);
        };
        if from < until {
            return self.on(today) && (from..until).contains(&time);
        }
        (self.on(today) && time >= from) || (self.on(today.previous()) && time < until)
    }

    fn on(&self, day: Weekday) -> bool {
        self.days.is_none_or(|(first, last)| {
            let at = first.until(day);
            at <= first.until(last)
        })
    }

    fn read(text: &str) -> Option<Entry> {
        let mut words: Vec<&str> = text.split_whitespace().collect();
        // "2 MiB" is a size, too.
        let rate = match words.as_slice() {
            [.., number, unit] if number.parse::<f64>().is_ok() => {
                let joined = format!("{number}{unit}");
                words.truncate(words.len() - 2);
                read_rate(&joined)?
            }
            [.., rate] => {
                let rate = read_rate(rate)?;
                words.pop();
                rate
            }
            [] => return None,
        };
        let (days, times) = match words.as_slice() {
            [] => (None, None),
            [one] => match read_times(one) {
                Some(times) => (None, Some(times)),
                None => (Some(read_days(one)?), None),
            },
            [days, times] => (Some(read_days(days)?), Some(read_times(times)?)),
            _ => return None,
        };
        Some(Entry { days, times, rate })
    }
}

/// `off`, or a rate; the `/s` may be written out.
fn read_rate(text: &str) -> Option<Option<NonZeroU64>> {
    if text.eq_ignore_ascii_case("off") {
        return Some(None);
    }
    let Size(rate) = Size::read(text.strip_suffix("/s").unwrap_or(text))?;
    NonZeroU64::new(rate)
        .filter(|rate| rate.get() >= SLOWEST)
        .map(Some)
}

fn read_times(text: &str) -> Option<(Time, Time)> {
    let (from, until) = text.split_once('-')?;
    let times = (read_time(from)?, read_time(until)?);
    (times.0 != times.1).then_some(times)
}

fn read_time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let plain =
        |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    if !plain(hour) || !plain(minute) {
        return None;
    }
    match (hour.parse().ok()?, minute.parse().ok()?) {
        // The end of a day is the start of the next.
        (24, 0) => Some(Time::midnight()),
        (hour, minute) => Time::new(hour, minute, 0, 0).ok(),
    }
}

fn read_days(text: &str) -> Option<(Weekday, Weekday)> {
    match text.split_once('-') {
        Some((first, last)) => Some((read_day(first)?, read_day(last)?)),
        None => read_day(text).map(|day| (day, day)),
    }
}

const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

fn read_day(text: &str) -> Option<Weekday> {
    DAYS.iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text))
        .map(|(_, day)| *day)
}

fn name_of(day: Weekday) -> &'static str {
    DAYS.iter()
        .find(|(_, known)| *known == day)
        .map_or("", |(name, _)| name)
}

impl Value for Timetable {
    const KIND: Kind = Kind::Timetable;

    fn read(text: &str) -> Option<Timetable> {
        if text.trim().is_empty() {
            return Some(Timetable::default());
        }
        let entries: Option<Vec<Entry>> = text.split([',', ';']).map(Entry::read).collect();
        entries.map(|entries| Timetable { entries })
    }
}

impl fmt::Display for Timetable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, entry) in self.entries.iter().enumerate() {
            if number > 0 {
                f.write_str(", ")?;
            }
            if let Some((first, last)) = entry.days {
                write!(f, "{}-{} ", name_of(first), name_of(last))?;
            }
            if let Some((from, until)) = entry.times {
                write!(f, "{}-{} ", from.strftime("%H:%M"), until.strftime("%H:%M"))?;
            }
            match entry.rate {
                Some(rate) => write!(f, "{}", Size(rate.get()))?,
                None => f.write_str("off")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(table: &str, when: &str) -> Option<u64> {
        let table = Timetable::read(table).unwrap_or_else(|| panic!("{table:?} is refused"));
        table.at(when.parse().unwrap()).map(NonZeroU64::get)
    }

    const TUESDAY: &str = "2026-11-24T12:00";

    #[test]
    fn the_first_entry_whose_span_holds_decides() {
        let table = "08:00-23:00 2MiB, off";
        assert_eq!(at(table, "2026-11-24T08:00"), Some(2 << 20));
        assert_eq!(at(table, "2026-11-24T22:59"), Some(2 << 20));
        assert_eq!(at(table, "2026-11-24T23:00"), None);
        assert_eq!(at(table, "2026-11-24T07:59"), None);
        assert_eq!(at("12:00-13:00 off, 1MiB", TUESDAY), None);
        assert_eq!(at("12:30-13:00 off; 1 MiB/s", TUESDAY), Some(1 << 20));
        assert_eq!(at("12:30-13:00 1MiB", TUESDAY), None);
        assert_eq!(at("", TUESDAY), None);
        assert_eq!(at("off", TUESDAY), None);
    }

    #[test]
    fn a_span_over_midnight_belongs_to_the_day_it_began_on() {
        let table = "Fri 22:00-06:00 1MiB";
        assert_eq!(at(table, "2026-11-27T21:59"), None);
        assert_eq!(at(table, "2026-11-27T22:00"), Some(1 << 20));
        assert_eq!(at(table, "2026-11-28T05:59"), Some(1 << 20));
        assert_eq!(at(table, "2026-11-27T05:59"), None);
        assert_eq!(at("20:00-24:00 1MiB", "2026-11-27T23:59"), Some(1 << 20));
        assert_eq!(at("20:00-24:00 1MiB", "2026-11-27T00:00"), None);
    }

    #[test]
    fn days_go_around_the_week() {
        assert_eq!(at("Mon-Fri 1MiB", TUESDAY), Some(1 << 20));
        assert_eq!(at("sat-mon 1MiB", TUESDAY), None);
        assert_eq!(at("sat-tue 1MiB", TUESDAY), Some(1 << 20));
        assert_eq!(at("Tue 1MiB", TUESDAY), Some(1 << 20));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for bad in [
            ",",
            "2MiB,",
            "8-23 2MiB",
            "08:00 2MiB",
            "08:00-08:00 2MiB",
            "25:00-26:00 2MiB",
            "Foo 2MiB",
            "0",
            "100",
            "2MiB 08:00-23:00",
            "Mon 08:00-23:00 Tue 2MiB",
            "+8:00-23:00 2MiB",
        ] {
            assert_eq!(Timetable::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_what_limits_is_on() {
        assert!(Timetable::default().is_off());
        assert!(Timetable::read("08:00-09:00 off, off").unwrap().is_off());
        assert!(!Timetable::read("08:00-09:00 2MiB, off").unwrap().is_off());
    }

    fn entry() -> impl Strategy<Value = Entry> {
        let day = || prop::sample::select(DAYS.to_vec()).prop_map(|(_, day)| day);
        let time = || (0i8..24, 0i8..60).prop_map(|(h, m)| Time::new(h, m, 0, 0).unwrap());
        let times = (time(), time()).prop_filter("not empty", |(from, until)| from != until);
        (
            prop::option::of((day(), day())),
            prop::option::of(times),
            prop::option::of(SLOWEST..1 << 40),
        )
            .prop_map(|(days, times, rate)| Entry {
                days,
                times,
                rate: rate.and_then(NonZeroU64::new),
            })
    }

    proptest! {
        #[test]
        fn a_table_reads_back_as_written(entries in prop::collection::vec(entry(), 0..5)) {
            let table = Timetable { entries };
            prop_assert_eq!(Timetable::read(&table.to_string()), Some(table));
        }

        #[test]
        fn no_text_breaks_the_reader(text in "[-0-9a-zA-Z:,;/ é]{0,24}") {
            let _ = Timetable::read(&text);
        }
    }
}
