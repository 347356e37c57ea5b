//! Dates as the service writes them: `YYYY-MM-DD HH:MM:SS` in French local
//! time, daylight saving included (API notes 5).

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const FORMAT: &str = "%Y-%m-%d %H:%M:%S";

fn paris() -> TimeZone {
    // The zone comes from the bundled database; UTC only if that were removed.
    TimeZone::get("Europe/Paris").unwrap_or(TimeZone::UTC)
}

/// An instant as the service writes it.
pub fn to_paris(instant: Timestamp) -> String {
    instant
        .to_zoned_datetime(paris())
        .strftime(FORMAT)
        .to_string()
}

/// Reads a date sent by a client. In the hour that autumn repeats, the first
/// pass is taken.
pub fn from_paris(text: &str) -> Option<Timestamp> {
    let civil = DateTime::strptime(FORMAT, text.trim()).ok()?;
    paris().to_ambiguous_timestamp(civil).compatible().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summer_is_two_hours_ahead_and_winter_one() {
        let summer: Timestamp = "2021-06-22T12:57:25Z".parse().unwrap();
        assert_eq!(to_paris(summer), "2021-06-22 14:57:25");
        let winter: Timestamp = "2021-12-22T12:57:25Z".parse().unwrap();
        assert_eq!(to_paris(winter), "2021-12-22 13:57:25");
        assert_eq!(from_paris("2021-06-22 14:57:25"), Some(summer));
        assert_eq!(from_paris("2021-12-22 13:57:25"), Some(winter));
    }

    #[test]
    fn the_repeated_hour_is_the_first_pass() {
        let first: Timestamp = "2026-10-25T00:30:00Z".parse().unwrap();
        assert_eq!(from_paris("2026-10-25 02:30:00"), Some(first));
    }

    #[test]
    fn nonsense_is_no_date() {
        assert_eq!(from_paris("yesterday"), None);
        assert_eq!(from_paris("2021-13-01 00:00:00"), None);
    }
}
