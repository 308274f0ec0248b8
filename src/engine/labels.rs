//! Labels to and from text, and names.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::Labels;
use crate::reservation::SlotId;

/// The label that makes a container ours.
pub const CLUSTER: &str = "clusteria.cluster";
const RESERVATION: &str = "clusteria.reservation";
const USER: &str = "clusteria.user";
const UID: &str = "clusteria.uid";
const MACHINE: &str = "clusteria.machine";
const SLOT: &str = "clusteria.slot";
const DEADLINE: &str = "clusteria.deadline";
const VERSION: &str = "clusteria.version";

/// The one name a slot's container can have.
#[must_use]
pub fn container_name(cluster: &str, slot: &SlotId) -> String {
    format!("clusteria-{cluster}-{}-{}", slot.machine, slot.number)
}

/// The network of a cluster's containers, on each machine.
#[must_use]
pub fn network_name(cluster: &str) -> String {
    format!("clusteria-{cluster}")
}

/// Its bridge, as the kernel names it: at most 15 characters, and different for each cluster.
#[must_use]
pub fn bridge_name(cluster: &str) -> String {
    let digest = Sha256::digest(cluster.as_bytes());
    let hash: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("clu-{hash}")
}

impl Labels {
    /// As the engine stores them.
    #[must_use]
    pub fn to_map(&self) -> HashMap<String, String> {
        [
            (CLUSTER, self.cluster.clone()),
            (RESERVATION, self.reservation.to_string()),
            (USER, self.user.to_string()),
            (UID, self.uid.to_string()),
            (MACHINE, self.slot.machine.to_string()),
            (SLOT, self.slot.to_string()),
            (DEADLINE, self.deadline.to_string()),
            (VERSION, env!("CARGO_PKG_VERSION").to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }

    /// Reads them back.
    ///
    /// # Errors
    /// The label that is missing or makes no sense.
    pub fn from_map(map: &HashMap<String, String>) -> Result<Self, String> {
        let get = |key: &str| map.get(key).ok_or_else(|| format!("label {key} is missing"));
        let bad = |key: &str, e: &dyn std::fmt::Display| format!("label {key}: {e}");
        Ok(Self {
            cluster: get(CLUSTER)?.clone(),
            reservation: get(RESERVATION)?.parse().map_err(|e| bad(RESERVATION, &e))?,
            user: get(USER)?.parse().map_err(|e| bad(USER, &e))?,
            uid: map.get(UID).and_then(|uid| uid.parse().ok()).unwrap_or_default(),
            slot: get(SLOT)?.parse().map_err(|e| bad(SLOT, &e))?,
            deadline: get(DEADLINE)?.parse().map_err(|e| bad(DEADLINE, &e))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_survive_the_engine() {
        let labels = Labels {
            cluster: "lab".into(),
            reservation: crate::reservation::ReservationId::new(),
            user: "ada".parse().unwrap(),
            uid: 20_007,
            slot: "gpu1/2".parse().unwrap(),
            deadline: "2026-01-02T03:04:05.678Z".parse().unwrap(),
        };
        assert_eq!(Labels::from_map(&labels.to_map()), Ok(labels.clone()));
        let mut broken = labels.to_map();
        broken.remove(DEADLINE);
        assert!(Labels::from_map(&broken).unwrap_err().contains(DEADLINE));
        assert_eq!(container_name("lab", &labels.slot), "clusteria-lab-gpu1-2");
    }
}
