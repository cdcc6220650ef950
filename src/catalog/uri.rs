//! URIs of resources and their templates: RFC 6570 level 1, `{name}` for one value without a `/`.

use percent_encoding::percent_decode_str;

/// A resource URI with `{name}` places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UriTemplate {
    written: String,
    pieces: Vec<UriPiece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum UriPiece {
    Literal(String),
    Variable(String),
}

/// Why a URI can't be used: the text at fault, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UriError {
    /// The text at fault.
    pub text: String,
    /// What is wrong with it and what to do.
    pub why: &'static str,
}

// === impl UriTemplate ===

impl UriTemplate {
    /// Reads a URI or URI template.
    ///
    /// # Errors
    /// Returns a [`UriError`] for a missing scheme, characters that can't stand in a URI, an expression that is not
    /// level 1, or two expressions with nothing between them.
    pub fn parse(written: &str) -> Result<Self, UriError> {
        let fault = |text: &str, why| UriError { text: text.to_owned(), why };
        let scheme = written.split_once(':').map_or("", |(scheme, _)| scheme);
        let scheme_fits = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        if !scheme_fits {
            return Err(fault(written, "a resource URI begins with a scheme, such as `config://`"));
        }
        let mut pieces = Vec::new();
        let mut rest = written;
        while let Some(open) = rest.find(['{', '}']) {
            let (literal, after) = rest.split_at(open);
            if !literal.is_empty() {
                pieces.push(UriPiece::Literal(literal.to_owned()));
            }
            let close = after
                .find('}')
                .filter(|_| after.starts_with('{'))
                .ok_or_else(|| fault(after, "`{` and `}` must come in pairs"))?;
            let name = after.get(1..close).unwrap_or_default();
            let first_fits = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !first_fits || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                let text = after.get(..=close).unwrap_or_default();
                return Err(fault(text, "between `{` and `}` stands one name (RFC 6570 level 1)"));
            }
            if matches!(pieces.last(), Some(UriPiece::Variable(_))) {
                let text = after.get(..=close).unwrap_or_default();
                return Err(fault(text, "two variables need some text between them"));
            }
            if pieces.iter().any(|piece| matches!(piece, UriPiece::Variable(other) if other == name)) {
                let text = after.get(..=close).unwrap_or_default();
                return Err(fault(text, "a variable can stand in a URI only once"));
            }
            pieces.push(UriPiece::Variable(name.to_owned()));
            rest = after.get(close + 1..).unwrap_or_default();
        }
        if !rest.is_empty() {
            pieces.push(UriPiece::Literal(rest.to_owned()));
        }
        for piece in &pieces {
            if let UriPiece::Literal(text) = piece
                && let Some(wrong) =
                    text.chars().find(|c| c.is_whitespace() || c.is_control() || "<>\"\\^`|".contains(*c))
            {
                return Err(fault(&wrong.to_string(), "this character can't stand in a URI; percent-encode it"));
            }
        }
        Ok(Self { written: written.to_owned(), pieces })
    }

    /// The URI as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The names of the variables.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            UriPiece::Variable(name) => Some(name.as_str()),
            UriPiece::Literal(_) => None,
        })
    }

    /// Reads the variables out of a URI; `None` when it does not fit. A value is at least one character, holds no raw
    /// `/`, `?` or `#`, and is percent-decoded once.
    #[must_use]
    pub fn read(&self, uri: &str) -> Option<Vec<(String, String)>> {
        let mut values = Vec::new();
        let mut rest = uri;
        let mut pieces = self.pieces.iter().peekable();
        while let Some(piece) = pieces.next() {
            match piece {
                UriPiece::Literal(text) => rest = rest.strip_prefix(text.as_str())?,
                UriPiece::Variable(name) => {
                    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                    let end = match pieces.peek() {
                        // The value ends where the next text begins, so that `{name}.json` works.
                        Some(UriPiece::Literal(next)) => next
                            .starts_with(['/', '?', '#'])
                            .then_some(end)
                            .or_else(|| rest.get(..end)?.rfind(next.split(['/', '?', '#']).next()?))?,
                        _ => end,
                    };
                    let (raw, after) = rest.split_at(end);
                    let value = percent_decode_str(raw).decode_utf8().ok()?;
                    if value.is_empty() || value.chars().any(char::is_control) {
                        return None;
                    }
                    values.push((name.clone(), value.into_owned()));
                    rest = after;
                }
            }
        }
        rest.is_empty().then_some(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(template: &str, uri: &str) -> Option<Vec<String>> {
        let values = UriTemplate::parse(template).unwrap().read(uri)?;
        Some(values.into_iter().map(|(_, value)| value).collect())
    }

    #[test]
    fn variables_are_read_out_of_a_uri() {
        assert_eq!(read("schema://employee/{gpid}", "schema://employee/12").unwrap(), ["12"]);
        assert_eq!(read("t://{a}/x/{b}.json", "t://1/x/a.b.json").unwrap(), ["1", "a.b"]);
        assert_eq!(read("t://{a}", "t://a%2Fb%20c").unwrap(), ["a/b c"]);
        assert_eq!(read("t://x", "t://x").unwrap(), [""; 0]);
    }

    #[test]
    fn a_value_never_spans_segments() {
        for uri in [
            "schema://employee/1/2",
            "schema://employee/",
            "schema://employee/1?x",
            "schema://employee/1#f",
            "schema://employee/%ff",
            "schema://employee/%0a",
            "schema://other/1",
        ] {
            assert_eq!(read("schema://employee/{gpid}", uri), None, "{uri}");
        }
    }

    #[test]
    fn bad_uris_are_refused() {
        for uri in
            ["nothing", "1a://x", "a://{", "a://}", "a://{x y}", "a://{+x}", "a://{x}{y}", "a://{x}/{x}", "a://b c"]
        {
            assert!(UriTemplate::parse(uri).is_err(), "{uri}");
        }
    }
}
