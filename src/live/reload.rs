//! From files to the running snapshot. A bad change is reported and the old snapshot keeps serving.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use tracing::{error, info, warn};

use super::history::{History, Standing};
use super::{Live, Snapshot, activate};
use crate::catalog::CatalogDiff;
use crate::catalog::compile::compile;
use crate::config::variable::Environment;
use crate::config::{self, Revision};
use crate::diag::{Code, Diagnostic, Findings, Report, SourceMap, text};
use crate::metrics::Metrics;
use crate::net::Egress;
use crate::upstream::SharedStore;

/// Where snapshots come from.
#[derive(Clone, Debug, Default)]
pub struct Loader {
    /// The directory of bridge files, or one bridge file.
    pub path: PathBuf,
    /// Which variables the files may read.
    pub environment: Environment,
    /// What a reload may do.
    pub rules: ReloadRules,
    /// What counts reloads and requests.
    pub metrics: Arc<Metrics>,
    /// What replicas share.
    pub shared: Option<Arc<SharedStore>>,
    /// Which addresses may be connected to.
    pub egress: Egress,
}

/// What a reload may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReloadRules {
    /// Whether breaking changes are refused.
    pub refuses_breaking: bool,
    /// How many earlier snapshots are kept.
    pub keep: usize,
}

/// What came of a reload. The one value that log, metrics and pages show.
#[derive(Clone, Debug)]
pub enum ReloadOutcome {
    /// The first snapshot is running.
    Started,
    /// The files say what they said before.
    Unchanged,
    /// The new snapshot is running; this is what it changes.
    Accepted(Revision, CatalogDiff),
    /// The files can't be served; the old snapshot is still running.
    Refused(Findings),
    /// An earlier snapshot is running again, until the files change.
    RolledBack(Revision, CatalogDiff),
}

/// Whether a reload may be breaking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaking {
    /// As the rules have it.
    ByRule,
    /// This time, it may.
    Allowed,
}

/// Why there was no rollback.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RollbackError {
    /// No such revision is kept.
    #[error("no revision `{0}` is kept; `tollbridge status` lists those that are")]
    Unknown(String),
    /// Nothing is kept at all.
    #[error("no earlier revision is kept")]
    Nothing,
}

// === impl ReloadRules ===

impl Default for ReloadRules {
    fn default() -> Self {
        Self { refuses_breaking: false, keep: 10 }
    }
}

// === impl Loader ===

impl Loader {
    /// Reads, compiles and activates. The findings that come with a snapshot are warnings and notes.
    pub(super) fn load(&self, previous: Option<&Snapshot>) -> Result<(Snapshot, Findings), Findings> {
        let documents = config::load(&self.path);
        let (catalog, mut findings) = compile(documents)?;
        match activate::activate(catalog, self, previous) {
            Ok(snapshot) => Ok((snapshot, findings)),
            Err(report) => {
                // What was found before knows which excerpts hold secrets.
                findings.report.extend(report);
                Err(findings)
            }
        }
    }
}

// === impl Live ===

impl Live {
    /// Loads the files again and swaps the snapshot when they have changed and can be served. Reads files, so call it
    /// where blocking is allowed.
    pub fn reload(&self, breaking: Breaking) -> Arc<ReloadOutcome> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let previous = self.load();
        let written = self.history().written.clone().unwrap_or_else(|| Arc::clone(&previous));
        let loaded = self.loader.load(Some(&previous));
        let mut history = self.history();
        let outcome = match loaded {
            // What `${file:…}` names is no part of the definitions, but a new key has to be used.
            Ok((snapshot, _)) if snapshot.is_same(&written) => ReloadOutcome::Unchanged,
            // An editor, a checkout or a mount that is gone: nobody means to serve nothing.
            Ok((snapshot, _)) if snapshot.catalog.bridges.is_empty() && breaking == Breaking::ByRule => {
                ReloadOutcome::Refused(nothing())
            }
            Ok((snapshot, _)) => {
                let diff = CatalogDiff::new(&previous.catalog, &snapshot.catalog);
                if self.loader.rules.refuses_breaking && breaking == Breaking::ByRule && diff.is_breaking() {
                    ReloadOutcome::Refused(gate(&diff))
                } else {
                    history.written = None;
                    let revision = self.swap(&mut history, &previous, Arc::new(snapshot), &diff);
                    ReloadOutcome::Accepted(revision, diff)
                }
            }
            Err(findings) => ReloadOutcome::Refused(findings),
        };
        self.record(&mut history, outcome)
    }

    /// Puts an earlier snapshot back, until the files change again: the one of a revision, by its beginning, or the one
    /// before this.
    ///
    /// # Errors
    /// Returns [`RollbackError`] when it is not kept.
    pub fn rollback(&self, wanted: Option<&str>) -> Result<Arc<ReloadOutcome>, RollbackError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut history = self.history();
        let previous = self.load();
        let fits = |revision: &Revision| wanted.is_none_or(|wanted| revision.to_string().starts_with(wanted));
        let found = history.kept.iter().find(|kept| fits(&kept.snapshot.catalog.revision));
        let snapshot = found.map(|kept| Arc::clone(&kept.snapshot)).ok_or_else(|| match wanted {
            Some(wanted) => RollbackError::Unknown(wanted.to_owned()),
            None => RollbackError::Nothing,
        })?;
        let diff = CatalogDiff::new(&previous.catalog, &snapshot.catalog);
        let written = history.written.take().unwrap_or_else(|| Arc::clone(&previous));
        history.written = (!snapshot.is_same(&written)).then_some(written);
        let revision = self.swap(&mut history, &previous, snapshot, &diff);
        Ok(self.record(&mut history, ReloadOutcome::RolledBack(revision, diff)))
    }

    /// What is running, and what became of the reloads.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let history = self.history();
        let revision = |snapshot: &Arc<Snapshot>| snapshot.catalog.revision.clone();
        Standing {
            running: revision(&self.load()),
            since: history.since,
            events: history.events.iter().cloned().collect(),
            kept: history.kept.iter().map(|kept| (revision(&kept.snapshot), kept.until)).collect(),
            written: history.written.as_ref().map(revision),
        }
    }

    fn swap(&self, history: &mut History, old: &Arc<Snapshot>, new: Arc<Snapshot>, diff: &CatalogDiff) -> Revision {
        let revision = new.catalog.revision.clone();
        for name in old.catalog.tools.keys().filter(|name| !new.catalog.tools.contains_key(*name)) {
            self.loader.metrics.forget(name);
        }
        self.current.store(new);
        history.keep(Arc::clone(old), &revision, self.loader.rules.keep);
        history.since = std::time::SystemTime::now();
        if !diff.is_empty() || old.catalog.revision != revision {
            self.revision.send_replace(revision.clone());
        }
        revision
    }

    fn record(&self, history: &mut History, outcome: ReloadOutcome) -> Arc<ReloadOutcome> {
        let outcome = Arc::new(outcome);
        self.loader.metrics.reloaded(outcome.word());
        if history.record(self.load().catalog.revision.clone(), &outcome) {
            self.news.send_modify(|count| *count += 1);
        }
        outcome
    }

    fn history(&self) -> std::sync::MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why no bridge files at all are not taken up.
fn nothing() -> Findings {
    let mut report = Report::new();
    let finding =
        Diagnostic::new(Code::BreakingChange, "there is no bridge file any more; is the directory still mounted?")
            .help("`tollbridge reload --allow-breaking` serves nothing, if that is meant");
    report.push(finding);
    Findings { report, sources: SourceMap::new() }
}

/// Why a breaking change is not taken up.
fn gate(diff: &CatalogDiff) -> Findings {
    let mut report = Report::new();
    let mut finding = Diagnostic::new(
        Code::BreakingChange,
        "the change is breaking, and `reload: { breaking: refuse }` of the server file lets none through",
    );
    for (change, what) in diff.breaking() {
        finding = finding.help(format!("{} `{}`: {what}", change.what, change.name));
    }
    report.push(finding.help("`tollbridge reload --allow-breaking` takes it up all the same"));
    Findings { report, sources: SourceMap::new() }
}

// === impl ReloadOutcome ===

impl ReloadOutcome {
    /// The outcome in a word, as metrics, the admin port and `tollbridge status` name it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Unchanged => "unchanged",
            Self::Accepted(..) => "accepted",
            Self::Refused(_) => "refused",
            Self::RolledBack(..) => "rolled_back",
        }
    }

    /// The outcome in words, the same for the same outcome.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Started | Self::Unchanged => self.word().to_owned(),
            Self::Accepted(revision, diff) | Self::RolledBack(revision, diff) => format!("{revision}\n{diff}"),
            Self::Refused(findings) => text::render(findings, text::Color::Never),
        }
    }

    /// Writes the outcome to the log.
    pub fn log(&self) {
        match self {
            Self::Started => {}
            Self::Unchanged => info!("Nothing changed in the bridge files."),
            Self::RolledBack(revision, diff) => {
                warn!(%revision, "Rolled back; this revision serves until the files change.\n{diff}");
            }
            Self::Accepted(revision, diff) => {
                let [(_, added), (_, removed), (_, changed), (_, breaking)] = diff.counts();
                info!(%revision, added, removed, changed, breaking, "Reloaded.\n{diff}");
            }
            Self::Refused(findings) => {
                let counts = findings.report.counts();
                error!(
                    errors = counts.errors,
                    "Reload refused; the previous definitions keep serving.\n{}",
                    text::render(findings, text::Color::Never)
                );
                if counts.warnings > 0 {
                    warn!(warnings = counts.warnings, "The refused files have warnings too.");
                }
            }
        }
    }
}
