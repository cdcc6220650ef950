//! `diff`: what changes from one state of the files to another, and that a reload logs the same.

use std::process::Stdio;

use serde_json::Value;

use crate::support::Fixture;

const OLD: &str = r#"bridge: hr
title: HR
upstream: { url: https://hr.example.com/v1, credentials: { bearer: "sk_live_0ld0ld0ld0ld" }, timeout: 5s }
claims: { gpid: [gpid, sub] }
access: { scopes: [hr.read] }
tools:
  schedule:
    description: The schedule.
    endpoint: GET /schedule
    parameters:
      gpid:  { claim: gpid }
      start: { type: string, format: date, description: First day }
      days:  { type: integer, maximum: 30, required: false, description: How many }
      kind:  { enum: [shift, leave], default: shift, description: Which }
    response:
      schema: { type: object, required: [shifts], properties: { shifts: { type: array } } }
  badge: { description: The badge., endpoint: GET /badge, parameters: { gpid: { claim: gpid } } }
  same: { description: The same., endpoint: GET /same, parameters: { gpid: { claim: gpid } } }
resources:
  docs://a: { text: One., description: A. }
  docs://file: { file: a.txt, description: F. }
prompts:
  plan: { arguments: { a: { required: false } }, messages: [{ role: user, text: "Plan {{ a }}." }] }
"#;

fn edited() -> String {
    let mut yaml = OLD.to_owned();
    for (from, to) in [
        ("https://hr.example.com/v1", "https://hr2.example.com/v1"),
        ("sk_live_0ld0ld0ld0ld", "sk_live_n3wn3wn3wn3w"),
        ("timeout: 5s", "timeout: 9s"),
        ("[gpid, sub]", "[sub, gpid]"),
        ("scopes: [hr.read]", "scopes: [hr.all]"),
        ("The schedule.", "The whole schedule."),
        ("GET /schedule", "GET /v2/schedule"),
        ("start: { type: string,", "start: { as: from, type: string,"),
        ("maximum: 30, required: false", "maximum: 10"),
        ("enum: [shift, leave]", "enum: [shift, leave, all]"),
        ("required: [shifts]", "required: [shifts, total]"),
        ("  badge: { description: The badge., endpoint: GET /badge, parameters: { gpid: { claim: gpid } } }\n", ""),
        ("text: One.", "text: Two."),
        ("a: { required: false }", "a: { required: true }"),
    ] {
        assert!(yaml.contains(from), "{from}");
        yaml = yaml.replacen(from, to, 1);
    }
    yaml.replace(
        "resources:\n",
        "  fresh: { description: New., endpoint: GET /new, parameters: { gpid: { claim: gpid } } }\nresources:\n",
    )
}

fn fixture() -> Fixture {
    let mut fixture = Fixture::new();
    for (folder, yaml, text) in [("old", OLD, "one"), ("new", &edited(), "two")] {
        fixture.write(&format!("{folder}/hr.yaml"), yaml);
        fixture.write(&format!("{folder}/a.txt"), text);
    }
    fixture
}

fn diff(fixture: &Fixture, args: &[&str]) -> (i32, String, String) {
    let output = fixture.command(&[&["diff"], args].concat()).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn what_changes_is_told_by_who_notices() {
    let fixture = fixture();
    let (code, stdout, stderr) = diff(&fixture, &["old", "new"]);
    assert_eq!(code, 1, "{stderr}");
    assert!(!stdout.contains("0ld0ld") && !stdout.contains("n3wn3w"), "{stdout}");
    insta::assert_snapshot!(stdout);
    assert_eq!(diff(&fixture, &["old", "old"]), (0, "no difference\n".into(), String::new()));
    let (code, json, _) = diff(&fixture, &["old", "new", "--format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["counts"]["added"], &json["counts"]["removed"]), (1, &1.into(), &1.into()));
    let removed = json["changes"].as_array().unwrap().iter().find(|it| it["kind"] == "removed").unwrap();
    assert_eq!((&removed["name"], &removed["breaking"]), (&"badge".into(), &true.into()));
}

#[test]
fn only_what_breaks_something_can_be_denied() {
    let mut fixture = fixture();
    assert_eq!(diff(&fixture, &["old", "new", "--deny", "breaking"]).0, 1);
    // Each of these lets everything through that went through before.
    for (from, to) in [
        ("The schedule.", "Another."),
        ("maximum: 30", "maximum: 60"),
        ("[shift, leave]", "[shift, leave, all]"),
        ("required: [shifts], properties: {", "required: [shifts], properties: { total: { type: integer },"),
        ("access: { scopes: [hr.read] }\n", ""),
        ("GET /schedule", "GET /v2/schedule"),
        ("/v1, cred", "/v2, cred"),
        ("start: { type: string, format: date", "start: { type: string"),
        ("title: HR\n", ""),
    ] {
        fixture.write("new/hr.yaml", &OLD.replacen(from, to, 1));
        fixture.write("new/a.txt", "one");
        assert_eq!(diff(&fixture, &["old", "new"]).0, 1, "{from}");
        let (code, stdout, _) = diff(&fixture, &["old", "new", "--deny", "breaking"]);
        assert_eq!(code, 0, "{from}: {stdout}");
        // Back again most of them don't.
        let (back, ..) = diff(&fixture, &["new", "old", "--deny", "breaking"]);
        let is_neutral = ["The schedule.", "GET /schedule", "/v1, cred", "title: HR\n"].contains(&from);
        assert_eq!(back, i32::from(!is_neutral), "{from}");
    }
}

#[test]
fn a_running_server_is_the_old_state() {
    let mut fixture = Fixture::new().bridge("bridge: a\ntools: { t: { description: One., response: { text: t } } }\n");
    fixture.write("new/a.yaml", "bridge: a\ntools: { t: { description: Two., response: { text: t } } }\n");
    let server = fixture.serve();
    let url = server.url();
    let (code, stdout, stderr) = diff(&server.fixture, &["new", "--url", &url]);
    assert_eq!((code, stderr.as_str()), (1, ""));
    assert!(stdout.contains("~ tool t\n      model  description: One. → Two.\n"), "{stdout}");
    assert_eq!(diff(&server.fixture, &["bridges", "--url", &url]).0, 0);
    for (args, code, words) in [
        (&["new"][..], 2, "compare with what?"),
        (&["a", "b", "--url", &url], 2, "write only the new path"),
        (&["gone", "new"], 2, "gone does not exist"),
        (&["new", "--url", "http://127.0.0.1:1/mcp"], 3, "the server can't be asked"),
    ] {
        let (status, _, stderr) = diff(&server.fixture, args);
        assert_eq!((status, stderr.contains(words)), (code, true), "{stderr}");
    }
    // A reload logs the same.
    let write = |yaml: &str| std::fs::write(server.fixture.path().join("bridges/test.yaml"), yaml).unwrap();
    write("bridge: a\ntools: { t: { description: Two., response: { text: t } } }\n");
    let line = server.wait_for("Reloaded.");
    assert!(line.contains(r"~ tool t\n    model  description: One. → Two.\n"), "{line}");
    assert!(line.contains(r#""changed":1"#) && line.contains(r#""breaking":0"#), "{line}");
}
