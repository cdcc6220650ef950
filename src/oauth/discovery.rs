//! The metadata of an authorization server: RFC 8414 and `OpenID` Connect Discovery 1.0.

use std::time::Duration;

use http::{Method, StatusCode};
use reqwest::Request;
use serde_json::Value;
use url::Url;

use super::Trouble;
use crate::catalog::compile::keeps_secrets;
use crate::net::Client;

/// How long the document may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// The largest document, in bytes.
const MAX_BYTES: usize = 256 * 1024;

/// What an authorization server says about itself, as far as we use it.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// Its `iss`.
    pub issuer: String,
    /// Where people sign in.
    pub authorization_endpoint: Option<Url>,
    /// Where tokens are issued.
    pub token_endpoint: Option<Url>,
    /// Where devices ask for a code (RFC 8628).
    pub device_authorization_endpoint: Option<Url>,
    /// Where its keys are.
    pub jwks_uri: Option<Url>,
}

/// Reads the metadata of an issuer.
///
/// # Errors
/// Why there is no document that could be used; [`Trouble::OtherIssuer`] when it is of another issuer than asked for.
pub async fn discover(client: &Client, issuer: &str) -> Result<Metadata, Trouble> {
    let found = find(client, issuer).await?;
    // RFC 8414, section 3.3: identical, or somebody answers in another's name.
    if found.issuer == issuer { Ok(found) } else { Err(Trouble::OtherIssuer) }
}

/// Reads what stands where the metadata of an issuer should be. It may be of another issuer.
///
/// # Errors
/// Why there is no document that could be used.
pub async fn find(client: &Client, issuer: &str) -> Result<Metadata, Trouble> {
    let mut result = Err(Trouble::Incomplete);
    for url in documents(issuer) {
        match (document(client, url).await, &result) {
            (Ok(found), _) if found.issuer == issuer => return Ok(found),
            (Ok(found), _) => result = Ok(found),
            // Nobody there: the other document is not there either.
            (Err(why), _) if why.is_silence() => return Err(why),
            (Err(why), Err(_)) => result = Err(why),
            (Err(_), Ok(_)) => {}
        }
    }
    result
}

/// `OpenID` Connect puts the issuer's path first, RFC 8414 puts it last.
fn documents(issuer: &str) -> Vec<Url> {
    let Ok(base) = Url::parse(issuer) else { return Vec::new() };
    let path = base.path().trim_end_matches('/');
    [format!("{path}/.well-known/openid-configuration"), format!("/.well-known/oauth-authorization-server{path}")]
        .iter()
        .filter_map(|path| base.join(path).ok())
        .collect()
}

async fn document(client: &Client, url: Url) -> Result<Metadata, Trouble> {
    let answer = client.send(Request::new(Method::GET, url), DEADLINE, MAX_BYTES).await?;
    if answer.status != StatusCode::OK {
        return Err(Trouble::of_status(answer.status));
    }
    let document: Value = serde_json::from_slice(&answer.body).map_err(|_| Trouble::NotJson)?;
    // Keys and codes over plain http could be anybody's.
    let endpoint = |name: &str| match document.get(name).and_then(Value::as_str) {
        None => Ok(None),
        Some(written) => Url::parse(written).ok().filter(keeps_secrets).map(Some).ok_or(Trouble::Incomplete),
    };
    Ok(Metadata {
        issuer: document.get("issuer").and_then(Value::as_str).ok_or(Trouble::Incomplete)?.to_owned(),
        authorization_endpoint: endpoint("authorization_endpoint")?,
        token_endpoint: endpoint("token_endpoint")?,
        device_authorization_endpoint: endpoint("device_authorization_endpoint")?,
        jwks_uri: endpoint("jwks_uri")?,
    })
}
