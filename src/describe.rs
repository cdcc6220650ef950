//! What the definitions say, for people and programs: the same words and the same JSON in commands and on the admin port.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::call::{self, CallError, Plan, Preview};
use crate::catalog::{Bridge, Catalog, Credential, Endpoint, Job, QuestionKind, Resource, Source, Tool};
use crate::credential;
use crate::diag::listed;
use crate::mcp;
use crate::principal::Principal;
use crate::quantity::show_duration;
use crate::shape::Outcome;

/// What becomes of a call before anything is sent.
pub enum Preliminary<'a> {
    /// A request goes out.
    Request(Preview<'a>),
    /// The answer stands in the file.
    Answer(Outcome),
}

/// The rest of the way to the wire: signing in as the caller, for which no secret is needed.
///
/// # Errors
/// Returns why the call would be refused.
pub fn preliminary<'a>(
    catalog: &'a Catalog,
    bridge: &'a Bridge,
    tool: &Tool,
    who: &Principal,
    plan: Plan<'_>,
    request: &'a mut Option<call::Request>,
) -> Result<Preliminary<'a>, CallError> {
    let (Some((_, made)), Some(upstream)) = (plan.request, &bridge.upstream) else {
        let values = || call::prepare::values(bridge, &plan.arguments, who);
        let answer = tool.shape.answer(&catalog.templates, &values);
        return answer.map(Preliminary::Answer).map_err(|error| call::prepare::template_failure("`response`", &error));
    };
    credential::rehearse(&upstream.credential, who)?;
    let request = request.insert(made);
    Ok(Preliminary::Request(Preview { request, upstream, variables: &catalog.variables }))
}

/// What becomes of a call, as `tollbridge explain --format json` prints it.
#[must_use]
pub fn explained(bridge: &Bridge, tool: &Tool, planned: &Result<Preliminary<'_>, CallError>) -> Value {
    let mut told = json!({
        "tool": mcp::tool_as_listed(tool),
        "bridge": bridge.name,
        "place": tool.place,
        "refused": null,
        "request": null,
        "answer": null,
        "questions": questions(tool),
        "async": tool.operation.as_ref().and_then(|operation| operation.job.as_ref()).map(job),
        "refusals": refusals(bridge, tool),
    });
    let (key, value) = match planned {
        Ok(Preliminary::Request(preview)) => ("request", preview.json()),
        Ok(Preliminary::Answer(outcome)) => ("answer", mcp::result_as_sent(&tool.name, outcome.clone())),
        Err(error) => ("refused", error.to_author().into()),
    };
    if let Some(members) = told.as_object_mut() {
        members.insert(key.to_owned(), value);
    }
    told
}

/// The catalogue, as `tollbridge list --format json` prints it.
#[must_use]
pub fn catalogue(catalog: &Catalog) -> Value {
    let bridge = |index| catalog.bridge(index).map(|bridge: &Bridge| bridge.name.as_str());
    let tool = |tool: &Tool| {
        json!({
            "name": tool.name,
            "bridge": bridge(tool.bridge),
            "place": tool.place,
            "method": tool.operation.as_ref().map(|it| it.method.as_str()),
            "path": tool.operation.as_ref().map(|it| it.path.to_string()),
            "identity": identity(tool),
            "access": {
                "scopes": tool.access.scopes,
                "groups": tool.access.groups,
                "when": tool.access.when.iter().map(|(condition, _)| condition).collect::<Vec<_>>(),
            },
            "definition": mcp::tool_as_listed(tool),
        })
    };
    let resource = |resource: &Resource| {
        json!({
            "uri": resource.uri.as_str(),
            "bridge": bridge(resource.bridge),
            "name": resource.name,
            "description": resource.description,
            "mime_type": resource.mime_type,
        })
    };
    json!({
        "revision": catalog.revision.to_string(),
        "tools": catalog.tools.values().map(tool).collect::<Vec<_>>(),
        "resources": catalog.resources.values().map(resource).collect::<Vec<_>>(),
        "resource_templates": catalog.resource_templates.iter().map(resource).collect::<Vec<_>>(),
        "prompts": catalog.prompts.values().map(|prompt| json!({
            "name": prompt.name,
            "bridge": bridge(prompt.bridge),
            "description": prompt.description,
            "arguments": prompt.arguments.iter().map(|argument| json!({
                "name": argument.name,
                "description": argument.description,
                "required": argument.required,
            })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}

/// What identity fills in and no model can: each part of the request with the claim that it comes from.
fn identity(tool: &Tool) -> Vec<Value> {
    let Some(operation) = &tool.operation else { return Vec::new() };
    let bound = operation.bindings.iter().filter_map(|binding| match &binding.source {
        Source::Claim(claim) => Some(json!({ "part": binding.name, "claim": claim })),
        Source::Argument | Source::Value(_) => None,
    });
    let templates = operation.template_claims.iter().chain(&tool.shape_claims);
    bound.chain(templates.map(|claim| json!({ "part": "template", "claim": claim }))).collect()
}

/// What the model may pass, a row each: name, type and description.
#[must_use]
pub fn arguments(tool: &Tool) -> Vec<Vec<String>> {
    let schema = tool.input.schema();
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    let row = |(name, schema): (&String, &Value)| {
        let mut kind = kind(schema);
        if required.contains(&name.as_str()) {
            kind.push_str(", required");
        } else if let Some(default) = tool.input.default(name) {
            let _ = write!(kind, ", default {default}");
        }
        let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        vec![name.clone(), kind, description.to_owned()]
    };
    properties.into_iter().flatten().map(row).collect()
}

/// The type that a schema asks for, in a few words.
fn kind(schema: &Value) -> String {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
    }
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => "anything".to_owned(),
    };
    match schema.get("format").and_then(Value::as_str) {
        Some(format) => format!("{kind} ({format})"),
        None => kind,
    }
}

/// What is asked before a call, a row each: the name, what is asked, and when.
#[must_use]
pub fn questions(tool: &Tool) -> Vec<Vec<String>> {
    tool.questions
        .iter()
        .map(|question| {
            let what = match &question.kind {
                QuestionKind::Form { schema, .. } if !question.is_plain() => {
                    let fields = schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys);
                    format!("the user fills in {}", listed(fields.map(String::as_str), "and"))
                }
                QuestionKind::Form { .. } => "the user says yes or no".to_owned(),
                QuestionKind::Page { .. } => "the user opens a page".to_owned(),
                QuestionKind::Sample(_) => "the client's model writes a text".to_owned(),
                QuestionKind::Roots => "the client names the user's folders".to_owned(),
            };
            let mut when = Vec::new();
            if question.when.is_some() {
                when.push("under a condition".to_owned());
            }
            if !question.after.is_empty() {
                when.push(format!("after {}", listed(question.after.iter().map(String::as_str), "and")));
            }
            if !question.required {
                when.push("may be declined".to_owned());
            }
            vec![question.name.clone(), what, when.join(", ")]
        })
        .collect()
}

/// How a tool waits for its API, a row each; none for a tool that does not.
#[must_use]
pub fn waiting(tool: &Tool) -> Vec<Vec<String>> {
    let Some(job) = tool.operation.as_ref().and_then(|operation| operation.job.as_ref()) else { return Vec::new() };
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let status = job.status.as_ref().map_or_else(|| "where `Location` leads to".to_owned(), ToString::to_string);
    let mut rows = vec![
        row("while the API is at it", format!("{status}, every {}", show_duration(job.interval))),
        row("at most", format!("{} in all", show_duration(job.deadline))),
    ];
    rows.extend(job.result.as_ref().map(|result| row("the result", result.to_string())));
    rows.extend(job.cancel.as_ref().map(|cancel| row("when cancelled", cancel.to_string())));
    rows
}

fn job(job: &Job) -> Value {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let endpoint = |endpoint: &Option<Endpoint>| endpoint.as_ref().map(ToString::to_string);
    json!({
        "status": endpoint(&job.status),
        "result": endpoint(&job.result),
        "cancel": endpoint(&job.cancel),
        "interval_ms": millis(job.interval),
        "deadline_ms": millis(job.deadline),
        "keep_ms": millis(job.keep),
    })
}

/// What is refused before anything is sent.
#[must_use]
pub fn refusals(bridge: &Bridge, tool: &Tool) -> Vec<String> {
    let mut lines = Vec::new();
    let names: Vec<String> = arguments(tool).into_iter().filter_map(|row| row.into_iter().next()).collect();
    lines.push(match names.len() {
        0 => "any argument: it takes none".to_owned(),
        _ => format!("any argument other than {}", listed(names.iter().map(String::as_str), "and")),
    });
    for name in claims(tool) {
        let paths = bridge.claims.get(name).into_iter().flatten().map(crate::principal::ClaimPath::as_str);
        lines.push(format!("a caller whose token has no claim {}", listed(paths, "or")));
    }
    let access = &tool.access;
    for scope in &access.scopes {
        lines.push(format!("a caller whose token lacks the scope `{scope}`"));
    }
    for groups in &access.groups {
        lines.push(format!("a caller in none of the groups {}", listed(groups.iter().map(String::as_str), "and")));
    }
    for (condition, _) in &access.when {
        lines.push(format!("a caller for whom `{condition}` is not true"));
    }
    if let (Some(_), Some(upstream)) = (&tool.operation, &bridge.upstream)
        && let Credential::CallerToken { audience: Some(audience) } = &upstream.credential
    {
        lines.push(format!("a caller whose token does not name the audience `{audience}`"));
    }
    lines
}

/// The claims without which a call is refused.
fn claims(tool: &Tool) -> Vec<&str> {
    let mut names: Vec<&str> = tool.shape_claims.iter().map(String::as_str).collect();
    if let Some(operation) = &tool.operation {
        names.extend(operation.template_claims.iter().map(String::as_str));
        names.extend(operation.bindings.iter().filter_map(|binding| match &binding.source {
            Source::Claim(name) if binding.required => Some(name.as_str()),
            _ => None,
        }));
    }
    names.sort_unstable();
    names.dedup();
    names
}
