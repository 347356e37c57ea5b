//! What calls do, and how answers look.

use crate::client::{Client, lenient, started};
use fichierfs::sim::{
    EmptyLists, ForbiddenNames, LimitTable, Limits, RefusalStyle, SimConfig, SyntheticTree, Types,
};
use serde_json::json;
use std::collections::HashSet;
use std::time::Duration;

fn link(id: &str) -> String {
    format!("https://1fichier.com/?{id}")
}

#[tokio::test]
async fn rename_move_copy() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    let account = simulator.account();
    let url = link(&account.add_file("a", b"x").unwrap());
    let folder = account.add_folder("d").unwrap();

    let renamed = client
        .ok(
            "file/rename",
            json!({"urls": [{"url": url, "filename": "b"}]}),
        )
        .await;
    assert_eq!(renamed["renamed"], 1);
    assert_eq!(renamed["urls"][0]["old_filename"], "a");
    let (status, again) = client
        .call(
            "file/rename",
            json!({"urls": [{"url": url, "filename": "b"}]}),
        )
        .await;
    assert_eq!((status, &again["status"]), (200, &json!("KO")));
    assert_eq!(again["message"], "No file has been renamed #312");

    let moved = client
        .ok(
            "file/mv",
            json!({"urls": [url], "destination_folder_id": folder}),
        )
        .await;
    assert_eq!(
        (&moved["moved"], &moved["urls"][0]),
        (&json!(1), &json!(url))
    );
    let body = json!({"urls": [url], "destination_folder_id": folder.to_string(), "rename": "c"});
    assert_eq!(client.call("file/mv", body).await.1["status"], "KO");

    let copied = client
        .ok(
            "file/cp",
            json!({"urls": [url], "folder_id": 0, "rename": "b"}),
        )
        .await;
    assert_ne!(copied["urls"][0]["to_url"], copied["urls"][0]["from_url"]);
    assert_eq!(account.file_paths(), ["b", "d/b"]);
    assert_eq!(simulator.report().violations, []);
}

#[tokio::test]
async fn folders() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    let made = client.ok("folder/mkdir", json!({"name": "a"})).await;
    let a = made["folder_id"].as_u64().unwrap();
    let again = client
        .call("folder/mkdir", json!({"name": "a", "folder_id": 0}))
        .await;
    assert_eq!((again.0, &again.1["status"]), (200, &json!("KO")));
    let b = simulator.account().add_folder("b").unwrap();

    let body = json!({"folder_id": a, "destination_folder_id": b, "rename": "c"});
    let moved = client.ok("folder/mv", body).await;
    assert_eq!(
        (&moved["old_name"], &moved["new_name"]),
        (&json!("a"), &json!("c"))
    );
    assert_eq!(simulator.account().folder_id("c"), Some(a), "rename wins");
    client
        .ok(
            "folder/mv",
            json!({"folder_id": a, "destination_folder_id": b}),
        )
        .await;
    assert_eq!(simulator.account().folder_id("b/c"), Some(a));

    let full = client.call("folder/rm", json!({"folder_id": b})).await;
    assert_eq!((full.0, &full.1["status"]), (200, &json!("KO")));
    client.ok("folder/rm", json!({"folder_id": a})).await;
    client.ok("folder/rm", json!({"folder_id": b})).await;
    assert_eq!(
        client.call("folder/rm", json!({"folder_id": b})).await.0,
        404
    );
    let cycle = simulator.account().add_folder("x/y").unwrap();
    let x = simulator.account().folder_id("x").unwrap();
    let body = json!({"folder_id": x, "destination_folder_id": cycle});
    assert_eq!(client.call("folder/mv", body).await.1["status"], "KO");
    assert_eq!(simulator.report().violation_counts["careless"], 1);
}

#[tokio::test]
async fn information_of_a_file() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    let url = link(
        &simulator
            .account()
            .add_file("A/B/é.txt", b"Hello world\n")
            .unwrap(),
    );
    let body = json!({"urls": [url], "description": "words", "inline": 1});
    assert_eq!(client.ok("file/chattr", body).await["updated"], 1);
    let info = client.ok("file/info", json!({"url": url})).await;
    assert_eq!(info["path"], "A/B");
    assert_eq!(info["size"], 12);
    assert_eq!(
        (&info["inline"], &info["description"]),
        (&json!(1), &json!("words"))
    );
    assert!(
        info["checksum"]
            .as_str()
            .unwrap()
            .starts_with("0a894ff039da")
    );
    let short = client
        .call("file/chattr", json!({"urls": [url], "pass": "12345"}))
        .await;
    assert_eq!(short.0, 400);
    assert!(client.token(&url).await.ends_with("?inline"));
}

#[tokio::test]
async fn changes_show_after_the_lag() {
    const LONG: Duration = Duration::from_secs(3_600);
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    simulator.set_listing_lag(LONG);
    let hidden = client.upload(0, &[("a", b"x")]).await;
    assert!(client.names(0).await.is_empty());
    client.ok("file/info", json!({"url": hidden[0].url})).await;
    simulator.set_listing_lag(Duration::from_millis(50));
    let shown = client.upload(0, &[("b", b"x")]).await;
    for _ in 0..200 {
        if !client.names(0).await.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(client.names(0).await, ["b"]);
    simulator.set_listing_lag(LONG);
    client
        .ok("file/rm", json!({"files": [{"url": shown[0].url}]}))
        .await;
    assert_eq!(client.names(0).await, ["b"]);
}

#[tokio::test]
async fn the_cap_cuts_in_silence_and_dates_narrow() {
    let table = LimitTable {
        listing_entries: 50,
        ..LimitTable::off()
    };
    let simulator = started(SimConfig {
        limits: Limits::Custom(Box::new(table)),
        ..SimConfig::default()
    })
    .await;
    let client = Client::new(&simulator);
    let tree = SyntheticTree {
        folders: vec![1],
        files: 60,
        size: 10,
        seed: 1,
    };
    simulator.account().add_tree("", tree).unwrap();
    let folder = simulator.account().folder_id("dir-0000").unwrap();
    let listing = client.ok("file/ls", json!({"folder_id": folder})).await;
    assert_eq!(listing["count"], 50);
    let body = json!({"folder_id": folder, "sent_before": "2001-01-01 00:00:00"});
    assert_eq!(client.ok("file/ls", body).await["count"], 0);
    let all = client.ok("file/ls", json!({"folder_id": -1})).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 50);
}

#[tokio::test]
async fn names_are_refused_or_cut() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    let refused = client.call("folder/mkdir", json!({"name": "a$b"})).await.1;
    assert_eq!(refused["status"], "KO");
    let long = "x".repeat(251);
    assert_eq!(
        client.call("folder/mkdir", json!({"name": long})).await.1["status"],
        "KO"
    );
    simulator.change_quirks(|quirks| quirks.forbidden_names = ForbiddenNames::Drop);
    assert_eq!(
        client.ok("folder/mkdir", json!({"name": "a$b"})).await["name"],
        "ab"
    );
    client.upload(0, &[("c$d", b"x")]).await;
    assert_eq!(simulator.account().file_paths(), ["cd"]);
}

#[tokio::test]
async fn types_and_empty_lists_wobble() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    let (mut lists, mut texts) = (HashSet::new(), HashSet::new());
    for _ in 0..30 {
        let listing = client.ok("folder/ls", json!({"files": 1})).await;
        lists.insert(format!("{:?}", listing.get("items")));
        assert!(listing["size"].is_null());
    }
    assert_eq!(lists.len(), 3, "{lists:?}");
    simulator.change_quirks(|quirks| {
        quirks.types = Types::Full;
        quirks.empty_lists = EmptyLists::Empty;
    });
    for _ in 0..30 {
        let listing = client.ok("folder/ls", json!({})).await;
        texts.insert(listing["folder_id"].to_string());
    }
    assert_eq!(texts, HashSet::from(["0".to_owned(), "\"0\"".to_owned()]));
    let info = client.ok("user/info", json!({})).await;
    assert_eq!(info["email"], "owner@example.org");
}

#[tokio::test]
async fn a_backslash_breaks_a_listing() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    simulator.account().add_file("a\\q", b"x").unwrap();
    let response = client.request("file/ls", &json!({})).send().await.unwrap();
    let text = response.text().await.unwrap();
    assert!(text.contains(r"a\q"));
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_err());
}

#[tokio::test]
async fn the_style_of_refusals_can_change() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    simulator.change_quirks(|quirks| quirks.refusals = RefusalStyle::All200);
    let missing = client
        .call("file/info", json!({"url": link("abcdefghij0123456789")}))
        .await;
    assert_eq!((missing.0, &missing.1["status"]), (200, &json!("KO")));
    simulator.change_quirks(|quirks| quirks.refusals = RefusalStyle::All403);
    let logical = client.call("folder/mkdir", json!({"name": "$"})).await;
    assert_eq!(logical.0, 403);
}

#[tokio::test]
async fn headers_and_keys_are_checked() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    let url = format!("{}/file/ls.cgi", client.api);
    let plain = client
        .http
        .post(&url)
        .bearer_auth(&client.key)
        .body("{}")
        .send()
        .await
        .unwrap();
    assert!(
        plain
            .text()
            .await
            .unwrap()
            .contains("Content-Type not JSON #24")
    );
    let json_type =
        |request: reqwest::RequestBuilder| request.header("content-type", "application/json");
    let nobody = json_type(client.http.post(&url))
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(nobody.status(), 401);
    let stranger = json_type(client.http.post(&url))
        .bearer_auth("wrong")
        .body("{}")
        .send()
        .await
        .unwrap();
    assert_eq!(stranger.status(), 403);
    assert!(stranger.text().await.unwrap().contains("No such user #93"));
    let node = format!("{}/upload/get_upload_server.cgi", client.api);
    assert_eq!(
        json_type(client.http.get(&node))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    simulator
        .account()
        .profile(|profile| profile.config.offer = 0);
    let id = simulator.account().add_file("a", b"x").unwrap();
    let free = client
        .call("download/get_token", json!({"url": link(&id)}))
        .await;
    assert_eq!(free.0, 403);
    assert!(
        free.1["message"]
            .as_str()
            .unwrap()
            .starts_with("Must be a customer")
    );
}

#[tokio::test]
async fn public_folders() {
    let simulator = lenient().await;
    let client = Client::new(&simulator);
    simulator.account().add_file("pub/a b.txt", b"xyz").unwrap();
    let folder = simulator.account().folder_id("pub").unwrap();
    let shared = client
        .ok("folder/share", json!({"folder_id": folder, "share": 1}))
        .await;
    let slug = shared["url"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    let page = format!("{}/dir/{slug}", simulator.site_url());
    let json_page = format!("{page}?json=1");
    let list: serde_json::Value = client.get(&json_page, None).await.json().await.unwrap();
    assert_eq!(
        (&list[0]["filename"], &list[0]["size"]),
        (&json!("a b.txt"), &json!(3))
    );

    simulator.account().share("pub", Some("secret")).unwrap();
    let closed = client.get(&json_page, None).await;
    assert!(closed.text().await.unwrap().contains("password"));
    let post = |pass: &str| client.http.post(&page).body(format!("json=1&pass={pass}"));
    assert!(
        post("wrong")
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
            .contains("<form")
    );
    let open: serde_json::Value = post("secret").send().await.unwrap().json().await.unwrap();
    assert_eq!(open[0]["password"], 0);
    let nothing = client
        .get(
            &format!("{}/dir/nothing?json=1", simulator.site_url()),
            None,
        )
        .await;
    assert_eq!(nothing.status(), 404);
}
