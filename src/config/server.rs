//! What is written in `tollbridge.yaml`. Everything here may be wrong; `serve` proves it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::client::ClientSpec;

/// The server file, `tollbridge.yaml`. Every key is optional except `auth`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(title = "tollbridge server file")]
pub struct ServerSpec {
    /// The address to listen on for Streamable HTTP.
    /// Example: `127.0.0.1:8000`
    pub listen: Option<String>,
    /// The URL that clients use. It is the resource identifier (RFC 9728) that tokens are issued for, and its host is
    /// allowed in the `Host` and `Origin` headers.
    /// Example: `https://mcp.example.com`
    pub public_url: Option<String>,
    /// The directory of bridge files, or one bridge file. Relative to this file. Default: `bridges`.
    /// Example: `bridges/`
    pub bridges: Option<String>,
    /// How changes of the bridge files are noticed. Default: `events`.
    /// Example: `poll`
    pub watch: WatchSpec,
    /// Who may call: how a caller's token is checked.
    /// Example: `{ okta: { domain: https://your-org.okta.com, client_id: "${OKTA_CLIENT_ID}",
    /// client_secret: "${OKTA_CLIENT_SECRET}", audience: api://enterprise } }`
    pub auth: Option<AuthSpec>,
    /// How a caller of the STDIO transport presents a token.
    /// Example: `{ token: argument }`
    pub stdio: StdioSpec,
    /// The address and the rules of the admin port: health, metrics, and the page. Default: none.
    /// Example: `{ listen: 127.0.0.1:9090 }`
    pub admin: Option<AdminSpec>,
    /// What a reload may do.
    /// Example: `{ breaking: refuse, keep: 10 }`
    pub reload: ReloadSpec,
    /// Serve over TLS with this certificate and key. They are read again when their files change. Default: plain HTTP,
    /// for a proxy in front.
    /// Example: `{ cert: server.crt, key: server.key }`
    pub tls: Option<TlsSpec>,
    /// Whether clients of the protocols before 2026-07-28 have sessions over HTTP. Without, any replica answers any of their
    /// requests, and what needs a session is not offered to them: questions to the user, subscriptions, log messages.
    /// Default: `true`.
    /// Example: `false`
    pub sessions: Option<bool>,
    /// What several replicas share. Default: nothing.
    /// Example: `{ redis: "redis://redis:6379" }`
    pub shared: Option<SharedSpec>,
    /// The audit trail: `stderr`, a file, or both of them with settings. One JSON object a line for every decision, without
    /// tokens and without arguments. Default: none.
    /// Example: `audit.jsonl`
    pub audit: Option<AuditSpec>,
    /// Host names accepted in the `Host` header, besides loopback and the host of `public_url`.
    /// Example: `[mcp.internal]`
    pub allowed_hosts: Vec<String>,
    /// Origins accepted in the `Origin` header, besides loopback and `public_url`.
    /// Example: `[https://app.example.com]`
    pub allowed_origins: Vec<String>,
    /// Which `${NAME}` variables bridge files may read: names, or patterns with `*`. Default: all.
    /// Example: `[API_KEY, HR_*]`
    pub allow_env: Option<Vec<String>>,
    /// The sets of tools that are served; default: all tools. A client may ask for fewer with `?toolset=NAME`.
    /// Example: `[payroll]`
    pub toolsets: Vec<String>,
    /// How clients learn of tools. Default: `list`. A client may choose with `?discovery=search`.
    /// Example: `search`
    pub discovery: DiscoverySpec,
    /// Where the APIs of the bridges may be. Each address is looked at when its name has been resolved, right before the
    /// connection. Link-local addresses and those of cloud metadata are always refused.
    /// Example: `{ allow_private: false }`
    pub network: NetworkSpec,
    /// Bounds on what one client can ask for.
    /// Example: `{ request_timeout: 30s }`
    pub limits: LimitsSpec,
}

/// How clients learn of tools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum DiscoverySpec {
    /// All of them are listed.
    #[default]
    List,
    /// Two tools are listed, `find_tools` and `call_tool`: for catalogues that would fill a model's context.
    Search,
}

/// Where the APIs of the bridges may be.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NetworkSpec {
    /// Whether an API may have a private address (RFC 1918 and the like, and names that lead to this machine). What is
    /// written as `localhost` or as a loopback address is allowed all the same. Default: `true`.
    /// Example: `false`
    pub allow_private: Option<bool>,
    /// Addresses and ranges that no API may have.
    /// Example: `[10.0.0.0/8, "fd00::/8"]`
    pub deny: Vec<String>,
}

/// How a caller's token is checked: one of `okta`, `introspection`, `jwt`, `issuers` and `none`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AuthSpec {
    /// Okta, at the org or a custom authorization server.
    /// Example: `{ domain: https://your-org.okta.com, authorization_server: default, client_id: "${OKTA_CLIENT_ID}",
    /// client_secret: "${OKTA_CLIENT_SECRET}", audience: api://enterprise }`
    pub okta: Option<OktaSpec>,
    /// Any OAuth 2.0 server with an RFC 7662 introspection endpoint.
    /// Example: `{ url: https://id.example.com/introspect, client_id: bridge,
    /// client_secret: "${CLIENT_SECRET}", audience: api://enterprise }`
    pub introspection: Option<IntrospectionSpec>,
    /// Any OAuth 2.0 server that issues JWTs and publishes its keys.
    /// Example: `{ issuer: https://id.example.com, audience: api://enterprise }`
    pub jwt: Option<JwtSpec>,
    /// Several issuers at once. A token is checked by the one that it names in `iss`; an opaque token by the first that
    /// introspects.
    /// Example: `[{ jwt: { issuer: https://id.example.com, audience: api://enterprise } }]`
    pub issuers: Option<Vec<IssuerSpec>>,
    /// No authentication. Only for a server that listens on loopback.
    /// Example: `true`
    pub none: Option<True>,
    /// Methods that are open to callers without a token, over HTTP in the 2026-07-28 protocol. Calls of tools never are.
    /// Example: `[server/discover, tools/list, resources/read]`
    pub anonymous: Vec<AnonymousMethod>,
}

/// One issuer of several.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IssuerSpec {
    /// Okta.
    /// Example: `{ domain: https://your-org.okta.com, authorization_server: default, validation: jwks,
    /// audience: api://enterprise }`
    Okta(OktaSpec),
    /// Any OAuth 2.0 server with an RFC 7662 introspection endpoint; `issuer` is needed here.
    /// Example: `{ url: https://id.example.com/introspect, issuer: https://id.example.com, client_id: bridge,
    /// client_secret: "${CLIENT_SECRET}", audience: api://enterprise }`
    Introspection(IntrospectionSpec),
    /// Any OAuth 2.0 server that issues JWTs and publishes its keys.
    /// Example: `{ issuer: https://id.example.com, audience: api://enterprise }`
    Jwt(JwtSpec),
}

/// A method that can be open to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum AnonymousMethod {
    /// What the server can do.
    #[serde(rename = "server/discover")]
    Discover,
    /// The tools.
    #[serde(rename = "tools/list")]
    Tools,
    /// The resources.
    #[serde(rename = "resources/list")]
    Resources,
    /// The templates of resources.
    #[serde(rename = "resources/templates/list")]
    ResourceTemplates,
    /// What a resource holds.
    #[serde(rename = "resources/read")]
    ReadResource,
    /// The prompts.
    #[serde(rename = "prompts/list")]
    Prompts,
    /// A prompt, filled in.
    #[serde(rename = "prompts/get")]
    Prompt,
}

/// Okta as the identity provider.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct OktaSpec {
    /// The Okta domain. `http://` only for loopback, as in tests.
    /// Example: `https://your-org.okta.com`
    pub domain: String,
    /// The id of the custom authorization server. Leave out for the org authorization server, whose tokens can only be
    /// introspected.
    /// Example: `default`
    pub authorization_server: Option<String>,
    /// How tokens are validated.
    /// Example: `introspection`
    #[serde(default)]
    pub validation: ValidationSpec,
    /// The audience a token must be issued for. A token for anything else is refused.
    /// Example: `api://enterprise`
    pub audience: String,
    /// Only tokens issued to these clients (`client_id` or `cid`) are accepted. Default: any client.
    /// Example: `[0oa1b2c3d4e5f6g7h8]`
    pub client_ids: Option<Vec<String>>,
    /// The service app that may introspect. Not needed for `validation: jwks`.
    #[serde(flatten)]
    pub client: ClientSpec,
    /// How long the verdict on a good token is kept, 5 minutes at most: a revoked token stays good for as long. Default:
    /// none is kept.
    /// Example: `30s`
    pub cache: Option<String>,
}

/// How tokens are validated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ValidationSpec {
    /// Ask the authorization server about every request: a revoked token is refused at once.
    #[default]
    #[serde(rename = "introspection")]
    Introspection,
    /// By the keys of the authorization server: fast, and a revoked token stays good until it expires.
    #[serde(rename = "jwks")]
    Jwks,
    /// By the keys first, which costs nothing, and then by asking.
    #[serde(rename = "jwks+introspection")]
    Both,
}

/// Any OAuth 2.0 server with an RFC 7662 introspection endpoint.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct IntrospectionSpec {
    /// The introspection endpoint. `http://` only for loopback.
    /// Example: `https://id.example.com/oauth2/introspect`
    pub url: String,
    /// The issuer a token must come from (`iss`); checked when given, and named in the protected-resource metadata.
    /// Example: `https://id.example.com`
    pub issuer: Option<String>,
    /// The audience a token must be issued for. A token for anything else is refused.
    /// Example: `api://enterprise`
    pub audience: String,
    /// Only tokens issued to these clients (`client_id` or `cid`) are accepted. Default: any client.
    /// Example: `[portal, assistant]`
    pub client_ids: Option<Vec<String>>,
    /// The client that may introspect.
    #[serde(flatten)]
    pub client: ClientSpec,
    /// How long the verdict on a good token is kept, 5 minutes at most: a revoked token stays good for as long. Default:
    /// none is kept.
    /// Example: `30s`
    pub cache: Option<String>,
}

/// Any OAuth 2.0 server that issues JWTs and publishes its keys.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct JwtSpec {
    /// The issuer a token must come from (`iss`), character for character. Its discovery document says where the keys
    /// are.
    /// Example: `https://id.example.com`
    pub issuer: String,
    /// Where the keys are, for an issuer without a discovery document.
    /// Example: `https://id.example.com/keys`
    pub jwks_url: Option<String>,
    /// The audience a token must be issued for. A token for anything else is refused.
    /// Example: `api://enterprise`
    pub audience: String,
    /// Only tokens issued to these clients (`client_id` or `cid`) are accepted. Default: any client.
    /// Example: `[portal, assistant]`
    pub client_ids: Option<Vec<String>>,
    /// The signature algorithms that are accepted. Default: every one that is not symmetric.
    /// Example: `[RS256]`
    pub algorithms: Option<Vec<AlgorithmSpec>>,
    /// How long the verdict on a good token is kept, 5 minutes at most. Default: none is kept.
    /// Example: `30s`
    pub cache: Option<String>,
}

/// A signature algorithm (RFC 7518, section 3.1; RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "these are the names of the algorithms")]
pub enum AlgorithmSpec {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// The word `true`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "bool")]
pub struct True;

/// The audit trail.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum AuditSpec {
    /// `stderr`, or a file.
    To(String),
    /// With settings.
    Settings(AuditSettingsSpec),
}

/// How the audit trail is kept.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct AuditSettingsSpec {
    /// `stderr`, or a file, relative to this one. After it was renamed, SIGHUP makes a new one.
    /// Example: `/var/log/tollbridge/audit.jsonl`
    pub to: String,
    /// What happens to a call whose line can't be written. Default: `block`.
    /// Example: `warn`
    #[serde(default)]
    pub on_failure: AuditFailureSpec,
    /// When it is given, people stand in the trail by keyed hashes (HMAC-SHA-256) and not by name; write `${NAME}`.
    /// Example: `${AUDIT_KEY}`
    pub hash_key: Option<String>,
}

/// What happens to a call whose line can't be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditFailureSpec {
    /// It is refused.
    #[default]
    Block,
    /// It goes on, and the log says so.
    Warn,
}

/// How a caller of the STDIO transport presents a token.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StdioSpec {
    /// Where the token is taken from. Default: `env`.
    /// Example: `argument`
    pub token: TokenSpec,
}

/// The admin port.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct AdminSpec {
    /// The address to listen on. Beyond loopback, only `/livez`, `/readyz` and `/metrics` are served unless there is a
    /// `token`.
    /// Example: `127.0.0.1:9090`
    pub listen: String,
    /// What a caller of everything else must present as a bearer token; write `${NAME}`. Default: none is needed on loopback.
    /// Example: `${ADMIN_TOKEN}`
    pub token: Option<String>,
}

/// What a reload may do.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ReloadSpec {
    /// Whether a change is taken up that removes something, narrows an input or moves an API to another host. Default:
    /// `allow`.
    /// Example: `refuse`
    pub breaking: BreakingSpec,
    /// How many earlier revisions stay in memory for `tollbridge rollback`, 100 at most. Default: `10`.
    /// Example: `3`
    pub keep: Option<u8>,
}

/// Whether breaking changes are taken up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakingSpec {
    /// They are, and the log says that they are breaking.
    #[default]
    Allow,
    /// They are refused until `tollbridge reload --allow-breaking`.
    Refuse,
}

/// A certificate to serve with.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct TlsSpec {
    /// The file of the certificate and its chain, in PEM. Relative to this file.
    /// Example: `server.crt`
    pub cert: String,
    /// The file of its private key, in PEM.
    /// Example: `server.key`
    pub key: String,
}

/// What several replicas share.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct SharedSpec {
    /// The URL of a Redis or Valkey server: rate limits hold across replicas. While it can't be reached, they hold for
    /// each replica alone.
    /// Example: `${REDIS_URL}`
    pub redis: String,
}

/// How changes of the bridge files are noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum WatchSpec {
    /// By events of the file system.
    #[default]
    Events,
    /// By looking every two seconds, where the file system has no events: NFS, SMB, some container mounts.
    Poll,
    /// Not at all; SIGHUP reloads.
    Off,
}

/// Where the STDIO transport takes the caller's token from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum TokenSpec {
    /// The environment variable `OKTA_ACCESS_TOKEN`: one user, whoever started the process.
    #[default]
    Env,
    /// A parameter `access_token` that is added to every tool which needs identity. The model sees the token; use it
    /// only in trusted, single-user environments.
    Argument,
}

/// Bounds on what one client can ask for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LimitsSpec {
    /// The largest request body accepted. Default: `1MiB`.
    /// Example: `4MiB`
    pub max_request_bytes: Option<String>,
    /// The largest head of a request: its line and all headers. Default: `64KiB`.
    /// Example: `16KiB`
    pub max_header_bytes: Option<String>,
    /// How deep JSON in a request may be nested, 127 at most. Default: `64`.
    /// Example: `32`
    pub max_json_depth: Option<u8>,
    /// The most connections of clients at a time. Default: `4096`.
    /// Example: `1000`
    pub max_connections: Option<u32>,
    /// The most calls that one caller may have running at a time. Callers without a token are not told apart, so it is
    /// not for them. Default: `128`.
    /// Example: `16`
    pub max_calls_per_caller: Option<u32>,
    /// The most entries of a list at a time; clients ask for more page by page. Default: `1000`.
    /// Example: `100`
    pub max_list_items: Option<u32>,
    /// How long a client may take to send the head of a request, and then again for its body. Default: `10s`.
    /// Example: `5s`
    pub read_timeout: Option<String>,
    /// How long a connection may stay open between two requests; longer than a load balancer in front keeps its own, or
    /// it will send to connections that are just being closed. Default: `75s`.
    /// Example: `5m`
    pub idle_timeout: Option<String>,
    /// How long a server that is told to stop goes on as before, except that it is not ready: time for a load balancer to
    /// notice. Default: `500ms`.
    /// Example: `5s`
    pub shutdown_delay: Option<String>,
    /// How long calls that are running may take after that. Default: `10s`.
    /// Example: `30s`
    pub shutdown_grace: Option<String>,
    /// The longest a single tool call may take, whatever its own timeouts say. Default: `60s`.
    /// Example: `30s`
    pub request_timeout: Option<String>,
}

// === impl AnonymousMethod ===

impl AnonymousMethod {
    /// The name of the method.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Discover => "server/discover",
            Self::Tools => "tools/list",
            Self::Resources => "resources/list",
            Self::ResourceTemplates => "resources/templates/list",
            Self::ReadResource => "resources/read",
            Self::Prompts => "prompts/list",
            Self::Prompt => "prompts/get",
        }
    }
}

// === impl True ===

impl TryFrom<bool> for True {
    type Error = &'static str;

    fn try_from(value: bool) -> Result<Self, Self::Error> {
        if value { Ok(Self) } else { Err("only `true` can stand here") }
    }
}

impl JsonSchema for True {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "True".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "const": true })
    }
}
