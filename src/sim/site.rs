//! The web site, as far as programs use it: public folders, the check of links, and
//! a page for share links (API notes 8).

use super::account::{Account, FileView};
use super::faults::FaultKind;
use super::http::{self, Answer, Body, Peer, parameter, strike_early};
use super::json::{Style, render};
use super::report::Offence;
use super::world::{State, World};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use serde_json::{Map, Value, json};

const ROLE: &str = "site";

/// Answers whatever no other role claims.
pub async fn serve(world: &World, peer: &Peer, request: Request<Incoming>) -> Answer {
    world.recorder.request(ROLE);
    if http::bearer(request.headers()).is_some() {
        world.recorder.update(|report| report.key_leaks += 1);
    }
    let fault = world.strike(ROLE, &[]);
    if let Some(answer) = strike_early(peer, fault.as_ref()).await? {
        return Ok(answer);
    }
    let (head, body) = request.into_parts();
    let query = head.uri.query().unwrap_or_default().to_owned();
    let form = if head.method == Method::POST {
        let body = http::collect(body).await.ok_or(http::Abort)?;
        String::from_utf8_lossy(&body).into_owned()
    } else {
        String::new()
    };
    let path = head.uri.path();
    let answer = {
        let mut state = world.state.lock();
        match path.strip_prefix("/dir/") {
            Some(slug) => folder(world, &mut state, slug, &query, &form),
            None if path == "/check_links.pl" => check_links(&state, &form),
            None if path == "/"
                && state
                    .find_link(&format!("https://1fichier.com/?{query}"))
                    .is_some() =>
            {
                http::page(200, "Téléchargement")
            }
            None => {
                world.violation(Offence::Malformed, ROLE, format!("no such page {path}"));
                http::page(404, "Page introuvable")
            }
        }
    };
    match fault {
        Some(FaultKind::LoseAnswer) => Err(peer.reset()),
        Some(FaultKind::CorruptJson) => Ok(http::json(200, "[{\"filename\":\"a".to_owned())),
        Some(FaultKind::Truncate { after_bytes }) => Ok(http::truncate(answer, after_bytes)),
        _ => Ok(answer),
    }
}

fn folder(world: &World, state: &mut State, slug: &str, query: &str, form: &str) -> Response<Body> {
    let now = world.clock.now();
    let shared = |account: &Account| {
        let folder = account.shared_as(slug)?;
        let pass = folder.share.as_ref().and_then(|share| share.pass.clone());
        Some((pass, account.list(folder.id, now).ok()?.files))
    };
    let Some((pass, files)) = state.accounts.iter().find_map(shared) else {
        return http::page(404, "Dossier introuvable");
    };
    let given = parameter(form, "pass");
    if pass.is_some() && pass != given {
        return http::answer(
            200,
            "text/html; charset=utf-8",
            "<html><body><form method=\"post\"><input type=\"password\" name=\"pass\"></form></body></html>",
        );
    }
    if parameter(query, "e").as_deref() == Some("1") {
        let line =
            |file: &FileView| format!("{};{};{}\n", file.url, file.name, file.content.size());
        let lines: String = files.iter().map(line).collect();
        return http::answer(200, "text/csv; charset=utf-8", lines);
    }
    let wanted = parameter(form, "json").or_else(|| parameter(query, "json"));
    let entries: Vec<Value> = files.iter().map(entry).collect();
    let value = match wanted.as_deref() {
        Some("1") => Value::Array(entries),
        Some("2") => {
            let indexed = entries.into_iter().enumerate();
            let map: Map<_, _> = indexed
                .map(|(index, entry)| (index.to_string(), entry))
                .collect();
            Value::Object(map)
        }
        _ => return http::page(200, "Dossier partagé"),
    };
    let style = Style::of(&state.quirks, false);
    http::json(200, render(&value, style, &mut state.random))
}

fn entry(file: &FileView) -> Value {
    json!({
        "filename": file.name,
        "link": file.url,
        "size": file.content.size(),
        "password": u8::from(file.pass),
        "acl": u8::from(file.acl),
    })
}

fn check_links(state: &State, form: &str) -> Response<Body> {
    let links = url::form_urlencoded::parse(form.as_bytes())
        .filter(|(key, _)| key == "links[]")
        .map(|(_, link)| link.into_owned());
    let lines: String = links
        .map(|link| match state.find_link(&link) {
            Some((_, file)) if file.attributes.acl.is_some() => format!("{link};;;PRIVATE\n"),
            Some((_, file)) => format!("{link};{};{}\n", file.name, file.content.size()),
            None if super::account::split_link(&link).is_none() => format!("{link};;;BAD LINK\n"),
            None => format!("{link};;;NOT FOUND\n"),
        })
        .collect();
    http::answer(200, "text/plain; charset=utf-8", lines)
}
