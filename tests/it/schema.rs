//! The schemas that editors read are what the types say. `UPDATE_SCHEMAS=1 cargo test` writes them anew.

use std::process::Command;

use crate::support::{binary, root};

#[test]
fn the_committed_schemas_are_up_to_date() {
    for (subject, name) in [("bridge", "bridge.schema.json"), ("server", "tollbridge.schema.json")] {
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
    for subject in ["bridge", "server"] {
        let output = Command::new(binary()).args(["schema", subject]).output().unwrap();
        let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut bare = Vec::new();
        undescribed(&schema, "", &mut bare);
        assert!(bare.is_empty(), "{subject}: {bare:?}");
    }
}

fn undescribed(schema: &serde_json::Value, path: &str, bare: &mut Vec<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        for (key, value) in properties {
            if value.get("description").is_none() && value.get("const").is_none() {
                bare.push(format!("{path}/{key}"));
            }
        }
    }
    match schema {
        serde_json::Value::Object(members) => {
            members.iter().for_each(|(key, value)| undescribed(value, &format!("{path}/{key}"), bare));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| undescribed(item, path, bare)),
        _ => {}
    }
}
