//! Whether a JSON Schema lets through less than another.

use serde_json::Value;

/// Keywords whose number may only grow.
const UPPER: [&str; 5] = ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"];
/// Keywords whose number may only shrink.
const LOWER: [&str; 5] = ["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"];
/// Keywords that refuse nothing.
const SILENT: [&str; 5] = ["title", "description", "examples", "default", "$comment"];

/// Whether a value that fits the old schema may not fit the new one. What can't be told counts as if it did.
pub(super) fn narrows(old: &Value, new: &Value) -> bool {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        // `true` lets everything through.
        return old != new && *new != Value::Bool(true);
    };
    let keys = new.iter().filter(|(key, _)| !SILENT.contains(&key.as_str()));
    let mut keys = keys.filter(|(key, is)| old.get(*key) != Some(is));
    keys.any(|(key, is)| match (key.as_str(), old.get(key)) {
        ("type" | "enum", Some(was)) => !all_in(&listed(was), &listed(is)),
        // A constant may become one of several choices, and an enumeration that held only it.
        ("enum", None) => old.get("const").is_none_or(|it| !listed(is).contains(it)),
        ("required", Some(was)) => !all_in(&listed(is), &listed(was)),
        ("additionalProperties", _) => *is != Value::Bool(true),
        ("items", Some(was)) => narrows(was, is),
        ("properties", Some(Value::Object(was))) => is.as_object().is_none_or(|is| {
            // What was let through without a word may be refused now.
            is.iter().any(|(name, is)| was.get(name).is_none_or(|was| narrows(was, is)))
        }),
        (key, Some(was)) if UPPER.contains(&key) => number(is) < number(was),
        (key, Some(was)) if LOWER.contains(&key) => number(is) > number(was),
        _ => true,
    })
}

fn listed(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        one => vec![one.clone()],
    }
}

/// Whether all of the one list are in the other; an integer is a number.
fn all_in(one: &[Value], other: &[Value]) -> bool {
    one.iter().all(|it| other.contains(it) || (*it == "integer" && other.contains(&"number".into())))
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_lets_less_through_is_told_from_what_lets_more_through() {
        let cases = [
            (json!({"type": "string"}), json!({"type": ["string", "null"]}), false),
            (json!({"type": ["string", "null"]}), json!({"type": "string"}), true),
            (json!({"type": "integer"}), json!({"type": "number"}), false),
            (json!({"type": "number"}), json!({"type": "integer"}), true),
            (json!({"enum": ["a"]}), json!({"enum": ["a", "b"]}), false),
            (json!({"enum": ["a", "b"]}), json!({"enum": ["a"]}), true),
            (json!({"enum": ["a", "b"]}), json!({}), false),
            (json!({}), json!({"enum": ["a"]}), true),
            (json!({"const": "a"}), json!({"enum": ["a", "b"]}), false),
            (json!({"maximum": 5}), json!({"maximum": 9}), false),
            (json!({"maximum": 5}), json!({"maximum": 4}), true),
            (json!({"minLength": 5}), json!({}), false),
            (json!({"minLength": 5}), json!({"minLength": 6}), true),
            (json!({"type": "string"}), json!({"type": "string", "pattern": "^a"}), true),
            (json!({"pattern": "^a"}), json!({"pattern": "^b"}), true),
            (json!({"items": {"type": "string"}}), json!({"items": {}}), false),
            (json!({"items": {"type": "string"}}), json!({"items": {"type": "integer"}}), true),
            (json!({"properties": {"a": {}}}), json!({"properties": {}}), false),
            (json!({"properties": {}}), json!({"properties": {"a": {"type": "string"}}}), true),
            (json!({"required": ["a"]}), json!({"required": ["a", "b"]}), true),
            (json!({"required": ["a", "b"]}), json!({"required": ["a"]}), false),
            (json!({"description": "a"}), json!({"description": "b", "default": 1}), false),
            (json!({}), json!({"additionalProperties": false}), true),
            (json!(true), json!({"type": "string"}), true),
            (json!({"type": "string"}), json!(true), false),
        ];
        for (old, new, expected) in cases {
            assert_eq!(narrows(&old, &new), expected, "{old} -> {new}");
        }
    }
}
