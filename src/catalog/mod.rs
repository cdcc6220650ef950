//! What the files mean: tools, resources and the operations behind them. Immutable, resolved, no I/O; made only by
//! [`compile`].

pub mod compile;
mod data;
mod input;
mod lint;
mod path;
pub mod quantity;
mod uri;

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Method};
use indexmap::IndexMap;

use crate::config::Revision;
use crate::config::variable::Variable;
use crate::diag::Span;
use crate::principal::ClaimPath;
use crate::secret::Text;
use crate::shape::Shape;
use crate::template::Templates;

pub use data::{Data, Rendered};
pub use input::{ArgumentError, Arguments, Input};
pub use path::{DotSegment, PathTemplate, encode_segment};
pub use uri::UriTemplate;

/// Everything that a directory of bridge files says.
#[derive(Debug)]
pub struct Catalog {
    /// The bridges, in the order of their files.
    pub bridges: Vec<Bridge>,
    /// All tools by name, in the order in which they are written.
    pub tools: IndexMap<String, Tool>,
    /// Resources with a fixed URI.
    pub resources: IndexMap<String, Resource>,
    /// Resources with variables in their URI.
    pub resource_templates: Vec<Resource>,
    /// The text templates of all of them.
    pub templates: Templates,
    /// Every `${…}`, in the order of its [`crate::secret::SecretRef`].
    pub variables: Vec<VariableUse>,
    /// The hash of the files' content.
    pub revision: Revision,
}

/// One bridge file.
#[derive(Debug)]
pub struct Bridge {
    /// Its name.
    pub name: String,
    /// A name for people.
    pub title: Option<String>,
    /// What a model should know about using its tools together.
    pub instructions: Option<String>,
    /// The API its tools call.
    pub upstream: Option<UpstreamDef>,
    /// The claims by which it knows the caller.
    pub claims: IndexMap<String, Vec<ClaimPath>>,
}

/// The API that the tools of a bridge call, before its secrets are known.
#[derive(Debug)]
pub struct UpstreamDef {
    /// The base URL.
    pub url: Text,
    /// Where the base URL is written.
    pub url_span: Span,
    /// Headers sent with every request.
    pub headers: Vec<(HeaderName, Text, Span)>,
    /// How a call signs in.
    pub credential: Credential,
    /// Where that is written.
    pub credential_span: Span,
    /// How long a request may take.
    pub timeout: Duration,
    /// The largest answer accepted, in bytes after decompression.
    pub max_response_bytes: usize,
}

/// How a call signs in at the API, before its secrets are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The API asks for nothing.
    None,
    /// The caller's own token is forwarded.
    CallerToken,
    /// A fixed bearer token.
    Bearer(Text),
    /// HTTP basic authentication.
    Basic {
        /// The user name.
        username: Text,
        /// The password.
        password: Text,
    },
    /// An API key in a header.
    KeyHeader(HeaderName, Text),
    /// An API key in the query.
    KeyQuery(String, Text),
}

/// A tool.
#[derive(Debug)]
pub struct Tool {
    /// Its name, unique in the catalogue.
    pub name: String,
    /// A name for people.
    pub title: Option<String>,
    /// What the model reads.
    pub description: Option<String>,
    /// What the model may pass.
    pub input: Input,
    /// Hints for clients.
    pub annotations: Annotations,
    /// The index of its bridge.
    pub bridge: usize,
    /// The request it makes; `None` for a tool that answers from the file.
    pub operation: Option<Operation>,
    /// What becomes of the answer.
    pub shape: Shape,
    /// The claims that its response template uses.
    pub shape_claims: Vec<String>,
}

/// Hints for clients about what a tool does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "MCP defines these four independent hints")]
pub struct Annotations {
    /// It changes nothing.
    pub read_only: bool,
    /// Calling it twice is the same as calling it once.
    pub idempotent: bool,
    /// It may overwrite or remove something.
    pub destructive: bool,
    /// It reaches things outside a closed set.
    pub open_world: bool,
}

/// The HTTP request behind a tool.
#[derive(Debug)]
pub struct Operation {
    /// The HTTP method.
    pub method: Method,
    /// The path, joined to the upstream's base URL.
    pub path: PathTemplate,
    /// The parts of the request that have a source of their own.
    pub bindings: Vec<Binding>,
    /// The body when it is a data template.
    pub body: BodyTemplate,
    /// The claims that its templates use; a call without one of them is refused.
    pub template_claims: Vec<String>,
    /// Whether any template needs values.
    pub has_templates: bool,
    /// How long a request may take.
    pub timeout: Duration,
}

/// A part of the request and its one source.
#[derive(Debug)]
pub struct Binding {
    /// The name of the parameter.
    pub name: String,
    /// Where the value comes from.
    pub source: Source,
    /// Where the value goes.
    pub location: Location,
    /// Whether a call without it is refused. (Of arguments the input schema says so.)
    pub required: bool,
}

/// Where the value of a binding comes from.
#[derive(Debug)]
pub enum Source {
    /// The argument of the same name.
    Argument,
    /// A claim of the caller's verified token, by its name under `claims:`.
    Claim(String),
    /// A constant or a computed value.
    Value(Data),
}

/// Where the value of a binding goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// The place of the same name in the path.
    Path,
    /// A query parameter of this name.
    Query(String),
    /// A header of this name.
    Header(HeaderName),
    /// A cookie of this name.
    Cookie(String),
    /// A member of this name in the JSON body.
    Body(String),
}

/// The body of the request.
#[derive(Debug)]
pub enum BodyTemplate {
    /// The bindings whose location is the body, as one JSON object; no body when there are none.
    Members,
    /// A JSON document.
    Json(Data),
    /// An HTML form.
    Form(Vec<(String, Data)>),
    /// Plain text.
    Text(Data),
}

/// Static, public data.
#[derive(Debug)]
pub struct Resource {
    /// Its URI or URI template.
    pub uri: UriTemplate,
    /// A short name.
    pub name: String,
    /// A name for people.
    pub title: Option<String>,
    /// What it holds.
    pub description: Option<String>,
    /// Its media type.
    pub mime_type: String,
    /// The index of its bridge.
    pub bridge: usize,
    /// What it holds.
    pub content: ResourceContent,
}

/// What a resource holds.
#[derive(Debug)]
pub enum ResourceContent {
    /// A JSON document.
    Json(Data),
    /// Text.
    Text(Data),
    /// Text of a file.
    Fixed(String),
    /// Bytes.
    Blob(Bytes),
}

/// A `${…}` and where it stands.
#[derive(Debug)]
pub struct VariableUse {
    /// What is written.
    pub variable: Variable,
    /// Where it is written.
    pub span: Span,
    /// Where a relative `${file:…}` starts.
    pub directory: PathBuf,
}

// === impl Catalog ===

impl Catalog {
    /// The bridge of a tool or resource, by its index.
    #[must_use]
    pub fn bridge(&self, index: usize) -> Option<&Bridge> {
        self.bridges.get(index)
    }

    /// Finds a resource by URI, with the values of the URI's variables.
    #[must_use]
    pub fn resource(&self, uri: &str) -> Option<(&Resource, Vec<(String, String)>)> {
        if let Some(resource) = self.resources.get(uri) {
            return Some((resource, Vec::new()));
        }
        self.resource_templates.iter().find_map(|resource| resource.uri.read(uri).map(|values| (resource, values)))
    }
}

// === impl Tool ===

impl Tool {
    /// Whether a call needs to know who the caller is: it uses a claim, or it signs in at the API.
    #[must_use]
    pub fn needs_identity(&self, catalog: &Catalog) -> bool {
        let signs_in = self.operation.is_some()
            && catalog
                .bridge(self.bridge)
                .and_then(|bridge| bridge.upstream.as_ref())
                .is_some_and(|upstream| upstream.credential != Credential::None);
        let uses_claim = self.operation.as_ref().is_some_and(|operation| {
            !operation.template_claims.is_empty()
                || operation.bindings.iter().any(|binding| matches!(binding.source, Source::Claim(_)))
        });
        signs_in || uses_claim || !self.shape_claims.is_empty()
    }
}
