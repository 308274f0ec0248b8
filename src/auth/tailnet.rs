//! The tailnet's own word on who a peer is: tailscaled's LocalAPI, `whois` over its Unix socket.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};

use crate::config::Tailnet as Rules;
use crate::reservation::UserName;

/// Answers are a few kilobytes.
const MOST: u64 = 256 * 1024;
/// After it was too slow or not there it is left alone for a while: nobody waits for it in vain again.
const REST: Duration = Duration::from_secs(5);

/// What tailscaled says of a peer, as far as it matters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Whois {
    node: Node,
    user_profile: Profile,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Node {
    computed_name: String,
    tags: Option<Vec<String>>,
    /// Somebody of another tailnet has shared this node with ours.
    sharer: i64,
    hostinfo: Hostinfo,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Hostinfo {
    /// It is of another tailnet, and sees ours because something was shared with it.
    sharee_node: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Profile {
    login_name: String,
}

/// Who a peer is here, by the site's rules. Tagged nodes are nobody's, and guests of other tailnets are
/// not ours: both are somebody only where the site says so by name.
#[must_use]
pub fn who_is(peer: &Whois, rules: &Rules) -> Option<UserName> {
    let tagged = peer.node.tags.as_ref().is_some_and(|tags| !tags.is_empty());
    let named =
        |name: &str| rules.users.iter().find(|(login, _)| login == name).map(|(_, user)| user.clone());
    if !peer.node.computed_name.is_empty()
        && let Some(user) = named(&peer.node.computed_name)
    {
        return Some(user);
    }
    if tagged {
        return None;
    }
    let login = peer.user_profile.login_name.as_str();
    if let Some(user) = named(login) {
        return Some(user);
    }
    if peer.node.sharer != 0 || peer.node.hostinfo.sharee_node {
        return None;
    }
    let (local, domain) = login.rsplit_once('@')?;
    let domain = domain.to_ascii_lowercase();
    rules.domains.contains(&domain).then(|| local.to_ascii_lowercase().parse().ok()).flatten()
}

/// Asks tailscaled.
#[derive(Debug, Clone)]
pub struct Tailnet {
    rules: Rules,
    resting: Arc<Mutex<Option<Instant>>>,
}

impl Tailnet {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, resting: Arc::default() }
    }

    /// The site's rules.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Who the peer is here, if tailscaled knows and says so in time.
    pub async fn ask(&self, peer: SocketAddr) -> Option<UserName> {
        if self.is_resting() {
            return None;
        }
        match timeout(self.rules.timeout, whois(&self.rules.socket, peer)).await {
            Ok(Ok(found)) => found.and_then(|found| who_is(&found, &self.rules)),
            Ok(Err(e)) => self.rest(&e.to_string()),
            Err(_) => self.rest("it did not answer in time"),
        }
    }

    fn resting(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_resting(&self) -> bool {
        self.resting().is_some_and(|until| Instant::now() < until)
    }

    fn rest(&self, why: &str) -> Option<UserName> {
        let already = self.is_resting();
        *self.resting() = Some(Instant::now() + REST);
        if !already {
            tracing::warn!("tailscaled: {}; logins by the tailnet rest", crate::text::printable(why));
        }
        None
    }
}

/// HTTP/1.0, so that the answer ends where the connection ends. `None` for a peer that is not of the tailnet.
async fn whois(socket: &Path, peer: SocketAddr) -> io::Result<Option<Whois>> {
    let odd = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let addr = peer.to_string().replace('[', "%5B").replace(']', "%5D");
    let mut stream = UnixStream::connect(socket).await?;
    let request = format!(
        "GET /localapi/v0/whois?addr={addr} HTTP/1.0\r\nHost: local-tailscaled.sock\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer).await?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(|| odd("no HTTP answer"))?;
    let (head, body) = answer.split_at(end + 4);
    let status = head.split(|b| *b == b' ').nth(1).unwrap_or_default();
    match status {
        b"200" => serde_json::from_slice(body).map(Some).map_err(|_| odd("an answer that makes no sense")),
        b"404" => Ok(None),
        _ => Err(odd("it refuses to say who a peer is")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            socket: "/nowhere".into(),
            timeout: Duration::from_millis(200),
            domains: vec!["example.org".into()],
            users: vec![
                ("a.l@example.com".into(), "ada".parse().unwrap()),
                ("robot-1".into(), "robot".parse().unwrap()),
            ],
            new_users: false,
        }
    }

    fn who(text: &str) -> Option<String> {
        who_is(&serde_json::from_str(text).unwrap(), &rules()).map(|user| user.to_string())
    }

    #[test]
    fn only_people_of_the_tailnet_are_somebody() {
        let login = |login: &str| {
            format!(r#"{{"Node":{{"ComputedName":"laptop"}},"UserProfile":{{"LoginName":"{login}"}}}}"#)
        };
        assert_eq!(who(&login("ada@example.org")).as_deref(), Some("ada"));
        assert_eq!(who(&login("Ada@Example.org")).as_deref(), Some("ada"));
        assert_eq!(who(&login("a.l@example.com")).as_deref(), Some("ada"));
        for other in
            ["ada@example.com", "ada@github", "ada", "", "@example.org", "ada@evil@x", "root;x@example.org"]
        {
            assert_eq!(who(&login(other)), None, "{other}");
        }
        let node = |extra: &str, name: &str, login: &str| {
            who(&format!(
                r#"{{"Node":{{"ComputedName":"{name}",{extra}}},"UserProfile":{{"LoginName":"{login}"}}}}"#
            ))
        };
        assert_eq!(node(r#""Tags":["tag:ci"]"#, "x", "ada@example.org"), None, "tagged");
        assert_eq!(node(r#""Tags":["tag:ci"]"#, "x", "a.l@example.com"), None, "tagged, whoever it was");
        assert_eq!(node(r#""Tags":["tag:ci"]"#, "robot-1", "tagged-devices").as_deref(), Some("robot"));
        assert_eq!(node(r#""Tags":null"#, "x", "ada@example.org").as_deref(), Some("ada"));
        for shared in [r#""Sharer":7"#, r#""Hostinfo":{"ShareeNode":true}"#] {
            assert_eq!(node(shared, "x", "ada@example.org"), None, "shared in");
            assert_eq!(node(shared, "x", "a.l@example.com").as_deref(), Some("ada"), "shared in and mapped");
        }
        assert_eq!(who("{}"), None);
    }

    #[tokio::test]
    async fn a_daemon_that_is_silent_costs_its_time_once() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s");
        let silent = tokio::net::UnixListener::bind(&socket).unwrap();
        let tailnet = Tailnet::new(Rules { socket, ..rules() });
        let peer = "100.64.0.7:4711".parse().unwrap();
        assert_eq!(tailnet.ask(peer).await, None);
        let began = Instant::now();
        for _ in 0..100 {
            assert_eq!(tailnet.ask(peer).await, None);
        }
        assert!(began.elapsed() < Duration::from_millis(150));
        drop(silent);
        let gone = Tailnet::new(rules());
        assert_eq!(gone.ask(peer).await, None);
    }
}
