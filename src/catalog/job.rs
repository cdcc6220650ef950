//! `async`: how to wait for an API that answers before it is done.

use std::fmt;
use std::time::Duration;

use http::Method;

use super::PathTemplate;
use crate::shape::JobRules;

/// The name of the job's id in a path.
pub const JOB: &str = "job";

/// How to wait for an API that answers before it is done.
#[derive(Debug)]
pub struct Job {
    /// How to read what the API says.
    pub rules: JobRules,
    /// Where to ask how far it has come; `None`: where the `Location` of the first answer leads to.
    pub status: Option<Endpoint>,
    /// Where the result is; `None`: in the last answer.
    pub result: Option<Endpoint>,
    /// What is sent when the caller cancels.
    pub cancel: Option<Endpoint>,
    /// The time between two questions.
    pub interval: Duration,
    /// How long the call may take.
    pub deadline: Duration,
    /// How long a result is kept after that for a client with tasks.
    pub keep: Duration,
    /// Whether a task asks the questions of the tool itself.
    pub asks_within: bool,
}

/// A further request about a job: the rest of it is that of the first.
#[derive(Debug)]
pub struct Endpoint {
    /// The HTTP method.
    pub method: Method,
    /// The path. Its names are [`JOB`] and those of the first request's path.
    pub path: PathTemplate,
}

// === impl Endpoint ===

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.method, self.path)
    }
}
