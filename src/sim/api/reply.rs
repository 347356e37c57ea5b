//! A successful answer, and how it is written.

use crate::sim::account::FileView;
use crate::sim::content::Content;
use crate::sim::dates::to_paris;
use crate::sim::json::{Style, render};
use crate::sim::media::content_type;
use crate::sim::quirks::EmptyLists;
use crate::sim::world::World;
use rand::RngExt;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// What a call answers. Parts that need the content's checksum are added when it
/// is written, without the lock.
#[derive(Debug, Default)]
pub struct Reply {
    /// Ready parts.
    pub map: Map<String, Value>,
    /// Files to list under `items`.
    pub items: Option<Vec<FileView>>,
    /// Content whose checksum is added.
    pub checksum: Option<Content>,
    /// Names of lists, which may be written in several ways when empty.
    pub lists: Vec<&'static str>,
}

impl Reply {
    /// An object of these parts.
    pub fn object<const N: usize>(parts: [(&str, Value); N]) -> Reply {
        let map = parts.map(|(key, value)| (key.to_owned(), value));
        Reply {
            map: map.into_iter().collect(),
            ..Reply::default()
        }
    }

    /// The same with `status: OK`.
    pub fn ok<const N: usize>(parts: [(&str, Value); N]) -> Reply {
        let mut reply = Reply::object(parts);
        reply.set("status", "OK");
        reply
    }

    /// Adds a part.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.map.insert(key.to_owned(), value.into());
    }
}

/// Writes a reply as JSON.
pub async fn write(world: &Arc<World>, mut reply: Reply, pretty: bool) -> String {
    let limit = world.config.hash_up_to;
    if let Some(items) = reply.items.take() {
        let cheap = items
            .iter()
            .all(|item| item.content.checksum_is_cheap(limit));
        let write =
            move || -> Vec<Value> { items.iter().map(|item| item_json(item, limit)).collect() };
        let items = if cheap {
            write()
        } else {
            // Only a panic in there can fail, and then there is nothing to list.
            tokio::task::spawn_blocking(write).await.unwrap_or_default()
        };
        reply.lists.push("items");
        reply.set("items", items);
    }
    if let Some(content) = reply.checksum.take() {
        let checksum = tokio::task::spawn_blocking(move || content.listed_checksum(limit)).await;
        reply.set("checksum", checksum.unwrap_or_default());
    }
    let mut state = world.state.lock();
    let state = &mut *state;
    for list in reply.lists {
        let empty = reply.map.get(list).and_then(Value::as_array);
        if !empty.is_some_and(Vec::is_empty) {
            continue;
        }
        let way = match state.quirks.empty_lists {
            EmptyLists::Random => state.random.random_range(0..3),
            EmptyLists::Empty => 0,
            EmptyLists::Null => 1,
            EmptyLists::Missing => 2,
        };
        match way {
            1 => drop(reply.map.insert(list.to_owned(), Value::Null)),
            2 => drop(reply.map.remove(list)),
            _ => {}
        }
    }
    let style = Style::of(&state.quirks, pretty);
    render(&Value::Object(reply.map), style, &mut state.random)
}

/// A file in a listing (API notes 2.1).
fn item_json(item: &FileView, hash_up_to: u64) -> Value {
    let mut entry = json!({
        "filename": item.name,
        "size": item.content.size(),
        "date": to_paris(item.date),
        "checksum": item.content.listed_checksum(hash_up_to),
        "content-type": content_type(&item.name),
        "pass": u8::from(item.pass),
        "acl": u8::from(item.acl),
        "cdn": u8::from(item.cdn),
    });
    // Of a folder that hides its links nothing is told.
    if !item.url.is_empty() {
        entry["url"] = item.url.clone().into();
    }
    entry
}
