//! A test made of a real call: what was passed and answered, without secrets and without what `redact` hides.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header;
use serde_json::{Map, Value, json};

use crate::call::{CallError, Request, Shown};
use crate::catalog::{Bridge, Tool};
use crate::principal::{ClaimPath, Principal};
use crate::shape::Reply;
use crate::upstream::Recorder;

/// Headers of an answer that a definition may read.
const KEPT: [header::HeaderName; 4] = [header::CONTENT_TYPE, header::LINK, header::RETRY_AFTER, header::LOCATION];

/// A real call of a tool.
pub struct Recorded<'a> {
    /// The bridge of the tool.
    pub bridge: &'a Bridge,
    /// The tool.
    pub tool: &'a Tool,
    /// Who called.
    pub who: &'a Principal,
    /// What was passed.
    pub arguments: &'a Map<String, Value>,
    /// The API, with what was asked and answered; `None` for a tool without one.
    pub api: Option<&'a Recorder>,
    /// The result as it is sent, or the error.
    pub outcome: Result<&'a Value, &'a CallError>,
}

// === impl Recorded ===

impl Recorded<'_> {
    /// The test as an item of `tests:`, in YAML.
    #[must_use]
    pub fn yaml(&self, name: &str) -> String {
        let exchanges = self.api.map(Recorder::exchanges).unwrap_or_default();
        let mut text =
            format!("  - name: {}\n    tool: {}\n", flow(&name.into()), flow(&self.tool.name.clone().into()));
        let mut line = |key: &str, value: &Value| {
            let _ = writeln!(text, "    {key}: {}", flow(value));
        };
        match self.claims() {
            None => line("caller", &"none".into()),
            Some(claims) if claims.is_empty() => {}
            Some(claims) => line("caller", &claims.into()),
        }
        if !self.arguments.is_empty() {
            line("arguments", &self.arguments.clone().into());
        }
        let replies: Vec<Value> = exchanges.iter().map(|(_, reply)| self.reply(reply)).collect();
        match replies.as_slice() {
            [] => {}
            [one] => line("upstream", one),
            several => line("upstream", &several.to_vec().into()),
        }
        text.push_str("    expect:\n");
        let mut line = |key: &str, value: &Value| {
            let _ = writeln!(text, "      {key}: {}", flow(value));
        };
        let lines: Vec<Value> = exchanges.iter().map(|(request, _)| request_line(request).into()).collect();
        match lines.as_slice() {
            [] => line("request", &"none".into()),
            // What follows are pages, which know their own URLs.
            [first, ..] => line("request", first),
        }
        let (key, value) = self.result();
        line(key, &value);
        text
    }

    /// The claims that the bridge reads; `None` for nobody.
    fn claims(&self) -> Option<Map<String, Value>> {
        self.who.token()?;
        let paths = self.bridge.claims.values().flatten().map(ClaimPath::as_str);
        let first = |path: &str| path.trim_start_matches('/').split('/').next().unwrap_or_default().replace("~1", "/");
        let mut wanted: Vec<String> =
            paths.map(|path| if path.starts_with('/') { first(path) } else { path.to_owned() }).collect();
        if !self.tool.access.is_open() {
            wanted.extend(["scope", "scp", "groups"].map(str::to_owned));
        }
        let claims = self.who.claims().as_map();
        Some(
            claims
                .iter()
                .filter(|(name, _)| wanted.contains(name))
                .map(|(name, it)| (name.clone(), it.clone()))
                .collect(),
        )
    }

    fn reply(&self, reply: &Reply) -> Value {
        let scrubbed = |text: &str| self.scrubbed(text);
        let mut answer = Map::from_iter([("status".to_owned(), reply.status.into())]);
        let json: Option<Value> = std::str::from_utf8(&reply.body)
            .ok()
            .and_then(|body| serde_json::from_str(&scrubbed(body)).ok())
            .map(|mut value| {
                self.tool.shape.redact.apply(&mut value);
                value
            });
        let is_json = json.is_some() && reply.media_type() == "application/json";
        let kept = reply.headers.iter().filter(|(name, _)| KEPT.contains(name));
        let headers: Map<String, Value> = kept
            .filter(|(name, _)| !(is_json && *name == header::CONTENT_TYPE))
            .filter_map(|(name, value)| Some((name.to_string(), scrubbed(value.to_str().ok()?).into())))
            .collect();
        if !headers.is_empty() {
            answer.insert("headers".to_owned(), headers.into());
        }
        let (key, body) = match (json, std::str::from_utf8(&reply.body)) {
            (Some(json), _) => ("json", json),
            (None, Ok("")) => return answer.into(),
            (None, Ok(text)) => ("text", scrubbed(text).into()),
            (None, Err(_)) => ("base64", STANDARD.encode(&reply.body).into()),
        };
        answer.insert(key.to_owned(), body);
        answer.into()
    }

    fn scrubbed(&self, text: &str) -> String {
        self.api.map_or_else(|| text.to_owned(), |api| api.anonymous(text, self.who))
    }

    fn result(&self) -> (&'static str, Value) {
        let sent = match self.outcome {
            Err(error) => return ("error", self.scrubbed(&error.to_author()).into()),
            Ok(sent) => serde_json::from_str(&self.scrubbed(&sent.to_string())).unwrap_or_else(|_| sent.clone()),
        };
        let sent = &sent;
        let texts = super::run::texts(sent);
        let text = texts.join("\n");
        if sent.get("isError") == Some(&Value::Bool(true)) {
            return ("error", text.into());
        }
        if let Some(structured) = sent.get("structuredContent") {
            return ("structured", structured.clone());
        }
        let parts = sent.get("content").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if texts.len() != parts.len() || parts.len() != 1 {
            return ("content", parts.iter().map(essence).collect());
        }
        match serde_json::from_str(&text) {
            Ok(json @ (Value::Object(_) | Value::Array(_))) => ("result", json),
            _ => ("result", text.into()),
        }
    }
}

/// A part of a result without its bytes, which stand in the answer already.
fn essence(part: &Value) -> Value {
    match part.get("type").and_then(Value::as_str) {
        Some("text" | "resource_link") => part.clone(),
        Some(kind) => match part.get("mimeType") {
            Some(mime_type) => json!({ "type": kind, "mimeType": mime_type }),
            None => json!({ "type": kind }),
        },
        None => json!({}),
    }
}

fn request_line(request: &Request) -> String {
    let query = request.wire_query(&Shown).map(|query| format!("?{query}")).unwrap_or_default();
    format!("{} {}{query}", request.method, request.wire_path())
}

/// A value in one line of YAML: JSON, with blanks where YAML has them.
fn flow(value: &Value) -> String {
    let list = |open: &str, items: Vec<String>, close: &str| {
        if items.is_empty() {
            return format!("{}{}", open.trim(), close.trim());
        }
        format!("{open}{}{close}", items.join(", "))
    };
    match value {
        Value::Array(items) => list("[", items.iter().map(flow).collect(), "]"),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| format!("{}: {}", plain(name), flow(value));
            list("{ ", members.iter().map(member).collect(), " }")
        }
        Value::String(text) => plain(text),
        other => other.to_string(),
    }
}

/// Text without quotes where it can't be taken for anything else.
fn plain(text: &str) -> String {
    let is_word = text.starts_with(|it: char| it.is_ascii_alphabetic())
        && text.chars().all(|it| it.is_ascii_alphanumeric() || "_-./".contains(it))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if is_word { text.to_owned() } else { Value::from(text).to_string() }
}
