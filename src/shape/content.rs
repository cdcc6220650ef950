//! `content`: which kinds of content a result is made of.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::{Content, Embedded};
use crate::template::{Leaf, Scope, TemplateError, Templates};

/// What kind of content a result is.
#[derive(Debug, Default)]
pub enum ContentRule {
    /// By the media type of the answer.
    #[default]
    Auto,
    /// JSON.
    Json,
    /// Text, whatever the media type.
    Text,
    /// An image.
    Image,
    /// A sound.
    Audio,
    /// Bytes.
    Blob,
    /// Pieces made of templates.
    Parts(Vec<Part>),
}

/// A piece of content made of templates.
#[derive(Debug)]
pub enum Part {
    /// Text.
    Text(Leaf),
    /// An image as base64, and its media type.
    Image(Leaf, String),
    /// A sound as base64, and its media type.
    Audio(Leaf, String),
    /// A resource with its content.
    Resource {
        /// Its URI.
        uri: Leaf,
        /// Its media type.
        mime_type: Option<String>,
        /// Its text, or its bytes as base64.
        body: PartBody,
    },
    /// A resource that the client may read.
    Link {
        /// Its URI.
        uri: Leaf,
        /// Its name; by default the last part of the URI.
        name: Option<String>,
        /// What it holds.
        description: Option<String>,
        /// Its media type.
        mime_type: Option<String>,
    },
}

/// What an embedded resource holds.
#[derive(Debug)]
pub enum PartBody {
    /// Text.
    Text(Leaf),
    /// Bytes, as base64.
    Blob(Leaf),
}

/// Why a piece can't be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartError {
    /// A template failed.
    Template(TemplateError),
    /// Words for the model: what came is not what the piece is for.
    Unfit(String),
}

// === impl Part ===

impl Part {
    /// Makes the piece; `None` when it needs a value that is not there.
    ///
    /// # Errors
    /// Returns a [`PartError`] when a template fails, or what should be base64 is not.
    pub fn render(&self, templates: &Templates, scope: &Scope) -> Result<Option<Content>, PartError> {
        let text = |leaf: &Leaf| match templates.text(leaf, scope) {
            Ok(text) => Ok(Some(text)),
            Err(TemplateError::Undefined(_)) => Ok(None),
            Err(error) => Err(PartError::Template(error)),
        };
        let bytes = |leaf: &Leaf| text(leaf)?.map(|text| decode(&text)).transpose();
        Ok(match self {
            Self::Text(leaf) => text(leaf)?.map(Content::Text),
            Self::Image(leaf, mime_type) => {
                bytes(leaf)?.map(|data| Content::Image { mime_type: mime_type.clone(), data })
            }
            Self::Audio(leaf, mime_type) => {
                bytes(leaf)?.map(|data| Content::Audio { mime_type: mime_type.clone(), data })
            }
            Self::Resource { uri, mime_type, body } => {
                let body = match body {
                    PartBody::Text(leaf) => text(leaf)?.map(Embedded::Text),
                    PartBody::Blob(leaf) => bytes(leaf)?.map(Embedded::Blob),
                };
                match (text(uri)?, body) {
                    (Some(uri), Some(body)) => {
                        Some(Content::Resource { uri: Some(uri), mime_type: mime_type.clone(), body })
                    }
                    _ => None,
                }
            }
            Self::Link { uri, name, description, mime_type } => text(uri)?.map(|uri| Content::Link {
                name: name.clone().unwrap_or_else(|| last_part(&uri)),
                description: description.clone(),
                mime_type: mime_type.clone(),
                uri,
            }),
        })
    }
}

/// Bytes from base64, in one line or many, with or without a `data:` prefix.
fn decode(text: &str) -> Result<Bytes, PartError> {
    let payload = match text.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) {
        Some((_, payload)) => payload,
        None => text,
    };
    let compact: String = payload.split_ascii_whitespace().collect();
    STANDARD
        .decode(compact)
        .map(Bytes::from)
        .map_err(|_| PartError::Unfit("The API's answer has something else where base64 was expected".to_owned()))
}

fn last_part(uri: &str) -> String {
    uri.rsplit('/').find(|part| !part.is_empty()).unwrap_or(uri).to_owned()
}
