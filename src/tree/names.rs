//! Names here and names on the service.
//!
//! The service refuses some characters and trims others (API notes 3.7), so
//! names are sent with rclone's substitutions: both programs see one account
//! alike. [`encode`] is total on legal local names and [`decode`] undoes it;
//! a name on the service that has no legal local form (a raw `/`, `..`, too
//! long) is shown in a form that has one, and the node remembers the true name.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::ids::Ino;

/// Characters that a name may have on the service.
pub const MAX_CHARS: usize = 250;
/// Bytes that a name may have, here and on the service.
pub const MAX_BYTES: usize = 255;
/// How a symbolic link's file is named on the service, after the link's name.
pub const LINK_SUFFIX: &str = ".rclonelink";
/// The longest target of a symbolic link in bytes (`PATH_MAX` less its NUL).
pub const MAX_TARGET: usize = 4095;

/// Stands before a substitute that was in the original name, and before the two
/// hex digits of a byte that is not UTF-8.
const QUOTE: char = '‛';
const SPACE: char = '␠';

/// The name is over the limits once encoded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name is too long for the service (250 characters, 255 bytes)")]
pub struct TooLong;

/// What is sent instead of a character that the service does not take.
fn substitute(c: char) -> Option<char> {
    match c {
        '\\' | '<' | '>' | '"' | '\'' | '$' | '`' | '/' => char::from_u32(c as u32 + 0xFEE0),
        '\0'..='\x1f' => char::from_u32(0x2400 + c as u32),
        '\x7f' => Some('␡'),
        _ => None,
    }
}

/// The character that a substitute stands for.
fn original(c: char) -> Option<char> {
    match c {
        '＼' | '＜' | '＞' | '＂' | '＇' | '＄' | '｀' | '／' => {
            char::from_u32(c as u32 - 0xFEE0)
        }
        '\u{2400}'..='\u{241f}' => char::from_u32(c as u32 - 0x2400),
        '␡' => Some('\x7f'),
        _ => None,
    }
}

/// The name under which the service is told of `local`.
///
/// # Errors
/// [`TooLong`] over 250 characters or 255 bytes, after encoding.
pub fn encode(local: &OsStr) -> Result<String, TooLong> {
    let encoded = substitute_all(local.as_bytes());
    if local.len() > MAX_BYTES || encoded.len() > MAX_BYTES || encoded.chars().count() > MAX_CHARS {
        return Err(TooLong);
    }
    Ok(encoded)
}

/// The name of a regular file on the service. One that would be a symbolic link's there gets a
/// mark at its end, which is that of no other name: a quote that quotes nothing.
///
/// # Errors
/// [`TooLong`] like [`encode`], the mark included.
pub fn encode_file(local: &OsStr) -> Result<String, TooLong> {
    let mut encoded = encode(local)?;
    if is_links(&encoded) {
        encoded.push(QUOTE);
        if encoded.len() > MAX_BYTES || encoded.chars().count() > MAX_CHARS {
            return Err(TooLong);
        }
    }
    Ok(encoded)
}

/// Whether a symbolic link's file on the service is called so.
pub fn is_links(remote: &str) -> bool {
    remote.ends_with(LINK_SUFFIX) && remote != LINK_SUFFIX
}

/// Whether a file of so many bytes can hold the target of a symbolic link.
pub fn holds_target(size: u64) -> bool {
    (1..=MAX_TARGET as u64).contains(&size)
}

/// The name of a symbolic link's file on the service.
///
/// # Errors
/// [`TooLong`] like [`encode`], the suffix included.
pub fn encode_link(local: &OsStr) -> Result<String, TooLong> {
    let mut with_suffix = local.to_owned();
    with_suffix.push(LINK_SUFFIX);
    encode(&with_suffix)
}

/// A name on the service that is `name` with an ending, within the limits: `name` is cut where
/// both together are too long.
pub fn passing(name: &str, ending: &str) -> String {
    let bytes = name.floor_char_boundary(MAX_BYTES.saturating_sub(ending.len()));
    let chars = MAX_CHARS.saturating_sub(ending.chars().count());
    let kept = name.get(..bytes).unwrap_or_default().chars().take(chars);
    kept.chain(ending.chars()).collect()
}

/// The passing name of a file or folder that makes way, after what it was called.
pub fn moving(name: &str, ino: Ino) -> String {
    passing(name, &mark(ino))
}

/// What it was called before [`moving`]; `None` if this is no such name.
pub fn before_moving(name: &str, ino: Ino) -> Option<&str> {
    name.strip_suffix(&mark(ino))
        .filter(|name| !name.is_empty())
}

fn mark(ino: Ino) -> String {
    format!(".moving-{ino}")
}

fn substitute_all(bytes: &[u8]) -> String {
    // Whole names of dots mean folders; no user can make them, rclone's form of
    // them can exist here.
    if bytes == "．".as_bytes() || bytes == "．．".as_bytes() {
        return String::from_utf8_lossy(bytes)
            .chars()
            .flat_map(|c| [QUOTE, c])
            .collect();
    }
    let mut out = String::with_capacity(bytes.len() + 8);
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let first = at == 0;
            at += c.len_utf8();
            let last = at == bytes.len();
            match c {
                ' ' if first || last => out.push(SPACE),
                SPACE if first || last => out.extend([QUOTE, c]),
                _ if c == QUOTE || original(c).is_some() => out.extend([QUOTE, c]),
                _ => out.push(substitute(c).unwrap_or(c)),
            }
        }
        for byte in chunk.invalid() {
            at += 1;
            out.push_str(&format!("{QUOTE}{byte:02X}"));
        }
    }
    out
}

/// The local form of a name on the service, before it is made legal and unique
/// by [`display`].
fn decode(remote: &str) -> Vec<u8> {
    match remote {
        "‛．" => return "．".into(),
        "‛．‛．" => return "．．".into(),
        _ => {}
    }
    let mut out = Vec::with_capacity(remote.len());
    let mut rest = remote;
    while let Some(c) = rest.chars().next() {
        let first = rest.len() == remote.len();
        let after = &rest[c.len_utf8()..];
        rest = after;
        if c == QUOTE {
            if let Some(byte) = quoted_byte(after) {
                out.push(byte);
                rest = &after[2..];
                continue;
            }
            if let Some(next) = after.chars().next() {
                let tail = &after[next.len_utf8()..];
                let quoted = next == QUOTE
                    || original(next).is_some()
                    || (next == SPACE && (first || tail.is_empty()));
                if quoted {
                    push(&mut out, next);
                    rest = tail;
                    continue;
                }
            }
            push(&mut out, c);
        } else if c == SPACE && (first || after.is_empty()) {
            out.push(b' ');
        } else {
            push(&mut out, original(c).unwrap_or(c));
        }
    }
    out
}

/// Two upper-case hex digits of a byte that cannot stand alone in UTF-8.
fn quoted_byte(text: &str) -> Option<u8> {
    let digits = text.get(..2)?;
    let is_hex = |b: u8| b.is_ascii_digit() || (b'A'..=b'F').contains(&b);
    if !digits.bytes().all(is_hex) {
        return None;
    }
    u8::from_str_radix(digits, 16).ok().filter(|&b| b >= 0x80)
}

fn push(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// The name that a person sees for `remote`, if nothing else has it.
pub fn display(remote: &str) -> OsString {
    legal(decode(remote))
}

/// What can be a name on Linux.
fn legal(mut name: Vec<u8>) -> OsString {
    // What cannot be a name on Linux keeps its substitute, or gets one.
    if name.iter().any(|&b| b == b'/' || b == 0) {
        name = String::from_utf8_lossy(&name)
            .replace('/', "／")
            .replace('\0', "␀")
            .into_bytes();
    }
    match name.as_slice() {
        b"" => name = "␀".into(),
        b"." => name = "．".into(),
        b".." => name = "．．".into(),
        _ => {}
    }
    OsString::from_vec(name)
}

/// As [`display`], for a symbolic link.
pub fn display_link(remote: &str) -> OsString {
    let mut name = decode(remote);
    if name.ends_with(LINK_SUFFIX.as_bytes()) {
        name.truncate(name.len() - LINK_SUFFIX.len());
    }
    legal(name)
}

/// As [`display`], for a regular file.
pub fn display_file(remote: &str) -> OsString {
    let marked = remote.strip_suffix(QUOTE);
    display(marked.filter(|name| is_links(name)).unwrap_or(remote))
}

/// Whether `name` can stand in a folder here without being cut.
pub fn fits(name: &OsStr) -> bool {
    name.len() <= MAX_BYTES
}

/// The name of an entry whose name is taken by a newer one or too long:
/// `stem (id).ext`, cut to fit.
pub fn distinct(name: &OsStr, id: &str) -> OsString {
    let bytes = name.as_bytes();
    let dot = bytes.iter().rposition(|&b| b == b'.').filter(|&at| {
        // A leading dot begins no extension, and a long one is none.
        at > 0 && bytes.len() - at <= 16
    });
    let (stem, extension) = bytes.split_at(dot.unwrap_or(bytes.len()));
    let tag = format!(" ({id})");
    let room = MAX_BYTES.saturating_sub(tag.len() + extension.len());
    let mut out = cut(stem, room).to_vec();
    out.extend_from_slice(tag.as_bytes());
    out.extend_from_slice(extension);
    OsString::from_vec(out)
}

/// At most `room` bytes of `stem`, not ending inside a character.
fn cut(stem: &[u8], room: usize) -> &[u8] {
    if stem.len() <= room {
        return stem;
    }
    let mut end = room;
    while end > 0 && stem[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    &stem[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn local() -> impl Strategy<Value = OsString> {
        let special = prop_oneof![
            Just("‛".to_owned()),
            Just("␠".to_owned()),
            Just(" ".to_owned()),
            Just("．".to_owned()),
            Just(".".to_owned()),
            Just("‛41".to_owned()),
            Just("C3".to_owned()),
            "[\\\\<>\"'$`\u{1}-\u{1f}\u{7f}]",
            "[＼＜＞＂＇＄｀／␀-␡]",
            any::<char>().prop_map(String::from),
        ]
        .prop_map(String::into_bytes);
        let raw = prop::collection::vec(any::<u8>(), 0..3);
        prop::collection::vec(prop_oneof![4 => special, 1 => raw], 1..8).prop_filter_map(
            "legal names only",
            |parts| {
                let name = parts.concat();
                let legal = !name.is_empty()
                    && name != b"."
                    && name != b".."
                    && !name.contains(&b'/')
                    && !name.contains(&0);
                legal.then(|| OsString::from_vec(name))
            },
        )
    }

    #[test]
    fn a_passing_name_keeps_to_the_limits() {
        assert_eq!(moving("a.txt", Ino(7)), "a.txt.moving-7");
        assert_eq!(before_moving("a.txt.moving-7", Ino(7)), Some("a.txt"));
        assert_eq!(before_moving("a.txt.moving-7", Ino(8)), None);
        for long in ["n".repeat(250), "é".repeat(127), "😀".repeat(63)] {
            let name = passing(&long, ".moving-7");
            assert!(name.len() <= MAX_BYTES && name.chars().count() <= MAX_CHARS);
            assert!(name.ends_with(".moving-7"));
        }
    }

    proptest! {
        #[test]
        fn every_legal_name_round_trips(name in local()) {
            let sent = substitute_all(name.as_bytes());
            prop_assert_eq!(display(&sent), name);
        }

        #[test]
        fn no_regular_file_is_called_as_a_links_file_there(
            name in local(),
            ending in prop::sample::select(&["", ".rclonelink", ".rclonelink‛", ".rclonelink‛‛"]),
        ) {
            let mut name = name;
            name.push(ending);
            let sent = encode_file(&name).unwrap();
            prop_assert!(!is_links(&sent));
            prop_assert_eq!(display_file(&sent), name.clone());
            let of_link = encode_link(&name).unwrap();
            prop_assert!(is_links(&of_link));
            prop_assert_eq!(display_link(&of_link), name);
        }

        #[test]
        fn nothing_refused_is_ever_sent(name in local()) {
            let sent = substitute_all(name.as_bytes());
            let refused = |c: char| "\\<>\"'$`/".contains(c) || c.is_ascii_control();
            prop_assert!(!sent.contains(refused), "{sent:?}");
            prop_assert!(!sent.starts_with(' ') && !sent.ends_with(' '));
        }

        #[test]
        fn whatever_the_service_shows_has_a_legal_name(remote in any::<String>()) {
            let name = display(&remote);
            let bytes = name.as_bytes();
            prop_assert!(!bytes.is_empty() && bytes != b"." && bytes != b"..");
            prop_assert!(!bytes.contains(&b'/') && !bytes.contains(&0));
        }

        #[test]
        fn a_distinct_name_fits_and_keeps_its_tag(name in local(), id in "[a-z0-9]{5,20}") {
            let shown = distinct(&name, &id);
            prop_assert!(fits(&shown));
            let tag = format!("({id})");
            prop_assert!(shown.as_bytes().windows(tag.len()).any(|w| w == tag.as_bytes()));
        }
    }

    #[test]
    fn the_table_is_rclones() {
        for (here, there) in [
            ("a<b>c", "a＜b＞c"),
            (r#"it's "$5""#, "it＇s ＂＄5＂"),
            (r"back\slash`", "back＼slash｀"),
            (" x ", "␠x␠"),
            ("a b", "a b"),
            ("a\u{1}b\u{7f}", "a␁b␡"),
            ("＄", "‛＄"),
            ("a‛b", "a‛‛b"),
            ("．．", "‛．‛．"),
            ("a.b", "a.b"),
            (" ", "␠"),
        ] {
            assert_eq!(encode(OsStr::new(here)).unwrap(), there);
            assert_eq!(display(there), OsStr::new(here));
        }
        let latin1 = OsStr::from_bytes(b"caf\xe9");
        assert_eq!(encode(latin1).unwrap(), "caf‛E9");
        assert_eq!(display("caf‛E9"), latin1);
    }

    #[test]
    fn names_without_a_legal_form_are_shown_in_one() {
        for (there, here) in [("..", "．．"), ("a/b", "a／b"), ("a／b", "a／b"), ("", "␀")] {
            assert_eq!(display(there), OsStr::new(here));
        }
    }

    #[test]
    fn limits_count_what_is_sent() {
        assert!(encode(OsStr::new(&"a".repeat(250))).is_ok());
        assert_eq!(encode(OsStr::new(&"a".repeat(251))), Err(TooLong));
        assert!(encode(OsStr::new(&"é".repeat(127))).is_ok());
        assert_eq!(encode(OsStr::new(&"é".repeat(128))), Err(TooLong));
        // 100 characters here, 300 bytes there.
        assert_eq!(encode(OsStr::new(&"$".repeat(100))), Err(TooLong));
        assert_eq!(encode_link(OsStr::new(&"a".repeat(240))), Err(TooLong));
        let marked = |n| encode_file(OsStr::new(&("a".repeat(n) + LINK_SUFFIX)));
        assert!(marked(238).is_ok());
        assert_eq!(marked(239), Err(TooLong));
    }

    #[test]
    fn the_tag_goes_before_the_extension() {
        let name = |n: &str| distinct(OsStr::new(n), "abcde");
        assert_eq!(name("film.mkv"), OsStr::new("film (abcde).mkv"));
        assert_eq!(name(".profile"), OsStr::new(".profile (abcde)"));
        assert_eq!(name("no ext"), OsStr::new("no ext (abcde)"));
    }
}
