//! Asks what a call needs to know first. Since 2026-07-28 the question is the answer to the request, and the client comes
//! back with what the user said and with a sealed note of ours (SEP-2322); before that the session asks (`elicitation/create`).

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use moka::sync::Cache;
use rmcp::RoleServer;
use rmcp::model::{
    ClientCapabilities, ElicitRequestParams, ErrorData, InputRequest, InputRequests, InputRequiredResult,
    InputResponses, ProtocolVersion, RequestStateCodec, SealOptions, TASKS_EXTENSION_ID,
};
#[expect(deprecated, reason = "the older protocols have sampling, and their requirements ask for it")]
use rmcp::model::{CreateMessageRequestParams, SamplingMessage};
use rmcp::service::RequestContext;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use super::tasks::Ticket;
use crate::call::{self, Asked, CallError, Pending};
use crate::catalog::{Answers, Capability, Question};
use crate::upstream::SharedStore;

/// How long a user may think about a question.
pub(super) const THINK: Duration = Duration::from_mins(10);
/// How many used notes are remembered; each for as long as it could be used again.
const REMEMBERED: u64 = 100_000;
/// The longest text that is asked for from a client's model, in tokens.
const MAX_TOKENS: u32 = 1_000;
/// The first version in which a server answers a request with a question.
pub(super) const ROUND_TRIPS: &str = "2026-07-28";

/// Seals what was answered so far, so that it can travel by way of the client.
pub(super) struct Seal {
    /// With a key of this process.
    own: RequestStateCodec,
    /// With the key of all replicas, once it is known.
    common: OnceCell<RequestStateCodec>,
    shared: Option<Arc<SharedStore>>,
    /// What was used up: a note stands for one call.
    used: Cache<String, ()>,
}

/// What a request is about: nothing that was answered about another counts for it.
pub(super) struct About<'a> {
    /// `tools/call` or `prompts/get`.
    pub(super) method: &'static str,
    /// The tool or prompt.
    pub(super) name: &'a str,
    /// The hash of its definition.
    pub(super) definition: &'a str,
    /// What was passed.
    pub(super) arguments: &'a Map<String, Value>,
    /// Who calls.
    pub(super) caller: String,
}

/// What travels.
#[derive(Serialize, Deserialize)]
struct Note {
    /// Makes it one of a kind.
    id: String,
    answers: Map<String, Value>,
}

/// What a client said along with its request.
#[derive(Default)]
pub(super) struct Said {
    responses: Option<InputResponses>,
    state: Option<String>,
}

/// Why a request gets another answer than it asked for.
pub(super) enum Stop {
    /// The client has to ask this first.
    Ask(Box<InputRequiredResult>, Vec<Pending>),
    /// In the words of the protocol, and in ours.
    Refuse(Box<ErrorData>, CallError),
    /// In words for the model.
    Failed(CallError),
}

/// Asks what one request needs to know, in as many rounds as that takes.
pub(super) struct Interview<'a> {
    seal: &'a Seal,
    questions: &'a [Question],
    about: About<'a>,
    client: Client,
    context: &'a RequestContext<RoleServer>,
    /// What is known.
    pub(super) answers: Answers,
    /// What it was taken from.
    note: Option<String>,
}

/// How a client can be asked.
struct Client {
    capabilities: ClientCapabilities,
    /// Whether the question is the answer to the request.
    takes_round_trips: bool,
}

// === impl Seal ===

impl Seal {
    /// With a key of this process, and with one of all replicas where they share something.
    pub(super) fn new(shared: Option<Arc<SharedStore>>) -> Self {
        let used = Cache::builder().max_capacity(REMEMBERED).time_to_live(THINK).build();
        Self { own: RequestStateCodec::new_unchecked(random()), common: OnceCell::new(), shared, used }
    }

    /// What all replicas seal with; `None` where nothing is shared, or it can't be asked for now.
    async fn common(&self) -> Option<&RequestStateCodec> {
        let shared = self.shared.as_ref()?;
        let asked = self.common.get_or_try_init(|| async {
            let key = shared.agree("tollbridge:seal", &random()).await.ok_or(())?;
            RequestStateCodec::try_new(key).map_err(drop)
        });
        asked.await.ok()
    }

    async fn open(&self, state: &str, about: &About<'_>) -> Option<Note> {
        let about = about.digest();
        let common = self.common().await.and_then(|codec| codec.open_json_with(state, &about).ok());
        common.or_else(|| self.own.open_json_with(state, &about).ok())
    }

    /// Uses a note up. Gives false when somebody else did so before.
    async fn use_up(&self, note: &str) -> bool {
        if !self.used.entry(note.to_owned()).or_insert(()).is_fresh() {
            return false;
        }
        match &self.shared {
            Some(shared) => shared.is_first(&format!("tollbridge:used:{note}"), THINK).await.unwrap_or(true),
            None => true,
        }
    }

    /// The questions as the answer to a request.
    async fn ask(
        &self,
        pending: &[Pending],
        answers: &Answers,
        about: &About<'_>,
    ) -> Result<InputRequiredResult, CallError> {
        let unfit = |error| CallError::internal(format!("a question can't be put into words: {error}"));
        let mut requests = InputRequests::new();
        for question in pending {
            requests.insert(question.name.clone(), request(&question.asked).map_err(unfit)?);
        }
        let note = Note { id: uuid::Uuid::new_v4().to_string(), answers: answers.0.clone() };
        let digest = about.digest();
        let codec = self.common().await.unwrap_or(&self.own);
        let sealed = codec.seal_json_with(&note, &SealOptions::new().associated_data(&digest).ttl(THINK));
        let sealed =
            sealed.map_err(|error| CallError::internal(format!("what was answered can't be kept: {error}")))?;
        Ok(InputRequiredResult::new(Some(requests), Some(sealed)))
    }
}

// === impl About ===

impl About<'_> {
    fn digest(&self) -> Vec<u8> {
        let Self { method, name, definition, arguments, caller } = self;
        let whole = json!([method, name, definition, arguments, caller]).to_string();
        digest(&SHA256, whole.as_bytes()).as_ref().to_vec()
    }
}

// === impl Said ===

impl Said {
    pub(super) fn new(responses: Option<InputResponses>, state: Option<String>) -> Self {
        Self { responses, state }
    }
}

// === impl Interview ===

impl<'a> Interview<'a> {
    /// Takes what the client brings along: what was answered before, and what it answers now.
    ///
    /// # Errors
    /// Stops when that is none of ours, or when the user said no.
    pub(super) async fn begin(
        seal: &'a Seal,
        questions: &'a [Question],
        about: About<'a>,
        said: &Said,
        context: &'a RequestContext<RoleServer>,
    ) -> Result<Self, Stop> {
        let client = Client::of(context);
        let mut this = Self { seal, questions, about, client, context, answers: Answers::default(), note: None };
        if questions.is_empty() {
            return Ok(this);
        }
        if let Some(state) = &said.state {
            let Some(Note { id, answers }) = seal.open(state, &this.about).await else {
                let words = "requestState is not valid here, or not any more; call again without it";
                let why = CallError::Argument(vec![words.to_owned()]);
                return Err(Stop::Refuse(Box::new(ErrorData::invalid_params(words, None)), why));
            };
            this.answers = Answers(answers);
            this.note = Some(id);
        }
        // Consent is consent to what we have shown; what is mere data may come unasked.
        let counts = |question: &&Question| said.state.is_some() || !question.is_consent();
        for question in
            questions.iter().filter(|question| !this.answers.has(question)).filter(counts).collect::<Vec<_>>()
        {
            let response = said.responses.as_ref().and_then(|responses| responses.get(&question.name));
            let answer = response.map(|response| call::accept(question, response)).transpose();
            if let Some(answer) = answer.map_err(Stop::Failed)?.flatten() {
                this.answers.0.insert(question.name.clone(), answer);
            }
        }
        Ok(this)
    }

    /// Whether the client can do all of this.
    ///
    /// # Errors
    /// Stops when it can't.
    pub(super) fn require(&self, wanted: &[Capability]) -> Result<(), Stop> {
        let lacking: Vec<Capability> = wanted.iter().copied().filter(|wanted| !self.client.can(*wanted)).collect();
        if lacking.is_empty() { Ok(()) } else { Err(self.incapable(lacking)) }
    }

    /// Asks; there are answers to all of it when this returns.
    ///
    /// # Errors
    /// Stops when the client has to ask, can't ask, or when the user says no.
    pub(super) async fn ask(&mut self, pending: Vec<Pending>) -> Result<(), Stop> {
        let pending = match self.client.askable(pending, &mut self.answers) {
            Ok(pending) => pending,
            Err(lacking) => return Err(self.incapable(lacking)),
        };
        if pending.is_empty() {
            return Ok(());
        }
        if let Some(ticket) = Ticket::of(self.context)
            && let Some(asked) = ticket.ask(&pending, self.questions, &mut self.answers).await
        {
            return asked.map_err(Stop::Failed);
        }
        if self.client.takes_round_trips {
            let asked = self.seal.ask(&pending, &self.answers, &self.about).await.map_err(Stop::Failed)?;
            return Err(Stop::Ask(Box::new(asked), pending));
        }
        within_session(self.context, &pending, self.questions, &mut self.answers).await.map_err(Stop::Failed)
    }

    /// Whether the answers may be used, which is once. If not, there are none any more.
    pub(super) async fn may_go_on(&mut self) -> bool {
        let is_fresh = match self.note.take() {
            Some(note) => self.seal.use_up(&note).await,
            None => true,
        };
        if !is_fresh {
            self.answers = Answers::default();
        }
        is_fresh
    }

    fn incapable(&self, lacking: Vec<Capability>) -> Stop {
        match self.client.refuse(&lacking) {
            Some(refusal) => Stop::Refuse(Box::new(refusal), CallError::Incapable(lacking)),
            None => Stop::Failed(CallError::Incapable(lacking)),
        }
    }
}

// === impl Client ===

impl Client {
    fn of(context: &RequestContext<RoleServer>) -> Self {
        let version = context.protocol_version();
        let is_new = |version: ProtocolVersion| version.as_str() >= ROUND_TRIPS;
        Self {
            capabilities: context.client_capabilities().unwrap_or_default(),
            takes_round_trips: version.is_some_and(is_new),
        }
    }

    fn can(&self, capability: Capability) -> bool {
        let elicitation = self.capabilities.elicitation.as_ref();
        match capability {
            // A client that only says `elicitation: {}` means forms.
            Capability::Form => elicitation.is_some_and(|it| it.form.is_some() || it.url.is_none()),
            Capability::Page => elicitation.is_some_and(|it| it.url.is_some()),
            Capability::Sampling => self.capabilities.sampling.is_some(),
            Capability::Roots => self.capabilities.roots.is_some(),
            // Of older protocols no result says that it comes later.
            Capability::Tasks => self.takes_round_trips && self.capabilities.supports_tasks(),
        }
    }

    /// Leaves out what this client can't be asked, if it may be left out.
    ///
    /// # Errors
    /// Returns what the client lacks when it may not.
    fn askable(&self, pending: Vec<Pending>, answers: &mut Answers) -> Result<Vec<Pending>, Vec<Capability>> {
        let (can, cannot): (Vec<Pending>, Vec<Pending>) =
            pending.into_iter().partition(|question| self.can(question.needs()));
        let mut lacking: Vec<Capability> =
            cannot.iter().filter(|question| question.required).map(Pending::needs).collect();
        lacking.sort_unstable();
        lacking.dedup();
        if !lacking.is_empty() {
            return Err(lacking);
        }
        answers.0.extend(cannot.into_iter().map(|question| (question.name, Value::Null)));
        Ok(can)
    }

    /// How a client is told that it lacks something: in a way of its own since 2026-07-28.
    fn refuse(&self, lacking: &[Capability]) -> Option<ErrorData> {
        if !self.takes_round_trips {
            return None;
        }
        let (mut required, mut ways) = (Map::new(), Map::new());
        for capability in lacking {
            match capability {
                Capability::Form => ways.insert("form".to_owned(), json!({})),
                Capability::Page => ways.insert("url".to_owned(), json!({})),
                Capability::Sampling => required.insert("sampling".to_owned(), json!({})),
                Capability::Roots => required.insert("roots".to_owned(), json!({})),
                Capability::Tasks => required.insert("extensions".to_owned(), json!({ TASKS_EXTENSION_ID: {} })),
            };
        }
        if !ways.is_empty() {
            required.insert("elicitation".to_owned(), ways.into());
        }
        let required = Value::Object(required);
        let required = serde_json::from_value(required).unwrap_or_default();
        Some(ErrorData::missing_required_client_capability(required))
    }
}

/// 32 bytes that nobody knows. Where the system gives none, the process can't do TLS either.
fn random() -> Vec<u8> {
    let mut bytes = vec![0; 32];
    // Two random UUIDs are what is left then; they come from the same place.
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        bytes = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(uuid::Uuid::into_bytes).concat();
    }
    bytes
}

/// Asks within a session, one question after the other, until each has an answer.
///
/// # Errors
/// Returns [`CallError::Declined`] when the user says no, and [`CallError::Upstream`] when the client fails to ask.
async fn within_session(
    context: &RequestContext<RoleServer>,
    pending: &[Pending],
    questions: &[Question],
    answers: &mut Answers,
) -> Result<(), CallError> {
    for asked in pending {
        let Some(question) = questions.iter().find(|question| question.name == asked.name) else { continue };
        let asking = put(context, &asked.asked);
        let response = tokio::select! {
            () = context.ct.cancelled() => return Err(CallError::Upstream("the call was cancelled".to_owned())),
            ended = tokio::time::timeout(THINK, asking) => match ended {
                Ok(Ok(response)) => response,
                Ok(Err(())) => return Err(CallError::Upstream(format!("The client could not ask `{}`. Nothing was sent", asked.name))),
                Err(_) => return Err(CallError::Declined(asked.name.clone())),
            },
        };
        let answer = call::accept(question, &response)?.ok_or_else(|| {
            CallError::Argument(vec![format!(
                "the answer to `{}` does not fit the question; nothing was sent",
                asked.name
            )])
        })?;
        answers.0.insert(asked.name.clone(), answer);
    }
    Ok(())
}

/// One question by way of a session; gives what the client answers.
#[expect(deprecated, reason = "the older protocols have sampling and roots, and their requirements ask for them")]
async fn put(context: &RequestContext<RoleServer>, asked: &Asked) -> Result<Value, ()> {
    let peer = &context.peer;
    let lost = |error: rmcp::service::ServiceError| tracing::debug!(%error, "A question was lost.");
    let told = match asked {
        Asked::Form { .. } | Asked::Page { .. } => {
            let params: ElicitRequestParams = serde_json::from_value(elicitation(asked)).map_err(drop)?;
            serde_json::to_value(peer.create_elicitation(params).await.map_err(lost)?)
        }
        Asked::Sample(prompt) => {
            let message = vec![SamplingMessage::user_text(prompt.clone())];
            let params = CreateMessageRequestParams::new(message, MAX_TOKENS);
            serde_json::to_value(peer.create_message(params).await.map_err(lost)?)
        }
        Asked::Roots => serde_json::to_value(peer.list_roots().await.map_err(lost)?),
    };
    told.map_err(drop)
}

fn elicitation(asked: &Asked) -> Value {
    match asked {
        Asked::Form { message, schema } => json!({ "mode": "form", "message": message, "requestedSchema": schema }),
        Asked::Page { message, url } => {
            json!({ "mode": "url", "message": message, "url": url, "elicitationId": uuid::Uuid::new_v4().to_string() })
        }
        Asked::Sample(_) | Asked::Roots => Value::Null,
    }
}

/// A question as the protocol puts it.
pub(super) fn request(asked: &Asked) -> Result<InputRequest, serde_json::Error> {
    serde_json::from_value(match asked {
        Asked::Form { .. } | Asked::Page { .. } => {
            json!({ "method": "elicitation/create", "params": elicitation(asked) })
        }
        Asked::Sample(prompt) => {
            let messages = json!([{ "role": "user", "content": { "type": "text", "text": prompt } }]);
            json!({ "method": "sampling/createMessage", "params": { "messages": messages, "maxTokens": MAX_TOKENS } })
        }
        Asked::Roots => json!({ "method": "roots/list", "params": {} }),
    })
}
