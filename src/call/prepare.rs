//! Arguments and a principal become a request. Pure: nothing is sent, no secret is known.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderValue;
use serde_json::{Map, Value};

use super::layout::{self, Unfit};
use super::{CallError, Field, FieldValue, Origin, Pair, PathPart, Request, RequestBody};
use crate::catalog::{
    Arguments, Binding, BodyTemplate, Bridge, Catalog, Data, Encoding, FieldContent, FieldTemplate, Location,
    Operation, PathValue, Rendered, Source,
};
use crate::principal::Principal;
use crate::secret::Text;
use crate::template::{Scope, TemplateError};

/// What the guide promises a caller whose token does not say who they are.
const NO_IDENTIFIER: &str = "Token does not contain user identifier";

/// What a request is made for: a tool or a resource, by its name and the index of its bridge.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The name of the tool, or the URI of the resource.
    pub name: &'a str,
    /// The index of its bridge.
    pub bridge: usize,
}

/// A value on its way into the request.
struct Bound<'a> {
    binding: &'a Binding,
    value: Rendered,
    origin: Origin,
}

/// Renders data templates for one call.
type Render<'a> = &'a dyn Fn(&Data) -> Result<Option<Rendered>, CallError>;

/// Makes the request of a call.
///
/// # Errors
/// Returns [`CallError::Denied`] when a claim that the call needs is missing, [`CallError::Argument`] when a value can't
/// go where it belongs, and [`CallError::Internal`] when a template fails.
pub fn prepare(
    catalog: &Catalog,
    owner: Owner<'_>,
    operation: &Operation,
    arguments: &Arguments,
    who: &Principal,
) -> Result<Request, CallError> {
    let bridge = catalog.bridge(owner.bridge).ok_or_else(|| CallError::internal("the tool's bridge is missing"))?;
    for claim in &operation.template_claims {
        required_claim(bridge, claim, who)?;
    }
    let scope =
        if operation.has_templates { Scope::new(&values(bridge, arguments, who)) } else { Scope::new(&Map::new()) };
    let render =
        |data: &Data| data.render(&catalog.templates, &scope).map_err(|error| template_failure("the request", &error));

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
            Source::Value(data) => (render(data)?, origin_of(data)),
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
        page: None,
    };
    let mut members = Vec::new();
    for bound in bound {
        place(bound, &mut request, &mut members)?;
    }
    request.body = body(&operation.body, members, &render)?;
    Ok(request)
}

fn body(
    template: &BodyTemplate,
    members: Vec<(String, Rendered, Origin)>,
    render: Render<'_>,
) -> Result<RequestBody, CallError> {
    let unfit = |what: Unfit| CallError::Argument(vec![format!("the body would be {what}")]);
    Ok(match template {
        BodyTemplate::Members if members.is_empty() => RequestBody::None,
        BodyTemplate::Members => RequestBody::Members(members),
        BodyTemplate::Json(data, media_type) => {
            RequestBody::Json(render(data)?.unwrap_or(Rendered::Value(Value::Null)), media_type.clone())
        }
        BodyTemplate::Text(data, media_type) => match render(data)? {
            None => RequestBody::None,
            Some(value) => {
                let text = layout::one(&value, &Encoding::Plain).map_err(unfit)?;
                RequestBody::Text(text, media_type.clone())
            }
        },
        BodyTemplate::Base64(data, media_type) => match render(data)? {
            None => RequestBody::None,
            Some(value) => {
                let media_type = media_type.clone().unwrap_or_else(|| "application/octet-stream".to_owned());
                RequestBody::Bytes(bytes(&value).map_err(unfit)?, media_type)
            }
        },
        BodyTemplate::Form(fields) => {
            let mut pairs = Vec::new();
            for (name, data) in fields {
                let Some(value) = render(data)? else { continue };
                let texts = layout::texts(&value).map_err(|what| unfit_field(name, what))?;
                pairs.extend(texts.into_iter().map(|text| Pair {
                    name: name.clone(),
                    values: vec![text],
                    delimiter: "",
                    origin: origin_of(data),
                }));
            }
            RequestBody::Form(pairs)
        }
        BodyTemplate::Multipart(fields) => {
            let mut made = Vec::new();
            for (name, field) in fields {
                multipart_field(name, field, render, &mut made)?;
            }
            RequestBody::Multipart(made)
        }
    })
}

fn multipart_field(
    name: &str,
    template: &FieldTemplate,
    render: Render<'_>,
    made: &mut Vec<Field>,
) -> Result<(), CallError> {
    let unfit = |what: Unfit| unfit_field(name, what);
    let FieldTemplate { content, filename, content_type } = template;
    let (values, media_type) = match content {
        FieldContent::Text(data) => match render(data)? {
            None => return Ok(()),
            Some(value) => (layout::texts(&value).map_err(unfit)?.into_iter().map(FieldValue::Text).collect(), None),
        },
        FieldContent::Base64(data) => match render(data)? {
            None => return Ok(()),
            Some(value) => (vec![FieldValue::Bytes(bytes(&value).map_err(unfit)?)], Some("application/octet-stream")),
        },
        FieldContent::Json(data) => match render(data)? {
            None => return Ok(()),
            Some(Rendered::Value(value)) => {
                (vec![FieldValue::Text(Text::plain(value.to_string()))], Some("application/json"))
            }
            Some(_) => return Err(unfit("JSON with a secret in it")),
        },
    };
    let filename = match filename {
        None => None,
        Some(data) => match render(data)? {
            None => None,
            Some(value) => {
                let text = layout::one(&value, &Encoding::Plain).map_err(unfit)?;
                Some(text.to_string())
            }
        },
    };
    let content_type = content_type.clone().or_else(|| media_type.map(str::to_owned));
    made.extend(values.into_iter().map(|content| Field {
        name: name.to_owned(),
        filename: filename.clone(),
        content_type: content_type.clone(),
        content,
    }));
    Ok(())
}

fn unfit_field(name: &str, what: Unfit) -> CallError {
    CallError::Argument(vec![format!("form field `{name}` would be {what}")])
}

fn bytes(value: &Rendered) -> Result<Bytes, Unfit> {
    let Rendered::Value(Value::String(text)) = value else { return Err("something else than base64") };
    let compact: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(compact).map(Bytes::from).map_err(|_| "something else than base64")
}

fn origin_of(data: &Data) -> Origin {
    if data.is_constant() { Origin::Constant } else { Origin::Computed }
}

/// What templates see: `args`, `answers`, `claims` and `server`.
#[must_use]
pub fn values(bridge: &Bridge, arguments: &Arguments, who: &Principal) -> Map<String, Value> {
    let server = Map::from_iter([
        ("name".to_owned(), "tollbridge".into()),
        ("version".to_owned(), env!("CARGO_PKG_VERSION").into()),
    ]);
    Map::from_iter([
        ("args".to_owned(), arguments.as_map().clone().into()),
        ("answers".to_owned(), arguments.answers().clone().into()),
        ("claims".to_owned(), claims(bridge, who).into()),
        ("server".to_owned(), server.into()),
    ])
}

/// The claims that the bridge names, as far as the token carries them.
#[must_use]
pub fn claims(bridge: &Bridge, who: &Principal) -> Map<String, Value> {
    bridge.claims.keys().filter_map(|name| Some((name.clone(), claim_value(bridge, name, who)?.clone()))).collect()
}

/// The value of a claim by its name under `claims:`; the first that the token carries wins.
#[must_use]
pub fn claim_value<'p>(bridge: &Bridge, name: &str, who: &'p Principal) -> Option<&'p Value> {
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

/// A template of the request, or of `response`, that fails at call time: the bridge file is to blame, and the model can't help it.
#[must_use]
pub fn template_failure(whose: &str, error: &TemplateError) -> CallError {
    CallError::internal(format!("a template of {whose} failed: {error}"))
}

fn path(operation: &Operation, bound: &[Bound<'_>]) -> Result<Vec<PathPart>, CallError> {
    let mut values = Vec::new();
    for bound in bound.iter().filter(|bound| bound.binding.location == Location::Path) {
        let Binding { name, encoding, .. } = bound.binding;
        let value = layout::path(name, &bound.value, encoding).map_err(|what| bound.refuse(what))?;
        values.push((bound, value));
    }
    let find = |name: &str| values.iter().find(|(bound, _)| bound.binding.name == name);
    // An empty value is refused as a segment.
    let value = |name: &str| find(name).map_or_else(|| PathValue::One(String::new()), |(_, value)| value.clone());
    let parts = operation.path.expand(value).map_err(|(name, error)| {
        find(name).map_or_else(
            || CallError::Argument(vec![format!("argument `{name}`: {error}")]),
            |(bound, _)| bound.refuse(&error.to_string()),
        )
    })?;
    Ok(parts
        .into_iter()
        .map(|(text, name)| PathPart {
            text,
            origin: name.and_then(find).map_or(Origin::Endpoint, |(bound, _)| bound.origin.clone()),
            parameter: name.map(str::to_owned),
        })
        .collect())
}

fn place(
    bound: Bound<'_>,
    request: &mut Request,
    members: &mut Vec<(String, Rendered, Origin)>,
) -> Result<(), CallError> {
    let encoding = &bound.binding.encoding;
    match &bound.binding.location {
        Location::Path => {}
        Location::Body(name) => match encoding {
            Encoding::Join(_) if bound.value != Rendered::Value(Value::Null) => {
                let text = layout::one(&bound.value, encoding).map_err(|what| bound.refuse(what))?;
                let value = match text.as_plain() {
                    Some(text) => Rendered::Value(text.into()),
                    None => Rendered::Text(text),
                };
                members.push((name.clone(), value, bound.origin));
            }
            _ => members.push((name.clone(), bound.value, bound.origin)),
        },
        Location::Query(name) => {
            let pairs =
                layout::query(name, &bound.value, encoding, &bound.origin).map_err(|what| bound.refuse(what))?;
            request.query.extend(pairs);
        }
        Location::Header(name) => {
            let Some(text) = layout::line(&bound.value, encoding).map_err(|what| bound.refuse(what))? else {
                return Ok(());
            };
            // HTTP lets a tab through; it is a control character all the same, and readers fold it.
            let fits = |text: &str| text.is_ascii() && !text.contains('\t') && HeaderValue::from_str(text).is_ok();
            let visible = text.as_plain().is_none_or(fits);
            if !visible {
                return Err(bound.refuse("a text with characters that a header can't hold"));
            }
            request.headers.push((name.clone(), text, bound.origin));
        }
        Location::Cookie(name) => {
            let Some(text) = layout::line(&bound.value, encoding).map_err(|what| bound.refuse(what))? else {
                return Ok(());
            };
            let values = vec![text];
            request.cookies.push(Pair { name: name.clone(), values, delimiter: "", origin: bound.origin });
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
            Origin::Endpoint | Origin::Constant | Origin::Computed | Origin::Job => {
                CallError::Argument(vec![format!("parameter `{}` can't be sent: it is {what}", self.binding.name)])
            }
        }
    }
}
