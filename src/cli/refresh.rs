//! `refresh`: lists folders anew through the daemon that has them.

use std::path::PathBuf;

use super::exit::Exit;
use super::{Outcome, load};

pub(super) async fn run(paths: &[PathBuf]) -> Outcome {
    for path in paths {
        let (daemon, inner) = load::within(path).await?;
        daemon.refresh(inner).await?;
    }
    Ok(Exit::Done)
}
