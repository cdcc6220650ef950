//! `ask`, `confirm` and `requires`: what has to be known of the user or the client before a call.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::Compiler;
use super::text::{Members, Names};
use crate::catalog::{Capability, Question, QuestionKind};
use crate::config::bridge::{AskSpec, CapabilitySpec};
use crate::config::yaml::Cursor;
use crate::diag::Code;
use crate::json_schema::{Checker, InvalidPart};

/// The name of the question that `confirm` is.
const CONFIRM: &str = "confirm";

// === impl Compiler ===

impl Compiler<'_> {
    /// Compiles the questions of a tool or prompt. `names` is what its templates can use besides answers.
    pub(super) fn questions(
        &mut self,
        at: &Cursor<'_>,
        written: &IndexMap<String, AskSpec>,
        confirm: Option<&str>,
        names: &dyn Fn() -> Names,
        claims: &mut BTreeSet<String>,
    ) -> Vec<Question> {
        let mut questions: Vec<Question> = Vec::new();
        for (name, spec) in written {
            let at = at.get("ask").get(name);
            let first_fits = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !first_fits || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                self.push(at.key_error(
                    Code::InvalidName,
                    format!("`{name}` can't be the name of a question"),
                    "letters, digits and `_`, so that a template can say `{{ answers.name }}`",
                ));
            }
            if name == CONFIRM && confirm.is_some() {
                self.push(at.key_error(
                    Code::DuplicateName,
                    "two questions are named `confirm`",
                    "the other is the tool's own `confirm:`",
                ));
                continue;
            }
            // Only what was asked before has an answer.
            let asked: Vec<String> = questions.iter().map(|question| question.name.clone()).collect();
            let names = || names().with("answers", Members::Known(asked.clone()));
            let mut used = BTreeSet::new();
            let when = spec.when.as_ref().and_then(|when| {
                let leaf = self.condition(&at.get("when"), when, &names(), claims)?;
                used.extend(self.templates.variables(&leaf));
                Some(leaf)
            });
            let kind = self.question_kind(&at, spec, &names(), claims, &mut used);
            let after = asked.iter().filter(|asked| uses(&used, asked)).cloned().collect();
            questions.extend(kind.map(|kind| Question {
                name: name.clone(),
                kind,
                required: spec.required.unwrap_or(true),
                when,
                after,
            }));
        }
        if let Some(confirm) = confirm {
            let asked: Vec<String> = questions.iter().map(|question| question.name.clone()).collect();
            let names = names().with("answers", Members::Known(asked.clone()));
            let schema = Map::from_iter([("type".to_owned(), json!("object")), ("properties".to_owned(), json!({}))]);
            let check = Checker::compile(&Value::Object(schema.clone())).ok();
            let message = self.leaf(&at.get("confirm"), confirm, &names, claims);
            if let (Some(message), Some(check)) = (message, check) {
                questions.push(Question {
                    name: CONFIRM.to_owned(),
                    kind: QuestionKind::Form { message, schema, check },
                    required: true,
                    when: None,
                    // Asked last, about all that is known.
                    after: asked,
                });
            }
        }
        questions
    }

    fn question_kind(
        &mut self,
        at: &Cursor<'_>,
        spec: &AskSpec,
        names: &Names,
        claims: &mut BTreeSet<String>,
        used: &mut BTreeSet<String>,
    ) -> Option<QuestionKind> {
        let AskSpec { message, schema, url, sample, roots, when: _, required: _ } = spec;
        let mut leaf = |this: &mut Self, key: &str, text: &str| {
            let leaf = this.leaf(&at.get(key), text, names, claims)?;
            used.extend(this.templates.variables(&leaf));
            Some(leaf)
        };
        let one_thing = "a question is exactly one of `schema`, `url`, `sample` and `roots`";
        match (schema, url, sample, roots) {
            (Some(_), None, None, None) | (None, Some(_), None, None) => {}
            (None, None, Some(_), None) | (None, None, None, Some(_)) => {
                if message.is_some() {
                    self.push(at.get("message").key_error(
                        Code::InvalidQuestion,
                        "nobody reads the `message` of this question",
                        "drop it",
                    ));
                }
            }
            (None, None, None, None) => {
                let finding = at.key_error(Code::InvalidQuestion, one_thing, "what is asked here?");
                self.push(finding.help("`confirm: \"…?\"` is a question without fields"));
                return None;
            }
            _ => {
                self.push(at.key_error(Code::InvalidQuestion, one_thing, "this is several"));
                return None;
            }
        }
        if let Some(sample) = sample {
            return Some(QuestionKind::Sample(leaf(self, "sample", sample)?));
        }
        if roots.is_some() {
            return Some(QuestionKind::Roots);
        }
        let Some(message) = message else {
            self.push(at.key_error(Code::MissingKey, "this question has no `message`", "what does the user read?"));
            return None;
        };
        let message = leaf(self, "message", message);
        if let Some(url) = url {
            let url = leaf(self, "url", url);
            return Some(QuestionKind::Page { message: message?, url: url? });
        }
        let schema = schema.clone().unwrap_or_default();
        let check = self.question_form(&at.get("schema"), &schema);
        Some(QuestionKind::Form { message: message?, schema, check: check? })
    }

    /// A form has fields of plain types, one level deep (MCP, elicitation, "Requested schema").
    fn question_form(&mut self, at: &Cursor<'_>, schema: &Map<String, Value>) -> Option<Checker> {
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            self.push(at.key_error(
                Code::InvalidSchema,
                "the fields of a form are the properties of an object",
                "write `type: object` and `properties`",
            ));
            return None;
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        let mut fits = true;
        for (name, property) in properties.into_iter().flatten() {
            if !is_field(property) {
                fits = false;
                self.push(at.get("properties").get(name).error(
                    Code::InvalidSchema,
                    format!("`{name}` can't be a field of a form"),
                    "a text, number, boolean, one of several texts, or a list of them",
                ));
            }
        }
        if !fits {
            return None;
        }
        match Checker::compile(&Value::Object(schema.clone())) {
            Ok(check) => Some(check),
            Err(InvalidPart { pointer, why }) => {
                let at = super::parameter::descend(at, &pointer);
                self.push(at.error(Code::InvalidSchema, "the schema of the form is not valid", why));
                None
            }
        }
    }
}

/// Whether clients can show a field for a schema.
fn is_field(schema: &Value) -> bool {
    match schema.get("type").and_then(Value::as_str) {
        Some("string" | "number" | "integer" | "boolean") => true,
        Some("array") => {
            let items = schema.get("items");
            let has = |key: &str| items.is_some_and(|items| items.get(key).is_some_and(Value::is_array));
            has("enum") || has("anyOf")
        }
        _ => false,
    }
}

fn uses(variables: &BTreeSet<String>, question: &str) -> bool {
    variables.iter().any(|variable| {
        variable == "answers" || {
            let rest = variable.strip_prefix("answers.").unwrap_or_default();
            rest.split('.').next() == Some(question)
        }
    })
}

pub(super) fn capability(written: CapabilitySpec) -> Capability {
    match written {
        CapabilitySpec::Elicitation => Capability::Form,
        CapabilitySpec::ElicitationUrl => Capability::Page,
        CapabilitySpec::Sampling => Capability::Sampling,
        CapabilitySpec::Roots => Capability::Roots,
        CapabilitySpec::Tasks => Capability::Tasks,
    }
}
