//! Tasks (SEP-2663, `io.modelcontextprotocol/tasks`): a call of an `async` tool that goes on after its request was answered, for
//! clients that declare it. A task belongs to who called, and is kept here: for so long, so many, and so much of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmcp::RoleServer;
#[expect(deprecated, reason = "clients of older protocols ask for log messages")]
use rmcp::model::LoggingLevel;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CreateTaskResult, DetailedTask, ErrorData, GetTaskResult, InputRequests,
    InputResponses, JsonObject, ProtocolVersion, Task, TaskPayload, TaskStatus,
};
use rmcp::service::RequestContext;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::ask::{ROUND_TRIPS, THINK, request};
use super::caller::{self, Scope};
use super::shared::{Shared, in_scope};
use crate::call::{self, CallError, Pending};
use crate::catalog::{Answers, Question};
use crate::json_schema::shorten;
use crate::live::Snapshot;
use crate::principal::Principal;
use crate::progress::{self, Step};

/// The most tasks that are kept for one caller, and in all. A call that would be one more is answered in the ordinary way.
const MOST_OF_ONE: usize = 50;
const MOST: usize = 1_000;
/// The most bytes of results that are kept in all.
const MOST_BYTES: usize = 64 << 20;

/// The tasks that are kept.
#[derive(Default)]
pub(super) struct Tasks(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    entries: HashMap<String, Entry>,
    /// How many bytes the results have.
    bytes: usize,
}

/// A task that is kept.
struct Entry {
    owner: Owner,
    task: Task,
    state: State,
    /// How many bytes its result has.
    bytes: usize,
    cancel: CancellationToken,
}

enum State {
    Working,
    /// It waits for answers to these questions.
    Asking(InputRequests, mpsc::UnboundedSender<(String, Value)>),
    Ended(TaskPayload),
}

/// Who called.
#[derive(Clone, PartialEq, Eq)]
struct Owner {
    identity: String,
    /// Whether it can be told from others. Callers without a token can't, so they are not counted.
    is_known: bool,
}

/// A call that may become a task. It travels with the request.
pub(super) struct Ticket {
    tasks: Arc<Tasks>,
    id: String,
    owner: Owner,
    ttl: Duration,
    interval: Duration,
    /// Whether the task asks the tool's questions.
    asks_within: bool,
    cancel: CancellationToken,
    /// Told once: that there is a task, or that the call ended before.
    first: Mutex<Option<oneshot::Sender<First>>>,
}

/// What comes first of a call.
enum First {
    Begun(Task),
    Ended(Box<Result<CallToolResponse, ErrorData>>),
}

/// Calls a tool, as a task once the API has begun a job or the task has something to ask. What ends before is answered at once.
#[expect(deprecated, reason = "clients of older protocols ask for log messages")]
pub(super) async fn run(
    shared: &Arc<Shared>,
    ticket: Ticket,
    request: CallToolRequestParams,
    mut context: RequestContext<RoleServer>,
    level: Option<LoggingLevel>,
) -> Result<CallToolResponse, ErrorData> {
    let ticket = Arc::new(ticket);
    let (sender, first) = oneshot::channel();
    *ticket.first() = Some(sender);
    let client = std::mem::replace(&mut context.ct, ticket.cancel.clone());
    context.extensions.insert(Arc::clone(&ticket));
    let expires = Instant::now() + ticket.ttl;
    let (shared, call) = (Arc::clone(shared), Arc::clone(&ticket));
    tokio::spawn(async move {
        let answered = shared.traced_call(request, &context, level).await;
        // What belongs to the request goes before the task does.
        drop(context);
        let sender = call.first().take();
        if let Some(sender) = sender {
            let _ = sender.send(First::Ended(Box::new(answered)));
            return;
        }
        call.tasks.end(&call.id, answered);
        sleep_until(expires).await;
        call.tasks.forget(&call.id);
    });
    tokio::select! {
        first = first => match first {
            Ok(First::Begun(task)) => Ok(CreateTaskResult::new(task).into()),
            Ok(First::Ended(answered)) => *answered,
            Err(_) => Err(ErrorData::internal_error("the call was lost", None)),
        },
        () = client.cancelled() => {
            ticket.cancel.cancel();
            Err(ErrorData::internal_error("the request was cancelled", None))
        }
    }
}

/// Whose request it is.
fn owner(context: &RequestContext<RoleServer>) -> Owner {
    let who = caller::principal(&context.extensions);
    Owner {
        identity: who.map(Principal::identity).unwrap_or_default(),
        is_known: who.is_some_and(|who| who.token().is_some()),
    }
}

/// Whether a tool in scope can make tasks.
pub(super) fn are_offered(snapshot: &Snapshot, scope: &Scope) -> bool {
    let mut tools = snapshot.catalog.tools.values();
    tools.any(|tool| {
        tool.operation.as_ref().is_some_and(|operation| operation.job.is_some())
            && in_scope(snapshot, tool.bridge, scope)
    })
}

// === impl Ticket ===

impl Ticket {
    /// A ticket for a call that may become a task: the tool is `async`, and the client says with its request that it takes tasks.
    pub(super) fn new(
        shared: &Shared,
        snapshot: &Snapshot,
        tool: &str,
        context: &RequestContext<RoleServer>,
    ) -> Option<Self> {
        let job = snapshot.catalog.tools.get(tool)?.operation.as_ref()?.job.as_ref()?;
        let is_new = |version: ProtocolVersion| version.as_str() >= ROUND_TRIPS;
        let takes = context.protocol_version().is_some_and(is_new)
            && context.client_capabilities().is_some_and(|client| client.supports_tasks());
        let thinking = if job.asks_within { THINK } else { Duration::ZERO };
        takes.then(|| Self {
            tasks: Arc::clone(&shared.tasks),
            id: uuid::Uuid::new_v4().to_string(),
            owner: owner(context),
            ttl: job.deadline + job.keep + thinking,
            interval: job.interval,
            asks_within: job.asks_within,
            cancel: shared.stopping().child_token(),
            first: Mutex::default(),
        })
    }

    /// The ticket that travels with a request.
    pub(super) fn of(context: &RequestContext<RoleServer>) -> Option<&Arc<Self>> {
        context.extensions.get::<Arc<Self>>()
    }

    /// Makes the call a task, if it is none yet. Gives false when there is no room for one.
    fn begin(&self) -> bool {
        let mut first = self.first();
        let Some(sender) = first.take() else { return true };
        let Some(task) = self.tasks.keep(self) else {
            *first = Some(sender);
            return false;
        };
        if sender.send(First::Begun(task)).is_err() {
            // Nobody would ever learn its id.
            self.tasks.forget(&self.id);
            self.cancel.cancel();
        }
        true
    }

    /// Runs a call and keeps its steps with the task.
    pub(super) async fn follow<T>(&self, call: impl Future<Output = T>) -> T {
        let (tell, mut told) = mpsc::unbounded_channel();
        let call = progress::within(tell, call);
        tokio::pin!(call);
        loop {
            tokio::select! {
                biased;
                Some(step) = told.recv() => match step {
                    Step::Waits(words, _) => {
                        self.begin();
                        self.tasks.say(&self.id, words);
                    }
                    Step::Said(words) => self.tasks.say(&self.id, words),
                },
                ended = &mut call => return ended,
            }
        }
    }

    /// Asks by the task. Gives nothing when the questions are to be asked as of any other client.
    ///
    /// # Errors
    /// Returns [`CallError::Declined`] when the user says no, and [`CallError::Upstream`] when nobody answers.
    pub(super) async fn ask(
        &self,
        pending: &[Pending],
        questions: &[Question],
        answers: &mut Answers,
    ) -> Option<Result<(), CallError>> {
        (self.asks_within && self.begin()).then_some(())?;
        Some(self.asked(pending, questions, answers).await)
    }

    async fn asked(&self, pending: &[Pending], questions: &[Question], answers: &mut Answers) -> Result<(), CallError> {
        let mut requests = InputRequests::new();
        for question in pending {
            let unfit = |error| CallError::internal(format!("a question can't be put into words: {error}"));
            requests.insert(question.name.clone(), request(&question.asked).map_err(unfit)?);
        }
        let mut open: BTreeSet<&str> = pending.iter().map(|question| question.name.as_str()).collect();
        let (sender, mut answered) = mpsc::unbounded_channel();
        self.tasks.put(&self.id, State::Asking(requests, sender));
        let end = sleep_until(Instant::now() + THINK);
        tokio::pin!(end);
        while let Some(first) = open.first().copied() {
            let (name, response) = tokio::select! {
                () = self.cancel.cancelled() => return Err(CallError::Upstream("the call was cancelled".to_owned())),
                () = &mut end => return Err(CallError::Declined(first.to_owned())),
                Some(answer) = answered.recv() => answer,
            };
            let Some(question) = questions.iter().find(|question| question.name == name) else { continue };
            let unfit = || format!("the answer to `{name}` does not fit the question; nothing was sent");
            let answer = call::accept(question, &response)?.ok_or_else(|| CallError::Argument(vec![unfit()]))?;
            open.remove(name.as_str());
            answers.0.insert(name, answer);
        }
        self.tasks.put(&self.id, State::Working);
        Ok(())
    }

    fn first(&self) -> MutexGuard<'_, Option<oneshot::Sender<First>>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Tasks ===

impl Tasks {
    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.kept().entries.is_empty()
    }

    /// The state of a task, for its owner.
    ///
    /// # Errors
    /// Returns an error of the protocol when the caller has no such task.
    pub(super) fn get(&self, id: &str, context: &RequestContext<RoleServer>) -> Result<GetTaskResult, ErrorData> {
        let kept = self.kept();
        let entry = kept.entries.get(id).filter(|entry| entry.owner == owner(context)).ok_or_else(|| unknown(id))?;
        let payload = match &entry.state {
            State::Working => TaskPayload::Working,
            State::Asking(requests, _) => TaskPayload::InputRequired { input_requests: requests.clone() },
            State::Ended(payload) => payload.clone(),
        };
        Ok(GetTaskResult::new(DetailedTask::new(entry.task.clone(), payload)))
    }

    /// Takes answers to what a task asks. What it did not ask is left alone.
    ///
    /// # Errors
    /// Returns an error of the protocol when the caller has no such task.
    pub(super) fn update(
        &self,
        id: &str,
        responses: InputResponses,
        context: &RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.of(id, context, |entry| {
            let State::Asking(requests, sender) = &mut entry.state else { return };
            for (name, response) in responses {
                if requests.remove(&name).is_some() {
                    let _ = sender.send((name, response));
                }
            }
            if requests.is_empty() {
                entry.state = State::Working;
            }
            entry.touch();
        })
    }

    /// Cancels a task; one that has ended stays as it is.
    ///
    /// # Errors
    /// Returns an error of the protocol when the caller has no such task.
    pub(super) fn cancel(&self, id: &str, context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
        self.of(id, context, |entry| entry.cancel.cancel())
    }

    fn of(
        &self,
        id: &str,
        context: &RequestContext<RoleServer>,
        change: impl FnOnce(&mut Entry),
    ) -> Result<(), ErrorData> {
        let mut kept = self.kept();
        let entry = kept.entries.get_mut(id).filter(|entry| entry.owner == owner(context));
        change(entry.ok_or_else(|| unknown(id))?);
        Ok(())
    }

    /// Keeps a new task; `None` when there is no room.
    fn keep(&self, ticket: &Ticket) -> Option<Task> {
        let mut kept = self.kept();
        let of_owner = || kept.entries.values().filter(|entry| entry.owner == ticket.owner).count();
        if kept.entries.len() >= MOST || (ticket.owner.is_known && of_owner() >= MOST_OF_ONE) {
            return None;
        }
        let now = now();
        let task = Task::new(&ticket.id, TaskStatus::Working, &now, &now)
            .with_ttl_ms(millis(ticket.ttl))
            .with_poll_interval_ms(millis(ticket.interval));
        let entry = Entry {
            owner: ticket.owner.clone(),
            task: task.clone(),
            state: State::Working,
            bytes: 0,
            cancel: ticket.cancel.clone(),
        };
        kept.entries.insert(ticket.id.clone(), entry);
        Some(task)
    }

    fn say(&self, id: &str, words: String) {
        if let Some(entry) = self.kept().entries.get_mut(id) {
            entry.task.status_message = Some(words);
            entry.touch();
        }
    }

    fn put(&self, id: &str, state: State) {
        if let Some(entry) = self.kept().entries.get_mut(id) {
            entry.state = state;
            entry.touch();
        }
    }

    /// Keeps what came of a task: a tool that failed has a result, too.
    fn end(&self, id: &str, answered: Result<CallToolResponse, ErrorData>) {
        let mut kept = self.kept();
        let room = MOST_BYTES.saturating_sub(kept.bytes);
        let Some(entry) = kept.entries.get_mut(id) else { return };
        let payload = match answered {
            _ if entry.cancel.is_cancelled() => TaskPayload::Cancelled,
            Ok(CallToolResponse::Complete(result)) => TaskPayload::Completed { result: object(&result) },
            Ok(_) => failed(&ErrorData::internal_error("the call has no result", None)),
            Err(error) => failed(&error),
        };
        let bytes = match &payload {
            TaskPayload::Completed { result } => serde_json::to_vec(result).map_or(0, |json| json.len()),
            _ => 0,
        };
        let (payload, bytes) = if bytes > room {
            (failed(&ErrorData::internal_error("there was no room to keep the result; call again later", None)), 0)
        } else {
            (payload, bytes)
        };
        entry.task.status_message = None;
        entry.state = State::Ended(payload);
        entry.bytes = bytes;
        entry.touch();
        kept.bytes += bytes;
    }

    fn forget(&self, id: &str) {
        let mut kept = self.kept();
        if let Some(entry) = kept.entries.remove(id) {
            kept.bytes = kept.bytes.saturating_sub(entry.bytes);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Entry ===

impl Entry {
    fn touch(&mut self) {
        self.task.last_updated_at = now();
    }
}

/// To another caller a task is as if it were not there.
fn unknown(id: &str) -> ErrorData {
    ErrorData::invalid_params(format!("no such task: {}", shorten(id)), None)
}

fn failed(error: &ErrorData) -> TaskPayload {
    TaskPayload::Failed { error: object(error) }
}

fn object(value: &impl Serialize) -> JsonObject {
    match serde_json::to_value(value) {
        Ok(Value::Object(members)) => members,
        _ => JsonObject::new(),
    }
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use rmcp::model::{CallToolResult, ContentBlock};

    use super::*;

    #[test]
    fn results_that_find_no_room_are_not_kept() {
        let tasks = Tasks::default();
        let owner = Owner { identity: String::new(), is_known: false };
        let entry = |id: &str| Entry {
            owner: owner.clone(),
            task: Task::new(id, TaskStatus::Working, now(), now()),
            state: State::Working,
            bytes: 0,
            cancel: CancellationToken::new(),
        };
        tasks.kept().entries.extend(["one", "two"].map(|id| (id.to_owned(), entry(id))));
        tasks.kept().bytes = MOST_BYTES - 1_000;
        let result = || Ok(CallToolResult::success(vec![ContentBlock::text("x".repeat(600))]).into());
        let has_failed = |id: &str| matches!(tasks.kept().entries[id].state, State::Ended(TaskPayload::Failed { .. }));
        tasks.end("one", result());
        tasks.end("two", result());
        assert!(!has_failed("one") && has_failed("two"));
        tasks.forget("two");
        tasks.forget("one");
        assert_eq!(tasks.kept().bytes, MOST_BYTES - 1_000);
    }
}
