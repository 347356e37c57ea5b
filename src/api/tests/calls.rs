use std::time::Instant;

use axum::body::Body;
use axum::http::{Method, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::*;

#[tokio::test]
async fn a_call_is_a_json_post_with_the_key() {
    let bench = Bench::new(|_| {
        json(
            200,
            r#"{"status":"OK","folder_id":7,"name":"x","files":0,"sub_folders":[]}"#,
        )
    })
    .await;
    let listing = bench
        .api
        .list_folder(FolderId(7), Class::Interactive)
        .await
        .unwrap();
    assert_eq!(listing.name, "x");
    let seen = bench.seen.lock().unwrap();
    let request = &seen[0];
    assert_eq!(request.method, Method::POST);
    assert_eq!(request.uri.path(), "/v1/folder/ls.cgi");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(
        request.header("authorization"),
        Some(&*format!("Bearer {KEY}"))
    );
    assert_eq!(request.header("accept-encoding"), None);
    assert_eq!(&request.body[..], br#"{"folder_id":7,"files":1}"#);
}

#[tokio::test]
async fn after_a_flood_lock_nothing_of_that_kind_is_sent() {
    let bench = Bench::new(|_| {
        json(
            403,
            r#"{"status":"KO","message":"Flood detected: IP Locked #412"}"#,
        )
    })
    .await;
    let list = |id| bench.api.list_folder(FolderId(id), Class::Interactive);
    assert!(matches!(
        list(1).await,
        Err(ApiError::Flood {
            scope: FloodScope::Ip,
            ..
        })
    ));
    assert!(matches!(
        list(2).await,
        Err(ApiError::Waiting {
            why: Why::Lock(Script::FolderLs),
            ..
        })
    ));
    assert_eq!(bench.requests(), 1);
}

#[tokio::test]
async fn a_refused_key_stops_all_calls_until_it_changes() {
    let bench = Bench::new(|request| {
        if request.header("authorization") == Some(&format!("Bearer {KEY}")) {
            json(403, r#"{"status":"KO","message":"No such user #93"}"#)
        } else {
            json(
                200,
                r#"{"status":"OK","url":"up2.1fichier.com","id":"abc"}"#,
            )
        }
    })
    .await;
    for _ in 0..3 {
        let refused = bench.api.account(Class::Interactive).await;
        assert!(matches!(refused, Err(ApiError::KeyRefused(_))));
    }
    assert_eq!(bench.requests(), 1);
    bench
        .keys
        .replace(ApiKey::new(KEY.replace('a', "b")).unwrap());
    // The call is made; that its node is none for a simulator is another matter.
    let node = bench.api.upload_node(Class::Upload).await;
    assert!(matches!(node, Err(ApiError::Host(_))));
    assert_eq!(bench.requests(), 2);
}

#[tokio::test]
async fn an_account_that_is_not_paid_for_is_not_asked_for_one_file_after_another() {
    let bench = Bench::new(|_| {
        json(
            403,
            r#"{"status":"KO","message":"Must be a customer (Premium, Access) #236"}"#,
        )
    })
    .await;
    let ask = |file: &str| {
        let file: FileId = file.parse().unwrap();
        let by = Instant::now() + Duration::from_millis(50);
        let api = bench.api.clone();
        async move {
            let ask = Ask::until(Class::Interactive, by);
            api.download_token(&file, ask).await
        }
    };
    let refused = ask("film1").await;
    assert!(matches!(refused, Err(ApiError::NotACustomer(_))));
    let held = ask("film2").await;
    assert!(matches!(held, Err(ApiError::Waiting { .. })));
    assert_eq!(bench.requests(), 1);
}

#[tokio::test]
async fn a_failing_call_is_not_repeated_and_counted() {
    let bench = Bench::new(|_| {
        json(
            404,
            r#"{"status":"KO","message":"Resource not found #469"}"#,
        )
    })
    .await;
    let token = bench.api.download_token(&id(), Class::Interactive).await;
    assert!(matches!(token, Err(ApiError::NotFound(_))));
    assert_eq!(bench.requests(), 1);
    assert_eq!(bench.api.pace().status().await.unwrap().failing, 1);
}

#[tokio::test]
async fn the_key_does_not_follow_a_redirection() {
    let bench = Bench::new(|_| {
        Response::builder()
            .status(302)
            .header("Location", "/elsewhere")
            .body(Body::empty())
            .unwrap()
    })
    .await;
    let listed = bench.api.list_folder(FolderId(1), Class::Interactive).await;
    assert!(matches!(listed, Err(ApiError::Unparsable(_))));
    assert_eq!(bench.requests(), 1);
}

#[tokio::test]
async fn without_a_key_nothing_is_asked() {
    let mut bench = Bench::new(|_| json(200, "{}")).await;
    let shared = Arc::get_mut(&mut bench.api.shared).unwrap();
    shared.keys = KeyStore::default();
    let listed = bench.api.list_folder(FolderId(1), Class::Interactive).await;
    assert!(matches!(listed, Err(ApiError::NoKey)));
    assert_eq!(bench.requests(), 0);
}

#[tokio::test]
async fn changes_name_what_they_change() {
    let bench = Bench::new(|request| match request.uri.path() {
        "/v1/folder/mkdir.cgi" => json(200, r#"{"status":"OK","folder_id":"4242","name":"xy"}"#),
        "/v1/file/rm.cgi" => json(200, r#"{"status":"OK","removed":1}"#),
        "/v1/file/cp.cgi" => json(
            200,
            r#"{"status":"OK","copied":1,"urls":[{"from_url":"https://1fichier.com/?abcdefghij0123456789","to_url":"https://1fichier.com/?bbbbb"}]}"#,
        ),
        _ => json(200, r#"{"status":"KO","message":"No file has been renamed #312"}"#),
    })
    .await;
    let api = &bench.api;
    let made = api
        .make_folder(FolderId::ROOT, "x'y", Class::Upload)
        .await
        .unwrap();
    assert_eq!(made, (FolderId(4242), "xy".to_owned()));
    let removed = api.remove_files(&[id()], Class::Upload).await;
    assert_eq!(removed.unwrap(), [id()]);
    let copies = api
        .copy_files(&[id()], FolderId(7), None, Class::Upload)
        .await
        .unwrap();
    assert_eq!(copies[0].to.as_str(), "bbbbb");
    let renamed = api
        .rename_files(&[(id(), "same".to_owned())], Class::Upload)
        .await;
    assert!(matches!(renamed, Err(ApiError::Unchanged(_))));
    let bodies: Vec<_> = bench
        .seen
        .lock()
        .unwrap()
        .iter()
        .map(|request| String::from_utf8(request.body.to_vec()).unwrap())
        .collect();
    let link = "https://1fichier.com/?abcdefghij0123456789";
    assert_eq!(bodies[0], r#"{"name":"x'y","folder_id":0}"#);
    assert_eq!(bodies[1], format!(r#"{{"files":[{{"url":"{link}"}}]}}"#));
    assert_eq!(bodies[2], format!(r#"{{"urls":["{link}"],"folder_id":7}}"#));
    assert_eq!(
        bodies[3],
        format!(r#"{{"urls":[{{"url":"{link}","filename":"same"}}]}}"#)
    );
}

#[tokio::test]
async fn what_breaks_a_documented_limit_is_not_sent() {
    let bench = Bench::new(|_| json(200, "{}")).await;
    let many = vec![id(); limits::BATCH + 1];
    let removed = bench.api.remove_files(&many, Class::Upload).await;
    assert!(matches!(removed, Err(ApiError::Misuse(_))));
    let removed = bench.api.remove_folder(FolderId::ROOT, Class::Upload).await;
    assert!(matches!(removed, Err(ApiError::Misuse(_))));
    assert_eq!(bench.requests(), 0);
}

#[tokio::test]
async fn an_answer_without_end_is_given_up() {
    let bench = Bench::new(|_| {
        let megabyte = Bytes::from(vec![b' '; 1 << 20]);
        let endless = stream::repeat(megabyte).map(Ok::<_, std::io::Error>);
        json(200, Body::from_stream(endless))
    })
    .await;
    let ask = Ask::until(Class::Interactive, Instant::now() + Duration::from_secs(60));
    let listed = bench.api.list_folder(FolderId(1), ask).await;
    assert!(matches!(listed, Err(ApiError::Unparsable(_))));
}
