//! What waits for the user in the queues of running mounts.

use super::super::{Case, Finding};

const CHECK: &str = "queue";

pub(super) fn check(case: &Case) -> Vec<Finding> {
    case.daemons
        .iter()
        .flat_map(|status| {
            let at = status.daemon.mountpoint.display().to_string();
            let account = status.account.as_ref();
            let wrong = [
                (
                    status.queue.failed > 0,
                    format!("{} queued in {at} failed for good", status.queue.failed),
                    format!("fichierfs queue list {at}"),
                ),
                (
                    account.is_some_and(|account| account.over_quota),
                    format!("the quota of the account of {at} is exceeded; uploads wait"),
                    "remove files, or book more storage".to_owned(),
                ),
                (
                    account.is_some_and(|account| account.upload_forbidden),
                    format!("the service forbids uploads to the account of {at}"),
                    "see https://1fichier.com for the reason".to_owned(),
                ),
            ];
            wrong
                .into_iter()
                .filter(|(is, ..)| *is)
                .map(|(_, what, mend)| Finding::problem(CHECK, what).mend(mend))
        })
        .collect()
}
