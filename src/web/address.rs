//! By which names the page is asked for, and where its neighbours are.

use std::net::{IpAddr, SocketAddr};

use super::{Bound, JUPYTER, PAGE};
use crate::config::{Config, PublicUrl};
use crate::reservation::MachineName;

/// Names and ports.
#[derive(Debug)]
pub(super) struct Names {
    https: bool,
    public: Option<PublicUrl>,
    hosts: Vec<String>,
    page: Vec<SocketAddr>,
    jupyter: Vec<(SocketAddr, Option<MachineName>)>,
}

impl Names {
    pub(super) fn new(config: &Config, bound: &[Bound]) -> Self {
        let of = |service: &'static str| {
            let found = bound.iter().filter(move |one| one.place.service == service);
            found.filter_map(|one| Some((one.listener.local_addr().ok()?, one.machine.clone())))
        };
        Self {
            https: config.web.tls.is_some(),
            public: config.web.public_url.clone(),
            hosts: config.web.hosts.clone(),
            page: of(PAGE).map(|(address, _)| address).collect(),
            jupyter: of(JUPYTER).collect(),
        }
    }

    /// Are we meant? Else a name of somebody else's points here, and its pages could read ours.
    pub(super) fn knows(&self, host: &str, local: IpAddr) -> bool {
        let name = host_of(host).to_ascii_lowercase();
        let is_public = self.public.as_ref().is_some_and(|public| public.host == name);
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        is_public
            || self.hosts.contains(&name)
            || (name == "localhost" && local.to_canonical().is_loopback())
            || address.is_some_and(|address| address.to_canonical() == local.to_canonical())
    }

    /// Scheme and host as the browser's `Origin` has them.
    pub(super) fn origin(&self, host: &str) -> String {
        format!("{}://{}", if self.https { "https" } else { "http" }, host.to_ascii_lowercase())
    }

    /// The page, for somebody who is at JupyterLab by this host.
    pub(super) fn page(&self, host: &str) -> String {
        if let Some(PublicUrl { host, port, .. }) = &self.public {
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            return self.origin(&format!("{host}{port}"));
        }
        let port = self.page.first().map_or(80, SocketAddr::port);
        self.origin(&format!("{}:{port}", host_of(host)))
    }

    /// The page by a host that somebody came by, if it is the page's.
    pub(super) fn page_by(&self, host: &str) -> Option<String> {
        let port = host.strip_prefix(host_of(host))?;
        let here =
            |page: &&SocketAddr| self.knows(host, page.ip()) && port == default_or(page.port(), self.https);
        self.page.iter().find(here).map(|_| self.origin(host))
    }

    pub(super) fn has_jupyter(&self) -> bool {
        !self.jupyter.is_empty()
    }

    /// JupyterLab of a machine, for somebody who is at the page by this host.
    pub(super) fn jupyter(&self, host: &str, machine: &MachineName) -> Option<String> {
        let for_machine = |of: &Option<MachineName>| of.as_ref().is_none_or(|of| of == machine);
        // A listener for all has the page's own name; a machine's own may be on an address of its own.
        let shared = self.jupyter.iter().find(|(_, of)| of.is_none());
        let (address, of) = shared.or_else(|| self.jupyter.iter().find(|(_, of)| for_machine(of)))?;
        let host = match of {
            Some(_) if !address.ip().is_unspecified() => SocketAddr::new(address.ip(), 0).to_string(),
            _ => host.to_owned(),
        };
        Some(self.origin(&format!("{}:{}", host_of(&host), address.port())))
    }
}

/// As browsers write it behind a host.
fn default_or(port: u16, https: bool) -> String {
    if port == if https { 443 } else { 80 } { String::new() } else { format!(":{port}") }
}

/// Without the port.
pub(super) fn host_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_names_are_ours() {
        let names = Names {
            https: false,
            public: Some(PublicUrl { https: false, host: "clusteria".into(), port: None }),
            hosts: vec!["gpu1.example.org".into()],
            page: vec!["100.64.0.1:80".parse().unwrap()],
            jupyter: vec![("100.64.0.2:8888".parse().unwrap(), Some("gpu1".parse().unwrap()))],
        };
        let local: IpAddr = "100.64.0.1".parse().unwrap();
        for ours in ["clusteria", "Clusteria:80", "gpu1.example.org:8888", "100.64.0.1"] {
            assert!(names.knows(ours, local), "{ours}");
        }
        for other in ["evil.example", "", "localhost", "100.64.0.9", "clusteria.evil.example", "127.0.0.1"] {
            assert!(!names.knows(other, local), "{other}");
        }
        assert!(names.knows("[::1]:80", "::1".parse().unwrap()));
        assert!(names.knows("localhost:80", "127.0.0.1".parse().unwrap()));
        assert_eq!(names.page("gpu1.example.org:8888"), "http://clusteria");
        assert_eq!(names.page_by("100.64.0.1").as_deref(), Some("http://100.64.0.1"));
        assert_eq!(names.page_by("clusteria").as_deref(), Some("http://clusteria"));
        for other in ["clusteria:8888", "evil.example", "clusteria@evil.example", "100.64.0.2", ""] {
            assert_eq!(names.page_by(other), None, "{other}");
        }
        let at = |machine: &str| names.jupyter("clusteria", &machine.parse().unwrap());
        assert_eq!(at("gpu1").as_deref(), Some("http://100.64.0.2:8888"));
        assert_eq!(at("gpu2"), None);
    }

    #[test]
    fn a_host_loses_its_port_only() {
        assert_eq!(
            [host_of("a:80"), host_of("a"), host_of("[::1]:80"), host_of("[::1]")],
            ["a", "a", "[::1]", "[::1]"]
        );
    }
}
