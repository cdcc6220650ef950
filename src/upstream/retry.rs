//! When a request is sent again: idempotent methods only, with growing pauses, and within a budget.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method, header};

use super::send::words;
use crate::call::CallError;
use crate::net::NetError;
use crate::progress;
use crate::shape::Reply;

/// The pause before the first retry, at most; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// What a request adds to the budget, and what a retry takes: a fifth of the requests may be retries.
const EARNED: u32 = 1;
const SPENT: u32 = 5;
/// The fullest budget: ten retries in a burst.
const FULL: u32 = 50;

/// How often requests to one API are sent again.
#[derive(Debug)]
pub(super) struct Retry {
    attempts: u32,
    budget: AtomicU32,
}

// === impl Retry ===

impl Retry {
    /// `attempts` counts the first time too.
    pub(super) fn new(attempts: u32) -> Self {
        Self { attempts, budget: AtomicU32::new(FULL) }
    }

    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether requests of this method are ever sent again (RFC 9110 section 9.2.2).
    fn is_for(&self, method: &Method) -> bool {
        self.attempts > 1 && [Method::GET, Method::HEAD, Method::PUT, Method::DELETE].contains(method)
    }

    /// Sends a request by `once`, and again after a `rest` where that may help.
    ///
    /// # Errors
    /// Returns what `once` does, and [`CallError::Upstream`] when the last attempt had no answer.
    pub(super) async fn run<O, R>(
        &self,
        method: &Method,
        once: impl Fn() -> O,
        rest: impl Fn(Duration) -> R,
    ) -> Result<Reply, CallError>
    where
        O: Future<Output = Result<Result<Reply, NetError>, CallError>>,
        R: Future<Output = ()>,
    {
        let is_repeated = self.is_for(method);
        if is_repeated {
            self.earn();
        }
        let mut attempt = 1;
        loop {
            let came = once().await?;
            match if is_repeated { self.pause(attempt, came.as_ref()) } else { None } {
                Some(pause) => {
                    progress::tell(|| format!("The API is asked again ({} of {})", attempt + 1, self.attempts));
                    rest(pause).await;
                }
                None => return came.map_err(|error| CallError::Upstream(words(&error))),
            }
            attempt += 1;
        }
    }

    /// A request begins.
    fn earn(&self) {
        let _ = self
            .budget
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |budget| (budget < FULL).then(|| budget + EARNED));
    }

    /// How long to wait before the next attempt; `None` when there is none.
    fn pause(&self, attempt: u32, came: Result<&Reply, &NetError>) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let asked = match came {
            Ok(reply) if is_busy(reply.status) => retry_after(&reply.headers),
            Err(NetError::Unreachable | NetError::Broken | NetError::Timeout(_)) => None,
            Ok(_) | Err(NetError::Tls | NetError::Forbidden(_) | NetError::TooLarge { .. }) => return None,
        };
        let pause = match asked {
            // An API that wants to be left alone for longer is left alone.
            Some(asked) if asked > LONGEST_PAUSE => return None,
            Some(asked) => asked,
            None => jittered(FIRST_PAUSE.saturating_mul(1 << attempt.min(10).saturating_sub(1)).min(LONGEST_PAUSE)),
        };
        let spend = |budget: u32| budget.checked_sub(SPENT);
        self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).ok()?;
        Some(pause)
    }
}

/// Whether an API says that it can't answer just now.
pub(super) fn is_busy(status: u16) -> bool {
    matches!(status, 429 | 502 | 503 | 504)
}

/// RFC 9110 section 10.2.3: seconds, or a date.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(SystemTime::from(date).duration_since(SystemTime::now()).unwrap_or_default())
}

/// Anything from nothing to the whole pause, so that callers who failed together don't come back together.
fn jittered(pause: Duration) -> Duration {
    let micros = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX).max(1);
    let (random, _) = uuid::Uuid::new_v4().as_u64_pair();
    Duration::from_micros(random % micros)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;

    use super::*;

    fn reply(status: u16, retry_after: Option<&'static str>) -> Reply {
        let mut headers = HeaderMap::new();
        if let Some(text) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(text));
        }
        Reply { status, headers, body: Bytes::new(), pages_left_out: None }
    }

    #[test]
    fn what_may_pass_is_tried_again_and_the_api_is_obeyed() {
        let retry = Retry::new(3);
        let pause = |attempt, reply: &Reply| retry.pause(attempt, Ok(reply));
        assert!(pause(1, &reply(503, None)).unwrap() <= FIRST_PAUSE);
        assert!(pause(2, &reply(503, None)).unwrap() <= FIRST_PAUSE * 2);
        assert_eq!(pause(3, &reply(503, None)), None);
        assert_eq!(pause(1, &reply(429, Some("2"))), Some(Duration::from_secs(2)));
        assert_eq!(pause(1, &reply(429, Some("60"))), None);
        assert_eq!(pause(1, &reply(503, Some("Mon, 01 Jan 2024 00:00:00 GMT"))), Some(Duration::ZERO));
        for status in [200, 400, 404, 500, 501] {
            assert_eq!(pause(1, &reply(status, None)), None, "{status}");
        }
        assert!(retry.pause(1, Err(&NetError::Unreachable)).is_some());
        assert_eq!(retry.pause(1, Err(&NetError::TooLarge { limit: 1 })), None);
        assert!(retry.is_for(&Method::GET) && !retry.is_for(&Method::POST) && !retry.is_for(&Method::PATCH));
    }

    #[test]
    fn retries_are_a_fifth_of_the_requests() {
        let retry = Retry::new(2);
        let tried = |requests: usize| {
            (0..requests)
                .filter(|_| {
                    retry.earn();
                    retry.pause(1, Err(&NetError::Unreachable)).is_some()
                })
                .count()
        };
        assert!(tried(100) >= 20);
        assert_eq!(tried(100), 20);
    }
}
