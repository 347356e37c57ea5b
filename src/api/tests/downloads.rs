use axum::body::Body;
use axum::http::Method;
use bytes::Bytes;
use futures_util::{TryStreamExt, stream};

use super::*;

/// What the download host of a test does.
#[derive(Clone, Copy)]
enum Host {
    Good,
    IgnoresRange,
    IgnoresRangeOfAnother,
    OtherSize,
    OtherRange,
    EndsEarly,
    Page,
    Redirects,
    Expired,
    Trouble,
}

const FILE: &[u8] = b"0123456789";

/// Reads bytes 2 to 5 of a file of ten from a host.
async fn read(host: Host) -> (Result<Vec<u8>, ApiError>, Bench) {
    let bench = Bench::new(move |request| {
        if request.uri.path() == "/v1/download/get_token.cgi" {
            let local = request.header("host").unwrap();
            return json(
                200,
                format!(r#"{{"status":"OK","url":"http://{local}/psecret"}}"#),
            );
        }
        assert_eq!(request.header("range"), Some("bytes=2-5"));
        let part = |range: &str, bytes: &'static [u8]| {
            let mut response = answer(206, "application/octet-stream", bytes);
            response
                .headers_mut()
                .insert("Content-Range", range.parse().unwrap());
            response
        };
        match host {
            Host::Good => part("bytes 2-5/10", &FILE[2..6]),
            Host::IgnoresRange => answer(200, "application/octet-stream", FILE),
            Host::IgnoresRangeOfAnother => answer(200, "application/octet-stream", &FILE[1..]),
            Host::OtherSize => part("bytes 2-5/11", &FILE[2..6]),
            Host::OtherRange => part("bytes 0-3/10", &FILE[0..4]),
            Host::EndsEarly => {
                let few = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"23"))]);
                let mut response = part("bytes 2-5/10", b"");
                *response.body_mut() = Body::from_stream(few);
                response
            }
            Host::Page => answer(200, "text/html; charset=utf-8", "<html>"),
            Host::Redirects => {
                let mut response = answer(302, "text/html", "");
                let target = "https://1fichier.com/?c=DB".parse().unwrap();
                response.headers_mut().insert("Location", target);
                response
            }
            Host::Expired => answer(404, "text/html", "gone"),
            Host::Trouble => answer(503, "text/html", "later"),
        }
    })
    .await;
    let link = bench
        .api
        .download_token(&id(), Class::Interactive)
        .await
        .unwrap();
    assert!(!format!("{link:?}").contains("secret"));
    let bytes = async {
        let stream = bench.api.open_range(&link, 2..6, FILE.len() as u64).await?;
        let chunks: Vec<Bytes> = stream.try_collect().await?;
        Ok(chunks.concat())
    }
    .await;
    (bytes, bench)
}

#[tokio::test]
async fn a_range_comes_exactly_and_without_the_key() {
    let (bytes, bench) = read(Host::Good).await;
    assert_eq!(bytes.unwrap(), b"2345");
    let seen = bench.seen.lock().unwrap();
    assert_eq!(seen[1].method, Method::GET);
    assert_eq!(seen[1].header("authorization"), None);
}

#[tokio::test]
async fn a_range_is_taken_out_of_a_whole_file() {
    let (bytes, _) = read(Host::IgnoresRange).await;
    assert_eq!(bytes.unwrap(), b"2345");
}

#[tokio::test]
async fn anything_but_the_range_is_an_error() {
    let fault = |error: Result<Vec<u8>, ApiError>| match error {
        Err(ApiError::Link(fault)) => Some(fault),
        _ => None,
    };
    for (host, expected) in [
        (Host::IgnoresRangeOfAnother, LinkFault::RangeIgnored),
        (Host::OtherSize, LinkFault::WrongRange),
        (Host::OtherRange, LinkFault::WrongRange),
        (Host::Page, LinkFault::Page),
        (Host::Redirects, LinkFault::Page),
        (Host::Expired, LinkFault::Refused(404)),
    ] {
        assert_eq!(fault(read(host).await.0), Some(expected));
    }
    for host in [Host::EndsEarly, Host::Trouble] {
        let error = read(host).await.0.unwrap_err();
        assert!(matches!(error, ApiError::Transient(_)));
        assert!(!format!("{error} {error:?}").contains("psecret"));
    }
}

#[tokio::test]
async fn a_lost_connection_does_not_tell_the_link() {
    let (_, bench) = read(Host::Good).await;
    // A port where nobody listens any more.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = free.local_addr().unwrap();
    drop(free);
    let link = bench
        .api
        .shared
        .endpoints
        .download(&format!("http://{gone}/psecret"));
    let error = bench
        .api
        .shared
        .http
        .send(bench.api.shared.http.data.get(link.unwrap()))
        .await;
    let error = ApiError::from(error.err().unwrap());
    assert!(matches!(error, ApiError::Unreachable(_)));
    assert!(!format!("{error} {error:?}").contains("psecret"));
}
