//! The server file is read at the start. What changes in it later takes a restart, and the log says so.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};
use tracing::{error, warn};

use crate::config;
use crate::diag::{listed, text};

/// Keys of the server file that have changed since the start; the admin port shows them.
#[derive(Clone, Debug, Default)]
pub(super) struct Stale(Arc<Mutex<Vec<String>>>);

/// The server file as it was read, and as it was last seen.
pub(super) struct ServerFile {
    path: PathBuf,
    first: Map<String, Value>,
    last: Option<Map<String, Value>>,
    stale: Stale,
}

// === impl Stale ===

impl Stale {
    pub(super) fn keys(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, keys: Vec<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }
}

// === impl ServerFile ===

impl ServerFile {
    pub(super) fn new(path: &Path, stale: Stale) -> Self {
        let first = config::load_object(path).unwrap_or_default();
        Self { path: path.to_owned(), last: Some(first.clone()), first, stale }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at the file again and says what a restart would change.
    pub(super) fn look(&mut self) {
        let now = match config::load_server(&self.path) {
            Ok(_) => config::load_object(&self.path).ok(),
            Err(findings) => {
                if self.last.take().is_some() {
                    error!(
                        "The server file has changed, and a restart would refuse it.\n{}",
                        text::render(&findings, text::Color::Never)
                    );
                }
                return;
            }
        };
        if now == self.last {
            return;
        }
        let Some(found) = now else { return };
        let names = self.first.keys().chain(found.keys().filter(|name| !self.first.contains_key(*name)));
        let changed: Vec<String> = names.filter(|name| self.first.get(*name) != found.get(*name)).cloned().collect();
        if changed.is_empty() {
            warn!("The server file says again what it said at the start.");
        } else {
            let keys = listed(changed.iter().map(String::as_str), "and");
            warn!(%keys, "The server file has changed; these settings take a restart.");
        }
        self.stale.set(changed);
        self.last = Some(found);
    }
}
