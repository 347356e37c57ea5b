//! docs/json.md, written from the types of the schema, and the test that keeps it so.

use std::fmt::Write as _;

use schemars::{JsonSchema, schema_for};
use serde_json::Value;

use super::restore::RestoreReport;

use crate::config::reference::assert_document;
use crate::control::protocol::{
    Account, Alone, Cache, Cancelled, NewNames, Pins, Queue, SCHEMA, Status, Verification,
};
use crate::doctor::Report;

/// What stands before the tables.
const INTRODUCTION: &str = include_str!("reference.md");

fn reference() -> String {
    let mut text = INTRODUCTION.replace("{SCHEMA}", &SCHEMA.to_string());
    table::<Status>(&mut text, "status --json");
    table::<Queue>(&mut text, "queue list --json");
    table::<Pins>(&mut text, "pin --list --json");
    table::<Verification>(&mut text, "verify --json");
    table::<NewNames>(&mut text, "allow-new --json");
    table::<Cancelled>(&mut text, "queue cancel --json");
    table::<Alone<Account>>(&mut text, "account --json");
    table::<Alone<Cache>>(&mut text, "cache stats --json");
    table::<Report>(&mut text, "doctor --json");
    table::<RestoreReport>(&mut text, "doctor --restore DIR --json");
    text
}

fn table<T: JsonSchema>(text: &mut String, command: &str) {
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "\n## `fichierfs {command}`\n\n| field | type | meaning |\n| --- | --- | --- |\n"
    );
    let schema = schema_for!(T).to_value();
    let mut rows = Vec::new();
    fields(&schema, &schema, "", &mut rows);
    for (path, kind, meaning) in rows {
        let _ = writeln!(text, "| `{path}` | {kind} | {meaning} |");
    }
}

/// A row for each field, and for the fields in it.
fn fields(root: &Value, at: &Value, prefix: &str, rows: &mut Vec<(String, String, String)>) {
    let Some(properties) = at["properties"].as_object() else {
        return;
    };
    for (name, property) in properties {
        let path = format!("{prefix}{name}");
        let (inner, optional) = resolved(root, property);
        let meaning = property["description"]
            .as_str()
            .or(inner["description"].as_str())
            .unwrap_or_default();
        let mut kind = kind_of(root, inner);
        if optional {
            kind.push_str(", or null");
        }
        rows.push((path.clone(), kind, plain(meaning)));
        match inner["type"].as_str() {
            Some("array") => {
                let (item, _) = resolved(root, &inner["items"]);
                fields(root, item, &format!("{path}[]."), rows);
            }
            _ => fields(root, inner, &format!("{path}."), rows),
        }
    }
}

/// What a schema refers to, and whether it may be null.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> (&'a Value, bool) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.trim_start_matches("#/$defs/");
        return (&root["$defs"][name], false);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        return (resolved(root, &choices[0]).0, true);
    }
    let nullable = schema["type"]
        .as_array()
        .is_some_and(|types| types.iter().any(|t| t == "null"));
    (schema, nullable)
}

fn kind_of(root: &Value, schema: &Value) -> String {
    if let Some(choices) = schema["oneOf"].as_array() {
        let words = choices.iter().filter_map(|choice| choice["const"].as_str());
        let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
        return words.join(", ");
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds[0].as_str(),
        kind => kind.as_str(),
    };
    match kind {
        Some("array") => {
            let item = kind_of(root, resolved(root, &schema["items"]).0);
            format!("array of {item}")
        }
        Some("object") if schema["properties"].is_null() => {
            let value = kind_of(root, resolved(root, &schema["additionalProperties"]).0);
            format!("object of {value}")
        }
        kind => kind.unwrap_or("any").to_owned(),
    }
}

/// A text of the code's documentation as one cell.
fn plain(text: &str) -> String {
    let version = format!("The version of the schema: {SCHEMA}");
    text.replace("[`SCHEMA`](super::SCHEMA)", &version)
        .replace("[`SCHEMA`]", &version)
        .replace('\n', " ")
        .replace('|', "\\|")
}

/// `UPDATE_DOCS=1 cargo test --lib cli::reference` writes the file anew.
#[test]
fn the_document_is_what_the_types_say() {
    assert_document(
        "docs/json.md",
        &reference(),
        "the types say",
        "cli::reference",
    );
}

#[test]
fn every_field_has_a_type_and_a_meaning() {
    let text = reference();
    for row in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        assert_eq!(cells.len(), 3, "{row}");
        assert!(!cells[1].contains("any") && cells[2].len() > 4, "{row}");
    }
    for path in [
        "queue.failed",
        "transfers[].rate",
        "account.email",
        "api.locks",
    ] {
        assert!(
            text.contains(&format!("| `{path}` |")),
            "{path} in:\n{text}"
        );
    }
}
