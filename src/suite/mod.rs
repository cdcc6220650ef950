//! Config tests: definitions are code, so they get tests. A call of a test goes the way that the server goes, from the
//! arguments to what the model reads; only the API is made up ([`crate::upstream::Canned`]) and the clock stands still.
//!
//! This room knows nothing of terminals; it reads the files of bridges and tests, and those of snapshots.

mod compare;
mod compile;
pub mod coverage;
pub mod record;
pub mod report;
mod run;
pub mod snapshot;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::catalog::compile::compile_noting;
use crate::catalog::{Answers, Catalog};
use crate::config;
use crate::config::case::ExpectSpec;
use crate::diag::{Findings, SourceMap, Span, text};
use crate::principal::Principal;
use crate::upstream::Replies;

pub use run::{Failure, Run};
pub use snapshot::Snapshot;

/// The definitions of a directory, or of one bridge file, with their tests.
#[derive(Debug)]
pub struct Suite {
    /// What the files mean.
    pub catalog: Arc<Catalog>,
    /// The texts of the files, for places.
    pub sources: SourceMap,
    /// The tests, in the order of bridges, inline ones first; each case of a table is one.
    pub cases: Vec<Case>,
    /// The directory of the bridge files.
    pub directory: PathBuf,
}

/// A test that can be run.
#[derive(Debug)]
pub struct Case {
    /// Its name; that of a case of a table has the name of the test before it.
    pub name: String,
    /// The index of the bridge.
    pub bridge: usize,
    /// What is called.
    pub subject: Subject,
    /// Where it is written.
    pub place: Span,
    /// Whether the exchange is compared with a snapshot.
    pub has_snapshot: bool,
    who: Principal,
    claims: Option<Map<String, Value>>,
    arguments: Map<String, Value>,
    answers: Answers,
    replies: Option<Replies>,
    now: Timestamp,
    expect: ExpectSpec,
    places: Vec<(&'static str, Span)>,
}

/// What a test calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A tool, by name.
    Tool(String),
    /// A resource, by the URI that is read.
    Resource(String),
    /// A prompt, by name.
    Prompt(String),
}

/// Runs all tests of a directory of bridge files, or of one bridge file, and gives the snapshots to compare: those of tests
/// with `snapshot: true`, and one of the catalogue of each bridge. A file of tests has none of its own.
///
/// This is what `tollbridge test` does, for tests in Rust. The snapshots can be the very files that the command line
/// keeps:
///
/// ```no_run
/// insta::glob!("../bridges", "*.yaml", |path| {
///     let mut settings = insta::Settings::clone_current();
///     settings.set_snapshot_path("../tests/snapshots");
///     settings.set_prepend_module_to_snapshot(false);
///     settings.remove_snapshot_suffix();
///     settings.bind(|| {
///         for snapshot in tollbridge::suite::run(path).unwrap() {
///             insta::assert_snapshot!(snapshot.name, snapshot.content);
///         }
///     });
/// });
/// ```
///
/// # Errors
/// Returns in words what is wrong with the files, or which tests fail.
pub fn run(path: &Path) -> Result<Vec<Snapshot>, String> {
    if config::is_test_file(path) {
        return Ok(Vec::new());
    }
    let (suite, _) = Suite::load(path).map_err(|findings| text::render(&findings, text::Color::Never))?;
    let runs: Vec<Run<'_>> = suite.cases.iter().map(|case| suite.run(case)).collect();
    let mut failures = String::new();
    for (run, failure) in runs.iter().flat_map(|run| run.failures.iter().map(move |failure| (run, failure))) {
        let Failure { what, place, expected, got } = failure;
        let name = format!("{}: {}", run.case.subject.name(), run.case.name);
        let _ = writeln!(
            failures,
            "{name}\n  {what} ({})\n    expected: {expected}\n         got: {got}",
            suite.place(*place)
        );
    }
    if !failures.is_empty() {
        return Err(failures);
    }
    let exchanges = runs.iter().filter(|run| run.case.has_snapshot).map(|run| Snapshot::of_run(&suite, run));
    let catalogues = (0..suite.catalog.bridges.len()).map(|bridge| Snapshot::of_catalogue(&suite, bridge));
    Ok(exchanges.chain(catalogues).collect())
}

// === impl Suite ===

impl Suite {
    /// Reads definitions and their tests. The findings that come with them are warnings and notes.
    ///
    /// # Errors
    /// Returns all findings when one of them is an error.
    pub fn load(path: &Path) -> Result<(Self, Findings), Findings> {
        let mut documents = config::load_with_tests(path);
        let tests = std::mem::take(&mut documents.tests);
        let (catalog, mut findings) = compile_noting(documents)?;
        let cases = compile::cases(&tests, &catalog, &mut findings);
        if findings.report.has_errors() {
            return Err(findings);
        }
        let directory = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
        let suite = Self {
            catalog: Arc::new(catalog),
            sources: findings.sources.clone(),
            cases,
            directory: directory.to_owned(),
        };
        Ok((suite, findings))
    }

    /// Runs one of the tests. Nothing is waited for, and nothing leaves the process.
    #[must_use]
    pub fn run<'s>(&'s self, case: &'s Case) -> Run<'s> {
        run::run(self, case)
    }

    /// The name of a bridge, by its index.
    #[must_use]
    pub fn bridge_name(&self, index: usize) -> &str {
        self.catalog.bridge(index).map_or("", |bridge| bridge.name.as_str())
    }

    /// A place as people see it: `file:line:column`.
    #[must_use]
    pub fn place(&self, span: Span) -> String {
        format!("{}:{}", self.sources.name(span.file), self.sources.line_col(span))
    }
}

// === impl Case ===

impl Case {
    /// Where a part of `expect` is written, or else the test.
    fn place_of(&self, key: &str) -> Span {
        self.places.iter().find(|(name, _)| *name == key).map_or(self.place, |(_, span)| *span)
    }
}

// === impl Subject ===

impl Subject {
    /// What is called, without a word of its kind.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Tool(name) | Self::Resource(name) | Self::Prompt(name) => name,
        }
    }
}
