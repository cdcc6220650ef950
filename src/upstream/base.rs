//! The base URL of an API: where its requests begin, and what they can't leave.

use url::Url;

use crate::call::{CallError, Request, Reveal};

/// A base URL.
pub(super) struct Base {
    url: Url,
    /// Its path, without a slash at the end.
    path: String,
}

// === impl Base ===

impl Base {
    pub(super) fn new(url: Url) -> Self {
        Self { path: url.path().trim_end_matches('/').to_owned(), url }
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// The path of a URL after that of the base URL.
    pub(super) fn without<'u>(&self, url: &'u Url) -> &'u str {
        url.path().strip_prefix(&self.path).unwrap_or(url.path())
    }

    /// The URL of a request.
    ///
    /// # Errors
    /// Returns [`CallError::Internal`] for a path that the `url` crate would change.
    pub(super) fn of(&self, request: &Request, secrets: &dyn Reveal) -> Result<Url, CallError> {
        if let Some(page) = &request.page {
            return Ok(page.clone());
        }
        let mut url = self.url.clone();
        let whole = format!("{}{}", self.path, request.wire_path());
        url.set_path(&whole);
        // The `url` crate collapses `.` and `..`, even percent-encoded; the path can't hold them, and what comes out must
        // be what was put in.
        if url.path() != whole {
            return Err(CallError::internal("the path of a request would change on the wire"));
        }
        url.set_query(request.wire_query(secrets).as_deref());
        Ok(url)
    }

    /// The request for the page at a URL that the API gave.
    ///
    /// # Errors
    /// Returns [`CallError::Upstream`] when the URL leads out of the base URL.
    pub(super) fn follow(&self, request: &Request, written: &str, secrets: &dyn Reveal) -> Result<Request, CallError> {
        let elsewhere = || CallError::Upstream("The API's answer leads to a next page outside of the API".to_owned());
        let page = self.of(request, secrets)?.join(written).map_err(|_| elsewhere())?;
        let within = page.path().strip_prefix(&self.path).is_some_and(|rest| rest.starts_with('/'));
        let same = page.origin() == self.url.origin() && page.username().is_empty() && page.password().is_none();
        if !same || !within {
            return Err(elsewhere());
        }
        Ok(Request { page: Some(page), ..request.clone() })
    }
}
