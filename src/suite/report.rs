//! What came of a suite, for machines: JSON, JUnit, TAP and GitHub. Paths are as they were given on the command line.

mod github;
mod json;
mod junit;
mod tap;

use std::time::Duration;

use super::coverage::Coverage;

pub use github::github;
pub use json::json;
pub use junit::junit;
pub use tap::tap;

/// What came of all tests and snapshots of one directory.
#[derive(Clone, Debug)]
pub struct Report {
    /// The path that was tested.
    pub path: String,
    /// The tests, in order, snapshots of catalogues last.
    pub verdicts: Vec<Verdict>,
    /// What was exercised; `None` when not all tests were run.
    pub coverage: Option<Coverage>,
    /// How long it took.
    pub elapsed: Duration,
}

/// What came of one test.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The bridge.
    pub bridge: String,
    /// What is called; `catalogue` for the snapshot of a catalogue.
    pub subject: String,
    /// The name of the test.
    pub name: String,
    /// The file it is written in.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is not as expected.
    pub faults: Vec<Fault>,
    /// How long it took.
    pub elapsed: Duration,
}

/// Something that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it is, such as `request` or `snapshot`.
    pub what: String,
    /// The line on which it is expected.
    pub line: usize,
    /// What was expected.
    pub expected: String,
    /// What is there instead.
    pub got: String,
}

// === impl Report ===

impl Report {
    /// How many tests failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.verdicts.iter().filter(|verdict| !verdict.passed()).count()
    }
}

// === impl Verdict ===

impl Verdict {
    /// Whether everything is as expected.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.faults.is_empty()
    }
}

// === impl Fault ===

impl Fault {
    /// It in words of several lines.
    #[must_use]
    pub fn words(&self) -> String {
        let Self { what, expected, got, .. } = self;
        format!("{what}\nexpected: {expected}\n     got: {got}")
    }
}
