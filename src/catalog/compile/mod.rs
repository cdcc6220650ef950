//! From documents to a catalogue: the one place where a `Spec` becomes a proven type. All findings at once.

mod access;
mod ask;
mod body;
mod content;
mod header;
mod offer;
mod parameter;
mod prompt;
mod resource;
mod response;
mod slow;
mod text;
mod tool;
mod upstream;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::Value;

use super::{Bridge, Catalog, ConditionUse, Prompt, Resource, Tool, VariableUse, Written, lint};
use crate::config::bridge::{BridgeSpec, OneOrMany};
use crate::config::yaml::{Cursor, Node};
use crate::config::{BridgeDocument, Documents, allow, variable};
use crate::diag::{Code, Diagnostic, Findings, Report, SourceMap, Span};
use crate::principal::ClaimPath;
use crate::quantity;
use crate::template::Builder;

pub use upstream::{base_url, insecure_url, is_loopback, keeps_secrets, token_url};

/// How long a request may take unless `timeout` says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest that `timeout` may say.
const MAX_TIMEOUT: Duration = Duration::from_mins(10);

/// Collects the parts of a catalogue and the findings about them.
struct Compiler<'d> {
    sources: &'d SourceMap,
    report: Report,
    templates: Builder,
    conditions: Vec<ConditionUse>,
    variables: Vec<VariableUse>,
    tools: IndexMap<String, (Tool, Span)>,
    resources: Vec<(Resource, Span)>,
    prompts: IndexMap<String, (Prompt, Span)>,
    bridges: Vec<Bridge>,
    /// The arguments that templates of the current tool use; `None` once one of them uses `args` as a whole.
    used_arguments: Option<BTreeSet<String>>,
}

/// The bridge that is being compiled.
struct Place<'d> {
    /// Its index among the bridges.
    index: usize,
    document: &'d BridgeDocument,
    directory: &'d Path,
    upstream_timeout: Option<Duration>,
    /// Whether the caller's own token goes to the API.
    forwards_token: bool,
}

/// Compiles documents into a catalogue. The findings that come with it are warnings and notes.
///
/// # Errors
/// Returns all findings when one of them is an error.
pub fn compile(documents: Documents) -> Result<(Catalog, Findings), Findings> {
    compile_by(documents, Builder::default())
}

/// The same, with templates that tell a rehearsal which way their conditions go ([`Catalog::conditions`]).
///
/// # Errors
/// As [`compile`].
pub fn compile_noting(documents: Documents) -> Result<(Catalog, Findings), Findings> {
    compile_by(documents, Builder::noting())
}

fn compile_by(documents: Documents, templates: Builder) -> Result<(Catalog, Findings), Findings> {
    let Documents { sources, bridges, revision, report, allows, tests: _ } = documents;
    let mut compiler = Compiler {
        sources: &sources,
        report,
        templates,
        conditions: Vec::new(),
        variables: Vec::new(),
        tools: IndexMap::new(),
        resources: Vec::new(),
        prompts: IndexMap::new(),
        bridges: Vec::new(),
        used_arguments: Some(BTreeSet::new()),
    };
    for document in &bridges {
        compiler.bridge(document);
        lint::lint(document, &sources, &mut compiler.report);
    }
    lint::lint_together(&bridges, &sources, &mut compiler.report);
    allow::apply(&allows, &sources, &mut compiler.report);
    let Compiler { report, templates, conditions, variables, tools, resources, prompts, bridges, .. } = compiler;
    let findings = Findings { report, sources };
    if findings.report.has_errors() {
        return Err(findings);
    }
    let (fixed, with_variables): (Vec<Resource>, Vec<Resource>) = resources
        .into_iter()
        .map(|(resource, _)| resource)
        .partition(|resource| resource.uri.variables().next().is_none());
    let catalog = Catalog {
        bridges,
        tools: tools.into_iter().map(|(name, (tool, _))| (name, tool)).collect(),
        resources: fixed.into_iter().map(|resource| (resource.uri.as_str().to_owned(), resource)).collect(),
        resource_templates: with_variables,
        prompts: prompts.into_iter().map(|(name, (prompt, _))| (name, prompt)).collect(),
        templates: templates.finish(),
        conditions,
        variables,
        revision,
    };
    Ok((catalog, findings))
}

// === impl Compiler ===

impl<'d> Compiler<'d> {
    fn push(&mut self, finding: Diagnostic) {
        self.report.push(finding);
    }

    fn bridge(&mut self, document: &'d BridgeDocument) {
        let root = Cursor::root(&document.tree);
        let spec = &document.spec;
        let name_at = root.get("bridge");
        if let Some(first) = self.bridges.iter().find(|bridge| bridge.name == spec.bridge) {
            let finding = name_at
                .error(
                    Code::DuplicateName,
                    format!("two bridges are named `{}`", spec.bridge),
                    "the name of a bridge is unique in its directory",
                )
                .also(first.span, "first used here");
            self.push(finding);
        }
        self.misplaced_variables(&root);
        let claims = self.claims(&root.get("claims"), spec);
        let upstream = spec
            .upstream
            .as_ref()
            .and_then(|upstream| self.upstream(&root.get("upstream"), upstream, &document.directory));
        let place = Place {
            index: self.bridges.len(),
            document,
            directory: &document.directory,
            upstream_timeout: upstream.as_ref().map(|upstream| upstream.timeout),
            forwards_token: upstream.as_ref().is_some_and(|upstream| upstream.credential.is_callers()),
        };
        let skills = self.skills(&root.get("skills"), document);
        self.bridges.push(Bridge {
            name: spec.bridge.clone(),
            title: spec.title.clone(),
            instructions: spec.instructions.clone(),
            upstream,
            claims,
            span: name_at.span(),
            written: as_written(&root, &["tools", "resources", "prompts", "tests"]),
            skills,
        });
        let mut used_claims = BTreeSet::new();
        for (name, tool) in &spec.tools {
            self.tool(&place, &root.get("tools").get(name), name, tool, &mut used_claims);
        }
        for (uri, resource) in &spec.resources {
            self.resource(&place, &root.get("resources").get(uri), uri, resource);
        }
        for (name, prompt) in &spec.prompts {
            self.prompt(&place, &root.get("prompts").get(name), name, prompt);
        }
        for name in spec.claims.keys().filter(|name| !used_claims.contains(*name)) {
            let at = root.get("claims").get(name);
            self.push(at.key_error(
                Code::UnusedClaim,
                format!("claim `{name}` is not used by any tool"),
                "no `claim:` and no template names it",
            ));
        }
    }

    fn claims(&mut self, at: &Cursor<'_>, spec: &BridgeSpec) -> IndexMap<String, Vec<ClaimPath>> {
        let mut claims = IndexMap::new();
        for (name, written) in &spec.claims {
            let at = at.get(name);
            let first_fits = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !first_fits || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                self.push(at.key_error(
                    Code::InvalidName,
                    format!("`{name}` can't be the name of a claim"),
                    "letters, digits and `_`, so that a template can say `claims.name`",
                ));
            }
            let paths = match written {
                OneOrMany::One(path) => std::slice::from_ref(path),
                OneOrMany::Many(paths) => paths.as_slice(),
            };
            if paths.is_empty() || paths.iter().any(|path| path.is_empty() || path == "/") {
                self.push(at.error(
                    Code::InvalidValue,
                    format!("claim `{name}` names no claim of the token"),
                    "write the name of a claim, or a list in the order in which they are tried",
                ));
            }
            claims.insert(name.clone(), paths.iter().map(ClaimPath::new).collect());
        }
        claims
    }

    fn size(&mut self, at: &Cursor<'_>, written: Option<&str>) -> Option<usize> {
        let written = written?;
        let size = quantity::size(written);
        if size.is_none() {
            self.push(at.error(
                Code::InvalidQuantity,
                format!("`{written}` is not a size"),
                "write a whole number and a unit, such as `512KiB` or `2MiB`",
            ));
        }
        size
    }

    fn timeout(&mut self, at: &Cursor<'_>, written: Option<&str>) -> Option<Duration> {
        let words = "write a whole number and a unit, such as `500ms` or `10s`; at most `10m`";
        self.bounded(at, written?, &(Duration::ZERO..=MAX_TIMEOUT), words)
    }

    fn bounded(
        &mut self,
        at: &Cursor<'_>,
        written: &str,
        within: &RangeInclusive<Duration>,
        words: &str,
    ) -> Option<Duration> {
        let duration = quantity::duration(written).filter(|duration| within.contains(duration));
        if duration.is_none() {
            self.push(at.error(Code::InvalidQuantity, format!("`{written}` is not a duration"), words));
        }
        duration
    }

    /// `${…}` can stand only where a value is sent to the API or published on purpose; never in what a model reads.
    fn misplaced_variables(&mut self, at: &Cursor<'_>) {
        let mut misplaced = Vec::new();
        collect_strings(at, &mut |at, text| {
            if variable::is_in(text) && !may_hold_variable(at.pointer()) {
                misplaced.push(at.error(
                    Code::VariableNotAllowed,
                    "`${…}` can't stand here",
                    "this is read by the model or names something",
                ));
            }
        });
        self.report.extend(misplaced);
    }
}

fn collect_strings(at: &Cursor<'_>, found: &mut dyn FnMut(&Cursor<'_>, &str)) {
    if let Some(text) = at.text() {
        found(at, text);
    }
    for item in at.items() {
        collect_strings(&item, found);
    }
    for (_, member) in at.entries() {
        collect_strings(&member, found);
    }
}

fn may_hold_variable(pointer: &str) -> bool {
    let parts: Vec<&str> = pointer.split('/').skip(1).collect();
    match parts.as_slice() {
        ["upstream", "url"]
        | ["upstream", "headers" | "credentials" | "tls", ..]
        | ["tools", _, "parameters", _, "value", ..]
        | ["tools", _, "body", ..]
        | ["resources", _, "json" | "text", ..]
        // What a test expects is shown, never filled in.
        | ["tests", ..] => true,
        [first, ..] => first.starts_with("x-"),
        [] => false,
    }
}

/// What is written at a place, without some keys and without those of others (`x-…`).
fn as_written(at: &Cursor<'_>, without: &[&str]) -> Written {
    let mut value = at.node().map(Node::to_json).unwrap_or_default();
    if let Some(members) = value.as_object_mut() {
        members.retain(|key, _| !without.contains(&key.as_str()) && !key.starts_with("x-"));
    }
    Written::new(&value)
}

/// The JSON type of a value, in a word.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
