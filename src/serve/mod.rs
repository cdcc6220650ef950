//! The server: settings, HTTP, STDIO, signals. Together with `demo` the only room that names axum.

mod admin;
mod body;
pub mod callback;
mod connections;
mod http;
mod page;
mod server_file;
mod session;
pub mod settings;
mod shutdown;
mod tls;
mod watch;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::audit::Audit;
use crate::auth::{self, AuthSettings, Authenticator};
use crate::diag::{Code, Diagnostic, Findings, Report, SourceMap};
use crate::live::{Live, Loader};
use crate::mcp::{self, Caller, TokenSource};
use crate::metrics::{Meter, Metrics, Purpose};
use crate::quantity::show_duration;
use crate::upstream::SharedStore;
use connections::Door;
use server_file::{ServerFile, Stale};
use settings::Settings;
use tls::Certificate;

pub use shutdown::signalled;

/// Everything that runs, ready to be served.
pub struct App {
    settings: Settings,
    live: Arc<Live>,
    authenticator: Arc<dyn Authenticator>,
    audit: Option<Arc<Audit>>,
    metrics: Arc<Metrics>,
    store: Option<Arc<SharedStore>>,
    stale: Stale,
}

/// The addresses that are ours.
#[derive(Debug)]
pub struct Listeners {
    /// For clients.
    pub mcp: TcpListener,
    /// For operators.
    pub admin: Option<TcpListener>,
}

/// How a server ends: first it is told to, then, once calls have ended, its streams do.
#[derive(Clone)]
pub(crate) struct Ends {
    /// It is not ready any more.
    pub(crate) stopping: CancellationToken,
    /// Streams of sessions end.
    pub(crate) streams: CancellationToken,
}

/// Why a server ended early.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address can't be listened on.
    #[error("can't listen on {address}: {why}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        why: std::io::Error,
    },
    /// The connection with the client broke.
    #[error("the session ended: {0}")]
    Session(String),
}

// === impl App ===

impl App {
    /// Loads the bridges and makes all clients. Opens no connection. The findings are warnings and notes.
    ///
    /// # Errors
    /// Returns the findings when the configuration can't be served.
    pub fn build(settings: Settings) -> Result<(Self, Findings), Findings> {
        let metrics: Arc<Metrics> = Arc::default();
        let meter = Meter::new(&metrics, Purpose::Introspection);
        let authenticator = auth::build(settings.auth.clone(), &meter).map_err(|errors| {
            let mut report = Report::new();
            for error in errors {
                report.push(Diagnostic::new(Code::InvalidValue, error.to_string()));
            }
            Findings { report, sources: SourceMap::new() }
        })?;
        let store = settings.shared.clone().map(|url| Arc::new(SharedStore::new(url, &metrics)));
        let loader = Loader {
            path: settings.bridges.clone(),
            environment: settings.environment.clone(),
            rules: settings.reload,
            metrics: Arc::clone(&metrics),
            shared: store.clone(),
            egress: settings.egress.clone(),
        };
        let (live, findings) = Live::start(loader)?;
        let audit = settings.audit.clone().map(Audit::open).transpose().map_err(|why| {
            let mut report = Report::new();
            let message = format!("the audit trail can't be opened: {why}");
            report.push(Diagnostic::new(Code::InvalidValue, message).help("`audit` of the server file names it"));
            Findings { report, sources: SourceMap::new() }
        })?;
        let (live, audit, stale) = (Arc::new(live), audit.map(Arc::new), Stale::default());
        Ok((Self { settings, live, authenticator, audit, metrics, store, stale }, findings))
    }

    /// What is running, for those who reload it.
    #[must_use]
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Binds the addresses of the HTTP transport and of the admin port.
    ///
    /// # Errors
    /// Returns [`ServeError::Listen`] when an address is taken or not ours.
    pub fn bind(&self) -> Result<Listeners, ServeError> {
        let bind = |address: SocketAddr| TcpListener::bind(address).map_err(|why| ServeError::Listen { address, why });
        let mcp = bind(self.settings.listen)?;
        let admin = self.settings.admin.as_ref().map(|admin| bind(admin.listen)).transpose()?;
        Ok(Listeners { mcp, admin })
    }

    /// Serves Streamable HTTP until `shutdown` is cancelled. Then the server is not ready any more; after a delay it takes
    /// no more connections, and calls that are running may end within a grace period.
    ///
    /// # Errors
    /// Returns [`ServeError`] when a listener breaks.
    pub async fn serve_http(self, listeners: Listeners, shutdown: CancellationToken) -> Result<(), ServeError> {
        self.prepare();
        let address = self.settings.listen;
        let broken = |why: std::io::Error| ServeError::Listen { address, why };
        let local = listeners.mcp.local_addr().map_err(broken)?;
        let certificate = self.settings.tls.clone().map(Certificate::new).transpose();
        let certificate = certificate.map_err(|why| broken(std::io::Error::other(why)))?;
        let config = certificate.as_ref().map(Certificate::config);
        let watching = self.watch(certificate, shutdown.clone());
        let ends = Ends { stopping: shutdown.clone(), streams: CancellationToken::new() };
        let shared = mcp::share(Arc::clone(&self.live), Caller::Http, self.options(&shutdown));
        let router = http::router(&self, &shared, local, &ends)
            .map_err(|_| broken(std::io::Error::other("the system gives no random bytes")))?;
        let door = Door::default();
        let admin = match listeners.admin {
            Some(listener) => Some(admin::start(&self, listener, &ends).map_err(broken)?),
            None => None,
        };
        let scheme = if config.is_some() { "https" } else { "http" };
        let endpoint = format!("{}/mcp", self.settings.public_url_for(local));
        let endpoint = if self.settings.public_url.is_none() { format!("{scheme}://{local}/mcp") } else { endpoint };
        info!(address = %local, %endpoint, "Serving Streamable HTTP.");
        let limits = self.settings.limits;
        let metrics = Arc::clone(&self.metrics);
        let serving = connections::serve(listeners.mcp, router, door.clone(), limits, config, metrics);
        let serving = tokio::spawn(serving);
        let stopped = shutdown::drain(&shutdown, &door, &limits, &shared, &ends.streams, serving).await;
        shutdown.cancel();
        let _ = watching.await;
        if let Some(admin) = admin {
            admin.stop().await;
        }
        stopped.map_err(broken)
    }

    /// Takes up changes of the files until `shutdown` is cancelled.
    fn watch(&self, certificate: Option<Certificate>, shutdown: CancellationToken) -> JoinHandle<()> {
        let watched = watch::Watched {
            live: Arc::clone(&self.live),
            bridges: self.settings.bridges.clone(),
            how: self.settings.watch,
            audit: self.audit.clone(),
            certificate,
            server_file: self.settings.file.as_deref().map(|path| ServerFile::new(path, self.stale.clone())),
        };
        tokio::spawn(watch::run(watched, shutdown))
    }

    fn options(&self, stopping: &CancellationToken) -> mcp::Options {
        mcp::Options {
            call_timeout: self.settings.request_timeout,
            audit: self.audit.clone(),
            metrics: Arc::clone(&self.metrics),
            calls_per_caller: self.settings.limits.calls_per_caller,
            stopping: stopping.clone(),
            shared: self.store.clone(),
            toolsets: self.settings.toolsets.clone(),
            discovery: self.settings.discovery,
            page: self.settings.limits.list_items,
        }
    }

    /// Lets the authenticator get ready while the first client is still on its way, and says what weakens it.
    fn prepare(&self) {
        let authenticator = Arc::clone(&self.authenticator);
        tokio::spawn(async move { authenticator.prepare().await });
        let snapshot = self.live.load();
        for set in self.settings.toolsets.iter().filter(|set| !snapshot.catalog.has_toolset(set)) {
            warn!(
                toolset = set,
                "No tool belongs to this set: look at `toolsets` of the tools, or at how it is written."
            );
        }
        if let AuthSettings::Issuers(issuers) = &self.settings.auth {
            for settings in issuers {
                if let Some(time) = settings.keep {
                    let issuer = settings.issuer().unwrap_or_default();
                    let kept = show_duration(time);
                    warn!(issuer, kept, "Verdicts on tokens are kept: a revoked token stays good for as long.");
                }
            }
        }
    }

    /// Serves one client over standard input and output.
    ///
    /// # Errors
    /// Returns [`ServeError::Session`] when the session breaks.
    pub async fn serve_stdio(self, shutdown: CancellationToken) -> Result<(), ServeError> {
        self.prepare();
        let watching = self.watch(None, shutdown.clone());
        let options = self.options(&shutdown);
        let caller = match self.settings.auth {
            AuthSettings::None => Caller::Nobody,
            AuthSettings::Issuers(_) => Caller::Stdio(
                match self.settings.stdio_token {
                    crate::config::server::TokenSpec::Env => TokenSource::Environment,
                    crate::config::server::TokenSpec::Argument => TokenSource::Argument,
                },
                self.authenticator,
            ),
        };
        let shared = mcp::share(self.live, caller, options);
        let served = Box::pin(mcp::serve_stdio(&shared, shutdown.clone())).await.map_err(ServeError::Session);
        shutdown.cancel();
        let _ = watching.await;
        served
    }
}
