//! Why not, as JSON: a code for programs and a sentence for people.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::json;

use crate::auth::Denial;
use crate::reservation::Refusal;
use crate::text::refusal::Refused;
use crate::text::web::Page;
use crate::text::{Lang, Say};

/// What is answered instead.
#[derive(Debug)]
pub(super) enum Problem {
    /// No token, or none of ours.
    Token,
    /// Many wrong tokens have come from there.
    Later(Duration, Lang),
    /// Not an administrator.
    NotAdmin,
    NotFound,
    Method,
    /// What was sent is not what is asked for, and why.
    Odd(String),
    /// The core says no.
    Refused(Refusal, Lang),
    /// It was not done, in words for people.
    NotDone(String),
    /// Something of ours failed.
    Failed(String),
}

impl Problem {
    /// Why a token does not open.
    pub(super) fn denied(denial: Denial, lang: Lang) -> Self {
        match denial {
            Denial::Wrong => Self::Token,
            Denial::Later(time) => Self::Later(time, lang),
            Denial::DirectoryDown | Denial::Busy => Self::Failed(Page::SomethingFailed.say(lang)),
        }
    }

    fn parts(self) -> (StatusCode, &'static str, String) {
        let plain = |status, code, words: &str| (status, code, words.to_owned());
        match self {
            Self::Token => plain(
                StatusCode::UNAUTHORIZED,
                "token",
                "Send a token of yours: Authorization: Bearer clusteria_… (the page makes them)",
            ),
            Self::Later(_, lang) => (StatusCode::TOO_MANY_REQUESTS, "later", Page::WrongTokens.say(lang)),
            Self::NotAdmin => plain(StatusCode::FORBIDDEN, "not-admin", "Only administrators can do that"),
            Self::NotFound => plain(StatusCode::NOT_FOUND, "not-found", "There is nothing here"),
            Self::Method => plain(StatusCode::METHOD_NOT_ALLOWED, "method", "Not by this method"),
            Self::Odd(why) => (StatusCode::UNPROCESSABLE_ENTITY, "odd", why),
            Self::Refused(refusal, lang) => {
                let words = Refused { refusal: &refusal, now: Timestamp::now() }.say(lang);
                let (status, code) = of(&refusal);
                (status, code, words)
            }
            Self::NotDone(words) => (StatusCode::CONFLICT, "not-done", words),
            Self::Failed(words) => (StatusCode::SERVICE_UNAVAILABLE, "failed", words),
        }
    }
}

fn of(refusal: &Refusal) -> (StatusCode, &'static str) {
    match refusal {
        Refusal::HoldsAnother { .. } => (StatusCode::CONFLICT, "holds-another"),
        Refusal::Taken { .. } => (StatusCode::CONFLICT, "taken"),
        Refusal::Full { .. } => (StatusCode::CONFLICT, "full"),
        Refusal::Held { .. } => (StatusCode::CONFLICT, "held"),
        Refusal::GpusMissing { .. } => (StatusCode::SERVICE_UNAVAILABLE, "gpus-missing"),
        Refusal::Draining(_) => (StatusCode::CONFLICT, "draining"),
        Refusal::Cancelled => (StatusCode::CONFLICT, "cancelled"),
        Refusal::UnknownMachine(_) | Refusal::UnknownSlot(_) => (StatusCode::NOT_FOUND, "unknown-target"),
        Refusal::NothingReserved => (StatusCode::NOT_FOUND, "nothing-reserved"),
        Refusal::NotQueued => (StatusCode::NOT_FOUND, "not-queued"),
        Refusal::QueueFull => (StatusCode::CONFLICT, "queue-full"),
        Refusal::CharterNotAccepted => (StatusCode::FORBIDDEN, "charter"),
        Refusal::Offline { .. } => (StatusCode::SERVICE_UNAVAILABLE, "offline"),
        Refusal::StartFailed { .. } => (StatusCode::SERVICE_UNAVAILABLE, "start-failed"),
        Refusal::LedgerFailed { .. } => (StatusCode::SERVICE_UNAVAILABLE, "ledger"),
        Refusal::TooMuchAtOnce => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        Refusal::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, "restarting"),
        // Of clients that connect, not of what is asked for here.
        _ => (StatusCode::CONFLICT, "refused"),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let again = match &self {
            Self::Later(time, _) => Some(HeaderValue::from(time.as_secs().saturating_add(1))),
            _ => None,
        };
        let (status, code, message) = self.parts();
        let mut answer = (status, Json(json!({ "error": code, "message": message }))).into_response();
        if status == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = again {
            answer.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        answer
    }
}
