//! What the model may pass: the input schema of a tool and the check of arguments against it.

use std::fmt;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::{Map, Value};

use super::{Question, Tool};
use crate::json_schema::{shorten, validator};

/// The input schema of a tool, compiled.
pub struct Input {
    schema: Map<String, Value>,
    defaults: Vec<(String, Value)>,
    validator: Validator,
}

/// Arguments that fit the input schema, defaults filled in, and what was answered to questions. Made only by
/// [`Input::accept`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments {
    given: Map<String, Value>,
    answers: Map<String, Value>,
}

/// What came back to questions, by their names; `null` when one was left unanswered on purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers(pub Map<String, Value>);

/// What is wrong with one argument, in words for the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentError(String);

/// A parameter that the model supplies.
#[derive(Clone, Debug)]
pub struct InputProperty {
    /// The name of the argument.
    pub name: String,
    /// Its JSON Schema.
    pub schema: Value,
    /// Whether it must be there.
    pub required: bool,
    /// Its value when it is not there.
    pub default: Option<Value>,
}

// === impl Input ===

impl Input {
    /// Compiles the input schema of a tool.
    ///
    /// # Errors
    /// Returns the reason when the properties do not make a valid JSON Schema (2020-12).
    pub fn compile(properties: Vec<InputProperty>) -> Result<Self, String> {
        let required: Vec<Value> = properties
            .iter()
            .filter(|property| property.required)
            .map(|property| property.name.clone().into())
            .collect();
        let mut defaults = Vec::new();
        let mut members = Map::new();
        for property in properties {
            defaults.extend(property.default.map(|value| (property.name.clone(), value)));
            members.insert(property.name, property.schema);
        }
        let mut schema = Map::new();
        schema.insert("type".to_owned(), "object".into());
        schema.insert("properties".to_owned(), members.into());
        if !required.is_empty() {
            schema.insert("required".to_owned(), required.into());
        }
        schema.insert("additionalProperties".to_owned(), false.into());
        let validator = validator(&Value::Object(schema.clone())).map_err(|error| error.to_string())?;
        Ok(Self { schema, defaults, validator })
    }

    /// The JSON Schema as the model sees it.
    #[must_use]
    pub fn schema(&self) -> &Map<String, Value> {
        &self.schema
    }

    /// The value of an argument that is not there.
    #[must_use]
    pub fn default(&self, name: &str) -> Option<&Value> {
        self.defaults.iter().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// Checks arguments and fills in defaults.
    ///
    /// # Errors
    /// Returns what is wrong with each argument; an argument that the tool does not declare is refused, not ignored.
    pub fn accept(&self, arguments: Map<String, Value>) -> Result<Arguments, Vec<ArgumentError>> {
        let arguments = Value::Object(arguments);
        let errors: Vec<ArgumentError> =
            self.validator.iter_errors(&arguments).flat_map(|error| self.explain(&error)).collect();
        match arguments {
            Value::Object(mut arguments) if errors.is_empty() => {
                for (name, value) in &self.defaults {
                    if !arguments.contains_key(name) {
                        arguments.insert(name.clone(), value.clone());
                    }
                }
                Ok(Arguments { given: arguments, answers: Map::new() })
            }
            _ => Err(errors),
        }
    }

    fn explain(&self, error: &ValidationError<'_>) -> Vec<ArgumentError> {
        let place = error.instance_path().to_string();
        let name = place.trim_start_matches('/').replace('/', ".");
        let at_top = name.is_empty();
        let words = match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                return unexpected
                    .iter()
                    .map(|extra| {
                        let extra = shorten(extra);
                        if at_top {
                            ArgumentError(format!("unexpected argument `{extra}`; {}", self.takes()))
                        } else {
                            ArgumentError(format!("unexpected member `{extra}` in argument `{name}`"))
                        }
                    })
                    .collect();
            }
            ValidationErrorKind::Required { property } => {
                let missing = property.as_str().unwrap_or_default();
                if at_top {
                    format!("missing argument `{missing}`")
                } else {
                    format!("missing member `{missing}` in argument `{name}`")
                }
            }
            _ => format!("argument `{name}`: {}", shorten(&error.to_string())),
        };
        vec![ArgumentError(words)]
    }

    fn takes(&self) -> String {
        let names: Vec<String> = self
            .schema
            .get("properties")
            .and_then(Value::as_object)
            .map(|properties| properties.keys().map(|name| format!("`{name}`")).collect())
            .unwrap_or_default();
        if names.is_empty() {
            "this tool takes no arguments".to_owned()
        } else {
            format!("this tool takes {}", names.join(", "))
        }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Input").field(&self.schema).finish()
    }
}

// === impl Arguments ===

impl Arguments {
    /// The variables of a resource's URI, which are text.
    #[must_use]
    pub fn of_uri(values: &[(String, String)]) -> Self {
        let given = values.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        Self { given, answers: Map::new() }
    }

    /// The value of an argument.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.given.get(name)
    }

    /// With what was answered.
    #[must_use]
    pub fn answered(mut self, answers: &Answers) -> Self {
        self.answers = answers.known();
        self
    }

    /// What was answered, by the names of questions.
    #[must_use]
    pub fn answers(&self) -> &Map<String, Value> {
        &self.answers
    }

    /// All arguments as one JSON object.
    #[must_use]
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.given
    }
}

// === impl Answers ===

impl Answers {
    /// Whether a question needs not be asked any more. Nobody gets past a required one by leaving it open.
    #[must_use]
    pub fn has(&self, question: &Question) -> bool {
        self.0.get(&question.name).is_some_and(|answer| !question.required || !answer.is_null())
    }

    /// With a yes to everything that is only to be confirmed: for whoever wants to see what comes after it.
    #[must_use]
    pub fn agreeing(mut self, tool: &Tool) -> Self {
        for question in tool.questions.iter().filter(|question| question.is_plain()) {
            self.0.entry(question.name.clone()).or_insert_with(|| Value::Object(Map::new()));
        }
        self
    }

    /// Those that say something.
    #[must_use]
    pub fn known(&self) -> Map<String, Value> {
        self.0.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

// === impl ArgumentError ===

impl fmt::Display for ArgumentError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Makes the references of a schema that becomes one property of a larger schema point to where it then stands.
///
/// # Errors
/// Returns the reference at fault when one points outside the schema.
pub(super) fn root_references(schema: &mut Value, property: &str) -> Result<(), String> {
    let escaped = property.replace('~', "~0").replace('/', "~1");
    let prefix = format!("#/properties/{escaped}");
    rewrite(schema, &prefix)
}

fn rewrite(schema: &mut Value, prefix: &str) -> Result<(), String> {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get_mut("$ref") {
                match reference.strip_prefix('#') {
                    Some(rest) if rest.is_empty() || rest.starts_with('/') => *reference = format!("{prefix}{rest}"),
                    _ => return Err(reference.clone()),
                }
            }
            members
                .iter_mut()
                // What stands in these is data, not schema.
                .filter(|(key, _)| !matches!(key.as_str(), "const" | "enum" | "default" | "examples"))
                .try_for_each(|(_, value)| rewrite(value, prefix))
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| rewrite(item, prefix)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn input() -> Input {
        let property = |name: &str, schema: Value, required| InputProperty {
            name: name.to_owned(),
            default: schema.get("default").cloned(),
            schema,
            required,
        };
        Input::compile(vec![
            property("start", json!({"type": "string", "format": "date"}), true),
            property("days", json!({"type": "integer", "default": 3}), false),
            property(
                "deep",
                json!({"type": "object", "properties": {"a": true}, "additionalProperties": false, "required": ["a"]}),
                false,
            ),
        ])
        .unwrap()
    }

    fn errors(arguments: &Value) -> Vec<String> {
        let arguments = arguments.as_object().cloned().unwrap();
        let errors = input().accept(arguments).unwrap_err();
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn defaults_are_filled_in() {
        let given = json!({"start": "2026-01-05"});
        let arguments = input().accept(given.as_object().cloned().unwrap()).unwrap();
        assert_eq!(arguments.get("days"), Some(&json!(3)));
    }

    #[test]
    fn each_wrong_argument_is_named() {
        assert_eq!(
            errors(&json!({"start": "soon", "gpid": "1", "deep": {"b": 1}})),
            [
                "argument `start`: \"soon\" is not a \"date\"",
                "unexpected member `b` in argument `deep`",
                "missing member `a` in argument `deep`",
                "unexpected argument `gpid`; this tool takes `start`, `days`, `deep`",
            ]
        );
        assert_eq!(errors(&json!({})), ["missing argument `start`"]);
    }

    #[test]
    fn references_move_with_their_schema_and_never_leave_it() {
        let mut schema =
            json!({"$defs": {"a": {"type": "string"}}, "items": {"$ref": "#/$defs/a"}, "const": {"$ref": "x"}});
        root_references(&mut schema, "a/b").unwrap();
        assert_eq!(schema["items"]["$ref"], "#/properties/a~1b/$defs/a");
        let mut remote = json!({"items": {"$ref": "https://example.com/x.json"}});
        assert_eq!(root_references(&mut remote, "p").unwrap_err(), "https://example.com/x.json");
    }
}
