//! `async`: how to wait for an API that answers before it is done.

use std::time::Duration;

use http::Method;

use super::Compiler;
use crate::catalog::PathTemplate;
use crate::catalog::job::{Endpoint, JOB, Job};
use crate::config::bridge::{CapabilitySpec, ToolSpec};
use crate::config::job::{AskWhenSpec, AsyncSpec};
use crate::config::yaml::Cursor;
use crate::diag::{Code, Diagnostic, listed};
use crate::quantity;
use crate::shape::JobRules;

const INTERVAL: Duration = Duration::from_secs(2);
const DEADLINE: Duration = Duration::from_mins(10);
const KEEP: Duration = Duration::from_mins(5);
/// No API is asked more often than this.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_hours(24);

// === impl Compiler ===

impl Compiler<'_> {
    /// Compiles the `async` of a tool; `at` is the tool.
    pub(super) fn job(&mut self, at: &Cursor<'_>, spec: &ToolSpec, path: Option<&PathTemplate>) -> Option<Job> {
        let tool = at;
        let Some(written) = &spec.slow else {
            if let Some(index) = spec.requires.iter().position(|it| *it == CapabilitySpec::Tasks) {
                self.push(at.get("requires").index(index).error(
                    Code::ConflictingKeys,
                    "this tool never makes a task",
                    "only a tool with `async` does",
                ));
            }
            return None;
        };
        let at = at.get("async");
        let clashes = [
            ("cache", spec.cache.is_some(), "an answer that is kept would be the one that a job was begun with"),
            ("paginate", spec.paginate.is_some(), "an answer comes in pages, or later"),
        ];
        for (key, _, why) in clashes.into_iter().filter(|(_, is_written, _)| *is_written) {
            let finding = tool.get(key).key_error(
                Code::ConflictingKeys,
                format!("`{key}` and `async` exclude each other"),
                format!("{why}; drop one of them"),
            );
            self.push(finding);
        }
        let AsyncSpec { job, status, done, failed, progress, result, cancel, interval, deadline, keep, ask } = written;
        let mut select =
            |key: &str, text: &Option<String>| text.as_ref().and_then(|text| self.select(&at.get(key), text));
        let rules = JobRules {
            id: select("job", job),
            done: select("done", done),
            failed: select("failed", failed),
            progress: select("progress", progress),
        };
        let has_job = job.is_some();
        if has_job && path.is_some_and(|path| path.names().any(|name| name == JOB)) {
            self.push(at.get("job").key_error(
                Code::DuplicateName,
                "`{job}` is the id of the job, and a parameter of the endpoint's path",
                "name the parameter otherwise",
            ));
        }
        let mut about = |key: &str, text: &Option<String>, reads: bool| {
            text.as_ref().and_then(|text| self.about_job(&at.get(key), text, path, has_job, reads))
        };
        let status = about("status", status, true);
        let result = about("result", result, true);
        let cancel = about("cancel", cancel, false);
        let mut time = |key: &str, text: &Option<String>, default: Duration, least: Duration| match text {
            None => default,
            Some(text) => self.span_of_time(&at.get(key), text, least).unwrap_or(default),
        };
        let interval = time("interval", interval, INTERVAL, SHORTEST_INTERVAL);
        let millisecond = Duration::from_millis(1);
        let deadline = time("deadline", deadline, DEADLINE, millisecond);
        let keep = time("keep", keep, KEEP, millisecond);
        let asks_within = *ask == Some(AskWhenSpec::WithinTask);
        if asks_within && spec.ask.is_empty() && spec.confirm.is_none() {
            self.push(at.get("ask").key_error(
                Code::ConflictingKeys,
                "this tool has nothing to ask",
                "drop it, or write `confirm` or `ask` beside `async`",
            ));
        }
        Some(Job { rules, status, result, cancel, interval, deadline, keep, asks_within })
    }

    /// An endpoint with the job's id in its path.
    fn about_job(
        &mut self,
        at: &Cursor<'_>,
        written: &str,
        of_tool: Option<&PathTemplate>,
        has_job: bool,
        reads: bool,
    ) -> Option<Endpoint> {
        let (method, path) = self.endpoint(at, written)?;
        if reads && method != Method::GET {
            let span = at.find(self.sources, method.as_str());
            let finding = Diagnostic::new(Code::InvalidEndpoint, format!("`{method}` can't ask for a job"));
            self.push(finding.at(span, "what is asked again and again is a GET"));
        }
        let mut known: Vec<&str> = of_tool.into_iter().flat_map(PathTemplate::names).collect();
        if has_job {
            known.push(JOB);
        }
        for name in path.names().filter(|name| !known.contains(name)) {
            let span = at.find(self.sources, &format!("{{{name}}}"));
            let label = match name {
                JOB => "write `job:`, the place of the id in the first answer".to_owned(),
                _ if known.is_empty() => "the endpoint's path has no parameter".to_owned(),
                _ => format!("known here: {}", listed(known.iter().copied(), "and")),
            };
            self.push(Diagnostic::new(Code::UnknownPathName, format!("nothing fills `{{{name}}}`")).at(span, label));
        }
        Some(Endpoint { method, path })
    }

    fn span_of_time(&mut self, at: &Cursor<'_>, written: &str, least: Duration) -> Option<Duration> {
        let time = quantity::duration(written).filter(|time| (least..=LONGEST).contains(time));
        if time.is_none() {
            let least = if least == SHORTEST_INTERVAL { "at least `100ms` and " } else { "" };
            self.push(at.error(
                Code::InvalidQuantity,
                format!("`{written}` is not a duration for this"),
                format!("write a whole number and a unit, such as `2s` or `10m`; {least}at most `24h`"),
            ));
        }
        time
    }
}
