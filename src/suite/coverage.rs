//! What of the definitions no test exercises: tools, their parameters, their words for errors, and the ways that
//! conditions of templates can go.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Run, Subject, Suite};
use crate::call::prepare::claim_value;
use crate::catalog::{Source, Tool};

/// What was exercised, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Tools that a test calls.
    pub tools: Part,
    /// Parameters that a call was made with.
    pub parameters: Part,
    /// Statuses under `response.errors` that an API answered with.
    pub errors: Part,
    /// Ways that the conditions of templates went.
    pub branches: Part,
}

/// What of a kind was exercised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// How many there are.
    pub total: usize,
    /// Those that were not, in words, each with its place.
    pub missing: Vec<(String, String)>,
}

// === impl Coverage ===

impl Coverage {
    /// Finds out what these runs exercised.
    #[must_use]
    pub fn of(suite: &Suite, runs: &[Run<'_>]) -> Self {
        let mut coverage = Self::default();
        for tool in suite.catalog.tools.values() {
            let place = suite.place(tool.span);
            let of_tool = |run: &&Run<'_>| matches!(&run.case.subject, Subject::Tool(name) if *name == tool.name);
            let runs: Vec<&Run<'_>> = runs.iter().filter(of_tool).collect();
            coverage.tools.count(!runs.is_empty(), || (tool.name.clone(), place.clone()));
            let made: Vec<&&Run<'_>> = runs.iter().filter(|run| run.was_made()).collect();
            for (name, is_used) in parameters(suite, tool, &made) {
                coverage.parameters.count(is_used, || (format!("{} {name}", tool.name), place.clone()));
            }
            let met: BTreeSet<_> = runs
                .iter()
                .filter_map(|run| run.status)
                .filter_map(|status| tool.shape.errors.mapping(status))
                .collect();
            for range in tool.shape.errors.words.keys() {
                coverage.errors.count(met.contains(range), || (format!("{} {range}", tool.name), place.clone()));
            }
        }
        let decided: BTreeSet<(usize, bool)> = runs.iter().flat_map(|run| run.decided.iter().copied()).collect();
        for (number, used) in suite.catalog.conditions.iter().enumerate() {
            let ways: &[(bool, &str)] =
                if used.condition.is_loop { &[(true, "runs")] } else { &[(true, "true"), (false, "false")] };
            for (way, word) in ways {
                coverage.branches.count(decided.contains(&(number, *way)), || {
                    (format!("`{}` {word}", used.condition.text), suite.place(used.span))
                });
            }
        }
        coverage
    }

    /// The kinds by name.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, &Part); 4] {
        let Self { tools, parameters, errors, branches } = self;
        [("tools", tools), ("parameters", parameters), ("errors", errors), ("branches", branches)]
    }

    /// How much of everything was exercised, in percent, rounded down; 100 when there is nothing.
    #[must_use]
    pub fn percent(&self) -> usize {
        let total: usize = self.parts().iter().map(|(_, part)| part.total).sum();
        let missing: usize = self.parts().iter().map(|(_, part)| part.missing.len()).sum();
        ((total - missing) * 100).checked_div(total).unwrap_or(100)
    }

    /// The same for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let part = |part: &Part| {
            let missing = part.missing.iter().map(|(what, place)| serde_json::json!({ "what": what, "place": place }));
            serde_json::json!({ "total": part.total, "covered": part.covered(), "missing": missing.collect::<Vec<_>>() })
        };
        let mut members: serde_json::Map<String, Value> =
            self.parts().iter().map(|(name, it)| ((*name).to_owned(), part(it))).collect();
        members.insert("percent".to_owned(), self.percent().into());
        members.into()
    }
}

// === impl Part ===

impl Part {
    /// How many were exercised.
    #[must_use]
    pub fn covered(&self) -> usize {
        self.total - self.missing.len()
    }

    fn count(&mut self, is_covered: bool, words: impl FnOnce() -> (String, String)) {
        self.total += 1;
        if !is_covered {
            self.missing.push(words());
        }
    }
}

// === impl Run ===

impl Run<'_> {
    /// Whether the call got as far as to be made.
    fn was_made(&self) -> bool {
        !self.sent.is_empty() || self.outcome.is_ok()
    }
}

/// The parameters of a tool, and whether one of these calls was made with them.
fn parameters(suite: &Suite, tool: &Tool, made: &[&&Run<'_>]) -> Vec<(String, bool)> {
    let properties = tool.input.schema().get("properties").and_then(Value::as_object);
    let passed = |name: &str| made.iter().any(|run| run.case.arguments.contains_key(name));
    let mut found: Vec<(String, bool)> =
        properties.into_iter().flatten().map(|(name, _)| (name.clone(), passed(name))).collect();
    for binding in tool.operation.iter().flat_map(|operation| &operation.bindings) {
        let is_used = match &binding.source {
            Source::Argument => continue,
            Source::Value(_) => !made.is_empty(),
            Source::Claim(claim) => made.iter().any(|run| {
                suite
                    .catalog
                    .bridge(tool.bridge)
                    .is_some_and(|bridge| claim_value(bridge, claim, &run.case.who).is_some())
            }),
        };
        found.push((binding.name.clone(), is_used));
    }
    found
}
