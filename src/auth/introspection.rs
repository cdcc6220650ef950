//! RFC 7662: the identity provider is asked about every token, every time.
//!
//! Nothing is remembered, so a revoked token is refused at once. Callers that present the same token at the same
//! moment share one question; when the answer is in, the question is forgotten. Whatever goes wrong, nobody gets in.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::{FutureExt as _, Shared, WeakShared};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::Request;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tracing::{error, warn};
use url::{Url, form_urlencoded};

use crate::auth::unique::Unique;
use crate::auth::verdict::Terms;
use crate::auth::{AuthError, Authenticator, BoxFuture, IntrospectionSettings, SettingsError, Trouble, endpoint};
use crate::net::{Answer, Client, ClientSettings, NetError};
use crate::principal::Principal;

#[cfg(test)]
#[path = "introspection_tests.rs"]
mod tests;

/// Asks an RFC 7662 endpoint about tokens.
pub struct Introspection {
    oracle: Arc<Oracle>,
    flights: Arc<Flights>,
}

/// The identity provider, as far as we talk to it.
struct Oracle {
    client: Client,
    endpoint: Url,
    headers: HeaderMap,
    terms: Terms,
    bounds: Bounds,
    turns: Semaphore,
}

/// How much one question may take.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// From the arrival of the token to the last byte of the answer, the wait for a turn included.
    deadline: Duration,
    /// The largest answer.
    max_bytes: usize,
    /// Questions on the way at once. Okta's own limit for a whole org is 75.
    at_once: usize,
}

/// The SHA-256 of a token, so that no table holds tokens.
type Key = [u8; SHA256_OUTPUT_LEN];
type Flight = BoxFuture<'static, Result<Principal, AuthError>>;

/// The questions that are being asked right now.
#[derive(Default)]
struct Flights(Mutex<Board>);

#[derive(Default)]
struct Board {
    flights: HashMap<Key, (u64, WeakShared<Flight>)>,
    departures: u64,
}

/// Takes a flight off the board when it lands or when everybody has left it.
struct Landing {
    flights: Arc<Flights>,
    key: Key,
    number: u64,
}

// === impl Introspection ===

impl Introspection {
    /// Builds the authenticator, with its own pool of connections. Opens none.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the settings.
    pub fn new(settings: IntrospectionSettings) -> Result<Self, Vec<SettingsError>> {
        Self::within(settings, Bounds::default())
    }

    fn within(settings: IntrospectionSettings, bounds: Bounds) -> Result<Self, Vec<SettingsError>> {
        let faults = faults(&settings);
        if !faults.is_empty() {
            return Err(faults);
        }
        let client = Client::new(&ClientSettings::default()).map_err(|error| vec![SettingsError::Net(error)])?;
        let IntrospectionSettings { endpoint, issuer, client_id, client_secret, audience, client_ids } = settings;
        let headers = HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static("application/json")),
            (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
            (AUTHORIZATION, basic(&client_id, &client_secret)),
        ]);
        let terms = Terms { issuer, audience, client_ids: client_ids.map(|ids| ids.into_iter().collect()) };
        Ok(Self {
            oracle: Arc::new(Oracle {
                client,
                endpoint,
                headers,
                terms,
                turns: Semaphore::new(bounds.at_once),
                bounds,
            }),
            flights: Arc::default(),
        })
    }

    /// Asks about a token that nobody has, to see whether we may ask at all.
    ///
    /// # Errors
    ///
    /// Why there was no answer, or none that makes sense.
    pub async fn rehearse(&self) -> Result<(), Trouble> {
        let nobodys = SecretString::from("tollbridge-check-online");
        self.oracle.exchange(&nobodys).await.and_then(|answer| read(&answer)).map(drop)
    }
}

impl Authenticator for Introspection {
    fn authenticate<'a>(&'a self, token: &'a SecretString) -> BoxFuture<'a, Result<Principal, AuthError>> {
        Box::pin(async move { self.flights.join(token, &self.oracle).await })
    }

    fn authorization_servers(&self) -> Vec<String> {
        self.oracle.terms.issuer.clone().into_iter().collect()
    }
}

impl fmt::Debug for Introspection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Introspection").field("terms", &self.oracle.terms).finish_non_exhaustive()
    }
}

// === impl Bounds ===

impl Default for Bounds {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(3), max_bytes: 64 * 1024, at_once: 64 }
    }
}

// === impl Oracle ===

impl Oracle {
    async fn ask(&self, token: &SecretString) -> Result<Principal, AuthError> {
        let answer = match self.exchange(token).await.and_then(|answer| read(&answer)) {
            Ok(answer) => answer,
            Err(reason) => {
                report(reason);
                return Err(AuthError::Unavailable { reason });
            }
        };
        self.terms
            .judge(answer, now())
            .map(|claims| Principal::verified(claims, token.clone()))
            .map_err(|reason| AuthError::Rejected { reason })
    }

    async fn exchange(&self, token: &SecretString) -> Result<Answer, Trouble> {
        let deadline = Instant::now() + self.bounds.deadline;
        let _turn =
            timeout_at(deadline, self.turns.acquire()).await.ok().and_then(Result::ok).ok_or(Trouble::Timeout)?;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            // The turn came when the caller had given up. The provider has enough to do.
            return Err(Trouble::Timeout);
        }
        Ok(self.client.send(self.question(token), left, self.bounds.max_bytes).await?)
    }

    fn question(&self, token: &SecretString) -> Request {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("token", token.expose_secret())
            .append_pair("token_type_hint", "access_token")
            .finish();
        let mut request = Request::new(Method::POST, self.endpoint.clone());
        request.headers_mut().clone_from(&self.headers);
        *request.body_mut() = Some(body.into());
        request
    }
}

/// What stands in an answer, if it is one.
fn read(answer: &Answer) -> Result<Map<String, Value>, Trouble> {
    match answer.status {
        StatusCode::OK => match serde_json::from_slice(&answer.body) {
            Ok(Unique(Value::Object(claims))) => Ok(claims),
            Ok(Unique(_)) | Err(_) => Err(Trouble::NotJson),
        },
        // Ours, not the caller's: a token that is not good is answered with 200 and `active: false`.
        StatusCode::UNAUTHORIZED => Err(Trouble::Refused401),
        StatusCode::TOO_MANY_REQUESTS => Err(Trouble::RateLimited),
        status => Err(Trouble::Status(status.as_u16())),
    }
}

fn report(reason: Trouble) {
    if reason == Trouble::Refused401 {
        error!(
            "The identity provider refused our own client_id and client_secret. \
             Nobody can be let in until they are right."
        );
    } else {
        warn!(%reason, "A token could not be checked.");
    }
}

/// A clock that stands before 1970 lets no token be in time.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(f64::INFINITY, |elapsed| elapsed.as_secs_f64())
}

// === impl Trouble ===

impl From<NetError> for Trouble {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Timeout(_) => Self::Timeout,
            NetError::Unreachable => Self::Unreachable,
            NetError::Tls => Self::Tls,
            NetError::TooLarge { limit: _ } => Self::TooLarge,
            NetError::Broken => Self::Broken,
        }
    }
}

// === impl Flights ===

impl Flights {
    /// Joins the flight for this token, or starts one.
    ///
    /// The flight belongs to all who wait for it: it goes on when the one who started it leaves, and it is cancelled
    /// when the last one leaves.
    fn join(self: &Arc<Self>, token: &SecretString, oracle: &Arc<Oracle>) -> Shared<Flight> {
        let key = key(token);
        let mut board = self.board();
        let under_way = board.flights.get(&key).and_then(|(_, flight)| flight.upgrade());
        if let Some(flight) = under_way {
            return flight;
        }
        board.departures = board.departures.wrapping_add(1);
        let number = board.departures;
        let landing = Landing { flights: Arc::clone(self), key, number };
        let (oracle, token) = (Arc::clone(oracle), token.clone());
        let flight: Flight = Box::pin(async move {
            // Dropped before anybody sees the result, so whoever comes later asks anew.
            let _landing = landing;
            oracle.ask(&token).await
        });
        let flight = flight.shared();
        if let Some(weak) = flight.downgrade() {
            board.flights.insert(key, (number, weak));
        }
        flight
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut board = self.flights.board();
        // By now another flight may have started for the same token. It stays.
        if board.flights.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            board.flights.remove(&self.key);
        }
    }
}

fn key(token: &SecretString) -> Key {
    let mut key = Key::default();
    key.copy_from_slice(digest(&SHA256, token.expose_secret().as_bytes()).as_ref());
    key
}

/// `client_secret_basic`: RFC 6749, section 2.3.1, form-encodes both parts before joining them.
fn basic(client_id: &str, client_secret: &SecretString) -> HeaderValue {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(client_id), encoded(client_secret.expose_secret()));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
        .unwrap_or_else(|_| HeaderValue::from_static("Basic"));
    value.set_sensitive(true);
    value
}

fn faults(settings: &IntrospectionSettings) -> Vec<SettingsError> {
    let IntrospectionSettings { endpoint: url, issuer, client_id, client_secret, audience, client_ids } = settings;
    let mut faults = Vec::new();
    faults.extend(endpoint(url.as_str()).err());
    let said = [
        ("issuer", issuer.as_deref()),
        ("client_id", Some(client_id)),
        ("client_secret", Some(client_secret.expose_secret())),
        ("audience", Some(audience)),
    ];
    faults.extend(said.into_iter().filter(|(_, text)| *text == Some("")).map(|(name, _)| SettingsError::Empty(name)));
    if client_ids.as_ref().is_some_and(Vec::is_empty) {
        faults.push(SettingsError::NoClients);
    }
    faults
}
