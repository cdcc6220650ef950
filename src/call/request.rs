//! The request that a call asks for, each part with where it came from. Secrets are still hidden.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderName, Method};
use serde_json::{Map, Value, json};
use url::Url;

use crate::catalog::{Rendered, encode_segment};
use crate::secret::{Secrets, Text};

/// What is asked for unless a bridge says otherwise.
pub const ACCEPT: &str = "application/json, */*;q=0.8";

/// A request, relative to the base URL of its upstream.
#[derive(Clone, Debug)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// The path, already encoded; joined it is what goes on the wire after the base path.
    pub path: Vec<PathPart>,
    /// The query, in order, not yet encoded.
    pub query: Vec<Pair>,
    /// The headers.
    pub headers: Vec<(HeaderName, Text, Origin)>,
    /// The cookies, not yet encoded.
    pub cookies: Vec<Pair>,
    /// The body.
    pub body: RequestBody,
    /// How long the exchange may take.
    pub timeout: Duration,
    /// The URL of a further page, as the API gave it; it stands for path and query.
    pub page: Option<Url>,
}

/// A part of the path and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPart {
    /// The text, as it goes on the wire.
    pub text: String,
    /// Where it came from.
    pub origin: Origin,
    /// The parameter that it is, if it is one.
    pub parameter: Option<String>,
}

/// A name, its values, and where they came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The name on the wire.
    pub name: String,
    /// The values, not yet encoded.
    pub values: Vec<Text>,
    /// What stands between values on the wire.
    pub delimiter: &'static str,
    /// Where the values came from.
    pub origin: Origin,
}

/// The body of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum RequestBody {
    /// No body.
    None,
    /// One JSON object made of parameters.
    Members(Vec<(String, Rendered, Origin)>),
    /// A JSON document made by a template, and its media type when it is not `application/json`.
    Json(Rendered, Option<String>),
    /// An HTML form.
    Form(Vec<Pair>),
    /// A form with files.
    Multipart(Vec<Field>),
    /// Text, and its media type when it is not plain.
    Text(Text, Option<String>),
    /// Bytes, and their media type.
    Bytes(Bytes, String),
}

/// A field of a multipart form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name of the field.
    pub name: String,
    /// The name of the file.
    pub filename: Option<String>,
    /// The media type.
    pub content_type: Option<String>,
    /// What it holds.
    pub content: FieldValue,
}

/// What a field of a multipart form holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    /// Text.
    Text(Text),
    /// Bytes.
    Bytes(Bytes),
}

/// Where a part of a request came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The endpoint as written.
    Endpoint,
    /// An argument of the model, by name.
    Argument(String),
    /// A claim of the caller's token, by its name under `claims:`.
    Claim(String),
    /// A constant of the bridge file.
    Constant,
    /// A template of the bridge file.
    Computed,
    /// What the API answered first: the id of its job.
    Job,
}

/// How secrets are written into a request: filled in to be sent, or hidden to be shown.
pub trait Reveal {
    /// Writes a text with everything that is not a placeholder run through `encode`.
    fn reveal(&self, text: &Text, encode: &dyn Fn(&str) -> String) -> String;
}

/// Secrets are written as `${NAME}`.
pub struct Shown;

impl Reveal for Shown {
    fn reveal(&self, text: &Text, encode: &dyn Fn(&str) -> String) -> String {
        text.map_plain(encode).to_string()
    }
}

impl Reveal for Secrets {
    fn reveal(&self, text: &Text, encode: &dyn Fn(&str) -> String) -> String {
        encode(&text.fill(self))
    }
}

/// A body as it goes on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireBody {
    /// The value of `Content-Type`.
    pub media_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

// === impl Request ===

impl Request {
    /// The path as it goes on the wire, after the base path.
    #[must_use]
    pub fn wire_path(&self) -> String {
        self.path.iter().map(|part| part.text.as_str()).collect()
    }

    /// The query as it goes on the wire, without `?`; `None` when there is none.
    #[must_use]
    pub fn wire_query(&self, secrets: &dyn Reveal) -> Option<String> {
        wire_pairs(&self.query, secrets, "&")
    }

    /// The value of the `Cookie` header (RFC 6265 section 4.2.1), values percent-encoded.
    #[must_use]
    pub fn wire_cookies(&self, secrets: &dyn Reveal) -> Option<String> {
        // The names of cookies are checked when a bridge is loaded.
        let pair = |pair: &Pair| format!("{}={}", pair.name, pair.wire_value(secrets));
        let pairs: Vec<String> = self.cookies.iter().map(pair).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

// === impl Pair ===

impl Pair {
    /// Name and value with everything but unreserved characters percent-encoded, so neither can end early.
    #[must_use]
    pub fn wire(&self, secrets: &dyn Reveal) -> String {
        format!("{}={}", encode_segment(&self.name), self.wire_value(secrets))
    }

    /// The value, percent-encoded.
    #[must_use]
    pub fn wire_value(&self, secrets: &dyn Reveal) -> String {
        let values: Vec<String> = self.values.iter().map(|value| secrets.reveal(value, &encode_segment)).collect();
        values.join(self.delimiter)
    }
}

fn wire_pairs(pairs: &[Pair], secrets: &dyn Reveal, between: &str) -> Option<String> {
    let pairs: Vec<String> = pairs.iter().map(|pair| pair.wire(secrets)).collect();
    (!pairs.is_empty()).then(|| pairs.join(between))
}

// === impl RequestBody ===

impl RequestBody {
    /// The body as it goes on the wire; `None` when there is none.
    #[must_use]
    pub fn wire(&self, secrets: &dyn Reveal) -> Option<WireBody> {
        let as_is = |text: &str| text.to_owned();
        let reveal = |text: &Text| secrets.reveal(text, &as_is);
        let body = |media_type: &str, bytes| Some(WireBody { media_type: media_type.to_owned(), bytes });
        match self {
            Self::None => None,
            Self::Members(members) => {
                let object: Map<String, Value> =
                    members.iter().map(|(name, value, _)| (name.clone(), value.to_value(&reveal))).collect();
                body("application/json", Value::Object(object).to_string().into_bytes())
            }
            Self::Json(value, media_type) => body(
                media_type.as_deref().unwrap_or("application/json"),
                value.to_value(&reveal).to_string().into_bytes(),
            ),
            Self::Form(pairs) => body(
                "application/x-www-form-urlencoded",
                wire_pairs(pairs, secrets, "&").unwrap_or_default().into_bytes(),
            ),
            Self::Multipart(fields) => Some(multipart(fields, &reveal)),
            Self::Text(text, media_type) => {
                body(media_type.as_deref().unwrap_or("text/plain; charset=utf-8"), reveal(text).into_bytes())
            }
            Self::Bytes(bytes, media_type) => body(media_type, bytes.to_vec()),
        }
    }
}

// === what tests look at ===

impl RequestBody {
    /// The body as data: JSON as it is, forms as maps, anything else as text, and bytes as base64. `None` when there is
    /// none.
    #[must_use]
    pub fn data(&self) -> Option<Value> {
        let shown = |text: &Text| Value::String(text.to_string());
        match self {
            Self::None => None,
            Self::Members(_) | Self::Json(..) => serde_json::from_slice(&self.wire(&Shown)?.bytes).ok(),
            Self::Form(pairs) => Some(collected(
                pairs.iter().flat_map(|pair| pair.values.iter().map(|value| (pair.name.clone(), shown(value)))),
            )),
            Self::Multipart(fields) => Some(collected(fields.iter().map(|field| {
                let content = match &field.content {
                    FieldValue::Text(text) => shown(text),
                    FieldValue::Bytes(bytes) => STANDARD.encode(bytes).into(),
                };
                let value = if field.filename.is_none() && field.content_type.is_none() {
                    content
                } else {
                    json!({ "filename": field.filename, "content_type": field.content_type, "content": content })
                };
                (field.name.clone(), value)
            }))),
            Self::Text(text, _) => Some(shown(text)),
            Self::Bytes(bytes, _) => Some(STANDARD.encode(bytes).into()),
        }
    }
}

/// Pairs as a map; the values of a name that is there several times are a list.
#[must_use]
pub fn collected(pairs: impl Iterator<Item = (String, Value)>) -> Value {
    let mut map = Map::new();
    for (name, value) in pairs {
        match map.get_mut(&name) {
            None => {
                map.insert(name, value);
            }
            Some(Value::Array(list)) => list.push(value),
            Some(one) => *one = Value::Array(vec![one.take(), value]),
        }
    }
    map.into()
}

/// RFC 7578. The boundary is a hash of what it bounds, so no content can hold it.
fn multipart(fields: &[Field], reveal: &dyn Fn(&Text) -> String) -> WireBody {
    let mut parts: Vec<(String, Vec<u8>)> = Vec::with_capacity(fields.len());
    for Field { name, filename, content_type, content } in fields {
        let mut head = format!("Content-Disposition: form-data; name=\"{}\"", quoted(name));
        if let Some(filename) = filename {
            head.extend(["; filename=\"", &quoted(filename), "\""]);
        }
        if let Some(content_type) = content_type {
            head.extend(["\r\nContent-Type: ", content_type]);
        }
        let bytes = match content {
            FieldValue::Text(text) => reveal(text).into_bytes(),
            FieldValue::Bytes(bytes) => bytes.to_vec(),
        };
        parts.push((head, bytes));
    }
    let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for (head, bytes) in &parts {
        digest.update(head.as_bytes());
        digest.update(bytes);
    }
    let boundary = URL_SAFE_NO_PAD.encode(digest.finish());
    let mut body = Vec::new();
    for (head, bytes) in parts {
        body.extend_from_slice(format!("--{boundary}\r\n{head}\r\n\r\n").as_bytes());
        body.extend_from_slice(&bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    WireBody { media_type: format!("multipart/form-data; boundary={boundary}"), bytes: body }
}

/// A name inside the quotes of `Content-Disposition`, escaped as browsers do (WHATWG HTML, multipart form data).
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
