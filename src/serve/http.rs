//! The HTTP face: who may pass, then rmcp's service; and the protected-resource metadata.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any_service, get};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::ServeError;
use super::session::{SESSION_HEADER, Seal};
use super::settings::Settings;
use crate::auth::{AuthError, AuthSettings, Authenticator, metadata, token};
use crate::live::Live;
use crate::mcp::{self, BridgeScope, HttpOptions, Shared};
use crate::principal::Principal;

/// How long calls in flight may take once the server is told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// Where RFC 9728 has the metadata of a protected resource.
const METADATA_PATH: &str = "/.well-known/oauth-protected-resource";

/// What the layers need.
struct Gate {
    live: Arc<Live>,
    authenticator: Arc<dyn Authenticator>,
    /// `None` when everybody may call.
    checks: bool,
    seal: Seal,
    public_url: String,
}

/// Serves until `shutdown` is cancelled and calls in flight have ended.
pub(super) async fn serve(
    listener: TcpListener,
    settings: &Settings,
    shared: &Arc<Shared>,
    live: Arc<Live>,
    authenticator: Arc<dyn Authenticator>,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let address = settings.listen;
    let broken = |why: std::io::Error| ServeError::Listen { address, why };
    let local = listener.local_addr().map_err(broken)?;
    let seal = Seal::new().map_err(|_| broken(std::io::Error::other("the system gives no random bytes")))?;
    let public_url = settings.public_url_for(local);
    let gate = Arc::new(Gate {
        live,
        authenticator,
        checks: !matches!(settings.auth, AuthSettings::None),
        seal,
        public_url: public_url.clone(),
    });
    let service = mcp::http_service(
        shared,
        HttpOptions {
            allowed_hosts: settings.hosts(local),
            allowed_origins: settings.origins(local),
            max_request_bytes: settings.max_request_bytes,
            shutdown: shutdown.clone(),
        },
    );
    let protected = Router::new()
        .route_service("/mcp", any_service(service.clone()))
        .route_service("/mcp/{bridge}", any_service(service))
        .layer(middleware::from_fn_with_state(Arc::clone(&gate), session))
        .layer(middleware::from_fn_with_state(Arc::clone(&gate), scope))
        .layer(middleware::from_fn_with_state(Arc::clone(&gate), authenticate));
    let app = Router::new()
        .route(METADATA_PATH, get(root_metadata))
        .route(&format!("{METADATA_PATH}/mcp"), get(root_metadata))
        .route(&format!("{METADATA_PATH}/mcp/{{bridge}}"), get(bridge_metadata))
        .with_state(gate)
        .merge(protected)
        .fallback(|| async { refusal(StatusCode::NOT_FOUND, "Not found: the MCP endpoint is /mcp, or /mcp/{bridge}") });

    info!(address = %local, endpoint = %format!("{public_url}/mcp"), "Serving Streamable HTTP.");
    let stopping = shutdown.clone();
    let serving = axum::serve(listener, app).with_graceful_shutdown(async move { stopping.cancelled().await });
    let deadline = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        served = async { serving.await } => served.map_err(broken)?,
        () = deadline => warn!(grace_s = GRACE.as_secs(), "Calls were still running at the end of the grace period."),
    }
    info!("Stopped.");
    Ok(())
}

/// Lets only valid tokens through and says who it is.
async fn authenticate(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let who = if gate.checks {
        let checked = match token::bearer(request.headers()) {
            Ok(token) => gate.authenticator.authenticate(&token).await,
            Err(error) => Err(error),
        };
        match checked {
            Ok(who) => who,
            Err(error) => return gate.deny(request.uri().path(), error),
        }
    } else {
        Principal::anonymous()
    };
    // rmcp and handlers get the principal, never the token.
    request.headers_mut().remove(header::AUTHORIZATION);
    request.extensions_mut().insert(who);
    next.run(request).await
}

/// Says which bridge `/mcp/{bridge}` is for; an unknown one is not found.
async fn scope(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    if let Some(name) = request.uri().path().strip_prefix("/mcp/") {
        let name = name.to_owned();
        if !gate.live.load().catalog.bridges.iter().any(|bridge| bridge.name == name) {
            return refusal(StatusCode::NOT_FOUND, "No such bridge");
        }
        request.extensions_mut().insert(BridgeScope(name));
    }
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
    let mut response = next.run(request).await;
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
        let document = metadata::protected_resource(&format!("{}{path}", self.public_url), &servers, &[]);
        axum::Json(document).into_response()
    }

    fn deny(&self, path: &str, error: AuthError) -> Response {
        match error {
            AuthError::Missing => info!(path, reason = error.reason(), "Access denied."),
            AuthError::Rejected { .. } => warn!(path, reason = error.reason(), "Access denied."),
            // The authenticator has said so, once for all who wait.
            AuthError::Unavailable { .. } => info!(path, reason = error.reason(), "Tokens can't be checked."),
        }
        let mut response = refusal(error.status(), error.message());
        if error.status() == StatusCode::UNAUTHORIZED {
            let known = path == "/mcp" || path.starts_with("/mcp/");
            let url = format!("{}{METADATA_PATH}{}", self.public_url, if known { path } else { "" });
            let challenge = metadata::challenge(error.challenge_error(), &url, &[]);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        } else {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

/// A refusal as MCP clients read it: a JSON-RPC error without an id. Codes of our own lie outside the reserved range, so
/// the HTTP status stands there.
fn refusal(status: StatusCode, message: &str) -> Response {
    let body: Value = json!({
        "jsonrpc": "2.0",
        "id": null,
        "error": { "code": status.as_u16(), "message": message },
    });
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
