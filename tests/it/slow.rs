//! `async`: an API that answers before it is done, waited for within a call and as a task, and told when nobody waits any more.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::stdio::Pipes;
use crate::support::{Answer, Api, Fixture, Provider, Reply, Server, ToolResult, binary, python, root, until};

const TASKS: &str = "io.modelcontextprotocol/tasks";

const YAML: &str = r#"
bridge: reports
upstream: { url: "${API}/v1", credentials: none }
tools:
  report: &report
    description: Makes a report.
    endpoint: POST /jobs
    parameters: { month: { type: string, required: false } }
    async: &async
      job: id
      status: GET /jobs/{job}
      done: state == 'finished'
      failed: state == 'failed'
      progress: percent
      cancel: DELETE /jobs/{job}
      interval: 100ms
  with_result: { <<: *report, async: { <<: *async, result: "GET /jobs/{job}/result" } }
  impatient: { <<: *report, async: { <<: *async, deadline: 300ms } }
  for_a_moment: { <<: *report, async: { <<: *async, deadline: 500ms, keep: 500ms } }
  for_tasks: { <<: *report, requires: [tasks] }
  certain: { <<: *report, confirm: Really?, async: { <<: *async, ask: within_task } }
  sure: { <<: *report, confirm: Really? }
  by_location: { description: By its header., endpoint: POST /exports, async: { interval: 100ms } }
  of_tenant:
    description: In a folder of somebody.
    endpoint: POST /orgs/{org}/exports
    parameters: { org: { type: string }, X-Tenant: { in: header, type: string }, q: { in: query, type: string } }
    async: { job: id, status: "GET /orgs/{org}/exports/{job}", interval: 100ms }
  plain: { description: Plain., endpoint: GET /plain }
"#;

fn fixture(api: &Api) -> Fixture {
    Fixture::new().bridge(YAML).env("API", &api.url())
}

fn serve() -> (Api, Server) {
    let api = Api::start();
    let server = fixture(&api).serve();
    (api, server)
}

/// Answers of a job: it has begun, these states, one after the other, and the last again and again.
fn job(api: &Api, states: &[Value]) {
    api.answer("/v1/jobs", Answer::json(202, &json!({"id": 7})));
    api.answers("/v1/jobs/7", states.iter().map(|state| Answer::json(200, state)).collect());
}

fn running() -> Value {
    json!({"state": "running"})
}

fn finished() -> Value {
    json!({"state": "finished", "pages": 3})
}

/// An answer with headers.
fn with(status: u16, headers: &str, body: &str) -> Answer {
    let length = body.len();
    Answer::Raw(
        format!(
            "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             {headers}\r\n{body}"
        )
        .into_bytes(),
    )
}

/// The bytes of a request of the 2026-07-28 protocol.
fn message(server: &Server, token: Option<&str>, capabilities: &Value, method: &str, params: &Value) -> String {
    let mut params = params.clone();
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities.clone();
    let name = params["name"].as_str().or(params["taskId"].as_str()).unwrap_or("-").to_owned();
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let bearer = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!(
        "POST /mcp HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\naccept: application/json, \
         text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: {method}\r\nmcp-name: {name}\r\n{bearer}\
         content-length: {}\r\n\r\n{body}",
        server.address,
        body.len()
    )
}

/// A request of a client that takes tasks.
fn with_tasks(server: &Server, token: Option<&str>, method: &str, params: &Value) -> Value {
    send(server, token, &json!({"elicitation": {}, "extensions": {TASKS: {}}}), method, params).json()
}

fn send(server: &Server, token: Option<&str>, capabilities: &Value, method: &str, params: &Value) -> Reply {
    let whole = message(server, token, capabilities, method, params);
    let (head, body) = whole.split_once("\r\n\r\n").unwrap();
    let headers: Vec<(&str, &str)> = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| !["host", "content-length"].contains(name))
        .collect();
    server.send("POST", "/mcp", &headers, body)
}

fn begin(server: &Server, token: Option<&str>, tool: &str) -> Value {
    let task = with_tasks(server, token, "tools/call", &json!({"name": tool, "arguments": {}}));
    assert_eq!(task["result"]["resultType"], "task", "{task}");
    task["result"].clone()
}

fn get(server: &Server, token: Option<&str>, task: &Value) -> Value {
    with_tasks(server, token, "tasks/get", &json!({"taskId": task["taskId"]}))
}

/// Asks for a task until it has this state.
fn reaches(server: &Server, task: &Value, status: &str) -> Value {
    let mut seen = Value::Null;
    until(|| {
        seen = get(server, None, task)["result"].clone();
        seen["status"] == status
    });
    seen
}

fn polls(api: &Api) -> usize {
    api.lines().iter().filter(|line| *line == "GET /v1/jobs/7").count()
}

/// Waits until an API has been asked about its job, and asked again.
fn asked(api: &Api) {
    until(|| polls(api) >= 2);
}

fn is_cancelled(api: &Api) -> bool {
    api.lines().iter().any(|line| line == "DELETE /v1/jobs/7")
}

/// Waits until the API was told to cancel; nothing is asked after that.
fn stops(api: &Api, server: &Server) {
    until(|| is_cancelled(api));
    let before = polls(api);
    // A job of another API takes longer than some more questions about the first would.
    api.answer("/v1/exports", with(202, "Location: /v1/exports/8\r\n", ""));
    api.answers("/v1/exports/8", vec![Answer::text(202, ""), Answer::text(202, ""), Answer::text(200, "over")]);
    assert_eq!(server.call("by_location", &json!({})).text(), "over");
    assert_eq!(polls(api), before);
}

// === within a call ===

#[test]
fn a_job_is_asked_for_until_it_is_done_and_the_client_hears_of_it() {
    let (api, server) = serve();
    let at = |percent: Value| json!({"state": "running", "percent": percent});
    job(&api, &[at(json!(10)), running(), at(json!("45 %")), finished()]);
    let params = json!({"name": "report", "arguments": {"month": "May"}, "_meta": {"progressToken": "p"}});
    let reply = send(&server, None, &json!({}), "tools/call", &params);
    assert_eq!(ToolResult(reply.json()["result"].clone()).json(), finished());
    let poll = "GET /v1/jobs/7";
    assert_eq!(api.lines(), ["POST /v1/jobs", poll, poll, poll, poll]);
    assert_eq!(api.requests()[0].json(), json!({"month": "May"}));
    assert!(api.requests()[1].body.is_empty());

    let told = reply.body.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data:")?).ok());
    let told: Vec<Value> = told.filter(|it| it["method"] == "notifications/progress").collect();
    let words: Vec<&str> = told.iter().map(|it| it["params"]["message"].as_str().unwrap()).collect();
    let expected = [
        "Started",
        "The API is asked",
        "The API is working on it",
        "The API is working on it: 10 % (poll 1)",
        "The API is working on it (poll 2)",
        "The API is working on it: 45 % (poll 3)",
        "The API has answered",
        "Done",
    ];
    assert_eq!(words, expected);
    let come: Vec<f64> = told.iter().map(|it| it["params"]["progress"].as_f64().unwrap()).collect();
    assert!(come.is_sorted_by(|one, next| one < next), "{come:?}");
    assert_eq!((come[3], come[5], come[7]), (10.0, 45.0, 100.0));
    assert_eq!((&told[0]["params"]["total"], &told[7]["params"]["total"]), (&Value::Null, &json!(100.0)));
}

#[test]
fn real_clients_wait_over_both_transports_and_in_both_eras() {
    for (mode, is_stdio) in [("auto", false), ("legacy", false), ("auto", true), ("legacy", true)] {
        let api = Api::start();
        job(&api, &[running(), finished()]);
        let fixture = fixture(&api);
        let mut command = Command::new(python());
        command.arg(root().join("tests/clients/python_mcp.py")).args(["--mode", mode, "--call", "report", "{}"]);
        let mut server = None;
        if is_stdio {
            command.arg("--stdio").arg(binary()).args(fixture.stdio_args()).current_dir(fixture.path());
            command.envs(fixture.environment().iter().map(|(name, value)| (name, value)));
        } else {
            command.args(["--url", &server.insert(fixture.serve()).url()]);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let seen: Value = serde_json::from_str(&said)
            .unwrap_or_else(|_| panic!("{said} {}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(seen["calls"][0]["is_error"], false, "{mode} {is_stdio}: {seen}");
        let steps = seen["progress"].as_array().unwrap().iter().map(|step| step[1].as_str().unwrap());
        let steps: Vec<&str> = steps.filter(|step| step.contains("working")).collect();
        assert_eq!(steps, ["The API is working on it", "The API is working on it (poll 1)"], "{mode} {is_stdio}");
    }
}

#[test]
fn an_answer_without_a_job_is_the_result() {
    let (api, server) = serve();
    api.answer("/v1", Answer::json(200, &json!({"pages": 3})));
    assert_eq!(server.call("report", &json!({})).json(), json!({"pages": 3}));
    assert_eq!(server.call("by_location", &json!({})).json(), json!({"pages": 3}));
    api.answer("/v1", Answer::json(422, &json!({"id": 7, "message": "No such month"})));
    assert_eq!(server.call("report", &json!({})).error(), "API error: 422: No such month");
    api.answer("/v1", Answer::text(202, ""));
    assert_eq!(server.call("by_location", &json!({})).text(), "The API answered 202 without content.");
    assert_eq!(api.requests().len(), 4);
}

#[test]
fn the_location_says_where_to_ask_and_the_api_how_soon() {
    let (api, server) = serve();
    api.answer("/v1/exports", with(202, "Location: exports/8?view=short\r\nRetry-After: 1\r\n", "{}"));
    api.answers("/v1/exports/8", vec![with(202, "Retry-After: 1\r\n", "{}"), Answer::text(200, "the report")]);
    let begun = Instant::now();
    assert_eq!(server.call("by_location", &json!({})).text(), "the report");
    assert!(begun.elapsed() >= Duration::from_secs(2));
    let poll = "GET /v1/exports/8?view=short";
    assert_eq!(api.lines(), ["POST /v1/exports", poll, poll]);
    // An answer may lead on to the result.
    api.answers("/v1/exports/8", vec![with(303, "Location: /v1/results/8\r\n", "")]);
    api.answer("/v1/results/8", Answer::text(200, "the other report"));
    assert_eq!(server.call("by_location", &json!({})).text(), "the other report");
    // What is an error then is one.
    api.answer("/v1/exports/8", Answer::json(410, &json!({"message": "Too late"})));
    assert_eq!(server.call("by_location", &json!({})).error(), "API error: 410: Too late");
}

#[test]
fn a_location_that_leads_elsewhere_is_not_followed() {
    let (api, server) = serve();
    let other = Api::start();
    let elsewhere = [
        other.url() + "/v1/exports/8",
        "/v2/exports/8".to_owned(),
        "/v1/../admin".to_owned(),
        format!("http://somebody@127.0.0.1:{}/v1/exports/8", api.port),
        "file:///etc/passwd".to_owned(),
    ];
    let words = "The API's answer leads to a job outside of the API; it is not followed";
    for location in &elsewhere {
        api.answer("/v1/exports", with(202, &format!("Location: {location}\r\n"), ""));
        assert_eq!(server.call("by_location", &json!({})).error(), words);
    }
    assert_eq!(api.lines(), vec!["POST /v1/exports"; elsewhere.len()]);
    api.answer("/v1/exports", with(202, "Location: /v1/exports/8\r\n", ""));
    for location in &elsewhere {
        api.answer("/v1/exports/8", with(303, &format!("Location: {location}\r\n"), ""));
        assert_eq!(server.call("by_location", &json!({})).error(), words);
    }
    assert_eq!(api.requests().len(), 3 * elsewhere.len());
    assert!(other.requests().is_empty());
}

#[test]
fn ids_are_one_segment_and_the_rest_of_the_path_and_the_headers_stay() {
    let (api, server) = serve();
    api.answer("/v1/orgs", Answer::json(200, &json!({"id": "a/b?c=1"})));
    let arguments = json!({"org": "Ü", "X-Tenant": "t-9", "q": "all"});
    assert!(!server.call("of_tenant", &arguments).is_error());
    assert_eq!(api.lines(), ["POST /v1/orgs/%C3%9C/exports?q=all", "GET /v1/orgs/%C3%9C/exports/a%2Fb%3Fc%3D1"]);
    assert_eq!(api.last().header("x-tenant"), Some("t-9"));
    for id in [".", ".."] {
        api.answer("/v1/orgs", Answer::json(200, &json!({ "id": id })));
        let words = "The API gave its job an id that no path can hold";
        assert_eq!(server.call("of_tenant", &arguments).error(), words);
    }
    assert_eq!(api.requests().len(), 4);
}

#[test]
fn every_question_is_asked_as_the_same_caller() {
    let api = Api::start();
    job(&api, &[running(), finished()]);
    let yaml = YAML.replace("credentials: none", "credentials: caller_token");
    let server = Fixture::with_okta(Provider::shared()).bridge(&yaml).env("API", &api.url()).serve();
    let token = Provider::shared().user("alice");
    assert!(!server.call_as(Some(&token), "with_result", &json!({})).is_error());
    let bearer = format!("Bearer {token}");
    assert_eq!(api.lines().last().unwrap(), "GET /v1/jobs/7/result");
    assert_eq!(api.requests().len(), 4);
    assert!(api.requests().iter().all(|request| request.header("authorization") == Some(&bearer)));
}

#[test]
fn a_job_may_fail_and_have_its_result_elsewhere() {
    let (api, server) = serve();
    job(&api, &[running(), json!({"state": "failed", "message": "No data\nfor May"})]);
    assert_eq!(server.call("report", &json!({})).error(), "The API could not do it: No data for May");
    job(&api, &[running(), finished()]);
    api.answer("/v1/jobs/7/result", Answer::text(200, "the report"));
    assert_eq!(server.call("with_result", &json!({})).text(), "the report");
    api.answer("/v1/jobs/7", Answer::text(200, "soon"));
    assert_eq!(server.call("report", &json!({})).error(), "The API's answer about the job is not JSON");
}

#[test]
fn an_api_may_be_out_of_order_for_a_while() {
    let (api, server) = serve();
    let out = || Answer::json(503, &json!({"message": "Restarting"}));
    api.answer("/v1/jobs", Answer::json(202, &json!({"id": 7})));
    let broken = Answer::Raw(Vec::new());
    api.answers(
        "/v1/jobs/7",
        vec![out(), broken, out(), Answer::json(200, &running()), out(), Answer::json(200, &finished())],
    );
    assert_eq!(server.call("report", &json!({})).json(), finished());
    assert_eq!(api.requests().len(), 7);
    api.answer("/v1/jobs/7", out());
    assert_eq!(server.call("report", &json!({})).error(), "API error: 503: Restarting");
    assert_eq!(api.requests().len(), 7 + 6);
}

#[test]
fn the_deadline_ends_a_call_and_no_other_limit_does() {
    let api = Api::start();
    let mut fixture = fixture(&api);
    fixture.write("tollbridge.yaml", "limits: { request_timeout: 200ms }");
    let server = fixture.serve();
    job(&api, &[running()]);
    let words = "The API was not done within 300 ms; it may still be working on it";
    assert_eq!(server.call("impatient", &json!({})).error(), words);
    assert!((1..=3).contains(&polls(&api)) && !is_cancelled(&api));
    job(&api, &[running(), running(), running(), running(), finished()]);
    assert_eq!(server.call("report", &json!({})).json(), finished());
}

#[test]
fn a_client_that_goes_or_cancels_ends_the_questions_and_the_job() {
    let (api, server) = serve();
    job(&api, &[running()]);
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let params = json!({"name": "report", "arguments": {}});
    stream.write_all(message(&server, None, &json!({}), "tools/call", &params).as_bytes()).unwrap();
    asked(&api);
    drop(stream);
    stops(&api, &server);

    let other = Api::start();
    job(&other, &[running()]);
    let mut pipes = Pipes::start(fixture(&other));
    pipes.write(&json!({"jsonrpc": "2.0", "id": 99, "method": "tools/call", "params": params}));
    asked(&other);
    let cancelled = json!({"requestId": 99, "reason": "enough"});
    pipes.write(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled}));
    until(|| is_cancelled(&other));
}

#[test]
fn a_server_that_stops_waits_for_no_job() {
    let (api, server) = serve();
    job(&api, &[running()]);
    let params = json!({"name": "report", "arguments": {}});
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream.write_all(message(&server, None, &json!({}), "tools/call", &params).as_bytes()).unwrap();
    begin(&server, None, "report");
    asked(&api);
    let begun = Instant::now();
    assert!(server.terminate().success());
    // A grace period is ten seconds.
    assert!(begun.elapsed() < Duration::from_secs(5));
    let answer = BufReader::new(stream).lines().map_while(Result::ok).last().unwrap();
    assert!(answer.contains("The server is stopping; the API may still be working on it"), "{answer}");
    assert!(!is_cancelled(&api));
}

#[test]
fn a_call_that_waits_takes_one_of_the_callers_places() {
    let api = Api::start();
    job(&api, &[running()]);
    let provider = Provider::shared();
    let mut fixture = Fixture::with_okta(provider).bridge(YAML).env("API", &api.url());
    let server = json!({"auth": {"okta": provider.okta()}, "limits": {"max_calls_per_caller": 1}});
    fixture.write("tollbridge.yaml", &server.to_string());
    let server = fixture.serve();
    let alice = provider.user("alice");
    let task = begin(&server, Some(&alice), "report");
    let refused = server.call_as(Some(&alice), "plain", &json!({}));
    assert_eq!(refused.error(), "1 of your calls are running already; try again when one has ended");
    with_tasks(&server, Some(&alice), "tasks/cancel", &json!({"taskId": task["taskId"]}));
    until(|| !server.call_as(Some(&alice), "plain", &json!({})).is_error());
}

// === as a task ===

#[test]
fn a_task_tells_how_far_it_is_and_then_its_result() {
    let (api, server) = serve();
    job(&api, &[running()]);
    let task = begin(&server, None, "report");
    assert_eq!((task["ttlMs"].as_u64(), task["pollIntervalMs"].as_u64()), (Some(900_000), Some(100)));
    asked(&api);
    let says = || get(&server, None, &task)["result"]["statusMessage"].to_string();
    until(|| says().contains("The API is working on it (poll "));
    let before = says();
    until(|| says() != before);
    assert_eq!(get(&server, None, &task)["result"]["status"], "working");
    job(&api, &[finished()]);
    let ended = reaches(&server, &task, "completed");
    assert_eq!(ToolResult(ended["result"].clone()).json(), finished());
    // A job that fails is a result, too.
    job(&api, &[json!({"state": "failed", "message": "No data"})]);
    let ended = reaches(&server, &begin(&server, None, "report"), "completed");
    assert_eq!(ToolResult(ended["result"].clone()).error(), "The API could not do it: No data");
    // What is done at once is answered at once.
    api.answer("/v1/jobs", Answer::json(200, &json!({"pages": 0})));
    let at_once = with_tasks(&server, None, "tools/call", &json!({"name": "report", "arguments": {}}));
    assert_eq!(ToolResult(at_once["result"].clone()).json(), json!({"pages": 0}));
}

#[test]
fn only_clients_that_take_tasks_get_them_and_only_where_there_are_any() {
    let (api, server) = serve();
    job(&api, &[finished()]);
    let offers = |server: &Server| {
        let found = with_tasks(server, None, "server/discover", &json!({}));
        found["result"]["capabilities"]["extensions"][TASKS].is_object()
    };
    assert!(offers(&server));
    assert_eq!(server.call("report", &json!({})).json(), finished());
    let refused =
        |method: &str, params: &Value| send(&server, None, &json!({}), method, params).json()["error"].clone();
    let error = refused("tools/call", &json!({"name": "for_tasks", "arguments": {}}));
    assert_eq!(
        (error["code"].as_i64(), &error["data"]["requiredCapabilities"]["extensions"][TASKS]),
        (Some(-32021), &json!({}))
    );
    assert_eq!(refused("tasks/get", &json!({"taskId": "x"}))["code"], -32021);
    assert_eq!(api.requests().len(), 2);
    // No session of an older protocol hears of them.
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {"extensions": {TASKS: {}}},
        "clientInfo": {"name": "test", "version": "1"}});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}).to_string();
    let headers = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
    let session = server.send("POST", "/mcp", &headers, &body);
    assert_eq!(session.json()["result"]["capabilities"]["extensions"], Value::Null);
    let mut headers = headers.to_vec();
    headers.extend([
        ("mcp-session-id", session.header("mcp-session-id").unwrap()),
        ("mcp-protocol-version", "2025-11-25"),
    ]);
    server.send("POST", "/mcp", &headers, r#"{"jsonrpc": "2.0", "method": "notifications/initialized"}"#);
    let body =
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "report", "arguments": {}}});
    let called = server.send("POST", "/mcp", &headers, &body.to_string()).json();
    assert_eq!(ToolResult(called["result"].clone()).json(), finished());
    let plain = Fixture::new().bridge("bridge: plain\ntools: { t: { description: T., response: { text: hello } } }");
    let plain = plain.serve();
    assert!(!offers(&plain));
    assert_eq!(with_tasks(&plain, None, "tasks/get", &json!({"taskId": "x"}))["error"]["code"], -32601);
}

#[test]
fn a_cancelled_task_asks_no_more() {
    let (api, server) = serve();
    job(&api, &[running()]);
    let task = begin(&server, None, "report");
    asked(&api);
    let id = json!({"taskId": task["taskId"]});
    assert_eq!(with_tasks(&server, None, "tasks/cancel", &id)["result"], json!({"resultType": "complete"}));
    reaches(&server, &task, "cancelled");
    stops(&api, &server);
    // And stays what it is.
    assert_eq!(with_tasks(&server, None, "tasks/cancel", &id)["result"], json!({"resultType": "complete"}));
    assert_eq!(get(&server, None, &task)["result"]["status"], "cancelled");
}

#[test]
fn to_another_caller_a_task_is_not_there() {
    let api = Api::start();
    job(&api, &[running()]);
    let server = Fixture::with_okta(Provider::shared()).bridge(YAML).env("API", &api.url()).serve();
    let alice = Provider::shared().user("alice");
    let bob = Provider::shared().user("bob");
    let task = begin(&server, Some(&alice), "report");
    let id = json!({"taskId": task["taskId"], "inputResponses": {}});
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let mut unknown = with_tasks(&server, Some(&bob), method, &json!({"taskId": "never", "inputResponses": {}}));
        let refused = with_tasks(&server, Some(&bob), method, &id);
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
        let words = unknown["error"]["message"].as_str().unwrap().replace("never", task["taskId"].as_str().unwrap());
        unknown["error"]["message"] = words.into();
        assert_eq!(refused, unknown);
    }
    assert_eq!(get(&server, Some(&alice), &task)["result"]["status"], "working");
    // Another token of the same caller is theirs.
    let again = Provider::shared().user("alice");
    assert_eq!(get(&server, Some(&again), &task)["result"]["status"], "working");
}

#[test]
fn a_task_asks_its_user_before_anything_is_sent() {
    let (api, server) = serve();
    job(&api, &[finished()]);
    let answer = |task: &Value, responses: Value| {
        let params = json!({"taskId": task["taskId"], "inputResponses": responses});
        assert_eq!(with_tasks(&server, None, "tasks/update", &params)["result"], json!({"resultType": "complete"}));
    };
    let task = begin(&server, None, "certain");
    let asking = reaches(&server, &task, "input_required");
    assert_eq!(asking["inputRequests"]["confirm"]["params"]["message"], "Really?");
    answer(&task, json!({"something": {"action": "accept"}}));
    assert_eq!(get(&server, None, &task)["result"]["status"], "input_required");
    assert!(api.requests().is_empty());
    answer(&task, json!({"confirm": {"action": "accept", "content": {}}}));
    reaches(&server, &task, "completed");
    assert_eq!(api.lines(), ["POST /v1/jobs", "GET /v1/jobs/7"]);
    let task = begin(&server, None, "certain");
    answer(&task, json!({"confirm": {"action": "decline"}}));
    let declined = reaches(&server, &task, "completed");
    let words = "The user declined (`confirm`): nothing was sent";
    assert_eq!(ToolResult(declined["result"].clone()).error(), words);
    // A task that is cancelled while it asks never sends.
    let task = begin(&server, None, "certain");
    with_tasks(&server, None, "tasks/cancel", &json!({"taskId": task["taskId"]}));
    reaches(&server, &task, "cancelled");
    assert_eq!(api.requests().len(), 2);
    // Unless it says otherwise, a tool asks first.
    let first = with_tasks(&server, None, "tools/call", &json!({"name": "sure", "arguments": {}}));
    assert_eq!(first["result"]["resultType"], "input_required");
    // A client without elicitation is refused.
    let params = json!({"name": "certain", "arguments": {}});
    let refused = send(&server, None, &json!({"extensions": {TASKS: {}}}), "tools/call", &params).json();
    assert_eq!(refused["error"]["code"], -32021, "{refused}");
    assert_eq!(api.requests().len(), 2);
}

#[test]
fn a_task_is_kept_as_long_as_it_says_and_no_longer() {
    let (api, server) = serve();
    job(&api, &[finished()]);
    let begun = Instant::now();
    let task = begin(&server, None, "for_a_moment");
    assert_eq!(task["ttlMs"], 1000);
    until(|| get(&server, None, &task)["error"]["code"] == -32602);
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[test]
fn one_caller_has_so_many_tasks_and_is_answered_in_the_ordinary_way_then() {
    let api = Api::start();
    job(&api, &[finished()]);
    let server = Fixture::with_okta(Provider::shared()).bridge(YAML).env("API", &api.url()).serve();
    let alice = Provider::shared().user("alice");
    for _ in 0..50 {
        let task = begin(&server, Some(&alice), "report");
        until(|| get(&server, Some(&alice), &task)["result"]["status"] == "completed");
    }
    let call = json!({"name": "report", "arguments": {}});
    let plain = with_tasks(&server, Some(&alice), "tools/call", &call);
    assert_eq!(ToolResult(plain["result"].clone()).json(), finished());
    // Others have theirs.
    begin(&server, Some(&Provider::shared().user("bob")), "report");
}

// === before anything is sent ===

#[test]
fn explain_and_show_tell_how_a_tool_waits() {
    let fixture = Fixture::new().bridge(YAML);
    let said = |args: &[&str]| String::from_utf8(fixture.command(args).output().unwrap().stdout).unwrap();
    for command in ["explain", "show"] {
        let text = said(&[command, "with_result"]);
        for part in ["GET /jobs/{job}, every 100 ms", "600 s in all", "GET /jobs/{job}/result", "DELETE /jobs/{job}"] {
            assert!(text.contains(part), "{command}: {text}");
        }
        assert!(said(&[command, "by_location"]).contains("where `Location` leads to"));
    }
    let json: Value = serde_json::from_str(&said(&["explain", "report", "--format", "json"])).unwrap();
    assert_eq!(json["async"]["status"], "GET /jobs/{job}");
}
