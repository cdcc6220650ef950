//! JSON in which no object has two members of one name. Whoever reads the first of two and whoever reads the last
//! would take the same bytes for two different answers.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A JSON value in which no object has two members of one name.
pub(crate) struct Unique(pub(crate) Value);

struct UniqueVisitor;

/// JSON that nobody keeps, in which no object has two members of one name.
struct Passed;

struct PassedVisitor;

/// A name, borrowed when it is written without escapes.
#[derive(serde::Deserialize)]
struct Name<'n>(#[serde(borrow)] Cow<'n, str>);

/// What an error says about a name that stands twice.
const TWICE: &str = "a name stands twice";
/// So many names are compared with each other; more are hashed.
const FEW: usize = 16;

// === impl Unique ===

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON with unique names")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unique(value))) = members.next_entry::<String, _>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom(TWICE));
            }
        }
        Ok(object.into())
    }
}

// === impl Passed ===

impl<'de> Deserialize<'de> for Passed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PassedVisitor)
    }
}

impl<'de> Visitor<'de> for PassedVisitor {
    type Value = Passed;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON with unique names")
    }

    fn visit_unit<E>(self) -> Result<Passed, E> {
        Ok(Passed)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Passed, E> {
        Ok(Passed)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Passed, E> {
        Ok(Passed)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Passed, E> {
        Ok(Passed)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Passed, E> {
        Ok(Passed)
    }

    fn visit_str<E>(self, _: &str) -> Result<Passed, E> {
        Ok(Passed)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Passed, A::Error> {
        while items.next_element::<Passed>()?.is_some() {}
        Ok(Passed)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Passed, A::Error> {
        let (mut few, mut many) = (Vec::new(), HashSet::new());
        while let Some((Name(name), Passed)) = members.next_entry::<Name<'de>, Passed>()? {
            if few.contains(&name) || many.contains(&name) {
                return Err(A::Error::custom(TWICE));
            }
            if few.len() < FEW {
                few.push(name);
            } else {
                many.insert(name);
            }
        }
        Ok(Passed)
    }
}

/// Whether a JSON text has an object with two members of one name. What is no JSON has none.
pub(crate) fn names_twice(text: &[u8]) -> bool {
    let read: Result<Passed, _> = serde_json::from_slice(text);
    read.is_err_and(|error| error.is_data() && error.to_string().starts_with(TWICE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_stands_twice_is_found_wherever_it_is() {
        let wide = |last: &str| {
            let names: Vec<String> = (0..100).map(|number| format!("\"n{number}\":{number}")).collect();
            format!("{{{},\"{last}\":0}}", names.join(","))
        };
        for twice in
            [r#"{"a":1,"a":1}"#, r#"[{"a":{"b":1,"c":[],"b":2}}]"#, r#"{"a":1,"\u0061":2}"#, &wide("n3"), &wide("n80")]
        {
            assert!(names_twice(twice.as_bytes()), "{twice}");
        }
        for once in [
            r#"{"a":{"a":[{"a":1.5},{"a":-1}]},"b":null,"c":true,"d":"a"}"#,
            &wide("n100"),
            "",
            "{\"a\":1",
            "\"a name stands twice\"",
        ] {
            assert!(!names_twice(once.as_bytes()), "{once}");
        }
    }
}
