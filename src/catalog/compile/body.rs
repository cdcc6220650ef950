//! `body`: what is sent when it is not simply the parameters as one JSON object.

use std::collections::BTreeSet;

use http::{HeaderValue, Method};
use indexmap::IndexMap;
use serde_json::Value;

use super::text::Names;
use super::{Compiler, Place};
use crate::catalog::{BodyTemplate, Data, FieldContent, FieldTemplate};
use crate::config::bridge::{BodySpec, FieldSpec, PartSpec};
use crate::config::yaml::Cursor;
use crate::diag::Code;

/// The kinds of a body.
const KINDS: &str = "`json`, `form`, `multipart`, `text` and `base64`";

/// Where the templates of a body stand, and what they may use.
struct Templates<'a, 'd> {
    place: &'a Place<'d>,
    names: &'a Names,
    claims: &'a mut BTreeSet<String>,
}

// === impl Compiler ===

impl Compiler<'_> {
    pub(super) fn body(
        &mut self,
        place: &Place<'_>,
        at: &Cursor<'_>,
        spec: &BodySpec,
        method: Option<&Method>,
        names: &Names,
        claims: &mut BTreeSet<String>,
    ) -> Option<BodyTemplate> {
        if method.is_some_and(|method| [Method::GET, Method::HEAD].contains(method)) {
            self.push(at.key_error(
                Code::BodyNotAllowed,
                "a GET or HEAD request has no body",
                "drop `body:`, or use another method",
            ));
            return None;
        }
        let mut templates = Templates { place, names, claims };
        let BodySpec { json, form, multipart, text, base64, content_type } = spec;
        let media_type = self.media_type(&at.get("content_type"), content_type.as_deref());
        let media_type = || media_type.clone();
        match (json, form, multipart, text, base64) {
            (Some(value), None, None, None, None) => {
                let data = self.body_data(&at.get("json"), value, &mut templates)?;
                Some(BodyTemplate::Json(data, media_type()))
            }
            (None, None, None, Some(text), None) => {
                if media_type().is_some_and(|it| is_json(&it)) && is_spliced(text) {
                    self.push(at.get("text").error(
                        Code::BodyConflict,
                        "a JSON body is made of data, not of text",
                        "a quote in a value would change its shape; write it as `json:`",
                    ));
                    return None;
                }
                let data = self.body_data(&at.get("text"), &text.clone().into(), &mut templates)?;
                Some(BodyTemplate::Text(data, media_type()))
            }
            (None, None, None, None, Some(text)) => {
                let data = self.body_data(&at.get("base64"), &text.clone().into(), &mut templates)?;
                Some(BodyTemplate::Base64(data, media_type()))
            }
            (None, Some(fields), None, None, None) => {
                self.own_media_type(at, content_type.as_ref(), "form");
                self.form(&at.get("form"), fields, &mut templates)
            }
            (None, None, Some(fields), None, None) => {
                self.own_media_type(at, content_type.as_ref(), "multipart");
                self.multipart(&at.get("multipart"), fields, &mut templates)
            }
            (None, None, None, None, None) => {
                self.push(at.key_error(Code::BodyConflict, "this body holds nothing", format!("write one of {KINDS}")));
                None
            }
            _ => {
                self.push(at.key_error(
                    Code::BodyConflict,
                    "a body is of exactly one kind",
                    format!("only one of {KINDS} can be sent"),
                ));
                None
            }
        }
    }

    fn own_media_type(&mut self, at: &Cursor<'_>, content_type: Option<&String>, kind: &str) {
        if content_type.is_some() {
            self.push(at.get("content_type").key_error(
                Code::ConflictingKeys,
                format!("`{kind}` has a media type of its own"),
                "drop `content_type`",
            ));
        }
    }

    fn media_type(&mut self, at: &Cursor<'_>, written: Option<&str>) -> Option<String> {
        let written = written?;
        let fits = written.contains('/') && written.is_ascii() && HeaderValue::from_str(written).is_ok();
        if !fits {
            self.push(at.error(
                Code::InvalidValue,
                format!("`{written}` is not a media type"),
                "such as `application/xml` or `image/png`",
            ));
        }
        Some(written.to_owned())
    }

    fn body_data(&mut self, at: &Cursor<'_>, value: &Value, templates: &mut Templates<'_, '_>) -> Option<Data> {
        self.data(at, value, templates.names, templates.place.directory, templates.claims)
    }

    fn form(
        &mut self,
        at: &Cursor<'_>,
        fields: &IndexMap<String, Value>,
        templates: &mut Templates<'_, '_>,
    ) -> Option<BodyTemplate> {
        let mut compiled = Vec::new();
        for (name, value) in fields {
            let at = at.get(name);
            if value.is_object() {
                self.push(at.error(
                    Code::InvalidValue,
                    "a form field can't be an object",
                    "write a single value or a list",
                ));
            }
            compiled.push((name.clone(), self.body_data(&at, value, templates)?));
        }
        Some(BodyTemplate::Form(compiled))
    }

    fn multipart(
        &mut self,
        at: &Cursor<'_>,
        fields: &IndexMap<String, FieldSpec>,
        templates: &mut Templates<'_, '_>,
    ) -> Option<BodyTemplate> {
        let mut compiled = Vec::new();
        for (name, field) in fields {
            let at = at.get(name);
            let value = match field {
                FieldSpec::Text(text) => text.clone().into(),
                FieldSpec::Number(number) => number.clone().into(),
                FieldSpec::Bool(truth) => (*truth).into(),
                FieldSpec::List(items) => items.clone().into(),
                FieldSpec::Part(part) => {
                    compiled.push((name.clone(), self.part(&at, part, templates)?));
                    continue;
                }
            };
            let content = FieldContent::Text(self.body_data(&at, &value, templates)?);
            compiled.push((name.clone(), FieldTemplate { content, filename: None, content_type: None }));
        }
        Some(BodyTemplate::Multipart(compiled))
    }

    fn part(&mut self, at: &Cursor<'_>, spec: &PartSpec, templates: &mut Templates<'_, '_>) -> Option<FieldTemplate> {
        let PartSpec { text, base64, json, filename, content_type } = spec;
        let content = match (text, base64, json) {
            (Some(text), None, None) => {
                FieldContent::Text(self.body_data(&at.get("text"), &text.clone().into(), templates)?)
            }
            (None, Some(text), None) => {
                FieldContent::Base64(self.body_data(&at.get("base64"), &text.clone().into(), templates)?)
            }
            (None, None, Some(value)) => FieldContent::Json(self.body_data(&at.get("json"), value, templates)?),
            _ => {
                self.push(at.key_error(
                    Code::InvalidContent,
                    "a part of a form has exactly one of `text`, `base64` and `json`",
                    "what does this part hold?",
                ));
                return None;
            }
        };
        let filename = match filename {
            None => None,
            Some(text) => Some(self.body_data(&at.get("filename"), &text.clone().into(), templates)?),
        };
        let content_type = self.media_type(&at.get("content_type"), content_type.as_deref());
        Some(FieldTemplate { content, filename, content_type })
    }
}

/// Whether a media type is that of JSON.
fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}

/// Whether a text is put together of words and values. One that is a single value has no shape to be changed.
fn is_spliced(text: &str) -> bool {
    let inner = text.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
    let has_template = |text: &str| text.contains("{{") || text.contains("{%");
    has_template(inner.unwrap_or(text))
}
