//! `cache stats` and `cache clear`.

use super::args::CacheVerb;
use super::exit::Exit;
use super::show;
use super::{Outcome, load};
use crate::control::protocol::{Alone, Cache};

pub(super) async fn run(verb: CacheVerb) -> Outcome {
    match verb {
        CacheVerb::Stats { json, mount } => {
            let daemon = load::daemon(mount.mountpoint.as_deref()).await?;
            let cache = daemon.status().await?.cache;
            match json {
                true => show::print_json(&Alone::new(cache))?,
                false => show::print(&text(&cache))?,
            }
        }
        CacheVerb::Clear { mount } => {
            let daemon = load::daemon(mount.mountpoint.as_deref()).await?;
            let freed = daemon.clear_cache().await?;
            show::print(&format!("{} freed\n", show::size(freed)))?;
        }
    }
    Ok(Exit::Done)
}

fn text(cache: &Cache) -> String {
    format!(
        "on disk   {} of {} in {}\nserved    {}\nfetched   {}\n",
        show::size(cache.used),
        show::size(cache.limit),
        show::count(cache.files, "file"),
        show::size(cache.hit_bytes),
        show::size(cache.fetched_bytes),
    )
}
