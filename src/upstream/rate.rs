//! `rate_limit`: how often a tool may be called. The only module that names governor.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::catalog::RateLimit;
use crate::principal::Principal;

/// How many callers are remembered before those who have been quiet are forgotten.
const MANY_CALLERS: usize = 10_000;

/// Counts the calls of one tool.
pub struct RateGate {
    limit: RateLimit,
    clock: DefaultClock,
    callers: RateLimiter<String, HashMapStateStore<String>, DefaultClock>,
}

// === impl RateGate ===

impl RateGate {
    /// Starts counting.
    #[must_use]
    pub fn new(limit: RateLimit) -> Self {
        let clock = DefaultClock::default();
        let quota = quota(&limit);
        Self { limit, callers: RateLimiter::new(quota, HashMapStateStore::default(), clock.clone()), clock }
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
    pub fn admit(&self, who: &Principal) -> Result<(), Duration> {
        let key = if self.limit.by_caller { who.identity() } else { String::new() };
        if self.callers.len() > MANY_CALLERS {
            self.callers.retain_recent();
        }
        self.callers.check_key(&key).map_err(|refused| refused.wait_time_from(self.clock.now()))
    }
}

/// So many at once, then spread evenly over the period.
fn quota(limit: &RateLimit) -> Quota {
    let each = limit.per / limit.calls.get();
    Quota::with_period(each).unwrap_or_else(|| Quota::per_second(NonZeroU32::MAX)).allow_burst(limit.calls)
}

impl fmt::Debug for RateGate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("RateGate").field(&self.limit).finish()
    }
}
