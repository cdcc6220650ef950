//! `tollbridge test`: what it runs, what it finds, and what it does with snapshots.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Api, Fixture, python, root, tool};

const BRIDGE: &str = r#"bridge: leave
upstream:
  url: ${API}
  credentials: { api_key: { query: key, value: "${LEAVE_KEY}" } }
  headers: { X-Client: tollbridge }
  retry: { attempts: 3 }
claims: { gpid: [gpid, sub] }
tools:
  find:
    description: Find days off.
    endpoint: GET /people/{employee}/leave
    parameters:
      employee: { claim: gpid }
      kinds:    { as: kind, type: array, items: { type: string }, required: false, description: Which kinds }
      limit:    { type: integer, default: 10, description: How many }
    response: { errors: { 404: Nobody is called so., 5xx: "Busy{{ ' for long' if headers['retry-after'] is defined else '' }}." } }
  book:
    description: Book days off.
    endpoint: POST /leave
    access: { scopes: [leave.write], groups: [staff] }
    timeout: 2s
    parameters:
      who:  { claim: gpid }
      days: { type: integer, minimum: 1, description: How many days }
      note: { type: string, required: false, description: A note }
      at:   { value: "{{ now('%H:%M') }} {{ uuid() }}" }
    response:
      select: "{ id: id, days: days }"
      schema: { type: object, required: [id], properties: { id: { type: integer } } }
      text: "{% if result.days > 5 %}A long one: {% elif result.days == 1 %}A day: {% endif %}{{ result.id }}{% for part in body.parts %} {{ part }}{% endfor %}"
  log_in:
    description: Send a form.
    endpoint: POST /form
    parameters:
      name: { type: string, description: A name }
    body: { form: { name: "{{ args.name }}", kind: [a, b] } }
  all:
    description: All of it.
    endpoint: GET /all
    paginate: { next: link_header }
resources:
  docs://policy: { text: "Ask {{ 1 + 1 }} weeks ahead.", description: The policy. }
  people://{name}: { endpoint: "GET /people/{name}", description: A person. }
prompts:
  plan:
    description: Plan a holiday.
    arguments: { where: { required: true } }
    messages: [{ role: user, text: "Plan a holiday in {{ where }}." }]
"#;

/// A folder with the bridge and these tests.
fn fixture(tests: &str) -> Fixture {
    let mut fixture = Fixture::new().bridge(BRIDGE);
    fixture.write("bridges/leave.test.yaml", tests);
    fixture
}

/// Runs a command in a folder; gives the exit code, stdout and stderr.
fn run(fixture: &Fixture, args: &[&str]) -> (i32, String, String) {
    let output = fixture.command(args).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// What is wrong with each test, by its name: `what: expected / got`.
fn verdicts(fixture: &Fixture) -> BTreeMap<String, Vec<String>> {
    let (_, stdout, stderr) = run(fixture, &["test", "--check", "--format", "json"]);
    let report: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}{stderr}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let words = |it: &Value| format!("{}: {} / {}", text(&it["what"]), text(&it["expected"]), text(&it["got"]));
    let tests = report["suites"][0]["tests"].as_array().unwrap_or_else(|| panic!("{stderr}"));
    assert_ne!(tests[0]["subject"], "definitions", "{stderr}");
    let named = tests.iter().filter(|test| test["subject"] != "catalogue");
    named.map(|test| (text(&test["name"]), test["failures"].as_array().unwrap().iter().map(words).collect())).collect()
}

#[test]
fn what_is_so_passes() {
    let tests = r#"
tests:
  - name: the whole line, in any order, decoded
    tool: find
    caller: { gpid: a/b }
    arguments: { kinds: [x y, z] }
    upstream: { json: [1, { a: 2 }] }
    expect:
      request: GET /people/a%2Fb/leave?limit=10&kind=x y&kind=z
      result: [1, {}]
      text: '"a"'
      absent: [/1/b, /2]
  - name: parts of it
    tool: find
    caller: { sub: s }
    expect:
      request:
        method: GET
        path: /people/s/leave
        query: { limit: 10, key: "${LEAVE_KEY}" }
        headers: { x-client: tollbridge, Accept: "application/json, */*;q=0.8" }
        absent: { query: [kind], headers: [Authorization], body: [/any] }
  - name: a structured result
    tool: book
    caller: { gpid: "1", scope: leave.write, groups: [staff, hr] }
    arguments: { days: 3 }
    freeze: { now: "2026-05-01T12:30:00Z" }
    upstream: { status: 201, json: { id: 7, days: 3, hidden: 1, parts: [p] } }
    expect:
      request: { body: { who: "1", days: 3.0, at: "12:30 00000000-0000-4000-8000-000000000001" }, absent: { body: [/note] } }
      structured: { id: 7 }
      result: { days: 3 }
      absent: /hidden
      text: ["7", p]
      content: [{ type: text, text: 7 p }]
  - name: a form
    tool: log_in
    arguments: { name: a&b }
    upstream: { text: fine }
    expect: { request: { body: { name: a&b, kind: [a, b] } }, result: fine }
  - name: nobody
    tool: find
    caller: none
    expect: { request: none, error: [Token does not contain user identifier, "`gpid`"] }
  - name: hidden
    tool: book
    caller: { gpid: "1", groups: [guests] }
    arguments: { days: 1 }
    expect: { listed: false, request: none, error: no such tool }
  - name: listed
    tool: book
    caller: { groups: staff }
    expect: { listed: { name: book, inputSchema: { required: [days] } } }
  - name: retries until one works
    tool: find
    caller: { gpid: "1" }
    upstream: [unreachable, { status: 503 }, { json: { ok: true } }]
    expect:
      requests: [GET /people/1/leave?limit=10, GET /people/1/leave?limit=10, { path: /people/1/leave }]
      result: { ok: true }
  - name: pages
    tool: all
    upstream:
      - { headers: { link: '</all?page=2>; rel="next"' }, json: [1] }
      - { headers: { link: '<all?page=3>; rel="next"' }, json: [2] }
      - { json: [3] }
    expect: { requests: [GET /all, "GET /all?page=2", { query: { page: "3" } }], result: [1, 2, 3] }
  - name: errors
    tool: find
    caller: { gpid: "1" }
    cases:
      - { name: of the API, upstream: { status: 404 }, expect: { error: Nobody is called so. } }
      - { name: of its own words, upstream: { status: 400, json: { message: bad } }, expect: { error: "API error: 400: bad" } }
      - { name: busy, upstream: { status: 500 }, expect: { error: Busy. } }
      - { name: busy for long, upstream: { status: 500, headers: { Retry-After: "60" } }, expect: { error: Busy for long. } }
      - { name: unreachable, upstream: unreachable, expect: { error: "The API can't be reached" } }
      - { name: broken, upstream: broken, expect: { error: The connection to the API broke } }
      - { name: arguments, arguments: { limit: many }, expect: { request: none, error: limit } }
  - name: time
    tool: book
    caller: { gpid: "1", scope: leave.write, groups: staff }
    arguments: { days: 1 }
    cases:
      - { name: is left, upstream: { json: { id: 1, days: 1, parts: [] }, delay: 1999ms }, expect: { text: "A day: 1" } }
      - { name: is over, upstream: { delay: 2s }, expect: { error: The API did not answer within 2 s } }
      - { name: is over at once, upstream: timeout, expect: { error: The API did not answer within 2 s } }
  - name: a case adds to what the test says
    tool: book
    caller: { gpid: "1", scope: leave.write, groups: staff }
    arguments: { days: 6 }
    upstream: { json: { id: 1, days: 6, parts: [] } }
    expect: { request: { body: { days: 6, note: n } }, text: A long one }
    cases:
      - { arguments: { note: n } }
      - { name: of another, tool: log_in, arguments: { name: x }, expect: { error: unexpected argument } }
  - { name: a resource, resource: "docs://policy", expect: { result: Ask 2 weeks ahead. } }
  - name: a resource of the API
    resource: people://ann%20b
    upstream: { json: { name: Ann } }
    expect: { request: GET /people/ann%20b, result: { name: Ann } }
  - name: a resource that is not there
    resource: people://bob
    upstream: { status: 404, json: { message: gone } }
    expect: { error: "Resource not found: gone" }
  - name: a prompt
    prompt: plan
    arguments: { where: Rome }
    expect: { text: in Rome., messages: [{ role: user, content: { type: text, text: Plan a holiday in Rome. } }] }
  - { name: a prompt without its argument, prompt: plan, expect: { error: "missing argument `where`" } }
"#;
    let wrong: Vec<_> = verdicts(&fixture(tests)).into_iter().filter(|(_, faults)| !faults.is_empty()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_not_so_fails_and_is_told() {
    let tests = r#"
tests:
  - { name: another path, tool: find, caller: { gpid: "1" }, expect: { request: GET /people/2/leave?limit=10 } }
  - { name: more in the query, tool: find, caller: { gpid: "1" }, expect: { request: GET /people/1/leave } }
  - { name: another order of values, tool: find, caller: { gpid: "1" }, arguments: { kinds: [a, b] }, expect: { request: GET /people/1/leave?kind=b&kind=a&limit=10 } }
  - { name: another method, tool: find, caller: { gpid: "1" }, expect: { request: POST /people/1/leave?limit=10 } }
  - { name: something is sent, tool: find, caller: { gpid: "1" }, expect: { request: none } }
  - { name: nothing is sent, tool: find, expect: { request: GET /, error: Token } }
  - name: parts
    tool: find
    caller: { gpid: "1" }
    expect:
      request:
        method: PUT
        path: /
        query: { limit: 11, kind: x }
        headers: { X-Client: other }
        body: { a: 1 }
        absent: { query: [limit], headers: [X-CLIENT] }
  - { name: too few requests, tool: find, caller: { gpid: "1" }, expect: { requests: [GET /people/1/leave?limit=10, GET /] } }
  - { name: answers left, tool: find, caller: { gpid: "1" }, upstream: [{ json: 1 }, { json: 2 }] }
  - { name: no answer left, tool: find, caller: { gpid: "1" }, upstream: [{ status: 503 }] }
  - { name: it fails, tool: find, caller: { gpid: "1" }, upstream: { status: 404 } }
  - { name: it works, tool: find, caller: { gpid: "1" }, expect: { error: Nobody } }
  - { name: another error, tool: find, expect: { error: [Token, Nobody] } }
  - { name: another result, tool: find, caller: { gpid: "1" }, upstream: { json: { a: [1, 2], b: 1 } }, expect: { result: { a: [1, 3], c: null } } }
  - { name: no JSON, tool: log_in, arguments: { name: a }, upstream: { text: fine }, expect: { result: { a: 1 }, structured: {}, absent: /a } }
  - { name: another text, tool: log_in, arguments: { name: a }, upstream: { text: fine }, expect: { result: good, text: fin } }
  - { name: it is there, tool: find, caller: { gpid: "1" }, upstream: { json: { a: 1 } }, expect: { absent: /a } }
  - { name: it is listed, tool: book, caller: { groups: [staff] }, expect: { listed: false } }
  - { name: it is hidden, tool: book, expect: { listed: { name: book } } }
  - name: a template that fails is told to its author
    tool: book
    caller: { gpid: "1", scope: leave.write, groups: [staff] }
    arguments: { days: 1 }
    upstream: { json: { id: 1, days: 1 } }
"#;
    let told = verdicts(&fixture(tests));
    let mut text = String::new();
    for (name, faults) in &told {
        assert!(!faults.is_empty(), "{name} passes");
        text.extend([name.as_str(), "\n"]);
        text.extend(faults.iter().flat_map(|fault| ["  ", fault, "\n"]));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn the_readme_is_right() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let block = readme.split("```yaml\n").skip(1).find(|block| block.starts_with("tests:")).unwrap();
    let mut fixture = Fixture::new();
    fixture.write("bridges/readme.test.yaml", block.split("```").next().unwrap());
    std::fs::copy(root().join("bridges/hr.yaml"), fixture.path().join("bridges/hr.yaml")).unwrap();
    fixture.write("bridges/docs/time-off-policies.md", "Ask early.");
    let (code, stdout, stderr) = run(&fixture, &["test", "--accept"]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(stdout.contains("6 tests: 6 passed"), "{stdout}");
}

#[test]
fn nobody_signs_in_with_what_they_have_not() {
    let bridge = |credentials: &str| {
        format!(
            "bridge: b\nupstream: {{ url: https://api.example.com, credentials: {credentials} }}\ntools: {{ t: {{ description: T., endpoint: GET /t }} }}\n"
        )
    };
    let exchange = r#"{ token_exchange: { client_id: c, client_secret: "${S}", audience: a } }"#;
    for (credentials, caller, error) in [
        ("caller_token", "none", "and there is none"),
        (exchange, "none", "and there is none"),
        ("{ caller_token: { audience: api://hr } }", "{ aud: api://other }", "not meant for the API"),
        ("{ caller_token: { audience: api://hr } }", "{ aud: [api://hr] }", ""),
        (exchange, "{ sub: s }", ""),
    ] {
        let expect =
            if error.is_empty() { "request: GET /t".to_owned() } else { format!("request: none, error: {error}") };
        let tests = format!("tests: [{{ name: t, tool: t, caller: {caller}, expect: {{ {expect} }} }}]");
        let mut fixture = Fixture::new().bridge(&bridge(credentials));
        fixture.write("bridges/b.test.yaml", &tests);
        assert_eq!(verdicts(&fixture)["t"], Vec::<String>::new(), "{credentials} {caller}");
    }
}

#[test]
fn nobody_is_asked_and_no_secret_is_read() {
    let api = Api::start();
    let tests = "tests: [{ name: t, tool: find, caller: { gpid: '1' }, snapshot: true }]";
    let fixture = fixture(tests).env("API", &api.url()).env("LEAVE_KEY", "c4n4ry");
    let (code, stdout, _) = run(&fixture, &["test", "--accept"]);
    assert_eq!(code, 0, "{stdout}");
    assert!(api.requests().is_empty());
    let snapshot = std::fs::read_to_string(fixture.path().join("tests/snapshots/leave__t.snap")).unwrap();
    assert!(snapshot.contains("GET ${API}/people/1/leave?limit=10&key=${LEAVE_KEY}"), "{snapshot}");
    assert!(!snapshot.contains("c4n4ry") && !snapshot.contains(&api.url()) && !stdout.contains("c4n4ry"));
}

#[test]
fn wrong_tests_are_found_by_check_too() {
    let tests = r#"
tests:
  - { name: t, tool: fnid }
  - { name: nothing }
  - { name: both, tool: find, prompt: plan }
  - { name: twice, tool: find }
  - { name: Twice!, tool: book }
  - { name: parts of others, prompt: plan, arguments: { where: x }, expect: { structured: {}, request: none } }
  - { name: error and result, tool: find, expect: { error: e, result: {} } }
  - { name: no line, tool: find, expect: { request: /people } }
  - { name: no pointer, tool: find, expect: { absent: a } }
  - { name: bodies, tool: find, upstream: { json: {}, text: t } }
  - { name: bytes, tool: find, upstream: { base64: "*" } }
  - { name: moment, tool: find, freeze: { now: today } }
  - { name: delay, tool: find, upstream: { delay: 3 } }
  - { name: key, tool: find, expects: {} }
  - { name: header, tool: find, upstream: { headers: { "a b": c } } }
  - { name: resource, resource: "docs://policy", arguments: { a: 1 } }
"#;
    // Findings about keys and kinds come first.
    let first = run(&fixture(tests), &["check"]).2;
    assert!(first.contains("unknown key `expects`") && first.contains("did you mean `expect`?"), "{first}");
    assert!(first.contains("`delay` must be a string"), "{first}");
    let tests = tests.replace("expects", "x-").replace("delay: 3", "delay: 3 weeks");
    let (code, stdout, second) = run(&fixture(&tests), &["check"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert_eq!(run(&fixture(&tests), &["test"]), (1, String::new(), second.clone()));
    insta::assert_snapshot!(second);
}

#[test]
fn snapshots_wait_for_a_decision() {
    let tests = "tests: [{ name: The whole exchange., tool: find, caller: { gpid: '1' }, snapshot: true }]";
    let mut fixture = fixture(tests);
    let folder = fixture.path().join("tests/snapshots");
    let files = || {
        let names = std::fs::read_dir(&folder).map(|entries| entries.map(|entry| entry.unwrap().file_name()).collect());
        let mut names: Vec<_> = names.unwrap_or_default();
        names.sort();
        names.iter().map(|name| name.to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // In CI nothing is written.
    let (code, stdout, _) = run(&fixture, &["test", "--check"]);
    assert_eq!((code, files().len()), (1, 0), "{stdout}");
    assert!(
        stdout.contains("new; nothing was accepted yet") && stdout.contains("2 snapshots not as accepted"),
        "{stdout}"
    );
    let (code, ..) = run(&fixture, &["test"]);
    assert_eq!(
        (code, files()),
        (1, vec!["leave@catalogue.snap.new".into(), "leave__the_whole_exchange.snap.new".into()])
    );
    assert_eq!(run(&fixture, &["test", "--reject"]), (0, "dropped 2 snapshots\n".into(), String::new()));
    assert_eq!(files().len(), 0);
    let (code, stdout, _) = run(&fixture, &["test", "--accept"]);
    assert_eq!((code, stdout.contains("accepted 2 snapshots")), (0, true), "{stdout}");
    let accepted = ["leave@catalogue.snap", "leave__the_whole_exchange.snap"];
    assert_eq!(files(), accepted);
    assert_eq!(run(&fixture, &["test", "--check"]).0, 0);

    // A changed description is noticed, shown, and put beside the accepted one.
    fixture.write("bridges/test.yaml", &BRIDGE.replace("Find days off.", "Find all days."));
    let (code, stdout, _) = run(&fixture, &["test"]);
    assert_eq!((code, files().len()), (1, 4));
    for line in [
        "snapshot (bridges/leave.test.yaml:1)",
        "snapshot (bridges/test.yaml:1)",
        r#"-   "description": "Find days off.","#,
        r#"+   "description": "Find all days.","#,
        "2 snapshots not as accepted: look with `tollbridge test --review`, or accept with `--accept`",
    ] {
        assert!(stdout.contains(line), "{line}\n{stdout}");
    }
    // Changed back, nothing waits any more.
    fixture.write("bridges/test.yaml", BRIDGE);
    assert_eq!((run(&fixture, &["test"]).0, files()), (0, accepted.map(str::to_owned).to_vec()));

    // The snapshot of a test that has gone, and one of a test in Rust, which is none of ours.
    fixture.write("bridges/leave.test.yaml", "tests: []");
    fixture.write("tests/snapshots/mine.snap", "---\nsource: tests/it.rs\nexpression: x\n---\nx\n");
    let (code, stdout, _) = run(&fixture, &["test"]);
    assert_eq!(code, 0, "{stdout}");
    assert!(
        stdout.contains("leave__the_whole_exchange.snap: belongs to no test; remove it with `--prune`"),
        "{stdout}"
    );
    assert!(stdout.contains("There is no test yet"), "{stdout}");
    // One file of several can't tell what belongs to none.
    let (_, stdout, _) = run(&fixture, &["test", "bridges/test.yaml", "--prune"]);
    assert!(!stdout.contains("leave__the_whole"), "{stdout}");
    let (_, stdout, _) = run(&fixture, &["test", "--prune"]);
    assert!(stdout.contains("leave__the_whole_exchange.snap: removed"), "{stdout}");
    assert_eq!(files(), ["leave@catalogue.snap", "mine.snap"]);

    // Two directories that keep theirs in one.
    fixture.write("other/b.yaml", "bridge: other\ntools: { t: { description: T., response: { text: t } } }\n");
    let both = ["test", "bridges", "other", "--snapshots", "all"];
    assert_eq!(run(&fixture, &[&both[..], &["--accept"]].concat()).0, 0);
    let (code, stdout, _) = run(&fixture, &[&both[..], &["--prune"]].concat());
    assert_eq!((code, stdout.contains("removed")), (0, false), "{stdout}");
    let (_, stdout, _) = run(&fixture, &["test", "other", "--snapshots", "all"]);
    assert!(stdout.contains("all/leave@catalogue.snap: belongs to no test"), "{stdout}");

    // Elsewhere.
    assert_eq!(run(&fixture, &["test", "--snapshots", "elsewhere", "--accept"]).0, 0);
    assert!(fixture.path().join("elsewhere/leave@catalogue.snap").exists());
}

#[test]
fn snapshots_are_decided_about_on_a_terminal() {
    let tests = "tests: [{ name: one, tool: find, caller: { gpid: '1' }, snapshot: true }, { name: two, tool: log_in, arguments: { name: x }, snapshot: true }]";
    let fixture = fixture(tests);
    let (code, _, stderr) = run(&fixture, &["test", "--review"]);
    assert_eq!((code, stderr.contains("this is none")), (2, true), "{stderr}");
    // The first is accepted, the second dropped, and the third skipped after a slip.
    let (code, said) = on_a_terminal(fixture.path(), b"a\nr\nx\ns\n", &[crate::support::binary(), "test", "--review"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("[1/3] leave: the catalogue") && said.contains("[3/3] log_in: two"), "{said}");
    let exists = |name: &str| fixture.path().join("tests/snapshots").join(name).exists();
    assert!(exists("leave@catalogue.snap") && !exists("leave@catalogue.snap.new"));
    assert!(!exists("leave__one.snap") && !exists("leave__one.snap.new"));
    assert!(!exists("leave__two.snap") && exists("leave__two.snap.new"));
}

/// Runs cargo-insta in the folder of a Rust project.
fn cargo_insta(folder: &Path, args: &[&str]) -> (bool, String) {
    let output = Command::new(tool("cargo-insta/bin/cargo-insta"))
        .arg("insta")
        .args(args)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env_remove("INSTA_UPDATE")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn cargo_insta_reviews_the_same_files() {
    let tests = "tests: [{ name: t, tool: find, caller: { gpid: '1' }, snapshot: true }]";
    let mut fixture = fixture(tests);
    let folder = fixture.path().to_owned();
    fixture.write("Cargo.toml", "[package]\nname = \"bridges\"\nedition = \"2024\"\n[workspace]\n");
    fixture.write("src/lib.rs", "");
    let run_ours = format!(
        "#[test]\nfn bridges() {{\n    let test = std::process::Command::new({:?}).arg(\"test\").status().unwrap();\n    \
         assert!(test.success());\n}}\n",
        crate::support::binary()
    );
    fixture.write("tests/bridges.rs", &run_ours);

    // `cargo insta test` runs them among the tests of a project, and collects what waits.
    let (fine, said) = cargo_insta(&folder, &["test"]);
    assert!(!fine && said.contains("2 snapshots to review"), "{said}");
    let (_, pending) = cargo_insta(&folder, &["pending-snapshots"]);
    assert!(pending.contains("leave__t.snap") && pending.contains("leave@catalogue.snap"), "{pending}");
    let (fine, said) = cargo_insta(&folder, &["accept"]);
    assert!(fine, "{said}");
    let (code, stdout, _) = run(&fixture, &["test", "--check"]);
    assert_eq!(code, 0, "{stdout}");
    let (fine, said) = cargo_insta(&folder, &["test", "--check"]);
    assert!(fine, "{said}");

    // It takes ours for what they are, and drops them.
    fixture.write("bridges/test.yaml", &BRIDGE.replace("Find days off.", "Find all days."));
    assert_eq!(run(&fixture, &["test"]).0, 1);
    let (fine, said) = cargo_insta(&folder, &["reject"]);
    assert!(fine, "{said}");
    assert!(!folder.join("tests/snapshots/leave__t.snap.new").exists());

    // And `review`, on a terminal, shows the difference and accepts it.
    assert_eq!(run(&fixture, &["test"]).0, 1);
    let review = tool("cargo-insta/bin/cargo-insta");
    let (code, said) = on_a_terminal(&folder, b"aa", &[review.to_str().unwrap(), "insta", "review"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Expression: find: t") && said.contains("insta review finished"), "{said}");
    assert_eq!(run(&fixture, &["test", "--check"]).0, 0);
}

/// Runs a command on a terminal, which Python has for us, and types these keys. Gives the exit code and what was shown.
fn on_a_terminal(folder: &Path, keys: &[u8], command: &[&str]) -> (Option<i32>, String) {
    let script = "import os, pty, sys\n\
        pid, terminal = pty.fork()\n\
        if pid == 0: os.execv(sys.argv[2], sys.argv[2:])\n\
        os.write(terminal, sys.argv[1].encode())\n\
        out = b''\n\
        while True:\n\
        \x20try: data = os.read(terminal, 4096)\n\
        \x20except OSError: break\n\
        \x20if not data: break\n\
        \x20out += data\n\
        _, status = os.waitpid(pid, 0)\n\
        sys.stdout.buffer.write(out)\n\
        sys.exit(os.waitstatus_to_exitcode(status))\n";
    let keys = std::str::from_utf8(keys).unwrap();
    let mut child = Command::new(python());
    child.args(["-c", script, keys]).args(command).current_dir(folder).stdin(Stdio::null());
    let output = child.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn what_is_not_exercised_is_told() {
    let tests = r#"
tests:
  - { name: a, tool: find, caller: { gpid: "1" }, arguments: { limit: 1 }, upstream: { status: 500 }, expect: { error: Busy } }
  - { name: b, tool: book, arguments: { days: 1, note: refused }, expect: { error: no such tool } }
"#;
    let fixture = fixture(tests);
    let (_, stdout, _) = run(&fixture, &["test", "--format", "json"]);
    let report: Value = serde_json::from_str(&stdout).unwrap();
    let coverage = &report["suites"][0]["coverage"];
    let missing = |kind: &str| -> Vec<&str> {
        coverage[kind]["missing"].as_array().unwrap().iter().map(|it| it["what"].as_str().unwrap()).collect()
    };
    assert_eq!(missing("tools"), ["log_in", "all"]);
    let parameters = ["find kinds", "book days", "book note", "book who", "book at", "log_in name"];
    assert_eq!(missing("parameters"), parameters);
    assert_eq!(missing("errors"), ["find 404"]);
    let branches = [
        "`headers['retry-after'] is defined` true",
        "`result.days > 5` true",
        "`result.days > 5` false",
        "`result.days == 1` true",
        "`result.days == 1` false",
        "`body.parts` runs",
    ];
    assert_eq!(missing("branches"), branches);
    assert_eq!(coverage["branches"]["missing"][0]["place"], "bridges/test.yaml:16:82");
    assert_eq!(coverage["percent"], 28);

    run(&fixture, &["test", "--accept"]);
    assert_eq!(run(&fixture, &["test", "--min-coverage", "28"]).0, 0);
    let (code, stdout, _) = run(&fixture, &["test", "--min-coverage", "29"]);
    assert_eq!(code, 1);
    assert!(stdout.contains("not covered: error find 404   bridges/test.yaml:9:3"), "{stdout}");
    assert!(stdout.contains("less than the 29 % of `--min-coverage`"), "{stdout}");
    assert_eq!(run(&fixture, &["test", "--min-coverage", "101"]).0, 2);
}

const SOME: &str = r#"
tests:
  - { name: "one, # and <two>", tool: find, caller: { gpid: "1" }, expect: { request: "GET /a\nb" } }
  - { name: fine, tool: find, caller: { gpid: "1" } }
  - { name: other, tool: log_in, expect: { error: nothing } }
"#;

#[test]
fn machines_read_what_came() {
    let fixture = fixture(SOME);
    run(&fixture, &["test", "--accept"]);
    let (code, tap, _) = run(&fixture, &["test", "--format", "tap"]);
    assert_eq!(code, 1);
    assert!(tap.starts_with("TAP version 14\n1..4\nnot ok 1 - leave find: one, \\# and <two>\n  ---\n"), "{tap}");
    assert!(tap.contains("ok 2 - leave find: fine\n") && tap.contains("not ok 3 - leave log_in: other"), "{tap}");
    assert!(tap.contains(r#"  at: {"file":"bridges/leave.test.yaml","line":3}"#), "{tap}");

    let (code, github, _) = run(&fixture, &["test", "--format", "github"]);
    assert_eq!(code, 1);
    let line = "::error file=bridges/leave.test.yaml,line=3,title=find%3A one%2C # and <two>::request%0Aexpected: GET /a%0Ab%0A";
    assert!(github.starts_with(line), "{github}");
    assert_eq!(github.lines().count(), 2);

    let (code, stdout, _) = run(&fixture, &["test", "--junit", "report.xml"]);
    assert_eq!((code, stdout.contains("4 tests: 2 passed, 2 failed")), (1, true), "{stdout}");
    let xml = std::fs::read_to_string(fixture.path().join("report.xml")).unwrap();
    let (_, same, _) = run(&fixture, &["test", "--format", "junit"]);
    let report = quick_junit::Report::deserialize_from_str(&xml).unwrap();
    assert_eq!((report.tests, report.failures), (4, 2));
    let cases = &report.test_suites[0].test_cases;
    assert_eq!(cases[0].name.as_str(), "one, # and <two>");
    assert_eq!(cases[0].classname.as_ref().unwrap().as_str(), "leave.find");
    assert_eq!(cases[0].extra["line"].as_str(), "3");
    let same = quick_junit::Report::deserialize_from_str(&same).unwrap();
    assert_eq!((same.tests, same.failures), (4, 2));
    assert_eq!(run(&fixture, &["test", "--junit", "no/such/folder.xml"]).0, 2);
}

#[test]
fn some_can_be_run_alone() {
    let fixture = fixture(SOME);
    run(&fixture, &["test", "--accept"]);
    let (code, stdout, _) = run(&fixture, &["test", "--filter", "fine"]);
    assert_eq!(code, 0, "{stdout}");
    assert!(stdout.contains("1 test: 1 passed") && !stdout.contains("covered"), "{stdout}");
    let (code, stdout, _) = run(&fixture, &["test", "--filter", "log_in"]);
    assert_eq!((code, stdout.contains("log_in: other")), (1, true), "{stdout}");
    let (code, stdout, _) = run(&fixture, &["test", "--fail-fast"]);
    assert_eq!((code, stdout.contains("1 test: 0 passed, 1 failed")), (1, true), "{stdout}");
    let (code, _, stderr) = run(&fixture, &["test", "elsewhere"]);
    assert_eq!((code, stderr.as_str()), (2, "error: elsewhere does not exist\n"));
    // A single bridge file has the tests in it, and those of the file that is named after it.
    let (code, stdout, _) = run(&fixture, &["test", "bridges/test.yaml"]);
    assert_eq!((code, stdout.contains("1 test: 1 passed")), (0, true), "{stdout}");
}

#[test]
fn a_change_runs_them_again() {
    let mut fixture = fixture(SOME);
    let mut child = fixture
        .command(&["test", "--watch"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let waits = lines(child.stderr.take().unwrap());
    let out = lines(child.stdout.take().unwrap());
    let next = |lines: &Receiver<String>, words: &str| {
        let mut seen = Vec::new();
        while let Ok(line) = lines.recv_timeout(Duration::from_secs(30)) {
            if line.contains(words) {
                return;
            }
            seen.push(line);
        }
        panic!("no {words:?} among {seen:#?}");
    };
    next(&out, "4 tests: 1 passed, 3 failed");
    next(&waits, "Waiting for changes");
    fixture.write("bridges/leave.test.yaml", "tests: [{ name: fine, tool: find, caller: { gpid: '1' } }]");
    next(&out, "2 tests: 1 passed, 1 failed");
    fixture.write("bridges/leave.test.yaml", "tests: [{ name: fine, tool: fin }]");
    next(&waits, "there is no tool `fin`");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// What a child process says, line by line.
fn lines(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        BufReader::new(from).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    lines
}

#[test]
fn what_looks_like_a_secret_is_told_of_tests_too() {
    let token = concat!("ghp_", "0123456789abcdefghijklmnopqrstuvwxyz");
    let tests =
        |comment: &str| format!("tests:\n  - name: t\n    tool: log_in\n    arguments: {{ name: {token} }}{comment}\n");
    let (code, _, stderr) = run(&fixture(&tests("")), &["check", "--deny", "warnings"]);
    assert_eq!((code, stderr.contains("warning[TB0204]")), (1, true), "{stderr}");
    assert!(!stderr.contains(token), "{stderr}");
    let allowed = tests("     # tollbridge: allow TB0204 -- made up");
    let (code, _, stderr) = run(&fixture(&allowed), &["check", "--deny", "warnings"]);
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn inline_tests_do_not_change_what_is_served() {
    let expected = r#"expect: { request: { query: { key: "${LEAVE_KEY}" } } }"#;
    let yaml = format!("{BRIDGE}tests: [{{ name: inline, tool: find, caller: {{ gpid: '1' }}, {expected} }}]\n");
    let api = Api::start();
    let fixture = Fixture::new().bridge(&yaml);
    let (_, stdout, _) = run(&fixture, &["test"]);
    assert!(stdout.contains("ok    find: inline"), "{stdout}");
    let server = fixture.env("API", &api.url()).env("LEAVE_KEY", "k").serve();
    let names: Vec<String> = server.tools(None).keys().cloned().collect();
    assert_eq!(names, ["find", "log_in", "all"]);
    assert!(!server.call("log_in", &json!({"name": "x"})).is_error());
}
