//! The Range header.

/// Bytes from `start` up to, not including, `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    pub start: u64,
    /// The byte after the last one.
    pub end: u64,
}

impl Range {
    /// Number of bytes.
    pub fn len(self) -> u64 {
        self.end - self.start
    }

    /// As a Content-Range of a file of `size` bytes, off by `shift`.
    pub fn header(self, size: u64, shift: i64) -> String {
        let start = self.start.saturating_add_signed(shift);
        let last = (self.end - 1).saturating_add_signed(shift);
        format!("bytes {start}-{last}/{size}")
    }
}

/// What a Range header asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Everything: also what several ranges, or nonsense, get.
    Whole,
    /// A part that exists.
    Part(Range),
    /// Nothing that exists.
    Impossible,
}

/// Reads `bytes=a-b`, `bytes=a-` and `bytes=-n`.
pub fn parse(text: &str, size: u64) -> Wanted {
    let Some((first, last)) = text
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Wanted::Whole;
    };
    let (start, end) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.saturating_add(1).min(size)),
        (Ok(first), Err(_)) if last.is_empty() => (first, size),
        (Err(_), Ok(count)) if first.is_empty() => (size.saturating_sub(count), size),
        _ => return Wanted::Whole,
    };
    if start < end {
        Wanted::Part(Range { start, end })
    } else {
        Wanted::Impossible
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn part(start: u64, end: u64) -> Wanted {
        Wanted::Part(Range { start, end })
    }

    #[test]
    fn forms() {
        assert_eq!(parse("bytes=0-9", 100), part(0, 10));
        assert_eq!(parse("bytes=90-", 100), part(90, 100));
        assert_eq!(parse("bytes=90-1000", 100), part(90, 100));
        assert_eq!(parse("bytes=-10", 100), part(90, 100));
        assert_eq!(parse("bytes=-1000", 100), part(0, 100));
        assert_eq!(parse("bytes=100-", 100), Wanted::Impossible);
        assert_eq!(parse("bytes=0-", 0), Wanted::Impossible);
        for whole in [
            "bytes=0-1,5-6",
            "bytes=9-3",
            "items=0-1",
            "bytes=a-b",
            "bytes=-",
        ] {
            assert_eq!(parse(whole, 100), Wanted::Whole, "{whole}");
        }
    }

    #[test]
    fn content_range() {
        let range = Range { start: 10, end: 20 };
        assert_eq!(range.header(100, 0), "bytes 10-19/100");
        assert_eq!(range.header(100, -5), "bytes 5-14/100");
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_file(first in 0_u64..200, last in 0_u64..200, size in 0_u64..200) {
            if let Wanted::Part(range) = parse(&format!("bytes={first}-{last}"), size) {
                prop_assert!(range.start < range.end && range.end <= size);
                prop_assert_eq!(range.start, first);
                prop_assert!(range.end <= last + 1);
            }
        }
    }
}
