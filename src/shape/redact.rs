//! `redact`: what nobody sees, wherever it stands in the answer.

use serde_json::Value;

/// What stands in place of a value.
const HIDDEN: &str = "[redacted]";

/// Which members are hidden. A pattern fits a member when its names are the last ones on the way to it; items of lists
/// have no name and don't count.
#[derive(Debug, Default)]
pub struct Redact(Vec<Vec<String>>);

// === impl Redact ===

impl Redact {
    /// Reads patterns such as `ssn`, `employee.ssn` and `*.salary`.
    ///
    /// # Errors
    /// Returns the index of a pattern with an empty name, or that ends in `*`.
    pub fn compile(patterns: &[String]) -> Result<Self, usize> {
        let read = |pattern: &String| {
            let names: Vec<String> = pattern.split('.').map(str::to_owned).collect();
            let fits = names.iter().all(|name| !name.is_empty()) && names.last().is_some_and(|name| name != "*");
            fits.then_some(names)
        };
        patterns
            .iter()
            .enumerate()
            .map(|(index, pattern)| read(pattern).ok_or(index))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether nothing is hidden.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Hides what is to be hidden.
    pub fn apply(&self, value: &mut Value) {
        if !self.is_empty() {
            self.walk(value, &mut Vec::new());
        }
    }

    fn walk(&self, value: &mut Value, way: &mut Vec<String>) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.walk(item, way)),
            Value::Object(members) => {
                for (name, member) in members {
                    way.push(name.clone());
                    if self.0.iter().any(|pattern| ends_with(way, pattern)) {
                        *member = Value::String(HIDDEN.to_owned());
                    } else {
                        self.walk(member, way);
                    }
                    way.pop();
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

fn ends_with(way: &[String], pattern: &[String]) -> bool {
    way.len() >= pattern.len()
        && way.iter().rev().zip(pattern.iter().rev()).all(|(name, wanted)| wanted == "*" || name == wanted)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_hidden_wherever_they_are() {
        let redact = Redact::compile(&["ssn".to_owned(), "*.salary".to_owned(), "contact.mail".to_owned()]).unwrap();
        let mut value = json!({
            "ssn": 1, "salary": 2, "mail": 3,
            "people": [{"ssn": {"a": 1}, "salary": 4, "contact": {"mail": 5, "phone": 6}}],
        });
        redact.apply(&mut value);
        let hidden = HIDDEN;
        assert_eq!(
            value,
            json!({
                "ssn": hidden, "salary": 2, "mail": 3,
                "people": [{"ssn": hidden, "salary": hidden, "contact": {"mail": hidden, "phone": 6}}],
            })
        );
        for bad in ["", "a.", ".a", "a.*"] {
            assert_eq!(Redact::compile(&["x".to_owned(), bad.to_owned()]).unwrap_err(), 1, "{bad:?}");
        }
    }
}
