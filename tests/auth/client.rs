//! Logging in by the real ssh, each try from an address of its own.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::common::{Cluster, Ran, run};

static NEXT: AtomicU32 = AtomicU32::new(1);

/// A loopback address that nobody has tried from yet.
pub fn fresh_address() -> String {
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("127.3.{}.{}", n / 250, n % 250 + 1)
}

/// One try. Prompts are answered by a program, as editors do it.
pub struct Try<'a> {
    cluster: &'a Cluster,
    login: String,
    methods: &'static str,
    password: String,
    code: String,
    from: String,
    key: Option<String>,
    prompts: u32,
    level: &'static str,
}

impl<'a> Try<'a> {
    pub fn new(cluster: &'a Cluster, login: &str, methods: &'static str) -> Self {
        Self {
            cluster,
            login: login.to_owned(),
            methods,
            password: String::new(),
            code: String::new(),
            from: fresh_address(),
            key: None,
            prompts: 1,
            level: "ERROR",
        }
    }

    pub fn password(mut self, password: &str) -> Self {
        self.password = password.to_owned();
        self
    }

    pub fn code(mut self, code: &str) -> Self {
        self.code = code.to_owned();
        self
    }

    pub fn from(mut self, address: &str) -> Self {
        self.from = address.to_owned();
        self
    }

    /// A key file in the cluster's folder.
    pub fn key(mut self, name: &str) -> Self {
        self.key = Some(self.cluster.path(name).display().to_string());
        self
    }

    pub fn prompts(mut self, prompts: u32) -> Self {
        self.prompts = prompts;
        self
    }

    /// With what the gateway says beside its prompts.
    pub fn talkative(mut self) -> Self {
        self.level = "INFO";
        self
    }

    pub fn command(&self, words: &str) -> Command {
        let askpass = self.cluster.path("askpass");
        let unique = self.cluster.path(&format!("askpass.{}", self.from));
        let script = "#!/bin/sh\ncase $1 in *Code*) printf '%s\\n' \"$CODE\" ;; *) printf '%s\\n' \"$PASSWORD\" ;; esac\n";
        if !askpass.exists() {
            std::fs::write(&unique, script).unwrap();
            std::fs::set_permissions(&unique, std::fs::Permissions::from_mode(0o700)).unwrap();
            std::fs::rename(&unique, &askpass).unwrap();
        }
        let mut command = Command::new("ssh");
        command
            .args(["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", &format!("LogLevel={}", self.level)])
            .args(["-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=30"])
            .args(["-o", &format!("IdentityFile={}", self.key.as_deref().unwrap_or("/dev/null"))])
            .args(["-o", &format!("NumberOfPasswordPrompts={}", self.prompts)])
            .args(["-o", &format!("PreferredAuthentications={}", self.methods)])
            .args(["-o", &format!("UserKnownHostsFile={}", self.cluster.path("known_hosts").display())])
            .args(["-b", &self.from, "-p", &self.cluster.port.to_string(), &Cluster::host(&self.login)])
            .arg(words)
            .env("SSH_ASKPASS", &askpass)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .env("PASSWORD", &self.password)
            .env("CODE", &self.code)
            .env_remove("SSH_AUTH_SOCK");
        command
    }

    pub fn run(&self, words: &str) -> Ran {
        run(&mut self.command(words), b"")
    }

    /// Who they are, if they are in.
    pub fn user(&self) -> Option<String> {
        let ran = self.run("clusteria status --json");
        let facts: serde_json::Value = serde_json::from_str(&ran.stdout).ok()?;
        Some(facts["user"].as_str()?.to_owned())
    }

    #[track_caller]
    pub fn is_in(&self) {
        let expected = self.login.split('+').next().map(str::to_owned);
        let ran = self.run("clusteria status --json");
        let facts: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| {
            panic!("{} by {}: {ran:?}\n{}", self.login, self.methods, self.cluster.log())
        });
        assert_eq!(facts["user"].as_str().map(str::to_owned), expected);
    }

    #[track_caller]
    pub fn is_out(&self) -> Ran {
        let ran = self.run("clusteria status --json");
        assert!(ran.status == 255 && ran.stdout.is_empty(), "{} by {}: {ran:?}", self.login, self.methods);
        ran
    }
}
