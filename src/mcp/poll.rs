//! Looks at resources that an API holds, as long as somebody follows them, and says which have changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::broadcast;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, warn};

use super::shared::Shared;
use crate::live::Mark;

/// How many changes a follower may lag behind.
const BACKLOG: usize = 1024;

/// The resources that are looked at, each once for all who follow it.
pub(super) struct Polls {
    running: Mutex<HashMap<String, Weak<Interest>>>,
    changed: broadcast::Sender<String>,
}

/// Somebody follows a resource; the last one who drops it ends the looking.
pub(super) struct Interest(#[expect(dead_code, reason = "it counts when it is dropped")] DropGuard);

// === impl Polls ===

impl Polls {
    pub(super) fn new() -> Self {
        Self { running: Mutex::default(), changed: broadcast::Sender::new(BACKLOG) }
    }

    /// Hears of the URIs of resources that have changed.
    pub(super) fn changes(&self) -> broadcast::Receiver<String> {
        self.changed.subscribe()
    }

    /// Begins to look at a resource, unless somebody else follows it already.
    pub(super) fn follow(&self, shared: &Arc<Shared>, uri: &str) -> Arc<Interest> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|_, interest| interest.strong_count() > 0);
        if let Some(interest) = running.get(uri).and_then(Weak::upgrade) {
            return interest;
        }
        let ended = CancellationToken::new();
        let interest = Arc::new(Interest(ended.clone().drop_guard()));
        running.insert(uri.to_owned(), Arc::downgrade(&interest));
        tokio::spawn(look(Arc::clone(shared), uri.to_owned(), ended));
        interest
    }
}

/// Looks again and again, as often as the running definitions say.
async fn look(shared: Arc<Shared>, uri: String, ended: CancellationToken) {
    let mut revisions = shared.live().revisions();
    let mut known: Option<Mark> = None;
    let mut failing = false;
    loop {
        let snapshot = shared.live().load();
        let found = snapshot.catalog.resource(&uri);
        let pause = found.as_ref().and_then(|(resource, _)| resource.watch);
        if let Some((resource, variables)) = found.filter(|_| pause.is_some()) {
            match snapshot.look(resource, &variables, known.as_ref()).await {
                Ok(None) => failing = false,
                Ok(Some(mark)) => {
                    // The first look is what the follower knows.
                    if known.replace(mark).is_some() {
                        debug!(uri, "A resource has changed.");
                        let _ = shared.polls.changed.send(uri.clone());
                    }
                    failing = false;
                }
                Err(error) if !failing => {
                    failing = true;
                    warn!(uri, reason = error.to_string(), "A resource that is followed can't be looked at.");
                }
                Err(_) => {}
            }
        } else {
            known = None;
        }
        drop(snapshot);
        let rest = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = ended.cancelled() => return,
            () = shared.stopping().cancelled() => return,
            () = rest => {}
            changed = revisions.changed(), if pause.is_none() => if changed.is_err() { return },
        }
    }
}
