//! The circuit breaker: a server that does not answer is left alone for a while, and calls are refused at once.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// When a server that does not answer is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerDef {
    /// How many requests in a row must go without an answer.
    pub failures: u32,
    /// How long calls are refused then.
    pub pause: Duration,
}

/// Counts requests in a row that went without an answer.
#[derive(Debug)]
pub(crate) struct Breaker {
    def: BreakerDef,
    /// Below the limit, this is all that a call looks at.
    failed: AtomicU32,
    /// Looked at only once the limit is reached.
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    /// Until when calls are refused; one is let through afterwards.
    until: Instant,
    /// Whether that one is under way.
    trial: bool,
}

/// Leave to try. What came of it is said once; a pass that is dropped without a word changes nothing.
pub(crate) struct Pass<'b> {
    breaker: &'b Breaker,
    trial: bool,
}

// === impl Breaker ===

impl Breaker {
    pub(crate) fn new(def: BreakerDef) -> Self {
        let open = Open { until: Instant::now(), trial: false };
        Self { def, failed: AtomicU32::new(0), open: Mutex::new(open) }
    }

    /// Whether requests are refused now.
    pub(crate) fn is_open(&self) -> bool {
        self.failed.load(Ordering::Relaxed) >= self.def.failures && Instant::now() < self.open().until
    }

    pub(crate) fn def(&self) -> BreakerDef {
        self.def
    }

    /// Lets a request through.
    ///
    /// # Errors
    /// Returns how long it is until the next one is let through.
    pub(crate) fn admit(&self) -> Result<Pass<'_>, Duration> {
        if self.failed.load(Ordering::Relaxed) < self.def.failures {
            return Ok(Pass { breaker: self, trial: false });
        }
        let mut open = self.open();
        let now = Instant::now();
        if now < open.until {
            return Err(open.until - now);
        }
        if open.trial {
            // Whether the server is back will be known soon.
            return Err(Duration::from_secs(1));
        }
        open.trial = true;
        Ok(Pass { breaker: self, trial: true })
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Pass ===

impl Pass<'_> {
    /// The server answered, in whatever way.
    pub(crate) fn answered(self) {
        if self.breaker.failed.load(Ordering::Relaxed) > 0 {
            self.breaker.failed.store(0, Ordering::Relaxed);
        }
    }

    /// The server did not answer.
    pub(crate) fn failed(self) {
        let failed = self.breaker.failed.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if failed >= self.breaker.def.failures {
            // Requests that were under way fail one after the other; the pause begins with the last.
            self.breaker.open().until = Instant::now() + self.breaker.def.pause;
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.trial {
            self.breaker.open().trial = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_answer_gets_a_rest_and_one_trial() {
        let breaker = Breaker::new(BreakerDef { failures: 2, pause: Duration::from_secs(10) });
        breaker.admit().ok().unwrap().failed();
        breaker.admit().ok().unwrap().answered();
        breaker.admit().ok().unwrap().failed();
        breaker.admit().ok().unwrap().failed();
        assert_eq!(breaker.admit().err(), Some(Duration::from_secs(10)));
        tokio::time::advance(Duration::from_secs(10)).await;
        let trial = breaker.admit().ok().unwrap();
        assert!(breaker.admit().is_err(), "one trial at a time");
        trial.failed();
        assert_eq!(breaker.admit().err(), Some(Duration::from_secs(10)));
        tokio::time::advance(Duration::from_secs(10)).await;
        // A trial that is cancelled leaves the way to the next one.
        drop(breaker.admit().ok().unwrap());
        breaker.admit().ok().unwrap().answered();
        assert!(breaker.admit().is_ok() && breaker.admit().is_ok());
    }
}
