//! The same schemas, said so that an editor's completion, hover and underlining help most.
//!
//! An editor shows the innermost description, offers every alternative on its own, and underlines by the first
//! alternative; so what the types say in `oneOf` and `allOf` is said here in fewer layers. What is accepted stays the
//! same, except that the JSON Schema inside a parameter is looked at too. `tests/it/editor.rs` asks a real editor's server.

use schemars::{Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde_json::{Map, Value, json};

/// Adds what editors need to the settings of a generator.
pub(super) fn settle(settings: &mut SchemaSettings) {
    settings.transforms.push(Box::new(RecursiveTransform(plain_reference)));
    settings.transforms.push(Box::new(RecursiveTransform(plain_choice)));
    settings.transforms.push(Box::new(RecursiveTransform(plain_name)));
    settings.transforms.push(Box::new(parameter_keywords));
}

/// `allOf: [{ $ref }]` becomes `$ref`; beside it stand only words, which editors prefer to those of the definition.
fn plain_reference(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    let Some(Value::Array(parts)) = object.get_mut("allOf") else { return };
    if let [Value::Object(only)] = parts.as_mut_slice()
        && only.len() == 1
        && let Some(reference) = only.remove("$ref")
    {
        object.shift_remove("allOf");
        object.insert("$ref".to_owned(), reference);
    }
}

/// The words of a choice become one `enum`, its maps with a single key one map, and plain types one list of types.
fn plain_choice(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    let Some(keyword) = ["oneOf", "anyOf"].into_iter().find(|it| object.contains_key(*it)) else { return };
    let Some(Value::Array(branches)) = object.shift_remove(keyword) else { return };
    // A map of another kind could not stand beside those with a single key.
    let may_join =
        branches.iter().all(|it| single_key(it).is_some() || it.get("type").is_some_and(|it| it != "object"));

    let (mut words, mut meanings, mut keys, mut plain) = (Vec::new(), Vec::new(), Map::new(), Vec::new());
    for branch in branches {
        if let Some(word) = branch.get("const") {
            words.push(word.clone());
            meanings.push(branch.get("description").cloned().unwrap_or_default());
        } else if let Some((key, about)) = single_key(&branch).filter(|_| may_join) {
            keys.insert(key.clone(), about.clone());
        } else if let Value::Object(mut branch) = branch {
            // These words would be shown instead of those of the key.
            branch.shift_remove("description");
            plain.push(branch);
        }
    }
    if !words.is_empty() {
        let words = json!({ "type": "string", "enum": words, "enumDescriptions": meanings });
        plain.extend(words.as_object().cloned());
    }
    if !keys.is_empty() {
        // Beside the choice, not in it: what is wrong inside is underlined there, whatever else could be written.
        object.insert("properties".to_owned(), keys.into());
        object.insert("additionalProperties".to_owned(), false.into());
        // Apart from the keys: an editor offers none where one is the most and it takes what is being typed for one.
        object.insert("allOf".to_owned(), json!([{ "minProperties": 1, "maxProperties": 1 }]));
        plain.push(Map::from_iter([("type".to_owned(), "object".into())]));
    }
    let types: Vec<_> = plain.iter().filter_map(|it| it.get("type").cloned()).collect();
    let others: Vec<_> = plain.iter().flat_map(Map::keys).filter(|it| *it != "type").collect();
    // Each type has keywords of its own; those of one must not meet a value of another.
    let is_plain = types.len() == plain.len()
        && types.iter().enumerate().all(|(at, it)| !types.iter().take(at).any(|earlier| earlier == it))
        && others.iter().all(|it| ["items", "minItems", "maxItems", "pattern"].contains(&it.as_str()));
    match plain.as_mut_slice() {
        [only] => object.extend(std::mem::take(only)),
        _ if is_plain => {
            object.extend(plain.into_iter().flatten());
            object.insert("type".to_owned(), types.into());
        }
        _ => drop(object.insert(keyword.to_owned(), plain.into_iter().map(Value::Object).collect())),
    }
}

/// The key of a closed map that has just one, and needs it.
fn single_key(branch: &Value) -> Option<(&String, &Value)> {
    let needs_all = branch.get("required")?.as_array()?.len() == 1 && branch.get("additionalProperties")? == false;
    let mut properties = branch.get("properties")?.as_object()?.iter();
    properties.next().filter(|_| needs_all && properties.next().is_none())
}

/// An editor shows the names of definitions; `Spec` is our own word.
fn plain_name(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    let plain = |name: &str| name.strip_suffix("Spec").unwrap_or(name).to_owned();
    if let Some(Value::String(reference)) = object.get_mut("$ref") {
        *reference = plain(reference);
    }
    for keyword in ["definitions", "$defs"] {
        if let Some(Value::Object(definitions)) = object.get_mut(keyword) {
            *definitions = std::mem::take(definitions).into_iter().map(|(name, it)| (plain(&name), it)).collect();
        }
    }
}

/// A parameter is open for the keywords of JSON Schema; an editor can only offer those that it is told.
fn parameter_keywords(schema: &mut Schema) {
    let Some(root) = schema.as_object_mut() else { return };
    let Some(name) = ["definitions", "$defs"].into_iter().find(|it| root.contains_key(*it)) else { return };
    let Some(definitions) = root.get_mut(name).and_then(Value::as_object_mut) else { return };
    let Some(parameter) = definitions.get_mut("Param").and_then(|it| it.get_mut("properties")?.as_object_mut()) else {
        return;
    };
    let keywords = keywords(&format!("#/{name}/ArgumentSchema"));
    for (keyword, value) in &keywords {
        parameter.entry(keyword).or_insert_with(|| value.clone());
    }
    definitions.insert(
        "ArgumentSchema".to_owned(),
        json!({
            "description": "What an argument, or a part of one, may be (JSON Schema 2020-12).",
            "type": ["object", "boolean"],
            "properties": keywords,
            "additionalProperties": true,
        }),
    );
}

/// The keywords that arguments are usually described with. Others are accepted too.
fn keywords(reference: &str) -> Map<String, Value> {
    let kinds = ["string", "integer", "number", "boolean", "array", "object", "null"];
    let formats =
        ["date", "date-time", "time", "duration", "email", "uuid", "uri", "hostname", "ipv4", "ipv6", "regex"];
    let keyword = |name: &str, mut schema: Value, description: &str, example: Value| {
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("description".to_owned(), description.into());
            schema.insert("examples".to_owned(), json!([example]));
        }
        (name.to_owned(), schema)
    };
    let count = json!({ "type": "integer", "minimum": 0 });
    let number = json!({ "type": "number" });
    let part = json!({ "$ref": reference });
    [
        keyword(
            "type",
            json!({ "anyOf": [{ "enum": kinds }, { "type": "array", "items": { "enum": kinds } }] }),
            "The type of the argument, or a list of types.",
            json!("string"),
        ),
        keyword("enum", json!({ "type": "array" }), "The values that are allowed.", json!(["open", "closed"])),
        keyword("const", json!({}), "The only value that is allowed.", json!("open")),
        keyword(
            "format",
            json!({ "anyOf": [{ "enum": formats }, { "type": "string" }] }),
            "What a text stands for.",
            json!("date"),
        ),
        keyword(
            "pattern",
            json!({ "type": "string" }),
            "A regular expression that a text must match.",
            json!("^[A-Z]{2}[0-9]+$"),
        ),
        keyword("minLength", count.clone(), "The fewest characters of a text.", json!(1)),
        keyword("maxLength", count.clone(), "The most characters of a text.", json!(200)),
        keyword("minimum", number.clone(), "The least number.", json!(1)),
        keyword("maximum", number.clone(), "The greatest number.", json!(60)),
        keyword("exclusiveMinimum", number.clone(), "The number must be greater than this.", json!(0)),
        keyword("exclusiveMaximum", number.clone(), "The number must be less than this.", json!(100)),
        keyword("multipleOf", number, "The number must be a multiple of this.", json!(0.5)),
        keyword("items", part.clone(), "What the items of a list are.", json!({ "type": "string" })),
        keyword("minItems", count.clone(), "The fewest items of a list.", json!(1)),
        keyword("maxItems", count, "The most items of a list.", json!(10)),
        keyword("uniqueItems", json!({ "type": "boolean" }), "No item of a list may come twice.", json!(true)),
        keyword(
            "properties",
            json!({ "type": "object", "additionalProperties": part }),
            "The members of an object, by name.",
            json!({ "city": { "type": "string" } }),
        ),
        keyword("additionalProperties", part, "What other members an object may have, or `false`.", json!(false)),
        keyword("examples", json!({ "type": "array" }), "Examples for the model.", json!(["2026-01-05"])),
    ]
    .into_iter()
    .collect()
}
