//! YAML text to a tree of nodes that know their places.
//!
//! The only module that names serde-saphyr (its children use what is imported here). It takes that crate's event
//! parser, not its serde half: events carry exact byte spans, so that every duplicate key, tag and unquoted template
//! gets its own finding with a place. What a node means is for others to say.
//!
//! Scalars are read by YAML 1.2 rules: `on`, `0755` and `1_000` are strings. Everything is
//! bounded: bytes, values, depth, and how much anchors may unfold to.

mod budget;
mod build;
mod cursor;
mod explain;
mod scalar;

use serde_json::{Number, Value};
use serde_saphyr::granit_parser::{self as parser, Parser};

use self::build::Builder;
pub use self::{
    budget::{MAX_ALIASES, MAX_BYTES, MAX_COPIED, MAX_DEPTH, MAX_NODES, MAX_PROBLEMS},
    cursor::Cursor,
};
use crate::diag::{FileId, Report, Span};

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where the value is written; for an alias, where its anchor is.
    pub span: Span,
    /// Where the alias stands, if the value came by one.
    pub alias: Option<Span>,
    /// The value.
    pub kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text, quoted or not.
    String(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order in which it is written.
    Map(Vec<Entry>),
}

/// A key of a map with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key; one that looks like a number is its text.
    pub key: String,
    /// Where the key is written.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

/// Reads one YAML document; what is wrong with it goes into the report.
///
/// Gives nothing when the text can't be understood at all. A duplicate key, a tag or an unquoted
/// template is reported too, but the rest of the tree is still worth looking at.
#[must_use]
pub fn parse(file: FileId, text: &str, report: &mut Report) -> Option<Node> {
    if let Err(finding) = explain::acceptable(file, text) {
        report.push(finding);
        return None;
    }
    let mut options = parser::options! {
        disallow_directives: true,
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        flow_nesting_limit: MAX_DEPTH + 1,
        block_nesting_limit: MAX_DEPTH + 1,
    };
    options.set_emit_comments(false);

    let mut builder = Builder::new(file, text, report);
    for event in Parser::new_from_str_with_options(text, options) {
        builder.take(event).ok()?;
    }
    builder.finish()
}

/// A comment, `#` included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comment {
    /// The text from `#` to the end of the line.
    pub span: Span,
}

/// Finds the comments of a document, and no `#` inside of text. Those below a place that is no YAML are not found.
#[must_use]
pub fn comments(file: FileId, text: &str) -> Vec<Comment> {
    let options = parser::options! {
        disallow_directives: true,
        emit_unresolved_aliases: true,
        // There may be as many as the file has lines, and its length is bounded.
        max_buffered_comment_events: usize::MAX,
        flow_nesting_limit: MAX_DEPTH + 1,
        block_nesting_limit: MAX_DEPTH + 1,
    };
    let mut comments = Vec::new();
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((parser::Event::Comment(..), range)) => {
                let start = range.start.byte_offset().unwrap_or(0);
                let end = range.end.byte_offset().unwrap_or(start);
                comments.push(Comment { span: Span::new(file, start, end) });
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    comments
}

/// What to write instead of text that YAML 1.1 read as something else: `no`, `0755`, `1_000`.
#[must_use]
pub fn meant(text: &str) -> Option<String> {
    let reads = |instead: &str| Some(format!("YAML 1.2 reads `{text}` as text; write {instead}"));
    let digits = text.trim_start_matches(['+', '-']);
    match text.to_ascii_lowercase().as_str() {
        "yes" | "on" | "y" => reads("`true`"),
        "no" | "off" | "n" => reads("`false`"),
        _ if digits.is_empty() || !digits.chars().all(|it| it.is_ascii_digit() || it == '_') => None,
        _ if digits.contains('_') => reads(&format!("`{}`", text.replace('_', ""))),
        _ if digits.len() > 1 && digits.starts_with('0') => {
            let decimal = digits.trim_start_matches('0');
            let decimal = if decimal.is_empty() { "0" } else { decimal };
            if digits.chars().all(|it| it < '8') {
                reads(&format!("`{decimal}`, or `0o{decimal}` if it is octal"))
            } else {
                reads(&format!("`{decimal}`"))
            }
        }
        _ => None,
    }
}

// === impl Node ===

impl Node {
    /// The value as JSON, without places.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(it) => Value::Bool(*it),
            Kind::Number(it) => Value::Number(it.clone()),
            Kind::String(it) => Value::String(it.clone()),
            Kind::List(items) => items.iter().map(Self::to_json).collect(),
            Kind::Map(entries) => entries.iter().map(|it| (it.key.clone(), it.value.to_json())).collect(),
        }
    }

    /// The value of a key, if this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|it| &it.value)
    }

    /// The entry of a key, if this is a map that has it.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|it| it.key == key)
    }

    /// The entries of a map; none for anything else.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none for anything else.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// The text, if this is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(text) => Some(text),
            _ => None,
        }
    }

    /// The node that a JSON Pointer (RFC 6901) leads to.
    #[must_use]
    pub fn pointer(&self, pointer: &str) -> Option<&Self> {
        segments(pointer)?.try_fold(self, |node, segment| node.child(&segment))
    }

    /// Where the key is written whose value a JSON Pointer leads to.
    ///
    /// The pointer may lead to an item of a list, which has no key: then it is the item's place.
    #[must_use]
    pub fn key_span(&self, pointer: &str) -> Option<Span> {
        let (parent, last) = pointer.rsplit_once('/')?;
        let parent = self.pointer(parent)?;
        let last = unescape(last);
        match &parent.kind {
            Kind::Map(_) => parent.entry(&last).map(|it| it.key_span),
            _ => parent.child(&last).map(Self::place),
        }
    }

    /// Where the value stands: the alias, if it came by one, and else the value itself.
    #[must_use]
    pub fn place(&self) -> Span {
        self.alias.unwrap_or(self.span)
    }

    fn child(&self, segment: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Map(_) => self.get(segment),
            Kind::List(items) => items.get(segment.parse::<usize>().ok()?),
            _ => None,
        }
    }

    /// Whether this is a list or map by indentation, whose span is many lines of other things.
    fn is_block(&self) -> bool {
        let ends_here = |child: &Self| child.place().end == self.span.end;
        self.items().iter().any(ends_here) || self.entries().iter().any(|it| ends_here(&it.value))
    }
}

// === impl Kind ===

impl Kind {
    /// What it is, in words that fit after "expected" and "got".
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

fn segments(pointer: &str) -> Option<impl Iterator<Item = String>> {
    let path = match pointer {
        "" => None,
        _ => Some(pointer.strip_prefix('/')?),
    };
    Some(path.into_iter().flat_map(|it| it.split('/')).map(unescape))
}

fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
