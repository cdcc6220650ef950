//! What is counted and timed, as `OpenMetrics` text. The only room that names prometheus-client.
//!
//! Labels come from the definitions and from fixed words, never from what a caller sent, so their number is bounded; none
//! of them holds an address, a claim or a secret.

mod calls;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

pub use calls::{CallRecord, RecentCalls};

/// The media type of [`Metrics::text`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the buckets, in seconds: from an answer of a cache to the longest call.
const BUCKETS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// A histogram of durations.
type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

/// What a process counts.
pub struct Metrics {
    registry: Registry,
    calls: Family<CallLabels, Counter>,
    durations: Durations<ToolLabels>,
    in_flight: Gauge,
    connections: Gauge,
    refused_connections: Counter,
    authentications: Family<OutcomeLabels, Counter>,
    upstream: Durations<UpstreamLabels>,
    identity: Durations<IdentityLabels>,
    reloads: Family<OutcomeLabels, Counter>,
    reload_is_refused: Gauge,
    reloaded_at: Gauge<f64, AtomicU64>,
    cache: Family<CacheLabels, Counter>,
    limited: Family<ToolLabels, Counter>,
    shared: Family<OutcomeLabels, Counter>,
    shared_is_lost: Gauge,
    recent: RecentCalls,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    tool: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ToolLabels {
    tool: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UpstreamLabels {
    bridge: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct IdentityLabels {
    purpose: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CacheLabels {
    tool: String,
    result: &'static str,
}

/// How a call of a tool ended, as [`Metrics`] and the log name it.
pub const OUTCOMES: [&str; 11] = [
    "ok",
    "asked",
    "declined",
    "incapable_client",
    "api_error",
    "argument_error",
    "denied",
    "unknown_tool",
    "limited",
    "upstream_error",
    "internal_error",
];

/// Counts a thing for as long as it lives.
pub struct Counted(Gauge);

/// Times the exchanges of one HTTP client. The default counts nothing.
#[derive(Clone, Default)]
pub struct Meter(Option<(Arc<Metrics>, Purpose)>);

/// What an exchange is for.
#[derive(Clone, Debug)]
pub enum Purpose {
    /// The API of a bridge, by the bridge's name.
    Api(String),
    /// Asking about a token.
    Introspection,
    /// Fetching an issuer's keys.
    Keys,
    /// Getting a token for an API.
    Token,
}

/// A value at the moment of a scrape.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Without the prefix that all metrics have.
    pub name: &'static str,
    /// What it means, without a full stop.
    pub help: &'static str,
    /// The labels of this value.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

/// What stands at the moment of a scrape and is counted nowhere.
pub trait Gauges: Send + Sync + 'static {
    /// Everything of it; values of one name stand next to each other.
    fn read(&self) -> Vec<Reading>;
}

struct Read(Arc<dyn Gauges>);

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let mut this = Self {
            registry: Registry::with_prefix("tollbridge"),
            calls: Family::default(),
            durations: Family::new_with_constructor(histogram),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            refused_connections: Counter::default(),
            authentications: Family::default(),
            upstream: Family::new_with_constructor(histogram),
            identity: Family::new_with_constructor(histogram),
            reloads: Family::default(),
            reload_is_refused: Gauge::default(),
            reloaded_at: Gauge::default(),
            cache: Family::default(),
            limited: Family::default(),
            shared: Family::default(),
            shared_is_lost: Gauge::default(),
            recent: RecentCalls::default(),
        };
        let r = &mut this.registry;
        r.register("calls", "Calls of tools, by how they ended", this.calls.clone());
        r.register_with_unit("call_duration", "How long calls took", Unit::Seconds, this.durations.clone());
        r.register("calls_in_flight", "Calls that are running", this.in_flight.clone());
        r.register("connections", "Open connections of clients", this.connections.clone());
        r.register(
            "connections_refused",
            "Connections closed at once because there were too many",
            this.refused_connections.clone(),
        );
        r.register("authentications", "Requests by what came of their tokens", this.authentications.clone());
        r.register_with_unit(
            "upstream_request_duration",
            "How long APIs took to answer, by what they answered",
            Unit::Seconds,
            this.upstream.clone(),
        );
        r.register_with_unit(
            "identity_request_duration",
            "How long identity providers took to answer, by what they were asked for",
            Unit::Seconds,
            this.identity.clone(),
        );
        r.register("reloads", "Reloads of the bridge files, by what came of them", this.reloads.clone());
        r.register(
            "last_reload_refused",
            "1 while the files on disk were refused and older definitions keep serving",
            this.reload_is_refused.clone(),
        );
        r.register_with_unit(
            "revision_timestamp",
            "When the running definitions were loaded",
            Unit::Seconds,
            this.reloaded_at.clone(),
        );
        r.register("cache_requests", "Calls of tools with a cache", this.cache.clone());
        r.register("rate_limited", "Calls refused by a rate limit", this.limited.clone());
        r.register("shared_requests", "Questions to the shared store, by what came of them", this.shared.clone());
        r.register(
            "shared_lost",
            "1 while the shared store can't be reached and limits hold for this replica alone",
            this.shared_is_lost.clone(),
        );
        this
    }
}

impl Metrics {
    /// Nothing that anyone will read.
    #[must_use]
    pub fn unread() -> Arc<Self> {
        Arc::default()
    }

    /// All of it, in the text format of `OpenMetrics` 1.0.
    #[must_use]
    pub fn text(&self, now: Arc<dyn Gauges>) -> String {
        let mut text = String::new();
        let mut read = Registry::with_prefix("tollbridge");
        read.register_collector(Box::new(Read(now)));
        // Writing to a string can't fail.
        let _ = encode(&mut text, &self.registry);
        let end = text.trim_end_matches("# EOF\n").len();
        text.truncate(end);
        let _ = encode(&mut text, &read);
        text
    }

    /// The latest calls.
    #[must_use]
    pub fn recent(&self) -> &RecentCalls {
        &self.recent
    }

    /// Counts a call of a tool, and shows it among the latest.
    pub fn called(&self, record: CallRecord) {
        let tool = record.tool.clone();
        self.calls.get_or_create(&CallLabels { tool: tool.clone(), outcome: record.outcome }).inc();
        self.durations.get_or_create(&ToolLabels { tool }).observe(record.elapsed_ms / 1000.0);
        self.recent.push(record);
    }

    /// Counts a call while it runs.
    #[must_use]
    pub fn running(&self) -> Counted {
        Counted::new(&self.in_flight)
    }

    /// Counts a connection while it is open.
    #[must_use]
    pub fn connected(&self) -> Counted {
        Counted::new(&self.connections)
    }

    /// Counts a connection for which there is no room.
    pub fn turned_away(&self) {
        self.refused_connections.inc();
    }

    /// Counts what came of a token: `ok`, `missing`, `rejected` or `unavailable`.
    pub fn authenticated(&self, outcome: &'static str) {
        self.authentications.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Counts a reload: `accepted`, `refused`, `unchanged` or `rolled_back`.
    pub fn reloaded(&self, outcome: &'static str) {
        self.reloads.get_or_create(&OutcomeLabels { outcome }).inc();
        match outcome {
            "refused" => self.reload_is_refused.set(1),
            _ => self.reload_is_refused.set(0),
        };
        if matches!(outcome, "accepted" | "rolled_back") {
            self.starts(SystemTime::now());
        }
    }

    /// Says since when the running definitions run.
    pub fn starts(&self, at: SystemTime) {
        self.reloaded_at.set(at.duration_since(UNIX_EPOCH).map_or(0.0, |elapsed| elapsed.as_secs_f64()));
    }

    /// Forgets what was counted of a tool that is gone.
    pub fn forget(&self, tool: &str) {
        let labels = ToolLabels { tool: tool.to_owned() };
        for outcome in OUTCOMES {
            self.calls.remove(&CallLabels { tool: tool.to_owned(), outcome });
        }
        for result in ["hit", "miss"] {
            self.cache.remove(&CacheLabels { tool: tool.to_owned(), result });
        }
        self.durations.remove(&labels);
        self.limited.remove(&labels);
    }

    /// Counts whether a kept answer was at hand.
    pub fn looked_up(&self, tool: &str, hit: bool) {
        let result = if hit { "hit" } else { "miss" };
        self.cache.get_or_create(&CacheLabels { tool: tool.to_owned(), result }).inc();
    }

    /// Counts a call that a rate limit refused.
    pub fn limited(&self, tool: &str) {
        self.limited.get_or_create(&ToolLabels { tool: tool.to_owned() }).inc();
    }

    /// Counts a question to the shared store. Says whether it is news that it answers, or that it does not.
    pub fn shared(&self, answered: bool) -> bool {
        self.shared.get_or_create(&OutcomeLabels { outcome: if answered { "ok" } else { "failed" } }).inc();
        let lost = i64::from(!answered);
        self.shared_is_lost.inner().swap(lost, std::sync::atomic::Ordering::Relaxed) != lost
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Metrics(…)")
    }
}

// === impl Counted ===

impl Counted {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

// === impl Meter ===

impl Meter {
    /// Times exchanges for a purpose.
    #[must_use]
    pub fn new(metrics: &Arc<Metrics>, purpose: Purpose) -> Self {
        Self(Some((Arc::clone(metrics), purpose)))
    }

    /// The same counters, for another purpose.
    #[must_use]
    pub fn meant_for(&self, purpose: Purpose) -> Self {
        Self(self.0.as_ref().map(|(metrics, _)| (Arc::clone(metrics), purpose)))
    }

    /// What its exchanges are for, in a word.
    #[must_use]
    pub fn purpose(&self) -> &'static str {
        match self.0.as_ref().map(|(_, purpose)| purpose) {
            Some(Purpose::Introspection) => "introspection",
            Some(Purpose::Keys) => "keys",
            Some(Purpose::Token) => "token",
            Some(Purpose::Api(_)) | None => "api",
        }
    }

    /// Counts an exchange that ended with an answer of this status, or without one for this reason.
    pub fn exchanged(&self, elapsed: Duration, ended: Result<u16, &'static str>) {
        let Some((metrics, purpose)) = &self.0 else { return };
        let outcome = match ended {
            Ok(200..300) => "2xx",
            Ok(300..400) => "3xx",
            Ok(400..500) => "4xx",
            Ok(_) => "5xx",
            Err(why) => why,
        };
        let histogram = match purpose {
            Purpose::Api(bridge) => {
                metrics.upstream.get_or_create_owned(&UpstreamLabels { bridge: bridge.clone(), outcome })
            }
            Purpose::Introspection | Purpose::Keys | Purpose::Token => {
                metrics.identity.get_or_create_owned(&IdentityLabels { purpose: self.purpose(), outcome })
            }
        };
        histogram.observe(elapsed.as_secs_f64());
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Meter(…)")
    }
}

// === impl Read ===

impl fmt::Debug for Read {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Read(…)")
    }
}

impl Collector for Read {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let all = self.0.read();
        let mut rest = all.as_slice();
        while let Some(Reading { name, help, .. }) = rest.first() {
            let many = rest.iter().take_while(|other| other.name == *name).count();
            let (these, others) = rest.split_at(many);
            let kind = ConstGauge::new(0.0_f64).metric_type();
            let mut metric = encoder.encode_descriptor(name, &format!("{help}."), None, kind)?;
            for reading in these {
                ConstGauge::new(reading.value).encode(metric.encode_family(&reading.labels)?)?;
            }
            rest = others;
        }
        Ok(())
    }
}
