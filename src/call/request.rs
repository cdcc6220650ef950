//! The request that a call asks for, each part with where it came from. Secrets are still hidden.

use std::time::Duration;

use http::{HeaderName, Method};

use crate::catalog::Rendered;
use crate::secret::Text;

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
}

/// A part of the path and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPart {
    /// The text, as it goes on the wire.
    pub text: String,
    /// Where it came from.
    pub origin: Origin,
}

/// A name, its value, and where the value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The name on the wire.
    pub name: String,
    /// The value.
    pub value: Text,
    /// Where the value came from.
    pub origin: Origin,
}

/// The body of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum RequestBody {
    /// No body.
    None,
    /// One JSON object made of parameters.
    Members(Vec<(String, Rendered, Origin)>),
    /// A JSON document made by a template.
    Json(Rendered),
    /// An HTML form.
    Form(Vec<Pair>),
    /// Plain text.
    Text(Text),
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
}

// === impl Request ===

impl Request {
    /// The path as it goes on the wire, after the base path.
    #[must_use]
    pub fn wire_path(&self) -> String {
        self.path.iter().map(|part| part.text.as_str()).collect()
    }
}
