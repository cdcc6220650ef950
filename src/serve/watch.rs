//! Takes up what changes on disk: the bridge files, the certificate; and says what of the server file takes a restart.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::server_file::ServerFile;
use super::shutdown::Hangup;
use super::tls::Certificate;
use crate::audit::Audit;
use crate::config::server::WatchSpec;
use crate::live::{Breaking, Live, ReloadOutcome, Watcher};

/// What is watched, and for whom.
pub(super) struct Watched {
    pub(super) live: Arc<Live>,
    pub(super) bridges: PathBuf,
    pub(super) how: WatchSpec,
    pub(super) audit: Option<Arc<Audit>>,
    pub(super) certificate: Option<Certificate>,
    pub(super) server_file: Option<ServerFile>,
}

/// Within this time the same thing is not said again.
const SAID_ONCE: Duration = Duration::from_secs(2);

/// Files outside of the directory of bridges.
fn others(live: &Live, certificate: Option<&Certificate>, server_file: Option<&ServerFile>) -> Vec<PathBuf> {
    let mut files = live.load().secret_files();
    files.extend(certificate.into_iter().flat_map(Certificate::files));
    files.extend(server_file.map(|file| file.path().to_owned()));
    files
}

/// Reloads where blocking is allowed: reading and compiling may take a while, and calls go on meanwhile.
pub(super) async fn reload(live: &Arc<Live>, breaking: Breaking) -> Option<Arc<ReloadOutcome>> {
    let live = Arc::clone(live);
    match tokio::task::spawn_blocking(move || live.reload(breaking)).await {
        Ok(outcome) => Some(outcome),
        Err(error) => {
            warn!(%error, "A reload was lost; the running definitions keep serving.");
            None
        }
    }
}

/// Reloads whenever the files change, until `shutdown` is cancelled.
pub(super) async fn run(files: Watched, shutdown: CancellationToken) {
    let Watched { live, bridges: path, how, audit, mut certificate, mut server_file } = files;
    let mut hangup = Hangup::new();
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
        watcher.also(&others(&live, certificate.as_ref(), server_file.as_ref()));
        // What changed between the first load and the beginning of the watch has made no event.
        if let Some(outcome) = reload(&live, Breaking::ByRule).await
            && !matches!(*outcome, ReloadOutcome::Unchanged)
        {
            outcome.log();
        }
    }
    let mut last: Option<(Arc<ReloadOutcome>, Instant)> = None;
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
        if let Some(certificate) = &mut certificate {
            certificate.refresh();
        }
        if let Some(server_file) = &mut server_file {
            server_file.look();
        }
        if let Some(outcome) = reload(&live, Breaking::ByRule).await {
            // Who looks every two seconds says the same thing once, and a log in a watched directory doesn't feed itself.
            let polls = how == WatchSpec::Poll;
            let was_just_said = last
                .as_ref()
                .is_some_and(|(before, at)| (polls || at.elapsed() < SAID_ONCE) && before.words() == outcome.words());
            let was_refused = last.as_ref().is_some_and(|(before, _)| matches!(**before, ReloadOutcome::Refused(_)));
            let is_idle_look = polls && !was_refused && matches!(*outcome, ReloadOutcome::Unchanged);
            if asked || !(was_just_said || is_idle_look) {
                outcome.log();
            }
            last = Some((outcome, Instant::now()));
        }
        if let Some(watcher) = &mut watcher {
            watcher.also(&others(&live, certificate.as_ref(), server_file.as_ref()));
        }
    }
}
