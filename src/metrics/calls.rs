//! The latest calls, for whoever looks on. No arguments, no bodies, no tokens.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// How many are kept.
const KEPT: usize = 200;

/// A call that has ended.
#[derive(Clone, Debug, Serialize)]
pub struct CallRecord {
    /// Joins it with the log and the audit trail.
    pub request_id: String,
    /// When it ended, in milliseconds since 1970.
    pub at_ms: u64,
    /// The tool.
    pub tool: String,
    /// Who called: a keyed hash, the same for the same caller as long as the process runs.
    pub caller: String,
    /// How it ended.
    pub outcome: &'static str,
    /// The status that the API answered with.
    pub upstream_status: Option<u16>,
    /// How long it took, in milliseconds.
    pub elapsed_ms: f64,
}

/// The latest calls, oldest first.
#[derive(Debug, Default)]
pub struct RecentCalls(Mutex<VecDeque<CallRecord>>);

// === impl RecentCalls ===

impl RecentCalls {
    pub(super) fn push(&self, record: CallRecord) {
        let mut kept = self.kept();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(record);
    }

    /// The latest calls, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<CallRecord> {
        self.kept().iter().cloned().collect()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<CallRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
