//! The keys by which gateway and agents on other machines know each other: made anew for each reservation, kept nowhere.
//!
//! Both sides' keys follow from one secret on the gateway's disk and the reservation's id (HKDF, RFC 5869). So they outlive the
//! gateway and the ledger, and an agent's key, which its container may lose, opens nothing but that agent.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hkdf::Hkdf;
use rustls::ClientConfig;
use sha2::Sha256;

use crate::agent::pins::{OwnKey, PublicKey, SEED};
use crate::agent::protocol::{AgentTls, TLS_PORT};
use crate::reservation::ReservationId;

/// The secret's file, beside the ledger.
const FILE: &str = "agents.key";
const SECRET: usize = 32;

/// The keys of all reservations.
pub(super) struct AgentKeys {
    secret: [u8; SECRET],
    /// Made at the first use.
    clients: Mutex<HashMap<ReservationId, Arc<ClientConfig>>>,
}

#[derive(Clone, Copy)]
enum Side {
    Gateway,
    Agent,
}

impl AgentKeys {
    /// The secret beside the ledger; made where there is none.
    pub(super) fn open(ledger: &Path) -> Result<Self, (PathBuf, io::Error)> {
        let path = ledger.with_file_name(FILE);
        match read_or_make(&path) {
            Ok(secret) => Ok(Self { secret, clients: Mutex::default() }),
            Err(e) => Err((path, e)),
        }
    }

    /// For the gateway's side of connections to a reservation's agent.
    pub(super) fn client(&self, id: &ReservationId) -> Option<Arc<ClientConfig>> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = clients.get(id) {
            return Some(config.clone());
        }
        let made = self.key(id, Side::Gateway).and_then(|own| {
            let agent = self.key(id, Side::Agent)?.public();
            Ok(Arc::new(own.client(agent)?))
        });
        let config = made.inspect_err(|e| tracing::error!(reservation = %id, "no keys: {e}")).ok()?;
        clients.insert(id.clone(), config.clone());
        Some(config)
    }

    /// For the agent.
    pub(super) fn agent(&self, id: &ReservationId) -> Option<AgentTls> {
        let gateway = self.key(id, Side::Gateway).ok()?.public();
        let PublicKey(gateway) = gateway;
        Some(AgentTls { port: TLS_PORT, seed: self.seed(id, Side::Agent).to_vec(), gateway })
    }

    /// Of a reservation that is over.
    pub(super) fn forget(&self, id: &ReservationId) {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    fn key(&self, id: &ReservationId, side: Side) -> Result<OwnKey, rustls::Error> {
        OwnKey::from_seed(&self.seed(id, side))
    }

    fn seed(&self, id: &ReservationId, side: Side) -> [u8; SEED] {
        let side: &[u8] = match side {
            Side::Gateway => b"gateway",
            Side::Agent => b"agent",
        };
        let mut seed = [0; SEED];
        let parts: [&[u8]; 4] = [b"clusteria agent tls 1 ", side, b" ", id.as_str().as_bytes()];
        let made = Hkdf::<Sha256>::new(None, &self.secret).expand_multi_info(&parts, &mut seed);
        // Only a length of more than 255 hashes is refused.
        debug_assert!(made.is_ok());
        seed
    }
}

fn read_or_make(path: &Path) -> io::Result<[u8; SECRET]> {
    match read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    let mut secret = [0; SECRET];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    let aside = path.with_extension(format!("new-{}", std::process::id()));
    let _ = std::fs::remove_file(&aside);
    let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(&aside)?;
    file.write_all(&secret)?;
    file.sync_all()?;
    // A link and no rename: of two gateways that start at once one is first, and both have its secret.
    let linked = std::fs::hard_link(&aside, path);
    std::fs::remove_file(&aside)?;
    match linked {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => read(path),
    }
}

fn read(path: &Path) -> io::Result<[u8; SECRET]> {
    let mut secret = [0; SECRET];
    std::fs::File::open(path)?.read_exact(&mut secret)?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_outlive_the_gateway_and_belong_to_one_reservation() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = folder.path().join("clusteria.db");
        let (one, other) = (ReservationId::new(), ReservationId::new());
        let before = AgentKeys::open(&ledger).ok().unwrap();
        let after = AgentKeys::open(&ledger).ok().unwrap();
        assert_eq!(before.agent(&one), after.agent(&one));
        assert_ne!(before.agent(&one), before.agent(&other));
        assert_ne!(before.seed(&one, Side::Agent), before.seed(&one, Side::Gateway));
        let elsewhere = tempfile::tempdir().unwrap();
        let foreign = AgentKeys::open(&elsewhere.path().join("x.db")).ok().unwrap();
        assert_ne!(before.agent(&one), foreign.agent(&one));
        let mode =
            std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(ledger.with_file_name(FILE)).unwrap());
        assert_eq!(mode & 0o777, 0o600);
    }
}
