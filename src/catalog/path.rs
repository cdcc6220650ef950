//! The path of an endpoint: a template whose number of segments and constant segments no value can change.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986 section 2.3 is percent-encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The path part of an endpoint, split at `/`; always begins with `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    segments: Vec<Vec<PathPiece>>,
}

/// A part of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
enum PathPiece {
    /// Text of the template, already fit for the wire.
    Literal(String),
    /// The name between `{` and `}`.
    Parameter(String),
}

/// Why a path template can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathError {
    /// The text at fault, as it stands in the path.
    pub text: String,
    /// What is wrong with it and what to do.
    pub why: String,
}

/// A part of an expanded path, and the name of the parameter it came from, if any.
pub(super) type Expanded<'t> = (String, Option<&'t str>);

/// A value on its way into the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathValue {
    /// One value: every character that could be read as syntax is encoded.
    One(String),
    /// Several segments, separated by `/`; each is encoded and checked (RFC 6570 `{+path}`).
    Segments(String),
    /// Already encoded, part by part, with delimiters between them.
    Wire(String),
}

/// A segment that would be empty, `.` or `..` once the values are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a path segment can't be empty, `.` or `..`")]
pub struct DotSegment;

// === impl PathTemplate ===

impl PathTemplate {
    /// Reads a path such as `/users/{id}/photos/{name}.png`.
    ///
    /// # Errors
    /// Returns a [`PathError`] for a path that does not begin with `/`, holds a query or fragment, an empty, `.` or
    /// `..` segment, a character that can't stand in a path, or an unclosed or unnamed `{}`.
    pub fn parse(path: &str) -> Result<Self, PathError> {
        let fault = |text: &str, why: &str| PathError { text: text.to_owned(), why: why.to_owned() };
        let Some(rest) = path.strip_prefix('/') else {
            return Err(fault(path, "the path must begin with `/`"));
        };
        if let Some(at) = path.find(['?', '#']) {
            let tail = path.get(at..).unwrap_or_default();
            return Err(fault(
                tail,
                "a query or fragment can't stand in the endpoint; write a parameter with `in: query` and `value:`",
            ));
        }
        let texts: Vec<&str> = rest.split('/').collect();
        let last = texts.len() - 1;
        let mut segments = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            if text.is_empty() && index != last {
                return Err(fault("//", "a path segment can't be empty"));
            }
            segments.push(segment(text)?);
        }
        Ok(Self { segments })
    }

    /// The names in `{}`, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().flatten().filter_map(|piece| match piece {
            PathPiece::Parameter(name) => Some(name.as_str()),
            PathPiece::Literal(_) => None,
        })
    }

    /// Whether the parameter is a whole segment, with nothing beside it.
    #[must_use]
    pub fn is_whole_segment(&self, name: &str) -> bool {
        self.segments.iter().any(|pieces| matches!(pieces.as_slice(), [PathPiece::Parameter(only)] if only == name))
    }

    /// Puts values in. Gives the parts of the path in order, each with the name of the parameter it came from, if any;
    /// joined they are the path as it goes on the wire.
    ///
    /// # Errors
    /// Returns the name of the parameter at fault with [`DotSegment`] when a segment would be empty, `.` or `..`.
    pub fn expand(&self, value: impl Fn(&str) -> PathValue) -> Result<Vec<Expanded<'_>>, (&str, DotSegment)> {
        let mut parts: Vec<Expanded<'_>> = Vec::new();
        for segment in &self.segments {
            let mut whole = String::new();
            let mut culprit = None;
            push(&mut parts, "/", None);
            for piece in segment {
                match piece {
                    PathPiece::Literal(text) => {
                        whole.push_str(text);
                        push(&mut parts, text, None);
                    }
                    PathPiece::Parameter(name) => {
                        let encoded = value(name).encode();
                        whole.push_str(&encoded);
                        if encoded.is_empty() {
                            return Err((name, DotSegment));
                        }
                        culprit = Some(name.as_str());
                        push(&mut parts, &encoded, Some(name));
                    }
                }
            }
            // Only `reserved` values bring a `/` of their own.
            if let Some(name) = culprit.filter(|_| whole.split('/').any(is_dots)) {
                return Err((name, DotSegment));
            }
        }
        Ok(parts)
    }
}

// === impl PathValue ===

impl PathValue {
    fn encode(self) -> String {
        match self {
            Self::One(text) => encode_segment(&text),
            Self::Segments(text) => text.split('/').map(encode_segment).collect::<Vec<_>>().join("/"),
            Self::Wire(text) => text,
        }
    }
}

/// Percent-encodes a value as one path segment (or one query component): no character of it is read as syntax.
#[must_use]
pub fn encode_segment(value: &str) -> String {
    utf8_percent_encode(value, ENCODED).to_string()
}

fn push<'t>(parts: &mut Vec<Expanded<'t>>, text: &str, name: Option<&'t str>) {
    match parts.last_mut() {
        Some((last, None)) if name.is_none() => last.push_str(text),
        _ => parts.push((text.to_owned(), name)),
    }
}

fn is_dots(segment: &str) -> bool {
    matches!(segment, "" | "." | "..")
}

fn segment(text: &str) -> Result<Vec<PathPiece>, PathError> {
    let fault = |text: &str, why: &str| PathError { text: text.to_owned(), why: why.to_owned() };
    // `%2e%2e` is read as `..` by WHATWG URL parsers, so encoded dots count as dots.
    let dots = text.replace("%2e", ".").replace("%2E", ".");
    if is_dots(&dots) && !text.is_empty() {
        return Err(fault(text, "the segments `.` and `..` can't stand in a path"));
    }
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (literal, after) = rest.split_at(open);
        if !literal.is_empty() {
            pieces.push(PathPiece::Literal(checked(literal)?));
        }
        let close = after.find('}').ok_or_else(|| fault(after, "the closing `}` is missing"))?;
        let name = after.get(1..close).unwrap_or_default();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if name.is_empty() || !name.chars().all(fits) {
            let text = after.get(..=close).unwrap_or_default();
            return Err(fault(text, "between `{` and `}` stands the name of a parameter"));
        }
        pieces.push(PathPiece::Parameter(name.to_owned()));
        rest = after.get(close + 1..).unwrap_or_default();
    }
    if !rest.is_empty() {
        pieces.push(PathPiece::Literal(checked(rest)?));
    }
    Ok(pieces)
}

/// Lets through what RFC 3986 allows in a segment (`pchar`), with well-formed percent-encoding.
fn checked(literal: &str) -> Result<String, PathError> {
    let fault = |text: &str, why: &str| PathError { text: text.to_owned(), why: why.to_owned() };
    let bytes = literal.as_bytes();
    for (index, character) in literal.char_indices() {
        let fits = character.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@".contains(character);
        let escape =
            character == '%' && [1, 2].iter().all(|ahead| bytes.get(index + ahead).is_some_and(u8::is_ascii_hexdigit));
        if !fits && !escape {
            return Err(fault(&character.to_string(), "this character can't stand in a path; percent-encode it"));
        }
    }
    Ok(literal.to_owned())
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            formatter.write_str("/")?;
            for piece in segment {
                match piece {
                    PathPiece::Literal(text) => formatter.write_str(text)?,
                    PathPiece::Parameter(name) => write!(formatter, "{{{name}}}")?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(template: &str, value: &str) -> Option<String> {
        let template = PathTemplate::parse(template).unwrap();
        let parts = template.expand(|_| PathValue::One(value.to_owned())).ok()?;
        Some(parts.into_iter().map(|(text, _)| text).collect())
    }

    #[test]
    fn a_value_is_one_segment_whatever_it_holds() {
        assert_eq!(expand("/users/{id}/x", "a/b").unwrap(), "/users/a%2Fb/x");
        assert_eq!(expand("/users/{id}", "?x=1#f;v").unwrap(), "/users/%3Fx%3D1%23f%3Bv");
        assert_eq!(expand("/users/{id}", "%2e%2e").unwrap(), "/users/%252e%252e");
        assert_eq!(expand("/users/{id}", "...").unwrap(), "/users/...");
        assert_eq!(expand("/a/{id}.json", "é\n").unwrap(), "/a/%C3%A9%0A.json");
    }

    #[test]
    fn dot_segments_are_refused_in_every_make_up() {
        for value in ["", ".", ".."] {
            assert_eq!(expand("/users/{id}/records", value), None, "{value:?}");
        }
        assert_eq!(expand("/users/.{id}", "."), None);
        assert_eq!(expand("/users/{a}{b}", "."), None);
        assert_eq!(expand("/users/.{id}", "x").unwrap(), "/users/.x");
    }

    #[test]
    fn reserved_values_are_several_segments_each_checked() {
        let expand = |value: &str| {
            let template = PathTemplate::parse("/files/{path}").unwrap();
            let parts = template.expand(|_| PathValue::Segments(value.to_owned())).ok()?;
            Some(parts.into_iter().map(|(text, _)| text).collect::<String>())
        };
        assert_eq!(expand("a b/c?d/e%2f").unwrap(), "/files/a%20b/c%3Fd/e%252f");
        for value in ["", ".", "..", "a/../b", "/a", "a/", "a//b", "a/."] {
            assert_eq!(expand(value), None, "{value:?}");
        }
    }

    #[test]
    fn bad_templates_are_refused() {
        for path in
            ["users", "/a//b", "/a/../b", "/a/%2e%2E/b", "/a?x=1", "/a#f", "/{", "/{}", "/{a b}", "/a b", "/a%zz", "/ü"]
        {
            assert!(PathTemplate::parse(path).is_err(), "{path}");
        }
        for path in ["/", "/a/", "/a/{b}", "/a/{b}.{c}", "/a%20b", "/a;v=1:@"] {
            assert!(PathTemplate::parse(path).is_ok(), "{path}");
        }
    }
}
