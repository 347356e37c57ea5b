//! `GET /end.pl` (API notes 3.4).

use super::UploadLink;
use crate::sim::faults::FaultKind;
use crate::sim::http::{self, Answer, Peer, parameter, seconds_of, strike_early};
use crate::sim::json::{Style, render};
use crate::sim::world::{State, World};
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
    let mut state = world.state.lock();
    let state = &mut *state;
    let life = state.limits.table().upload_memory;
    let Some(result) = state.uploads.result(&xid, now, life) else {
        return Ok(http::page(
            200,
            "Cet envoi est inconnu ou terminé depuis trop longtemps",
        ));
    };
    if let Some(FaultKind::WaitPage { seconds }) = fault {
        result.wait_until = now + seconds_of(seconds);
    }
    if now < result.wait_until {
        return Ok(http::page(200, "Veuillez patienter / Please wait"));
    }
    let mut links = result.links.clone();
    match fault {
        Some(FaultKind::EmptyLinks) => links.clear(),
        Some(FaultKind::SeveralLinks) => {
            links = links
                .iter()
                .flat_map(|link| [link.clone(), link.clone()])
                .collect();
        }
        Some(FaultKind::LoseAnswer) => return Err(peer.reset()),
        Some(FaultKind::CorruptJson) => {
            return Ok(http::json(
                200,
                "{\"incoming\":0,\"links\":[{\"down".to_owned(),
            ));
        }
        _ => {}
    }
    let answer = match header {
        Some("1") => http::json(200, links_json(state, &links, false)),
        Some("2") => http::json(200, links_json(state, &links, true)),
        _ if parameter(query, "Export").as_deref() == Some("1") => {
            let line = |link: &UploadLink| format!("{};{};{};\n", link.url, link.name, link.size);
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

/// The JSON of end.pl; `size` is a string, `remove` empty for an account's upload.
pub fn links_json(state: &mut State, links: &[UploadLink], pretty: bool) -> String {
    let links: Vec<Value> = links
        .iter()
        .map(|link| {
            json!({
                "download": link.url,
                "filename": link.name,
                "remove": "",
                "size": link.size.to_string(),
                "whirlpool": link.whirlpool,
            })
        })
        .collect();
    let value = json!({"incoming": 0, "links": links});
    let style = Style::of(&state.quirks, pretty);
    render(&value, style, &mut state.random)
}
