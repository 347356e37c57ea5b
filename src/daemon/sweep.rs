//! What is kept of files that are gone does not stay for ever.

use std::sync::Arc;
use std::time::Duration;

use super::parts::Below;
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

fn sweep(below: &Below) -> Result<usize, SweepError> {
    let known = |id: &FileId| Ok::<_, SweepError>(below.tree.by_file_id(id)?.is_some());
    below.content.keep_only(known)
}
