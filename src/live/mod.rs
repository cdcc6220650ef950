//! What is running, and how it is replaced: one immutable snapshot, swapped with one pointer write.

mod activate;
mod reload;
mod watch;

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::sync::watch as channel;

use crate::call::{self, CallError};
use crate::catalog::{Catalog, Rendered, Resource, ResourceContent, Tool};
use crate::config::Revision;
use crate::diag::Findings;
use crate::principal::Principal;
use crate::secret::Secrets;
use crate::shape::{Content, Outcome};
use crate::template::Scope;
use crate::upstream::{HttpUpstream, Upstream};

pub use reload::{Loader, ReloadOutcome};
pub use watch::{WatchError, Watcher};

/// A catalogue with its secrets and clients: everything that a call needs from start to end.
pub struct Snapshot {
    /// What the files mean.
    pub catalog: Catalog,
    secrets: Arc<Secrets>,
    /// One for each bridge of the catalogue.
    upstreams: Vec<Option<Arc<HttpUpstream>>>,
}

/// The running snapshot. Load it once per call and pass it down.
pub struct Live {
    current: ArcSwap<Snapshot>,
    loader: Loader,
    revision: channel::Sender<Revision>,
}

/// What a resource holds, as a client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceBody {
    /// Text, JSON included.
    Text(String),
    /// Bytes.
    Blob(Bytes),
}

// === impl Snapshot ===

impl Snapshot {
    /// Runs one call: prepare, send, shape.
    ///
    /// # Errors
    /// Returns a [`CallError`] that says who is to blame; nothing was sent unless it blames the API.
    pub async fn call(
        &self,
        tool: &Tool,
        arguments: Map<String, Value>,
        who: &Principal,
    ) -> Result<Outcome, CallError> {
        let arguments = tool.input.accept(arguments).map_err(|errors| CallError::arguments(&errors))?;
        let bridge = self
            .catalog
            .bridge(tool.bridge)
            .ok_or_else(|| CallError::internal(&tool.name, "the tool's bridge is missing"))?;
        for claim in &tool.shape_claims {
            call::prepare::required_claim(bridge, claim, who)?;
        }
        let values = || call::prepare::values(bridge, &arguments, who);
        let failed = |error| call::prepare::template_failure(&tool.name, &error);
        let Some(operation) = &tool.operation else {
            return tool.shape.answer(&self.catalog.templates, &values).map_err(failed);
        };
        let upstream = self
            .upstreams
            .get(tool.bridge)
            .and_then(Option::as_ref)
            .ok_or_else(|| CallError::internal(&tool.name, "the tool's upstream is missing"))?;
        let request = call::prepare(&self.catalog, tool, operation, &arguments, who)?;
        let reply = upstream.send(&request, who).await?;
        let outcome = tool.shape.apply(&reply, &self.catalog.templates, &values).map_err(failed)?;
        Ok(scrub_error(outcome, upstream.as_ref(), who))
    }

    /// Gives the content of a resource for the values of its URI's variables.
    ///
    /// # Errors
    /// Returns [`CallError::Internal`] when a template of the resource fails.
    pub fn read(&self, resource: &Resource, variables: &[(String, String)]) -> Result<ResourceBody, CallError> {
        let scope: Map<String, Value> =
            variables.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        let render = |data: &crate::catalog::Data| {
            data.render(&self.catalog.templates, &Scope::new(&scope))
                .map(|value| value.unwrap_or(Rendered::Value(Value::Null)).fill(&self.secrets))
                .map_err(|error| call::prepare::template_failure(resource.uri.as_str(), &error))
        };
        Ok(match &resource.content {
            ResourceContent::Fixed(text) => ResourceBody::Text(text.clone()),
            ResourceContent::Blob(bytes) => ResourceBody::Blob(bytes.clone()),
            ResourceContent::Json(data) => ResourceBody::Text(render(data)?.to_string()),
            ResourceContent::Text(data) => ResourceBody::Text(match render(data)? {
                Value::String(text) => text,
                other => other.to_string(),
            }),
        })
    }
}

/// What an API says when it fails is passed on; what it must not say is taken out.
fn scrub_error(mut outcome: Outcome, upstream: &dyn Upstream, who: &Principal) -> Outcome {
    if outcome.is_error {
        for content in &mut outcome.content {
            if let Content::Text(text) = content {
                *text = upstream.scrub(text, who);
            }
        }
    }
    outcome
}

// === impl Live ===

impl Live {
    /// Loads the first snapshot.
    ///
    /// # Errors
    /// Returns the findings when the configuration can't be served.
    pub fn start(loader: Loader) -> Result<(Self, Findings), Findings> {
        let (snapshot, findings) = loader.load(None)?;
        let (revision, _) = channel::channel(snapshot.catalog.revision.clone());
        let live = Self { current: ArcSwap::from_pointee(snapshot), loader, revision };
        Ok((live, findings))
    }

    /// The running snapshot. A call keeps what it got from start to end.
    #[must_use]
    pub fn load(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }
}
