//! What is written in a bridge file. Everything here may be wrong; `catalog::compile` proves it.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A bridge file: one upstream API, its tools and its resources.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(title = "tollbridge bridge file")]
pub struct BridgeSpec {
    /// The name of the bridge: a lower-case letter, then lower-case letters, digits, `_` or `-`. Unique in the directory;
    /// `/mcp/{bridge}` serves this bridge alone.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9_-]{0,63}$"))]
    pub bridge: String,
    /// A name for people.
    pub title: Option<String>,
    /// What a model should know about using these tools together (MCP server instructions).
    pub instructions: Option<String>,
    /// The API that the tools of this bridge call.
    pub upstream: Option<UpstreamSpec>,
    /// Who the caller is: names for the claims of the caller's token. The first claim of a list that the token carries
    /// wins. A leading `/` makes it a JSON Pointer into the token's claims.
    #[serde(default)]
    pub claims: IndexMap<String, OneOrMany>,
    /// The tools, by name (at most 64 of `A-Z a-z 0-9 _ - .`). What needs the caller's identity or has side effects is a tool.
    #[serde(default)]
    pub tools: IndexMap<String, ToolSpec>,
    /// Static, public data, by URI. `{name}` in a URI makes it a template (RFC 6570 level 1).
    #[serde(default)]
    pub resources: IndexMap<String, ResourceSpec>,
}

/// One name, or several in the order they are tried.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One claim.
    One(String),
    /// Several claims; the first that the token carries wins.
    Many(Vec<String>),
}

/// The API that the tools of a bridge call.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct UpstreamSpec {
    /// The base URL, such as `https://api.yourcompany.com/v2`. `${NAME}` is filled in at load time; no request can leave
    /// its origin or its base path.
    pub url: String,
    /// How a call signs in at the API. There is no default: it must be written.
    pub credentials: CredentialSpec,
    /// Headers sent with every request.
    #[serde(default)]
    pub headers: IndexMap<String, String>,
    /// How long a request may take, from connecting to the last byte. Default: `10s`.
    pub timeout: Option<String>,
    /// The largest answer accepted, after decompression. Default: `1MiB`.
    pub max_response_bytes: Option<String>,
}

/// How a call signs in at the API.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialSpec {
    /// The API asks for nothing.
    None,
    /// The caller's own access token is forwarded. It must be issued for this API too: its audience is checked by the
    /// server's `auth`.
    CallerToken,
    /// A fixed bearer token; write `${NAME}`.
    Bearer(String),
    /// HTTP basic authentication.
    Basic(BasicSpec),
    /// An API key in a header or in the query.
    ApiKey(ApiKeySpec),
}

/// HTTP basic authentication.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct BasicSpec {
    /// The user name.
    pub username: String,
    /// The password; write `${NAME}`.
    pub password: String,
}

/// An API key, sent in exactly one of `header` and `query`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct ApiKeySpec {
    /// The header that carries the key.
    pub header: Option<String>,
    /// The query parameter that carries the key.
    pub query: Option<String>,
    /// The key; write `${NAME}`.
    pub value: String,
}

/// One tool: an endpoint of the API, its parameters and its answer.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ToolSpec {
    /// A name for people.
    pub title: Option<String>,
    /// What the tool does and when to use it: this is what the model reads.
    pub description: Option<String>,
    /// Method and path, such as `GET /hr/employees/{employee}`. A tool without an endpoint answers from `response.text`.
    pub endpoint: Option<String>,
    /// The parts of the HTTP request, by name. Each has exactly one source: the model (its JSON Schema), a claim, or a value.
    pub parameters: IndexMap<String, ParamSpec>,
    /// The request body, when it is not simply the body parameters as one JSON object.
    pub body: Option<BodySpec>,
    /// What becomes of the answer.
    pub response: ResponseSpec,
    /// Hints for clients; defaults follow the method.
    pub annotations: AnnotationsSpec,
    /// How long the request of this tool may take. Default: the upstream's.
    pub timeout: Option<String>,
}

/// A part of the HTTP request with exactly one source.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ParamSpec {
    /// Where the parameter goes. Inferred: a name in the path's `{}` goes to the path; else GET, HEAD and DELETE put it in
    /// the query, POST, PUT and PATCH in the body.
    #[serde(rename = "in")]
    pub location: Option<LocationSpec>,
    /// The name on the wire, when it differs.
    #[serde(rename = "as")]
    pub wire_name: Option<String>,
    /// The name of a claim (under `claims:`) that is the source. The model can't see or set this parameter.
    pub claim: Option<String>,
    /// A constant, or a template such as `"{{ uuid() }}"`. The model can't see or set this parameter.
    pub value: Option<Value>,
    /// The value when the model leaves the argument out.
    pub default: Option<Value>,
    /// `false` makes the parameter optional. (A list is JSON Schema's own `required`, for an object.)
    pub required: Option<RequiredSpec>,
    /// What the parameter means: this is what the model reads.
    pub description: Option<String>,
    /// The rest is the JSON Schema (2020-12) of the argument: `type`, `enum`, `format`, `items`, `properties`, …
    #[serde(flatten)]
    pub schema: Map<String, Value>,
}

/// Our own `required: false`, or JSON Schema's list of required properties.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RequiredSpec {
    /// Whether the parameter must be there.
    Parameter(bool),
    /// JSON Schema's `required`: the properties of an object that must be there.
    Properties(Vec<String>),
}

/// A place in the HTTP request (OpenAPI's `in`, and `body`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LocationSpec {
    /// A segment of the path.
    Path,
    /// The query string.
    Query,
    /// A request header.
    Header,
    /// A cookie.
    Cookie,
    /// A member of the JSON body.
    Body,
}

/// The request body as a data template; exactly one kind.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BodySpec {
    /// A JSON document.
    Json(Value),
    /// An HTML form (`application/x-www-form-urlencoded`).
    Form(IndexMap<String, Value>),
    /// Plain text.
    Text(String),
}

/// What becomes of the API's answer.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ResponseSpec {
    /// What the model reads, as a template over `status`, `headers`, `body`, `args` and `claims`. Default: the answer as it is.
    pub text: Option<String>,
    /// Words for error statuses, such as `404: No such employee.`
    pub errors: IndexMap<String, String>,
}

/// Hints for clients about what a tool does (MCP tool annotations).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AnnotationsSpec {
    /// The tool changes nothing. Default: `true` for GET and HEAD.
    pub read_only: Option<bool>,
    /// Calling it twice is the same as calling it once. Default: `true` for GET, HEAD, PUT and DELETE.
    pub idempotent: Option<bool>,
    /// It may overwrite or remove something. Default: `true` for PUT, PATCH and DELETE.
    pub destructive: Option<bool>,
    /// It reaches things outside a closed set. Default: `true` when it has an endpoint.
    pub open_world: Option<bool>,
}

/// Static, public data; exactly one of `json`, `text`, `file` and `blob`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ResourceSpec {
    /// A short name. Default: made from the URI.
    pub name: Option<String>,
    /// A name for people.
    pub title: Option<String>,
    /// What it holds.
    pub description: Option<String>,
    /// Its media type. Default: by the kind of content and the file's ending.
    pub mime_type: Option<String>,
    /// A JSON document; leaves may use the URI's variables as `{{ name }}`.
    pub json: Option<Value>,
    /// Text; it may use the URI's variables as `{{ name }}`.
    pub text: Option<String>,
    /// A file beside the bridge file; it is read again when it changes.
    pub file: Option<String>,
    /// Bytes, as base64.
    pub blob: Option<String>,
}
