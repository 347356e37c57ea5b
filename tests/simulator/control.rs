//! The control endpoint, as a script uses it.

use crate::client::{Client, lenient};
use fichierfs::sim::{Entry, Fault, FaultKind, Report};
use serde_json::{Value, json};

#[tokio::test]
async fn a_script_can_do_all_that_the_library_can() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    let url = |path: &str| format!("{}/{path}", simulator.control_url());
    let post = |path: &str, body: Value| {
        let request = client.http.post(url(path)).body(body.to_string());
        async move { request.send().await.unwrap() }
    };
    let changes = json!([
        {"op": "create", "path": "a/b.txt", "text": "one"},
        {"op": "create", "path": "a/big", "size": 1000, "seed": 3},
        {"op": "replace", "path": "a/b.txt", "text": "two"},
        {"op": "mkdir", "path": "c/d"},
        {"op": "move", "path": "a/big", "to": "c/d"},
        {"op": "rename", "path": "c/d", "name": "e"},
        {"op": "settings", "listing_lag": 5, "quirks": {"types": "full"}}
    ]);
    let made = post("change", changes).await;
    assert_eq!(made.status(), 200);
    let tree: Vec<Entry> = client.get(&url("tree"), None).await.json().await.unwrap();
    let paths: Vec<&str> = tree.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["a", "a/b.txt", "c", "c/e", "c/e/big"]);
    let by_id = url(&format!("file?id={}", tree[1].id));
    assert_eq!(client.get(&by_id, None).await.text().await.unwrap(), "two");
    let by_path = client.get(&url("file?path=a/b.txt"), None).await;
    assert_eq!(by_path.text().await.unwrap(), "two");

    let fault = json!({"on": "file/ls", "kind": "page", "times": null});
    assert_eq!(post("faults", fault).await.status(), 200);
    let expected = Fault::new("file/ls", FaultKind::Page).always();
    assert_eq!(simulator.faults().list(), [expected]);
    client.http.delete(url("faults")).send().await.unwrap();
    assert!(simulator.faults().list().is_empty());

    client.ok("folder/ls", json!({})).await;
    let report: Report = client.get(&url("report"), None).await.json().await.unwrap();
    assert_eq!(report.api_calls, 1);
    post("reset-report", json!({})).await;
    assert_eq!(simulator.report().api_calls, 0);

    assert_eq!(
        post("change", json!({"op": "delete", "path": "nothing"}))
            .await
            .status(),
        400
    );
    assert_eq!(client.get(&url("nothing"), None).await.status(), 404);
    post(
        "change",
        json!({"op": "account", "key": "another-key-0123456789"}),
    )
    .await;
    assert_eq!(client.call("folder/ls", json!({})).await.0, 403);
}
