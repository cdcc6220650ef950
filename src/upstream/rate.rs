//! `rate_limit`: how often a tool may be called. The only module that names governor.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::shared::SharedStore;
use crate::catalog::RateLimit;
use crate::principal::Principal;

/// How many callers are remembered before those who have been quiet are forgotten.
const MANY_CALLERS: usize = 10_000;

/// Counts the calls of one tool.
pub struct RateGate {
    tool: String,
    limit: RateLimit,
    clock: DefaultClock,
    callers: RateLimiter<String, HashMapStateStore<String>, DefaultClock>,
    shared: Option<Arc<SharedStore>>,
}

// === impl RateGate ===

impl RateGate {
    /// Starts counting, together with other replicas when there is a store that they share.
    #[must_use]
    pub fn new(tool: &str, limit: RateLimit, shared: Option<Arc<SharedStore>>) -> Self {
        let clock = DefaultClock::default();
        let callers = RateLimiter::new(quota(&limit), HashMapStateStore::default(), clock.clone());
        Self { tool: tool.to_owned(), limit, callers, clock, shared }
    }

    /// What is allowed.
    #[must_use]
    pub fn limit(&self) -> RateLimit {
        self.limit
    }

    /// Counts a call.
    ///
    /// # Errors
    /// Returns how long it is until the next call is allowed.
    pub async fn admit(&self, who: &Principal) -> Result<(), Duration> {
        let key = if self.limit.by_caller { who.identity() } else { String::new() };
        if let Some(shared) = &self.shared
            && let Some(said) = shared.admit(&self.name(&key), each(&self.limit), self.limit.calls.get()).await
        {
            return said;
        }
        if self.callers.len() > MANY_CALLERS {
            self.callers.retain_recent();
        }
        self.callers.check_key(&key).map_err(|refused| refused.wait_time_from(self.clock.now()))
    }

    /// The name of a counter among replicas. It holds no person's name, and another limit counts anew.
    fn name(&self, caller: &str) -> String {
        let RateLimit { calls, per, by_caller: _ } = self.limit;
        let caller = URL_SAFE_NO_PAD.encode(digest(&SHA256, caller.as_bytes()));
        format!("tollbridge:rate:{}:{calls}/{}ms:{caller}", self.tool, per.as_millis())
    }
}

fn each(limit: &RateLimit) -> Duration {
    limit.per / limit.calls.get()
}

/// So many at once, then spread evenly over the period.
fn quota(limit: &RateLimit) -> Quota {
    Quota::with_period(each(limit)).unwrap_or_else(|| Quota::per_second(NonZeroU32::MAX)).allow_burst(limit.calls)
}

impl fmt::Debug for RateGate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("RateGate").field(&self.limit).finish()
    }
}
