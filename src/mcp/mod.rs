//! The Model Context Protocol face: the only room that names rmcp's types.

mod ask;
mod caller;
mod complete;
mod convert;
mod guard;
mod handler;
mod listen;
mod lists;
mod meta;
mod poll;
mod reading;
mod report;
mod run;
mod search;
mod shared;
mod skills;
mod slots;
mod tasks;

use std::sync::Arc;
use std::time::Duration;

use rmcp::ServiceExt as _;
use rmcp::transport::StreamableHttpService;
use rmcp::transport::streamable_http_server::StreamableHttpServerConfig;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use tokio_util::sync::CancellationToken;

use self::handler::Keeps;
use crate::audit::Audit;
use crate::config::server::DiscoverySpec;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::upstream::SharedStore;

pub use caller::{Caller, RequestId, Scope, TokenSource, Unauthenticated};
pub use convert::{bridge_as_listed, contents_as_sent, messages_as_sent, result_as_sent, tool_as_listed};
pub use guard::Guarded;
pub use handler::Handler;
pub use shared::Shared;

/// What the Streamable HTTP transport needs to know.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Host names accepted in `Host`.
    pub allowed_hosts: Vec<String>,
    /// Origins accepted in `Origin`, with explicit ports.
    pub allowed_origins: Vec<String>,
    /// The largest request body, in bytes.
    pub max_request_bytes: usize,
    /// Whether clients of older protocols have sessions.
    pub sessions: bool,
    /// Ends all streams when it is cancelled.
    pub shutdown: CancellationToken,
}

/// What holds for all calls, whatever the transport.
#[derive(Clone)]
pub struct Options {
    /// The longest a call may take.
    pub call_timeout: Duration,
    /// The audit trail.
    pub audit: Option<Arc<Audit>>,
    /// What counts calls.
    pub metrics: Arc<Metrics>,
    /// The most calls that one caller may have running.
    pub calls_per_caller: usize,
    /// Is cancelled when the server is told to stop: subscriptions end, calls go on.
    pub stopping: CancellationToken,
    /// Where replicas keep what they share.
    pub shared: Option<Arc<SharedStore>>,
    /// The sets of tools that are served; empty for all tools.
    pub toolsets: Vec<String>,
    /// How clients learn of tools, unless they choose.
    pub discovery: DiscoverySpec,
    /// The most entries of a list at a time.
    pub page: usize,
}

/// The MCP endpoint as a service that any HTTP server can mount.
pub type HttpService = StreamableHttpService<Guarded, LocalSessionManager>;

/// Makes what all sessions and requests share.
#[must_use]
pub fn share(live: Arc<Live>, caller: Caller, options: Options) -> Arc<Shared> {
    Arc::new(Shared::new(live, caller, options))
}

/// Makes the Streamable HTTP endpoint: stateless JSON for the 2026-07-28 protocol, and sessions for older clients if
/// there are to be any.
#[must_use]
pub fn http_service(shared: &Arc<Shared>, options: HttpOptions) -> HttpService {
    let HttpOptions { allowed_hosts, allowed_origins, max_request_bytes, sessions, shutdown } = options;
    let config = StreamableHttpServerConfig::default()
        .with_allowed_hosts(allowed_hosts)
        .with_allowed_origins(allowed_origins)
        // An empty list must refuse every origin, not allow every one.
        .enforce_origin_validation()
        .with_max_request_body_bytes(max_request_bytes)
        .with_json_response(true)
        .with_legacy_session_mode(sessions)
        .with_cancellation_token(shutdown);
    let shared = Arc::clone(shared);
    let keeps = if sessions { Keeps::Sessions } else { Keeps::Nothing };
    StreamableHttpService::new(
        move || Ok(Guarded(Handler::new(&shared, keeps))),
        Arc::new(LocalSessionManager::default()),
        config,
    )
}

/// Serves one client over standard input and output until it closes its end or `shutdown` is cancelled.
///
/// # Errors
/// Returns the reason when the session breaks, but not when the client leaves before it says a word.
pub async fn serve_stdio(shared: &Arc<Shared>, shutdown: CancellationToken) -> Result<(), String> {
    let handler = Guarded(Handler::new(shared, Keeps::Sessions));
    let starting = handler.serve_with_ct(rmcp::transport::io::stdio_pipes(), shutdown.clone());
    let running = tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        started = starting => match started {
            Ok(running) => running,
            Err(rmcp::service::ServerInitializeError::ConnectionClosed(_) | rmcp::service::ServerInitializeError::Cancelled) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        },
    };
    running.waiting().await.map(drop).map_err(|error| error.to_string())
}
