//! Where the service is, and which hosts named by it we speak to.
//!
//! The key goes to the API's host and to upload nodes, so a node must be a
//! sub-domain of 1fichier.com over TLS; a download link may also be on one of
//! the documented alias domains (API notes 1.1). Only a client that was
//! configured for a loopback address accepts loopback hosts, for a simulator.

use url::{Host, Url};

use super::{ApiError, Limits, Said};

/// The domains of links and downloads (API notes 1.1).
const DOMAINS: [&str; 11] = [
    "1fichier.com",
    "alterupload.com",
    "cjoint.net",
    "desfichiers.com",
    "dfichiers.com",
    "megadl.fr",
    "mesfichiers.org",
    "piecejointe.net",
    "pjointe.com",
    "tenvoi.com",
    "dl4free.com",
];

/// The domain whose hosts are trusted with the key.
const KEY_DOMAIN: &str = "1fichier.com";

/// Where the API and the public site are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoints {
    api: Url,
    site: Url,
}

/// An address of the service that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadEndpoint {
    /// Not a URL at all.
    #[error("{0:?} is not an address such as https://api.1fichier.com/v1")]
    NotAnAddress(String),
    /// The key would cross the network in clear.
    #[error(
        "{0:?} must begin with https:// (http:// is accepted on a loopback address such as 127.0.0.1 only)"
    )]
    NotSecure(String),
    /// The limits of the real service cannot be scaled.
    #[error(
        "limits_scale is for a simulator on a loopback address; leave it out for the service itself"
    )]
    ScaledService,
}

impl Endpoints {
    /// Checks both addresses: `https`, or `http` on loopback.
    pub fn new(api_url: &str, site_url: &str) -> Result<Endpoints, BadEndpoint> {
        Ok(Endpoints {
            api: base(api_url)?,
            site: base(site_url)?,
        })
    }

    /// Whether the API is on a loopback address, so a simulator.
    fn is_loopback(&self) -> bool {
        is_loopback(&self.api)
    }

    /// The address of the API, `host[:port]`, if it is a simulator.
    pub fn simulator(&self) -> Option<&str> {
        self.is_loopback().then(|| self.api.authority())
    }

    /// The table of limits for this service: scaled for a simulator only.
    pub fn limits(&self, scale: f64) -> Result<Limits, BadEndpoint> {
        if scale != 1.0 && !self.is_loopback() {
            return Err(BadEndpoint::ScaledService);
        }
        Ok(Limits::scaled(scale))
    }

    pub(super) fn call(&self, path: &str) -> Url {
        below(&self.api, path)
    }

    pub(super) fn site(&self, path: &str) -> Url {
        below(&self.site, path)
    }

    /// The address of an upload node named by the service, `host[:port]`.
    pub(super) fn node(&self, host: &str) -> Result<Url, ApiError> {
        let scheme = if self.is_loopback() {
            self.api.scheme()
        } else {
            "https"
        };
        let refuse = || ApiError::Host(Said::ours(host));
        // Nothing but a host and a port: no path, query, user or scheme that
        // would make the URL mean another place.
        let plain = !host.is_empty()
            && host.bytes().all(|b| {
                b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']')
            });
        if !plain {
            return Err(refuse());
        }
        let url = Url::parse(&format!("{scheme}://{host}/")).map_err(|_| refuse())?;
        let usual_port = url.port().is_none();
        if (is_below(&url, KEY_DOMAIN) && url.scheme() == "https" && usual_port)
            || (self.is_loopback() && is_loopback(&url))
        {
            Ok(url)
        } else {
            Err(refuse())
        }
    }

    /// A download link named by the service; an `http` link is tried as `https`.
    pub(super) fn download(&self, link: &str) -> Result<Url, ApiError> {
        // The link is a secret: the error names its host at most.
        let mut url = Url::parse(link).map_err(|_| ApiError::Host(Said::ours("not an address")))?;
        let refused = ApiError::Host(Said::ours(url.host_str().unwrap_or("no host")));
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused);
        }
        if self.is_loopback() && is_loopback(&url) && matches!(url.scheme(), "http" | "https") {
            return Ok(url);
        }
        if url.scheme() == "http" && url.set_scheme("https").is_err() {
            return Err(refused);
        }
        let ours = url.scheme() == "https"
            && url.port().is_none()
            && DOMAINS.iter().any(|domain| is_below(&url, domain));
        if ours { Ok(url) } else { Err(refused) }
    }
}

fn base(text: &str) -> Result<Url, BadEndpoint> {
    let url = Url::parse(text).map_err(|_| BadEndpoint::NotAnAddress(text.to_owned()))?;
    match url.scheme() {
        "https" if url.has_host() => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(BadEndpoint::NotSecure(text.to_owned())),
        _ => Err(BadEndpoint::NotAnAddress(text.to_owned())),
    }
}

fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let joined = format!("{}/{}", base.path().trim_end_matches('/'), path);
    url.set_path(&joined);
    url
}

/// Whether a URL's host is a loopback address. A name is none, apart from
/// `localhost`: what a name resolves to is for others to say.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Whether the host is the domain itself or below it.
fn is_below(url: &Url, domain: &str) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name
            .strip_suffix(domain)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real() -> Endpoints {
        Endpoints::new("https://api.1fichier.com/v1", "https://1fichier.com").unwrap()
    }

    fn local() -> Endpoints {
        Endpoints::new("http://127.0.0.1:8080/v1/", "http://127.0.0.1:8080").unwrap()
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for bad in [
            "http://api.1fichier.com/v1",
            "http://10.0.0.1/v1",
            "http://127.0.0.1.example.com/",
        ] {
            assert_eq!(
                Endpoints::new(bad, "https://1fichier.com"),
                Err(BadEndpoint::NotSecure(bad.to_owned()))
            );
        }
        for bad in ["ftp://1fichier.com", "1fichier.com", ""] {
            assert!(matches!(
                Endpoints::new("https://api.1fichier.com/v1", bad),
                Err(BadEndpoint::NotAnAddress(_))
            ));
        }
        for good in [
            "http://127.0.0.1:1/v1",
            "http://[::1]:1/v1",
            "http://localhost:1/v1",
        ] {
            assert!(Endpoints::new(good, good).unwrap().is_loopback(), "{good}");
        }
        assert!(!real().is_loopback());
    }

    #[test]
    fn paths_are_put_below_the_address() {
        assert_eq!(
            real().call("folder/ls.cgi").as_str(),
            "https://api.1fichier.com/v1/folder/ls.cgi"
        );
        assert_eq!(
            local().call("folder/ls.cgi").as_str(),
            "http://127.0.0.1:8080/v1/folder/ls.cgi"
        );
    }

    #[test]
    fn the_key_goes_to_upload_nodes_of_1fichier_only() {
        for good in ["up2.1fichier.com", "ru-3.1fichier.com", "1fichier.com"] {
            let url = real().node(good).unwrap();
            assert_eq!(url.as_str(), format!("https://{good}/"));
        }
        for bad in [
            "",
            "up2.1fichier.com:8443",
            "evil-1fichier.com",
            "1fichier.com.evil.org",
            "user@up2.1fichier.com",
            "up2.1fichier.com/x",
            "up2.1fichier.com#@evil.org",
            "https://up2.1fichier.com",
            "up2.desfichiers.com",
            "127.0.0.1:9",
            "localhost",
            "[::1]:9",
        ] {
            assert!(matches!(real().node(bad), Err(ApiError::Host(_))), "{bad}");
        }
    }

    #[test]
    fn downloads_come_from_the_service_and_its_aliases() {
        for good in [
            "https://a-6.1fichier.com/p1058755667",
            "https://o-5.desfichiers.com/p86019894?inline",
        ] {
            assert_eq!(real().download(good).unwrap().as_str(), good);
        }
        assert_eq!(
            real()
                .download("http://a-6.1fichier.com/p1")
                .unwrap()
                .as_str(),
            "https://a-6.1fichier.com/p1"
        );
        for bad in [
            "https://evil.org/p1",
            "https://a-6.1fichier.com.evil.org/p1",
            "https://1fichier.com@evil.org/p1",
            "https://u:p@a-6.1fichier.com/p1",
            "https://a-6.1fichier.com:8443/p1",
            "http://127.0.0.1/p1",
            "file:///etc/passwd",
            "p1",
        ] {
            assert!(
                matches!(real().download(bad), Err(ApiError::Host(_))),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_simulator_may_name_loopback_hosts_and_no_others() {
        assert_eq!(
            local().node("127.0.0.1:9").unwrap().as_str(),
            "http://127.0.0.1:9/"
        );
        assert_eq!(
            local().download("http://127.0.0.1:9/p1").unwrap().as_str(),
            "http://127.0.0.1:9/p1"
        );
        assert!(
            local().node("up2.1fichier.com").is_err(),
            "plain http to the real service"
        );
        assert!(local().node("192.168.1.1:80").is_err());
        assert!(local().download("http://192.168.1.1/p1").is_err());
    }

    #[test]
    fn the_limits_of_the_real_service_are_not_scaled() {
        assert_eq!(real().limits(2.0), Err(BadEndpoint::ScaledService));
        assert_eq!(real().limits(1.0), Ok(Limits::real()));
        assert_eq!(local().limits(2.0), Ok(Limits::scaled(2.0)));
    }

    #[test]
    fn a_refused_link_is_not_quoted() {
        let error = real().download("https://evil.org/psecret").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("psecret"));
    }
}
