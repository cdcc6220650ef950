//! Our own client at an authorization server, as it is written in server and bridge files.

use schemars::JsonSchema;
use serde::Deserialize;

/// Our own client at an authorization server.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ClientSpec {
    /// The client id.
    /// Example: `${OKTA_CLIENT_ID}`
    pub client_id: Option<String>,
    /// The client secret; a variable, never the secret itself.
    /// Example: `${OKTA_CLIENT_SECRET}`
    pub client_secret: Option<String>,
    /// The private key in PEM, RSA or EC, instead of a secret (`private_key_jwt`); write `${file:key.pem}`.
    /// Example: `"${file:key.pem}"`
    pub private_key: Option<String>,
    /// The `kid` of the private key, when the authorization server knows several.
    /// Example: `bridge-2026`
    pub key_id: Option<String>,
    /// How the client secret is sent. Default: `client_secret_basic`.
    /// Example: `client_secret_post`
    pub client_auth: Option<ClientAuthSpec>,
}

/// How a client secret is sent (`token_endpoint_auth_method`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthSpec {
    /// In the `Authorization` header.
    ClientSecretBasic,
    /// In the body.
    ClientSecretPost,
}
