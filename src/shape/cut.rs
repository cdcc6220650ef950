//! `max_bytes`: a result that is too long for a model is cut between items, so that JSON stays valid, and says so.

use serde_json::Value;

use crate::quantity::show_size;

/// How often a value is looked over for something to cut.
const ROUNDS: usize = 8;
/// Text shorter than this is left whole.
const SHORT: usize = 64;
/// What a cut text ends with.
const ELLIPSIS: &str = "…";

/// Something that can be cut, on the way from the root: names of members and indices of items.
struct Heavy {
    pointer: String,
    /// About how long it is.
    bytes: usize,
}

/// Cuts a value to at most `limit` bytes of JSON. Gives what is said about it; `None` when it fits as it is.
///
/// # Errors
/// Returns words for the model when the value can't be made to fit.
pub(super) fn value(value: &mut Value, limit: usize, narrow_by: &[String]) -> Result<Option<String>, String> {
    let whole = size(value);
    if whole <= limit {
        return Ok(None);
    }
    let mut notice = None;
    for _ in 0..ROUNDS {
        let excess = size(value).saturating_sub(limit);
        if excess == 0 {
            break;
        }
        let Some(heavy) = heaviest(value) else { break };
        let Some(found) = value.pointer_mut(&heavy.pointer) else { break };
        let room = size(found).saturating_sub(excess);
        match found {
            Value::Array(items) => {
                let all = items.len();
                items.truncate(fitting(items, room));
                let place =
                    if heavy.pointer.is_empty() { String::new() } else { format!(" of `{}`", dotted(&heavy.pointer)) };
                notice.get_or_insert_with(|| format!("showing {} of {all} items{place}", items.len()));
            }
            Value::String(text) => {
                let keep = text.len().saturating_sub(excess + ELLIPSIS.len()).max(SHORT);
                text.truncate(floor(text, keep));
                text.push_str(ELLIPSIS);
                notice.get_or_insert_with(|| "long texts are cut".to_owned());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => break,
        }
    }
    if size(value) > limit {
        return Err(format!(
            "The API's answer of {} is longer than the {} that this tool gives{}",
            show_size(whole),
            show_size(limit),
            advice(narrow_by, "; ")
        ));
    }
    Ok(notice.map(|notice| format!("{notice}{}", advice(narrow_by, "; "))))
}

/// Cuts a text. Gives what is said about it; `None` when it fits as it is.
pub(super) fn text(text: &mut String, limit: usize, narrow_by: &[String]) -> Option<String> {
    let whole = text.len();
    if whole <= limit {
        return None;
    }
    text.truncate(floor(text, limit));
    Some(format!("showing the first {} of {}{}", show_size(limit), show_size(whole), advice(narrow_by, "; ")))
}

fn advice(narrow_by: &[String], before: &str) -> String {
    if narrow_by.is_empty() {
        return String::new();
    }
    let names: Vec<String> = narrow_by.iter().map(|name| format!("`{name}`")).collect();
    format!("{before}narrow by {}", names.join(", "))
}

/// How many items from the first on fit into so many bytes; one stays, so that there is something to see.
fn fitting(items: &[Value], bytes: usize) -> usize {
    // Brackets, and a comma less than there are items.
    let mut left = bytes.saturating_sub(1);
    let mut count = 0;
    for item in items {
        let Some(rest) = left.checked_sub(size(item) + 1) else { break };
        left = rest;
        count += 1;
    }
    count.max(1)
}

/// The longest list with more than one item, or the longest text when no list is worth cutting.
fn heaviest(value: &Value) -> Option<Heavy> {
    let mut list = None;
    let mut text = None;
    look(value, String::new(), &mut list, &mut text);
    match (list, text) {
        // A list that is a small part of the whole won't help.
        (Some(list), Some(text)) if list.bytes * 4 < text.bytes => Some(text),
        (Some(list), _) => Some(list),
        (None, text) => text,
    }
}

fn look(value: &Value, pointer: String, list: &mut Option<Heavy>, text: &mut Option<Heavy>) -> usize {
    let child = |name: &str| format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => size(value),
        Value::String(content) => {
            let bytes = size(value);
            if content.len() > SHORT + ELLIPSIS.len() && text.as_ref().is_none_or(|other| other.bytes < bytes) {
                *text = Some(Heavy { pointer, bytes });
            }
            bytes
        }
        Value::Array(items) => {
            let inner: usize = items
                .iter()
                .enumerate()
                .map(|(index, item)| look(item, child(&index.to_string()), list, text) + 1)
                .sum();
            let bytes = inner + 2;
            // A list inside a list is cut only when the outer one can't be.
            if items.len() > 1 && list.as_ref().is_none_or(|other| other.bytes < bytes) {
                *list = Some(Heavy { pointer, bytes });
            }
            bytes
        }
        Value::Object(members) => {
            let inner: usize =
                members.iter().map(|(name, member)| name.len() + 4 + look(member, child(name), list, text)).sum();
            inner + 2
        }
    }
}

fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".").replace("~1", "/").replace("~0", "~")
}

/// The length of a value as JSON, counted without writing it.
fn size(value: &Value) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

/// The nearest character boundary at or before an offset.
fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cut(mut given: Value, limit: usize) -> (Value, Option<String>) {
        let notice = value(&mut given, limit, &["from".to_owned()]).unwrap();
        assert!(size(&given) <= limit, "{given}");
        (given, notice)
    }

    #[test]
    fn lists_are_cut_between_items() {
        let items: Vec<Value> = (0..100).map(|n| json!({"n": n, "text": "0123456789"})).collect();
        let (short, notice) = cut(json!(items), 400);
        assert_eq!(short.as_array().unwrap().len(), 14);
        assert_eq!(notice.unwrap(), "showing 14 of 100 items; narrow by `from`");
        let (short, notice) = cut(json!({"total": 100, "data": {"items": items}}), 400);
        assert_eq!(short["total"], 100);
        let kept = short["data"]["items"].as_array().unwrap().len();
        assert_eq!(notice.unwrap(), format!("showing {kept} of 100 items of `data.items`; narrow by `from`"));
    }

    #[test]
    fn what_fits_is_left_alone_and_long_texts_are_cut() {
        assert_eq!(cut(json!([1, 2, 3]), 7), (json!([1, 2, 3]), None));
        let (short, notice) = cut(json!({"text": "ü".repeat(1000)}), 300);
        assert!(short["text"].as_str().unwrap().ends_with("ü…"));
        assert_eq!(notice.unwrap(), "long texts are cut; narrow by `from`");
        let wide: serde_json::Map<String, Value> = (0..1000).map(|n| (n.to_string(), json!(n))).collect();
        let words = value(&mut Value::Object(wide), 100, &[]).unwrap_err();
        assert!(words.contains("is longer than the 100 bytes that this tool gives"), "{words}");
        let mut long = "é".repeat(10);
        assert_eq!(text(&mut long, 5, &[]).unwrap(), "showing the first 5 bytes of 20 bytes");
        assert_eq!(long, "éé");
    }
}
