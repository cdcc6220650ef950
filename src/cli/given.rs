//! What people give a command on the command line about a call: arguments, and the claims of a made-up caller.

use std::io::Read as _;

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::ExitStatus;
use super::print::Printer;
use crate::catalog::{Answers, QuestionKind, Tool};
use crate::config;
use crate::diag::Findings;
use crate::principal::Principal;

/// What stands for standard input.
const STDIN: &str = "-";
/// The most that is read of standard input, in bytes.
const MAX_STDIN: u64 = 8 * 1024 * 1024;

/// Why something on the command line can't be read.
enum Unread {
    Words(String),
    Findings(Findings),
}

/// Reads arguments as they are written on a command line: `name=text`, `name:=json`, and `@FILE` (or `@-` for standard
/// input) for an object of arguments. A `name=text` whose parameter is no string is read as JSON.
pub(super) fn arguments(
    written: &[String],
    schema: &Map<String, Value>,
    printer: &mut Printer,
) -> Result<Map<String, Value>, ExitStatus> {
    let mut arguments = Map::new();
    for word in written {
        arguments.extend(argument(word, schema).map_err(|unread| unread.tell(printer))?);
    }
    Ok(arguments)
}

fn argument(word: &str, schema: &Map<String, Value>) -> Result<Map<String, Value>, Unread> {
    if let Some(path) = word.strip_prefix('@') {
        return object(path);
    }
    let Some((name, given)) = pair(word)? else {
        let words = format!("the argument `{word}` can't be read: write NAME=VALUE, NAME:=JSON or @FILE");
        return Err(Unread::Words(words));
    };
    let value = match given {
        Given::Text(text) if !takes_text(schema, &name) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        Given::Text(text) => Value::String(text),
        Given::Json(value) => value,
    };
    Ok(Map::from_iter([(name, value)]))
}

/// Reads answers to the questions of a tool: `name=text` or `name:=json`. What is only to be confirmed takes `yes`, and
/// nothing else: no other word must send anything.
pub(super) fn answers(written: &[String], tool: &Tool, printer: &mut Printer) -> Result<Answers, ExitStatus> {
    let mut answers = Map::new();
    for word in written {
        let read = pair(word).and_then(|pair| match pair {
            Some((name, Given::Text(text))) => answer(tool, name, text.into()),
            Some((name, Given::Json(value))) => answer(tool, name, value),
            None => Err(Unread::Words(format!("the answer `{word}` can't be read: write NAME=TEXT or NAME:=JSON"))),
        });
        answers.extend([read.map_err(|unread| unread.tell(printer))?]);
    }
    Ok(Answers(answers))
}

fn answer(tool: &Tool, name: String, given: Value) -> Result<(String, Value), Unread> {
    let unfit = |why: &str| Err(Unread::Words(format!("the answer to `{name}` can't be used: {why}")));
    let Some(question) = tool.questions.iter().find(|question| question.name == name) else {
        return unfit("this tool has no such question");
    };
    let is_yes = given == "yes" || given == true;
    match &question.kind {
        _ if question.is_plain() && is_yes => Ok((name, Value::Object(Map::new()))),
        QuestionKind::Page { .. } if is_yes => Ok((name, true.into())),
        _ if question.is_consent() => unfit("write `yes`, or leave it out"),
        QuestionKind::Form { check, .. } => match check.faults(&given).as_slice() {
            [] => Ok((name, given)),
            faults => unfit(&faults.join("; ")),
        },
        QuestionKind::Page { .. } | QuestionKind::Sample(_) | QuestionKind::Roots => Ok((name, given)),
    }
}

/// Reads the claims of a caller: `name=text`, `name:=json`, or the name of a JSON or YAML file (`-` for standard input).
/// The caller has a token; without claims, one that says nothing.
pub(super) fn caller(written: &[String], printer: &mut Printer) -> Result<Principal, ExitStatus> {
    let mut claims = Map::new();
    for word in written {
        let read = pair(word).and_then(|pair| match pair {
            Some((name, Given::Text(text))) => Ok(Map::from_iter([(name, text.into())])),
            Some((name, Given::Json(value))) => Ok(Map::from_iter([(name, value)])),
            None => object(word),
        });
        claims.extend(read.map_err(|unread| unread.tell(printer))?);
    }
    // What stands in place of the token is never sent.
    Ok(Principal::verified(claims, SecretString::from("token")))
}

/// The value of a `name=text` or a `name:=json`.
enum Given {
    Text(String),
    Json(Value),
}

/// `None` for a word that is neither.
fn pair(word: &str) -> Result<Option<(String, Given)>, Unread> {
    let Some((name, text)) = word.split_once('=') else { return Ok(None) };
    let Some(name) = name.strip_suffix(':') else { return Ok(Some((name.to_owned(), Given::Text(text.to_owned())))) };
    match serde_json::from_str(text) {
        Ok(value) => Ok(Some((name.to_owned(), Given::Json(value)))),
        Err(error) => Err(Unread::Words(format!("the value of `{name}` is not JSON: {error}"))),
    }
}

/// Whether text is a value of the parameter as it stands: its type or its choices say so, or nothing is said of it.
fn takes_text(schema: &Map<String, Value>, name: &str) -> bool {
    let schema = schema.get("properties").and_then(|properties| properties.get(name));
    let said = |key| schema.and_then(|schema| schema.get(key));
    match (said("type"), said("enum").and_then(Value::as_array)) {
        (Some(Value::Array(kinds)), _) => kinds.iter().any(|kind| kind == "string"),
        (Some(kind), _) => kind == "string",
        (None, Some(choices)) => choices.iter().any(Value::is_string),
        (None, None) => true,
    }
}

/// An object from a JSON or YAML file.
fn object(path: &str) -> Result<Map<String, Value>, Unread> {
    if path != STDIN {
        return config::load_object(path.as_ref()).map_err(Unread::Findings);
    }
    let mut text = String::new();
    match std::io::stdin().take(MAX_STDIN).read_to_string(&mut text) {
        Ok(_) => config::read_object("standard input", &text).map_err(Unread::Findings),
        Err(error) => Err(Unread::Words(format!("standard input can't be read: {error}"))),
    }
}

// === impl Unread ===

impl Unread {
    fn tell(self, printer: &mut Printer) -> ExitStatus {
        match self {
            Self::Words(words) => printer.error(&words),
            Self::Findings(findings) => printer.findings(&findings),
        }
        ExitStatus::Usage
    }
}
