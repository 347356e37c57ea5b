//! Uploads and downloads.

use crate::client::{Client, FORM, form, header, lenient, started};
use fichierfs::sim::{
    EmptyUpload, LimitTable, Limits, Offence, SimConfig, Storage, synthetic_bytes,
};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn from_upload_to_removal() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    let made = client
        .ok("folder/mkdir", json!({"name": "été", "folder_id": 0}))
        .await;
    let folder = made["folder_id"].as_u64().unwrap();

    let mut bytes = vec![0; 1_000_000];
    synthetic_bytes(5, 0, &mut bytes);
    let uploaded = client
        .upload(folder, &[("a.bin", &bytes), ("é b.txt", b"Hello world\n")])
        .await;
    assert!(uploaded[1].whirlpool.starts_with("0a894ff039da"));
    assert_eq!(client.names(folder).await, ["a.bin", "é b.txt"]);

    let token = client.token(&uploaded[0].url).await;
    let part = client.get(&token, Some(500_000..500_010)).await;
    assert_eq!(part.status(), 206);
    assert_eq!(
        header(part.headers(), "content-range"),
        "bytes 500000-500009/1000000"
    );
    assert_eq!(part.bytes().await.unwrap(), &bytes[500_000..500_010]);
    let whole = client.get(&token, None).await;
    assert_eq!(whole.status(), 200);
    assert_eq!(header(whole.headers(), "content-length"), "1000000");
    assert!(header(whole.headers(), "content-disposition").starts_with("attachment"));
    assert_eq!(whole.bytes().await.unwrap(), bytes);
    let head = client.http.head(&token).send().await.unwrap();
    assert_eq!(header(head.headers(), "content-length"), "1000000");

    let removed = client
        .ok("file/rm", json!({"files": [{"url": uploaded[0].url}]}))
        .await;
    assert_eq!(removed["removed"], 1);
    assert_eq!(client.names(folder).await, ["é b.txt"]);
    assert_eq!(client.get(&token, None).await.status(), 404);

    let report = simulator.report();
    assert_eq!(report.violations, []);
    assert_eq!(report.uploads, 2);
    assert_eq!(report.bytes_down, 1_000_010);
    assert!(report.bytes_up > 1_000_012);
    assert_eq!(report.key_leaks, 0);
}

#[tokio::test]
async fn past_the_end_is_416() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    simulator.account().add_file("a", b"12345").unwrap();
    let listing = client.ok("file/ls", json!({})).await;
    let url = listing["items"][0]["url"].as_str().unwrap().to_owned();
    let token = client.token(&url).await;
    let answer = client.get(&token, Some(5..6)).await;
    assert_eq!(answer.status(), 416);
    assert_eq!(header(answer.headers(), "content-range"), "bytes */5");
}

#[tokio::test]
async fn storage_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = started(SimConfig {
        limits: Limits::Off,
        storage: Storage::Disk(dir.path().join("files")),
        ..SimConfig::default()
    })
    .await;
    let client = Client::new(&simulator);
    let bytes = vec![7; 700_000];
    let uploaded = client.upload(0, &[("a", &bytes)]).await;
    let token = client.token(&uploaded[0].url).await;
    assert_eq!(client.get(&token, None).await.bytes().await.unwrap(), bytes);
    assert_eq!(simulator.account().content("a").unwrap(), bytes);
}

#[tokio::test]
async fn a_file_of_100_gigabytes_can_be_read_anywhere() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    let size = 100_000_000_000;
    simulator.account().add_synthetic("huge", 9, size).unwrap();
    let listing = client.ok("file/ls", json!({"folder_id": 0})).await;
    assert_eq!(listing["items"][0]["size"], size);
    let token = client
        .token(listing["items"][0]["url"].as_str().unwrap())
        .await;
    let start = 99_999_999_000;
    let part = client
        .get(&token, Some(start..size))
        .await
        .bytes()
        .await
        .unwrap();
    let mut expected = vec![0; 1_000];
    synthetic_bytes(9, start, &mut expected);
    assert_eq!(part, expected);
}

#[tokio::test]
async fn refusals_are_pages_with_a_sentence() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    let page = |content_type: &'static str, body: Vec<u8>| {
        let client = &client;
        async move {
            let response = client.post_form(content_type, body).await.1.unwrap();
            assert_eq!(response.status(), 200);
            assert!(!response.headers().contains_key("location"));
            response.text().await.unwrap()
        }
    };
    let missing = "Pas de fichier trouvé dans l'envoi";
    let empty = page(FORM, form(0, &[("empty", b"")])).await;
    assert!(
        empty.contains(&format!("<div class=\"bloc2\">{missing}</div>")),
        "{empty}"
    );
    let quoted = "multipart/form-data; boundary=\"----fichier\"";
    assert!(
        page(quoted, form(0, &[("a", b"x")]))
            .await
            .contains(missing)
    );
    let name = page(FORM, form(0, &[("good", b"x"), ("ba$d", b"x")])).await;
    assert!(name.contains("Nom de fichier invalide"));
    simulator
        .account()
        .profile(|profile| profile.config.quota = 3);
    let full = page(FORM, form(0, &[("a", b"four")])).await;
    assert!(full.contains("Espace de stockage insuffisant"));
    assert!(simulator.account().file_paths().is_empty());
    let report = simulator.report();
    assert_eq!(report.violation_counts["malformed"], 1);
    assert_eq!(report.violation_counts["careless"], 2);
}

#[tokio::test]
async fn an_upload_needs_its_length_and_a_fresh_id() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    let (node, id) = client.node().await;
    let url = format!("http://{node}/upload.cgi?id={id}");
    let chunked =
        reqwest::Body::wrap_stream(futures_util::stream::iter([Ok::<_, std::io::Error>(form(
            0,
            &[("a", b"x")],
        ))]));
    let request = client
        .http
        .post(&url)
        .header("content-type", FORM)
        .bearer_auth(&client.key);
    let answer = request
        .try_clone()
        .unwrap()
        .body(chunked)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 411);

    let body = form(0, &[("a", b"x")]);
    let first = request
        .try_clone()
        .unwrap()
        .body(body.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(first.status(), 302);
    assert_eq!(
        header(first.headers(), "location"),
        format!("/end.pl?xid={id}")
    );
    let second = request.body(body).send().await.unwrap();
    assert_eq!(second.status(), 200);
    assert_eq!(simulator.account().file_paths(), ["a"]);
}

#[tokio::test]
async fn an_unknown_folder_means_the_root() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    client.upload(987_654, &[("a", b"x")]).await;
    assert_eq!(simulator.account().file_paths(), ["a"]);
}

#[tokio::test]
async fn end_pl_keeps_people_waiting_and_forgets() {
    let simulator = started(SimConfig {
        limits: Limits::Off,
        time_scale: 100.0,
        end_delay: Duration::from_secs(200),
        ..SimConfig::default()
    })
    .await;
    let client = Client::new(&simulator);
    let (node, sent) = client.post_form(FORM, form(0, &[("a", b"x")])).await;
    let location = header(sent.unwrap().headers(), "location");
    let wait = client.end(&node, &location).await;
    assert!(header(wait.headers(), "content-type").starts_with("text/html"));
    assert!(wait.text().await.unwrap().contains("Veuillez patienter"));
    tokio::time::sleep(Duration::from_millis(2_050)).await;
    let ready: Value = client.end(&node, &location).await.json().await.unwrap();
    assert_eq!(ready["links"][0]["size"], "1");
    assert_eq!(ready["links"][0]["remove"], "");
    let unknown = client.end(&node, "/end.pl?xid=nothing").await;
    assert!(header(unknown.headers(), "content-type").starts_with("text/html"));
}

#[tokio::test]
async fn empty_uploads_can_be_taken_without_links() {
    let simulator = lenient().await;
    simulator.change_quirks(|quirks| quirks.empty_upload = EmptyUpload::NoLinks);
    let client = Client::new(&simulator);
    assert!(client.upload(0, &[("empty", b"")]).await.is_empty());
}

#[tokio::test]
async fn tokens_end() {
    let table = LimitTable {
        token_start: Duration::from_secs(2),
        token_resume: Duration::from_secs(4),
        ..LimitTable::off()
    };
    let simulator = started(SimConfig {
        limits: Limits::Custom(Box::new(table)),
        ..SimConfig::default()
    })
    .await;
    let client = Client::new(&simulator);
    let id = simulator.account().add_file("a", b"12345").unwrap();
    let url = format!("https://1fichier.com/?{id}");
    let unused = client.token(&url).await;
    let used = client.token(&url).await;
    assert_eq!(client.get(&used, None).await.status(), 200);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    // Too late to start, not to resume.
    assert_eq!(client.get(&unused, None).await.status(), 404);
    assert_eq!(client.get(&used, Some(1..3)).await.status(), 206);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(client.get(&used, None).await.status(), 404);
    assert_eq!(simulator.report().violation_counts["token"], 2);
}

#[tokio::test]
async fn a_single_token_is_good_for_one_request() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    let id = simulator.account().add_file("a", b"12345").unwrap();
    let body = json!({"url": format!("https://1fichier.com/?{id}"), "single": 1});
    let token = client.ok("download/get_token", body).await;
    let token = token["url"].as_str().unwrap();
    assert_eq!(client.get(token, Some(0..2)).await.status(), 206);
    assert_eq!(client.get(token, Some(2..4)).await.status(), 404);
    assert_eq!(simulator.report().violations[0].kind, Offence::Token);
}

#[tokio::test]
async fn the_key_at_a_download_host_is_noted() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    let id = simulator.account().add_file("a", b"12345").unwrap();
    let token = client.token(&format!("https://1fichier.com/?{id}")).await;
    let answer = client
        .http
        .get(&token)
        .bearer_auth(&client.key)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(simulator.report().key_leaks, 1);
    assert_eq!(simulator.report().violations, []);
}
