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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::template::Builder;

    /// A question of each kind that is no form, and the templates that they use.
    fn questions(required: bool) -> (Vec<Question>, Templates) {
        let mut builder = Builder::default();
        let mut leaf = |source: &str| builder.leaf(source).unwrap();
        let kinds = [
            (
                "page",
                QuestionKind::Page { message: leaf("Sign {{ args.n }}"), url: leaf("https://x.example/{{ args.n }}") },
            ),
            ("sample", QuestionKind::Sample(leaf("Sum up {{ args.n }}"))),
            ("roots", QuestionKind::Roots),
        ];
        let question = |(name, kind): (&str, QuestionKind)| Question {
            name: name.to_owned(),
            kind,
            required,
            when: None,
            after: Vec::new(),
        };
        (kinds.into_iter().map(question).collect(), builder.finish())
    }

    fn values() -> Map<String, Value> {
        json!({"args": {"n": 7}}).as_object().unwrap().clone()
    }

    #[test]
    fn each_kind_says_what_is_asked_and_what_it_needs() {
        let (questions, templates) = questions(true);
        let pending = pending(&templates, &questions, &values, &Answers::default()).unwrap();
        let needs: Vec<Capability> = pending.iter().map(Pending::needs).collect();
        assert_eq!(needs, [Capability::Page, Capability::Sampling, Capability::Roots]);
        assert_eq!(
            pending[0].asked,
            Asked::Page { message: "Sign 7".to_owned(), url: "https://x.example/7".to_owned() }
        );
        assert_eq!(pending[1].asked, Asked::Sample("Sum up 7".to_owned()));
        let words = "To be answered first: `page`: Sign 7; `sample`: Sum up 7; `roots`: which folders?";
        assert_eq!(listed(&pending), words);
    }

    #[test]
    fn only_an_answer_of_its_kind_is_one() {
        let (all, _) = questions(true);
        let [page, sample, roots] = all.as_slice() else { panic!("three questions") };
        let long = "x".repeat(MAX_SAMPLE + 1);
        for (question, response, expected) in [
            (page, json!({"action": "accept"}), Some(json!(true))),
            (page, json!({"action": "maybe"}), None),
            (page, json!({}), None),
            (sample, json!({"content": {"type": "text", "text": "A"}}), Some(json!("A"))),
            (sample, json!({"content": [{"type": "image"}, {"type": "text", "text": "B"}]}), Some(json!("B"))),
            (sample, json!({"content": {"type": "text", "text": &long[1..]}}), Some(json!(&long[1..]))),
            (sample, json!({"content": {"type": "text", "text": long}}), None),
            (sample, json!({"action": "accept"}), None),
            (roots, json!({"roots": []}), Some(json!([]))),
            (roots, json!({"roots": "all"}), None),
        ] {
            assert_eq!(accept(question, &response).unwrap(), expected, "{}: {response}", question.name);
        }
    }

    #[test]
    fn no_ends_the_call_only_where_an_answer_is_required() {
        for action in ["decline", "cancel"] {
            let response = json!({ "action": action });
            assert!(
                matches!(accept(&questions(true).0[0], &response), Err(CallError::Declined(name)) if name == "page")
            );
            assert_eq!(accept(&questions(false).0[0], &response).unwrap(), Some(Value::Null));
        }
    }

    #[test]
    fn a_condition_that_is_none_asks_nobody() {
        let (mut questions, _) = questions(true);
        questions.truncate(1);
        for (when, expected) in
            [("args.n > 5", Ok(1)), ("args.n > 9", Ok(0)), ("args.none", Ok(0)), ("args.n", Err(()))]
        {
            let mut builder = Builder::default();
            questions[0].when = Some(builder.leaf(&format!("{{{{ {when} }}}}")).unwrap());
            questions[0].kind = QuestionKind::Roots;
            let pending = pending(&builder.finish(), &questions, &values, &Answers::default());
            assert_eq!(pending.map(|all| all.len()).map_err(|_| ()), expected, "{when}");
        }
    }
}
