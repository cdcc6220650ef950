//! Arguments and a principal become a request. Pure: nothing is sent, no secret is known.

use http::HeaderValue;
use serde_json::{Map, Value};

use super::{CallError, Origin, Pair, PathPart, Request, RequestBody};
use crate::catalog::{
    Arguments, Binding, BodyTemplate, Bridge, Catalog, Data, Location, Operation, Rendered, Source, Tool,
};
use crate::principal::Principal;
use crate::secret::Text;
use crate::template::{Scope, TemplateError};

/// What the guide promises a caller whose token does not say who they are.
const NO_IDENTIFIER: &str = "Token does not contain user identifier";

/// A value on its way into the request.
struct Bound<'a> {
    binding: &'a Binding,
    value: Rendered,
    origin: Origin,
}

/// Makes the request of a call.
///
/// # Errors
/// Returns [`CallError::Denied`] when a claim that the call needs is missing, [`CallError::Argument`] when a value can't
/// go where it belongs, and [`CallError::Internal`] when a template fails.
pub fn prepare(
    catalog: &Catalog,
    tool: &Tool,
    operation: &Operation,
    arguments: &Arguments,
    who: &Principal,
) -> Result<Request, CallError> {
    let bridge =
        catalog.bridge(tool.bridge).ok_or_else(|| CallError::internal(&tool.name, "the tool's bridge is missing"))?;
    for claim in &operation.template_claims {
        required_claim(bridge, claim, who)?;
    }
    let scope =
        if operation.has_templates { Scope::new(&values(bridge, arguments, who)) } else { Scope::new(&Map::new()) };
    let render =
        |data: &Data| data.render(&catalog.templates, &scope).map_err(|error| template_failure(&tool.name, &error));

    let mut bound = Vec::with_capacity(operation.bindings.len());
    for binding in &operation.bindings {
        let (value, origin) = match &binding.source {
            Source::Argument => {
                (arguments.get(&binding.name).cloned().map(Rendered::Value), Origin::Argument(binding.name.clone()))
            }
            Source::Claim(claim) => {
                let value = if binding.required {
                    Some(required_claim(bridge, claim, who)?)
                } else {
                    claim_value(bridge, claim, who)
                };
                (value.cloned().map(Rendered::Value), Origin::Claim(claim.clone()))
            }
            Source::Value(data) => {
                let origin = if data.is_constant() { Origin::Constant } else { Origin::Computed };
                (render(data)?, origin)
            }
        };
        if let Some(value) = value {
            bound.push(Bound { binding, value, origin });
        }
    }

    let mut request = Request {
        method: operation.method.clone(),
        path: path(operation, &bound)?,
        query: Vec::new(),
        headers: Vec::new(),
        cookies: Vec::new(),
        body: RequestBody::None,
        timeout: operation.timeout,
    };
    let mut members = Vec::new();
    for bound in bound {
        place(bound, &mut request, &mut members)?;
    }
    request.body = match &operation.body {
        BodyTemplate::Members if members.is_empty() => RequestBody::None,
        BodyTemplate::Members => RequestBody::Members(members),
        BodyTemplate::Json(data) => RequestBody::Json(render(data)?.unwrap_or(Rendered::Value(Value::Null))),
        BodyTemplate::Text(data) => match render(data)? {
            None => RequestBody::None,
            Some(value) => RequestBody::Text(
                one_text(&value)
                    .map_err(|what| CallError::Argument(vec![format!("the text of the body would be {what}")]))?,
            ),
        },
        BodyTemplate::Form(fields) => {
            let mut pairs = Vec::new();
            for (name, data) in fields {
                let origin = if data.is_constant() { Origin::Constant } else { Origin::Computed };
                if let Some(value) = render(data)? {
                    for value in texts(&value)
                        .map_err(|what| CallError::Argument(vec![format!("form field `{name}` would be {what}")]))?
                    {
                        pairs.push(Pair { name: name.clone(), value, origin: origin.clone() });
                    }
                }
            }
            RequestBody::Form(pairs)
        }
    };
    Ok(request)
}

/// What templates see: `args`, `claims` and `server`.
#[must_use]
pub fn values(bridge: &Bridge, arguments: &Arguments, who: &Principal) -> Map<String, Value> {
    let claims: Map<String, Value> =
        bridge.claims.keys().filter_map(|name| Some((name.clone(), claim_value(bridge, name, who)?.clone()))).collect();
    let server = Map::from_iter([
        ("name".to_owned(), "tollbridge".into()),
        ("version".to_owned(), env!("CARGO_PKG_VERSION").into()),
    ]);
    Map::from_iter([
        ("args".to_owned(), arguments.as_map().clone().into()),
        ("claims".to_owned(), claims.into()),
        ("server".to_owned(), server.into()),
    ])
}

/// The value of a claim by its name under `claims:`; the first that the token carries wins.
fn claim_value<'p>(bridge: &Bridge, name: &str, who: &'p Principal) -> Option<&'p Value> {
    bridge.claims.get(name)?.iter().find_map(|path| who.claims().get(path))
}

/// Refuses a call whose caller lacks a claim: nothing is sent on behalf of nobody.
///
/// # Errors
/// Returns [`CallError::Denied`] in the guide's words.
pub fn required_claim<'p>(bridge: &Bridge, name: &str, who: &'p Principal) -> Result<&'p Value, CallError> {
    claim_value(bridge, name, who).ok_or_else(|| {
        let tried: Vec<String> =
            bridge.claims.get(name).into_iter().flatten().map(|path| format!("`{}`", path.as_str())).collect();
        CallError::Denied(format!("{NO_IDENTIFIER}: it has no claim {}", tried.join(" or ")))
    })
}

/// A template that fails at call time: the bridge file is to blame, and the model can't help it.
#[must_use]
pub fn template_failure(tool: &str, error: &TemplateError) -> CallError {
    CallError::internal(tool, &format!("a template failed: {error}"))
}

fn path(operation: &Operation, bound: &[Bound<'_>]) -> Result<Vec<PathPart>, CallError> {
    let mut texts = Vec::new();
    for bound in bound.iter().filter(|bound| bound.binding.location == Location::Path) {
        let text = one_text(&bound.value).map_err(|what| bound.refuse(what))?;
        texts.push((bound, text.to_string()));
    }
    let value = |name: &str| {
        texts
            .iter()
            .find(|(bound, _)| bound.binding.name == name)
            .map(|(_, text)| text.clone())
            // An empty value is refused as a segment.
            .unwrap_or_default()
    };
    let parts = operation.path.expand(value).map_err(|(name, error)| {
        texts.iter().find(|(bound, _)| bound.binding.name == name).map_or_else(
            || CallError::Argument(vec![format!("argument `{name}`: {error}")]),
            |(bound, _)| bound.refuse(&error.to_string()),
        )
    })?;
    Ok(parts
        .into_iter()
        .map(|(text, name)| PathPart {
            text,
            origin: name
                .and_then(|name| texts.iter().find(|(bound, _)| bound.binding.name == name))
                .map_or(Origin::Endpoint, |(bound, _)| bound.origin.clone()),
        })
        .collect())
}

fn place(
    bound: Bound<'_>,
    request: &mut Request,
    members: &mut Vec<(String, Rendered, Origin)>,
) -> Result<(), CallError> {
    match &bound.binding.location {
        Location::Path => {}
        Location::Body(name) => members.push((name.clone(), bound.value, bound.origin)),
        Location::Query(name) => {
            for value in texts(&bound.value).map_err(|what| bound.refuse(what))? {
                request.query.push(Pair { name: name.clone(), value, origin: bound.origin.clone() });
            }
        }
        Location::Header(name) => {
            if bound.value == Rendered::Value(Value::Null) {
                return Ok(());
            }
            let text = one_text(&bound.value).map_err(|what| bound.refuse(what))?;
            let visible = text.as_plain().is_none_or(|text| text.is_ascii() && HeaderValue::from_str(text).is_ok());
            if !visible {
                return Err(bound.refuse("a text with characters that a header can't hold"));
            }
            request.headers.push((name.clone(), text, bound.origin));
        }
        Location::Cookie(name) => {
            if bound.value == Rendered::Value(Value::Null) {
                return Ok(());
            }
            let value = one_text(&bound.value).map_err(|what| bound.refuse(what))?;
            request.cookies.push(Pair { name: name.clone(), value, origin: bound.origin });
        }
    }
    Ok(())
}

// === impl Bound ===

impl Bound<'_> {
    /// Blames whoever supplied the value.
    fn refuse(&self, what: &str) -> CallError {
        match &self.origin {
            Origin::Claim(claim) => CallError::Denied(format!("claim `{claim}` can't be used here: it is {what}")),
            Origin::Argument(name) => {
                CallError::Argument(vec![format!("argument `{name}` can't be used: it is {what}")])
            }
            Origin::Endpoint | Origin::Constant | Origin::Computed => {
                CallError::Argument(vec![format!("parameter `{}` can't be sent: it is {what}", self.binding.name)])
            }
        }
    }
}

/// A value as one text.
fn one_text(value: &Rendered) -> Result<Text, &'static str> {
    match value {
        Rendered::Text(text) => Ok(text.clone()),
        Rendered::Value(value) => scalar(value).map(Text::plain),
        Rendered::List(_) => Err("a list"),
        Rendered::Map(_) => Err("an object"),
    }
}

/// A value as texts: none for null, one for a single value, several for a list.
fn texts(value: &Rendered) -> Result<Vec<Text>, &'static str> {
    match value {
        Rendered::Value(Value::Null) => Ok(Vec::new()),
        Rendered::Value(Value::Array(items)) => items
            .iter()
            .map(|item| scalar(item).map(Text::plain))
            .collect::<Result<_, _>>()
            .map_err(|_| "a list of something else than single values"),
        Rendered::List(items) => items.iter().map(one_text).collect(),
        Rendered::Value(_) | Rendered::Text(_) | Rendered::Map(_) => one_text(value).map(|text| vec![text]),
    }
}

fn scalar(value: &Value) -> Result<String, &'static str> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Null => Err("null"),
        Value::Array(_) => Err("a list"),
        Value::Object(_) => Err("an object"),
    }
}
