//! Waits for an API that answers before it is done; what its answers say, `shape` says.

use std::time::Duration;

use http::Method;
use tokio::time::Instant;
use tracing::warn;

use super::Upstream;
use super::retry::{is_busy, retry_after};
use crate::call::{CallError, Request, bare, follow_up};
use crate::catalog::{Endpoint, Job};
use crate::principal::Principal;
use crate::progress::{self, Stopped};
use crate::quantity::show_duration;
use crate::shape::{Reply, Stage, location};

/// How often in a row an API may be busy or out of reach before the call ends.
const TROUBLES: u32 = 5;
/// The shortest pause, whatever the API asks for.
const SHORTEST: Duration = Duration::from_millis(100);
/// How long a request to cancel may take.
const LAST_WORD: Duration = Duration::from_secs(5);

/// What became of a call.
#[derive(Debug)]
pub enum Ended {
    /// The API's answer.
    Answer(Reply),
    /// The job has failed; the answer says why.
    Failed(Reply),
}

/// A call that waits.
struct Waiting<'a> {
    upstream: &'a dyn Upstream,
    job: &'a Job,
    who: &'a Principal,
    begun: Instant,
}

/// The requests about a job that has begun.
struct Begun {
    status: Request,
    result: Option<Request>,
    cancel: Option<Request>,
}

/// Sends a request and waits for the job that it begins, if it begins one. All of it is asked as the same caller, and the way
/// that every request goes.
///
/// # Errors
/// Returns what [`Upstream::send`] does, and [`CallError::Upstream`] for a job that leads elsewhere, is not done in time, or that
/// nobody waits for any more.
pub async fn run(upstream: &dyn Upstream, request: &Request, job: &Job, who: &Principal) -> Result<Ended, CallError> {
    let waiting = Waiting { upstream, job, who, begun: upstream.now() };
    progress::tell(|| "The API is asked".to_owned());
    let first = waiting.unless_stopped(upstream.send(request, who)).await.map_err(given_up)??;
    let ended = match waiting.job_of(request, &first)? {
        None => Ok(Ended::Answer(first)),
        Some(begun) => match waiting.follow(&begun, retry_after(&first.headers)).await {
            Ok(ended) => ended,
            Err(stopped) => {
                if let (Stopped::ByCaller, Some(cancel)) = (stopped, &begun.cancel) {
                    waiting.cancel(cancel).await;
                }
                Err(given_up(stopped))
            }
        },
    };
    progress::tell(|| "The API has answered".to_owned());
    ended
}

// === impl Waiting ===

impl Waiting<'_> {
    /// The requests about the job that an answer speaks of; `None` when it is the result.
    fn job_of(&self, request: &Request, first: &Reply) -> Result<Option<Begun>, CallError> {
        let Job { rules, status, result, cancel, .. } = self.job;
        let is_good = (200..300).contains(&first.status);
        let id = if is_good { rules.id(first).map_err(CallError::Upstream)? } else { None };
        let is_begun = if rules.id.is_some() { id.is_some() } else { first.status == 202 };
        if !is_begun {
            return Ok(None);
        }
        let to = |endpoint: &Option<Endpoint>| {
            endpoint.as_ref().map(|endpoint| follow_up(request, endpoint, id.as_deref())).transpose()
        };
        let status = match (to(status)?, location(first)) {
            (Some(status), _) => status,
            (None, Some(location)) => self.led(request, &location)?,
            (None, None) => return Ok(None),
        };
        Ok(Some(Begun { status, result: to(result)?, cancel: to(cancel)? }))
    }

    /// The request for a place that the API names.
    fn led(&self, from: &Request, location: &str) -> Result<Request, CallError> {
        let followed = self.upstream.follow(from, location).map_err(|error| match error {
            CallError::Upstream(_) => {
                CallError::Upstream("The API's answer leads to a job outside of the API; it is not followed".to_owned())
            }
            error => error,
        })?;
        Ok(bare(&followed, &Method::GET))
    }

    /// Asks until the job is over, and then for the result where that is elsewhere.
    async fn follow(&self, begun: &Begun, asked: Option<Duration>) -> Result<Result<Ended, CallError>, Stopped> {
        let mut pause = asked.unwrap_or(self.job.interval);
        let mut polls = 0_u32;
        progress::waits(|| "The API is working on it".to_owned(), None);
        loop {
            if let Err(late) = self.rest(pause).await? {
                return Ok(Err(late));
            }
            let polled = match self.ask(&begun.status).await? {
                Ok(polled) => polled,
                Err(error) => return Ok(Err(error)),
            };
            polls += 1;
            match self.job.rules.stage(&polled) {
                Err(words) => return Ok(Err(CallError::Upstream(words))),
                Ok(Stage::Failed) => return Ok(Ok(Ended::Failed(polled))),
                Ok(Stage::Working(percent)) => {
                    progress::waits(|| working(polls, percent), percent);
                    pause = retry_after(&polled.headers).unwrap_or(self.job.interval);
                }
                Ok(Stage::Elsewhere(location)) => {
                    return match self.led(&begun.status, &location) {
                        Ok(result) => Ok(self.ask(&result).await?.map(Ended::Answer)),
                        Err(error) => Ok(Err(error)),
                    };
                }
                Ok(Stage::Done) => {
                    return match &begun.result {
                        Some(result) if (200..300).contains(&polled.status) => {
                            Ok(self.ask(result).await?.map(Ended::Answer))
                        }
                        _ => Ok(Ok(Ended::Answer(polled))),
                    };
                }
            }
        }
    }

    /// Sends a request, and again while the API is busy or out of reach: a job of minutes does not fail for a moment.
    async fn ask(&self, request: &Request) -> Result<Result<Reply, CallError>, Stopped> {
        let mut tries = 0;
        loop {
            let Some(left) = self.left() else { return Ok(Err(self.late())) };
            let request = Request { timeout: request.timeout.min(left), ..request.clone() };
            let came = self.unless_stopped(self.upstream.send(&request, self.who)).await?;
            let asked = match &came {
                Ok(reply) if is_busy(reply.status) => retry_after(&reply.headers),
                Err(CallError::Upstream(_)) => None,
                Ok(_) | Err(_) => return Ok(came),
            };
            tries += 1;
            if tries == TROUBLES {
                return Ok(came);
            }
            progress::waits(|| "The API is busy or can't be reached; it is asked again".to_owned(), None);
            if let Err(late) = self.rest(asked.unwrap_or(self.job.interval)).await? {
                return Ok(Err(late));
            }
        }
    }

    /// Tells the API that nobody waits any more. Whatever it says to that, the call has ended.
    async fn cancel(&self, request: &Request) {
        let request = Request { timeout: request.timeout.min(LAST_WORD), ..request.clone() };
        match self.upstream.send(&request, self.who).await {
            Ok(reply) if reply.status < 400 => {}
            Ok(reply) => warn!(status = reply.status, "An API did not cancel its job."),
            Err(error) => warn!(reason = %error, "An API was not told to cancel its job."),
        }
    }

    /// Pauses. Gives an error when the deadline comes first.
    async fn rest(&self, pause: Duration) -> Result<Result<(), CallError>, Stopped> {
        let left = self.left().unwrap_or_default();
        let pause = pause.max(SHORTEST);
        self.unless_stopped(self.upstream.rest(pause.min(left))).await?;
        Ok(if pause < left { Ok(()) } else { Err(self.late()) })
    }

    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Stopped> {
        tokio::select! {
            biased;
            why = progress::stopped() => Err(why),
            done = work => Ok(done),
        }
    }

    fn left(&self) -> Option<Duration> {
        self.job.deadline.checked_sub(self.upstream.now().saturating_duration_since(self.begun))
    }

    fn late(&self) -> CallError {
        let deadline = show_duration(self.job.deadline);
        CallError::Upstream(format!("The API was not done within {deadline}; it may still be working on it"))
    }
}

fn working(polls: u32, percent: Option<f64>) -> String {
    match percent {
        Some(percent) => format!("The API is working on it: {percent:.0} % (poll {polls})"),
        None => format!("The API is working on it (poll {polls})"),
    }
}

fn given_up(why: Stopped) -> CallError {
    CallError::Upstream(match why {
        Stopped::ByCaller => "the call was cancelled".to_owned(),
        Stopped::ByServer => "The server is stopping; the API may still be working on it".to_owned(),
    })
}
