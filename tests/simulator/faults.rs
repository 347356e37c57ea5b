//! Faults at run time.

use crate::client::{Client, FORM, form, header, lenient};
use fichierfs::sim::{Fault, FaultKind, LockKind};
use serde_json::{Value, json};

async fn with_file() -> (fichierfs::sim::Simulator, Client, String) {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    let id = simulator
        .account()
        .add_synthetic("a", 1, 1_000_000)
        .unwrap();
    let token = client.token(&format!("https://1fichier.com/?{id}")).await;
    (simulator, client, token)
}

#[tokio::test]
async fn calls_fail_as_told() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    let faults = simulator.faults();
    faults.add(Fault::new("folder/ls", FaultKind::Status { status: 503 }));
    faults.add(Fault::new("folder/ls", FaultKind::Page));
    faults.add(Fault::new("folder/ls", FaultKind::CorruptJson));
    let ls = || client.request("folder/ls", &json!({})).send();
    let maintenance = ls().await.unwrap();
    assert_eq!(maintenance.status(), 503);
    let page = ls().await.unwrap();
    assert!(header(page.headers(), "content-type").starts_with("text/html"));
    assert!(ls().await.unwrap().json::<Value>().await.is_err());
    client.ok("folder/ls", json!({})).await;

    faults.add(Fault::new("folder/ls", FaultKind::Reset { after_bytes: 0 }));
    assert!(ls().await.is_err());
    let truncated = FaultKind::Truncate { after_bytes: 10 };
    faults.add(Fault::new("folder/ls", truncated));
    assert!(ls().await.unwrap().bytes().await.is_err());
    let ban = FaultKind::Flood {
        lock: LockKind::Ban,
        seconds: None,
    };
    faults.add(Fault::new("folder/ls", ban));
    assert_eq!(
        client.call("folder/ls", json!({})).await.1["message"],
        "IP Locked #79"
    );
    assert_eq!(
        client.call("folder/mkdir", json!({"name": "a"})).await.0,
        403
    );
    assert_eq!(simulator.report().faults, 6);
}

#[tokio::test]
async fn an_answer_can_be_lost_after_the_deed() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    simulator
        .faults()
        .add(Fault::new("folder/mkdir", FaultKind::LoseAnswer));
    let lost = client
        .request("folder/mkdir", &json!({"name": "a"}))
        .send()
        .await;
    assert!(lost.is_err());
    assert!(simulator.account().folder_id("a").is_some());
    simulator
        .faults()
        .add(Fault::new("upload", FaultKind::LoseAnswer));
    let (_, sent) = client.post_form(FORM, form(0, &[("f", b"x")])).await;
    assert!(sent.is_err());
    assert_eq!(simulator.account().file_paths(), ["f"]);
}

#[tokio::test]
async fn downloads_break_after_so_many_bytes() {
    let (simulator, client, token) = with_file().await;
    for kind in [
        FaultKind::Reset {
            after_bytes: 300_000,
        },
        FaultKind::Truncate {
            after_bytes: 300_000,
        },
    ] {
        simulator.faults().add(Fault::new("download", kind));
        let mut response = client.get(&token, None).await;
        let mut received = 0;
        let broken = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => received += chunk.len(),
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        assert!(broken);
        assert_eq!(received, 300_000);
    }
}

#[tokio::test]
async fn downloads_lie() {
    let (simulator, client, token) = with_file().await;
    let faults = simulator.faults();
    faults.add(Fault::new("download", FaultKind::IgnoreRange));
    let whole = client.get(&token, Some(10..20)).await;
    assert_eq!(
        (whole.status().as_u16(), whole.content_length()),
        (200, Some(1_000_000))
    );
    drop(whole);
    faults.add(Fault::new(
        "download",
        FaultKind::WrongContentRange { shift: 5 },
    ));
    let shifted = client.get(&token, Some(10..20)).await;
    assert_eq!(
        header(shifted.headers(), "content-range"),
        "bytes 15-24/1000000"
    );
    let right = client
        .get(&token, Some(10..20))
        .await
        .bytes()
        .await
        .unwrap();
    faults.add(Fault::new("download", FaultKind::FlipBit { at: 12 }));
    let wrong = client
        .get(&token, Some(10..20))
        .await
        .bytes()
        .await
        .unwrap();
    let differing: Vec<usize> = (0..10).filter(|at| right[*at] != wrong[*at]).collect();
    assert_eq!(differing, [2]);
    faults.add(Fault::new("download", FaultKind::TokenExpired));
    assert_eq!(client.get(&token, None).await.status(), 404);
    faults.add(Fault::new("download", FaultKind::Redirect));
    let moved = client.get(&token, None).await;
    assert_eq!(
        header(moved.headers(), "location"),
        "https://1fichier.com/?c=DB"
    );
    faults.add(Fault::new("download", FaultKind::Page));
    assert_eq!(client.get(&token, None).await.status(), 200);
}

#[tokio::test]
async fn a_stall_ends() {
    let (simulator, client, token) = with_file().await;
    let stall = FaultKind::Stall {
        after_bytes: 1_000,
        seconds: 0.2,
    };
    simulator.faults().add(Fault::new("download", stall));
    let start = std::time::Instant::now();
    let bytes = client.get(&token, None).await.bytes().await.unwrap();
    assert_eq!(bytes.len(), 1_000_000);
    assert!(start.elapsed().as_secs_f64() >= 0.2);
}

#[tokio::test]
async fn uploads_break() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    let bytes = vec![1; 3_000_000];
    let reset = FaultKind::Reset {
        after_bytes: 1_000_000,
    };
    simulator.faults().add(Fault::new("upload", reset));
    let (_, sent) = client.post_form(FORM, form(0, &[("a", &bytes)])).await;
    assert!(sent.is_err());
    let sentence = "Ne peut ouvrir le fichier destination".to_owned();
    let refused = FaultKind::UploadRefused { sentence };
    simulator.faults().add(Fault::new("upload", refused));
    let (_, sent) = client.post_form(FORM, form(0, &[("a", &bytes)])).await;
    assert!(
        sent.unwrap()
            .text()
            .await
            .unwrap()
            .contains("Ne peut ouvrir")
    );
    assert!(simulator.account().file_paths().is_empty());
}

#[tokio::test]
async fn end_pl_misleads() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    let (node, sent) = client.post_form(FORM, form(0, &[("a", b"x")])).await;
    let location = header(sent.unwrap().headers(), "location");
    let faults = simulator.faults();
    faults.add(Fault::new("end.pl", FaultKind::EmptyLinks));
    faults.add(Fault::new("end.pl", FaultKind::SeveralLinks));
    faults.add(Fault::new("end.pl", FaultKind::WrongChecksum));
    let mut told = Vec::new();
    for count in [0, 2, 1, 1] {
        let end: Value = client.end(&node, &location).await.json().await.unwrap();
        let links = end["links"].as_array().unwrap();
        assert_eq!(links.len(), count);
        told.extend(links.last().map(|link| link["whirlpool"].clone()));
    }
    assert!(told[0] == told[2] && told[1] != told[2]);
    faults.add(Fault::new(
        "end.pl",
        FaultKind::WaitPage { seconds: 3_600.0 },
    ));
    for _ in 0..2 {
        let page = client.end(&node, &location).await.text().await.unwrap();
        assert!(page.contains("Veuillez patienter"));
    }
}
