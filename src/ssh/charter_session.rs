//! The charter on a terminal, before the menu: read, scrolled, accepted with a key or not.

use std::time::Duration;

use tokio::time::sleep;

use super::menu_session::palette;
use super::outgoing::Gone;
use super::session::Session;
use crate::agent::protocol::{Control, Pty};
use crate::menu::{CharterPage, KeyDecoder, Palette, Screen, Turn};
use crate::reservation::Refusal;
use crate::text::Say;
use crate::text::mine::Mine;

/// A lone ESC and the start of an arrow key look alike: what follows within this time belongs to it.
const ESCAPE_PAUSE: Duration = Duration::from_millis(50);

/// For who wants lines: wide and high enough for all of it at once.
const PLAIN: (u16, u16) = (240, 200);

/// How it ended.
enum Read {
    Accepted,
    Refused,
    Stopped,
}

/// Shows it; in lines where those are asked for. True when the user has accepted; what cannot be noted is refused in words.
pub(super) async fn ask(session: &Session, pty: &Pty, plain: bool) -> bool {
    let user = session.visit().guest.identity.user();
    let charter = &session.visit().gateway.door.charter;
    let Some(text) = charter.text(session.lang) else { return true };
    let cluster = &session.visit().gateway.config.cluster.name;
    let page = CharterPage::new(cluster, user, text, session.lang);
    let palette = palette(session, pty);
    let mut screen = if plain {
        Screen::new(PLAIN.0, PLAIN.1, Palette { escapes: false, ..palette })
    } else {
        Screen::new(pty.size.columns, pty.size.rows, palette)
    };
    let entered = screen.enter();
    let outcome = match session.outgoing.stdout(entered).await {
        Ok(()) => read(session, page, &mut screen, plain).await,
        Err(Gone) => return false,
    };
    let left = screen.leave();
    let _ = session.outgoing.stdout(left).await;
    match outcome {
        Ok(Read::Accepted) => {}
        Ok(Read::Refused) | Err(Gone) => {
            session.refuse(&Refusal::CharterNotAccepted).await;
            return false;
        }
        Ok(Read::Stopped) => {
            session.outgoing.refuse(&Mine::Restarts.say(session.lang)).await;
            return false;
        }
    }
    if let Err(e) = charter.accept(user).await {
        session.refuse(&Refusal::LedgerFailed { detail: crate::error_chain::in_full(&e) }).await;
        return false;
    }
    true
}

async fn read(
    session: &Session,
    mut page: CharterPage,
    screen: &mut Screen,
    plain: bool,
) -> Result<Read, Gone> {
    let stopping = &session.visit().gateway.door.stopping;
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
                let Some(bytes) = chunk else { return Ok(Read::Refused) };
                refund.consumed(bytes.len());
                escape_pending = bytes.contains(&0x1b);
                keys.feed(&bytes)
            }
            () = sleep(ESCAPE_PAUSE), if escape_pending => {
                escape_pending = false;
                keys.flush()
            }
            control = session.inbox.next_control() => {
                if let (Control::Resize(size), false) = (control, plain) {
                    screen.resize(size.columns, size.rows);
                }
                Vec::new()
            }
            () = stopping.cancelled() => return Ok(Read::Stopped),
        };
        for key in pressed {
            match page.press(key) {
                Turn::Stay => {}
                Turn::Accept => return Ok(Read::Accepted),
                Turn::Leave => return Ok(Read::Refused),
            }
        }
    }
}
