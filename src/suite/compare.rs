//! Expected and got: maps match when all that is expected is there.

use serde_json::Value;

/// A value that is not as expected.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference {
    /// The JSON Pointer of the value; empty for the whole.
    pub(super) pointer: String,
    /// What was expected.
    pub(super) expected: Value,
    /// What is there instead.
    pub(super) got: Option<Value>,
}

/// What of the expected is not there. Maps may have more members, lists have as many items, and numbers are equal by value.
pub(super) fn differences(expected: &Value, got: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(expected, Some(got), &mut String::new(), &mut found);
    found
}

fn walk(expected: &Value, got: Option<&Value>, pointer: &mut String, found: &mut Vec<Difference>) {
    let mut inside = |segment: &str, expected: &Value, got: Option<&Value>, pointer: &mut String| {
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(&segment.replace('~', "~0").replace('/', "~1"));
        walk(expected, got, pointer, found);
        pointer.truncate(length);
    };
    match (expected, got) {
        (Value::Object(expected), Some(Value::Object(got))) => {
            for (name, value) in expected {
                inside(name, value, got.get(name), pointer);
            }
        }
        (Value::Array(expected), Some(Value::Array(got))) if expected.len() == got.len() => {
            for (index, (expected, got)) in expected.iter().zip(got).enumerate() {
                inside(&index.to_string(), expected, Some(got), pointer);
            }
        }
        (Value::Number(expected), Some(Value::Number(got))) if equal(expected, got) => {}
        (expected, Some(got)) if expected == got => {}
        (expected, got) => {
            found.push(Difference { pointer: pointer.clone(), expected: expected.clone(), got: got.cloned() });
        }
    }
}

/// `1` and `1.0` are one number.
fn equal(one: &serde_json::Number, other: &serde_json::Number) -> bool {
    one == other || (one.is_f64() != other.is_f64() && one.as_f64() == other.as_f64())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn more_may_be_there_and_what_is_not_is_told_with_its_place() {
        let got = json!({"a": 1, "b": {"c": [1.0, {"d/e": "x", "f": null}]}, "g": true});
        for fine in [
            json!({}),
            json!({"a": 1.0}),
            json!({"b": {"c": [1, {"d/e": "x"}]}}),
            json!({"b": {"c": [1, {"f": null}]}}),
        ] {
            assert_eq!(differences(&fine, &got), [], "{fine}");
        }
        let told = |expected: Value| {
            let found = differences(&expected, &got);
            found.into_iter().map(|it| (it.pointer, it.got)).collect::<Vec<_>>()
        };
        assert_eq!(told(json!({"b": {"c": [1, {"d/e": "y"}]}})), [("/b/c/1/d~1e".to_owned(), Some(json!("x")))]);
        assert_eq!(told(json!({"b": {"c": []}})), [("/b/c".to_owned(), Some(json!([1.0, {"d/e": "x", "f": null}])))]);
        assert_eq!(told(json!({"h": null})), [("/h".to_owned(), None)]);
        assert_eq!(told(json!({"a": "1"})), [("/a".to_owned(), Some(json!(1)))]);
        assert_eq!(told(json!([])).len(), 1);
    }
}
