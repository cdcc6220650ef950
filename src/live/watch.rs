//! Notices that something changed below a directory. A tick says nothing about what changed: the files are read again
//! and compared by their content.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify_debouncer_full::notify::{EventKind, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};
use tokio::sync::mpsc;
use tracing::warn;

/// How long the files must be still: an editor's rename or a checkout of many files is one change.
const STILL: Duration = Duration::from_millis(200);

/// How often files are looked at where there are no events.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Watches a directory for as long as it lives.
pub struct Watcher {
    /// Keeps the watch alive; `None` where nobody tells of events.
    debouncer: Option<Debouncer<RecommendedWatcher, RecommendedCache>>,
    ticks: mpsc::Receiver<()>,
    /// The directory of the bridge files, as it is named.
    named: PathBuf,
    /// The same without links on the way.
    main: PathBuf,
    /// What tells this directory from another of the same name.
    identity: Option<u64>,
    /// Directories of other files, which are not looked into any deeper.
    others: BTreeSet<PathBuf>,
    /// Those files, for the one who sorts events.
    files: Arc<Mutex<BTreeSet<PathBuf>>>,
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
        let named = directory(path);
        let main = named.canonicalize().unwrap_or_else(|_| named.clone());
        // A directory that is removed or moved away takes its watch along; its parent tells when it is back.
        let parent = main.parent().map(Path::to_owned);
        let files: Arc<Mutex<BTreeSet<PathBuf>>> = Arc::default();
        let (sender, ticks) = mpsc::channel(1);
        let tick = {
            let (main, files) = (main.clone(), Arc::clone(&files));
            // Whatever else happens beside the directory and the files, such as a log that grows, is none of ours.
            let matters = move |path: &PathBuf| path.starts_with(&main) || locked(&files).contains(path);
            move |result: DebounceEventResult| {
                let changed = match result {
                    // Our own reading of the files is an access too; it must not look like a change.
                    Ok(events) => events
                        .iter()
                        .any(|event| !matches!(event.kind, EventKind::Access(_)) && event.paths.iter().any(&matters)),
                    // Events were lost, so something may have changed.
                    Err(_) => true,
                };
                if changed {
                    // A tick that is still waiting stands for this one too.
                    let _ = sender.try_send(());
                }
            }
        };
        let refused = |error: notify_debouncer_full::notify::Error| WatchError(error.to_string());
        let mut debouncer = new_debouncer(STILL, None, tick).map_err(refused)?;
        debouncer.watch(&main, RecursiveMode::Recursive).map_err(refused)?;
        if let Some(parent) = parent {
            // Without it a directory that comes back is not seen; everything else is.
            let _ = debouncer.watch(&parent, RecursiveMode::NonRecursive);
        }
        let identity = identity(&main);
        Ok(Self { debouncer: Some(debouncer), ticks, named, main, identity, others: BTreeSet::new(), files })
    }

    /// Ticks every two seconds, whether something changed or not: for file systems that tell nothing.
    #[must_use]
    pub fn polling(path: &Path) -> Self {
        let (sender, ticks) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                if sender.send(()).await.is_err() {
                    return;
                }
            }
        });
        let named = directory(path);
        Self {
            debouncer: None,
            ticks,
            main: named.clone(),
            named,
            identity: None,
            others: BTreeSet::new(),
            files: Arc::default(),
        }
    }

    /// Watches the directory that has its name now, if that is another one than before.
    pub fn refresh(&mut self) {
        let Some(debouncer) = &mut self.debouncer else { return };
        let now = identity(&self.named);
        if now.is_none() || now == self.identity {
            return;
        }
        let _ = debouncer.unwatch(&self.main);
        match debouncer.watch(&self.main, RecursiveMode::Recursive) {
            Ok(()) => self.identity = now,
            Err(error) => warn!(%error, "Changes of the bridge files will not be taken up; SIGHUP reloads them."),
        }
    }

    /// Watches these files too, wherever they lie, and no longer those that were named before.
    pub fn also(&mut self, files: &[PathBuf]) {
        let Some(debouncer) = &mut self.debouncer else { return };
        let files: BTreeSet<PathBuf> = files.iter().flat_map(|file| places(file)).collect();
        let wanted: BTreeSet<PathBuf> = files
            .iter()
            .filter_map(|file| file.parent())
            .filter(|parent| !parent.starts_with(&self.main))
            .map(Path::to_owned)
            .collect();
        for gone in self.others.difference(&wanted) {
            let _ = debouncer.unwatch(gone);
        }
        let mut watched: BTreeSet<PathBuf> = self.others.intersection(&wanted).cloned().collect();
        for directory in wanted.difference(&self.others) {
            match debouncer.watch(directory, RecursiveMode::NonRecursive) {
                Ok(()) => drop(watched.insert(directory.clone())),
                Err(error) => {
                    warn!(directory = %directory.display(), %error, "Changes of files in it will not be taken up.");
                }
            }
        }
        *locked(&self.files) = files;
        self.others = watched;
    }

    /// Waits for the next change; `None` when the watch has ended.
    pub async fn changed(&mut self) -> Option<()> {
        self.ticks.recv().await
    }
}

/// Where a file lies, and what its own link goes through there: Kubernetes swaps `..data`, and `key -> ..data/key` stays.
fn places(file: &Path) -> Vec<PathBuf> {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (Ok(parent), Some(name)) = (parent.canonicalize(), file.file_name()) else { return Vec::new() };
    let through = file.read_link().ok().and_then(|link| match link.components().next() {
        Some(Component::Normal(first)) => Some(parent.join(first)),
        _ => None,
    });
    std::iter::once(parent.join(name)).chain(through).collect()
}

fn directory(path: &Path) -> PathBuf {
    let directory = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) };
    if directory.as_os_str().is_empty() { PathBuf::from(".") } else { directory.to_owned() }
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<u64> {
    path.metadata().ok().map(|metadata| std::os::unix::fs::MetadataExt::ino(&metadata))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> Option<u64> {
    path.exists().then_some(0)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
