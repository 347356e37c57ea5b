//! What is kept of files is looked after: of those that are gone it does not stay for ever, and
//! what earlier processes fetched whole is compared with its checksum.

use std::sync::Arc;
use std::time::Duration;

use super::parts::Below;
use super::pins::remote;
use crate::content::ContentError;
use crate::ids::FileId;
use crate::tree::TreeError;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(3600);

#[derive(Debug, thiserror::Error)]
enum SweepError {
    #[error(transparent)]
    Content(#[from] ContentError),
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Works until it is aborted.
pub(super) async fn keep(below: Arc<Below>) {
    loop {
        let known = below.clone();
        match tokio::task::spawn_blocking(move || remind(&known)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "cached files are not compared for now"),
            Err(error) => tracing::error!("looking for unchecked files broke off: {error}"),
        }
        tokio::time::sleep(EVERY).await;
        let below = below.clone();
        let swept = tokio::task::spawn_blocking(move || sweep(&below)).await;
        match swept {
            Ok(Ok(0)) => {}
            Ok(Ok(files)) => tracing::debug!(files, "forgot what was kept of files that are gone"),
            Ok(Err(error)) => tracing::debug!(%error, "what is kept of files that are gone stays"),
            Err(error) => tracing::error!("looking for files that are gone broke off: {error}"),
        }
    }
}

/// Tells the content room of the checksums of what it has whole and never compared.
fn remind(below: &Below) -> Result<(), SweepError> {
    for id in below.content.unchecked() {
        if let Some(file) = below.tree.by_file_id(&id)?.as_ref().and_then(remote) {
            below.content.may_check(&file);
        }
    }
    Ok(())
}

fn sweep(below: &Below) -> Result<usize, SweepError> {
    let known = |id: &FileId| Ok::<_, SweepError>(below.tree.by_file_id(id)?.is_some());
    below.content.keep_only(known)
}
