//! `verify`: compares files with the checksums of the service.

use std::path::PathBuf;
use std::time::Duration;

use super::exit::{Exit, Failure};
use super::show::{self, Countdown};
use super::{Outcome, load};
use crate::control::protocol::{Verification, VerifyRequest};

/// How often progress is looked at.
const STEP: Duration = Duration::from_millis(250);

pub(super) async fn run(paths: &[PathBuf], json: bool) -> Outcome {
    let mut bad = 0;
    for path in paths {
        let (daemon, inner) = load::within(path).await?;
        let title = format!("checking {}", show::plain(&path.to_string_lossy()));
        let countdown = Countdown::new(&title);
        let mut ask = VerifyRequest {
            path: inner,
            begin: true,
        };
        let mut job = daemon.verify(&ask).await?;
        ask.begin = false;
        while !job.done {
            let checked = job.sound + job.unknown + (job.damaged.len() + job.errors.len()) as u64;
            countdown.say(format!("{checked} of {}", show::count(job.files, "file")));
            tokio::time::sleep(STEP).await;
            job = daemon.verify(&ask).await?;
        }
        drop(countdown);
        bad += (job.damaged.len() + job.errors.len()) as u64;
        if json {
            show::print_json(&job)?;
        } else {
            show::print(&told(&job))?;
        }
    }
    match bad {
        0 => Ok(Exit::Done),
        bad => {
            let line = format!(
                "{} not known to be sound, see above",
                show::count(bad, "file")
            );
            Err(Failure::new(Exit::Failed, line))
        }
    }
}

fn told(job: &Verification) -> String {
    let mut out = format!("{} sound\n", show::count(job.sound, "file"));
    if job.unknown > 0 {
        let files = show::count(job.unknown, "file");
        out.push_str(&format!("{files} without a checksum of the service\n"));
    }
    for path in &job.damaged {
        let path = show::plain(&path.to_string_lossy());
        out.push_str(&format!("damaged: /{path}\n"));
    }
    for failed in &job.errors {
        let path = show::plain(&failed.path.to_string_lossy());
        out.push_str(&format!(
            "not checked: /{path}: {}\n",
            show::plain(&failed.reason)
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::{Failed, SCHEMA};

    #[test]
    fn what_is_damaged_or_could_not_be_checked_is_named() {
        let job = Verification {
            schema: SCHEMA,
            path: "films".into(),
            files: 4,
            sound: 1,
            unknown: 1,
            damaged: vec!["films/a".into()],
            errors: vec![Failed {
                path: "films/b".into(),
                reason: "the network is down".into(),
            }],
            done: true,
        };
        let text = told(&job);
        assert_eq!(
            text,
            "1 file sound\n1 file without a checksum of the service\ndamaged: /films/a\n\
             not checked: /films/b: the network is down\n"
        );
    }
}
