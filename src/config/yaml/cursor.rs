//! Walking a tree without losing one's place.

use super::Node;
use crate::diag::{Code, Diagnostic, SourceMap, Span};

/// A walker over a [`Node`] that knows where it is, also where there is nothing.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    node: Option<&'a Node>,
    key_span: Span,
    pointer: String,
}

// === impl Cursor ===

impl<'a> Cursor<'a> {
    /// Stands at the top of a document.
    #[must_use]
    pub fn root(node: &'a Node) -> Self {
        let first = node.entries().first().map(|it| it.key_span);
        Self { node: Some(node), key_span: first.unwrap_or(node.span), pointer: String::new() }
    }

    /// Goes to the value of a key; if it is missing, the cursor still knows where it would be.
    #[must_use]
    pub fn get(&self, key: &str) -> Self {
        let entry = self.node.and_then(|node| node.entry(key));
        Self {
            node: entry.map(|it| &it.value),
            key_span: entry.map_or(self.key_span, |it| it.key_span),
            pointer: joined(&self.pointer, key),
        }
    }

    /// Goes to an item of a list; if there is no such item, the cursor points at the list's key.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let item = self.node.and_then(|node| node.items().get(index));
        Self {
            node: item,
            key_span: item.map_or(self.key_span, Node::place),
            pointer: joined(&self.pointer, &index.to_string()),
        }
    }

    /// Walks over the items of a list.
    pub fn items(&self) -> impl Iterator<Item = Self> + use<'a> {
        let base = self.pointer.clone();
        let items = self.node.map(Node::items).unwrap_or_default();
        items.iter().enumerate().map(move |(index, item)| Self {
            node: Some(item),
            key_span: item.place(),
            pointer: joined(&base, &index.to_string()),
        })
    }

    /// Walks over the keys and values of a map.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Self)> + use<'a> {
        let base = self.pointer.clone();
        let entries = self.node.map(Node::entries).unwrap_or_default();
        entries.iter().map(move |entry| {
            let cursor =
                Self { node: Some(&entry.value), key_span: entry.key_span, pointer: joined(&base, &entry.key) };
            (entry.key.as_str(), cursor)
        })
    }

    /// The JSON Pointer of this place.
    #[must_use]
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// Whether there is a value here.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.node.is_some()
    }

    /// The value, if there is one.
    #[must_use]
    pub fn node(&self) -> Option<&'a Node> {
        self.node
    }

    /// The text, if there is a string here.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        self.node.and_then(Node::as_str)
    }

    /// Where the value is; if there is none, where the key of its nearest parent is.
    #[must_use]
    pub fn span(&self) -> Span {
        self.node.map_or(self.key_span, |node| node.span)
    }

    /// Where the key is; an item of a list, which has none, stands for itself.
    #[must_use]
    pub fn key_span(&self) -> Span {
        self.key_span
    }

    /// Where in the written value a piece of text stands; all of the value if it does not.
    #[must_use]
    pub fn find(&self, sources: &SourceMap, needle: &str) -> Span {
        let whole = self.span();
        match sources.slice(whole).find(needle) {
            Some(at) if !needle.is_empty() => {
                let start = whole.start + at;
                Span::new(whole.file, start, start + needle.len())
            }
            _ => whole,
        }
    }

    /// A finding about the value: carets under it, or under the key of a value of many lines.
    #[must_use]
    pub fn error(&self, code: Code, message: impl Into<String>, label: impl Into<String>) -> Diagnostic {
        let finding = Diagnostic::new(code, message);
        match self.node {
            Some(node) => match node.alias {
                Some(alias) => finding.at(node.span, label).also(alias, "used here"),
                None if node.is_block() => finding.at(self.key_span, label),
                None => finding.at(node.span, label),
            },
            None => finding.at(self.key_span, label),
        }
    }

    /// A finding about the key.
    #[must_use]
    pub fn key_error(&self, code: Code, message: impl Into<String>, label: impl Into<String>) -> Diagnostic {
        Diagnostic::new(code, message).at(self.key_span, label)
    }
}

fn joined(base: &str, segment: &str) -> String {
    format!("{base}/{}", segment.replace('~', "~0").replace('/', "~1"))
}
