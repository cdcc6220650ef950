//! Runs a test: the code that serves, with made-up answers and a clock that stands still.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, header};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::compare::differences;
use super::{Case, Subject, Suite};
use crate::call::{self, CallError, Preview, Standing, collected};
use crate::catalog::{Tool, UpstreamDef};
use crate::config::bridge::OneOrMany;
use crate::config::case::{RequestExpectSpec, RequestPartsSpec};
use crate::diag::Span;
use crate::live::Snapshot;
use crate::mcp;
use crate::shape::Reply;
use crate::template::rehearse;
use crate::upstream::{Canned, CannedReply, Replies, Sent};

/// What came of a test.
#[derive(Debug)]
pub struct Run<'s> {
    /// The test.
    pub case: &'s Case,
    /// What is not as expected.
    pub failures: Vec<Failure>,
    /// The requests that were sent.
    pub sent: Vec<Sent>,
    /// What the client gets: the result of a tool, the content of a resource, or the messages of a prompt.
    pub outcome: Result<Value, CallError>,
    /// The HTTP status of the last answer.
    pub status: Option<u16>,
    /// Which conditions of templates went which way.
    pub decided: BTreeSet<(usize, bool)>,
}

/// Something that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it is, such as `request` or `result /shifts/0`.
    pub what: String,
    /// Where it is expected.
    pub place: Span,
    /// What was expected.
    pub expected: String,
    /// What is there instead.
    pub got: String,
}

pub(super) fn run<'s>(suite: &'s Suite, case: &'s Case) -> Run<'s> {
    let catalog = &suite.catalog;
    let replies = case.replies.clone().unwrap_or_else(nothing_special);
    let api = |(index, bridge): (usize, &crate::catalog::Bridge)| {
        let def = bridge.upstream.as_ref().filter(|_| index == case.bridge)?;
        Some(Arc::new(Canned::new(def, catalog, replies.clone())))
    };
    let apis: Vec<Option<Arc<Canned>>> = catalog.bridges.iter().enumerate().map(api).collect();
    let canned = apis.get(case.bridge).cloned().flatten();
    let snapshot = Snapshot::rehearsal(Arc::clone(catalog), apis);
    let never = || Err(CallError::internal("the call waits for something that a test has not"));
    let ((outcome, status), decided) = rehearse(case.now, || {
        // Nothing in it waits, so one look is enough.
        call(&snapshot, case).now_or_never().unwrap_or_else(|| (never(), None))
    });
    let sent = canned.as_ref().map(|canned| canned.sent()).unwrap_or_default();
    let mut run = Run { case, failures: Vec::new(), sent, outcome, status, decided };
    run.judge(suite);
    if let Some(left) = canned.map(|canned| canned.left()).filter(|left| *left > 0) {
        run.fail("requests", case.place, format!("{} of them", run.sent.len() + left), run.sent.len());
    }
    run
}

/// What an API answers of which nothing is said.
fn nothing_special() -> Replies {
    let json = HeaderValue::from_static("application/json");
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, json)]);
    let reply = Reply { status: 200, headers, body: Bytes::from_static(b"{}"), pages_left_out: None };
    Replies::Always(CannedReply::Reply(reply, Duration::ZERO))
}

async fn call(snapshot: &Snapshot<Canned>, case: &Case) -> (Result<Value, CallError>, Option<u16>) {
    let catalog = &snapshot.catalog;
    let gone = |name: &str| CallError::Unknown(name.to_owned());
    match &case.subject {
        Subject::Tool(name) => {
            let Some(tool) = catalog.tools.get(name) else { return (Err(gone(name)), None) };
            match snapshot.call(tool, case.arguments.clone(), &case.answers.clone().agreeing(tool), &case.who).await {
                Ok(outcome) => (Ok(mcp::result_as_sent(name, outcome.clone())), outcome.status),
                Err(error) => (Err(error), None),
            }
        }
        Subject::Resource(uri) => {
            let Some((resource, variables)) = catalog.resource(uri) else { return (Err(gone(uri)), None) };
            (snapshot.read(resource, &variables).await.map(|body| mcp::contents_as_sent(uri, body)), None)
        }
        Subject::Prompt(name) => {
            let Some(prompt) = catalog.prompts.get(name) else { return (Err(gone(name)), None) };
            let messages = snapshot.prompt(prompt, &case.arguments, &case.answers);
            (messages.map(|messages| mcp::messages_as_sent(prompt, messages)), None)
        }
    }
}

// === impl Run ===

impl Run<'_> {
    /// Whether everything is as expected.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// What the model reads: the texts of the result, or the error.
    #[must_use]
    pub fn text(&self) -> String {
        match &self.outcome {
            Err(error) => error.to_author(),
            Ok(sent) => texts(sent).join("\n"),
        }
    }

    /// The request that was sent first, and the API it was for.
    pub fn previews<'r>(&'r self, suite: &'r Suite) -> impl Iterator<Item = Preview<'r>> {
        let upstream = suite.catalog.bridge(self.case.bridge).and_then(|bridge| bridge.upstream.as_ref());
        self.sent.iter().filter_map(move |sent| {
            Some(Preview { request: &sent.request, upstream: upstream?, variables: &suite.catalog.variables })
        })
    }

    fn fails(&self) -> bool {
        match &self.outcome {
            Err(_) => true,
            Ok(sent) => sent.get("isError") == Some(&Value::Bool(true)),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "callers have words of many kinds at hand")]
    fn fail(&mut self, what: impl Into<String>, place: Span, expected: impl ToString, got: impl ToString) {
        let (expected, got) = (expected.to_string(), got.to_string());
        self.failures.push(Failure { what: what.into(), place, expected, got });
    }

    fn judge(&mut self, suite: &Suite) {
        let case = self.case;
        let expect = &case.expect;
        if let Some(listed) = &expect.listed {
            self.listed(suite, listed);
        }
        match &expect.error {
            Some(words) if !self.fails() => {
                let place = case.place_of("error");
                let got = format!("a result: {}", self.text());
                self.fail("error", place, all(words).join("\n"), got);
            }
            Some(words) => self.holds("error", all(words)),
            // What a tool looks like may be all that is tested.
            None if self.fails() && !self.is_only_listed() => {
                self.fail("outcome", case.place, "a result", format!("an error: {}", self.text()));
            }
            None => {}
        }
        if let Some(first) = &expect.request {
            let place = case.place_of("request");
            match (first, self.sent.first().cloned()) {
                (RequestExpectSpec::Line(line), None) if line == "none" => {}
                (RequestExpectSpec::Line(line), Some(sent)) if line == "none" => {
                    self.fail("request", place, "nothing is sent", line_of(&sent));
                }
                // That nothing was sent follows from what is told already.
                (_, None) if !self.failures.is_empty() => {}
                (expected, None) => {
                    let got = match &self.outcome {
                        Err(error) => format!("nothing was sent: {}", error.to_author()),
                        Ok(_) => "nothing was sent".to_owned(),
                    };
                    self.fail("request", place, shown(expected), got);
                }
                (expected, Some(_)) => self.request(suite, expected, 0, "request", place),
            }
        }
        if let Some(all) = &expect.requests {
            let place = case.place_of("requests");
            if all.len() == self.sent.len() {
                for (index, expected) in all.iter().enumerate() {
                    self.request(suite, expected, index, &format!("requests {}", index + 1), place);
                }
            } else {
                let expected: Vec<String> = all.iter().map(shown).collect();
                let got: Vec<String> = self.sent.iter().map(line_of).collect();
                self.fail("requests", place, expected.join("\n"), got.join("\n"));
            }
        }
        if !self.fails() {
            self.results();
        }
    }

    fn is_only_listed(&self) -> bool {
        matches!(self.case.places.as_slice(), [("listed", _)])
    }

    fn listed(&mut self, suite: &Suite, expected: &Value) {
        let case = self.case;
        let place = case.place_of("listed");
        let tool = suite.catalog.tools.get(case.subject.name());
        let bridge = suite.catalog.bridge(case.bridge);
        let is_hidden = |tool: &Tool| {
            bridge.is_none_or(|bridge| call::standing(&suite.catalog, tool, bridge, &case.who) == Standing::Hidden)
        };
        match tool.filter(|tool| !is_hidden(tool)).map(mcp::tool_as_listed) {
            None if *expected == Value::Bool(false) => {}
            None => self.fail("listed", place, expected, "the tool is hidden from this caller"),
            Some(tool) if *expected == Value::Bool(false) => self.fail("listed", place, "the tool is hidden", tool),
            Some(tool) => self.same("listed", expected, &tool),
        }
    }

    /// Compares a part of the outcome.
    fn same(&mut self, key: &'static str, expected: &Value, got: &Value) {
        let place = self.case.place_of(key);
        for difference in differences(expected, got) {
            let what = format!("{key} {}", difference.pointer);
            let got = difference.got.map_or_else(|| "nothing".to_owned(), |got| got.to_string());
            self.fail(what.trim_end(), place, difference.expected, got);
        }
    }

    fn holds(&mut self, key: &'static str, words: Vec<&str>) {
        let text = self.text();
        let place = self.case.place_of(key);
        for word in words {
            if !text.contains(word) {
                self.fail(key, place, word, &text);
            }
        }
    }

    fn results(&mut self) {
        let case = self.case;
        let expect = &case.expect;
        let Ok(sent) = self.outcome.clone() else { return };
        let text = self.text();
        let structured = sent.get("structuredContent");
        let json = structured.cloned().or_else(|| serde_json::from_str(&text).ok());
        match &expect.result {
            None => {}
            Some(Value::String(expected)) if structured.is_none() && text.trim_end() == expected.trim_end() => {}
            Some(Value::String(expected)) if structured.is_none() => {
                self.fail("result", case.place_of("result"), expected, &text);
            }
            Some(expected) => match &json {
                Some(json) => self.same("result", expected, json),
                None => self.fail("result", case.place_of("result"), expected, &text),
            },
        }
        if let Some(expected) = &expect.structured {
            match structured {
                Some(structured) => self.same("structured", expected, structured),
                None => self.fail("structured", case.place_of("structured"), expected, "the result is not structured"),
            }
        }
        if let Some(words) = &expect.text {
            self.holds("text", all(words));
        }
        let list = |items: &Vec<Value>| Value::Array(items.clone());
        if let Some(expected) = expect.content.as_ref().map(list) {
            self.same("content", &expected, sent.get("content").unwrap_or(&Value::Null));
        }
        if let Some(expected) = expect.messages.as_ref().map(list) {
            self.same("messages", &expected, &sent);
        }
        for pointer in expect.absent.as_ref().map(all).unwrap_or_default() {
            match &json {
                None => self.fail("absent", case.place_of("absent"), format!("JSON without {pointer}"), &text),
                Some(json) => {
                    if let Some(found) = json.pointer(pointer) {
                        self.fail(format!("absent {pointer}"), case.place_of("absent"), "nothing", found);
                    }
                }
            }
        }
    }

    fn request(&mut self, suite: &Suite, expected: &RequestExpectSpec, index: usize, what: &str, place: Span) {
        let Some(sent) = self.sent.get(index).cloned() else { return };
        match expected {
            RequestExpectSpec::Line(line) => {
                let (method, target) = line.split_once(' ').unwrap_or((line, ""));
                let (path, query) = target.split_once('?').unwrap_or((target, ""));
                let same = method == sent.request.method.as_str()
                    && path == sent.path
                    && sorted(pairs(query)) == sorted(pairs(&sent.query));
                if !same {
                    self.fail(what, place, line, line_of(&sent));
                }
            }
            RequestExpectSpec::Parts(parts) => {
                let Some(upstream) = suite.catalog.bridge(self.case.bridge).and_then(|it| it.upstream.as_ref()) else {
                    return;
                };
                for Failure { what: part, expected, got, .. } in parts_of(parts, &sent, upstream, suite) {
                    self.fail(format!("{what} {part}"), place, expected, got);
                }
            }
        }
    }
}

/// What of a request is not as expected.
fn parts_of(parts: &RequestPartsSpec, sent: &Sent, upstream: &UpstreamDef, suite: &Suite) -> Vec<Failure> {
    let RequestPartsSpec { method, path, query, headers, body, absent } = parts;
    let preview = Preview { request: &sent.request, upstream, variables: &suite.catalog.variables };
    let mut failures = Vec::new();
    let mut fail = |what: String, expected: String, got: String| {
        failures.push(Failure { what, place: upstream.url_span, expected, got });
    };
    if let Some(method) = method.as_deref().filter(|method| *method != sent.request.method.as_str()) {
        fail("method".to_owned(), method.to_owned(), sent.request.method.to_string());
    }
    if let Some(path) = path.as_deref().filter(|path| *path != sent.path) {
        fail("path".to_owned(), path.to_owned(), sent.path.clone());
    }
    let is_name = |(name, value): (String, String)| (name, Value::String(value));
    let in_query = collected(pairs(&sent.query).into_iter().chain(preview.shown_key()).map(is_name));
    let in_headers = collected(preview.shown_headers().map(is_name));
    // Text is what travels, whatever a test writes.
    let texts = |wanted: &Map<String, Value>| -> Value {
        wanted.iter().map(|(name, it)| (name.clone(), as_text(it))).collect::<Map<_, _>>().into()
    };
    let lower = |wanted: Value| match wanted {
        Value::Object(members) => {
            members.into_iter().map(|(name, it)| (name.to_ascii_lowercase(), it)).collect::<Map<_, _>>().into()
        }
        other => other,
    };
    let wanted = [("query", texts(query), &in_query), ("headers", lower(texts(headers)), &in_headers)];
    for (what, wanted, got) in wanted {
        for difference in differences(&wanted, got) {
            let got = difference.got.map_or_else(|| "nothing".to_owned(), |got| got.to_string());
            fail(
                format!("{what} {}", difference.pointer.trim_start_matches('/')),
                difference.expected.to_string(),
                got,
            );
        }
    }
    let data = sent.request.body.data();
    if let Some(body) = body {
        for difference in differences(body, data.as_ref().unwrap_or(&Value::Null)) {
            let got = difference.got.map_or_else(|| "nothing".to_owned(), |got| got.to_string());
            fail(format!("body {}", difference.pointer).trim_end().to_owned(), difference.expected.to_string(), got);
        }
    }
    let there = |what: &str, name: &str, found: Option<&Value>| Some((format!("{what} {name}"), found?.to_string()));
    let found = absent
        .query
        .iter()
        .filter_map(|name| there("query", name, in_query.get(name)))
        .chain(
            absent.headers.iter().filter_map(|name| there("headers", name, in_headers.get(name.to_ascii_lowercase()))),
        )
        .chain(absent.body.iter().filter_map(|pointer| there("body", pointer, data.as_ref()?.pointer(pointer))));
    for (what, got) in found.collect::<Vec<_>>() {
        fail(what, "nothing".to_owned(), got);
    }
    failures
}

fn as_text(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(as_text).collect(),
        Value::String(_) => value.clone(),
        other => other.to_string().into(),
    }
}

/// The pairs of a query, decoded.
fn pairs(query: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    };
    query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect()
}

fn sorted(mut pairs: Vec<(String, String)>) -> Vec<(String, String)> {
    // Stable by name alone: the order of the values of one name is part of what they say.
    pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
    pairs
}

/// The line of a request.
pub(super) fn line_of(sent: &Sent) -> String {
    let mark = if sent.query.is_empty() { "" } else { "?" };
    format!("{} {}{mark}{}", sent.request.method, sent.path, sent.query)
}

fn shown(expected: &RequestExpectSpec) -> String {
    match expected {
        RequestExpectSpec::Line(line) => line.clone(),
        RequestExpectSpec::Parts(parts) => {
            let method = parts.method.as_deref().unwrap_or("a request");
            format!("{method} {}", parts.path.as_deref().unwrap_or_default()).trim_end().to_owned()
        }
    }
}

fn all(words: &OneOrMany) -> Vec<&str> {
    match words {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many.iter().map(String::as_str).collect(),
    }
}

/// The texts of a result, a resource, or messages.
pub(super) fn texts(sent: &Value) -> Vec<&str> {
    match sent {
        Value::Array(messages) => messages.iter().filter_map(|it| it.pointer("/content/text")?.as_str()).collect(),
        sent => match sent.get("content").and_then(Value::as_array) {
            Some(parts) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
            None => sent.get("text").and_then(Value::as_str).into_iter().collect(),
        },
    }
}
