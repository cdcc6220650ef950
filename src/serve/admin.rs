//! The admin port: health, metrics, what is running and what became of reloads, and the page that shows it all.
//!
//! Health and metrics hold nothing that anybody must not see. Everything else is for loopback, or for who has the token.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::sse::{Event as Sent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::StreamExt as _;
use futures_util::stream::{self, Stream};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::connections::{self, Door};
use super::http::is_ambiguous;
use super::page;
use super::server_file::Stale;
use super::settings::Limits;
use super::{App, Ends, watch};
use crate::auth::{AuthSettings, Authenticator, Method as AuthMethod};
use crate::call::{self, CallError};
use crate::catalog::Answers;
use crate::describe;
use crate::live::{Breaking, Live, Snapshot};
use crate::metrics::{Gauges, MEDIA_TYPE, Metrics, Reading};
use crate::principal::Principal;
use crate::quantity::show_duration;

/// What the handlers need.
struct Admin {
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    authenticator: Arc<dyn Authenticator>,
    auth: AuthSettings,
    token: Option<SecretString>,
    is_loopback: bool,
    stale: Stale,
    stopping: CancellationToken,
}

type Shared = State<Arc<Admin>>;

/// A running admin port.
pub(super) struct Running {
    door: Door,
    serving: JoinHandle<io::Result<()>>,
}

/// Begins to serve. It goes on while the server drains, so that it can be seen to.
pub(super) fn start(app: &App, listener: TcpListener, ends: &Ends) -> io::Result<Running> {
    let local = listener.local_addr()?;
    let settings = &app.settings;
    let admin = Arc::new(Admin {
        live: Arc::clone(&app.live),
        metrics: Arc::clone(&app.metrics),
        authenticator: Arc::clone(&app.authenticator),
        auth: settings.auth.clone(),
        token: settings.admin.as_ref().and_then(|admin| admin.token.clone()),
        is_loopback: local.ip().is_loopback(),
        stale: app.stale.clone(),
        stopping: ends.stopping.clone(),
    });
    let open = Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/", get(page::page));
    let guarded = Router::new()
        .route("/admin/v1/status", get(status))
        .route("/admin/v1/catalogue", get(catalogue))
        .route("/admin/v1/reloads", get(reloads))
        .route("/admin/v1/calls", get(calls))
        .route("/admin/v1/auth", get(auth))
        .route("/admin/v1/events", get(events))
        .route("/admin/v1/explain", post(explain))
        .route("/admin/v1/reload", post(reload))
        .route("/admin/v1/rollback", post(rollback))
        .layer(middleware::from_fn_with_state(Arc::clone(&admin), guard));
    let router = open
        .merge(guarded)
        .fallback(|| async { refusal(StatusCode::NOT_FOUND, "there is no such page") })
        .with_state(Arc::clone(&admin));
    let door = Door::default();
    let own = door.clone();
    let limits = Limits { connections: 256, ..settings.limits };
    // Connections of operators are none of clients.
    let uncounted = Metrics::unread();
    let serving = tokio::spawn(async move { connections::serve(listener, router, own, limits, None, uncounted).await });
    info!(address = %local, page = %format!("http://{local}/"), "Serving the admin port.");
    Ok(Running { door, serving })
}

// === who may ===

async fn guard(State(admin): Shared, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let refused = match &admin.token {
        Some(token) if !presents(headers, token) => {
            let mut response = refusal(StatusCode::UNAUTHORIZED, "this needs the token of the admin port");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return response;
        }
        None if !admin.is_loopback => Some("beyond loopback this needs `admin: { token: … }` in the server file"),
        // A web page can give any name this address; it can't make the browser send another name.
        None if !is_local(headers) => Some("the Host header must be localhost or an IP address"),
        Some(_) | None => None,
    };
    let refused = refused.or_else(|| {
        (request.method() != Method::GET && !is_own(headers))
            .then_some("a change is asked for with `content-type: application/json`, and not by another site")
    });
    match refused {
        Some(words) => refusal(StatusCode::FORBIDDEN, words),
        None => next.run(request).await,
    }
}

fn presents(headers: &HeaderMap, token: &SecretString) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|given| given.strip_prefix("Bearer ")).unwrap_or_default();
    verify_slices_are_equal(given.as_bytes(), token.expose_secret().as_bytes()).is_ok()
}

fn is_local(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    !is_ambiguous(headers) && (name == "localhost" || name.parse::<IpAddr>().is_ok())
}

/// Whether a browser, if it is one, asks for our own page.
fn is_own(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_json = text("content-type").is_some_and(|kind| kind.split(';').next() == Some("application/json"));
    let same = text("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
    let origin = text("origin")
        .is_none_or(|origin| origin.split_once("://").is_some_and(|(_, authority)| Some(authority) == text("host")));
    is_json && same && origin
}

fn refusal(status: StatusCode, words: &str) -> Response {
    (status, Json(json!({ "error": words }))).into_response()
}

// === health and metrics ===

async fn ready(State(admin): Shared, headers: HeaderMap) -> Response {
    let stopping = admin.stopping.is_cancelled();
    let mut told = json!({ "status": if stopping { "stopping" } else { "ready" } });
    let trusted = match &admin.token {
        Some(token) => presents(&headers, token),
        None => admin.is_loopback && is_local(&headers),
    };
    if let (Some(told), Value::Object(standing)) = (told.as_object_mut(), admin.live.standing().json(trusted)) {
        told.extend(standing.into_iter().filter(|(name, _)| name != "kept" && name != "written"));
    }
    let status = if stopping { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, Json(told)).into_response()
}

async fn metrics(State(admin): Shared) -> Response {
    let text = admin.metrics.text(Arc::new(Now(admin.live.load())));
    ([(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response()
}

/// What is read from the running snapshot at a scrape.
struct Now(Arc<Snapshot>);

impl Gauges for Now {
    fn read(&self) -> Vec<Reading> {
        let catalog = &self.0.catalog;
        let revision = vec![("revision", catalog.revision.to_string())];
        let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        let tools = u32::try_from(catalog.tools.len()).unwrap_or(u32::MAX);
        let mut all = vec![
            Reading { name: "build_info", help: "The version of tollbridge", labels: version, value: 1.0 },
            Reading { name: "revision_info", help: "The revision that is running", labels: revision, value: 1.0 },
            Reading {
                name: "tools",
                help: "Tools of the running revision",
                labels: Vec::new(),
                value: f64::from(tools),
            },
        ];
        all.extend(self.0.apis().map(|(bridge, _, api)| {
            let labels = vec![("bridge", bridge.name.clone())];
            let value = if api.is_left_alone() { 1.0 } else { 0.0 };
            let help = "1 while an API is left alone because it has not answered lately";
            Reading { name: "breaker_open", help, labels, value }
        }));
        all
    }
}

// === what is running ===

async fn status(State(admin): Shared) -> Json<Value> {
    let mut told = admin.live.standing().json(true);
    if let Some(members) = told.as_object_mut() {
        members.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
        members.insert("restart_for".to_owned(), admin.stale.keys().into());
        members.insert("stopping".to_owned(), admin.stopping.is_cancelled().into());
    }
    Json(told)
}

async fn catalogue(State(admin): Shared) -> Json<Value> {
    Json(describe::catalogue(&admin.live.load().catalog))
}

async fn reloads(State(admin): Shared) -> Json<Value> {
    let standing = admin.live.standing();
    Json(standing.events.iter().rev().map(|event| event.json(true)).collect())
}

async fn calls(State(admin): Shared) -> Json<Value> {
    let calls = admin.metrics.recent().list();
    Json(json!(calls))
}

async fn auth(State(admin): Shared) -> Json<Value> {
    let AuthSettings::Issuers(issuers) = &admin.auth else {
        return Json(json!({ "checks_tokens": false, "issuers": [], "keys": [] }));
    };
    let issuers = issuers.iter().map(|settings| {
        json!({
            "issuer": settings.issuer(),
            "method": match settings.method {
                AuthMethod::Introspection(_) => "introspection",
                AuthMethod::Jwt(_) => "jwks",
                AuthMethod::Both(_) => "jwks+introspection",
            },
            "verdicts_kept_for": settings.keep.map(show_duration),
        })
    });
    let keys = admin.authenticator.keys().into_iter();
    let keys = keys.map(|it| json!({ "issuer": it.issuer, "ids": it.ids, "age_s": it.age.map(|age| age.as_secs()) }));
    Json(json!({
        "checks_tokens": true,
        "issuers": issuers.collect::<Vec<_>>(),
        "keys": keys.collect::<Vec<_>>(),
    }))
}

/// Tells, as server-sent events, when something became of a reload.
async fn events(State(admin): Shared) -> Sse<impl Stream<Item = Result<Sent, Infallible>>> {
    let news = admin.live.news();
    let stopping = admin.stopping.clone();
    let told = stream::unfold((admin, news, true), |(admin, mut news, first)| async move {
        if !first && news.changed().await.is_err() {
            return None;
        }
        news.mark_unchanged();
        let last = admin.live.standing().events.last().map(|event| event.json(false));
        let sent = Sent::default().event("reload").data(last.unwrap_or_default().to_string());
        Some((Ok(sent), (admin, news, false)))
    });
    Sse::new(told.take_until(stopping.cancelled_owned())).keep_alive(KeepAlive::default())
}

// === what can be asked for ===

#[derive(Deserialize)]
struct Explain {
    tool: String,
    #[serde(default)]
    arguments: Map<String, Value>,
    #[serde(default)]
    answers: Map<String, Value>,
    #[serde(default)]
    claims: Map<String, Value>,
}

/// What a call would send. Nothing is sent.
async fn explain(State(admin): Shared, Json(asked): Json<Explain>) -> Response {
    let snapshot = admin.live.load();
    let catalog = &snapshot.catalog;
    let found = catalog.tools.get(&asked.tool);
    let Some((tool, bridge)) = found.and_then(|tool| Some((tool, catalog.bridge(tool.bridge)?))) else {
        return refusal(StatusCode::NOT_FOUND, &CallError::Unknown(asked.tool).to_string());
    };
    let who = if asked.claims.is_empty() {
        Principal::anonymous()
    } else {
        // No token goes anywhere, and explained requests show its place only.
        Principal::verified(asked.claims, SecretString::from("(the caller's token)".to_owned()))
    };
    let mut request = None;
    let plan = call::plan(catalog, tool, asked.arguments, &Answers(asked.answers).agreeing(tool), &who);
    let planned = plan.and_then(|plan| describe::preliminary(catalog, bridge, tool, &who, plan, &mut request));
    Json(describe::explained(bridge, tool, &planned)).into_response()
}

#[derive(Deserialize)]
struct Reload {
    #[serde(default)]
    allow_breaking: bool,
}

async fn reload(State(admin): Shared, Json(asked): Json<Reload>) -> Response {
    let breaking = if asked.allow_breaking { Breaking::Allowed } else { Breaking::ByRule };
    info!(allow_breaking = asked.allow_breaking, "Reloading: the admin port.");
    let Some(outcome) = watch::reload(&admin.live, breaking).await else {
        return refusal(StatusCode::INTERNAL_SERVER_ERROR, "the reload was lost; the log says why");
    };
    outcome.log();
    Json(json!({ "outcome": outcome.word(), "words": outcome.words(), "status": admin.live.standing().json(true) }))
        .into_response()
}

#[derive(Deserialize)]
struct Rollback {
    revision: Option<String>,
}

async fn rollback(State(admin): Shared, Json(asked): Json<Rollback>) -> Response {
    match admin.live.rollback(asked.revision.as_deref()) {
        Ok(outcome) => {
            outcome.log();
            Json(json!({ "outcome": outcome.word(), "words": outcome.words(), "status": admin.live.standing().json(true) }))
                .into_response()
        }
        Err(error) => refusal(StatusCode::NOT_FOUND, &error.to_string()),
    }
}

// === impl Running ===

impl Running {
    /// Ends it at once: nothing of it is worth waiting for.
    pub(super) async fn stop(self) {
        self.door.clear(Duration::ZERO);
        let _ = self.serving.await;
    }
}
