//! The service's dates: French local time, with summer time, as
//! `YYYY-MM-DD HH:MM:SS` (API notes 5).
//!
//! Once a year an hour occurs twice, and the text does not tell which of the
//! two it means. [`parse`] takes the first (summer time); who must not be wrong
//! by an hour asks [`instants`]. A date is never an identity, so no more hangs on it.

use std::sync::LazyLock;

use jiff::{Timestamp, civil, tz::TimeZone};

const FORMAT: &str = "%Y-%m-%d %H:%M:%S";

/// The tables are bundled, so the look-up does not depend on the system; should
/// they ever lack Paris, UTC is wrong by an hour or two and no more.
static PARIS: LazyLock<TimeZone> =
    LazyLock::new(|| TimeZone::get("Europe/Paris").unwrap_or(TimeZone::UTC));

/// The instants that a date of the service may mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instants {
    /// The one that it means, or the first of two.
    pub first: Timestamp,
    /// The second, an hour later, where the clocks were put back.
    pub second: Option<Timestamp>,
}

/// Both meanings of a date; `None` if it is none, as `0000-00-00 00:00:00`.
pub fn instants(text: &str) -> Option<Instants> {
    let civil = civil::DateTime::strptime(FORMAT, text.trim()).ok()?;
    let first = PARIS.to_ambiguous_timestamp(civil).earlier().ok()?;
    let second = PARIS.to_ambiguous_timestamp(civil).later().ok()?;
    // In the hour that the spring leaves out, "earlier" and "later" are the two
    // readings of a time that never was; the reading with the new offset is as good as any.
    let twice = second > first && PARIS.to_datetime(second) == PARIS.to_datetime(first);
    Some(Instants {
        first,
        second: twice.then_some(second),
    })
}

/// The instant that a date of the service means; the first of two.
pub fn parse(text: &str) -> Option<Timestamp> {
    instants(text).map(|instants| instants.first)
}

/// What the service's clock shows at an instant, to the second below.
pub fn clock(instant: Timestamp) -> civil::DateTime {
    let shown = PARIS.to_datetime(instant);
    shown.with().subsec_nanosecond(0).build().unwrap_or(shown)
}

/// A time of the service's clock as the service writes it.
pub fn format(clock: civil::DateTime) -> String {
    clock.strftime(FORMAT).to_string()
}

/// Whether the service's clock shows this time twice: in the hour that the autumn repeats.
pub fn is_repeated(clock: civil::DateTime) -> bool {
    instants(&format(clock)).is_some_and(|instants| instants.second.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn utc(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn summer_is_two_hours_ahead_and_winter_one() {
        // The dump of rclone #5421: answered at 12:58:17 GMT.
        assert_eq!(
            parse("2021-06-22 14:57:25"),
            Some(utc("2021-06-22T12:57:25Z"))
        );
        assert_eq!(
            parse("2021-12-22 14:57:25"),
            Some(utc("2021-12-22T13:57:25Z"))
        );
        assert_eq!(
            format(clock(utc("2021-06-22T12:57:25Z"))),
            "2021-06-22 14:57:25"
        );
    }

    #[test]
    fn the_hour_that_comes_twice_has_two_meanings() {
        let both = instants("2026-10-25 02:30:00").unwrap();
        assert_eq!(both.first, utc("2026-10-25T00:30:00Z"));
        assert_eq!(both.second, Some(utc("2026-10-25T01:30:00Z")));
        assert_eq!(instants("2026-10-25 03:30:00").unwrap().second, None);
        assert_eq!(instants("2026-10-25 01:59:59").unwrap().second, None);
        assert!(is_repeated(clock(both.first)));
        assert!(!is_repeated(civil::date(2026, 10, 25).at(3, 0, 0, 0)));
    }

    #[test]
    fn the_hour_that_never_comes_has_one_meaning() {
        let never = instants("2026-03-29 02:30:00").unwrap();
        assert_eq!(never.second, None);
    }

    #[test]
    fn what_is_no_date_is_none() {
        for bad in [
            "",
            "0000-00-00 00:00:00",
            "yesterday",
            "2026-02-30 00:00:00",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_written_date_reads_back_as_the_instant_or_its_twin(second in 0_i64..4_000_000_000) {
            let instant = Timestamp::from_second(second).unwrap();
            let back = instants(&format(clock(instant))).unwrap();
            prop_assert!(back.first == instant || back.second == Some(instant));
        }
    }
}
