//! What operators copy: manifests for Kubernetes and the unit for systemd, by the tools that read such files.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;
use tollbridge::config;

use crate::support::{Fixture, binary, root, tool};

/// The documents of a manifest.
fn documents(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(root().join("examples/kubernetes").join(name)).unwrap();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("document.yaml");
    let parsed = text.split("\n---\n").map(|document| {
        std::fs::write(&file, document).unwrap();
        config::load_object(&file).unwrap().into()
    });
    parsed.collect()
}

fn validated(folder: &Path) -> Output {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|it| it == "yaml"));
    Command::new(tool(".venv/bin/kubernetes-validate")).arg("--strict").args(files).output().unwrap()
}

#[test]
fn kubernetes_would_accept_the_manifests() {
    let folder = root().join("examples/kubernetes");
    let output = validated(&folder);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let kinds = ["configmap", "secret", "deployment", "service", "horizontalpodautoscaler", "poddisruptionbudget"];
    for kind in kinds.into_iter().chain(["networkpolicy"]) {
        assert!(said.contains(&format!("resource {kind}/tollbridge")), "{kind}: {said}");
    }
    // And it would notice a slip.
    let copy = TempDir::new().unwrap();
    let text = std::fs::read_to_string(folder.join("deployment.yaml")).unwrap();
    std::fs::write(copy.path().join("a.yaml"), text.replace("failureThreshold", "failureTreshold")).unwrap();
    assert!(!validated(copy.path()).status.success());
}

#[test]
fn what_the_config_maps_hold_is_served_and_answers_the_probes() {
    let config = documents("config.yaml");
    let deployment = documents("deployment.yaml").remove(0);
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let mut fixture = Fixture::with_auth(&json!({}));
    for map in &config {
        for (name, text) in map["data"].as_object().unwrap() {
            let folder = if map["metadata"]["name"] == "tollbridge-bridges" { "bridges/" } else { "" };
            fixture.write(&format!("{folder}{name}"), text.as_str().unwrap());
        }
    }
    for (name, value) in documents("secret.yaml")[0]["stringData"].as_object().unwrap() {
        fixture = fixture.env(name, value.as_str().unwrap());
    }
    for variable in container["env"].as_array().unwrap() {
        fixture = fixture.env(variable["name"].as_str().unwrap(), variable["value"].as_str().unwrap());
    }
    let checked = fixture.command(&["check", "--deny", "warnings"]).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    // Only the addresses and the mount differ from what stands there.
    let server = fixture.arg("--bridges=bridges").arg("--admin-listen=127.0.0.1:0").serve();
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let path = container[probe]["httpGet"]["path"].as_str().unwrap();
        assert_eq!(server.admin("GET", path, &[], "").status, 200, "{probe}");
    }
    assert_eq!(server.admin("GET", "/admin/v1/status", &[], "").status, 401);
    let token = [("authorization", "Bearer fill-me-in")];
    assert!(server.admin("GET", "/admin/v1/status", &token, "").body.contains("revision"));
    assert_eq!(server.send("POST", "/mcp", &[("host", "mcp.example.com")], "{}").status, 401);
}

#[test]
fn systemd_accepts_the_unit_and_finds_it_confined() {
    let unit = std::fs::read_to_string(root().join("examples/systemd/tollbridge.service")).unwrap();
    let folder = TempDir::new().unwrap();
    let copy = folder.path().join("tollbridge.service");
    std::fs::write(&copy, unit.replace("/usr/local/bin/tollbridge", binary())).unwrap();
    let analyze = |args: &[&str]| {
        let output = Command::new("systemd-analyze").args(args).arg(&copy).output();
        let output = output.expect("systemd-analyze is missing: install it (Debian: apt-get install systemd)");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        said
    };
    let said = analyze(&["verify"]);
    assert!(!said.contains("tollbridge.service:"), "{said}");
    // In tenths: 0 is shut in, 100 can do anything; whatever is not said to be less is 96.
    analyze(&["security", "--offline=true", "--threshold=15"]);
}
