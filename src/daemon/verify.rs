//! Checks that somebody asked for: they outlast a request, so each is a job that is asked
//! after until it is done.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::StartError;
use super::answers::Handle;
use super::parts::Below;
use super::pins::remote;
use crate::content::{RemoteFile, Verdict};
use crate::control::{Refusal, RefusalKind, protocol};
use crate::ids::{FileId, Ino};
use crate::tree::Node;

/// The inodes that show bytes of a file of the service.
pub fn readers(below: &Below, id: &FileId) -> Result<HashSet<Ino>, StartError> {
    let mut inos = below.staging.readers(id)?;
    inos.extend(below.tree.by_file_id(id)?.map(|node| node.ino));
    Ok(inos)
}

/// How long the end of a job is told to who asks on.
const KEPT: Duration = Duration::from_secs(60);

/// The jobs, by what they check. Cheap to clone.
#[derive(Clone, Default)]
pub struct Jobs {
    jobs: Arc<Mutex<HashMap<Ino, Job>>>,
}

struct Job {
    told: protocol::Verification,
    ended: Option<Instant>,
}

impl Handle {
    /// Begins to check a file or all files of a folder, or tells how far that is. Who begins
    /// is never told what was found before: files change, and are mended.
    pub(super) fn verify_node(
        &self,
        node: &Node,
        begin: bool,
    ) -> Result<protocol::Verification, Refusal> {
        let mut jobs = self.shared.verify.jobs.lock();
        jobs.retain(|_, job| job.ended.is_none_or(|at| at.elapsed() < KEPT));
        if let Some(job) = jobs.get(&node.ino)
            && !(begin && job.told.done)
        {
            return Ok(job.told.clone());
        }
        let below = &self.shared.parts.below;
        let (nodes, unlisted) = below.tree.files_below(node).map_err(Refusal::failed)?;
        if !unlisted.is_empty() {
            let line = format!(
                "{} folders in it are not listed yet: list them first, as with `find`",
                unlisted.len()
            );
            return Err(Refusal::new(RefusalKind::NotNow, line));
        }
        // Of a newer version that is here, that which it reads from.
        let bases = below.staging.bases().map_err(Refusal::failed)?;
        let mut files = Vec::new();
        for node in &nodes {
            let bases = bases.get(&node.ino).into_iter().flatten();
            let files_of = bases
                .map(|file| RemoteFile::clone(file))
                .chain(remote(node));
            files.extend(files_of.map(|file| (node.ino, file)));
        }
        let job = protocol::Verification {
            schema: protocol::SCHEMA,
            path: self.shown(node.ino).map_err(Refusal::failed)?,
            files: files.len() as u64,
            sound: 0,
            unknown: 0,
            damaged: Vec::new(),
            errors: Vec::new(),
            done: files.is_empty(),
        };
        if !job.done {
            let (told, ended) = (job.clone(), None);
            jobs.insert(node.ino, Job { told, ended });
            let (handle, ino) = (self.clone(), node.ino);
            tokio::spawn(async move { handle.check(ino, files).await });
        }
        Ok(job)
    }

    async fn check(&self, job: Ino, files: Vec<(Ino, RemoteFile)>) {
        let jobs = self.shared.verify.clone();
        let note = |change: &dyn Fn(&mut Job)| {
            if let Some(job) = jobs.jobs.lock().get_mut(&job) {
                change(job);
            }
        };
        for (ino, file) in files {
            let checked = self.shared.parts.below.content.verify(&file).await;
            let path = self.shown(ino).unwrap_or_default();
            note(&|job| match &checked {
                Ok(Verdict::Sound) => job.told.sound += 1,
                Ok(Verdict::Unknown) => job.told.unknown += 1,
                Ok(Verdict::Damaged) => job.told.damaged.push(path.clone()),
                Err(error) => job.told.errors.push(protocol::Failed {
                    path: path.clone(),
                    reason: error.to_string(),
                }),
            });
        }
        note(&|job| {
            job.told.done = true;
            job.ended = Some(Instant::now());
        });
    }
}
