//! `${NAME}`: how the configuration names a value of the environment or of a file. Read once, at load time.

use std::path::Path;

use secrecy::SecretString;

use super::files;

/// A `${…}` as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The whole text, such as `${NAME:-default}`.
    pub written: String,
    /// Where the value comes from.
    pub source: Source,
    /// What to do when it is not there.
    pub otherwise: Otherwise,
}

/// Where the value of a `${…}` comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `${NAME}`: a variable of the environment.
    Environment(String),
    /// `${file:PATH}`: the content of a file, relative to the file it is written in.
    File(String),
}

/// What to do when the value of a `${…}` is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// `${NAME}`: refuse.
    Refuse,
    /// `${NAME:-default}`: use this text.
    Default(String),
    /// `${NAME:?message}`: refuse with these words.
    Message(String),
}

/// A part of a configured string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Text outside `${…}`; `$${` has become `${`. Templates stand in it as written.
    Text(String),
    /// A `${…}`.
    Variable(Variable),
}

/// Why a `${…}` can't be read: the text at fault, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The text at fault, as it stands in the string.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Which variables may be read, and what overrides the process environment.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Names, or patterns with `*`; `None` allows all.
    pub allowed: Option<Vec<String>>,
    /// Values that win over the process environment (used by `demo`).
    pub overrides: Vec<(String, String)>,
}

// === impl Segment ===

/// Splits a configured string at its `${…}`. What stands inside `{{ }}`, `{% %}` and `{# #}` is left alone.
///
/// # Errors
/// Returns [`Malformed`] for a `${` without `}`, a bad name, or a default that nests another `${`.
pub fn split(text: &str) -> Result<Vec<Segment>, Malformed> {
    let mut segments = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("$${") {
            plain.push_str("${");
            rest = after;
        } else if rest.starts_with("${") {
            let end =
                rest.find('}').ok_or_else(|| Malformed { text: rest.to_owned(), why: "the closing `}` is missing" })?;
            let (written, after) = rest.split_at(end + 1);
            if !plain.is_empty() {
                segments.push(Segment::Text(std::mem::take(&mut plain)));
            }
            segments.push(Segment::Variable(Variable::read(written)?));
            rest = after;
        } else if let Some(close) = closing(rest) {
            // A template tag goes through untouched: `${` inside it is the template's own text.
            let end = rest.find(close).map_or(rest.len(), |at| at + close.len());
            let (tag, after) = rest.split_at(end);
            plain.push_str(tag);
            rest = after;
        } else {
            plain.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    if !plain.is_empty() {
        segments.push(Segment::Text(plain));
    }
    Ok(segments)
}

/// Whether a `${…}` stands in the text.
#[must_use]
pub fn is_in(text: &str) -> bool {
    !matches!(split(text).as_deref(), Ok([] | [Segment::Text(_)]))
}

fn closing(text: &str) -> Option<&'static str> {
    [("{{", "}}"), ("{%", "%}"), ("{#", "#}")]
        .into_iter()
        .find_map(|(open, close)| text.starts_with(open).then_some(close))
}

// === impl Variable ===

impl Variable {
    fn read(written: &str) -> Result<Self, Malformed> {
        let malformed = |why| Malformed { text: written.to_owned(), why };
        let inner = written.strip_prefix("${").and_then(|text| text.strip_suffix('}')).unwrap_or_default();
        if inner.contains("${") {
            return Err(malformed("a `${…}` can't stand inside another one"));
        }
        if let Some(path) = inner.strip_prefix("file:") {
            if path.is_empty() {
                return Err(malformed("a path must follow `file:`"));
            }
            return Ok(Self {
                written: written.to_owned(),
                source: Source::File(path.to_owned()),
                otherwise: Otherwise::Refuse,
            });
        }
        let (name, otherwise) = if let Some((name, default)) = inner.split_once(":-") {
            (name, Otherwise::Default(default.to_owned()))
        } else if let Some((name, message)) = inner.split_once(":?") {
            (name, Otherwise::Message(message.to_owned()))
        } else {
            (inner, Otherwise::Refuse)
        };
        let first_fits = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !first_fits || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(malformed("a name is letters, digits and `_`, and does not begin with a digit"));
        }
        Ok(Self { written: written.to_owned(), source: Source::Environment(name.to_owned()), otherwise })
    }

    /// The text with the default left out of sight, as people see it: `${NAME}`.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.source {
            Source::Environment(name) => format!("${{{name}}}"),
            Source::File(path) => format!("${{file:{path}}}"),
        }
    }

    /// The default, when there is one: what the value is unless the environment says otherwise.
    #[must_use]
    pub fn default(&self) -> Option<&str> {
        match &self.otherwise {
            Otherwise::Default(text) => Some(text),
            Otherwise::Refuse | Otherwise::Message(_) => None,
        }
    }

    /// Reads the value. `directory` is where a relative `${file:…}` starts.
    ///
    /// # Errors
    /// Returns, in words for the admin, why there is no value. The words never hold the value.
    pub fn resolve(&self, environment: &Environment, directory: &Path) -> Result<SecretString, String> {
        match &self.source {
            Source::Environment(name) => {
                if !environment.allows(name) {
                    return Err(format!("`{name}` is not among the names of `allow_env`"));
                }
                match (environment.get(name), &self.otherwise) {
                    // As in a shell, `:-` and `:?` count an empty value as none.
                    (Some(value), Otherwise::Refuse) => Ok(value.into()),
                    (Some(value), _) if !value.is_empty() => Ok(value.into()),
                    (_, Otherwise::Default(default)) => Ok(default.clone().into()),
                    (_, Otherwise::Message(message)) => Err(message.clone()),
                    (None, Otherwise::Refuse) => Err(format!("the environment variable `{name}` is not set")),
                }
            }
            Source::File(path) => files::read_secret(directory, path)
                .map(SecretString::from)
                .map_err(|error| format!("the file `{path}` can't be read: {error}")),
        }
    }
}

// === impl Environment ===

impl Environment {
    fn allows(&self, name: &str) -> bool {
        self.allowed.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| matches(pattern, name)))
    }

    fn get(&self, name: &str) -> Option<String> {
        self.overrides
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
            .or_else(|| files::environment(name))
    }
}

/// Matches a name against a pattern in which `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name
            .strip_prefix(before)
            .is_some_and(|rest| (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|tail| matches(after, tail)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(text: &str) -> Vec<String> {
        split(text)
            .unwrap()
            .into_iter()
            .filter_map(|segment| match segment {
                Segment::Variable(variable) => Some(variable.written),
                Segment::Text(_) => None,
            })
            .collect()
    }

    #[test]
    fn variables_are_found_outside_templates_only() {
        assert_eq!(variables("a ${B} c ${D:-e}"), ["${B}", "${D:-e}"]);
        assert_eq!(variables("{{ '${B}' }} {% if '${C}' %}{% endif %}"), [""; 0]);
        assert_eq!(split("$${B}").unwrap(), [Segment::Text("${B}".to_owned())]);
        assert!(is_in("x${B}") && !is_in("x$B") && !is_in("{{ '${B}' }}"));
    }

    #[test]
    fn malformed_variables_are_refused() {
        for text in ["${", "${}", "${1A}", "${a b}", "${A:-${B}}", "${file:}"] {
            assert!(split(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_follow_the_shell() {
        let environment = Environment {
            allowed: Some(vec!["A*".to_owned()]),
            overrides: vec![("A".to_owned(), "x".to_owned()), ("AE".to_owned(), String::new())],
        };
        let value = |text: &str| {
            let Some(Segment::Variable(variable)) = split(text).unwrap().pop() else { panic!() };
            variable
                .resolve(&environment, Path::new("."))
                .map(|secret| secrecy::ExposeSecret::expose_secret(&secret).to_owned())
        };
        assert_eq!(value("${A}").unwrap(), "x");
        assert_eq!(value("${AE}").unwrap(), "");
        assert_eq!(value("${AE:-d}").unwrap(), "d");
        assert_eq!(value("${AX:?say why}").unwrap_err(), "say why");
        assert!(value("${AX}").unwrap_err().contains("not set"));
        assert!(value("${HOME:-d}").unwrap_err().contains("allow_env"));
    }
}
