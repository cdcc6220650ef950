//! `explain`, `list` and `show`: what they tell, and that it is what is sent.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Api, Fixture, Provider, Recorded, root};

const EVERY_SOURCE: &str = r#"bridge: leave
title: Leave
upstream:
  url: ${API:-https://leave.example/v1}
  credentials: { api_key: { header: X-Api-Key, value: "${LEAVE_KEY}" } }
  headers: { X-Client: tollbridge }
claims:
  gpid: [gpid, sub]
  groups: groups
tools:
  book:
    description: Book days off.
    endpoint: POST /people/{employee}/leave/{kind}
    access: { scopes: [leave.write], groups: [staff, hr], when: "'staff' in claims.groups" }
    parameters:
      employee: { claim: gpid }
      kind:     { enum: [sick, holiday], description: What kind }
      start:    { as: from, type: string, format: date, description: First day }
      days:     { type: integer, default: 1, description: How many }
      source:   { value: assistant }
      note:     { value: "{{ args.days }} days for {{ claims.gpid }}" }
      X-Trace:  { in: header, value: "${TRACE}" }
      teams:    { claim: groups, in: query, join: "," }
      level:    { in: query, enum: [1, 2], default: 1, description: How sure }
      verbose:  { in: query, type: boolean, required: false, description: Say more }
  policy:
    description: The policy.
    response: { text: "Ask {{ claims.gpid }}'s manager." }
resources:
  docs://policy: { text: Ask first., description: The policy. }
prompts:
  plan:
    description: Plan a holiday.
    arguments: { where: { required: true } }
    messages: [{ role: user, text: "Plan a holiday in {{ where }}." }]
"#;

const CALLER: [&str; 6] =
    ["--claims", "gpid=1/2", "--claims", "scope=leave.write other", "--claims", r#"groups:=["staff","b c"]"#];

/// Runs a command in a folder with a bridge; gives the exit code, stdout and stderr.
fn run(fixture: &Fixture, args: &[&str]) -> (i32, String, String) {
    let output = fixture.command(args).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn explain(fixture: &Fixture, args: &[&str]) -> (i32, String, String) {
    run(fixture, &[&["explain"], args].concat())
}

fn leave() -> Fixture {
    // The keys are not needed, and if they are there they are not shown.
    Fixture::new().bridge(EVERY_SOURCE).env("LEAVE_KEY", "s3cret-canary").env("TRACE", "t8ace-canary")
}

#[test]
fn the_request_is_shown_with_the_source_of_every_part() {
    let book = ["book", "kind=sick", "start=2026-01-05", "level=2", "verbose=true"];
    let (code, text, stderr) = explain(&leave(), &[&book[..], &CALLER].concat());
    assert_eq!((code, stderr.as_str()), (0, ""));
    insta::assert_snapshot!(text);
}

#[test]
fn a_refused_call_says_why_and_that_nothing_would_be_sent() {
    let fixture = leave();
    let mut said = String::new();
    let cases: [&[&str]; 6] = [
        &["book"],
        &["book", "kind=sick", "start=2026-01-05", "gpid=9"],
        &["book", "kind=sick", "start=2026-01-05", "--claims", "scope=leave.write"],
        &["book", "kind=sick", "start=2026-01-05", "--claims", "scope=leave.write", "--claims", "groups=it"],
        &["book", "kind=sick", "start=2026-01-05", "--claims", "scope=leave.write", "--claims", "groups=staff"],
        &["policy"],
    ];
    for args in cases {
        let (code, text, stderr) = explain(&fixture, args);
        assert_eq!((code, stderr.as_str()), (1, ""), "{args:?}");
        let refusal: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("Refused")).collect();
        let end = refusal.iter().position(|line| line.is_empty()).unwrap();
        said.extend(["$ explain ", &args.join(" "), "\n", &refusal[..end].join("\n"), "\n\n"]);
        let (code, curl, stderr) = explain(&fixture, &[args, &["--format", "curl"]].concat());
        assert_eq!((code, curl.as_str()), (1, ""));
        assert!(stderr.starts_with("error: refused, and nothing would be sent: "), "{stderr}");
        let (code, json, _) = explain(&fixture, &[args, &["--format", "json"]].concat());
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((code, &json["request"]), (1, &Value::Null));
        assert!(json["refused"].as_str().is_some_and(|words| !words.is_empty()), "{json}");
    }
    insta::assert_snapshot!(said);
}

#[test]
fn a_token_for_another_audience_is_refused_before_it_is_forwarded() {
    let fixture = Fixture::new().bridge(
        "bridge: a\nupstream: { url: https://a.example, credentials: { caller_token: { audience: api://a } } }\n\
         tools: { t: { description: T., endpoint: GET /t } }\n",
    );
    let (code, text, _) = explain(&fixture, &["t", "--claims", "aud=api://b"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("the caller's token is not meant for the API of this tool"), "{text}");
    let (code, text, _) = explain(&fixture, &["t", "--claims", r#"aud:=["api://b","api://a"]"#]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("authorization: Bearer <the caller's token>"), "{text}");
}

#[test]
fn a_tool_without_an_endpoint_shows_its_answer() {
    let (code, text, _) = explain(&leave(), &["policy", "--claims", "gpid=7"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("nothing is sent\n  Ask 7's manager.\n"), "{text}");
    let (_, json, _) = explain(&leave(), &["policy", "--claims", "gpid=7", "--format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["answer"]["content"], json!([{"type": "text", "text": "Ask 7's manager."}]));
}

#[test]
fn programs_get_one_json_object() {
    let (code, text, _) =
        explain(&leave(), &[&["book", "kind=sick", "start=2026-01-05", "--format", "json"], &CALLER[..]].concat());
    assert_eq!(code, 0);
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["request"]["method"], "POST");
    assert_eq!(json["request"]["url"], "${API}/people/1%2F2/leave/sick?teams=staff%2Cb%20c&level=1");
    assert_eq!(json["request"]["headers"]["x-api-key"], "${LEAVE_KEY}");
    assert_eq!(json["place"], "bridges/test.yaml:11:3");
    assert_eq!(json["tool"]["inputSchema"]["required"], json!(["kind", "start"]));
    let sources = json["request"]["sources"].as_array().unwrap();
    assert!(sources.contains(&json!({"place": "body from", "value": "2026-01-05", "source": "argument `start`"})));
}

#[test]
fn arguments_and_claims_come_from_files_and_standard_input_too() {
    let mut fixture = leave();
    fixture.write("arguments.json", r#"{"kind": "sick", "start": "2026-01-05"}"#);
    fixture.write("alice.yaml", "gpid: \"7\"\nscope: leave.write\ngroups: [staff]\n");
    let (code, text, stderr) = explain(&fixture, &["book", "@arguments.json", "days=3", "--claims", "alice.yaml"]);
    assert_eq!(code, 0, "{text}{stderr}");
    assert!(
        text.contains("POST ${API}/people/7/leave/sick?teams=staff&level=1\n") && text.contains("\"days\": 3,"),
        "{text}"
    );

    let mut command = fixture.command(&["explain", "book", "@-", "--claims", "alice.yaml"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(br#"{"kind": "sick", "start": "2026-01-06"}"#).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"from\": \"2026-01-06\""));
}

#[test]
fn what_can_not_be_read_is_said_with_what_to_do() {
    let mut fixture = leave();
    fixture.write("list.yaml", "- a\n");
    fixture.write("broken.yaml", "a: b: c\n");
    for (args, words) in [
        (&["bok"][..], "error: there is no tool `bok`; did you mean `book`?\n"),
        (&["salary"], "error: there is no tool `salary`; there are `book` and `policy`\n"),
        (&["book", "sick"], "error: the argument `sick` can't be read: write NAME=VALUE, NAME:=JSON or @FILE\n"),
        (&["book", "days:=three"], "error: the value of `days` is not JSON: expected ident at line 1 column 2\n"),
        (&["book", "@none.json"], "error[TB0001]"),
        (&["book", "@list.yaml"], "write `name: value` lines, or a JSON object"),
        (&["book", "--claims", "broken.yaml"], "broken.yaml:1:"),
        (&["book", "--bridges", "elsewhere"], "error: elsewhere does not exist; name the directory"),
    ] {
        let (code, stdout, stderr) = explain(&fixture, args);
        assert_eq!((code, stdout.as_str()), (2, ""), "{args:?} {stderr}");
        assert!(stderr.contains(words), "{args:?}\n{stderr}");
    }
    fixture.write("bridges/test.yaml", "bridge: a\ntools: { t: { endpont: GET / } }\n");
    for command in [&["explain", "t"][..], &["show", "t"], &["list"]] {
        let (code, stdout, stderr) = run(&fixture, command);
        assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
        assert!(stderr.contains("did you mean `endpoint`?"), "{stderr}");
    }
}

#[test]
fn secrets_are_shown_by_name_only() {
    let written_out = "bridge: a\nupstream:\n  url: https://a.example\n  credentials: CREDENTIALS\n\
         tools: { t: { description: T., endpoint: GET /t } }\n";
    for credentials in [
        "{ bearer: c4nary }",
        "{ basic: { username: me, password: c4nary } }",
        "{ api_key: { header: X-Key, value: c4nary } }",
        "{ api_key: { query: key, value: c4nary } }",
    ] {
        let fixture = Fixture::new().bridge(&written_out.replace("CREDENTIALS", credentials));
        for command in [
            &["explain", "t"][..],
            &["explain", "t", "--format", "json"],
            &["explain", "t", "--format", "curl"],
            &["show", "t"],
            &["show", "t", "--format", "json"],
        ] {
            let (code, stdout, stderr) = run(&fixture, command);
            assert_eq!((code, stderr.as_str()), (0, ""), "{command:?}");
            assert!(!stdout.contains("c4nary") && !stdout.contains("YzRuYXJ5"), "{command:?} {stdout}");
            let hint = if command.contains(&"curl") { "$SECRET" } else { "<hidden>" };
            assert!(stdout.contains(hint), "{command:?} {stdout}");
        }
    }
    let book = ["book", "kind=sick", "start=2026-01-05"];
    for format in ["text", "json", "curl"] {
        let (_, stdout, _) = explain(&leave(), &[&book[..], &CALLER, &["--format", format]].concat());
        assert!(stdout.contains("${LEAVE_KEY}") && !stdout.contains("canary"), "{stdout}");
    }
}

/// Every way in which a value can be written, with characters that a shell or a URL would read as syntax.
const EVERY_SHAPE: &str = r#"bridge: test
upstream:
  url: ${API}
  credentials: { api_key: { query: key, value: "${KEY}" } }
  headers: { X-Fixed: "it's $HOME" }
claims: { gpid: gpid }
tools:
  path:
    description: Path and query.
    endpoint: GET /a/{gpid}/{file}
    parameters:
      gpid: { claim: gpid }
      file: { type: string, reserved: true }
      ids:  { type: array, items: { type: integer }, style: pipeDelimited }
      tag:  { type: array, items: { type: string } }
      q:    { type: string }
      X-H:  { in: header, type: string }
      c:    { in: cookie, type: string }
  json:
    description: JSON.
    endpoint: POST /json
    parameters: { text: { type: string } }
    body: { json: { text: "{{ args.text }}", key: "${KEY}", who: "{{ claims.gpid }}" } }
  form:
    description: A form.
    endpoint: POST /form
    parameters: { text: { type: string } }
    body: { form: { text: "{{ args.text }}", key: "${KEY}" } }
  upload:
    description: A form with a file.
    endpoint: POST /upload
    parameters: { text: { type: string }, data: { type: string } }
    body:
      multipart:
        text: "{{ args.text }}"
        file: { base64: "{{ args.data }}", filename: a.bin, content_type: application/octet-stream }
  text:
    description: Text.
    endpoint: PUT /text
    parameters: { text: { type: string } }
    body: { text: "{{ args.text }} ${KEY}" }
  bytes:
    description: Bytes.
    endpoint: PUT /bytes
    parameters: { data: { type: string } }
    body: { base64: "{{ args.data }}", content_type: application/octet-stream }
  delete:
    description: Nothing but a path.
    endpoint: DELETE /things
"#;

/// What `explain` and the server must agree on; the rest is the client's own.
fn essence(request: &Recorded) -> (String, Vec<(String, String)>, Vec<u8>) {
    let own = ["host", "user-agent", "content-length", "accept-encoding", "connection", "traceparent"];
    let mut headers: Vec<_> = request
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .filter(|(name, _)| !own.contains(&name.as_str()))
        .collect();
    headers.sort();
    (request.line(), headers, request.body.clone())
}

#[test]
fn the_curl_line_sends_what_the_server_sends() {
    let provider = Provider::shared();
    let api = Api::start();
    let nasty = "it's \"$HOME\" `id` \\ & {x}\n é?#%";
    let header = "it's \"$HOME\" `id` \\ & {x}";
    let cases = [
        (
            "path",
            json!({"file": "b c/$d'.txt", "ids": [1, 2], "tag": ["a&b", "c"], "q": nasty, "X-H": header, "c": "a'b"}),
        ),
        ("json", json!({ "text": nasty })),
        ("form", json!({ "text": nasty })),
        ("upload", json!({ "text": nasty, "data": "/wD+YWI=" })),
        ("text", json!({ "text": nasty })),
        ("bytes", json!({ "data": "/wD+YWI=" })),
        ("delete", json!({})),
    ];
    for credentials in [
        None,
        Some("caller_token"),
        Some(r#"{ bearer: "${KEY}" }"#),
        Some(r#"{ basic: { username: me, password: "${KEY}" } }"#),
        Some(r#"{ api_key: { header: X-Key, value: "${KEY}" } }"#),
    ] {
        let query = r#"{ api_key: { query: key, value: "${KEY}" } }"#;
        let yaml = EVERY_SHAPE.replace(query, credentials.unwrap_or(query));
        let fixture = Fixture::with_okta(provider).bridge(&yaml).env("API", &api.url()).env("KEY", "k3y");
        let server = fixture.serve();
        let token = provider.user("alice");
        for (tool, arguments) in &cases {
            let result = server.call_as(Some(&token), tool, arguments);
            assert!(!result.is_error(), "{tool}: {}", result.text());
            let sent = api.last();
            let words: Vec<String> =
                arguments.as_object().unwrap().iter().map(|(name, value)| format!("{name}:={value}")).collect();
            let mut args = vec![*tool, "--format", "curl", "--claims", "gpid=10012345"];
            args.extend(words.iter().map(String::as_str));
            let (code, line, stderr) = explain(&server.fixture, &args);
            assert_eq!(code, 0, "{stderr}");
            let mut shell = Command::new("bash");
            shell.args(["-euo", "pipefail", "-c", line.as_str()]);
            let shell = shell.env("API", api.url()).env("KEY", "k3y").env("TOKEN", &token).env("no_proxy", "*");
            let output = shell.output().unwrap();
            assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(essence(&api.last()), essence(&sent), "{line}");
        }
    }
}

#[test]
fn the_catalogue_is_listed() {
    let (code, text, stderr) = run(&leave(), &["list"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    insta::assert_snapshot!(text);
    let (_, json, _) = run(&leave(), &["list", "--format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["tools"][0]["name"], "book");
    assert_eq!(json["tools"][0]["path"], "/people/{employee}/leave/{kind}");
    assert_eq!(json["resources"][0]["uri"], "docs://policy");
    assert_eq!(json["prompts"][0]["arguments"][0]["name"], "where");
}

#[test]
fn a_tool_is_shown_as_it_is_understood() {
    let (code, text, stderr) = run(&leave(), &["show", "book"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    insta::assert_snapshot!(text);
    let (_, json, _) = run(&leave(), &["show", "book", "--format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["access"]["scopes"], json!(["leave.write"]));
    assert_eq!(json["request"]["parts"][2]["place"], "body from");
}

#[test]
fn every_tool_of_the_examples_is_shown() {
    let bridges = root().join("bridges");
    let (_, json, _) = run(&leave(), &["list", "-b", bridges.to_str().unwrap(), "--format", "json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    for tool in json["tools"].as_array().unwrap() {
        let (code, text, _) = run(&leave(), &["show", tool["name"].as_str().unwrap(), "-b", bridges.to_str().unwrap()]);
        assert_eq!(code, 0, "{text}");
    }
}
