//! `link`: the address under which the service shows a file.

use std::path::PathBuf;

use super::exit::Exit;
use super::show;
use super::{Outcome, load};

pub(super) async fn run(paths: &[PathBuf]) -> Outcome {
    for path in paths {
        let (daemon, inner) = load::within(path).await?;
        let url = daemon.link(inner).await?;
        show::print(&(show::plain(&url) + "\n"))?;
    }
    Ok(Exit::Done)
}
