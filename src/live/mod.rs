//! What is running, and how it is replaced: one immutable snapshot, swapped with one pointer write.

mod activate;
#[cfg(test)]
#[path = "forged.rs"]
mod forged;
mod history;
mod look;
mod reload;
mod suggest;
mod watch;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use serde_json::{Map, Value};
use tokio::sync::watch as channel;

use crate::call::{self, CallError, Plan, Request};
use crate::catalog::{
    Answers, Bridge, Catalog, Complete, Operation, Prompt, Rendered, Resource, ResourceContent, Role, Tool,
    UpstreamDef, VariableUse,
};
use crate::config::Revision;
use crate::config::variable::Source;
use crate::diag::Findings;
use crate::json_schema::shorten;
use crate::metrics::Metrics;
use crate::principal::Principal;
use crate::progress;
use crate::quantity::show_duration;
use crate::secret::Secrets;
use crate::shape::{Content, Embedded, Hidden, Outcome, PartError, Reply};
use crate::template::Scope;
use crate::upstream::{Canned, HttpUpstream, Key, RateGate, Recorder, ReplyCache, Upstream, jobs, pages};

use history::History;
pub use history::{Event, Standing};
pub use look::Mark;
pub use reload::{Breaking, Loader, ReloadOutcome, ReloadRules, RollbackError};
pub use suggest::Subject;
pub use watch::{WatchError, Watcher};

/// A catalogue with its secrets and clients: everything that a call needs from start to end.
pub struct Snapshot<U = HttpUpstream> {
    /// What the files mean.
    pub catalog: Arc<Catalog>,
    secrets: Arc<Secrets>,
    /// One for each bridge of the catalogue.
    upstreams: Vec<Option<Arc<U>>>,
    /// What counts the calls of tools with a `rate_limit`, by their names.
    gates: HashMap<String, Arc<RateGate>>,
    /// The answers of tools with a `cache`, by their names.
    caches: HashMap<String, ReplyCache>,
    /// The answers that suggestions are taken from.
    suggested: HashMap<String, ReplyCache>,
    metrics: Arc<Metrics>,
}

/// The running snapshot. Load it once per call and pass it down.
pub struct Live {
    current: ArcSwap<Snapshot>,
    loader: Loader,
    revision: channel::Sender<Revision>,
    /// Counts the events of the history.
    news: channel::Sender<u64>,
    history: Mutex<History>,
    /// Whoever holds it may replace the snapshot.
    turn: Mutex<()>,
}

/// What a resource holds, as a client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceBody {
    /// Text, JSON included, or bytes.
    pub content: Embedded,
    /// The media type.
    pub mime_type: Option<String>,
}

// === impl Snapshot ===

impl Snapshot {
    /// The bridges with an API, each with its definition and the API itself.
    pub fn apis(&self) -> impl Iterator<Item = (&Bridge, &UpstreamDef, &HttpUpstream)> {
        let both = self.catalog.bridges.iter().zip(&self.upstreams);
        both.filter_map(|(bridge, api)| Some((bridge, bridge.upstream.as_ref()?, api.as_deref()?)))
    }

    /// The files that `${file:…}` names.
    #[must_use]
    pub fn secret_files(&self) -> Vec<PathBuf> {
        let file = |used: &VariableUse| match &used.variable.source {
            Source::File(path) => Some(used.directory.join(path)),
            Source::Environment(_) => None,
        };
        self.catalog.variables.iter().filter_map(file).collect()
    }

    /// The same, with what is asked of APIs and answered kept; no call is counted, and no answer comes from a cache.
    #[must_use]
    pub fn recording(&self) -> Snapshot<Recorder> {
        let api = |api: &Option<Arc<HttpUpstream>>| Some(Arc::new(Recorder::new(Arc::clone(api.as_ref()?))));
        Snapshot {
            catalog: Arc::clone(&self.catalog),
            secrets: Arc::clone(&self.secrets),
            upstreams: self.upstreams.iter().map(api).collect(),
            gates: HashMap::new(),
            caches: HashMap::new(),
            suggested: HashMap::new(),
            metrics: Arc::clone(&self.metrics),
        }
    }

    /// Whether another snapshot has the same definitions and the same secrets.
    fn is_same(&self, other: &Self) -> bool {
        self.catalog.revision == other.catalog.revision && self.secrets.values().eq(other.secrets.values())
    }
}

impl Snapshot<Canned> {
    /// A snapshot that asks no API: each bridge gets the answers that are made up for it. `${…}` are filled with their own
    /// names, nothing is counted and nothing is kept.
    #[must_use]
    pub fn rehearsal(catalog: Arc<Catalog>, upstreams: Vec<Option<Arc<Canned>>>) -> Self {
        let names = catalog.variables.iter().map(|used| used.variable.shown().into());
        let secrets = Arc::new(Secrets::new(names.collect()));
        let (gates, caches, suggested) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { catalog, secrets, upstreams, gates, caches, suggested, metrics: Metrics::unread() }
    }
}

impl<U: Upstream> Snapshot<U> {
    /// The API of a bridge, if it has one.
    #[must_use]
    pub fn api(&self, bridge: usize) -> Option<&U> {
        self.upstreams.get(bridge)?.as_deref()
    }

    /// Runs one call: prepare, send, shape.
    ///
    /// # Errors
    /// Returns a [`CallError`] that says who is to blame; nothing was sent unless it blames the API.
    pub async fn call(
        &self,
        tool: &Tool,
        arguments: Map<String, Value>,
        answers: &Answers,
        who: &Principal,
    ) -> Result<Outcome, CallError> {
        let Plan { bridge, arguments, request } = call::plan(&self.catalog, tool, arguments, answers, who)?;
        let values = || call::prepare::values(bridge, &arguments, who);
        let failed = |error| call::prepare::template_failure("`response`", &error);
        self.admit(tool, who).await?;
        let Some((operation, request)) = request else {
            return tool.shape.answer(&self.catalog.templates, &values).map_err(failed);
        };
        let upstream = self.upstream(tool.bridge)?;
        let ended = match &operation.job {
            None => jobs::Ended::Answer(self.reply(tool, operation, upstream, &request, who).await?),
            Some(job) => jobs::run(upstream, &request, job, who).await?,
        };
        let outcome = match ended {
            jobs::Ended::Answer(reply) => tool.shape.apply(&reply, &self.catalog.templates, &values).map_err(failed)?,
            jobs::Ended::Failed(reply) => tool.shape.failed(&reply),
        };
        Ok(scrub_error(outcome, upstream, who))
    }

    /// The API's answer to a request, or the one that is kept for it.
    async fn reply(
        &self,
        tool: &Tool,
        operation: &Operation,
        upstream: &U,
        request: &Request,
        who: &Principal,
    ) -> Result<Reply, CallError> {
        let cache =
            operation.cache.and_then(|_| self.caches.get(&tool.name)).map(|cache| (cache, Key::new(request, who)));
        if let Some((cache, key)) = &cache {
            let kept = cache.get(key);
            self.metrics.looked_up(&tool.name, kept.is_some());
            if let Some(kept) = kept {
                return Ok(kept);
            }
        }
        progress::tell(|| "The API is asked".to_owned());
        let reply = match &operation.pages {
            None => upstream.send(request, who).await?,
            Some(pages) => pages::all(upstream, request, pages, who).await?,
        };
        progress::tell(|| "The API has answered".to_owned());
        if let Some((cache, key)) = cache {
            cache.keep(key, &reply);
        }
        Ok(reply)
    }

    /// Counts a call of a tool that may be called only so often.
    async fn admit(&self, tool: &Tool, who: &Principal) -> Result<(), CallError> {
        let Some(gate) = tool.rate_limit.as_ref().and_then(|_| self.gates.get(&tool.name)) else { return Ok(()) };
        gate.admit(who).await.map_err(|wait| {
            self.metrics.limited(&tool.name);
            let wait = show_duration(Duration::from_secs(wait.as_secs().saturating_add(1)));
            CallError::Limited(format!("Rate limit: {} was called too often; try again in {wait}", tool.name))
        })
    }

    fn upstream(&self, bridge: usize) -> Result<&U, CallError> {
        self.upstreams
            .get(bridge)
            .and_then(Option::as_ref)
            .map(Arc::as_ref)
            .ok_or_else(|| CallError::internal("the tool's upstream is missing"))
    }

    /// Gives the content of a resource for the values of its URI's variables.
    ///
    /// # Errors
    /// Returns a [`CallError`]: the API can't be reached or refuses, or a template of the resource fails.
    pub async fn read(&self, resource: &Resource, variables: &[(String, String)]) -> Result<ResourceBody, CallError> {
        let scope: Map<String, Value> =
            variables.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        let render = |data: &crate::catalog::Data| {
            data.render(&self.catalog.templates, &Scope::new(&scope))
                .map(|value| value.unwrap_or(Rendered::Value(Value::Null)).fill(&self.secrets))
                .map_err(|error| call::prepare::template_failure("the resource", &error))
        };
        let of_type = |content| ResourceBody { content, mime_type: resource.mime_type.clone() };
        Ok(of_type(match &resource.content {
            ResourceContent::Fixed(text) => Embedded::Text(text.clone()),
            ResourceContent::Blob(bytes) => Embedded::Blob(bytes.clone()),
            ResourceContent::Json(data) => Embedded::Text(render(data)?.to_string()),
            ResourceContent::Text(data) => Embedded::Text(match render(data)? {
                Value::String(text) => text,
                other => other.to_string(),
            }),
            ResourceContent::Endpoint(operation) => return self.fetch(resource, operation, variables).await,
        }))
    }

    /// A resource that is the answer of the API: the same for everyone, so nobody's identity goes with it.
    async fn fetch(
        &self,
        resource: &Resource,
        operation: &Operation,
        variables: &[(String, String)],
    ) -> Result<ResourceBody, CallError> {
        let nobody = Principal::anonymous();
        let request = self.public_request(resource, operation, variables)?;
        let upstream = self.upstream(resource.bridge)?;
        let reply = upstream.send(&request, &nobody).await?;
        if !(200..300).contains(&reply.status) {
            let words = self.failure(&reply, upstream, &nobody)?;
            return Err(if reply.status == 404 {
                CallError::Argument(vec![words])
            } else {
                CallError::Upstream(words)
            });
        }
        let said = Some(reply.media_type()).filter(|media_type| !media_type.is_empty());
        let mime_type = resource.mime_type.clone().or(said);
        let content = match String::from_utf8(reply.body.to_vec()) {
            Ok(mut text) => {
                Hidden::default().text(&mut text);
                Embedded::Text(text)
            }
            Err(_) => Embedded::Blob(reply.body),
        };
        Ok(ResourceBody { content, mime_type })
    }

    /// Makes the messages of a prompt.
    ///
    /// # Errors
    /// Returns [`CallError::Argument`] for arguments that are missing or unknown, [`CallError::Unanswered`] when questions
    /// come first, and [`CallError::Internal`] when a template fails.
    pub fn prompt(
        &self,
        prompt: &Prompt,
        arguments: &Map<String, Value>,
        answers: &Answers,
    ) -> Result<Vec<(Role, Content)>, CallError> {
        let mut errors = Vec::new();
        for name in arguments.keys().filter(|name| !prompt.arguments.iter().any(|known| known.name == **name)) {
            errors.push(format!("unexpected argument `{}`", shorten(name)));
        }
        for argument in &prompt.arguments {
            match arguments.get(&argument.name) {
                None if argument.required => errors.push(format!("missing argument `{}`", argument.name)),
                Some(Value::String(given)) => {
                    if let Complete::Only(only) = &argument.complete
                        && !only.contains(given)
                    {
                        let known = crate::diag::listed(only.iter().map(String::as_str), "or");
                        errors.push(format!("argument `{}` is none of {known}", argument.name));
                    }
                }
                Some(_) => errors.push(format!("argument `{}` is not a string", argument.name)),
                _ => {}
            }
        }
        if !errors.is_empty() {
            return Err(CallError::Argument(errors));
        }
        let values = || {
            let mut values = arguments.clone();
            values.insert("answers".to_owned(), answers.known().into());
            values
        };
        let unanswered = call::pending(&self.catalog.templates, &prompt.questions, &values, answers)?;
        if !unanswered.is_empty() {
            return Err(CallError::Unanswered(unanswered));
        }
        let scope = Scope::new(&values());
        let mut messages = Vec::with_capacity(prompt.messages.len());
        for (role, part) in &prompt.messages {
            let content = part.render(&self.catalog.templates, &scope).map_err(|error| match error {
                PartError::Template(error) => call::prepare::template_failure("the prompt", &error),
                PartError::Unfit(_) => CallError::Argument(vec!["an argument is not base64".to_owned()]),
            })?;
            messages.extend(content.map(|content| (*role, content)));
        }
        Ok(messages)
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
        let history = Mutex::new(History::new(&snapshot));
        loader.metrics.starts(SystemTime::now());
        let news = channel::Sender::new(0);
        let live =
            Self { current: ArcSwap::from_pointee(snapshot), loader, revision, news, history, turn: Mutex::new(()) };
        Ok((live, findings))
    }

    /// Tells when another revision runs.
    #[must_use]
    pub fn revisions(&self) -> channel::Receiver<Revision> {
        self.revision.subscribe()
    }

    /// Tells when something became of a reload.
    #[must_use]
    pub fn news(&self) -> channel::Receiver<u64> {
        self.news.subscribe()
    }

    /// The running snapshot. A call keeps what it got from start to end.
    #[must_use]
    pub fn load(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }
}
