use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::*;

fn form(len: u64, chunks: Vec<std::io::Result<Bytes>>) -> UploadForm {
    UploadForm {
        folder: FolderId(42),
        parts: vec![UploadPart {
            name: "né.txt".to_owned(),
            len,
            body: stream::iter(chunks).boxed(),
        }],
    }
}

fn whole() -> UploadForm {
    form(
        4,
        vec![Ok(Bytes::from_static(b"ab")), Ok(Bytes::from_static(b"cd"))],
    )
}

#[tokio::test]
async fn an_upload_goes_to_the_node_and_its_result_is_asked_for() {
    let bench = Bench::new(|request| match request.uri.path() {
        "/v1/upload/get_upload_server.cgi" => {
            let local = request.header("host").unwrap();
            json(200, format!(r#"{{"url":"{local}","id":"Fhl1aZERQv"}}"#))
        }
        "/upload.cgi" => {
            let mut response = answer(302, "text/html", "");
            let target = "/end.pl?xid=Other1".parse().unwrap();
            response.headers_mut().insert("Location", target);
            response
        }
        _ => json(
            200,
            r#"{"incoming":0,"links":[{"download":"https://1fichier.com/?abcde","filename":"né.txt","size":"4"}]}"#,
        ),
    })
    .await;
    let node = bench.api.upload_node(Class::Upload).await.unwrap();
    let ticket = bench.api.upload(&node, whole()).await.unwrap();
    assert_eq!(
        (ticket.host.as_str(), ticket.xid.as_str()),
        (bench.host.as_str(), "Other1")
    );
    let UploadOutcome::Links(files) = bench.api.upload_result(&ticket).await.unwrap() else {
        panic!("no links");
    };
    assert_eq!(files[0].id.as_str(), "abcde");

    let seen = bench.seen.lock().unwrap();
    let (sent, asked) = (&seen[1], &seen[2]);
    assert_eq!(sent.uri.query(), Some("id=Fhl1aZERQv"));
    assert_eq!(
        sent.header("authorization"),
        Some(&*format!("Bearer {KEY}"))
    );
    let length = sent.body.len().to_string();
    assert_eq!(sent.header("content-length"), Some(length.as_str()));
    assert_eq!(sent.header("transfer-encoding"), None);
    assert!(sent.body.windows(8).any(|bytes| bytes == b"\r\n\r\nabcd"));
    assert_eq!(asked.uri.to_string(), "/end.pl?xid=Other1");
    assert_eq!(asked.header("json"), Some("1"));
    assert_eq!(asked.header("authorization"), None);
}

#[tokio::test]
async fn a_refused_upload_was_not_stored() {
    let bench = Bench::new(|_| {
        answer(
            200,
            "text/html",
            r#"<div class="bloc2">Pas de fichier trouvé dans l'envoi</div>"#,
        )
    })
    .await;
    let node = UploadNode {
        host: bench.host.clone(),
        id: "Fhl1aZERQv".to_owned(),
    };
    let failure = bench.api.upload(&node, whole()).await.unwrap_err();
    assert_eq!(failure.fate, Fate::NotStored);
    assert!(failure.to_string().contains("Pas de fichier trouvé"));
}

#[tokio::test]
async fn an_upload_whose_answer_is_lost_may_be_stored() {
    let bench = Bench::new(|_| answer(502, "text/html", "bad gateway")).await;
    let node = UploadNode {
        host: bench.host.clone(),
        id: "Fhl1aZERQv".to_owned(),
    };
    let failure = bench.api.upload(&node, whole()).await.unwrap_err();
    assert_eq!(failure.fate, Fate::Unknown);
}

#[tokio::test]
async fn an_upload_whose_source_fails_was_not_stored() {
    let bench = Bench::new(|_| json(200, "{}")).await;
    let node = UploadNode {
        host: bench.host.clone(),
        id: "Fhl1aZERQv".to_owned(),
    };
    let broken = form(
        4,
        vec![
            Ok(Bytes::from_static(b"ab")),
            Err(std::io::ErrorKind::Other.into()),
        ],
    );
    let failure = bench.api.upload(&node, broken).await.unwrap_err();
    assert_eq!(failure.fate, Fate::NotStored);
    let short = form(4, vec![Ok(Bytes::from_static(b"ab"))]);
    let failure = bench.api.upload(&node, short).await.unwrap_err();
    assert_eq!(failure.fate, Fate::NotStored);
}

#[tokio::test]
async fn nothing_is_sent_to_a_node_of_another_house() {
    let bench = Bench::new(|_| json(200, r#"{"url":"up.evil.org","id":"abc"}"#)).await;
    let node = bench.api.upload_node(Class::Upload).await;
    assert!(matches!(node, Err(ApiError::Host(_))));
    let node = UploadNode {
        host: "up.evil.org".to_owned(),
        id: "abc".to_owned(),
    };
    let failure = bench.api.upload(&node, whole()).await.unwrap_err();
    assert!(matches!(failure.error, ApiError::Host(_)));
    assert_eq!(failure.fate, Fate::NotStored);
}
