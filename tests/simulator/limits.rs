//! Limits, locks, bans, places.

use crate::client::{Client, FORM, form, started};
use fichierfs::sim::{
    Fault, FaultKind, LimitTable, Limits, LockKind, Offence, Rule, Shape, SimConfig,
};
use serde_json::json;
use std::net::IpAddr;
use std::time::Duration;

async fn strict() -> fichierfs::sim::Simulator {
    started(SimConfig {
        lock_length: Duration::from_secs(30),
        time_scale: 30.0,
        ..SimConfig::default()
    })
    .await
}

#[tokio::test]
async fn a_folder_twice_in_thirty_seconds_is_a_lock() {
    let simulator = strict().await;
    let client = Client::new(&simulator);
    client
        .ok("folder/ls", json!({"folder_id": 0, "files": 1}))
        .await;
    // The same counter for both scripts.
    let (status, flood) = client.call("file/ls", json!({"folder_id": 0})).await;
    assert_eq!((status, &flood["status"]), (403, &json!("KO")));
    assert!(
        flood["message"]
            .as_str()
            .unwrap()
            .starts_with("Flood detected: IP Locked")
    );
    let report = simulator.report();
    assert_eq!((report.locks, report.locked_calls), (1, 1));
    assert_eq!(report.violations[0].kind, Offence::LimitExceeded);
    // Other scripts go on.
    client.ok("folder/mkdir", json!({"name": "a"})).await;
    // And the lock ends.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    client.ok("file/ls", json!({"folder_id": 0})).await;
    assert_eq!(simulator.report().violation_count(), 1);
}

#[tokio::test]
async fn a_burst_of_calls_is_a_lock_and_the_peak_is_seen() {
    let simulator = started(SimConfig::default()).await;
    let client = Client::new(&simulator);
    let mut statuses = Vec::new();
    for number in 0..5 {
        let body = json!({"name": format!("d{number}")});
        statuses.push(client.call("folder/mkdir", body).await.0);
    }
    assert_eq!(statuses, [200, 200, 200, 403, 403]);
    let report = simulator.report();
    assert_eq!(report.peak_calls_per_second, 5);
    assert_eq!(report.calls_of("folder/mkdir"), 5);
    simulator.unlock();
    client.ok("folder/mkdir", json!({"name": "e"})).await;
}

#[tokio::test]
async fn failing_calls_end_in_a_ban() {
    let simulator = started(SimConfig {
        time_scale: 100.0,
        ..SimConfig::default()
    })
    .await;
    let client = Client::new(&simulator);
    for _ in 0..11 {
        let body = json!({"url": "https://1fichier.com/?abcdefghij0123456789"});
        assert_eq!(client.call("file/info", body).await.0, 404);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (status, banned) = client.call("folder/ls", json!({})).await;
    assert_eq!((status, &banned["message"]), (403, &json!("IP Locked #79")));
    let report = simulator.report();
    assert_eq!((report.bans, report.failing[&404]), (1, 11));
    assert!(report.violation_counts.contains_key("failing_calls"));
}

#[tokio::test]
async fn a_ban_reaches_every_host_of_the_service() {
    let simulator = started(SimConfig::default()).await;
    let client = Client::new(&simulator);
    let id = simulator.account().add_file("a", b"x").unwrap();
    let link = format!("https://1fichier.com/?{id}");
    let token = client.token(&link).await;
    let ban = FaultKind::Flood {
        lock: LockKind::Ban,
        seconds: None,
    };
    simulator.faults().add(Fault::new("folder/ls", ban));
    assert_eq!(client.call("folder/ls", json!({})).await.0, 403);
    let banned = |response: reqwest::Response| async {
        let status = response.status();
        let page = response.text().await.unwrap();
        assert!(
            status == 403 && page.contains("IP Locked"),
            "{status} {page}"
        );
    };
    banned(client.get(&token, None).await).await;
    banned(
        client
            .get(&format!("{}/dir/abc", simulator.site_url()), None)
            .await,
    )
    .await;
    let upload = format!("{}/upload.cgi?id=aaaaaaaaaa", simulator.site_url());
    let upload = client.http.post(upload).bearer_auth(&client.key);
    banned(upload.body("x").send().await.unwrap()).await;
    banned(
        client
            .get(&format!("{}/end.pl?xid=a", simulator.site_url()), None)
            .await,
    )
    .await;
    assert!(!simulator.account().file_paths().is_empty());
    simulator.unlock();
    assert_eq!(client.get(&token, None).await.status(), 200);
}

#[tokio::test]
async fn many_small_downloads_lock_where_that_was_observed() {
    let rule = |allowed| {
        let rule = Rule::strict(allowed, Duration::from_secs(60));
        Limits::Custom(Box::new(LimitTable {
            small_downloads: Some(rule),
            ..LimitTable::off()
        }))
    };
    let simulator = started(SimConfig {
        limits: rule(2),
        ..SimConfig::default()
    })
    .await;
    let client = Client::new(&simulator);
    let account = simulator.account();
    let small = account.add_file("small", b"x").unwrap();
    let large = account.add_synthetic("large", 1, 51 << 20).unwrap();
    let ask = |id: &str| json!({"url": format!("https://1fichier.com/?{id}")});
    for id in [&small, &large, &small, &large] {
        client.ok("download/get_token", ask(id)).await;
    }
    let (status, flood) = client.call("download/get_token", ask(&small)).await;
    assert_eq!((status, &flood["status"]), (403, &json!("KO")));
    assert_eq!(simulator.report().locks, 1);
}

#[tokio::test]
async fn one_place_at_a_time() {
    let simulator = strict().await;
    let client = Client::new(&simulator);
    let id = simulator.account().add_file("a", b"x").unwrap();
    let body = json!({"url": format!("https://1fichier.com/?{id}")});
    client.ok("download/get_token", body.clone()).await;
    let elsewhere = Client {
        http: reqwest::Client::builder()
            .local_address(IpAddr::from([127, 0, 0, 7]))
            .no_proxy()
            .build()
            .unwrap(),
        ..Client::new(&simulator)
    };
    let (status, refused) = elsewhere.call("download/get_token", body).await;
    assert_eq!(status, 403);
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .starts_with("Only 1 location")
    );
    assert_eq!(simulator.report().violations[0].kind, Offence::Transfers);
}

#[tokio::test]
async fn thirty_transfers_at_a_time() {
    let simulator = started(SimConfig {
        shape: Shape {
            per_connection_bps: Some(1_000),
            ..Shape::default()
        },
        ..SimConfig::default()
    })
    .await;
    let client = Client::new(&simulator);
    let id = simulator
        .account()
        .add_synthetic("a", 1, 1_000_000)
        .unwrap();
    let token = client.token(&format!("https://1fichier.com/?{id}")).await;
    let mut open = Vec::new();
    for _ in 0..30 {
        let response = client.get(&token, None).await;
        assert_eq!(response.status(), 200);
        open.push(response);
    }
    assert_eq!(client.get(&token, None).await.status(), 403);
    let report = simulator.report();
    assert_eq!((report.transfers.now, report.transfers.peak), (30, 30));
    assert_eq!(report.violations[0].kind, Offence::Transfers);
}

#[tokio::test]
async fn an_upload_has_a_largest_size_and_a_longest_time() {
    let table = LimitTable {
        request_bytes: 3,
        upload_time: Duration::from_secs(4),
        ..LimitTable::off()
    };
    let simulator = started(SimConfig {
        limits: Limits::Custom(Box::new(table)),
        time_scale: 20.0,
        ..SimConfig::default()
    })
    .await;
    let client = Client::new(&simulator);
    // Beyond the room for fields.
    let large = vec![0; 5 << 20];
    let (_, refused) = client.post_form(FORM, form(0, &[("a", &large)])).await;
    let page = refused.unwrap().text().await.unwrap();
    assert!(page.contains("Fichier trop volumineux"), "{page}");

    let (node, id) = client.node().await;
    let body = form(0, &[("a", b"x")]);
    let length = body.len();
    let (start, rest) = (body[..10].to_vec(), body[10..].to_vec());
    let late = futures_util::stream::unfold((0, start, rest), |(step, start, rest)| async move {
        match step {
            0 => Some((Ok::<_, std::io::Error>(start), (1, Vec::new(), rest))),
            1 => {
                tokio::time::sleep(Duration::from_secs(30)).await;
                Some((Ok(rest), (2, Vec::new(), Vec::new())))
            }
            _ => None,
        }
    });
    let slow = client
        .http
        .post(format!("http://{node}/upload.cgi?id={id}"))
        .bearer_auth(&client.key)
        .header("content-type", FORM)
        .header("content-length", length)
        .body(reqwest::Body::wrap_stream(late));
    assert!(slow.send().await.is_err());
    assert!(simulator.account().file_paths().is_empty());
    assert_eq!(simulator.report().violation_counts["limit_exceeded"], 2);
}

#[tokio::test]
async fn observed_limits_tolerate_a_little() {
    let simulator = started(SimConfig {
        limits: Limits::Observed,
        ..SimConfig::default()
    })
    .await;
    let client = Client::new(&simulator);
    for _ in 0..3 {
        client.ok("folder/ls", json!({})).await;
    }
    let report = simulator.report();
    assert!(report.tolerated >= 2, "{report:?}");
    assert_eq!((report.locks, report.violation_count()), (0, 0));
}
