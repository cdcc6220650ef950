//! From what is written to tests that can be run; all findings at once.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::{Case, Subject, snapshot};
use crate::catalog::{Answers, Catalog};
use crate::config::TestDocument;
use crate::config::bridge::OneOrMany;
use crate::config::case::{
    AnswerSpec, CallerSpec, ExpectSpec, FailureSpec, RepliesSpec, ReplySpec, RequestExpectSpec, RowSpec, StepSpec,
};
use crate::config::yaml::Cursor;
use crate::diag::{Code, Diagnostic, Findings, Report, Span, suggest};
use crate::principal::Principal;
use crate::quantity;
use crate::shape::Reply;
use crate::upstream::{CannedReply, Replies};

/// The token of a made-up caller; never sent.
const TOKEN: &str = "the-token-of-a-test";
/// The moment at which tests run unless they say otherwise.
const NOW: &str = "2026-01-01T00:00:00Z";
/// What is said of a `base64` that is none, and of its kind.
const BODIES: [&str; 3] = ["json", "text", "base64"];

/// Makes tests of all that is written.
pub(super) fn cases(tests: &[TestDocument], catalog: &Catalog, findings: &mut Findings) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut seen: HashMap<(usize, String), Span> = HashMap::new();
    for test in tests {
        let at = Cursor::root(&test.tree);
        let mut compiler = Compiler { catalog, report: &mut findings.report, cases: &mut cases, seen: &mut seen };
        if test.spec.cases.is_empty() {
            compiler.case(&test.spec.name, &test.spec.step, &[&at]);
        }
        for (index, row) in test.spec.cases.iter().enumerate() {
            let RowSpec { name, step } = row;
            let name = name.clone().unwrap_or_else(|| (index + 1).to_string());
            let step = merged(&test.spec.step, step);
            compiler.case(&format!("{} / {name}", test.spec.name), &step, &[&at.get("cases").index(index), &at]);
        }
    }
    // In the order of bridges, whatever the order of their files.
    cases.sort_by_key(|case| case.bridge);
    cases
}

/// A test with what one of its cases says.
fn merged(test: &StepSpec, row: &StepSpec) -> StepSpec {
    let base = test.clone();
    let row = row.clone();
    let names_subject = row.tool.is_some() || row.resource.is_some() || row.prompt.is_some();
    let (tool, resource, prompt) =
        if names_subject { (row.tool, row.resource, row.prompt) } else { (base.tool, base.resource, base.prompt) };
    let caller = match (base.caller, row.caller) {
        (Some(CallerSpec::Claims(base)), Some(CallerSpec::Claims(row))) => Some(CallerSpec::Claims(both(base, row))),
        (base, row) => row.or(base),
    };
    StepSpec {
        tool,
        resource,
        prompt,
        caller,
        arguments: both(base.arguments, row.arguments),
        answers: both(base.answers, row.answers),
        upstream: row.upstream.or(base.upstream),
        freeze: row.freeze.or(base.freeze),
        expect: row.expect.or(base.expect),
        snapshot: row.snapshot || base.snapshot,
    }
}

fn both(mut base: Map<String, Value>, more: Map<String, Value>) -> Map<String, Value> {
    base.extend(more);
    base
}

struct Compiler<'c> {
    catalog: &'c Catalog,
    report: &'c mut Report,
    cases: &'c mut Vec<Case>,
    seen: &'c mut HashMap<(usize, String), Span>,
}

// === impl Compiler ===

impl Compiler<'_> {
    fn invalid(&mut self, at: &Cursor<'_>, message: impl Into<String>, label: impl Into<String>) {
        self.report.push(at.error(Code::InvalidTest, message, label));
    }

    /// `ats`: where it is written, the nearest first.
    fn case(&mut self, name: &str, step: &StepSpec, ats: &[&Cursor<'_>]) {
        let Some(nearest) = ats.first() else { return };
        let find =
            |key: &str| ats.iter().map(|at| at.get(key)).find(Cursor::exists).unwrap_or_else(|| nearest.get(key));
        let name_at = find("name");
        let Some((subject, bridge)) = self.subject(step, &name_at, &find) else { return };
        let key = (bridge, snapshot::slug(name));
        if let Some(first) = self.seen.get(&key) {
            let finding =
                name_at.error(Code::DuplicateTest, format!("two tests are named `{name}`"), "give it another name");
            self.report.push(finding.also(*first, "first used here"));
        } else {
            self.seen.insert(key, name_at.span());
        }
        if matches!(subject, Subject::Resource(_)) && !step.arguments.is_empty() {
            self.invalid(&find("arguments"), "a resource takes no arguments", "the variables stand in its URI");
        }
        let has_api = self.catalog.bridge(bridge).is_some_and(|bridge| bridge.upstream.is_some());
        if step.upstream.is_some() && !has_api {
            self.invalid(&find("upstream"), "nothing is asked of an API here", "this bridge has no `upstream:`");
        }
        let replies = step.upstream.as_ref().and_then(|spec| self.replies(spec, &find("upstream")));
        let now = step.freeze.as_ref().map_or(NOW, |freeze| &freeze.now);
        let now: Timestamp = now.parse().unwrap_or_else(|_| {
            let words = "write a moment in UTC, such as `2026-01-05T09:00:00Z`";
            self.invalid(&find("freeze").get("now"), format!("`{now}` is no moment"), words);
            Timestamp::UNIX_EPOCH
        });
        let expect = step.expect.clone().unwrap_or_default();
        let expect_at = find("expect");
        self.expect(&expect, &subject, &expect_at);
        let claims = match &step.caller {
            None => Some(Map::new()),
            Some(CallerSpec::Claims(claims)) => Some(claims.clone()),
            Some(CallerSpec::Nobody(_)) => None,
        };
        let who = claims
            .clone()
            .map_or_else(Principal::anonymous, |claims| Principal::verified(claims, SecretString::from(TOKEN)));
        let places = KEYS.iter().filter(|key| expect_at.get(key).exists());
        self.cases.push(Case {
            name: name.to_owned(),
            bridge,
            subject,
            place: name_at.span(),
            has_snapshot: step.snapshot,
            who,
            claims,
            arguments: step.arguments.clone(),
            answers: Answers(step.answers.clone()),
            replies,
            now,
            places: places.map(|key| (*key, expect_at.get(key).key_span())).collect(),
            expect,
        });
    }

    fn subject<'n>(
        &mut self,
        step: &StepSpec,
        name_at: &Cursor<'n>,
        find: &dyn Fn(&str) -> Cursor<'n>,
    ) -> Option<(Subject, usize)> {
        let catalog = self.catalog;
        let (what, name, bridge, near) = match (&step.tool, &step.resource, &step.prompt) {
            (Some(name), None, None) => {
                let names = catalog.tools.keys().map(String::as_str);
                ("tool", name, catalog.tools.get(name).map(|tool| tool.bridge), suggest(name, names))
            }
            (None, Some(uri), None) => {
                let names = catalog.resources.keys().map(String::as_str);
                ("resource", uri, catalog.resource(uri).map(|(resource, _)| resource.bridge), suggest(uri, names))
            }
            (None, None, Some(name)) => {
                let names = catalog.prompts.keys().map(String::as_str);
                ("prompt", name, catalog.prompts.get(name).map(|prompt| prompt.bridge), suggest(name, names))
            }
            (None, None, None) => {
                self.invalid(name_at, "this test calls nothing", "say what with `tool:`, `resource:` or `prompt:`");
                return None;
            }
            _ => {
                let words = "`tool`, `resource` or `prompt`: only one of them";
                self.invalid(name_at, "this test calls several things", words);
                return None;
            }
        };
        let Some(bridge) = bridge else {
            let label = near.map_or_else(
                || format!("no bridge of this directory has such a {what}"),
                |near| format!("did you mean `{near}`?"),
            );
            self.report.push(find(what).error(Code::UnknownSubject, format!("there is no {what} `{name}`"), label));
            return None;
        };
        let name = name.clone();
        let subject = match what {
            "tool" => Subject::Tool(name),
            "resource" => Subject::Resource(name),
            _ => Subject::Prompt(name),
        };
        Some((subject, bridge))
    }

    fn replies(&mut self, spec: &RepliesSpec, at: &Cursor<'_>) -> Option<Replies> {
        match spec {
            RepliesSpec::Always(reply) => self.reply(reply, at).map(Replies::Always),
            RepliesSpec::InTurn(replies) => {
                if replies.is_empty() {
                    self.invalid(at, "there is no answer in this list", "leave `upstream` out, or write an answer");
                }
                let replies: Vec<Option<CannedReply>> =
                    replies.iter().enumerate().map(|(index, reply)| self.reply(reply, &at.index(index))).collect();
                replies.into_iter().collect::<Option<_>>().map(Replies::InTurn)
            }
        }
    }

    fn reply(&mut self, spec: &ReplySpec, at: &Cursor<'_>) -> Option<CannedReply> {
        let answer = match spec {
            ReplySpec::Failure(FailureSpec::Unreachable) => return Some(CannedReply::Unreachable),
            ReplySpec::Failure(FailureSpec::Timeout) => return Some(CannedReply::Timeout),
            ReplySpec::Failure(FailureSpec::Broken) => return Some(CannedReply::Broken),
            ReplySpec::Answer(answer) => answer,
        };
        let AnswerSpec { status, headers: written, json, text, base64, delay } = answer.as_ref();
        if BODIES.iter().filter(|key| at.get(key).exists()).count() > 1 {
            self.invalid(at, "an answer has one body", "`json`, `text` or `base64`: only one of them");
        }
        let mut headers = HeaderMap::new();
        for (name, value) in written {
            match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
                (Ok(name), Ok(value)) => {
                    headers.append(name, value);
                }
                _ => {
                    self.invalid(
                        &at.get("headers").get(name),
                        "no API can send this header",
                        "as a name or as a value",
                    );
                }
            }
        }
        let (body, media_type) = match (json, text, base64) {
            (_, Some(text), _) => (Bytes::from(text.clone()), "text/plain; charset=utf-8"),
            (_, _, Some(encoded)) => {
                let Ok(bytes) = STANDARD.decode(encoded) else {
                    self.invalid(&at.get("base64"), "this is not base64", "standard alphabet, with padding");
                    return None;
                };
                (Bytes::from(bytes), "application/octet-stream")
            }
            (Some(json), ..) => (Bytes::from(json.to_string()), "application/json"),
            // `json: null` is a body; none at all is one only where nothing is said.
            (None, None, None) if at.get("json").exists() => (Bytes::from_static(b"null"), "application/json"),
            (None, None, None) => (Bytes::new(), ""),
        };
        if !media_type.is_empty() {
            headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static(media_type));
        }
        let delay = match delay.as_deref().map(|written| (written, quantity::duration(written))) {
            None => Duration::ZERO,
            Some((_, Some(delay))) => delay,
            Some((written, None)) => {
                let words = "write a whole number and a unit, such as `500ms` or `11s`";
                self.report.push(at.get("delay").error(
                    Code::InvalidQuantity,
                    format!("`{written}` is not a duration"),
                    words,
                ));
                return None;
            }
        };
        let reply = Reply { status: status.unwrap_or(200), headers, body, pages_left_out: None };
        Some(CannedReply::Reply(reply, delay))
    }

    /// What is expected must make sense for what is called.
    fn expect(&mut self, expect: &ExpectSpec, subject: &Subject, at: &Cursor<'_>) {
        let only_for = |key: &str| match key {
            "structured" | "content" | "listed" => Some("a tool"),
            "messages" => Some("a prompt"),
            _ => None,
        };
        let kind = match subject {
            Subject::Tool(_) => "a tool",
            Subject::Resource(_) => "a resource",
            Subject::Prompt(_) => "a prompt",
        };
        for key in KEYS.iter().filter(|key| at.get(key).exists()) {
            if let Some(only) = only_for(key).filter(|only| *only != kind) {
                let words = format!("this test calls {kind}");
                self.report.push(at.get(key).key_error(Code::InvalidTest, format!("only {only} has `{key}`"), words));
            }
            let is_prompts = matches!(subject, Subject::Prompt(_)) && matches!(*key, "request" | "requests");
            if is_prompts {
                let finding = Diagnostic::new(Code::InvalidTest, "a prompt asks nothing of an API");
                self.report.push(finding.at(at.get(key).key_span(), "so there is no request"));
            }
        }
        if expect.request.is_some() && expect.requests.is_some() {
            self.invalid(&at.get("request"), "`request` is the first of `requests`", "write only one of them");
        }
        let failing = expect.error.is_some();
        let of_success = ["result", "structured", "text", "content", "messages", "absent"];
        if let Some(key) = of_success.iter().find(|key| failing && at.get(key).exists()) {
            let words = format!("a call that fails has no `{key}`");
            self.invalid(&at.get("error"), "both an error and a result are expected", words);
        }
        if expect.listed.as_ref().is_some_and(|listed| !listed.is_object() && *listed != Value::Bool(false)) {
            self.invalid(&at.get("listed"), "`listed` can't be this", "`false`, or a part of the tool as it is listed");
        }
        if let Some(line) = &expect.request {
            self.request(line, &at.get("request"), true);
        }
        for (index, line) in expect.requests.iter().flatten().enumerate() {
            self.request(line, &at.get("requests").index(index), false);
        }
        if let Some(OneOrMany::One(pointer)) = &expect.absent {
            self.pointer(pointer, &at.get("absent"));
        }
        if let Some(OneOrMany::Many(pointers)) = &expect.absent {
            for (index, pointer) in pointers.iter().enumerate() {
                self.pointer(pointer, &at.get("absent").index(index));
            }
        }
    }

    fn request(&mut self, spec: &RequestExpectSpec, at: &Cursor<'_>, may_be_none: bool) {
        match spec {
            RequestExpectSpec::Line(line) if line == "none" && may_be_none => {}
            RequestExpectSpec::Line(line) => {
                let fits =
                    line.split_once(' ').is_some_and(|(method, target)| is_method(method) && target.starts_with('/'));
                if !fits {
                    let words = "write `METHOD /path?query`, or `none` when nothing is sent";
                    self.invalid(at, "this is no line of a request", words);
                }
            }
            RequestExpectSpec::Parts(parts) => {
                if parts.method.as_deref().is_some_and(|method| !is_method(method)) {
                    self.invalid(&at.get("method"), "this is no method", "such as `GET` or `POST`");
                }
                for (index, pointer) in parts.absent.body.iter().enumerate() {
                    self.pointer(pointer, &at.get("absent").get("body").index(index));
                }
            }
        }
    }

    fn pointer(&mut self, written: &str, at: &Cursor<'_>) {
        if !written.starts_with('/') {
            self.invalid(at, format!("`{written}` is no JSON Pointer"), format!("write `/{written}`"));
        }
    }
}

/// The keys under `expect`.
const KEYS: [&str; 10] =
    ["request", "requests", "result", "structured", "text", "content", "messages", "absent", "error", "listed"];

fn is_method(text: &str) -> bool {
    text.chars().all(|it| it.is_ascii_uppercase()) && Method::from_bytes(text.as_bytes()).is_ok()
}
