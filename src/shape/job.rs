//! `async`: what the answers of an API say about a job. Pure; asking is up to `upstream`.

use http::header;
use serde_json::Value;

use super::{Reply, Select};

/// The longest id of a job, in bytes: it becomes part of a URL.
const LONGEST_ID: usize = 512;

/// How to read what an API says about a job.
#[derive(Debug, Default)]
pub struct JobRules {
    /// The id of the job in the first answer.
    pub id: Option<Select>,
    /// Whether the job is done; without it, any status other than 202 says so.
    pub done: Option<Select>,
    /// Whether the job has failed.
    pub failed: Option<Select>,
    /// How much is done, in percent.
    pub progress: Option<Select>,
}

/// How far a job has come.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// The API is at it, and may say how much is done, in percent.
    Working(Option<f64>),
    /// It is over, and the result is at this URL, which may be relative.
    Elsewhere(String),
    /// It is over.
    Done,
    /// It has failed.
    Failed,
}

// === impl JobRules ===

impl JobRules {
    /// The id of the job that an answer speaks of; `None` when it speaks of none.
    ///
    /// # Errors
    /// Returns words for the model when the expression can't be applied, or the id is longer than any.
    pub fn id(&self, first: &Reply) -> Result<Option<String>, String> {
        let Some(select) = &self.id else { return Ok(None) };
        let id = match select.apply(&first.json().unwrap_or(Value::Null))? {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            _ => return Ok(None),
        };
        if id.len() > LONGEST_ID {
            return Err("The API's answer has no usable id of its job".to_owned());
        }
        Ok(Some(id).filter(|id| !id.is_empty()))
    }

    /// How far a job has come, by what the API answers about it. An error status is over, too: it is the answer.
    ///
    /// # Errors
    /// Returns words for the model when an expression can't be applied to this answer.
    pub fn stage(&self, polled: &Reply) -> Result<Stage, String> {
        if polled.status == 303
            && let Some(location) = location(polled)
        {
            return Ok(Stage::Elsewhere(location));
        }
        if !(200..300).contains(&polled.status) {
            return Ok(Stage::Done);
        }
        let asks = [&self.done, &self.failed, &self.progress].into_iter().any(Option::is_some);
        let body = if asks { polled.json() } else { None };
        if self.done.is_some() && body.is_none() && !polled.body.is_empty() {
            return Err("The API's answer about the job is not JSON".to_owned());
        }
        let body = body.unwrap_or(Value::Null);
        let holds = |select: &Option<Select>| match select {
            None => Ok(None),
            Some(select) => select.apply(&body).map(|found| Some(is_true(&found))),
        };
        if holds(&self.failed)? == Some(true) {
            return Ok(Stage::Failed);
        }
        if holds(&self.done)?.unwrap_or(polled.status != 202) {
            return Ok(Stage::Done);
        }
        let percent = self.progress.as_ref().and_then(|select| select.apply(&body).ok());
        Ok(Stage::Working(percent.as_ref().and_then(percentage)))
    }
}

/// Where an answer says that something is.
#[must_use]
pub fn location(reply: &Reply) -> Option<String> {
    let written = reply.headers.get(header::LOCATION)?.to_str().ok()?.trim();
    (!written.is_empty()).then(|| written.to_owned())
}

/// What JMESPath takes for true.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

fn percentage(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().trim_end_matches('%').trim_end().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite()).map(|number| number.clamp(0.0, 100.0))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn reply(status: u16, location: Option<&'static str>, body: &'static str) -> Reply {
        let mut headers = HeaderMap::new();
        headers.extend(location.map(|it| (header::LOCATION, HeaderValue::from_static(it))));
        Reply { status, headers, body: Bytes::from_static(body.as_bytes()), pages_left_out: None }
    }

    fn rules(done: Option<&str>) -> JobRules {
        let select = |text: &str| Select::compile(text).unwrap();
        JobRules {
            id: Some(select("id")),
            done: done.map(select),
            failed: Some(select("state == 'failed'")),
            progress: Some(select("percent")),
        }
    }

    #[test]
    fn an_id_is_a_text_or_a_number() {
        let id = |body| rules(None).id(&reply(200, None, body));
        assert_eq!(id(r#"{"id":7}"#), Ok(Some("7".to_owned())));
        assert_eq!(id(r#"{"id":"a/b"}"#), Ok(Some("a/b".to_owned())));
        for none in ["", "{}", r#"{"id":null}"#, r#"{"id":""}"#, r#"{"id":{}}"#, "text"] {
            assert_eq!(id(none), Ok(None), "{none}");
        }
        let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(LONGEST_ID + 1));
        assert!(rules(None).id(&reply(200, None, Box::leak(long.into_boxed_str()))).is_err());
    }

    #[test]
    fn a_stage_is_told_by_status_and_by_expressions() {
        let stage = |done, status, location, body| rules(done).stage(&reply(status, location, body));
        assert_eq!(stage(None, 202, None, r#"{"percent":"40 %"}"#), Ok(Stage::Working(Some(40.0))));
        assert_eq!(stage(None, 202, None, ""), Ok(Stage::Working(None)));
        assert_eq!(stage(None, 200, None, "a report"), Ok(Stage::Done));
        assert_eq!(stage(None, 404, None, ""), Ok(Stage::Done));
        assert_eq!(stage(None, 303, Some("/r/7"), ""), Ok(Stage::Elsewhere("/r/7".to_owned())));
        assert_eq!(stage(None, 303, None, ""), Ok(Stage::Done));
        let done = Some("finished_at");
        assert_eq!(stage(done, 200, None, r#"{"finished_at":null,"percent":900}"#), Ok(Stage::Working(Some(100.0))));
        assert_eq!(stage(done, 200, None, ""), Ok(Stage::Working(None)));
        assert_eq!(stage(done, 200, None, r#"{"finished_at":"now"}"#), Ok(Stage::Done));
        assert_eq!(stage(done, 200, None, r#"{"finished_at":"now","state":"failed"}"#), Ok(Stage::Failed));
        assert!(stage(done, 200, None, "a report").is_err());
    }
}
