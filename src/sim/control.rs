//! The control endpoint `/_sim/` on the plain listener, for loopback peers: the handle
//! and the faults over HTTP, for shell scripts and tests in other languages. The module
//! documentation of `sim` lists its requests.

use super::content::Content;
use super::faults::Fault;
use super::handle::{AccountHandle, HandleError};
use super::http::{self, Answer, Body, Origin, Peer, parameter};
use super::world::World;
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// A change behind the client's back, as JSON: `{"op":"delete","path":"a/b"}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
enum Change {
    /// Adds a file beside those of its name: with this text, or synthetic.
    Create {
        path: String,
        #[serde(flatten)]
        content: NewContent,
    },
    /// Puts other content in a file's place.
    Replace {
        path: String,
        #[serde(flatten)]
        content: NewContent,
    },
    /// Makes a folder, with those above it.
    Mkdir { path: String },
    /// Removes a file, or a folder with all in it.
    Delete { path: String },
    /// Renames a file or folder in its place.
    Rename { path: String, name: String },
    /// Moves a file or folder into another folder.
    Move { path: String, to: String },
    /// Sets a file's download password.
    Password { path: String, pass: Option<String> },
    /// Gives a folder a public page.
    Share { path: String, pass: Option<String> },
    /// Changes the owner's side.
    Account {
        key: Option<String>,
        offer: Option<u8>,
        quota: Option<u64>,
        upload_forbidden: Option<bool>,
    },
    /// Changes assumptions at run time.
    Settings {
        /// Seconds of simulated time.
        listing_lag: Option<f64>,
        quirks: Option<Value>,
    },
    /// Ends all locks and bans.
    Unlock,
}

#[derive(Debug, Clone, Deserialize)]
struct NewContent {
    text: Option<String>,
    size: Option<u64>,
    #[serde(default)]
    seed: u64,
}

impl NewContent {
    fn make(self) -> Content {
        match (self.text, self.size) {
            (Some(text), _) => Content::from_bytes(text.as_bytes()),
            (None, size) => Content::synthetic(self.seed, size.unwrap_or(1)),
        }
    }
}

/// Answers a control request.
pub async fn serve(world: &Arc<World>, peer: &Peer, request: Request<Incoming>) -> Answer {
    if peer.origin != Origin::Plain || !peer.ip.is_loopback() {
        return Ok(http::page(404, "Page introuvable"));
    }
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let query = head.uri.query().unwrap_or_default().to_owned();
    let body = http::collect(body).await.ok_or(http::Abort)?;
    let world = world.clone();
    // Hashing a tree reads it.
    let answered =
        tokio::task::spawn_blocking(move || answer(&world, &head.method, &path, &query, &body));
    Ok(answered
        .await
        .unwrap_or_else(|_| error(500, "the control endpoint failed")))
}

fn answer(
    world: &Arc<World>,
    method: &Method,
    path: &str,
    query: &str,
    body: &[u8],
) -> Response<Body> {
    let account = AccountHandle::new(world.clone(), 0);
    let outcome = match (method.as_str(), path) {
        ("GET", "/_sim/report") => Ok(json!(world.recorder.report())),
        ("POST", "/_sim/reset-report") => {
            world.recorder.reset();
            Ok(json!({}))
        }
        ("GET", "/_sim/faults") => Ok(json!(world.faults.list())),
        ("POST", "/_sim/faults") => add_faults(world, body),
        ("DELETE", "/_sim/faults") => {
            world.faults.clear();
            Ok(json!({}))
        }
        ("GET", "/_sim/tree") => Ok(json!(account.entries())),
        ("GET", "/_sim/file") => {
            let id = parameter(query, "id").or_else(|| {
                let path = parameter(query, "path")?;
                account.file_id(&path)
            });
            return match id.map(|id| account.content_of(&id)) {
                Some(Ok(bytes)) => http::answer(200, "application/octet-stream", bytes),
                Some(Err(failed)) => error(404, &failed.to_string()),
                None => error(404, "give id= or path= of a file"),
            };
        }
        ("POST", "/_sim/change") => change_all(world, &account, body),
        _ => return error(404, "no such control request"),
    };
    match outcome {
        Ok(value) => http::json(200, format!("{value:#}\n")),
        Err(text) => error(400, &text),
    }
}

fn error(status: u16, text: &str) -> Response<Body> {
    http::json(status, format!("{}\n", json!({ "error": text })))
}

/// One value or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    Many(Vec<T>),
    One(T),
}

fn parse<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<Vec<T>, String> {
    let value: OneOrMany<Value> = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let values = match value {
        OneOrMany::Many(values) => values,
        OneOrMany::One(value) => vec![value],
    };
    let typed = values.into_iter().map(serde_json::from_value);
    typed.collect::<Result<_, _>>().map_err(|e| e.to_string())
}

fn add_faults(world: &World, body: &[u8]) -> Result<Value, String> {
    for fault in parse::<Fault>(body)? {
        world.faults.add(fault);
    }
    Ok(json!(world.faults.list()))
}

fn change_all(world: &World, account: &AccountHandle, body: &[u8]) -> Result<Value, String> {
    let mut results = Vec::new();
    for item in parse::<Change>(body)? {
        results.push(change(world, account, item)?);
    }
    Ok(Value::Array(results))
}

fn change(world: &World, account: &AccountHandle, item: Change) -> Result<Value, String> {
    let done: Result<Value, HandleError> = match item {
        Change::Create { path, content } => account
            .add_content(&path, content.make())
            .map(|id| json!({ "id": id })),
        Change::Replace { path, content } => account
            .replace_content(&path, content.make())
            .map(|id| json!({ "id": id })),
        Change::Mkdir { path } => account.add_folder(&path).map(|id| json!({ "id": id })),
        Change::Delete { path } => account.delete(&path).map(|()| json!({})),
        Change::Rename { path, name } => account.rename(&path, &name).map(|()| json!({})),
        Change::Move { path, to } => account.move_into(&path, &to).map(|()| json!({})),
        Change::Password { path, pass } => account
            .set_password(&path, pass.as_deref())
            .map(|()| json!({})),
        Change::Share { path, pass } => account
            .share(&path, pass.as_deref())
            .map(|slug| json!({ "dir": slug })),
        Change::Account {
            key,
            offer,
            quota,
            upload_forbidden,
        } => {
            account.profile(|profile| {
                let config = &mut profile.config;
                config.key = key.unwrap_or_else(|| config.key.clone());
                config.offer = offer.unwrap_or(config.offer);
                config.quota = quota.unwrap_or(config.quota);
                profile.upload_forbidden = upload_forbidden.unwrap_or(profile.upload_forbidden);
            });
            Ok(json!({}))
        }
        Change::Settings {
            listing_lag,
            quirks,
        } => {
            let mut state = world.state.lock();
            if let Some(seconds) = listing_lag {
                state.lag = Duration::try_from_secs_f64(seconds).map_err(|e| e.to_string())?;
            }
            if let Some(quirks) = quirks {
                state.quirks.merge(&quirks)?;
            }
            Ok(json!({}))
        }
        Change::Unlock => {
            world.state.lock().limits.clear();
            Ok(json!({}))
        }
    };
    done.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_change_or_several() {
        let one: Vec<Change> = parse(br#"{"op":"mkdir","path":"a"}"#).unwrap();
        assert!(matches!(&one[..], [Change::Mkdir { path }] if path == "a"));
        let two = br#"[{"op":"unlock"},{"op":"create","path":"a","text":"x"}]"#;
        assert_eq!(parse::<Change>(two).unwrap().len(), 2);
        assert!(parse::<Change>(br#"{"op":"nonsense"}"#).is_err());
        assert!(parse::<Fault>(b"{").is_err());
    }

    #[test]
    fn content_is_text_or_synthetic() {
        let content = |text: &str| serde_json::from_str::<NewContent>(text).unwrap().make();
        assert_eq!(content(r#"{"text":"abc"}"#).read_all().unwrap(), b"abc");
        assert_eq!(content(r#"{"size":1000,"seed":3}"#).size(), 1_000);
    }
}
