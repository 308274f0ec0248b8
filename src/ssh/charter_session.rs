//! The charter on a terminal, before the menu: read, scrolled, accepted with a key or not.

use tokio::time::sleep;

use super::menu_session::palette;
use super::outgoing::Gone;
use super::session::Session;
use crate::agent::protocol::{Control, Pty};
use crate::menu::{CharterPage, ESCAPE_PAUSE, KeyDecoder, Screen, Turn};
use crate::reservation::Refusal;
use crate::text::Say;
use crate::text::mine::Mine;

/// How it ended.
enum Read {
    Accepted,
    Refused,
    Stopped,
}

/// Shows it; in lines where those are asked for, or all that the terminal knows. True when the user has accepted; what
/// cannot be noted is refused in words.
pub(super) async fn ask(session: &Session, pty: &Pty, plain: bool) -> bool {
    let user = session.visit().guest.identity.user();
    let charter = &session.visit().gateway.door.charter;
    let Some(text) = charter.text(session.lang) else { return true };
    let cluster = &session.visit().gateway.config.cluster.name;
    let page = CharterPage::new(cluster, user, text, session.lang);
    let palette = palette(session, pty);
    let drawn = !plain && palette.escapes;
    let mut screen = drawn.then(|| Screen::new(pty.size.columns, pty.size.rows, palette));
    let first = screen.as_mut().map_or_else(|| page.lines(palette), Screen::enter);
    let outcome = match session.outgoing.stdout(first).await {
        Ok(()) => read(session, page, screen.as_mut()).await,
        Err(Gone) => return false,
    };
    let left = screen.as_mut().map(Screen::leave).unwrap_or_default();
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
    mut screen: Option<&mut Screen>,
) -> Result<Read, Gone> {
    let stopping = &session.visit().gateway.door.stopping;
    let mut keys = KeyDecoder::new();
    let mut refund = session.outgoing.refund();
    let mut escape_pending = false;
    loop {
        let drawn = screen.as_mut().map(|screen| screen.show(|frame| page.view(frame))).unwrap_or_default();
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
                if let (Control::Resize(size), Some(screen)) = (control, screen.as_mut()) {
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
