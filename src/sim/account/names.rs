//! Which names the service takes (API notes 3.7).

use super::Refusal;
use crate::sim::quirks::{ForbiddenNames, Quirks};

const FORBIDDEN: &[char] = &['\\', '<', '>', '"', '\'', '$', '`', '/'];

/// Longest name, in characters.
const LONGEST: usize = 250;

/// The name as it will be kept, or the refusal.
pub fn accept(name: &str, quirks: &Quirks) -> Result<String, Refusal> {
    let bad = |c: char| FORBIDDEN.contains(&c) || c.is_control();
    let kept = match quirks.forbidden_names {
        ForbiddenNames::Refuse => {
            if name.contains(bad) || name.starts_with(' ') || name.ends_with(' ') {
                return Err(Refusal::BadName);
            }
            name.to_owned()
        }
        ForbiddenNames::Drop => name.replace(bad, "").trim_matches(' ').to_owned(),
    };
    let length = kept.chars().count();
    if length == 0 || length > LONGEST || kept == "." || kept == ".." {
        return Err(Refusal::BadName);
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused() {
        let quirks = Quirks::default();
        for bad in [
            "a\\b", "a<b", "a>b", "a\"b", "a'b", "a$b", "a`b", " a", "a ", "", "a\nb", ".",
        ] {
            assert_eq!(accept(bad, &quirks), Err(Refusal::BadName), "{bad:?}");
        }
        for good in ["a b", "é＼", ".hidden", "%41", "a.b.c", "😀"] {
            assert_eq!(accept(good, &quirks).as_deref(), Ok(good));
        }
    }

    #[test]
    fn the_limit_is_in_characters() {
        let quirks = Quirks::default();
        assert!(accept(&"é".repeat(250), &quirks).is_ok());
        assert_eq!(accept(&"e".repeat(251), &quirks), Err(Refusal::BadName));
    }

    #[test]
    fn or_dropped() {
        let quirks = Quirks {
            forbidden_names: ForbiddenNames::Drop,
            ..Quirks::default()
        };
        assert_eq!(accept(" a$b'c ", &quirks).as_deref(), Ok("abc"));
        assert_eq!(accept("$", &quirks), Err(Refusal::BadName));
    }
}
