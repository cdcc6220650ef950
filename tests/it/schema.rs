//! The schemas that editors read are what the types say. `UPDATE_SCHEMAS=1 cargo test` writes them anew.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{binary, root};

#[test]
fn the_committed_schemas_are_up_to_date() {
    for (subject, name) in
        [("bridge", "bridge.schema.json"), ("server", "tollbridge.schema.json"), ("test", "test.schema.json")]
    {
        let output = Command::new(binary()).args(["schema", subject]).output().unwrap();
        let made = String::from_utf8(output.stdout).unwrap();
        let path = root().join("schemas").join(name);
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::create_dir_all(root().join("schemas")).unwrap();
            std::fs::write(&path, &made).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == made, "schemas/{name} has drifted; run `UPDATE_SCHEMAS=1 cargo test schemas`");
    }
}

#[test]
fn every_key_is_described() {
    for subject in ["bridge", "server", "test"] {
        let whole = schema(subject);
        let bare: Vec<_> = keys(&whole).into_iter().filter(|(_, key)| key.get("description").is_none()).collect();
        assert!(bare.is_empty(), "{subject}: {bare:?}");
    }
}

#[test]
fn every_key_has_an_example_that_fits() {
    for subject in ["bridge", "server", "test"] {
        let whole = schema(subject);
        for (path, key) in keys(&whole) {
            // What the key refers to is found from the root.
            let alone = json!({ "$schema": whole["$schema"], "allOf": [key], "definitions": whole["definitions"] });
            let validator = jsonschema::options().offline().build(&alone).unwrap();
            let examples = key["examples"].as_array().unwrap_or_else(|| panic!("{subject}: {path} has no example"));
            assert!(!examples.is_empty(), "{subject}: {path}");
            for example in examples {
                let refused: Vec<_> = validator.iter_errors(example).map(|it| it.to_string()).collect();
                assert!(refused.is_empty(), "{subject}: {path}: {example}: {refused:?}");
            }
        }
    }
}

fn schema(subject: &str) -> Value {
    let output = Command::new(binary()).args(["schema", subject]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every key that a schema names, by its path, with what the schema says about it.
fn keys(schema: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for keyword in ["properties", "definitions"] {
        for (key, inner) in schema[keyword].as_object().into_iter().flatten() {
            if keyword == "properties" {
                found.push((key.clone(), inner));
            }
            found.extend(keys(inner).into_iter().map(|(path, it)| (format!("{key}.{path}"), it)));
        }
    }
    for keyword in ["items", "additionalProperties"] {
        found.extend(schema.get(keyword).map(keys).into_iter().flatten());
    }
    for keyword in ["allOf", "anyOf", "oneOf"] {
        found.extend(schema[keyword].as_array().into_iter().flatten().flat_map(keys));
    }
    found
}
