//! `paginate`: where the next page of an answer is, and how pages become one answer. Pure; asking is up to `upstream`.

use bytes::Bytes;
use http::header;
use serde_json::Value;

use super::{Reply, Select};

/// How to get from one page to the next.
#[derive(Debug)]
pub struct Pages {
    /// Where a page says what comes next.
    pub next: Next,
    /// The names that lead to the list of items in the body; none when the body is the list.
    pub items: Vec<String>,
    /// How many pages are asked for at most.
    pub max_pages: usize,
}

/// Where a page says what comes next.
#[derive(Debug)]
pub enum Next {
    /// RFC 8288: the target of the link with `rel="next"`.
    LinkHeader,
    /// A URL in the body.
    Url(Select),
    /// A cursor in the body, and the query parameter that takes it.
    Cursor(Select, String),
}

/// What comes after a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Following {
    /// Nothing.
    Nothing,
    /// The page at this URL, which may be relative.
    Url(String),
    /// The page for this value of a query parameter.
    Cursor {
        /// The name of the query parameter.
        name: String,
        /// Its value.
        value: String,
    },
}

/// Pages on their way to becoming one answer.
pub struct Gathered<'p> {
    pages: &'p Pages,
    first: Reply,
    body: Value,
    items: Vec<Value>,
    count: usize,
}

// === impl Pages ===

impl Pages {
    /// Begins with the first page.
    ///
    /// # Errors
    /// Returns words for the model when the page is not JSON or has no list of items.
    pub fn begin(&self, first: Reply) -> Result<Gathered<'_>, String> {
        let mut body = first.json().ok_or("The API's answer is not JSON")?;
        let items = self.take(&mut body)?;
        Ok(Gathered { pages: self, first, body, items, count: 1 })
    }

    /// What comes after a page.
    ///
    /// # Errors
    /// Returns words for the model when the expression can't be applied.
    pub fn following(&self, page: &Reply) -> Result<Following, String> {
        match &self.next {
            Next::LinkHeader => Ok(link(page).map_or(Following::Nothing, Following::Url)),
            Next::Url(select) => Ok(text(select, page)?.map_or(Following::Nothing, Following::Url)),
            Next::Cursor(select, name) => {
                Ok(text(select, page)?
                    .map_or(Following::Nothing, |value| Following::Cursor { name: name.clone(), value }))
            }
        }
    }

    fn take(&self, body: &mut Value) -> Result<Vec<Value>, String> {
        match self.list(body) {
            Some(Value::Array(items)) => Ok(std::mem::take(items)),
            // Some APIs leave the list out when it is empty.
            Some(Value::Null) | None if !self.items.is_empty() => Ok(Vec::new()),
            _ if self.items.is_empty() => Err("The API's answer is not a list of items".to_owned()),
            _ => Err(format!("The API's answer has no list of items at `{}`", self.items.join("."))),
        }
    }

    fn list<'v>(&self, body: &'v mut Value) -> Option<&'v mut Value> {
        self.items.iter().try_fold(body, |value, name| value.get_mut(name))
    }
}

// === impl Gathered ===

impl Gathered<'_> {
    /// How many pages there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Adds a page.
    ///
    /// # Errors
    /// Returns words for the model when the page is not JSON or has no list of items.
    pub fn add(&mut self, page: &Reply) -> Result<(), String> {
        let mut body = page.json().ok_or("The API's answer is not JSON")?;
        self.items.extend(self.pages.take(&mut body)?);
        self.count += 1;
        Ok(())
    }

    /// The first page with the items of all pages. `more` says that there are further ones.
    #[must_use]
    pub fn finish(self, more: bool) -> Reply {
        let Self { pages, mut first, mut body, items, count } = self;
        match pages.list(&mut body) {
            Some(list) => *list = Value::Array(items),
            None if items.is_empty() => {}
            // The first page has no list, but a later one does.
            None => insert(&mut body, &pages.items, Value::Array(items)),
        }
        first.body = Bytes::from(body.to_string());
        first.pages_left_out = more.then_some(count);
        first
    }
}

fn insert(body: &mut Value, names: &[String], items: Value) {
    match names {
        [] => *body = items,
        [name, rest @ ..] => {
            if let Value::Object(members) = body {
                insert(
                    members.entry(name.clone()).or_insert_with(|| Value::Object(serde_json::Map::new())),
                    rest,
                    items,
                );
            }
        }
    }
}

/// A place that says "no more" in one of the usual ways is `None`.
fn text(select: &Select, page: &Reply) -> Result<Option<String>, String> {
    let body = page.json().unwrap_or(Value::Null);
    Ok(match select.apply(&body)? {
        Value::String(text) if !text.is_empty() => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

/// The target of the link with `rel="next"` (RFC 8288 section 3).
fn link(page: &Reply) -> Option<String> {
    page.headers.get_all(header::LINK).iter().filter_map(|value| value.to_str().ok()).find_map(next_of)
}

fn next_of(value: &str) -> Option<String> {
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, tail) = after.split_once('>')?;
        // The parameters end where the next link begins; a comma may stand in a quoted one, but not followed by `<`.
        let end = tail.find(",<").or_else(|| tail.find(", <")).unwrap_or(tail.len());
        let (parameters, more) = tail.split_at(end);
        let is_next = parameters.split(';').any(|parameter| {
            parameter.split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("rel")
                    && value
                        .trim()
                        .trim_matches('"')
                        .split_ascii_whitespace()
                        .any(|rel| rel.eq_ignore_ascii_case("next"))
            })
        });
        if is_next {
            return Some(target.trim().to_owned());
        }
        rest = more;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_link_is_found() {
        let found = |text: &str| next_of(text);
        assert_eq!(found("<https://a/x?p=2>; rel=\"next\""), Some("https://a/x?p=2".to_owned()));
        assert_eq!(found("</x?p=1>; rel=prev, </x?p=3>; title=\"a, b\"; rel=\"last next\""), Some("/x?p=3".to_owned()));
        assert_eq!(found("</x>; rel=\"prev\""), None);
        assert_eq!(found("nonsense"), None);
        assert_eq!(found("<unclosed"), None);
    }
}
