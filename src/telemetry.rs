//! How the gateway does, for programs: Prometheus' text format. Counts only: nobody's name.

use std::fmt::Write as _;

use crate::reservation::EndReason;
use crate::reservation::view::{ClusterView, MachineView, SlotState};

/// What is told.
#[derive(Debug)]
pub struct Facts {
    /// The cluster.
    pub view: ClusterView,
    /// Reservations that have ended, since the ledger began; `None` when it cannot be read.
    pub ends: Option<Vec<(EndReason, u64)>>,
    /// Browsers that are signed in on the page; `None` when the ledger cannot be read.
    pub sessions: Option<usize>,
    /// This process: resident memory in bytes, open descriptors.
    pub process: Option<(u64, u64)>,
}

const STATES: [&str; 7] = ["free", "held", "reserved", "starting", "ending", "offline", "draining"];

fn name(state: &SlotState) -> &'static str {
    match state {
        SlotState::Free => "free",
        SlotState::Held { .. } => "held",
        SlotState::Reserved { .. } => "reserved",
        SlotState::Starting { .. } => "starting",
        SlotState::Ending { .. } => "ending",
        SlotState::Offline => "offline",
        SlotState::Draining => "draining",
    }
}

/// Writes them (<https://prometheus.io/docs/instrumenting/exposition_formats/>). Names of machines need no quoting.
#[must_use]
pub fn prometheus(facts: &Facts) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, lines: &[(String, u64)]| {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        for (labels, value) in lines {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let machines = &facts.view.machines;
    let each = |value: fn(&MachineView) -> bool| -> Vec<(String, u64)> {
        machines.iter().map(|m| (format!("{{machine=\"{}\"}}", m.name), u64::from(value(m)))).collect()
    };
    let version = env!("CARGO_PKG_VERSION");
    let build = [(format!("{{version=\"{version}\"}}"), 1)];
    family("clusteria_build_info", "gauge", "Which clusteria this is.", &build);
    family("clusteria_machine_up", "gauge", "The machine's engine answers.", &each(|m| m.offline.is_none()));
    let draining = each(|m| m.draining);
    family("clusteria_machine_draining", "gauge", "The machine takes no new reservations.", &draining);
    let slots: Vec<_> = machines.iter().flat_map(slots).collect();
    family("clusteria_slots", "gauge", "Slots, by what they are doing.", &slots);
    if let Some(ends) = &facts.ends {
        let ends: Vec<_> =
            ends.iter().map(|(reason, count)| (format!("{{reason=\"{reason}\"}}"), *count)).collect();
        let help = "Reservations that have ended, by why.";
        family("clusteria_reservations_ended_total", "counter", help, &ends);
    }
    let waiting = [(String::new(), u64::try_from(facts.view.queue.len()).unwrap_or(u64::MAX))];
    family("clusteria_queue", "gauge", "People in the queue.", &waiting);
    if let Some(sessions) = facts.sessions {
        let sessions = [(String::new(), u64::try_from(sessions).unwrap_or(u64::MAX))];
        family("clusteria_web_sessions", "gauge", "Browsers that are signed in on the page.", &sessions);
    }
    if let Some((memory, descriptors)) = facts.process {
        let plain = |value| [(String::new(), value)];
        family("process_resident_memory_bytes", "gauge", "Resident memory.", &plain(memory));
        family("process_open_fds", "gauge", "Open descriptors.", &plain(descriptors));
    }
    text
}

fn slots(machine: &MachineView) -> Vec<(String, u64)> {
    let count = |state: &str| machine.slots.iter().filter(|slot| name(&slot.state) == state).count();
    let line = |state: &&str| {
        let labels = format!("{{machine=\"{}\",state=\"{state}\"}}", machine.name);
        (labels, u64::try_from(count(state)).unwrap_or(u64::MAX))
    };
    STATES.iter().map(line).collect()
}

/// Of this process, from /proc. It waits for the kernel: not for async threads.
#[must_use]
pub fn process() -> Option<(u64, u64)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    let descriptors = std::fs::read_dir("/proc/self/fd").ok()?.count();
    Some((kilobytes * 1024, u64::try_from(descriptors).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reservation::view::SlotView;

    #[test]
    fn it_is_prometheus_text() {
        let slot = |id: &str, state| SlotView { id: id.parse().unwrap(), gpus: vec![], state };
        let user = "ada".parse().unwrap();
        let deadline = "2026-11-25T12:00:00Z".parse().unwrap();
        let machine = MachineView {
            name: "gpu1".parse().unwrap(),
            label: Some("\"odd\"\n".into()),
            offline: None,
            draining: false,
            slots: vec![
                slot("gpu1/1", SlotState::Free),
                slot("gpu1/2", SlotState::Reserved { user, deadline }),
            ],
        };
        let view =
            ClusterView { cluster: "lab".into(), now: deadline, machines: vec![machine], queue: vec![] };
        let ends = Some(vec![(EndReason::Expired, 3)]);
        let text = prometheus(&Facts { view, ends, sessions: Some(2), process: process() });
        for line in [
            "clusteria_machine_up{machine=\"gpu1\"} 1",
            "clusteria_slots{machine=\"gpu1\",state=\"free\"} 1",
            "clusteria_slots{machine=\"gpu1\",state=\"reserved\"} 1",
            "clusteria_slots{machine=\"gpu1\",state=\"ending\"} 0",
            "clusteria_reservations_ended_total{reason=\"expired\"} 3",
            "clusteria_web_sessions 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("ada") && text.contains("process_open_fds "), "{text}");
    }
}
