//! The JSON API for one's own programs: what the page does, with a personal token. openapi.json describes it, and a
//! test holds it against the routes.

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};

mod admin;
mod bearer;
mod own;
mod problem;
mod queue;

use serde_json::Value;

use super::Site;
use crate::frontdoor::add_fact;
use problem::Problem;

const OPENAPI: &str = include_str!("openapi.json");

pub(super) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/openapi.json", get(openapi))
        .route("/machines", get(own::machines))
        .route("/reservation", get(own::reservation).post(own::reserve).delete(own::release))
        .route("/reservation/password", post(own::password))
        .route("/queue", get(queue::queue).post(queue::join).delete(queue::leave))
        .route("/keys", get(own::keys))
        .route("/admin/reservations", get(admin::reservations))
        .route("/admin/history", get(admin::history))
        .route("/admin/end", post(admin::end))
        .route("/admin/message", post(admin::message))
        .route("/admin/machines/{machine}/draining", put(admin::drain))
        .fallback(|| async { Problem::NotFound })
        .method_not_allowed_fallback(|| async { Problem::Method })
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

fn with(mut facts: Value, name: &str, value: Value) -> Value {
    add_fact(&mut facts, name, value);
    facts
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every route above is in the document and the other way round. What they answer is for schemathesis.
    #[test]
    fn the_document_has_every_route() {
        let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let described: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys().filter(|key| *key != "parameters");
                methods.map(move |method| (path.clone(), method.clone()))
            })
            .collect();
        let source = include_str!("mod.rs");
        let routed: BTreeSet<(String, String)> = source
            .lines()
            .filter_map(|line| line.trim().strip_prefix(".route(\"")?.split_once("\", "))
            .flat_map(|(path, handlers)| {
                let names = ["get", "post", "put", "delete"].into_iter();
                let used = names.filter(move |name| handlers.contains(&format!("{name}(")));
                used.map(move |name| (path.to_owned(), name.to_owned()))
            })
            .collect();
        assert_eq!(routed, described);
        assert!(routed.len() >= 15);
    }
}
