//! The HTTP face: who may pass, then rmcp's service; and the protected-resource metadata.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::error::Unspecified;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any_service, get};
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info, info_span, warn};

use super::body::{self, Bounds};
use super::session::{SESSION_HEADER, Seal};
use super::{App, Ends};
use crate::audit::{Audit, Entry, Unwritten};
use crate::auth::metadata::ChallengeError;
use crate::auth::{AuthError, AuthSettings, Authenticator, metadata, token};
use crate::call::{self, Standing};
use crate::catalog::CALL_TOOL;
use crate::config::server::{AnonymousMethod, DiscoverySpec};
use crate::live::Live;
use crate::mcp::{self, HttpOptions, RequestId, Scope, Shared, Unauthenticated};
use crate::metrics::Metrics;
use crate::principal::Principal;
use crate::trace;

/// Where RFC 9728 has the metadata of a protected resource.
const METADATA_PATH: &str = "/.well-known/oauth-protected-resource";

/// What a request is about, since 2026-07-28.
const METHOD_HEADER: &str = "mcp-method";
/// The method that calls a tool.
const TOOL_CALL: &str = "tools/call";

/// What the layers need.
struct Gate {
    live: Arc<Live>,
    authenticator: Arc<dyn Authenticator>,
    audit: Option<Arc<Audit>>,
    metrics: Arc<Metrics>,
    /// `None` when everybody may call.
    checks: bool,
    seal: Seal,
    public_url: String,
    anonymous: Vec<AnonymousMethod>,
    max_request_bytes: usize,
    stopping: CancellationToken,
}

/// The service of the MCP endpoint and of the metadata.
pub(super) fn router(app: &App, shared: &Arc<Shared>, local: SocketAddr, ends: &Ends) -> Result<Router, Unspecified> {
    let settings = &app.settings;
    let gate = Arc::new(Gate {
        live: Arc::clone(&app.live),
        authenticator: Arc::clone(&app.authenticator),
        audit: app.audit.clone(),
        metrics: Arc::clone(&app.metrics),
        checks: !matches!(settings.auth, AuthSettings::None),
        seal: Seal::new()?,
        public_url: settings.public_url_for(local),
        anonymous: settings.anonymous.clone(),
        max_request_bytes: settings.max_request_bytes,
        stopping: ends.stopping.clone(),
    });
    let service = mcp::http_service(
        shared,
        HttpOptions {
            allowed_hosts: settings.hosts(local),
            allowed_origins: settings.origins(local),
            max_request_bytes: settings.max_request_bytes,
            sessions: settings.sessions,
            shutdown: ends.streams.clone(),
        },
    );
    let bounds =
        Bounds { bytes: settings.max_request_bytes, depth: settings.limits.json_depth, time: settings.limits.read };
    let protected = Router::new()
        .route_service("/mcp", any_service(service.clone()))
        .route_service("/mcp/{bridge}", any_service(service))
        .layer(middleware::from_fn_with_state(Arc::clone(&gate), session))
        .layer(middleware::from_fn_with_state(Arc::clone(&gate), step_up))
        .layer(middleware::from_fn_with_state(Arc::clone(&gate), scope))
        .layer(middleware::from_fn_with_state(bounds, body::within))
        .layer(middleware::from_fn_with_state(Arc::clone(&gate), authenticate));
    Ok(Router::new()
        .route(METADATA_PATH, get(root_metadata))
        .route(&format!("{METADATA_PATH}/mcp"), get(root_metadata))
        .route(&format!("{METADATA_PATH}/mcp/{{bridge}}"), get(bridge_metadata))
        .with_state(Arc::clone(&gate))
        .merge(protected)
        .fallback(|| async { refusal(StatusCode::NOT_FOUND, "Not found: the MCP endpoint is /mcp, or /mcp/{bridge}") })
        .layer(middleware::from_fn_with_state(gate, identify)))
}

/// Gives each request an id, which stands in every line of the log about it and in the answer. Once the server is told
/// to stop, each answer ends its connection, so that clients go elsewhere.
async fn identify(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let id = uuid::Uuid::new_v4().to_string();
    request.extensions_mut().insert(RequestId(id.clone()));
    // What asking about the token takes is part of the client's trace, too.
    let told = trace::from_headers(request.headers());
    let mut response = if is_ambiguous(request.headers()) || goes_elsewhere(&request) {
        refusal(StatusCode::FORBIDDEN, "Forbidden: it is not clear which host or origin is meant")
    } else {
        trace::within(told, next.run(request)).instrument(info_span!("request", id)).await
    };
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", id);
    }
    if gate.stopping.is_cancelled() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Whether a request says twice where it goes or where it comes from: of two, one reader checks the first and another
/// believes the last. So it is with a user's name before the host.
pub(super) fn is_ambiguous(headers: &HeaderMap) -> bool {
    let is_twice = |name| headers.get_all(name).iter().nth(1).is_some();
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes).unwrap_or_default();
    is_twice(header::HOST) || is_twice(header::ORIGIN) || host.contains(&b'@')
}

/// Whether the target of a request names another host than its header does (RFC 9112, section 3.2.2).
fn goes_elsewhere(request: &Request) -> bool {
    let host = request.headers().get(header::HOST).map(HeaderValue::as_bytes);
    request.uri().authority().is_some_and(|authority| host != Some(authority.as_str().as_bytes()))
}

/// Lets only valid tokens through and says who it is.
async fn authenticate(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let who = if gate.checks {
        let checked = match token::bearer(request.headers()) {
            Ok(token) => gate.authenticator.authenticate(&token).await,
            Err(_) if gate.is_open(request.headers()) => {
                request.extensions_mut().insert(Unauthenticated);
                Ok(Principal::anonymous())
            }
            Err(error) => Err(error),
        };
        gate.metrics.authenticated(match &checked {
            Ok(_) => "ok",
            Err(AuthError::Missing) => "missing",
            Err(AuthError::Rejected { .. }) => "rejected",
            Err(AuthError::Unavailable { .. }) => "unavailable",
        });
        match checked {
            Ok(who) => who,
            Err(error) => return gate.deny(&request, error),
        }
    } else {
        Principal::anonymous()
    };
    // rmcp and handlers get the principal, never the token.
    request.headers_mut().remove(header::AUTHORIZATION);
    let expires_at = who.expires_at().filter(|_| gate.checks);
    request.extensions_mut().insert(who);
    let response = next.run(request).await;
    match expires_at {
        Some(end) if is_stream(&response) => ending(response, end),
        _ => response,
    }
}

fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
}

/// A stream ends with the token that opened it.
fn ending(response: Response, expires_at: f64) -> Response {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(f64::INFINITY, |elapsed| elapsed.as_secs_f64());
    let left = Duration::try_from_secs_f64(expires_at - now).unwrap_or(Duration::ZERO);
    let (parts, body) = response.into_parts();
    let stream = body.into_data_stream().take_until(Box::pin(tokio::time::sleep(left)));
    Response::from_parts(parts, Body::from_stream(stream))
}

/// Tells a caller whose token lacks scopes for a tool which ones to ask for (RFC 6750, section 3.1), all of them at
/// once. The call itself would be refused all the same.
async fn step_up(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let snapshot = gate.live.load();
    let catalog = &snapshot.catalog;
    if !gate.checks
        || request.method() != Method::POST
        || catalog.tools.values().all(|tool| tool.access.scopes.is_empty())
    {
        return next.run(request).await;
    }
    let (name, request) = match called_tool(request, gate.max_request_bytes).await {
        Ok(read) => read,
        Err(refusal) => return refusal,
    };
    let who = request.extensions().get::<Principal>();
    let found = name.as_deref().and_then(|name| catalog.tools.get(name)).zip(who);
    let missing = found.and_then(|(tool, who)| {
        let bridge = catalog.bridge(tool.bridge)?;
        let scope = request.extensions().get::<Scope>().and_then(|scope| scope.bridge.as_ref());
        if scope.is_some_and(|scope| *scope != bridge.name) {
            return None;
        }
        match call::standing(catalog, tool, bridge, who) {
            Standing::LacksScopes(missing) => Some((tool, missing)),
            Standing::Open | Standing::Hidden => None,
        }
    });
    let Some((tool, missing)) = missing else { return next.run(request).await };
    let path = request.uri().path();
    let words = call::lacks(&missing);
    if let Some(refusal) = gate.record(&request, Some(&tool.name), &words) {
        return refusal;
    }
    info!(path, tool = tool.name, scopes = missing.join(" "), "The token lacks scopes.");
    let mut response = refusal(StatusCode::FORBIDDEN, &words);
    let url = gate.metadata_url(path);
    let challenge = metadata::challenge(Some(ChallengeError::InsufficientScope), &url, &tool.access.scopes);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    response
}

/// The tool that a request calls. Its headers say so since 2026-07-28, and rmcp sees to it that they are true; of an
/// older request the body is read.
async fn called_tool(request: Request, limit: usize) -> Result<(Option<String>, Request), Response> {
    if request.headers().contains_key(METHOD_HEADER) {
        let name = called_by_headers(request.headers());
        if name.as_deref() != Some(CALL_TOOL) {
            return Ok((name, request));
        }
    }
    let (parts, body) = request.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, limit).await else {
        return Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, "The request is too large"));
    };
    let message: Option<Value> = serde_json::from_slice(&bytes).ok();
    let name = message.filter(|message| message.get("method").is_some_and(|method| method == TOOL_CALL));
    let text = |message: &Value, place: &str| message.pointer(place)?.as_str().map(str::to_owned);
    // Where tools are searched, one tool calls the others.
    let name = name.and_then(|message| match text(&message, "/params/name")? {
        name if name == CALL_TOOL => text(&message, "/params/arguments/name"),
        name => Some(name),
    });
    Ok((name, Request::from_parts(parts, Body::from(bytes))))
}

fn called_by_headers(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if text(METHOD_HEADER) != Some(TOOL_CALL) {
        return None;
    }
    text("mcp-name").map(str::to_owned)
}

/// Says which part of the catalogue a request is for: one bridge (`/mcp/{bridge}`), sets of tools (`?toolset=NAME`), listed
/// or searched (`?discovery=search`). What does not exist is not found.
async fn scope(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let bridge = request.uri().path().strip_prefix("/mcp/").map(str::to_owned);
    let query = request.uri().query();
    if bridge.is_none() && query.is_none() {
        return next.run(request).await;
    }
    let mut scope = Scope { bridge, ..Scope::default() };
    let catalog = Arc::clone(&gate.live.load().catalog);
    if let Some(name) = &scope.bridge
        && !catalog.bridges.iter().any(|bridge| bridge.name == *name)
    {
        return refusal(StatusCode::NOT_FOUND, "No such bridge");
    }
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match (name.as_ref(), value.as_ref()) {
            ("toolset", sets) => {
                for set in sets.split(',').map(str::trim) {
                    if !catalog.has_toolset(set) {
                        return refusal(StatusCode::NOT_FOUND, "No such toolset");
                    }
                    scope.toolsets.push(set.to_owned());
                }
            }
            ("discovery", "list") => scope.discovery = Some(DiscoverySpec::List),
            ("discovery", "search") => scope.discovery = Some(DiscoverySpec::Search),
            ("discovery", _) => return refusal(StatusCode::BAD_REQUEST, "`discovery` is `list` or `search`"),
            // Proxies add parameters of their own.
            _ => {}
        }
    }
    request.extensions_mut().insert(scope);
    next.run(request).await
}

/// Opens the session id on the way in and seals it on the way out.
async fn session(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let who = request.extensions().get::<Principal>().cloned().unwrap_or_else(Principal::anonymous);
    if let Some(sealed) = request.headers_mut().remove(SESSION_HEADER) {
        // The 2026-07-28 protocol has no sessions; an id sent by mistake is ignored.
        if is_legacy(request.headers()) {
            let opened = sealed
                .to_str()
                .ok()
                .and_then(|sealed| gate.seal.open(sealed, &who))
                .and_then(|id| HeaderValue::from_str(id).ok());
            match opened {
                Some(id) => request.headers_mut().insert(SESSION_HEADER, id),
                None => return refusal(StatusCode::NOT_FOUND, "Session not found: initialize a new one"),
            };
        }
    }
    let ends = request.method() == Method::DELETE;
    let mut response = next.run(request).await;
    // rmcp says 202, which the Python SDK takes for a failure and warns of.
    if ends && response.status() == StatusCode::ACCEPTED {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    if let Some(id) = response.headers().get(SESSION_HEADER).and_then(|id| id.to_str().ok())
        && let Ok(sealed) = HeaderValue::from_str(&gate.seal.close(id, &who))
    {
        response.headers_mut().insert(SESSION_HEADER, sealed);
    }
    response
}

fn is_legacy(headers: &HeaderMap) -> bool {
    headers
        .get("mcp-protocol-version")
        .and_then(|version| version.to_str().ok())
        .is_none_or(|version| version < "2026-07-28")
}

async fn root_metadata(State(gate): State<Arc<Gate>>) -> Response {
    gate.metadata("/mcp")
}

async fn bridge_metadata(State(gate): State<Arc<Gate>>, Path(bridge): Path<String>) -> Response {
    if gate.live.load().catalog.bridges.iter().any(|known| known.name == bridge) {
        gate.metadata(&format!("/mcp/{bridge}"))
    } else {
        refusal(StatusCode::NOT_FOUND, "No such bridge")
    }
}

// === impl Gate ===

impl Gate {
    fn metadata(&self, path: &str) -> Response {
        let servers = self.authenticator.authorization_servers();
        let tools = self.scopes(path);
        let scopes: BTreeSet<String> = tools.into_iter().flatten().collect();
        let scopes: Vec<String> = scopes.into_iter().collect();
        let document = metadata::protected_resource(&format!("{}{path}", self.public_url), &servers, &scopes);
        axum::Json(document).into_response()
    }

    fn metadata_url(&self, path: &str) -> String {
        let is_known = path == "/mcp" || path.starts_with("/mcp/");
        format!("{}{METADATA_PATH}{}", self.public_url, if is_known { path } else { "" })
    }

    /// The scopes of each tool behind a path, except those that are hidden from some.
    fn scopes(&self, path: &str) -> Vec<BTreeSet<String>> {
        let snapshot = self.live.load();
        let only = path.strip_prefix("/mcp/");
        let tools = snapshot.catalog.tools.values().filter(|tool| !tool.access.hides()).filter(|tool| {
            only.is_none_or(|only| snapshot.catalog.bridge(tool.bridge).is_some_and(|bridge| bridge.name == only))
        });
        tools.map(|tool| tool.access.scopes.iter().cloned().collect()).collect()
    }

    /// What to ask for before the first call: the scopes of the tool that is called, or else those that every tool asks for.
    fn first_scopes(&self, request: &Request) -> Vec<String> {
        let snapshot = self.live.load();
        let called = called_by_headers(request.headers());
        let called = called.and_then(|name| snapshot.catalog.tools.get(&name));
        if let Some(tool) = called.filter(|tool| !tool.access.hides()) {
            return tool.access.scopes.clone();
        }
        let common = self.scopes(request.uri().path()).into_iter().reduce(|one, other| &one & &other);
        common.unwrap_or_default().into_iter().collect()
    }

    /// Whether the method of a request is open to everybody. Before 2026-07-28 the headers did not say.
    fn is_open(&self, headers: &HeaderMap) -> bool {
        let method = headers.get(METHOD_HEADER).and_then(|method| method.to_str().ok());
        !headers.contains_key(header::AUTHORIZATION)
            && !is_legacy(headers)
            && method.is_some_and(|method| self.anonymous.iter().any(|open| open.name() == method))
    }

    /// Records that a request was denied before it got any further. Gives the answer when that can't be recorded.
    fn record(&self, request: &Request, tool: Option<&str>, reason: &str) -> Option<Response> {
        let audit = self.audit.as_ref()?;
        let text = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let entry = Entry {
            request_id: request.extensions().get::<RequestId>().map(|id| id.0.as_str()).unwrap_or_default(),
            method: text(METHOD_HEADER).unwrap_or(if tool.is_some() { TOOL_CALL } else { "-" }),
            bridge: request.uri().path().strip_prefix("/mcp/"),
            subject: tool.or_else(|| text("mcp-name")),
            who: request.extensions().get::<Principal>(),
            decision: "denied",
            reason: Some(reason.to_owned()),
            ..Entry::default()
        };
        let unwritten = |unwritten: Unwritten| refusal(StatusCode::SERVICE_UNAVAILABLE, &unwritten.to_string());
        audit.record(&entry).err().map(unwritten)
    }

    fn deny(&self, request: &Request, error: AuthError) -> Response {
        let path = request.uri().path();
        match error {
            AuthError::Missing => info!(path, reason = error.reason(), "Access denied."),
            AuthError::Rejected { .. } => warn!(path, reason = error.reason(), "Access denied."),
            // The authenticator has said so, once for all who wait.
            AuthError::Unavailable { .. } => info!(path, reason = error.reason(), "Tokens can't be checked."),
        }
        if let Some(refusal) = self.record(request, None, &error.reason()) {
            return refusal;
        }
        let mut response = refusal(error.status(), error.message());
        if error.status() == StatusCode::UNAUTHORIZED {
            let url = self.metadata_url(path);
            let challenge = metadata::challenge(error.challenge_error(), &url, &self.first_scopes(request));
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        } else {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

/// A refusal as MCP clients read it: a JSON-RPC error without an id. Codes of our own lie outside the reserved range, so
/// the HTTP status stands there.
pub(super) fn refusal(status: StatusCode, message: &str) -> Response {
    json_rpc(status, status.as_u16().into(), &Value::Null, message)
}

/// A JSON-RPC error (JSON-RPC 2.0, section 5.1) with this HTTP status.
pub(super) fn json_rpc(status: StatusCode, code: i32, id: &Value, message: &str) -> Response {
    let body = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
