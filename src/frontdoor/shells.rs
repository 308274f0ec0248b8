//! What `status` says of shells that go on in the container.

use serde_json::{Value, json};

use super::ask::ask;
use crate::agent::protocol::KeptShell;
use crate::bridge;
use crate::reservation::Reservation;
use crate::text::shells::{HeldBy, Shells};
use crate::text::{Lang, Say};
use crate::workspace::Workspaces;

/// `None`: not known.
async fn shells(workspaces: &Workspaces, reservation: &Reservation) -> Option<Vec<KeptShell>> {
    ask(workspaces, reservation, bridge::shells).await
}

/// For people: those that nobody is connected to.
pub(super) async fn lines(workspaces: &Workspaces, reservation: &Reservation, lang: Lang) -> Vec<String> {
    let mut shells = shells(workspaces, reservation).await.unwrap_or_default();
    shells.retain(|shell| !shell.attached);
    if shells.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![Shells::Here { count: shells.len() }.say(lang)];
    lines.extend(
        shells.iter().map(|shell| format!("  {}", Shells::One { shell, held_by: HeldBy::Nobody }.say(lang))),
    );
    lines
}

/// For programs: all of them.
pub(super) async fn facts(workspaces: &Workspaces, reservation: &Reservation) -> Value {
    let fact = |shell: KeptShell| {
        json!({
            "id": shell.id,
            "attached": shell.attached,
            "command": shell.command,
            "others": shell.others,
            "folder": shell.folder,
            "seconds": shell.age_ms / 1000,
            "left_seconds": (!shell.attached).then_some(shell.left_ms / 1000),
        })
    };
    let shells = shells(workspaces, reservation).await;
    shells.map(|shells| shells.into_iter().map(fact).collect::<Value>()).unwrap_or_default()
}
