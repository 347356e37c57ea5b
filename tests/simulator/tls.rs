//! The TLS listener under the service's names.

use crate::client::Client;
use fichierfs::sim::{Limits, SimConfig, Simulator, TlsConfig};
use serde_json::json;

#[tokio::test]
async fn the_service_under_its_own_names() {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    let simulator = Simulator::start(SimConfig {
        limits: Limits::Off,
        tls: Some(TlsConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            ca_out: Some(ca.clone()),
            port_in_urls: None,
        }),
        ..SimConfig::default()
    })
    .await
    .unwrap();
    let address = simulator.tls_addr().unwrap();
    let plain = Client::new(&simulator);
    let pem = std::fs::read(&ca).unwrap();
    assert_eq!(Some(std::str::from_utf8(&pem).unwrap()), simulator.ca_pem());
    let certificate = reqwest::Certificate::from_pem(&pem).unwrap();
    let http = reqwest::Client::builder()
        .tls_certs_only([certificate])
        .resolve("api.1fichier.com", address)
        .no_proxy()
        .build()
        .unwrap();
    let client = Client {
        http,
        api: "https://api.1fichier.com/v1".to_owned(),
        key: plain.key,
    };
    let (node, id) = client.node().await;
    assert!(
        node.starts_with("up") && node.ends_with(".1fichier.com"),
        "{node}"
    );
    assert!(id.len() == 10 && id.bytes().all(|b| b.is_ascii_alphanumeric()));
    let file = simulator.account().add_file("a", b"x").unwrap();
    let token = client.token(&format!("https://1fichier.com/?{file}")).await;
    let (host, path) = token
        .strip_prefix("https://")
        .unwrap()
        .split_once("/p")
        .unwrap();
    assert!(host.ends_with(".1fichier.com"));
    assert!(path.bytes().all(|b| b.is_ascii_digit()));
    let body = json!({"url": format!("https://1fichier.com/?{file}"), "no_ssl": 1});
    let plain_token = client.ok("download/get_token", body).await;
    assert!(plain_token["url"].as_str().unwrap().starts_with("http://"));
}
