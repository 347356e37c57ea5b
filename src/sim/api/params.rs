//! The JSON body of a call.

use super::error::ApiError;
use crate::sim::account::{Refusal, split_link};
use serde_json::{Map, Value};

/// The parameters of a call.
#[derive(Debug, Default)]
pub struct Params {
    map: Map<String, Value>,
}

impl Params {
    /// Reads a body; an empty one has no parameters.
    pub fn parse(body: &[u8]) -> Result<Params, ()> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Params::default());
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(map)) => Ok(Params { map }),
            _ => Err(()),
        }
    }

    /// A parameter as it came; null counts as absent.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// A number, which may come as a string (API notes 1.3).
    pub fn int(&self, name: &'static str) -> Result<Option<i64>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match as_int(value) {
                Some(number) => Ok(Some(number)),
                None => Err(Refusal::Parameter(name).into()),
            },
        }
    }

    /// A folder's id; absent means `None`, a negative one is an error.
    pub fn folder(&self, name: &'static str) -> Result<Option<u64>, ApiError> {
        let bad = |_| ApiError::from(Refusal::Parameter(name));
        self.int(name)?.map(u64::try_from).transpose().map_err(bad)
    }

    /// A folder's id that must be there.
    pub fn folder_required(&self, name: &'static str) -> Result<u64, ApiError> {
        Ok(self.folder(name)?.ok_or(Refusal::Parameter(name))?)
    }

    /// A text.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Refusal::Parameter(name).into()),
        }
    }

    /// A text that must be there.
    pub fn text_required(&self, name: &'static str) -> Result<&str, ApiError> {
        Ok(self.text(name)?.ok_or(Refusal::Parameter(name))?)
    }

    /// A 0/1 parameter.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).and_then(as_int) == Some(1)
    }

    /// A list that must be there and have entries.
    pub fn list(&self, name: &'static str) -> Result<&[Value], ApiError> {
        match self.get(name) {
            Some(Value::Array(items)) if !items.is_empty() => Ok(items),
            _ => Err(Refusal::Parameter(name).into()),
        }
    }

    /// A list of texts.
    pub fn texts(&self, name: &'static str) -> Result<Vec<&str>, ApiError> {
        let texts = self.list(name)?.iter().map(Value::as_str);
        let texts: Option<Vec<&str>> = texts.collect();
        Ok(texts.ok_or(Refusal::Parameter(name))?)
    }

    /// The ids of all folders and files that the call concerns.
    pub fn ids(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for (name, value) in &self.map {
            if name == "folder_id" || name == "destination_folder_id" {
                ids.extend(as_int(value).map(|id| id.to_string()));
            }
            links(value, &mut ids);
        }
        ids
    }
}

fn links(value: &Value, ids: &mut Vec<String>) {
    match value {
        Value::String(text) => ids.extend(split_link(text).map(|(_, id)| id.to_owned())),
        Value::Array(items) => items.iter().for_each(|item| links(item, ids)),
        Value::Object(map) => map.values().for_each(|item| links(item, ids)),
        _ => {}
    }
}

fn as_int(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Bool(flag) => Some(i64::from(*flag)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_be_strings() {
        let params = Params::parse(br#"{"a":5,"b":"7","c":"x","d":null}"#).unwrap();
        assert_eq!(params.int("a"), Ok(Some(5)));
        assert_eq!(params.int("b"), Ok(Some(7)));
        assert!(params.int("c").is_err());
        assert_eq!(params.int("d"), Ok(None));
    }

    #[test]
    fn only_objects_are_parameters() {
        assert!(Params::parse(b"").is_ok());
        assert!(Params::parse(b"[1]").is_err());
        assert!(Params::parse(b"{\"a\"").is_err());
    }

    #[test]
    fn all_ids_are_found() {
        let body = br#"{"folder_id":"3","urls":[{"url":"https://1fichier.com/?abcde12345"}],"rename":"x"}"#;
        let params = Params::parse(body).unwrap();
        assert_eq!(params.ids(), ["3", "abcde12345"]);
    }
}
