//! What replicas share: the counters of rate limits, in a Redis or Valkey server. The only module that names redis.
//!
//! Losing it never refuses a call: limits hold for each replica alone until it is back.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Script};
use tokio::time::error::Elapsed;
use tracing::{info, warn};

use crate::breaker::{Breaker, BreakerDef, Pass};
use crate::metrics::Metrics;

/// How long a question may take. A call must not wait for a store that is in trouble.
const DEADLINE: Duration = Duration::from_millis(250);
/// After one failure the store is left alone for so long.
const REST: BreakerDef = BreakerDef { failures: 1, pause: Duration::from_secs(1) };

/// The generic cell rate algorithm, at the clock of the store, which all replicas share. `ARGV` holds microseconds from
/// call to call and how many may come at once; gives the microseconds to wait, 0 when the call is allowed.
const GCRA: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local each = tonumber(ARGV[1])
local free = tonumber(redis.call('GET', KEYS[1]) or '0')
if free < now then free = now end
local next = free + each
local wait = next - each * tonumber(ARGV[2]) - now
if wait > 0 then return wait end
redis.call('SET', KEYS[1], string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000) + 1000)
return 0
";

/// Where the store is; it may hold a password.
#[derive(Clone)]
pub struct SharedUrl(Client);

/// The store, once it was asked.
pub struct SharedStore {
    url: SharedUrl,
    connection: OnceLock<ConnectionManager>,
    script: Script,
    breaker: Breaker,
    metrics: Arc<Metrics>,
}

// === impl SharedUrl ===

impl SharedUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// Returns what is wrong with it, without repeating it.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        Client::open(url).map(Self).map_err(|_| "write it as `redis://host:6379`, or `redis://:password@host:6379/0`")
    }
}

impl fmt::Debug for SharedUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SharedUrl(…)")
    }
}

// === impl SharedStore ===

impl SharedStore {
    /// Gets ready. Opens no connection.
    #[must_use]
    pub fn new(url: SharedUrl, metrics: &Arc<Metrics>) -> Self {
        let (script, breaker) = (Script::new(GCRA), Breaker::new(REST));
        Self { url, connection: OnceLock::new(), script, breaker, metrics: Arc::clone(metrics) }
    }

    /// The connection, which mends itself; opened by the first who asks.
    fn connection(&self) -> Option<ConnectionManager> {
        if let Some(connection) = self.connection.get() {
            return Some(connection.clone());
        }
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(DEADLINE))
            .set_response_timeout(Some(DEADLINE))
            .set_number_of_retries(0);
        let made = ConnectionManager::new_lazy_with_config(self.url.0.clone(), config).ok()?;
        Some(self.connection.get_or_init(|| made).clone())
    }

    /// Gives what all replicas keep under a key: what the first of them suggested. `None` when the store can't be asked.
    pub async fn agree(&self, key: &str, suggested: &[u8]) -> Option<Vec<u8>> {
        let mut set = redis::cmd("SET");
        set.arg(key).arg(suggested).arg("NX");
        self.ask::<Option<String>>(&set).await?;
        let mut get = redis::cmd("GET");
        get.arg(key);
        self.ask::<Option<Vec<u8>>>(&get).await?
    }

    /// Whether nobody has said so of this key before, within this time. `None` when the store can't be asked.
    pub async fn is_first(&self, key: &str, within: Duration) -> Option<bool> {
        let mut set = redis::cmd("SET");
        set.arg(key).arg(1).arg("NX").arg("EX").arg(within.as_secs());
        Some(self.ask::<Option<String>>(&set).await?.is_some())
    }

    async fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> Option<T> {
        let pass = self.breaker.admit().ok()?;
        let mut connection = self.connection()?;
        let asked = tokio::time::timeout(DEADLINE, command.query_async::<T>(&mut connection)).await;
        self.told(pass, asked)
    }

    /// Counts a call under a key. `None` when the store can't be asked.
    pub(super) async fn admit(&self, key: &str, each: Duration, burst: u32) -> Option<Result<(), Duration>> {
        let pass = self.breaker.admit().ok()?;
        let mut connection = self.connection()?;
        let mut call = self.script.key(key);
        call.arg(u64::try_from(each.as_micros()).unwrap_or(u64::MAX)).arg(burst);
        let asked = tokio::time::timeout(DEADLINE, call.invoke_async::<u64>(&mut connection)).await;
        let wait: u64 = self.told(pass, asked)?;
        Some(if wait == 0 { Ok(()) } else { Err(Duration::from_micros(wait)) })
    }

    /// What came of a question; says so when that is news.
    fn told<T>(&self, pass: Pass<'_>, asked: Result<redis::RedisResult<T>, Elapsed>) -> Option<T> {
        let answer = match asked {
            Ok(Ok(answer)) => {
                pass.answered();
                Ok(answer)
            }
            Ok(Err(error)) => {
                pass.failed();
                // The kind says enough; the rest may name the address.
                Err(format!("{:?}", error.kind()))
            }
            Err(_) => {
                pass.failed();
                Err("no answer in time".to_owned())
            }
        };
        let is_news = self.metrics.shared(answer.is_ok());
        match answer {
            Ok(answer) => {
                if is_news {
                    info!("The shared store answers again: rate limits hold across replicas.");
                }
                Some(answer)
            }
            Err(why) => {
                if is_news {
                    warn!(why, "The shared store can't be asked: rate limits hold for this replica alone.");
                }
                None
            }
        }
    }
}

impl fmt::Debug for SharedStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SharedStore(…)")
    }
}
