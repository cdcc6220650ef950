//! What became of the reloads, and the earlier revisions that can be put back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{ReloadOutcome, Snapshot};
use crate::config::Revision;

/// How many events are remembered.
const REMEMBERED: usize = 100;

/// One start, reload or rollback.
#[derive(Clone, Debug)]
pub struct Event {
    /// When.
    pub at: SystemTime,
    /// What was running afterwards.
    pub running: Revision,
    /// What came of it.
    pub outcome: Arc<ReloadOutcome>,
}

/// An earlier snapshot.
#[derive(Clone)]
pub(super) struct Kept {
    /// When it was replaced.
    pub(super) until: SystemTime,
    pub(super) snapshot: Arc<Snapshot>,
}

pub(super) struct History {
    pub(super) since: SystemTime,
    pub(super) events: VecDeque<Event>,
    /// Earlier snapshots, the latest first.
    pub(super) kept: VecDeque<Kept>,
    /// What the files say, after a rollback to something else.
    pub(super) written: Option<Arc<Snapshot>>,
}

/// What is running, and whether it is what the files say.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The revision that is running.
    pub running: Revision,
    /// Since when.
    pub since: SystemTime,
    /// The latest events, oldest first.
    pub events: Vec<Event>,
    /// Earlier revisions that can be put back, the latest first, each with when it was replaced.
    pub kept: Vec<(Revision, SystemTime)>,
    /// The revision that the files have, after a rollback to another.
    pub written: Option<Revision>,
}

// === impl History ===

impl History {
    pub(super) fn new(first: &Snapshot) -> Self {
        let since = SystemTime::now();
        let running = first.catalog.revision.clone();
        let started = Event { at: since, running, outcome: Arc::new(ReloadOutcome::Started) };
        Self { since, events: VecDeque::from([started]), kept: VecDeque::new(), written: None }
    }

    /// Remembers an event. Says whether it is news: that nothing changed is none, and neither is the same refusal again.
    pub(super) fn record(&mut self, running: Revision, outcome: &Arc<ReloadOutcome>) -> bool {
        let again = self.events.back().is_some_and(|last| {
            matches!(*last.outcome, ReloadOutcome::Refused(_)) && last.outcome.words() == outcome.words()
        });
        if again || matches!(**outcome, ReloadOutcome::Unchanged) {
            return false;
        }
        if self.events.len() == REMEMBERED {
            self.events.pop_front();
        }
        self.events.push_back(Event { at: SystemTime::now(), running, outcome: Arc::clone(outcome) });
        true
    }

    /// Keeps a snapshot that was replaced.
    pub(super) fn keep(&mut self, snapshot: Arc<Snapshot>, running: &Revision, most: usize) {
        let revision = snapshot.catalog.revision.clone();
        self.kept.retain(|kept| kept.snapshot.catalog.revision != revision);
        self.kept.push_front(Kept { until: SystemTime::now(), snapshot });
        self.kept.retain(|kept| kept.snapshot.catalog.revision != *running);
        self.kept.truncate(most);
    }
}

// === impl Standing ===

impl Standing {
    /// The refusal of what the files say now, if they are refused.
    #[must_use]
    pub fn refused(&self) -> Option<&Event> {
        self.events.last().filter(|last| matches!(*last.outcome, ReloadOutcome::Refused(_)))
    }

    /// For programs. `whole` tells the diagnostics and the differences too, which hold lines of the files.
    #[must_use]
    pub fn json(&self, whole: bool) -> Value {
        let age = SystemTime::now().duration_since(self.since).map_or(0, |age| age.as_secs());
        let mut told = json!({
            "revision": self.running.to_string(),
            "since": time(self.since),
            "age_s": age,
            "files": match (self.refused(), &self.written) {
                (Some(_), _) => "refused",
                (None, Some(_)) => "rolled_back",
                (None, None) => "running",
            },
            "last_reload": self.events.last().map(|event| event.json(whole)),
        });
        if let (Some(members), true) = (told.as_object_mut(), whole) {
            let kept = self
                .kept
                .iter()
                .map(|(revision, until)| json!({ "revision": revision.to_string(), "until": time(*until) }));
            members.insert("kept".to_owned(), kept.collect());
            members.insert("written".to_owned(), json!(self.written.as_ref().map(ToString::to_string)));
        }
        told
    }
}

// === impl Event ===

impl Event {
    /// For programs.
    #[must_use]
    pub fn json(&self, whole: bool) -> Value {
        let mut told = json!({
            "at": time(self.at),
            "outcome": self.outcome.word(),
            "revision": self.running.to_string(),
        });
        if let (Some(members), true) = (told.as_object_mut(), whole) {
            match self.outcome.as_ref() {
                ReloadOutcome::Started | ReloadOutcome::Unchanged => {}
                ReloadOutcome::Accepted(_, diff) | ReloadOutcome::RolledBack(_, diff) => {
                    members.insert("diff".to_owned(), diff.json());
                    members.insert("summary".to_owned(), diff.to_string().into());
                }
                ReloadOutcome::Refused(_) => {
                    members.insert("diagnostics".to_owned(), self.outcome.words().into());
                }
            }
        }
        told
    }
}

/// A moment as RFC 3339 has it, in UTC.
fn time(at: SystemTime) -> String {
    let elapsed = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let second = i64::try_from(elapsed.as_secs()).unwrap_or(0);
    jiff::Timestamp::from_second(second).map(|at| at.to_string()).unwrap_or_default()
}
