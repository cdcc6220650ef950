//! Whether an identity provider is what the settings say: asked by whoever sets things up, before anybody calls.

use std::time::Duration;

use url::Url;

use crate::auth::introspection::Introspection;
use crate::auth::{IssuerSettings, Method, SettingsError, Trouble};
use crate::metrics::Meter;
use crate::net::{Client, ClientSettings, Unreached};
use crate::oauth::find;

/// How long each step may take.
const DEADLINE: Duration = Duration::from_secs(5);
/// The most that is read of a page that nobody reads.
const MAX_BYTES: usize = 1024 * 1024;

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
/// # Errors
///
/// Everything that is wrong with the settings; nothing was sent then.
pub async fn probe(settings: IssuerSettings) -> Result<Vec<Fault>, Vec<SettingsError>> {
    let client = Client::new(&ClientSettings::default()).map_err(|error| vec![SettingsError::Net(error)])?;
    let issuer = settings.issuer().map(str::to_owned);
    let (keys, introspection) = match settings.method {
        Method::Introspection(live) => (None, Some(live)),
        Method::Jwt(keys) => (Some(keys), None),
        Method::Both(both) => (Some(both.0), Some(both.1)),
    };
    let first = introspection.as_ref().map(|settings| settings.endpoint.clone());
    let first = first.or_else(|| Url::parse(issuer.as_deref()?).ok());
    if let Some(url) = first
        && let Err(unreached) = client.reach(&url, DEADLINE).await
    {
        return Ok(vec![Fault::Unreached(unreached)]);
    }
    let mut faults = Vec::new();
    // Keys are found by it; of an introspection endpoint it only says whose tokens it vouches for.
    let must_discover = keys.as_ref().is_some_and(|keys| keys.keys.is_none());
    if let Some(issuer) = issuer {
        match find(&client, &issuer).await {
            Ok(found) if found.issuer == issuer => {}
            Ok(found) => faults.push(Fault::OtherIssuer(found.issuer)),
            Err(trouble) if must_discover || is_okta(&issuer) => faults.push(Fault::NoDiscovery(trouble)),
            Err(_) => {}
        }
    }
    if let Some(introspection) = introspection {
        match Introspection::new(introspection, &Meter::default())?.rehearse().await {
            Ok(()) => {}
            Err(Trouble::Refused401) => faults.push(Fault::ClientRefused),
            Err(trouble) => faults.push(Fault::NoIntrospection(trouble)),
        }
    }
    Ok(faults)
}

/// Okta's authorization servers have a document, all of them.
fn is_okta(issuer: &str) -> bool {
    issuer.contains("/oauth2/")
}

/// How many seconds the clock of an issuer's server is ahead of ours; `None` when it does not say.
pub async fn clock_ahead(issuer: &str) -> Option<i64> {
    let client = Client::new(&ClientSettings::default()).ok()?;
    let request = reqwest::Request::new(http::Method::GET, Url::parse(issuer).ok()?);
    let answer = client.send(request, DEADLINE, MAX_BYTES).await.ok()?;
    let date = answer.headers.get(http::header::DATE)?.to_str().ok()?;
    let date = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(date).ok()?;
    Some(date.as_second().saturating_sub(jiff::Timestamp::now().as_second()))
}
