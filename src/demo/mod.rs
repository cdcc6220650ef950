//! Everything that `tollbridge demo` needs besides the bridge itself: a sample API and a development token issuer, both
//! on loopback. For trying things out; nothing here is meant for production.

pub mod api;
pub mod issuer;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use issuer::Issuer;

/// The audience of the demo's tokens.
pub const AUDIENCE: &str = "api://enterprise";
/// How long the demo's tokens are valid, in seconds.
const TOKEN_LIFE: u64 = 8 * 3600;

/// A running sample API and token issuer.
pub struct Demo {
    issuer: Issuer,
    api_url: String,
}

/// A person of the demo and their token.
#[derive(Clone, Debug)]
pub struct DemoUser {
    /// Their first name.
    pub name: &'static str,
    /// What to know about them.
    pub note: &'static str,
    /// Their access token.
    pub token: String,
}

/// Why the demo can't start.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A port is taken.
    #[error("can't listen on 127.0.0.1:{port} ({why}); choose other ports with --port")]
    Port {
        /// The port.
        port: u16,
        /// The system's reason.
        why: io::Error,
    },
    /// No signing key could be made.
    #[error("no signing key could be made")]
    Key,
}

// === impl Demo ===

impl Demo {
    /// Starts API and issuer on two loopback ports (0 takes any free one); they run until `shutdown` is cancelled.
    ///
    /// # Errors
    /// Returns [`DemoError`] when a port is taken or no key could be made.
    pub async fn start(api_port: u16, issuer_port: u16, shutdown: &CancellationToken) -> Result<Self, DemoError> {
        let (issuer_listener, issuer_address) = listen(issuer_port).await?;
        let (api_listener, api_address) = listen(api_port).await?;
        let issuer = Issuer::new(&format!("http://{issuer_address}"), AUDIENCE).ok_or(DemoError::Key)?;
        spawn(issuer_listener, issuer::router(issuer.clone()), shutdown.clone());
        spawn(api_listener, api::router(issuer.clone()), shutdown.clone());
        Ok(Self { issuer, api_url: format!("http://{api_address}") })
    }

    /// The base URL of the sample API.
    pub fn api_url(&self) -> &str {
        &self.api_url
    }

    /// The token issuer.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Two people with fresh tokens.
    pub fn users(&self) -> Vec<DemoUser> {
        [
            ("alice", "Alice", "gpid 10012345"),
            ("bob", "Bob", "no gpid, so the bridge falls back to employeeNumber 20023456"),
        ]
        .into_iter()
        .filter_map(|(login, name, note)| Some(DemoUser { name, note, token: self.issuer.mint(login, TOKEN_LIFE)? }))
        .collect()
    }
}

async fn listen(port: u16) -> Result<(TcpListener, SocketAddr), DemoError> {
    let failed = |why| DemoError::Port { port, why };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

fn spawn(listener: TcpListener, router: axum::Router, shutdown: CancellationToken) {
    tokio::spawn(async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            served = async { axum::serve(listener, router).await } => {
                if let Err(error) = served {
                    tracing::error!(%error, "A part of the demo stopped.");
                }
            }
        }
    });
}
