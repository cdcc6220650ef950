//! `init`: an empty folder becomes a project. `call`: what a real call prints, and the test that is made of it.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Answer, Api, Fixture, Provider, binary, root};

/// Runs a command line as a shell would, with the binary on the path and nothing else in the environment.
fn shell(folder: &Path, line: &str) -> (i32, String, String) {
    let path = std::env::var("PATH").unwrap();
    let beside = Path::new(binary()).parent().unwrap().display();
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(folder).env_clear().env("PATH", format!("{beside}:{path}"));
    command.envs(crate::support::counting());
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// All strings at this key, anywhere in a YAML file that holds one object or list.
fn at_key(path: &Path, key: &str) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let marked = format!("{key}: ");
    let said = text.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix(&marked));
    said.map(str::to_owned).collect()
}

#[test]
fn an_empty_folder_becomes_a_project() {
    let fixture = Fixture::new();
    let folder = fixture.path().join("new");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join(".gitignore"), "mine\n").unwrap();
    let (code, stdout, stderr) = shell(&folder, "tollbridge init");
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains(".gitignore: is there already, and stays"), "{stdout}");
    assert_eq!(std::fs::read_to_string(folder.join(".gitignore")).unwrap(), "mine\n");
    assert!(stderr.contains("tollbridge test"), "{stderr}");

    // What it says to do next, and what CI and the hooks will do, works at once.
    let mut lines = vec!["tollbridge check --deny warnings".to_owned(), "tollbridge test".to_owned()];
    lines.push("tollbridge explain list_my_orders --claims employeeNumber=4711".to_owned());
    let workflow = at_key(&folder.join(".github/workflows/bridges.yml"), "run");
    lines.extend(workflow.into_iter().filter(|line| line.starts_with("tollbridge")));
    lines.extend(at_key(&folder.join(".pre-commit-config.yaml"), "entry"));
    lines.extend(at_key(&root().join(".pre-commit-hooks.yaml"), "entry"));
    assert_eq!(lines.len(), 9, "{lines:?}");
    for line in lines {
        let (code, stdout, stderr) = shell(&folder, &line);
        assert_eq!(code, 0, "{line}: {stdout}{stderr}");
    }
    assert!(!folder.join("tests/snapshots/orders__the_whole_exchange.snap.new").exists());
    // Editors find the schema that the first line names.
    let first = std::fs::read_to_string(folder.join("bridges/orders.yaml")).unwrap();
    let schema = first.lines().next().unwrap().split("$schema=").nth(1).unwrap();
    assert!(folder.join("bridges").join(schema).exists(), "{schema}");

    // Nothing that is there is touched, and a name must be one.
    let (code, stdout, stderr) = shell(&folder, "tollbridge init");
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert_eq!(stderr, "error: ./bridges is there already; nothing was written\n");
    let (code, _, stderr) = shell(fixture.path(), "tollbridge init Orders --directory other");
    assert_eq!((code, stderr.contains("`Orders` can't be the name of a bridge")), (2, true), "{stderr}");
    let (code, ..) =
        shell(fixture.path(), "tollbridge init my-shop --directory other && cd other && tollbridge test --check");
    assert_eq!(code, 0);
    assert!(fixture.path().join("other/bridges/my-shop.yaml").exists());
}

const PEOPLE: &str = r#"bridge: people
upstream: { url: "${API}/v1", credentials: { bearer: "${API_KEY}" } }
claims: { gpid: [gpid, sub], org: /tenant/id }
tools:
  find:
    description: Find people.
    endpoint: GET /orgs/{org}/people/{gpid}
    parameters:
      org:   { claim: org }
      gpid:  { claim: gpid }
      names: { type: array, items: { type: string }, required: false, description: Names }
      limit: { type: integer, default: 10, description: How many }
    response: { redact: [ssn], errors: { 404: Nobody. } }
  badge: { description: A picture., endpoint: GET /badge, response: { content: image } }
  all: { description: All of them., endpoint: GET /all, paginate: { next: link_header } }
  policy: { description: The policy., response: { text: Ask first. } }
"#;

fn people(provider: &Provider, api: &Api) -> Fixture {
    Fixture::with_okta(provider).bridge(PEOPLE).env("API", &api.url()).env("API_KEY", "k3y-of-ours")
}

fn call(fixture: &Fixture, token: Option<&str>, args: &[&str]) -> (i32, String, String) {
    let mut command = fixture.command(&[&["call"], args].concat());
    if let Some(token) = token {
        command.env("OKTA_ACCESS_TOKEN", token);
    }
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_real_call_prints_what_the_model_reads() {
    let (provider, api) = (Provider::shared(), Api::start());
    let fixture = people(provider, &api);
    api.answer("/v1/orgs", Answer::json(200, &json!([{"name": "Ann", "ssn": "123"}])));
    let token = provider.token(&json!({"claims": {"gpid": "7", "tenant": {"id": "t1"}}}));
    let (code, stdout, stderr) = call(&fixture, Some(&token), &["find", "limit=3", r#"names:=["a b","c"]"#]);
    assert_eq!((code, stdout.as_str()), (0, "[{\"name\":\"Ann\",\"ssn\":\"[redacted]\"}]\n"), "{stderr}");
    assert_eq!(api.last().line(), "GET /v1/orgs/t1/people/7?names=a%20b&names=c&limit=3");
    assert_eq!(api.last().header("authorization"), Some("Bearer k3y-of-ours"));
    let (_, raw, _) = call(&fixture, Some(&token), &["find", "--raw"]);
    assert_eq!(serde_json::from_str::<Value>(&raw).unwrap()["isError"], false, "{raw}");
    api.answer("/v1/badge", Answer::Full(200, "image/png", b"12345".to_vec()));
    assert_eq!(call(&fixture, Some(&token), &["badge"]).1, "<image, image/png, 5 bytes>\n");
    assert_eq!(call(&fixture, None, &["policy"]).1, "Ask first.\n");

    // What goes wrong.
    let sent = api.requests().len();
    for (token, args, code, words) in [
        (None, &["find"][..], 2, "put an access token into OKTA_ACCESS_TOKEN"),
        (Some("nonsense"), &["find"], 1, "the token is refused: the token is not active"),
        (Some(token.as_str()), &["find", "limit=many"], 1, "limit"),
        (Some(&token), &["find", "gpid=8"], 1, "unexpected argument `gpid`"),
        (Some(&token), &["fnid"], 2, "did you mean `find`?"),
        (Some(&token), &["find", "--bridges", "elsewhere"], 1, "elsewhere"),
    ] {
        let (status, stdout, stderr) = call(&fixture, token, args);
        assert_eq!((status, stdout.as_str()), (code, ""), "{args:?}: {stderr}");
        assert!(stderr.contains(words), "{args:?}: {stderr}");
    }
    assert_eq!(api.requests().len(), sent);
    api.answer("/v1/orgs", Answer::json(404, &json!({})));
    let (code, stdout, _) = call(&fixture, Some(&token), &["find"]);
    assert_eq!((code, stdout.as_str()), (1, "Nobody.\n"));
}

#[test]
fn a_call_goes_to_a_running_server_too() {
    let (provider, api) = (Provider::shared(), Api::start());
    api.answer("/v1/orgs", Answer::json(200, &json!({"ok": true})));
    let token = provider.token(&json!({"claims": {"gpid": "7", "tenant": {"id": "t1"}}}));
    let server = people(provider, &api).serve();
    let url = server.url();
    let fixture = Fixture::new();
    let (code, stdout, stderr) = call(&fixture, Some(&token), &["find", "limit=3", "--url", &url]);
    assert_eq!((code, stdout.as_str()), (0, "{\"ok\":true}\n"), "{stderr}");
    assert_eq!(api.last().line(), "GET /v1/orgs/t1/people/7?limit=3");
    for (token, args, code, words) in [
        (None, &["find", "--url", &url][..], 1, "resource_metadata="),
        (Some("nonsense"), &["find", "--url", &url], 1, "invalid_token"),
        (Some(token.as_str()), &["fnid", "--url", &url], 2, "did you mean `find`?"),
        (Some(&token), &["find", "--url", "http://127.0.0.1:1/mcp"], 3, "the server can't be asked"),
        (Some(&token), &["find", "--url", "http://mcp.example.com/mcp"], 2, "over https only"),
        (Some(&token), &["find", "--url", "ftp://mcp.example.com/mcp"], 2, "no http or https URL"),
        (Some(&token), &["find", "--url", &url, "--record", "x"], 2, "cannot be used with"),
    ] {
        let (status, _, stderr) = call(&fixture, token, args);
        assert_eq!((status, stderr.contains(words)), (code, true), "{args:?}: {stderr}");
        assert!(token.is_none_or(|token| !stderr.contains(token)), "{stderr}");
    }
}

#[test]
fn a_call_becomes_a_test() {
    let (provider, api) = (Provider::shared(), Api::start());
    let mut fixture = people(provider, &api);
    let body = json!([{"name": "Ann: b", "ssn": "123-45", "key": "k3y-of-ours", "n": 1.5, "none": null, "yes": "no"}]);
    api.answer("/v1/orgs", Answer::json(200, &body));
    api.answer("/v1/badge", Answer::Full(200, "image/png", vec![0xff, 0xd8]));
    let next = format!("Link: <{}/v1/all?page=2>; rel=\"next\"", api.url());
    let first = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n{next}\r\nContent-Length: 3\r\n\r\n[1]"
    );
    api.answer("/v1/all", Answer::Raw(first.into_bytes()));
    api.answer("/v1/all?page=2", Answer::json(200, &json!([{ "self": format!("{}/v1/2", api.url()) }])));
    let claims = json!({"gpid": "7", "tenant": {"id": "t1"}, "secret_claim": "x"});
    let token = provider.token(&json!({ "claims": claims }));
    let record = ["--record", "bridges/people.test.yaml"];
    for args in [&["find", r#"names:=["a b","true"]"#][..], &["badge"], &["all"], &["policy"], &["find", "limit=many"]]
    {
        let (_, _, stderr) = call(&fixture, Some(&token), &[args, &record].concat());
        assert!(stderr.contains("recorded as test"), "{stderr}");
    }
    api.answer("/v1/orgs", Answer::json(404, &json!({})));
    call(&fixture, Some(&token), &[&["find"], &record[..]].concat());
    let recorded = std::fs::read_to_string(fixture.path().join("bridges/people.test.yaml")).unwrap();
    for secret in ["123-45", "k3y-of-ours", token.as_str(), "secret_claim", &api.url()[7..]] {
        assert!(!recorded.contains(secret), "{secret}: {recorded}");
    }
    assert!(
        recorded.contains("  - name: \"recorded call 1\"\n    tool: find\n    caller: { sub: alice, gpid: \"7\""),
        "{recorded}"
    );
    let line = "request: \"GET /orgs/t1/people/7?names=a%20b&names=true&limit=10\"";
    assert!(recorded.contains(line), "{recorded}");
    // They pass, without the API.
    drop(api);
    shell(fixture.path(), "tollbridge test --accept");
    let (code, stdout, stderr) = shell(fixture.path(), "tollbridge test");
    assert_eq!(code, 0, "{stdout}{stderr}\n{recorded}");
    assert!(stdout.contains("7 tests: 7 passed"), "{stdout}");

    // A file that is none of tests is untouched.
    fixture.write("notes.yaml", "tests: []\nmore: 1\n");
    let (code, stdout, stderr) = call(&fixture, Some(&token), &["policy", "--record", "notes.yaml"]);
    assert_eq!((code, stdout.starts_with("  - name:")), (2, true), "{stdout}");
    assert!(stderr.contains("it is untouched"), "{stderr}");
    assert_eq!(std::fs::read_to_string(fixture.path().join("notes.yaml")).unwrap(), "tests: []\nmore: 1\n");
}

#[test]
fn shells_complete_the_commands() {
    let script = |shell: &str| {
        let output = Command::new(binary()).args(["completions", shell]).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("tollbridge.bash"), script("bash")).unwrap();
    let complete = |words: &str| {
        let command = format!(
            "source tollbridge.bash; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _tollbridge tollbridge \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash").args(["-c", &command]).current_dir(folder.path()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("tollbridge roll"), "rollback");
    assert_eq!(complete("tollbridge reload --allow"), "--allow-breaking");
    assert_eq!(complete("tollbridge check --format sa"), "sarif");
    for shell in ["zsh", "fish", "powershell", "elvish"] {
        assert!(script(shell).contains("rollback"), "{shell}");
    }
}
