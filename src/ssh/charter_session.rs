//! The charter on a terminal, before the menu: read, scrolled, accepted with a key or not.

use std::time::Duration;

use tokio::time::sleep;

use super::menu_session::palette;
use super::outgoing::Gone;
use super::session::Session;
use crate::agent::protocol::{Control, Pty};
use crate::menu::{CharterPage, KeyDecoder, Screen, Turn};
use crate::reservation::Refusal;

/// A lone ESC and the start of an arrow key look alike: what follows within this time belongs to it.
const ESCAPE_PAUSE: Duration = Duration::from_millis(50);

/// Shows it. True when the user has accepted; what cannot be noted is refused in words.
pub(super) async fn ask(session: &Session, pty: &Pty) -> bool {
    let user = session.visit().guest.identity.user();
    let charter = &session.visit().gateway.door.charter;
    let Some(text) = charter.text(session.lang) else { return true };
    let cluster = &session.visit().gateway.config.cluster.name;
    let page = CharterPage::new(cluster, user, text, session.lang);
    let mut screen = Screen::new(pty.size.columns, pty.size.rows, palette(session, pty));
    let entered = screen.enter();
    let accepted = match session.outgoing.stdout(entered).await {
        Ok(()) => read(session, page, &mut screen).await.unwrap_or(false),
        Err(Gone) => return false,
    };
    let left = screen.leave();
    let _ = session.outgoing.stdout(left).await;
    if !accepted {
        session.refuse(&Refusal::CharterNotAccepted).await;
        return false;
    }
    if let Err(e) = charter.accept(user).await {
        session.refuse(&Refusal::LedgerFailed { detail: crate::error_chain::in_full(&e) }).await;
        return false;
    }
    true
}

async fn read(session: &Session, mut page: CharterPage, screen: &mut Screen) -> Result<bool, Gone> {
    let mut keys = KeyDecoder::new();
    let mut refund = session.outgoing.refund();
    let mut escape_pending = false;
    loop {
        let drawn = screen.show(|frame| page.view(frame));
        if !drawn.is_empty() {
            session.outgoing.stdout(drawn).await?;
        }
        let pressed = tokio::select! {
            chunk = session.inbox.next() => {
                let Some(bytes) = chunk else { return Ok(false) };
                refund.consumed(bytes.len());
                escape_pending = bytes.contains(&0x1b);
                keys.feed(&bytes)
            }
            () = sleep(ESCAPE_PAUSE), if escape_pending => {
                escape_pending = false;
                keys.flush()
            }
            control = session.inbox.next_control() => {
                if let Control::Resize(size) = control {
                    screen.resize(size.columns, size.rows);
                }
                Vec::new()
            }
        };
        for key in pressed {
            match page.press(key) {
                Turn::Stay => {}
                Turn::Accept => return Ok(true),
                Turn::Leave => return Ok(false),
            }
        }
    }
}
