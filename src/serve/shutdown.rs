//! When to stop.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::connections::Door;
use super::settings::Limits;
use crate::mcp::Shared;

/// How often a server that takes no more connections looks whether anybody is still connected.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a request may take from its connection to its handler.
const ON_ITS_WAY: Duration = Duration::from_millis(100);

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

/// Waits until the server is told to stop or breaks, and then lets it end in order: it goes on for a while, then takes no
/// more connections; once no call is running, streams end; what is left at the end of the grace period is cut off.
pub(super) async fn drain(
    stopping: &CancellationToken,
    door: &Door,
    limits: &Limits,
    shared: &Arc<Shared>,
    streams: &CancellationToken,
    mut serving: JoinHandle<io::Result<()>>,
) -> io::Result<()> {
    tokio::select! {
        broke = &mut serving => {
            streams.cancel();
            return broke.unwrap_or_else(|error| Err(io::Error::other(error)));
        }
        () = stopping.cancelled() => {}
    }
    // Whoever balances load has to notice; each answer asks its client to connect anew, which is elsewhere by then.
    tokio::time::sleep(limits.shutdown_delay).await;
    door.shut();
    let deadline = Instant::now() + limits.shutdown_grace;
    // Who was just let in hasn't sent a request yet, and would be cut off as idle.
    let settled = deadline.min(Instant::now() + ON_ITS_WAY);
    while door.connections() > 0 && Instant::now() < settled {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    door.clear(deadline - Instant::now());
    tokio::select! {
        () = quiet(shared) => {}
        () = tokio::time::sleep_until(deadline) => {}
    }
    streams.cancel();
    let ended = serving.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    if Instant::now() < deadline {
        info!("Stopped: every call had ended.");
    } else {
        let grace_s = limits.shutdown_grace.as_secs();
        warn!(grace_s, "Stopped: calls were still running at the end of the grace period.");
    }
    ended
}

/// Waits until no call is running, and none comes that was on its way.
async fn quiet(shared: &Shared) {
    loop {
        shared.idle().await;
        tokio::time::sleep(ON_ITS_WAY).await;
        if shared.is_idle() {
            return;
        }
    }
}

/// SIGHUP: load the files again, and open the audit trail again.
pub(super) struct Hangup {
    #[cfg(unix)]
    signals: Option<tokio::signal::unix::Signal>,
}

// === impl Hangup ===

impl Hangup {
    pub(super) fn new() -> Self {
        Self {
            #[cfg(unix)]
            signals: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok(),
        }
    }

    /// Waits for the next one; for ever where there is no such signal.
    pub(super) async fn received(&mut self) {
        #[cfg(unix)]
        if let Some(signals) = &mut self.signals
            && signals.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}
