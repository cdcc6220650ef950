//! Notices that something changed below a directory. A tick says nothing about what changed: the files are read again
//! and compared by their content.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify_debouncer_full::notify::{EventKind, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};
use tokio::sync::mpsc;
use tracing::warn;

/// How long the files must be still: an editor's rename or a checkout of many files is one change.
const STILL: Duration = Duration::from_millis(200);

/// Watches a directory for as long as it lives.
pub struct Watcher {
    /// Keeps the watch alive.
    debouncer: Debouncer<RecommendedWatcher, RecommendedCache>,
    ticks: mpsc::Receiver<()>,
    /// The directory of the bridge files.
    main: PathBuf,
    /// Directories of other files, which are not looked into any deeper.
    others: BTreeSet<PathBuf>,
}

/// Why a directory can't be watched.
#[derive(Debug, thiserror::Error)]
#[error("changes of the bridge files can't be watched: {0}")]
pub struct WatchError(String);

// === impl Watcher ===

impl Watcher {
    /// Begins to watch a directory and all below it, or the directory of a file.
    ///
    /// # Errors
    /// Returns [`WatchError`] when the system refuses.
    pub fn new(path: &Path) -> Result<Self, WatchError> {
        let directory = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) };
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let (sender, ticks) = mpsc::channel(1);
        let tick = move |result: DebounceEventResult| {
            let changed = match result {
                // Our own reading of the files is an access too; it must not look like a change.
                Ok(events) => events.iter().any(|event| !matches!(event.kind, EventKind::Access(_))),
                // Events were lost, so something may have changed.
                Err(_) => true,
            };
            if changed {
                // A tick that is still waiting stands for this one too.
                let _ = sender.try_send(());
            }
        };
        let refused = |error: notify_debouncer_full::notify::Error| WatchError(error.to_string());
        let mut debouncer = new_debouncer(STILL, None, tick).map_err(refused)?;
        debouncer.watch(directory, RecursiveMode::Recursive).map_err(refused)?;
        let main = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
        Ok(Self { debouncer, ticks, main, others: BTreeSet::new() })
    }

    /// Watches these files too, wherever they lie, and no longer those that were named before.
    pub fn also(&mut self, files: &[PathBuf]) {
        let directory = |file: &PathBuf| {
            let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            parent.canonicalize().ok().filter(|parent| !parent.starts_with(&self.main))
        };
        let wanted: BTreeSet<PathBuf> = files.iter().filter_map(directory).collect();
        for gone in self.others.difference(&wanted) {
            let _ = self.debouncer.unwatch(gone);
        }
        let mut watched: BTreeSet<PathBuf> = self.others.intersection(&wanted).cloned().collect();
        for directory in wanted.difference(&self.others) {
            match self.debouncer.watch(directory, RecursiveMode::NonRecursive) {
                Ok(()) => drop(watched.insert(directory.clone())),
                Err(error) => {
                    warn!(directory = %directory.display(), %error, "Changes of files in it will not be taken up.");
                }
            }
        }
        self.others = watched;
    }

    /// Waits for the next change; `None` when the watch has ended.
    pub async fn changed(&mut self) -> Option<()> {
        self.ticks.recv().await
    }
}
