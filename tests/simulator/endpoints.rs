//! Endpoints and options that our own client seldom or never uses: others' may.

use crate::client::{Client, FORM, form, header, lenient, started};
use fichierfs::sim::{AccountConfig, Limits, SimConfig, UploadAnswer};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use std::time::Duration;

fn link(id: &str) -> String {
    format!("https://1fichier.com/?{id}")
}

#[tokio::test]
async fn attributes_are_set_and_kept() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    let url = link(&simulator.account().add_file("a.txt", b"x").unwrap());
    let acl = json!({"ip": ["10.0.0.0/8"], "country": ["FR"], "email": [], "premium": 1});
    let body = json!({
        "urls": [url], "filename": "b.txt", "description": "words", "pass": "secret",
        "no_ssl": 1, "inline": 1, "cdn": 1, "acl": acl,
    });
    let answer = client.ok("file/chattr", body).await;
    assert_eq!(
        (&answer["updated"], &answer["urls"]),
        (&json!(1), &json!([url]))
    );
    let info = client.ok("file/info", json!({"url": url})).await;
    for (name, value) in [
        ("filename", json!("b.txt")),
        ("description", json!("words")),
        ("pass", json!(1)),
        ("no_ssl", json!(1)),
        ("inline", json!(1)),
        ("cdn", json!(1)),
        ("acl", acl),
    ] {
        assert_eq!(info[name], value, "{name}");
    }
    let listing = client.ok("file/ls", json!({})).await;
    let item = &listing["items"][0];
    assert_eq!((&item["pass"], &item["acl"]), (&json!(1), &json!(1)));

    let empty = json!({"urls": [url], "description": "", "pass": "", "acl": {}});
    client.ok("file/chattr", empty).await;
    let info = client.ok("file/info", json!({"url": url})).await;
    assert_eq!(
        (&info["pass"], &info["description"]),
        (&json!(0), &json!(""))
    );
    assert!(info.get("acl").is_none());
}

#[tokio::test]
async fn a_scan_is_remembered_and_removes_what_is_infected() {
    let simulator = started(SimConfig {
        limits: Limits::Off,
        time_scale: 100_000.0,
        ..SimConfig::default()
    })
    .await;
    simulator.change_quirks(|quirks| quirks.infected = Some("eicar".to_owned()));
    let client = Client::new(&simulator);
    let account = simulator.account();
    let good = link(&account.add_file("good", b"x").unwrap());
    let bad = link(&account.add_file("eicar.com", b"x").unwrap());
    let huge = link(&account.add_synthetic("huge", 1, 5_000_000_001).unwrap());
    let scan = |url: &str| client.call("file/scan", json!({ "url": url }));

    assert!(scan(&good).await.1.get("date").is_none());
    assert!(scan(&good).await.1["date"].is_string());
    // Six hours of the service.
    tokio::time::sleep(Duration::from_millis(220)).await;
    assert!(scan(&good).await.1.get("date").is_none());

    assert_eq!(scan(&bad).await.1["status"], "KO");
    assert_eq!(account.file_paths(), ["good", "huge"]);
    assert_eq!(scan(&huge).await.1["status"], "KO");
}

#[tokio::test]
async fn a_folder_is_shared_in_public_and_by_address() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    let folder = simulator.account().add_folder("f").unwrap();
    let list = || client.ok("folder/ls", json!({"folder_id": folder}));
    assert!(list().await.get("shared").is_none());

    let body = json!({"folder_id": folder, "share": 1, "pass": "secret",
        "shares": [{"email": "a@example.org", "rw": 1},
            {"email": "b@example.org", "rw": 1, "hide_links": 1}]});
    let answer = client.ok("folder/share", body).await;
    let listing = list().await;
    assert_eq!(listing["shared"], answer["url"]);
    assert_eq!(listing["pass"], 1);
    assert_eq!(
        listing["shares"],
        json!([{"email": "a@example.org", "rw": 1, "hide_links": 0},
            {"email": "b@example.org", "rw": 0, "hide_links": 1}])
    );
    let root = client.ok("folder/ls", json!({})).await;
    assert_eq!(root["sub_folders"][0]["pass"], 1);

    // What is not named stays; an empty list ends all shares by address.
    client
        .ok("folder/share", json!({"folder_id": folder, "shares": []}))
        .await;
    let listing = list().await;
    assert!(listing.get("shares").is_none());
    assert_eq!(listing["shared"], answer["url"]);
    client
        .ok("folder/share", json!({"folder_id": folder, "share": 0}))
        .await;
    assert!(list().await.get("shared").is_none());
    let short = json!({"folder_id": folder, "share": 1, "pass": "short"});
    assert_eq!(client.call("folder/share", short).await.0, 400);
}

#[tokio::test]
async fn options_of_the_account_last() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    let before = client.ok("user/info", json!({})).await;
    assert_eq!(
        (&before["page_limit"], &before["ftp_mode"]),
        (&json!(100), &json!("0"))
    );
    let set = json!({"page_limit": 50, "ftp_mode": 1, "mail_rm": 1});
    client.ok("user/info", set).await;
    let after = client.ok("user/info", json!({})).await;
    assert_eq!(
        (&after["page_limit"], &after["ftp_mode"], &after["mail_rm"]),
        (&json!(50), &json!("1"), &json!("0"))
    );
}

#[tokio::test]
async fn strangers_need_the_password_and_the_owner_none() {
    let other = AccountConfig {
        key: "another-key-0123456789abcdefghij".to_owned(),
        ..AccountConfig::default()
    };
    let simulator = started(SimConfig {
        limits: Limits::Off,
        accounts: vec![AccountConfig::default(), other.clone()],
        ..SimConfig::default()
    })
    .await;
    let owner = Client::new(&simulator);
    let stranger = Client {
        key: other.key,
        ..Client::new(&simulator)
    };
    let id = simulator.account().add_file("d/a", b"12345").unwrap();
    let folder = simulator.account().folder_id("d").unwrap();
    simulator
        .account()
        .set_password("d/a", Some("secret"))
        .unwrap();
    // By folder and name, as in folders that hide their links.
    let by_name = json!({"folder_id": folder, "filename": "a"});
    owner.ok("download/get_token", by_name.clone()).await;
    owner.ok("file/info", by_name).await;

    let token = |pass: Value| {
        stranger.call(
            "download/get_token",
            json!({"url": link(&id), "pass": pass}),
        )
    };
    for (pass, words) in [
        (Value::Null, "Password not provided. Resource not allowed"),
        (json!("wrong!"), "Invalid password. Resource not allowed"),
    ] {
        let (status, answer) = token(pass).await;
        assert_eq!(status, 403);
        assert!(answer["message"].as_str().unwrap().starts_with(words));
    }
    assert_eq!(token(json!("secret")).await.0, 200);
    let copy = json!({"urls": [link(&id)], "pass": "secret"});
    assert_eq!(stranger.ok("file/cp", copy).await["copied"], 1);
    let foreign = json!({"files": [{"url": link(&id)}]});
    assert_eq!(stranger.call("file/rm", foreign).await.0, 403);
}

#[tokio::test]
async fn an_upload_can_be_answered_with_the_links() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    simulator.change_quirks(|quirks| quirks.upload_answer = UploadAnswer::Page);
    let (_, sent) = client.post_form(FORM, form(0, &[("a", b"x")])).await;
    let page = sent.unwrap();
    assert_eq!(page.status(), 200);
    let id = simulator.account().file_id("a").unwrap();
    assert!(page.text().await.unwrap().contains(&link(&id)));

    simulator.change_quirks(|quirks| quirks.upload_answer = UploadAnswer::Json);
    let (node, id) = client.node().await;
    let request = client
        .http
        .post(format!("http://{node}/upload.cgi?id={id}"))
        .bearer_auth(&client.key)
        .header("content-type", FORM)
        .header("JSON", "1")
        .body(form(0, &[("b", b"x")]));
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["links"][0]["filename"], "b");
}

#[tokio::test]
async fn fields_of_an_upload_count_and_its_result_has_three_forms() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    let mut body = Vec::new();
    for (name, value) in [("domain", "4"), ("dpass", "secret"), ("did", "0")] {
        let field = format!(
            "------fichier\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        );
        body.extend_from_slice(field.as_bytes());
    }
    body.extend(form(0, &[("a", b"12345")]));
    let (node, sent) = client.post_form(FORM, body).await;
    let location = header(sent.unwrap().headers(), "location");
    let ask = |suffix: &str, headers: HeaderMap| {
        let request = client.http.get(format!("http://{node}{location}{suffix}"));
        request.headers(headers).send()
    };
    let json_header =
        |value: &str| HeaderMap::from_iter([("json".parse().unwrap(), value.parse().unwrap())]);
    let pretty = ask("", json_header("2"))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(pretty.lines().count() > 5, "{pretty}");
    let end: Value = serde_json::from_str(&pretty).unwrap();
    let url = end["links"][0]["download"].as_str().unwrap();
    assert!(url.starts_with("https://dfichiers.com/?"), "{url}");
    let csv = ask("&Export=1", HeaderMap::new()).await.unwrap();
    assert_eq!(csv.text().await.unwrap(), format!("{url};a;5;\n"));
    let page = ask("", HeaderMap::new()).await.unwrap();
    assert!(header(page.headers(), "content-type").starts_with("text/html"));
    assert_eq!(client.ok("file/info", json!({"url": url})).await["pass"], 1);
    // The same id on another domain counts as missing.
    let elsewhere = url.replace("dfichiers.com", "1fichier.com");
    let (status, _) = client.call("file/info", json!({"url": elsewhere})).await;
    assert_eq!(status, 404);
}
