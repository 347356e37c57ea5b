//! The TLS listener's certificate, from an authority made for this run.

use super::account::DOMAINS;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::io;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// An acceptor for the service's names on loopback.
pub struct Tls {
    /// Accepts connections.
    pub acceptor: TlsAcceptor,
    /// The authority's certificate, to be trusted by clients.
    pub ca_pem: String,
}

/// Prefixes of upload nodes and download hosts, as seen (API notes 1.1).
const NODES: std::ops::Range<u32> = 2..10;
const DOWNLOAD_LETTERS: [&str; 3] = ["a", "o", "s"];
const DOWNLOAD_NUMBERS: std::ops::Range<u32> = 1..9;

/// The names that the TLS listener hands out, besides the alias domains: to be mapped
/// to loopback by whoever points a client with fixed names at it.
pub fn host_names() -> Vec<String> {
    let mut names = vec!["api.1fichier.com".to_owned(), "1fichier.com".to_owned()];
    names.extend(NODES.map(|number| format!("up{number}.1fichier.com")));
    for letter in DOWNLOAD_LETTERS {
        names.extend(DOWNLOAD_NUMBERS.map(|number| format!("{letter}-{number}.1fichier.com")));
    }
    names
}

/// A name for an upload node.
pub fn upload_node(random: &mut StdRng) -> String {
    format!("up{}.1fichier.com", random.random_range(NODES))
}

/// A name for a download host.
pub fn download_host(random: &mut StdRng) -> String {
    let letter = DOWNLOAD_LETTERS.choose(random).unwrap_or(&"a");
    let number = random.random_range(DOWNLOAD_NUMBERS);
    format!("{letter}-{number}.1fichier.com")
}

/// Makes an authority and a certificate for all names of the service.
pub fn make() -> io::Result<Tls> {
    let ca_key = KeyPair::generate().map_err(io::Error::other)?;
    let mut ca = CertificateParams::new(Vec::<String>::new()).map_err(io::Error::other)?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.distinguished_name
        .push(DnType::CommonName, "1fichier simulator authority");
    let ca_certificate = ca.self_signed(&ca_key).map_err(io::Error::other)?;
    let issuer = Issuer::new(ca, ca_key);

    let key = KeyPair::generate().map_err(io::Error::other)?;
    let mut params = CertificateParams::new(names()).map_err(io::Error::other)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "1fichier simulator");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &issuer).map_err(io::Error::other)?;

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let chain = vec![certificate.der().clone()];
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Tls {
        acceptor: TlsAcceptor::from(Arc::new(config)),
        ca_pem: ca_certificate.pem(),
    })
}

fn names() -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "api.1fichier.com"]
        .map(str::to_owned)
        .to_vec();
    for domain in DOMAINS {
        names.push(domain.to_owned());
        names.push(format!("*.{domain}"));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn hosts_are_among_the_names() {
        let mut random = StdRng::seed_from_u64(1);
        let names = host_names();
        for _ in 0..100 {
            assert!(names.contains(&upload_node(&mut random)));
            assert!(names.contains(&download_host(&mut random)));
        }
    }

    #[test]
    fn an_authority_and_a_certificate_can_be_made() {
        let tls = make().unwrap();
        assert!(tls.ca_pem.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(names().contains(&"*.1fichier.com".to_owned()));
    }
}
