//! `download/get_token` and `upload/get_upload_server`.

use super::context::Context;
use super::error::ApiError;
use super::files::{check_access, target};
use super::reply::Reply;
use crate::sim::http::Origin;
use crate::sim::limits::SMALL;
use crate::sim::report::Offence;
use crate::sim::tls;
use crate::sim::token::Token;
use crate::sim::uploads::random_id;
use crate::sim::world::{State, World};
use rand::RngExt;

/// `download/get_token.cgi` (API notes 4.1).
pub fn token(context: &Context<'_>, state: &mut State) -> Result<Reply, ApiError> {
    let params = context.params;
    let world = context.world;
    let profile = state
        .profiles
        .get(context.account)
        .ok_or(ApiError::NoSuchUser)?;
    if profile.config.offer == 0 {
        return Err(ApiError::NotCustomer);
    }
    let (owner, file) = target(context, state)?;
    check_access(context, owner, file)?;
    let is_small = file.content.size() <= SMALL;
    let inline = params.flag("inline") || file.attributes.inline;
    let token = Token {
        file: file.id.clone(),
        owner,
        account: context.account,
        single: params.flag("single"),
        inline,
        issued: world.clock.now(),
        first_used: None,
    };
    if !state.use_from(context.account, context.peer.ip, world.clock.now()) {
        let text = "the account is in use from another address";
        world.violation(Offence::Transfers, context.script, text);
        return Err(ApiError::Location);
    }
    if is_small {
        world.judge_small(state, context.call())?;
    }
    let random = &mut state.random;
    let name = random
        .random_range(10_000_000_u64..9_999_999_999)
        .to_string();
    let scheme = match (context.peer.origin, params.flag("no_ssl")) {
        (Origin::Tls, false) => "https",
        _ => "http",
    };
    let host = match context.peer.origin {
        Origin::Plain => world.plain.to_string(),
        Origin::Tls => with_port(tls::download_host(random), world),
    };
    let query = if inline { "?inline" } else { "" };
    let url = format!("{scheme}://{host}/p{name}{query}");
    state.tokens.insert(name, token);
    Ok(Reply::ok([("url", url.into())]))
}

/// `upload/get_upload_server.cgi` (API notes 3.1); no `status`, as seen.
pub fn upload_server(context: &Context<'_>, state: &mut State) -> Result<Reply, ApiError> {
    let id = random_id(&mut state.random);
    let host = match context.peer.origin {
        Origin::Plain => context.world.plain.to_string(),
        Origin::Tls => with_port(tls::upload_node(&mut state.random), context.world),
    };
    state.uploads.open(id.clone());
    Ok(Reply::object([("url", host.into()), ("id", id.into())]))
}

fn with_port(host: String, world: &World) -> String {
    match world.config.tls.as_ref().and_then(|tls| tls.port_in_urls) {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}
