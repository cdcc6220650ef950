//! RFC 7662: the identity provider is asked about every token, every time.
//!
//! Nothing is remembered, so a revoked token is refused at once. Callers that present the same token at the same
//! moment share one question; when the answer is in, the question is forgotten. Whatever goes wrong, nobody gets in.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use futures_util::future::{FutureExt as _, Shared, WeakShared};
use http::StatusCode;
use reqwest::Request;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tracing::{error, warn};
use url::Url;

use crate::auth::jwt::now;
use crate::auth::verdict::Terms;
use crate::auth::{AuthError, Authenticator, BoxFuture, IntrospectionSettings, SettingsError};
use crate::breaker::{Breaker, BreakerDef};
use crate::metrics::{Meter, Purpose};
use crate::net::{Answer, Client, ClientSettings};
use crate::oauth::{OauthClient, Trouble};
use crate::principal::Principal;
use crate::unique::Unique;

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
    http: Client,
    endpoint: Url,
    client: OauthClient,
    terms: Terms,
    bounds: Bounds,
    turns: Semaphore,
    breaker: Breaker,
    /// Until when the provider wants to be left alone (429).
    busy_until: Mutex<Option<Instant>>,
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

/// After five questions in a row without an answer, nobody is asked for two seconds.
const BREAKER: BreakerDef = BreakerDef { failures: 5, pause: Duration::from_secs(2) };
/// How long a busy provider is left alone, whatever it says.
const PAUSE_AT_LEAST: Duration = Duration::from_secs(1);
const PAUSE_AT_MOST: Duration = Duration::from_mins(1);

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
    pub fn new(settings: IntrospectionSettings, meter: &Meter) -> Result<Self, Vec<SettingsError>> {
        Self::within(settings, Bounds::default(), meter)
    }

    fn within(settings: IntrospectionSettings, bounds: Bounds, meter: &Meter) -> Result<Self, Vec<SettingsError>> {
        let faults = settings.faults();
        if !faults.is_empty() {
            return Err(faults);
        }
        let http = Client::new(&ClientSettings::default()).map_err(|error| vec![SettingsError::Net(error)])?;
        let http = http.metered(meter.meant_for(Purpose::Introspection));
        let IntrospectionSettings { endpoint, client, terms } = settings;
        Ok(Self {
            oracle: Arc::new(Oracle {
                http,
                endpoint,
                client,
                terms: terms.into(),
                turns: Semaphore::new(bounds.at_once),
                breaker: Breaker::new(BREAKER),
                busy_until: Mutex::new(None),
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
        self.oracle.answer(&nobodys).await.map(drop)
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
        let answer = match self.answer(token).await {
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

    /// What the provider says about a token, unless it is to be left alone.
    async fn answer(&self, token: &SecretString) -> Result<Map<String, Value>, Trouble> {
        let deadline = Instant::now() + self.bounds.deadline;
        let _turn =
            timeout_at(deadline, self.turns.acquire()).await.ok().and_then(Result::ok).ok_or(Trouble::Timeout)?;
        let now = Instant::now();
        if self.busy_until().is_some_and(|until| now < until) {
            return Err(Trouble::RateLimited);
        }
        let pass = self.breaker.admit().map_err(|_| Trouble::Paused)?;
        let left = deadline.saturating_duration_since(now);
        if left.is_zero() {
            // The turn came when the caller had given up. The provider has enough to do.
            return Err(Trouble::Timeout);
        }
        match self.http.send(self.question(token), left, self.bounds.max_bytes).await {
            Ok(answer) => {
                pass.answered();
                if answer.status == StatusCode::TOO_MANY_REQUESTS {
                    *self.busy_until() = Some(Instant::now() + pause(&answer));
                }
                read(&answer)
            }
            Err(error) => {
                let trouble = Trouble::from(error);
                if trouble.is_silence() {
                    pass.failed();
                } else {
                    pass.answered();
                }
                Err(trouble)
            }
        }
    }

    fn busy_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.busy_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn question(&self, token: &SecretString) -> Request {
        let fields = [("token", token.expose_secret()), ("token_type_hint", "access_token")];
        self.client.request(&self.endpoint, &fields)
    }
}

/// How long a busy provider wants to be left alone: in seconds, or as Okta says it, until a time since 1970.
fn pause(answer: &Answer) -> Duration {
    let number = |name: &str| answer.headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let reset = || number("x-rate-limit-reset").map(|reset| reset - now());
    let seconds = number("retry-after").or_else(reset).unwrap_or(1.0);
    Duration::try_from_secs_f64(seconds).unwrap_or(PAUSE_AT_LEAST).clamp(PAUSE_AT_LEAST, PAUSE_AT_MOST)
}

/// What stands in an answer, if it is one.
fn read(answer: &Answer) -> Result<Map<String, Value>, Trouble> {
    match answer.status {
        StatusCode::OK => match serde_json::from_slice(&answer.body) {
            Ok(Unique(Value::Object(claims))) => Ok(claims),
            Ok(Unique(_)) | Err(_) => Err(Trouble::NotJson),
        },
        // Ours, not the caller's: a token that is not good is answered with 200 and `active: false`.
        status => Err(Trouble::of_status(status)),
    }
}

fn report(reason: Trouble) {
    if reason == Trouble::Refused401 {
        error!(
            "The identity provider refused our own client. \
             Nobody can be let in until they are right."
        );
    } else {
        warn!(%reason, "A token could not be checked.");
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
