//! `hidden`: characters that a model reads and a person can't see. What an API says may be written by anybody, so it could
//! speak to the model behind the user's back: with tag characters, with text whose direction is turned, between letters.
//!
//! Most answers hold none, and are looked over once, byte by byte.

use std::fmt::Write as _;
use std::ops::Range;

use serde_json::{Map, Value};

use super::{Content, Embedded, Outcome};
use crate::diag::{is_trick, joins};

/// What becomes of characters that can't be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hidden {
    /// They are left out.
    #[default]
    Strip,
    /// They are shown by their numbers, such as `[U+200B]`.
    Flag,
}

// === impl Hidden ===

impl Hidden {
    /// Looks at all that a result says, in whichever part.
    pub(super) fn clean(self, mut outcome: Outcome) -> Outcome {
        for content in &mut outcome.content {
            match content {
                Content::Text(text) => self.text(text),
                Content::Image { .. } | Content::Audio { .. } => {}
                Content::Resource { uri, mime_type: _, body } => {
                    uri.as_mut().into_iter().for_each(|uri| self.text(uri));
                    if let Embedded::Text(text) = body {
                        self.text(text);
                    }
                }
                Content::Link { uri, name, description, mime_type: _ } => {
                    [uri, name].into_iter().chain(description.as_mut()).for_each(|text| self.text(text));
                }
            }
        }
        if let Some(value) = &mut outcome.structured {
            self.value(value);
        }
        outcome
    }

    /// Looks at a text. In JSON, a character that is written as an escape counts as the character.
    pub fn text(self, text: &mut String) {
        let has_escapes = text.trim_start().starts_with(['{', '[', '"']) && text.contains("\\u");
        if !has_escapes && !text.bytes().any(may_begin_one) {
            return;
        }
        let units = units(text, has_escapes);
        if !units.iter().any(|(_, it)| is_hidden(*it)) {
            return;
        }
        let mut clean = String::with_capacity(text.len());
        for (at, (range, it)) in units.iter().enumerate() {
            let near = |at: Option<usize>| at.and_then(|at| units.get(at)).map(|(_, it)| *it);
            if !is_hidden(*it) || joins(near(at.checked_sub(1)), *it, near(at.checked_add(1))) {
                clean.push_str(text.get(range.clone()).unwrap_or_default());
            } else if self == Self::Flag {
                let _ = write!(clean, "[U+{:04X}]", u32::from(*it));
            }
        }
        *text = clean;
    }

    fn value(self, value: &mut Value) {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::String(text) => {
                if text.bytes().any(may_begin_one) {
                    self.text(text);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(members) => {
                members.values_mut().for_each(|member| self.value(member));
                if members.keys().any(|name| name.bytes().any(may_begin_one)) {
                    let named: Map<String, Value> = std::mem::take(members)
                        .into_iter()
                        .map(|(mut name, member)| {
                            self.text(&mut name);
                            (name, member)
                        })
                        .collect();
                    *members = named;
                }
            }
        }
    }
}

/// Whether a character may not stand in an answer as it is. Line and paragraph separators can be seen, as breaks.
fn is_hidden(it: char) -> bool {
    is_trick(it) && !matches!(it, '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}')
}

/// Whether a byte of UTF-8 may be the first of a character that can't be seen. Most are not, neither those of ASCII nor
/// those of Latin letters with accents, of Greek, Cyrillic, Chinese or Japanese.
fn may_begin_one(byte: u8) -> bool {
    byte < 0x20 && !matches!(byte, b'\n' | b'\r' | b'\t')
        || matches!(byte, 0x7f | 0xc2 | 0xcd | 0xd8 | 0xe1..=0xe3 | 0xef | 0xf0 | 0xf3)
}

/// The characters of a text, each with its place; with escapes of JSON read, when there are any.
fn units(text: &str, has_escapes: bool) -> Vec<(Range<usize>, char)> {
    let mut units = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(it) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let (length, it) = match it {
            '\\' if has_escapes => escape(text, at),
            it => (it.len_utf8(), it),
        };
        units.push((at..at + length, it));
        at += length;
    }
    units
}

/// How long the escape at an offset is, and what it means. One that means a character of ASCII, such as `\"`, is as it is.
fn escape(text: &str, at: usize) -> (usize, char) {
    let unit = |at: usize| {
        let digits = text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u32::from_str_radix(digits, 16).ok()
    };
    let Some(first) = unit(at) else {
        let next = text.get(at + 1..).and_then(|rest| rest.chars().next());
        return (1 + next.map_or(0, char::len_utf8), '\\');
    };
    if let (0xd800..=0xdbff, Some(second @ 0xdc00..=0xdfff)) = (first, unit(at + 6)) {
        let whole = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        return (12, char::from_u32(whole).unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    (6, char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn cleaned(hidden: Hidden, text: &str) -> String {
        let mut text = text.to_owned();
        hidden.text(&mut text);
        text
    }

    #[test]
    fn what_can_not_be_seen_is_left_out_or_shown() {
        let tags: String = "ignore".chars().filter_map(|it| char::from_u32(0xe0000 + u32::from(it))).collect();
        for (given, stripped) in [
            (format!("a{tags}b"), "ab"),
            ("a\u{202e}b\u{2066}c\u{2069}".to_owned(), "abc"),
            ("p\u{200b}a\u{feff}y\u{2060}\u{ad}".to_owned(), "pay"),
            ("\u{1b}[31mred\u{7f}\u{9b}".to_owned(), "[31mred"),
            ("{\"a\u{200b}\": \"\\u202eb\\udb40\\udc41c\"}".to_owned(), "{\"a\": \"bc\"}"),
            ("[\"\\\\u202e\", \"\\\"\\u200b\"]".to_owned(), "[\"\\\\u202e\", \"\\\"\"]"),
            // In a text that is no JSON, an escape is what it looks like.
            ("say \\u202e".to_owned(), "say \\u202e"),
            ("[\"\\ud83d\\udc68\\u200d\\ud83d\\udc69\", \"\\u00e4\\u000a\"]".to_owned(), ""),
            ("👨\u{200d}👩 می\u{200c}خواهم ❤\u{fe0f} „ü“ 日本\n\tx\u{2028}".to_owned(), ""),
            ("[\"\\ud83d\", \"\\u12\", \"\\u".to_owned(), ""),
        ] {
            let expected = if stripped.is_empty() { given.as_str() } else { stripped };
            assert_eq!(cleaned(Hidden::Strip, &given), expected, "{given:?}");
        }
        assert_eq!(cleaned(Hidden::Flag, "a\u{202e}\u{e0041}b"), "a[U+202E][U+E0041]b");
        let mut value = json!({"k\u{200b}": ["v\u{202e}", 1, {"n": "\u{e0041}"}], "s": "say \\u202e"});
        Hidden::Strip.value(&mut value);
        assert_eq!(value, json!({"k": ["v", 1, {"n": ""}], "s": "say \\u202e"}));
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_overlooked(text in any::<String>(), hidden in prop::char::any()) {
            let whole = format!("{text}{hidden}{text}");
            let clean = cleaned(Hidden::Strip, &whole);
            let is_joiner = |it: char| matches!(it, '\u{200c}' | '\u{200d}');
            let found = clean.chars().any(|it| is_hidden(it) && !is_joiner(it));
            prop_assert!(!found);
            if !whole.chars().any(is_hidden) && !whole.contains('\\') {
                prop_assert_eq!(clean, whole);
            }
        }
    }
}
