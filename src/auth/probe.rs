//! Whether an identity provider is what the settings say: asked by whoever sets things up, before anybody calls.

use std::time::Duration;

use http::{Method, StatusCode};
use reqwest::Request;
use serde_json::Value;
use url::Url;

use crate::auth::introspection::Introspection;
use crate::auth::{IntrospectionSettings, SettingsError, Trouble};
use crate::net::{Client, ClientSettings, Unreached};

/// How long each step may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// The largest discovery document, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// Where `OpenID` Connect Discovery 1.0, section 4, and RFC 8414, section 3, have the document.
const OPENID: &str = "openid-configuration";
const OAUTH: &str = "oauth-authorization-server";

/// What is wrong with an identity provider or with what we know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It can't be reached.
    Unreached(Unreached),
    /// It has no discovery document where its issuer says.
    NoDiscovery(Trouble),
    /// Its discovery document is of another issuer.
    OtherIssuer(String),
    /// It refuses our client id and secret.
    ClientRefused,
    /// It does not answer introspection as RFC 7662 has it.
    NoIntrospection(Trouble),
}

/// Asks an identity provider for its discovery document, and about a token that nobody has.
///
/// `must_discover`: whether a provider without a discovery document is at fault.
///
/// # Errors
///
/// Everything that is wrong with the settings; nothing was sent then.
pub async fn probe(settings: IntrospectionSettings, must_discover: bool) -> Result<Vec<Fault>, Vec<SettingsError>> {
    let client = Client::new(&ClientSettings::default()).map_err(|error| vec![SettingsError::Net(error)])?;
    let (endpoint, issuer) = (settings.endpoint.clone(), settings.issuer.clone());
    let introspection = Introspection::new(settings)?;
    if let Err(unreached) = client.reach(&endpoint, DEADLINE).await {
        return Ok(vec![Fault::Unreached(unreached)]);
    }
    let mut faults = Vec::new();
    if let Some(issuer) = issuer {
        match discover(&client, &issuer).await {
            Ok(found) if found.trim_end_matches('/') == issuer.trim_end_matches('/') => {}
            Ok(found) => faults.push(Fault::OtherIssuer(found)),
            Err(trouble) if must_discover => faults.push(Fault::NoDiscovery(trouble)),
            Err(_) => {}
        }
    }
    match introspection.rehearse().await {
        Ok(()) => {}
        Err(Trouble::Refused401) => faults.push(Fault::ClientRefused),
        Err(trouble) => faults.push(Fault::NoIntrospection(trouble)),
    }
    Ok(faults)
}

/// The issuer that a discovery document names.
async fn discover(client: &Client, issuer: &str) -> Result<String, Trouble> {
    let mut trouble = Trouble::NotJson;
    for url in documents(issuer) {
        match document(client, url).await {
            Ok(found) => return Ok(found),
            Err(why) => trouble = why,
        }
    }
    Err(trouble)
}

/// RFC 8414 puts the issuer's path last, `OpenID` Connect puts it first.
fn documents(issuer: &str) -> Vec<Url> {
    let Ok(base) = Url::parse(issuer) else { return Vec::new() };
    let path = base.path().trim_end_matches('/');
    [format!("/.well-known/{OAUTH}{path}"), format!("{path}/.well-known/{OPENID}")]
        .iter()
        .filter_map(|path| base.join(path).ok())
        .collect()
}

async fn document(client: &Client, url: Url) -> Result<String, Trouble> {
    let answer = client.send(Request::new(Method::GET, url), DEADLINE, MAX_BYTES).await?;
    if answer.status != StatusCode::OK {
        return Err(Trouble::Status(answer.status.as_u16()));
    }
    let document: Value = serde_json::from_slice(&answer.body).map_err(|_| Trouble::NotJson)?;
    document.get("issuer").and_then(Value::as_str).map(str::to_owned).ok_or(Trouble::NotJson)
}
