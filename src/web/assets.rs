//! The style, the script and the icon: compiled in, named by their contents, kept by browsers for ever.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const ICON: &str = include_str!("icon.svg");
const FOR_EVER: &str = "public, max-age=31536000, immutable";

struct Asset {
    name: String,
    kind: &'static str,
    text: &'static str,
}

struct Assets {
    style: Asset,
    script: Asset,
    icon: Asset,
}

static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let asset = |stem: &str, end: &str, kind, text: &'static str| {
        let digest = Sha256::digest(text);
        let hash: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Asset { name: format!("{stem}-{hash}.{end}"), kind, text }
    };
    Assets {
        style: asset("page", "css", "text/css; charset=utf-8", STYLE),
        script: asset("page", "js", "text/javascript; charset=utf-8", SCRIPT),
        icon: asset("icon", "svg", "image/svg+xml", ICON),
    }
});

fn path(of: &Asset) -> String {
    format!("/assets/{}", of.name)
}

pub(super) fn style() -> String {
    path(&ASSETS.style)
}

pub(super) fn script() -> String {
    path(&ASSETS.script)
}

pub(super) fn icon() -> String {
    path(&ASSETS.icon)
}

/// `GET /assets/{name}`
pub(super) async fn serve(Path(name): Path<String>) -> Response {
    let Assets { style, script, icon } = &*ASSETS;
    match [style, script, icon].into_iter().find(|asset| asset.name == name) {
        Some(asset) => ([(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, FOR_EVER)], asset.text)
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
