//! Reconciliation against engines that say what a test wants: lists that are old, leftovers, ledgers that were lost.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;

use super::*;
use crate::engine::labels::container_name;
use crate::engine::{ContainerKey, ContainerSpec, EngineError, Examination, Found, Labels, Progress};

/// An engine as a list of containers by name.
#[derive(Default)]
struct Fake {
    containers: Mutex<BTreeMap<String, Found>>,
    /// Done once, after a list has been made and before it is handed out.
    meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// Whatever is removed stays.
    sticky: bool,
}

impl Fake {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Found>> {
        self.containers.lock().unwrap()
    }

    fn put(&self, r: &Reservation, running: bool) {
        let labels = Labels {
            cluster: "lab".into(),
            reservation: r.id.clone(),
            user: r.user.clone(),
            uid: 0,
            slot: r.slot.clone(),
            deadline: r.deadline,
        };
        let found = Found { key: ContainerKey(r.id.to_string()), running, labels: Ok(labels) };
        self.lock().insert(container_name("lab", &r.slot), found);
    }

    fn names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }
}

#[async_trait]
impl Engine for Fake {
    async fn list(&self, _cluster: &str) -> Result<Vec<Found>, EngineError> {
        let list = self.lock().values().cloned().collect();
        if let Some(act) = self.meanwhile.lock().unwrap().take() {
            act();
        }
        Ok(list)
    }

    async fn find(&self, _cluster: &str, name: &str) -> Result<Option<Found>, EngineError> {
        Ok(self.lock().get(name).cloned())
    }

    async fn start(&self, spec: &ContainerSpec, _progress: Progress<'_>) -> Result<(), EngineError> {
        Err(EngineError::NameTaken(spec.name.clone()))
    }

    async fn wait_stopped(&self, _found: &ContainerKey) -> Result<(), EngineError> {
        Ok(())
    }

    async fn remove(&self, found: &ContainerKey) -> Result<(), EngineError> {
        if self.sticky {
            return Err(EngineError::Refused("500: device or resource busy".into()));
        }
        self.lock().retain(|_, container| container.key != *found);
        Ok(())
    }

    async fn listen(&self, _cluster: &str, _bell: &Notify) -> EngineError {
        std::future::pending().await
    }

    async fn has_image(&self, _image: &str) -> Result<bool, EngineError> {
        Ok(true)
    }

    async fn examine(&self, _cluster: &str, _image: &str) -> Result<Examination, EngineError> {
        Err(EngineError::Refused("a fake has nothing to look at".into()))
    }

    async fn probe(
        &self,
        _spec: &ContainerSpec,
        _command: Vec<String>,
        _limit: std::time::Duration,
    ) -> Result<String, EngineError> {
        Err(EngineError::Refused("a fake runs nothing".into()))
    }

    async fn version(&self) -> Result<String, EngineError> {
        Ok("fake".into())
    }
}

/// Two machines, gpu1 with two slots and gpu2 with one.
struct Lab {
    folder: tempfile::TempDir,
    engines: [Arc<Fake>; 2],
}

impl Lab {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), engines: [Arc::default(), Arc::default()] }
    }

    fn ledger(&self) -> Ledger {
        Ledger::open(&self.folder.path().join("l.db")).unwrap()
    }

    fn open(&self) -> Workspaces {
        let text = format!(
            "[cluster]\nname = \"lab\"\n[container]\nimage = \"try:1\"\n[reservation]\ngrace = \"1s\"\nwarnings = []\n\
             [store]\nruntime = \"{}\"\n[[machine]]\nname = \"gpu1\"\n[[machine.slot]]\n[[machine.slot]]\n\
             [[machine]]\nname = \"gpu2\"\n[[machine.slot]]\n",
            self.folder.path().display()
        );
        let config = Arc::new(Config::parse(&text, Path::new("/x/clusteria.toml")).unwrap());
        let engines = ["gpu1", "gpu2"].iter().zip(&self.engines);
        let engines =
            engines.map(|(name, e)| (name.parse().unwrap(), e.clone() as Arc<dyn Engine>)).collect();
        Workspaces::open(config, self.ledger(), engines, Charter::default(), Audit::default()).unwrap()
    }
}

fn reservation(user: &str, slot: &str, id: &str) -> Reservation {
    Reservation {
        id: format!("01ARZ3NDEKTSV4RRFFQ69G5{id}").parse().unwrap(),
        user: user.parse().unwrap(),
        slot: slot.parse().unwrap(),
        started: Timestamp::now(),
        deadline: Timestamp::now() + SignedDuration::from_hours(1),
        state: State::Active,
    }
}

fn of(workspaces: &Workspaces, user: &str) -> Option<ReservationId> {
    workspaces.desk().read(|book| book.of(&user.parse().unwrap()).map(|r| r.id.clone()))
}

async fn refresh(workspaces: &Workspaces, machine: &str) -> bool {
    workspaces.inner.refresh(&machine.parse().unwrap()).await
}

async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let limit = tokio::time::Instant::now() + Duration::from_secs(10);
    while !so() {
        assert!(tokio::time::Instant::now() < limit, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_list_that_is_older_than_an_end_brings_nobody_back() {
    let lab = Lab::new();
    let workspaces = lab.open();
    let mine = reservation("ada", "gpu1/1", "FA1");
    lab.engines[0].put(&mine, true);
    assert!(refresh(&workspaces, "gpu1").await);
    assert_eq!(of(&workspaces, "ada"), Some(mine.id.clone()));
    let (desk, engine, id) = (workspaces.desk().clone(), lab.engines[0].clone(), mine.id.clone());
    *lab.engines[0].meanwhile.lock().unwrap() = Some(Box::new(move || {
        engine.lock().clear();
        desk.change(|book| {
            book.begin_end(&id, EndReason::Released);
            book.finish(&id, EndReason::Released, None, Timestamp::now());
        });
    }));
    assert!(refresh(&workspaces, "gpu1").await);
    assert_eq!(of(&workspaces, "ada"), None);
    let last = workspaces.desk().read(|book| book.last_of(&mine.user).unwrap().reason);
    assert_eq!(last, EndReason::Released, "and nobody is told another reason");
    // The same for one that came and went while the list was on its way.
    lab.engines[0].put(&mine, true);
    let engine = lab.engines[0].clone();
    *lab.engines[0].meanwhile.lock().unwrap() = Some(Box::new(move || engine.lock().clear()));
    refresh(&workspaces, "gpu1").await;
    assert_eq!(of(&workspaces, "ada"), None);
}

#[tokio::test]
async fn a_leftover_that_does_not_go_takes_no_machine_away() {
    let mut lab = Lab::new();
    lab.engines[0] = Arc::new(Fake { sticky: true, ..Fake::default() });
    lab.engines[0].put(&reservation("ada", "gpu1/1", "FA1"), false);
    let workspaces = lab.open();
    assert!(refresh(&workspaces, "gpu1").await, "the machine answers");
    assert!(workspaces.desk().read(|book| book.offline(&"gpu1".parse().unwrap()).is_none()));
}

#[tokio::test]
async fn what_cannot_be_read_is_nobodys() {
    let lab = Lab::new();
    let workspaces = lab.open();
    let mine = reservation("ada", "gpu1/1", "FA1");
    lab.engines[0].put(&mine, true);
    refresh(&workspaces, "gpu1").await;
    let name = container_name("lab", &mine.slot);
    lab.engines[0].lock().get_mut(&name).unwrap().labels = Err("label clusteria.user is missing".into());
    workspaces.release(&mine.user).unwrap();
    until("the slot is free", || workspaces.desk().read(|book| book.held().count() == 0)).await;
    assert_eq!(lab.engines[0].names(), [name], "left alone");
}

#[tokio::test]
async fn of_two_containers_of_one_user_the_younger_lives() {
    let lab = Lab::new();
    let (old, young) = (reservation("ada", "gpu2/1", "FA1"), reservation("ada", "gpu1/1", "FA2"));
    let workspaces = lab.open();
    lab.engines[0].put(&young, true);
    refresh(&workspaces, "gpu1").await;
    // The machine of the older one comes back later: its ledger was lost meanwhile.
    lab.engines[1].put(&old, true);
    refresh(&workspaces, "gpu2").await;
    assert_eq!(of(&workspaces, "ada"), Some(young.id.clone()), "at no moment both");
    until("the older is gone", || lab.engines[1].names().is_empty()).await;
    until("and ended", || workspaces.desk().read(|book| book.get(&old.id).is_none())).await;
    assert_eq!(lab.engines[0].names().len(), 1);
}

#[tokio::test]
async fn an_old_ledger_put_back_takes_nothing_from_who_works() {
    let lab = Lab::new();
    let stale = reservation("ada", "gpu1/1", "FA1");
    let older = reservation("ada", "gpu2/1", "FA0");
    let ledger = lab.ledger();
    ledger.note_reservation(&older).unwrap();
    ledger.note_reservation(&stale).unwrap();
    let (ada, bob) = (reservation("ada", "gpu1/2", "FA5"), reservation("bob", "gpu1/1", "FA6"));
    lab.engines[0].put(&ada, true);
    lab.engines[0].put(&bob, true);
    let workspaces = lab.open();
    assert_eq!(of(&workspaces, "ada"), Some(stale.id.clone()), "of two that are written the younger");
    workspaces.start_watching().await;
    assert_eq!(
        (of(&workspaces, "ada"), of(&workspaces, "bob")),
        (Some(ada.id.clone()), Some(bob.id.clone()))
    );
    until("only what runs is held", || workspaces.desk().read(|book| book.held().count() == 2)).await;
    until("and written", || {
        let mut open: Vec<_> = ledger.open_reservations().unwrap().into_iter().map(|r| r.id).collect();
        open.sort();
        open == [ada.id.clone(), bob.id.clone()]
    })
    .await;
    assert_eq!(lab.engines[0].names().len(), 2);
    workspaces.shut_down().await;
}

#[tokio::test]
async fn what_is_past_its_deadline_ends_also_when_nobody_was_there() {
    let lab = Lab::new();
    let mut late = reservation("ada", "gpu1/1", "FA1");
    late.deadline = Timestamp::now() - SignedDuration::from_secs(60);
    lab.engines[0].put(&late, true);
    let workspaces = lab.open();
    workspaces.start_watching().await;
    until("it is gone", || lab.engines[0].names().is_empty()).await;
    until("and told", || {
        workspaces.desk().read(|book| book.last_of(&late.user).map(|l| l.reason) == Some(EndReason::Expired))
    })
    .await;
    workspaces.shut_down().await;
}

#[tokio::test]
async fn the_queue_is_there_after_a_restart() {
    let lab = Lab::new();
    let holders = ["gpu1/1", "gpu1/2", "gpu2/1"].map(|slot| {
        reservation(
            &format!("u{}", slot.replace(['g', 'p', 'u', '/'], "")),
            slot,
            &format!("F{}", slot.replace(['g', 'p', 'u', '/'], "")),
        )
    });
    for r in &holders {
        lab.engines[usize::from(r.slot.machine.as_str() == "gpu2")].put(r, true);
    }
    let names = |w: &Workspaces| {
        w.desk().read(|book| book.queue().waiting().iter().map(|w| w.user.to_string()).collect::<Vec<_>>())
    };
    let workspaces = lab.open();
    workspaces.start_watching().await;
    for user in ["bob", "ada"] {
        let join = |book: &mut Book| book.join(&user.parse().unwrap(), &Target::Any, Timestamp::now());
        workspaces.desk().change(join).unwrap();
    }
    workspaces.save_queue().await;
    workspaces.shut_down().await;
    let workspaces = lab.open();
    assert_eq!(names(&workspaces), ["bob", "ada"]);
    workspaces.start_watching().await;
    workspaces.release(&holders[0].user).unwrap();
    until("it is bob's turn", || {
        let bob = |book: &Book| book.queue().waiting()[0].hold.as_ref().map(|hold| hold.slot.clone());
        workspaces.desk().read(bob) == Some(holders[0].slot.clone())
    })
    .await;
    assert_eq!(names(&workspaces), ["bob", "ada"]);
    workspaces.shut_down().await;
}
