//! JSON as the service writes it: keys in random order, numbers that are
//! sometimes strings, and a backslash that is not escaped (API notes 1.4, 3.7).

use super::quirks::{Quirks, Types};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde_json::{Map, Value};

/// Keys whose numeric strings may turn into numbers.
const NUMERIC: [&str; 13] = [
    "size",
    "offer",
    "upload_forbidden",
    "cdn",
    "use_cdn",
    "mail_rm",
    "2fa",
    "ftp_mode",
    "ftp_report",
    "ru_report",
    "default_port",
    "default_port_files",
    "download_menu",
];

/// How to write.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// Indented.
    pub pretty: bool,
    /// Types of numbers.
    pub types: Types,
    /// Leave backslashes in strings unescaped.
    pub raw_backslash: bool,
}

impl Style {
    /// As the quirks have it.
    pub fn of(quirks: &Quirks, pretty: bool) -> Style {
        Style {
            pretty,
            types: quirks.types,
            raw_backslash: quirks.raw_backslash,
        }
    }
}

/// Writes a value.
pub fn render(value: &Value, style: Style, random: &mut StdRng) -> String {
    let mut writer = Writer {
        style,
        random,
        out: String::new(),
    };
    writer.value(value, 0);
    writer.out
}

struct Writer<'a> {
    style: Style,
    random: &'a mut StdRng,
    out: String,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: usize) {
        match value {
            Value::Object(map) => self.object(map, depth),
            Value::Array(items) => self.sequence('[', ']', items, depth, |writer, item| {
                writer.value(item, depth + 1);
            }),
            Value::String(text) => self.string(text),
            Value::Number(number) if self.wobbles() => self.string(&number.to_string()),
            other => self.out.push_str(&other.to_string()),
        }
    }

    fn object(&mut self, map: &Map<String, Value>, depth: usize) {
        let mut entries: Vec<(&String, &Value)> = map.iter().collect();
        entries.shuffle(self.random);
        self.sequence('{', '}', &entries, depth, |writer, (key, value)| {
            writer.string(key);
            writer.out.push(':');
            match value {
                Value::String(text) if NUMERIC.contains(&key.as_str()) => {
                    writer.numeric_string(key, text);
                }
                value => writer.value(value, depth + 1),
            }
        });
    }

    fn sequence<T>(
        &mut self,
        open: char,
        close: char,
        items: &[T],
        depth: usize,
        each: impl Fn(&mut Self, &T),
    ) {
        self.out.push(open);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            self.new_line(depth + 1);
            each(self, item);
        }
        if !items.is_empty() {
            self.new_line(depth);
        }
        self.out.push(close);
    }

    fn new_line(&mut self, depth: usize) {
        if self.style.pretty {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n("   ", depth));
        }
    }

    fn numeric_string(&mut self, key: &str, text: &str) {
        let number = text.parse::<f64>().is_ok();
        let mild = key == "cdn" && self.style.types != Types::Documented;
        if number && (mild && self.random.random_bool(0.5) || self.wobbles()) {
            self.out.push_str(text);
        } else {
            self.string(text);
        }
    }

    fn wobbles(&mut self) -> bool {
        self.style.types == Types::Full && self.random.random_bool(0.4)
    }

    fn string(&mut self, text: &str) {
        let escaped = Value::from(text).to_string();
        if self.style.raw_backslash && text.contains('\\') {
            self.out.push_str(&escaped.replace("\\\\", "\\"));
        } else {
            self.out.push_str(&escaped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use serde_json::json;
    use std::collections::HashSet;

    fn style(types: Types) -> Style {
        Style {
            pretty: false,
            types,
            raw_backslash: true,
        }
    }

    #[test]
    fn the_order_of_keys_changes_and_the_value_does_not() {
        let value = json!({"a": 1, "b": [true, null], "c": {"d": "x\"y\n"}, "e": 2.5});
        let mut random = StdRng::seed_from_u64(1);
        let mut seen = HashSet::new();
        for pretty in [false, true].repeat(10) {
            let style = Style {
                pretty,
                ..style(Types::Documented)
            };
            let text = render(&value, style, &mut random);
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
            seen.insert(text);
        }
        assert!(seen.len() > 5);
    }

    #[test]
    fn numbers_wobble_both_ways_and_names_never() {
        let value = json!({"size": "12", "count": 3, "filename": "12"});
        let mut random = StdRng::seed_from_u64(1);
        let texts: HashSet<String> = (0..100)
            .map(|_| render(&value, style(Types::Full), &mut random))
            .collect();
        let any = |part: &str| texts.iter().any(|text| text.contains(part));
        assert!(any(r#""size":12"#) && any(r#""size":"12""#));
        assert!(any(r#""count":3"#) && any(r#""count":"3""#));
        assert!(texts.iter().all(|text| text.contains(r#""filename":"12""#)));
        let text = render(&value, style(Types::Documented), &mut random);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn a_backslash_breaks_the_json() {
        let mut random = StdRng::seed_from_u64(1);
        let text = render(&json!("a\\q"), style(Types::Documented), &mut random);
        assert_eq!(text, r#""a\q""#);
        assert!(serde_json::from_str::<Value>(&text).is_err());
    }
}
