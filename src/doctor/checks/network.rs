//! The way to the service: names, address families, location.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use url::Url;

use super::super::{Case, Finding};
use crate::config::AddressFamily;

const CHECK: &str = "network";

/// How long a connection may take to come about.
const PATIENCE: Duration = Duration::from_secs(4);

pub(super) fn check(case: &Case) -> Vec<Finding> {
    let mut found = locations(case);
    if let Some(known) = case.known().filter(|_| !case.offline) {
        found.extend(addresses(
            &known.settings.api_url,
            known.settings.address_family,
        ));
    }
    found
}

fn addresses(api_url: &str, family: AddressFamily) -> Vec<Finding> {
    let url = Url::parse(api_url).ok();
    let target = url
        .as_ref()
        .and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
    let Some((host, port)) = target else {
        return Vec::new(); // The configuration is told to be wrong elsewhere.
    };
    let bare = host.trim_matches(['[', ']']);
    let addresses: Vec<SocketAddr> = match (bare, port).to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            return vec![
                Finding::problem(
                    CHECK,
                    format!("the name {host} cannot be resolved: {error}"),
                )
                .mend(format!("getent ahosts {host}")),
            ];
        }
    };
    let opens = |v6: bool| {
        let mut of_family = addresses.iter().filter(|a| a.is_ipv6() == v6);
        of_family.any(|address| TcpStream::connect_timeout(address, PATIENCE).is_ok())
    };
    vec![judge(host, opens(false), opens(true), family)]
}

/// What it means which families reach the host.
fn judge(host: &str, v4: bool, v6: bool, family: AddressFamily) -> Finding {
    let families = match (v4, v6) {
        (true, true) => "IPv4 and IPv6",
        (true, false) => "IPv4",
        (false, true) => "IPv6",
        (false, false) => {
            return Finding::problem(CHECK, format!("{host} cannot be reached")).mend(format!(
                "curl -sI https://{host}/ ; look at firewall, proxy and VPN"
            ));
        }
    };
    let wanted_fails = match family {
        AddressFamily::Ipv4 => !v4,
        AddressFamily::Ipv6 => !v6,
        AddressFamily::Auto => false,
    };
    if wanted_fails {
        let what = format!("{host} is reached by {families}, which address_family rules out");
        return Finding::problem(CHECK, what).mend("set address_family = \"auto\"");
    }
    let what = format!("{host} is reached by {families}");
    if v4 && v6 && family == AddressFamily::Auto {
        let more = "; other programs with this account should use the same one, since the service \
                    allows one place at a time";
        return Finding::note(CHECK, what + more).mend("set address_family = \"ipv4\"");
    }
    Finding::ok(CHECK, what)
}

/// A lock of downloads after `Only 1 location allowed at a time`, and other locks.
fn locations(case: &Case) -> Vec<Finding> {
    let locks = case.daemons.iter().flat_map(|status| &status.api.locks);
    locks
        .map(|(kind, until)| {
            let what = format!(
                "the service has locked {kind} until {until}; nothing is lost, it goes on by itself"
            );
            Finding::warning(CHECK, what)
                .mend("end other programs that use this account or this address, then wait")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::Level;
    use super::*;

    #[test]
    fn a_family_that_is_ruled_out_is_a_problem_and_two_are_a_note() {
        let level = |v4, v6, family| judge("h", v4, v6, family).level;
        assert_eq!(level(true, false, AddressFamily::Auto), Level::Ok);
        assert_eq!(level(true, true, AddressFamily::Auto), Level::Note);
        assert_eq!(level(true, true, AddressFamily::Ipv6), Level::Ok);
        assert_eq!(level(true, false, AddressFamily::Ipv6), Level::Problem);
        assert_eq!(level(false, false, AddressFamily::Auto), Level::Problem);
    }

    #[test]
    fn a_host_that_does_not_listen_is_a_problem() {
        // A port that was free a moment ago.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", free.local_addr().unwrap());
        assert_eq!(addresses(&url, AddressFamily::Auto)[0].level, Level::Ok);
        drop(free);
        assert_eq!(
            addresses(&url, AddressFamily::Auto)[0].level,
            Level::Problem
        );
    }
}
