//! What the files mean: tools, resources, prompts and the operations behind them. Immutable, resolved, no I/O; made only by
//! [`compile`].

pub mod compile;
mod data;
pub mod diff;
mod input;
mod job;
mod lint;
mod path;

mod uri;

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Method};
use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::config::Revision;
use crate::config::variable::Variable;
use crate::diag::Span;
use crate::json_schema::Checker;
use crate::principal::ClaimPath;
use crate::secret::Text;
use crate::shape::{Pages, Part, Select, Shape};
use crate::template::{Condition, Leaf, Templates};

pub use crate::breaker::BreakerDef;
pub use data::{Data, Rendered};
pub use diff::{CatalogDiff, Written};
pub use input::{Answers, ArgumentError, Arguments, Input};
pub use job::{Endpoint, JOB, Job};
pub use path::{DotSegment, PathTemplate, PathValue, encode_segment};
pub use uri::UriTemplate;

/// The tool that finds others, where tools are searched and not listed.
pub const FIND_TOOLS: &str = "find_tools";
/// The tool that calls others, there.
pub const CALL_TOOL: &str = "call_tool";

/// The media type of a file, by its ending.
#[must_use]
pub fn mime_type_of(name: &str) -> Option<&'static str> {
    let ending = name.rsplit_once('.')?.1.to_ascii_lowercase();
    Some(match ending.as_str() {
        "md" | "markdown" => "text/markdown",
        "txt" => "text/plain",
        "json" => "application/json",
        "yaml" | "yml" => "application/yaml",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "xml" => "application/xml",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        _ => return None,
    })
}

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
    /// The prompts by name, in the order in which they are written.
    pub prompts: IndexMap<String, Prompt>,
    /// The text templates of all of them.
    pub templates: Templates,
    /// The conditions of the templates, in the order of their numbers; none unless they are noted.
    pub conditions: Vec<ConditionUse>,
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
    /// Where its name is written.
    pub span: Span,
    /// What is written about it, without its tools, resources, prompts and tests.
    pub written: Written,
    /// Its skills.
    pub skills: Vec<Skill>,
}

/// Instructions for a model, with the files that come with them.
#[derive(Debug)]
pub struct Skill {
    /// The folder, below that of the skills, with `/`.
    pub path: String,
    /// What `SKILL.md` says about itself: `name`, `description` and more.
    pub about: Map<String, Value>,
    /// The files by their paths below the folder of the skills; those of skills inside of this one, too.
    pub files: Vec<(String, Bytes)>,
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
    /// How often a request is sent at most.
    pub attempts: u32,
    /// How many requests may be under way at once.
    pub max_concurrency: Option<usize>,
    /// When the API is left alone.
    pub breaker: Option<BreakerDef>,
    /// Certificates for the API.
    pub tls: TlsDef,
}

/// Certificates in PEM for the connections to one API, before their secrets are known.
#[derive(Clone, Debug, Default)]
pub struct TlsDef {
    /// Authorities trusted besides those of the machine.
    pub ca: Option<Text>,
    /// The client certificate and its private key.
    pub client: Option<(Text, Text)>,
    /// Where it is written.
    pub span: Option<Span>,
}

/// How a call signs in at the API, before its secrets are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The API asks for nothing.
    None,
    /// The caller's own token is forwarded.
    CallerToken {
        /// The audience that the token must name, if one is asked for.
        audience: Option<String>,
    },
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
    /// A token from an authorization server.
    Grant(Box<GrantDef>),
}

/// A token that we ask an authorization server for, before its secrets are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantDef {
    /// Whose token it is.
    pub on_behalf: OnBehalf,
    /// The token endpoint; `None`: that of the issuer of the caller's token.
    pub token_url: Option<Text>,
    /// The id of our client.
    pub client_id: Text,
    /// How our client proves who it is.
    pub proof: ProofDef,
    /// The scopes to ask for.
    pub scope: Option<String>,
    /// The audience to ask for.
    pub audience: Option<String>,
}

/// Whose token is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBehalf {
    /// Our client's (RFC 6749, section 4.4).
    Ourselves,
    /// The caller's, in exchange for the one they came with (RFC 8693).
    Caller,
}

/// How our client proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProofDef {
    /// A secret in the `Authorization` header.
    Basic(Text),
    /// A secret in the body.
    Post(Text),
    /// A private key in PEM and its name.
    Key(Text, Option<String>),
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
    /// What else clients may show or use.
    pub look: Look,
    /// The sets that it belongs to.
    pub toolsets: Vec<String>,
    /// The index of its bridge.
    pub bridge: usize,
    /// The request it makes; `None` for a tool that answers from the file.
    pub operation: Option<Operation>,
    /// What becomes of the answer.
    pub shape: Shape,
    /// The claims that its response template uses.
    pub shape_claims: Vec<String>,
    /// The output schema as clients see it.
    pub output: Option<Map<String, Value>>,
    /// What is asked before the call, each after those whose answers it uses.
    pub questions: Vec<Question>,
    /// What the client must be able to do, whatever is asked.
    pub requires: Vec<Capability>,
    /// What a caller needs.
    pub access: Access,
    /// How often it may be called.
    pub rate_limit: Option<RateLimit>,
    /// Whether its arguments stand in the audit trail.
    pub audits_arguments: bool,
    /// Where it is written.
    pub span: Span,
    /// The same for people: `file:line:column`.
    pub place: String,
    /// What is written.
    pub written: Written,
}

/// A question that is answered before a call.
#[derive(Debug)]
pub struct Question {
    /// Its name: where templates find the answer, under `answers`.
    pub name: String,
    /// What is asked, and of whom.
    pub kind: QuestionKind,
    /// Whether the call is refused without an answer.
    pub required: bool,
    /// The condition under which it is asked.
    pub when: Option<Leaf>,
    /// The questions whose answers it uses.
    pub after: Vec<String>,
}

/// What is asked, and of whom.
#[derive(Debug)]
pub enum QuestionKind {
    /// The user fills in a form; no field means yes or no.
    Form {
        /// What the user reads.
        message: Leaf,
        /// The fields.
        schema: Map<String, Value>,
        /// Checks what comes back.
        check: Checker,
    },
    /// The user opens a page.
    Page {
        /// What the user reads.
        message: Leaf,
        /// The page.
        url: Leaf,
    },
    /// The client's model writes a text.
    Sample(Leaf),
    /// The client says which folders the user works with.
    Roots,
}

/// Something that not every client can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// Asks the user to fill in a form.
    Form,
    /// Asks the user to open a page.
    Page,
    /// Asks its own model.
    Sampling,
    /// Knows which folders the user works with.
    Roots,
    /// Takes a task for a result that comes later.
    Tasks,
}

/// What a caller needs to call a tool; all of it at once.
#[derive(Debug, Default)]
pub struct Access {
    /// Scopes; every one of them.
    pub scopes: Vec<String>,
    /// Lists of groups; one group of each list. The bridge has one list, and the tool another.
    pub groups: Vec<Vec<String>>,
    /// Conditions, as they are written and compiled.
    pub when: Vec<(String, Leaf)>,
}

/// How often a tool may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many calls.
    pub calls: NonZeroU32,
    /// In which time.
    pub per: Duration,
    /// Whether each caller has a limit of their own.
    pub by_caller: bool,
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
    /// How to get from one page of the answer to the next.
    pub pages: Option<Pages>,
    /// How long an answer is kept.
    pub cache: Option<Duration>,
    /// How to wait, where the API answers before it is done.
    pub job: Option<Job>,
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
    /// How a list or an object becomes text.
    pub encoding: Encoding,
}

/// How a value becomes text, where its place holds text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// A single value as it is; a list in a query repeats the name.
    #[default]
    Plain,
    /// The items of a list, joined by this text into one value.
    Join(String),
    /// Several segments of a path.
    Segments,
    /// As OpenAPI's `style` and `explode` say.
    Styled {
        /// The delimiters.
        style: Style,
        /// Whether each item or member has a name of its own.
        explode: bool,
    },
}

/// The delimiters of lists and objects (OpenAPI's `style`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `a=1,2`.
    Form,
    /// `1,2`.
    Simple,
    /// `.1,2`.
    Label,
    /// `;a=1,2`.
    Matrix,
    /// `a=1%202`.
    SpaceDelimited,
    /// `a=1%7C2`.
    PipeDelimited,
    /// `a[b]=1`.
    DeepObject,
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
    Json(Data, Option<String>),
    /// An HTML form.
    Form(Vec<(String, Data)>),
    /// A form with files.
    Multipart(Vec<(String, FieldTemplate)>),
    /// Text, and its media type when it is not plain.
    Text(Data, Option<String>),
    /// Bytes as base64, and their media type when they have one.
    Base64(Data, Option<String>),
}

/// A field of a multipart form.
#[derive(Debug)]
pub struct FieldTemplate {
    /// What it holds.
    pub content: FieldContent,
    /// The name of the file.
    pub filename: Option<Data>,
    /// The media type.
    pub content_type: Option<String>,
}

/// What a field of a multipart form holds.
#[derive(Debug)]
pub enum FieldContent {
    /// A value; a list makes several fields.
    Text(Data),
    /// Bytes as base64.
    Base64(Data),
    /// A JSON document.
    Json(Data),
}

/// Public data, the same for everyone.
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
    /// Its media type; `None` for what an API answers, which says so itself.
    pub mime_type: Option<String>,
    /// The index of its bridge.
    pub bridge: usize,
    /// What it holds.
    pub content: ResourceContent,
    /// What clients suggest for the variables of its URI.
    pub complete: IndexMap<String, Complete>,
    /// How often it is looked at while somebody follows it.
    pub watch: Option<Duration>,
    /// Hints for clients.
    pub annotations: ResourceAnnotations,
    /// What else clients may show or use.
    pub look: Look,
    /// What is written.
    pub written: Written,
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
    /// What a GET of the bridge's API answers. The variables of the URI are its arguments.
    Endpoint(Box<Operation>),
}

/// Hints for clients about a resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResourceAnnotations {
    /// Whom it is for.
    pub audience: Vec<Role>,
    /// How much it matters, from 0 to 1.
    pub priority: Option<f32>,
    /// When it last changed (RFC 3339).
    pub last_modified: Option<String>,
}

/// Who says something, or for whom something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// Messages that a user can put into a conversation.
#[derive(Debug)]
pub struct Prompt {
    /// Its name, unique in the catalogue.
    pub name: String,
    /// A name for people.
    pub title: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The index of its bridge.
    pub bridge: usize,
    /// What the user fills in.
    pub arguments: Vec<PromptArgument>,
    /// What is asked before the messages are made.
    pub questions: Vec<Question>,
    /// The messages.
    pub messages: Vec<(Role, Part)>,
    /// What else clients may show or use.
    pub look: Look,
    /// What is written.
    pub written: Written,
}

/// What clients may show or use of a tool, a resource or a prompt, besides its words.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Pictures.
    pub icons: Vec<Icon>,
    /// Data for clients that know of it.
    pub meta: Map<String, Value>,
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Icon {
    /// Where it is: an https URL or a `data:` URI.
    pub src: String,
    /// Its media type.
    pub mime_type: Option<String>,
    /// Its sizes.
    pub sizes: Vec<String>,
    /// Whether it is made for a dark background, or for a light one.
    pub dark: Option<bool>,
}

/// What clients suggest for a value.
#[derive(Debug, Default)]
pub enum Complete {
    /// Nothing.
    #[default]
    Nothing,
    /// These; any other value is taken, too.
    Known(Vec<String>),
    /// These, and there are no others.
    Only(Vec<String>),
    /// What the API says.
    Asked(Box<Suggestions>),
}

/// Suggestions that the API makes.
#[derive(Debug)]
pub struct Suggestions {
    /// The request.
    pub operation: Operation,
    /// Where the list stands in the answer.
    pub select: Option<Select>,
    /// The query parameter that takes what was typed.
    pub wire_name: Option<String>,
    /// How long an answer is kept.
    pub keep: Duration,
}

/// Something that the user fills in.
#[derive(Debug)]
pub struct PromptArgument {
    /// Its name.
    pub name: String,
    /// A name for people.
    pub title: Option<String>,
    /// What it means.
    pub description: Option<String>,
    /// Whether it must be filled in.
    pub required: bool,
    /// What clients suggest.
    pub complete: Complete,
}

/// A condition of a template and where the template stands.
#[derive(Debug)]
pub struct ConditionUse {
    /// What is written.
    pub condition: Condition,
    /// Where it is written.
    pub span: Span,
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
        self.resource_templates.iter().find_map(|resource| {
            let values = resource.uri.read(uri)?;
            let exists = values.iter().all(|(name, value)| match resource.complete.get(name) {
                Some(Complete::Only(only)) => only.contains(value),
                _ => true,
            });
            exists.then_some((resource, values))
        })
    }

    /// Whether some tool belongs to a set.
    #[must_use]
    pub fn has_toolset(&self, name: &str) -> bool {
        self.tools.values().any(|tool| tool.toolsets.iter().any(|set| set == name))
    }
}

// === impl Question ===

impl Question {
    /// Whether it asks for a yes or no and nothing else.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let QuestionKind::Form { schema, .. } = &self.kind else { return false };
        schema.get("properties").and_then(Value::as_object).is_none_or(Map::is_empty)
    }

    /// Whether the answer says that somebody agreed, or has done something.
    #[must_use]
    pub fn is_consent(&self) -> bool {
        self.is_plain() || matches!(self.kind, QuestionKind::Page { .. })
    }
}

// === impl QuestionKind ===

impl QuestionKind {
    /// What a client needs to be able to do for it.
    #[must_use]
    pub fn needs(&self) -> Capability {
        match self {
            Self::Form { .. } => Capability::Form,
            Self::Page { .. } => Capability::Page,
            Self::Sample(_) => Capability::Sampling,
            Self::Roots => Capability::Roots,
        }
    }
}

// === impl Capability ===

impl fmt::Display for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Form => "elicitation",
            Self::Page => "elicitation by URL",
            Self::Sampling => "sampling",
            Self::Roots => "roots",
            Self::Tasks => "tasks",
        })
    }
}

// === impl Tool ===

impl Tool {
    /// Whether a call is made from a claim, by its name under `claims:`.
    #[must_use]
    pub fn uses_claim(&self, name: &str) -> bool {
        let bound = |binding: &Binding| matches!(&binding.source, Source::Claim(used) if used == name);
        let has = |names: &[String]| names.iter().any(|used| used == name);
        has(&self.shape_claims)
            || self
                .operation
                .as_ref()
                .is_some_and(|operation| has(&operation.template_claims) || operation.bindings.iter().any(bound))
    }

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
        signs_in || uses_claim || !self.shape_claims.is_empty() || !self.access.is_open()
    }
}

// === impl Style ===

impl fmt::Display for Style {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Form => "form",
            Self::Simple => "simple",
            Self::Label => "label",
            Self::Matrix => "matrix",
            Self::SpaceDelimited => "spaceDelimited",
            Self::PipeDelimited => "pipeDelimited",
            Self::DeepObject => "deepObject",
        })
    }
}

// === impl Credential ===

impl Credential {
    /// Whether a call goes out in the caller's name, so that what comes back may be theirs alone.
    #[must_use]
    pub fn is_callers(&self) -> bool {
        match self {
            Self::CallerToken { .. } => true,
            Self::Grant(grant) => grant.on_behalf == OnBehalf::Caller,
            Self::None | Self::Bearer(_) | Self::Basic { .. } | Self::KeyHeader(..) | Self::KeyQuery(..) => false,
        }
    }
}

// === impl Access ===

impl Access {
    /// Whether anybody may call the tool.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.scopes.is_empty() && !self.hides()
    }

    /// Whether the tool does not exist for some callers. Scopes can be asked for, so lacking one hides nothing.
    #[must_use]
    pub fn hides(&self) -> bool {
        !self.groups.is_empty() || !self.when.is_empty()
    }
}
