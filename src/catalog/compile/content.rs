//! Pieces of content made of templates: of a tool's result, and of a prompt's messages.

use std::collections::BTreeSet;

use super::Compiler;
use super::text::Names;
use crate::config::bridge::{ContentPartSpec, EmbeddedSpec};
use crate::config::yaml::Cursor;
use crate::diag::Code;
use crate::shape::{Part, PartBody};

// === impl Compiler ===

impl Compiler<'_> {
    pub(super) fn content_part(
        &mut self,
        at: &Cursor<'_>,
        spec: &ContentPartSpec,
        names: &Names,
        claims: &mut BTreeSet<String>,
    ) -> Option<Part> {
        let ContentPartSpec { text, image, audio, resource, link, mime_type, name, description } = spec;
        let part = match (text, image, audio, resource, link) {
            (Some(text), None, None, None, None) => Part::Text(self.leaf(&at.get("text"), text, names, claims)?),
            (None, Some(image), None, None, None) => {
                let media_type = self.named_media_type(at, mime_type.as_ref(), "image");
                Part::Image(self.leaf(&at.get("image"), image, names, claims)?, media_type?)
            }
            (None, None, Some(audio), None, None) => {
                let media_type = self.named_media_type(at, mime_type.as_ref(), "audio");
                Part::Audio(self.leaf(&at.get("audio"), audio, names, claims)?, media_type?)
            }
            (None, None, None, Some(resource), None) => {
                self.embedded(&at.get("resource"), resource, mime_type.as_ref(), names, claims)?
            }
            (None, None, None, None, Some(link)) => Part::Link {
                uri: self.leaf(&at.get("link"), link, names, claims)?,
                name: name.clone(),
                description: description.clone(),
                mime_type: mime_type.clone(),
            },
            _ => {
                self.push(at.error(
                    Code::InvalidContent,
                    "a piece of content is exactly one of `text`, `image`, `audio`, `resource` and `link`",
                    "what is this piece?",
                ));
                return None;
            }
        };
        if link.is_none() {
            for (key, value) in [("name", name), ("description", description)] {
                if value.is_some() {
                    self.push(at.get(key).key_error(
                        Code::ConflictingKeys,
                        format!("only a `link` has a `{key}`"),
                        "drop it",
                    ));
                }
            }
        }
        Some(part)
    }

    fn named_media_type(&mut self, at: &Cursor<'_>, written: Option<&String>, kind: &str) -> Option<String> {
        let fits = |text: &&String| text.starts_with(&format!("{kind}/"));
        let found = written.filter(fits);
        if found.is_none() {
            let (at, label) = match written {
                Some(_) => (at.get("mime_type"), format!("it begins with `{kind}/`")),
                None => (at.get(kind), format!("add `mime_type: {kind}/…`")),
            };
            self.push(at.error(Code::InvalidContent, format!("which kind of `{kind}` is this?"), label));
        }
        found.cloned()
    }

    fn embedded(
        &mut self,
        at: &Cursor<'_>,
        spec: &EmbeddedSpec,
        outer: Option<&String>,
        names: &Names,
        claims: &mut BTreeSet<String>,
    ) -> Option<Part> {
        let EmbeddedSpec { uri, text, blob, mime_type } = spec;
        let uri = self.leaf(&at.get("uri"), uri, names, claims);
        let body = match (text, blob) {
            (Some(text), None) => PartBody::Text(self.leaf(&at.get("text"), text, names, claims)?),
            (None, Some(blob)) => PartBody::Blob(self.leaf(&at.get("blob"), blob, names, claims)?),
            (Some(_), Some(_)) | (None, None) => {
                self.push(at.error(
                    Code::InvalidContent,
                    "an embedded resource has exactly one of `text` and `blob`",
                    "what does it hold?",
                ));
                return None;
            }
        };
        Some(Part::Resource { uri: uri?, mime_type: mime_type.as_ref().or(outer).cloned(), body })
    }
}
