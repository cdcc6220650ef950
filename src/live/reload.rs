//! From files to the running snapshot. A bad change is reported and the old snapshot keeps serving.

use std::path::PathBuf;
use std::sync::Arc;

use tracing::{error, info, warn};

use super::{Live, Snapshot, activate};
use crate::catalog::CatalogDiff;
use crate::catalog::compile::compile;
use crate::config::variable::Environment;
use crate::config::{self, Revision};
use crate::diag::{Findings, text};

/// Where snapshots come from.
#[derive(Clone, Debug)]
pub struct Loader {
    /// The directory of bridge files, or one bridge file.
    pub path: PathBuf,
    /// Which variables the files may read.
    pub environment: Environment,
}

/// What came of a reload. The one value that log, metrics and pages show.
#[derive(Clone, Debug)]
pub enum ReloadOutcome {
    /// The files say what they said before.
    Unchanged,
    /// The new snapshot is running; this is what it changes.
    Accepted(Revision, CatalogDiff),
    /// The files can't be served; the old snapshot is still running.
    Refused(Findings),
}

// === impl Loader ===

impl Loader {
    /// Reads, compiles and activates. The findings that come with a snapshot are warnings and notes.
    pub(super) fn load(&self, previous: Option<&Snapshot>) -> Result<(Snapshot, Findings), Findings> {
        let documents = config::load(&self.path);
        let (catalog, mut findings) = compile(documents)?;
        match activate::activate(catalog, &self.environment, previous) {
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
    pub fn reload(&self) -> ReloadOutcome {
        let previous = self.load();
        match self.loader.load(Some(&previous)) {
            // What `${file:…}` names is no part of the definitions, but a new key has to be used.
            Ok((snapshot, _)) if snapshot.is_same(&previous) => ReloadOutcome::Unchanged,
            Ok((snapshot, _)) => {
                let revision = snapshot.catalog.revision.clone();
                let diff = CatalogDiff::new(&previous.catalog, &snapshot.catalog);
                self.current.store(Arc::new(snapshot));
                self.revision.send_replace(revision.clone());
                ReloadOutcome::Accepted(revision, diff)
            }
            Err(findings) => ReloadOutcome::Refused(findings),
        }
    }
}

// === impl ReloadOutcome ===

impl ReloadOutcome {
    /// The outcome in words, the same for the same outcome.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Unchanged => "unchanged".to_owned(),
            Self::Accepted(revision, diff) => format!("{revision}\n{diff}"),
            Self::Refused(findings) => text::render(findings, text::Color::Never),
        }
    }

    /// Writes the outcome to the log.
    pub fn log(&self) {
        match self {
            Self::Unchanged => info!("Nothing changed in the bridge files."),
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
