//! What is written as a config test: inline under `tests:` of a bridge file, or in a `*.test.yaml` beside it.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::bridge::OneOrMany;

/// A file of config tests.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[schemars(title = "tollbridge test file")]
pub struct TestFileSpec {
    /// The tests.
    /// Example: `[{ name: asks for the caller, tool: get_schedule, caller: { gpid: "12345" }, expect: { request: GET
    /// /schedules?gpid=12345 } }]`
    pub tests: Vec<CaseSpec>,
}

/// A test: one call, what the API answers, and what is expected of both.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct CaseSpec {
    /// What is tested, in a few words; unique for its bridge.
    /// Example: `asks only for the caller`
    pub name: String,
    /// What is called and expected.
    #[serde(flatten)]
    pub step: StepSpec,
    /// The same test several times: what a case says replaces what the test says, and `arguments` and `caller` are added
    /// to those of the test.
    /// Example: `[{ name: one day, arguments: { days: 1 } }, { name: no day, arguments: { days: 0 }, expect: { error: less
    /// than the minimum } }]`
    #[serde(default)]
    pub cases: Vec<RowSpec>,
}

/// A case of a test that is run several times.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct RowSpec {
    /// What is special about it. Default: its number.
    /// Example: `one day`
    pub name: Option<String>,
    /// What is called and expected.
    #[serde(flatten)]
    pub step: StepSpec,
}

/// What a test calls and expects.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StepSpec {
    /// The tool that is called.
    /// Example: `get_employee_schedule`
    pub tool: Option<String>,
    /// The URI of the resource that is read.
    /// Example: `config://app/settings`
    pub resource: Option<String>,
    /// The prompt that is asked for.
    /// Example: `plan_vacation`
    pub prompt: Option<String>,
    /// The claims of the caller's token; `none` for a caller without a token. Default: a token that says nothing.
    /// Example: `{ gpid: "12345", scope: hr.read }`
    pub caller: Option<CallerSpec>,
    /// What the model passes to the tool, or the user to the prompt.
    /// Example: `{ start_date: "2026-01-05" }`
    pub arguments: Map<String, Value>,
    /// What is answered to the questions of `ask`, by name. What is only to be confirmed is confirmed, unless `confirm: null`
    /// stands here.
    /// Example: `{ reason: { text: Family } }`
    pub answers: Map<String, Value>,
    /// What the API answers: the same to every request, or a list of answers, one to each. Default: status 200 with `{}`.
    /// Example: `{ status: 200, json: { shifts: [] } }`
    pub upstream: Option<RepliesSpec>,
    /// The clock of templates. It always stands still in tests; `uuid()` counts.
    /// Example: `{ now: "2026-01-05T09:00:00Z" }`
    pub freeze: Option<FreezeSpec>,
    /// What must be so. Without it, the call must succeed.
    /// Example: `{ request: GET /wfm/schedules?gpid=12345, result: { shifts: [] } }`
    pub expect: Option<ExpectSpec>,
    /// Compares the whole exchange with the snapshot of this test: the tool as the model sees it, the request with the
    /// source of each part, and the result.
    /// Example: `true`
    pub snapshot: bool,
}

/// Who calls.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum CallerSpec {
    /// `none`: nobody in particular.
    Nobody(NobodySpec),
    /// The claims of their token.
    Claims(Map<String, Value>),
}

/// Nobody in particular.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NobodySpec {
    /// A caller without a token.
    None,
}

/// The clock.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct FreezeSpec {
    /// The moment that `now()` gives (RFC 3339). Default: `2026-01-01T00:00:00Z`.
    /// Example: `2026-01-05T09:00:00Z`
    pub now: String,
}

/// What the API answers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RepliesSpec {
    /// One answer each, in turn: to retries, or for pages.
    InTurn(Vec<ReplySpec>),
    /// The same to every request.
    Always(ReplySpec),
}

/// An answer of the API, or what comes instead of one.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ReplySpec {
    /// No answer.
    Failure(FailureSpec),
    /// An answer.
    Answer(Box<AnswerSpec>),
}

/// What comes instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureSpec {
    /// The API can't be reached.
    Unreachable,
    /// The answer does not come in time.
    Timeout,
    /// The connection breaks before the answer is complete.
    Broken,
}

/// An answer of the API.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AnswerSpec {
    /// The HTTP status. Default: 200.
    /// Example: `404`
    #[schemars(range(min = 200, max = 599))]
    pub status: Option<u16>,
    /// Headers; `Content-Type` follows from the body unless it stands here.
    /// Example: `{ Link: "</shifts?page=2>; rel=\"next\"" }`
    pub headers: IndexMap<String, String>,
    /// A body of JSON.
    /// Example: `{ shifts: [] }`
    pub json: Option<Value>,
    /// A body of text.
    /// Example: `out of order`
    pub text: Option<String>,
    /// A body of bytes, as base64.
    /// Example: `iVBORw0KGgo=`
    pub base64: Option<String>,
    /// How long it takes. Nobody waits for it; it tells whether `timeout` is over.
    /// Example: `11s`
    pub delay: Option<String>,
}

/// What must be so. Maps match when all that stands here is there; more may be there.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExpectSpec {
    /// The request: its whole line (`GET /path?query`, in any order of the query), a part of it in the long form, or
    /// `none`: nothing is sent. With several requests, the first.
    /// Example: `GET /wfm/schedules?gpid=12345`
    pub request: Option<RequestExpectSpec>,
    /// All requests, in order; as many as stand here.
    /// Example: `[GET /items, GET /items?page=2]`
    pub requests: Option<Vec<RequestExpectSpec>>,
    /// The result: JSON, of which more may be there, or the whole text.
    /// Example: `{ shifts: [] }`
    pub result: Option<Value>,
    /// The structured result of a tool with a `schema`; more may be there.
    /// Example: `{ total: 2 }`
    pub structured: Option<Value>,
    /// What the text for the model holds; all of it, when it is a list.
    /// Example: `2 of 14 orders`
    pub text: Option<OneOrMany>,
    /// The parts of the result as the protocol has them; more may be in each.
    /// Example: `[{ type: image, mimeType: image/png }]`
    pub content: Option<Vec<Value>>,
    /// The messages of a prompt as the protocol has them; more may be in each.
    /// Example: `[{ role: user, content: { text: Plan my vacation. } }]`
    pub messages: Option<Vec<Value>>,
    /// What the result has nothing of: JSON Pointers into it.
    /// Example: `/salary`
    pub absent: Option<OneOrMany>,
    /// What the error says; all of it, when it is a list. The call must fail.
    /// Example: `unexpected argument`
    pub error: Option<OneOrMany>,
    /// The tool as `tools/list` shows it to this caller; more may be there. `false`: it is hidden from them.
    /// Example: `{ inputSchema: { required: [start_date] } }`
    pub listed: Option<Value>,
}

/// What a request must be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RequestExpectSpec {
    /// `none`, or the whole line, such as `GET /path?query`.
    Line(String),
    /// Parts of the request; more may be there.
    Parts(Box<RequestPartsSpec>),
}

/// Parts of a request; more may be there.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RequestPartsSpec {
    /// The HTTP method.
    /// Example: `POST`
    pub method: Option<String>,
    /// The path, as it goes on the wire, after that of the base URL.
    /// Example: `/employees/12345/time-off`
    pub path: Option<String>,
    /// The query, not encoded; a list for a name that is there several times. `${NAME}` stands for itself.
    /// Example: `{ start: "2026-01-05", tag: [a, b] }`
    pub query: Map<String, Value>,
    /// Headers, by names in any case. `${NAME}` stands for itself.
    /// Example: `{ X-Tenant: t-9 }`
    pub headers: Map<String, Value>,
    /// The body: JSON or a form as a map, anything else as text.
    /// Example: `{ days: 3 }`
    pub body: Option<Value>,
    /// What the request has nothing of.
    /// Example: `{ query: [debug], headers: [X-Admin], body: [/note] }`
    pub absent: AbsentSpec,
}

/// What a request has nothing of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AbsentSpec {
    /// Names in the query.
    /// Example: `[debug]`
    pub query: Vec<String>,
    /// Headers.
    /// Example: `[X-Admin]`
    pub headers: Vec<String>,
    /// JSON Pointers into the body.
    /// Example: `[/note]`
    pub body: Vec<String>,
}
