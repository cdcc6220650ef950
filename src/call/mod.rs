//! One call, without I/O: what is asked for, and who is to blame when it can't be done.

mod access;
mod follow_up;
mod layout;
mod plan;
pub mod prepare;
mod preview;
mod questions;
mod request;

pub use access::{Standing, allow, lacks, standing};
pub use follow_up::{bare, follow_up};
pub use plan::{Plan, plan};
pub use prepare::{Owner, prepare};
pub use preview::{Fragment, FragmentSource, Preview, SourceLine};
pub use questions::{Asked, Pending, accept, pending};
pub use request::{
    ACCEPT, Field, FieldValue, Origin, Pair, PathPart, Request, RequestBody, Reveal, Shown, WireBody, collected,
};

use crate::catalog::{ArgumentError, Capability};

/// Why a call gave no result, by who is to blame. `Display` is written for the model: it names no secret and no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The model: the arguments don't fit.
    #[error("{}", .0.join("\n"))]
    Argument(Vec<String>),
    /// The caller: their token lacks something.
    #[error("{0}")]
    Denied(String),
    /// The caller: for them there is no tool of this name.
    #[error("no such tool: {0}")]
    Unknown(String),
    /// Nobody yet: these questions come first.
    #[error("{}", questions::listed(.0))]
    Unanswered(Vec<Pending>),
    /// The user: they said no.
    #[error("The user declined (`{0}`): nothing was sent")]
    Declined(String),
    /// The client: it can't do what the tool needs.
    #[error("This client can't do what the tool needs: {}. Nothing was sent", crate::diag::listed(.0.iter().map(ToString::to_string).collect::<Vec<_>>().iter().map(String::as_str), "and"))]
    Incapable(Vec<Capability>),
    /// The pace: too many calls in too short a time.
    #[error("{0}")]
    Limited(String),
    /// The API: it can't be reached, or does not answer as it should.
    #[error("{0}")]
    Upstream(String),
    /// Us, or the bridge file.
    #[error("internal error {id}; the server's log has the details")]
    Internal {
        /// Joins this error with the log.
        id: String,
        /// What happened: for the log and for whoever wrote the bridge file, never for a model.
        details: String,
    },
}

// === impl CallError ===

impl CallError {
    /// Blames arguments.
    #[must_use]
    pub fn arguments(errors: &[ArgumentError]) -> Self {
        Self::Argument(errors.iter().map(ToString::to_string).collect())
    }

    /// Blames us, under a fresh id.
    #[must_use]
    pub fn internal(details: impl Into<String>) -> Self {
        Self::Internal { id: uuid::Uuid::new_v4().to_string(), details: details.into() }
    }

    /// The error in the words of the log and of whoever wrote the bridge file.
    #[must_use]
    pub fn to_author(&self) -> String {
        match self {
            Self::Internal { details, .. } => details.clone(),
            _ => self.to_string(),
        }
    }

    /// Writes the details of an internal error to the log; of any other there are none.
    pub fn log(&self, subject: &str) {
        if let Self::Internal { id, details } = self {
            tracing::error!(error_id = id, subject, details, "A call failed inside the bridge.");
        }
    }
}
