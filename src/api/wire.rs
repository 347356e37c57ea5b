//! How the service writes: numbers as numbers or strings, `null` or nothing at
//! all where a list or a number is empty (API notes 1.4). Every reader of a
//! field goes through these, so no answer breaks on a type that wobbles.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

/// The part that all answers share.
#[derive(serde::Deserialize)]
pub(super) struct Envelope {
    #[serde(default, deserialize_with = "text")]
    pub status: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub message: Option<String>,
}

impl Envelope {
    /// "KO" in any case is a failure; no status at all is none (API notes 1.4).
    pub fn is_refusal(&self) -> bool {
        self.status
            .as_deref()
            .is_some_and(|status| status.eq_ignore_ascii_case("KO"))
    }
}

/// A count, size or flag: number, string of digits, `null`, empty or absent.
pub(super) fn number<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u64>, D::Error> {
    match signed(input)? {
        Some(number) => u64::try_from(number)
            .map(Some)
            .map_err(|_| de::Error::custom("negative number")),
        None => Ok(None),
    }
}

/// As [`number`], for what may be negative.
pub(super) fn signed<'de, D: Deserializer<'de>>(input: D) -> Result<Option<i64>, D::Error> {
    input.deserialize_any(Scalar)?.into_number()
}

/// A 0/1 flag; absent is no.
pub(super) fn flag<'de, D: Deserializer<'de>>(input: D) -> Result<bool, D::Error> {
    Ok(signed(input)?.is_some_and(|number| number != 0))
}

/// A text; Perl writes one that looks like a number as a number.
pub(super) fn text<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    match input.deserialize_any(Scalar)? {
        Value::Nothing => Ok(None),
        Value::Text(text) => Ok(Some(text)),
        Value::Whole(number) => Ok(Some(number.to_string())),
        // 1.50 arrives as 1.5: what the text was is not known any more.
        Value::Fraction(_) => Err(de::Error::custom("a fraction where a text belongs")),
    }
}

/// A list; `null` or absent is an empty one.
pub(super) fn list<'de, D, T>(input: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(some_list(input)?.unwrap_or_default())
}

/// A list, told apart from `null`.
pub(super) fn some_list<'de, D, T>(input: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct List<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
        type Value = Option<Vec<T>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list or null")
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = seq.next_element()? {
                items.push(item);
            }
            Ok(Some(items))
        }
    }
    input.deserialize_any(List(PhantomData))
}

enum Value {
    Nothing,
    Text(String),
    Whole(i64),
    Fraction(f64),
}

impl Value {
    fn into_number<E: de::Error>(self) -> Result<Option<i64>, E> {
        let fraction = |number: f64| {
            // Beyond 2^53 a float is not the number that was meant.
            if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
                Ok(Some(number as i64))
            } else {
                Err(E::custom("not a whole number"))
            }
        };
        match self {
            Value::Nothing => Ok(None),
            Value::Whole(number) => Ok(Some(number)),
            Value::Fraction(number) => fraction(number),
            Value::Text(text) => match text.trim() {
                "" => Ok(None),
                digits => match digits.parse::<i64>() {
                    Ok(number) => Ok(Some(number)),
                    Err(_) => digits
                        .parse::<f64>()
                        .map_err(|_| E::custom("a text where a number belongs"))
                        .and_then(fraction),
                },
            },
        }
    }
}

struct Scalar;

impl Visitor<'_> for Scalar {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a string or null")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Whole(value.into()))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Whole(value))
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        i64::try_from(value)
            .map(Value::Whole)
            .map_err(|_| E::custom("number too large"))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Fraction(value))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }
}

/// The service's 0 and 1.
pub(super) fn bit(value: bool) -> u8 {
    value.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct All {
        #[serde(default, deserialize_with = "number")]
        n: Option<u64>,
        #[serde(default, deserialize_with = "signed")]
        i: Option<i64>,
        #[serde(default, deserialize_with = "flag")]
        b: bool,
        #[serde(default, deserialize_with = "text")]
        t: Option<String>,
        #[serde(default, deserialize_with = "list")]
        l: Vec<u8>,
    }

    fn read(json: &str) -> Result<All, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn a_number_may_be_a_string_null_or_absent() {
        for (json, n) in [
            (r#"{"n":7}"#, Some(7)),
            (r#"{"n":"7"}"#, Some(7)),
            (r#"{"n":7.0}"#, Some(7)),
            (r#"{"n":"7.0"}"#, Some(7)),
            (r#"{"n":9007199254740993}"#, Some(9_007_199_254_740_993)),
            (r#"{"n":""}"#, None),
            (r#"{"n":null}"#, None),
            ("{}", None),
        ] {
            assert_eq!(read(json).unwrap().n, n, "{json}");
        }
        for bad in [
            r#"{"n":-1}"#,
            r#"{"n":"x"}"#,
            r#"{"n":1.5}"#,
            r#"{"n":[]}"#,
            r#"{"n":1e300}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert_eq!(read(r#"{"i":"-3"}"#).unwrap().i, Some(-3));
    }

    #[test]
    fn flags_and_texts_wobble_too() {
        for (json, b) in [
            (r#"{"b":1}"#, true),
            (r#"{"b":"1"}"#, true),
            (r#"{"b":true}"#, true),
            (r#"{"b":"0"}"#, false),
            (r#"{"b":null}"#, false),
            ("{}", false),
        ] {
            assert_eq!(read(json).unwrap().b, b, "{json}");
        }
        assert_eq!(read(r#"{"t":12}"#).unwrap().t.as_deref(), Some("12"));
        assert_eq!(read(r#"{"t":null}"#).unwrap().t, None);
        assert!(read(r#"{"t":1.5}"#).is_err());
    }

    #[test]
    fn an_empty_list_may_be_missing_or_null() {
        for json in ["{}", r#"{"l":null}"#, r#"{"l":[]}"#] {
            assert!(read(json).unwrap().l.is_empty(), "{json}");
        }
        assert_eq!(read(r#"{"l":[1,2]}"#).unwrap().l, [1, 2]);
        assert!(read(r#"{"l":"x"}"#).is_err());
    }

    #[test]
    fn only_ko_is_a_refusal() {
        let refusal = |json| serde_json::from_str::<Envelope>(json).unwrap().is_refusal();
        assert!(refusal(r#"{"status":"KO"}"#));
        assert!(refusal(r#"{"status":"ko","message":"x"}"#));
        assert!(!refusal(r#"{"status":"OK"}"#));
        assert!(!refusal(r#"{"url":"x"}"#));
    }
}
