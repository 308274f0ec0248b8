//! How a reservation is reached from one's own machine: lines to paste.

use super::Lang;

/// Where the gateway listens, as the reader's own machine reaches it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Way {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Who.
    pub user: String,
    /// A short name for it in `~/.ssh/config`.
    pub alias: String,
}

impl Way {
    fn flag(&self, letter: char) -> String {
        if self.port == 22 { String::new() } else { format!("-{letter} {} ", self.port) }
    }

    fn login(&self) -> String {
        format!("{}@{}", self.user, self.host)
    }

    /// A shell.
    #[must_use]
    pub fn ssh(&self) -> String {
        format!("ssh {}{}", self.flag('p'), self.login())
    }

    /// JupyterLab's port on one's own machine.
    #[must_use]
    pub fn jupyter(&self) -> String {
        format!("ssh -N -L 8888:localhost:8888 {}{}", self.flag('p'), self.login())
    }

    /// A file there.
    #[must_use]
    pub fn scp(&self, lang: Lang) -> String {
        let file = lang.pick("FILE", "FICHIER");
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("scp {}{file} {}@{host}:", self.flag('P'), self.user)
    }

    /// What Remote-SSH asks for: with a port of its own, the whole command under "Add New SSH Host…".
    #[must_use]
    pub fn vscode(&self) -> String {
        if self.port == 22 {
            format!("Remote-SSH: Connect to Host… {}", self.login())
        } else {
            format!("Remote-SSH: Add New SSH Host… {}", self.ssh())
        }
    }

    /// For `~/.ssh/config`: then the alias is enough, for ssh, scp and VS Code.
    #[must_use]
    pub fn config(&self) -> Vec<String> {
        let mut lines = vec![format!("Host {}", self.alias), format!("    HostName {}", self.host)];
        if self.port != 22 {
            lines.push(format!("    Port {}", self.port));
        }
        lines.push(format!("    User {}", self.user));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(host: &str, port: u16) -> Way {
        Way { host: host.into(), port, user: "ada".into(), alias: "clusteria".into() }
    }

    #[test]
    fn lines_are_what_the_programs_take() {
        let usual = way("clusteria.example", 22);
        assert_eq!(usual.ssh(), "ssh ada@clusteria.example");
        assert_eq!(usual.scp(Lang::En), "scp FILE ada@clusteria.example:");
        assert_eq!(usual.vscode(), "Remote-SSH: Connect to Host… ada@clusteria.example");
        assert_eq!(usual.config(), ["Host clusteria", "    HostName clusteria.example", "    User ada"]);
        let other = way("fd7a::1", 2222);
        assert_eq!(other.jupyter(), "ssh -N -L 8888:localhost:8888 -p 2222 ada@fd7a::1");
        assert_eq!(other.scp(Lang::Fr), "scp -P 2222 FICHIER ada@[fd7a::1]:");
        assert_eq!(other.vscode(), "Remote-SSH: Add New SSH Host… ssh -p 2222 ada@fd7a::1");
        assert_eq!(other.config()[2], "    Port 2222");
    }
}
