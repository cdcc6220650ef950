//! The server: settings, HTTP, STDIO, signals. Together with `demo` the only room that names axum.

pub mod callback;
mod http;
mod session;
pub mod settings;
mod shutdown;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::audit::Audit;
use crate::auth::{self, AuthSettings, Authenticator};
use crate::config::server::WatchSpec;
use crate::diag::{Code, Diagnostic, Findings, Report, SourceMap};
use crate::live::{Live, Loader, ReloadOutcome, Watcher};
use crate::mcp::{self, Caller, TokenSource};
use crate::quantity::show_duration;
use settings::Settings;

pub use shutdown::signalled;

/// Everything that runs, ready to be served.
pub struct App {
    settings: Settings,
    live: Arc<Live>,
    authenticator: Arc<dyn Authenticator>,
    audit: Option<Arc<Audit>>,
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
        let authenticator = auth::build(settings.auth.clone()).map_err(|errors| {
            let mut report = Report::new();
            for error in errors {
                report.push(Diagnostic::new(Code::InvalidValue, error.to_string()));
            }
            Findings { report, sources: SourceMap::new() }
        })?;
        let loader = Loader { path: settings.bridges.clone(), environment: settings.environment.clone() };
        let (live, findings) = Live::start(loader)?;
        let audit = settings.audit.clone().map(Audit::open).transpose().map_err(|why| {
            let mut report = Report::new();
            let message = format!("the audit trail can't be opened: {why}");
            report.push(Diagnostic::new(Code::InvalidValue, message).help("`audit` of the server file names it"));
            Findings { report, sources: SourceMap::new() }
        })?;
        Ok((Self { settings, live: Arc::new(live), authenticator, audit: audit.map(Arc::new) }, findings))
    }

    /// What is running, for those who reload it.
    #[must_use]
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Binds the address of the HTTP transport.
    ///
    /// # Errors
    /// Returns [`ServeError::Listen`] when the address is taken or not ours.
    pub async fn bind(&self) -> Result<TcpListener, ServeError> {
        let address = self.settings.listen;
        TcpListener::bind(address).await.map_err(|why| ServeError::Listen { address, why })
    }

    /// Serves Streamable HTTP until `shutdown` is cancelled, then lets calls in flight end within a grace period.
    ///
    /// # Errors
    /// Returns [`ServeError`] when the listener breaks.
    pub async fn serve_http(self, listener: TcpListener, shutdown: CancellationToken) -> Result<(), ServeError> {
        self.prepare();
        let watching = tokio::spawn(watch(
            Arc::clone(&self.live),
            self.settings.bridges.clone(),
            self.settings.watch,
            self.audit.clone(),
            shutdown.clone(),
        ));
        let shared =
            mcp::share(Arc::clone(&self.live), Caller::Http, self.settings.request_timeout, self.audit.clone());
        let served = http::serve(listener, &self, &shared, shutdown.clone()).await;
        shutdown.cancel();
        let _ = watching.await;
        served
    }

    /// Lets the authenticator get ready while the first client is still on its way, and says what weakens it.
    fn prepare(&self) {
        let authenticator = Arc::clone(&self.authenticator);
        tokio::spawn(async move { authenticator.prepare().await });
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
        let watching = tokio::spawn(watch(
            Arc::clone(&self.live),
            self.settings.bridges.clone(),
            self.settings.watch,
            self.audit.clone(),
            shutdown.clone(),
        ));
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
        let shared = mcp::share(self.live, caller, self.settings.request_timeout, self.audit);
        let served = mcp::serve_stdio(&shared, shutdown.clone()).await.map_err(ServeError::Session);
        shutdown.cancel();
        let _ = watching.await;
        served
    }
}

/// Reloads where blocking is allowed: reading and compiling may take a while, and calls go on meanwhile.
async fn reload(live: &Arc<Live>) -> Option<ReloadOutcome> {
    let live = Arc::clone(live);
    match tokio::task::spawn_blocking(move || live.reload()).await {
        Ok(outcome) => Some(outcome),
        Err(error) => {
            warn!(%error, "A reload was lost; the running definitions keep serving.");
            None
        }
    }
}

/// Reloads whenever the files change, until `shutdown` is cancelled.
async fn watch(live: Arc<Live>, path: PathBuf, how: WatchSpec, audit: Option<Arc<Audit>>, shutdown: CancellationToken) {
    let mut hangup = shutdown::Hangup::new();
    let watcher = match how {
        WatchSpec::Events => Watcher::new(&path).map(Some),
        WatchSpec::Poll => Ok(Some(Watcher::polling(&path))),
        WatchSpec::Off => Ok(None),
    };
    let mut watcher = watcher.unwrap_or_else(|error| {
        warn!(%error, "Changes of the bridge files will not be taken up; SIGHUP reloads them, and `watch: poll` may help.");
        None
    });
    if let Some(watcher) = &mut watcher {
        info!(path = %path.display(), "Watching the bridge files.");
        watcher.also(&live.load().secret_files());
        // What changed between the first load and the beginning of the watch has made no event.
        if let Some(outcome) = reload(&live).await
            && !matches!(outcome, ReloadOutcome::Unchanged)
        {
            outcome.log();
        }
    }
    let mut last = String::new();
    loop {
        let changed = async {
            match &mut watcher {
                Some(watcher) => watcher.changed().await,
                None => std::future::pending().await,
            }
        };
        let asked = tokio::select! {
            () = shutdown.cancelled() => return,
            changed = changed => if changed.is_none() { return } else { false },
            () = hangup.received() => {
                info!("Reloading: SIGHUP.");
                if let Some(audit) = &audit {
                    audit.reopen();
                }
                true
            }
        };
        if let Some(watcher) = &mut watcher {
            watcher.refresh();
        }
        if let Some(outcome) = reload(&live).await {
            // Who looks every two seconds says the same thing once.
            let words = outcome.words();
            let is_news = words != last && !(last.is_empty() && matches!(outcome, ReloadOutcome::Unchanged));
            if how != WatchSpec::Poll || asked || is_news {
                outcome.log();
            }
            last = if matches!(outcome, ReloadOutcome::Refused(_)) { words } else { String::new() };
        }
        if let Some(watcher) = &mut watcher {
            watcher.also(&live.load().secret_files());
        }
    }
}
