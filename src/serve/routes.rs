//! What each path answers.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::headers::may_ask;
use super::metrics::{OPEN_METRICS, PROMETHEUS, as_prometheus, render};
use super::page::Page;
use super::server::View;

/// What handlers share.
pub(super) struct Shared {
    pub(super) view: Arc<dyn View>,
    pub(super) page: Page,
    pub(super) address: SocketAddr,
}

const PLAIN: &str = "text/plain; charset=utf-8";

/// All paths.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/status.json", get(status))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .layer(from_fn_with_state(Arc::clone(&shared), guard))
        .with_state(shared)
}

/// Refuses whom [`may_ask()`] refuses, and says what a browser may do with the answer.
async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).map(|host| host.to_str().unwrap_or_default());
    let mut response = if may_ask(host, shared.address) {
        next.run(request).await
    } else {
        let words = "not known by that name: ask for 127.0.0.1 or localhost\n";
        answer(StatusCode::MISDIRECTED_REQUEST, PLAIN, words.to_owned())
    };
    let fixed: [(HeaderName, &'static str); 4] = [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    let headers = response.headers_mut();
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(&shared.page.policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response {
    (status, [(CONTENT_TYPE, kind)], body).into_response()
}

fn failed(error: &impl std::fmt::Display) -> Response {
    answer(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, format!("{error}\n"))
}

async fn page(State(shared): State<Arc<Shared>>) -> Response {
    answer(StatusCode::OK, "text/html; charset=utf-8", shared.page.html.clone())
}

async fn status(State(shared): State<Arc<Shared>>) -> Response {
    match serde_json::to_string(&shared.view.snapshot()) {
        Ok(json) => answer(StatusCode::OK, "application/json", json),
        Err(error) => failed(&error),
    }
}

async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    match render(shared.view.snapshot()) {
        Ok(text) if accepts.contains("application/openmetrics-text") => {
            answer(StatusCode::OK, OPEN_METRICS, text)
        }
        Ok(text) => answer(StatusCode::OK, PROMETHEUS, as_prometheus(&text)),
        Err(error) => failed(&error),
    }
}

async fn healthz(State(shared): State<Arc<Shared>>) -> Response {
    verdict(shared.view.snapshot().unhealthy)
}

async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    verdict(shared.view.snapshot().not_ready)
}

fn verdict(why_not: Option<String>) -> Response {
    match why_not {
        None => answer(StatusCode::OK, PLAIN, "ok\n".to_owned()),
        Some(words) => answer(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("{words}\n")),
    }
}
