//! Who is calling, whatever the transport.

use std::sync::Arc;

use rmcp::model::Extensions;
use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::auth::{AuthError, Authenticator, token};
use crate::call::CallError;
use crate::config;
use crate::config::server::DiscoverySpec;
use crate::principal::Principal;

/// The argument that carries the token under `stdio: { token: argument }`.
pub(super) const TOKEN_ARGUMENT: &str = "access_token";
/// The variable that carries the token under `stdio: { token: env }`.
const TOKEN_VARIABLE: &str = "OKTA_ACCESS_TOKEN";

/// How the caller of a request becomes known.
#[derive(Clone)]
pub enum Caller {
    /// The HTTP layer has authenticated the request and put a [`Principal`] into its extensions.
    Http,
    /// STDIO: the token comes from this source and is checked for every call that needs identity.
    Stdio(TokenSource, Arc<dyn Authenticator>),
    /// STDIO without authentication.
    Nobody,
}

/// Where a STDIO caller's token comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// The environment variable `OKTA_ACCESS_TOKEN`.
    Environment,
    /// The argument `access_token`.
    Argument,
}

/// The part of the catalogue that a request is for, put into the request's extensions by the HTTP layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// One bridge (`/mcp/{bridge}`); `None` for all.
    pub bridge: Option<String>,
    /// Sets of tools (`?toolset=name`); empty for all.
    pub toolsets: Vec<String>,
    /// Whether tools are listed or searched (`?discovery=search`); `None` as the server is set up.
    pub discovery: Option<DiscoverySpec>,
}

// === impl Caller ===

impl Caller {
    /// Whether tools that need identity take the token as an argument.
    pub(super) fn takes_argument(&self) -> bool {
        match self {
            Self::Stdio(TokenSource::Argument, _) => true,
            Self::Stdio(TokenSource::Environment, _) | Self::Http | Self::Nobody => false,
        }
    }

    /// For whom tools are listed; `None` when that is known only at the call, and all of them are shown.
    pub(super) async fn viewer(&self, extensions: &Extensions) -> Option<Principal> {
        match self {
            Self::Nobody => Some(Principal::anonymous()),
            Self::Http => parts(extensions).and_then(|parts| parts.extensions.get::<Principal>()).cloned(),
            Self::Stdio(TokenSource::Argument, _) => None,
            Self::Stdio(TokenSource::Environment, authenticator) => {
                let who = match environment_token() {
                    Ok(token) => authenticator.authenticate(&token).await.ok(),
                    Err(_) => None,
                };
                Some(who.unwrap_or_else(Principal::anonymous))
            }
        }
    }

    /// Finds out who is calling a tool. Takes the token out of the arguments, so that nothing else sees it.
    pub(super) async fn of(
        &self,
        extensions: &Extensions,
        arguments: &mut Map<String, Value>,
        needs_identity: bool,
    ) -> Result<Principal, CallError> {
        match self {
            Self::Nobody => Ok(Principal::anonymous()),
            // No tool is open to everybody, whatever a header said.
            Self::Http
                if parts(extensions).is_some_and(|parts| parts.extensions.get::<Unauthenticated>().is_some()) =>
            {
                Err(CallError::Denied(AuthError::Missing.message().to_owned()))
            }
            Self::Http => parts(extensions)
                .and_then(|parts| parts.extensions.get::<Principal>())
                .cloned()
                // The HTTP layer lets nothing through without one.
                .ok_or_else(|| CallError::internal("a request reached the handler without a principal")),
            Self::Stdio(source, authenticator) => {
                let given = match source {
                    TokenSource::Argument if needs_identity => arguments.remove(TOKEN_ARGUMENT),
                    TokenSource::Argument | TokenSource::Environment => None,
                };
                if !needs_identity {
                    return Ok(Principal::anonymous());
                }
                let token = match source {
                    TokenSource::Environment => environment_token()?,
                    TokenSource::Argument => argument_token(given)?,
                };
                authenticator.authenticate(&token).await.map_err(|error| {
                    tracing::warn!(reason = error.reason(), "Access denied.");
                    CallError::Denied(error.message().to_owned())
                })
            }
        }
    }
}

/// Whether whoever sent a request may do more than what is open to everybody.
pub(super) fn is_admitted(extensions: &Extensions) -> bool {
    parts(extensions).is_none_or(|parts| parts.extensions.get::<Unauthenticated>().is_none())
}

/// Marks a request that came without a token, to a method that is open to everybody.
#[derive(Clone, Copy, Debug)]
pub struct Unauthenticated;

/// Joins what is said about one request in different places.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// The id that the HTTP layer gave the request, or a fresh one.
pub(super) fn request_id(extensions: &Extensions) -> String {
    let given = parts(extensions).and_then(|parts| parts.extensions.get::<RequestId>());
    given.map_or_else(|| uuid::Uuid::new_v4().to_string(), |id| id.0.clone())
}

/// The caller whom the HTTP layer has authenticated.
pub(super) fn principal(extensions: &Extensions) -> Option<&Principal> {
    parts(extensions).and_then(|parts| parts.extensions.get::<Principal>())
}

/// A header of the HTTP request.
pub(super) fn header<'e>(extensions: &'e Extensions, name: &str) -> Option<&'e str> {
    parts(extensions)?.headers.get(name)?.to_str().ok()
}

/// The part of the catalogue that a request is for; `None` for all of it.
pub(super) fn scope(extensions: &Extensions) -> Option<&Scope> {
    parts(extensions).and_then(|parts| parts.extensions.get::<Scope>())
}

fn parts(extensions: &Extensions) -> Option<&http::request::Parts> {
    extensions.get::<http::request::Parts>()
}

fn environment_token() -> Result<SecretString, CallError> {
    let text = config::environment(TOKEN_VARIABLE)
        .filter(|text| !text.trim().is_empty())
        .ok_or_else(|| CallError::Denied(format!("{TOKEN_VARIABLE} environment variable not set")))?;
    presented(text.trim())
}

fn argument_token(given: Option<Value>) -> Result<SecretString, CallError> {
    match given {
        Some(Value::String(text)) => presented(text.trim()),
        Some(_) => Err(CallError::Argument(vec![format!("argument `{TOKEN_ARGUMENT}` is not a string")])),
        None => Err(CallError::Argument(vec![format!(
            "missing argument `{TOKEN_ARGUMENT}`: this tool needs your own access token"
        )])),
    }
}

fn presented(text: &str) -> Result<SecretString, CallError> {
    let text = text.strip_prefix("Bearer ").unwrap_or(text);
    token::presented(text).map_err(|error| CallError::Denied(error.message().to_owned()))
}
