//! Further requests about what a first one began.

use http::Method;

use super::{CallError, Origin, PathPart, Request, RequestBody};
use crate::catalog::{Endpoint, JOB, PathValue};

/// The request about a job: to its own endpoint, with the headers and cookies of the first and no body. The names in its path are
/// the job's id, and what stood in the path of the first.
///
/// # Errors
/// Returns [`CallError::Upstream`] when the id of the job can't stand in a path.
pub fn follow_up(first: &Request, endpoint: &Endpoint, job: Option<&str>) -> Result<Request, CallError> {
    let of_first = |name: &str| first.path.iter().find(|part| part.parameter.as_deref() == Some(name));
    let value = |name: &str| match (name, job) {
        (JOB, Some(id)) => PathValue::One(id.to_owned()),
        // Empty is refused.
        _ => PathValue::Wire(of_first(name).map(|part| part.text.clone()).unwrap_or_default()),
    };
    let unfit = |_| CallError::Upstream("The API gave its job an id that no path can hold".to_owned());
    let parts = endpoint.path.expand(value).map_err(unfit)?;
    let part = |(text, name): (String, Option<&str>)| PathPart {
        text,
        origin: match name {
            None => Origin::Endpoint,
            Some(name) => of_first(name).map_or(Origin::Job, |part| part.origin.clone()),
        },
        parameter: name.map(str::to_owned),
    };
    Ok(Request { path: parts.into_iter().map(part).collect(), query: Vec::new(), ..bare(first, &endpoint.method) })
}

/// The same place by another method, without a body.
#[must_use]
pub fn bare(request: &Request, method: &Method) -> Request {
    Request { method: method.clone(), body: RequestBody::None, ..request.clone() }
}
