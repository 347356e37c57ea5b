//! `GET /end.pl` (API notes 3.4).

use crate::sim::faults::FaultKind;
use crate::sim::http::{self, Answer, Peer, parameter, seconds_of, strike_early};
use crate::sim::json::{Style, render};
use crate::sim::uploads::UploadLink;
use crate::sim::world::World;
use hyper::Request;
use hyper::body::Incoming;
use serde_json::{Value, json};

const ROLE: &str = "end.pl";

/// The result of an upload: JSON with the header `JSON`, CSV with `Export=1`, else a page.
pub async fn result(world: &World, peer: &Peer, request: Request<Incoming>) -> Answer {
    world.recorder.request(ROLE);
    let fault = world.strike(ROLE, &[]);
    if let Some(answer) = strike_early(peer, fault.as_ref()).await? {
        return Ok(answer);
    }
    if let Some(FaultKind::Stall { seconds, .. }) = &fault {
        tokio::time::sleep(seconds_of(*seconds)).await;
    }
    let query = request.uri().query().unwrap_or_default();
    let xid = parameter(query, "xid").unwrap_or_default();
    let header = request
        .headers()
        .get("JSON")
        .and_then(|value| value.to_str().ok());
    let now = world.clock.now();
    let found = {
        let mut state = world.state.lock();
        let life = state.limits.table().upload_memory;
        state.uploads.result(&xid, now, life).map(|result| {
            if let Some(FaultKind::WaitPage { seconds }) = fault {
                result.wait_until = now + seconds_of(seconds);
            }
            (now >= result.wait_until).then(|| result.links.clone())
        })
    };
    let mut links = match found {
        None => {
            let text = "Cet envoi est inconnu ou terminé depuis trop longtemps";
            return Ok(http::page(200, text));
        }
        Some(None) => return Ok(http::page(200, "Veuillez patienter / Please wait")),
        Some(Some(links)) => links,
    };
    match fault {
        Some(FaultKind::EmptyLinks) => links.clear(),
        Some(FaultKind::SeveralLinks) => links.extend(links.clone()),
        Some(FaultKind::LoseAnswer) => return Err(peer.reset()),
        Some(FaultKind::CorruptJson) => {
            let text = "{\"incoming\":0,\"links\":[{\"down";
            return Ok(http::json(200, text.to_owned()));
        }
        _ => {}
    }
    let wrong = fault == Some(FaultKind::WrongChecksum);
    let told = |json: String| match wrong {
        true => http::json(200, with_wrong_checksums(&json)),
        false => http::json(200, json),
    };
    let answer = match header {
        Some("1") => told(links_json(world, links, false).await),
        Some("2") => told(links_json(world, links, true).await),
        _ if parameter(query, "Export").as_deref() == Some("1") => {
            let line = |link: &UploadLink| {
                format!("{};{};{};\n", link.url, link.name, link.content.size())
            };
            let lines: String = links.iter().map(line).collect();
            http::answer(200, "text/csv; charset=utf-8", lines)
        }
        _ => http::page(200, "Votre envoi est terminé"),
    };
    match fault {
        Some(FaultKind::Truncate { after_bytes }) => Ok(http::truncate(answer, after_bytes)),
        _ => Ok(answer),
    }
}

/// The same with the digits of all checksums turned round.
fn with_wrong_checksums(json: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(json) else {
        return json.to_owned();
    };
    for link in value["links"].as_array_mut().into_iter().flatten() {
        if let Some(digits) = link["whirlpool"].as_str() {
            link["whirlpool"] = digits.chars().rev().collect::<String>().into();
        }
    }
    value.to_string()
}

/// The JSON of end.pl; `size` is a string, `remove` empty where there is no such link.
/// Waits for the digests.
pub async fn links_json(world: &World, links: Vec<UploadLink>, pretty: bool) -> String {
    let write = move || -> Vec<Value> {
        let link = |link: &UploadLink| {
            json!({
                "download": link.url,
                "filename": link.name,
                "remove": link.remove,
                "size": link.content.size().to_string(),
                "whirlpool": link.content.listed_checksum(0),
            })
        };
        links.iter().map(link).collect()
    };
    // Only a panic in there can fail, and then there is nothing to list.
    let links = tokio::task::spawn_blocking(write).await.unwrap_or_default();
    let value = json!({"incoming": 0, "links": links});
    let mut state = world.state.lock();
    let state = &mut *state;
    let style = Style::of(&state.quirks, pretty);
    render(&value, style, &mut state.random)
}
