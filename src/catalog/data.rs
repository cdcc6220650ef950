//! Data templates: YAML data with `{{ }}` and `${ }` in its leaves. What they make is data again, so no value can change
//! the shape of what is sent.

use serde_json::{Map, Value};

use crate::secret::{Piece, SecretRef, Secrets, Text};
use crate::template::{Leaf, Scope, TemplateError, Templates};

/// A data template.
#[derive(Debug)]
pub enum Data {
    /// Data without templates and without secrets.
    Constant(Value),
    /// A string with a template in it.
    Template(Leaf),
    /// A string with a secret in it, and perhaps templates around it.
    Mixed(Vec<MixedPiece>),
    /// A list.
    List(Vec<Data>),
    /// An object; its keys are never templates.
    Map(Vec<(String, Data)>),
}

/// A part of a string that holds a secret.
#[derive(Debug)]
pub enum MixedPiece {
    /// Text or a template.
    Leaf(Leaf),
    /// What a `${…}` held.
    Secret(SecretRef),
}

/// What a data template made: data in which secrets are still hidden.
#[derive(Clone, Debug, PartialEq)]
pub enum Rendered {
    /// Data without secrets.
    Value(Value),
    /// A string with a secret in it.
    Text(Text),
    /// A list with a secret somewhere in it.
    List(Vec<Rendered>),
    /// An object with a secret somewhere in it.
    Map(Vec<(String, Rendered)>),
}

// === impl Data ===

impl Data {
    /// Whether nothing in it depends on the call.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        match self {
            Self::Constant(_) => true,
            Self::Template(leaf) => leaf_is_constant(leaf),
            Self::Mixed(pieces) => pieces.iter().all(|piece| match piece {
                MixedPiece::Leaf(leaf) => leaf_is_constant(leaf),
                MixedPiece::Secret(_) => true,
            }),
            Self::List(items) => items.iter().all(Self::is_constant),
            Self::Map(members) => members.iter().all(|(_, data)| data.is_constant()),
        }
    }

    /// Whether a secret goes into it.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        match self {
            Self::Constant(_) | Self::Template(_) => false,
            Self::Mixed(_) => true,
            Self::List(items) => items.iter().any(Self::has_secret),
            Self::Map(members) => members.iter().any(|(_, data)| data.has_secret()),
        }
    }

    /// Gives the data for one call; `None` when the whole of it is a leaf that is undefined because an optional argument
    /// is absent. Undefined leaves inside lists and objects are left out.
    ///
    /// # Errors
    /// Returns a [`TemplateError`] when a template fails for any other reason.
    pub fn render(&self, templates: &Templates, scope: &Scope) -> Result<Option<Rendered>, TemplateError> {
        match self {
            Self::Constant(value) => Ok(Some(Rendered::Value(value.clone()))),
            Self::Template(leaf) => match templates.value(leaf, scope) {
                Err(TemplateError::Undefined(_)) => Ok(None),
                other => Ok(other?.map(Rendered::Value)),
            },
            Self::Mixed(pieces) => {
                let mut text = Text::default();
                for piece in pieces {
                    text.push(match piece {
                        MixedPiece::Secret(secret) => Piece::Secret(secret.clone()),
                        MixedPiece::Leaf(leaf) => match templates.text(leaf, scope) {
                            Err(TemplateError::Undefined(_)) => return Ok(None),
                            other => Piece::Plain(other?),
                        },
                    });
                }
                Ok(Some(Rendered::Text(text)))
            }
            Self::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for item in items {
                    list.extend(item.render(templates, scope)?);
                }
                Ok(Some(Rendered::list(list)))
            }
            Self::Map(members) => {
                let mut map = Vec::with_capacity(members.len());
                for (key, data) in members {
                    if let Some(value) = data.render(templates, scope)? {
                        map.push((key.clone(), value));
                    }
                }
                Ok(Some(Rendered::map(map)))
            }
        }
    }
}

fn leaf_is_constant(leaf: &Leaf) -> bool {
    match leaf {
        Leaf::Constant(_) => true,
        Leaf::Expression(_) | Leaf::Text(_) => false,
    }
}

// === impl Rendered ===

impl Rendered {
    /// Makes an object; plain data when no member holds a secret.
    #[must_use]
    pub fn map(members: Vec<(String, Self)>) -> Self {
        if !members.iter().all(|(_, value)| matches!(value, Self::Value(_))) {
            return Self::Map(members);
        }
        let plain: Map<String, Value> = members
            .into_iter()
            .filter_map(|(key, value)| match value {
                Self::Value(value) => Some((key, value)),
                Self::Text(_) | Self::List(_) | Self::Map(_) => None,
            })
            .collect();
        Self::Value(Value::Object(plain))
    }

    fn list(items: Vec<Self>) -> Self {
        if !items.iter().all(|value| matches!(value, Self::Value(_))) {
            return Self::List(items);
        }
        let plain = items
            .into_iter()
            .filter_map(|value| match value {
                Self::Value(value) => Some(value),
                Self::Text(_) | Self::List(_) | Self::Map(_) => None,
            })
            .collect();
        Self::Value(Value::Array(plain))
    }

    /// The data with its secrets filled in.
    #[must_use]
    pub fn fill(&self, secrets: &Secrets) -> Value {
        self.to_value(&|text| text.fill(secrets))
    }

    /// The data with each text that holds a secret written by `text_of`.
    #[must_use]
    pub fn to_value(&self, text_of: &dyn Fn(&Text) -> String) -> Value {
        match self {
            Self::Value(value) => value.clone(),
            Self::Text(text) => Value::String(text_of(text)),
            Self::List(items) => items.iter().map(|item| item.to_value(text_of)).collect(),
            Self::Map(members) => {
                members.iter().map(|(key, value)| (key.clone(), value.to_value(text_of))).collect::<Map<_, _>>().into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::template::Builder;

    #[test]
    fn a_string_with_a_secret_and_an_absent_argument_is_left_out() {
        let mut builder = Builder::default();
        let mixed = |leaf| Data::Mixed(vec![MixedPiece::Secret(SecretRef::new(0, "${KEY}")), MixedPiece::Leaf(leaf)]);
        let (there, absent) =
            (mixed(builder.leaf("-{{ args.a }}").unwrap()), mixed(builder.leaf("-{{ args.b }}").unwrap()));
        let gone = Data::Template(builder.leaf("{{ args.b.c }}").unwrap());
        let constant = Data::Constant(json!(1));
        assert!(!gone.has_secret() && !constant.has_secret() && there.has_secret());
        let data =
            Data::Map(vec![("list".to_owned(), Data::List(vec![constant, absent, there])), ("gone".to_owned(), gone)]);
        assert!(data.has_secret() && !data.is_constant());
        let scope = Scope::new(json!({"args": {"a": "x"}}).as_object().unwrap());
        let rendered = data.render(&builder.finish(), &scope).unwrap().unwrap();
        assert!(matches!(rendered, Rendered::Map(_)));
        let secrets = Secrets::new(vec!["s3cret".to_owned().into()]);
        assert_eq!(rendered.fill(&secrets), json!({"list": [1, "s3cret-x"]}));
        assert!(!format!("{rendered:?}").contains("s3cret"));
    }
}
