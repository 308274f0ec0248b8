//! `clusteria …` typed inside a container: one standing connection to each running agent.

use std::collections::HashSet;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Caller, FrontDoor, run};
use crate::agent::protocol::{Control, Event};
use crate::bridge;
use crate::reservation::{ReservationId, State};
use crate::text::Lang;
use crate::workspace::{Container, Workspaces};

const RETRY: Duration = Duration::from_secs(2);

/// Answers for as long as the gateway runs.
pub async fn serve(door: FrontDoor, stopping: CancellationToken) {
    let workspaces = door.workspaces.clone();
    let mut changes = workspaces.desk().changes();
    let mut watched = HashSet::new();
    let mut tasks = JoinSet::new();
    loop {
        for container in active(&workspaces) {
            let id = container.reservation.id.clone();
            if watched.insert(id.clone()) {
                let door = door.clone();
                tasks.spawn(async move {
                    attend(&door, container).await;
                    id
                });
            }
        }
        tokio::select! {
            _ = changes.changed() => {}
            Some(Ok(id)) = tasks.join_next() => { watched.remove(&id); }
            () = stopping.cancelled() => return,
        }
    }
}

fn active(workspaces: &Workspaces) -> Vec<Container> {
    let held = workspaces
        .desk()
        .read(|book| book.held().filter(|r| r.state == State::Active).cloned().collect::<Vec<_>>());
    held.into_iter().map(|r| workspaces.container(r)).collect()
}

fn is_active(workspaces: &Workspaces, id: &ReservationId) -> bool {
    workspaces.desk().read(|book| book.get(id).is_some_and(|r| r.state == State::Active))
}

/// Answers one container until its reservation is over.
async fn attend(door: &FrontDoor, container: Container) {
    let id = &container.reservation.id;
    while is_active(&door.workspaces, id) {
        if let Ok(mut watch) = bridge::watch(&container.agent).await {
            // A password that was made while nobody could tell it.
            door.workspaces.tell_password(&container).await;
            while let Some(event) = watch.next().await {
                match event {
                    Event::Ask { id, arguments, locale } => {
                        let answer = answer(door, &container, id, &arguments, &locale).await;
                        watch.send(&answer).await;
                    }
                    Event::Idle => door.workspaces.end_idle(id),
                    _ => {}
                }
            }
        }
        sleep(RETRY).await;
    }
}

async fn answer(
    door: &FrontDoor,
    container: &Container,
    id: u32,
    arguments: &[String],
    locale: &str,
) -> Control {
    let caller = Caller::Inside(container.reservation.user.clone());
    let answer = run(door, &caller, arguments, &[], Lang::from_locale(locale)).await;
    Control::Answer {
        id,
        stdout: answer.stdout.into_bytes(),
        stderr: answer.stderr.into_bytes(),
        status: answer.status,
    }
}
