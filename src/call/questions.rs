//! `ask` and `confirm`: which questions come before a call, and what an answer to them is worth. Nothing goes on before they
//! are answered, whoever calls.

use serde_json::{Map, Value};

use super::CallError;
use super::prepare::template_failure;
use crate::catalog::{Answers, Capability, Question, QuestionKind};
use crate::shape::Hidden;
use crate::template::{Leaf, Scope, Templates};

/// The longest text that is taken from a client's model, in bytes.
const MAX_SAMPLE: usize = 16 * 1024;

/// A question whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Its name.
    pub name: String,
    /// What is asked.
    pub asked: Asked,
    /// Whether the call is refused without an answer.
    pub required: bool,
}

/// What is asked, in words for whoever answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The user fills in a form.
    Form {
        /// What the user reads.
        message: String,
        /// The fields: a JSON Schema without anything nested.
        schema: Map<String, Value>,
    },
    /// The user opens a page.
    Page {
        /// What the user reads.
        message: String,
        /// The page.
        url: String,
    },
    /// The client's model writes a text.
    Sample(String),
    /// The client says which folders the user works with.
    Roots,
}

/// Finds the questions whose turn it is: not answered yet, and not waiting for the answer of another.
///
/// # Errors
/// Returns [`CallError::Internal`] when a template of one fails.
pub fn pending(
    templates: &Templates,
    questions: &[Question],
    values: &dyn Fn() -> Map<String, Value>,
    answers: &Answers,
) -> Result<Vec<Pending>, CallError> {
    let mut pending = Vec::new();
    if questions.iter().all(|question| answers.has(question)) {
        return Ok(pending);
    }
    let scope = Scope::new(&values());
    let failed = |error| template_failure("a question", &error);
    // What a person reads before agreeing must not look like something else.
    let text = |leaf: &Leaf| {
        let mut text = templates.text(leaf, &scope).map_err(failed)?;
        Hidden::Strip.text(&mut text);
        Ok(text)
    };
    let mut open: Vec<&str> = Vec::new();
    for question in questions.iter().filter(|question| !answers.has(question)) {
        if question.after.iter().any(|name| open.contains(&name.as_str())) {
            open.push(&question.name);
            continue;
        }
        if let Some(when) = &question.when {
            // As for `access`: what is not there makes it false, and what is not a boolean is no condition.
            match templates.value(when, &scope) {
                Ok(Some(Value::Bool(true))) => {}
                Ok(Some(Value::Bool(false)) | None) => continue,
                Ok(Some(_)) => return Err(CallError::internal("a `when` of `ask` is neither true nor false")),
                Err(error) => return Err(failed(error)),
            }
        }
        open.push(&question.name);
        let asked = match &question.kind {
            QuestionKind::Form { message, schema, .. } => {
                Asked::Form { message: text(message)?, schema: schema.clone() }
            }
            QuestionKind::Page { message, url } => Asked::Page { message: text(message)?, url: text(url)? },
            QuestionKind::Sample(prompt) => Asked::Sample(text(prompt)?),
            QuestionKind::Roots => Asked::Roots,
        };
        pending.push(Pending { name: question.name.clone(), asked, required: question.required });
    }
    Ok(pending)
}

/// Takes what a client says to a question (`ElicitResult`, `CreateMessageResult`, `ListRootsResult`). Gives nothing when it
/// is no answer, so that the question is asked again.
///
/// # Errors
/// Returns [`CallError::Declined`] when a required question is declined.
pub fn accept(question: &Question, response: &Value) -> Result<Option<Value>, CallError> {
    let agreed = || match response.get("action").and_then(Value::as_str) {
        Some("accept") => Ok(Some(true)),
        Some("decline" | "cancel") if question.required => Err(CallError::Declined(question.name.clone())),
        Some("decline" | "cancel") => Ok(Some(false)),
        _ => Ok(None),
    };
    Ok(match &question.kind {
        QuestionKind::Form { check, .. } => match agreed()? {
            Some(true) => {
                let content = response.get("content").cloned().unwrap_or_else(|| Value::Object(Map::new()));
                check.faults(&content).is_empty().then_some(content)
            }
            Some(false) => Some(Value::Null),
            None => None,
        },
        QuestionKind::Page { .. } => agreed()?.map(|agreed| if agreed { Value::Bool(true) } else { Value::Null }),
        QuestionKind::Sample(_) => {
            let content = response.get("content");
            // One block, or a list of them.
            let blocks = content.map(|content| content.as_array().map_or(std::slice::from_ref(content), Vec::as_slice));
            let text = blocks.into_iter().flatten().find_map(|block| block.get("text").and_then(Value::as_str));
            text.filter(|text| text.len() <= MAX_SAMPLE).map(Value::from)
        }
        QuestionKind::Roots => response.get("roots").filter(|roots| roots.is_array()).cloned(),
    })
}

/// The questions in words, for whoever can't be asked.
pub(super) fn listed(pending: &[Pending]) -> String {
    let words = pending.iter().map(|pending| {
        let said = match &pending.asked {
            Asked::Form { message, .. } | Asked::Page { message, .. } | Asked::Sample(message) => message,
            Asked::Roots => "which folders?",
        };
        format!("`{}`: {said}", pending.name)
    });
    format!("To be answered first: {}", words.collect::<Vec<_>>().join("; "))
}

// === impl Pending ===

impl Pending {
    /// What a client needs to be able to do for it.
    #[must_use]
    pub fn needs(&self) -> Capability {
        match &self.asked {
            Asked::Form { .. } => Capability::Form,
            Asked::Page { .. } => Capability::Page,
            Asked::Sample(_) => Capability::Sampling,
            Asked::Roots => Capability::Roots,
        }
    }
}
