//! `async:` as it is written: how to wait for an API that answers before it is done.

use schemars::JsonSchema;
use serde::Deserialize;

/// How to wait for an API that takes the work and answers later. Everything may be left out: then an answer of 202 says by its
/// `Location` header where to ask, until that answers something else than 202.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AsyncSpec {
    /// A JMESPath to the id of the job in the first answer: what fills `{job}`. An answer without one is the result. Default: an
    /// answer of 202 is a job, any other the result.
    /// Example: `id`
    pub job: Option<String>,
    /// Where to ask how far the job has come. `{job}` is its id, any other name in `{}` a parameter of the endpoint's path.
    /// Default: the URL in the `Location` header of the first answer, within the API's base URL.
    /// Example: `GET /jobs/{job}`
    pub status: Option<String>,
    /// A JMESPath over what `status` answers that is true once the job is done. Default: any status other than 202.
    /// Example: `state == 'finished'`
    pub done: Option<String>,
    /// A JMESPath over what `status` answers that is true once the job has failed. The call is an error then, with the API's own
    /// message.
    /// Example: `state == 'failed'`
    pub failed: Option<String>,
    /// A JMESPath over what `status` answers to how much is done, in percent.
    /// Example: `percent`
    pub progress: Option<String>,
    /// Where the result is. Default: what `status` answered last, or where a 303 (See Other) leads to.
    /// Example: `GET /jobs/{job}/result`
    pub result: Option<String>,
    /// What is sent when the caller cancels the call, or has gone.
    /// Example: `DELETE /jobs/{job}`
    pub cancel: Option<String>,
    /// The time between two questions, at least `100ms`; a `Retry-After` of the API goes before it. Default: `2s`.
    /// Example: `2s`
    pub interval: Option<String>,
    /// How long the call may take in all, at most `24h`. Default: `10m`.
    /// Example: `10m`
    pub deadline: Option<String>,
    /// How long a client with tasks can fetch the result after the deadline, at most `24h`. Default: `5m`.
    /// Example: `5m`
    pub keep: Option<String>,
    /// When a client with tasks is asked the questions of `confirm` and `ask`. Default: `first`.
    /// Example: `within_task`
    pub ask: Option<AskWhenSpec>,
}

/// When a client with tasks is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AskWhenSpec {
    /// Before there is a task, like any other client.
    First,
    /// By the task, which waits for the answers.
    WithinTask,
}
