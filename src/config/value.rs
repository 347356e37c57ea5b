//! The types of options and how they are written: `90s`, `256MiB`, `022`.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::ApiKey;

/// What an option takes, for help texts and for reading files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `true` or `false`; its name alone means `true`.
    Flag,
    /// `90s`, `10m`, `1h30m`.
    Duration,
    /// `256MiB`, `10GB`, a number of bytes.
    Size,
    /// A whole number.
    Count,
    /// A whole number within bounds.
    Between(usize, usize),
    /// A duration that is not 0.
    Wait,
    /// A number above zero.
    Factor,
    /// A number in octal digits, as `022`.
    Octal,
    /// Any text.
    Text,
    /// A path.
    Path,
    /// A bandwidth limit, by time of day where wanted: `08:00-23:00 2MiB, off`.
    Timetable,
    /// Patterns of names, as shells have them.
    Patterns,
    /// A place to listen at: the path of a unix socket, or a loopback address with a port.
    Listen,
    /// A public folder of the service, by its link.
    PublicFolder,
    /// Folders that others share: `friend@example.org Films=22692433`.
    SharedFolders,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A secret: never shown, never taken from the command line.
    Secret,
}

impl Kind {
    /// What to write, for an error message or a help text.
    pub fn takes(self) -> String {
        format!("it takes {}", self.expects())
    }

    /// The same as a noun.
    pub fn expects(self) -> String {
        match self {
            Kind::Flag => "true or false".to_owned(),
            Kind::Duration => "a duration such as 90s, 10m or 1h30m".to_owned(),
            Kind::Size => "a size such as 256MiB, 10GB or a number of bytes".to_owned(),
            Kind::Count => "a whole number".to_owned(),
            Kind::Between(least, most) => format!("a whole number from {least} to {most}"),
            Kind::Wait => "a duration above zero such as 90s, 10m or 1h30m".to_owned(),
            Kind::Factor => "a number above zero".to_owned(),
            Kind::Octal => "octal digits such as 022".to_owned(),
            Kind::Text => "a text".to_owned(),
            Kind::Path => "a path".to_owned(),
            Kind::Timetable => {
                "bytes a second such as 2MiB, off, or a timetable such as Mon-Fri 08:00-23:00 2MiB, off"
                    .to_owned()
            }
            Kind::Patterns => {
                "patterns of names such as .~lock.*# or Thumbs.db, separated by spaces; none may be * or have a slash"
                    .to_owned()
            }
            Kind::Listen => {
                "an absolute path for a unix socket, or a loopback address with a port such as 127.0.0.1:9847"
                    .to_owned()
            }
            Kind::Choice(words) => format!("one of {}", words.join(", ")),
            Kind::PublicFolder => {
                "the link of a public folder such as https://1fichier.com/dir/Ab3dEfGh".to_owned()
            }
            Kind::SharedFolders => {
                "e-mail addresses of users, and NAME=NUMBER of folders, separated by spaces".to_owned()
            }
            Kind::Secret => "a key or password of one line".to_owned(),
        }
    }
}

/// A type that an option can have.
pub trait Value: Sized {
    /// How it is written.
    const KIND: Kind;
    /// Reads it; `None` if the text is none.
    fn read(text: &str) -> Option<Self>;
    /// What is wrong with a text that is none, as the end of "it cannot be that: …". Never quotes
    /// it: it may be a secret.
    fn wrong(_text: &str) -> String {
        Self::KIND.takes()
    }
}

impl Value for bool {
    const KIND: Kind = Kind::Flag;

    fn read(text: &str) -> Option<bool> {
        match text {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        }
    }
}

impl Value for String {
    const KIND: Kind = Kind::Text;

    fn read(text: &str) -> Option<String> {
        Some(text.to_owned())
    }
}

impl Value for u32 {
    const KIND: Kind = Kind::Count;

    fn read(text: &str) -> Option<u32> {
        text.parse().ok()
    }
}

impl Value for usize {
    const KIND: Kind = Kind::Count;

    fn read(text: &str) -> Option<usize> {
        text.parse().ok()
    }
}

/// A whole number within bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Between<const LEAST: usize, const MOST: usize>(pub usize);

impl<const LEAST: usize, const MOST: usize> Value for Between<LEAST, MOST> {
    const KIND: Kind = Kind::Between(LEAST, MOST);

    fn read(text: &str) -> Option<Self> {
        let number = usize::read(text)?;
        (LEAST..=MOST).contains(&number).then_some(Between(number))
    }
}

/// A duration that is not 0: at once nothing can be waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wait(pub Duration);

impl Value for Wait {
    const KIND: Kind = Kind::Wait;

    fn read(text: &str) -> Option<Wait> {
        let wait = <Duration as Value>::read(text)?;
        (!wait.is_zero()).then_some(Wait(wait))
    }
}

impl Value for PathBuf {
    const KIND: Kind = Kind::Path;

    fn read(text: &str) -> Option<PathBuf> {
        let path = match (text.strip_prefix("~/"), dirs::home_dir()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(text),
        };
        (!text.is_empty()).then_some(path)
    }
}

impl Value for ApiKey {
    const KIND: Kind = Kind::Secret;

    fn read(text: &str) -> Option<ApiKey> {
        ApiKey::new(text.to_owned()).ok()
    }

    fn wrong(text: &str) -> String {
        match ApiKey::new(text.to_owned()) {
            Ok(_) => Self::KIND.takes(),
            Err(error) => error.to_string(),
        }
    }
}

/// An option that may be left empty.
impl<T: Value> Value for Option<T> {
    const KIND: Kind = T::KIND;

    fn read(text: &str) -> Option<Option<T>> {
        if text.is_empty() {
            return Some(None);
        }
        T::read(text).map(Some)
    }

    fn wrong(text: &str) -> String {
        T::wrong(text)
    }
}

/// A place to listen at that other machines cannot reach.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Listen {
    /// A unix socket.
    Socket(PathBuf),
    /// A port of a loopback address.
    Port(SocketAddr),
}

impl Value for Listen {
    const KIND: Kind = Kind::Listen;

    fn read(text: &str) -> Option<Listen> {
        if let Some(path) = PathBuf::read(text).filter(|path| path.is_absolute()) {
            return Some(Listen::Socket(path));
        }
        let text = text.replace("localhost:", "127.0.0.1:");
        let address: SocketAddr = text.parse().ok()?;
        address.ip().is_loopback().then_some(Listen::Port(address))
    }
}

/// A factor above zero.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Factor(pub f64);

impl Value for Factor {
    const KIND: Kind = Kind::Factor;

    fn read(text: &str) -> Option<Factor> {
        let factor: f64 = text.parse().ok()?;
        (factor.is_finite() && factor > 0.0).then_some(Factor(factor))
    }
}

/// Permission bits to take away, as umask(1) has them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Umask(pub u32);

impl Value for Umask {
    const KIND: Kind = Kind::Octal;

    fn read(text: &str) -> Option<Umask> {
        let bits = u32::from_str_radix(text, 8).ok()?;
        (bits <= 0o777).then_some(Umask(bits))
    }
}

/// Patterns of names as shells have them, separated by spaces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Patterns(pub Vec<String>);

impl Value for Patterns {
    const KIND: Kind = Kind::Patterns;

    fn read(text: &str) -> Option<Patterns> {
        let patterns: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        // What fits every name would keep everything here.
        let fits = |p: &String| !p.contains('/') && !p.chars().all(|c| c == '*');
        patterns.iter().all(fits).then_some(Patterns(patterns))
    }
}

/// A number of bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Size(pub u64);

/// Units, the long spellings before those they end with. A single letter is
/// binary, as in most tools that take sizes.
const SIZE_UNITS: &[(&str, u64)] = &[
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
    ("K", 1 << 10),
    ("k", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
    ("T", 1 << 40),
];

impl Value for Size {
    const KIND: Kind = Kind::Size;

    fn read(text: &str) -> Option<Size> {
        let text = text.trim();
        let (digits, unit) = SIZE_UNITS
            .iter()
            .find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))
            .unwrap_or((text, 1));
        let digits = digits.trim();
        if !digits.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        if let Ok(whole) = digits.parse::<u64>() {
            return whole.checked_mul(unit).map(Size);
        }
        let part: f64 = digits.parse().ok()?;
        let bytes = part * unit as f64;
        // Beyond 2^53 a fraction of a unit is no exact number of bytes.
        (bytes < 9e15).then_some(Size(bytes as u64))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, unit) in [
            ("TiB", 1_u64 << 40),
            ("GiB", 1 << 30),
            ("MiB", 1 << 20),
            ("KiB", 1 << 10),
        ] {
            if self.0 >= unit && self.0.is_multiple_of(unit) {
                return write!(f, "{}{name}", self.0 / unit);
            }
        }
        write!(f, "{}", self.0)
    }
}

impl Value for Duration {
    const KIND: Kind = Kind::Duration;

    fn read(text: &str) -> Option<Duration> {
        let mut rest = text.trim();
        if rest == "0" {
            return Some(Duration::ZERO);
        }
        let mut total: Option<Duration> = None;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit())?;
            let (digits, after) = rest.split_at_checked(end)?;
            let number: u64 = digits.parse().ok()?;
            let end = after
                .find(|c: char| c.is_ascii_digit())
                .unwrap_or(after.len());
            let (unit, after) = after.split_at_checked(end)?;
            let millis = match unit {
                "ms" => 1,
                "s" => 1_000,
                "m" | "min" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return None,
            };
            let part = Duration::from_millis(number.checked_mul(millis)?);
            total = Some(total.unwrap_or_default().checked_add(part)?);
            rest = after;
        }
        total
    }
}

/// An option that takes one of some words.
macro_rules! choice {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl Value for $name {
            const KIND: Kind = Kind::Choice(&[$($word),+]);

            fn read(text: &str) -> Option<$name> {
                match text {
                    $($word => Some($name::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

choice! {
    /// Which addresses of the service are used. It allows an account one place at a
    /// time, and the two addresses of one line can count as two places.
    AddressFamily {
        /// The one that works first, then no other.
        Auto = "auto",
        /// IPv4 only.
        Ipv4 = "ipv4",
        /// IPv6 only.
        Ipv6 = "ipv6",
    }
}

choice! {
    /// What an `fsync` waits for.
    Fsync {
        /// The disk of this machine.
        Local = "local",
        /// The service's confirmation, too.
        Remote = "remote",
    }
}

choice! {
    /// How much is logged.
    LogLevel {
        /// What the user must act on.
        Error = "error",
        /// What is degraded but handled.
        Warn = "warn",
        /// The course of things.
        Info = "info",
        /// Decisions.
        Debug = "debug",
        /// Traffic, without secrets.
        Trace = "trace",
    }
}

choice! {
    /// How log lines are written.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        let read = <Duration as Value>::read;
        assert_eq!(read("90s"), Some(Duration::from_secs(90)));
        assert_eq!(read("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(read("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(read("0"), Some(Duration::ZERO));
        for bad in [
            "",
            "10",
            "s",
            "-1s",
            "1.5h",
            "10 minutes",
            "1y",
            "99999999999999999999s",
            "10é",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes() {
        let read = |text| Size::read(text).map(|size| size.0);
        assert_eq!(read("256MiB"), Some(256 << 20));
        assert_eq!(read("10GB"), Some(10_000_000_000));
        assert_eq!(read("10G"), Some(10 << 30));
        assert_eq!(read("1.5 GiB"), Some(3 << 29));
        assert_eq!(read("42"), Some(42));
        assert_eq!(read("42B"), Some(42));
        for bad in [
            "",
            "MiB",
            "-1",
            "inf",
            "NaNG",
            "10 apples",
            "99999999999999999999",
            "99999999TiB",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_rest() {
        assert_eq!(Umask::read("022"), Some(Umask(0o22)));
        assert_eq!(Umask::read("1777"), None);
        assert_eq!(Umask::read("9"), None);
        assert_eq!(Factor::read("0"), None);
        assert_eq!(Wait::read("0s"), None);
        assert_eq!(Wait::read("1ms"), Some(Wait(Duration::from_millis(1))));
        for (text, number) in [("0", None), ("1", Some(1)), ("30", Some(30)), ("31", None)] {
            let read = Between::<1, 30>::read(text);
            assert_eq!(read.map(|read| read.0), number, "{text}");
        }
        assert_eq!(Factor::read("inf"), None);
        assert_eq!(bool::read("yes"), Some(true));
        assert_eq!(bool::read("maybe"), None);
        assert_eq!(Option::<u32>::read(""), Some(None));
        assert_eq!(AddressFamily::read("ipv6"), Some(AddressFamily::Ipv6));
    }

    proptest! {
        #[test]
        fn a_size_reads_back_as_written(bytes: u64) {
            prop_assert_eq!(Size::read(&Size(bytes).to_string()), Some(Size(bytes)));
        }

        #[test]
        fn no_text_breaks_a_reader(text in "\\PC{0,12}") {
            let _ = (Size::read(&text), <Duration as Value>::read(&text), Umask::read(&text), Factor::read(&text));
        }
    }
}
