//! How one connects from one's own computer: command lines, the block for `~/.ssh/config`, the editor's link. The same
//! on the page and from `clusteria ssh-config`.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::config::Config;
use crate::reservation::{MachineName, UserName};

/// Where the front door is, as seen by people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Name or address.
    pub host: String,
    /// SSH's port.
    pub port: u16,
}

/// The front door and the machines' own doors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Where everybody may come in.
    door: Place,
    /// Listeners that are bound to a machine.
    machines: Vec<(MachineName, Place)>,
}

/// When nothing else is known.
const HABIT: &str = "clusteria";
const SSH_PORT: u16 = 22;

impl Places {
    /// From the configuration: the page's public name is the front door's too. `asked` is how it was reached just now.
    #[must_use]
    pub fn new(config: &Config, asked: Option<&str>) -> Self {
        let public = config.web.public_url.as_ref().map(|public| public.host.as_str());
        let name = |address: &SocketAddr| {
            let ip = address.ip();
            let own = (!ip.is_unspecified()).then(|| ip.to_string());
            public.or(asked).map(str::to_owned).or(own).unwrap_or_else(|| HABIT.to_owned())
        };
        let shared = config.ssh.listen.iter().find(|listen| listen.machine.is_none());
        let door = shared.or(config.ssh.listen.first()).map(|listen| &listen.address);
        let machines = config.ssh.listen.iter().filter_map(|listen| {
            let own = !listen.address.ip().is_unspecified();
            let host = if own { listen.address.ip().to_string() } else { name(&listen.address) };
            Some((listen.machine.clone()?, Place { host, port: listen.address.port() }))
        });
        Self {
            door: Place {
                host: door.map_or_else(|| HABIT.to_owned(), name),
                port: door.map_or(SSH_PORT, SocketAddr::port),
            },
            machines: machines.collect(),
        }
    }

    /// `ssh ada@clusteria`
    #[must_use]
    pub fn shell(&self, user: &UserName) -> String {
        format!("ssh {}{user}@{}", port("-p", self.door.port), self.door.host)
    }

    /// `scp FILE ada@clusteria:`
    #[must_use]
    pub fn copy(&self, user: &UserName) -> String {
        format!("scp {}FILE {user}@{}:", port("-P", self.door.port), bracketed(&self.door.host))
    }

    /// `ssh -L 8888:localhost:8888 ada@clusteria`
    #[must_use]
    pub fn forward(&self, user: &UserName) -> String {
        format!("ssh {}-L 8888:localhost:8888 {user}@{}", port("-p", self.door.port), self.door.host)
    }

    /// What VS Code's Remote-SSH opens. Nothing secret is in it: it asks.
    #[must_use]
    pub fn editor(&self, user: &UserName) -> String {
        let port = if self.door.port == SSH_PORT { String::new() } else { format!(":{}", self.door.port) };
        let host = bracketed(&self.door.host);
        format!("vscode://vscode-remote/ssh-remote+{user}@{host}{port}/home/{user}")
    }

    /// For `~/.ssh/config`: one name for the front door, and one for each machine.
    #[must_use]
    pub fn ssh_config(&self, user: &UserName, machines: &[MachineName]) -> String {
        let mut text = String::new();
        let mut block = |name: &str, place: &Place, login: &str| {
            let _ = write!(text, "Host {name}\n    HostName {}\n", place.host);
            if place.port != SSH_PORT {
                let _ = writeln!(text, "    Port {}", place.port);
            }
            let _ = write!(text, "    User {login}\n    HostKeyAlias {HABIT}\n    ServerAliveInterval 30\n");
        };
        block(HABIT, &self.door, user.as_str());
        for machine in machines {
            match self.machines.iter().find(|(of, _)| of == machine) {
                Some((_, place)) => block(machine.as_str(), place, user.as_str()),
                None => block(machine.as_str(), &self.door, &format!("{user}+{machine}")),
            }
        }
        text
    }
}

fn port(option: &str, port: u16) -> String {
    if port == SSH_PORT { String::new() } else { format!("{option} {port} ") }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_openssh_wants_them() {
        let user: UserName = "ada".parse().unwrap();
        let place = |host: &str, port| Place { host: host.into(), port };
        let gpu: MachineName = "gpu1".parse().unwrap();
        let plain = Places { door: place("clusteria", 22), machines: vec![] };
        assert_eq!(plain.shell(&user), "ssh ada@clusteria");
        assert_eq!(plain.copy(&user), "scp FILE ada@clusteria:");
        assert_eq!(plain.editor(&user), "vscode://vscode-remote/ssh-remote+ada@clusteria/home/ada");
        let odd =
            Places { door: place("fd7a::1", 2222), machines: vec![(gpu.clone(), place("10.0.0.1", 22))] };
        assert_eq!(odd.shell(&user), "ssh -p 2222 ada@fd7a::1");
        assert_eq!(odd.copy(&user), "scp -P 2222 FILE ada@[fd7a::1]:");
        assert_eq!(odd.forward(&user), "ssh -p 2222 -L 8888:localhost:8888 ada@fd7a::1");
        assert_eq!(odd.editor(&user), "vscode://vscode-remote/ssh-remote+ada@[fd7a::1]:2222/home/ada");
        let config = odd.ssh_config(&user, &[gpu, "gpu2".parse().unwrap()]);
        assert!(
            config.starts_with("Host clusteria\n    HostName fd7a::1\n    Port 2222\n    User ada\n"),
            "{config}"
        );
        assert!(config.contains("Host gpu1\n    HostName 10.0.0.1\n    User ada\n"), "{config}");
        assert!(
            config.contains("Host gpu2\n    HostName fd7a::1\n    Port 2222\n    User ada+gpu2\n"),
            "{config}"
        );
    }
}
