//! A plain client of the service, written from the API notes for these tests alone.

use fichierfs::sim::{Limits, SimConfig, Simulator};
use reqwest::header::{HeaderMap, LOCATION};
use serde_json::{Value, json};
use std::ops::Range;
use std::time::Duration;

/// A simulator without limits on calls and without lag, as most tests want it.
pub async fn lenient() -> Simulator {
    started(SimConfig {
        limits: Limits::Off,
        listing_lag: Duration::ZERO,
        ..SimConfig::default()
    })
    .await
}

pub async fn started(config: SimConfig) -> Simulator {
    Simulator::start(config).await.unwrap()
}

pub struct Client {
    pub http: reqwest::Client,
    pub api: String,
    pub key: String,
}

/// What end.pl tells of one file.
pub struct Uploaded {
    pub url: String,
    pub whirlpool: String,
}

impl Client {
    pub fn new(simulator: &Simulator) -> Client {
        // An error says that another test has installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Client {
            http,
            api: simulator.api_url(),
            key: simulator.key().to_owned(),
        }
    }

    /// A call: status and JSON.
    pub async fn call(&self, script: &str, body: Value) -> (u16, Value) {
        let response = self.request(script, &body).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap())
    }

    pub fn request(&self, script: &str, body: &Value) -> reqwest::RequestBuilder {
        self.http
            .post(format!("{}/{script}.cgi", self.api))
            .bearer_auth(&self.key)
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    /// A call that must succeed.
    pub async fn ok(&self, script: &str, body: Value) -> Value {
        let (status, value) = self.call(script, body).await;
        assert_eq!(status, 200, "{script}: {value}");
        assert_ne!(value["status"], "KO", "{script}: {value}");
        value
    }

    /// Names of the files in a folder, sorted.
    pub async fn names(&self, folder: u64) -> Vec<String> {
        let listing = self
            .ok("folder/ls", json!({"folder_id": folder, "files": 1}))
            .await;
        let items = listing["items"].as_array().cloned().unwrap_or_default();
        let mut names: Vec<String> = items
            .iter()
            .map(|item| item["filename"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    /// A node and an id.
    pub async fn node(&self) -> (String, String) {
        let node = self.ok("upload/get_upload_server", json!({})).await;
        let text = |name: &str| node[name].as_str().unwrap().to_owned();
        (text("url"), text("id"))
    }

    /// Sends a body to a node; the answer as it comes.
    pub async fn post_form(
        &self,
        content_type: &str,
        body: Vec<u8>,
    ) -> (String, reqwest::Result<reqwest::Response>) {
        let (node, id) = self.node().await;
        let sent = self
            .http
            .post(format!("http://{node}/upload.cgi?id={id}"))
            .bearer_auth(&self.key)
            .header("content-type", content_type)
            .body(body)
            .send()
            .await;
        (node, sent)
    }

    /// Uploads files into a folder.
    pub async fn upload(&self, folder: u64, files: &[(&str, &[u8])]) -> Vec<Uploaded> {
        let (node, sent) = self.post_form(FORM, form(folder, files)).await;
        let response = sent.unwrap();
        assert_eq!(response.status(), 302);
        let location = header(response.headers(), LOCATION.as_str());
        let end = self.end(&node, &location).await;
        let end: Value = end.json().await.unwrap();
        let links = end["links"].as_array().unwrap();
        links
            .iter()
            .map(|link| Uploaded {
                url: link["download"].as_str().unwrap().to_owned(),
                whirlpool: link["whirlpool"].as_str().unwrap().to_owned(),
            })
            .collect()
    }

    /// Asks end.pl for JSON.
    pub async fn end(&self, node: &str, location: &str) -> reqwest::Response {
        self.http
            .get(format!("http://{node}{location}"))
            .header("JSON", "1")
            .send()
            .await
            .unwrap()
    }

    /// A download URL.
    pub async fn token(&self, url: &str) -> String {
        let token = self.ok("download/get_token", json!({"url": url})).await;
        token["url"].as_str().unwrap().to_owned()
    }

    pub async fn get(&self, url: &str, range: Option<Range<u64>>) -> reqwest::Response {
        let mut request = self.http.get(url);
        if let Some(range) = range {
            request = request.header("range", format!("bytes={}-{}", range.start, range.end - 1));
        }
        request.send().await.unwrap()
    }
}

pub const FORM: &str = "multipart/form-data; boundary=----fichier";

/// A form as the node wants it.
pub fn form(folder: u64, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = format!(
        "------fichier\r\nContent-Disposition: form-data; name=\"did\"\r\n\r\n{folder}\r\n"
    )
    .into_bytes();
    for (name, bytes) in files {
        let head = format!(
            "------fichier\r\nContent-Disposition: form-data; name=\"file[]\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"------fichier--\r\n");
    body
}

pub fn header(headers: &HeaderMap, name: &str) -> String {
    headers[name].to_str().unwrap().to_owned()
}
