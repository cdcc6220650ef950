//! What becomes of an answer: replies to results. Pure; a reply's bytes are looked into only when a tool asks for it.

mod content;
mod cut;
mod errors;
mod hidden;
mod job;
mod pages;
mod redact;
mod select;

use bytes::Bytes;
use http::{HeaderMap, header};
use serde_json::{Map, Value};

use crate::json_schema::Checker;
use crate::template::{Leaf, Scope, TemplateError, Templates};

pub use content::{ContentRule, Part, PartBody, PartError};
pub use errors::{Errors, StatusRange};
pub use hidden::Hidden;
pub use job::{JobRules, Stage, location};
pub use pages::{Following, Gathered, Next, Pages};
pub use redact::Redact;
pub use select::{Select, SelectError};

/// The API's answer, as it came.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
    /// How many pages are in the body, when there are more that were not asked for.
    pub pages_left_out: Option<usize>,
}

/// The result of a call, as the model gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The parts of the result.
    pub content: Vec<Content>,
    /// The result as data, for a tool with an output schema.
    pub structured: Option<Value>,
    /// Whether the call failed in a way that the model should read about.
    pub is_error: bool,
    /// The HTTP status of the API's answer, if it was asked.
    pub status: Option<u16>,
}

/// A part of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Text, JSON included.
    Text(String),
    /// An image.
    Image {
        /// The media type, such as `image/png`.
        mime_type: String,
        /// The bytes of the image.
        data: Bytes,
    },
    /// A sound.
    Audio {
        /// The media type, such as `audio/wav`.
        mime_type: String,
        /// The bytes of the sound.
        data: Bytes,
    },
    /// A resource with its content.
    Resource {
        /// Its URI; `None` for the answer of the call itself.
        uri: Option<String>,
        /// Its media type.
        mime_type: Option<String>,
        /// What it holds.
        body: Embedded,
    },
    /// A resource that the client may read.
    Link {
        /// Its URI.
        uri: String,
        /// Its name.
        name: String,
        /// What it holds.
        description: Option<String>,
        /// Its media type.
        mime_type: Option<String>,
    },
}

/// What an embedded resource holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Embedded {
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Bytes),
}

/// How the answers of one tool are shaped; made by `catalog::compile`.
#[derive(Debug, Default)]
pub struct Shape {
    /// What nobody sees.
    pub redact: Redact,
    /// What of the body is the result.
    pub select: Option<Select>,
    /// The schema that results fit; it makes results structured.
    pub output: Option<Checker>,
    /// What the model reads instead of the result.
    pub text: Option<Leaf>,
    /// Which kind of content it is.
    pub content: ContentRule,
    /// How much the model gets at most, in bytes.
    pub max_bytes: Option<usize>,
    /// The arguments that can make a result shorter, for the notice about one that was cut.
    pub narrow_by: Vec<String>,
    /// Words for error statuses.
    pub errors: Errors,
    /// What becomes of characters that can't be seen.
    pub hidden: Hidden,
}

/// The values of a call that a response template can see besides the reply.
pub type Values<'a> = &'a dyn Fn() -> Map<String, Value>;

// === impl Outcome ===

impl Outcome {
    /// Returns a result of one text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::of(vec![Content::Text(text.into())])
    }

    /// Returns a failed result with words for the model.
    #[must_use]
    pub fn error(text: impl Into<String>) -> Self {
        Self { content: vec![Content::Text(text.into())], structured: None, is_error: true, status: None }
    }

    fn of(content: Vec<Content>) -> Self {
        Self { content, structured: None, is_error: false, status: None }
    }
}

// === impl Shape ===

impl Shape {
    /// Turns a reply into a result.
    ///
    /// # Errors
    /// Returns a [`TemplateError`] when a template of the response can't be made from this reply.
    pub fn apply(&self, reply: &Reply, templates: &Templates, values: Values<'_>) -> Result<Outcome, TemplateError> {
        let outcome = if (200..300).contains(&reply.status) {
            match self.shaped(reply, templates, values) {
                Ok(outcome) => outcome,
                Err(PartError::Unfit(words)) => Outcome::error(words),
                Err(PartError::Template(error)) => return Err(error),
            }
        } else {
            Outcome::error(self.error(reply, templates, values))
        };
        Ok(Outcome { status: Some(reply.status), ..self.hidden.clean(outcome) })
    }

    /// The result of a job that has failed, by what the API says about it.
    #[must_use]
    pub fn failed(&self, reply: &Reply) -> Outcome {
        let mut body = reply.json();
        if let Some(body) = &mut body {
            self.redact.apply(body);
        }
        let outcome = self.hidden.clean(Outcome::error(self.errors.failed(body.as_ref())));
        Outcome { status: Some(reply.status), ..outcome }
    }

    /// Gives the result of a tool without an endpoint.
    ///
    /// # Errors
    /// Returns a [`TemplateError`] when `response.text` or `response.content` can't be made.
    pub fn answer(&self, templates: &Templates, values: Values<'_>) -> Result<Outcome, TemplateError> {
        let scope = Scope::new(&values());
        match (&self.text, &self.content) {
            (_, ContentRule::Parts(parts)) => match self.parts(parts, templates, &scope) {
                Ok(content) => Ok(Outcome::of(content)),
                Err(PartError::Unfit(words)) => Ok(Outcome::error(words)),
                Err(PartError::Template(error)) => Err(error),
            },
            (Some(leaf), _) => templates.text(leaf, &scope).map(Outcome::text),
            (None, _) => Ok(Outcome::text("")),
        }
    }

    fn error(&self, reply: &Reply, templates: &Templates, values: Values<'_>) -> String {
        let mut body = reply.json();
        if let Some(body) = &mut body {
            self.redact.apply(body);
        }
        let seen = body.clone().unwrap_or_else(|| self.text_of(reply).into());
        let scope = || reply.scope(values, seen.clone(), seen.clone());
        self.errors.words(reply.status, body.as_ref(), templates, &scope)
    }

    fn shaped(&self, reply: &Reply, templates: &Templates, values: Values<'_>) -> Result<Outcome, PartError> {
        let is_long = self.max_bytes.is_some_and(|limit| reply.body.len() > limit);
        let needs_json = self.needs_json();
        let mut body = if needs_json || is_long || self.has_template() { reply.json() } else { None };
        if needs_json && body.is_none() && !reply.body.is_empty() {
            return Err(PartError::Unfit("The API's answer is not JSON".to_owned()));
        }
        if let Some(body) = &mut body {
            self.redact.apply(body);
        }
        let mut result = match &self.select {
            None => body.clone(),
            Some(select) => {
                let body = body.as_ref().unwrap_or(&Value::Null);
                let found = select
                    .apply(body)
                    .map_err(|why| PartError::Unfit(format!("The API's answer is not what `select` is for: {why}")))?;
                Some(found)
            }
        };
        if let Some(output) = &self.output {
            let faults = output.faults(result.as_ref().unwrap_or(&Value::Null));
            if !faults.is_empty() {
                return Err(PartError::Unfit(format!(
                    "The API's answer is not what this tool promises: {}",
                    faults.join("; ")
                )));
            }
        }
        let scope = self.has_template().then(|| {
            let text = || Value::from(self.text_of(reply));
            let body = body.unwrap_or_else(text);
            let result = result.clone().unwrap_or_else(|| body.clone());
            reply.scope(values, body, result)
        });

        let mut notices: Vec<String> = reply
            .pages_left_out
            .map(|pages| format!("showing the first {pages} pages; there are more"))
            .into_iter()
            .collect();
        if let (Some(limit), Some(result)) = (self.max_bytes, &mut result)
            && (!self.has_template() || self.output.is_some())
        {
            let notice = cut::value(result, limit, &self.narrow_by).map_err(PartError::Unfit)?;
            // Of a result that the model reads through a template, the template speaks.
            notices.extend(notice.filter(|_| !self.has_template()));
        }
        let structured = if self.output.is_some() { result.clone() } else { None };
        let mut content = match (&self.content, &self.text, &scope) {
            (ContentRule::Parts(parts), _, Some(scope)) => self.parts(parts, templates, scope)?,
            (_, Some(leaf), Some(scope)) => {
                let text = templates.text(leaf, scope).map_err(PartError::Template)?;
                vec![self.short(Content::Text(text), &mut notices)]
            }
            _ => vec![self.plain(reply, result, &mut notices)?],
        };
        content.extend(notices.into_iter().map(Content::Text));
        Ok(Outcome { content, structured, is_error: false, status: None })
    }

    fn parts(&self, parts: &[Part], templates: &Templates, scope: &Scope) -> Result<Vec<Content>, PartError> {
        let mut content = Vec::with_capacity(parts.len());
        let mut notices = Vec::new();
        for part in parts {
            content.extend(part.render(templates, scope)?.map(|piece| self.short(piece, &mut notices)));
        }
        content.extend(notices.into_iter().map(Content::Text));
        Ok(content)
    }

    /// The result, or the answer as it is, in one piece.
    fn plain(&self, reply: &Reply, result: Option<Value>, notices: &mut Vec<String>) -> Result<Content, PartError> {
        let is = |kind: &str| reply.media_type().starts_with(kind);
        let unfit = |what: &str| PartError::Unfit(format!("The API's answer is not {what}"));
        let data = || (reply.media_type(), reply.body.clone());
        match &self.content {
            ContentRule::Image if !is("image/") => Err(unfit("an image")),
            ContentRule::Audio if !is("audio/") => Err(unfit("a sound")),
            ContentRule::Image => {
                let (mime_type, data) = data();
                Ok(Content::Image { mime_type, data })
            }
            ContentRule::Audio => {
                let (mime_type, data) = data();
                Ok(Content::Audio { mime_type, data })
            }
            ContentRule::Blob => {
                let (mime_type, data) = data();
                let mime_type = if mime_type.is_empty() { "application/octet-stream".to_owned() } else { mime_type };
                Ok(Content::Resource { uri: None, mime_type: Some(mime_type), body: Embedded::Blob(data) })
            }
            ContentRule::Text => match result {
                Some(Value::String(text)) => Ok(self.short(Content::Text(text), notices)),
                Some(result) if self.looks_inside() => Ok(Content::Text(result.to_string())),
                _ => Ok(self.short(Content::Text(self.text_of(reply)), notices)),
            },
            ContentRule::Auto | ContentRule::Json | ContentRule::Parts(_) => match result {
                Some(Value::Null) | None if reply.body.is_empty() => Ok(reply.content()),
                Some(result) if self.looks_inside() => Ok(Content::Text(result.to_string())),
                _ => Ok(self.short(reply.content(), notices)),
            },
        }
    }

    /// Whether the result is something else than the bytes of the body.
    fn looks_inside(&self) -> bool {
        self.needs_json() || self.max_bytes.is_some()
    }

    fn needs_json(&self) -> bool {
        !self.redact.is_empty()
            || self.select.is_some()
            || self.output.is_some()
            || matches!(self.content, ContentRule::Json)
    }

    fn has_template(&self) -> bool {
        self.text.is_some() || matches!(self.content, ContentRule::Parts(_))
    }

    /// Text is cut to what the model gets at most; other kinds are whole or not at all.
    fn short(&self, content: Content, notices: &mut Vec<String>) -> Content {
        match (content, self.max_bytes) {
            (Content::Text(mut text), Some(limit)) => {
                notices.extend(cut::text(&mut text, limit, &self.narrow_by));
                Content::Text(text)
            }
            (content, _) => content,
        }
    }

    /// The body as text; hidden as a whole when something in it is to be hidden and can't be told apart.
    fn text_of(&self, reply: &Reply) -> String {
        if self.redact.is_empty() { String::from_utf8_lossy(&reply.body).into_owned() } else { String::new() }
    }
}

// === impl Reply ===

impl Reply {
    /// The media type without parameters, in lower case; empty when the API names none.
    #[must_use]
    pub fn media_type(&self) -> String {
        self.headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .map(|value| value.trim().to_ascii_lowercase())
            .unwrap_or_default()
    }

    /// The body as JSON; `None` when it is something else.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// What a template sees: `status`, `headers`, `body` (JSON, or else text), `result`, and the values of the call.
    fn scope(&self, values: Values<'_>, body: Value, result: Value) -> Scope {
        let mut scope = values();
        scope.insert("status".to_owned(), self.status.into());
        let mut headers = Map::new();
        for (name, value) in &self.headers {
            if *name == header::SET_COOKIE {
                continue;
            }
            if let Ok(text) = value.to_str() {
                headers.insert(name.as_str().to_owned(), text.into());
            }
        }
        scope.insert("headers".to_owned(), headers.into());
        scope.insert("result".to_owned(), result);
        scope.insert("body".to_owned(), body);
        Scope::new(&scope)
    }

    /// The body as the kind of content that its media type says it is.
    fn content(&self) -> Content {
        let mime_type = self.media_type();
        let data = self.body.clone();
        if mime_type.starts_with("image/") && !mime_type.starts_with("image/svg") {
            return Content::Image { mime_type, data };
        }
        if mime_type.starts_with("audio/") {
            return Content::Audio { mime_type, data };
        }
        if self.body.is_empty() {
            return Content::Text(format!("The API answered {} without content.", self.status));
        }
        if let Ok(text) = String::from_utf8(data.to_vec()) {
            return Content::Text(text);
        }
        let mime_type = if mime_type.is_empty() { "application/octet-stream".to_owned() } else { mime_type };
        Content::Resource { uri: None, mime_type: Some(mime_type), body: Embedded::Blob(data) }
    }
}
