//! What is written in `tollbridge.yaml`. Everything here may be wrong; `serve` proves it.

use schemars::JsonSchema;
use serde::Deserialize;

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
    /// Who may call: how a caller's token is checked. Exactly one kind.
    /// Example: `{ okta: { domain: https://your-org.okta.com, client_id: "${OKTA_CLIENT_ID}",
    /// client_secret: "${OKTA_CLIENT_SECRET}", audience: api://enterprise } }`
    pub auth: Option<AuthSpec>,
    /// How a caller of the STDIO transport presents a token.
    /// Example: `{ token: argument }`
    pub stdio: StdioSpec,
    /// Host names accepted in the `Host` header, besides loopback and the host of `public_url`.
    /// Example: `[mcp.internal]`
    pub allowed_hosts: Vec<String>,
    /// Origins accepted in the `Origin` header, besides loopback and `public_url`.
    /// Example: `[https://app.example.com]`
    pub allowed_origins: Vec<String>,
    /// Which `${NAME}` variables bridge files may read: names, or patterns with `*`. Default: all.
    /// Example: `[API_KEY, HR_*]`
    pub allow_env: Option<Vec<String>>,
    /// Bounds on what one client can ask for.
    /// Example: `{ request_timeout: 30s }`
    pub limits: LimitsSpec,
}

/// How a caller's token is checked.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthSpec {
    /// Okta: RFC 7662 introspection at the org or a custom authorization server, on every request.
    /// Example: `{ domain: https://your-org.okta.com, client_id: "${OKTA_CLIENT_ID}",
    /// client_secret: "${OKTA_CLIENT_SECRET}", audience: api://enterprise }`
    Okta(OktaSpec),
    /// Any OAuth 2.0 server with an RFC 7662 introspection endpoint.
    /// Example: `{ url: https://id.example.com/introspect, client_id: bridge,
    /// client_secret: "${CLIENT_SECRET}", audience: api://enterprise }`
    Introspection(IntrospectionSpec),
    /// No authentication. Only for a server that listens on loopback.
    /// Example: `true`
    None(True),
}

/// Okta as the identity provider.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct OktaSpec {
    /// The Okta domain. `http://` only for loopback, as in tests.
    /// Example: `https://your-org.okta.com`
    pub domain: String,
    /// The id of the custom authorization server. Leave out for the org authorization server.
    /// Example: `default`
    pub authorization_server: Option<String>,
    /// How tokens are validated.
    /// Example: `introspection`
    #[serde(default)]
    pub validation: ValidationSpec,
    /// The client id of the service app that may introspect.
    /// Example: `${OKTA_CLIENT_ID}`
    pub client_id: String,
    /// The client secret of the service app; a variable, never the secret itself.
    /// Example: `${OKTA_CLIENT_SECRET}`
    pub client_secret: String,
    /// The audience a token must be issued for. A token for anything else is refused.
    /// Example: `api://enterprise`
    pub audience: String,
    /// Only tokens issued to these clients (`client_id` or `cid`) are accepted. Default: any client.
    /// Example: `[0oa1b2c3d4e5f6g7h8]`
    pub client_ids: Option<Vec<String>>,
}

/// How tokens are validated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ValidationSpec {
    /// Ask the authorization server about every request: a revoked token is refused at once.
    #[default]
    Introspection,
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
    /// The client id that may introspect (`client_secret_basic`).
    /// Example: `bridge`
    pub client_id: String,
    /// Its secret; a variable, never the secret itself.
    /// Example: `${CLIENT_SECRET}`
    pub client_secret: String,
    /// The audience a token must be issued for. A token for anything else is refused.
    /// Example: `api://enterprise`
    pub audience: String,
    /// Only tokens issued to these clients (`client_id` or `cid`) are accepted. Default: any client.
    /// Example: `[portal, assistant]`
    pub client_ids: Option<Vec<String>>,
}

/// The word `true`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "bool")]
pub struct True;

/// How a caller of the STDIO transport presents a token.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StdioSpec {
    /// Where the token is taken from. Default: `env`.
    /// Example: `argument`
    pub token: TokenSpec,
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
    /// The longest a single tool call may take, whatever its own timeouts say. Default: `60s`.
    /// Example: `30s`
    pub request_timeout: Option<String>,
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
