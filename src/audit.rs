//! The audit trail: one JSON object a line for every decision. No token, and no argument unless a tool asks for that.
//!
//! A line is written before the answer that it is about leaves. What it holds of others is escaped, so nobody can forge a
//! line or play tricks on the terminal of whoever reads it.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use tracing::{error, info};

use crate::diag::is_trick;
use crate::principal::Principal;

/// The most bytes of any text that callers had a hand in.
const MAX_TEXT: usize = 512;

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard error, beside the log.
    Stderr,
    /// A file, appended to.
    File(PathBuf),
}

/// What happens to a call whose line can't be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It is refused: what can't be recorded does not happen.
    #[default]
    Block,
    /// It goes on, and the log says so.
    Warn,
}

/// How to keep the trail.
#[derive(Clone, Debug)]
pub struct AuditSettings {
    /// Where lines go.
    pub target: Target,
    /// What happens when they can't be written.
    pub on_failure: OnFailure,
    /// When there is one, people stand in the trail by keyed hashes (HMAC-SHA-256), not by name.
    pub hash_key: Option<SecretString>,
}

/// The trail.
pub struct Audit {
    settings: AuditSettings,
    sink: Mutex<Sink>,
    key: Option<hmac::Key>,
}

/// Where lines go, and whether the last one got there.
struct Sink {
    file: Option<File>,
    is_broken: bool,
}

/// One decision.
#[derive(Clone, Debug, Default)]
pub struct Entry<'a> {
    /// Joins the lines of one request.
    pub request_id: &'a str,
    /// The MCP method, or the HTTP method and path of a request that did not get so far.
    pub method: &'a str,
    /// The bridge.
    pub bridge: Option<&'a str>,
    /// The tool, the URI of the resource or the name of the prompt.
    pub subject: Option<&'a str>,
    /// The hash of the tool's definition, as the model saw it.
    pub definition: Option<&'a str>,
    /// Who called, if that is known.
    pub who: Option<&'a Principal>,
    /// The claims that the request was made from, by their names under `claims:`.
    pub claims: Vec<(&'a str, &'a Value)>,
    /// The arguments, when the tool asks for that.
    pub arguments: Option<&'a Map<String, Value>>,
    /// `allowed`, `denied`, `failed` and the like.
    pub decision: &'a str,
    /// Why, if it was not allowed.
    pub reason: Option<String>,
    /// The HTTP status of the API's answer.
    pub upstream_status: Option<u16>,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u128,
}

/// A line could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit trail can't be written")]
pub struct Unwritten;

// === impl Audit ===

impl Audit {
    /// Opens the trail.
    ///
    /// # Errors
    /// Returns why the file can't be opened.
    pub fn open(settings: AuditSettings) -> io::Result<Self> {
        let file = open(&settings.target)?;
        let key =
            settings.hash_key.as_ref().map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.expose_secret().as_bytes()));
        Ok(Self { settings, sink: Mutex::new(Sink { file, is_broken: false }), key })
    }

    /// Closes the file and opens it again under its name, after somebody has renamed it.
    pub fn reopen(&self) {
        let mut sink = self.sink();
        match open(&self.settings.target) {
            Ok(file) => {
                *sink = Sink { file, is_broken: false };
                info!("The audit trail was opened again.");
            }
            Err(error) => error!(%error, "The audit trail can't be opened again; the old file is still written to."),
        }
    }

    /// Whether a line can be written, as far as that is known: asked before anything is sent. After a line was lost, the
    /// trail begins again with one that says so.
    ///
    /// # Errors
    /// Returns [`Unwritten`] when the last line was lost, the trail still can't be written, and that must not be.
    pub fn ready(&self) -> Result<(), Unwritten> {
        let is_broken = self.sink().is_broken;
        if !is_broken || self.settings.on_failure == OnFailure::Warn {
            return Ok(());
        }
        if let Ok(file) = open(&self.settings.target) {
            self.sink().file = file;
        }
        let reason = "earlier lines could not be written".to_owned();
        self.record(&Entry { method: "-", decision: "resumed", reason: Some(reason), ..Entry::default() })
    }

    /// Writes a line.
    ///
    /// # Errors
    /// Returns [`Unwritten`] when that fails and must not.
    pub fn record(&self, entry: &Entry<'_>) -> Result<(), Unwritten> {
        let mut line = escaped(&self.line(entry).to_string());
        line.push('\n');
        let mut sink = self.sink();
        let written = match &mut sink.file {
            Some(file) => file.write_all(line.as_bytes()),
            None => io::stderr().lock().write_all(line.as_bytes()),
        };
        sink.is_broken = written.is_err();
        drop(sink);
        written.or_else(|error| {
            error!(%error, "The audit trail can't be written.");
            self.settings.on_failure.into_result()
        })
    }

    fn line(&self, entry: &Entry<'_>) -> Value {
        let Entry {
            request_id,
            method,
            bridge,
            subject,
            definition,
            who,
            claims,
            arguments,
            decision,
            reason,
            upstream_status,
            elapsed_ms,
        } = entry;
        let token = who.map(|who| who.claims().as_map());
        let said = |names: &[&str]| -> Option<Value> {
            let found = names.iter().find_map(|name| token?.get(*name)?.as_str());
            found.map(|text| short(text).into())
        };
        let mut line = Map::new();
        let mut add = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                line.insert(name.to_owned(), value);
            }
        };
        add("time", Some(jiff::Timestamp::now().to_string().into()));
        add("request_id", Some((*request_id).into()));
        add("method", Some(short(method).into()));
        add("decision", Some((*decision).into()));
        add("reason", reason.as_deref().map(|reason| short(reason).into()));
        add("sub", said(&["sub"]).map(|sub| self.person(&sub)));
        let claims: Map<String, Value> =
            claims.iter().map(|(name, value)| ((*name).to_owned(), self.person(value))).collect();
        add("claims", (!claims.is_empty()).then(|| claims.into()));
        add("client_id", said(&["client_id", "cid"]));
        add("iss", said(&["iss"]));
        add("jti", said(&["jti"]));
        add("bridge", bridge.map(Into::into));
        add("subject", subject.map(|subject| short(subject).into()));
        add("definition", definition.map(Into::into));
        add("arguments", arguments.map(|arguments| arguments.clone().into()));
        add("upstream_status", upstream_status.map(Into::into));
        add("elapsed_ms", Some(json!(u64::try_from(*elapsed_ms).unwrap_or(u64::MAX))));
        line.into()
    }

    /// What names a person: as it is, or as a keyed hash.
    fn person(&self, value: &Value) -> Value {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match &self.key {
            None => short(&text).into(),
            Some(key) => {
                let tag = hmac::sign(key, text.as_bytes());
                let mut hash = "hmac:".to_owned();
                for byte in tag.as_ref().iter().take(16) {
                    let _ = write!(hash, "{byte:02x}");
                }
                hash.into()
            }
        }
    }

    fn sink(&self) -> MutexGuard<'_, Sink> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl OnFailure ===

impl OnFailure {
    fn into_result(self) -> Result<(), Unwritten> {
        match self {
            Self::Block => Err(Unwritten),
            Self::Warn => Ok(()),
        }
    }
}

fn open(target: &Target) -> io::Result<Option<File>> {
    match target {
        Target::Stderr => Ok(None),
        Target::File(path) => append(path).map(Some),
    }
}

/// Readable by its owner alone: it says who did what.
fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn short(text: &str) -> String {
    let end = text.char_indices().map(|(at, it)| at + it.len_utf8()).take_while(|end| *end <= MAX_TEXT).last();
    match end {
        Some(end) if end < text.len() => format!("{}…", text.get(..end).unwrap_or_default()),
        _ => text.to_owned(),
    }
}

/// JSON with invisible and direction-changing characters written as `\u…`; controls are already.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut units = [0; 2];
    for it in json.chars() {
        if it.is_ascii() || !is_trick(it) {
            text.push(it);
        } else {
            for unit in it.encode_utf16(&mut units) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}
