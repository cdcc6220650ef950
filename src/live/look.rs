//! Looks whether a resource that the API holds has changed.

use aws_lc_rs::digest::{SHA256, digest};
use http::header;

use super::Snapshot;
use crate::call::{self, CallError, Origin, Owner, Request};
use crate::catalog::{Arguments, Operation, Resource, ResourceContent};
use crate::principal::Principal;
use crate::secret::Text;
use crate::upstream::Upstream;

/// What tells one state of a resource from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What the API calls it (RFC 9110, section 8.8.3).
    etag: Option<String>,
    /// The hash of what it holds.
    hash: Vec<u8>,
}

impl<U: Upstream> Snapshot<U> {
    /// Asks the API, on nobody's behalf, whether a resource is still as it was. `None`: it is.
    ///
    /// # Errors
    /// Returns a [`CallError`] when the API can't be reached or refuses.
    pub async fn look(
        &self,
        resource: &Resource,
        variables: &[(String, String)],
        known: Option<&Mark>,
    ) -> Result<Option<Mark>, CallError> {
        let ResourceContent::Endpoint(operation) = &resource.content else { return Ok(None) };
        let nobody = Principal::anonymous();
        let mut request = self.public_request(resource, operation, variables)?;
        if let Some(etag) = known.and_then(|known| known.etag.as_deref()) {
            request.headers.push((header::IF_NONE_MATCH, Text::plain(etag), Origin::Constant));
        }
        let upstream = self.upstream(resource.bridge)?;
        let reply = upstream.send(&request, &nobody).await?;
        match reply.status {
            304 => Ok(None),
            200..300 => {
                let etag = reply.headers.get(header::ETAG).and_then(|etag| etag.to_str().ok());
                let mark = Mark { etag: etag.map(str::to_owned), hash: digest(&SHA256, &reply.body).as_ref().to_vec() };
                Ok(Some(mark).filter(|mark| known.is_none_or(|known| known.hash != mark.hash)))
            }
            _ => Err(CallError::Upstream(self.failure(&reply, upstream, &nobody)?)),
        }
    }

    /// The request for a resource that the API holds, with nobody's identity in it.
    pub(super) fn public_request(
        &self,
        resource: &Resource,
        operation: &Operation,
        variables: &[(String, String)],
    ) -> Result<Request, CallError> {
        let owner = Owner { name: resource.uri.as_str(), bridge: resource.bridge };
        call::prepare(&self.catalog, owner, operation, &Arguments::of_uri(variables), &Principal::anonymous())
    }
}
