//! How a value becomes text in a path, a query, a header or a cookie: OpenAPI's `style` and `explode`, and our `join`.

use serde_json::Value;

use super::{Origin, Pair};
use crate::catalog::{Encoding, PathValue, Rendered, Style, encode_segment};
use crate::secret::Text;

/// Why a value can't go where it belongs: words that follow "it is".
pub(super) type Unfit = &'static str;

/// A value without nesting.
enum Flat {
    /// Null: nothing is sent.
    Nothing,
    /// One value.
    One(Text),
    /// A list.
    List(Vec<Text>),
    /// An object.
    Map(Vec<(String, Text)>),
}

/// The pairs of a query that a value makes; none for null.
pub(super) fn query(name: &str, value: &Rendered, encoding: &Encoding, origin: &Origin) -> Result<Vec<Pair>, Unfit> {
    let pair = |name: String, values: Vec<Text>, delimiter| Pair { name, values, delimiter, origin: origin.clone() };
    let single = |text| pair(name.to_owned(), vec![text], "");
    let delimited = |values, delimiter| vec![pair(name.to_owned(), values, delimiter)];
    Ok(match (flat(value)?, encoding) {
        (Flat::Nothing, _) => Vec::new(),
        (Flat::One(_), Encoding::Styled { style: Style::DeepObject, .. }) => return Err("not an object"),
        (Flat::One(text), _) => vec![single(text)],
        (Flat::List(items), Encoding::Join(by)) => vec![single(joined(items, by)?)],
        (Flat::List(items), Encoding::Styled { style, explode: false }) => match style {
            Style::SpaceDelimited => delimited(items, "%20"),
            Style::PipeDelimited => delimited(items, "%7C"),
            Style::DeepObject => return Err("a list"),
            Style::Form | Style::Simple | Style::Label | Style::Matrix => delimited(items, ","),
        },
        (Flat::List(_), Encoding::Styled { style: Style::DeepObject, .. }) => return Err("a list"),
        (Flat::List(items), Encoding::Plain | Encoding::Segments | Encoding::Styled { .. }) => {
            items.into_iter().map(single).collect()
        }
        (Flat::Map(members), Encoding::Styled { style: Style::DeepObject, .. }) => {
            members.into_iter().map(|(key, text)| pair(format!("{name}[{key}]"), vec![text], "")).collect()
        }
        (Flat::Map(members), Encoding::Styled { explode: true, .. }) => {
            members.into_iter().map(|(key, text)| pair(key, vec![text], "")).collect()
        }
        (Flat::Map(members), Encoding::Styled { style, explode: false }) => {
            let values = members.into_iter().flat_map(|(key, text)| [Text::plain(key), text]).collect();
            delimited(
                values,
                match style {
                    Style::SpaceDelimited => "%20",
                    Style::PipeDelimited => "%7C",
                    Style::Form | Style::Simple | Style::Label | Style::Matrix | Style::DeepObject => ",",
                },
            )
        }
        (Flat::Map(_), Encoding::Plain | Encoding::Join(_) | Encoding::Segments) => return Err("an object"),
    })
}

/// A value for the path. Secrets never get here.
pub(super) fn path(name: &str, value: &Rendered, encoding: &Encoding) -> Result<PathValue, Unfit> {
    let Encoding::Styled { style, explode } = encoding else {
        let text = one(value, encoding)?.to_string();
        return Ok(if *encoding == Encoding::Segments { PathValue::Segments(text) } else { PathValue::One(text) });
    };
    let encoded = |text: &Text| encode_segment(&text.to_string());
    let name = encode_segment(name);
    let member =
        |(key, text): &(String, Text), between: &str| format!("{}{between}{}", encode_segment(key), encoded(text));
    let wire = match (flat(value)?, style, explode) {
        (Flat::Nothing, _, _) => return Err("null"),
        (Flat::One(text), Style::Label, _) => format!(".{}", encoded(&text)),
        (Flat::One(text), Style::Matrix, _) => format!(";{name}={}", encoded(&text)),
        (Flat::One(text), _, _) => encoded(&text),
        (Flat::List(items), style, explode) => {
            let items: Vec<String> = items.iter().map(encoded).collect();
            if items.is_empty() {
                return Err("an empty list");
            }
            match (style, explode) {
                (Style::Label, true) => format!(".{}", items.join(".")),
                (Style::Label, false) => format!(".{}", items.join(",")),
                (Style::Matrix, true) => format!(";{name}={}", items.join(&format!(";{name}="))),
                (Style::Matrix, false) => format!(";{name}={}", items.join(",")),
                _ => items.join(","),
            }
        }
        (Flat::Map(members), style, explode) => {
            if members.is_empty() {
                return Err("an empty object");
            }
            let with = |between: &str, delimiter: &str| {
                members.iter().map(|pair| member(pair, between)).collect::<Vec<_>>().join(delimiter)
            };
            match (style, explode) {
                (Style::Label, true) => format!(".{}", with("=", ".")),
                (Style::Label, false) => format!(".{}", with(",", ",")),
                (Style::Matrix, true) => format!(";{}", with("=", ";")),
                (Style::Matrix, false) => format!(";{name}={}", with(",", ",")),
                (_, true) => with("=", ","),
                (_, false) => with(",", ","),
            }
        }
    };
    Ok(PathValue::Wire(wire))
}

/// A value as one text, for a header or a cookie; `None` for null.
pub(super) fn line(value: &Rendered, encoding: &Encoding) -> Result<Option<Text>, Unfit> {
    let Encoding::Styled { explode, .. } = encoding else {
        return match flat(value)? {
            Flat::Nothing => Ok(None),
            _ => one(value, encoding).map(Some),
        };
    };
    Ok(match flat(value)? {
        Flat::Nothing => None,
        Flat::One(text) => Some(text),
        Flat::List(items) => Some(joined(items, ",")?),
        Flat::Map(members) => {
            let between = if *explode { "=" } else { "," };
            let items = members
                .into_iter()
                .map(|(key, text)| concatenated([Text::plain(format!("{key}{between}")), text]))
                .collect();
            Some(concatenated(separated(items, ",")))
        }
    })
}

/// A value as one text.
pub(super) fn one(value: &Rendered, encoding: &Encoding) -> Result<Text, Unfit> {
    match (flat(value)?, encoding) {
        (Flat::One(text), _) => Ok(text),
        (Flat::List(items), Encoding::Join(by)) => joined(items, by),
        (Flat::List(_), _) => Err("a list"),
        (Flat::Map(_), _) => Err("an object"),
        (Flat::Nothing, _) => Err("null"),
    }
}

/// A value as texts: none for null, one for a single value, several for a list.
pub(super) fn texts(value: &Rendered) -> Result<Vec<Text>, Unfit> {
    match flat(value)? {
        Flat::Nothing => Ok(Vec::new()),
        Flat::One(text) => Ok(vec![text]),
        Flat::List(items) => Ok(items),
        Flat::Map(_) => Err("an object"),
    }
}

/// Joins items into one value. An item that holds the joint could pass for two.
fn joined(items: Vec<Text>, by: &str) -> Result<Text, Unfit> {
    if items.iter().any(|item| item.to_string().contains(by)) {
        return Err("a list with an item that holds the text by which items are joined");
    }
    Ok(concatenated(separated(items, by)))
}

fn separated(items: Vec<Text>, by: &str) -> Vec<Text> {
    let mut parts = Vec::with_capacity(items.len() * 2);
    for item in items {
        if !parts.is_empty() {
            parts.push(Text::plain(by));
        }
        parts.push(item);
    }
    parts
}

fn concatenated(parts: impl IntoIterator<Item = Text>) -> Text {
    let mut whole = Text::plain("");
    for part in parts {
        for piece in part.pieces() {
            whole.push(piece.clone());
        }
    }
    whole
}

fn flat(value: &Rendered) -> Result<Flat, Unfit> {
    const NESTED_LIST: &str = "a list of something else than single values";
    const NESTED_MAP: &str = "an object of something else than single values";
    Ok(match value {
        Rendered::Text(text) => Flat::One(text.clone()),
        Rendered::Value(Value::Null) => Flat::Nothing,
        Rendered::Value(Value::Array(items)) => Flat::List(
            items.iter().map(|item| scalar(item).map(Text::plain)).collect::<Option<_>>().ok_or(NESTED_LIST)?,
        ),
        Rendered::Value(Value::Object(members)) => Flat::Map(
            members
                .iter()
                .map(|(key, member)| Some((key.clone(), Text::plain(scalar(member)?))))
                .collect::<Option<_>>()
                .ok_or(NESTED_MAP)?,
        ),
        Rendered::Value(value) => Flat::One(Text::plain(scalar(value).unwrap_or_default())),
        Rendered::List(items) => Flat::List(items.iter().map(single).collect::<Option<_>>().ok_or(NESTED_LIST)?),
        Rendered::Map(members) => Flat::Map(
            members
                .iter()
                .map(|(key, member)| Some((key.clone(), single(member)?)))
                .collect::<Option<_>>()
                .ok_or(NESTED_MAP)?,
        ),
    })
}

fn single(value: &Rendered) -> Option<Text> {
    match value {
        Rendered::Text(text) => Some(text.clone()),
        Rendered::Value(value) => scalar(value).map(Text::plain),
        Rendered::List(_) | Rendered::Map(_) => None,
    }
}

/// A single value as text.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::secret::{Piece, SecretRef};

    /// The examples of OpenAPI 3.1 section 4.8.12.4, with its own values.
    #[test]
    fn styles_are_those_of_openapi() {
        let list = Rendered::Value(json!(["blue", "black", "brown"]));
        let map = Rendered::Value(json!({"R": 100, "G": 200, "B": 150}));
        let one = Rendered::Value(json!("blue"));
        let wire = |value: &Rendered, style, explode| match path("color", value, &Encoding::Styled { style, explode })
            .unwrap()
        {
            PathValue::Wire(text) => text,
            other => panic!("{other:?}"),
        };
        for (style, explode, expected) in [
            (Style::Simple, false, ["blue", "blue,black,brown", "R,100,G,200,B,150"]),
            (Style::Simple, true, ["blue", "blue,black,brown", "R=100,G=200,B=150"]),
            (Style::Label, false, [".blue", ".blue,black,brown", ".R,100,G,200,B,150"]),
            (Style::Label, true, [".blue", ".blue.black.brown", ".R=100.G=200.B=150"]),
            (Style::Matrix, false, [";color=blue", ";color=blue,black,brown", ";color=R,100,G,200,B,150"]),
            (Style::Matrix, true, [";color=blue", ";color=blue;color=black;color=brown", ";R=100;G=200;B=150"]),
        ] {
            assert_eq!([&one, &list, &map].map(|value| wire(value, style, explode)), expected, "{style:?} {explode}");
        }
        let pairs = |value: &Rendered, style, explode| {
            query("color", value, &Encoding::Styled { style, explode }, &Origin::Constant)
                .unwrap()
                .iter()
                .map(|pair| pair.wire(&crate::call::Shown))
                .collect::<Vec<_>>()
                .join("&")
        };
        for (style, explode, expected) in [
            (Style::Form, true, ["color=blue&color=black&color=brown", "R=100&G=200&B=150"]),
            (Style::Form, false, ["color=blue,black,brown", "color=R,100,G,200,B,150"]),
            (Style::SpaceDelimited, false, ["color=blue%20black%20brown", "color=R%20100%20G%20200%20B%20150"]),
            (Style::PipeDelimited, false, ["color=blue%7Cblack%7Cbrown", "color=R%7C100%7CG%7C200%7CB%7C150"]),
        ] {
            assert_eq!([&list, &map].map(|value| pairs(value, style, explode)), expected, "{style:?} {explode}");
        }
        assert_eq!(pairs(&map, Style::DeepObject, true), "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150");
    }

    #[test]
    fn an_item_that_could_pass_for_two_is_refused() {
        let by = Encoding::Join(",".to_owned());
        let joined = |value: Value| line(&Rendered::Value(value), &by).map(|text| text.map(|text| text.to_string()));
        assert_eq!(joined(json!(["a", "b"])), Ok(Some("a,b".to_owned())));
        assert!(joined(json!(["a,b", "c"])).is_err());
        assert!(joined(json!([["a"]])).is_err());
        assert_eq!(joined(json!(null)), Ok(None));
    }

    #[test]
    fn a_value_of_the_wrong_form_is_refused_in_words() {
        let styled = |style| Encoding::Styled { style, explode: false };
        let (one, list) = (json!("a"), json!(["a"]));
        let (map, none) = (json!({"k": "v"}), json!(null));
        let query_of =
            |value: &Value, encoding| query("q", &Rendered::Value(value.clone()), &encoding, &Origin::Constant);
        for (value, encoding, what) in [
            (&one, styled(Style::DeepObject), "not an object"),
            (&list, styled(Style::DeepObject), "a list"),
            (&list, Encoding::Styled { style: Style::DeepObject, explode: true }, "a list"),
            (&map, Encoding::Plain, "an object"),
            (&json!({"k": {}}), styled(Style::Form), "an object of something else than single values"),
        ] {
            assert_eq!(query_of(value, encoding), Err(what), "{value}");
        }
        let path_of = |value: &Value, encoding| path("p", &Rendered::Value(value.clone()), &encoding).unwrap_err();
        for (value, encoding, what) in [
            (&none, styled(Style::Simple), "null"),
            (&json!([]), styled(Style::Label), "an empty list"),
            (&json!({}), styled(Style::Matrix), "an empty object"),
            (&none, Encoding::Plain, "null"),
            (&list, Encoding::Plain, "a list"),
            (&map, Encoding::Segments, "an object"),
        ] {
            assert_eq!(path_of(value, encoding), what, "{value}");
        }
        assert_eq!(texts(&Rendered::Value(none)), Ok(Vec::new()));
        assert_eq!(texts(&Rendered::Value(map)), Err("an object"));
    }

    #[test]
    fn an_object_in_a_header_is_one_line() {
        let line_of = |value: &Value, explode| {
            let encoding = Encoding::Styled { style: Style::Simple, explode };
            line(&Rendered::Value(value.clone()), &encoding).unwrap().map(|text| text.to_string())
        };
        let map = json!({"R": 100, "G": 200});
        assert_eq!(line_of(&map, true).as_deref(), Some("R=100,G=200"));
        assert_eq!(line_of(&map, false).as_deref(), Some("R,100,G,200"));
        assert_eq!(line_of(&json!(["a", "b"]), false).as_deref(), Some("a,b"));
        assert_eq!(line_of(&json!(7), false).as_deref(), Some("7"));
        assert_eq!(line_of(&json!(null), false), None);
    }

    #[test]
    fn a_secret_stays_one_in_lists_and_objects() {
        let mut secret = Text::default();
        secret.push(Piece::Secret(SecretRef::new(0, "${KEY}")));
        let shown = |value: &Rendered| texts(value).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        let list = Rendered::List(vec![Rendered::Text(secret.clone()), Rendered::Value(json!(1))]);
        assert_eq!(shown(&list), Ok(vec!["${KEY}".to_owned(), "1".to_owned()]));
        assert!(shown(&Rendered::List(vec![list.clone()])).is_err());
        let map = Rendered::Map(vec![("k".to_owned(), Rendered::Text(secret))]);
        let pairs =
            query("q", &map, &Encoding::Styled { style: Style::Form, explode: true }, &Origin::Constant).unwrap();
        assert!(pairs[0].values[0].has_secret());
        let nested = Rendered::Map(vec![("k".to_owned(), list)]);
        assert!(line(&nested, &Encoding::Styled { style: Style::Simple, explode: true }).is_err());
    }
}
