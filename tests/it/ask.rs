//! `confirm`, `ask` and `requires`: nothing is sent before the user has answered, whoever calls and however.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{
    Api, Fixture, Process, Provider, Reply, Server, binary, free_port, listening, python as python_program, root,
};

const YAML: &str = r#"
bridge: leave
upstream: { url: "${API}", credentials: none }
claims: { gpid: [gpid] }
tools:
  request_leave:
    description: Asks for leave.
    endpoint: POST /leave
    confirm: "Submit {{ args.days }} days, {{ answers.why.text if answers.why is defined else 'for no reason' }}?"
    ask:
      why:
        message: "Why {{ args.days }} days?"
        when: args.days > 5
        schema: { type: object, properties: { text: { type: string, minLength: 3 } }, required: [text] }
    parameters: { days: { type: integer } }
    body: { json: { days: "{{ args.days }}", why: "{{ answers.why.text if answers.why is defined }}" } }
  drop_all:
    description: Drops everything.
    endpoint: DELETE /all
    confirm: Drop everything?
  sign:
    description: Signs an order.
    endpoint: POST /sign
    parameters: { order: { type: string } }
    ask: { sign: { message: Sign it., url: "https://sign.example.com/start?order={{ args.order }}" } }
  sums_up:
    description: Needs a model.
    requires: [sampling]
    endpoint: GET /sum
  mine:
    description: Asks as somebody.
    endpoint: POST /mine
    parameters: { gpid: { claim: gpid } }
    confirm: Really?
"#;

/// Calls a tool as a client with these capabilities, and with what it says about earlier questions.
fn call(server: &Server, token: Option<&str>, capabilities: &Value, params: &Value) -> Reply {
    let mut params = params.clone();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    });
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", params["name"].as_str().unwrap()),
    ];
    headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    server.send("POST", "/mcp", &headers, &body)
}

fn result(server: &Server, params: &Value) -> Value {
    let reply = call(server, None, &json!({"elicitation": {"form": {}, "url": {}}}), params).json();
    assert!(reply["result"].is_object(), "{reply}");
    reply["result"].clone()
}

fn serve() -> (Api, Server) {
    let api = Api::start();
    let server = Fixture::new().bridge(YAML).env("API", &api.url()).serve();
    (api, server)
}

fn accept(content: &Value) -> Value {
    json!({ "action": "accept", "content": content })
}

#[test]
fn questions_come_one_after_the_other_and_then_the_request_is_sent_once() {
    let (api, server) = serve();
    let leave = json!({"name": "request_leave", "arguments": {"days": 10}});
    let first = result(&server, &leave);
    assert_eq!(first["resultType"], "input_required");
    let why = &first["inputRequests"]["why"];
    assert_eq!(
        (why["method"].as_str(), why["params"]["message"].as_str()),
        (Some("elicitation/create"), Some("Why 10 days?"))
    );
    assert_eq!(first["inputRequests"].as_object().unwrap().len(), 1);
    let with = |state: &Value, responses: Value| {
        let mut params = leave.clone();
        params["requestState"] = state.clone();
        params["inputResponses"] = responses;
        params
    };
    // An answer that does not fit the form is none.
    let again = result(&server, &with(&first["requestState"], json!({"why": accept(&json!({"text": "x"}))})));
    assert_eq!(again["inputRequests"]["why"]["params"]["message"], "Why 10 days?");
    let second = result(&server, &with(&again["requestState"], json!({"why": accept(&json!({"text": "wedding"}))})));
    assert_eq!(second["inputRequests"]["confirm"]["params"]["message"], "Submit 10 days, wedding?");
    let confirmed = with(&second["requestState"], json!({"confirm": accept(&json!({}))}));
    assert!(api.requests().is_empty());
    let done = result(&server, &confirmed);
    assert_eq!((done["resultType"].as_str(), done["isError"].as_bool()), (Some("complete"), Some(false)), "{done}");
    assert_eq!(api.last().json(), json!({"days": 10, "why": "wedding"}));
    // A yes counts once.
    let replayed = result(&server, &confirmed);
    assert_eq!(replayed["resultType"], "input_required");
    assert_eq!(api.requests().len(), 1);
}

#[test]
fn consent_counts_for_what_was_shown_and_for_who_was_asked() {
    let (api, server) = serve();
    let asked = |days: i32| result(&server, &json!({"name": "request_leave", "arguments": {"days": days}}));
    let yes = json!({"confirm": accept(&json!({}))});
    let small = asked(2);
    let send = |params: &Value| call(&server, None, &json!({"elicitation": {}}), params).json();
    // Unasked, for other arguments, for another tool, and changed on the way.
    let unasked = json!({"name": "drop_all", "arguments": {}, "inputResponses": yes});
    assert_eq!(result(&server, &unasked)["resultType"], "input_required");
    let state = small["requestState"].as_str().unwrap();
    let mut forged = state.to_owned();
    forged.replace_range(forged.len() - 4.., "AAAA");
    for params in [
        json!({"name": "request_leave", "arguments": {"days": 5}, "requestState": state, "inputResponses": yes}),
        json!({"name": "drop_all", "arguments": {}, "requestState": state, "inputResponses": yes}),
        json!({"name": "request_leave", "arguments": {"days": 2}, "requestState": forged, "inputResponses": yes}),
    ] {
        let refused = send(&params);
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
        let words = refused["error"]["message"].as_str().unwrap();
        assert_eq!(words, "requestState is not valid here, or not any more; call again without it");
    }
    let no = json!({"confirm": {"action": "decline"}});
    let declined =
        send(&json!({"name": "request_leave", "arguments": {"days": 2}, "requestState": state, "inputResponses": no}));
    assert_eq!(declined["result"]["content"][0]["text"], "The user declined (`confirm`): nothing was sent");
    assert_eq!(declined["result"]["isError"], true);
    assert!(api.requests().is_empty());
}

#[test]
fn one_user_can_not_answer_for_another() {
    let (api, provider) = (Api::start(), Provider::shared());
    let server = Fixture::with_okta(provider).bridge(YAML).env("API", &api.url()).serve();
    let (alice, bob) = (provider.user("alice"), provider.user("bob"));
    let can = json!({"elicitation": {}});
    let asked = call(&server, Some(&alice), &can, &json!({"name": "mine", "arguments": {}})).json();
    let state = &asked["result"]["requestState"];
    let yes = json!({"name": "mine", "arguments": {}, "requestState": state, "inputResponses": {"confirm": accept(&json!({}))}});
    assert_eq!(call(&server, Some(&bob), &can, &yes).json()["error"]["code"], -32602);
    assert!(api.requests().is_empty());
    assert_eq!(call(&server, Some(&alice), &can, &yes).json()["result"]["isError"], false);
}

#[test]
fn a_client_that_can_not_ask_is_refused_and_nothing_is_sent() {
    let (api, server) = serve();
    for (tool, arguments, required) in [
        ("drop_all", json!({}), json!({"elicitation": {"form": {}}})),
        ("sign", json!({"order": "7"}), json!({"elicitation": {"url": {}}})),
        ("sums_up", json!({}), json!({"sampling": {}})),
    ] {
        let refused = call(&server, None, &json!({}), &json!({"name": tool, "arguments": arguments}));
        assert_eq!((refused.status, refused.json()["error"]["code"].as_i64()), (400, Some(-32021)), "{tool}");
        assert_eq!(refused.json()["error"]["data"]["requiredCapabilities"], required);
    }
    let page = result(&server, &json!({"name": "sign", "arguments": {"order": "7&x=1"}}));
    let asked = &page["inputRequests"]["sign"]["params"];
    assert_eq!(
        (asked["mode"].as_str(), asked["url"].as_str()),
        (Some("url"), Some("https://sign.example.com/start?order=7&x=1"))
    );
    assert!(api.requests().is_empty());
}

#[test]
fn what_one_replica_asked_another_can_be_told() {
    let port = free_port();
    let child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("redis-server is missing: install it (Debian: apt-get install redis-server)");
    listening(port);
    let _store = Process(child);
    let api = Api::start();
    let replica = || {
        let mut fixture = Fixture::new().bridge(YAML).env("API", &api.url());
        fixture.write("tollbridge.yaml", &format!("shared: {{ redis: \"redis://127.0.0.1:{port}\" }}"));
        fixture.serve()
    };
    let (one, two) = (replica(), replica());
    let asked = result(&one, &json!({"name": "drop_all", "arguments": {}}));
    let yes = json!({"name": "drop_all", "arguments": {}, "requestState": asked["requestState"],
        "inputResponses": {"confirm": accept(&json!({}))}});
    assert_eq!(result(&two, &yes)["isError"], false);
    assert_eq!(api.lines(), ["DELETE /all"]);
    // And once means once among all of them.
    assert_eq!(result(&one, &yes)["resultType"], "input_required");
    assert_eq!(api.requests().len(), 1);
}

/// What the official Python client reports of one call, over this transport and in this era.
fn python(mode: &str, is_stdio: bool, answer: Option<&str>) -> (Api, Value) {
    let api = Api::start();
    let fixture = Fixture::new().bridge(YAML).env("API", &api.url());
    let mut command = Command::new(python_program());
    command.arg(root().join("tests/clients/python_mcp.py")).args(["--mode", mode, "--call", "drop_all", "{}"]);
    command.args(answer.iter().flat_map(|answer| ["--answer", answer]));
    let mut server = None;
    if is_stdio {
        command.arg("--stdio").arg(binary()).args(fixture.stdio_args());
        command.current_dir(fixture.path()).envs(fixture.environment().iter().map(|(name, value)| (name, value)));
    } else {
        command.args(["--url", &server.insert(fixture.serve()).url()]);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let report =
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said} {}", String::from_utf8_lossy(&output.stderr)));
    (api, report)
}

#[test]
fn a_real_client_asks_its_user_over_both_transports_and_in_both_eras() {
    for (mode, is_stdio) in [("auto", false), ("legacy", false), ("auto", true), ("legacy", true)] {
        let (api, seen) = python(mode, is_stdio, Some("accept"));
        assert_eq!(seen["asked"], json!(["Drop everything?"]), "{seen}");
        assert_eq!(seen["calls"][0]["is_error"], false, "{seen}");
        assert_eq!(api.lines(), ["DELETE /all"]);
        // It asked to know how far its call has come, and heard of each step in order.
        let steps = json!([[1.0, "Started"], [2.0, "The API is asked"], [3.0, "The API has answered"], [4.0, "Done"]]);
        assert_eq!(seen["progress"], steps, "{mode} {is_stdio}");

        let (api, seen) = python(mode, is_stdio, Some("decline"));
        assert_eq!(seen["calls"][0]["text"], "The user declined (`confirm`): nothing was sent", "{seen}");
        let (other, seen) = python(mode, is_stdio, None);
        assert!(seen["error"].is_string() || seen["calls"][0]["is_error"] == true, "{seen}");
        assert!(api.requests().is_empty() && other.requests().is_empty());
    }
}

#[test]
fn on_the_command_line_only_yes_is_a_yes() {
    let api = Api::start();
    let fixture = Fixture::new().bridge(YAML).env("API", &api.url());
    let call = |arguments: &[&str]| {
        let output = fixture.command(&[&["call", "--no-auth"], arguments].concat()).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.success(), said)
    };
    let (_, said) = call(&["drop_all"]);
    assert!(said.contains("To be answered first: `confirm`: Drop everything?"), "{said}");
    for (arguments, why) in [
        (["drop_all", "--answer", "confirm=no"], "write `yes`, or leave it out"),
        (["drop_all", "--answer", "confirm:={}"], "write `yes`, or leave it out"),
        (["drop_all", "--answer", "why=yes"], "this tool has no such question"),
    ] {
        let (is_fine, said) = call(&arguments);
        assert!(!is_fine && said.contains(why), "{said}");
    }
    let (is_fine, said) =
        call(&["request_leave", "days=9", "--answer", "why:={\"text\":\"x\"}", "--answer", "confirm=yes"]);
    assert!(!is_fine && said.contains("the answer to `why` can't be used"), "{said}");
    assert!(api.requests().is_empty());
    let (is_fine, said) = call(&["drop_all", "--answer", "confirm=yes"]);
    assert!(is_fine && api.lines() == ["DELETE /all"], "{said}");
}

#[test]
fn what_is_asked_is_shown_before_anybody_is() {
    let fixture = Fixture::new().bridge(YAML).env("API", "http://127.0.0.1:9");
    let said = |args: &[&str]| {
        let output = fixture.command(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    for text in [said(&["show", "request_leave"]), said(&["explain", "request_leave", "days:=2"])] {
        let (_, asked) = text.split_once("Asked before anything is sent\n").unwrap_or_else(|| panic!("{text}"));
        let lines: Vec<String> =
            asked.lines().take(2).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            ["why the user fills in `text` under a condition", "confirm the user says yes or no after `why`"],
            "{text}"
        );
    }
    assert!(!said(&["show", "sums_up"]).contains("Asked before"));
    let json: Value = serde_json::from_str(&said(&["explain", "sign", "order=1", "--format", "json"])).unwrap();
    assert_eq!(json["questions"], json!([["sign", "the user opens a page", ""]]));
}
