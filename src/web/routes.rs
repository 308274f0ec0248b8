//! Which path is whose.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router, middleware};
use tokio_util::sync::CancellationToken;

use super::guard::{MOST_BODY, guard};
use super::visitor::Visitor;
use super::{
    Site, admin, api, assets, charter, home, jupyter, keys, layout, live, queue, reservation, sign_in, tokens,
};
use crate::text::web::Page;

pub(super) fn router(site: Arc<Site>, stopping: CancellationToken) -> Router {
    Router::new()
        .route("/", get(home::show))
        .route("/reserve", post(home::post))
        .route("/sign-in", get(sign_in::form).post(sign_in::post))
        .route("/code", get(sign_in::code_form).post(sign_in::code))
        .route("/sign-out", post(sign_in::out))
        .route("/language", post(sign_in::language))
        .route("/charter", get(charter::page).post(charter::accept))
        .route("/reservation", get(reservation::page))
        .route("/ssh-config", get(reservation::config_file))
        .route("/password", post(reservation::renew))
        .route("/release", post(reservation::post_release))
        .route("/keys", get(keys::page).post(keys::add))
        .route("/keys/remove", post(keys::remove))
        .route("/tokens", get(tokens::page).post(tokens::make))
        .route("/tokens/remove", post(tokens::remove))
        .route("/admin", get(admin::page).post(admin::post))
        .route("/admin/history.csv", get(admin::csv))
        .nest("/api/v1", api::router())
        .route("/queue", post(queue::post))
        .route("/jupyter", post(jupyter::open))
        .route("/jupyter/ticket/{browser}", get(jupyter::ticket))
        .route("/live", get(live::live))
        .route("/assets/{name}", get(assets::serve))
        .fallback(nothing)
        .method_not_allowed_fallback(wrong_method)
        .layer(Extension(stopping))
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .layer(middleware::from_fn_with_state(site.clone(), guard))
        .with_state(site)
}

async fn wrong_method(visitor: Visitor) -> Response {
    layout::refusal(&visitor, StatusCode::METHOD_NOT_ALLOWED, Page::NotFound)
}

async fn nothing(visitor: Visitor) -> Response {
    layout::refusal(&visitor, StatusCode::NOT_FOUND, Page::NotFound)
}
