//! The faults. Each is injected, lasts a moment and is healed; what it may take with it is said here.

use super::random::Random;
use super::world::{Container, World};
use crate::common::{SOON, eventually, is_gateway, signal};

/// What may be cut by a fault, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Takes {
    /// Everything goes on.
    Nothing,
    /// Connections, whoever's they are; reservations go on.
    Connections,
    /// Connections into the containers of a machine; reservations go on.
    Path(String),
    /// The containers of a machine, and what is connected to them.
    Machine(String),
    /// One reservation.
    Reservation(String),
}

pub trait Fault: Send {
    fn name(&self) -> String;
    fn inject(&mut self, world: &World);
    fn heal(&mut self, world: &World);
    fn takes(&self) -> Takes;
    /// What it works on: two of a round have nothing in common.
    fn place(&self) -> String;
    /// Those that others need to be healed come first.
    fn heals_in_turn(&self) -> u8 {
        0
    }
}

/// One fault, whichever the numbers say.
pub fn draw(random: &mut Random, world: &World, only: &[String]) -> Box<dyn Fault> {
    loop {
        let machine = format!("gpu{}", 1 + random.below(3));
        let fault: Box<dyn Fault> = match random.below(9) {
            0 => Box::new(KillGateway),
            1 => Box::new(KillEngine(machine)),
            2 => Box::new(FreezeEngine(machine)),
            3 => Box::new(CutLink(machine)),
            4 => Box::new(PowerOff(machine)),
            5 => Box::new(DiskFull),
            6 => Box::new(KillAgent::draw(random, world)),
            7 => Box::new(ClockStep(*random.pick(&[-3600, -45, 45, 7200]))),
            _ => Box::new(Upgrade),
        };
        let name = fault.name();
        if only.is_empty() || only.iter().any(|word| name.contains(word.as_str())) {
            return fault;
        }
    }
}

/// SIGKILL of the gateway that decides; a service manager starts it again.
struct KillGateway;

impl Fault for KillGateway {
    fn name(&self) -> String {
        "gateway killed".into()
    }
    fn inject(&mut self, world: &World) {
        world.cluster.lock().unwrap().kill_owner();
    }
    fn heal(&mut self, world: &World) {
        world.cluster.lock().unwrap().start_gateway();
    }
    fn takes(&self) -> Takes {
        Takes::Connections
    }
    fn place(&self) -> String {
        "gateway".into()
    }
    fn heals_in_turn(&self) -> u8 {
        1
    }
}

/// SIGKILL of an engine; containers run on (live-restore), and so do sessions in them.
struct KillEngine(String);

impl Fault for KillEngine {
    fn name(&self) -> String {
        format!("engine of {} killed", self.0)
    }
    fn inject(&mut self, world: &World) {
        world.machine(&self.0).kill_engine();
    }
    fn heal(&mut self, world: &World) {
        world.machine(&self.0).start_engine();
    }
    fn takes(&self) -> Takes {
        Takes::Nothing
    }
    fn place(&self) -> String {
        self.0.clone()
    }
}

/// SIGSTOP of an engine: it takes connections and answers none.
struct FreezeEngine(String);

impl Fault for FreezeEngine {
    fn name(&self) -> String {
        format!("engine of {} frozen", self.0)
    }
    fn inject(&mut self, world: &World) {
        world.machine(&self.0).freeze();
    }
    fn heal(&mut self, world: &World) {
        world.machine(&self.0).thaw();
    }
    fn takes(&self) -> Takes {
        Takes::Nothing
    }
    fn place(&self) -> String {
        self.0.clone()
    }
}

/// The network cable of a machine. (gpu1 shares this host with the gateway: nothing of it goes over the network.)
struct CutLink(String);

impl Fault for CutLink {
    fn name(&self) -> String {
        format!("link to {} cut", self.0)
    }
    fn inject(&mut self, world: &World) {
        world.machine(&self.0).cut();
    }
    fn heal(&mut self, world: &World) {
        world.machine(&self.0).join();
    }
    fn takes(&self) -> Takes {
        Takes::Path(self.0.clone())
    }
    fn place(&self) -> String {
        self.0.clone()
    }
}

/// The power of a machine goes, and comes back.
struct PowerOff(String);

impl Fault for PowerOff {
    fn name(&self) -> String {
        format!("{} powered off", self.0)
    }
    fn inject(&mut self, world: &World) {
        world.machine(&self.0).power_off();
    }
    fn heal(&mut self, world: &World) {
        world.machine(&self.0).start_engine();
    }
    fn takes(&self) -> Takes {
        Takes::Machine(self.0.clone())
    }
    fn place(&self) -> String {
        self.0.clone()
    }
}

/// Not a byte is left under the ledger.
struct DiskFull;

impl Fault for DiskFull {
    fn name(&self) -> String {
        "ledger's disk full".into()
    }
    fn inject(&mut self, world: &World) {
        world.disk.fill();
    }
    fn heal(&mut self, world: &World) {
        world.disk.clear();
    }
    fn takes(&self) -> Takes {
        Takes::Nothing
    }
    fn place(&self) -> String {
        "disk".into()
    }
}

/// SIGKILL of a container's first process, which is the agent: the reservation ends.
struct KillAgent(Option<Container>);

impl KillAgent {
    fn draw(random: &mut Random, world: &World) -> Self {
        let number = random.next();
        let mut running = world.containers().unwrap_or_default();
        running.retain(|container| container.running);
        running.sort_by(|one, other| one.slot.cmp(&other.slot));
        let count = running.len().max(1) as u64;
        Self(running.into_iter().nth(usize::try_from(number % count).unwrap()))
    }
}

impl Fault for KillAgent {
    fn name(&self) -> String {
        match &self.0 {
            Some(container) => format!("agent of {} killed", container.slot),
            None => "no agent killed: none runs".into(),
        }
    }
    fn inject(&mut self, world: &World) {
        let Some(container) = &self.0 else { return };
        let mut docker = std::process::Command::new("docker");
        docker.args(["-H", &world.machine(&container.machine).unix(), "kill", &container.id]);
        let _ = docker.output().unwrap();
    }
    fn heal(&mut self, _: &World) {}
    fn takes(&self) -> Takes {
        self.0.as_ref().map_or(Takes::Nothing, |container| Takes::Reservation(container.reservation.clone()))
    }
    fn place(&self) -> String {
        self.0.as_ref().map_or(String::new(), |container| container.machine.clone())
    }
}

/// The gateway's wall clock is set, and set right again. Debug builds read what to add from a file: the machine's own
/// clock is everybody's.
struct ClockStep(i64);

impl ClockStep {
    fn set(world: &World, seconds: i64) {
        let cluster = world.cluster.lock().unwrap();
        let steps = || cluster.log().matches("the wall clock was set by").count();
        let before = steps();
        // Aside and renamed: never read half.
        std::fs::write(cluster.path("clock.new"), seconds.to_string()).unwrap();
        std::fs::rename(cluster.path("clock.new"), cluster.path("clock")).unwrap();
        eventually("the gateway has seen it", SOON, || (steps() > before).then_some(()));
    }
}

impl Fault for ClockStep {
    fn name(&self) -> String {
        format!("clock set by {} s", self.0)
    }
    fn inject(&mut self, world: &World) {
        Self::set(world, self.0);
    }
    fn heal(&mut self, world: &World) {
        Self::set(world, 0);
    }
    fn takes(&self) -> Takes {
        Takes::Nothing
    }
    fn place(&self) -> String {
        "gateway".into()
    }
    fn heals_in_turn(&self) -> u8 {
        1
    }
}

/// A new gateway takes over, as after an upgrade.
struct Upgrade;

impl Fault for Upgrade {
    fn name(&self) -> String {
        "gateway upgraded".into()
    }
    fn inject(&mut self, world: &World) {
        let (pid, config) = {
            let cluster = world.cluster.lock().unwrap();
            (cluster.owner_pid().expect("a gateway decides"), cluster.config())
        };
        // By the signal, as it may fail: with the disk full no gateway starts, and the old one must go on.
        if is_gateway(pid, &config) {
            signal(pid, "HUP");
        }
    }
    fn heal(&mut self, world: &World) {
        let settled = || {
            let cluster = world.cluster.lock().unwrap();
            let log = cluster.log();
            let count = |words: &str| log.matches(words).count();
            let ended =
                count("taken over from the gateway that ran") + count("this gateway goes on as before");
            (ended >= count("a new gateway starts and is to take over")).then(|| cluster.owner_pid())
        };
        eventually("the upgrade has come to an end", SOON, settled);
    }
    fn takes(&self) -> Takes {
        Takes::Nothing
    }
    fn place(&self) -> String {
        "gateway".into()
    }
    fn heals_in_turn(&self) -> u8 {
        1
    }
}
