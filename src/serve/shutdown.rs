//! When to stop.

use tokio_util::sync::CancellationToken;
use tracing::info;

/// Returns a token that is cancelled by the first SIGINT or SIGTERM.
#[must_use]
pub fn signalled() -> CancellationToken {
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        let signal = wait().await;
        info!(signal, "Shutting down.");
        cancelled.cancel();
    });
    token
}

#[cfg(unix)]
async fn wait() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return "SIGINT";
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}

#[cfg(not(unix))]
async fn wait() -> &'static str {
    let _ = tokio::signal::ctrl_c().await;
    "Ctrl-C"
}
