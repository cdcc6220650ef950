//! What is written in a bridge file. Everything here may be wrong; `catalog::compile` proves it.

use std::borrow::Cow;

use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Number, Value};

use super::case::CaseSpec;
use super::client::ClientSpec;
use super::job::AsyncSpec;
use super::server::True;

/// A bridge file: one upstream API, its tools, its resources and its prompts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(title = "tollbridge bridge file")]
pub struct BridgeSpec {
    /// The name of the bridge: a lower-case letter, then lower-case letters, digits, `_` or `-`. Unique in the directory;
    /// `/mcp/{bridge}` serves this bridge alone.
    /// Example: `hr`
    #[schemars(regex(pattern = r"^[a-z][a-z0-9_-]{0,63}$"))]
    pub bridge: String,
    /// A name for people.
    /// Example: `Human resources`
    pub title: Option<String>,
    /// What a model should know about using these tools together (MCP server instructions).
    /// Example: `Ask for dates as YYYY-MM-DD.`
    pub instructions: Option<String>,
    /// The API that the tools of this bridge call.
    /// Example: `{ url: https://api.example.com, credentials: none }`
    pub upstream: Option<UpstreamSpec>,
    /// What a caller needs for every tool of this bridge; a tool may add to it.
    /// Example: `{ scopes: [hr.read] }`
    #[serde(default)]
    pub access: AccessSpec,
    /// Who the caller is: names for the claims of the caller's token. The first claim of a list that the token carries
    /// wins. A leading `/` makes it a JSON Pointer into the token's claims.
    /// Example: `{ gpid: [gpid, employeeNumber, sub], org: /tenant/id }`
    #[serde(default)]
    pub claims: IndexMap<String, OneOrMany>,
    /// The tools, by name (at most 64 of `A-Z a-z 0-9 _ - .`). What needs the caller's identity or has side effects is a tool.
    /// Example: `{ get_policy: { description: The leave policy., endpoint: GET /policy } }`
    #[serde(default)]
    pub tools: IndexMap<String, ToolSpec>,
    /// Static, public data, by URI. `{name}` in a URI makes it a template (RFC 6570 level 1).
    /// Example: `{ "config://app/settings": { json: { version: 2 } } }`
    #[serde(default)]
    pub resources: IndexMap<String, ResourceSpec>,
    /// Prompts that a user can choose in their client, by name.
    /// Example: `{ plan: { messages: [{ role: user, text: Plan my vacation. }] } }`
    #[serde(default)]
    pub prompts: IndexMap<String, PromptSpec>,
    /// A folder below the directory of the bridges; each folder in it with a `SKILL.md` is a skill: instructions for a model
    /// and the files that come with them. They are public, as resources are.
    /// Example: `skills/`
    pub skills: Option<String>,
    /// Tests of this bridge: `tollbridge test` runs them, without the network. They can also stand in a `*.test.yaml` beside
    /// it.
    /// Example: `[{ name: asks for the caller, tool: get_schedule, caller: { gpid: "12345" }, expect: { request: GET
    /// /schedules?gpid=12345 } }]`
    #[serde(default)]
    pub tests: Vec<CaseSpec>,
}

/// What a caller needs to call a tool; all of it at once.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AccessSpec {
    /// Scopes of the token; the caller needs every one of them.
    /// Example: `[hr.read]`
    pub scopes: Vec<String>,
    /// Groups of the caller; they need to be in one of them. They are looked up in the claim `groups`: the one defined
    /// under `claims:`, or else the token's own.
    /// Example: `[Employees]`
    pub groups: Vec<String>,
    /// A condition over `claims`, such as `claims.country in ['DE', 'US']`. A claim that is missing makes it false.
    /// Example: `claims.country in ['DE', 'US']`
    pub when: Option<String>,
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
    /// Example: `https://api.example.com/v2`
    pub url: String,
    /// How a call signs in at the API. There is no default: it must be written.
    /// Example: `none`
    pub credentials: CredentialSpec,
    /// Headers sent with every request.
    /// Example: `{ X-App: tollbridge }`
    #[serde(default)]
    pub headers: IndexMap<String, String>,
    /// How long a request may take, from connecting to the last byte. Default: `10s`.
    /// Example: `10s`
    pub timeout: Option<String>,
    /// Tries again when the API is busy or can't be reached. Only GET, HEAD, PUT and DELETE are ever repeated. Default:
    /// no retries.
    /// Example: `{ attempts: 3 }`
    pub retry: Option<RetrySpec>,
    /// Certificates for this API, when those of the machine don't do.
    /// Example: `{ ca: "${file:ca.pem}" }`
    pub tls: Option<TlsSpec>,
    /// How many requests may be under way at once; more wait for their turn within `timeout`. Default: no limit.
    /// Example: `64`
    #[schemars(range(min = 1, max = 65535))]
    pub max_concurrency: Option<u32>,
    /// After this many requests in a row without an answer, calls are refused at once until the API had a rest. Default:
    /// 10 failures, a rest of 10 s. `false` turns it off.
    /// Example: `false`
    pub circuit_breaker: Option<BreakerSpec>,
    /// The largest answer accepted, after decompression. Default: `1MiB`.
    /// Example: `1MiB`
    pub max_response_bytes: Option<String>,
}

/// When to try again.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct RetrySpec {
    /// How often a request is sent at most, the first time included. Pauses grow exponentially, with jitter; a
    /// `Retry-After` of the API is honoured. Over all calls, retries are held to a fifth of the requests.
    /// Example: `3`
    #[schemars(range(min = 1, max = 10))]
    pub attempts: u32,
}

/// What of a call stands in the audit trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditSpec {
    /// The arguments, as they came.
    Arguments,
}

/// Certificates in PEM, for connections to one API.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TlsSpec {
    /// Certificate authorities trusted besides those of the machine; write `${file:ca.pem}`.
    /// Example: `"${file:ca.pem}"`
    pub ca: Option<String>,
    /// The client certificate with its chain (mutual TLS); write `${file:client.pem}`.
    /// Example: `"${file:client.pem}"`
    pub cert: Option<String>,
    /// The private key of the client certificate; write `${file:client.key}`.
    /// Example: `"${file:client.key}"`
    pub key: Option<String>,
}

/// When an API that does not answer is left alone.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum BreakerSpec {
    /// `false`: always try.
    Switch(bool),
    /// When to stop, and for how long.
    Limits(BreakerLimitsSpec),
}

/// When to stop calling an API, and for how long.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct BreakerLimitsSpec {
    /// How many requests in a row must go without an answer. Default: 10.
    /// Example: `5`
    #[schemars(range(min = 1, max = 10000))]
    pub failures: Option<u32>,
    /// How long calls are refused, until one of them is let through to see whether the API is back. Default: `10s`.
    /// Example: `30s`
    pub pause: Option<String>,
}

/// How a call signs in at the API: a word, or one kind with its settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum CredentialSpec {
    /// A way without settings.
    Word(CredentialWord),
    /// A way with settings.
    Kind(CredentialKind),
}

/// One list of choices, words and kinds alike: editors offer them side by side.
impl JsonSchema for CredentialSpec {
    fn schema_name() -> Cow<'static, str> {
        "CredentialSpec".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let schemas = [CredentialWord::json_schema(generator), CredentialKind::json_schema(generator)];
        let choices = schemas.iter().filter_map(|schema| schema.get("oneOf").and_then(Value::as_array)).flatten();
        json_schema!({
            "description": "How a call signs in at the API.",
            "oneOf": choices.collect::<Vec<_>>(),
        })
    }
}

/// A way to sign in that has no settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialWord {
    /// The API asks for nothing.
    None,
    /// The caller's own access token is forwarded. It must be issued for this API too: its audience is checked by the
    /// server's `auth`.
    CallerToken,
}

/// A way to sign in that has settings.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// The caller's own access token is forwarded, if it names the audience of this API.
    /// Example: `{ audience: api://hr }`
    CallerToken(CallerTokenSpec),
    /// A fixed bearer token; write `${NAME}`.
    /// Example: `"${TOKEN}"`
    Bearer(String),
    /// HTTP basic authentication.
    /// Example: `{ username: service, password: "${PASSWORD}" }`
    Basic(BasicSpec),
    /// An API key in a header or in the query.
    /// Example: `{ header: X-API-Key, value: "${API_KEY}" }`
    ApiKey(ApiKeySpec),
    /// A token of our own client (OAuth 2.0 client credentials), kept until shortly before it expires.
    /// Example: `{ token_url: https://your-org.okta.com/oauth2/default/v1/token, client_id: bridge,
    /// client_secret: "${CLIENT_SECRET}", scope: hr.read }`
    ClientCredentials(ClientCredentialsSpec),
    /// The caller's token, exchanged for one that is meant for this API (RFC 8693; Okta calls it On-Behalf-Of). Kept for
    /// that token until shortly before it expires. A failed exchange fails the call.
    /// Example: `{ client_id: bridge, client_secret: "${CLIENT_SECRET}", audience: api://hr, scope: hr.read }`
    TokenExchange(TokenExchangeSpec),
}

/// A token of our own client.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct ClientCredentialsSpec {
    /// The token endpoint.
    /// Example: `https://your-org.okta.com/oauth2/default/v1/token`
    pub token_url: String,
    /// The scopes to ask for, with blanks between them.
    /// Example: `hr.read hr.write`
    pub scope: Option<String>,
    /// The audience to ask for, where the authorization server wants one.
    /// Example: `api://hr`
    pub audience: Option<String>,
    /// Our client.
    #[serde(flatten)]
    pub client: ClientSpec,
}

/// The caller's token in exchange for another.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct TokenExchangeSpec {
    /// The token endpoint. Default: that of the issuer of the caller's token, by its discovery document.
    /// Example: `https://your-org.okta.com/oauth2/default/v1/token`
    pub token_url: Option<String>,
    /// The audience of the API, which the new token is for.
    /// Example: `api://hr`
    pub audience: Option<String>,
    /// The scopes to ask for, with blanks between them.
    /// Example: `hr.read`
    pub scope: Option<String>,
    /// Our client.
    #[serde(flatten)]
    pub client: ClientSpec,
}

/// Which tokens of callers may be forwarded.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct CallerTokenSpec {
    /// The audience (`aud`) that a caller's verified token must name.
    /// Example: `api://hr`
    pub audience: String,
}

/// HTTP basic authentication.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct BasicSpec {
    /// The user name.
    /// Example: `service`
    pub username: String,
    /// The password; write `${NAME}`.
    /// Example: `"${PASSWORD}"`
    pub password: String,
}

/// An API key, sent in exactly one of `header` and `query`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct ApiKeySpec {
    /// The header that carries the key.
    /// Example: `X-API-Key`
    pub header: Option<String>,
    /// The query parameter that carries the key.
    /// Example: `key`
    pub query: Option<String>,
    /// The key; write `${NAME}`.
    /// Example: `"${API_KEY}"`
    pub value: String,
}

/// One tool: an endpoint of the API, its parameters and its answer.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ToolSpec {
    /// A name for people.
    /// Example: `Request time off`
    pub title: Option<String>,
    /// What the tool does and when to use it: this is what the model reads.
    /// Example: `Submit a time-off request for the signed-in user.`
    pub description: Option<String>,
    /// Method and path, such as `GET /hr/employees/{employee}`. A tool without an endpoint answers from `response.text`
    /// or `response.content`.
    /// Example: `GET /hr/employees/{employee}`
    pub endpoint: Option<String>,
    /// What a caller needs to call it, on top of what the bridge asks for.
    /// Example: `{ scopes: [hr.write], groups: [Employees] }`
    pub access: AccessSpec,
    /// The parts of the HTTP request, by name. Each has exactly one source: the model (its JSON Schema), a claim, or a value.
    /// Example: `{ employee: { claim: gpid }, start: { type: string, format: date } }`
    pub parameters: IndexMap<String, ParamSpec>,
    /// What the user is asked to confirm before anything is sent; who declines sends nothing. The same as a question of `ask`
    /// without fields, asked last.
    /// Example: `"Submit {{ args.days }} days off from {{ args.start }}?"`
    pub confirm: Option<String>,
    /// Questions that are answered before the call, by name; `{{ answers.reason.text }}` is an answer. A question whose words use
    /// an answer is asked after that one. Where a question may not be asked, `{{ answers.reason.text if answers.reason is
    /// defined }}` is left out. A client that can't ask is refused, and nothing is sent.
    /// Example: `{ reason: { message: "Why?", schema: { type: object, properties: { text: { type: string } }, required: [text] } } }`
    pub ask: IndexMap<String, AskSpec>,
    /// What the client must be able to do; a call of any other is refused. What questions need is asked for anyway.
    /// Example: `[elicitation]`
    pub requires: Vec<CapabilitySpec>,
    /// The request body, when it is not simply the body parameters as one JSON object.
    /// Example: `{ json: { from: "{{ args.start }}" } }`
    pub body: Option<BodySpec>,
    /// What becomes of the answer.
    /// Example: `{ text: "Request {{ body.id }} is {{ body.state }}." }`
    pub response: ResponseSpec,
    /// Hints for clients; defaults follow the method.
    /// Example: `{ destructive: false }`
    pub annotations: AnnotationsSpec,
    /// Pictures that clients may show beside it: an https URL or a `data:` URI each.
    /// Example: `[https://example.com/calendar.svg]`
    pub icons: Vec<IconSpec>,
    /// Data for clients that know of it (MCP `_meta`). A name with a prefix, such as `com.example/team`, is nobody else's.
    /// Example: `{ com.example/team: people }`
    pub meta: Map<String, Value>,
    /// The sets that it belongs to: `/mcp?toolset=NAME` offers only the tools of that set.
    /// Example: `[payroll]`
    pub toolsets: Vec<String>,
    /// What of a call stands in the audit trail besides who, what and when. Default: nothing.
    /// Example: `arguments`
    pub audit: Option<AuditSpec>,
    /// Follows the pages of an answer that comes in several.
    /// Example: `{ next: links.next, items: data }`
    pub paginate: Option<PaginateSpec>,
    /// How to wait for an API that takes the work and answers later. Clients with tasks get a task.
    /// Example: `{ job: id, status: "GET /jobs/{job}", done: "state == 'finished'" }`
    #[serde(rename = "async")]
    pub slow: Option<AsyncSpec>,
    /// How often it may be called.
    /// Example: `{ calls: 10, per: minute, by: caller }`
    pub rate_limit: Option<RateLimitSpec>,
    /// How long an answer is kept for the same request of the same caller. GET only. Default: not at all.
    /// Example: `30s`
    pub cache: Option<String>,
    /// How long the request of this tool may take. Default: the upstream's.
    /// Example: `5s`
    pub timeout: Option<String>,
}

/// A question, exactly one of `schema`, `url`, `sample` and `roots`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AskSpec {
    /// What the user reads.
    /// Example: `"Why do you need {{ args.days }} days off?"`
    pub message: Option<String>,
    /// The fields of a form: the JSON Schema of an object with texts, numbers, booleans and choices, and nothing nested.
    /// Example: `{ type: object, properties: { text: { type: string, maxLength: 200 } }, required: [text] }`
    pub schema: Option<Map<String, Value>>,
    /// A page that the user opens and comes back from, for what must not pass through the client.
    /// Example: `"https://sign.example.com/start?order={{ args.order }}"`
    pub url: Option<String>,
    /// What the client's own model is asked. The protocol has deprecated it.
    /// Example: `"Sum up in one line: {{ args.note }}"`
    pub sample: Option<String>,
    /// The folders that the user works with. The protocol has deprecated it.
    /// Example: `true`
    pub roots: Option<True>,
    /// A condition, without `{{ }}`, under which it is asked.
    /// Example: `args.days > 10`
    pub when: Option<String>,
    /// `false`: who declines, and a client that can't ask, go on without an answer. Default: `true`.
    /// Example: `false`
    pub required: Option<bool>,
}

/// Something that not every client can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CapabilitySpec {
    /// Asks the user to fill in a form.
    Elicitation,
    /// Asks the user to open a page.
    ElicitationUrl,
    /// Asks its own model. Deprecated.
    Sampling,
    /// Knows which folders the user works with. Deprecated.
    Roots,
    /// Takes a task for a result that comes later (`async`).
    Tasks,
}

/// How to get from one page of an answer to the next.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct PaginateSpec {
    /// Where a page says what comes next: `link_header` (RFC 8288, `rel="next"`), or a JMESPath into the body that gives
    /// a URL of this API or, with `as`, a cursor. Nothing, `null`, `false` and `""` mean the last page.
    /// Example: `links.next`, `link_header`
    pub next: String,
    /// The query parameter that takes the cursor.
    /// Example: `cursor`
    #[serde(rename = "as")]
    pub wire_name: Option<String>,
    /// A JMESPath to the list of items in the body: a chain of names. Default: the body itself is the list.
    /// Example: `data`
    pub items: Option<String>,
    /// How many pages are asked for at most. Default: 5.
    /// Example: `5`
    #[schemars(range(min = 1, max = 100))]
    pub max_pages: Option<u32>,
}

/// How often a tool may be called.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct RateLimitSpec {
    /// How many calls; so many may come at once, then they are spread over the period.
    /// Example: `10`
    #[schemars(range(min = 1))]
    pub calls: u32,
    /// In which time.
    /// Example: `second`
    pub per: PeriodSpec,
    /// Whose calls are counted together. Default: `caller`.
    /// Example: `caller`
    #[serde(default)]
    pub by: RateLimitBySpec,
}

/// A time over which calls are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PeriodSpec {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
}

/// Whose calls are counted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RateLimitBySpec {
    /// Each caller has a limit of their own.
    #[default]
    Caller,
    /// All callers share one.
    Tool,
}

/// A part of the HTTP request with exactly one source.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ParamSpec {
    /// Where the parameter goes. Inferred: a name in the path's `{}` goes to the path; else GET, HEAD and DELETE put it in
    /// the query, POST, PUT and PATCH in the body.
    /// Example: `header`
    #[serde(rename = "in")]
    pub location: Option<LocationSpec>,
    /// The name on the wire, when it differs.
    /// Example: `start`
    #[serde(rename = "as")]
    pub wire_name: Option<String>,
    /// The name of a claim (under `claims:`) that is the source. The model can't see or set this parameter.
    /// Example: `gpid`
    pub claim: Option<String>,
    /// A constant, or a template such as `"{{ uuid() }}"`. The model can't see or set this parameter.
    /// Example: `assistant`, `"{{ uuid() }}"`
    pub value: Option<Value>,
    /// The value when the model leaves the argument out.
    /// Example: `10`
    pub default: Option<Value>,
    /// Joins the items of a list with this text into one value, such as `","`; the only way for a list to go into a path,
    /// a header or a cookie.
    /// Example: `","`
    pub join: Option<String>,
    /// How lists and objects are written, as in OpenAPI. Query: `form`, `spaceDelimited`, `pipeDelimited`, `deepObject`;
    /// path: `simple`, `label`, `matrix`; header: `simple`.
    /// Example: `deepObject`
    pub style: Option<StyleSpec>,
    /// Whether each item of a list gets a parameter of its own, as in OpenAPI. Default: `true` for `form` and
    /// `deepObject`, else `false`.
    /// Example: `false`
    pub explode: Option<bool>,
    /// Lets `/` through, so that the value may be several segments of the path (RFC 6570 `{+path}`); each segment is
    /// still encoded and checked.
    /// Example: `true`
    pub reserved: Option<bool>,
    /// `false` makes the parameter optional. (A list is JSON Schema's own `required`, for an object.)
    /// Example: `false`
    pub required: Option<RequiredSpec>,
    /// What the parameter means: this is what the model reads.
    /// Example: `Start date (YYYY-MM-DD)`
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

/// How a list or an object is written in a place that holds text (OpenAPI's `style`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StyleSpec {
    /// Query: `a=1&a=2`, or `a=1,2` with `explode: false`.
    Form,
    /// Path and header: `1,2`.
    Simple,
    /// Path: `.1,2`.
    Label,
    /// Path: `;a=1,2`.
    Matrix,
    /// Query: `a=1%202`.
    SpaceDelimited,
    /// Query: `a=1%7C2`.
    PipeDelimited,
    /// Query: `a[b]=1`.
    DeepObject,
}

/// The request body as a data template; exactly one of `json`, `form`, `multipart`, `text` and `base64`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BodySpec {
    /// A JSON document.
    /// Example: `{ request: { from: "{{ args.start }}" } }`
    pub json: Option<Value>,
    /// An HTML form (`application/x-www-form-urlencoded`).
    /// Example: `{ from: "{{ args.start }}" }`
    pub form: Option<IndexMap<String, Value>>,
    /// A form with files (`multipart/form-data`), by the names of its fields.
    /// Example: `{ file: { base64: "{{ args.content }}", filename: photo.png } }`
    pub multipart: Option<IndexMap<String, FieldSpec>>,
    /// Text.
    /// Example: `"{{ args.note }}"`
    pub text: Option<String>,
    /// Bytes, as base64, such as `"{{ args.content }}"`.
    /// Example: `"{{ args.content }}"`
    pub base64: Option<String>,
    /// The media type of the body, for `json`, `text` and `base64`.
    /// Example: `image/png`
    pub content_type: Option<String>,
}

/// A field of a multipart form: a value, or a part with a name and a media type of its own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum FieldSpec {
    /// Text, often a template.
    Text(String),
    /// A number.
    Number(Number),
    /// `true` or `false`.
    Bool(bool),
    /// Several fields of the same name.
    List(Vec<Value>),
    /// A part, such as a file.
    Part(PartSpec),
}

/// A part of a multipart form; exactly one of `text`, `base64` and `json`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PartSpec {
    /// Text.
    /// Example: `"{{ args.note }}"`
    pub text: Option<String>,
    /// Bytes, as base64.
    /// Example: `"{{ args.content }}"`
    pub base64: Option<String>,
    /// A JSON document.
    /// Example: `{ name: "{{ args.name }}" }`
    pub json: Option<Value>,
    /// The name of the file.
    /// Example: `photo.png`
    pub filename: Option<String>,
    /// The media type. Default: by the kind of the part.
    /// Example: `image/png`
    pub content_type: Option<String>,
}

/// What becomes of the API's answer.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ResponseSpec {
    /// Takes what matters out of a JSON answer: a JMESPath. What it gives is the `result`.
    /// Example: `"data.{id: id, state: status.code}"`
    pub select: Option<String>,
    /// The JSON Schema of the result (MCP's `outputSchema`). The result is checked and also given as structured content.
    /// Example: `{ type: object, required: [id], properties: { id: { type: string } } }`
    pub schema: Option<Map<String, Value>>,
    /// What the model reads, as a template over `result`, `status`, `headers`, `body`, `args` and `claims`. Default: the
    /// result as JSON, or the answer as it is.
    /// Example: `"Request {{ result.id }} is {{ result.state }}."`
    pub text: Option<String>,
    /// Members of the answer that nobody sees, wherever they are: `ssn`, or `*.salary` for those inside something. Their
    /// values become `[redacted]` before anything else looks at the answer.
    /// Example: `[ssn, "*.salary"]`
    pub redact: Vec<String>,
    /// How much the model gets at most. A longer result is cut between items, so that JSON stays valid, and says so.
    /// Example: `32KiB`
    pub max_bytes: Option<String>,
    /// What becomes of characters of the answer that a model reads and a person can't see: tag characters, turned
    /// directions, zero width, controls. `strip` leaves them out, `flag` shows their numbers. Default: `strip`.
    /// Example: `flag`
    pub hidden: Option<HiddenSpec>,
    /// What kind of content the model gets. Default: `auto`.
    /// Example: `auto`
    pub content: Option<ContentSpec>,
    /// Words for error statuses, such as `404: No such employee.`, and which fields of an error answer may be shown.
    /// Example: `{ 404: No such employee., detail: [message, code] }`
    pub errors: ErrorsSpec,
}

/// Words for error statuses.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ErrorsSpec {
    /// The fields of an error answer that the model may read, such as `[message, code]`; a dot leads inwards. Default:
    /// the message, where the API sends one in a usual place.
    /// Example: `[message, code]`
    pub detail: Option<Vec<String>>,
    /// Words by status: `404`, or `4xx` and `5xx` for all others of the kind.
    #[serde(flatten)]
    pub words: IndexMap<String, String>,
}

/// What kind of content the model gets.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ContentSpec {
    /// The answer as one piece.
    Kind(ContentKindSpec),
    /// Pieces made of templates.
    Parts(Vec<ContentPartSpec>),
}

/// What becomes of characters that can't be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HiddenSpec {
    /// They are left out.
    #[default]
    Strip,
    /// They are shown by their numbers, such as `[U+200B]`.
    Flag,
}

/// The answer as one piece of content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContentKindSpec {
    /// By the `Content-Type` of the answer.
    #[default]
    Auto,
    /// JSON; an answer that is something else is an error.
    Json,
    /// Text, whatever the API says it is.
    Text,
    /// An image; an answer that is something else is an error.
    Image,
    /// A sound; an answer that is something else is an error.
    Audio,
    /// Bytes.
    Blob,
}

/// One piece of content; exactly one of `text`, `image`, `audio`, `resource` and `link`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ContentPartSpec {
    /// Text.
    /// Example: `"Number {{ body.id }}"`
    pub text: Option<String>,
    /// An image, as base64.
    /// Example: `"{{ body.png }}"`
    pub image: Option<String>,
    /// A sound, as base64.
    /// Example: `"{{ body.wav }}"`
    pub audio: Option<String>,
    /// A resource with its content.
    /// Example: `{ uri: "hr://x", text: "{{ body.note }}" }`
    pub resource: Option<EmbeddedSpec>,
    /// The URI of a resource that the client may read.
    /// Example: `"hr://employees/{{ body.id }}"`
    pub link: Option<String>,
    /// The media type; an image or a sound must have one.
    /// Example: `image/png`
    pub mime_type: Option<String>,
    /// The name of a linked resource. Default: the last part of its URI.
    /// Example: `employee`
    pub name: Option<String>,
    /// What a linked resource holds.
    /// Example: `The employee in full`
    pub description: Option<String>,
}

/// A resource with its content; exactly one of `text` and `blob`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct EmbeddedSpec {
    /// Its URI.
    /// Example: `"hr://x"`
    pub uri: String,
    /// Its text.
    /// Example: `"{{ body.note }}"`
    pub text: Option<String>,
    /// Its bytes, as base64.
    /// Example: `"{{ body.png }}"`
    pub blob: Option<String>,
    /// Its media type.
    /// Example: `text/plain`
    pub mime_type: Option<String>,
}

/// Hints for clients about what a tool does (MCP tool annotations).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AnnotationsSpec {
    /// The tool changes nothing. Default: `true` for GET and HEAD.
    /// Example: `true`
    pub read_only: Option<bool>,
    /// Calling it twice is the same as calling it once. Default: `true` for GET, HEAD, PUT and DELETE.
    /// Example: `true`
    pub idempotent: Option<bool>,
    /// It may overwrite or remove something. Default: `true` for PUT, PATCH and DELETE.
    /// Example: `false`
    pub destructive: Option<bool>,
    /// It reaches things outside a closed set. Default: `true` when it has an endpoint.
    /// Example: `false`
    pub open_world: Option<bool>,
}

/// Public data, the same for everyone; exactly one of `json`, `text`, `file`, `blob` and `endpoint`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ResourceSpec {
    /// A short name. Default: made from the URI.
    /// Example: `settings`
    pub name: Option<String>,
    /// A name for people.
    /// Example: `Application settings`
    pub title: Option<String>,
    /// What it holds.
    /// Example: `Application configuration.`
    pub description: Option<String>,
    /// Its media type. Default: by the kind of content and the file's ending.
    /// Example: `text/markdown`
    pub mime_type: Option<String>,
    /// A JSON document; leaves may use the URI's variables as `{{ name }}`.
    /// Example: `{ app_name: HR, version: 2.1.0 }`
    pub json: Option<Value>,
    /// Text; it may use the URI's variables as `{{ name }}`.
    /// Example: `Ask two weeks ahead.`
    pub text: Option<String>,
    /// A file beside the bridge file; it is read again when it changes.
    /// Example: `docs/policy.md`
    pub file: Option<String>,
    /// Bytes, as base64.
    /// Example: `iVBORw0KGgo=`
    pub blob: Option<String>,
    /// A GET of the bridge's API, such as `GET /policies/{name}`. Variables of the URI fill the path; the others go into
    /// the query.
    /// Example: `GET /policies/{name}`
    pub endpoint: Option<String>,
    /// What clients suggest for the variables of the URI, by name.
    /// Example: `{ name: [time-off, travel] }`
    pub complete: IndexMap<String, CompleteSpec>,
    /// How often an `endpoint` is looked at while a client follows the resource, so that it hears of changes; from `1s` to
    /// `1d`. Default: never.
    /// Example: `60s`
    pub watch: Option<String>,
    /// Hints for clients.
    /// Example: `{ audience: [user], priority: 0.5 }`
    pub annotations: ResourceAnnotationsSpec,
    /// Pictures that clients may show beside it: an https URL or a `data:` URI each.
    /// Example: `[https://example.com/calendar.svg]`
    pub icons: Vec<IconSpec>,
    /// Data for clients that know of it (MCP `_meta`). A name with a prefix, such as `com.example/team`, is nobody else's.
    /// Example: `{ com.example/team: people }`
    pub meta: Map<String, Value>,
}

/// Hints for clients about a resource (MCP annotations).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ResourceAnnotationsSpec {
    /// Whom it is for.
    /// Example: `[user]`
    pub audience: Vec<RoleSpec>,
    /// How much it matters, from 0 (optional) to 1 (required).
    /// Example: `0.5`
    #[schemars(range(min = 0.0, max = 1.0))]
    pub priority: Option<f32>,
    /// When it last changed (RFC 3339), such as `2026-01-31T12:00:00Z`.
    /// Example: `"2026-01-31T12:00:00Z"`
    pub last_modified: Option<String>,
}

/// Who says something, or for whom something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleSpec {
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// A prompt: messages that a user can put into a conversation.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PromptSpec {
    /// A name for people.
    /// Example: `Plan a vacation`
    pub title: Option<String>,
    /// What it is for.
    /// Example: `Plan a vacation within policy.`
    pub description: Option<String>,
    /// What the user fills in, by name.
    /// Example: `{ month: { description: Month, required: true } }`
    pub arguments: IndexMap<String, PromptArgumentSpec>,
    /// Questions that are answered before the messages are made, by name; `{{ answers.reason.text }}` is an answer. A question whose words use
    /// an answer is asked after that one. A client that can't ask is refused.
    /// Example: `{ reason: { message: "Why?", schema: { type: object, properties: { text: { type: string } }, required: [text] } } }`
    pub ask: IndexMap<String, AskSpec>,
    /// The messages; they may use the arguments as `{{ name }}`.
    /// Example: `[{ role: user, text: "Plan my vacation in {{ month }}." }]`
    pub messages: Vec<PromptMessageSpec>,
    /// Pictures that clients may show beside it: an https URL or a `data:` URI each.
    /// Example: `[https://example.com/calendar.svg]`
    pub icons: Vec<IconSpec>,
    /// Data for clients that know of it (MCP `_meta`). A name with a prefix, such as `com.example/team`, is nobody else's.
    /// Example: `{ com.example/team: people }`
    pub meta: Map<String, Value>,
}

/// Something that the user fills in.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PromptArgumentSpec {
    /// A name for people.
    /// Example: `Month`
    pub title: Option<String>,
    /// What it means.
    /// Example: `The month, in words.`
    pub description: Option<String>,
    /// Whether it must be filled in. Default: `false`.
    /// Example: `true`
    pub required: bool,
    /// What clients suggest while the user types.
    /// Example: `[January, February, March]`
    pub complete: Option<CompleteSpec>,
}

/// What clients suggest while the user types: a list, or where it comes from.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum CompleteSpec {
    /// These; any other value is taken, too.
    Values(Vec<String>),
    /// From somewhere; exactly one of `enum` and `endpoint`.
    Source(CompleteSourceSpec),
}

/// Where suggestions come from; exactly one of `enum` and `endpoint`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CompleteSourceSpec {
    /// All values there are; any other is refused.
    /// Example: `[draft, final]`
    #[serde(rename = "enum")]
    pub only: Option<Vec<String>>,
    /// A GET of the bridge's API. The other arguments, or variables of the URI, fill its path.
    /// Example: `GET /departments`
    pub endpoint: Option<String>,
    /// A JMESPath to the list of suggestions in the answer. Default: the answer itself is the list.
    /// Example: `"[].code"`
    pub select: Option<String>,
    /// The query parameter that takes what the user has typed, for an API that does the searching. Default: the API is asked
    /// for all, and those that begin like that are suggested.
    /// Example: `q`
    #[serde(rename = "as")]
    pub wire_name: Option<String>,
    /// How long the API's answer is kept. Default: `60s`.
    /// Example: `5m`
    pub cache: Option<String>,
}

/// A picture: its URL, or more about it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum IconSpec {
    /// Where it is.
    Source(String),
    /// Where it is, and what it looks like.
    Icon(IconDetailsSpec),
}

/// Where a picture is, and what it looks like.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct IconDetailsSpec {
    /// An https URL, or a `data:` URI.
    /// Example: `https://example.com/calendar.png`
    pub src: String,
    /// Its media type.
    /// Example: `image/png`
    pub mime_type: Option<String>,
    /// Its sizes, such as `48x48`, or `any`.
    /// Example: `[48x48]`
    #[serde(default)]
    pub sizes: Vec<String>,
    /// The background that it is made for.
    /// Example: `dark`
    pub theme: Option<ThemeSpec>,
}

/// A background.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ThemeSpec {
    /// A light one.
    Light,
    /// A dark one.
    Dark,
}

/// A message of a prompt: who says it, and one piece of content.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct PromptMessageSpec {
    /// Who says it.
    /// Example: `user`
    pub role: RoleSpec,
    /// What is said.
    #[serde(flatten)]
    pub content: ContentPartSpec,
}
