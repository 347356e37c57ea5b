use std::time::Duration;

use super::*;
use crate::ids::FolderId;

/// A hundred times as fast as the real limits.
fn fast() -> Limits {
    Limits::scaled(100.0)
}

fn node() -> Call {
    Call::of(Script::UploadServer)
}

fn folder(id: u64) -> Call {
    Call::listing(Script::FolderLs, Subject::Folder(FolderId(id)))
}

fn told(verdict: Verdict, status: u16) -> Report {
    Report {
        verdict,
        status: Some(status),
    }
}

async fn call(pace: &Pace, call: Call) -> Result<Permit, ApiError> {
    pace.acquire(call, Class::Interactive.into(), Some("key"))
        .await
}

#[tokio::test]
async fn two_paces_on_one_file_share_the_burst_and_the_walls() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pace.json");
    let (one, other) = (
        Pace::open(&path, fast()).unwrap(),
        Pace::open(&path, fast()).unwrap(),
    );
    let mut times = Vec::new();
    for turn in 0..12 {
        let pace = if turn % 2 == 0 { &one } else { &other };
        let permit = call(pace, node()).await.unwrap();
        times.push(permit.sent.unwrap());
        permit.finish(told(Verdict::Answered, 200)).await;
    }
    // A second of the real service is 10 ms here.
    for (first, fourth) in times.iter().zip(&times[3..]) {
        assert!(fourth - first >= 10_000, "{times:?}");
    }
    let status = one.status().await.unwrap();
    assert_eq!(status.calls.get("upload/get_upload_server"), Some(&12));
}

#[tokio::test]
async fn a_deadline_that_cannot_be_met_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    // At the real speed: waiting would take half a minute.
    let pace = Pace::open(&dir.path().join("pace.json"), Limits::real()).unwrap();
    let _permit = call(&pace, folder(7)).await.unwrap();
    let refused = call(&pace, folder(7)).await.err().unwrap();
    assert!(matches!(
        refused,
        ApiError::Waiting {
            why: Why::SameFolder,
            ..
        }
    ));
}

#[tokio::test]
async fn a_call_is_on_record_before_it_may_leave() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pace.json");
    let pace = Pace::open(&path, fast()).unwrap();
    for id in 1..=100 {
        let permit = call(&pace, folder(id)).await.unwrap();
        // As whoever comes after a kill in this moment reads it.
        let text = std::fs::read(&path).unwrap();
        let state: state::State = serde_json::from_slice(&text).unwrap();
        assert_eq!(state.calls[&Script::FolderLs], id);
        permit.finish(told(Verdict::Answered, 200)).await;
    }
}

#[tokio::test]
async fn a_lock_is_seen_by_other_processes_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pace.json");
    let first = Pace::open(&path, Limits::real()).unwrap();
    let permit = call(&first, Call::of(Script::Token)).await.unwrap();
    permit.finish(told(Verdict::Flood, 403)).await;
    drop(first);
    let second = Pace::open(&path, Limits::real()).unwrap();
    let refused = call(&second, Call::of(Script::Token)).await.err().unwrap();
    assert!(matches!(
        refused,
        ApiError::Waiting {
            why: Why::Lock(Script::Token),
            ..
        }
    ));
    let status = second.status().await.unwrap();
    assert!(status.locks.contains_key("download/get_token"));
    assert_eq!((status.failing, status.locks_ever), (0, 1));
}

#[tokio::test]
async fn better_classes_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let pace = Pace::open(&dir.path().join("pace.json"), Limits::scaled(10.0)).unwrap();
    // Use up what is saved, so that all of the others have to wait together.
    for _ in 0..3 {
        drop(call(&pace, node()).await.unwrap());
    }
    let classes = [
        Class::Background,
        Class::Refresh,
        Class::Upload,
        Class::Interactive,
    ];
    let waits = classes.map(|class| {
        let pace = pace.clone();
        tokio::spawn(async move {
            let ask = Ask::until(class, Instant::now() + Duration::from_secs(60));
            let permit = pace.acquire(node(), ask, None).await.unwrap();
            (permit.sent.unwrap(), class)
        })
    });
    let mut order = Vec::new();
    for wait in waits {
        order.push(wait.await.unwrap());
    }
    order.sort_by_key(|(time, _)| *time);
    let order: Vec<_> = order.into_iter().map(|(_, class)| class).collect();
    assert!(order.is_sorted(), "{order:?}");
}

#[tokio::test]
async fn a_permit_that_is_dropped_counts_as_a_call_without_answer() {
    let dir = tempfile::tempdir().unwrap();
    let pace = Pace::open(&dir.path().join("pace.json"), fast()).unwrap();
    // More than the budget of failing calls: were they still counted as on their
    // way, nothing would be left of it after the first failure.
    for _ in 0..8 {
        drop(call(&pace, Call::of(Script::Token)).await.unwrap());
    }
    let permit = call(&pace, Call::of(Script::Token)).await.unwrap();
    permit.finish(told(Verdict::Answered, 404)).await;
    assert!(call(&pace, Call::of(Script::Token)).await.is_ok());
}

#[tokio::test]
async fn without_a_file_the_limits_hold_within_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("gone/pace.json");
    let pace = Pace::open(&gone, Limits::real()).unwrap();
    let permit = call(&pace, folder(7)).await.unwrap();
    permit.finish(told(Verdict::Answered, 200)).await;
    assert!(call(&pace, folder(7)).await.is_err());
}

#[tokio::test]
async fn a_broken_file_begins_carefully() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pace.json");
    std::fs::write(&path, "{").unwrap();
    let pace = Pace::open(&path, fast()).unwrap();
    assert!(call(&pace, node()).await.is_ok());
}

#[tokio::test]
async fn a_refused_key_is_not_used_again_and_another_is() {
    let dir = tempfile::tempdir().unwrap();
    let pace = Pace::open(&dir.path().join("pace.json"), fast()).unwrap();
    let permit = call(&pace, folder(0)).await.unwrap();
    permit.finish(told(Verdict::KeyRefused, 403)).await;
    let refused = call(&pace, node()).await.err().unwrap();
    assert!(matches!(refused, ApiError::KeyRefused(_)));
    let ask = Class::Interactive.into();
    assert!(pace.acquire(node(), ask, Some("other")).await.is_ok());
}
