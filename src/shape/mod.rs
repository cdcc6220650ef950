//! What becomes of an answer: replies to results. Pure; a reply's bytes are looked into only when a tool asks for it.

mod errors;

use bytes::Bytes;
use http::{HeaderMap, header};
use serde_json::{Map, Value};

use crate::template::{Leaf, Scope, TemplateError, Templates};

pub use errors::Errors;

/// The API's answer, as it came.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
}

/// The result of a call, as the model gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The parts of the result.
    pub content: Vec<Content>,
    /// Whether the call failed in a way that the model should read about.
    pub is_error: bool,
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
    /// Any other bytes.
    Blob {
        /// The media type.
        mime_type: String,
        /// The bytes.
        data: Bytes,
    },
}

/// How the answers of one tool are shaped; made by `catalog::compile`.
#[derive(Debug, Default)]
pub struct Shape {
    /// What the model reads instead of the body.
    pub text: Option<Leaf>,
    /// Words for error statuses.
    pub errors: Errors,
}

/// The values of a call that a response template can see besides the reply.
pub type Values<'a> = &'a dyn Fn() -> Map<String, Value>;

// === impl Outcome ===

impl Outcome {
    /// Returns a result of one text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { content: vec![Content::Text(text.into())], is_error: false }
    }

    /// Returns a failed result with words for the model.
    #[must_use]
    pub fn error(text: impl Into<String>) -> Self {
        Self { content: vec![Content::Text(text.into())], is_error: true }
    }
}

// === impl Shape ===

impl Shape {
    /// Turns a reply into a result.
    ///
    /// # Errors
    /// Returns a [`TemplateError`] when `response.text` can't be made from this reply.
    pub fn apply(&self, reply: &Reply, templates: &Templates, values: Values<'_>) -> Result<Outcome, TemplateError> {
        if !(200..300).contains(&reply.status) {
            let scope = || reply.scope(values);
            return Ok(Outcome::error(self.errors.words(reply, templates, &scope)));
        }
        match &self.text {
            Some(leaf) => templates.text(leaf, &reply.scope(values)).map(Outcome::text),
            None => Ok(Outcome { content: vec![reply.content()], is_error: false }),
        }
    }

    /// Gives the result of a tool without an endpoint.
    ///
    /// # Errors
    /// Returns a [`TemplateError`] when `response.text` can't be made.
    pub fn answer(&self, templates: &Templates, values: Values<'_>) -> Result<Outcome, TemplateError> {
        match &self.text {
            Some(leaf) => templates.text(leaf, &Scope::new(&values())).map(Outcome::text),
            None => Ok(Outcome::text("")),
        }
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

    /// What a template sees: `status`, `headers`, `body` (JSON, or else text), and the values of the call.
    fn scope(&self, values: Values<'_>) -> Scope {
        let mut scope = values();
        scope.insert("status".to_owned(), self.status.into());
        let mut headers = Map::new();
        for (name, value) in &self.headers {
            if let Ok(text) = value.to_str() {
                headers.insert(name.as_str().to_owned(), text.into());
            }
        }
        scope.insert("headers".to_owned(), headers.into());
        let body = self.json().unwrap_or_else(|| String::from_utf8_lossy(&self.body).into_owned().into());
        scope.insert("result".to_owned(), body.clone());
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
        match String::from_utf8(data.to_vec()) {
            Ok(text) => Content::Text(text),
            Err(_) if mime_type.is_empty() => Content::Blob { mime_type: "application/octet-stream".to_owned(), data },
            Err(_) => Content::Blob { mime_type, data },
        }
    }
}
